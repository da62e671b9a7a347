"""RFC 7239 and X-Forwarded-For: lists of those for whom proxies speak."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.forwarded import MOST, Element, addresses, elements, with_address, with_element


@pytest.mark.parametrize("value, found", [
    ("192.0.2.7", ["192.0.2.7"]), ("192.0.2.7, 198.51.100.1", ["192.0.2.7", "198.51.100.1"]),
    ("192.0.2.7,2001:db8::1", ["192.0.2.7", "2001:db8::1"]), ("2001:DB8::1", ["2001:db8::1"]),
    ("192.0.2.7:4711, [2001:db8::1]:4711, [2001:db8::1]", ["192.0.2.7", "2001:db8::1", "2001:db8::1"]),
    ("unknown, 192.0.2.7", ["", "192.0.2.7"]), ("", [""]), (" , ", ["", ""]),
    ("_hidden", [""]), ("192.0.2.7:http", [""]), ("[2001:db8::1", [""]), ("[2001:db8::1]x", [""]),
    ("<script>", [""]), ("fe80::1%eth0", [""]), ("localhost", [""]), ("[]", [""]), (":80", [""]),
])
def test_addresses(value, found):
    assert addresses(value) == found


def test_only_the_last_of_many_are_looked_at():
    assert addresses(",".join(str(number) for number in range(1000))) == [str(n) for n in range(1000 - MOST, 1000)]
    assert len(elements(",".join(f"for=192.0.2.{number}" for number in range(200)))) == MOST


def seen(value):
    return [(one.host, one.proto, one.named) for one in elements(value)]


@pytest.mark.parametrize("value, found", [        # RFC 7239, 4 and 7.1
    ('for="_gazonk"', [("", "", "")]),
    ('For="[2001:db8:cafe::17]:4711"', [("2001:db8:cafe::17", "", "")]),
    ("for=192.0.2.60;proto=http;by=203.0.113.43", [("192.0.2.60", "http", "")]),
    ("for=192.0.2.43, for=198.51.100.17", [("192.0.2.43", "", ""), ("198.51.100.17", "", "")]),
    ('for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
     [("192.0.2.43", "", ""), ("2001:db8:cafe::17", "", ""), ("", "", "")]),
    ("for=_hidden, for=_SEVKISEK", [("", "", ""), ("", "", "")]),
    ('for=192.0.2.7;host="a.example:8080";proto=HTTPS', [("192.0.2.7", "https", "a.example:8080")]),
    ('proto=http ; for=192.0.2.7 , , ;', [("192.0.2.7", "http", "")]),
    ('host="a\\"b,for=192.0.2.9"', [("", "", 'a"b,for=192.0.2.9')]), ("", []),
])
def test_elements(value, found):
    assert seen(value) == found


@pytest.mark.parametrize("value", ["for", "for=", "=192.0.2.7", 'for="192.0.2.7', 'for="a"b', "for=a b=c=d",
                                   "for=[::1]", "for=192.0.2.7;for=192.0.2.8",
                                   "for=192.0.2.7:80", 'for="\\', "fo\xe4r=1"])
def test_what_is_no_such_field(value):
    with pytest.raises(ValueError):
        elements(value)


def test_a_list_goes_on():
    assert with_address(None, "192.0.2.7") == "192.0.2.7"
    assert with_address("192.0.2.7", "2001:db8::1") == "192.0.2.7, 2001:db8::1"
    assert with_address("192.0.2.7", "") == "192.0.2.7, unknown"


@pytest.mark.parametrize("element, text", [
    (Element("192.0.2.7", "http", "www.example"), "for=192.0.2.7;host=www.example;proto=http"),
    (Element("2001:db8::1", "https", "www.example:8080"),
     'for="[2001:db8::1]";host="www.example:8080";proto=https'),
    (Element("", "http", 'a"b\\c'), 'for=unknown;host="a\\"b\\\\c";proto=http'),
    (Element("192.0.2.7"), "for=192.0.2.7"),
])
def test_elements_as_they_are_written(element, text):
    assert with_element(None, element) == text
    assert with_element("for=192.0.2.1", element) == f"for=192.0.2.1, {text}"


@given(st.ip_addresses().map(str), st.sampled_from(["", "http", "https"]), st.text(st.characters(min_codepoint=32,
                                                                                                 max_codepoint=126)))
def test_what_is_written_can_be_read(host, proto, named):
    assert seen(with_element("for=_a", Element(host, proto, named)))[1] == (host, proto, named)


@given(st.text())
def test_no_text_does_harm(text):
    assert all(isinstance(host, str) for host in addresses(text))
    try:
        assert len(elements(text)) <= MOST
    except ValueError as error:
        assert str(error)
