"""The queue's schedule: how waits grow and spread, when it is enough, and where addresses lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.queueplan import LIFETIME, SPREAD, Plan, destination, matches


def test_waits_double_from_five_minutes_to_seventy():
    plan = Plan()
    waits = [plan.wait("1ngmpw990t0ay4", attempts) for attempts in range(1, 12)]
    for wait, least in zip(waits, [300, 600, 1200, 2400, *[4200] * 7]):
        assert least <= wait <= least * (1 + SPREAD)
    assert plan.wait("x", 10**6) <= 4200 * (1 + SPREAD)


def test_what_was_put_off_together_does_not_come_back_together():
    plan = Plan()
    waits = [plan.wait(f"{each:014}", 1) for each in range(1000)]
    parts = [sum(300 + 6 * part <= wait < 300 + 6 * (part + 1) for wait in waits) for part in range(10)]
    assert sum(parts) == 1000 and min(parts) > 50 and max(parts) < 200
    assert waits == [plan.wait(f"{each:014}", 1) for each in range(1000)]
    assert plan.wait("a", 5) != plan.wait("a", 6)


def test_five_days_and_then_no_more():
    plan, now, tries, received = Plan(), 1000.0, 0, 1000.0
    while not plan.is_expired(now, received):
        tries += 1
        now = plan.next_try("1ngmpw990t0ay4", tries, now, received)
    assert now == received + LIFETIME == plan.gives_up(received) and 90 < tries < 115
    assert plan.next_try("x", 3, now + 50, received) == now + 50, "never in the past"


def test_a_message_may_have_its_own_end():
    plan = Plan(lifetime=100)
    assert (plan.gives_up(50), plan.gives_up(50, 60)) == (150, 60)
    assert plan.is_expired(60, 50, 60) and not plan.is_expired(60, 50)
    assert plan.next_try("x", 1, 55, 50, 60) == 60


def test_the_sender_is_warned_after_four_hours_unless_nobody_wants_that():
    assert not Plan().is_late(4 * 3600, 1) and Plan().is_late(4 * 3600, 0)
    assert not Plan(warn_after=0).is_late(10**9, 0)


@given(st.floats(0.1, 10**5), st.floats(0.1, 10**5), st.integers(1, 10**4), st.text())
def test_any_plan_waits_within_its_bounds(first, most, attempts, id):
    plan = Plan(first, most)
    assert first <= plan.wait(id, attempts) <= max(first, most) * (1 + SPREAD) * 1.000001


@pytest.mark.parametrize("address, where", [
    ("bob@Example.NET", "example.net"), ('"a@b"@x.org', "x.org"), ("postmaster", ""), ("a@[192.0.2.1]", "[192.0.2.1]"),
    ("a@b\u00dcCHER.example", "b\u00dccher.example"), ("a@\u212aelvin", "\u212aelvin"), ("a@\udcff.X", "\udcff.x")])
def test_an_address_leads_to_its_domain(address, where):
    assert destination(address) == where


@pytest.mark.parametrize("domain, pattern, fits", [
    ("example.org", "EXAMPLE.org", True), ("mx.example.org", "example.org", False),
    ("example.org", ".example.org", False),
    ("mx.Example.org", ".example.ORG", True), ("badexample.org", ".example.org", False), ("", "", True)])
def test_a_domain_or_all_below_it(domain, pattern, fits):
    assert matches(domain, pattern) is fits
