"""Lines of a web server's log, as every program that counts visits reads them.

    192.0.2.1 - fred [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 2326                         common (NCSA)
    ... 200 2326 "https://example.org/" "Mozilla/5.0 (X11)"                                         combined (Apache)

Whatever a client sent is written so that it can end neither its field nor the line, nor move a terminal's cursor:
control characters, quotes, backslashes and all that is not ASCII are escaped as in Apache's logs, with a backslash.
"""

from functools import lru_cache

from daemons.wire.httpdate import DAY, MONTHS, civil

MISSING = "-"
NAMED = {"\b": "\\b", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"', "\\": "\\\\"}


class _Escapes(dict[int, str]):
    """What stands for each character; those of Latin-1 are an octet each."""

    def __missing__(self, code: int) -> str:
        if code < 0x100 or 0xdc80 <= code <= 0xdcff:    # the latter: an octet that was not UTF-8, as Python keeps it
            return f"\\x{code & 0xff:02x}"
        return "".join(f"\\x{octet:02x}" for octet in chr(code).encode("utf-8", "surrogatepass"))


ESCAPES = _Escapes({code: chr(code) for code in range(0x20, 0x7f)})
ESCAPES.update({ord(sign): shown for sign, shown in NAMED.items()})


def common(host: str, ident: str | None, user: str | None, seconds: float, offset: int, request: str | None,
           status: int, size: int | None) -> str:
    """One answered request in the Common Log Format, without a line ending.

    `seconds` since 1970 are shown by a clock that is `offset` seconds ahead of UTC; `size` counts the octets of the
    content that went out.  None is written as "-"; so is a size of 0, as Apache's %b has it and log readers expect.
    Text is octets as Latin-1 decodes them; other characters are written as their UTF-8.
    """
    return (f"{_word(host)} {_word(ident)} {_word(user)} [{_moment(int(seconds // 1), offset)}] "
            f"{_quoted(request)} {status} {size or MISSING}")


def combined(host: str, ident: str | None, user: str | None, seconds: float, offset: int, request: str | None,
             status: int, size: int | None, referer: str | None, agent: str | None) -> str:
    """The same in the Combined format: with where the client comes from, and what it is."""
    return f"{common(host, ident, user, seconds, offset, request, status, size)} {_quoted(referer)} {_quoted(agent)}"


def escaped(text: str) -> str:
    """The text in printable ASCII that no quote ends."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(ESCAPES)


def _quoted(text: str | None) -> str:
    return f'"{MISSING}"' if text is None else f'"{escaped(text)}"'


def _word(text: str | None) -> str:
    """A field that no quotes enclose; Apache leaves spaces in user names, and the fields after one are off by that."""
    if text is None:
        return MISSING
    return escaped(text).replace(" ", "\\x20") or '""'


@lru_cache(maxsize=64)
def _moment(seconds: int, offset: int) -> str:
    day, rest = divmod(seconds + offset, DAY)
    year, month, date = civil(day)
    sign, minutes = "-" if offset < 0 else "+", abs(offset) // 60
    return (f"{date:02}/{MONTHS[month - 1]}/{year:04}:{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} "
            f"{sign}{minutes // 60:02}{minutes % 60:02}")
