"""Replies of SMTP and LMTP: what we say, and what another's server said (RFC 5321, 4.2; RFC 2034; RFC 3463).

    250-mx.example.org
    250 SIZE 10240000                   the last line has a blank where the others have a hyphen
    550 5.1.1 no such user here         code, enhanced status code, text
"""

from . import commands

LINE = 512                      # octets in a reply line with its CR LF (RFC 5321, 4.5.3.1.5)
LONGEST, MOST = 2048, 128       # octets in a line, and lines, that we take from a server; some write novels
FIRST = b"2345"                 # of a reply code (RFC 5321, 4.2.1); 1yz is not used in SMTP


class Refused(commands.Refused):
    """What smtpd says instead of doing it: `code`, `enhanced` status code and `text`, in this order in args."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(code, enhanced, text)
        self.code, self.enhanced, self.text = code, enhanced, text

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


class Malformed(ValueError):
    """A server said what is no reply; what follows it is none either."""


def build(code: int, enhanced: str, *texts: str) -> bytes:
    """The octets of a reply with a line for each text, and more where one is too long for a line.

    `enhanced` may be "" (the greeting, the answer to EHLO, 3yz).  What no reply may hold is written as an escape.
    Raises ValueError where the two codes do not go together, which is a defect of the caller.
    """
    if enhanced and enhanced[0] != str(code)[0]:
        raise ValueError(f"{code} with {enhanced}")
    before = f"{enhanced} " if enhanced else ""
    room = LINE - len(f"{code} {before}\r\n")
    lines = [line for text in texts or ("",) for line in _lines(plain(text), room)]
    said = [f"{code}-{before}{line}\r\n" for line in lines[:-1]]
    return "".join([*said, f"{code} {before}{lines[-1]}".rstrip(" ") + "\r\n"]).encode("ascii")


def plain(text: str) -> str:
    """The text in printable ASCII, as a reply without SMTPUTF8 must be (RFC 6531, 3.7.4.2); the rest is escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if sign.isascii() and sign.isprintable() else
                   sign.encode("unicode_escape").decode("ascii") for sign in text)


def _lines(text: str, room: int) -> list[str]:
    """The text cut where it has blanks, or else anywhere, into lines that find room."""
    lines = []
    while len(text) > room:
        end = text.rfind(" ", 1, room + 1)
        end = end if end > 0 else room
        lines.append(text[:end])
        text = text[end:].removeprefix(" ")
    return [*lines, text]


class Reply:
    """What a server said: `code`, the `enhanced` status code or "", and the text of each of its lines."""

    __slots__ = ("code", "enhanced", "lines")

    def __init__(self, code: int, enhanced: str, lines: list[str]) -> None:
        self.code, self.enhanced, self.lines = code, enhanced, lines

    @property
    def done(self) -> bool:
        """Was it done (2yz), or is the rest awaited (3yz)?"""
        return self.code < 400

    @property
    def temporary(self) -> bool:
        """Is it worth to try again later?"""
        return 400 <= self.code < 500

    @property
    def status(self) -> str:
        """The enhanced status code, or what can be told from the first digit alone (RFC 3463, 3.1)."""
        return self.enhanced or f"{self.code // 100}.0.0"

    @property
    def text(self) -> str:
        """All of it as one line, for a log or a report: 550 5.1.1 no such user here."""
        words = " ".join(line for line in self.lines if line)
        return " ".join(part for part in (str(self.code), self.enhanced, words) if part)

    def keywords(self) -> dict[str, list[str]]:
        """What the answer to EHLO offers: keywords in capitals, with their parameters (RFC 5321, 4.1.1.1)."""
        offered: dict[str, list[str]] = {}
        for line in self.lines[1:]:
            name, *parameters = line.replace("AUTH=", "AUTH ", 1).split(" ")    # before RFC 2554 it had an equals sign
            if name.isascii() and name.replace("-", "").isalnum() and not name.startswith("-"):
                known = offered.setdefault(name.upper(), [])
                known += [word for word in parameters if word and word not in known]
        return offered


class Reader:
    """Lines of a server into replies."""

    __slots__ = ("_code", "_enhanced", "_lines")

    def __init__(self) -> None:
        self._code, self._enhanced = 0, ""
        self._lines: list[str] = []

    def line(self, octets: bytes) -> Reply | None:
        """One line, without its ending; returns the reply that it completes.  Raises Malformed."""
        #   Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF    RFC 5321, 4.2
        digits, sign = octets[:3], octets[3:4]
        if len(octets) > LONGEST or len(self._lines) >= MOST:
            raise Malformed("a reply without end")
        if len(digits) < 3 or not digits.isdigit() or digits[0] not in FIRST or sign not in (b"", b" ", b"-"):
            raise Malformed(f"not a reply: {octets[:80]!r}")
        if self._lines and int(digits) != self._code:
            raise Malformed(f"a reply of two codes, {self._code} and {int(digits)}")
        enhanced, text = _split(digits, octets[4:])
        if not self._lines:
            self._code, self._enhanced = int(digits), enhanced
        self._lines.append(text)
        if sign == b"-":
            return None
        reply = Reply(self._code, self._enhanced, self._lines)
        self._code, self._enhanced, self._lines = 0, "", []
        return reply


def _split(digits: bytes, octets: bytes) -> tuple[str, str]:
    """The enhanced status code of a line, if it has one of the reply's own class, and its text."""
    #   statuscode = class "." subject "." detail, each of the latter 1 to 3 digits         RFC 2034, 4
    text = "".join(sign if sign.isprintable() else "?" for sign in octets.decode("utf-8", "backslashreplace"))
    word, _, rest = text.partition(" ")
    return (word, rest) if is_enhanced(word) and word.encode()[:1] == digits[:1] else ("", text)


def is_enhanced(word: str) -> bool:
    """Is this an enhanced status code, such as 5.1.1?"""
    parts = word.split(".")
    return len(parts) == 3 and word.isascii() and parts[0] in ("2", "4", "5") and \
        all(part.isdigit() and len(part) <= 3 for part in parts[1:])
