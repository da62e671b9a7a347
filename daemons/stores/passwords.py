"""A file of passwords: who may log in.  Its lines are those of wire/passwordlines.py; # begins a comment.

It is taken only if nobody else than its owner, who is root or the reader, may write it, and if all of its lines are
as they must be: a file that is half right might let in whom it was to keep out.  Where it has secrets for Digest, with
which one can log in as with the password, it must not be for everybody to read.
"""

import os
import stat
import time

from ..wire.httpauth import normal
from ..wire.passwordlines import COST, HASH, SALT, Entry, check_name, check_password, make, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 8 << 20               # octets in a file
KEPT, MOST_KEPT = 30.0, 1000    # for how many seconds, and how many, right passwords are remembered
MODE = 0o640                    # of a new file
SECRETS = b":realm="            # in lines that have some

Stamp = tuple[int, ...]


class Passwords:
    """The file at `path`, read again when it has changed; raises OSError, and ValueError if it is not as it must be.

    So does each method, when the file was changed into such a one: nobody is let in by what it was before.  A right
    password is remembered for some seconds, so that HTTP, which sends it with each request, does not pay for scrypt
    each time: as an HMAC under a random key of this process, never the password itself.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._loaded = _load(path)
        self._key = os.urandom(32)
        self._right: dict[bytes, float] = {}            # HMAC of what was right -> until when it is remembered

    def check(self, name: str, password: bytes, host: str = "") -> bool:
        """Is this her password, wherever she is?  It takes as long for a name that is not there."""
        entries = self._entries()
        try:
            name, password = check_name(name), check_password(password)
        except ValueError:
            return False                # nobody has such a one
        known = entries.get(name)
        entry = known or self._stranger(name)
        token, now = self._token(entry, password), time.monotonic()
        if self._right.get(token, now) > now:
            return True
        if not entry.matches(password) or known is None:
            return False
        for old in list(self._right)[:max(0, len(self._right) - MOST_KEPT + 1)]:
            self._right.pop(old, None)  # another thread may have been here
        self._right[token] = now + KEPT
        return True

    def names(self) -> list[str]:
        """Who may log in, in the file's order."""
        return list(self._entries())

    def realm(self, name: str) -> str | None:
        """The realm in which this one can log in by Digest, if there is one."""
        entry = self._entries().get(normal(name))
        return entry.realm if entry else None

    def digest_secret(self, name: str, realm: str, algorithm: str) -> str | None:
        """What digest_verdict of wire/httpauth.py needs for this one; None where there is none."""
        entry = self._entries().get(normal(name))
        return entry.secrets.get(algorithm) if entry and entry.realm == realm else None

    def _entries(self) -> dict[str, Entry]:
        if _stamp(os.stat(self.path)) != self._loaded[0]:
            self._loaded = _load(self.path)
        return self._loaded[1]

    def _stranger(self, name: str) -> Entry:
        """Whose hash is computed for a name that is not there: always of the same cost, one that others have."""
        from hmac import digest
        drawn, others = digest(self._key, b"stranger: " + name.encode(), "sha512"), self._loaded[2]
        like = others[int.from_bytes(drawn[:8], "big") % len(others)] if others else None
        cost, salt, hash = (like.cost, len(like.salt), len(like.hash)) if like else (COST, SALT, HASH)
        return Entry(name, cost, drawn[:salt], drawn[-hash:])

    def _token(self, entry: Entry, password: bytes) -> bytes:
        """What is remembered of a right password; another hash in the file makes it worthless."""
        from hmac import digest
        return digest(self._key, b"right: " + entry.line() + b"\n" + password, "sha256")


# -- changing the file --


def add(path: str, name: str, password: bytes, realm: str | None = None, group: int = -1) -> None:
    """Let one more log in, by Digest too if there is a realm; the file is made, for this group to read, if need be.

    Raises ValueError where the name is there already, or anything is not as it must be, and OSError.
    """
    new = make(name, password, os.urandom(SALT), realm)
    with _Changing(path, create=True, group=group) as file:
        if new.name in file.entries:
            raise ValueError(f"{path}: {new.name} is there already")
        file.put([*file.lines, new.line()])


def change(path: str, name: str, password: bytes, realm: str | None = None) -> None:
    """Give one another password; Digest stays as it was, unless there is a realm: "" takes it away.

    Raises KeyError where the name is not there, ValueError where anything is not as it must be, and OSError.
    """
    name = normal(name)
    with _Changing(path) as file:
        kept = file.entries[name].realm
        new = make(name, password, os.urandom(SALT), kept if realm is None else realm or None)
        file.put([new.line() if _is_of(line, name) else line for line in file.lines])


def remove(path: str, name: str) -> None:
    """Let one no longer log in; raises as change does."""
    name = normal(name)
    with _Changing(path) as file:
        del file.entries[name]
        file.put([line for line in file.lines if not _is_of(line, name)])


class _Changing:
    """The lines of a file that nobody else changes meanwhile, and how to write them anew as a whole."""

    def __init__(self, path: str, create: bool = False, group: int = -1) -> None:
        self.path = os.path.realpath(path)              # a link stays a link
        if create:
            _create(self.path, group)
        self.fd = _locked(self.path)
        try:
            data = _data(self.fd, path)
            self.entries = _parsed(data, path)
        except BaseException:
            os.close(self.fd)
            raise
        self.lines = data.removesuffix(b"\n").split(b"\n") if data else []

    def __enter__(self) -> "_Changing":
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.fd)

    def put(self, lines: list[bytes]) -> None:
        """Write these in its place: readers find the one file or the other, whenever we are stopped."""
        status, temporary = os.fstat(self.fd), f"{self.path}.new"
        if os.path.lexists(temporary):
            os.unlink(temporary)        # of somebody who was stopped; we have the lock
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            try:
                own = os.fstat(file.fileno())
                if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
                    os.chown(temporary, status.st_uid, status.st_gid, follow_symlinks=False)
                os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
                file.write(b"".join(line + b"\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, self.path)
            except BaseException:
                os.unlink(temporary)
                raise
        _sync_folder(self.path)


def _create(path: str, group: int) -> None:
    """An empty file, if there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        os.fchown(fd, -1, group)
        os.fchmod(fd, MODE)             # whatever the umask
    finally:
        os.close(fd)


def _locked(path: str) -> int:
    """A descriptor of the file that is at this path once nobody else has it locked."""
    from fcntl import LOCK_EX, flock
    while True:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            flock(fd, LOCK_EX)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)                    # somebody put another in its place while we waited


def _sync_folder(path: str) -> None:
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# -- reading the file --


def _load(path: str) -> tuple[Stamp, dict[str, Entry], list[Entry]]:
    """When the file was as it is now, and its entries: by name, and in a row."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        stamp, entries = _stamp(os.fstat(fd)), _parsed(_data(fd, path), path)
        return stamp, entries, list(entries.values())
    finally:
        os.close(fd)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev


def _data(fd: int, path: str) -> bytes:
    """The octets of an open file, if it is one that can be trusted; raises ValueError."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: not a plain file")
    if status.st_uid not in (0, os.geteuid()):
        raise ValueError(f"{path}: belongs to user {status.st_uid}, who is neither root nor its reader: chown root")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(f"{path}: can be written by others: chmod go-w")
    with open(fd, "rb", closefd=False) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{path}: larger than {LARGEST} octets")
    if status.st_mode & stat.S_IROTH and any(SECRETS in line for _, line in _lines(data)):
        raise ValueError(f"{path}: has secrets for Digest, and everybody can read it: chmod o-r")
    return data


def _lines(data: bytes) -> "Iterator[tuple[int, bytes]]":
    """(number, line) of those that are neither empty nor a comment."""
    for at, line in enumerate(data.split(b"\n"), 1):
        if line and not line.startswith(b"#"):
            yield at, line


def _parsed(data: bytes, path: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for at, line in _lines(data):
        try:
            entry = parse(line)
            if found.setdefault(entry.name, entry) is not entry:
                raise ValueError(f"{entry.name} is there twice")
        except ValueError as error:
            raise ValueError(f"{path}:{at}: {error}") from None
    return found


def _is_of(line: bytes, name: str) -> bool:
    """Is this good line the one of that name?"""
    return not line.startswith(b"#") and normal(line.partition(b":")[0].decode()) == name
