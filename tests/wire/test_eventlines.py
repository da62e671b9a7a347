"""Events in a log file, read back as they were logged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel.log import LONGEST_VALUE, quoted
from daemons.wire.eventlines import LONGEST, parse


def parts(line):
    """The event's parts, None for no event."""
    event = parse(line)
    return event and (event.when, event.ident, event.pid, event.name, event.values)


@pytest.mark.parametrize("line, expected", [
    ("Nov 24 12:00:00 host echod[41]: close session=0badcafe reason=done",
     ("Nov 24 12:00:00", "echod", 41, "close", {"session": "0badcafe", "reason": "done"})),
    ("Nov  4 12:00:00 host echod: start", ("Nov 4 12:00:00", "echod", 0, "start", {})),
    ('2026-11-24T12:00:00.1+01:00 h inetd[1]: shut-out from="a b" why="say \\"no\\""',
     ("2026-11-24T12:00:00.1+01:00", "inetd", 1, "shut-out", {"from": "a b", "why": 'say "no"'})),
    ('2026-11-24T12:00:00 h x[1]: query about=\\xc3\\xa9\\\\x41 hosts=""',
     ("2026-11-24T12:00:00", "x", 1, "query", {"about": "é\\x41", "hosts": ""})),
    ("Nov 24 12:00:00 host kernel: usb 1-1: new device", None),
    ("Nov 24 12:00:00 host echod[41]: words without a value", None),
    ('Nov 24 12:00:00 host echod[41]: close why="cut off here', None),
    ("Nov 24 12:00:00 host", None), ("", None), ("x", None), ("Nov 24 12:00:00 host echod[41]:", None),
    ("Nov 24 12:00:00 host echod[999999999999]: start", ("Nov 24 12:00:00", "echod", 0, "start", {})),
    (f"Nov 24 12:00:00 host echod: start a={'x' * LONGEST}", None),
])
def test_lines(line, expected):
    assert parts(line) == expected


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\" ='), max_size=LONGEST_VALUE // 16)


@given(st.dictionaries(st.text("abcxyz", min_size=1), TEXT, max_size=4))
def test_what_is_logged_is_read_back(values):
    words = " ".join(["event", *(f"{key}={quoted(value)}" for key, value in values.items())])
    assert parts(f"Nov 24 12:00:00 host echod[41]: {words}") == ("Nov 24 12:00:00", "echod", 41, "event", values)


@given(st.text(max_size=100))
def test_any_text_is_an_event_or_none(text):
    for line in (text, f"2026 host a[1]: b {text}"):
        event = parse(line)
        assert event is None or (event.name and isinstance(event.values, dict))
