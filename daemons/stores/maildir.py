"""Folders of a Maildir: what is in them, whoever else delivers, reads, flags and deletes there at the same time.

A message's name changes with its flags, and a scan of a folder may miss what is renamed meanwhile.  So a message
is known by what of its name never changes (its key), is looked for again whenever it is not where it was, and is
taken for gone only when several scans in a row have not seen it.  Every look is a scan: no time of a folder decides
whether there is something new, since two deliveries may come within one tick of the clock.

UIDs and what else costs time to find out come from the index (mailindex); a program that only delivers never opens
it.  Several processes may use a folder at once; an object here belongs to one conversation.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from ..wire import maildirnames
from ..wire.lineendings import ToWire
from .durable import synced, unlinked
from .maildelivery import NO_SECOND_NAME, Delivery, unique
from .maildirquota import Quota, subfolders
from .mailmessage import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import FileIO
    from typing import TypeVar

    from .mailindex import Index

    Done = TypeVar("Done")

SCANS = 3               # looks without a sight of it before a message is taken for gone
PIECE = 1 << 16         # octets that are read at once
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
PLACES = (b"tmp", b"new", b"cur")


class Expunged(Exception):
    """The message is gone."""


class Folder:
    """A folder, for a `with` block or with close(): the inbox at this path, or one that `beside` gives.

    `quota` is that of its user; without one, it is what maildirsize says.  Until `create` was called, or somebody
    else has made it, other methods raise FileNotFoundError.
    """

    def __init__(self, path: str, quota: "Quota | None" = None) -> None:
        self.path = os.fsencode(path)
        self.quota = quota or Quota(path)
        self._is_inbox = True
        self._opened: Index | None = None

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def beside(self, name: bytes) -> "Folder":
        """Another folder of the user whose inbox this is, by its name in the file system without the dot in front."""
        folder = Folder(os.fsdecode(self.path + b"/." + name), self.quota)
        folder._is_inbox = False
        return folder

    def names(self) -> list[bytes]:
        """The names of all folders beside this inbox, as `beside` takes them, sorted."""
        return [os.path.basename(path)[1:] for path in subfolders(self.path)]

    def create(self) -> None:
        """Make the folder, and those above, if it is not there; it is on the disk then.  Raises OSError."""
        missing, above = [], self.path
        while not os.path.isdir(above):
            missing.append(above)
            above = os.path.dirname(above) or b"."
        made = [path for path in (*reversed(missing), *(self.path + b"/" + place for place in PLACES)) if _made(path)]
        if missing and not self._is_inbox:              # Maildir++ marks them
            os.close(os.open(self.path + b"/maildirfolder", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for path in dict.fromkeys(os.path.dirname(path) or b"." for path in made):
            synced(path)

    # -- what is there --

    @property
    def index(self) -> "Index":
        """The index, for `validity`, `next`, `modseq` and `guid`, and for `trouble`: why it cannot be written."""
        if self._opened is None:
            from .mailindex import Index
            self._opened = Index(self.path)
        return self._opened

    def messages(self) -> list[Message]:
        """All messages by their UIDs; those that could not be numbered (0) are at the end.  Raises OSError."""
        known = self.index.messages()
        found = self._scan()
        for _ in range(SCANS - 1):
            if known.keys() <= found.keys():
                break
            found.update(self._scan())
        else:
            known = self._without_those_gone(known, found)
        new, changed = [], []
        for key, message in known.items():
            name = found.get(key)
            if name is None:            # it came after our scans, and others have seen it already
                continue
            if not message.uid or message.date < 0:
                new.append((message, name))
                continue
            message.name = name
            if name.partition(b":2,")[2] != message.flags and maildirnames.flags(name) != message.flags:
                message.flags = maildirnames.flags(name)
                changed.append(message)
        new += [(Message(key), found[key]) for key in found.keys() - known.keys()]
        looked_at = [self._looked_at(message, name) for message, name in new]
        if looked_at:
            self.index.number(message for message in looked_at if message)
        if changed:
            self.index.note_flags(changed)
        there = [message for key, message in self.index.known.items() if message.date >= 0 and key in found]
        there.sort(key=attrgetter("uid"))
        if there and not there[0].uid:
            there.sort(key=_place)
        return there

    def _without_those_gone(self, known: dict[bytes, Message], found: dict[bytes, bytes]) -> dict[bytes, Message]:
        """Have the index forget what no scan has found; returns what it knows then."""
        if known.keys() <= found.keys():
            return known
        if not found.keys() <= known.keys():
            self.index.mistrust()       # one is gone and one is new: are they two, or is one damaged in the index?
            known = self.index.messages()
        self.index.forget(known.keys() - found.keys())
        return self.index.known

    def measure(self, messages: Iterable[Message]) -> None:
        """Count the octets on the wire of those that nobody has counted; those that are gone stay at -1."""
        measured = []
        for message in messages:
            if message.virtual < 0:
                try:
                    message.virtual = self._length(message)
                except Expunged:
                    continue
                measured.append(message)
        if measured:
            self.index.note_sizes(measured)

    def stamp(self) -> tuple[int, int]:
        """The times of new/ and cur/, for who watches them: once they differ there is something new to be seen.

        If they are the same there may be all the same, in the same tick of the clock: whoever waits looks once
        more after he has begun to watch (inotify(7)), and does not rely on these alone.
        """
        return os.stat(self.path + b"/new").st_mtime_ns, os.stat(self.path + b"/cur").st_mtime_ns

    # -- one message --

    def open(self, message: Message) -> "FileIO":
        """The message's file, for reading, whatever its name is by now; raises Expunged, and OSError."""
        fd = self._wherever(message, lambda path: os.open(path, READ))
        from io import FileIO
        return FileIO(fd)

    def octets(self, message: Message) -> Iterator[bytes]:
        """The message as it goes over the wire, in pieces of some ten thousand octets, with CR LF after each line."""
        wire = ToWire()
        yield from map(wire.octets, self._pieces(message))
        if rest := wire.rest():
            yield rest

    def flag(self, message: Message, add: bytes = b"", remove: bytes = b"") -> None:
        """Give it these flags and take others away, in cur/; somebody else's changes stay.  Raises Expunged."""
        def rename(path: bytes) -> None:
            name = os.path.basename(path)
            letters = bytes(set(maildirnames.flags(name)) - set(remove) | set(add))
            new = b"cur/" + maildirnames.flagged(name, letters)
            if new != message.name:
                os.rename(path, self.path + b"/" + new)
                message.name, message.flags = new, maildirnames.flags(new)

        self._wherever(message, rename)
        self.index.note_flags([message])

    def accept(self, messages: Iterable[Message]) -> list[Message]:
        """Move those that are in new/ to cur/; returns which: to whoever has moved it a message is recent."""
        moved = []
        for message in messages:
            if message.name.startswith(b"new/"):
                name = maildirnames.flagged(message.name[4:], maildirnames.flags(message.name))
                try:
                    os.rename(self.path + b"/" + message.name, self.path + b"/cur/" + name)
                except FileNotFoundError:               # somebody else did, or it is gone
                    continue
                message.name = b"cur/" + name
                moved.append(message)
        return moved

    def remove(self, messages: Iterable[Message]) -> "list[tuple[Message, OSError]]":
        """Remove messages; they stay removed once this returns.  Returns those that could not be, and why.

        The files go first and what is noted about them after: if we are killed in between, the rest is still there
        and whoever looks next finds out.
        """
        gone, failed = [], []
        for message in messages:
            try:
                self._wherever(message, os.unlink)
            except Expunged:
                gone.append(message)                    # by somebody else, who counts it
            except OSError as error:
                failed.append((message, error))
            else:
                gone.append(message)
                self.quota.add(-message.size, -1)
        if gone:
            self.index.forget([message.key for message in gone])
            synced(self.path + b"/new")
            synced(self.path + b"/cur")
        return failed

    def copy(self, message: Message, folder: "Folder") -> bytes:
        """Put it into another folder as well, with its flags and date; returns its name there, when it is on the disk.

        Keywords (a to z) stay behind, as each folder has its own.  Raises Expunged, OverQuota, OSError.
        """
        folder.quota.check(message.size)
        return self._put(message, folder)

    def move(self, message: Message, folder: "Folder") -> bytes:
        """Put it into another folder of the same user; if we are killed meanwhile, it is in both.  As `copy`."""
        name = self._put(message, folder)
        for _, error in self.remove([message]):
            raise error
        return name

    def _put(self, message: Message, folder: "Folder") -> bytes:
        letters = bytes(letter for letter in message.flags if letter < ord("a"))
        stem = maildirnames.stem(os.path.basename(message.name))
        name = maildirnames.flagged(unique() + stem.removeprefix(message.key), letters)
        full = folder.path + b"/cur/" + name
        try:
            self._wherever(message, lambda path: os.link(path, full, follow_symlinks=False))
        except OSError as error:
            if error.errno not in NO_SECOND_NAME:
                raise
            with Delivery(folder, message.date) as delivery:
                for piece in self._pieces(message):
                    delivery.write(piece)
                return delivery.keep(flags=letters)
        try:
            synced(folder.path + b"/cur")
        except BaseException:
            unlinked(full)
            raise
        folder.quota.add(message.size, 1)
        return name

    # -- where a message is --

    def _scan(self) -> dict[bytes, bytes]:
        """{key: name below the folder} of all that can be seen: new/ first, since messages go from there to cur/."""
        found: dict[bytes, bytes] = {}
        twice = []
        for place in (b"new", b"cur"):
            for name in os.listdir(self.path + b"/" + place):
                if name[:1] == b".":
                    continue
                key = name.partition(b":")[0].partition(b",")[0]
                if key in found:
                    twice.append((found[key], place + b"/" + name))
                found[key] = place + b"/" + name
        for one, other in twice:
            self._part(one, other, found)
        return found

    def _part(self, one: bytes, other: bytes, found: dict[bytes, bytes]) -> None:
        """Two names with the same key: one file before and after it was renamed, or two that a tool has made."""
        seen = []
        for name in (one, other):
            try:
                status = os.lstat(self.path + b"/" + name)
                seen.append((name, status.st_dev, status.st_ino))
            except FileNotFoundError:
                continue
        if seen:
            found[maildirnames.key(os.path.basename(one))] = seen[0][0]
        if len(seen) == 2 and seen[0][1:] != seen[1][1:]:
            place, name = os.path.split(other)
            new = unique()
            renamed = place + b"/" + new + name.removeprefix(maildirnames.key(name))
            try:
                os.rename(self.path + b"/" + other, self.path + b"/" + renamed)
            except OSError:             # gone by now, or not ours to rename: it is seen once the other is gone
                return
            found[new] = renamed

    def _locate(self, message: Message) -> None:
        """Find out its name; raises Expunged."""
        for _ in range(SCANS):
            found = self._scan()
            if message.key in found:
                for each in (message, *self.index.known.values()):
                    each.name = found.get(each.key, each.name)
                return
        raise Expunged("the message is gone")

    def _wherever(self, message: Message, act: "Callable[[bytes], Done]") -> "Done":
        """Do something to the message's file, where it is by now; raises Expunged, and what `act` raises."""
        left = SCANS
        while True:                     # it ends: each turn needs somebody who has renamed the file in between
            try:
                return act(self.path + b"/" + message.name)
            except FileNotFoundError:
                before = message.name
                self._locate(message)
                left -= message.name == before
                if not left:            # it is not the message that is missing
                    raise

    def _looked_at(self, message: Message, name: bytes) -> "Message | None":
        """What its file tells of a message; None if it is gone, or is no message."""
        message.name = name
        try:
            status = self._wherever(message, os.lstat)
        except Expunged:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        message.flags, message.size = maildirnames.flags(message.name), status.st_size
        message.date = max(int(status.st_mtime), 0)
        if message.virtual < 0 and maildirnames.size(message.name) == status.st_size:
            virtual = maildirnames.virtual(message.name)        # who is wrong about the one may be about the other
            message.virtual = -1 if virtual is None else virtual
        if message.virtual >= 0 and not self._ends_in_line_end(message):
            message.virtual = -1        # names and lists tell two octets too few of such a message
        return message

    def _length(self, message: Message) -> int:
        wire = ToWire()
        return sum(map(wire.length, self._pieces(message))) + len(wire.rest())

    def _ends_in_line_end(self, message: Message) -> bool:
        if not message.size:
            return True
        try:
            fd = self._wherever(message, lambda path: os.open(path, READ))
        except (Expunged, OSError):     # whoever measures it finds out why
            return False
        try:
            return os.pread(fd, 1, message.size - 1) == b"\n"
        finally:
            os.close(fd)

    def _pieces(self, message: Message) -> Iterator[bytes]:
        with self.open(message) as file:
            while piece := file.read(PIECE):
                yield piece


def _place(message: Message) -> "tuple[bool, int, tuple[int, int, bytes]]":
    return not message.uid, message.uid, (0, 0, b"") if message.uid else maildirnames.order(message.key)


def _made(path: bytes) -> bool:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True
