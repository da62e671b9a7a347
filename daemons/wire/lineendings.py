"""Line endings of messages, in pieces of any size: CR LF on the wire, LF alone in a file.

Both ways are exact.  What came over the wire leaves as it came: only a CR LF that stands for itself is made shorter,
while CR CR LF stays.  What others put into the store leaves with CR LF at the end of each line, whether they
wrote LF or CR LF (RFC 5322, section 2.1) or, at the end of it all, nothing; and how many octets that makes can be
known without making them.
"""


class ToStore:
    """The way into a file: `octets` for each piece, then `rest`."""

    __slots__ = ("_before", "_held")

    def __init__(self) -> None:
        self._before, self._held = b"", b""         # a CR that was given out last, and one that was not yet

    def octets(self, piece: bytes) -> bytes:
        """What of it can be stored by now; a CR at its end waits for what follows."""
        piece = self._held + piece
        self._held = b"\r" if piece.endswith(b"\r") else b""
        if self._held:
            piece = piece[:-1]
        if not piece:
            return b""
        before, self._before = self._before, piece[-1:] if piece.endswith(b"\r") else b""
        return (before + piece).replace(b"\r\n", b"\n").replace(b"\r\n", b"\r\r\n")[len(before):]

    def rest(self) -> bytes:
        """The CR that stood at the very end, or nothing."""
        held, self._held = self._held, b""
        return held


class ToWire:
    """The way out of a file: use either `octets` or `length` for all of its pieces, and `rest` for its end."""

    __slots__ = ("_after_cr", "_in_line")

    def __init__(self) -> None:
        self._after_cr = self._in_line = False

    def octets(self, piece: bytes) -> bytes:
        """The piece with CR LF for each LF."""
        begins = self._after(piece)
        longer = piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return longer[1:] if begins else longer

    def length(self, piece: bytes) -> int:
        """How many octets it is with CR LF for each LF."""
        return len(piece) + piece.count(b"\n") - piece.count(b"\r\n") - self._after(piece)

    def rest(self) -> bytes:
        """The end of a last line that has none in the file."""
        return b"\r\n" if self._in_line else b""

    def _after(self, piece: bytes) -> bool:
        """Note how a piece ends; does it begin with an LF whose CR has left with the piece before?"""
        begins = self._after_cr and piece.startswith(b"\n")
        if piece:
            self._after_cr, self._in_line = piece.endswith(b"\r"), not piece.endswith(b"\n")
        return begins
