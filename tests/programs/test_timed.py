"""timed, RFC 868: its own examples, and the day when 32 bits are full."""

import calendar

import pytest

from daemons import timed
from tests.play import ask, play

FULL = calendar.timegm((2036, 2, 7, 6, 28, 16))


def told(now):
    """What the stream says; the datagram must say the same."""
    heard = play(timed, [b"whatever\r\n"], now=now).heard
    assert ask(timed, b"", now=now) == ask(timed, b"whatever", now=now) == heard and len(heard) == 4
    return int.from_bytes(heard, "big")


@pytest.mark.parametrize(("when", "number"), [
    ((1970, 1, 1), 2_208_988_800), ((1976, 1, 1), 2_398_291_200), ((1980, 1, 1), 2_524_521_600),
    ((1983, 5, 1), 2_629_584_000), ((1858, 11, 17), -1_297_728_000 % 2**32)])
def test_the_examples_of_the_rfc(when, number):
    assert told(calendar.timegm((*when, 0, 0, 0))) == number


def test_one_second_after_the_beginning_is_1():
    assert told(calendar.timegm((1900, 1, 1, 0, 0, 1))) == 1


@pytest.mark.parametrize(("now", "number"), [
    (FULL - 2, 2**32 - 2), (FULL - 1, 2**32 - 1), (FULL - 0.001, 2**32 - 1), (FULL, 0), (FULL + 0.999, 0),
    (FULL + 1, 1), (FULL + 86400, 86400), (FULL + 2**32, 0)])
def test_when_32_bits_are_full_it_begins_anew(now, number):
    assert told(now) == number


def test_a_part_of_a_second_has_not_passed_before_1970_either():
    assert told(-0.5) == told(-1)
