"""Command lines out of a table: what reaches the function, what is refused, and what the log may show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.commands import LEAVE, Command, Refused, answer, converse, maybe, number, shown, split, text, word


class Stream:
    """Lines as written down."""

    def __init__(self, lines):
        self.lines, self.commands, self.limits = list(lines), 0, set()

    def line(self, limit):
        """The next one."""
        self.limits.add(limit)
        return self.lines.pop(0)


class Session:
    """What a program keeps; it notes what happens."""

    limit = 512

    def __init__(self, *lines):
        self.stream, self.done = Stream(lines), []

    def refuse(self, *sentence):
        """Note it."""
        self.done.append(("refused", *sentence))


def does(name, result=None):
    """A command's function that notes its arguments."""
    def function(session, *arguments):
        session.done.append((name, *arguments))
        return result
    return function


def retrieve(session, place):
    if place > 9:
        raise Refused(550, "no message", place)


TABLE = {
    "USER": Command(does("user"), word),
    "PASS": Command(does("pass"), text, secret=True),
    "AUTH": Command(does("auth"), word, maybe(text), secret=True),
    "TOP": Command(does("top"), number, number),
    "LIST": Command(does("list"), maybe(number)),
    "HELP": Command(does("help"), maybe(text)),
    "RETR": Command(retrieve, number),
    "QUIT": Command(does("quit", LEAVE)),
}


def said(line):
    """What became of one line."""
    session = Session()
    try:
        answer(session, TABLE, line)
    except Refused as refusal:
        return ("refused", *refusal.args)
    return session.done[0]


@pytest.mark.parametrize("line, done", [
    (b"USER fred", ("user", b"fred")), (b"user fred", ("user", b"fred")), (b"  uSeR   fred  ", ("user", b"fred")),
    (b"TOP 1 10", ("top", 1, 10)), (b"LIST", ("list",)), (b"LIST 3", ("list", 3)), (b"LIST ", ("list",)),
    (b"HELP", ("help",)), (b"HELP me please", ("help", b"me please")), (b"QUIT", ("quit",)),
    (b"PASS s3cret", ("pass", b"s3cret")), (b"PASS two  words ", ("pass", b"two  words ")),
    (b"PASS   \xff\0 ", ("pass", b"\xff\0 ")), (b"AUTH PLAIN", ("auth", b"PLAIN")),
    (b"AUTH PLAIN  AGZ yZWQ=", ("auth", b"PLAIN", b"AGZ yZWQ=")),
])
def test_words_become_what_their_kinds_make_of_them(line, done):
    assert said(line) == done


@pytest.mark.parametrize("line, sentence", [
    (b"USER", "usage: USER word"), (b"USER a b", "usage: USER word"), (b"PASS", "usage: PASS text"),
    (b"PASS  ", "usage: PASS text"), (b"top 1", "usage: TOP number number"), (b"LIST 1 2", "usage: LIST [number]"),
    (b"AUTH", "usage: AUTH word [text]"), (b"QUIT now", "usage: QUIT"), (b"RETR -1", "RETR: not a number"),
    (b"RETR \xd9\xa3", "RETR: not a number"), (b"RETR 1_0", "RETR: not a number"), (b"RETR +1", "RETR: not a number"),
    (b"RETR " + b"9" * 19, "RETR: not a number"), (b"LIST x", "LIST: not a number"),
    (b"XYZZY", "no such command here"), (b"", "no such command here"), (b" ", "no such command here"),
    (b"U\xc5\xbfER fred", "no such command here"), (b"QUIT\t", "no such command here"),
    (b"USER\0 x", "no such command here"),
])
def test_what_is_refused_and_how(line, sentence):
    assert said(line) == ("refused", sentence)


def test_a_refusal_of_the_function_keeps_its_arguments():
    assert said(b"RETR 10") == ("refused", 550, "no message", 10)


def test_the_dialogue_goes_on_after_a_refusal_until_a_command_leaves():
    session = Session(b"USER a", b"NONSENSE", b"LIST", b"QUIT", b"USER b")
    converse(session, TABLE)
    assert session.done == [("user", b"a"), ("refused", "no such command here"), ("list",), ("quit",)]
    assert session.stream.commands == 4 and session.stream.lines == [b"USER b"] and session.stream.limits == {512}


def test_another_error_than_a_refusal_ends_the_dialogue():
    with pytest.raises(ZeroDivisionError):
        converse(Session(b"X"), {"X": Command(lambda session: 1 // 0)})


@pytest.mark.parametrize("line, log", [
    (b"user fred", "USER fred"), (b"PASS s3cret", "PASS ***"), (b"pass  two words", "PASS ***"), (b"PASS", "PASS"),
    (b"AUTH PLAIN AGZyZWQ=", "AUTH ***"), (b"TOP  1  2", "TOP 1  2"), (b"QUIT", "QUIT"), (b"", "***"),
    (b"s3cret", "***"), (b"PASSs3cret", "***"), (b"PASS\ts3cret", "***"), (b"USER \xff", "USER \udcff"),
])
def test_what_the_log_may_show(line, log):
    assert shown(TABLE, line) == log


@given(st.binary().filter(lambda octets: octets.strip(b" ")))
def test_no_secret_is_shown(secret):
    for verb in (b"PASS ", b"AUTH ", b"pAsS  ", b""):
        if verb or split(secret)[0] not in TABLE:
            assert shown(TABLE, verb + secret).endswith("***") and len(shown(TABLE, verb + secret)) <= len("PASS ***")


@given(st.binary() | st.tuples(st.sampled_from([verb.encode() for verb in TABLE]), st.binary()).map(b" ".join))
def test_any_line_is_done_or_refused(line):
    try:
        answer(Session(), TABLE, line)
    except Refused as refusal:
        assert refusal.args
    assert isinstance(shown(TABLE, line), str)
