"""Mail addresses of an envelope: mailboxes and paths, read strictly and written in one form (RFC 5321, 4.1.2).

    <fred@example.org>          a path around a mailbox
    <"a b"@[IPv6:2001:db8::1]>  a quoted local part, at an address literal
    <@relay,@x:fred@a.org>      a source route: accepted, and ignored (RFC 5321, appendix C)
    <>                          the null path: nobody, to whom nothing is ever sent back
    <Postmaster>                the one mailbox that needs no domain

A local part is kept as its characters, without the quoting; a domain as A-labels in lower case.  With SMTPUTF8
(RFC 6531, 3.3) a local part may be UTF-8 and a domain have U-labels; both are told by their octets, not by their look.
"""

from .smtpreplies import Refused

LOCAL, DOMAIN, LABEL = 64, 255, 63      # octets (RFC 5321, 4.5.3.1.1 and 4.5.3.1.2; RFC 1035, 2.3.4)
PATH = 256                      # with its brackets (RFC 5321, 4.5.3.1.3), so that a mailbox has 254 at most
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
ATEXT = LETTERS + b"!#$%&'*+-/=?^_`{|}~"        # RFC 5322, 3.2.3
HIGH = bytes(range(128, 256))
POSTMASTER = "postmaster"
V6 = "IPv6:"
# IDNA 2003 makes another domain of these than IDNA 2008 (UTS 46, 7); of a capital sharp s it is later versions
DEVIANT = "\u00df\u1e9e\u03c2\u200c\u200d"


class NotAscii(ValueError):
    """An address that only SMTPUTF8 could carry, where it is not used."""


class Mailbox:
    """One mailbox: `local` as plain characters, `domain` as A-labels or an address literal; "" with postmaster alone.

    Two are equal when their domains are and their local parts have the same characters: only the host of a mailbox
    knows whether case means something (RFC 5321, 2.4).  A postmaster is one in any case (RFC 5321, 4.5.1).
    """

    __slots__ = ("domain", "local")

    def __init__(self, local: str, domain: str) -> None:
        self.local, self.domain = local, domain

    def __str__(self) -> str:
        return f"{quoted(self.local)}@{self.domain}" if self.domain else self.local

    def __repr__(self) -> str:
        return f"<{self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mailbox) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, str]:
        return (POSTMASTER if self.is_postmaster else self.local), self.domain

    @property
    def is_postmaster(self) -> bool:
        """Is it whom every domain must have?"""
        return self.local.isascii() and self.local.lower() == POSTMASTER

    @property
    def is_ascii(self) -> bool:
        """Can it be told without SMTPUTF8?"""
        return self.local.isascii()

    @property
    def is_literal(self) -> bool:
        """Is it at an address instead of a domain?"""
        return self.domain.startswith("[")

    def folded(self) -> "Mailbox":
        """The same for a host to which case means nothing: in lower case and in Normalization Form C."""
        if self.local.isascii():
            return Mailbox(self.local.lower(), self.domain)
        from unicodedata import normalize
        return Mailbox(normalize("NFC", normalize("NFC", self.local).casefold()), self.domain)


def path(mailbox: Mailbox | None) -> bytes:
    """A path as it is sent; None is the null path."""
    return f"<{mailbox}>".encode() if mailbox else b"<>"


def quoted(local: str) -> str:
    """A local part as it is written: quoted only if it must be (RFC 5321, 4.1.2)."""
    if _is_dot_string(local.encode("utf-8", "surrogateescape")):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_tag(local: str, separator: str = "+") -> tuple[str, str | None]:
    """The user and the tag of a sub-address (RFC 5233, 4); no tag (None) where nobody would stand before it."""
    user, sign, tag = local.partition(separator)
    return (user, tag) if sign and user else (local, None)


def reverse_path(octets: bytes, utf8: bool = False) -> tuple[Mailbox | None, bytes]:
    """The path that begins `octets`, None for <>, and what comes after it; raises Refused (5.1.7, 5.6.7)."""
    octets = octets.lstrip(b" ")
    if octets.startswith(b"<>"):
        return None, _after(octets[2:], 7)
    return _path(octets, utf8, 7, "sender")


def forward_path(octets: bytes, utf8: bool = False) -> tuple[Mailbox, bytes]:
    """The path that begins `octets`, and what comes after it; raises Refused (5.1.3, 5.6.7)."""
    octets = octets.lstrip(b" ")
    name, bracket, rest = octets.partition(b">")
    if name.lower() == b"<postmaster" and bracket:
        return Mailbox(name[1:].decode("ascii"), ""), _after(rest, 3)
    return _path(octets, utf8, 3, "recipient")


def mailbox(text: str | bytes, utf8: bool = True) -> Mailbox:
    """The mailbox that this is, all of it; raises ValueError with a sentence, NotAscii where `utf8` would be needed."""
    octets = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    found, end = _mailbox(octets, 0, utf8)
    if end != len(octets):
        raise ValueError("something follows the address")
    return found


def domain(octets: bytes, utf8: bool = False) -> str:
    """A domain as A-labels in lower case; raises ValueError, NotAscii."""
    if not octets.isascii():
        if not utf8:
            raise NotAscii("a domain that is not ASCII")
        octets = _a_labels(octets)
    if not 0 < len(octets) <= DOMAIN:
        raise ValueError(f"a domain has 1 to {DOMAIN} octets")
    for label in octets.split(b"."):
        #   sub-domain = Let-dig [Ldh-str]          RFC 5321, 4.1.2; some real names have underscores, and DNS has them
        if not 0 < len(label) <= LABEL or label.translate(None, LETTERS + b"-_") or label[:1] == b"-" \
                or label[-1:] == b"-":
            raise ValueError("not a domain name")
    return octets.decode("ascii").lower()


def literal(octets: bytes) -> str:
    """An address literal, in brackets, in its one form; raises ValueError (RFC 5321, 4.1.3)."""
    from ipaddress import IPv4Address, IPv6Address
    text = octets.decode("ascii", "backslashreplace")
    inner = text[1:-1]
    if text[:1] != "[" or text[-1:] != "]" or len(inner) > 64:
        raise ValueError("not an address literal")
    try:
        if inner[:len(V6)].lower() != V6.lower():
            return f"[{IPv4Address(inner)}]"
        if "%" not in inner:
            return f"[{V6}{IPv6Address(inner[len(V6):])}]"
    except ValueError:
        pass                    # ipaddress has its own words for what is wrong; ours are below
    raise ValueError("not an address literal")


def place(octets: bytes, utf8: bool = False) -> str:
    """What may stand after the @, or after EHLO: a domain or an address literal; raises ValueError, NotAscii."""
    return literal(octets) if octets.startswith(b"[") else domain(octets, utf8)


def _path(octets: bytes, utf8: bool, detail: int, whose: str) -> tuple[Mailbox, bytes]:
    try:
        if not octets.startswith(b"<"):
            raise ValueError("an address stands in <>")
        found, end = _mailbox(octets, _past_route(octets, utf8), utf8)
        if octets[end:end + 1] != b">":
            raise ValueError("an address ends with >")
    except NotAscii:
        raise Refused(553, "5.6.7", f"the {whose}'s address needs SMTPUTF8") from None     # RFC 6531, 3.5
    except ValueError as error:
        raise Refused(501, f"5.1.{detail}", f"bad {whose} address: {error}") from None
    return found, _after(octets[end + 1:], detail)


def _after(rest: bytes, detail: int) -> bytes:
    if rest[:1] not in (b"", b" "):
        raise Refused(501, f"5.1.{detail}", "something follows the > of the address")
    return rest.strip(b" ")


def _past_route(octets: bytes, utf8: bool) -> int:
    """Where the mailbox of a path begins: after its source route, if there is one."""
    #   A-d-l = At-domain *( "," At-domain ), At-domain = "@" Domain       RFC 5321, 4.1.2
    if octets[1:2] != b"@":
        return 1
    end = octets.find(b":", 1, PATH)
    if end < 0:
        raise ValueError("a source route without an end")
    for hop in octets[1:end].split(b","):
        if hop[:1] != b"@":
            raise ValueError("a broken source route")
        domain(hop[1:], utf8)
    return end + 1


def _mailbox(octets: bytes, start: int, utf8: bool) -> tuple[Mailbox, int]:
    """The mailbox that begins at `start`, and where it ends."""
    local, at = _local_part(octets, start, utf8)
    if octets[at:at + 1] != b"@":
        raise ValueError("no @ after the local part")
    end = at + 1
    if octets[end:end + 1] == b"[":
        end = octets.find(b"]", end) + 1
        if not end:
            raise ValueError("not an address literal")
    else:
        end = _end_of(octets, end, b">, \t")
    where = place(octets[at + 1:end], utf8)
    found = Mailbox(local, where)
    if max(end - start, len(path(found)) - 2) > PATH - 2:
        raise ValueError(f"an address has {PATH - 2} octets at most")
    return found, end


def _local_part(octets: bytes, start: int, utf8: bool) -> tuple[str, int]:
    if octets[start:start + 1] == b'"':
        plain, end = _quoted_string(octets, start + 1)
    else:
        end = _end_of(octets, start, b"@>, \t")
        plain = octets[start:end]
        if plain and not _is_dot_string(plain):
            raise ValueError("a local part of this kind must be quoted")
    if not 0 < end - start <= LOCAL or not plain:
        raise ValueError(f"a local part has 1 to {LOCAL} octets")
    if not utf8 and not plain.isascii():
        raise NotAscii("a local part that is not ASCII")
    try:
        text = plain.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if any("\x80" <= sign <= "\x9f" for sign in text):
        raise ValueError("a control character")
    if len(quoted(text).encode()) > LOCAL:
        raise ValueError(f"a local part has 1 to {LOCAL} octets")
    return text, end


def _quoted_string(octets: bytes, start: int) -> tuple[bytes, int]:
    """What a Quoted-string says, and where it ends; `start` is after its first quote."""
    #   QcontentSMTP = qtextSMTP / quoted-pairSMTP          RFC 5321, 4.1.2
    plain = bytearray()
    at = start
    while at < min(len(octets), start + PATH):
        sign = octets[at]
        if sign == 0x22:
            return bytes(plain), at + 1
        if sign == 0x5c:
            at += 1
            sign = octets[at] if at < len(octets) else 0
            if sign > 126:
                break
        if sign < 32 or sign == 127:
            break
        plain.append(sign)
        at += 1
    raise ValueError("a broken quoted local part")


def _end_of(octets: bytes, start: int, signs: bytes) -> int:
    """Where the first of these signs stands, or the end; nothing that is valid goes farther than a path may."""
    end = start
    last = min(len(octets), start + PATH + 1)
    while end < last and octets[end] not in signs:
        end += 1
    return end


def _is_dot_string(octets: bytes) -> bool:
    #   Dot-string = Atom *("." Atom)           RFC 5321, 4.1.2; UTF8-non-ascii joins atext by RFC 6531, 3.3
    return bool(octets) and all(octets.split(b".")) and not octets.translate(None, ATEXT + b"." + HIGH)


def _a_labels(octets: bytes) -> bytes:
    """A domain with U-labels as A-labels (RFC 5890, 2.3.2.1)."""
    if len(octets) > DOMAIN:
        raise ValueError(f"a domain has 1 to {DOMAIN} octets")
    try:
        text = octets.decode("utf-8")
        found = b".".join(label.encode("idna") for label in text.split("."))
    except UnicodeError:
        raise ValueError("not a domain name") from None
    if any(sign in text for sign in DEVIANT):
        raise ValueError("a domain with these signs must come as A-labels (xn--)")
    return found
