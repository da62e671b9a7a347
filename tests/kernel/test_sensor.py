"""Who is shut out, for how long, and how many that may be."""

import pytest

from daemons.kernel import sensor
from daemons.kernel.addresses import Address
from daemons.kernel.sensor import FOREVER, ShutOut

FOE, FRIEND = Address("192.0.2.1", 7), Address("192.0.2.2", 7)


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def shut_out(clock):
    return ShutOut(lambda: clock[0])


def test_for_a_time(shut_out, clock):
    assert shut_out.add(FOE, 60) and shut_out.holds(FOE) and not shut_out.holds(FRIEND)
    clock[0] = 159.9
    assert shut_out.holds(FOE) and shut_out.left() == [("192.0.2.1", pytest.approx(0.1))]
    clock[0] = 160.0
    assert not shut_out.holds(FOE) and shut_out.left() == []


def test_for_ever_and_never(shut_out, clock):
    assert not shut_out.add(FRIEND, 0) and shut_out.add(FOE, FOREVER)
    clock[0] = 1e12
    assert shut_out.holds(FOE) and not shut_out.holds(FRIEND)
    assert not shut_out.add(FOE, 60) and shut_out.holds(FOE)


def test_another_call_lengthens_and_never_shortens(shut_out, clock):
    assert shut_out.add(FOE, 60) and not shut_out.add(FOE, 30)
    clock[0] = 110.0
    assert shut_out.add(FOE, 60)
    clock[0] = 165.0
    assert shut_out.holds(FOE)


def test_a_source_is_an_ipv6_network_and_nothing_local_is_one(shut_out):
    assert shut_out.add(Address("2001:db8::1", 7), 60) and shut_out.holds(Address("2001:db8::2", 8))
    assert not shut_out.add(Address(word="unix:uid=0"), 60) and not shut_out.holds(Address(word="unix:uid=0"))


def test_all_are_forgotten_on_request(shut_out):
    shut_out.add(FOE, FOREVER)
    assert (shut_out.forget(), shut_out.holds(FOE), shut_out.forget()) == (1, False, 0)


def test_a_flood_does_not_fill_the_memory_and_makes_room_for_itself(shut_out, clock, monkeypatch):
    monkeypatch.setattr(sensor, "MOST", 3)
    assert [shut_out.add(Address(f"192.0.2.{number}", 7), 60) for number in range(4)] == [True] * 3 + [False]
    clock[0] = 161.0
    assert shut_out.add(Address("192.0.2.9", 7), 60) and len(shut_out.until) == 1
