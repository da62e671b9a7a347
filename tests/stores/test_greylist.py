"""The greylist: who tries again passes, and whoever has done so often is believed."""

import pytest

from daemons.stores.greylist import ENOUGH, LIFETIME, WINDOW, Greylist, network_of

NOON = 1_790_000_000.0
MAIL = "192.0.2.7", "fred@example.net", "ann@example.org"


@pytest.fixture
def greylist(tmp_path):
    return Greylist(f"{tmp_path}/greylist.db", 300)


def test_the_second_attempt_passes_if_it_is_not_at_once(greylist):
    assert [greylist.passes(*MAIL, NOON + seconds) for seconds in (0, 10, 299, 300, 301)] == [False] * 3 + [True] * 2


def test_each_mail_for_itself(greylist):
    greylist.passes(*MAIL, NOON)
    others = [("198.51.100.7", *MAIL[1:]), (MAIL[0], "x@example.net", MAIL[2]), (*MAIL[:2], "bob@example.org")]
    assert [greylist.passes(*other, NOON + 400) for other in others] == [False] * 3
    assert greylist.passes("192.0.2.200", "FRED@example.net", MAIL[2], NOON + 400)       # a sister of that server


def test_attempts_are_forgotten(greylist):
    greylist.passes(*MAIL, NOON)
    assert not greylist.passes(*MAIL, NOON + WINDOW + 1)
    assert greylist.passes(*MAIL, NOON + WINDOW + 400)
    assert greylist.passes(*MAIL, NOON + WINDOW + LIFETIME)
    assert not greylist.passes(*MAIL, NOON + WINDOW + LIFETIME * 3)


def test_who_has_passed_often_is_believed(greylist):
    for each in range(ENOUGH):
        for later in (0, 400):
            greylist.passes(MAIL[0], f"{each}@example.net", MAIL[2], NOON + later)
    assert greylist.passes(MAIL[0], "new@example.net", MAIL[2], NOON + 500)
    assert not greylist.passes("198.51.100.7", "new@example.net", MAIL[2], NOON + 500)


def test_it_is_kept(greylist, tmp_path):
    greylist.passes(*MAIL, NOON)
    assert Greylist(f"{tmp_path}/greylist.db", 300).passes(*MAIL, NOON + 300)


@pytest.mark.parametrize(("host", "network"), [("192.0.2.7", "192.0.2.0/24"),
                                               ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
                                               ("fe80::1%eth0", "fe80::/64")])
def test_networks(host, network):
    assert network_of(host) == network
