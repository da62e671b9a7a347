"""The identification protocol's lines, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.identlines import (
    HIDDEN_USER,
    NO_USER,
    Reply,
    are_valid,
    build,
    is_identity,
    is_token,
    parse,
    ports,
    query,
)


def fields(reply):
    return reply.ports, reply.error, reply.user, reply.system, reply.charset


@given(st.binary(max_size=1000))
def test_any_octets_end_in_two_numbers(line):
    assert all(0 <= port <= 99999 for port in ports(line))


@given(st.integers(0, 99999), st.integers(0, 99999))
def test_a_query_is_understood(local, remote):
    assert ports(query(local, remote)) == (local, remote)


@pytest.mark.parametrize("pair, fine", [((1, 65535), True), ((0, 1), False), ((1, 65536), False), ((99999, 1), False)])
def test_which_ports_there_are(pair, fine):
    assert are_valid(pair) is fine


@pytest.mark.parametrize("user", [b"", b"a\r\nb", b"a\nb", b"a\rb", b"a\0b", b"a:b", b"a\x1b[2Jb", b"a\x7f", b"\xff",
                                  b" a", b"a ", b"a\xc2\x85b", "a\u2028b".encode(), "a\u202eb".encode(), b"x" * 513])
def test_what_is_never_sent_as_a_user_id(user):
    assert not is_identity(user)
    with pytest.raises(ValueError, match="not to be sent"):
        build(Reply((1, 2), user=user))


@pytest.mark.parametrize("user", [b"stjohns", b"x" * 512, "zoë".encode(), b"a b", b"a,b"])
def test_what_can_be_sent_as_a_user_id(user):
    assert is_identity(user)


@pytest.mark.parametrize("word, fine", [("UNIX", True), ("UTF-8", True), ("X" * 64, True), ("X" * 65, False),
                                        ("", False), ("a:b", False), ("a,b", False), ("a b", False),
                                        ("a\n", False), ("é", False)])
def test_words(word, fine):
    assert is_token(word) is fine


def test_the_examples_of_rfc_1413():
    assert build(Reply((6193, 23), user=b"stjohns")) == b"6193, 23 : USERID : UNIX : stjohns"
    assert build(Reply((6195, 23), error=NO_USER)) == b"6195, 23 : ERROR : NO-USER"
    assert build(Reply((1, 2), user=b"x", system="OTHER", charset="UTF-8")) == b"1, 2 : USERID : OTHER , UTF-8 : x"
    assert fields(parse(b" 6193 ,23:USERID:UNIX,US-ASCII: st:johns ")) == \
        ((6193, 23), "", b"st:johns", "UNIX", "US-ASCII")
    assert fields(parse(b"6195, 23 : ERROR : HIDDEN-USER"))[:2] == ((6195, 23), HIDDEN_USER)


@pytest.mark.parametrize("line", [b"", b"1, 2", b"1, 2 : ERROR", b"1,2:ERROR:NO-USER:x", b"1,2:USERID:UNIX",
                                  b"1,2:HELLO:a:b", b"1,2:USERID:UNIX:", b"1,2:USERID:UN IX:a", b"1,2:USERID::a",
                                  b"1,2:USERID:UNIX:a\0b",
                                  b"1,2:ERROR:\xff", b"1,2:USERID:UNIX,:a\rb"])
def test_replies_that_are_none(line):
    with pytest.raises(ValueError):
        parse(line)


starts = st.sampled_from([b"", b"1,2:", b"1,2:USERID:", b"1,2:USERID:UNIX:", b"1,2:ERROR:"])


@given(starts, st.binary(max_size=1000))
def test_any_octets_end_in_a_reply_or_a_value_error(start, rest):
    try:
        reply = parse(start + rest)
    except ValueError:
        return
    assert is_token(reply.error) or reply.user


@given(st.integers(1, 65535), st.binary(max_size=40), st.text(max_size=8), st.text(max_size=8))
def test_a_reply_is_one_line_or_a_value_error(port, user, system, charset):
    try:
        line = build(Reply((port, port), user=user, system=system, charset=charset))
    except ValueError:
        return
    assert not set(line) & {0, 10, 13} and line.count(b":") == 3
    assert fields(parse(line)) == ((port, port), "", user, system, charset)
