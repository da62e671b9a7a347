"""Request targets and hosts of HTTP: what is asked for, with nothing left to interpret (RFC 9112, 3.2; RFC 3986)."""

from functools import lru_cache

from .httpfields import Fields
from .httpstatus import Refused

HEX = b"0123456789abcdefABCDEF"
UNRESERVED = b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEPT = UNRESERVED + b"!$&'()*+,;=:@"        # what a segment of a path may hold as it is (RFC 3986, 3.3)
NAME = UNRESERVED + b"!$&'()*+,;="          # what a registered name may hold (RFC 3986, 3.2.2)
HOST = 255              # characters of a host with its port
REMEMBERED = 512        # characters of a target that is remembered
MOST = 128              # segments of a path


class Target:
    """What a request asks for.

    raw       the path as it came, without its query
    segments  of the path, decoded once, with "." and ".." resolved; the last is empty where the path ends with a slash
    path      the same as one text (file system names, surrogateescape), and query the text after "?"
    has_query whether there was a "?" at all
    host      of a target in absolute form, or ""
    """

    __slots__ = ("has_query", "host", "path", "query", "raw", "segments")

    def __init__(self, raw: str, query: str, has_query: bool, segments: tuple[bytes, ...], host: str) -> None:
        self.raw, self.query, self.has_query, self.segments, self.host = raw, query, has_query, segments, host
        self.path = "/" + b"/".join(segments).decode("utf-8", "surrogateescape")

    def below(self, count: int) -> "Target":
        """The same, of which the first segments are left out, for who serves what lies below them."""
        found = Target(self.raw, self.query, self.has_query, self.segments[count:] or (b"",), self.host)
        found.path = self.path
        return found


def parse(target: str) -> Target:
    """A target in origin form or absolute form; raises Refused (400, or 404 for what no file can be named)."""
    return _parse_again(target) if len(target) <= REMEMBERED else _parse(target)


def _parse(target: str) -> Target:
    host, rest = "", target
    scheme, found, after = target.partition("://")
    if found and scheme.lower() in ("http", "https"):
        host, slash, path = after.partition("/")
        mark = host.find("?")
        if mark >= 0:
            host, rest = host[:mark], "/" + after[mark:]
        else:
            rest = "/" + path if slash else "/"
        if not host:
            raise Refused(400, "a target without its host")
    if not rest.startswith("/"):
        raise Refused(400, "neither a path nor a URI of ours")
    if "#" in rest:
        raise Refused(400, "a fragment in a request target")
    raw, mark_, query = rest.partition("?")
    return Target(raw, query, bool(mark_), segments(raw), host)


_parse_again = lru_cache(1024)(_parse)


def segments(raw: str) -> tuple[bytes, ...]:
    """The parts between the slashes of a path, resolved; raises Refused for what climbs out or cannot be a name."""
    parts: list[bytes] = []
    if not raw.startswith("/"):
        raise Refused(400, "not a path")
    words = raw.encode("ascii").split(b"/")[1:]
    if len(words) > MOST:
        raise Refused(414, f"more than {MOST} segments")
    for word in words:
        part = decoded(word) if b"%" in word else word
        if part == b"..":
            if not parts:
                raise Refused(404, "a path that climbs above its root")
            parts.pop()
        elif part and part != b".":
            if b"/" in part or b"\0" in part:
                raise Refused(404, "a name with a slash or NUL in it")
            parts.append(part)
    if not words[-1] or decoded(words[-1]) in (b".", b".."):
        parts.append(b"")
    return tuple(parts)


def decoded(text: bytes) -> bytes:
    """Percent-encoding undone, once; raises Refused where a % stands for nothing (RFC 3986, 2.1)."""
    first, *rest = text.split(b"%")
    pieces = [first]
    for piece in rest:
        if len(piece) < 2 or piece[:2].translate(None, HEX):
            raise Refused(400, "a % that is not followed by two hexadecimal digits")
        pieces.append(bytes([int(piece[:2], 16)]) + piece[2:])
    return b"".join(pieces)


def encoded(path: str, kept: bytes = KEPT) -> str:
    """A path (surrogateescape) as it may stand in a URI: one slash in front, so that it never names another host."""
    data = path.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if octet in kept or octet == 47 else f"%{octet:02X}" for octet in data)


def host(minor: int, fields: Fields) -> tuple[str, int | None]:
    """Whom a head of HTTP/1.minor is for: it has exactly one Host field, HTTP/1.0 one at most (RFC 9112, 3.2)."""
    value = fields.get("host")
    if value is None:
        if minor > 0:
            raise Refused(400, "no Host field", final=True)
        return ("", None)
    if len(fields.all("host")) > 1:
        raise Refused(400, "more than one Host field", final=True)
    return authority(value)


@lru_cache(512)
def authority(value: str) -> tuple[str, int | None]:
    """A Host field as (name in lower case, port or None); raises Refused (RFC 9110, 7.2)."""
    bad = Refused(400, "not a host")
    if len(value) > HOST or not value.isascii():
        raise bad
    if value.startswith("["):
        name, bracket, rest = value[1:].partition("]")
        if not bracket or ":" not in name or name.encode("ascii").translate(None, HEX + b":."):
            raise bad
        name = f"[{name}]"
    else:
        name, colon, port = value.partition(":")
        rest = colon + port
        if name.encode("ascii").translate(None, NAME):
            raise bad
    digits = rest[1:]
    if rest and (rest[0] != ":" or not (digits.isdigit() or not digits) or len(digits) > 5 or int(digits or 0) > 65535):
        raise bad
    return name.lower().removesuffix("."), int(digits) if digits else None
