"""Allowances: what is spent comes back with time, and who counts at once does not spend the same."""

import os

import pytest

from daemons.stores.allowances import HOUR, Allowances
from tests.stores.places import Place

NOON = 1_790_000_000.0
ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request, tmp_path):
    """Opens the allowances in one place."""
    place = Place(request.param, tmp_path)
    return lambda most: Allowances(place.store(), most)


def test_each_user_has_an_allowance(opened):
    allowances = opened(3)
    assert [allowances.spend(ANN, NOON) for _ in range(4)] == [0, 0, 0, HOUR / 3]
    assert allowances.spend(BOB, NOON) == 0


def test_what_is_spent_comes_back_evenly(opened):
    allowances = opened(60)
    assert [allowances.spend(ANN, NOON) for _ in range(60)] == [0] * 60
    assert allowances.spend(ANN, NOON + 30) == pytest.approx(30)
    assert [allowances.spend(ANN, NOON + 60), allowances.spend(ANN, NOON + 60) > 0] == [0, True]
    assert [allowances.spend(ANN, NOON + 2 * HOUR) for _ in range(60)] == [0] * 60


def test_a_clock_that_was_set_back_gives_nothing(opened):
    allowances = opened(2)
    assert [allowances.spend(ANN, NOON), allowances.spend(ANN, NOON - 1000)] == [0, 0]
    assert allowances.spend(ANN, NOON - 1000) > 0


def test_those_who_count_at_once_do_not_spend_the_same(opened):
    allowances, (reader, writer) = opened(100), os.pipe()
    children = []
    for _ in range(4):
        children.append(os.fork())
        if not children[-1]:
            passed = sum(allowances.spend(ANN, NOON) == 0 for _ in range(50))
            os.write(writer, b"%d\n" % passed)
            os._exit(0)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    os.close(writer)
    with open(reader) as file:
        assert sum(map(int, file)) == 100
