"""The gzip content coding (RFC 9110, 8.4.1.3; RFC 1952): bodies inflated as they come, never beyond a limit.

A few octets may stand for a thousand times as many, so what comes out is counted, and no more of it exists at once
than one piece.
"""

from collections.abc import Iterator

PIECE = 65536           # octets that come out at a time
FORMAT = 31             # what zlib calls a gzip header and trailer around a window of 32 KiB
LEVEL = 6               # zlib's own compromise between size and time


class TooLarge(Exception):
    """What comes out is more than is allowed."""


class Inflating:
    """A body in the coding, of which at most `most` octets may come out."""

    def __init__(self, most: int) -> None:
        from zlib import decompressobj
        self._inflater, self._left = decompressobj(FORMAT), most

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the next octets stand for.  Raises TooLarge, and ValueError for what is not gzip."""
        from zlib import error
        while data:
            if self._inflater.eof:
                raise ValueError("octets behind the end of a gzip body")
            try:
                piece = self._inflater.decompress(data, PIECE)
            except error as trouble:
                raise ValueError(f"not gzip: {trouble}") from None
            self._left -= len(piece)
            if self._left < 0:
                raise TooLarge
            if piece:
                yield piece
            data = self._inflater.unconsumed_tail or self._inflater.unused_data

    def end(self) -> None:
        """There is no more.  Raises ValueError where something is missing."""
        if not self._inflater.eof:
            raise ValueError("a gzip body without its end")


def deflated(data: bytes) -> bytes:
    """The octets in the coding."""
    from zlib import compress
    return compress(data, LEVEL, FORMAT)
