"""Putting mail into the queue: written beside it, then moved in as a whole; what commit() returned for is on the disk.

    queue = QueueWriter("/var/spool/fd0")
    with queue.new("alice@example.org", [Recipient("bob@example.net")], client="[192.0.2.7]:41822") as message:
        message.write(octets)
        id = message.commit()           # only now may anybody hear "250"

The file is fsynced, then moved, then the folder is fsynced: from the reply on we answer for it
(RFC 5321, 4.2.5 and 6.1).
"""

import os
import time

from ..wire import queuelines
from . import queuelocks, queuewake
from .queuefolder import MINIMUM, QueueFolder, new_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MODE = 0o600
BUFFER = 1 << 16


class QueueWriter:
    """The queue at `path`, which queuefolder.make made; `minimum` octets stay free on its disk.  Raises OSError."""

    __slots__ = ("clock", "folder", "minimum")

    def __init__(self, path: str, minimum: int = MINIMUM, clock: "Callable[[], float]" = time.time) -> None:
        self.folder, self.minimum, self.clock = QueueFolder(path), minimum, clock

    def room(self, size: int) -> bool:
        """Is there room for a message of so many octets?  If not, refuse it with 452 before it comes."""
        return self.folder.room(size, self.minimum)

    def new(self, sender: str, recipients: "Iterable[queuelines.Recipient]", received: float = 0.0,
            smtputf8: bool = False, expires: float = 0.0, **facts: str) -> "NewMessage":
        """A message to write and commit, in a `with` block; if it is left without commit(), nothing is left.

        received    when it came; 0 for now
        expires     when to give it up, where the queue's own rule does not count
        facts       those of wire.queuelines.FACTS

        Raises OSError, and ValueError for what no envelope can hold.
        """
        envelope = queuelines.Envelope(sender, recipients, received or self.clock(), smtputf8, expires, **facts)
        return NewMessage(self.folder, envelope, self.clock)

    def close(self) -> None:
        """Done with it."""
        self.folder.close()


class NewMessage:
    """A message on its way into the queue; its `id` is known from the start, for the Received line."""

    __slots__ = ("_fd", "_folder", "_pending", "envelope", "id", "size")

    def __init__(self, folder: QueueFolder, envelope: queuelines.Envelope, clock: "Callable[[], float]") -> None:
        self._folder, self.envelope, self.size = folder, envelope, 0
        self._pending = bytearray(queuelines.head(envelope))
        self.id, self._fd = _begun(folder, clock)

    def __enter__(self) -> "NewMessage":
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def write(self, octets: "bytes | bytearray | memoryview") -> None:
        """The next octets of the message; raises OSError where there is no room."""
        self.size += len(octets)
        self._pending += octets
        if len(self._pending) >= BUFFER:
            self._flush()

    def commit(self) -> str:
        """Put it into the queue and return its name; raises OSError, and then it is not there."""
        folder = self._folder
        self._flush()
        os.pwrite(self._fd, queuelines.sized(self.size), queuelines.SIZE_AT)
        os.fsync(self._fd)
        os.rename(self.id, self.id, src_dir_fd=folder.tmp, dst_dir_fd=folder.mail)
        try:                            # it is still locked: nobody delivers what may not be there to stay
            os.fsync(folder.mail)
        except OSError:
            os.unlink(self.id, dir_fd=folder.mail)
            raise
        finally:
            self._close()
        queuewake.poke(folder.path, [self.id])
        return self.id

    def abort(self) -> None:
        """Throw it away, unless it was committed."""
        if self._fd >= 0:
            self._close()
            os.unlink(self.id, dir_fd=self._folder.tmp)

    def _flush(self) -> None:
        while self._pending:            # where one fails, the rest may still find room later
            del self._pending[:os.write(self._fd, self._pending)]

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)


def _begun(folder: QueueFolder, clock: "Callable[[], float]") -> tuple[str, int]:
    """A new file that is locked, with a name that no message has."""
    while True:
        id = new_id(clock())
        try:
            fd = os.open(id, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE, dir_fd=folder.tmp)
        except FileExistsError:
            continue
        try:
            if queuelocks.take(fd) and not _is_there(folder, id):       # another one of this name cannot come any more
                return id, fd
        except BaseException:
            os.close(fd)
            os.unlink(id, dir_fd=folder.tmp)
            raise
        os.close(fd)
        os.unlink(id, dir_fd=folder.tmp)


def _is_there(folder: QueueFolder, id: str) -> bool:
    try:
        os.stat(id, dir_fd=folder.mail, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
