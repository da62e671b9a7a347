"""What is sent to make a parser of XML work, wait, fetch or swell: refused, in little memory."""

import subprocess
import sys
import tracemalloc

import pytest

from daemons.wire import faults
from daemons.wire.faults import Fault
from daemons.wire.xmlrpcmessages import (
    DEPTH,
    LONGEST_TAG,
    PROLOG,
    VALUES,
    Reading,
    build_response,
    parse_call,
    parse_response,
)
from tests import sources

CALL = "<methodCall><methodName>m</methodName><params><param><value>{}</value></param></params></methodCall>"
LAUGHS = "<!DOCTYPE methodCall [" + '<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10)) + "]>" + CALL.format("&a9;")
QUADRATIC = f'<!DOCTYPE methodCall [<!ENTITY a "{"x" * 100_000}">]>' + CALL.format("&a;" * 100_000)


@pytest.fixture
def traced():
    """Python's own memory, from here on."""
    tracemalloc.start()
    yield tracemalloc
    tracemalloc.stop()


def fault(data):
    """What these octets are refused with."""
    with pytest.raises(Fault) as refused:
        parse_call(data if isinstance(data, bytes) else data.encode(), True)
    return refused.value


@pytest.mark.parametrize("text", [
    LAUGHS, QUADRATIC, "<!DOCTYPE methodCall>" + CALL.format(""), "<!DOCTYPE methodCall []>" + CALL.format(""),
    '<!DOCTYPE methodCall SYSTEM "file:///etc/passwd">' + CALL.format(""),
    '<!DOCTYPE a PUBLIC "-//x" "http://192.0.2.1/x.dtd">' + CALL.format(""),
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + CALL.format("&x;"),
    '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://192.0.2.1/"> %x;]>' + CALL.format(""),
    '<!DOCTYPE a [<!NOTATION x SYSTEM "y">]>' + CALL.format(""),
    "<!DOCTYPE a [<!ATTLIST a b CDATA 'c'>]>" + CALL.format(""),
    '<?xml version="1.0" standalone="yes"?><!-- a --><!DOCTYPE a [<!ELEMENT a ANY>]>' + CALL.format(""),
    "<!DOCTYPE a [" + "<!-- -->" * 1000 + "]>", f"<!DOCTYPE {'a' * 200_000} [<!ENTITY a 'b'>]>",
], ids=lambda text: text[:40])
def test_no_document_type_is_taken(text):
    assert fault(text).code in (faults.PARSE_ERROR, faults.INVALID_REQUEST)
    for size in (1, 63, 100_000):
        reading = Reading("methodCall", True)
        with pytest.raises(Fault):
            for start in range(0, len(text), size):
                reading.feed(text[start:start + size].encode())


def test_entities_within_the_message_are_unknown_or_misplaced():
    assert fault(CALL.format("&a;")).code == fault(CALL.format('<!ENTITY a "b">')).code == faults.PARSE_ERROR


@pytest.mark.parametrize("text", [LAUGHS, QUADRATIC], ids=["laughs", "quadratic"])
def test_an_entity_is_never_expanded(text, traced):
    fault(text)
    assert traced.get_traced_memory()[1] < 2 * len(text) + 100_000


def test_depth_has_a_limit():
    nested = "<array><data><value>" * DEPTH + "</value></data></array>" * DEPTH
    (value,) = parse_call(CALL.format(nested).encode(), False)[1]
    for _ in range(DEPTH):
        (value,) = value
    assert value == ""
    deeper = f"<array><data><value>{nested}</value></data></array>"
    assert "deep" in fault(CALL.format(deeper)).string
    assert "deep" in fault(CALL.format("<struct><member><name/><value>" * 10_000)).string


@pytest.mark.parametrize("piece", [
    "<array><data><value>", "<struct><member><name>a</name><value>", "<value>", "<a>", "<array>", "<member>"])
def test_ten_thousand_nested_elements_take_no_memory(piece, traced):
    data = CALL.format(piece * 10_000).encode()
    before = traced.get_traced_memory()[0]
    traced.reset_peak()
    assert fault(data).code == faults.INVALID_REQUEST
    assert traced.get_traced_memory()[1] - before < 200_000


def test_the_number_of_values_has_a_limit():
    many = "<array><data>" + "<value/>" * (VALUES - 1) + "</data></array>"
    assert parse_call(CALL.format(many).encode(), False)[1] == [[""] * (VALUES - 1)]
    more = many.replace("</data>", "<value/></data>")
    assert f"more than {VALUES}" in fault(CALL.format(more)).string


MEMBERS = """
import sys
from daemons.wire.faults import Fault
from daemons.wire.xmlrpcmessages import Reading
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
reading = Reading("methodCall", False)
reading.feed(b"<methodCall><methodName>m</methodName><params><param><value><struct>")
before = peak()
try:
    for number in range(1_000_000):
        reading.feed(b"<member><name>%d</name><value><int>%d</int></value></member>" % (number, number))
except Fault as fault:
    print(number, peak() - before, fault.string)
"""


def test_a_million_members_are_refused_on_the_way():
    done = subprocess.run([sys.executable, "-c", MEMBERS], capture_output=True, text=True, cwd=sources.ROOT, timeout=60)
    number, kib, why = done.stdout.split(" ", 2)
    assert int(number) <= VALUES and int(kib) < 48 * 1024 and "values" in why


@pytest.mark.parametrize("before, after", [("<methodName a='", "'>m</methodName>"), ("<!--", "-->"), ("<?x ", "?>"),
                                           ("<", "/>")])
def test_a_tag_that_does_not_end(before, after):
    assert "tag or comment" in fault(f"<methodCall>{before}{'x' * 10 * LONGEST_TAG}{after}</methodCall>").string


@pytest.mark.parametrize("text", ["<methodCall a='" + "x" * PROLOG, "<!--" + "x" * PROLOG, "<?x " + "x" * PROLOG,
                                  "<!---->" * PROLOG, " " * 2 * PROLOG, "<?a b?>" * PROLOG], ids=lambda text: text[:16])
def test_a_message_begins_soon(text):
    assert "no message" in fault(text).string
    blanks = " " * (PROLOG - 100)
    assert parse_call(f"{blanks}<methodCall><methodName>m</methodName></methodCall>".encode(), False) == ("m", [])


def test_attributes_have_no_meaning_and_take_no_memory(traced):
    names = " ".join(f'xmlns:a{number}="http://{"x" * 200}"' for number in range(60))
    text = f"<methodCall {names}><methodName>m</methodName></methodCall>"
    assert parse_call(text.encode(), False) == ("m", [])
    assert traced.get_traced_memory()[1] < 10 * len(text)


def test_long_texts_come_whole():
    text = "x" * 3_000_000 + "é\U0001f600"
    value = {"a": text, "b": text.encode()}
    assert parse_response(build_response(value, False), False) == value


def test_a_refused_message_is_let_go_of_at_once():
    import gc
    import weakref
    gc.disable()
    try:
        reading = Reading("methodCall", False)
        with pytest.raises(Fault):
            reading.feed(b"<a/>")
        reading.close()
        gone = weakref.ref(reading)
        del reading
        assert gone() is None
    finally:
        gc.enable()
