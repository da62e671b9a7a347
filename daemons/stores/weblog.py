"""A log of requests in a file of its own, one line each, which may be moved away under our hands.

Each line is one write to the file's end, so several processes share it.  Once a second is looked whether its name
still stands for the same file; if not, it is begun anew: logrotate(8) needs to tell nobody.
"""

import errno
import os
import stat
import time

LOOK = 1.0              # seconds
MODE = 0o640
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC


class WebLog:
    """Appends lines; raises OSError when made where it cannot be opened."""

    def __init__(self, path: str) -> None:
        self.path, self.fd = path, -1
        self.fd = self._open()
        self._next_look = time.monotonic() + LOOK
        self._seconds, self._offset = -1, 0
        self._torn = False              # the last line is not whole

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def write(self, line: str) -> None:
        """Append a line; raises OSError where it, or a part of it, is lost, or the file cannot be begun anew."""
        now, trouble = time.monotonic(), None
        if now >= self._next_look:
            self._next_look = now + LOOK
            try:
                self._follow()
            except OSError as error:    # then the old one has the line
                trouble = error
        data = line.encode("ascii", "backslashreplace") + b"\n"
        done = os.write(self.fd, b"\n" * self._torn + data)
        torn, self._torn = self._torn, done < self._torn + len(data)    # half a line is ended before the next
        if self._torn:
            self._torn = torn or done > 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        if trouble is not None:
            raise trouble

    def offset(self, seconds: float) -> int:
        """How many seconds the local clock is ahead of UTC at that time."""
        quarter = int(seconds) // 900   # no zone changes within one
        if quarter != self._seconds:
            self._seconds, self._offset = quarter, time.localtime(seconds).tm_gmtoff
        return self._offset

    def _follow(self) -> None:
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            there = None
        ours = os.fstat(self.fd)
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            new = self._open()
            os.dup2(new, self.fd, inheritable=False)    # other threads may be writing: the number stays
            os.close(new)

    def _open(self) -> int:
        fd = os.open(self.path, FLAGS, MODE)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(22, "not a regular file", self.path)
        return fd
