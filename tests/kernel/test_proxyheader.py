"""Headers of the PROXY protocol as octets: what is one, what is none, and what each octet more or less makes of it."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemons.kernel import proxyheader
from daemons.kernel.proxyheader import (
    DGRAM,
    LONGEST,
    SIGNATURE,
    STREAM,
    Header,
    Malformed,
    block,
    crc32c,
    line,
    parse,
    size_of,
)

CLIENT, SERVER = ("192.0.2.7", 41822), ("198.51.100.1", 25)
CLIENT6, SERVER6 = ("2001:db8::7", 65535), ("2001:db8:1::19", 0)


def said(header):
    """A Header as a tuple, to be compared."""
    return header.version, header.source, header.destination, header.local


def why(data, reader=parse):
    """Why these octets are no header."""
    with pytest.raises(Malformed) as raised:
        reader(data)
    return str(raised.value)


def raw(command=0x21, what=0x11, body=b"", length=None, signature=SIGNATURE):
    """A version 2 header with what no honest proxy would write."""
    return signature + bytes([command, what]) + struct.pack("!H", len(body) if length is None else length) + body


INET = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 41822, 25)


# -- version 1 --

@pytest.mark.parametrize("text, source, destination", [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 25\r\n", CLIENT, SERVER),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535),
     ("255.255.255.255", 65535)),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", ("0.0.0.0", 0), ("0.0.0.0", 0)),
    (b"PROXY TCP6 2001:db8::7 2001:db8:1::19 65535 0\r\n", CLIENT6, SERVER6),
    (b"PROXY TCP6 2001:DB8:0:0:0:0:0:7 2001:db8:1:0:0:0:0:19 65535 0\r\n", CLIENT6, SERVER6),
    (b"PROXY TCP6 " + b":".join([b"ffff"] * 8) + b" " + b":".join([b"ffff"] * 8) + b" 65535 65535\r\n",
     (":".join(["ffff"] * 8), 65535), (":".join(["ffff"] * 8), 65535)),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", ("::ffff:192.0.2.7", 1), ("::1", 2)),
    (b"PROXY UNKNOWN\r\n", None, None),
    (b"PROXY UNKNOWN \r\n", None, None),
    (b"PROXY UNKNOWN \x00 whatever \xff\r\n", None, None),
    (b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     None, None),
])
def test_a_line_of_version_1(text, source, destination):
    assert said(parse(text)) == (1, source, destination, False)
    assert size_of(text) == size_of(text + b"\r\nPROXY and more\r\n") == len(text) <= 107


@pytest.mark.parametrize("text, wrong", [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 25\n", "a line that ends with a bare LF"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 25\r\r\n", "a bare CR within the line"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1\r41822 25\r\n", "a bare CR within the line"),
    (b"PROXY UNKNOWN\n\r\n", "a line that ends with a bare LF"),
    (b"PROXY UNKNOWN\r \r\n", "a bare CR within the line"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822\r\n", "not a line of version 1"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 25 \r\n", "not a line of version 1"),
    (b"PROXY  TCP4 192.0.2.7 198.51.100.1 41822 25\r\n", "not a line of version 1"),
    (b"PROXY TCP4  192.0.2.7 198.51.100.1 41822 25\r\n", "not a line of version 1"),
    (b"PROXY \r\n", "not a line of version 1"),
    (b"PROXY TCP5 192.0.2.7 198.51.100.1 41822 25\r\n", "not a line of version 1"),
    (b"PROXY tcp4 192.0.2.7 198.51.100.1 41822 25\r\n", "not a line of version 1"),
    (b"PROXY UDP4 192.0.2.7 198.51.100.1 41822 25\r\n", "not a line of version 1"),
    (b"PROXY UNKNOWNS\r\n", "not a line of version 1"),
    (b"PROXY TCP4 192.0.2.07 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP4 192.0.2 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP4 192.0.2.256 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP4 192.0.2.7\0 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP4 \xd9\xa1.0.2.7 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP4 localhost 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP4 ::1 ::1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP6 192.0.2.7 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP6 ::1 198.51.100.1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP6 ::1%lo ::1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP6 1::2::3 ::1 41822 25\r\n", "not an address of its family"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 041822 25\r\n", "not a port"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 025\r\n", "not a port"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 65536\r\n", "not a port"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 +25\r\n", "not a port"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 -0\r\n", "not a port"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 \r\n", "not a port"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4_1 25\r\n", "not a port"),
    (b"PROXY UNKNOWN" + b" " * 93 + b"\r\n", "a line over 107 octets"),
    (b"PROXY " + b"x" * 101, "a line over 107 octets"),
    (b"PROXY TCP4 " + b"1" * 10000, "a line over 107 octets"),
])
def test_what_is_no_line_of_version_1(text, wrong):
    assert why(text) == wrong


def test_a_line_may_have_107_octets_and_no_more():
    for blanks in range(80, 100):
        text = b"PROXY UNKNOWN" + b" " * blanks + b"\r\n"
        if len(text) <= 107:
            assert said(parse(text)) == (1, None, None, False)
        else:
            assert why(text) == "a line over 107 octets"


# -- version 2 --

@pytest.mark.parametrize("data, source, destination, local", [
    (raw(body=INET), CLIENT, SERVER, False),
    (raw(what=0x12, body=INET), CLIENT, SERVER, False),
    (raw(what=0x21, body=bytes(15) + b"\1" + bytes(15) + b"\2\0\7\0\11"), ("::1", 7), ("::2", 9), False),
    (raw(what=0x31, body=b"/run/a".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")), b"/run/a", b"\0abstract",
     False),
    (raw(what=0x32, body=b"x" * 108 + bytes(108)), b"x" * 108, b"", False),
    (raw(what=0x31, body=b"/a\0rubbish".ljust(108, b"\0") + bytes(108)), b"/a", b"", False),
    (raw(what=0x00), None, None, False),
    (raw(what=0x00, body=b"anything at all"), None, None, False),
    (raw(what=0x01, body=b""), None, None, False),
    (raw(what=0x10, body=INET), None, None, False),
    (raw(command=0x20, what=0x00), None, None, True),
    (raw(command=0x20, what=0x11, body=INET), None, None, True),
    (raw(command=0x20, what=0xff, body=b"ignored, the family too"), None, None, True),
    (raw(body=INET + b"\4\0\0" + b"\x20\0\2ab" + b"\xe0\0\1x"), CLIENT, SERVER, False),
])
def test_a_block_of_version_2(data, source, destination, local):
    assert said(parse(data)) == (2, source, destination, local)
    assert size_of(data) == size_of(data, lines=False) == size_of(data + b"hello") == len(data)


@pytest.mark.parametrize("data, wrong", [
    (raw(command=0x11, body=INET), "version 1"),
    (raw(command=0x31, body=INET), "version 3"),
    (raw(command=0x22, body=INET), "command 2"),
    (raw(command=0x2f, body=INET), "command 15"),
    (raw(what=0x41, body=INET), "family and protocol 0x41"),
    (raw(what=0xf1, body=INET), "family and protocol 0xf1"),
    (raw(what=0x13, body=INET), "family and protocol 0x13"),
    (raw(what=0x03), "family and protocol 0x03"),
    (raw(body=INET[:11]), "too short for its addresses"),
    (raw(what=0x21, body=INET), "too short for its addresses"),
    (raw(what=0x31, body=bytes(215)), "too short for its addresses"),
    (raw(body=INET + b"\4"), "a value is cut short"),
    (raw(body=INET + b"\4\0"), "a value is cut short"),
    (raw(body=INET + b"\4\0\1"), "a value is cut short"),
    (raw(body=INET + b"\4\xff\xff" + bytes(100)), "a value is cut short"),
    (raw(body=INET + b"\3\0\4\0\0\0\0"), "wrong checksum"),
    (raw(command=0x20, what=0, body=b"\3\0\4\0\0\0\0"), "wrong checksum"),
    (raw(body=INET + b"\3\0\3\0\0\0"), "not one checksum of 4 octets"),
    (block(Header(2, CLIENT, SERVER), extra=[(3, bytes(4))], checksum=True), "not one checksum of 4 octets"),
    (raw(length=65535), "65551 octets, of which we take 4096"),
    (raw(length=LONGEST - 15), "4097 octets, of which we take 4096"),
    (raw(body=INET) + b"x", "not one header"),
    (raw(body=INET)[:-1], "not one header"),
    (b"", "not one header"),
])
def test_what_is_no_block_of_version_2(data, wrong):
    assert why(data) == wrong


def test_a_block_may_have_4096_octets():
    data = raw(body=INET + b"\4" + struct.pack("!H", LONGEST - 16 - 12 - 3) + bytes(LONGEST - 16 - 12 - 3))
    assert len(data) == LONGEST == size_of(data) and said(parse(data)) == (2, CLIENT, SERVER, False)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"PROXYTCP4", b"proxy TCP4", b"\x16\x03\x01", b"\r\n\r\n\r\n",
                                  b"hello\r\n", b"\0", SIGNATURE[:11] + b"\r", b" PROXY "])
def test_what_begins_otherwise_is_no_header_and_that_is_known_at_once(data):
    assert why(data, size_of) == why(data) == "no PROXY header"
    first = next(length for length in range(1, len(data) + 1)
                 if not b"PROXY ".startswith(data[:length]) and not SIGNATURE.startswith(data[:length]))
    assert size_of(data[:first - 1]) == 0 and why(data[:first], size_of) == "no PROXY header"


def test_datagrams_have_no_version_1():
    assert why(b"PROXY UNKNOWN\r\n", lambda data: size_of(data, lines=False)) == "no PROXY header"


# -- the checksum --

@pytest.mark.parametrize("data, value", [       # RFC 3720, B.4, and the check value of every catalogue
    (b"", 0), (bytes(32), 0x8a9136aa), (b"\xff" * 32, 0x62a8ab43), (bytes(range(32)), 0x46dd794e),
    (bytes(range(31, -1, -1)), 0x113fdb5c), (b"123456789", 0xe3069283)])
def test_the_checksum_is_crc32c(data, value):
    assert crc32c(data) == value


@pytest.mark.parametrize("header", [Header(2, CLIENT, SERVER), Header(2, CLIENT6, SERVER6), Header(2, b"/a", b"/b"),
                                    Header(2, local=True), Header(2)])
@pytest.mark.parametrize("extra", [[], [(4, b"padding"), (0x20, b"\1\0\0\0\0")]])
def test_each_octet_counts_for_the_checksum(header, extra):
    data = block(header, extra=extra, checksum=True)
    assert said(parse(data)) == said(header)
    for place in range(16, len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x10
        # its own type: then there is none; and without a family anything may stand there
        unseen = place == len(data) - 7 or header.source is None
        try:
            parse(bytes(changed))
            assert unseen
        except Malformed as error:
            assert str(error) in ("wrong checksum", "a value is cut short", "not one checksum of 4 octets")


# -- round trips, and any octets --

ports = st.integers(0, 65535)
ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.ip_addresses(v=6).map(str)
inet = st.tuples(st.tuples(ipv4, ports), st.tuples(ipv4, ports)) | st.tuples(st.tuples(ipv6, ports),
                                                                             st.tuples(ipv6, ports))
names = st.binary(max_size=108).map(lambda name: name.rstrip(b"\0") if name[:1] == b"\0" else name.partition(b"\0")[0])
extras = st.lists(st.tuples(st.sampled_from([1, 2, 4, 5, 0x20, 0x30, 0xe0, 0xff]), st.binary(max_size=300)), max_size=5)


def canonical(end):
    """An end as the parser spells it."""
    family = proxyheader.AF_INET6 if ":" in end[0] else proxyheader.AF_INET
    return proxyheader.inet_ntop(family, proxyheader.inet_pton(family, end[0])), end[1]


@given(inet)
def test_what_is_written_in_version_1_is_read_again(ends):
    data = line(Header(1, *ends))
    assert len(data) <= 107 and size_of(data) == len(data)
    assert said(parse(data)) == (1, canonical(ends[0]), canonical(ends[1]), False)


@given(inet, st.sampled_from([STREAM, DGRAM]), extras, st.booleans(), st.booleans())
def test_what_is_written_in_version_2_is_read_again(ends, protocol, extra, checksum, local):
    data = block(Header(2, *ends, local=local), protocol, extra, checksum)
    expected = (2, None, None, True) if local else (2, canonical(ends[0]), canonical(ends[1]), False)
    assert said(parse(data)) == expected and size_of(data) == len(data)


@given(names, names, extras, st.booleans())
def test_unix_sockets_are_read_again(source, destination, extra, checksum):
    data = block(Header(2, source, destination), STREAM, extra, checksum)
    assert said(parse(data)) == (2, source, destination, False)


def test_ipv4_beside_ipv6_wears_its_clothes():
    assert parse(line(Header(1, CLIENT, SERVER6))).source == ("::ffff:192.0.2.7", 41822)
    assert parse(block(Header(2, CLIENT6, SERVER))).destination == ("::ffff:198.51.100.1", 25)


def test_what_no_header_can_tell_is_not_written():
    for header in (Header(1, b"/a", b"/b"), Header(1, CLIENT, b"/b")):
        with pytest.raises(ValueError, match="Unix"):
            line(header)
    with pytest.raises(ValueError, match="Unix"):
        block(Header(2, b"/a", SERVER))


WHOLE = [b"PROXY TCP4 192.0.2.7 198.51.100.1 41822 25\r\n", b"PROXY UNKNOWN\r\n", line(Header(1, CLIENT6, SERVER6)),
         block(Header(2, CLIENT, SERVER), extra=[(4, bytes(40))], checksum=True), block(Header(2, b"/a", b"/b")),
         block(Header(2, local=True))]


@pytest.mark.parametrize("data", WHOLE, ids=range(len(WHOLE)))
def test_every_truncation_is_incomplete_and_never_another_header(data):
    for length in range(len(data)):
        size = size_of(data[:length])
        assert size == 0 or (size == len(data) and length >= 16)
        with pytest.raises(Malformed):
            parse(data[:length])


nearly = st.builds(lambda data, place, octet: data[:place] + bytes([octet]) + data[place + 1:],
                   st.sampled_from(WHOLE), st.integers(0, 300), st.integers(0, 255))
blocks = st.builds(raw, st.sampled_from([0x20, 0x21]),
                   st.integers(0, 255), st.binary(max_size=260))


@given(st.one_of(st.binary(), nearly, blocks, st.binary().map(b"PROXY ".__add__), st.binary().map(SIGNATURE.__add__)))
@example(SIGNATURE)
def test_any_octets_are_a_header_or_malformed(data):
    for lines in (True, False):
        try:
            size = size_of(data, lines)
        except Malformed:
            size = -1
        assert -1 <= size <= LONGEST
        if 0 < size <= len(data):
            try:
                header = parse(data[:size])
            except Malformed:
                continue
            assert (header.source is None) == (header.destination is None)
            assert not (header.local and header.source)
    try:
        parse(data)
    except Malformed as error:
        assert str(error).isprintable()


@given(st.one_of(nearly, blocks), st.integers(0, 400))
def test_more_octets_never_change_what_was_told(data, cut):
    def told(octets):
        try:
            return size_of(octets)
        except Malformed as error:
            return str(error)
    before, after = told(data[:cut]), told(data)
    assert before in (0, after)
