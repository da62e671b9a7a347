"""Queries of an SQLite database that change nothing, whatever their text is, and that end.

A database is opened for each query, so that none is held by a process that forks, and each query sees the file that
is there now.
"""

import sqlite3
import time
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEPS = 10_000          # of SQLite's machine, between two looks at the clock
LONGEST = 1 << 20       # octets of one value, or one row
MOST = 16 << 20         # octets and characters of all values that are found
WAIT = 1.0              # seconds for somebody who writes
ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}

# two statements are a Warning before Python 3.12, and a number of more than 64 bits is an OverflowError
TROUBLE = (sqlite3.Error, sqlite3.Warning, OverflowError)


class NotAnswered(Exception):
    """A query failed; the text says why."""


def rows(path: str, sql: str, values: Mapping[str, object], seconds: float, most: int) -> "list[dict[str, Any]]":
    """The rows that a query finds, each by the names of its columns.

    Raises NotAnswered when it fails, takes longer than `seconds`, or finds more than `most` rows or MOST octets.
    """
    connection, left = None, MOST
    found: list[dict[str, Any]] = []
    try:
        connection = _opened(path, seconds)
        cursor = connection.execute(sql, values)
        names = _names(cursor)
        for row in cursor:
            left -= sum(len(value) for value in row if isinstance(value, str | bytes))
            if len(found) == most or left < 0:
                raise NotAnswered(f"more than {most} rows" if left >= 0 else f"more than {MOST} octets")
            found.append(dict(zip(names, row)))
    except TROUBLE as error:
        raise NotAnswered("it took too long" if str(error) == "interrupted" else str(error)) from None
    finally:
        if connection is not None:
            connection.close()
    return found


def check(path: str, sql: str, names: "list[str]") -> None:
    """Raise ValueError unless this is one query of the database that reads, with parameters of these names."""
    connection = None
    try:
        connection = _opened(path, WAIT)
        _names(connection.execute(sql, dict.fromkeys(names)))       # one step, for which SQLite looks at all of it
    except (*TROUBLE, NotAnswered) as error:
        if str(error) != "interrupted":
            raise ValueError(str(error)) from None
    finally:
        if connection is not None:
            connection.close()


def _names(cursor: sqlite3.Cursor) -> list[str]:
    names = [column[0] for column in cursor.description or ()]
    if not names:
        raise NotAnswered("it is no query")
    if len(set(names)) < len(names):
        raise NotAnswered("two columns have the same name; say AS")
    return names


def _opened(path: str, seconds: float) -> sqlite3.Connection:
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=WAIT)
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    connection.set_authorizer(_authorized)
    return connection


def _authorized(action: int, *about: "str | None") -> int:
    """What a query may do: read, and call functions but for the two that run code of somebody's."""
    if action not in ALLOWED or "fts3_tokenizer" in about or "load_extension" in about:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
