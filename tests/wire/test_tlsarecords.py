"""TLSA records, held against certificates that `cryptography` makes and takes apart."""

import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.tlsarecords import Tlsa, public_key, usable
from tests import certificates


@pytest.fixture(scope="module", params=["ec", "rsa", "ed25519"])
def made(tmp_path_factory, request):
    return certificates.Authority(tmp_path_factory.mktemp("authority")).signed("mx.one.test", kind=request.param)[0]


def der(made):
    return made.public_bytes(Encoding.DER)


def key_of(made):
    return made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_the_key_of_a_certificate(made):
    assert public_key(der(made)) == key_of(made)


@pytest.mark.parametrize("usage", [2, 3])
@pytest.mark.parametrize("selector, octets", [(0, der), (1, key_of)])
@pytest.mark.parametrize("matching, digest", [(0, bytes), (1, lambda data: hashlib.sha256(data).digest()),
                                              (2, lambda data: hashlib.sha512(data).digest())])
def test_what_fits(made, usage, selector, octets, matching, digest):
    data = digest(octets(made))
    record = Tlsa(usage, selector, matching, data)
    assert record.is_usable and record.fits(der(made))
    assert not Tlsa(usage, selector, matching, data[:-1] + bytes([data[-1] ^ 1])).fits(der(made))
    assert not Tlsa(usage, 1 - selector, matching, data).fits(der(made))


@pytest.mark.parametrize("usage, selector, matching, size, good", [
    (3, 1, 1, 32, True), (2, 0, 2, 64, True), (3, 0, 0, 1, True), (3, 0, 0, 0, False), (3, 1, 1, 31, False),
    (3, 1, 2, 32, False), (0, 1, 1, 32, False), (1, 1, 1, 32, False), (4, 1, 1, 32, False), (255, 0, 0, 5, False),
    (3, 2, 1, 32, False), (3, 1, 3, 32, False)])
def test_what_can_be_used(usage, selector, matching, size, good):
    record = Tlsa(usage, selector, matching, bytes(size))
    assert record.is_usable is good and usable([record]) == [record] * good


def test_a_strong_digest_makes_a_weak_one_of_its_kind_worthless():
    strong, weak, other, exact = (Tlsa(3, 1, 2, bytes(64)), Tlsa(3, 1, 1, bytes(32)), Tlsa(2, 1, 1, bytes(32)),
                                  Tlsa(3, 1, 0, b"x"))
    assert usable([weak, strong, other, exact]) == [strong, other, exact]
    assert usable([weak, Tlsa(3, 1, 2, bytes(32))]) == [weak]


def test_what_is_not_der_throughout_has_no_key(made):
    whole, key = der(made), key_of(made)
    for wrong in (whole + b"\0", whole[:-1], b"\x30\x80" + whole[4:] + b"\0\0", b"\x30\x83\0" + whole[2:],
                  b"\x31" + whole[1:], b"", b"\x30", whole[:4] + b"\x31" + whole[5:],
                  key, whole.replace(key, b"\x31" + key[1:])):
        with pytest.raises(ValueError):
            public_key(wrong)
        assert not Tlsa(3, 1, 0, key).fits(wrong)


@given(st.binary(max_size=200))
def test_anything_is_a_certificate_or_not(octets):
    try:
        assert public_key(octets) in octets
    except ValueError:
        assert not Tlsa(3, 1, 0, b"x").fits(octets)
