"""SQL behind one face: a file of SQLite's, PostgreSQL through psycopg, or any other driver of the DB-API (PEP 249).

Statements are written once, with ? for each value and no value within them, in the SQL that all understand.  What
differs between databases, and how they are reached, is in sqldrivers.py.  Each thread of each process has a connection
of its own, made when it is first needed: none is carried through a fork, and one that was lost is made anew.  A
statement by itself is a transaction; several are one within `with store.changing() as change:`.
"""

import errno
import os
from _thread import _local
from collections.abc import Callable, Iterable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from .sqldrivers import Driver

VERSIONS = "CREATE TABLE fd0_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL)"
MARKS = {"numeric": ":{}", "named": ":v{}", "format": "%s", "pyformat": "%(v{})s"}

_strangers: "list[Any]" = []    # connections of the process that we were forked from: neither used nor closed by us


class Unavailable(OSError):
    """The database cannot be asked or changed now; `strerror` says why.  Peers are told to try again later."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EAGAIN, text)


class Conflict(ValueError):
    """What was to be added is there already, or refers to what is not."""


def spelled(sql: str, style: str) -> str:
    """A statement with ? for each value in the way that a driver wants it, its `paramstyle`."""
    if style == "qmark":
        return sql
    first, *rest = (sql.replace("%", "%%") if "format" in style else sql).split("?")
    return first + "".join(MARKS[style].format(at) + piece for at, piece in enumerate(rest, 1))


def given(values: Sequence[object], style: str) -> "Sequence[object] | dict[str, object]":
    """The values of a statement in the way that goes with it."""
    return {f"v{at}": value for at, value in enumerate(values, 1)} if style in ("named", "pyformat") else tuple(values)


class Store:
    """One database; `name` is what messages call it, with no password in it."""

    def __init__(self, driver: "Driver") -> None:
        self.driver, self.name = driver, driver.name
        self._style = driver.module.paramstyle
        module = driver.module
        self._ours = module.ProgrammingError, module.DataError, module.NotSupportedError    # mistakes of our statements
        self._mine = _local()           # of each thread: held, a _Held

    def rows(self, sql: str, *values: object) -> "list[tuple[Any, ...]]":
        """What a query finds; raises Unavailable."""
        cursor = self._begun(sql, values)
        try:
            return list(cursor.fetchall())
        except self.driver.module.Error as error:
            raise self._failure(error) from None
        finally:
            cursor.close()

    def row(self, sql: str, *values: object) -> "tuple[Any, ...] | None":
        """The first row that a query finds."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def changing(self) -> "Change":
        """A transaction, for a `with`: kept if that ends well, undone if by an exception."""
        return Change(self)

    def close(self) -> None:
        """Let go of this thread's connection; the next statement makes another."""
        held: _Held | None = self._mine.__dict__.pop("held", None)
        if held is not None:
            held.close()

    def migrate(self, part: str, steps: Sequence[Sequence[str]], create: bool = False) -> None:
        """See that the tables of a part of fd0 are there, as the statements of `steps` make and change them.

        The n-th step leads to version n.  Raises FileNotFoundError where there are none and `create` is not said,
        ValueError where a newer fd0 has made them, and Unavailable.
        """
        found = self._version(part)
        if found == 0 and not create:
            raise FileNotFoundError(errno.ENOENT, f"there are no {part} in it yet", self.name)
        if found < len(steps):
            with self.changing() as change:
                if self.driver.lock:
                    change.execute(self.driver.lock)
                if not change.rows(self.driver.exists):
                    change.execute(VERSIONS)
                found = self._version(part)     # which somebody may have changed meanwhile
                for step in steps[found:]:
                    for statement in step:
                        change.execute(statement)
                if found < len(steps):
                    change.execute("INSERT INTO fd0_schema (part, version) VALUES (?, ?) ON CONFLICT (part) "
                                   "DO UPDATE SET version = excluded.version", part, len(steps))
        if found > len(steps):
            raise ValueError(f"{self.name}: its {part} are of version {found}, by a newer fd0; this one knows only "
                             f"{len(steps)}")

    def _version(self, part: str) -> int:
        """Of a part's tables; 0 if there are none."""
        if not self.rows(self.driver.exists):
            return 0
        row = self.row("SELECT version FROM fd0_schema WHERE part = ?", part)
        return row[0] if row else 0

    # -- this thread's connection --

    def _begun(self, sql: str, values: Sequence[object]) -> "Any":
        """The cursor of a statement that is the first, or alone: where the connection was lost, of another try."""
        while True:
            held = self._held()
            try:
                cursor = (held or self._connected()).connection.cursor()
                try:
                    cursor.execute(spelled(sql, self._style), given(values, self._style))
                except BaseException:
                    cursor.close()
                    raise
                return cursor
            except self.driver.module.Error as error:
                failure = self._failure(error)
                if held is None or not self.driver.may_be_lost or not isinstance(failure, Unavailable):
                    raise failure from None

    def _connected(self) -> "_Held":
        held = self._mine.held = _Held(self.driver.connect(), self.driver.stamp())
        return held

    def _held(self) -> "_Held | None":
        """The connection that is ours, if there is one and it leads to where a new one would."""
        held: _Held | None = getattr(self._mine, "held", None)
        if held is None or held.pid != os.getpid() or held.stamp != self.driver.stamp():
            self.close()
            return None
        return held

    def _failure(self, error: Exception) -> Exception:
        """What to raise for an exception of the driver's; a connection that broke is given up."""
        if isinstance(error, self._ours):
            return error                # type: ignore[no-any-return]
        text = f"{self.name}: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"
        if isinstance(error, self.driver.module.IntegrityError):
            return Conflict(text)
        self.close()
        return Unavailable(text)


class Change:
    """A transaction that goes on."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> "Change":
        self._store._begun(self._store.driver.begin, ()).close()
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: BaseException | None,
                 trace: "TracebackType | None") -> None:
        held, store = self._store._held(), self._store
        if held is None:                # lost meanwhile, and undone with it
            if error is None:
                raise Unavailable(f"{store.name}: the connection was lost")
            return
        try:
            if kind is None:
                held.connection.commit()
            else:
                held.connection.rollback()
        except store.driver.module.Error as failure:
            raise store._failure(failure) from error

    def execute(self, sql: str, *values: object) -> int:
        """Do one statement; how many rows it changed.  Raises Conflict, Unavailable."""
        return self._run("execute", sql, given(values, self._store._style)).rowcount    # type: ignore[no-any-return]

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Do one statement for each row of values; raises Conflict, Unavailable."""
        self._run("executemany", sql, [given(row, self._store._style) for row in rows])

    def rows(self, sql: str, *values: object) -> "list[tuple[Any, ...]]":
        """What a query finds."""
        return list(self._run("execute", sql, given(values, self._store._style)).fetchall())

    def _run(self, how: str, sql: str, values: object) -> "Any":
        store, held = self._store, self._store._held()
        if held is None:                # a new connection would be outside of the transaction
            raise Unavailable(f"{store.name}: the connection was lost")
        cursor = held.connection.cursor()
        try:
            getattr(cursor, how)(spelled(sql, store._style), values)
        except store.driver.module.Error as error:
            raise store._failure(error) from None
        return cursor


class _Held:
    """A connection, the process that made it, and what it leads to; a thread that ends lets go of its own."""

    __slots__ = ("connection", "pid", "stamp")

    def __init__(self, connection: "Any", stamp: object) -> None:
        self.connection, self.stamp, self.pid = connection, stamp, os.getpid()

    def close(self, getpid: Callable[[], int] = os.getpid) -> None:
        """Close it, and undo what was not committed; in a child of the process that made it, only forget it.

        When the interpreter ends, what the name `os` stands for may be gone before us.
        """
        connection, self.connection = self.connection, None
        if connection is None:
            return
        if self.pid == getpid():
            connection.close()
        else:                           # closed, it would tell the server, or the file's locks, that we were the parent
            _strangers.append(connection)

    def __del__(self) -> None:
        self.close()
