"""RFC 1078, line by line."""

import pytest

from daemons.wire.tcpmux import NO, YES, listed, wanted


@pytest.mark.parametrize("line, name", [
    (b"finger\r\n", "finger"), (b"MyOrg-Billing\r\n", "myorg-billing"), (b"help\n", "help"), (b"\r\n", ""),
    (b" finger\r\n", " finger"), (b"\xc3\x84\xff\r\n", "\xe3\x84\xff")])
def test_a_name_is_a_line_without_case(line, name):
    assert wanted(line) == name


def test_help_is_one_name_a_line_and_answers_begin_with_their_sign():
    assert listed(["a", "b"]) == b"a\r\nb\r\n" and listed([]) == b""
    assert (YES[:1], NO[:1], YES[-2:], NO[-2:]) == (b"+", b"-", b"\r\n", b"\r\n")
