"""Headers of the PROXY protocol, versions 1 and 2: octets <-> values (HAProxy's doc/proxy-protocol.txt).

    PROXY TCP4 192.0.2.7 198.51.100.1 41822 25 CR LF        version 1, one line
    signature  version|command  family|protocol  length     version 2, 16 octets, then
    addresses  ports  type length value ...                 so many as `length` says
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY "
LONGEST_LINE = 107              # octets of a version 1 header with its CR LF
HEAD = struct.Struct("!12sBBH")
LONGEST = 4096                  # octets of a version 2 header that we take; the protocol's own end is 65,551
LOCAL, PROXY = 0, 1             # commands of version 2
UNSPEC, INET, INET6, UNIX = 0, 1, 2, 3                  # its address families,
STREAM, DGRAM = 1, 2                                    # and protocols
ADDRESSES = {UNSPEC: 0, INET: 12, INET6: 36, UNIX: 216}     # octets of both ends
PATH = 108                      # octets of a Unix socket's name there
CHECKSUM = 3                    # the type of a checksum among the values behind the addresses
POLYNOMIAL = 0x82F63B78         # CRC32C, RFC 4960, appendix B, its bits in reverse

Place = tuple[str, int] | bytes         # as socket calls name an end: (host, port), or the name of a Unix socket


class Malformed(ValueError):
    """These octets are no header of the protocol; the text says what is wrong with them."""


class Header:
    """What a proxy says: who called it, and where.

    version         1 or 2
    local           the proxy speaks for itself (a health check): its own address is the right one
    source          the client, destination: what it called; None where the proxy does not say
    """

    __slots__ = ("destination", "local", "source", "version")

    def __init__(self, version: int, source: Place | None = None, destination: Place | None = None,
                 local: bool = False) -> None:
        self.version, self.source, self.destination, self.local = version, source, destination, local


def size_of(data: bytes | bytearray, lines: bool = True) -> int:
    """How many octets the header has that `data` begins with; 0 if more is needed to tell.

    Without `lines` only version 2 will do.  Raises Malformed as soon as no more octets could make it one.
    """
    if SIGNATURE.startswith(data[:12]):
        return _size_of_block(data)
    if lines and LINE.startswith(data[:6]):
        return _size_of_line(data)
    raise Malformed("no PROXY header")


def _size_of_block(data: bytes | bytearray) -> int:
    if data[12:13] and data[12] >> 4 != 2:
        raise Malformed(f"version {data[12] >> 4}")
    if data[12:13] and data[12] & 15 not in (LOCAL, PROXY):
        raise Malformed(f"command {data[12] & 15}")
    if len(data) < HEAD.size:
        return 0
    size: int = HEAD.size + HEAD.unpack_from(data)[3]
    if size > LONGEST:
        raise Malformed(f"{size} octets, of which we take {LONGEST}")
    return size


def _size_of_line(data: bytes | bytearray) -> int:
    end = data.find(b"\n", 0, LONGEST_LINE)
    if end < 0 and len(data) >= LONGEST_LINE:
        raise Malformed(f"a line over {LONGEST_LINE} octets")
    if end >= 0 and data[end - 1:end] != b"\r":
        raise Malformed("a line that ends with a bare LF")
    return end + 1


def parse(data: bytes) -> Header:
    """The Header that these octets are, all of them; raises Malformed."""
    if not data or size_of(data) != len(data):
        raise Malformed("not one header")
    return _parse_line(data[:-2]) if data.startswith(LINE) else _parse_block(data)


# -- version 1 --

def _parse_line(line: bytes) -> Header:
    if b"\r" in line:
        raise Malformed("a bare CR within the line")
    fields = line.split(b" ")
    if fields[1] == b"UNKNOWN":         # whatever follows is to be ignored
        return Header(1)
    if fields[1] not in (b"TCP4", b"TCP6") or len(fields) != 6:
        raise Malformed("not a line of version 1")
    family = AF_INET if fields[1] == b"TCP4" else AF_INET6
    source, destination = (_host(family, field) for field in fields[2:4])
    return Header(1, (source, _port(fields[4])), (destination, _port(fields[5])))


def _host(family: int, field: bytes) -> str:
    try:
        return inet_ntop(family, inet_pton(family, field.decode("ascii")))
    except (OSError, ValueError):       # ValueError: it is not ASCII, or has a NUL in it
        raise Malformed("not an address of its family") from None


def _port(field: bytes) -> int:
    if not field.isdigit() or len(field) > 5 or int(field) > 65535 or (field[:1] == b"0" and field != b"0"):
        raise Malformed("not a port")
    return int(field)


# -- version 2 --

def _parse_block(data: bytes) -> Header:
    _, command, what, length = HEAD.unpack_from(data)
    family, protocol = what >> 4, what & 15
    if command & 15 == LOCAL:           # family and addresses mean nothing then
        _check_values(data, HEAD.size + length if family else HEAD.size, strict=False)
        return Header(2, local=True)
    if family not in ADDRESSES or protocol not in (UNSPEC, STREAM, DGRAM):
        raise Malformed(f"family and protocol 0x{what:02x}")
    if length < ADDRESSES[family]:
        raise Malformed("too short for its addresses")
    _check_values(data, HEAD.size + ADDRESSES[family], strict=family != UNSPEC)
    if UNSPEC in (family, protocol):
        return Header(2)
    return Header(2, *READERS[family](data[HEAD.size:HEAD.size + ADDRESSES[family]]))


def _inet(block: bytes) -> tuple[Place, Place]:
    source, destination, here, there = struct.unpack("!4s4sHH", block)
    return (inet_ntop(AF_INET, source), here), (inet_ntop(AF_INET, destination), there)


def _inet6(block: bytes) -> tuple[Place, Place]:
    source, destination, here, there = struct.unpack("!16s16sHH", block)
    return (inet_ntop(AF_INET6, source), here), (inet_ntop(AF_INET6, destination), there)


def _unix(block: bytes) -> tuple[Place, Place]:
    return _path(block[:PATH]), _path(block[PATH:])


def _path(field: bytes) -> bytes:
    #   a path ends with NUL; an abstract name begins with it
    return field.rstrip(b"\0") if field[:1] == b"\0" else field.partition(b"\0")[0]


READERS: dict[int, Callable[[bytes], tuple[Place, Place]]] = {INET: _inet, INET6: _inet6, UNIX: _unix}


def values(data: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """The types of the values behind the addresses, with where each begins and ends; raises Malformed."""
    while start < len(data):
        end = start + 3 + int.from_bytes(data[start + 1:start + 3], "big")
        if len(data) < start + 3 or end > len(data):
            raise Malformed("a value is cut short")
        yield data[start], start + 3, end
        start = end


def _check_values(data: bytes, start: int, strict: bool) -> None:
    """Walk the values and verify the checksum, if one is there.

    Where no family tells how long the addresses are, what follows may be anything; then not `strict`.
    """
    try:
        found = [(begin, end) for kind, begin, end in values(data, start) if kind == CHECKSUM]
    except Malformed:
        if strict:
            raise
        return
    for begin, end in found:
        if end - begin != 4 or len(found) > 1:
            raise Malformed("not one checksum of 4 octets")
        if crc32c(data[:begin] + bytes(4) + data[end:]) != int.from_bytes(data[begin:end], "big"):
            raise Malformed("wrong checksum")


def crc32c(data: bytes) -> int:
    """The checksum of RFC 4960, appendix B (CRC32C)."""
    crc = 0xFFFFFFFF                    # four bits at a time: to make a table for eight takes longer than a header
    for octet in data:
        crc ^= octet
        crc = TABLE[crc & 15] ^ crc >> 4
        crc = TABLE[crc & 15] ^ crc >> 4
    return crc ^ 0xFFFFFFFF


def _shifted(bits: int) -> int:
    for _ in range(4):
        bits = bits >> 1 ^ (POLYNOMIAL if bits & 1 else 0)
    return bits


TABLE = [_shifted(bits) for bits in range(16)]


# -- what a proxy writes --

def line(header: Header) -> bytes:
    """A Header as version 1 writes it; raises ValueError for a Unix socket, which that cannot."""
    if header.source is None or header.destination is None:
        return LINE + b"UNKNOWN\r\n"
    (source, here), (destination, there) = _alike(header.source, header.destination)
    family = "TCP6" if ":" in source else "TCP4"
    return LINE + f"{family} {source} {destination} {here} {there}\r\n".encode()


def block(header: Header, protocol: int = STREAM, extra: Iterable[tuple[int, bytes]] = (),
          checksum: bool = False) -> bytes:
    """A Header as version 2 writes it, with (type, value) pairs and a checksum behind the addresses."""
    family, ends = _ends(header.source, header.destination)
    if checksum:
        extra = [*extra, (CHECKSUM, bytes(4))]
    rest = ends + b"".join(bytes([kind]) + struct.pack("!H", len(value)) + value for kind, value in extra)
    command = 0x20 | (LOCAL if header.local else PROXY)
    data = HEAD.pack(SIGNATURE, command, family << 4 | protocol if family else 0, len(rest)) + rest
    return data[:-4] + struct.pack("!I", crc32c(data)) if checksum else data


def _ends(source: Place | None, destination: Place | None) -> tuple[int, bytes]:
    if source is None or destination is None:
        return UNSPEC, b""
    if isinstance(source, bytes) and isinstance(destination, bytes):
        return UNIX, struct.pack(f"{PATH}s{PATH}s", source, destination)
    (caller, here), (called, there) = _alike(source, destination)
    kind, family = (INET6, AF_INET6) if ":" in caller else (INET, AF_INET)
    return kind, inet_pton(family, caller) + inet_pton(family, called) + struct.pack("!HH", here, there)


def _alike(*ends: Place) -> list[tuple[str, int]]:
    """Both ends in one family: beside IPv6, IPv4 wears its clothes."""
    hosts = [one for one in ends if not isinstance(one, bytes)]
    if len(hosts) < len(ends):
        raise ValueError("no family has a Unix socket at one end alone, and version 1 has none at all")
    mapped = any(":" in host for host, _ in hosts)
    return [(f"::ffff:{host}" if mapped and ":" not in host else host, port) for host, port in hosts]
