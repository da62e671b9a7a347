"""The file maildirsize: limits, sums, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import maildirsize


@pytest.mark.parametrize("definition, limits", [
    (b"10000000S,1000C", (10_000_000, 1000)), (b"1000C,5S", (5, 1000)), (b"7S", (7, 0)), (b"0S,0C", (0, 0)),
    (b"", (0, 0)), (b"5S,9X", (5, 0))])
def test_limits(definition, limits):
    assert maildirsize.limits(definition) == limits


@pytest.mark.parametrize("definition", [b"S", b"5", b"-5S", b"5 S", b"1_0S", b"xS", b"5S;6C"])
def test_no_limits(definition):
    with pytest.raises(ValueError):
        maildirsize.limits(definition)


def test_sums():
    assert maildirsize.sums(b"") == (0, 0)
    assert maildirsize.sums(b"  1234567          321\n     -4096   -1\n4096 1\n") == (1234567, 321)
    for damaged in (b"1\n", b"1 2 3\n", b"1 x\n", b"\0\n", b"1_0 1\n"):
        with pytest.raises(ValueError):
            maildirsize.sums(damaged)


@given(st.lists(st.tuples(st.integers(-2**40, 2**40), st.integers(-9, 9))))
def test_lines_add_up(changes):
    data = b"".join(maildirsize.line(*change) for change in changes)
    assert maildirsize.sums(data) == (sum(a for a, _ in changes), sum(b for _, b in changes))
