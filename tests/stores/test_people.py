"""Accounts, as strangers may know them, and who of them is logged in."""

import os
import pwd

import pytest

from daemons.stores import logins, people
from daemons.wire.utmp import NARROW, USER_PROCESS


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Three accounts with homes."""
    table = {}
    for uid, (login, name) in enumerate([("alice", "Alice Liddell"), ("bob", "Bob Liddell"), ("carol", "")], 1000):
        (tmp_path / login).mkdir()
        table[login] = pwd.struct_passwd((login, "x", uid, uid, name, str(tmp_path / login), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", table.__getitem__)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {one.pw_uid: one for one in table.values()}[uid])
    monkeypatch.setattr(pwd, "getpwall", lambda: list(table.values()))
    return tmp_path


def found(name, hidden=(), full_names=True):
    return [entry.pw_name for entry in people.accounts(name, list(hidden), full_names)]


def test_by_login_name(homes):
    assert found("alice", full_names=False) == ["alice"]
    assert found("liddell", full_names=False) == found("Alice", full_names=False) == []


def test_by_full_name(homes):
    assert found("liddell") == ["alice", "bob"]
    assert found("Liddell  ALICE") == ["alice"]
    assert found("carol") == ["carol"]


@pytest.mark.parametrize("name", ["", ".", "0", "*", "lid", "li*", "liddell x", "\0", "alice\n", "\udcff"])
def test_nothing_means_everybody(homes, name):
    assert found(name) == []


def test_who_does_not_wish_to_be_found_is_not(homes):
    (homes / "alice" / ".nofinger").touch()
    assert found("alice") == [] and found("liddell") == ["bob"]
    assert found("bob", ["bob"]) == [] and found("liddell", ["bob"]) == []


def test_a_common_name_is_found_so_often(homes, monkeypatch):
    monkeypatch.setattr(people, "MATCHES", 1)
    assert found("liddell") == ["alice"]


def test_owners_and_login_names(homes):
    assert people.owner(1001).pw_name == "bob"
    assert people.owner(4) is None
    assert people.is_login("alice") and people.is_login("ALICE") and not people.is_login("dave")


# -- logins --

def record(line, since=1_000):
    return NARROW.pack(USER_PROCESS, 1, line, b"", b"alice", b"", 0, 0, 0, since, 0, b"")


def test_idle_since_the_terminal_was_last_read(tmp_path, monkeypatch):
    file = tmp_path / "utmp"
    file.write_bytes(record(b"null") + record(b":0") + record(b"../etc/passwd") + record(b"no/such") + record(b"/null"))
    last = os.stat("/dev/null").st_atime
    assert [one.idle for one in logins.present(str(file), last + 90)] == [90, None, None, None, None]


def test_a_machine_without_utmp():
    assert logins.present("/nowhere/utmp", 0) == []


def test_what_is_no_utmp():
    with pytest.raises(ValueError, match="no whole number"):
        logins.present("/etc/passwd", 0)
