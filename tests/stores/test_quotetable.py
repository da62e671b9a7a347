"""Quotes in an SQLite table."""

import sqlite3

import pytest

from daemons import qotd
from daemons.stores import quotetable
from daemons.stores.quotetable import LONGEST, quotes

TABLE = " ".join(quotetable.__doc__.split("\n\n")[1].split())


def database(folder, *rows, table=TABLE, name="quotes.db"):
    path = str(folder / name)
    connection = sqlite3.connect(path)
    connection.execute(table)
    connection.executemany("INSERT INTO quotes (text, offensive) VALUES (?, ?)", rows)
    connection.commit()
    connection.close()
    return path


def test_the_table_is_the_documented_one(tmp_path):
    assert TABLE in qotd.__doc__
    assert quotes(database(tmp_path, ("one\ntwo", 0), ("naïve", 0)), (False,)) == [b"one\ntwo", "naïve".encode()]


def test_offensive_ones_are_read_where_that_is_wanted(tmp_path):
    path = database(tmp_path, ("nice", 0), ("rude", 1))
    assert quotes(path, (False,)) == [b"nice"] and quotes(path, (True,)) == [b"rude"]
    assert quotes(path, (False, True)) == [b"nice", b"rude"]


def test_what_fits_nowhere_is_left_there(tmp_path):
    assert quotes(database(tmp_path, ("x" * (LONGEST + 1), 0), ("short", 0), (7, 0)), (False,)) == [b"short", b"7"]


@pytest.mark.parametrize("name", ["a?mode=rwc", "a#b", "a%20b"])
def test_a_path_is_a_path(tmp_path, name):
    assert quotes(database(tmp_path, ("one", 0), name=name), (False,)) == [b"one"]


def test_what_cannot_be_read_is_said_with_its_path_and_nothing_is_made(tmp_path):
    (tmp_path / "text").write_text("no database")
    other = database(tmp_path, table="CREATE TABLE quotes (text, offensive)", name="other")     # no id
    for path in (str(tmp_path / "missing"), str(tmp_path / "text"), other):
        with pytest.raises(ValueError, match=path):
            quotes(path, (False,))
    assert not (tmp_path / "missing").exists()
