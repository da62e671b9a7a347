"""XML-RPC's messages, type by type, and what the standard library makes of them and we of its own."""

import xmlrpc.client
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import faults
from daemons.wire.faults import Fault
from daemons.wire.xmlrpcmessages import (
    Reading,
    build_call,
    build_fault,
    build_response,
    parse_call,
    parse_response,
)

NOON = datetime(2026, 12, 31, 12, 0, 5)


def call(value, extensions=False, header=""):
    """What a call with this content of its only value comes to."""
    text = f"{header}<methodCall><methodName>m</methodName><params><param><value>{value}</value></param></params>" \
           "</methodCall>"
    method, params = parse_call(text.encode(), extensions)
    assert method == "m" and len(params) == 1
    return params[0]


def refusal(data, extensions=False, charset=""):
    """The code of the fault that these octets come to."""
    with pytest.raises(Fault) as fault:
        parse_call(data if isinstance(data, bytes) else data.encode(), extensions, charset)
    return fault.value.code


def refused(value, extensions=False):
    """The code of the fault that a value of this content comes to."""
    return refusal("<methodCall><methodName>m</methodName><params><param><value>" + value
                   + "</value></param></params></methodCall>", extensions)


@pytest.mark.parametrize("text, value", [
    ("<int>5</int>", 5), ("<i4>-12</i4>", -12), ("<int>+7</int>", 7), ("<int>-0</int>", 0), ("<int>007</int>", 7),
    ("<int>2147483647</int>", 2**31 - 1), ("<i4>-2147483648</i4>", -2**31), (f"<i4>{'0' * 9000}1</i4>", 1),
    ("<boolean>1</boolean>", True), ("<boolean>0</boolean>", False),
    ("<double>-1.5</double>", -1.5), ("<double>+.5</double>", 0.5), ("<double>3.</double>", 3.0),
    ("<double>2</double>", 2.0),
    ("<double>1e+16</double>", 1e16), ("<double>4.9E-324</double>", 5e-324),
    ("<string>a b</string>", "a b"), ("bare", "bare"), ("", ""), ("  ", "  "), ("<string/>", ""),
    ("<string> &lt;&amp;&#233;é\U0001f600 </string>", " <&éé\U0001f600 "), ("<![CDATA[<i>&x;]]>", "<i>&x;"),
    ("a<!-- b -->c", "ac"), ("<string>a&#13;b</string>", "a\rb"), (" \n<int>5</int>\n ", 5),
    ("<dateTime.iso8601>20261231T12:00:05</dateTime.iso8601>", NOON),
    ("<dateTime.iso8601>2026-12-31T12:00:05</dateTime.iso8601>", NOON),
    ("<base64>aGVs\n bG8=\r\n</base64>", b"hello"), ("<base64/>", b""),
    ("<array><data/></array>", []), ("<struct/>", {}),
    ("<array><data><value>a</value><value><int>1</int></value></data></array>", ["a", 1]),
    ("<struct><member><name>a b</name><value><array><data><value/></data></array></value></member>"
     "<member><name/><value>2</value></member></struct>", {"a b": [""], "": "2"}),
])
def test_each_type(text, value):
    found = call(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", [
    "<int/>", "<int>5.0</int>", "<int> 5</int>", "<int>1_0</int>", "<int>٣</int>", "<int>--5</int>", "<int>0x5</int>",
    "<int>2147483648</int>", "<i4>-2147483649</i4>", f"<int>{'9' * 100_000}</int>", "<int>+</int>",
    "<boolean>true</boolean>", "<boolean>2</boolean>", "<boolean/>", "<boolean> 1</boolean>",
    "<double>inf</double>", "<double>nan</double>", "<double>1e999</double>", "<double/>", "<double>1 </double>",
    "<double>1_0.0</double>", "<double>e</double>", "<double>0x1p3</double>", f"<double>{'1' * 401}</double>",
    "<dateTime.iso8601>20261331T12:00:05</dateTime.iso8601>", "<dateTime.iso8601>20260230T12:00:05</dateTime.iso8601>",
    "<dateTime.iso8601>2026123T112:00:05</dateTime.iso8601>", "<dateTime.iso8601>20261231T12:00:05Z</dateTime.iso8601>",
    "<dateTime.iso8601>20261231T24:00:00</dateTime.iso8601>", "<dateTime.iso8601>20261231 12:00:05</dateTime.iso8601>",
    "<dateTime.iso8601>00000101T00:00:00</dateTime.iso8601>", "<dateTime.iso8601/>",
    "<dateTime.iso8601>２0261231T12:00:05</dateTime.iso8601>",
    "<base64>a</base64>", "<base64>ab=c</base64>", "<base64>a===</base64>", "<base64>????</base64>",
    "<base64>aGVsbG8</base64>", "<base64>aGVsbG8=aGVs</base64>", "<base64>====</base64>", "<base64>a-_b</base64>",
    "<base64>aGVs\u00a0bG8=</base64>",
    "<i8>5</i8>", "<nil/>", "<ex:nil/>", "<ex:i8>1</ex:i8>", "<float>1.0</float>", "<value>a</value>", "<param/>",
    "<int>5</int>x", "x<int>5</int>", "<int>5</int><int>6</int>", "<int><int>5</int></int>",
    "<array/>", "<array><data/><data/></array>", "<array><value/></array>", "<array><data>x</data></array>",
    "<struct><member/></struct>", "<struct><member><name>a</name></member></struct>", "<struct>x</struct>",
    "<struct><member><value/><name>a</name></member></struct>", "<struct><value/></struct>",
    "<struct><member><name>a</name><value/><value/></member></struct>",
    "<struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct>",
    "<struct><member><name><b/></name><value/></member></struct>",
])
def test_what_is_no_value(text):
    assert refused(text) == faults.INVALID_REQUEST


@pytest.mark.parametrize("text, value", [
    ("<i8>9223372036854775807</i8>", 2**63 - 1), ("<ex:i8>-9223372036854775808</ex:i8>", -2**63), ("<nil/>", None),
    ("<ex:nil></ex:nil>", None), ('<ex:nil xmlns:ex="http://ws.apache.org/xmlrpc/namespaces/extensions"/>', None),
    ('<nil xmlns="http://ws.apache.org/xmlrpc/namespaces/extensions"/>', None), ("<i8>5</i8>", 5),
])
def test_extensions_where_they_are_enabled(text, value):
    assert call(text, extensions=True) == value


@pytest.mark.parametrize("text", ["<nil>x</nil>", "<i8>9223372036854775808</i8>", "<ex:int>5</ex:int>", "<ex:/>"])
def test_extensions_have_their_limits(text):
    assert refused(text, extensions=True) == faults.INVALID_REQUEST


@pytest.mark.parametrize("text", [
    "<methodCall/>", "<methodCall><params/></methodCall>", "<methodCall><methodName/></methodCall>", "<a/>",
    "<methodCall><methodName>a b</methodName></methodCall>", "<methodCall><methodName>m\n</methodName></methodCall>",
    f"<methodCall><methodName>{'m' * 256}</methodName></methodCall>", "<methodCall>m</methodCall>",
    "<methodCall><methodName>é</methodName></methodCall>", "<methodResponse/>",
    "<methodCall><methodName>m</methodName><methodName>m</methodName></methodCall>",
    "<methodCall><methodName>m</methodName><params/><params/></methodCall>",
    "<methodCall><methodName>m</methodName><params><value/></params></methodCall>",
    "<methodCall><methodName>m</methodName><params><param/></params></methodCall>",
    "<methodCall><methodName>m</methodName><params><param><value/><value/></param></params></methodCall>",
])
def test_what_is_no_call(text):
    assert refusal(text) == faults.INVALID_REQUEST


@pytest.mark.parametrize("text", ["", "x", "<methodCall>", "<methodCall></methodcall>", "<methodCall><methodName>m&x;",
                                  "<methodCall><methodName>m</methodName></methodCall><a/>", "<",
                                  "<methodCall a='1' a='2'/>", "<methodCall>\x01", "<methodCall>&#0;</methodCall>",
                                  f"<methodCall>{' ' * 60}\0</methodCall>"])
def test_what_is_no_xml(text):
    assert refusal(text) == faults.PARSE_ERROR


def test_a_call_may_have_no_parameters_and_blanks_between_elements():
    assert parse_call(b"<methodCall>\n <methodName>a.b:c/d-1</methodName>\n</methodCall>\n", False) == ("a.b:c/d-1", [])


# -- encodings --

NAMED = '<?xml version="1.0" encoding="{}"?><methodCall><methodName>m</methodName><params><param><value>é</value>' \
        "</param></params></methodCall>"


@pytest.mark.parametrize("name, codec", [("utf-8", "utf-8"), ("UTF-8", "utf-8"), ("UTF-8", "utf-8-sig"),
                                         ("ISO-8859-1", "latin-1"), ("iso-8859-1", "latin-1")])
def test_the_encoding_that_is_declared(name, codec):
    assert parse_call(NAMED.format(name).encode(codec), False) == ("m", ["é"])


def test_the_encoding_of_the_transport_counts_more():
    data = NAMED.format("utf-8").encode("latin-1")
    assert parse_call(data, False, "iso-8859-1") == ("m", ["é"])
    assert refusal(data) == faults.INVALID_CHARACTER
    assert refusal(data, charset="windows-1252") == faults.UNSUPPORTED_ENCODING


@pytest.mark.parametrize("name, codec", [("utf-16", "utf-16"), ("utf-16", "utf-16-le"), ("utf-16", "utf-16-be"),
                                         ("utf-7", "utf-7"), ("cp1252", "cp1252"), ("utf-32", "utf-32"), ("x", "utf-8"),
                                         ("idna", "utf-8"), ("rot13", "utf-8"), ("utf-16", "utf-8")])
def test_encodings_that_are_not_taken(name, codec):
    assert refusal(NAMED.format(name).encode(codec)) == faults.UNSUPPORTED_ENCODING


@pytest.mark.parametrize("name, octets", [("us-ascii", b"\xc3\xa9"), ("utf-8", b"\xe9"), ("utf-8", b"\xc0\xaf"),
                                          ("utf-8", b"\xed\xa0\x80"), ("utf-8", b"\xf4\x90\x80\x80"),
                                          ("utf-8", b"a\xff")])
@pytest.mark.parametrize("before", [0, 16384 - 102, 16384 - 100, 16384])
def test_octets_that_the_encoding_does_not_have(name, octets, before):
    data = NAMED.format(name).encode().replace("é".encode(), b"x" * before + octets)
    assert refusal(data) == faults.INVALID_CHARACTER


def test_it_does_not_matter_how_it_is_cut():
    data = build_call("some.method", ["é" * 40, {"a": [1, 2.5, NOON, b"x"]}], False)
    for size in range(1, 40):
        reading = Reading("methodCall", False)
        for start in range(0, len(data), size):
            reading.feed(data[start:start + size])
        reading.end()
        assert (reading.method, reading.params) == ("some.method", ["é" * 40, {"a": [1, 2.5, NOON, b"x"]}])


# -- what we send --


@pytest.mark.parametrize("value, text", [
    (5, "<int>5</int>"), (True, "<boolean>1</boolean>"), ("a<&>\r\n\t", "<string>a&lt;&amp;&gt;&#13;\n\t</string>"),
    (1.5, "<double>1.5</double>"), (1e16, "<double>10000000000000000.0</double>"),
    (-1e-7, "<double>-0.0000001</double>"),
    (1.25e-5, "<double>0.0000125</double>"), (1.5e20, "<double>150000000000000000000.0</double>"),
    (NOON, "<dateTime.iso8601>20261231T12:00:05</dateTime.iso8601>"), (b"hello", "<base64>aGVsbG8=</base64>"),
    (datetime(7, 1, 2), "<dateTime.iso8601>00070102T00:00:00</dateTime.iso8601>"),
    (NOON.replace(tzinfo=timezone(timedelta(hours=2))), "<dateTime.iso8601>20261231T10:00:05</dateTime.iso8601>"),
    ([], "<array><data></data></array>"), ((1,), "<array><data><value><int>1</int></value></data></array>"),
    ({"a&": ""}, "<struct><member><name>a&amp;</name><value><string></string></value></member></struct>"),
])
def test_how_values_are_written(value, text):
    data = build_response(value, False)
    assert data.decode() == '<?xml version="1.0" encoding="UTF-8"?>\n<methodResponse><params><param>' \
                            f"<value>{text}</value></param></params></methodResponse>\n"


class Number(int):
    """An int with a name of its own, as enumerations have them."""


class Named(dict):
    """A dict with a name of its own."""


def test_what_inherits_is_written_as_what_it_is():
    assert parse_response(build_response([Number(5), Named(a=Number(1)), bytearray(b"x")], False), False) \
        == [5, {"a": 1}, b"x"]


def test_extensions_are_written_where_they_are_enabled():
    assert b"<nil/>" in build_response(None, True) and b"<i8>2147483648</i8>" in build_response(2**31, True)


@pytest.mark.parametrize("value, why", [
    (None, "nil extension"), (2**31, "i8 extension"), (float("nan"), "nan"), (float("-inf"), "inf"), ({1: 2}, "member"),
    ("a\0", "U\\+0000"), ("\x1b[2J", "U\\+001B"), ("\ufffe", "U\\+FFFE"), ("\ud800", "surrogate U\\+D800"),
    ({"a\x07": 1}, "U\\+0007"), (object(), "type object"), ({1, 2}, "type set"), (1j, "type complex"),
])
def test_what_cannot_be_sent_is_told(value, why):
    with pytest.raises(Fault, match=why) as fault:
        build_response([value], False)
    assert fault.value.code == faults.APPLICATION_ERROR and fault.value.string.isprintable()


def test_what_cannot_be_sent_with_extensions_either():
    for value in (2**63, -2**63 - 1):
        with pytest.raises(Fault, match="64 bits"):
            build_response(value, True)
    endless = []
    endless.append(endless)
    with pytest.raises(Fault, match="deep"):
        build_response(endless, True)


@pytest.mark.parametrize("code, string, told", [(-32601, "no <b> & such", (-32601, "no <b> & such")),
                                                (2**40, "a\0b\ud800\x1b", (-32500, "a\ufffdb?\ufffd"))])
def test_a_fault_can_always_be_sent(code, string, told):
    with pytest.raises(Fault) as fault:
        parse_response(build_fault(code, string), False)
    assert (fault.value.code, fault.value.string) == told
    with pytest.raises(xmlrpc.client.Fault) as theirs:
        xmlrpc.client.loads(build_fault(code, string))
    assert (theirs.value.faultCode, theirs.value.faultString) == told


@pytest.mark.parametrize("text", [
    "<methodResponse><params/></methodResponse>", "<methodResponse/>",
    "<methodResponse><params><param><value/></param><param><value/></param></params></methodResponse>",
    "<methodResponse><fault><value>x</value></fault></methodResponse>",
    "<methodResponse><fault><value><struct/></value></fault></methodResponse>",
    "<methodResponse><params><param><value/></param></params><fault><value/></fault></methodResponse>",
    "<methodCall><methodName>m</methodName></methodCall>",
])
def test_what_is_no_answer(text):
    with pytest.raises(Fault) as fault:
        parse_response(text.encode(), False)
    assert fault.value.code == faults.INVALID_REQUEST


# -- with the standard library's client --

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\ufffe", "\uffff"]))
DATES = st.datetimes(min_value=datetime(1000, 1, 1)).map(lambda when: when.replace(microsecond=0))
SCALARS = (TEXT | st.integers(-2**31, 2**31 - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
           | st.binary() | DATES)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


@given(st.lists(VALUES, max_size=3))
def test_we_read_what_the_standard_library_sends(params):
    data = xmlrpc.client.dumps(tuple(params), "a.b").encode("utf-8")
    assert parse_call(data, False) == ("a.b", params)


@given(VALUES)
def test_the_standard_library_reads_what_we_send(value):
    (found,), method = xmlrpc.client.loads(build_response(value, False), use_builtin_types=True)
    assert found == value and method is None


@given(st.lists(VALUES | st.none() | st.integers(-2**63, 2**63 - 1) | st.text(st.sampled_from("a<&>]\r\n\t é"))))
def test_we_read_what_we_send(params):
    method, found = parse_call(build_call("m", params, True), True)
    assert (method, found) == ("m", params) and list(map(type, found)) == list(map(type, params))
    assert parse_response(build_response(params, True), True) == params


def test_the_standard_library_and_extensions():
    data = xmlrpc.client.dumps((None,), "m", allow_none=True).encode()
    assert parse_call(data, True) == ("m", [None])
    assert xmlrpc.client.loads(build_response([None, 2**40], True))[0] == ([None, 2**40],)


@given(st.binary(max_size=200), st.booleans())
def test_any_octets_end_in_a_call_or_a_fault(data, extensions):
    for text in (data, b"<methodCall><methodName>m</methodName><params><param><value>" + data):
        try:
            parse_call(text, extensions)
        except Fault as fault:
            assert -32768 <= fault.code <= -32000 and fault.string.isprintable() and len(fault.string) < 200
