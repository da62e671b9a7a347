"""Policies of MTA-STS that were fetched: one small file for each domain, in the folder `sts` of the queue (RFC 8461).

    20260921T141320 1790000000 0 1790604800     the id, when it was fetched, when that failed last, until when it counts
    version: STSv1                              the policy, as it came
    ...

A file is put in place as a whole.  One without a policy tells that none could be fetched, and when that was tried.
"""

import os

from daemons.wire.numbers import number

from .queuefolder import PLAIN

FOLDER = "sts"
LARGEST = 65536                 # octets of a policy (RFC 8461, 3.3)
FIRST = 200                     # octets of the first line, at most


class Kept:
    """What is known of a domain's policy: `text` is b"" where there is none; times are seconds since 1970, or 0."""

    __slots__ = ("failed", "fetched", "id", "text", "until")

    def __init__(self, id: str, fetched: int, failed: int, until: int, text: bytes) -> None:
        self.id, self.fetched, self.failed, self.until, self.text = id, fetched, failed, until, text


class Policies:
    """Those of the queue at `path`; domains are host names in small letters."""

    __slots__ = ("folder", "spare")

    def __init__(self, path: str) -> None:
        self.folder, self.spare = f"{path}/{FOLDER}", f"{path}/tmp"

    def get(self, domain: str) -> Kept | None:
        """What is kept of a domain; None where that is nothing.  Raises OSError."""
        try:
            fd = os.open(f"{self.folder}/{domain}", os.O_RDONLY | PLAIN)
        except FileNotFoundError:
            return None
        with open(fd, "rb") as file:
            line, _, text = file.read(FIRST + LARGEST).partition(b"\n")
        try:
            id, *times = line.decode("latin-1").split(" ")
            fetched, failed, until = map(number, times)
        except ValueError:              # the machine died while it was written; it is fetched anew
            return None
        return Kept(id, fetched, failed, until, text)

    def put(self, domain: str, kept: Kept) -> None:
        """Keep this of a domain, in the place of what was there; raises OSError."""
        try:
            os.mkdir(self.folder, 0o700)
        except FileExistsError:
            pass                        # as it shall be
        # whoever is killed here leaves a file in tmp, which is swept with those of mails
        spare = f"{self.spare}/{FOLDER}-{os.urandom(8).hex()}"
        with open(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN, 0o600), "wb") as file:
            file.write(f"{kept.id} {kept.fetched} {kept.failed} {kept.until}\n".encode("latin-1") + kept.text)
            file.flush()
            os.fsync(file.fileno())
            os.utime(file.fileno(), (kept.until, kept.until))
        os.replace(spare, f"{self.folder}/{domain}")

    def sweep(self, now: float) -> None:
        """Throw away what counts no more: its file is as old as the end of its time."""
        if not os.path.isdir(self.folder):
            return
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_mtime < now:
                    os.unlink(entry.path)
