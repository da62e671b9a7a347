"""Ranges of a file: what is asked for, what there is of it, and what stands around several."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpranges import (
    MOST,
    MOST_ASKED,
    content_range,
    multipart_length,
    part_head,
    parts_end,
    ranges,
    unsatisfied,
)

HUGE = "9" * 5000               # more digits than int() takes


@pytest.mark.parametrize("text, found", [
    ("bytes=0-499", [(0, 499)]), ("bytes=500-999", [(500, 999)]), ("bytes=-500", [(9500, 9999)]),
    ("bytes=9500-", [(9500, 9999)]), ("bytes=0-0,-1", [(0, 0), (9999, 9999)]),
    ("bytes= 0-999, 4500-5499, -1000", [(0, 999), (4500, 5499), (9000, 9999)]),
    ("bytes=500-600,601-999", [(500, 999)]), ("bytes=500-700,601-999", [(500, 999)]),
])
def test_the_examples_of_rfc_9110(text, found):
    assert ranges(text, 10000) == found


@pytest.mark.parametrize("text, found", [
    ("bytes=0-", [(0, 99)]), ("bytes=99-", [(99, 99)]), ("bytes=99-99", [(99, 99)]), ("bytes=0-1000", [(0, 99)]),
    ("bytes=-100", [(0, 99)]), ("bytes=-101", [(0, 99)]), ("bytes=-1", [(99, 99)]), ("BYTES=5-6", [(5, 6)]),
    ("Bytes=5-6", [(5, 6)]), ("bytes=005-006", [(5, 6)]), (f"bytes=0-{HUGE}", [(0, 99)]), (f"bytes=-{HUGE}", [(0, 99)]),
    (f"bytes={'0' * 5000}5-6", [(5, 6)]), (f"bytes=5-{2**63}", [(5, 99)]), (f"bytes=5-{2**64 + 6}", [(5, 99)]),
    ("bytes=5-6,", [(5, 6)]), ("bytes=,5-6", [(5, 6)]), ("bytes=, ,\t5-6 ,,", [(5, 6)]),
])
def test_one_range(text, found):
    assert ranges(text, 100) == found


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=-000", f"bytes={HUGE}-",
                                  f"bytes={HUGE}-{HUGE}", "bytes=100-,200-,-0"])
def test_nothing_that_could_be_had(text):
    assert ranges(text, 100) == []


@pytest.mark.parametrize("text, found", [
    ("bytes=0-9,20-29", [(0, 9), (20, 29)]), ("bytes=20-29,0-9", [(20, 29), (0, 9)]),
    ("bytes=0-9,10-19", [(0, 19)]), ("bytes=0-9,11-19", [(0, 9), (11, 19)]), ("bytes=0-9,0-9,0-9", [(0, 9)]),
    ("bytes=50-59,0-9,55-70", [(50, 70), (0, 9)]), ("bytes=0-9,50-59,55-70,5-12", [(0, 12), (50, 70)]),
    ("bytes=30-39,0-9,10-29", [(0, 39)]), ("bytes=0-99,5-6", [(0, 99)]), ("bytes=5-6,0-", [(0, 99)]),
    ("bytes=0-0,-1,200-", [(0, 0), (99, 99)]), ("bytes=200-,-5", [(95, 99)]), ("bytes=90-,-20", [(80, 99)]),
    ("bytes=60-69,40-49,80-89,65-85", [(60, 89), (40, 49)]),
])
def test_several_ranges_keep_their_order_and_are_joined_where_they_touch(text, found):
    assert ranges(text, 100) == found


@pytest.mark.parametrize("text", [
    "", "bytes", "bytes=", "bytes= ", "bytes=,", "bytes=,,", "bytes=-", "bytes=--1", "bytes=--", "bytes=5", "bytes=a-b",
    "bytes=5-4", "bytes=1-0", "bytes=0-1,5-4", "bytes=0-1,x", "bytes=0-1;5-6", "bytes=0-1-2", "bytes=0 - 1",
    "bytes=0- 1",
    "bytes=+0-1", "bytes=0-+1", "bytes=0x0-1", "bytes=1_0-20", "bytes=٣-٤", "bytes=²-", "bytes=-²", "bytes=0-1\0",
    "bytes =0-1", " bytes=0-1", "bytes:0-1", "bytes 0-1", "bytes 0-1/100", "items=0-1", "byte=0-1", "octets=0-1",
    "bytes==0-1", "bytes=0-1\r\n", "bytes=\u00a00-1", "byteſ=0-1", "none", f"bytes={HUGE}-0", "bytes=0-1,*",
])
def test_what_is_ignored(text):
    assert ranges(text, 100) is None


@pytest.mark.parametrize("text", ["bytes=0-", "bytes=-1", "bytes=0-0", "bytes=-0", "nonsense"])
def test_of_an_empty_file_there_are_no_ranges(text):
    assert ranges(text, 0) is None


def test_more_ranges_than_anybody_needs_get_the_whole_file():
    def spread(count):
        return "bytes=" + ",".join(f"{10 * place}-{10 * place + 1}" for place in range(count))
    assert len(ranges(spread(MOST), 10000)) == MOST
    assert ranges(spread(MOST + 1), 10000) is None
    touching = ",".join(f"{place}-{place}" for place in range(MOST_ASKED))
    assert ranges(f"bytes={touching}", 10000) == [(0, MOST_ASKED - 1)]
    assert ranges("bytes=" + ",".join(["0-0"] * (MOST_ASKED + 1)), 10000) is None


def test_the_attack_of_cve_2011_3192_is_ignored():
    assert ranges("bytes=0-," + ",".join(f"5-{place}" for place in range(5, 1300)), 100000) is None


offsets = st.integers(0, 150)
specs = (st.builds("{}-{}".format, offsets, offsets) | st.builds("{}-".format, offsets)
         | st.builds("-{}".format, offsets))


def covered(spec, size):
    """The octets that one range names, by the words of RFC 9110."""
    first, last = spec.split("-")
    if not first:
        return set(range(size)[max(0, size - int(last)):])
    return set(range(int(first), min(int(last) if last else size, size - 1) + 1))


@given(st.lists(specs, min_size=1, max_size=20), st.integers(1, 120))
def test_every_octet_asked_for_comes_once_and_none_beside(asked, size):
    backwards = any(a and b and int(a) > int(b) for a, b in (spec.split("-") for spec in asked))
    found = ranges("bytes=" + ",".join(asked), size)
    if backwards:
        assert found is None
        return
    octets = [octet for first, last in found for octet in range(first, last + 1)]
    assert set(octets) == set().union(*(covered(spec, size) for spec in asked)) and len(octets) == len(set(octets))
    wanted = [min(place for place, spec in enumerate(asked) if covered(spec, size) & set(range(first, last + 1)))
              for first, last in found]
    assert wanted == sorted(wanted)


@given(st.text() | st.text(alphabet="0123456789-, \t").map("bytes={}".format), st.integers(0, 10**6))
def test_whatever_is_asked_lies_within_and_apart(text, size):
    found = ranges(text, size)
    if found is not None:
        assert len(found) <= MOST and all(0 <= first <= last < size for first, last in found)
        ascending = sorted(found)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(ascending))


def test_content_range():
    assert content_range(42, 1233, 1234) == "bytes 42-1233/1234" and unsatisfied(1234) == "bytes */1234"


def body(boundary, kind, parts, data):
    pieces = [part_head(boundary, kind, first, last, len(data)) + data[first:last + 1] for first, last in parts]
    return b"".join(pieces) + parts_end(boundary)


def test_several_ranges_as_they_are_sent():
    assert body("SEP", "text/plain", [(0, 1), (8, 9)], b"0123456789") == (
        b"\r\n--SEP\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
        b"\r\n--SEP\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89"
        b"\r\n--SEP--\r\n")


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)).map(sorted).map(tuple), max_size=5))
def test_the_length_is_known_before_and_others_can_take_it_apart(parts):
    from email import message_from_bytes
    data = bytes(range(100, 200))
    sent = body("next", "application/x-test", parts, data)
    assert multipart_length("next", "application/x-test", parts, 100) == len(sent)
    if parts:
        read = message_from_bytes(b"Content-Type: multipart/byteranges; boundary=next\r\n" + sent).get_payload()
        assert [part["Content-Range"] for part in read] == [content_range(*part, 100) for part in parts]
