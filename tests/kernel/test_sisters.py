"""Processes that share a listener: who leaves the next connection to whom, and for how long."""

from types import SimpleNamespace

import pytest

from daemons.kernel.accepting import Loop
from daemons.kernel.standing import Activity


def loop(activity, mine, conversations):
    """What of a Loop decides, in process number `mine`, which holds so many conversations."""
    activity.mine = mine
    return SimpleNamespace(activity=activity, model=SimpleNamespace(active=lambda: conversations), stopping="",
                           courteous=0.0)


@pytest.mark.parametrize("count, sister, yields", [(0, 0, False), (1, 0, False), (2, 0, True), (9, 8, False),
                                                   (9, 7, True), (3, 9, False)])
def test_who_has_two_more_leaves_the_next_to_the_other(count, sister, yields):
    activity = Activity(2)
    Loop._is_for_sister(loop(activity, 1, sister))
    assert Loop._is_for_sister(loop(activity, 0, count)) is yields


def test_a_sister_that_does_not_come_is_waited_for_once():
    busy, looks = loop(Activity(2), 0, 5), 0
    while Loop._is_for_sister(busy):
        looks += 1
    assert looks > 1 and not Loop._is_for_sister(busy), "and then a whole batch is taken"


def test_nobody_is_waited_for_by_one_that_is_alone_or_ends():
    alone, ending = loop(Activity(1), 0, 5), loop(Activity(2), 0, 5)
    ending.stopping = "SIGTERM"
    none = SimpleNamespace(activity=None)
    assert not any(map(Loop._is_for_sister, (alone, ending, none)))
