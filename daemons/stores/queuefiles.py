"""One queued message's file: read, and changed by signs in place and records at its end; see wire/queuelines.py.

Everybody may append at any time, for one write to a file's end is whole; only who has it locked (queuelocks.py) sets
signs or removes it.  The file never gets shorter and is never replaced, so that its length tells whether there is news.
"""

import errno
import os
import stat
import time

from ..wire import queuelines
from . import queuelocks
from .queuefolder import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .queuefolder import QueueFolder, Stamp

FIRST_READ = 16384              # octets: all of most messages, with their records
LARGEST_HEAD = 4 << 20
PIECE = 1 << 16
NOT_OURS = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO)


class Damaged(ValueError):
    """The file is not a message as we write them; the argument says why."""


class QueueFile:
    """The file of a message, open; `envelope` is what it says once it was read.

    Raises OSError, FileNotFoundError where it is gone, and Damaged where the name is not that of a file for us.
    """

    __slots__ = ("_clock", "_length", "_seen", "_torn", "envelope", "fd", "folder", "id")

    envelope: queuelines.Envelope

    def __init__(self, folder: "QueueFolder", id: str, clock: "Callable[[], float]" = time.time) -> None:
        self.folder, self.id, self._clock = folder, id, clock
        self._seen, self._length, self._torn = 0, 0, False
        try:
            self.fd = os.open(id, os.O_RDWR | PLAIN, dir_fd=folder.mail)
        except OSError as error:
            if error.errno not in NOT_OURS:
                raise
            raise Damaged(error.strerror) from None

    def __enter__(self) -> "QueueFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it, and of its lock; more than once does no harm."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def lock(self) -> bool:
        """Have it for ourselves until it is closed; False where somebody has it, or it is gone by now."""
        return queuelocks.take(self.fd) and os.fstat(self.fd).st_nlink > 0

    def stamp(self) -> "Stamp":
        """Which file it is and how long it was when we last read it, as QueueFolder.stamps tells it of all."""
        return os.fstat(self.fd).st_ino, self._length

    def is_claimed(self) -> bool:
        """Has somebody else locked it?"""
        return queuelocks.is_taken(self.fd)

    def read(self) -> queuelines.Envelope:
        """Read all but the message; raises Damaged."""
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            raise Damaged("not a plain file")
        length = self._length = status.st_size
        data = os.pread(self.fd, min(length, FIRST_READ), 0)
        while (end := data.find(queuelines.END_OF_HEAD)) < 0:
            more = os.pread(self.fd, PIECE, len(data)) if len(data) < LARGEST_HEAD else b""
            if not more:
                raise Damaged("its head does not end")
            data += more
        try:
            self.envelope = envelope = queuelines.parse_head(data[:end + len(queuelines.END_OF_HEAD)])
        except ValueError as error:
            raise Damaged(str(error)) from None
        self._seen = envelope.begins + envelope.size
        if length < self._seen:
            raise Damaged(f"it has {length} octets of {self._seen}")
        self._torn = True               # the first record begins a line of its own, however the message ends
        if length > self._seen:
            self._apply(data[self._seen:] if length <= len(data)
                        else self.octets(self._seen, length - self._seen))
        return envelope

    def refresh(self) -> None:
        """Take up what was appended since."""
        length = self._length = os.fstat(self.fd).st_size
        if length > self._seen:
            self._apply(self.octets(self._seen, length - self._seen))

    def _apply(self, data: bytes) -> None:
        whole = queuelines.apply(self.envelope, data, self._seen)
        self._seen += whole
        self._torn = whole < len(data) or (self._torn and not whole)

    def append(self, kind: str, recipients: "Sequence[queuelines.Recipient]" = (), **values: "str | float") -> None:
        """Write down what happened, and have it happen to `envelope`; raises OSError where it could not be written."""
        data = b"\n" * self._torn + queuelines.record(self._clock(), kind, recipients, **values)
        if os.pwritev(self.fd, [data], 0, os.RWF_APPEND) < len(data):
            self._torn = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.id)
        self.refresh()

    def mark(self, recipient: queuelines.Recipient, sign: str) -> None:
        """Set the sign of a recipient, in the file and here; here even where the file fails (OSError)."""
        recipient.sign = sign
        os.pwrite(self.fd, sign.encode(), recipient.place)

    def sync(self) -> None:
        """What was written is on the disk when this returns; raises OSError where it may not be."""
        os.fdatasync(self.fd)

    def octets(self, offset: int, count: int) -> bytes:
        """Octets of the file; fewer only where it ends."""
        pieces = []
        while count and (piece := os.pread(self.fd, count, offset)):
            pieces.append(piece)
            offset, count = offset + len(piece), count - len(piece)
        return b"".join(pieces)

    def message(self, size: int = PIECE) -> "Iterator[bytes]":
        """The message itself, in pieces of at most this size."""
        at, end = self.envelope.begins, self.envelope.begins + self.envelope.size
        while at < end and (piece := os.pread(self.fd, min(size, end - at), at)):
            yield piece
            at += len(piece)

    def remove(self, durable: bool = True) -> None:
        """Remove it, which we have locked; see QueueFolder.remove."""
        self.folder.remove(self.id, durable)
