"""Delivery into folders: a message is there as a whole or not at all, and on the disk once its name is told.

It is written below tmp/, where nobody looks, and put on the disk; then it gets a second name in new/, and the folder
new/ is put on the disk as well.  Whoever kills us in between leaves at most a file in tmp/, which `sweep` takes away
after 36 hours, or a whole message that was not acknowledged.  No lock is taken, so nobody who reads delays mail.

A message for several folders of one owner is written once: each folder gets a name for the same file.  That is safe
as nobody ever changes a message's file, flags are in the names, and each user's quota counts it in full, so
that nothing changes for one of them when another deletes it.  Where that cannot be (another file system, one
without second names, too many names) it is copied.

Lines that come with CR LF are stored with LF, as all readers of a Maildir expect; see wire.lineendings.
"""

import errno
import itertools
import os
import time

from ..wire import maildirnames
from ..wire.lineendings import ToStore, ToWire
from .durable import synced, unlinked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .maildir import Folder

PIECE = 1 << 16         # octets that are written at once
STALE = 36 * 3600       # seconds after which nobody is still writing a file in tmp/
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_SECOND_NAME = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}

_counter = itertools.count()


class Delivery:
    """A message on its way into a folder, for a `with` block: unless keep() was called nothing is left of it.

    size        octets of its file
    virtual     octets on the wire, without the end of a last line that has none: so names of Maildirs count them

    `date` in seconds since 1970, if it is not now.  Raises OSError.
    """

    def __init__(self, folder: "Folder", date: "int | None" = None) -> None:
        self.size = self.virtual = 0
        self._folder, self._date = folder, date
        self._waiting, self._store, self._wire = bytearray(), ToStore(), ToWire()
        self._done = self._kept = False
        self._key = unique()            # for the first name that it gets
        self._path = folder.path + b"/tmp/" + self._key
        self._fd = os.open(self._path, NEW, 0o600)

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        try:
            unlinked(self._path)
        except OSError:
            if not self._kept:
                raise                   # else it is delivered, and no rest below tmp/ must make that a failure

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        """Append octets; raises OSError."""
        if self._done:
            raise ValueError("the message is delivered")        # and perhaps it is being read
        self._waiting += data
        if len(self._waiting) >= PIECE:
            self._write(self._store.octets(bytes(self._waiting)))
            self._waiting.clear()

    def keep(self, folder: "Folder | None" = None, flags: bytes = b"") -> bytes:
        """Put it into the folder, or into another one too; returns its name there, when it is on the disk.

        With flags it goes to cur/, as if it had been seen already.  Raises OverQuota, and OSError; then it is not
        there, but for one case: if the last step fails and somebody has taken it over to cur/ already, he keeps it.
        """
        folder = folder or self._folder
        self._finish(folder)
        key, self._key = self._key or unique(), b""
        name = maildirnames.sized(key, self.size, self.virtual)
        place, full = b"/new", folder.path + b"/new/" + name
        if flags:
            name = maildirnames.flagged(name, flags)
            place, full = b"/cur", folder.path + b"/cur/" + name
        try:
            os.link(self._path, full)
        except OSError as error:
            if error.errno not in NO_SECOND_NAME:
                raise
            self._copy(folder, full)
        try:
            synced(folder.path + place)
        except BaseException:
            unlinked(full)
            raise
        folder.quota.add(self.size, 1)
        self._kept = True
        return name

    def _finish(self, folder: "Folder") -> None:
        """All of it on the disk, if there is room for it in the folder."""
        self._write(self._store.octets(bytes(self._waiting)) + self._store.rest())
        self._waiting.clear()
        folder.quota.check(self.size)
        if self._done:
            return
        if self._date is not None:
            os.utime(self._fd, (self._date, self._date))
        os.fsync(self._fd)
        self._done = True

    def _write(self, stored: bytes) -> None:
        self.size += len(stored)
        self.virtual += self._wire.length(stored)
        left = memoryview(stored)
        while left:
            left = left[os.write(self._fd, left):]

    def _copy(self, folder: "Folder", full: bytes) -> None:
        """A file of its own for this folder."""
        path = folder.path + b"/tmp/" + unique()
        fd = os.open(path, NEW, 0o600)
        try:
            place = 0
            while place < self.size:
                place += os.sendfile(fd, self._fd, place, self.size - place)
            status = os.fstat(self._fd)
            os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
            os.fsync(fd)
            os.rename(path, full)
        except BaseException:
            unlinked(path)
            raise
        finally:
            os.close(fd)


def unique() -> bytes:
    """A name that no message anywhere has."""
    return maildirnames.unique(time.time_ns(), os.getpid(), next(_counter), os.urandom(8),
                               os.fsencode(os.uname().nodename))


def sweep(folder: bytes, now: "float | None" = None) -> int:
    """Remove what killed deliveries have left below tmp/; returns how many files that were."""
    removed, before = 0, (time.time() if now is None else now) - STALE
    for name in os.listdir(folder + b"/tmp"):
        path = folder + b"/tmp/" + name
        try:
            if os.lstat(path).st_mtime < before:
                removed += unlinked(path)
        except OSError:                 # delivered, swept by somebody else, or not to be removed: it harms nobody
            continue
    return removed
