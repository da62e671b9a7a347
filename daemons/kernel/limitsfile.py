"""The table of who is here and who was here: fixed places in one file, shared by processes that come and go.

    header                  what it is, and the file's own random key
    groups                  255 names; whoever has the same name counts together
    rows                    512 buckets of 8: what is known of one source in one group
    slots                   16,384: one for each conversation that is counted now

A slot belongs to the process that holds an fcntl lock on its first octet, and to nobody once that process is gone,
however it went: the kernel takes its locks away.  So numbers in rows may be too high, never too low, and whoever
is about to refuse counts the locks first.  The locks are those of a process, not of an open file: a child forked
for something else inherits none.  Changes are made under a lock on the first octet of the file, each with one
pwrite(2): it happens or does not, where a process killed in a write to mapped memory leaves half of it.
A file cut short under us is made anew by whoever comes next, where a mapping would be our end by SIGBUS.
"""

import errno
import fcntl
import os
import socket
import stat
import struct
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterator
from select import poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

MAGIC = b"fd0 limits 1\n\0\0\0"       # the number is that of this layout
GROUPS, NAME = 255, 32                  # groups, and octets of a name with the zero after it
BUCKETS, WAYS, SLOTS = 512, 8, 16384
SLOT = 16
KEY = struct.Struct("BB8s")             # group, family of the source, source
ROW = struct.Struct("=10s2xIIIIB3xdddd80s")
BUCKET = WAYS * ROW.size
AT_GROUPS = 64
AT_ROWS = AT_GROUPS + 256 * NAME
AT_SLOTS = 1 << 20
SIZE = AT_SLOTS + SLOT * SLOTS
FREE = bytes(SLOT)
FLOCK = struct.Struct("hhqqi4x")        # struct flock: type, whence, start, length, process
PATIENCE = 2.0                          # seconds for the table's lock: whoever holds it so long was stopped
PROBES = 16                             # slots tried in turn before the whole column is looked at
WHOLE, LOCAL, USER, IPV4, IPV6 = 0, 1, 2, 4, 6      # families: all sources, and kinds of them


class Unusable(Exception):
    """The file is not there, is not ours, or is held up; the text says what to do about it."""


class Row:
    """What is known of one source in one group.

    now         conversations, at most: those of killed processes are still in it
    allowed     the limit that `now` was last held against, 0 for none
    second, begun           a second of the clock, and conversations that began in it
    level, failed, pairs    failed logins: how often, when last, and digests of the last wrong pairs, the latest first
    used                    when it was last changed
    refused, told           when somebody was last refused, and when that was last logged
    """

    __slots__ = ("allowed", "at", "begun", "failed", "key", "level", "now", "pairs", "refused", "second", "told",
                 "used")
    key: bytes
    now: int
    level: int
    failed: float

    def __init__(self, at: int, data: bytes) -> None:
        self.at = at
        (self.key, self.now, self.allowed, self.second, self.begun, self.level, self.failed, self.used,
         self.refused, self.told, self.pairs) = ROW.unpack(data)

    def packed(self) -> bytes:
        """As it stands in the file."""
        return ROW.pack(self.key, min(self.now, SLOTS), self.allowed, self.second, self.begun, self.level,
                        self.failed, self.used, self.refused, self.told, self.pairs)


class LimitsFile:
    """The table, in a file of `path` or, without one, in memory that forked children share.

    `with table:` is the lock; everything but `lives` and `look` is done under it.
    """

    def __init__(self, path: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self.clock = path, clock
        self.fd = _open(path) if path else _memory()
        self.key = b""                  # the file's own, which also tells one making of it from the next
        self.mutex = allocate_lock()    # a process' own locks do not keep its threads apart
        self.next = self.pid = 0        # the slot to try next, and the process that tries
        self.whole = False              # is it as long as it must be?
        self.moves = 0                  # how often it was removed and we went to another

    def __enter__(self) -> "LimitsFile":
        """Lock the table and see that it is one; raises Unusable."""
        self.mutex.acquire()
        try:
            self._lock()
            self._see()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: BaseException | None,
                 trace: "TracebackType | None") -> None:
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, 0)
        self.mutex.release()

    def fileno(self) -> int:
        """The file's descriptor."""
        return self.fd

    def close(self) -> None:
        """Let go of the file, and of every slot in it."""
        os.close(self.fd)

    # -- the lock, and the whole --

    def _lock(self) -> None:
        end = 0.0
        while not _taken(self.fd, 0):
            end = end or time.monotonic() + PATIENCE
            if time.monotonic() > end:
                raise Unusable(f"{self.path or 'the table of limits'}: its lock is held by process "
                               f"{holder(self.fd, 0)}, which does not let go; is it stopped?")
            poll().poll(1)
        status = os.fstat(self.fd)
        self.whole = status.st_size >= SIZE
        if self.path and not status.st_nlink:
            self._follow()

    def _follow(self) -> None:
        """The file was removed under us: those who come now have another, so we go there, if we may."""
        try:
            fd = _open(self.path or "")
        except Unusable:                # out of reach from where we are now: what we have still counts for us
            return
        os.dup2(fd, self.fd, False)     # with it go the locks on the old one
        os.close(fd)
        self.moves += 1
        self.key = b""
        self._lock()

    def _see(self) -> None:
        """Read the header; make the table anew where it is none of ours, or torn."""
        head = os.pread(self.fd, 32, 0)
        if self.whole and head[:16] == MAGIC and head[16:] != bytes(16):
            self.key = head[16:]
            return
        if self.key and head.startswith(MAGIC[:11]) and head[:16] != MAGIC:
            raise Unusable(f"{self.path}: was made anew by another version of fd0; start this program again")
        os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, SIZE)
        self.key = os.urandom(16)
        os.pwrite(self.fd, MAGIC + self.key, 0)

    def _read(self, size: int, at: int) -> bytes:
        return os.pread(self.fd, size, at).ljust(size, b"\0")

    # -- groups --

    def names(self) -> list[str]:
        """The names of groups, "" for a number that is free; the first is number 1."""
        data = self._read(GROUPS * NAME, AT_GROUPS)
        return [data[at:at + NAME].partition(b"\0")[0].decode("utf-8", "replace") for at in range(0, len(data), NAME)]

    def group(self, name: str) -> int:
        """The number of a group, which is taken if the name is new; raises Unusable when none is left."""
        wanted = name.encode()[:NAME - 1].ljust(NAME, b"\0")
        data = self._read(GROUPS * NAME, AT_GROUPS)
        for number, at in enumerate(range(0, len(data), NAME), 1):
            if data[at:at + NAME] == wanted:
                return number
            if not data[at]:
                os.pwrite(self.fd, wanted, AT_GROUPS + at)
                return number
        raise Unusable(f"{self.path}: has {GROUPS} groups already; remove it, and those who serve will make it anew")

    # -- rows --

    def look(self, key: bytes) -> Row | None:
        """The row of a key, if there is one."""
        at = self._home(key)
        data = self._read(BUCKET, at)
        for way in range(0, BUCKET, ROW.size):
            if data.startswith(key, way):
                return Row(at + way, data[way:way + ROW.size])
        return None

    def row(self, key: bytes, spare: Callable[[Row, float], int]) -> Row | None:
        """The row of a key, made if there is none, in the place of the one that `spare` values least.

        `spare(row, now)` is 0 for a row that says nothing any more, more for what would be missed, and
        negative for what must stay; None when all must.
        """
        if (found := self.look(key)) is not None:
            return found
        at, now = self._home(key), self.clock()
        data = self._read(BUCKET, at)
        rows = [Row(at + way, data[way:way + ROW.size]) for way in range(0, BUCKET, ROW.size)]
        new = next((one.at for one in rows if not one.key.rstrip(b"\0")), None)
        if new is not None and key[1] != WHOLE:
            return Row(new, key + bytes(ROW.size - len(key)))   # nothing was ever forgotten in this bucket
        if new is None:
            worth = [(value, one.used, one.at) for one in rows if (value := spare(one, now)) >= 0]
            if not worth:
                return None
            new = min(worth)[2]
        row = Row(new, key + bytes(ROW.size - len(key)))
        row.now = sum(1 for _ in self._bearing(key))    # some may have come while nobody counted
        return row

    def put(self, row: Row) -> None:
        """Write a row back."""
        row.used = self.clock()
        os.pwrite(self.fd, row.packed(), row.at)

    def rows(self) -> Iterator[Row]:
        """All rows that are in use."""
        data = self._read(BUCKET * BUCKETS, AT_ROWS)
        for at in range(0, len(data), ROW.size):
            if data[at]:
                yield Row(AT_ROWS + at, data[at:at + ROW.size])

    def _home(self, key: bytes) -> int:
        """Where the bucket of a key begins: a product with the file's own key, so that nobody can choose his bucket."""
        product = int.from_bytes(key, "big") * (int.from_bytes(self.key, "big") | 1)
        return AT_ROWS + (product >> 64) % BUCKETS * BUCKET

    # -- slots --

    def claim(self, key: bytes) -> int | None:
        """Take a slot for a conversation of this process; returns where it is, or None when all are held."""
        if self.pid != os.getpid():     # each begins somewhere else, children of one parent too
            self.pid = os.getpid()
            self.next = self.pid * 37 % SLOTS
        for _ in range(PROBES):
            at = AT_SLOTS + self.next * SLOT
            self.next = (self.next + 1) % SLOTS
            if self._take(at, key):
                return at
        column = self._read(SLOT * SLOTS, AT_SLOTS)[::SLOT]
        number = column.find(b"\0")
        while number >= 0:
            if self._take(AT_SLOTS + number * SLOT, key):
                self.next = (number + 1) % SLOTS
                return AT_SLOTS + number * SLOT
            number = column.find(b"\0", number + 1)
        return next((at for at in range(AT_SLOTS, SIZE, SLOT) if self._take(at, key)), None)

    def _take(self, at: int, key: bytes) -> bool:
        """Take this slot unless somebody, or another thread of ours, holds it; one that a dead process left will do."""
        if holder(self.fd, at) or not _taken(self.fd, at):
            return False
        os.pwrite(self.fd, key.ljust(SLOT, b"\0"), at)
        return True

    def release(self, at: int) -> None:
        """Give a slot of this process back."""
        os.pwrite(self.fd, FREE, at)
        self.let_go(at)

    def let_go(self, at: int) -> None:
        """Give up the lock of a slot, and leave the rest to whoever counts."""
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, at)

    def lives(self, key: bytes) -> int:
        """How many conversations of a key, or of a whole group, go on, by their locks."""
        return sum(1 for at in self._bearing(key) if holder(self.fd, at))

    def _bearing(self, key: bytes) -> Iterator[int]:
        """Where the slots are that bear a key, or that of a source in a whole group."""
        data = self._read(SLOT * SLOTS, AT_SLOTS)
        groups = data[::SLOT]
        number = groups.find(key[:1])
        key = key if key[1:2] != bytes([WHOLE]) else key[:1]
        while number >= 0:
            if data.startswith(key, number * SLOT):
                yield AT_SLOTS + number * SLOT
            number = groups.find(key[:1], number + 1)

    def present(self) -> dict[bytes, int]:
        """Conversations that go on, by key."""
        counts: dict[bytes, int] = {}
        data = self._read(SLOT * SLOTS, AT_SLOTS)
        for at in range(0, len(data), SLOT):
            if data[at] and holder(self.fd, AT_SLOTS + at):
                key = data[at:at + KEY.size]
                counts[key] = counts.get(key, 0) + 1
        return counts


def key_of(group: int, source: str | None) -> bytes:
    """The key of an Address.source in a group; of the whole group for None."""
    family, packed = WHOLE, b""
    if source is not None:
        host, slash, _ = source.partition("/")
        family = IPV6 if slash and ":" in host else IPV4
        try:
            packed = socket.inet_pton(socket.AF_INET6 if family == IPV6 else socket.AF_INET, host)[:8]
        except OSError:                 # a user at a Unix socket, or somebody at pipes or a terminal
            uid = source.partition("unix:uid=")[2]
            family, packed = (USER, int(uid).to_bytes(8, "big")) if uid.isdigit() else (LOCAL, b"")
    return KEY.pack(group, family, packed)


def source_of(key: bytes) -> str:
    """The source of a key, as Address.source has it; "all" for a whole group, "local" for who has no address."""
    _, family, packed = KEY.unpack(key)
    if family == IPV4:
        return socket.inet_ntop(socket.AF_INET, packed[:4])
    if family == IPV6:
        return socket.inet_ntop(socket.AF_INET6, packed + bytes(8)) + "/64"
    return "all" if family == WHOLE else "local" if family == LOCAL else f"unix:uid={int.from_bytes(packed, 'big')}"


def holder(fd: int, at: int) -> int:
    """The process that holds the lock on this octet, ourselves included; 0 for nobody, -1 for one out of our sight."""
    asked = FLOCK.pack(fcntl.F_WRLCK, 0, at, 1, 0)
    kind, _, _, _, pid = FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else pid or -1


def _taken(fd: int, at: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise Unusable(f"cannot lock: {error.strerror}") from None      # ENOLCK: a file system that has no locks
    return True


def _memory() -> int:
    return os.memfd_create("fd0-limits", os.MFD_CLOEXEC)


def _open(path: str) -> int:
    """The file's descriptor; raises Unusable for what is not there, or is not to be trusted."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            _make(path)
            fd = os.open(path, flags)
    except OSError as error:
        raise Unusable(f"{path}: {_advice(path, error)}") from None
    status, place = os.fstat(fd), os.stat(os.path.dirname(path))
    wrong = None
    if not stat.S_ISREG(status.st_mode):
        wrong = "is not a regular file"
    elif status.st_uid not in (0, os.geteuid(), place.st_uid):
        wrong = f"belongs to user {status.st_uid}, who is neither root, nor we, nor the owner of its directory"
    elif status.st_mode & 0o002:
        wrong = f"anybody may write to this file; say chmod o-w {path}"
    elif place.st_mode & 0o1002 == 0o002:
        wrong = f"anybody may replace this file; say chmod o-w {os.path.dirname(path)}"
    if wrong:
        os.close(fd)
        raise Unusable(f"{path}: {wrong}")
    return fd


def _make(path: str) -> None:
    """Make an empty file that is right from its first moment on; root gives it to the directory's owner."""
    folder, new = os.path.dirname(path), f"{path}.{os.urandom(6).hex()}"
    fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        place, made = os.stat(folder), os.fstat(fd)
        if os.geteuid() == 0 and (made.st_uid, made.st_gid) != (place.st_uid, place.st_gid):
            os.fchown(fd, place.st_uid, place.st_gid)       # which a sandbox would refuse, needed or not
        os.fchmod(fd, 0o660)
        os.link(new, path)
    except FileExistsError:             # somebody else was quicker, and his is as good
        return
    finally:
        os.close(fd)
        os.unlink(new)


def _advice(path: str, error: OSError) -> str:
    """What is wrong, and what helps."""
    folder = os.path.dirname(path)
    if error.errno == errno.ELOOP:
        return "is a symbolic link, which may lead anywhere; remove it"
    if error.errno == errno.ENOENT:
        return (f"there is no directory {folder} to share limits in; make it (systemd-tmpfiles --create, or install -d "
                f"-m 770 -o fd0 -g fd0 {folder}), name another file with --limits=PATH, or say --limits=own")
    if error.errno in (errno.EACCES, errno.EPERM):
        return (f"user {os.geteuid()} may not use it; run the program as the user that owns {folder}, "
                "name another file with --limits=PATH, or say --limits=own")
    return error.strerror or str(error)
