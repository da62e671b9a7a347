"""Tokens: what was sealed comes out again, and nothing else ever does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.audittoken import Record, seal, unseal
from daemons.wire.identlines import is_identity

KEY = bytes(range(32))
V4 = Record(1_790_000_000, 1000, ("192.0.2.1", 6193), ("198.51.100.7", 23))
V6 = Record(1_790_000_000, 1000, ("2001:db8::1", 6193), ("2001:db8::2", 23))


def values(record):
    return record.seconds, record.uid, record.here, record.there


@pytest.mark.parametrize("record, length", [(V4, 48), (V6, 80)])
def test_what_was_sealed_comes_out(record, length):
    token = seal(KEY, record)
    assert len(token) == length and is_identity(token.encode())
    assert values(unseal(KEY, token)) == values(record)


addresses = st.one_of(st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
                      st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), addresses, st.integers(1, 65535), st.binary(min_size=1))
def test_every_connection(seconds, uid, ends, port, key):
    record = Record(seconds, uid, (str(ends[0]), port), (str(ends[1]), port))
    assert values(unseal(key, seal(key, record))) == values(record)


def test_another_key():
    with pytest.raises(ValueError, match="not a token of this key"):
        unseal(KEY[::-1], seal(KEY, V4))


@given(st.integers(0, 35), st.integers(1, 255))
def test_any_changed_octet(place, change):
    from base64 import urlsafe_b64decode, urlsafe_b64encode
    data = bytearray(urlsafe_b64decode(seal(KEY, V4)))
    data[place] ^= change
    with pytest.raises(ValueError, match="somebody changed it"):
        unseal(KEY, urlsafe_b64encode(data).decode())


@given(st.one_of(st.text(max_size=100), st.text("abcXYZ019-_", min_size=48, max_size=48)))
def test_any_text_is_refused(text):
    with pytest.raises(ValueError, match="not a token"):
        unseal(KEY, text)


def test_tokens_hide_what_they_hold():
    other = Record(V4.seconds + 1, V4.uid, V4.here, V4.there)
    one, two = seal(KEY, V4), seal(KEY, other)
    assert sum(a == b for a, b in zip(one, two)) < 10       # nothing of them is alike but by chance
    assert seal(KEY, V4) == one
