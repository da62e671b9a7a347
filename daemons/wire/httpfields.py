"""Header fields of HTTP: octets into names and values, strictly, and what lists of tokens hold (RFC 9110, 5).

What another reader of the same octets might take for something else is refused and never repaired: folded lines,
blanks before the colon, bare CR or LF, NUL.  Two readers who disagree are how requests are smuggled.
"""

from collections.abc import Iterator
from functools import lru_cache

from .httpstatus import Refused

REMEMBERED = 128        # characters of a list that is remembered: most are much alike
MOST = 100              # fields in one head
TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"      # RFC 9110, 5.6.2
VALUE = bytes([9, *range(32, 127), *range(128, 256)])       # RFC 9110, 5.5


class Fields:
    """The fields of one head, in order; names in lower case, values as latin-1 text without blanks around them."""

    __slots__ = ("_first", "_rows")

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        self._rows = rows
        self._first: dict[str, str] = {}
        for name, value in rows:
            self._first[name] = f"{self._first[name]}, {value}" if name in self._first else value

    def get(self, name: str) -> str | None:
        """The value of a field; of several, all of them as one list (RFC 9110, 5.3); None without it."""
        return self._first.get(name)

    def all(self, name: str) -> list[str]:
        """The value of each field of this name."""
        return [value for known, value in self._rows if known == name]

    def items(self) -> Iterator[tuple[str, str]]:
        """(name, value) of each field."""
        return iter(self._rows)


def parse(block: bytes) -> Fields:
    """The fields of a block of lines, each with its CR LF; raises Refused (400, 431), after which nothing is sure."""
    if not block:
        return Fields([])
    lines = block.split(b"\r\n")
    if len(lines) > MOST + 1:
        raise Refused(431, f"more than {MOST} header fields", final=True)
    return Fields([field(line) for line in lines[:-1]])


def field(line: bytes) -> tuple[str, str]:
    """The (name, value) of one line without its ending; raises Refused (400)."""
    name, colon, value = line.partition(b":")
    if not colon or not name or name.translate(None, TOKEN):
        raise Refused(400, "a folded header line" if line[:1] in (b" ", b"\t") else "not a header field", final=True)
    if value.translate(None, VALUE):
        raise Refused(400, "a control character in a header field", final=True)
    return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")


def tokens(value: str) -> tuple[str, ...]:
    """The elements of a comma-separated list, in lower case, empty ones left out (RFC 9110, 5.6.1)."""
    return _tokens_again(value) if len(value) <= REMEMBERED else _tokens(value)


def _tokens(value: str) -> tuple[str, ...]:
    return tuple(word for one in value.split(",") if (word := one.strip(" \t").lower()))


_tokens_again = lru_cache(256)(_tokens)


def is_token(text: str) -> bool:
    """Is this a token, such as a method or a field's name?"""
    return text.isascii() and bool(text) and not text.encode("ascii").translate(None, TOKEN)
