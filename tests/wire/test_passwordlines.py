"""Lines of a password file: known hashes, what is made and read back, and what is none."""

from binascii import b2a_base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import passwordlines
from daemons.wire.httpauth import digest_secret, normal
from daemons.wire.passwordlines import check_name, check_password, make, parse

SALT = b"0123456789abcdef"
# RFC 7914, 12, in our format: 64 octets of hash, and a salt of 14
OF_THE_RFC = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                           "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """New hashes cost as little as may be."""
    monkeypatch.setattr(passwordlines, "COST", (10, 8, 1))


def base64(data):
    return b2a_base64(data, newline=False).rstrip(b"=")


def phc(cost=b"ln=14,r=8,p=1", salt=SALT, hash=b"h" * 32):
    return b"$scrypt$" + cost + b"$" + base64(salt) + b"$" + base64(hash)


@pytest.mark.parametrize("line, password", [
    (b"x:" + phc(salt=b"SodiumChloride", hash=OF_THE_RFC), b"pleaseletmein"),
    # as passlib writes it
    (b"x:$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E", b"password")])
def test_known_hashes(line, password):
    entry = parse(line)
    assert entry.matches(password) and not entry.matches(password + b" ") and not entry.matches(b"")
    assert entry.line() == line and (entry.name, entry.realm, entry.secrets) == ("x", None, {})


def test_the_dearest_hash_fits_into_its_memory():
    assert not parse(b"x:" + phc(cost=b"ln=17,r=8,p=1")).matches(b"x")


def test_what_is_made():
    line = make("alice", b"secret", SALT).line()
    assert line.startswith(b"alice:$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$") and line.count(b":") == 1
    assert parse(line).matches(b"secret") and b"=" not in line.rpartition(b"$")[2]


def test_what_is_made_for_digest():
    entry = parse(make("bob", b"secret", SALT, "Our files").line())
    assert entry.realm == "Our files" and entry.matches(b"secret")
    assert entry.secrets == {algorithm: digest_secret("bob", "Our files", b"secret", algorithm)
                             for algorithm in ("SHA-256", "MD5")}


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=":"), min_size=1, max_size=40),
       st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40), st.booleans())
def test_what_is_made_is_read(name, password, digest):
    name = name.strip().lstrip("#").strip() or "x"
    entry = make(name, password.encode(), SALT, "r" if digest else None)
    again = parse(entry.line())
    assert again.line() == entry.line() and again.name == normal(name) and again.hash == entry.hash


def test_two_spellings_of_a_letter_are_one():
    assert check_name("Jose\u0301") == check_name("Jos\u00e9")
    assert make("x", "e\u0301".encode(), SALT).hash == make("x", "\u00e9".encode(), SALT).hash


@pytest.mark.parametrize("rest, why", [
    (b"", "and no other kind of hash"), (b"secret", "other kind"),
    (b"$apr1$saltsalt$AAAAAAAAAAAAAAAAAAAAAA", "other kind"),
    (b"$2y$10$" + b"A" * 53, "other kind"), (b"{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "other kind"),
    (b"$6$saltsalt$" + b"A" * 86, "other kind"), (phc() + b"$", "other kind"), (b"x" + phc(), "other kind"),
    (phc(b"ln=14,r=8"), "other kind"), (phc(b"ln=14,p=1,r=8"), "other kind"), (phc(b"ln=+14,r=8,p=1"), "other kind"),
    (phc(b"ln=14,r=8,p=1,x=1"), "other kind"), (phc(b"ln=14,r=8,p=1=1"), "other kind"),
    (phc(b"ln=\xd9\xa1\xd9\xa4,r=8,p=1"), "other kind"), (phc() + b"=", "other kind"), (phc() + b" ", "other kind"),
    (phc() + b"\r", "other kind"), (phc(hash=b"h" * 31)[:-1] + b"b", "other kind"),
    (phc().replace(b"$M", b"$_"), "other kind"),
    (phc(b"ln=9,r=8,p=1"), "ln must be 10 to 17"), (phc(b"ln=18,r=8,p=1"), "ln must be"),
    (phc(b"ln=17,r=9,p=1"), "128 MiB"), (phc(b"ln=14,r=0,p=1"), "128 MiB"), (phc(b"ln=14,r=8,p=0"), "p 1 to 16"),
    (phc(b"ln=14,r=8,p=17"), "p 1 to 16"), (phc(b"ln=10,r=9999999,p=1"), "128 MiB"),
    (phc(salt=b"1234567"), "a salt has 8"), (phc(hash=b"h" * 15), "a hash 16"), (phc(hash=b"h" * 65), "a hash 16"),
    (phc() + b":", "after the hash comes nothing"), (phc() + b":realm=x", "after the hash"),
    (phc() + b":SHA-256=" + b"0" * 64, "after the hash"), (phc() + b":realm=x:SHA-256=" + b"0" * 63, "after the hash"),
    (phc() + b":realm=x:MD5=" + b"G" * 32, "after the hash"),
    (phc() + b":realm=x:SHA-1=" + b"0" * 40, "after the hash"),
    (phc() + b":realm=x:MD5=" + b"0" * 32 + b":MD5=" + b"0" * 32, "after the hash"),
    (phc() + b":realm=:MD5=" + b"0" * 32, "not a realm"), (phc() + b":realm=\xc3\xbc:MD5=" + b"0" * 32, "not a realm"),
    (phc() + b':realm=a"b:MD5=' + b"0" * 32, "no colon"), (phc() + b":realm=\xff:MD5=" + b"0" * 32, "not UTF-8")])
def test_what_is_no_line(rest, why):
    with pytest.raises(ValueError, match=why) as error:
        parse(b"alice:" + rest)
    assert not any(len(piece) > 9 and piece in str(error.value)
                   for piece in rest.decode("latin-1").replace("=", "$").split("$")), "what may be a secret is not told"


@pytest.mark.parametrize("name", ["", " a", "a ", "\u00a0a", "#a", "a:b", "a\n", "a\0", "a\x7f", "a\x85", "a\udcff",
                                  "\u00e9" * 128])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="cannot be a name"):
        check_name(name)
    assert check_name("\u00e9" * 127) == "\u00e9" * 127 and check_name("a b#c@d") == "a b#c@d"


@pytest.mark.parametrize("password", [b"", b"x" * 1025, b"secret\n", b"secret\0", b"secret\x7f", b"secret\xff"])
def test_what_is_no_password(password):
    with pytest.raises(ValueError, match="a password") as error:
        check_password(password)
    assert "secret" not in str(error.value) and "ff" not in str(error.value)
    assert check_password(b"x" * 1024) and check_password(b" ") == b" "


@pytest.mark.parametrize("realm", ["", "a:b", 'a"b', "a\\b", "a\n", "B\u00fcro"])
def test_what_is_no_realm_for_digest(realm):
    with pytest.raises(ValueError, match="realm"):
        make("alice", b"secret", SALT, realm)


@given(st.one_of(st.binary(max_size=200),
                 st.binary(max_size=60).map(lambda tail: b"alice:" + phc() + b":realm=" + tail),
                 st.binary(max_size=60).map(lambda tail: b"alice:$scrypt$" + tail)))
def test_any_octets_end_in_an_entry_or_a_reason(line):
    try:
        assert parse(line).line()
    except ValueError as error:
        assert str(error)
