"""Who comes while nearly all conversations are taken by others has less time, so that places become free again."""

import contextlib

import pytest

from daemons import echod
from daemons.kernel.conversation import Program
from tests.play import options_of
from tests.serving import Serving


@pytest.mark.parametrize("model", ["fork", "thread"])
def test_who_comes_in_a_crowd_has_less_time(model):
    limits = "--max=10", "--timeout=60", "--timeout-crowded=0.1"
    with Serving("echod", f"--model={model}", *limits) as server, contextlib.ExitStack() as stack:
        there = [stack.enter_context(server.call()) for _ in range(9)]
        for sock in there:
            sock.sendall(b"here\n")
            assert sock.recv(100) == b"here\n"
        with server.call() as last:
            assert last.recv(100) == b"", "it says nothing, and its place is for others"
        for sock in there:
            sock.sendall(b"still here\n")
            assert sock.recv(100) == b"still here\n"
    reasons = [word for line in server.events("close") for word in line.split() if word.startswith("reason=")]
    assert sorted(reasons) == ["reason=done"] * 9 + ["reason=late"]


@pytest.mark.parametrize("crowded, option, wanted", [
    (False, "0.1", 60.0), (True, "0.1", 0.1), (True, "90", 60.0), (True, None, 60.0)])
def test_the_shorter_time_is_for_a_crowd_alone(crowded, option, wanted):
    more = [f"--timeout-crowded={option}"] if option else []
    program = Program(echod.SERVICE, options_of(echod, "--timeout=60", *more), None, None, "test")
    program.crowded = crowded
    assert program.patience == wanted
