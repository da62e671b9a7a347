"""Fields that a server writes on a mail: how it came, what was found out about it, and what its client left out.

    Return-Path: <fred@example.org>                                     RFC 5321, 4.4
    Delivered-To: joe@example.com
    X-Original-To: joe+news@example.com
    Authentication-Results: mx.example.com; spf=pass                    RFC 8601
            smtp.mailfrom=example.org
    Received: from client.example.org (client.example.org [192.0.2.1])  RFC 5321, 4.4
            by mx.example.com with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)
            id 4XyZ12abc for <joe@example.com>; Fri, 21 Aug 2026 12:00:00 +0200

All come with CR LF, as octets.  What a peer said about itself is in printable ASCII there, and escaped in comments.
"""

from collections.abc import Iterable, Mapping

from .httpdate import DAY, MONTHS, SHORT_DAYS, civil
from .httpfields import is_token
from .mailaddresses import Mailbox, path, place
from .mailheaders import Field, Fields, is_resent, without_comments
from .smtpreplies import plain

WIDTH, LONGEST = 78, 900        # characters of a line where it can be, and of a word in any case (RFC 5322, 2.1.1)


class Finding:
    """One result for Authentication-Results: spf=pass, why, and of what: {"smtp.mailfrom": "example.org"}."""

    __slots__ = ("method", "properties", "reason", "result")

    def __init__(self, method: str, result: str, properties: Mapping[str, str] | None = None, reason: str = "") -> None:
        self.method, self.result, self.properties, self.reason = method, result, dict(properties or {}), reason


def date_time(seconds: float, offset: int = 0) -> str:
    """A date as mails have it, of a place `offset` minutes east of Greenwich (RFC 5322, 3.3); raises ValueError."""
    day, rest = divmod(int(seconds // 1) + offset * 60, DAY)
    year, month, date = civil(day)
    if not 1900 <= year <= 9999 or not -1440 < offset < 1440:
        raise ValueError(f"no date of a mail: {seconds}, {offset}")
    hours, minutes = divmod(abs(offset), 60)
    # 1970-01-01 was a Thursday
    return (f"{SHORT_DAYS[(day + 3) % 7]}, {date} {MONTHS[month - 1]} {year} "
            f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} {'-' if offset < 0 else '+'}{hours:02}{minutes:02}")


def protocol(*, lmtp: bool = False, extended: bool = True, tls: bool = False, login: bool = False,
             utf8: bool = False) -> str:
    """The name of the protocol a mail came by: ESMTPSA and its kin (RFC 3848; UTF8SMTP RFC 6531, 4.3)."""
    if not (extended or lmtp):
        return "SMTP"
    name = "LMTP" if lmtp else "SMTP" if utf8 else "ESMTP"
    return f"{'UTF8' if utf8 else ''}{name}{'S' if tls else ''}{'A' if login else ''}"


def received(*, server: str, with_: str, id: str, seconds: float, offset: int = 0, helo: str | None = None,
             address: str = "", client: str = "", tls: str = "", recipients: Iterable[Mailbox] = ()) -> bytes:
    """A Received field.

    helo          what the client called itself; None leaves out where the mail came from
    address       where it spoke from ("" for a socket of this machine), and `client`, its confirmed name
    with_, tls    protocol(), and what TLS agreed on: version and cipher
    recipients    of which one alone is told: several would betray each other (RFC 5321, 7.2)
    """
    known = list(recipients)
    clauses = [
        *([_came_from(helo, address, client)] if helo is not None else []),
        f"by {server} with {with_}",
        *([_comment(tls)] if tls else []),
        f"id {id}" + (f" for {path(known[0]).decode()};" if len(known) == 1 else ";"),
        date_time(seconds, offset),
    ]
    return folded("Received", clauses)


def _came_from(helo: str, address: str, client: str) -> str:
    """The From-domain clause; a name that is no domain is told in the comment, where it cannot be taken for one."""
    #   Extended-Domain = Domain / ( ( Domain / address-literal ) FWS "(" TCP-info ")" )        RFC 5321, 4.4
    literal = f"[{'IPv6:' if ':' in address else ''}{address}]" if address else ""
    seen = " ".join(word for word in (client, literal) if word)
    try:
        return f"from {place(helo.encode())} {_comment(seen) if seen else ''}".rstrip(" ")
    except ValueError:
        return f"from {literal or 'localhost'} {_comment(f'helo={helo} {seen}'.rstrip(' '))}"


def return_path(sender: Mailbox | None) -> bytes:
    """The Return-Path of the final delivery; None is the null path."""
    return b"Return-Path: " + path(sender) + b"\r\n"


def delivered_to(recipient: Mailbox) -> bytes:
    """A Delivered-To, by which a mail that comes back is known (mailheaders.was_delivered_to)."""
    return b"Delivered-To: " + str(recipient).encode() + b"\r\n"


def original_to(recipient: Mailbox) -> bytes:
    """An X-Original-To: the address that a mail came for, where an alias or a sub-address led to another."""
    return b"X-Original-To: " + str(recipient).encode() + b"\r\n"


def authentication_results(server: str, findings: Iterable[Finding]) -> bytes:
    """An Authentication-Results of this server; without findings it says that nothing was looked at."""
    #   authserv-id *( ";" method "=" result [ "reason" "=" value ] *( ptype "." property "=" pvalue ) )   RFC 8601, 2.2
    words = [f"{server};"]
    for finding in findings:
        words.append(f"{finding.method}={finding.result}")
        if finding.reason:
            words.append(f"reason={_quoted(plain(finding.reason))}")
        words += [f"{name}={_value(value)}" for name, value in finding.properties.items()]
        words[-1] += ";"
    if len(words) == 1:
        words.append("none")
    words[-1] = words[-1].removesuffix(";")
    return folded("Authentication-Results", words)


def claims_to_be(field: Field, server: str) -> bool:
    """Does this field speak as Authentication-Results of this server?  From outside, it is forged (RFC 8601, 5)."""
    if field.name != "authentication-results":
        return False
    try:
        text = without_comments(field.value[:1000])
    except ValueError:
        return True             # nobody can tell; a verifier behind us may think so
    name = text.partition(";")[0].strip(' \t"').partition(" ")[0].rstrip('"')
    return plain(name).lower() == server.lower()


def completion(fields: Fields, *, server: str, unique: str, seconds: float, offset: int = 0,
               author: str = "") -> bytes:
    """The fields that a submitted mail must have and lacks: From, Date and Message-ID (RFC 6409, 8; RFC 5322, 3.6).

    `author` is the address that it was sent as; "" is nobody.
    """
    before = "Resent-" if is_resent(fields) else ""
    missing = b""
    if author and not before and not fields.count("from"):
        missing += f"From: <{author}>\r\n".encode()
    if fields.get(f"{before}Date".lower()) is None:
        missing += f"{before}Date: {date_time(seconds, offset)}\r\n".encode()
    if not before and not fields.count("message-id"):
        missing += f"Message-ID: <{unique}@{server}>\r\n".encode()
    return missing


def folded(name: str, words: Iterable[str], blank: str = "\t") -> bytes:
    """A field of these words, folded between them before a `blank`; a word that no line could hold is cut."""
    lines = [f"{name}:"]
    pieces = (word[start:start + LONGEST] for word in words for start in range(0, len(word) or 1, LONGEST))
    for piece in pieces:
        if len(lines[-1]) + 1 + len(piece) > WIDTH and lines[-1] != f"{name}:":
            lines.append(f"{blank}{piece}")
        else:
            lines[-1] += f" {piece}"
    return "\r\n".join([*lines, ""]).encode()


def _comment(text: str) -> str:
    """A comment that says this and ends where it should (RFC 5322, 3.2.2)."""
    escaped = plain(text).replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"({escaped})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _value(text: str) -> str:
    """A pvalue: as it is if a token, or an address or domain of such; quoted otherwise."""
    local, sign, where = plain(text).rpartition("@")
    return f"{local}{sign}{where}" if is_token(where) and (not local or is_token(local)) else _quoted(plain(text))
