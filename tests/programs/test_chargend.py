"""chargend, RFC 864."""

import pytest

from daemons import chargend
from daemons.kernel.ends import Reset
from daemons.kernel.options import Misuse
from daemons.kernel.stream import Stream
from tests.play import Peer, ask, options_of, play

LEAVES = 100 << 20
SIGNS = "".join(map(chr, range(32, 127)))


def heard(most):
    return play(chargend, [], options=options_of(chargend, f"--most={most}")).heard


def test_lines_are_those_of_the_rfc():
    """Data Syntax: "On line N, put characters (0+N mod 95) through (71+N mod 95)." """
    lines = heard(74 * 1000).decode("ascii").split("\r\n")
    assert lines.pop() == "" and len(lines) == 1000
    for number, line in enumerate(lines):
        assert line == "".join(SIGNS[(number + column) % 95] for column in range(72))


@pytest.mark.parametrize("most", [1, 73, 74, 65536, 74 * 95 * 9 - 1, 74 * 95 * 9, 74 * 95 * 9 + 1, 1_000_000])
def test_the_most_is_exact(most):
    assert len(heard(most)) == most


class Counter(Peer):
    """A peer that counts what it hears, and leaves after so many octets."""

    count = 0

    def send(self, data, deadline):
        self.writes += 1
        self.count += len(data)
        if self.count > LEAVES:
            raise Reset("connection reset by peer")


def test_by_default_the_most_is_64_mib():
    stream = Stream(peer := Counter([]))
    assert chargend.talk(stream, options_of(chargend)) == "most"
    stream.flush()
    assert peer.count == 64 << 20 and peer.writes < 1100, "in pieces of near 64 KiB"


def test_without_a_most_only_the_peer_ends_it():
    peer = Counter([])
    with pytest.raises(Reset):
        chargend.talk(Stream(peer), options_of(chargend, "--most=0"))
    assert peer.count > LEAVES


def lengths(data, *arguments, times=400):
    options = options_of(chargend, *arguments)
    answers = [ask(chargend, data, options=options) for _ in range(times)]
    assert all(heard(512)[:len(answer)] == answer for answer in set(answers))
    return {len(answer) for answer in answers}


@pytest.mark.parametrize("size", [0, 1, 3])
def test_an_answer_has_no_more_octets_than_the_question(size):
    assert lengths(b"?" * size) == set(range(size + 1))


def test_an_answer_has_512_octets_at_most():
    """UDP: "a random number (between 0 and 512) of characters"."""
    several = lengths(b"?" * 60_000, times=3000)
    assert max(several) <= 512 and min(several) >= 0 and len(several) > 400


def test_the_reply_limit_allows_more_than_the_question():
    assert lengths(b"", "--reply-limit=3") == set(range(4))
    assert lengths(b"12345", "--reply-limit=3", times=1000) == set(range(6))


@pytest.mark.parametrize("limit", ["513", "1K", "-1", "x"])
def test_a_bad_reply_limit_is_refused(limit):
    with pytest.raises(Misuse, match="reply-limit"):
        options_of(chargend, f"--reply-limit={limit}")
