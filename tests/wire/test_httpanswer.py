"""RFC 9112, 4, 6.3 and 7.1: heads of responses, where bodies end, and what a gateway must not pass on."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpanswer import HEAD, UNTIL_CLOSE, Chunks, Malformed, parse, size_of
from daemons.wire.httpframing import CHUNKED


def answer(*lines, method="GET"):
    return parse("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"), method)


def test_what_a_head_says():
    found = answer("HTTP/1.1 404 Nothing here", "Content-Type: text/plain", "X-A: 1", "x-a: 2", "ETag:  \"\xe9\" \t")
    assert (found.minor, found.status, found.reason, found.length) == (1, 404, "Nothing here", UNTIL_CLOSE)
    assert found.rows == [("Content-Type", "text/plain"), ("X-A", "1"), ("x-a", "2"), ("ETag", '"\xe9"')]
    assert found.fields.get("x-a") == "1, 2"


@pytest.mark.parametrize("line, status, reason", [
    ("HTTP/1.1 200 OK", 200, "OK"), ("HTTP/1.1 200 ", 200, ""), ("HTTP/1.1 200", 200, ""),
    ("HTTP/1.0 599 \xfc", 599, "\xfc"),
    ("HTTP/1.2 100 a  b", 100, "a  b")])
def test_status_lines(line, status, reason):
    found = answer(line)
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize("line", [
    "HTTP/2.0 200 OK", "HTTP/1.10 200 OK", "HTTP/1 200 OK", "http/1.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 99 OK",
    "HTTP/1.1 600 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 20\xb2 OK", "HTTP/1.1 200 O\x01K", "ICY 200 OK",
    "HTTP/1.1\t200 OK", "", "<html>", "HTTP/1.\xb2 200 OK", "HTTP/1.1 200 a\rb"])
def test_what_is_no_status_line(line):
    with pytest.raises(Malformed):
        answer(line)


@pytest.mark.parametrize("field, why", [
    ("X: a\r\n b", "folded"), ("X : a", "not a header field"), ("X", "not a header field"),
    (": a", "not a header field"), ("X: a\0b", "control"), ("X: a\rb", "CR"), ("X\x0b: a", "not a header field"),
    *((f"Content-Length: {length}", "not a length") for length in
      ("+5", "5, 5", "-1", "0x5", "5 5", "", "9" * 19, "\xb2", "5;")),
    ("Content-Length: 5\r\nContent-Length: 5", "not a length"),
    ("Content-Length: 5\r\nContent-Length: 6", "not a length"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5", "both"), ("Transfer-Encoding: gzip, chunked", "unknown"),
    ("Transfer-Encoding: identity", "unknown"), ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "unknown"),
    ("Transfer-Encoding: \x0bchunked", "control"), ("Transfer-Encoding:", "unknown"),
])
def test_what_could_be_read_in_two_ways(field, why):
    with pytest.raises(Malformed, match=why):
        answer("HTTP/1.1 200 OK", field)


def test_too_many_fields():
    with pytest.raises(Malformed, match="more than 100"):
        answer("HTTP/1.1 200 OK", *["X: y"] * 101)


@pytest.mark.parametrize("status, method, field, length, announced", [
    (200, "GET", "Content-Length: 5", 5, 5), (200, "GET", "content-length:5", 5, 5),
    (200, "GET", "X: y", UNTIL_CLOSE, None),
    (200, "GET", "Transfer-Encoding: Chunked", CHUNKED, None), (200, "HEAD", "Content-Length: 5", 0, 5),
    (200, "HEAD", "Transfer-Encoding: chunked", 0, None), (200, "HEAD", "X: y", 0, None),
    (304, "GET", "Content-Length: 5", 0, 5), (204, "GET", "X: y", 0, None), (204, "GET", "Content-Length: 0", 0, 0),
    (100, "GET", "X: y", 0, None), (103, "POST", "Link: </a>", 0, None), (205, "GET", "Content-Length: 0", 0, 0),
    (404, "POST", "Content-Length: 0", 0, 0), (304, "GET", "Transfer-Encoding: chunked", 0, None)])
def test_where_a_body_ends(status, method, field, length, announced):
    found = answer(f"HTTP/1.1 {status} x", field, method=method)
    assert (found.length, found.announced) == (length, announced)


@pytest.mark.parametrize("line", ["HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 101 x"])
def test_where_there_can_be_no_coding(line):
    with pytest.raises(Malformed, match="a transfer coding"):
        answer(line, "Transfer-Encoding: chunked")


HELLO = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"


def test_a_head_ends_at_its_empty_line():
    assert [size_of(HELLO[:size]) for size in range(len(HELLO))] == [0] * len(HELLO)
    assert size_of(HELLO) == size_of(HELLO + b"body\n\r\n\r\n") == len(HELLO)


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200 OK\r\nX: y\n\r\n\r\n", b"\n",
                                  b"HTTP/1.1 200 OK\r\n\n"])
def test_a_bare_lf_is_seen_at_once(data):
    with pytest.raises(Malformed, match="CR LF"):
        size_of(data)


def test_a_head_has_an_end():
    line = b"X: %b\r\n" % (b"y" * 1000)
    assert size_of(line * 60) == 0
    with pytest.raises(Malformed, match=f"over {HEAD}"):
        size_of(line * 66)
    with pytest.raises(Malformed, match=f"over {HEAD}"):
        size_of(line * 66 + b"\r\n")


# -- chunks --

WIKI = b"4\r\nWiki\r\n6;a=b\r\npedia \r\nD ;c\r\nin\r\n\r\nchunks.\r\n0\r\nX: y\r\n\r\n"
TEXT = b"Wikipedia in\r\n\r\nchunks."


def fed(pieces):
    chunks = Chunks()
    return b"".join(chunks.feed(piece) for piece in pieces), chunks.over


@given(st.lists(st.integers(0, len(WIKI)), max_size=6))
def test_chunks_however_they_come(cuts):
    cuts = sorted([0, *cuts, len(WIKI)])
    assert fed(WIKI[start:end] for start, end in pairwise(cuts)) == (TEXT, True)


def test_what_follows_the_end_is_not_read():
    assert fed([WIKI + b"HTTP/1.1 200 OK\r\n\r\n"]) == (TEXT, True)
    assert fed([b"0\r\n\r\n", b"5\r\nhello\r\n"]) == (b"", True)


def test_an_end_that_does_not_come():
    assert fed([WIKI[:-2]]) == (TEXT, False)


@pytest.mark.parametrize("data", [
    b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello!\r\n", b"5\r\nhello\n0\r\n\r\n", b"\r\n", b"0x5\r\n", b"+5\r\n", b" 5\r\n",
    b"-1\r\n",
    b"fffffffffffffffff\r\n", b"5;a\x01\r\n", b"5\r;\r\n", b"g\r\n", b"5" * 2000, b"0\r\n" + b"X: y\r\n" * 65,
    b"0\r\nX: y\n\r\n"])
def test_what_are_no_chunks(data):
    with pytest.raises(Malformed):
        fed([data])
    with pytest.raises(Malformed):
        fed(bytes([octet]) for octet in data)


@given(st.binary())
def test_no_octets_do_harm(data):
    for read in (size_of, lambda data: parse(data, "GET"), lambda data: fed([data])):
        try:
            read(data)
        except Malformed as error:
            assert str(error)
