"""Kinds of option values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel.options import GENERAL
from daemons.kernel.values import (
    choice,
    count,
    hosts,
    in_units,
    linger,
    number,
    path,
    seconds,
    several,
    size,
    switch,
    words,
)


@pytest.mark.parametrize("text, found", [
    ("", []),
    ("a", [("a", 79)]),
    ("a.example:7979, 192.0.2.1", [("a.example", 7979), ("192.0.2.1", 79)]),
    ("[2001:db8::1] [::1]:113", [("2001:db8::1", 79), ("::1", 113)]),
])
def test_hosts(text, found):
    assert hosts(79)(text) == found


@pytest.mark.parametrize("text", [":79", "a:", "a:0", "a:65536", "a:x", "a:7_9", "[::1", "[::1]79", "[]:79", "::1"])
def test_hosts_that_are_none(text):
    with pytest.raises(ValueError, match="not a"):
        hosts(79)(text)


@pytest.mark.parametrize("kind, text, value", [
    (number, "0", 0), (number, "007", 7), (number, "9" * 18, 10 ** 18 - 1), (count, "1", 1),
    (seconds, "90", 90), (seconds, "1.5", 1.5), (seconds, "30s", 30), (seconds, "5m", 300), (seconds, "2h", 7200),
    (seconds, "1d", 86400), (seconds, "0.5m", 30), (seconds, "2.", 2), (seconds, "24d", 24 * 86400), (linger, "3", 3),
    (size, "4096", 4096), (size, "64K", 65536), (size, "10m", 10 << 20), (size, "1G", 1 << 30),
    (switch, "yes", True), (switch, "no", False), (path, "/run/x", "/run/x"), (words, "a, b\tc,,d", list("abcd")),
    (choice("a", "b"), "b", "b"), (several("a", "b"), "b,a", ["b", "a"]), (several("a"), "", []),
])
def test_what_a_text_means(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize("octets, text", [
    (0, "0"), (1000, "1000"), (1024, "1K"), (3 << 19, "1536K"), (10 << 20, "10M"), (2 << 30, "2G"), (4 << 40, "4096G")])
def test_octets_in_units_are_read_as_they_were(octets, text):
    assert in_units(octets) == text and size(text) == octets


@pytest.mark.parametrize("kind, texts", [
    (number, ["", " 5", "5 ", "+5", "-5", "1_0", "5.0", "0x5", "\u0663", "\xb2", "9" * 19]), (count, ["0", "-1"]),
    (seconds, ["", "s", ".5", "1.5.5", "1e3", "inf", "nan", "-1", " 5", "5 m", "5w", "\u0663", "1_0", "25d",
               "9" * 13]),
    (linger, ["2", "2.9s", "0"]), (size, ["", "K", "1.5K", "-1", "1KB", "1T"]),
    (switch, ["", "1", "true", "Yes", "on"]),
    (path, ["", "x", "./x", "~/x"]), (choice("a"), ["", "b", "A"]), (several("a"), ["b", "a,b"]),
])
def test_what_means_nothing(kind, texts):
    for text in texts:
        with pytest.raises(ValueError, match=r"must be|not a|say yes"):
            kind(text)


def test_kinds_are_called_what_help_shows():
    assert [kind.__name__ for kind in (seconds, choice("a", "b"), several("a", "b"), hosts(79))] == \
        ["seconds", "a|b", "a|b,...", "host:port,..."]


@given(st.sampled_from([option for _, group in GENERAL for option in group]), st.text())
def test_any_text_is_a_value_or_a_value_error(option, text):
    try:
        option.kind(text)
    except ValueError as error:
        assert str(error)
