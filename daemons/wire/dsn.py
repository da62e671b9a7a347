"""Delivery status notifications: what a sender is told of a mail that failed, is late, or arrived (RFC 3464).

A notification has three parts (RFC 6522): a text for people, fields for programs, and the mail it is about or its
header.  It is built by hand, for the form is fixed and every octet of it should be ours; it leaves with the null path
as its sender, and so is never answered by another (RFC 3464, 2).

    report = Report("mx.example.com", sender, [Outcome("joe@example.net", FAILED, "5.1.1")], unique=..., seconds=...)
    opening(report, head, full=True) + original + closing(report)       with all line ends CR LF

It is 7-bit around the mail it returns; that one stays as it is, so with a mail of 8 bits it needs 8BITMIME.  An address
that is not ASCII is told as RFC 6533 has it, and then the notification needs SMTPUTF8 (needs_utf8).
"""

from collections.abc import Sequence

from .dsnadvice import advice
from .mailaddresses import Mailbox, path
from .mailheaders import Fields, message_id, parse, split
from .smtplines import unicode_xtext
from .smtpreplies import plain
from .tracefields import date_time, folded

# what became of it (RFC 3464, 2.3.3)
FAILED, DELAYED, DELIVERED, RELAYED, EXPANDED = "failed", "delayed", "delivered", "relayed", "expanded"
SUBJECTS = {FAILED: "Not delivered", DELAYED: "Delayed, still trying", DELIVERED: "Delivered"}
ABOUT = {FAILED: "could not be delivered to", DELAYED: "could not be delivered yet to", DELIVERED: "was delivered to",
         RELAYED: "was passed on, to a server that does not tell what becomes of it, for",
         EXPANDED: "was delivered to a list, which does not tell what becomes of it:"}
WIDTH = 72                      # characters of a line for people
DIAGNOSTIC = 1000               # characters that are told of what another server said
LONGEST_SUBJECT = 200           # characters that are told of the mail's own
ENCODED = 45                    # octets in one encoded-word, which has 75 characters at most (RFC 2047, 2)


class Outcome:
    """What became of the mail for one recipient.

    recipient, original     the address it was sent to, and the pair of ORCPT (smtplines.original_of) or None
    action, status          one of the five above, and the enhanced status code
    remote, diagnostic      the server that said so, and its words: 550 5.1.1 no such user; "" where it was ourselves
    attempted, until        when it was last tried, and until when it will be; seconds since 1970, or None
    why                     our own words, where there is no diagnostic
    """

    __slots__ = ("action", "attempted", "diagnostic", "original", "recipient", "remote", "status", "until", "why")

    def __init__(self, recipient: str, action: str, status: str, *, original: tuple[str, str] | None = None,
                 remote: str = "", diagnostic: str = "", why: str = "", attempted: float | None = None,
                 until: float | None = None) -> None:
        self.recipient, self.action, self.status, self.original = recipient, action, status, original
        self.remote, self.diagnostic, self.why = remote, diagnostic, why
        self.attempted, self.until = attempted, until


class Report:
    """One notification: who tells it to whom, of what.

    server      our name; `unique` makes the Message-ID and the boundary, and occurs in no mail
    sender      the reverse-path of the mail: there is one, for nobody is told by nobody (RFC 5321, 6.1)
    seconds     now, `offset` minutes east of Greenwich; `arrival` is when the mail came
    envid       the sender's own name for it, or ""
    """

    __slots__ = ("arrival", "envid", "offset", "outcomes", "seconds", "sender", "server", "unique")

    def __init__(self, server: str, sender: Mailbox, outcomes: Sequence[Outcome], *, unique: str, seconds: float,
                 offset: int = 0, arrival: float | None = None, envid: str = "") -> None:
        self.server, self.sender, self.outcomes = server, sender, outcomes
        self.unique, self.seconds, self.offset, self.arrival, self.envid = unique, seconds, offset, arrival, envid

    @property
    def kind(self) -> str:
        """FAILED if anything did, or else DELAYED, or else DELIVERED."""
        actions = {outcome.action for outcome in self.outcomes}
        return next((kind for kind in (FAILED, DELAYED) if kind in actions), DELIVERED)

    @property
    def boundary(self) -> str:
        """What parts the parts; quoted-printable never has its first two signs."""
        return f"=_{self.unique}"

    def returns_all(self, ret: str | None) -> bool:
        """Is the whole mail to come back, by its RET?  Only if it failed (RFC 3461, 4.3); else its header does."""
        return ret is not None and ret.upper() == "FULL" and self.kind == FAILED


def opening(report: Report, head: bytes, *, full: bool, eight_bit: bool | None = None) -> bytes:
    """All that comes before the returned mail, or with `full` false before its header alone.

    `head` is the mail's header block, and `eight_bit` tells of all that is returned; None where that is the header.
    """
    fields = parse(head)
    encoding = "8bit" if (eight_bit or not head.isascii()) else "7bit"
    if _is_global(head):
        kind = "message/global" if full else "message/global-headers"           # RFC 6533, 4
    else:
        kind = "message/rfc822" if full else "text/rfc822-headers"
    between = f"--{report.boundary}\r\n".encode()
    returned = f"Content-Type: {kind}\r\nContent-Description: the mail{'' if full else ', its header alone'}\r\n" \
               f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    return b"".join([_header(report, fields, encoding), between, _for_people(report, fields, full), between,
                     _for_programs(report), between, returned])


def closing(report: Report) -> bytes:
    """All that comes after the returned mail, whose last line has its CR LF."""
    return f"\r\n--{report.boundary}--\r\n".encode()


def build(report: Report, original: bytes, *, full: bool = False) -> bytes:
    """A whole notification about a mail that is in memory, or the header of one; its lines may end with LF."""
    head, body = split(original)
    returned = (head + body if full else head).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return opening(report, head, full=full, eight_bit=not returned.isascii()) + returned + closing(report)


def needs_utf8(report: Report, head: bytes) -> bool:
    """Can only SMTPUTF8 carry this?"""
    return not report.sender.is_ascii or _is_global(head)


def _is_global(head: bytes) -> bool:
    """Is it a header in UTF-8 (RFC 6532)?  Other octets above 127 are nobody's charset."""
    try:
        return not head.isascii() and bool(head.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _header(report: Report, fields: Fields, encoding: str) -> bytes:
    subject = _subject(fields)
    words = f"{SUBJECTS[report.kind]}{': ' if subject else ''}"
    told = [*words.split(), *(subject.split() if subject.isascii() and "=?" not in subject else encoded_words(subject))]
    answered = message_id(fields)
    about = folded("References", [answered], " ") if answered and answered.isascii() and len(answered) < 900 else b""
    return b"".join([
        f"From: Mail Delivery System <MAILER-DAEMON@{report.server}>\r\n".encode(),
        b"To: " + path(report.sender) + b"\r\n",
        folded("Subject", told, " "),
        f"Date: {date_time(report.seconds, report.offset)}\r\n".encode(),
        f"Message-ID: <{report.unique}@{report.server}>\r\n".encode(),
        about,
        b"Auto-Submitted: auto-replied\r\n",        # RFC 3834, 5: no vacation message shall answer it
        b"MIME-Version: 1.0\r\n",
        folded("Content-Type", ["multipart/report;", "report-type=delivery-status;", f'boundary="{report.boundary}"']),
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode(),
    ])


def _subject(fields: Fields) -> str:
    """The mail's own subject as people read it, on one line and not too long."""
    from email.errors import HeaderParseError
    from email.header import decode_header, make_header
    raw = (fields.get("subject") or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        text = str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, ValueError):         # a charset nobody knows, broken base64
        text = raw
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(shown[:LONGEST_SUBJECT].split())


def encoded_words(text: str) -> list[str]:
    """Text as encoded-words, none of which cuts a character (RFC 2047, 2 and 5)."""
    from binascii import b2a_base64
    pieces = [b""]
    for sign in text:
        octets = sign.encode("utf-8", "replace")
        if len(pieces[-1]) + len(octets) > ENCODED:
            pieces.append(b"")
        pieces[-1] += octets
    return [f"=?utf-8?B?{b2a_base64(piece, newline=False).decode()}?=" for piece in pieces if piece]


# -- for people --


def _for_people(report: Report, fields: Fields, full: bool) -> bytes:
    lines = [f"This is the mail server {report.server}."]
    for action in (FAILED, DELAYED, DELIVERED, RELAYED, EXPANDED):
        chosen = [outcome for outcome in report.outcomes if outcome.action == action]
        if chosen:
            lines += ["", f"Your mail {ABOUT[action]}"]
        for outcome in chosen:
            lines += ["", *_about(report, outcome)]
    known = [(name, value) for name, value in (
        ("Subject", _subject(fields)), ("Date", _readable(fields.get("date"))),
        ("Message-ID", _readable(message_id(fields))), ("Envelope-ID", report.envid)) if value]
    attached = "The mail itself is attached:" if full else "The header of the mail is attached:"
    lines += ["", attached, ""] if known else []
    lines += [line for name, value in known for line in _wrapped(f"{name}: {value}", "    ")]
    text = "\n".join([*lines, ""])
    before = b"Content-Type: text/plain; charset=utf-8\r\nContent-Description: what happened\r\n"
    if text.isascii() and max(map(len, lines)) < 998:
        return before + b"\r\n" + text.replace("\n", "\r\n").encode() + b"\r\n"
    from binascii import b2a_qp
    data = b2a_qp(text.encode("utf-8", "replace"), istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return before + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + data + b"\r\n"


def _about(report: Report, outcome: Outcome) -> list[str]:
    """What is told of one recipient: who, why, who said so, and what to try next."""
    why, what_next = advice(outcome.status)
    rows = [f"<{_readable(outcome.recipient)}>"]
    if outcome.action in (FAILED, DELAYED):
        rows += _wrapped(f"Why: {_readable(outcome.why) or why} ({outcome.status})", "    ")
    if outcome.diagnostic:
        said = f"{_readable(outcome.remote) or 'The other server'} said: {_readable(outcome.diagnostic[:DIAGNOSTIC])}"
        rows += _wrapped(said, "    ")
    if outcome.action == FAILED:
        rows += _wrapped(f"What to do: {what_next}", "    ")
    if outcome.action == DELAYED:
        until = f" until {date_time(outcome.until, report.offset)}" if outcome.until is not None else ""
        rows += _wrapped(f"What to do: nothing. We go on trying{until}, and tell you if it cannot be done.", "    ")
    return rows


def _readable(text: str | None) -> str:
    """Text without what a terminal might obey, on one line."""
    return "".join(sign if sign.isprintable() else " " for sign in text or "").strip()


def _wrapped(text: str, indent: str) -> list[str]:
    lines = [indent]
    for word in text.split(" "):
        if len(lines[-1]) + 1 + len(word) > WIDTH and lines[-1].strip():
            lines.append(f"{indent}  ")
        lines[-1] += f"{' ' if lines[-1].strip() else ''}{word}"
    return lines


# -- for programs --


def _for_programs(report: Report) -> bytes:
    #   delivery-status-content = per-message-fields 1*( CRLF per-recipient-fields )         RFC 3464, 2.1
    whole = [("Original-Envelope-Id", report.envid), ("Reporting-MTA", f"dns; {report.server}")]
    if report.arrival is not None:
        whole.append(("Arrival-Date", date_time(report.arrival, report.offset)))
    blocks = [whole, *(_of_recipient(report, outcome) for outcome in report.outcomes)]
    lines = [b"".join(folded(name, plain(value).split(" "), " ") for name, value in rows if value) for rows in blocks]
    return b"Content-Type: message/delivery-status\r\nContent-Description: the same for programs\r\n\r\n" \
        + b"\r\n".join(lines) + b"\r\n"


def _of_recipient(report: Report, outcome: Outcome) -> list[tuple[str, str]]:
    return [
        ("Original-Recipient", _typed(*outcome.original) if outcome.original else ""),
        ("Final-Recipient", _typed("rfc822" if outcome.recipient.isascii() else "utf-8", outcome.recipient)),
        ("Action", outcome.action),
        ("Status", outcome.status),
        ("Remote-MTA", f"dns; {outcome.remote}" if outcome.remote else ""),
        ("Diagnostic-Code", f"smtp; {outcome.diagnostic[:DIAGNOSTIC]}" if outcome.diagnostic else ""),
        ("Last-Attempt-Date", _date(outcome.attempted, report)),
        ("Will-Retry-Until", _date(outcome.until, report) if outcome.action == DELAYED else ""),
    ]


def _typed(kind: str, address: str) -> str:
    """An address with its type (RFC 3464, 2.3.1 and 2.3.2; "utf-8" RFC 6533, 3)."""
    return f"{kind}; {unicode_xtext(address).decode() if kind == 'utf-8' else address}"


def _date(seconds: float | None, report: Report) -> str:
    return "" if seconds is None else date_time(seconds, report.offset)
