"""What a user may keep, in octets and messages, counted in the file maildirsize that Maildir++ shares among programs.

The file's lines are added up; whoever delivers or deletes adds one.  It is counted anew from the messages' names when
it is missing, damaged or long, says other limits than ours, or says that the user is over them and is not fresh: a
message is refused only on a count that is not older than a quarter of an hour.  All that lies in the user's folders
counts, the folder Trash and messages flagged as trashed too, as Dovecot does it, and Courier --with-trashquota: the
octets are on the disk.  Between a look and the line that follows it others may deliver: a user may come to be
over the limit by as many messages as arrive at once.  https://www.courier-mta.org/imap/README.maildirquota.html
"""

import os
import time

from ..wire import maildirnames, maildirsize
from .durable import unlinked

FRESH = 15 * 60         # seconds for which a count is believed that says no


class OverQuota(Exception):
    """The message has no room within the user's limits; `for_ever`: it is more by itself than they allow."""

    def __init__(self, for_ever: bool) -> None:
        super().__init__("over quota")
        self.for_ever = for_ever


class Quota:
    """The limits of a user whose Maildir has this root: octets and messages, 0 for none.

    With both 0, the limits are those of a file that another program has made, and without a file there are none.
    """

    def __init__(self, root: str, octets: int = 0, messages: int = 0) -> None:
        self.octets, self.messages = octets, messages
        self._root = os.fsencode(root)
        self._path = self._root + b"/maildirsize"

    def usage(self) -> tuple[int, int]:
        """(octets, messages) that the user keeps."""
        found = self._read()
        return found[:2] if found else self._count()

    def over(self, octets: int, messages: int = 1) -> bool:
        """Would so much more be too much?"""
        found = self._read()
        if not (self.octets or self.messages):
            return False
        if not found or (self._exceeded(found[0] + octets, found[1] + messages) and not found[2]):
            found = (*self._count(), True)
        return self._exceeded(found[0] + octets, found[1] + messages)

    def check(self, octets: int, messages: int = 1) -> None:
        """Raise OverQuota if so much more would be too much."""
        if self.over(octets, messages):
            raise OverQuota(bool(self.octets and octets > self.octets))

    def add(self, octets: int, messages: int) -> None:
        """So much was added to the user's folders; less than zero for what was removed."""
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:       # it will be counted when somebody asks
            return
        except OSError:                 # nor can it be removed, or we cannot know
            fd = -1
        line = maildirsize.line(octets, messages)
        try:
            if fd < 0 or os.write(fd, line) < len(line):
                self._forget()
        except OSError:                 # no room for a line: what is wrong by now has to go
            self._forget()
        finally:
            if fd >= 0:
                os.close(fd)

    def _forget(self) -> None:
        """Have it counted by whoever asks next.  Mail goes on if even that fails: a long file is counted anew too."""
        try:
            unlinked(self._path)
        except OSError:
            return

    def _exceeded(self, octets: int, messages: int) -> bool:
        return bool(self.octets and octets > self.octets) or bool(self.messages and messages > self.messages)

    def _read(self) -> "tuple[int, int, bool] | None":
        """(octets, messages, is it just counted) from the file; None if that has to be counted anew."""
        try:
            with open(self._path, "rb", buffering=0) as file:
                data = file.read(maildirsize.MOST + 1) or b""
                age = time.time() - os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        definition, _, lines = data.partition(b"\n")
        try:
            limits = maildirsize.limits(definition)
            octets, messages = maildirsize.sums(lines)
        except ValueError:
            return None
        if not (self.octets or self.messages):
            self.octets, self.messages = limits
        if not lines or len(data) > maildirsize.MOST or octets < 0 or messages < 0:
            return None
        if limits != (self.octets, self.messages):
            return None
        return octets, messages, lines.count(b"\n") <= 1 and 0 <= age < FRESH

    def _count(self) -> tuple[int, int]:
        """Count all messages, and write the sum down unless somebody was delivering meanwhile."""
        folders = [self._root, *subfolders(self._root)]
        before = _changed(folders)
        octets = messages = 0
        for folder in folders:
            size, count = _counted(folder)
            octets, messages = octets + size, messages + count
        new = b"%s/tmp/maildirsize.%d.%s" % (self._root, os.getpid(), os.urandom(8).hex().encode())
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(maildirsize.header(self.octets, self.messages) + maildirsize.line(octets, messages))
            os.rename(new, self._path)
        except OSError:                 # no room: it is counted every time
            unlinked(new)
            return octets, messages
        if _changed(folders) != before:
            unlinked(self._path)        # a line may have gone into the file that it replaced
        return octets, messages


def subfolders(root: bytes) -> list[bytes]:
    """The paths of the folders beside the inbox: Maildir++ has them in its root, with a dot in front."""
    return sorted(root + b"/" + name for name in os.listdir(root)
                  if name.startswith(b".") and os.path.isdir(root + b"/" + name + b"/cur"))


def _changed(folders: list[bytes]) -> list[int]:
    found = []
    for folder in folders:
        for place in (b"/new", b"/cur"):
            try:
                found.append(os.stat(folder + place).st_mtime_ns)
            except FileNotFoundError:
                found.append(0)
    return found


def _counted(folder: bytes) -> tuple[int, int]:
    """(octets, messages) of one folder."""
    octets = messages = 0
    for place in (b"/new/", b"/cur/"):
        try:
            names = os.listdir(folder + place)
        except FileNotFoundError:       # the folder was removed
            continue
        for name in names:
            size = maildirnames.size(name)
            if size is None:
                try:
                    size = os.lstat(folder + place + name).st_size
                except FileNotFoundError:
                    continue
            if not name.startswith(b"."):
                octets, messages = octets + size, messages + 1
    return octets, messages
