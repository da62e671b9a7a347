"""Finger's queries and lines, whatever somebody writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.fingerlines import Person, Query, build, idle, pair, parse, printable, row


def parts(query):
    return query.name, query.hosts, query.verbose


@pytest.mark.parametrize("line, expected", [
    (b"", ("", (), False)),
    (b"root", ("root", (), False)),
    (b"/W", ("", (), True)),
    (b"/w root", ("root", (), True)),
    (b"/W   root  ", ("root", (), True)),
    (b"/Wroot", ("/Wroot", (), False)),
    (b"john smith", ("john smith", (), False)),
    (b"@host", ("", ("host",), False)),
    (b"/W a@b@c", ("a", ("b", "c"), True)),
    (b"a@", ("a", ("",), False)),
])
def test_queries_of_rfc_1288(line, expected):
    assert parts(parse(line)) == expected


@given(st.binary(max_size=600))
def test_any_octets_end_in_a_query(line):
    query = parse(line)
    assert isinstance(query.verbose, bool) and "@" not in query.name and not any("@" in host for host in query.hosts)


@given(st.text("abc. é"), st.lists(st.text("abc.", min_size=1), max_size=3), st.booleans())
def test_what_is_built_is_understood(name, hosts, verbose):
    query = Query(name.strip(), tuple(hosts), verbose)
    assert parts(parse(build(query))) == parts(query)


def test_the_comment_field_of_an_account():
    person = Person("Alice & Co,R 7,555-1,555-2,other", "alice")
    assert (person.name, person.office, person.office_phone, person.home_phone) == \
        ("Alice Alice Co", "R 7", "555-1", "555-2")
    assert Person("", "x").name == Person("", "x").home_phone == ""


@given(st.text(max_size=80))
def test_a_comment_field_cannot_obey_or_break_a_line(comment):
    person = Person(comment, "alice")
    assert all(part.isprintable() for part in (person.name, person.office, person.office_phone, person.home_phone))


@pytest.mark.parametrize("seconds, shown", [(-5, ""), (0, ""), (59, ""), (60, "1"), (3599, "59"), (3600, "1:00"),
                                            (86399, "23:59"), (86400, "1d"), (8e6, "92d")])
def test_idle_times(seconds, shown):
    assert idle(seconds) == shown


def test_lines():
    assert pair("Login: a", "Name: B") == "Login: a                                Name: B"
    assert pair("Login: a") == "Login: a"
    assert printable("a\x1b[2Jb\r\n") == "a[2Jb"
    assert row("a", "B" * 30, "pts/0", "", "Mon", "host").split() == ["a", "B" * 24, "pts/0", "Mon", "host"]
