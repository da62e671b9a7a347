"""The gzip coding: what comes out is what went in, however it is cut, and never more than is allowed."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.gzipcoding import PIECE, Inflating, TooLarge, deflated

TEXT = b"<value>" * 1000


def inflated(data, most=1 << 20, size=1 << 20):
    """What these octets stand for, fed in pieces of this size."""
    inflating = Inflating(most)
    found = [piece for at in range(0, len(data), size) for piece in inflating.pieces(data[at:at + size])]
    inflating.end()
    assert all(0 < len(piece) <= PIECE for piece in found)
    return b"".join(found)


@given(st.binary(max_size=3000), st.integers(1, 400))
def test_what_goes_in_comes_out(data, size):
    packed = deflated(data)
    assert gzip.decompress(packed) == data == inflated(packed, size=size)


def test_others_gzip_is_read_too():
    assert inflated(gzip.compress(TEXT, 9)) == TEXT


@pytest.mark.parametrize("data", [b"text", b"\x1f\x8b", deflated(TEXT)[:-1], deflated(TEXT) + b"x",
                                  deflated(TEXT) + deflated(TEXT), zlib.compress(TEXT), b"\x1f\x8b\x08" + b"\xff" * 40,
                                  deflated(TEXT)[:-8] + b"\0" * 8, b""])
def test_what_is_no_gzip_is_refused(data):
    for size in (1, 7, 1 << 20):
        with pytest.raises(ValueError, match="gzip"):
            inflated(data, size=size)


def test_a_limit_is_one():
    assert inflated(deflated(TEXT), most=len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        inflated(deflated(TEXT), most=len(TEXT) - 1)


def test_a_bomb_goes_no_further_than_the_limit():
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    inflating, came = Inflating(1 << 20), 0
    with pytest.raises(TooLarge):
        for piece in inflating.pieces(bomb):
            came += len(piece)
    assert len(bomb) < 1 << 17 and came <= 1 << 20
