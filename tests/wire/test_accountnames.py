"""Names in one spelling: what is equal, what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import mailaddresses
from daemons.wire.accountnames import (
    account_name,
    address_name,
    domain_name,
    folder_of,
    split,
    sub_address,
    target_name,
)


@pytest.mark.parametrize("name, spelled", [
    ("alice", "alice"), ("ALICE@EXAMPLE.ORG", "alice@example.org"), ("a.b+c@d.e", "a.b+c@d.e"),
    ("\u00c9ve@Example.org", "\u00c9ve@example.org"),   # only ASCII letters are folded
    ("E\u0301ve@x", "\u00c9ve@x"), ("K\u212a@x", "kk@x"), ("a@B\u00dcCHER.example", "a@xn--bcher-kva.example"),
    ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"), ("a@b_c.d", "a@b_c.d"), ("a@localhost", "a@localhost")])
def test_accounts(name, spelled):
    assert account_name(name) == spelled == account_name(spelled)


@pytest.mark.parametrize("name", ["", "@", "a@", "@b", "a@b@c", "a:b@c", "a@b c", " a@b", "a@b\n", "a\0@b", "#a@b",
                                  "x" * 65 + "@b", "\u00e9" * 33 + "@b", "\ud800@b", "a@\ud800",
                                  "a@" + "b." * 127 + "c"])
def test_no_accounts(name):
    with pytest.raises(ValueError):
        account_name(name)


def test_addresses():
    assert address_name("@Example.org") == "@example.org" and address_name("A@b") == "a@b"
    for address in ("", "a", "@", "a@", "@@b"):
        with pytest.raises(ValueError):
            address_name(address)


def test_targets_elsewhere_keep_their_letters():
    assert target_name("Some.One@Elsewhere.TEST") == "Some.One@elsewhere.test"
    assert target_name('"A"@X.test') == '"A"@x.test'


@pytest.mark.parametrize("name, spelled", [("Example.ORG.", "example.org"),
                                           ("M\u00fcnchen.example", "xn--mnchen-3ya.example"),
                                           ("a", "a"), ("1.2", "1.2"), ("x" * 63, "x" * 63)])
def test_domains(name, spelled):
    assert domain_name(name) == spelled == domain_name(spelled)


@pytest.mark.parametrize("name", ["", ".", "a..b", ".a", "-a.b", "a-.b", "a b", "a/b", "[1.2.3.4]", "x" * 64, "a\0b",
                                  "stra\u00dfe.example", "STRA\u1e9eE.example", "a\u200db.example", "a@b",
                                  "a\u3002\u3002b"])
def test_no_domains(name):
    with pytest.raises(ValueError):
        domain_name(name)


@given(st.text(max_size=10).map(lambda text: f"{text}.example") |
       st.text("aB-_.\u00fc\u00df\u1e9e\u3002\uff0e", max_size=8))
def test_what_is_a_domain_here_is_one_in_an_envelope(name):
    """And in the same spelling: else an account could be made that no mail ever reaches."""
    def tried(read):
        try:
            return read(name)
        except ValueError:
            return None
    assert tried(domain_name) == tried(lambda name: mailaddresses.domain(name.removesuffix(".").encode(), utf8=True))


@pytest.mark.parametrize("name, separator, found", [
    ("alice+news@x", "+", ("alice@x", "news")), ("alice+a+b@x", "+", ("alice@x", "a+b")),
    ("alice@x", "+", ("alice@x", "")),
    ("+x@y", "+", ("+x@y", "")), ("alice+news@x", "", ("alice+news@x", "")), ("alice-a@x", "-", ("alice@x", "a")),
    ("alice+@x", "+", ("alice@x", ""))])
def test_sub_addresses(name, separator, found):
    assert sub_address(name, separator) == found


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_account_has_one_spelling_and_a_folder_of_its_own(one, other):
    found = []
    for local in (one, other):
        try:
            found.append(account_name(f"{local}@example.org"))
        except ValueError:
            return
    assert [account_name(name) for name in found] == found
    folders = [folder_of(name) for name in found]
    assert (found[0] == found[1]) is (folders[0] == folders[1])
    for folder in folders:
        domain, name = folder.split("/")
        assert domain == "example.org" and name.isascii() and name.isprintable() and name[0] != "." and " " not in name


def test_in_two_parts():
    assert split("a@b@c") == ("a@b", "c") and split("a") == ("a", "") and split("@b") == ("", "b")
