"""Replies of POP3: one line, several, or a whole mail (RFC 1939, 3; codes RFC 2449, 8 and RFC 3206; AUTH RFC 5034).

    +OK 2 messages (320 octets)
    -ERR [IN-USE] another session has this mailbox
    +OK                         a line for each, with a dot before a dot,
    1 120
    .                           and one that is a dot alone
"""

from collections.abc import Iterable, Iterator

from .smtpdata import Stuffer
from .smtpreplies import plain

COMMAND = 255                   # octets of a command line with its CR LF (RFC 2449, 4); AUTH has saslexchanges.LONGEST
LINE = 512                      # octets of a reply line with its CR LF (RFC 1939, 3)
IN_USE, LOGIN_DELAY, AUTH = "IN-USE", "LOGIN-DELAY", "AUTH"
TEMPORARY, PERMANENT = "SYS/TEMP", "SYS/PERM"
LONGEST_UID = 70                # characters of a unique-id (RFC 1939, 7)


def reply(good: bool, text: str = "", code: str = "", utf8: bool = False) -> bytes:
    """One line without its CR LF; `code` is a response code, and `utf8` says that the client has asked for it."""
    words = [("+OK", "-ERR")[not good], f"[{code}]" if code else "", _printable(text) if utf8 else plain(text)]
    line = " ".join(word for word in words if word).encode("utf-8", "replace")
    return line[:LINE - 2].decode("utf-8", "ignore").encode()           # no character is cut in two


def multiline(lines: Iterable[str]) -> bytes:
    """Lines after the first of a reply, with dots before dots, and the last line, all with their CR LF."""
    return b"".join(_stuffed(plain(line)) for line in lines) + b".\r\n"


def mail(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A stored mail, with LF or CR LF, as RETR sends it, up to the last line; in pieces about as large as they come."""
    stuffer = Stuffer()
    for piece in pieces:
        yield stuffer.feed(piece)
    yield stuffer.end()


def top(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The same for TOP: the header, the empty line, and so many lines of the body; no more is read than that."""
    return mail(_beginning(pieces, count))


def _beginning(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    in_head, open_line = True, b""
    left = count
    for piece in pieces:
        start = 0
        while start < len(piece) and (in_head or left > 0):
            end = piece.find(b"\n", start) + 1
            if not in_head:
                start, left = _lines(piece, start, left)
                continue
            line = open_line + piece[start:end or len(piece)]
            open_line = b"" if end else line[:3]        # enough to know an empty line by
            in_head = not end or line not in (b"\n", b"\r\n")
            start = end or len(piece)
        yield piece[:start]
        if not in_head and left <= 0:
            return


def _lines(piece: bytes, start: int, left: int) -> tuple[int, int]:
    """Where so many lines end, counted from `start`, and how many of them are still to come."""
    if piece.count(b"\n", start) < left:
        return len(piece), left - piece.count(b"\n", start)
    while left:
        start = piece.index(b"\n", start) + 1
        left -= 1
    return start, 0


def listing(rows: Iterable[tuple[int, int | str]]) -> Iterator[bytes]:
    """What LIST and UIDL answer about all mails, in pieces: a number, and a size or unique-id each."""
    waiting: list[str] = []
    for number, value in rows:
        waiting.append(f"{number} {value}\r\n")
        if len(waiting) == 4096:
            yield "".join(waiting).encode("ascii")
            waiting.clear()
    yield "".join([*waiting, ".\r\n"]).encode("ascii")


def is_unique_id(text: str) -> bool:
    """May this be told by UIDL: 1 to 70 characters from 0x21 to 0x7e (RFC 1939, 7)?"""
    return 0 < len(text) <= LONGEST_UID and all("!" <= sign <= "~" for sign in text)


def capabilities(*, mechanisms: Iterable[str] = (), user: bool = True, stls: bool = False, utf8: bool = True,
                 login_delay: int = 0, expire: int | None = None, implementation: str = "") -> list[str]:
    """The lines of CAPA (RFC 2449, 5 and 6; STLS RFC 2595, 4; SASL RFC 5034, 3; UTF8, LANG RFC 6856).

    `expire` is after how many days mails may be removed, None for never; `mechanisms` and `user` tell what may be used
    now, which without TLS is often nothing.
    """
    known = list(mechanisms)
    return [
        "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG",
        *(["USER"] if user else []),
        *([f"SASL {' '.join(known)}"] if known else []),
        *(["STLS"] if stls else []),
        *(["UTF8 USER"] if utf8 else []),
        *([f"LOGIN-DELAY {login_delay}"] if login_delay else []),
        f"EXPIRE {'NEVER' if expire is None else expire}",
        *([f"IMPLEMENTATION {implementation}"] if implementation else []),
    ]


def timestamp(unique: str, clock: float, host: str) -> str:
    """What stands in a greeting for APOP: no other greeting may have had the same (RFC 1939, 7)."""
    return f"<{unique}.{clock:.6f}@{host}>"


def apop_digest(timestamp_: str, secret: bytes) -> str:
    """What APOP says of one who knows the secret: MD5, in hexadecimal digits (RFC 1939, 7).

    MD5 no longer withstands those who choose the greeting; offer APOP only where somebody needs it.
    """
    from hashlib import md5
    return md5(timestamp_.encode() + secret, usedforsecurity=False).hexdigest()


def is_apop(digest: bytes, timestamp_: str, secret: bytes) -> bool:
    """Is this the digest?  It takes as long whatever it is."""
    from hmac import compare_digest
    return compare_digest(digest, apop_digest(timestamp_, secret).encode())


def _stuffed(line: str) -> bytes:
    return f"{'.' if line.startswith('.') else ''}{line}\r\n".encode("ascii")


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
