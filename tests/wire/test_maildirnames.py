"""Names in a Maildir: keys that stay, sizes and flags, other programs' names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import maildirnames as names

OURS = b"1792345678.M012345P4711Q3_R0001020304050607.mail.example.net"
DOVECOT = b"1491941793.M41850P8566V0000000000000015I0000000004F3030E_0.mx1.example.com"


def test_a_name_of_ours():
    key = names.unique(1792345678_012345678, 4711, 3, bytes(range(8)), b"mail.example.net")
    assert key == OURS
    assert names.sized(key, 4096, 4187) == OURS + b",S=4096,W=4187"


@pytest.mark.parametrize("host, written", [
    (b"mail.example.net", b"mail.example.net"), (b"a/b:c", b"a\\057b\\072c"), (b"a,b c", b"a\\054b\\040c"),
    (b"\xc3\xa4\n", b"\\303\\244\\012"), (b"", b"")])
def test_hosts_are_escaped(host, written):
    assert names.escaped(host) == written


@pytest.mark.parametrize("name, key, flags, size, virtual", [
    (OURS, OURS, b"", None, None),
    (OURS + b",S=4096,W=4187:2,FS", OURS, b"FS", 4096, 4187),
    (DOVECOT + b",S=10956:2,STln", DOVECOT, b"STln", 10956, None),
    (b"1035478339.27041_118.foo.org,U=12,FMD5=7e33:2,S", b"1035478339.27041_118.foo.org", b"S", None, None),
    (b"1:2,S,extra", b"1", b"S", None, None),
    (b"1:1,S", b"1", b"", None, None),
    (b"1,S=x,W=-1,W=1_0", b"1", b"", None, None),
    (b"1,S=99999999999999999999999", b"1", b"", None, None),
    (b"1:2,,S=5", b"1", b"", None, None)])
def test_what_names_tell(name, key, flags, size, virtual):
    assert (names.key(name), names.flags(name)) == (key, flags)
    assert (names.size(name), names.virtual(name)) == (size, virtual)


def test_flags_are_sorted_and_the_rest_stays():
    assert names.flagged(b"1,S=2", b"SFS") == b"1,S=2:2,FS"
    assert names.flagged(b"1,S=2:2,aS", b"") == b"1,S=2:2,"
    assert names.flagged(b"1:2,S,x=y", b"baRD") == b"1:2,DRab,x=y"
    for letters in (b"/", b"1", b",", b"\0", b"S:"):
        with pytest.raises(ValueError):
            names.flagged(b"1", letters)


def test_order_is_that_of_delivery():
    ordered = [b"cat-video", b"9.x", b"100.M5P1.h", b"100.M10P1.h", b"100.M000011P1.h", b"1792345678.1234.h"]
    assert sorted(sorted(ordered), key=names.order) == ordered


def test_unique_ids():
    assert names.uidl(OURS) == OURS
    assert names.uidl(b"x" * 70) == b"x" * 70
    digests = {names.uidl(key) for key in (b"x" * 71, b"a b", b"\xc3\xa4", b"a\x7f", b"")}
    assert len(digests) == 5 and all(len(one) == 64 for one in digests)


@given(st.binary(max_size=90))
def test_any_name_has_a_key_and_an_id(name):
    key = names.key(name)
    assert names.key(names.flagged(name, b"FS")) == key == names.key(key)
    assert names.flags(names.flagged(name, b"SF")) == b"FS"
    assert 1 <= len(names.uidl(key)) <= 70 and all(0x21 <= octet <= 0x7e for octet in names.uidl(key))


@given(st.integers(0, 2**62), st.binary(max_size=300))
def test_a_key_of_ours_is_a_file_s_name(nanoseconds, host):
    key = names.unique(nanoseconds, 2**22, 10**9, bytes(8), host)
    name = names.flagged(names.sized(key, 2**40, 2**40), b"DFPRST")
    assert len(name) <= 255 and b"/" not in name and names.key(name) == key
