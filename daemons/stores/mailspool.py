"""A mail while it comes in: kept in memory if it is small, else in a file that has no name and ends with us.

Nothing here is durable: that is for whoever stores the mail once all of it has come and was found good.
"""

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

IN_MEMORY = 1 << 20             # octets that are kept without a file
PIECE = 1 << 16                 # octets that are read at once
NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT}        # what file systems say that have no O_TMPFILE


class Spool:
    """Octets that are written once and read any number of times; `folder` is on the disk that may be filled.

    size    octets so far
    """

    __slots__ = ("_fd", "_folder", "_memory", "size")

    def __init__(self, folder: str) -> None:
        self._folder, self._memory, self._fd = folder, bytearray(), -1
        self.size = 0

    def write(self, octets: bytes) -> None:
        """Append octets; raises OSError where there is no room."""
        self.size += len(octets)
        self._memory += octets
        if self.size > IN_MEMORY and (self._fd < 0 or len(self._memory) >= PIECE):
            self._flush()

    def pieces(self, start: int = 0) -> "Iterator[bytes]":
        """All of it from an offset on; raises OSError."""
        if self._fd < 0:
            yield bytes(memoryview(self._memory)[start:])
            return
        self._flush()
        while piece := os.pread(self._fd, PIECE, start):
            yield piece
            start += len(piece)

    def close(self) -> None:
        """Forget all of it."""
        self._memory.clear()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _flush(self) -> None:
        if self._fd < 0:
            self._fd = _nameless(self._folder)
        while self._memory:
            del self._memory[:os.write(self._fd, self._memory)]


def _nameless(folder: str) -> int:
    """A new file in this folder, which is made if need be, that nobody else can open."""
    os.makedirs(folder, 0o700, exist_ok=True)
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in NO_NAMELESS:
            raise
    path = f"{folder}/.spool.{os.urandom(16).hex()}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return fd
