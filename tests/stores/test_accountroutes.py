"""Where mail goes: mailboxes, aliases, sub-addresses, whole domains; and as whom somebody may send."""

import pytest

from daemons.stores import accountroutes
from daemons.stores.accounts import Conflict, TooMany
from tests.stores.places import KINDS, Place


@pytest.fixture(scope="module", params=KINDS)
def filled(request, tmp_path_factory):
    """(place, accounts with sub-addresses); alice and bob have mailboxes, but no password."""
    place = Place(request.param, tmp_path_factory.mktemp("routes"))
    there = place.open("+")
    there.add_user("alice@example.org", None, octets=1000, messages=10, expires=1)
    there.add_user("bob@example.org", None)
    there.add_user("a.b+c@example.org", None)
    for domain in ("example.net", "all.example", "loop.example"):
        there.add_domain(domain)
    for address, *targets in (
            ("info@example.org", "alice@example.org", "Bob@Example.org", "Far.Away@Elsewhere.test"),
            ("bob@example.org", "bob@example.org", "bob@elsewhere.test"),       # and a copy of his own
            ("team@example.org", "info@example.org", "alice@example.org", "nobody@example.org"),
            ("lost@example.org", "nobody@example.org"), ("self@example.org", "self@example.org"),
            ("one@loop.example", "two@loop.example"), ("two@loop.example", "one@loop.example"),
            ("three@loop.example", "one@loop.example", "alice@example.org"),
            ("tagged@example.org", "alice+lists@example.org"),
            ("@example.net", "@example.org"), ("@all.example", "alice@example.org"),
            ("bob@all.example", "bob@example.org")):
        there.add_alias(address, *targets)
    return place, there


@pytest.fixture
def there(filled):
    return filled[1]


BOTH = ["bob@elsewhere.test", "bob@example.org"]


@pytest.mark.parametrize("address, finals", [
    ("alice@example.org", ["alice@example.org"]), ("ALICE@Example.ORG", ["alice@example.org"]),
    ("nobody@example.org", []), ("lost@example.org", []), ("self@example.org", []),
    ("info@example.org", ["Far.Away@elsewhere.test", "alice@example.org", *BOTH]),
    ("bob@example.org", BOTH),
    ("team@example.org", ["Far.Away@elsewhere.test", "alice@example.org", *BOTH]),
    ("one@loop.example", []), ("three@loop.example", ["alice@example.org"]),
    ("alice+news@example.org", ["alice+news@example.org"]), ("info+x@example.org", None), ("nobody+x@example.org", []),
    ("tagged@example.org", ["alice+lists@example.org"]), ("a.b+c@example.org", ["a.b+c@example.org"]),
    ("a.b+c+d@example.org", []), ("+alice@example.org", []), ("alice+@example.org", ["alice+@example.org"]),
    ("alice@example.net", ["alice@example.org"]), ("nobody@example.net", []), ("info@example.net", None),
    ("alice+news@example.net", ["alice+news@example.org"]),
    ("whoever@all.example", ["alice@example.org"]), ("bob@all.example", BOTH),
    ("x@elsewhere.test", []), ("x@", []), ("@example.org", []), ("@all.example", []), ("alice", []), ("", []),
    ("a@b@example.org", []), ("alice@[127.0.0.1]", []), ("alice\0@example.org", []), ("\ud800@all.example", [])])
def test_resolve(there, address, finals):
    expected = there.resolve("info@example.org") if finals is None else finals
    assert sorted(there.resolve(address)) == sorted(expected)


def test_without_a_separator_there_are_no_sub_addresses(filled):
    plain = filled[0].open("")
    assert plain.resolve("alice+news@example.org") == [] and plain.mailbox_of("alice+news@example.org") is None
    assert plain.resolve("a.b+c@example.org") == ["a.b+c@example.org"]
    assert plain.resolve("x+y@all.example") == ["alice@example.org"]
    dashed = filled[0].open("-")
    assert dashed.resolve("alice-news@example.org") == ["alice-news@example.org"]


def test_mailboxes(there):
    box = there.mailbox_of("Alice@example.org")
    assert (box.user, box.domain, box.detail) == ("alice@example.org", "example.org", "")
    assert box.folder == "example.org/alice"
    assert (box.octets, box.messages, box.disabled, box.expires) == (1000, 10, False, 1)
    box = there.mailbox_of("alice+News@example.org")
    assert (box.user, box.folder, box.detail) == ("alice@example.org", "example.org/alice", "News".lower())
    box = there.mailbox_of("a.b+c@example.org")
    assert (box.user, box.folder, box.detail) == ("a.b+c@example.org", "example.org/a.b+c", "")
    for address in ("info@example.org", "nobody@example.org", "x@all.example", "alice@elsewhere.test", "", "@x"):
        assert there.mailbox_of(address) is None


@pytest.mark.parametrize("name, folder", [
    ("../../etc", "%2E.%2F..%2Fetc"), (".", "%2E"), ("..", "%2E."), ("a/b", "a%2Fb"), ("a%2fb", "a%252fb"),
    ("a b", "a%20b"), ("a\\b", "a%5Cb"), ("~x", "%7Ex"), ("\u00fc", "%C3%BC"), ("new", "new")])
def test_a_folder_is_one_step_below_its_domain_whatever_the_name(there, name, folder):
    there.add_user(f"{name}@example.org", None)
    found = there.mailbox_of(f"{name}@example.org").folder
    there.remove_user(f"{name}@example.org")
    assert found == f"example.org/{folder}"


def test_whose_domains_are_ours(there):
    for name in ("example.org", "EXAMPLE.org", "example.org.", "all.example"):
        assert there.is_local_domain(name)
    for name in ("elsewhere.test", "org", "", "[127.0.0.1]", "mail.example.org", "example.org\0", "\ud800"):
        assert not there.is_local_domain(name)


@pytest.mark.parametrize("user, address, may", [
    ("alice@example.org", "alice@example.org", True), ("alice@example.org", "Alice@Example.org", True),
    ("alice@example.org", "alice+x@example.org", True), ("alice@example.org", "info@example.org", True),
    ("alice@example.org", "bob@example.org", False), ("alice@example.org", "whoever@all.example", True),
    ("alice@example.org", "bob@all.example", False), ("bob@example.org", "bob@all.example", True),
    ("alice@example.org", "alice@example.net", True), ("alice@example.org", "tagged@example.org", True),
    ("alice@example.org", "nobody@example.org", False), ("alice@example.org", "x@elsewhere.test", False),
    ("alice@example.org", "", False), ("nobody@example.org", "nobody@example.org", False),
    ("bob@elsewhere.test", "bob@elsewhere.test", False), ("a:b", "alice@example.org", False)])
def test_as_whom_one_may_send(there, user, address, may):
    assert there.sender_may(user, address) is may


# ------------------------------------------------------------------ limits

def test_an_address_leads_to_so_many(there, monkeypatch):
    monkeypatch.setattr(accountroutes, "MOST", 5)
    there.add_alias("many@loop.example", *(f"x{number}@elsewhere.test" for number in range(5)))
    assert len(there.resolve("many@loop.example")) == 5
    there.add_alias("many@loop.example", "x5@elsewhere.test")
    with pytest.raises(TooMany, match="many@loop.example leads to more than 5 addresses"):
        there.resolve("many@loop.example")
    assert not there.sender_may("alice@example.org", "many@loop.example")


def test_aliases_of_aliases_end(there, monkeypatch):
    monkeypatch.setattr(accountroutes, "DEEPEST", 3)
    for number in range(4):
        there.add_alias(f"c{number}@loop.example", f"c{number + 1}@loop.example")
    there.add_alias("c4@loop.example", "alice@example.org")
    assert there.resolve("c2@loop.example") == ["alice@example.org"]
    with pytest.raises(TooMany, match="through more than 3 aliases"):
        there.resolve("c0@loop.example")


def test_domains_that_lead_to_each_other_end(there):
    there.add_domain("mirror.example")
    there.add_alias("@mirror.example", "@loop.example")
    there.add_alias("@loop.example", "@mirror.example")
    assert there.resolve("who@mirror.example") == []
    there.remove_alias("@loop.example")


# ------------------------------------------------------------------ changes

def test_aliases_come_and_go(there):
    there.add_alias("Sales@Example.org", "alice@example.org", "x@elsewhere.test")
    there.add_alias("sales@example.org", "ALICE@example.org")                   # once more is no harm
    assert [row for row in there.list_aliases() if row[0] == "sales@example.org"] == [
        ("sales@example.org", "alice@example.org"), ("sales@example.org", "x@elsewhere.test")]
    there.remove_alias("SALES@example.org", "Alice@example.org")
    assert there.resolve("sales@example.org") == ["x@elsewhere.test"]
    there.remove_alias("sales@example.org")
    assert there.resolve("sales@example.org") == []
    for arguments in (("sales@example.org",), ("info@example.org", "nobody@example.org")):
        with pytest.raises(KeyError):
            there.remove_alias(*arguments)


@pytest.mark.parametrize("address, targets, said", [
    ("x@elsewhere.test", ["alice@example.org"], "elsewhere.test is no domain of ours"),
    ("x", ["alice@example.org"], "'x' is no address"), ("x@example.org", [], "where to"),
    ("x@example.org", ["alice"], "'alice' is no address"), ("x@example.org", ["|/bin/sh"], "no "),
    ("x@example.org", ["/etc/passwd"], "no "), ("x@example.org", ["a b@c.test"], "no address that mail could be sent"),
    ("x@example.org", ["a\r\n@c.test"], "no address that mail could be sent to"), ("x@example.org", [""], "no "),
    ("x@example.org", ["x" * 250 + "@c.test"], "no address that mail could be sent to"),
    ("x@example.org", ["@example.net"], "only all of a domain"), ("@example.org", ["@example.org"], "only all of a"),
    ("@example.org", ["@"], "'@' is no address")])
def test_what_cannot_be_an_alias(there, address, targets, said):
    before = there.list_aliases()
    with pytest.raises(ValueError, match=said):
        there.add_alias(address, *targets)
    assert there.list_aliases() == before


def test_to_a_quoted_name_or_a_numbered_host_elsewhere(there):
    there.add_alias("odd@example.org", '"a@b"@elsewhere.test', "x@[IPv6:2001:db8::1]")
    assert sorted(there.resolve("odd@example.org")) == ['"a@b"@elsewhere.test', "x@[ipv6:2001:db8::1]"]
    there.remove_alias("odd@example.org")


def test_who_goes_takes_along_what_led_to_her(there):
    there.add_user("carol@example.org", None)
    there.add_alias("carols@example.org", "carol@example.org", "alice@example.org")
    there.add_alias("carol@example.org", "carol@example.org", "bob@example.org")
    assert there.remove_user("carol@example.org") == 2
    assert there.resolve("carols@example.org") == ["alice@example.org"]
    assert there.resolve("carol@example.org") == there.resolve("bob@example.org"), "her mail goes on to whom she said"
    there.remove_alias("carol@example.org")
    there.remove_alias("carols@example.org")


def test_a_domain_goes_when_it_is_empty(there):
    there.add_domain("Empty.example.")
    assert "empty.example" in there.list_domains()
    there.add_alias("@empty.example", "alice@example.org")
    with pytest.raises(Conflict, match="still has aliases"):
        there.remove_domain("empty.example")
    with pytest.raises(Conflict, match="still has accounts"):
        there.remove_domain("example.org")
    there.remove_alias("@empty.example")
    there.remove_domain("EMPTY.example")
    assert not there.is_local_domain("empty.example")
    with pytest.raises(KeyError):
        there.remove_domain("empty.example")
