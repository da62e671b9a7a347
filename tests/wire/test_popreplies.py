"""Replies of POP3: mails with their dots, TOP to the line, and the examples of RFC 1939 and RFC 2449."""

import poplib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.popreplies import (
    AUTH,
    IN_USE,
    LINE,
    apop_digest,
    capabilities,
    is_apop,
    is_unique_id,
    listing,
    mail,
    multiline,
    reply,
    timestamp,
    top,
)
from daemons.wire.saslexchanges import MECHANISMS


@pytest.mark.parametrize("arguments, line", [
    ((True,), b"+OK"), ((True, "2 320"), b"+OK 2 320"), ((False, "no such message"), b"-ERR no such message"),
    ((False, "somebody has it", IN_USE), b"-ERR [IN-USE] somebody has it"), ((False, "", AUTH), b"-ERR [AUTH]"),
    ((True, "a\r\n+OK b"), b"+OK a\\r\\n+OK b"), ((True, "jü"), b"+OK j\\xfc"),
    ((True, "jü\n", "", True), "+OK jü?".encode()),
])
def test_one_line(arguments, line):
    assert reply(*arguments) == line


@given(st.booleans(), st.text(max_size=900), st.booleans())
def test_a_reply_is_one_line_that_finds_room(good, text, utf8):
    line = reply(good, text, "AUTH", utf8)
    assert len(line) <= LINE - 2 and line.decode("utf-8").isprintable() and (utf8 or line.isascii())


def test_several_lines():
    assert multiline(["a", ".", "..b", "", "c\r\nd"]) == b"a\r\n..\r\n...b\r\n\r\nc\\r\\nd\r\n.\r\n"
    assert multiline([]) == b".\r\n"
    assert b"".join(listing([(1, 120), (2, 200)])) == b"1 120\r\n2 200\r\n.\r\n"               # RFC 1939, 5
    assert b"".join(listing([(1, "whqtswO00WBw418f9t5JxYwZ")])) == b"1 whqtswO00WBw418f9t5JxYwZ\r\n.\r\n"
    assert b"".join(listing([])) == b".\r\n"


def test_a_long_listing_comes_in_pieces():
    pieces = list(listing((number, 1) for number in range(1, 50001)))
    assert 5 < len(pieces) < 50 and b"".join(pieces).count(b"\r\n") == 50001


@pytest.mark.parametrize("stored, said", [
    (b"A: b\n\nc\n", b"A: b\r\n\r\nc\r\n.\r\n"), (b"A: b\r\n\r\nc\r\n", b"A: b\r\n\r\nc\r\n.\r\n"), (b"", b".\r\n"),
    (b"A: b\n\n.\n..\n.c", b"A: b\r\n\r\n..\r\n...\r\n..c\r\n.\r\n"), (b"a\rb", b"a b\r\n.\r\n"),
])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_mail(stored, said, step):
    assert b"".join(mail(stored[at:at + step] for at in range(0, len(stored), step))) == said


MAIL = b"A: b\nC: d\n\none\n.two\n\nthree"


@pytest.mark.parametrize("stored, count, said", [
    (MAIL, 0, b"A: b\r\nC: d\r\n\r\n.\r\n"), (MAIL, 1, b"A: b\r\nC: d\r\n\r\none\r\n.\r\n"),
    (MAIL, 2, b"A: b\r\nC: d\r\n\r\none\r\n..two\r\n.\r\n"),
    (MAIL, 3, b"A: b\r\nC: d\r\n\r\none\r\n..two\r\n\r\n.\r\n"),
    (MAIL, 4, b"A: b\r\nC: d\r\n\r\none\r\n..two\r\n\r\nthree\r\n.\r\n"),
    (MAIL, 2**62, b"A: b\r\nC: d\r\n\r\none\r\n..two\r\n\r\nthree\r\n.\r\n"),
    (b"A: b\r\n\r\none\r\ntwo\r\n", 1, b"A: b\r\n\r\none\r\n.\r\n"), (b"\none\ntwo\n", 1, b"\r\none\r\n.\r\n"),
    (b"A: b\n \none\n\ntwo\n", 0, b"A: b\r\n \r\none\r\n\r\n.\r\n"), (b"A: b", 0, b"A: b\r\n.\r\n"), (b"", 9, b".\r\n"),
])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_the_top_of_a_mail(stored, count, said, step):
    assert b"".join(top((stored[at:at + step] for at in range(0, len(stored), step)), count)) == said


def test_no_more_is_read_than_is_shown():
    def pieces():
        yield b"A: b\n\none\n"
        raise AssertionError("read on")
    assert b"".join(top(pieces(), 1)) == b"A: b\r\n\r\none\r\n.\r\n"


lines = st.lists(st.sampled_from([b"", b".", b"..", b"a", b"A: b", b".x", b"\r"]), max_size=12)


@given(lines, st.sampled_from([b"\n", b"\r\n"]), st.integers(0, 14), st.integers(1, 9))
def test_top_is_the_beginning_of_the_mail(parts, end, count, step):
    stored = b"".join(line + end for line in parts if line != b"\r" or end == b"\n")
    pieces = [stored[at:at + step] for at in range(0, len(stored), step)]
    whole, start = b"".join(mail(pieces)), b"".join(top(pieces, count))
    assert whole.removesuffix(b".\r\n").startswith(start.removesuffix(b".\r\n"))
    _, _, body = (b"\r\n" + start.removesuffix(b".\r\n")).partition(b"\r\n\r\n")
    assert body.count(b"\r\n") <= count and (count < 13 or start == whole)


@pytest.mark.parametrize("text, is_one", [
    ("whqtswO00WBw418f9t5JxYwZ", True), ("!~", True), ("x" * 70, True), ("", False), ("x" * 71, False), ("a b", False),
    ("ü", False), ("a\x7f", False), ("a\n", False),
])
def test_unique_ids(text, is_one):
    """RFC 1939, 7."""
    assert is_unique_id(text) is is_one


def test_capabilities():
    """RFC 2449, 5 and 6."""
    assert capabilities(mechanisms=MECHANISMS, stls=True, login_delay=60, expire=30, implementation="fd0") == [
        "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG", "USER", "SASL SCRAM-SHA-256 PLAIN LOGIN",
        "STLS", "UTF8 USER", "LOGIN-DELAY 60", "EXPIRE 30", "IMPLEMENTATION fd0"]
    assert capabilities(user=False, utf8=False) == ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING",
                                                    "LANG", "EXPIRE NEVER"]


def test_apop():
    """The example of RFC 1939, 7."""
    greeting = "<1896.697170952@dbc.mtview.ca.us>"
    assert apop_digest(greeting, b"tanstaaf") == "c4c9334bac560ecc979e58001b3e22fb"
    assert is_apop(b"c4c9334bac560ecc979e58001b3e22fb", greeting, b"tanstaaf")
    assert not is_apop(b"c4c9334bac560ecc979e58001b3e22fa", greeting, b"tanstaaf")
    assert not is_apop(b"\xff", greeting, b"tanstaaf")
    assert timestamp("1896-1", 697170952.25, "mx.example.org") == "<1896-1.697170952.250000@mx.example.org>"


def test_the_greeting_is_one_that_poplib_knows():
    line = reply(True, f"ready {timestamp('a1', 1.5, 'mx.example.org')}")
    assert poplib.POP3.timestamp.match(line).group(1) == b"<a1.1.500000@mx.example.org>"
