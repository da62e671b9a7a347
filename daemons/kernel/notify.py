"""sd_notify(3), and the hand-over of sockets with LISTEN_FDS (sd_listen_fds(3)), in pure Python."""

import os
import socket
from collections.abc import Mapping, Sequence

from . import inherited
from .inherited import FIRST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def notify(*lines: str) -> bool:
    """Tell the service manager how we are: "READY=1", "STOPPING=1", "STATUS=...".  Nobody to tell is no error."""
    path = inherited.manager or os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, "\0" + path[1:] if path[0] == "@" else path)
    except OSError:                     # the manager is busy or gone; it has its own time-outs
        return False
    finally:
        sock.close()
    return True


def hand_over(sockets: Sequence[socket.socket], names: Sequence[str], environ: Mapping[str, str], program: str,
              arguments: list[str]) -> "NoReturn":
    """Become another program with these sockets as its descriptors 3 and up; returns only by raising OSError."""
    from fcntl import F_DUPFD_CLOEXEC, fcntl
    # two steps, since a socket may sit on a number that another one has to take
    lifted = [fcntl(sock.fileno(), F_DUPFD_CLOEXEC, FIRST + len(sockets)) for sock in sockets]
    for number, fd in enumerate(lifted, FIRST):
        os.dup2(fd, number, inheritable=True)
    environ = dict(environ, LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(names))
    environ.pop("LISTEN_PIDFDID", None)
    os.execve(program, arguments, environ)
