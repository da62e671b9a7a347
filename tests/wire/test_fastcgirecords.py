"""FastCGI's records: octets as the specification prints them, lengths at their limits, and answers that are none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.fastcgirecords import (
    BEGIN,
    COMPLETE,
    END,
    FULL,
    OVERLOADED,
    PARAMS,
    STDERR,
    STDIN,
    STDOUT,
    UNKNOWN_ROLE,
    Answer,
    opening,
    record,
)


def said(kind, content=b"", padding=0, request=1, version=1):
    """A record as an application says it."""
    return struct.pack(">BBHHBx", version, kind, request, len(content), padding) + content + b"\xaa" * padding


def ended(status=0, protocol=0):
    return said(END, struct.pack(">IB3x", status, protocol))


def records(data):
    """(kind, content) of what we say, as an application reads it."""
    found = []
    while data:
        version, kind, request, size, padding = struct.unpack(">BBHHBx", data[:8])
        assert (version, request, padding) == (1, 1, 0) and len(data) >= 8 + size
        found.append((kind, data[8:8 + size]))
        data = data[8 + size:]
    return found


def pairs(data):
    """Names and values, as an application reads them (FastCGI, 3.4)."""
    found, place = {}, 0

    def length():
        nonlocal place
        size = 1 if data[place] < 128 else 4
        number = int.from_bytes(data[place:place + size], "big") & 0x7fffffff
        place += size
        return number

    while place < len(data):
        name, value = length(), length()
        found[data[place:place + name]] = data[place + name:place + name + value]
        place += name + value
    return found


def test_a_request_octet_by_octet():
    assert opening({"A": "bc"}) == (b"\1\1\0\1\0\x08\0\0" b"\0\1\0\0\0\0\0\0"           # begin: responder, no flags
                                    b"\1\4\0\1\0\5\0\0" b"\1\2Abc" b"\1\4\0\1\0\0\0\0")
    assert record(STDIN, b"x") == b"\1\5\0\1\0\1\0\0x" and record(STDIN, b"") == b"\1\5\0\1\0\0\0\0"


def test_no_variables_are_an_empty_stream_of_them():
    assert [kind for kind, _ in records(opening({}))] == [BEGIN, PARAMS]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536, 200_000])
def test_lengths_and_records_at_their_limits(size):
    variables = {"A": "b" * size, "C" * max(size, 1): "d"}
    kinds = records(opening(variables))
    assert kinds[-1] == (PARAMS, b"") and all(content for _, content in kinds[:-1])
    assert pairs(b"".join(content for kind, content in kinds if kind == PARAMS)) == \
        {name.encode(): value.encode() for name, value in variables.items()}


def test_a_record_is_never_too_full():
    assert records(record(STDIN, bytes(FULL))) == [(STDIN, bytes(FULL))]
    with pytest.raises(ValueError, match="65528"):
        record(STDIN, bytes(FULL + 1))


text = st.binary(max_size=300).map(lambda octets: octets.decode("utf-8", "surrogateescape"))


@given(st.dictionaries(text, text, max_size=8))
def test_what_is_told_is_heard(variables):
    data = b"".join(content for kind, content in records(opening(variables)) if kind == PARAMS)
    assert pairs(data) == {name.encode("utf-8", "surrogateescape"): value.encode("utf-8", "surrogateescape")
                           for name, value in variables.items()}


ANSWER = (said(STDOUT, b"Status: 200\n\n", padding=3) + said(STDERR, b"oh") + said(STDOUT, bytes(65535), padding=255)
          + said(STDOUT) + said(STDERR) + ended(7))


@pytest.mark.parametrize("step", [1, 7, 8, 9, 4096, 10**6])
def test_an_answer_however_it_is_cut(step):
    answer, found = Answer(), []
    for place in range(0, len(ANSWER), step):
        assert not answer.over
        found += answer.heard(ANSWER[place:place + step])
    assert found == [(STDOUT, b"Status: 200\n\n"), (STDERR, b"oh"), (STDOUT, bytes(65535))]
    assert (answer.over, answer.status, answer.protocol) == (True, 7, COMPLETE)


@pytest.mark.parametrize("protocol", [COMPLETE, OVERLOADED, UNKNOWN_ROLE])
def test_how_an_application_ends_a_request(protocol):
    answer = Answer()
    assert answer.heard(ended(2**32 - 1, protocol)) == []
    assert (answer.status, answer.protocol) == (2**32 - 1, protocol)


@pytest.mark.parametrize("data, why", [
    (b"HTTP/1.1 200 OK\r\n", "not FastCGI"), (said(STDOUT, version=2), "not FastCGI"), (said(STDIN, b"x"), "kind 5"),
    (said(BEGIN, bytes(8)), "kind 1"), (said(11, bytes(8), request=0), "kind 11"), (said(0), "kind 0"),
    (said(STDOUT, b"x", request=2), "did not make"), (said(STDOUT, b"x", request=0), "did not make"),
    (said(END), "not an end"), (said(END, bytes(7)), "not an end"), (ended(0, UNKNOWN_ROLE + 1), "not an end"),
    (ended() + said(STDOUT, b"x"), "after the end"), (ended() + ended(), "after the end")])
def test_what_is_no_answer(data, why):
    with pytest.raises(ValueError, match=why):
        Answer().heard(data)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([said(STDOUT, b"x"), ended(), said(STDERR, b"y", 9)])))
def test_any_octets_are_records_or_a_value_error(parts):
    answer = Answer()
    for part in parts:
        try:
            found = answer.heard(part)
        except ValueError:
            return
        assert all(kind in (STDOUT, STDERR) and content for kind, content in found)
