"""echod, RFC 862."""

import os

import pytest

from daemons import echod
from daemons.kernel.options import Misuse
from tests.play import ask, options_of, play


def test_every_octet_comes_back_after_the_client_has_said_its_last():
    """The client sends all, half-closes and reads then: RFC 862 sends back until the *calling* user terminates."""
    sent = os.urandom(300_000)
    outcome = play(echod, [sent[at:at + 1448] for at in range(0, len(sent), 1448)])
    assert outcome.heard == sent and outcome.reason == "done"


@pytest.mark.parametrize("chunks", [[b"x" * 100], [b"x"] * 100, [b"x" * 7] * 15])
@pytest.mark.parametrize("most", [1, 50, 99])
def test_the_most_is_exact(chunks, most):
    outcome = play(echod, chunks, options=options_of(echod, f"--most={most}"))
    assert (outcome.heard, outcome.reason) == (b"x" * most, "most")


def test_by_default_there_is_no_end():
    assert play(echod, [b"x" * 65536] * 100).heard == b"x" * 6_553_600


@pytest.mark.parametrize("data", [b"", b"hello\r\n", bytes(range(256)), b"x" * 65507])
def test_a_datagram_comes_back_as_it_was(data):
    assert ask(echod, data) == data


@pytest.mark.parametrize("most", ["-1", "1_0", "+5", "٣", "1e3", ""])
def test_a_bad_most_is_refused(most):
    with pytest.raises(Misuse, match="most"):
        options_of(echod, f"--most={most}")
