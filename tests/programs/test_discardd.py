"""discardd, RFC 863."""

import pytest

from daemons import discardd
from tests.play import ask, options_of, play


def test_nothing_is_ever_said():
    outcome = play(discardd, [b"hello\r\n", b"\0\xff" * 40_000, b"."])
    assert (outcome.heard, outcome.reason, outcome.writes) == (b"", "done", 0)
    assert outcome.stream.received == 7 + 80_000 + 1, "and all of it was taken"


def test_the_conversation_ends_at_the_most():
    outcome = play(discardd, [b"x" * 10] * 10, options=options_of(discardd, "--most=25"))
    assert (outcome.reason, outcome.stream.received) == ("most", 30)


@pytest.mark.parametrize("data", [b"", b"hello", b"x" * 65507])
def test_a_datagram_gets_no_answer(data):
    assert ask(discardd, data) is None
