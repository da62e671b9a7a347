"""Databases by their names: a path is SQLite's, postgresql://USER@HOST/DATABASE is PostgreSQL's, through psycopg.

SQLite's file is for its owner, and its group if somebody says so: mode 0600 when we make it, and not taken if others
may read it.  It is in WAL mode, in which readers wait for nobody, and what was committed is on the disk.  Its folder
must be ours to write, too.  A password for PostgreSQL belongs into ~/.pgpass: arguments are shown to everybody by ps.
"""

import errno
import os
import stat
from collections.abc import Callable

from .libraries import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WAIT = 10                       # seconds for somebody who writes, or for a server to answer
LONGEST = 60                    # seconds that one statement may take a server
MODE = 0o600                    # of a new file
KINDS = "a path, sqlite:PATH or postgresql://..."
THEIR_LOCK = 0x6664305f73716c   # any number that nobody else locks


class Driver:
    """A DB-API module, and what is its own: connections must be in its autocommit mode.

    name            what messages call the database
    connect         makes a connection
    begin           the statement that begins a transaction which may change something
    lock            the statement in a transaction that keeps others from changing the schema
    exists          the query that finds a row if there is the table fd0_schema
    stamp           tells one database from another in its place
    may_be_lost     can a connection be lost, so that it is worth trying another?
    """

    __slots__ = ("begin", "connect", "exists", "lock", "may_be_lost", "module", "name", "stamp")

    def __init__(self, name: str, module: "Any", connect: "Callable[[], Any]", exists: str, begin: str = "BEGIN",
                 lock: str = "", stamp: Callable[[], object] = lambda: None, may_be_lost: bool = True) -> None:
        self.name, self.module, self.connect, self.exists, self.begin = name, module, connect, exists, begin
        self.lock, self.stamp, self.may_be_lost = lock, stamp, may_be_lost


def driver(dsn: str, create: bool = False) -> Driver:
    """The driver for a database's name; `create` makes a file that is not there.  Raises ValueError, OSError."""
    if dsn.startswith(("postgresql://", "postgres://")):
        return _postgresql(dsn)
    path = dsn.removeprefix("sqlite:")
    if "://" in path or not path:
        raise ValueError(f"{path.partition('://')[0]!r} is no kind of database: say {KINDS}")
    return _sqlite(os.path.abspath(path), create)


# -- SQLite --


def _sqlite(path: str, create: bool) -> Driver:
    import sqlite3
    if create and not os.path.lexists(path):
        _make(path, sqlite3)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: not a plain file")
    if status.st_mode & stat.S_IRWXO:
        raise ValueError(f"{path}: others may read or write it: chmod o-rwx")
    for place in (path, os.path.dirname(path)):
        if not os.access(place, os.R_OK | os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{name}?mode=rw", uri=True, timeout=WAIT, isolation_level=None,
                                     check_same_thread=False)       # a thread that ended closes nothing by itself
        connection.execute("PRAGMA foreign_keys = ON").close()
        connection.execute("PRAGMA synchronous = FULL").close()
        return connection

    return Driver(path, sqlite3, connect, "SELECT 1 FROM sqlite_master WHERE name = 'fd0_schema'",
                  begin="BEGIN IMMEDIATE", stamp=lambda: _identity(path), may_be_lost=False)


def _make(path: str, sqlite3: "Any") -> None:
    """An empty database in WAL mode: there as a whole or not at all, by whoever was the first.  Raises OSError.

    What root makes in somebody's folder is that one's: programs are not root.
    """
    folder, temporary = os.path.dirname(path), f"{path}.{os.urandom(8).hex()}.new"
    owner = os.stat(folder)
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        if os.geteuid() == 0:
            os.fchown(fd, owner.st_uid, owner.st_gid)
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")         # writes the first page
        except sqlite3.OperationalError as error:               # SQLite does not tell a full disk from others
            raise OSError(errno.ENOSPC, str(error), path) from None
        finally:
            connection.close()
        os.fsync(fd)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return                      # somebody was quicker, and made the same
    finally:
        os.close(fd)
        os.unlink(temporary)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _identity(path: str) -> tuple[int, int] | None:
    """Which file it is, so that a copy that was put in its place is seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None                     # the connection that is to be made next says why
    return status.st_dev, status.st_ino


# -- PostgreSQL --


def _postgresql(dsn: str) -> Driver:
    psycopg = library("psycopg", "python3-psycopg, or psycopg[binary] of PyPI")
    where = dsn.partition("://")[2].partition("?")[0]
    name = f"postgresql://{where.rpartition('@')[2]}"               # without a user's password

    def connect() -> "Any":
        patience = {} if "connect_timeout=" in dsn else {"connect_timeout": WAIT}
        connection = psycopg.connect(dsn, autocommit=True, client_encoding="utf8", **patience)
        connection.execute(f"SET statement_timeout = '{LONGEST}s'")
        return connection

    # the table itself is asked: to_regclass() may remember, from before the lock, that there was none
    exists = "SELECT 1 FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) AND tablename = 'fd0_schema'"
    return Driver(name, psycopg, connect, exists, lock=f"SELECT pg_advisory_xact_lock({THEIR_LOCK})")
