"""Kinds of option values."""

import pytest

from daemons.kernel.values import hosts


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
