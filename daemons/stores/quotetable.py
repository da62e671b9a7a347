"""Quotes in an SQLite database:

    CREATE TABLE quotes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, offensive INTEGER NOT NULL DEFAULT 0);

They are read once, when the program starts, so that nothing of the database is open afterwards.
"""

import sqlite3
from collections.abc import Container

MOST = 100_000          # quotes
LONGEST = 4096          # characters in one; what is longer fits nowhere


def quotes(path: str, offensive: Container[bool]) -> list[bytes]:
    """The quotes in the database at `path`, in the order of their ids; ValueError when they cannot be read."""
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        connection = sqlite3.connect(f"file:{name}?mode=ro", uri=True)
        try:
            connection.text_factory = bytes
            rows = connection.execute("SELECT CAST(text AS TEXT), offensive FROM quotes WHERE length(text) <= ? "
                                      "ORDER BY id LIMIT ?", (LONGEST, MOST)).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ValueError(f"{path}: {error}") from None
    return [text for text, flag in rows if bool(flag) in offensive]
