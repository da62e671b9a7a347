"""Locks that die with their process, on folders themselves: there is no file to make, to find left over, or to break.

The lock is flock(2)'s: it belongs to the open folder, so two conversations in one process keep each other out
just as two processes do, and the kernel takes it away when its holder ends, however that happens.
"""

import os
import time
from fcntl import LOCK_EX, LOCK_NB, flock

SIGHT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
STEP = 0.01             # seconds between two looks


class InUse(Exception):
    """Somebody else holds the lock."""


class Lock:
    """The lock of a folder, for a `with` block; raises InUse if it is not free within `seconds`, and OSError."""

    __slots__ = ("_fd", "_path", "_seconds")

    def __init__(self, path: bytes, seconds: float = 0.0) -> None:
        self._path, self._seconds = path, seconds

    def __enter__(self) -> "Lock":
        self._fd = os.open(self._path, SIGHT)
        try:
            end = time.monotonic() + self._seconds
            while not _taken(self._fd):
                if time.monotonic() >= end:
                    raise InUse("somebody else is using it")
                time.sleep(STEP)        # there is no way to wait for a lock and for a clock at once
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _taken(fd: int) -> bool:
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
