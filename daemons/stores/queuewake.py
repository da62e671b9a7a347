"""Telling the queue's runner that there is something to do: names of messages, through a pipe in the queue's folder.

Nothing depends on it: where nobody listens or the pipe is full, the runner finds out when it next looks at everything.
"""

import errno
import fcntl
import os

from .queuefolder import PIPE, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FLAGS = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
EVERYTHING = "*"
MOST = 100                      # names for one call; whoever has more to say says "everything"


def poke(path: str, ids: "Iterable[str]") -> None:
    """Tell the runner of the queue at `path` to look at these messages, if one is there to hear it."""
    names = list(ids)
    data = "".join(f"{name}\n" for name in (names if len(names) <= MOST else [EVERYTHING])).encode()
    try:
        fd = os.open(f"{path}/{PIPE}", os.O_WRONLY | FLAGS)
    except OSError:                     # no runner (ENXIO), no pipe, or not ours to write to
        return
    try:
        os.write(fd, data)
    except OSError:                     # it is full, or the runner has gone
        return
    finally:
        os.close(fd)


def is_heard(path: str) -> bool:
    """Does a runner listen?  Raises OSError where that cannot be told, PermissionError most likely."""
    try:
        os.close(os.open(f"{path}/{PIPE}", os.O_WRONLY | FLAGS))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    return True


class Wake:
    """The runner's end of the pipe; raises OSError where there is none."""

    __slots__ = ("fd",)

    def __init__(self, path: str) -> None:
        self.fd = os.open(f"{path}/{PIPE}", os.O_RDWR | FLAGS)          # with a writer of its own it never ends

    def fileno(self) -> int:
        """The descriptor to wait at."""
        return self.fd

    def told(self) -> "set[str] | None":
        """The messages to look at, without waiting for any; None for all of them."""
        room = fcntl.fcntl(self.fd, fcntl.F_GETPIPE_SZ)
        try:
            data = os.read(self.fd, room)
        except BlockingIOError:
            return set()
        names = data.decode("latin-1").split("\n")
        if EVERYTHING in names or len(data) > room // 2:        # so full, something may not have fitted
            return None
        return {name for name in names if is_id(name)}

    def close(self) -> None:
        """Listen no longer."""
        os.close(self.fd)
