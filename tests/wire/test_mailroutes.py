"""Where mail leaves to: relays as they are written, and files of routes."""

import pytest

from daemons.wire import mailroutes

FILE = """# where mail leaves
example.net     relay.example.net:2525
.example.net    [192.0.2.1]     # all below
Own.example     -
*               [2001:DB8::1]:587
"""


@pytest.mark.parametrize("text, host, port", [
    ("relay.example.net", "relay.example.net", 0), ("Relay.Example.net:587", "relay.example.net", 587),
    ("[192.0.2.1]", "192.0.2.1", 0), ("[192.0.2.1]:25", "192.0.2.1", 25), ("[2001:db8::1]", "2001:db8::1", 0),
    ("[2001:DB8:0::1]:465", "2001:db8::1", 465)])
def test_a_relay_is_a_name_or_an_address_and_perhaps_a_port(text, host, port):
    found = mailroutes.relay(text)
    assert (found.host, found.port) == (host, port)
    assert mailroutes.relay(str(found) if not host[0].isdigit() else text).host == host


@pytest.mark.parametrize("text", ["", ":25", "relay:", "relay:0", "relay:65536", "relay:2x", "2001:db8::1",
                                  "[2001:db8::1", "[relay]", "re lay", "relay:25:26", "-relay"])
def test_what_is_no_relay_is_refused(text):
    with pytest.raises(ValueError, match="not HOST"):
        mailroutes.relay(text)


@pytest.mark.parametrize("domain, relay", [
    ("example.net", "relay.example.net:2525"), ("a.example.net", "192.0.2.1"), ("a.b.example.net", "192.0.2.1"),
    ("own.example", "None"), ("sub.own.example", "[2001:db8::1]:587"), ("other.org", "[2001:db8::1]:587"),
    ("notexample.net", "[2001:db8::1]:587")])
def test_the_nearest_line_counts(domain, relay):
    assert str(mailroutes.parse(FILE).find(domain)) == relay


def test_without_a_line_for_all_others_there_is_no_relay():
    assert mailroutes.parse("a.example relay\n").find("b.example") is None


@pytest.mark.parametrize("line", ["example.net", "a b c", "exa mple relay x", "_-.x relay", "a.example relay:0",
                                  "a.example r\na.example s"])
def test_a_wrong_line_is_told_by_its_number(line):
    with pytest.raises(ValueError, match=f"^line {2 + line.count(chr(10))}: "):
        mailroutes.parse(f"# first\n{line}\n")
