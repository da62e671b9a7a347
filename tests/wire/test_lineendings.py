"""Line endings: what came over the wire leaves as it came, in pieces of any size."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.lineendings import ToStore, ToWire

octets = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"."]), max_size=20).map(b"".join)
cuts = st.lists(st.integers(0, 40), max_size=6)


def pieces(data, places):
    return [data[begin:end] for begin, end in itertools.pairwise([0, *sorted(places), len(data)])]


def stored(parts):
    store = ToStore()
    return b"".join([*map(store.octets, parts), store.rest()])


def sent(parts):
    wire = ToWire()
    return b"".join([*map(wire.octets, parts), wire.rest()])


def length(parts):
    wire = ToWire()
    return sum(map(wire.length, parts)) + len(wire.rest())


def test_lines():
    assert stored([b"a\r\nb\r\n"]) == b"a\nb\n"
    assert sent([b"a\nb\n"]) == sent([b"a\r\nb\r\n"]) == sent([b"a\r", b"\nb\n"]) == b"a\r\nb\r\n"
    assert stored([b"a\r\r\n\r"]) == b"a\r\r\n\r" and sent([b"a\nb", b""]) == b"a\r\nb\r\n"
    assert stored([b"", b"\r", b"", b"\n", b""]) == b"\n"


@given(octets, cuts, cuts)
def test_both_ways_make_one_message_of_lines(data, places, others):
    """Each CR LF stays, each LF alone becomes one, the last line ends, and nothing else changes."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    lines += b"" if lines[-1:] in (b"", b"\n") else b"\r\n"
    file = stored(pieces(data, places))
    assert sent(pieces(file, others)) == lines
    assert length(pieces(file, others)) == len(lines)


@given(octets, cuts)
def test_what_others_stored(file, places):
    whole = sent([file])
    assert sent(pieces(file, places)) == whole
    assert length(pieces(file, places)) == len(whole)
    assert whole.count(b"\n") == whole.count(b"\r\n") == file.count(b"\n") + (file[-1:] not in (b"", b"\n"))
