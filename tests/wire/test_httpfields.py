"""Header fields: RFC 9110 section 5 and RFC 9112 section 5, and that nothing that is taken can be two things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpfields import MOST, TOKEN, VALUE, Fields, is_token, parse, tokens
from daemons.wire.httpstatus import Refused


def rows(block):
    return list(parse(block).items())


@pytest.mark.parametrize("line, name, value", [
    (b"Host: example.org", "host", "example.org"),                                  # RFC 9112, 5
    (b"Host:example.org", "host", "example.org"),                                   # 5.1: blanks are optional
    (b"Host: \t example.org \t ", "host", "example.org"),                           # 5.1: and no part of the value
    (b"Empty:", "empty", ""), (b"Empty: ", "empty", ""),
    (b"X: a \t b", "x", "a \t b"), (b"X: a:b: c", "x", "a:b: c"), (b"X: ::", "x", "::"),
    (b"X: \xe9\x80\xff", "x", "\xe9\x80\xff"),                                      # RFC 9110, 5.5: obs-text
    (b"X: \xa0a\x85", "x", "\xa0a\x85"),                                            # which are no blanks
    (b"!#$%&'*+-.^_`|~09aZ: x", "!#$%&'*+-.^_`|~09az", "x"),                       # RFC 9110, 5.6.2
    (b'X: "quoted, \\" string" (comment)', "x", '"quoted, \\" string" (comment)'),
])
def test_a_field(line, name, value):
    assert rows(line + b"\r\n") == [(name, value)]


@pytest.mark.parametrize("line", [
    b"", b":", b": x", b"X", b"X x", b" X: x", b"\tX: x", b"X : x", b"X\t: x", b"X\0: x", b"X\xe9: x", b"X\x7f: x",
    b"X(: x",
    b"X,: x", b"X/: x", b"X;: x", b"X<: x", b"X=: x", b"X?: x", b"X@: x", b"X[: x", b"X\\: x", b"X]: x", b"X{: x",
    b"X}: x",
    b'X": x', b"X: a\0", b"X: \x01", b"X: \x08", b"X: \x0b", b"X: \x0c", b"X: \x1b", b"X: \x7f", b"X: a\rb", b"X: a\nb",
    b" folded", b"\tfolded",
])
def test_what_is_no_field(line):
    with pytest.raises(Refused) as caught:
        parse(b"Host: a\r\n" + line + b"\r\n")
    assert (caught.value.status, caught.value.final) == (400, True)


def test_several_of_one_name():         # RFC 9110, 5.3
    fields = parse(b"Accept: a\r\nX: 1\r\nACCEPT: b, c\r\naccept:\r\n")
    assert fields.get("accept") == "a, b, c, " and fields.all("accept") == ["a", "b, c", ""]
    assert fields.get("x") == "1" and fields.all("x") == ["1"]
    assert fields.get("y") is None and fields.all("y") == []
    assert list(fields.items()) == [("accept", "a"), ("x", "1"), ("accept", "b, c"), ("accept", "")]


def test_no_fields():
    assert rows(b"") == [] and Fields([]).get("host") is None


def test_no_more_than_anybody_needs():
    assert len(rows(b"X: y\r\n" * MOST)) == MOST
    with pytest.raises(Refused) as caught:
        parse(b"X: y\r\n" * (MOST + 1))
    assert (caught.value.status, caught.value.final) == (431, True)


def test_the_octets_of_names_and_values():      # RFC 9110, 5.5 and 5.6.2
    delimiters = b'"(),/:;<=>?@[\\]{}'
    assert sorted(TOKEN) == [octet for octet in range(33, 127) if octet not in delimiters]
    assert sorted(VALUE) == [9, *range(32, 127), *range(128, 256)]


@pytest.mark.parametrize("text, found", [
    ("", ()), (",", ()), (" , ,", ()), ("close", ("close",)), ("Close , KEEP-alive", ("close", "keep-alive")),
    (", foo ,bar,,charlie", ("foo", "bar", "charlie")),                             # RFC 9110, 5.6.1.2
    ("a\tb,\tc\t", ("a\tb", "c")), ("\xa0close", ("\xa0close",)), ("close\x0b", ("close\x0b",)),
])
def test_lists(text, found):
    assert tokens(text) == found


@pytest.mark.parametrize("text, good", [
    ("GET", True), ("x-!#$%&'*+-.^_`|~9", True), ("", False), ("a b", False), ("a:", False), ("\xe9", False), ("\u212a",
                                                                                                               False),
    ("a\n", False), ("a\0", False),
])
def test_tokens(text, good):
    assert is_token(text) is good


@given(st.binary(max_size=80) | st.lists(st.sampled_from(
    [b"Host", b"X", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"value", b","]), max_size=14).map(b"".join))
def test_a_block_is_fields_or_refused(block):
    block += b"\r\n"
    try:
        found = rows(block)
    except Refused as refusal:
        assert refusal.final and refusal.status in (400, 431)
        return
    assert all(is_token(name) and name == name.lower() for name, _ in found)
    assert all(not value.encode("latin-1").translate(None, VALUE) and value == value.strip(" \t") for _, value in found)
    written = "".join(f"{name}: {value}\r\n" for name, value in found).encode("latin-1")
    assert rows(written) == found
    assert len(found) == block.count(b"\r\n") == block.count(b"\n") == block.count(b"\r")
