"""Lookups that end in time, whatever the resolver does."""

import threading

import pytest

from daemons.kernel import lookups
from daemons.kernel.dial import NoAnswer, NoSuchName


def test_names_and_addresses_of_this_machine():
    assert set(lookups.forwards("localhost", 10)) & {"127.0.0.1", "::1"}
    assert isinstance(lookups.backwards("127.0.0.1", 10), str) and lookups.backwards("", 10) == ""
    names = lookups.own_names(10)
    assert names[0] and len(set(names)) == len(names)


def test_what_does_not_exist_is_told_apart():
    with pytest.raises((NoSuchName, NoAnswer)):
        lookups.forwards("nosuch.invalid", 10)
    with pytest.raises(NoSuchName):
        lookups.forwards("a" * 64 + ".example", 10)


def test_nobody_waits_longer_than_his_time_and_not_too_many_are_asked():
    let_go = threading.Event()

    def slow():
        let_go.wait(30)
        return ""

    try:
        for _ in range(lookups.AT_ONCE):
            with pytest.raises(NoAnswer, match="within 0.01 seconds"):
                lookups._in_time(slow, 0.01)
        with pytest.raises(NoAnswer, match="too many"):
            lookups._in_time(slow, 10)
    finally:
        let_go.set()
    for _ in range(1000):
        try:
            assert lookups._in_time(lambda: "free", 10) == "free"
            break
        except NoAnswer:                # they are still ending
            threading.Event().wait(0.01)
    else:
        pytest.fail("the questions that nobody waits for are never over")


def test_a_question_that_breaks_breaks_for_who_asked_and_takes_no_place():
    before = lookups._asked
    with pytest.raises(ZeroDivisionError):
        lookups._in_time(lambda: 1 / 0, 10)
    assert lookups._asked == before
