"""Who may come in: patterns, the longest match, and names that lead back."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons import echod
from daemons.kernel import dial
from daemons.kernel.access import Name, Network, at_the_door, denied, judged, networks
from daemons.kernel.addresses import Address
from tests.play import options_of


def came_in(host, only_from=None, no_access=""):
    """None, or the reason why not."""
    return denied(Address(host, 40000), None if only_from is None else networks(only_from), networks(no_access))


@pytest.fixture
def resolver(monkeypatch):
    """The world's names: {address: name} one way, {name: addresses} the other; counts the questions."""
    names, found, asked = {}, {}, []

    def getnameinfo(where, flags):
        asked.append(where[0])
        if where[0] not in names:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return names[where[0]], "0"

    def getaddrinfo(name, port, **_):
        if name not in found:
            raise socket.gaierror(socket.EAI_AGAIN, "try later")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in found[name]]

    monkeypatch.setattr(dial.socket, "getnameinfo", getnameinfo)
    monkeypatch.setattr(dial.socket, "getaddrinfo", getaddrinfo)
    return names, found, asked


# -- patterns --

@pytest.mark.parametrize("pattern, inside, outside", [
    ("10.0.0.0", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "9.255.255.255", "::a00:1"]),
    ("10.1.0.0", ["10.1.2.3"], ["10.2.0.0"]),
    ("192.0.2.0", ["192.0.2.7"], ["192.0.3.7"]),
    ("0.0.0.0", ["192.0.2.7"], ["2001:db8::1"]),
    ("10.0.2.0", ["10.0.2.9"], ["10.0.3.9", "10.0.0.9"]),
    ("192.0.2.7", ["192.0.2.7"], ["192.0.2.6"]),
    ("192.0.2.{1,7}", ["192.0.2.1", "192.0.2.7"], ["192.0.2.2"]),
    ("192.0.{2, 3}.0", ["192.0.2.1", "192.0.3.1"], ["192.0.4.1"]),
    ("192.0.2.0/25", ["192.0.2.127"], ["192.0.2.128"]),
    ("192.0.2.99/24", ["192.0.2.1"], ["192.0.3.1"]),
    ("192.0.2.0/32", ["192.0.2.0"], ["192.0.2.1"]),
    ("0.0.0.0/0", ["255.255.255.255"], ["::"]),
    ("2001:db8::/32", ["2001:db8:ffff::1"], ["2001:db9::", "32.1.13.184"]),
    ("2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::"]),
    ("2001:db8::7", ["2001:db8::7", "2001:DB8:0::7"], ["2001:db8::8"]),
    ("fe80::/10", ["fe80::1%lo", "febf::1"], ["fec0::"]),
    ("::/0", ["2001:db8::1"], ["192.0.2.1"]),
    ("::ffff:192.0.2.7", ["192.0.2.7"], ["192.0.2.8", "::c000:207"]),
    ("::ffff:192.0.2.0/120", ["192.0.2.7"], ["192.0.3.7"]),
    ("::ffff:0:0/96", ["192.0.2.7"], ["::1"]),
    ("192.0.2.1, 10.0.0.0\t2001:db8::/32", ["192.0.2.1", "10.9.9.9", "2001:db8::1"], ["192.0.2.2"]),
    ("", [], ["192.0.2.1", "::1"]),
])
def test_what_a_pattern_takes_in(pattern, inside, outside):
    assert [came_in(host, pattern) for host in inside] == [None] * len(inside)
    assert [came_in(host, pattern) for host in outside] == ["only-from"] * len(outside)


@pytest.mark.parametrize("text", [
    "10", "10.1", "256.0.0.1", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "10.0.0.0/\u0668",
    "192.0.2.{1,7", "192.0.2.1}", "192.0.2.{}", "192.0.2.{1,x}", "{1}{2}", "name/24", "a..b", "ex*mple", "1.2.3.4.5",
    "k\u212a.example", "!10.0.0.0", "{a}b"])
def test_what_is_no_pattern(text):
    with pytest.raises(ValueError, match="not a|brace"):
        networks(text)


@given(st.one_of(st.text(), st.text(alphabet="0123456789abf.:/{},%- \t")))
def test_any_text_ends_in_patterns_or_a_value_error(text):
    try:
        found = networks(text)
    except ValueError:
        return
    assert all(isinstance(one, Network | Name) for one in found)


@given(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16), st.integers(0, 128))
def test_a_network_takes_in_exactly_those_that_begin_alike(packed, length):
    length = min(length, len(packed) * 8)
    network = Network(packed, length)
    other = int.from_bytes(packed, "big")
    assert network.match(packed) == length + 128 - len(packed) * 8
    if length:
        assert network.match((other ^ 1 << len(packed) * 8 - length).to_bytes(len(packed), "big")) is None
    if length < len(packed) * 8:
        assert network.match((other ^ 1).to_bytes(len(packed), "big")) is not None


# -- two lists --

@pytest.mark.parametrize("only_from, no_access, why", [
    (None, "", None),
    (None, "192.0.2.0", "no-access"),
    (None, "198.51.100.0", None),
    ("192.0.2.0", "", None),
    ("198.51.100.0", "", "only-from"),
    ("192.0.2.0/24", "192.0.2.7", "no-access"),
    ("192.0.2.7", "192.0.2.0/24", None),
    ("192.0.2.7", "192.0.2.7", "no-access"),
    ("0.0.0.0", "192.0.2.0/25", "no-access"),
    ("0.0.0.0 192.0.2.0/26", "192.0.2.0/25", None),
    ("198.51.100.0", "192.0.2.7", "only-from"),
    ("", "", "only-from"),
])
def test_the_longest_match_wins_and_between_equals_the_refusal(only_from, no_access, why):
    assert came_in("192.0.2.7", only_from, no_access) == why


@pytest.mark.parametrize("peer", [Address(word="pipes"), Address(word="unix:uid=0"), Address(word="terminal")])
def test_who_is_on_this_machine_is_welcome(peer):
    assert denied(peer, networks("192.0.2.1"), networks("0.0.0.0 ::/0")) is None


def test_an_address_that_is_none_stays_outside():
    assert came_in("not an address", no_access="192.0.2.1") == "no-address"


# -- names --

def test_a_name_counts_once_it_led_back(resolver):
    names, found, _ = resolver
    names["192.0.2.7"], found["mx.example.org"] = "MX.example.ORG.", ["192.0.2.7"]
    assert came_in("192.0.2.7", "mx.example.org") is None
    assert came_in("192.0.2.7", ".example.org") is None
    assert came_in("192.0.2.7", "0.0.0.0", ".example.org") == "no-access"
    assert came_in("192.0.2.7", "example.org .ample.org") == "only-from"


def test_a_name_may_end_in_a_dot_as_resolvers_write_it(resolver):
    names, found, _ = resolver
    names["192.0.2.7"], found["mx.example.org"] = "mx.example.org.", ["192.0.2.7"]
    assert came_in("192.0.2.7", None, "mx.example.org.") == came_in("192.0.2.7", None, ".Example.ORG.") == "no-access"


@pytest.mark.parametrize("leads_to", [None, [], ["192.0.2.8"]])
def test_a_name_that_does_not_lead_back_counts_for_nothing(resolver, leads_to):
    names, found, _ = resolver
    names["192.0.2.7"] = "mx.example.org"
    if leads_to is not None:
        found["mx.example.org"] = leads_to
    assert came_in("192.0.2.7", "mx.example.org") == "only-from"
    assert came_in("192.0.2.8", "mx.example.org") == "only-from"


def test_nobody_is_asked_where_no_rule_has_a_name(resolver):
    assert came_in("192.0.2.7", "192.0.2.0", "10.0.0.0") is None
    assert resolver[2] == []


def test_a_name_is_as_narrow_as_an_address_and_a_domain_wider(resolver):
    names, found, _ = resolver
    names["192.0.2.7"], found["mx.example.org"] = "mx.example.org", ["192.0.2.7"]
    assert came_in("192.0.2.7", "mx.example.org", "192.0.2.7") == "no-access"
    assert came_in("192.0.2.7", "mx.example.org", "192.0.2.0/24") is None
    assert came_in("192.0.2.7", "mx.example.org", ".example.org") is None


# -- what decided --

@pytest.mark.parametrize("only_from, no_access, why, rule, pattern", [
    (None, None, None, "", None),
    ("0.0.0.0 192.0.2.0/26", "192.0.2.0/25", None, "only-from", "192.0.2.0/26"),
    ("0.0.0.0", "192.0.2.0/25 192.0.2.7 10.0.0.0", "no-access", "no-access", "192.0.2.7/32"),
    ("198.51.100.0 .example.org", "192.0.2.0/24", None, "only-from", ".example.org"),
    ("198.51.100.0", None, "only-from", "only-from", None),
    (None, "mx.example.org", "no-access", "no-access", "mx.example.org"),
])
def test_the_pattern_that_decided_is_told(only_from, no_access, why, rule, pattern):
    verdict = judged(Address("192.0.2.7", 1), None if only_from is None else networks(only_from),
                     networks(no_access or ""), {"192.0.2.7": "mx.example.org"}.get)
    assert (verdict.why, verdict.rule, verdict.pattern and str(verdict.pattern)) == (why, rule, pattern)


@pytest.mark.parametrize("text, shown", [
    ("10.1.0.0", "10.1.0.0/16"), ("192.0.2.99/24", "192.0.2.0/24"), ("0.0.0.0", "0.0.0.0/0"), ("::/0", "::/0"),
    ("192.0.2.{1,7}", "192.0.2.1/32 192.0.2.7/32"), ("2001:DB8::7", "2001:db8::7/128"),
    (".Example.org", ".example.org")])
def test_patterns_are_shown_as_they_are_meant(text, shown):
    assert " ".join(map(str, networks(text))) == shown
    assert " ".join(map(str, networks(shown))) == shown


# -- at the door of a listener --

def test_at_the_door_addresses_are_enough_unless_a_name_is_among_the_rules():
    look = at_the_door(options_of(echod, "--no-access=192.0.2.0/24"))
    assert (look(Address("192.0.2.7", 1)), look(Address("192.0.3.7", 1))) == ("no-access", None)
    assert at_the_door(options_of(echod, "--no-access=192.0.2.0/24 .example.org")) is None
    assert at_the_door(options_of(echod, "--only-from=mx.example.org")) is None
