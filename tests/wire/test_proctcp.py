"""Linux's tables of TCP sockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.proctcp import LISTEN, sockets

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
V4 = ("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0\n"
      "   1: 0100007F:0050 020000C0:D431 01 00000000:00000000 00:00000000 00000000 65534        0 777 1 0\n")
V6 = ("   0: 0000000000000000FFFF00000100007F:EA5B 00000000000000000000000001000000:0001 06 00000000:00000000 "
      "03:00000181 00000000     0        0 0 3 0\n")


def values(text, byteorder="little"):
    return [(one.local.hex(), one.local_port, one.remote.hex(), one.remote_port, one.state, one.uid, one.inode)
            for one in sockets(text, byteorder)]


def test_ipv4():
    assert values(HEADING + V4) == [("7f000001", 8080, "00000000", 0, LISTEN, 1000, 12345),
                                    ("7f000001", 80, "c0000002", 54321, 1, 65534, 777)]


def test_ipv6_is_four_numbers_each_in_the_machines_order():
    assert values(HEADING + V6) == [("00000000000000000000ffff7f000001", 59995, f"{1:032x}", 1, 6, 0, 0)]


def test_a_big_endian_machine_prints_other_digits():
    assert values(HEADING + V4.replace("0100007F", "7F000001"), "big")[0][0] == "7f000001"


@pytest.mark.parametrize("old, new", [("1F90", "1F9"), ("0100007F", "100007F"), ("0100007F", "0100_07F"), ("0A", "0x"),
                                      (" 1000 ", " 1_0 "), (" 1000 ", " ١ "), (" 12345 ", " -1 "), (":1F90", "+1F90")])
def test_lines_that_are_none(old, new):
    with pytest.raises(ValueError, match="not a"):
        list(sockets(HEADING + V4.replace(old, new)))


def test_an_empty_table():
    assert list(sockets(HEADING)) == list(sockets("")) == []


@given(st.text(alphabet="0123456789ABCDEF: \nx\u0661", max_size=200))
def test_any_text_ends_in_sockets_or_a_value_error(text):
    try:
        assert all(len(one.local) in (4, 16) for one in sockets(HEADING + text))
    except ValueError:
        return
