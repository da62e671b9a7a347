"""The head of an HTTP/1 request: where it ends, and what it says (RFC 9112, 2 to 5)."""

from functools import lru_cache

from . import httpfields, httpframing, httptarget
from .httpfields import TOKEN, Fields, tokens
from .httpstatus import Refused
from .httptarget import Target

LINE = 8190             # octets of a request line; servers commonly take 8,000 (RFC 9112, 3)
HEAD = 32768            # octets of a whole head
REMEMBERED = 2048       # octets of a head that is remembered: a client's requests are much alike
TARGET = bytes(range(33, 127))
# with one of these fields, a GET may be answered with something else than the whole of what there is
CHANGING = ("accept-encoding", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
            "range")


class Request:
    """What one head says; equal heads may be one object, so nobody changes it.

    line        as it came; `method`, `target` and `minor` of HTTP/1.minor are its words
    fields      the header
    length      octets of the body that follows, or CHUNKED
    host        (name, port or None) that it is for, ("", None) where HTTP/1.0 does not say
    goal        the target taken apart
    persistent  whether the client would have the connection stay
    expects     the Expect field in lower case, or None
    plain       no field may change what is answered to a GET
    refusal     why it must be refused although it can be read; then what follows here may be missing
    """

    __slots__ = ("expects", "fields", "goal", "host", "length", "line", "method", "minor", "persistent", "plain",
                 "refusal", "target")

    host: tuple[str, int | None]
    goal: Target

    def __init__(self, line: bytes, method: str, target: str, minor: int, fields: Fields) -> None:
        self.line, self.method, self.target, self.minor, self.fields = line, method, target, minor, fields
        self.length, self.host = 0, ("", None)
        self.persistent = _persistent(minor, fields)
        self.expects = fields.get("expect") if minor > 0 else None      # RFC 9110, 10.1.1
        self.plain = not any(fields.get(name) for name in CHANGING)
        self.refusal: Refused | None = None
        try:
            self.length = httpframing.length(minor, fields)
            self.host = httptarget.host(minor, fields)
            self.goal = httptarget.parse("/" if target == "*" and method == "OPTIONS" else target)
            if self.goal.host:
                self.host = httptarget.authority(self.goal.host)
        except Refused as refusal:
            self.refusal = refusal.again()      # without its traceback, which would keep whoever asked

    def following(self) -> "Request":
        """The request that a redirect makes of this one: the same, but nothing is posted."""
        return Request(self.line, "HEAD" if self.method == "HEAD" else "GET", self.target, self.minor, self.fields)

    @property
    def version(self) -> str:
        """The version as it is written."""
        return f"HTTP/1.{self.minor}"


def size_of(buffer: bytearray) -> int:
    """How many octets the head at the start of `buffer` has, with the empty line that ends it; 0: not known yet.

    Empty lines before it count as a head of their own (RFC 9112, 2.2).  Raises Refused for one that is too long.
    """
    if buffer[:2] == b"\r\n":
        return 2
    if len(buffer) > LINE + 1 and buffer.find(b"\n", 0, LINE + 2) < 0:
        raise Refused(414, f"a request line over {LINE} octets", final=True)
    end = buffer.find(b"\n\r\n")
    bare = buffer.find(b"\n\n", 0, end + 1 if end >= 0 else len(buffer))
    size = bare + 2 if bare >= 0 else end + 3 if end >= 0 else 0        # with bare LF it is refused, once it is whole
    if (size or len(buffer)) > HEAD:
        raise Refused(431, f"a head over {HEAD} octets", final=True)
    return size


def parse(head: bytes) -> Request:
    """The request that a whole head makes; raises Refused, after which nothing on the connection is sure."""
    return _parse_again(head) if len(head) <= REMEMBERED else _parse(head)


def _parse(head: bytes) -> Request:
    line, _, block = head.partition(b"\r\n")
    if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != head.count(b"\r\n"):
        raise Refused(400, "a line that does not end with CR LF", final=True)
    if len(line) > LINE:
        raise Refused(414, f"a request line over {LINE} octets", final=True)
    words = line.split(b" ")
    if len(words) != 3 or not words[0] or words[0].translate(None, TOKEN):
        raise Refused(400, "not a request line", final=True)
    method, target, version = words
    if not target or target.translate(None, TARGET):
        raise Refused(400, "not a request target", final=True)
    return Request(line, method.decode("ascii"), target.decode("ascii"), _minor(version),
                   httpfields.parse(block[:-2]))


_parse_again = lru_cache(512)(_parse)


def _persistent(minor: int, fields: Fields) -> bool:
    """May another request follow on this connection (RFC 9112, 9.3)?"""
    connection = fields.get("connection")
    if connection is None:
        return minor > 0
    wishes = tokens(connection)
    return "close" not in wishes and (minor > 0 or "keep-alive" in wishes)


def _minor(version: bytes) -> int:
    """RFC 9112, 2.3: one digit each; a higher minor version is understood as the highest that we know."""
    digits = version[5:6] + version[7:]
    if len(version) != 8 or version[:5] != b"HTTP/" or version[6:7] != b"." or not digits.isdigit():
        raise Refused(400, "not a version of HTTP", final=True)
    if version[5:6] != b"1":
        raise Refused(505, "not HTTP/1", final=True)
    return min(int(version[7:]), 1)
