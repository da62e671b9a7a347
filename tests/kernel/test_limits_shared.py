"""Limits that processes share: who may begin, whoever counts, however the others ended."""

import os
import signal
import threading

import pytest

from daemons.kernel import limitsfile, log
from daemons.kernel.ends import Crowded
from daemons.kernel.limits import Shared
from daemons.kernel.limitsfile import LimitsFile, Unusable
from tests.clocks import Clock
from tests.kernel.holders import Holder

HERE, THERE = "192.0.2.7", "192.0.2.8"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "limits")


@pytest.fixture
def events(monkeypatch):
    """What is logged, as (name, values)."""
    logged = []
    monkeypatch.setattr(log, "event", lambda name, **values: logged.append((name, values)))
    return logged


@pytest.fixture
def shared(path, clock):
    """A function that makes Shared limits on the one table of the test."""
    made = []

    def make(group="g", at=path, **options):
        made.append(LimitsFile(at, clock))
        return Shared(made[-1], group, **options)

    yield make
    for table in made:
        table.close()


def why(shared, source):
    """Why a source may not enter; None if it did."""
    try:
        shared.enter(source)
    except Crowded as end:
        return str(end)


# -- one process --

def test_so_many_at_once_from_one_source(shared):
    two = shared(per_source=2)
    holds = [two.enter(HERE), two.enter(HERE)]
    assert why(two, HERE) == "per-source" and why(two, THERE) is None
    holds[0].leave()
    assert [why(two, HERE), why(two, HERE)] == [None, "per-source"]


def test_so_many_at_once_from_all(shared):
    three = shared(most=3)
    hold = three.enter(HERE)
    assert [why(three, source) for source in (THERE, "2001:db8::/64", "192.0.2.9")] == [None, None, "instances"]
    hold.leave()
    assert [why(three, HERE), why(three, HERE)] == [None, "instances"]


def test_so_many_a_second_from_one_source(shared, clock):
    two = shared(rate=2, present=False)
    assert [why(two, HERE) for _ in range(3)] == [None, None, "rate"]
    assert why(two, THERE) is None
    clock.now += 1
    assert [why(two, HERE) for _ in range(3)] == [None, None, "rate"]
    assert two.table.look(limitsfile.key_of(1, HERE)).now == 0


def test_who_was_too_many_does_not_count_for_the_rate_nor_who_was_too_fast_as_present(shared, clock):
    both = shared(per_source=1, rate=1)
    hold = both.enter(HERE)
    assert why(both, HERE) == "per-source"
    hold.leave()
    assert why(both, HERE) == "rate"
    clock.now += 1
    assert why(both, HERE) is None


def test_ipv6_counts_by_64_and_users_and_all_that_is_local_as_one_each(shared):
    from daemons.kernel.addresses import Address
    one = shared(per_source=1)
    sources = [Address(host).source for host in ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1")]
    assert [why(one, source) for source in sources] == [None, "per-source", None]
    assert [why(one, word) for word in ("unix:uid=0", "unix:uid=1", "unix:uid=1")] == [None, None, "per-source"]
    assert [why(one, word) for word in ("unix:/tmp/a", "unix:/tmp/b", "terminal")] == [None, "per-source", "per-source"]


@pytest.mark.parametrize("source", ["192.0.2.7", "0.0.0.0", "2001:db8:1:2::/64", "::/64", "unix:uid=1000", "local"])
def test_a_key_can_be_read_back(source):
    assert limitsfile.source_of(limitsfile.key_of(7, source)) == source
    assert limitsfile.source_of(limitsfile.key_of(7, None)) == "all"


def test_a_refusal_is_news_once_a_minute(shared, clock):
    def news(source):
        with pytest.raises(Crowded) as error:
            one.enter(source)
        return error.value.news

    one = shared(most=1)
    one.enter(HERE)
    assert [news(HERE), news(HERE), news(THERE)] == [True, False, True]
    clock.now += 59
    assert not news(HERE)
    clock.now += 2
    assert [news(HERE), news(HERE), one.told(HERE)] == [True, False, False]
    assert [one.told(THERE), one.told(THERE)] == [True, False]


def test_threads_of_one_process_do_not_miscount(shared):
    seven, admitted, gate = shared(per_source=7), [], threading.Barrier(20)

    def many():
        gate.wait()
        for _ in range(5):
            if why(seven, HERE) is None:
                admitted.append(1)

    threads = [threading.Thread(target=many) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 7 and seven.table.lives(limitsfile.key_of(1, HERE)) == 7


# -- many processes --

def test_processes_count_together(path):
    with Holder(path, per_source=2) as one, Holder(path, per_source=2) as two, Holder(path, per_source=2) as three:
        assert [one.enter(HERE), two.enter(HERE), three.enter(HERE)] == ["in", "in", "per-source!"]
        assert three.enter(THERE) == "in"
        one.tell("leave", HERE)
        assert [three.enter(HERE), one.enter(HERE)] == ["in", "per-source"]


@pytest.mark.parametrize("limit", [{"per_source": 1}, {"most": 1}])
def test_who_is_killed_makes_room_at_once(path, limit):
    with Holder(path, **limit) as one, Holder(path, **limit) as two:
        word = "per-source" if "per_source" in limit else "instances"
        assert [one.enter(HERE), two.enter(HERE)] == ["in", f"{word}!"]
        one.kill()
        assert two.tell("crowded", HERE) is None
        assert two.enter(HERE) == "in"


def test_a_child_of_a_holder_keeps_nothing(path):
    """A script that a conversation started may outlive it; the conversation is over all the same."""
    with Holder(path, per_source=1) as one, Holder(path, per_source=1) as two:
        one.enter(HERE)
        child = one.tell("fork")
        try:
            one.kill()
            assert two.enter(HERE) == "in"
        finally:
            os.kill(child, signal.SIGKILL)


def test_the_rate_and_the_minute_of_a_refusal_are_everybodys(path):
    with Holder(path, rate=2, present=False) as one, Holder(path, rate=2, present=False) as two:
        assert [one.enter(HERE), two.enter(HERE), one.enter(HERE), two.enter(HERE)] == ["in", "in", "rate!", "rate"]
        one.kill()
        assert [two.enter(HERE, now=1000.9), two.enter(HERE, now=1001)] == ["rate", "in"]


def test_programs_count_apart_and_those_of_a_group_together(path):
    with Holder(path, "pop3d", per_source=1) as pop, Holder(path, "imapd", per_source=1) as imap, \
            Holder(path, "pop3d", per_source=2) as more:
        said = [holder.enter(HERE) for holder in (pop, imap, more, more)]
        assert said == ["in", "in", "in", "per-source!"]


def test_one_that_limits_nothing_still_counts_for_its_group(path):
    with Holder(path) as free:
        assert [free.enter(HERE) for _ in range(2)] == ["in", "in"]
        with Holder(path, per_source=2, most=3) as strict:
            said = [strict.enter(source) for source in (HERE, THERE, "192.0.2.9")]
            assert said == ["per-source!", "in", "instances!"]
            free.kill()
            assert strict.enter("192.0.2.9") == "in"


@pytest.mark.parametrize("limit, most", [({"per_source": 7}, 7), ({"most": 5}, 5), ({"rate": 9}, 9)])
def test_processes_that_enter_at_the_same_time_never_exceed_the_limit(path, limit, most):
    holders = [Holder(path, **limit) for _ in range(20)]
    try:
        for turn in range(3):
            for holder in holders:
                holder.enter(HERE, now=1000 + turn, wait=False)
            said = [holder.answer() for holder in holders]
            assert said.count("in") == most
            for holder, word in zip(holders, said):
                if word == "in":
                    holder.tell("leave", HERE)
        for holder in holders[::2]:
            holder.enter(HERE, now=2000, wait=False)    # some are killed in the middle of it, wherever that is
        for holder in holders[::2]:
            holder.kill()
        said = [holder.enter(HERE, now=3000) for holder in holders[1::2] for _ in range(2)]
        assert said.count("in") == most
    finally:
        for holder in holders:
            holder.__exit__()


def test_a_glance_sees_what_enter_would_say(path):
    with Holder(path, per_source=1) as one, Holder(path, most=2) as two, Holder(path, rate=2) as three:
        assert [holder.tell("crowded", HERE) for holder in (one, two, three)] == [None] * 3
        assert [one.enter(HERE), three.enter(HERE)] == ["in", "in"]
        assert [holder.tell("crowded", HERE) for holder in (one, two, three)] == ["per-source", "instances", None]
        assert three.enter(HERE) == "in"
        assert [three.tell("crowded", HERE), three.tell("crowded", HERE, now=1001)] == ["rate", None]
        assert one.tell("crowded", THERE) is None


# -- what may go wrong --

def test_a_holder_of_the_lock_who_is_stopped_holds_nobody_up_for_ever(path, shared, events, monkeypatch):
    monkeypatch.setattr(limitsfile, "PATIENCE", 0.05)
    one = shared(per_source=1)
    one.enter(HERE).leave()
    with Holder(path, per_source=1) as stopped:
        stopped.tell("lock")
        assert why(one, HERE) == why(one, HERE) == "limits", "what restricts fails closed"
        assert one.crowded(HERE) is None and not one.within_rate(HERE)
        (name, values), = events
        assert name == "warning" and f"held by process {stopped.pid}" in values["text"]
        stopped.kill()
        assert why(one, HERE) is None


def test_who_leaves_while_the_table_is_held_up_makes_room_all_the_same(path, shared, monkeypatch):
    monkeypatch.setattr(limitsfile, "PATIENCE", 0.05)
    one = shared(per_source=1)
    hold = one.enter(HERE)
    with Holder(path, per_source=1) as other:
        other.tell("lock")
        hold.leave()
        other.tell("unlock")
        assert other.enter(HERE) == "in"


def test_a_full_table_refuses_and_says_so_and_takes_the_places_of_the_dead(path, shared, events, monkeypatch):
    monkeypatch.setattr(limitsfile, "SLOTS", 4)
    monkeypatch.setattr(limitsfile, "SIZE", limitsfile.AT_SLOTS + 4 * limitsfile.SLOT)
    one = shared(per_source=100)
    with Holder(path, per_source=100) as other:
        assert [other.enter(HERE) for _ in range(2)] == ["in", "in"]
        holds = [one.enter(THERE) for _ in range(2)]
        assert [why(one, HERE), why(one, THERE)] == ["instances", "instances"]
        assert events == [("pressure", {"why": "the table of limits is full"})]
        holds[0].leave()
        assert [why(one, HERE), why(one, HERE)] == [None, "instances"]
        other.kill()
        assert [why(one, HERE) for _ in range(3)] == [None, None, "instances"]


@pytest.fixture
def small(monkeypatch):
    """Tables with one bucket of eight rows."""
    monkeypatch.setattr(limitsfile, "BUCKETS", 1)


def test_whoever_was_here_longest_ago_makes_room_for_a_new_source(shared, small, clock):
    one, key = shared(per_source=1), limitsfile.key_of(1, "10.0.0.0")
    for number in range(9):
        clock.now += 1
        one.enter(f"10.0.0.{number}").leave()
        assert (one.table.look(key) is None) == (number == 8)


def test_who_is_here_counts_although_his_row_made_room(shared, small, clock):
    one = shared(per_source=1)
    one.enter(HERE)
    for number in range(20):
        clock.now += 1
        one.enter(f"10.0.0.{number}")
    assert one.table.look(limitsfile.key_of(1, HERE)) is None
    assert why(one, HERE) == "per-source"


def test_a_flood_of_sources_cannot_make_a_fast_one_slow_in_the_tables_eyes(shared, small, clock, events):
    one = shared(rate=1, present=False)
    assert [why(one, f"10.0.0.{number}") for number in range(10)] == [None] * 8 + ["rate"] * 2
    assert events == [("pressure", {"why": "the table of limits is full"})]
    assert why(one, "10.0.0.3") == "rate"
    clock.now += 1
    assert why(one, "10.0.0.9") is None


def test_255_groups_and_no_more(path, shared):
    table = shared().table
    with table:
        assert [table.group(f"g{number}") for number in range(255)] == list(range(1, 256))
        with pytest.raises(Unusable, match="has 255 groups already"):
            table.group("one more")
        assert table.group("g254") == 255 and table.names()[254] == "g254"
