"""--detach: become a daemon through python-daemon (PEP 3143), for whoever has no launcher."""

import os
import site
import sys
from collections.abc import Iterable
from socket import socket

from . import descriptors, log
from .options import Misuse, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from .limitsfile import LimitsFile


def background(options: Options, sockets: "Iterable[socket | LimitsFile]") -> "AbstractContextManager[object]":
    """A context in which the process is a daemon and its pid file names it; raises Misuse."""
    if sys.flags.no_site:
        site.main()                     # installed programs start without site-packages
    try:
        from daemon import DaemonContext
    except ImportError:
        raise Misuse("--detach needs python-daemon: apt-get install python3-daemon, or pip install python-daemon") \
            from None
    keep = [sock.fileno() for sock in sockets]
    keep += [fd for fd in (log.fileno(), descriptors.reader) if fd is not None]
    pid_file = PidFile(options.pid_file) if options.pid_file else None
    context: AbstractContextManager[object] = DaemonContext(
        files_preserve=keep, pidfile=pid_file, umask=0o022, detach_process=True, signal_map={}, prevent_core=False)
    return context


def remove(pid_file: str) -> None:
    """Take a pid file away where the user that we became may; elsewhere the next start finds that nobody holds it."""
    try:
        os.unlink(pid_file)
    except OSError:
        return


class PidFile:
    """Our process id in a file for as long as we run; one that names a living process stops the start."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> "PidFile":
        while True:
            try:
                fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
                break
            except FileExistsError:
                self._stale()
        os.write(fd, b"%d\n" % os.getpid())
        os.close(fd)
        return self

    def __exit__(self, *_: object) -> None:
        remove(self.path)

    def _stale(self) -> None:
        """Remove the file of a process that is gone; raises Misuse while it lives."""
        with open(self.path, encoding="ascii", errors="replace") as file:
            text = file.read().strip()
        if text.isascii() and text.isdigit() and _living(text):
            raise Misuse(f"{self.path}: process {text} is already running")
        os.unlink(self.path)


def _living(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"    # a zombie only waits to be noticed
    except OSError:
        return False
