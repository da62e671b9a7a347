"""The file of logins, as glibc writes it, and whatever else may stand there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.utmp import NARROW, USER_PROCESS, WIDE, logins


def record(layout=NARROW, kind=USER_PROCESS, user=b"alice", line=b"pts/0", host=b"mx.example", since=1_790_000_000):
    return layout.pack(kind, 4711, line, b"ts/0", user, host, 0, 0, 0, since, 0, b"")


@pytest.mark.parametrize("layout, size", [(NARROW, 384), (WIDE, 400)])
def test_records_of_both_layouts(layout, size):
    data = record(layout, 2, b"reboot") + record(layout) + record(layout, user=b"bob", host=b"")
    assert layout.size == size
    assert [(one.user, one.terminal, one.host, one.since, one.pid) for one in logins(data)] == [
        ("alice", "pts/0", "mx.example", 1_790_000_000, 4711), ("bob", "pts/0", "", 1_790_000_000, 4711)]


def test_a_field_without_room_for_its_nul():
    assert logins(record(user=b"u" * 32))[0].user == "u" * 32


def test_what_a_name_server_told_login_cannot_obey():
    found = logins(record(user=b"a\x1b[2J\xff", host=b"evil\r\nhost\0rest"))[0]
    assert (found.user, found.host) == ("a[2J\N{REPLACEMENT CHARACTER}", "evilhost")


@pytest.mark.parametrize("data", [b"x", bytes(383), record(kind=99), record() + b"\0"])
def test_what_is_no_utmp(data):
    with pytest.raises(ValueError, match="no whole number of utmp records"):
        logins(data)


def test_an_empty_file():
    assert logins(b"") == []


@given(st.binary(max_size=100), st.integers(0, 3))
def test_any_octets_end_in_logins_or_a_value_error(data, count):
    try:
        found = logins(data * 384 if count == 3 else data + record() * count)
    except ValueError:
        return
    assert all(one.user.isprintable() and one.host.isprintable() for one in found)
