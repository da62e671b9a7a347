"""Lists of UIDs: ours, Dovecot's, Courier's, damaged ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import uidlist
from daemons.wire.uidlist import Entry

# after the example in Dovecot's documentation
DOVECOT = b"""3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1
25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,
25017 W2481 :1276533073.M242911P3632.kurkku:2,F
25021 W7 P0000000164a5b6c7 :1276533074.M1P1.kurkku
"""


def split(data):
    line, _, rest = data.partition(b"\n")
    return line + b"\n", rest


def values(entries):
    return [(one.uid, one.name, one.virtual, one.uidl) for one in entries]


def test_a_list_of_dovecot():
    line, rest = split(DOVECOT)
    header = uidlist.parsed_header(line)
    assert (header.version, header.validity, header.next) == (3, 1275660208, 25022)
    assert header.guid == b"3085f01b7f11094c501100008c4a11c1"
    assert values(uidlist.entries(rest)) == [
        (25006, b"1276528487.M364837P9451.kurkku,S=1355,W=1394:2,", None, None),
        (25017, b"1276533073.M242911P3632.kurkku:2,F", 2481, None),
        (25021, b"1276533074.M1P1.kurkku", 7, b"0000000164a5b6c7")]


def test_a_list_of_courier():
    header = uidlist.parsed_header(b"1 1035478339 12\n")
    assert (header.version, header.validity, header.next) == (1, 1035478339, 12)
    assert values(uidlist.entries(b"3 1035.x.org\n11 1036.x.org,S=5\n", header.version)) == [
        (3, b"1035.x.org", None, None), (11, b"1036.x.org,S=5", None, None)]


def test_what_is_written_is_read():
    header = uidlist.parsed_header(uidlist.header(7, 4, b"abc", b"01"))
    assert (header.validity, header.next, header.guid, header.line) == (7, 4, b"abc", b"3 V7 N4 Gabc R01\n")
    some = [Entry(1, b"a"), Entry(2, b"b:2,S", 5), Entry(3, b"c", None, b"id"), Entry(9, b"d", 0, b"x")]
    assert values(uidlist.entries(b"".join(map(uidlist.entry, some)))) == values(some)


@pytest.mark.parametrize("line", [b"", b"\n", b"3 V1 N1", b"2 V1 N1\n", b"3 V0 N1\n", b"3 N1\n", b"3 V1\n", b"1 1\n",
                                  b"3 V4294967296 N1\n", b"3 V1 N-1\n", b"3 V1 N1_0\n", b"SQLite format 3\n"])
def test_no_first_line(line):
    with pytest.raises(ValueError):
        uidlist.parsed_header(line)


def test_damaged_lines_are_left_out():
    data = b"1 :a\nx\n2 b\n 3 :c\n4 :\n5 :../x\n6 W :f\n0 :g\n9 :h\n7 :late\n10 :i\n11 :never ended"
    assert [one.uid for one in uidlist.entries(data)] == [1, 9, 10]
    assert [one.uid for one in uidlist.entries(data, above=9)] == [10]


@given(st.binary(max_size=80), st.binary(max_size=200))
def test_any_octets_make_entries_in_order_or_no_header(line, rest):
    try:
        assert uidlist.parsed_header(line + b"\n").line == line + b"\n"
    except ValueError as error:
        assert str(error)
    uids = [one.uid for one in uidlist.entries(rest)]
    assert uids == sorted(set(uids))
