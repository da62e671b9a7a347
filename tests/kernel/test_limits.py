"""Who may begin now: counted by source, in bounded memory."""

import pytest

from daemons.kernel import limits
from daemons.kernel.limits import Limits, OnceAMinute
from tests.clocks import Clock


@pytest.fixture
def clock():
    return Clock()


def test_no_limit_is_no_limit(clock):
    free = Limits(None, None, clock)
    assert [free.enter("a") for _ in range(10_000)] == [None] * 10_000
    assert free.present == {} and free.begun == {}


def test_so_many_at_once_from_one_source(clock):
    two = Limits(2, None, clock)
    assert [two.enter("a"), two.enter("a"), two.enter("a"), two.enter("b")] == [None, None, "per-source", None]
    two.leave("a")
    assert [two.enter("a"), two.enter("a")] == [None, "per-source"]


def test_who_has_left_is_forgotten(clock):
    two = Limits(2, None, clock)
    for source in ("a", "b", "a"):
        two.enter(source)
    for source in ("a", "b", "a", "a"):
        two.leave(source)
    assert two.present == {}


def test_so_many_a_second_from_one_source(clock):
    three = Limits(None, 3, clock)
    assert [three.enter("a") for _ in range(4)] == [None, None, None, "rate"]
    assert three.enter("b") is None
    clock.now += 1
    assert three.enter("a") is None


def test_who_was_too_fast_is_not_counted_as_present(clock):
    both = Limits(5, 1, clock)
    assert [both.enter("a"), both.enter("a")] == [None, "rate"]
    assert both.present == {"a": 1}


def test_a_flood_of_sources_does_not_fill_the_memory(clock, monkeypatch):
    monkeypatch.setattr(limits, "MOST", 100)
    two = Limits(None, 2, clock)
    allowed = [two.within_rate(f"10.0.{number}") for number in range(1000)]
    assert allowed == [True] * 100 + [False] * 900 and len(two.begun) == 100
    assert two.within_rate("10.0.0"), "whoever was known before the flood goes on"
    clock.now += 1
    assert two.within_rate("10.0.999") and len(two.begun) == 1


def test_once_a_minute(clock):
    tell = OnceAMinute(clock)
    assert [tell("a"), tell("a"), tell("b"), tell(("b", "rate"))] == [True, False, True, True]
    clock.now += 60
    assert [tell("a"), tell("a")] == [True, False]


def test_once_a_minute_remembers_so_many(clock, monkeypatch):
    monkeypatch.setattr(limits, "MOST", 100)
    tell = OnceAMinute(clock)
    assert [tell(number) for number in range(1000)] == [True] * 100 + [False] * 900
    assert len(tell.seen) == 100
