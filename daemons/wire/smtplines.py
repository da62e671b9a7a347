"""Command lines of SMTP and LMTP: what a client asks for, parsed strictly, and the same as our own client says it.

    MAIL FROM:<fred@example.org> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159
    RCPT TO:<joe@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;joe@example.com
    BDAT 1000 LAST

Blanks after the colon, which too many clients send, are taken; addresses without <> are not.  The functions get what
follows the verb, as commands.split() leaves it.
RFC 5321, 4.1; SIZE RFC 1870; BODY RFC 6152 and 3030; SMTPUTF8 RFC 6531; AUTH RFC 4954; DSN RFC 3461; REQUIRETLS
RFC 8689.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from .mailaddresses import LETTERS, Mailbox, forward_path, mailbox, path, reverse_path
from .numbers import number
from .saslexchanges import LONGEST as LONGEST_SASL
from .saslexchanges import NotSasl, decode
from .smtpreplies import Refused

LIMIT = 512                     # octets of a command line with its CR LF (RFC 5321, 4.5.3.1.4),
LONGEST = 2048                  # and with all that extensions add: AUTH= alone may be 500 (RFC 4954, 3), ORCPT= as well
LONGEST_AUTH = LONGEST_SASL + 2     # AUTH, and the lines of its exchange (RFC 4954, 4.3)
MOST_PARAMETERS = 16
BODIES = ("7BIT", "8BITMIME", "BINARYMIME")
NEVER, SUCCESS, FAILURE, DELAY = "NEVER", "SUCCESS", "FAILURE", "DELAY"
ENVID, ORCPT = 100, 500         # characters of these values (RFC 3461, 4.4 and 4.2)
VALUE = bytes([*range(33, 61), *range(62, 127)])        # esmtp-value (RFC 5321, 4.1.2)
HIGH = bytes(range(128, 256))
HEX = b"0123456789ABCDEF"
BIGGEST = 2**63 - 1

# parameters by the keyword that offers them in the answer to EHLO
OF_MAIL = {"SIZE": ("SIZE",), "8BITMIME": ("BODY",), "BINARYMIME": ("BODY",), "SMTPUTF8": ("SMTPUTF8",),
           "AUTH": ("AUTH",), "DSN": ("RET", "ENVID"), "REQUIRETLS": ("REQUIRETLS",)}
OF_RCPT = {"DSN": ("NOTIFY", "ORCPT")}


class Mail:
    """A MAIL command: sender (None: the null path) and its parameters; None or False for one that was not given."""

    __slots__ = ("auth", "body", "envid", "requires_tls", "ret", "sender", "size", "utf8")

    def __init__(self, sender: Mailbox | None, *, size: int | None = None, body: str | None = None, utf8: bool = False,
                 auth: Mailbox | None = None, ret: str | None = None, envid: str | None = None,
                 requires_tls: bool = False) -> None:
        self.sender, self.size, self.body, self.utf8 = sender, size, body, utf8
        self.auth = auth                # who submitted it, as far as another server says; None also for AUTH=<>
        self.ret, self.envid = ret, envid                   # FULL or HDRS; the sender's own name for this envelope
        self.requires_tls = requires_tls


class Rcpt:
    """A RCPT command: the mailbox, for which events the sender is told, and which address was meant at first.

    `notify` is None (not said), or some of SUCCESS, FAILURE and DELAY, or NEVER alone; `original` is a pair of an
    address type ("rfc822", "utf-8") and an address.
    """

    __slots__ = ("mailbox", "notify", "original")

    def __init__(self, mailbox: Mailbox, notify: tuple[str, ...] | None = None,
                 original: tuple[str, str] | None = None) -> None:
        self.mailbox, self.notify, self.original = mailbox, notify, original


def mail(rest: bytes, offered: Collection[str]) -> Mail:
    """What follows MAIL; `offered` are the keywords of our answer to EHLO (none after HELO).  Raises Refused."""
    text = _after_word(rest, b"FROM:", "MAIL FROM:<address>")
    # the parameters stand after the address, and one of them says whether the address may be UTF-8
    sender, words = reverse_path(text, "SMTPUTF8" in offered)
    given = _parameters(words, OF_MAIL, offered)
    body = _word(given, "BODY", BODIES)
    if body == "BINARYMIME" and "BINARYMIME" not in offered:
        raise Refused(555, "5.5.4", "BODY=BINARYMIME is not offered")
    utf8 = _flag(given, "SMTPUTF8")
    if not utf8 and not text.rstrip(b" ").removesuffix(words).isascii():
        raise Refused(553, "5.6.7", "the sender's address needs SMTPUTF8")
    return Mail(sender, size=_size(given), body=body, utf8=utf8, auth=_auth(given),
                ret=_word(given, "RET", ("FULL", "HDRS")), envid=_envid(given), requires_tls=_flag(given, "REQUIRETLS"))


def rcpt(rest: bytes, offered: Collection[str], utf8: bool = False) -> Rcpt:
    """What follows RCPT; `utf8` is that of the MAIL command before it.  Raises Refused."""
    text = _after_word(rest, b"TO:", "RCPT TO:<address>")
    recipient, words = forward_path(text, utf8)
    given = _parameters(words, OF_RCPT, offered)
    return Rcpt(recipient, _notify(given), _original(given, utf8))


def bdat(rest: bytes) -> tuple[int, bool]:
    """What follows BDAT: the octets of this chunk, and whether it is the last (RFC 3030, 2).  Raises Refused."""
    #   bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF
    words = [word for word in rest.split(b" ") if word]
    if not words or len(words) > 2 or (words[1:] and words[1].upper() != b"LAST"):
        raise Refused(501, "5.5.4", "usage: BDAT size [LAST]")
    try:
        return number(words[0], most=BIGGEST), len(words) == 2
    except ValueError:
        raise Refused(501, "5.5.4", "BDAT: not a size") from None


def auth(rest: bytes) -> tuple[str, bytes | None]:
    """What follows AUTH: the mechanism, and the initial response or None (RFC 4954, 4).  Raises Refused."""
    #   sasl-mech = 1*20 of A-Z, 0-9, "-" and "_"           RFC 4422, 3.1
    words = [word for word in rest.split(b" ") if word]
    if not 1 <= len(words) <= 2:
        raise Refused(501, "5.5.4", "usage: AUTH mechanism [initial-response]")
    name = words[0].upper()
    if len(name) > 20 or name.translate(None, LETTERS + b"-_"):
        raise Refused(501, "5.5.4", "AUTH: not a mechanism")
    if len(words) == 1:
        return name.decode("ascii"), None
    try:
        return name.decode("ascii"), b"" if words[1] == b"=" else decode(words[1])
    except NotSasl as error:
        raise Refused(501, "5.5.2", f"AUTH: {error}") from None


def client_name(rest: bytes) -> str:
    """What follows HELO, EHLO or LHLO: any one word of printable ASCII; raises Refused.

    Whether it is a domain or an address literal is for mailaddresses.place() to say: RFC 5321, 4.1.4 does not want a
    client turned away for what it calls itself.
    """
    name = rest.strip(b" ")
    if not 0 < len(name) <= 255 or name.translate(None, VALUE + b"="):
        raise Refused(501, "5.5.4", "say who you are in one word")
    return name.decode("ascii")


# -- as a client says them --


def mail_line(command: Mail, offered: Mapping[str, object]) -> bytes:
    """A MAIL command, without its ending, with those of the parameters that the server offers."""
    size = None if command.size is None else b"%d" % command.size
    rows: list[tuple[str, str, bytes | None]] = [
        ("SIZE", "SIZE", size),
        ("BINARYMIME" if command.body == "BINARYMIME" else "8BITMIME", "BODY", _octets(command.body)),
        ("SMTPUTF8", "SMTPUTF8", b"" if command.utf8 else None),
        ("AUTH", "AUTH", xtext(str(command.auth)) if command.auth and command.auth.is_ascii else None),
        ("DSN", "RET", _octets(command.ret)),
        ("DSN", "ENVID", xtext(command.envid) if command.envid else None),
        ("REQUIRETLS", "REQUIRETLS", b"" if command.requires_tls else None),
    ]
    return b"MAIL FROM:" + path(command.sender) + _told(rows, offered)


def rcpt_line(command: Rcpt, offered: Mapping[str, object]) -> bytes:
    """A RCPT command, without its ending, with those of the parameters that the server offers."""
    notify = None if command.notify is None else ",".join(command.notify).encode()
    original = original_value(command.original) if command.original else None
    return b"RCPT TO:" + path(command.mailbox) + _told([("DSN", "NOTIFY", notify), ("DSN", "ORCPT", original)], offered)


def xtext(text: str) -> bytes:
    """Text so that it may be a parameter's value (RFC 3461, 4)."""
    return b"".join(bytes([octet]) if 33 <= octet <= 126 and octet not in b"+=" else b"+%02X" % octet
                    for octet in text.encode("utf-8", "surrogateescape"))


def from_xtext(octets: bytes) -> str:
    """What an xtext says; raises ValueError unless that is printable ASCII."""
    #   xtext = *( xchar / hexchar ), hexchar = "+" and two hexadecimal digits in capitals       RFC 3461, 4
    first, *pieces = octets.split(b"+")
    if any(len(piece) < 2 or piece[:2].translate(None, HEX) for piece in pieces):
        raise ValueError("a + that no two hexadecimal digits follow")
    plain = first + b"".join(bytes([int(piece[:2], 16)]) + piece[2:] for piece in pieces)
    text = plain.decode("latin-1")
    if not text.isascii() or not text.isprintable():
        raise ValueError("not printable ASCII")
    return text


def unicode_xtext(text: str) -> bytes:
    """An address of the type "utf-8" in ASCII: what is not, and what xtext would change, as \\x{...} (RFC 6533, 3)."""
    return "".join(sign if "!" <= sign <= "~" and sign not in "\\+=" else f"\\x{{{ord(sign):02X}}}"
                   for sign in text).encode("ascii")


def from_unicode_xtext(text: str) -> str:
    """What an address of the type "utf-8" says; raises ValueError."""
    first, *pieces = text.split("\\")
    found = [first]
    for piece in pieces:
        digits, _, rest = piece[2:].partition("}")
        if piece[:2] != "x{" or "}" not in piece or not 2 <= len(digits) <= 6 or digits.encode().translate(None, HEX):
            raise ValueError("a \\ that is not of \\x{...}")
        point = int(digits, 16)
        if point > 0x10ffff or 0xd800 <= point <= 0xdfff:
            raise ValueError("not a character")
        found.append(chr(point) + rest)
    plain = "".join(found)
    if any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in plain):
        raise ValueError("a control character")
    return plain


def _octets(text: str | None) -> bytes | None:
    return None if text is None else text.encode("ascii")


def original_value(original: tuple[str, str]) -> bytes:
    """The value of ORCPT for an address type and an address."""
    kind, address = original
    return kind.encode("ascii") + b";" + (unicode_xtext(address) if kind.lower() == "utf-8" else xtext(address))


def original_of(value: bytes, utf8: bool = True) -> tuple[str, str]:
    """The address type, in lower case, and the address of an ORCPT; raises ValueError."""
    #   original-recipient-address = addr-type ";" xtext            RFC 3461, 4.2; the type "utf-8" RFC 6533, 3
    kind, sign, address = value.partition(b";")
    if len(value) > ORCPT or not sign or not address or not kind or kind.translate(None, LETTERS + b"-"):
        raise ValueError("not an address type, a semicolon and an address")
    name = kind.decode("ascii").lower()
    if name != "utf-8":
        return name, from_xtext(address)
    if b"+" in address or b"=" in address or not (utf8 or address.isascii()):
        raise ValueError("not written as RFC 6533 wants it")
    try:
        return name, from_unicode_xtext(address.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def _told(rows: Iterable[tuple[str, str, bytes | None]], offered: Mapping[str, object]) -> bytes:
    return b"".join(b" " + name.encode() + (b"=" + value if value else b"")
                    for keyword, name, value in rows if value is not None and keyword in offered)


# -- what they hold --


def _after_word(rest: bytes, word: bytes, usage: str) -> bytes:
    if rest[:len(word)].upper() != word:
        raise Refused(501, "5.5.4", f"usage: {usage}")
    return rest[len(word):]


Given = dict[str, bytes | None]


def _parameters(words: bytes, known: Mapping[str, tuple[str, ...]], offered: Collection[str]) -> Given:
    """The parameters by name in capitals; None is the value of one without "=".  Raises Refused."""
    #   esmtp-param = esmtp-keyword ["=" esmtp-value]       RFC 5321, 4.1.2; UTF-8 joins the value by RFC 6531, 3.3
    taken = {name for keyword, names in known.items() if keyword in offered for name in names}
    pieces = [word for word in words.split(b" ") if word]
    if len(pieces) > MOST_PARAMETERS:
        raise Refused(501, "5.5.4", "too many parameters")
    given: Given = {}
    for piece in pieces:
        name, sign, value = piece.partition(b"=")
        keyword = name.decode("ascii", "backslashreplace").upper()
        if not name or name.translate(None, LETTERS + b"-") or name[:1] == b"-" or (sign and not value) \
                or value.translate(None, VALUE + HIGH):
            raise Refused(501, "5.5.4", "a broken parameter")
        if keyword not in taken:
            raise Refused(555, "5.5.4", f"no such parameter here: {keyword[:40]}")
        if keyword in given:
            raise Refused(501, "5.5.4", f"{keyword} is there twice")
        given[keyword] = value if sign else None
    return given


def _value(given: Given, name: str) -> bytes | None:
    """The value of a parameter that has one, or None if it was not given."""
    if name in given and given[name] is None:
        raise Refused(501, "5.5.4", f"{name} needs a value")
    return given.get(name)


def _flag(given: Given, name: str) -> bool:
    if given.get(name) is not None:
        raise Refused(501, "5.5.4", f"{name} has no value")
    return name in given


def _word(given: Given, name: str, words: Iterable[str]) -> str | None:
    value = _value(given, name)
    if value is None:
        return None
    word = value.upper().decode("ascii", "backslashreplace")
    if word not in words:
        raise Refused(501, "5.5.4", f"{name} is one of {', '.join(words)}")
    return word


def _read(given: Given, name: str, reader: Callable[[bytes], str]) -> str | None:
    value = _value(given, name)
    if value is None:
        return None
    try:
        return reader(value)
    except ValueError as error:
        raise Refused(501, "5.5.4", f"{name}: {error}") from None


def _size(given: Given) -> int | None:
    value = _value(given, "SIZE")
    try:
        return None if value is None else number(value, most=10**20 - 1)        # RFC 1870, 3: 1*20 digits
    except ValueError:
        raise Refused(501, "5.5.4", "SIZE: not a number of octets") from None


def _auth(given: Given) -> Mailbox | None:
    value = _value(given, "AUTH")
    if value is None or value == b"<>":
        return None
    try:
        return mailbox(from_xtext(value))
    except ValueError as error:
        raise Refused(501, "5.5.4", f"AUTH: {error}") from None


def _envid(given: Given) -> str | None:
    if len(given.get("ENVID") or b"") > ENVID:
        raise Refused(501, "5.5.4", f"ENVID has {ENVID} characters at most")
    return _read(given, "ENVID", from_xtext)


def _notify(given: Given) -> tuple[str, ...] | None:
    value = _value(given, "NOTIFY")
    if value is None:
        return None
    words = tuple(value.upper().decode("ascii", "backslashreplace").split(","))
    if words != (NEVER,) and (len(set(words)) < len(words) or not set(words) <= {SUCCESS, FAILURE, DELAY}):
        raise Refused(501, "5.5.4", "NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY")
    return words


def _original(given: Given, utf8: bool) -> tuple[str, str] | None:
    value = _value(given, "ORCPT")
    try:
        return None if value is None else original_of(value, utf8)
    except ValueError as error:
        raise Refused(501, "5.5.4", f"ORCPT: {error}") from None
