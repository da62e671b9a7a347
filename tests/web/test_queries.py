"""Queries as methods."""

import sqlite3
from datetime import datetime

import pytest

from daemons.web.methods import Registry
from daemons.web.queries import Bounds, queries
from daemons.wire import faults
from daemons.wire.faults import Fault

TEXT = """database: {path}

# Those with an id below.
below(id: int, name: str): SELECT id, name FROM t
    WHERE id < :id AND name <> :name ORDER BY id
like(what): SELECT :what AS what
all: SELECT * FROM t
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a file of queries; its path."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, name TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, "one"), (2, None), (3, "three")])
    connection.close()

    def written(text=TEXT):
        file = tmp_path / "queries"
        file.write_text(text.format(path=path))
        return str(file)
    return written


@pytest.fixture
def registry(write):
    found = Registry()
    found.add(queries(write())[1])
    return found


def test_methods(write):
    path, methods = queries(write())
    assert path.endswith("shop.db")
    assert [(one.name, one.help, str(one.signature)) for one in methods] == [
        ("below", "Those with an id below.", "(id: int, name: string) -> array"), ("like", "", "(what) -> array"),
        ("all", "", "() -> array")]


def test_calls(registry):
    assert registry.call("below", [3, "three"]) == [{"id": 1, "name": "one"}]
    assert registry.call("below", {"name": "one", "id": 9}) == [{"id": 3, "name": "three"}]
    assert registry.call("like", [datetime(2026, 1, 2)]) == [{"what": "2026-01-02T00:00:00"}]
    assert registry.call("like", ["'; DROP TABLE t; --"]) == [{"what": "'; DROP TABLE t; --"}]
    assert len(registry.call("all", [])) == 3


@pytest.mark.parametrize("name, params, code, why", [
    ("below", ["3", "x"], faults.INVALID_PARAMS, "below: parameter id must be a whole number"),
    ("below", [3], faults.INVALID_PARAMS, "below: takes 2 parameters, not 1"),
    ("like", [[1]], faults.APPLICATION_ERROR, "like: "), ("like", [2**70], faults.APPLICATION_ERROR, "like: ")])
def test_faults(registry, name, params, code, why):
    with pytest.raises(Fault, match=why) as caught:
        registry.call(name, params)
    assert caught.value.code == code


def test_bounds(write):
    found = Registry()
    found.add(queries(write(), Bounds(5.0, 2))[1])
    with pytest.raises(Fault, match="all: more than 2 rows"):
        found.call("all", [])


@pytest.mark.parametrize("line, why", [
    ("a: DELETE FROM t", "line 2: a: not authorized"), ("a(b): SELECT 1 AS c", "line 2: a: the SQL does not use :b"),
    ("a: SELECT :b AS b", "line 2: a: .*binding"), ("a b: SELECT 1 AS a", "line 2: a b: not the name of a method"),
    ("_a: SELECT 1 AS a", "line 2: _a: not the name"), ("a SELECT", "line 2: not a line")])
def test_what_is_no_query_stops_the_start(write, line, why):
    with pytest.raises(ValueError, match=f"queries: {why}"):
        queries(write("database: {path}\n" + line))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        queries(str(tmp_path / "none"))
