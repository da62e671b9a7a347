"""Short calls: what is read without a parser is what the parser makes of it."""

import xmlrpc.client

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from daemons.wire import xmlrpcshort
from daemons.wire.faults import Fault
from daemons.wire.xmlrpcmessages import build_call, parse_call

PARTS = ["<?xml version='1.0'?>", "<methodCall>", "</methodCall>", "<methodName>", "</methodName>", "<params>",
         "</params>", "<param>", "</param>", "<value>", "</value>", "<int>", "</int>", "<i4>", "</i4>", "<string>",
         "</string>", "<boolean>", "</boolean>", "<double>", "</double>", "<nil/>", "<i8>1</i8>", "a", "1", " ", "\n",
         "\r\n", "&lt;", ">", "<", "-->", "<!-- -->", "]]>", "é", "\0", "<int >", "<int a='b'>", "<value/>", "<array>",
         "<dateTime.iso8601>"]
CALL = ["<?xml version='1.0'?>", "\n", "<methodCall>", "<methodName>", "a.b", "</methodName>", "<params>", "<param>",
        "<value>", "<int>", "2", "</int>", "</value>", "</param>", "\n", "<param>", "<value>", "<string>", "x y",
        "</string>", "</value>", "</param>", "</params>", "</methodCall>"]


def agrees(data):
    """Does the parser say the same, where something was read?  Returns whether it was."""
    found = xmlrpcshort.call(data)
    assert found is None or found == parse_call(data, False)
    return found is not None


@pytest.mark.parametrize("params", [(), (1,), (1, "two", 3.5, True, ""), (-2**31,), (" a ", "a\n\tb"), (b"octets",)])
def test_what_clients_write(params):
    assert agrees(xmlrpc.client.dumps(params, "a.b").encode())
    assert agrees(build_call("a.b", params, False))


@pytest.mark.parametrize("text", [
    "", "<", "<<methodCall>", "x<methodCall>", "<methodCall></methodCall>",
    "<methodCall><methodName>a</methodName></methodCall>", "<methodCall><methodName>a b</methodName></methodCall>",
    "<methodCall><methodName>a</methodName><params/></methodCall>",
    "<methodCall><methodName>a</methodName><params></params></methodCall>\n\n",
    "<methodCall><methodName>a</methodName><params></params></methodCall>x",
    "<methodCall><methodName>a</methodName><params><param><value>a</value></param></params></methodCall>",
    "<methodCall><methodName>a</methodName><params><param><value><int>x</int></value></param></params></methodCall>",
    "<methodCall><methodName>a</methodName><params><param><value><int>1</i4></value></param></params></methodCall>",
    "<methodCall><methodName>a</methodName><params><param><value><string>]]></string></value></param></params>"
    "</methodCall>",
    "<?xml version='1.0'?><?xml version='1.0'?><methodCall><methodName>a</methodName></methodCall>",
    "<?xml version='1.0' encoding='utf-16'?><methodCall><methodName>a</methodName></methodCall>"])
def test_what_others_write(text):
    agrees(text.encode())


@given(st.lists(st.tuples(st.integers(0, len(CALL)), st.sampled_from(PARTS), st.booleans()), max_size=3))
@example([])
def test_a_call_that_was_changed(edits):
    parts = list(CALL)
    for place, part, replaces in edits:
        parts[place:place + replaces] = [part]
    agrees("".join(parts).encode())


@given(st.lists(st.one_of(st.integers(-2**31, 2**31 - 1), st.booleans(), st.text(max_size=20),
                          st.floats(allow_nan=False, allow_infinity=False)), max_size=5))
def test_any_scalars(params):
    try:
        data = build_call("name", params, False)
    except Fault:
        assume(False)
    agrees(data)


def test_a_long_one_is_for_the_parser():
    assert xmlrpcshort.call(build_call("a", ["x" * xmlrpcshort.LONGEST], False)) is None
