"""Changes below a root (webtree.Root): each is there or is not, never half, and on the disk once it is told.

What is new is written under a hidden name in the folder where it belongs, and renamed once it is whole and on the
disk.  So whoever kills us, or cuts the power, leaves the old or the new, and at most a hidden rest that nobody is
shown and that goes with its folder.

Every folder is opened below the one before and no link is followed, neither on the way nor in what is copied or
removed: links are their owner's way to show a file in two places, and not for strangers to change files through.
Names with a dot in front are refused; those that lie in a folder go where it goes, and are not copied.

What OSError says is the caller's to tell; Missing means here that there is no folder to hold the name.
"""

import errno
import os
import stat
from collections.abc import Callable

from .webtree import FILE, FOLDER, SIGHT, Found, Hidden, Missing, Root

TEMPORARY = b".fd0-"    # what the hidden names begin with
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
DEEPEST = 128           # folders within each other that are copied or removed: each is held open meanwhile
FAILURES = 100          # that are told of one removal
PIECE = 1 << 20         # octets that the kernel copies at a time

Steps = tuple[bytes, ...]
Judge = Callable[["os.stat_result | None"], None]       # looks at what is there in the last moment; raises to stop it


class Taken(Exception):
    """There is something already, where there was to be nothing."""


class Failed(Exception):
    """What could not be done to something within a folder: the names that lead there from it, and why."""

    def __init__(self, steps: Steps, error: OSError) -> None:
        super().__init__(f"{b'/'.join(steps)!r}: {error.strerror}")
        self.steps, self.error = steps, error


class Spot:
    """A name in a folder that is held open, for a `with` block; `status` is what lstat(2) says of it, or None."""

    __slots__ = ("folder", "name", "status")

    def __init__(self, folder: int, name: bytes) -> None:
        self.folder, self.name = folder, name
        self.status: os.stat_result | None = None
        self.look()

    def __enter__(self) -> "Spot":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)

    def look(self) -> "os.stat_result | None":
        """Look again what is there."""
        try:
            self.status = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            self.status = None
        return self.status

    @property
    def is_folder(self) -> bool:
        """Was a folder there?"""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)


def spot(root: Root, segments: Steps) -> Spot:
    """The place that a path names, be there something or not; raises Missing without its folder, Hidden, OSError."""
    for name in segments:
        if not name or name.startswith(b".") or b"/" in name or b"\0" in name:
            raise Hidden("a hidden name, or none that a file can have")
    if not segments:
        raise Hidden("the root itself")
    with root.find(()) as top:
        fd = os.open(b".", FOLDER, dir_fd=top.fd)
    try:
        for name in segments[:-1]:
            fd, above = _below(fd, name), fd
            os.close(above)
        fd, above = os.open(b".", SIGHT, dir_fd=fd), fd
        os.close(above)
        return Spot(fd, segments[-1])
    except BaseException:
        os.close(fd)
        raise


def _below(folder: int, name: bytes) -> int:
    try:
        return os.open(name, FOLDER, dir_fd=folder)
    except FileNotFoundError:
        raise Missing("no folder to hold it") from None
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise Hidden("a link on the way") from None
        raise Missing("a file is no folder") from None


# -- one file, one folder --


class Upload:
    """A file on its way to a spot, for a `with` block: what `keep` was not called for leaves nothing behind."""

    def __init__(self, at: Spot) -> None:
        self._at, self._name, old = at, _temporary(), at.status
        # what is written over keeps its permissions, and meanwhile nobody else reads it
        self._mode = stat.S_IMODE(old.st_mode) & 0o777 if old is not None and stat.S_ISREG(old.st_mode) else None
        self._fd = os.open(self._name, NEW, 0o666 if self._mode is None else 0o600, dir_fd=at.folder)

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        if self._name:
            _unlinked(self._at.folder, self._name)

    def write(self, data: bytes) -> None:
        """Append octets."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left):]

    def keep(self, judge: Judge, new: bool = False) -> os.stat_result:
        """Put it into its place: returns what stat(2) says of it; `at.status` is then what was there before.

        `new`: it must not take the place of anything; raises Taken.
        """
        if self._mode is not None:
            os.fchmod(self._fd, self._mode)
        os.fsync(self._fd)
        judge(self._at.look())
        _settle(self._at, self._at.folder, self._name, new)
        self._name = b""
        os.fsync(self._at.folder)
        return os.fstat(self._fd)


def make_folder(at: Spot) -> None:
    """Make a folder; raises FileExistsError."""
    os.mkdir(at.name, dir_fd=at.folder)
    os.fsync(at.folder)


def move(source: Spot, at: Spot, new: bool = False) -> None:
    """Give a file or folder another name, in the place of what may be there unless it must be `new` (Taken)."""
    one, other = source.look(), at.look()
    if one is None:
        raise FileNotFoundError(errno.ENOENT, "it is gone")
    if other is not None and not new and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        os.unlink(source.name, dir_fd=source.folder)    # two names of one file: rename(2) would leave both
        aside = b""
    else:
        aside = _settle(at, source.folder, source.name, new, source.is_folder)
    os.fsync(at.folder)
    os.fsync(source.folder)
    _sweep(at.folder, aside)


def _temporary() -> bytes:
    return TEMPORARY + os.urandom(12).hex().encode()


def _settle(at: Spot, folder: int, name: bytes, new: bool, is_folder: bool = False) -> bytes:
    """Move what is called `name` in `folder` to a spot that was just looked at.

    Returns the hidden name of a folder that had to make room, or b"".
    """
    if new and at.status is not None:
        raise Taken("there is something")
    if at.is_folder or (is_folder and at.status is not None):
        aside = _temporary()
        os.rename(at.name, aside, src_dir_fd=at.folder, dst_dir_fd=at.folder)
        try:
            os.rename(name, at.name, src_dir_fd=folder, dst_dir_fd=at.folder)
        except BaseException:
            os.rename(aside, at.name, src_dir_fd=at.folder, dst_dir_fd=at.folder)
            raise
        return aside
    if not (new and name.startswith(TEMPORARY) and not is_folder and _linked(folder, name, at)):
        os.rename(name, at.name, src_dir_fd=folder, dst_dir_fd=at.folder)
    return b""


def _linked(folder: int, name: bytes, at: Spot) -> bool:
    """Give a file its name only if nobody has it yet: of two that come at once one fails.

    False where the file system has no second names; then nothing but the look before protects what is there.
    """
    try:
        os.link(name, at.name, src_dir_fd=folder, dst_dir_fd=at.folder, follow_symlinks=False)
    except FileExistsError:
        raise Taken("somebody was faster") from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _sweep(folder: int, name: bytes) -> None:
    """Remove a hidden rest; what of it cannot be removed stays, hidden as it is."""
    if name:
        failures: list[Failed] = []
        _remove(folder, name, os.fstat(folder).st_dev, (), failures)


# -- whole trees --


def remove(at: Spot) -> list[Failed]:
    """Remove a file, or a folder with all in it; returns what within could not be removed, and raises OSError."""
    failures: list[Failed] = []
    _remove(at.folder, at.name, os.fstat(at.folder).st_dev, (), failures)
    os.fsync(at.folder)
    if failures and not failures[0].steps:
        raise failures[0].error
    return failures


def _remove(folder: int, name: bytes, device: int, steps: Steps, failures: list[Failed]) -> bool:
    """Remove what is called `name`, the innermost first; is it gone?"""
    try:
        if _unlinked(folder, name):
            return True
        if len(steps) >= DEEPEST:
            raise OSError(errno.EMLINK, "folders too deep within each other")
        fd = os.open(name, SIGHT, dir_fd=folder)
        try:
            if os.fstat(fd).st_dev != device:
                raise OSError(errno.EBUSY, "another file system")
            gone = [_remove(fd, each, device, (*steps, each), failures) for each in _names(fd)]
        finally:
            os.close(fd)
        if all(gone):                   # else the reason is told already
            os.rmdir(name, dir_fd=folder)
        return all(gone)
    except OSError as error:
        if len(failures) < FAILURES:
            failures.append(Failed(steps, error))
        return False


def _unlinked(folder: int, name: bytes) -> bool:
    """Remove it unless it is a folder; is it gone?"""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    except FileNotFoundError:           # somebody else removed it
        return True
    return True


def copy(source: Found, at: Spot, deep: bool = True, new: bool = False) -> None:
    """Copy a file, or a folder, with all in it if it is `deep`, in the place of what may be there unless `new` (Taken).

    All or nothing: raises Failed for what within a folder could not be copied, OSError for the rest.
    """
    name = _temporary()
    try:
        if source.is_folder:
            fd = os.open(b".", SIGHT, dir_fd=source.fd)
            try:
                _copy_folder(fd, at.folder, name, (), deep)
            finally:
                os.close(fd)
        else:
            _copy_file(source.open(), at.folder, name)
        at.look()
        aside = _settle(at, at.folder, name, new, source.is_folder)
        os.fsync(at.folder)
    except BaseException:
        _sweep(at.folder, name)
        raise
    _sweep(at.folder, aside)


def _copy_folder(source: int, folder: int, name: bytes, steps: Steps, deep: bool) -> None:
    os.mkdir(name, dir_fd=folder)
    fd = os.open(name, SIGHT, dir_fd=folder)
    try:
        for each in _names(source) if deep else ():
            if each.startswith(b"."):
                continue
            try:
                _copy_one(source, fd, each, (*steps, each))
            except OSError as error:
                raise Failed((*steps, each), error) from None
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy_one(source: int, folder: int, name: bytes, steps: Steps) -> None:
    mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode):
        if len(steps) >= DEEPEST:
            raise OSError(errno.EMLINK, "folders too deep within each other")
        fd = os.open(name, SIGHT, dir_fd=source)
        try:
            _copy_folder(fd, folder, name, steps, True)
        finally:
            os.close(fd)
    elif stat.S_ISREG(mode):
        _copy_file(os.open(name, FILE, dir_fd=source), folder, name)
    elif stat.S_ISLNK(mode):
        target = os.readlink(name, dir_fd=source)
        if target.startswith(b"/") or b".." in target.split(b"/"):      # it would lead elsewhere from there
            raise OSError(errno.EPERM, "a link that leads out of its folder")
        os.symlink(target, name, dir_fd=folder)
    # pipes, sockets and devices are not shown, so nobody misses them


def _copy_file(source: int, folder: int, name: bytes) -> None:
    """Copy an open file, with its permissions; closes it."""
    try:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EPERM, "not a regular file")
        fd = os.open(name, NEW, stat.S_IMODE(status.st_mode) & 0o777, dir_fd=folder)
        try:
            place = 0
            while sent := os.sendfile(fd, source, place, PIECE):
                place += sent
            os.fsync(fd)
        finally:
            os.close(fd)
    finally:
        os.close(source)


def _names(folder: int) -> list[bytes]:
    return [os.fsencode(name) for name in os.listdir(folder)]
