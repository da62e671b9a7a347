"""Who is meant by the words of only_from and no_access: canonical networks and names, or an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.accesspatterns import patterns

MEANT = {
    "10.1.2.3": ["10.1.2.3/32"],
    "10.1.2.0": ["10.1.2.0/24"],
    "10.0.2.0": ["10.0.2.0/24"],
    "10.0.0.0": ["10.0.0.0/8"],
    "0.0.0.0": ["0.0.0.0/0"],
    "10.1.2.{3,4}": ["10.1.2.3/32", "10.1.2.4/32"],
    "10.1.{2,0}": ["10.1.2.0/24", "10.1.0.0/24"],
    "{10,11}": ["10.0.0.0/8", "11.0.0.0/8"],
    "10.1.2.3/24": ["10.1.2.0/24"],
    "10.1.2.0/32": ["10.1.2.0/32"],
    "10.1.2.3/0": ["0.0.0.0/0"],
    "::": ["::/0"],
    "::/0": ["::/0"],
    "2001:DB8::/32": ["2001:db8::/32"],
    "2001:db8::": ["2001:db8::/128"],
    "::ffff:10.1.2.3": ["10.1.2.3/32"],
    "::ffff:10.1.2.3/120": ["10.1.2.0/24"],
    "localhost": ["localhost"],
    "Mail.Example.ORG": ["mail.example.org"],
    ".example.org": [".example.org"],
    "1.2.3.4.example": ["1.2.3.4.example"],
}


@pytest.mark.parametrize("word", MEANT)
def test_what_is_meant(word):
    assert patterns(word) == MEANT[word]


@pytest.mark.parametrize("word", [
    "", ".", "#", "-", "*", "10", "10.1", "10.1.2.", "10.1.2.256", "10.1.2.03", "10.1.2.3.4", "10.1.2.1_0", "٣.1.1.1",
    "10.1.2.{3,4", "10.1.2.{}", "10.1.2.{3,}", "10.1.2.{3}4", "10.1.2.3{4}", "10.1.2.3.{4}", "10..{1}", "10.{1,256}",
    "10.0.0.0,11.0.0.0", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/-1", "10.1/16", "::/129", ":::", "fe80::1%eth0",
    "name/24", "a..b", "-a.b", "a-.b", "ex ample", "\u212a.org", "a" * 64, "a." * 130,
])
def test_what_nobody_can_mean(word):
    with pytest.raises(ValueError):
        patterns(word)


def test_a_mask_is_not_taken_for_a_length():
    with pytest.raises(ValueError, match="number of its bits"):
        patterns("10.0.0.0/255.0.0.0")


@given(st.text(alphabet="0123456789.{},/:abf%", max_size=20))
def test_what_comes_out_means_itself(word):
    try:
        found = patterns(word)
    except ValueError:
        return
    assert [again for one in found for again in patterns(one)] == found
