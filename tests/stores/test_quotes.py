"""One quote of many: by share, and never one that does not fit."""

from collections import Counter
from itertools import cycle

import pytest

from daemons.stores.quotes import DRAWS, Quotes, Source

FEW, MANY = [b"f1"], [b"m1", b"m2", b"m3"]
LONG = b"x" * 100


def same(octets):
    return octets


def evenly(steps=100):
    """Pairs of draws that cover all shares and all quotes evenly."""
    return [(source / steps, quote / 12) for source in range(steps) for quote in range(12)]


def told(quotes, limit=512):
    """How often which one is told, in parts of a hundred."""
    counts = Counter(quotes.pick(iter(draws).__next__, limit) for draws in evenly())
    return {quote: round(count / 12) for quote, count in counts.items()}


def sources(few=None, many=None):
    return [Source("few", FEW, few), Source("many", MANY, many)]


@pytest.mark.parametrize(("equal", "few", "many", "parts"), [
    (False, None, None, {b"f1": 25, b"m1": 25, b"m2": 25, b"m3": 25}),      # by size
    (True, None, None, {b"f1": 50, b"m1": 17, b"m2": 17, b"m3": 17}),       # fortune -e
    (False, 10, 90, {b"f1": 10, b"m1": 30, b"m2": 30, b"m3": 30}),
    (False, 70, None, {b"f1": 70, b"m1": 10, b"m2": 10, b"m3": 10}),        # the rest goes to the others
    (False, 0, None, {b"m1": 33, b"m2": 33, b"m3": 33})])
def test_sources_are_told_by_their_share(equal, few, many, parts):
    assert told(Quotes(sources(few, many), same, equal)) == parts


def test_a_draw_that_does_not_fit_is_followed_by_another():
    quotes = Quotes([Source("", [LONG, b"short"])], same)
    draws = [0.0, 0.0] * (DRAWS - 1) + [0.0, 0.9]
    assert quotes.pick(iter(draws).__next__, 50) == b"short" and quotes.shelf is None


def test_the_only_one_that_fits_is_found_however_draws_fall():
    quotes = Quotes([Source("", [LONG] * 999 + [b"short"])], same)
    assert quotes.pick(lambda: 0.0, 50) == b"short"


@pytest.mark.parametrize("limit", [0, 1])
def test_where_none_fits_none_is_told(limit):
    assert Quotes(sources(), same).pick(lambda: 0.5, limit) == b""


def test_of_those_that_fit_shares_hold():
    many = Source("many", [b"m1", b"m2", LONG, LONG], 75)
    quotes = Quotes([Source("few", [b"f1", LONG], 25), many], same)
    counts = Counter(quotes._pick_of_those_that_fit(share / 1000, 50) for share in range(1000))
    assert counts == {b"f1": 250, b"m1": 375, b"m2": 375}


def test_lengths_are_those_of_what_is_told():
    """A tab grows, an escape goes, and b"" means that it cannot be told."""
    worded = {b"a": b"a" * 10, b"bb": b"bb", b"no": b""}.__getitem__
    quotes = Quotes([Source("", [b"a", b"bb", b"no"])], worded)
    assert {quotes.pick(cycle((0.0, number / 6)).__next__, 5) for number in range(6)} == {b"bb"}


def test_the_same_draws_tell_the_same_quote_before_and_after_all_were_looked_at():
    quotes = Quotes(sources(), same)
    before = [quotes.pick(iter(draws).__next__, 2) for draws in evenly(10)]
    quotes.pick(lambda: 0.0, 1)
    assert quotes.shelf and [quotes.pick(iter(draws).__next__, 2) for draws in evenly(10)] == before


def test_a_source_without_quotes_has_no_share():
    assert told(Quotes([Source("none"), Source("few", FEW)], same, equal=True)) == {b"f1": 100}
    with pytest.raises(ValueError, match="/a, /b: no quotes there"):
        Quotes([Source("/a"), Source("/b")], same)
