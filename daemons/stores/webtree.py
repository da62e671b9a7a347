"""The files below a root: walked name by name from its descriptor, so that nothing leads out of it.

No path is ever put together: each folder is opened below the one before, without following links, and a link is
followed by hand as long as it stays inside.  So it does not matter what is moved or replaced meanwhile.
"""

import errno
import os
import stat
import time
from collections.abc import Iterable

HOPS = 16               # links followed for one path
LOOK = 1.0              # seconds between looks whether the root's name stands for another folder now
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
SIGHT = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OURS = b".well-known"   # the one name with a dot that is meant for everybody (RFC 8615)


class Missing(Exception):
    """Nothing that may be shown is there."""


class Hidden(Exception):
    """Something is there, and it is not to be read by us, or is no file."""


class Found:
    """What a path leads to, for a `with` block: the folder that holds it stays open as long.

    name     in that folder; b"" for the folder itself
    status   what stat(2) says
    rest     the segments that follow a file: PATH_INFO
    walked   the segments that led here
    is_certain    the same path can lead to another file only if this one is changed: no link was followed
    """

    __slots__ = ("_fds", "fd", "is_certain", "name", "rest", "status", "walked")

    def __init__(self, fds: list[int], fd: int, name: bytes, status: os.stat_result, walked: tuple[bytes, ...],
                 rest: tuple[bytes, ...], is_certain: bool) -> None:
        self._fds, self.fd, self.name, self.status, self.walked, self.rest = fds, fd, name, status, walked, rest
        self.is_certain = is_certain

    def __enter__(self) -> "Found":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds:
            os.close(fd)

    @property
    def is_folder(self) -> bool:
        """Is it a folder?"""
        return not self.name

    @property
    def where(self) -> bytes:
        """Its path below the root, where no link was followed."""
        return b"/".join(self.walked)

    @property
    def is_program(self) -> bool:
        """Is it a file that may be run?"""
        return stat.S_ISREG(self.status.st_mode) and bool(self.status.st_mode & 0o111)

    def open(self) -> int:
        """The file, for reading; raises Hidden, or Missing when it is another one by now."""
        if not stat.S_ISREG(self.status.st_mode):
            raise Hidden("not a regular file")      # before it is opened: a device may do something
        fd = _opened(self.name, FILE, self.fd)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise Hidden("not a regular file")
        self.status = status
        return fd

    def beside(self, name: bytes) -> "os.stat_result | None":
        """What stat(2) says of another name in the same folder: a file, or a link; None where there is neither."""
        try:
            status = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) else None

    def named(self, name: bytes, status: os.stat_result, certain: bool = False) -> "Found":
        """The same for a file in this folder that `beside` found; closes nothing."""
        return Found([], self.fd, name, status, (*self.walked, name), (), certain and self.is_certain)

    def names(self) -> list[tuple[bytes, os.stat_result]]:
        """The names in this folder that may be shown, each with what stat(2) says of it itself, links too."""
        fd, rows = _opened(b".", SIGHT, self.fd), []
        try:
            with os.scandir(fd) as found:
                for entry in found:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:     # it is gone
                        continue
                    if not entry.name.startswith("."):
                        rows.append((os.fsencode(entry.name), status))
        finally:
            os.close(fd)
        return rows


class Root:
    """A folder whose files are shown; raises OSError when it cannot be opened."""

    def __init__(self, path: str) -> None:
        self.path, self.fd = path, -1
        self.fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._next_look = time.monotonic() + LOOK

    def close(self) -> None:
        """Let go of the folder."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

    def find(self, segments: Iterable[bytes], hidden: bool = False) -> Found:
        """What a path's segments lead to; raises Missing and Hidden.  `hidden`: names with a dot in front, too."""
        self.refresh()
        todo, fds, walked, hops = list(segments)[::-1], list[int](), list[bytes](), 0
        own = len(todo)                 # how many of those left are the path's own, and not a link's
        try:
            while todo:
                name, here = todo.pop(), fds[-1] if fds else self.fd
                if len(todo) < own:
                    own = len(todo)
                    if name[:1] == b"." and not hidden and not (name == OURS and not walked):
                        raise Missing("a hidden name")
                    walked.append(name)
                elif name == b"..":     # in a link alone: a path's own are resolved
                    if not fds:
                        raise Missing("a link that leads out")
                    os.close(fds.pop())
                    continue
                status = _status(name, here)
                if stat.S_ISLNK(status.st_mode):
                    hops += 1
                    todo += _link(name, here, hops)
                elif stat.S_ISDIR(status.st_mode):
                    fds.append(_opened(name, FOLDER, here))
                else:
                    return Found(fds, here, name, status, tuple(walked), tuple(todo[::-1]), not hops)
            here = fds[-1] if fds else self.fd
            return Found(fds, here, b"", os.fstat(here), tuple(walked), (), not hops)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise

    def entries(self, found: Found) -> list[tuple[str, bool, int, float]]:
        """(name, is it a folder, octets, time of change) of what may be shown of a folder and can be asked for."""
        rows = []
        for name, status in found.names():
            if stat.S_ISLNK(status.st_mode):
                try:
                    with self.find((*found.walked, name)) as target:
                        status = target.status
                except (Missing, Hidden):
                    continue
            mode = status.st_mode
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                rows.append((os.fsdecode(name), stat.S_ISDIR(mode), status.st_size, status.st_mtime))
        return rows

    def refresh(self) -> None:
        """A root may be a link that points to the newest version of everything."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK
        try:
            there, ours = os.stat(self.path), os.fstat(self.fd)
            if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
                new = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                os.dup2(new, self.fd, inheritable=False)    # other threads may be walking: the number stays
                os.close(new)
        except OSError:                 # between the old and the new one there may be none for a moment
            return


def _status(name: bytes, folder: int) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        raise _why_not(error) from None


def _link(name: bytes, folder: int, hops: int) -> list[bytes]:
    """Where a link leads, as names to walk, the last first."""
    if hops > HOPS:
        raise Missing("links that lead to links")
    try:
        target = os.readlink(name, dir_fd=folder)
    except OSError as error:
        raise _why_not(error) from None
    if target.startswith(b"/"):
        raise Missing("a link that leads out")
    return [part for part in target.split(b"/") if part not in (b"", b".")][::-1]


def _opened(name: bytes, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        raise _why_not(error) from None


def _why_not(error: OSError) -> Exception:
    """What an errno means to whoever asked; what is a shortage of ours stays an OSError."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return Hidden(error.strerror)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO):
        return Missing(error.strerror)
    return error
