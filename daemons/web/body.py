"""The body of a request, read as it comes: by length or by chunks, never more than is allowed (RFC 9112, 6 and 7)."""

from daemons.kernel.ends import BadEnding, TooLong
from daemons.wire.httpfields import field
from daemons.wire.httpframing import CHUNK_LINE, CHUNKED, TRAILERS, chunk_size
from daemons.wire.httpstatus import Refused

PIECE = 65536           # octets under one deadline: whoever sends more slowly is late
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Body:
    """What follows a head; `length` is its octets, None where only its chunks tell, and 0 where nothing follows."""

    __slots__ = ("_asked", "_chunk", "_due", "_mark", "_most", "_stream", "left", "length", "taken")

    def __init__(self, stream, length, most, expected):
        self._stream, self._most = stream, most
        self.length = None if length == CHUNKED else length
        self._asked = not expected      # whether the client has no need of a 100 any more
        self.taken = 0                  # octets that were read of it
        self._mark, self._due = 0, 0.0  # so many of them must be here by then
        self._chunk = 0                 # what is left of the chunk that we are in
        self.left = most if length == CHUNKED else length       # octets that may still come

    def pending(self):
        """Is there something that was not read yet?"""
        return self.left > 0 or (self.length is None and self.left >= 0)

    def is_long(self):
        """Is it known to be longer than it may be?"""
        return self.length is not None and self.length > self._most

    def awaited(self):
        """Does the client wait for a 100 before it sends this?"""
        return self.pending() and not self._asked

    def allow(self, most):
        """Let this body be as long as that."""
        self.left += most - self._most if self.length is None else 0
        self._most = most

    def read(self, size=PIECE):
        """Up to `size` octets, under one deadline; b"" at the end.  Raises Refused (400, 413) and what streams do."""
        if not self.pending():
            return b""
        if self.is_long():
            raise Refused(413, f"a body over {self._most} octets", final=True)
        if not self._asked:
            self._asked = True
            self._stream.send(CONTINUE)
        stream, patience = self._stream, self._stream.patience
        if self.taken >= self._mark:    # each PIECE has its time, in however many parts it comes
            self._mark, self._due = self.taken + PIECE, stream.clock() + patience
        stream.patience = self._due - stream.clock()
        try:
            if self.length is None:
                return self._of_chunks(size)
            data = stream.block(min(size, self.left, PIECE))
            self.left -= len(data)
            self.taken += len(data)
            return data
        finally:
            stream.patience = patience

    def whole(self):
        """All of it."""
        pieces = []
        while piece := self.read():
            pieces.append(piece)
        return b"".join(pieces)

    def drop(self):
        """Read it and forget it."""
        while self.read():
            continue

    def _of_chunks(self, size):
        try:
            if not self._chunk:
                self._chunk = chunk_size(self._stream.line(CHUNK_LINE))
                if not self._chunk:
                    self._end()
                    return b""
                if self._chunk > self.left:
                    raise Refused(413, f"a body over {self._most} octets", final=True)
            data = self._stream.block(min(size, self._chunk, PIECE))
            self._chunk -= len(data)
            self.left -= len(data)
            self.taken += len(data)
            if not self._chunk and self._stream.block(2) != b"\r\n":
                raise Refused(400, "a chunk longer than it said", final=True)
            return data
        except (BadEnding, TooLong):
            raise Refused(400, "chunks that cannot be told apart", final=True) from None

    def _end(self):
        """The trailers, which nobody here asked for (RFC 9110, 6.5.1)."""
        for _ in range(TRAILERS):
            line = self._stream.line(CHUNK_LINE)
            if not line:
                self.left = -1
                return
            field(line)
        raise Refused(431, f"more than {TRAILERS} trailers", final=True)


NOTHING = Body(None, 0, 0, False)       # what follows most heads
