"""What is known of a folder's messages, in SQLite beside them: found at once where reading 50,000 files takes minutes.

Nothing in it is the only copy.  The messages are files; their UIDs are in the list of mailuids, which the index
follows: it notes how far it has read there, and reads on where it finds the list longer, or all of it where it
finds another.  So an index that is lost or damaged is made again with the same UIDs and the same validity.  What
that costs is the modification sequence, which then goes on from the clock, and octets on the wire where a name does
not tell them (W=), which are counted again.  Without the list its numbers are those of the index; only without both
do all messages get new ones, and a new validity with them.  Unique ids of POP3 come from the files' names, or from the
program that had the folder before us, and never change.

Nothing in it depends on the times of folders: what is there is what a scan has found, every time.

Where it cannot be written, since the disk is full or the folder is for reading alone, readers go on: `trouble`
says why, what was learnt lasts as long as they do, and new messages have the UID 0 until they can be numbered.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..wire import maildirnames
from ..wire.uidlist import LAST, Entry
from .durable import unlinked
from .folderlock import InUse, Lock
from .mailmessage import Message
from .mailuids import UidList

NAME = b"fd0-index"
LAYOUT = 1              # of the tables; an index of another layout is made again
PATIENCE = 5.0          # seconds for others who write
SPARE = 1 << 16         # octets that those who are gone may take in the list, beyond those who are there
TABLES = """
CREATE TABLE folder (line BLOB NOT NULL, done INTEGER NOT NULL, validity INTEGER NOT NULL, next INTEGER NOT NULL,
                     guid BLOB NOT NULL, modseq INTEGER NOT NULL);
CREATE TABLE message (uid INTEGER PRIMARY KEY, key BLOB NOT NULL, size INTEGER NOT NULL, virtual INTEGER NOT NULL,
                      date INTEGER NOT NULL, flags BLOB NOT NULL, modseq INTEGER NOT NULL, uidl BLOB);
INSERT INTO folder VALUES (x'', 0, 0, 1, x'', 0);
"""
SELECT = "SELECT key, uid, size, virtual, date, flags, modseq, uidl FROM message"
INSERT = "INSERT OR REPLACE INTO message (key, uid, size, virtual, date, flags, modseq, uidl) VALUES (?,?,?,?,?,?,?,?)"
ODD = """SELECT count(*) FROM message WHERE typeof(key) != 'blob' OR typeof(size) != 'integer' OR
         typeof(virtual) != 'integer' OR typeof(date) != 'integer' OR typeof(flags) != 'blob' OR
         typeof(modseq) != 'integer' OR typeof(uidl) NOT IN ('blob', 'null') OR uid < 1"""
# of a damaged file SQLite may say why in octets that are no text
TROUBLE = (sqlite3.Error, UnicodeDecodeError)
# a file that is no index, or no whole one: damaged, no database, without our tables, cut short
BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR_SHORT_READ}


class _Standing:
    """The one row of the table `folder`."""

    __slots__ = ("done", "guid", "line", "modseq", "next", "validity")

    def __init__(self, line: bytes, done: int, validity: int, next: int, guid: bytes, modseq: int) -> None:
        self.line, self.done, self.validity, self.next = line, done, validity, next
        self.guid, self.modseq = guid, modseq


class Index:
    """The index of the folder at this path; whatever its state is, it opens."""

    def __init__(self, folder: bytes) -> None:
        self.trouble = ""               # why it cannot be written down, if it cannot
        self._folder, self._path, self._list = folder, folder + b"/" + NAME, UidList(folder)
        self.known: dict[bytes, Message] = {}           # all that we know of, with a UID or without, by their keys
        self._modseq = -1               # of the last change that `known` has
        try:
            # nobody puts another file in its place while SQLite opens one and its log, which is another file yet
            with Lock(folder + b"/cur", PATIENCE):
                self._db = _opened(self._path)
        except TROUBLE as error:
            self._replace(error)
        except (OSError, InUse) as error:
            self.trouble = str(error)
            self._db = _copied(self._path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # -- what is known --

    def messages(self) -> dict[bytes, Message]:
        """`known`, as it is by now; not for the caller to change."""
        for _ in range(2):
            try:
                self._settle()
                self._refresh()
                break
            except TROUBLE as error:
                self._replace(error)
        return self.known

    @property
    def validity(self) -> int:
        """The validity of the UIDs; 0 as long as it cannot be written down."""
        return self._standing().validity

    @property
    def next(self) -> int:
        """The least UID that the next message may get."""
        return self._standing().next

    @property
    def modseq(self) -> int:
        """The number of the last change."""
        return self._standing().modseq

    @property
    def guid(self) -> bytes:
        """The folder's own name, for ever."""
        return self._standing().guid

    # -- what is learnt --

    def number(self, new: Iterable[Message]) -> None:
        """Give UIDs to messages that have none, in the order of their delivery, and note what is known of them all."""
        found = {message.key: message for message in new}
        self.known.update(found)
        with self._trying(), Lock(self._folder + b"/cur", PATIENCE):
            self._catch_up()
            self._refresh()             # others may have been faster
            standing = self._standing()
            todo = sorted((one for one in found.values() if not one.uid), key=lambda one: maildirnames.order(one.key))
            if standing.next + len(todo) > LAST + 1:
                raise OSError("no UIDs are left in this folder")
            entries = [Entry(uid, one.key, _or_none(one.virtual), one.given_uidl)
                       for uid, one in enumerate(todo, standing.next)]
            if entries:
                standing.done = self._list.append(entries, standing.done)
                standing.next += len(entries)
            for one, entry in zip(todo, entries):
                one.uid = entry.uid
            self._note(standing, found.values())

    def mistrust(self) -> None:
        """Have all numbers read from the list again: SQLite does not see each damage to what it keeps."""
        with self._trying():
            self._db.execute("UPDATE folder SET line = x''")

    def forget(self, keys: Iterable[bytes]) -> None:
        """These messages are gone."""
        uids = [(self.known.pop(key).uid,) for key in keys if key in self.known]
        with self._trying():
            with self._writing():
                self._db.executemany("DELETE FROM message WHERE uid = ?", uids)
            self._tidy()

    def note_flags(self, messages: Iterable[Message]) -> None:
        """The flags of these messages are others now."""
        with self._trying():
            self._note(None, [one for one in messages if one.uid])

    def note_sizes(self, messages: Iterable[Message]) -> None:
        """The octets on the wire of these messages were counted."""
        with self._trying(), self._writing():
            self._db.executemany("UPDATE message SET virtual = ? WHERE uid = ?",
                                 [(one.virtual, one.uid) for one in messages if one.uid])

    # -- the list of UIDs --

    def _settle(self) -> None:
        """Follow the list of UIDs, if it is not as the index knows it."""
        standing = self._standing()
        try:
            if self._list.state() != (standing.line, standing.done):
                with Lock(self._folder + b"/cur", PATIENCE):
                    self._catch_up()
        except (OSError, InUse) as error:
            self.trouble = str(error)

    def _catch_up(self) -> None:
        """Under the numbering lock: make index and list agree."""
        standing, state = self._standing(), self._list.state()
        if state == (standing.line, standing.done):
            return
        same = state is not None and state[0] == standing.line
        try:
            if same and state is not None and state[1] < standing.done:
                raise ValueError("the list was cut short")
            header, entries, end = self._list.read(standing.done if same else 0)
        except (FileNotFoundError, ValueError):         # gone, or nothing that one could take for it
            self._renew(standing)
            return
        if state is not None and state[1] > end:
            self._list.cut(end)
        kept = {} if same else self._all()
        following = standing.next if header.validity == standing.validity else 1
        if not same:
            standing.line, standing.validity, standing.guid = header.line, header.validity, header.guid
        standing.done = end
        standing.next = max(header.next, following, entries[-1].uid + 1 if entries else 1)
        with self._writing():
            if not same:
                self._db.execute("DELETE FROM message")
                for one in self.known.values():
                    one.uid = 0
            self._advance(standing)
            self._store((_listed(entry, kept) for entry in entries), standing.modseq)
        self._modseq = self._modseq if same else -1

    def _renew(self, standing: _Standing) -> None:
        """Write a list that says what the index knows, or what another program's list says; or begin one."""
        entries = [Entry(one.uid, one.key, _or_none(one.virtual), one.given_uidl) for one in self._all().values()]
        foreign = None if standing.validity else self._list.foreign()
        if foreign:
            header, entries = foreign
            standing.validity, standing.guid = header.validity, header.guid
            standing.next = max(header.next, entries[-1].uid + 1 if entries else 1)
        standing.validity = standing.validity or min(max(int(time.time()), 1), LAST)
        standing.guid = standing.guid or os.urandom(16).hex().encode()
        standing.line, standing.done = self._list.rewrite(standing.validity, standing.next, standing.guid, entries)
        with self._writing():
            self._advance(standing)
            if foreign:
                self._store((_listed(entry, {}) for entry in entries), standing.modseq)

    def _tidy(self) -> None:
        """Write the list anew once most of it is about messages that are gone."""
        def live() -> int:
            return sum(len(key) + 24 for key in self.known)

        if self._standing().done <= 2 * live() + SPARE:
            return
        with Lock(self._folder + b"/cur", PATIENCE):
            self._catch_up()
            self._refresh()
            standing = self._standing()
            if standing.done > 2 * live() + SPARE:
                self._renew(standing)

    # -- the database --

    def _standing(self) -> _Standing:
        return _standing(self._db)

    def _all(self) -> dict[bytes, Message]:
        if self._db.execute(ODD).fetchone()[0]:
            raise _Damaged("rows that nobody has written")
        return {row[0]: Message(*row) for row in self._db.execute(SELECT + " ORDER BY uid")}

    def _refresh(self) -> None:
        """Take over what was changed since, by others too; each message stays the same object."""
        modseq = self._standing().modseq
        if modseq == self._modseq:
            return
        if self.known:
            for row in self._db.execute(SELECT + " WHERE modseq > ? ORDER BY uid", (self._modseq,)):
                known = self.known.get(row[0])
                if known is None:
                    self.known[row[0]] = Message(*row)
                else:
                    known.take(*row[1:])
        else:
            self.known = self._all()
        self._modseq = modseq

    def _advance(self, standing: _Standing) -> None:
        """Within a transaction: note the standing, with a number for the change that it is part of."""
        # a new index goes on where the one before cannot have come to
        standing.modseq = self._standing().modseq + 1 if standing.modseq else time.time_ns() // 1_000_000
        self._db.execute("UPDATE folder SET line = ?, done = ?, validity = ?, next = ?, guid = ?, modseq = ?",
                         (standing.line, standing.done, standing.validity, standing.next, standing.guid,
                          standing.modseq))

    def _note(self, standing: "_Standing | None", messages: Iterable[Message]) -> None:
        """In a transaction: write down messages as we know them, and perhaps another standing."""
        with self._writing():
            standing, before = standing or self._standing(), self._standing().modseq
            self._advance(standing)
            self._store(messages, standing.modseq)
        if before == self._modseq:
            self._modseq = standing.modseq              # there is nothing in it that we do not know

    def _store(self, messages: Iterable[Message], modseq: int) -> None:
        self._db.executemany(INSERT, _rows(messages, modseq))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction: all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _trying(self) -> Iterator[None]:
        """What is learnt would be written down here; if that cannot be, `trouble` says why and we know it anyway."""
        try:
            yield
        except TROUBLE as error:
            if _is_broken(error):
                self._replace(error)
            else:
                self.trouble = str(error)
        except (OSError, InUse) as error:
            self.trouble = str(error)

    def _replace(self, error: Exception) -> None:
        """Go on with a new file in the place of a broken one, or without a file for as long as we are here."""
        self.trouble, self._modseq = str(error), -1
        if _is_broken(error):
            try:
                with Lock(self._folder + b"/cur", PATIENCE):
                    for ending in (b"", b"-wal", b"-shm"):
                        unlinked(self._path + ending)
                    self._db = _opened(self._path)
                self.trouble = ""
                return
            except (*TROUBLE, OSError, InUse) as again:
                self.trouble = str(again)
        self._db = _copied(self._path)


class _Damaged(sqlite3.DatabaseError):
    """It is a database, but not the index."""


def _is_broken(error: Exception) -> bool:
    if isinstance(error, _Damaged | UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0)        # what Python says of its own has none
    return code in BROKEN or code & 0xff in BROKEN


def _standing(db: sqlite3.Connection) -> _Standing:
    row = db.execute("SELECT line, done, validity, next, guid, modseq FROM folder").fetchone()
    if row is None or tuple(map(type, row)) != (bytes, int, int, int, bytes, int):
        raise _Damaged("there is no row about the folder")
    return _Standing(*row)


def _opened(path: bytes) -> sqlite3.Connection:
    """The database at this path, with its tables; raises TROUBLE."""
    db = sqlite3.connect(os.fsdecode(path), timeout=PATIENCE, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        if db.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
            db.execute("PRAGMA journal_mode = WAL")
            _made(db)
        _standing(db)
    except BaseException:
        db.close()
        raise
    return db


def _made(db: sqlite3.Connection) -> None:
    """Make the tables, unless somebody else did meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
        for table in ("folder", "message"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in TABLES.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {LAYOUT}")
    db.execute("COMMIT")


def _copied(path: bytes) -> sqlite3.Connection:
    """A database in memory, with all that can still be read of the file: even opening it can need room on the disk."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    name = os.fsdecode(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        old = sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)
        try:
            old.backup(db)
        finally:
            old.close()
        if db.execute("PRAGMA user_version").fetchone()[0] == LAYOUT:
            _standing(db)
            return db
    except TROUBLE:                     # there is none, or it is broken: the list of UIDs has to do
        db.close()
        db = sqlite3.connect(":memory:", isolation_level=None)
    _made(db)
    return db


def _listed(entry: Entry, kept: dict[bytes, Message]) -> Message:
    """The message of a list's entry, with what was known of it before."""
    key = maildirnames.key(entry.name)
    known = kept.get(key) or Message(key, virtual=-1 if entry.virtual is None else entry.virtual)
    return Message(key, entry.uid, known.size, known.virtual, known.date, known.flags, 0,
                   known.given_uidl or entry.uidl)


def _rows(messages: Iterable[Message], modseq: int) -> "Iterator[tuple[bytes | int | None, ...]]":
    for one in messages:
        one.modseq = modseq
        yield (one.key, one.uid, one.size, one.virtual, one.date, one.flags, modseq, one.given_uidl)


def _or_none(virtual: int) -> "int | None":
    return None if virtual < 0 else virtual
