"""The folder of the queue: what lies in it, what messages are called, whether there is room for more.

    tmp/    messages that are being written; nobody looks there but to throw away what was left behind
    mail/   messages, each in one file
    wake    a pipe through which the runner is told that there is something to do
"""

import os

from . import queuelocks

SPOOL = "/var/spool/fd0"
MODE = 0o700
FOLDERS = ("tmp", "mail")
PIPE = "wake"
SIGHT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

# Names sort by time: ten digits of 2^-15 seconds since 1970, four of chance.  No letters that look like others.
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
TICKS, TIME_DIGITS, CHANCE_DIGITS = 2**15, 10, 4
MINIMUM = 32 << 20              # octets that stay free on the disk
LEAST_FILES = 100               # and files
ABANDONED = 3600.0              # seconds after which nobody is still about to begin with a file

Stamp = tuple[int, int]


def make(path: str) -> None:
    """Make the folder and what belongs in it, where it is not there yet; raises OSError."""
    os.makedirs(path, MODE, exist_ok=True)
    for name in FOLDERS:
        try:
            os.mkdir(f"{path}/{name}", MODE)
        except FileExistsError:
            continue
    try:
        os.mkfifo(f"{path}/{PIPE}", 0o600)
    except FileExistsError:
        pass                            # as it shall be
    fd = os.open(path, SIGHT)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class QueueFolder:
    """The open folders of a queue at `path`: descriptors `mail` and `tmp`.  Raises OSError where there is none."""

    __slots__ = ("mail", "path", "tmp")

    def __init__(self, path: str) -> None:
        self.path = path
        self.mail = os.open(f"{path}/mail", SIGHT)
        try:
            self.tmp = os.open(f"{path}/tmp", SIGHT)
        except BaseException:
            os.close(self.mail)
            raise

    def close(self) -> None:
        """Done with it."""
        os.close(self.mail)
        os.close(self.tmp)

    def ids(self) -> list[str]:
        """The names of all messages, the oldest first."""
        return sorted(filter(is_id, os.listdir(self.mail)))

    def stamps(self) -> dict[str, Stamp]:
        """The name of each message, with which file it is and how long: what shows that something was added."""
        found = {}
        with os.scandir(self.mail) as entries:
            for entry in entries:
                if is_id(entry.name):
                    try:
                        status = os.stat(entry.name, dir_fd=self.mail, follow_symlinks=False)
                    except FileNotFoundError:
                        continue        # delivered meanwhile
                    found[entry.name] = (status.st_ino, status.st_size)
        return found

    def room(self, size: int, minimum: int = MINIMUM) -> bool:
        """Would a message of so many octets leave enough of the disk free?"""
        disk = os.statvfs(self.tmp)
        files = disk.f_favail > LEAST_FILES or not disk.f_files        # some file systems do not count them
        return files and disk.f_bavail * disk.f_frsize - size >= minimum

    def free(self) -> int:
        """Octets that are free on the disk."""
        disk = os.statvfs(self.tmp)
        return disk.f_bavail * disk.f_frsize

    def remove(self, id: str, durable: bool = True) -> None:
        """Remove a message that the caller has locked; it does not come back, whatever happens to the machine.

        Not `durable`: it may come back, as one of which nothing is left to do.
        """
        os.unlink(id, dir_fd=self.mail)
        if durable:
            os.fsync(self.mail)

    def sweep(self, now: float) -> list[str]:
        """Throw away what writers left behind who were killed; returns the names."""
        swept = []
        for name in os.listdir(self.tmp):
            try:
                fd = os.open(name, os.O_RDWR | PLAIN, dir_fd=self.tmp)
            except OSError:             # it became a message, or is none of ours
                continue
            try:                        # a new one may not be locked yet, and is left alone
                if os.fstat(fd).st_mtime < now - ABANDONED and queuelocks.take(fd):
                    os.unlink(name, dir_fd=self.tmp)
                    swept.append(name)
            except FileNotFoundError:   # it became one just now
                continue
            finally:
                os.close(fd)
        return swept


def new_id(seconds: float) -> str:
    """A name for a message that comes at that time."""
    chance = int.from_bytes(os.urandom(4), "big")
    return _digits(int(seconds * TICKS), TIME_DIGITS) + _digits(chance, CHANCE_DIGITS)


def is_id(name: str) -> bool:
    """Is this the name of a message?"""
    return len(name) == TIME_DIGITS + CHANCE_DIGITS and not name.strip(DIGITS)


def _digits(value: int, count: int) -> str:
    return "".join(DIGITS[value >> 5 * place & 31] for place in range(count - 1, -1, -1))
