"""Spans of the day."""

import time

import pytest

from daemons.kernel.hours import within


def at(hour, minute, second=0):
    return time.mktime((2026, 1, 15, hour, minute, second, 0, 0, -1))


@pytest.mark.parametrize("spans, moment, expected", [
    ([(540, 1020)], at(9, 0), True), ([(540, 1020)], at(8, 59, 59), False), ([(540, 1020)], at(17, 0, 59), True),
    ([(540, 1020)], at(17, 1), False), ([(1320, 360)], at(22, 0), True), ([(1320, 360)], at(23, 59), True),
    ([(1320, 360)], at(0, 0), True), ([(1320, 360)], at(6, 0), True), ([(1320, 360)], at(6, 1), False),
    ([(1320, 360)], at(21, 59), False), ([(0, 1), (600, 600)], at(10, 0, 30), True), ([], at(10, 0), False)])
def test_a_moment_lies_within(spans, moment, expected):
    assert within(spans, moment) is expected
