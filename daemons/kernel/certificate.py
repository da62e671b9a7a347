"""What a certificate says of itself (X.509, RFC 5280): the names it is for and its times.

Python's ssl tells this of a peer's certificate that it has verified, and of no other.  OpenSSL has accepted what
is read here, so no check is repeated.
"""

import socket
from binascii import a2b_base64
from collections.abc import Iterator

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
COMMON_NAME = b"\x55\x04\x03"           # 2.5.4.3
ALTERNATIVES = b"\x55\x1d\x11"          # 2.5.29.17, subjectAltName
EXTENSIONS, DNS_NAME, IP_ADDRESS = 0xA3, 0x82, 0x87
GENERALIZED_TIME = 0x18


class Certificate:
    """Its names (host names in small letters, addresses), and the first and last second of its life, UTC."""

    __slots__ = ("names", "since", "until")

    def __init__(self, names: tuple[str, ...], since: str, until: str) -> None:
        self.names, self.since, self.until = names, since, until


def first(text: str) -> Certificate:
    """The first certificate of a PEM file, which is the server's own; raises ValueError where there is none."""
    _, begin, rest = text.partition(BEGIN)
    body, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError("no certificate in it")
    try:
        return parse(a2b_base64(body))
    except (IndexError, StopIteration, RuntimeError):       # it ends too early
        raise ValueError("no whole certificate in it") from None


def parse(der: bytes) -> Certificate:
    """A certificate from its DER."""
    _, whole = next(_parts(der))
    _, signed = next(_parts(whole))
    parts = list(_parts(signed))
    if parts[0][0] == 0xA0:             # the version, which version 1 leaves out
        parts = parts[1:]
    since, until = (_time(tag, value) for tag, value in _parts(parts[3][1]))
    names = tuple(_alternatives(parts[6:]))
    return Certificate(names or tuple(_common_names(parts[4][1])), since, until)


def covers(pattern: str, name: str) -> bool:
    """Is this host name meant?  An asterisk stands for the first label, as a whole (RFC 6125, 6.4.3)."""
    if not pattern.startswith("*."):
        return pattern == name
    label, dot, rest = name.partition(".")
    return bool(label and dot) and rest == pattern[2:]


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, contents) of each element of a row of them."""
    place = 0
    while place < len(data):
        tag, size, place = data[place], data[place + 1], place + 2
        if size & 0x80:
            count = size & 0x7F
            size, place = int.from_bytes(data[place:place + count], "big"), place + count
        yield tag, data[place:place + size]
        place += size


def _alternatives(rest: list[tuple[int, bytes]]) -> Iterator[str]:
    for tag, value in rest:
        if tag != EXTENSIONS:
            continue
        for _, extension in _parts(next(_parts(value))[1]):
            parts = list(_parts(extension))
            if parts[0][1] == ALTERNATIVES:
                yield from _names(next(_parts(parts[-1][1]))[1])


def _names(names: bytes) -> Iterator[str]:
    for tag, value in _parts(names):
        if tag == DNS_NAME:
            yield value.decode("ascii", "replace").lower()
        elif tag == IP_ADDRESS and len(value) in (4, 16):
            yield socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def _common_names(subject: bytes) -> Iterator[str]:
    """What certificates without alternatives have: a name among the subject's."""
    for _, group in _parts(subject):
        for _, one in _parts(group):
            (_, kind), (_, value) = _parts(one)
            if kind == COMMON_NAME:
                yield value.decode("utf-8", "replace").lower()


def _time(tag: int, value: bytes) -> str:
    """2026-09-21 14:13:20, from either of X.509's forms (RFC 5280, 4.1.2.5)."""
    text = value.decode("ascii", "replace")
    if tag != GENERALIZED_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]}:{text[12:14]}"
