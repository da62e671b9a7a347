"""The head of an HTTP/1 response, and where its body ends (RFC 9112, 4 and 6.3): what a gateway hears from a server.

Whatever a client could read in another way than we do is no response at all: bare LF, folded lines, two lengths, a
length beside a transfer coding, a coding that we did not ask for.
"""

from . import httpfields
from .httpfields import VALUE, Fields
from .httpframing import CHUNK_LINE, CHUNKED, DIGITS, TRAILERS, chunk_size
from .httpstatus import BODILESS, Refused

HEAD = 65536            # octets of a whole head
UNTIL_CLOSE = None      # in the place of a length: the body ends with the connection


class Malformed(ValueError):
    """These octets are no response that could be passed on; the text says what is wrong with them."""


class Answer:
    """What one head says.

    status, reason  its code, 100 to 599, and its phrase
    minor           of HTTP/1.minor
    fields          the header, and `rows` the same as (name, value), names in the letters that they came in
    length          octets of the body that follows, CHUNKED or UNTIL_CLOSE
    announced       what the head says of a length, whether or not a body follows (HEAD); None if it says nothing
    """

    __slots__ = ("announced", "fields", "length", "minor", "reason", "rows", "status")

    def __init__(self, minor: int, status: int, reason: str, fields: Fields, rows: list[tuple[str, str]]) -> None:
        self.minor, self.status, self.reason, self.fields, self.rows = minor, status, reason, fields, rows
        self.length: int | None = UNTIL_CLOSE
        self.announced: int | None = None


def size_of(data: bytes | bytearray) -> int:
    """How many octets the head at the start of `data` has, with its empty line; 0: not known yet.  Raises Malformed."""
    end = data.find(b"\r\n\r\n")
    size = end + 4 if end >= 0 else 0
    if (size or len(data)) > HEAD:
        raise Malformed(f"a head over {HEAD} octets")
    known = bytes(data[:size or len(data)])
    if known.count(b"\n") != known.count(b"\r\n"):
        raise Malformed("a line that does not end with CR LF")
    return size


def parse(head: bytes, method: str) -> Answer:
    """The answer that a whole head makes to a request of this method; raises Malformed."""
    line, _, block = head.partition(b"\r\n")
    if head.count(b"\r") != head.count(b"\r\n"):
        raise Malformed("a bare CR within a line")
    minor, status, reason = _status_line(line)
    try:
        fields = httpfields.parse(block[:-2])
    except Refused as refusal:
        raise Malformed(str(refusal)) from None
    names = [one.partition(b":")[0].decode("ascii") for one in block[:-2].split(b"\r\n")]
    answer = Answer(minor, status, reason, fields,
                    [(name, value) for name, (_, value) in zip(names, fields.items())])
    answer.announced = _announced(fields)
    answer.length = _length(answer, method)
    return answer


def _status_line(line: bytes) -> tuple[int, int, str]:
    """RFC 9112, 4; the blank behind the code, which must be there, is often missing where there is no phrase."""
    version, _, rest = line.partition(b" ")
    code, _, reason = rest.partition(b" ")
    if len(version) != 8 or version[:7] != b"HTTP/1." or not version[7:].isdigit():
        raise Malformed("not a response of HTTP/1")
    if len(code) != 3 or not code.isdigit() or not 100 <= int(code) <= 599:
        raise Malformed("not a status code")
    if reason.translate(None, VALUE):
        raise Malformed("a control character in the reason phrase")
    return min(int(version[7:]), 1), int(code), reason.decode("latin-1").strip(" \t")


def _announced(fields: Fields) -> int | None:
    size = fields.get("content-length")
    if size is None:
        return None
    if not (size.isascii() and size.isdigit() and len(size) <= DIGITS):
        raise Malformed("not a length")         # of two fields as well, even where they say the same
    return int(size)


def _length(answer: Answer, method: str) -> int | None:
    """RFC 9112, 6.3; no transfer coding but chunked was offered, so no other can be meant."""
    coding = answer.fields.get("transfer-encoding")
    if coding is not None:
        if answer.announced is not None:
            raise Malformed("both a length and a transfer coding")
        if answer.minor < 1:
            raise Malformed("a transfer coding in HTTP/1.0")
        if answer.status < 200 or answer.status == 204:
            raise Malformed("a transfer coding where no body can be")           # RFC 9112, 6.1
        if coding.lower() != "chunked":
            raise Malformed("an unknown transfer coding")
    if method == "HEAD" or answer.status < 200 or answer.status in BODILESS:
        return 0
    return CHUNKED if coding is not None else answer.announced


class Chunks:
    """A chunked body as it comes: `feed` gives what is in the chunks, `over` is true behind the last of them."""

    __slots__ = ("_data", "_left", "_state", "_trailers", "over")

    def __init__(self) -> None:
        self._data, self._left, self._state, self._trailers = bytearray(), 0, "size", 0
        self.over = False

    def feed(self, data: bytes) -> bytes:
        """What a piece of the body adds; what follows its end is left.  Raises Malformed (RFC 9112, 7.1)."""
        self._data += data
        found = []
        while not self.over:
            if self._state == "data":
                piece = bytes(self._data[:self._left])
                del self._data[:self._left]
                self._left -= len(piece)
                found.append(piece)
                if self._left:
                    break
                self._state = "end"
            elif (line := self._line()) is None:
                break
            else:
                self._step(line)
        return b"".join(found)

    def _line(self) -> bytes | None:
        """The next line without its ending; None while it is not whole."""
        end = self._data.find(b"\n")
        if (end if end >= 0 else len(self._data)) >= CHUNK_LINE:
            raise Malformed(f"a line over {CHUNK_LINE} octets between chunks")
        if end < 0:
            return None
        line = bytes(self._data[:end + 1])
        del self._data[:end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Malformed("a line between chunks that does not end with CR LF")
        return line[:-2]

    def _step(self, line: bytes) -> None:
        if self._state == "end":
            if line:
                raise Malformed("a chunk longer than it said")
            self._state = "size"
        elif self._state == "size":
            try:
                self._left = chunk_size(line)
            except Refused as refusal:
                raise Malformed(str(refusal)) from None
            self._state = "data" if self._left else "trailers"
        elif not line:
            self.over = True
        else:                           # trailers, which are dropped (RFC 9110, 6.5.1)
            self._trailers += 1
            if self._trailers > TRAILERS:
                raise Malformed(f"more than {TRAILERS} trailers")
