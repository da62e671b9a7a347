"""Queries that change nothing, and that end."""

import os
import sqlite3

import pytest

from daemons.stores.readonlysql import MOST, NotAnswered, check, rows

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n"


@pytest.fixture
def path(tmp_path):
    """A small database."""
    path = str(tmp_path / "a%?#.db")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, name TEXT, data BLOB)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(1, "one", b"\0\xff"), (2, "zwei", None)])
    connection.close()
    return path


def ask(path, sql, most=100, seconds=5.0, **values):
    """The rows."""
    return rows(path, sql, values, seconds, most)


def test_rows(path):
    assert ask(path, "SELECT * FROM t ORDER BY id") == [
        {"id": 1, "name": "one", "data": b"\0\xff"}, {"id": 2, "name": "zwei", "data": None}]
    assert ask(path, "SELECT name FROM t WHERE id > :least", least=1) == [{"name": "zwei"}]
    assert ask(path, "SELECT id FROM t WHERE 0") == []


@pytest.mark.parametrize("sql", [
    "DELETE FROM t", "INSERT INTO t VALUES (1, 2, 3) RETURNING id", "UPDATE t SET id = 3", "DROP TABLE t",
    "CREATE TABLE u (a)", "CREATE TEMP TABLE u (a)", "ATTACH '{other}' AS o", "PRAGMA user_version = 3",
    "PRAGMA journal_mode = WAL", "VACUUM", "VACUUM INTO '{other}'", "BEGIN", "SELECT load_extension('x') AS a",
    "SELECT fts3_tokenizer('simple') AS a", "SELECT 1 AS a; DELETE FROM t", "REINDEX", "",
    "SELECT * FROM pragma_database_list"])
def test_what_does_more_than_read_is_refused(path, tmp_path, sql):
    sql, other = sql.format(other=tmp_path / "other"), tmp_path / "other"
    with open(path, "rb") as file:
        before = file.read()
    with pytest.raises(NotAnswered):
        ask(path, sql)
    with pytest.raises(ValueError):
        check(path, sql, [])
    with open(path, "rb") as file:
        assert file.read() == before and not other.exists()


@pytest.mark.parametrize("sql, why", [
    ("SELECT * FROM nowhere", "no such table"), ("SELECT", "incomplete|syntax"), ("SELECT :a AS a", "binding"),
    ("SELECT 1 AS a, 2 AS a", "same name"), ("SELECT randomblob(20000000) AS a", "too big"),
    ("SELECT abs(-9223372036854775808) AS a", "overflow")])
def test_why_not(path, sql, why):
    with pytest.raises(NotAnswered, match=why):
        ask(path, sql)


def test_values_that_a_database_has_not(path):
    for value in (2**64, [1], {"a": 1}):
        with pytest.raises(NotAnswered):
            ask(path, "SELECT :value AS a", value=value)


def test_time_rows_and_octets_have_an_end(path):
    with pytest.raises(NotAnswered, match="too long"):
        ask(path, FOREVER, seconds=0.05)
    numbers = FOREVER.replace("count(*) AS c", "i")
    assert len(ask(path, f"{numbers} LIMIT 7", most=7)) == 7
    with pytest.raises(NotAnswered, match="more than 7 rows"):
        ask(path, numbers, most=7)
    with pytest.raises(NotAnswered, match=f"more than {MOST} octets"):
        ask(path, numbers.replace("SELECT i FROM", "SELECT zeroblob(1000000) AS z FROM"), most=100)


def test_what_can_be_checked_beforehand(path):
    check(path, "SELECT * FROM t WHERE id = :id", ["id"])
    check(path, FOREVER, [])            # it takes long, which is no mistake in it
    with pytest.raises(ValueError, match="binding"):
        check(path, "SELECT * FROM t WHERE id = :id", [])


def test_no_database(tmp_path):
    path = str(tmp_path / "none.db")
    with pytest.raises(NotAnswered, match="unable to open"):
        ask(path, "SELECT 1 AS a")
    (tmp_path / "none.db").write_bytes(os.urandom(4096))
    with pytest.raises(NotAnswered, match="not a database"):
        ask(path, "SELECT * FROM t")


def test_a_query_sees_what_is_there_now(path):
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO t VALUES (3, 'drei', NULL)")
    connection.close()
    assert ask(path, "SELECT max(id) AS most FROM t") == [{"most": 3}]
