"""Where bodies end: RFC 9112 sections 6 and 7; whatever another server could end elsewhere is refused (11.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpfields import parse
from daemons.wire.httpframing import CHUNKED, DIGITS, HEX_DIGITS, LAST_CHUNK, chunk, chunk_size, length
from daemons.wire.httpstatus import Refused


def framed(*lines, minor=1):
    return length(minor, parse(b"".join(line + b"\r\n" for line in lines)))


def refusal_of(*lines, minor=1):
    with pytest.raises(Refused) as caught:
        framed(*lines, minor=minor)
    assert caught.value.final, "what follows could be anything"
    return caught.value.status


@pytest.mark.parametrize("lines, octets", [
    ([], 0),                                                                        # 6.3, 7
    ([b"Content-Length: 0"], 0), ([b"Content-Length: 42"], 42), ([b"content-LENGTH:42"], 42),
    ([b"Content-Length: 0042"], 42),                                                # RFC 9110, 8.6: 1*DIGIT
    ([b"Content-Length: " + b"9" * DIGITS], 10**DIGITS - 1),
    ([b"Transfer-Encoding: chunked"], CHUNKED), ([b"Transfer-Encoding: \t Chunked "], CHUNKED),
    # 7: case-insensitive
    ([b"X-Content-Length: 5", b"Transfer_Encoding: chunked"], 0),
])
def test_lengths(lines, octets):
    assert framed(*lines) == octets


@pytest.mark.parametrize("value", [
    b"", b"+5", b"-5", b"-0", b"0x5", b"5 5", b"5,5", b"5, 5", b"5, 6", b"5;", b"5.0", b"5e0", b"1_0", b"five", b"\xb2",
    b"5\xa0",
    b"\xd9\xa3", b"'5'", b'"5"', b"9" * (DIGITS + 1), b"0" * 30 + b"5", b"18446744073709551621", b"4294967301", b",5",
    b"5,",
])
def test_what_is_no_length(value):      # 6.3, 5: and a list of equal lengths is not repaired either
    if value == b"4294967301":
        assert framed(b"Content-Length: " + value) == 2**32 + 5, "there is nothing to wrap around"
        return
    assert refusal_of(b"Content-Length: " + value) == 400


@pytest.mark.parametrize("lines", [
    [b"Content-Length: 5", b"Content-Length: 6"], [b"Content-Length: 5", b"Content-Length: 5"],
    [b"Content-Length: 5", b"content-length: 5"], [b"Content-Length:", b"Content-Length: 5"],
    [b"Content-Length: 5", b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    [b"Transfer-Encoding: chunked", b"Content-Length:"], [b"Transfer-Encoding: identity", b"Content-Length: 5"],
])
def test_what_says_two_things(lines):   # 6.1, 6.3 (3 and 5)
    assert refusal_of(*lines) == 400


@pytest.mark.parametrize("lines, status", [
    ([b"Transfer-Encoding:"], 400), ([b"Transfer-Encoding: ,"], 400),
    ([b"Transfer-Encoding: identity"], 400), ([b"Transfer-Encoding: gzip"], 400),  # 6.3, 4: not chunked at the end
    ([b"Transfer-Encoding: chunked, identity"], 400), ([b"Transfer-Encoding: chunked, gzip"], 400),
    ([b"Transfer-Encoding: chunked, chunked"], 400),                                # 6.1: chunked once
    ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
    ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], 400),
    ([b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"], 501),
    ([b"Transfer-Encoding: gzip, chunked"], 501),                                   # 6.1: an unknown coding
    ([b"Transfer-Encoding: xchunked"], 400), ([b"Transfer-Encoding: chunkedx"], 400),
    ([b"Transfer-Encoding: chunked;q=1"], 400), ([b"Transfer-Encoding: \"chunked\""], 400),
    ([b"Transfer-Encoding: chunked,"], 501), ([b"Transfer-Encoding: ,chunked"], 501),
    ([b"Transfer-Encoding: \xa0chunked"], 400), ([b"Transfer-Encoding: chunked\x85"], 400),
    ([b"Transfer-Encoding: chun\xe2\x84\xaaed"], 400),
    # a Kelvin sign, whose lower case is k
])
def test_codings_that_are_refused(lines, status):
    assert refusal_of(*lines) == status


def test_a_coding_in_http_1_0():        # 6.1: its framing is faulty
    assert refusal_of(b"Transfer-Encoding: chunked", minor=0) == 400
    assert refusal_of(b"Transfer-Encoding: chunked", b"Content-Length: 5", minor=0) == 400
    assert framed(b"Content-Length: 5", minor=0) == 5


# -- chunks: 7.1 --

@pytest.mark.parametrize("line, size", [
    (b"0", 0), (b"000", 0), (b"4", 4), (b"a", 10), (b"A", 10), (b"fF", 255), (b"0004", 4), (b"f" * HEX_DIGITS,
                                                                                            16**15 - 1),
    (b"4;name", 4), (b"4;name=value", 4), (b'4;name="va;lue"', 4), (b"4 ; name", 4), (b"4\t;x", 4), (b"4;", 4), (b"4;;",
                                                                                                                 4),
    (b"4;caf\xe9", 4),
])
def test_chunk_sizes(line, size):
    assert chunk_size(line) == size


@pytest.mark.parametrize("line", [
    b"", b" ", b";", b";x", b" 4", b"4 ", b"4\t", b"+4", b"-4", b"0x4", b"4h", b"4g", b"4,4", b"4 4", b"4_0", b"4.",
    b"\xb2", b"\xd9\xa3",
    b"f" * (HEX_DIGITS + 1), b"0" * (HEX_DIGITS + 1), b"4\0", b"4;\0", b"4;a\rb", b"4;a\nb", b"4;\x7f", b"4;\x0b",
    b"4\r", b"4\n", b"\n4",
    b"4\x0b;x",
])
def test_what_is_no_chunk_size(line):
    with pytest.raises(Refused) as caught:
        chunk_size(line)
    assert (caught.value.status, caught.value.final) == (400, True)


@given(st.binary(max_size=40) | st.lists(st.sampled_from([b"4", b"f", b"0", b";", b" ", b"\t", b"=", b'"', b"\r", b"\n",
                                                          b"x"]),
                                        max_size=8).map(b"".join))
def test_a_chunk_line_is_a_size_or_refused(line):
    try:
        size = chunk_size(line)
    except Refused as refusal:
        assert refusal.final and refusal.status == 400
        return
    assert 0 <= size < 16**HEX_DIGITS and chunk_size(b"%x" % size) == size
    assert b"\r" not in line and b"\n" not in line and b"\0" not in line


@given(st.binary(min_size=1, max_size=300))
def test_a_chunk_of_ours(data):
    line, _, rest = chunk(data).partition(b"\r\n")
    assert chunk_size(line) == len(data) and rest == data + b"\r\n"
    assert chunk_size(LAST_CHUNK.partition(b"\r\n")[0]) == 0


values = st.text(st.sampled_from("0159+-_ ,;xchunkedidty\t"), max_size=12).map(str.encode)


@given(st.lists(st.tuples(st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Content-length", b"X"]), values),
                max_size=3), st.integers(0, 1))
def test_what_is_taken_has_one_reading(rows, minor):
    try:
        found = framed(*[name + b": " + value for name, value in rows], minor=minor)
    except Refused as refusal:
        assert refusal.final and refusal.status in (400, 501)
        return
    sizes = [value.strip(b" \t") for name, value in rows if name.lower() == b"content-length"]
    codings = [value.strip(b" \t") for name, value in rows if name == b"Transfer-Encoding"]
    if codings:
        assert (found, sizes, [coding.lower() for coding in codings], minor) == (CHUNKED, [], [b"chunked"], 1)
    else:
        assert [found] == [int(size) for size in sizes] or (found, sizes) == (0, [])
        assert all(size and not size.translate(None, b"0123456789") for size in sizes)
