"""The layer below accounts, queue and log store: spellings, transactions, schemas, lost connections, forks, threads."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from daemons.stores import sqldrivers
from daemons.stores.sqldrivers import driver
from daemons.stores.sqlstore import Conflict, Store, Unavailable, given, spelled
from tests.live import machine, postgresql
from tests.sources import ROOT
from tests.stores.places import KINDS, Place

STEPS = (("CREATE TABLE things (name TEXT PRIMARY KEY, size BIGINT)",),)
ADD = "INSERT INTO things (name, size) VALUES (?, ?)"


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    return Place(request.param, tmp_path)


@pytest.fixture
def store(place):
    """A store with an empty table of things."""
    found = place.store()
    found.migrate("things", STEPS, create=True)
    return found


@pytest.fixture
def away():
    """A server that the test may stop and start."""
    found = postgresql.server()
    yield found
    if not found.answers():
        found.start()


def add(store, *names):
    with store.changing() as change:
        for name in names:
            change.execute(ADD, name, 1)


def names(store):
    return sorted(row[0] for row in store.rows("SELECT name FROM things"))


# ------------------------------------------------------------------ statements

@pytest.mark.parametrize("style, sql, values", [
    ("qmark", "SELECT ? % ?", (1, 2)), ("numeric", "SELECT :1 % :2", (1, 2)), ("format", "SELECT %s %% %s", (1, 2)),
    ("named", "SELECT :v1 % :v2", {"v1": 1, "v2": 2}), ("pyformat", "SELECT %(v1)s %% %(v2)s", {"v1": 1, "v2": 2})])
def test_placeholders_as_each_driver_wants_them(style, sql, values):
    assert spelled("SELECT ? % ?", style) == sql and given([1, 2], style) == values


def test_values_are_values_whatever_is_in_them(store):
    nasty = ["'; DROP TABLE things; --", "%s %(v1)s :v1 ? ?1", "\u00e9\U0001f600", ""]
    add(store, *nasty)
    assert names(store) == sorted(nasty)
    assert [store.row("SELECT size FROM things WHERE name = ?", name) for name in nasty] == [(1,)] * len(nasty)
    assert store.row("SELECT size FROM things WHERE name = ?", "x") is None


def test_many_at_once(store):
    with store.changing() as change:
        change.many(ADD, ((f"n{number}", number) for number in range(500)))
        assert change.rows("SELECT count(*) FROM things") == [(500,)]
        assert change.execute("UPDATE things SET size = ? WHERE size < ?", 7, 100) == 100
        assert change.execute("DELETE FROM things WHERE name = ?", "x") == 0
    assert store.rows("SELECT count(*) FROM things WHERE size = ?", 7) == [(100,)]
    assert store.row("SELECT size FROM things WHERE name = ?", "n499") == (499,)


# ------------------------------------------------------------------ transactions

def test_an_exception_undoes_the_whole(store):
    add(store, "one")
    with pytest.raises(LookupError), store.changing() as change:
        change.execute(ADD, "two", 2)
        raise LookupError
    with pytest.raises(Conflict), store.changing() as change:
        change.execute(ADD, "three", 3)
        change.execute(ADD, "one", 3)
    with pytest.raises(Conflict), store.changing() as change:
        change.many(ADD, [("four", 4), ("four", 4)])
    assert names(store) == ["one"]
    add(store, "two")
    assert names(store) == ["one", "two"]


def test_a_change_is_not_seen_before_it_is_whole(store, place):
    other = place.store()
    with store.changing() as change:
        change.execute(ADD, "one", 1)
        assert names(other) == []
    assert names(other) == ["one"]


def test_a_mistake_in_a_statement_is_no_outage(store):
    for sql in ("SELECT nonsense FROM things", "SELEKT 1"):
        with pytest.raises((store.driver.module.ProgrammingError, Unavailable)):
            store.rows(sql)
    add(store, "one")
    assert names(store) == ["one"]


# ------------------------------------------------------------------ schemas

def test_a_schema_goes_up_step_by_step(place):
    store = place.store()
    with pytest.raises(FileNotFoundError, match="there are no things in it yet"):
        store.migrate("things", STEPS)
    store.migrate("things", STEPS, create=True)
    add(store, "old")
    longer = (*STEPS, ("ALTER TABLE things ADD COLUMN colour TEXT", "UPDATE things SET colour = 'red'"), ())
    place.store().migrate("things", longer)             # one that is there may always be brought up
    place.store().migrate("things", longer)
    assert store.rows("SELECT name, colour FROM things") == [("old", "red")]
    with pytest.raises(ValueError, match=r"its things are of version 3, by a newer fd0; this one knows only 1"):
        store.migrate("things", STEPS)
    store.migrate("others", (("CREATE TABLE others (name TEXT)",),), create=True)
    assert sorted(store.rows("SELECT part, version FROM fd0_schema")) == [("others", 1), ("things", 3)]


def test_a_step_that_fails_leaves_what_was(place):
    store = place.store()
    store.migrate("things", STEPS, create=True)
    add(store, "old")
    broken = (*STEPS, ("ALTER TABLE things ADD COLUMN colour TEXT", "ALTER TABLE nothing ADD COLUMN x TEXT"))
    with pytest.raises((store.driver.module.ProgrammingError, Unavailable)):
        store.migrate("things", broken)
    store.migrate("things", STEPS)
    with pytest.raises((store.driver.module.ProgrammingError, Unavailable)):
        store.rows("SELECT colour FROM things")


def test_those_who_come_together_make_one_schema(place):
    failures, start = [], threading.Barrier(6)

    def make():
        try:
            start.wait(20)
            place.store().migrate("things", STEPS, create=True)
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == [] and names(place.store()) == []


# ------------------------------------------------------------------ threads, forks

def test_each_thread_has_a_connection_which_goes_with_it(store):
    add(store, "main")
    mine, seen = store._held().connection, []

    def other():
        add(store, "other")
        seen.append(store._held().connection)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join(20)
    assert len(seen) == 1 and seen[0] is not mine and store._held().connection is mine
    with pytest.raises((store.driver.module.ProgrammingError, store.driver.module.OperationalError)):
        seen[0].cursor().execute("SELECT 1")            # closed
    assert names(store) == ["main", "other"]


def test_a_child_makes_its_own_and_leaves_its_parents_alone(store):
    add(store, "parent")
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                add(store, f"child{number}")
                store.close()
                status = 0 if len(names(store)) == number + 2 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert len(names(store)) == number + 2
    add(store, "again")
    assert len(names(store)) == 5


# ------------------------------------------------------------------ PostgreSQL that goes away

def test_a_connection_that_was_lost_is_made_anew(away):
    store = Store(driver(away.schema()))
    store.migrate("things", STEPS, create=True)
    add(store, "one")
    first = cut(away, store)
    assert names(store) == ["one"] and store._held().connection is not first
    cut(away, store)
    add(store, "two")
    assert names(store) == ["one", "two"]


def cut(server, store):
    """Have the server end this store's connection; returns that."""
    connection = store._held().connection
    server.sql(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 10000)")
    return connection


def test_what_was_half_done_when_it_was_lost_is_undone_and_told(away):
    store = Store(driver(away.schema()))
    store.migrate("things", STEPS, create=True)
    with pytest.raises(Unavailable), store.changing() as change:
        change.execute(ADD, "one", 1)
        cut(away, store)
        change.execute(ADD, "two", 1)
    with pytest.raises(Unavailable), store.changing() as change:
        change.execute(ADD, "three", 1)
        cut(away, store)
    assert names(store) == []


def test_while_it_is_away_nothing_is_said_of_it_but_that(away):
    dsn = away.schema()
    secretive = dsn.replace("postgres@", "postgres:open%20sesame@")
    store = Store(driver(secretive))
    store.migrate("things", STEPS, create=True)
    add(store, "one")
    away.stop()
    for _ in range(2):
        with pytest.raises(Unavailable) as error:
            names(store)
        assert isinstance(error.value, OSError) and error.value.filename is None
        assert error.value.strerror.startswith("postgresql:///postgres: ") and "sesame" not in error.value.strerror
    with pytest.raises(Unavailable):
        add(store, "two")
    away.start()
    assert names(store) == ["one"]
    add(store, "two")


@pytest.mark.parametrize("dsn, name", [
    ("postgresql://me:secret@db.example/mail?sslmode=require", "postgresql://db.example/mail"),
    ("postgres://me:se@cret@db.example:5432/mail?password=x", "postgresql://db.example:5432/mail"),
    ("postgresql:///mail", "postgresql:///mail")])
def test_no_password_is_in_the_name(dsn, name):
    postgresql.server()                                 # or there is no psycopg, either
    assert Store(driver(dsn)).name == name


WITHOUT_PACKAGES = """
import sys
sys.path[:] = [sys.argv[1], *(path for path in sys.path if not path.endswith("-packages"))]
from daemons.stores.sqldrivers import driver
driver("postgresql:///x")
"""


def test_without_its_driver_postgresql_is_told_what_it_needs(tmp_path):
    done = subprocess.run([sys.executable, "-I", "-c", WITHOUT_PACKAGES, ROOT], capture_output=True, text=True,
                          timeout=20, cwd=tmp_path)
    assert "ValueError: psycopg is not installed (python3-psycopg, or" in done.stderr


# ------------------------------------------------------------------ SQLite's file

def test_a_new_file_is_its_owners_alone_and_durable(tmp_path):
    mask = os.umask(0)
    try:
        store = Store(driver(f"sqlite:{tmp_path}/x.db", create=True))
        store.migrate("things", STEPS, create=True)
        add(store, "one")
    finally:
        os.umask(mask)
    modes = {name: os.stat(tmp_path / name).st_mode & 0o777 for name in os.listdir(tmp_path)}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
    assert store.rows("PRAGMA journal_mode") == [("wal",)] and store.rows("PRAGMA synchronous") == [(2,)]
    assert store.rows("PRAGMA foreign_keys") == [(1,)] and store.name == f"{tmp_path}/x.db"


def test_names_with_signs_in_them(tmp_path):
    path = f"{tmp_path}/50% of? #1 \u00e9.db"
    Store(driver(path, create=True)).migrate("things", STEPS, create=True)
    assert os.path.exists(path) and names(Store(driver(path))) == []


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666, 0o644])
def test_a_file_that_others_may_read_is_not_taken(tmp_path, mode):
    driver(f"{tmp_path}/x.db", create=True)
    os.chmod(tmp_path / "x.db", mode)
    with pytest.raises(ValueError, match=r"x\.db: others may read or write it: chmod o-rwx"):
        driver(f"{tmp_path}/x.db")
    os.chmod(tmp_path / "x.db", 0o660)
    assert driver(f"{tmp_path}/x.db").name == f"{tmp_path}/x.db"


@pytest.mark.parametrize("dsn, error, said", [
    ("mysql://x", ValueError, "'mysql' is no kind of database"), ("", ValueError, "no kind of database: say a path"),
    ("sqlite:", ValueError, "say a path"), ("/no/such/folder/x.db", FileNotFoundError, "/no/such/folder/x.db"),
    ("/dev/null", ValueError, "/dev/null: not a plain file")])
def test_what_is_no_database(dsn, error, said):
    with pytest.raises(error, match=said):
        driver(dsn)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        driver(f"{tmp_path}/no/x.db", create=True)
    assert error.value.filename == f"{tmp_path}/no"


def test_a_file_that_is_no_database_is_not_written(tmp_path):
    path = tmp_path / "x.db"
    path.write_text("name,password\n" * 100)
    path.chmod(0o600)
    with pytest.raises(Unavailable, match=r"x\.db: file is not a database"):
        Store(driver(str(path))).migrate("things", STEPS, create=True)
    assert path.read_text() == "name,password\n" * 100


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_in_anothers_folder_is_that_ones(tmp_path):
    os.chown(tmp_path, 1234, 2345)
    store = Store(driver(f"{tmp_path}/x.db", create=True))
    store.migrate("things", STEPS, create=True)
    add(store, "one")
    assert {(os.stat(tmp_path / name).st_uid, os.stat(tmp_path / name).st_gid) for name in os.listdir(tmp_path)} == {
        (1234, 2345)}


def test_a_copy_in_its_place_is_seen(tmp_path):
    store = Store(driver(f"{tmp_path}/x.db", create=True))
    store.migrate("things", STEPS, create=True)
    add(store, "one")
    store.rows("VACUUM INTO ?", f"{tmp_path}/backup.db")
    add(store, "two")
    for name in os.listdir(tmp_path):
        if name.startswith("x.db"):
            os.unlink(tmp_path / name)
    with pytest.raises(Unavailable):
        names(store)
    os.rename(tmp_path / "backup.db", tmp_path / "x.db")
    assert names(store) == ["one"]
    add(store, "three")
    assert names(store) == ["one", "three"]


def test_a_writer_that_does_not_end_is_waited_for_and_then_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sqldrivers, "WAIT", 0.05)
    store, other = (Store(driver(f"{tmp_path}/x.db", create=True)) for _ in range(2))
    store.migrate("things", STEPS, create=True)
    with store.changing() as change:
        change.execute(ADD, "one", 1)
        assert names(other) == [], "readers wait for nobody"
        with pytest.raises(Unavailable, match="database is locked"):
            add(other, "two")
    add(other, "two")
    assert names(store) == ["one", "two"]


def test_a_disk_that_is_full_undoes_the_whole_and_the_lock_is_let_go(tmp_path):
    store, other = (Store(driver(f"{tmp_path}/x.db", create=True)) for _ in range(2))
    store.migrate("things", STEPS, create=True)
    store.rows("PRAGMA max_page_count = 8")
    try:
        with store.changing() as change:
            change.many(ADD, ((f"{number:0999}", number) for number in range(200)))
    except Unavailable as error:
        assert "full" in str(error)
        add(other, "here")              # while the exception, and with it the failed transaction's frames, is alive
    else:
        pytest.fail("there was room")
    assert names(store) == ["here"]


# ------------------------------------------------------------------ a writer that is killed

WRITER = """
import sys
from daemons.stores.sqldrivers import driver
from daemons.stores.sqlstore import Store
store = Store(driver(sys.argv[1]))
for number in range(1_000_000):
    with store.changing() as change:
        change.execute("INSERT INTO things (name, size) VALUES (?, ?)", f"{number}a", number)
        change.execute("INSERT INTO things (name, size) VALUES (?, ?)", f"{number}b", number)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("after", [1, 7, 50, 200])
def test_a_writer_that_is_killed_leaves_all_that_it_told_of_and_nothing_half(place, store, after):
    started = subprocess.Popen([sys.executable, "-c", WRITER, place.dsn], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for _ in range(after):
        started.stdout.readline()
    started.kill()
    told = after + len(started.stdout.read().split("\n")) - 1
    started.wait(20)
    started.stdout.close()
    found = {name[:-1] for name in names(store)}
    assert {str(number) for number in range(told)} <= found and len(found) <= told + 1
    machine.until(lambda: len(names(store)) == 2 * len({name[:-1] for name in names(store)}), what="end of its session")
    add(store, "after")
    if place.kind != "postgresql":
        assert sqlite3.connect(place.dsn).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
