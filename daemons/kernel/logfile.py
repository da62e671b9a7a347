"""A log file of a service's own, with a limit that is said when it is reached, and one that is kept.

Whoever turns the file away under our hands (logrotate) tells us to read the configuration again: then it is
opened anew.  Where it cannot be written, syslog has the line.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable

MODE = 0o640
HIGH = 10               # its descriptor is above those that servers may be given


class LogFile:
    """Appends lines; `tell(text)` is called once for each limit that is reached, and for what goes wrong."""

    def __init__(self, path: str, soft: int | None, hard: int | None, tell: Callable[[str], None]) -> None:
        self.path, self.soft, self.hard, self.tell = path, soft, hard, tell
        self.fd = -1
        self.said = ""

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def take(self, text: str) -> bool:
        """Write one line; False if it has to be said elsewhere.  What is beyond the hard limit is said nowhere."""
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n".encode("utf-8", "backslashreplace")
        try:
            if self.fd < 0:
                self.fd = _opened(self.path)
            size = os.fstat(self.fd).st_size
            if self.hard is not None and size + len(line) > self.hard:
                self._say_once(f"{self.path} has reached its limit of {self.hard} octets: nothing more is logged there")
                return True
            os.write(self.fd, line)
        except OSError as error:
            self._say_once(f"{self.path}: {error.strerror}: logging to syslog")
            return False
        if self.soft is not None and size + len(line) > self.soft:
            self._say_once(f"{self.path} has more than {self.soft} octets")
        return True

    def _say_once(self, text: str) -> None:
        if self.said != text:
            self.said = text
            self.tell(text)


def _opened(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    low = os.open(path, flags, MODE)
    try:
        if not stat.S_ISREG(os.fstat(low).st_mode):
            raise OSError(22, "not a regular file")
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH)
    finally:
        os.close(low)
