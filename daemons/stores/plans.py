"""What users put into their homes to be shown, and an administrator's pages: read without being led astray.

A user may put anything in the place of ~/.plan: a link to what only we may read, a second name for somebody
else's file, a pipe that never ends, a device.  So a file is taken only if it is a plain one, of one name,
the user's own, and open to everybody anyway: whoever we run as, we show nothing that was not public.
"""

import os
import stat

OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Unsafe(ValueError):
    """A file that is there, but not in the way that it must be; the text says why."""


def own(home: str, name: str, uid: int, most: int) -> bytes | None:
    """Up to `most` octets of a file that the user put into her home; None without one.  Raises Unsafe."""
    path = f"{home}/{name}"
    try:
        _own(os.lstat(path), uid)       # first, so that not even opening it can have an effect
        with open(os.open(path, OPEN), "rb", buffering=0) as file:
            _own(os.fstat(file.fileno()), uid)
            return _cut(file.read(most + 1) or b"", most)
    except OSError:                     # absent, out of reach, or changed as we looked
        return None


def unlisted(home: str) -> bool:
    """Did the user ask not to be known to finger?  Any ~/.nofinger says so."""
    return os.path.lexists(f"{home}/.nofinger")


def script(home: str, name: str, uid: int) -> str | None:
    """The path of a program in a user's home that answers for her; None without one.  Raises Unsafe."""
    path = f"{home}/{name}"
    try:
        status = os.lstat(path)
    except OSError:
        return None
    _own(status, uid)
    _executable(status)
    return path


def page(folder: str, name: str, most: int) -> bytes | None:
    """Up to `most` octets of an administrator's page; None without one of this name."""
    if not is_name(name):
        return None
    return shown(f"{folder}/{name}", most)


def shown(path: str, most: int) -> bytes | None:
    """Up to `most` octets of an administrator's file, which may be a link; None if it is no file.  Never waits."""
    try:
        with open(os.open(path, OPEN & ~os.O_NOFOLLOW), "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return _cut(file.read(most + 1) or b"", most)
    except OSError:
        return None


def page_script(folder: str, name: str) -> str | None:
    """The path of a page that is a program; None if it is none.  Raises Unsafe if others could have written it."""
    path = f"{folder}/{name}"
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not (is_name(name) and stat.S_ISREG(status.st_mode) and status.st_mode & 0o111):
        return None
    _executable(status)
    return path


def is_name(name: str) -> bool:
    """Could this be the name of a page?  No path, nothing hidden, nothing that has to be escaped."""
    return name.isprintable() and "/" not in name and not name.startswith(".") and 0 < len(name.encode()) <= 255


def aliases(path: str) -> dict[str, str]:
    """Other names, from lines `alias: user` or `alias: /absolute/file`; raises OSError and ValueError."""
    found: dict[str, str] = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.partition("#")[0].strip()
            alias, colon, target = (part.strip() for part in words.partition(":"))
            if words and not (alias and colon and target):
                raise ValueError(f"{path}:{number}: not of the form alias: user, or alias: /file")
            if words:
                found[alias] = target
    return found


def _own(status: os.stat_result, uid: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unsafe("not a plain file")
    if status.st_nlink != 1:
        raise Unsafe("has a second name elsewhere")
    if status.st_uid != uid:
        raise Unsafe("belongs to somebody else")
    if not status.st_mode & stat.S_IROTH:
        raise Unsafe("is not for everybody: chmod o+r")


def _executable(status: os.stat_result) -> None:
    if not status.st_mode & stat.S_IXOTH:
        raise Unsafe("is not executable by everybody: chmod o+x")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unsafe("can be written by others: chmod go-w")


def _cut(data: bytes, most: int) -> bytes:
    """At most so much, ending with a whole line, or at least with a whole character."""
    if len(data) <= most:
        return data
    data = data[:most]
    if (end := data.rfind(b"\n")) >= 0:
        return data[:end + 1]
    whole = data.rstrip(bytes(range(0x80, 0xc0)))
    return whole[:-1] if whole[-1:] >= b"\xc0" else whole
