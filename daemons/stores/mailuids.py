"""The list of UIDs beside a folder: the one place that says which message has which number, in plain text.

An index can be lost and made again; a number that a client was told must stay.  So numbers are written here first,
and are on the disk before anybody hears of them: lines are only ever added, and now and then the whole list is
written anew without those who are gone, into another file that then takes its place.  Who changes it holds the
folder's numbering lock; who reads it needs none.
"""

import os

from ..wire import uidlist
from ..wire.uidlist import Entry, Header
from .durable import synced, unlinked

NAME = b"fd0-uidlist"
DOVECOT = b"dovecot-uidlist"
OTHERS = (DOVECOT, b"courierimapuiddb")                 # whose numbers are taken over where there is no list yet
TOLD = b"%08x%08x"      # Dovecot's unique id of a UID and its validity, if nobody has set its pop3_uidl_format
FIRST = 512             # octets in which the first line ends


class UidList:
    """The list of the folder at this path."""

    def __init__(self, folder: bytes) -> None:
        self._folder, self._path = folder, folder + b"/" + NAME

    def state(self) -> "tuple[bytes, int] | None":
        """(first line, octets) of the list, which tell whether it is still as one knows it; None without a list."""
        try:
            with open(self._path, "rb", buffering=0) as file:
                line, end, _ = (file.read(FIRST) or b"").partition(b"\n")
                return line + end, os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None

    def read(self, begin: int = 0) -> "tuple[Header, list[Entry], int]":
        """The first line, all entries from there on, and where they end; raises OSError, and ValueError for no list."""
        return _read(self._path, begin)

    def foreign(self) -> "tuple[Header, list[Entry]] | None":
        """What another program's list says, where one is left; of Dovecot's also what POP3 has told by it."""
        for name in OTHERS:
            try:
                header, entries, _ = _read(self._folder + b"/" + name, 0)
            except (FileNotFoundError, ValueError):     # none, or none that we know
                continue
            if name == DOVECOT:
                _tell(entries, header.validity)
            return header, entries
        return None

    def cut(self, end: int) -> None:
        """Take away what stands behind `end`: half a line of somebody who was killed.  Raises OSError."""
        os.truncate(self._path, end)

    def append(self, entries: list[Entry], end: int) -> int:
        """Add messages behind `end`; returns where they end now, once they are on the disk.  All or none: OSError."""
        data = b"".join(map(uidlist.entry, entries))
        fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            try:
                if os.pwrite(fd, data, end) < len(data):
                    raise OSError("no room for the list of UIDs")
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)
        return end + len(data)

    def rewrite(self, validity: int, next: int, guid: bytes, entries: list[Entry]) -> tuple[bytes, int]:
        """Put a new list in the place of the old one; returns its first line and where it ends.  Raises OSError."""
        line = uidlist.header(validity, next, guid, os.urandom(8).hex().encode())
        data = line + b"".join(map(uidlist.entry, entries))
        new = self._path + b".new"
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(new, self._path)
        except OSError:
            unlinked(new)
            raise
        synced(self._folder)
        return line, len(data)


def _tell(entries: list[Entry], validity: int) -> None:
    """Give the messages for which Dovecot has kept no unique id the one that it made anew each time."""
    kept = {one.uidl for one in entries}
    for one in entries:
        told = TOLD % (one.uid, validity)
        if not one.uidl and told not in kept:           # else the clients have it for another message
            one.uidl = told


def _read(path: bytes, begin: int) -> "tuple[Header, list[Entry], int]":
    with open(path, "rb", buffering=0) as file:
        line, end, _ = (file.read(FIRST) or b"").partition(b"\n")
        header = uidlist.parsed_header(line + end)
        begin = max(begin, len(header.line))
        file.seek(begin)
        data = file.readall() or b""
    return header, uidlist.entries(data, header.version), begin + data.rfind(b"\n") + 1
