"""Things to do later, in order."""

import pytest

from daemons.kernel import timers
from daemons.kernel.timers import Timers


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told: clock[0]."""
    now = [100.0]
    monkeypatch.setattr(timers.time, "monotonic", lambda: now[0])
    return now


def test_what_is_due_is_done_in_order_and_once(clock):
    one, done = Timers(), []
    for seconds in (3, 1, 2):
        one.after(seconds, lambda seconds=seconds: done.append(seconds))
    assert one.next() == 101.0
    one.run()
    assert done == []
    clock[0] = 102.0
    one.run()
    one.run()
    assert (done, one.next()) == ([1, 2], 103.0)


def test_what_is_cancelled_is_not_done_and_keeps_nobody_awake(clock):
    one, done = Timers(), []
    one.after(1, lambda: done.append(1)).cancel()
    assert one.next() is None
    clock[0] = 200.0
    one.run()
    assert done == []


def test_an_action_may_have_more_done(clock):
    one, done = Timers(), []
    one.after(1, lambda: one.after(0, lambda: done.append("later")))
    clock[0] = 101.0
    one.run()
    one.run()
    assert done == ["later"]
