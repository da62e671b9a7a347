"""Windows of the day: what they take in, across midnight too, and what is none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons import echod
from daemons.kernel import access
from daemons.kernel.accesstimes import minute, now, shown, windows, within
from daemons.kernel.addresses import Address
from daemons.kernel.options import Misuse
from daemons.kernel.stream import Stream
from tests.play import Peer, options_of

CLIENT = Address("192.0.2.7", 41822)


@pytest.fixture
def zone(monkeypatch):
    """A function that sets the local time zone."""
    def moved(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()
    yield moved
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("text, inside, outside", [
    ("08:00-18:00", ["08:00", "12:34", "18:00"], ["07:59", "18:01", "00:00", "23:59"]),
    ("8:00-18:00", ["08:00"], ["07:59"]),
    ("22:00-02:00", ["22:00", "23:59", "00:00", "01:59", "02:00"], ["21:59", "02:01", "12:00"]),
    ("08:00-12:00 13:00-18:00", ["12:00", "13:00"], ["12:01", "12:59"]),
    ("08:00-12:00,22:00-02:00", ["08:00", "01:00"], ["03:00", "21:00"]),
    ("00:00-23:59", ["00:00", "23:59"], []),
    ("00:00-24:00", ["00:00", "12:00", "23:59"], []),
    ("18:00-24:00", ["18:00", "23:59"], ["00:00", "17:59"]),
    ("12:00-12:00", ["12:00"], ["11:59", "12:01"]),
    ("12:01-12:00", ["12:00", "12:01", "00:00", "23:59"], []),
])
def test_what_a_window_takes_in(text, inside, outside):
    chosen = windows(text)
    assert [word for word in inside if within(chosen, minute(word)) is None] == []
    assert [word for word in outside if within(chosen, minute(word)) is not None] == []


@pytest.mark.parametrize("text", [
    "", " ", ",", "08:00", "08:00-", "-18:00", "8-18", "08:00-18", "24:00-02:00", "08:00-24:01", "08:60-09:00",
    "08:00-25:00", "8:0-9:00", "008:00-09:00", "+8:00-09:00", "08:00-09:00-10:00", "\u0668:00-09:00", "08:00 - 18:00",
    "08.00-18.00", "08:00:00-18:00:00"])
def test_what_is_no_window(text):
    with pytest.raises(ValueError, match="window of the day|08:00-18:00"):
        windows(text)
    with pytest.raises(Misuse, match="command line: access-times: "):
        options_of(echod, f"--access-times={text}")


@given(st.text(alphabet="0123456789:- ,x"))
def test_any_text_is_windows_or_a_value_error(text):
    try:
        found = windows(text)
    except ValueError:
        return
    assert windows(" ".join(shown(*one) for one in found)) == found != []


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_a_window_and_what_lies_between_its_end_and_its_beginning_are_the_whole_day(first, last, at):
    here = within([(first, last)], at) is not None
    rest = within([((last + 1) % 1440, (first - 1) % 1440)], at) is not None
    assert here != rest or (last + 1) % 1440 == first


def test_local_time_counts(zone):
    noon = 1_790_000_000            # 14:13 UTC
    zone("UTC")
    assert shown(now(noon)) == "14:13"
    zone("XYZ-9")
    assert shown(now(noon)) == "23:13"


# -- who may come in --

def admitted(at, *arguments, peer=CLIENT, zone_=None):
    stream = Stream(Peer([b"hello"]), peer=peer, wall=lambda: 1_789_948_800 + minute(at) * 60)      # from midnight, UTC
    return access.admit(stream, options_of(echod, *arguments))


@pytest.mark.parametrize("at, why", [("07:59", "access-times"), ("08:00", None), ("18:00", None),
                                     ("18:01", "access-times"), ("22:30", None), ("01:30", None),
                                     ("02:01", "access-times")])
def test_nobody_comes_in_at_other_times(zone, at, why):
    zone("UTC")
    times = "--access-times=08:00-18:00 22:00-02:00"
    assert admitted(at, times) == admitted(at, times, "--only-from=192.0.2.0/24") == why
    assert [admitted(at, times, peer=Address(word=word)) for word in ("unix:uid=0", "pipes")] == [why, why]
    assert admitted(at, times, "--no-access=192.0.2.7") == (why or "no-access")


def test_the_time_is_that_of_the_place(zone):
    zone("XYZ-9")
    assert admitted("00:30", "--access-times=09:00-10:00") is None


def test_a_door_that_closes_turns_away_before_a_process_is_spent(zone, monkeypatch):
    zone("UTC")
    look = access.at_the_door(options_of(echod, "--access-times=08:00-18:00"))
    monkeypatch.setattr(access.time, "time", lambda: 1_789_948_800 + 8 * 3600)
    assert look(CLIENT) is None
    monkeypatch.setattr(access.time, "time", lambda: 1_789_948_800 + 20 * 3600)
    assert look(CLIENT) == "access-times"
