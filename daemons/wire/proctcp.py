"""The table of TCP sockets as Linux prints it, /proc/net/tcp and /proc/net/tcp6 (proc_net_tcp in its documentation)."""

import sys
from collections.abc import Iterator

LISTEN = 10
HEX = frozenset("0123456789ABCDEFabcdef")


class Socket:
    """One line: both ends as packed address and port, the state's number, the owner's uid, and the socket's inode."""

    __slots__ = ("inode", "local", "local_port", "remote", "remote_port", "state", "uid")

    def __init__(self, local: tuple[bytes, int], remote: tuple[bytes, int], state: int, uid: int, inode: int) -> None:
        self.local, self.local_port = local
        self.remote, self.remote_port = remote
        self.state, self.uid, self.inode = state, uid, inode


def sockets(text: str, byteorder: str = sys.byteorder) -> Iterator[Socket]:
    """The sockets of a table with its heading; raises ValueError at a line that is none."""
    for line in text.split("\n")[1:]:
        if line:
            yield _socket(line, byteorder)


def _socket(line: str, byteorder: str) -> Socket:
    #   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 ...
    fields = line.split()
    if len(fields) < 10:
        raise ValueError(f"not a line of a socket table: {line[:80]!r}")
    return Socket(_end(fields[1], byteorder), _end(fields[2], byteorder), _hex(fields[3]),
                  _decimal(fields[7]), _decimal(fields[9]))


def _end(field: str, byteorder: str) -> tuple[bytes, int]:
    """An address, printed as numbers of the machine's own byte order, and a port, printed as what it is."""
    address, _, port = field.partition(":")
    if len(address) not in (8, 32) or len(port) != 4:
        raise ValueError(f"not an address and port: {field[:80]!r}")
    packed = b"".join(_swapped(_hex(address[place:place + 8]), byteorder) for place in range(0, len(address), 8))
    return packed, _hex(port)


def _swapped(word: int, byteorder: str) -> bytes:
    return word.to_bytes(4, "little" if byteorder == "little" else "big")


def _hex(digits: str) -> int:
    if not digits or not HEX.issuperset(digits) or len(digits) > 8:
        raise ValueError(f"not a hexadecimal number: {digits[:40]!r}")
    return int(digits, 16)


def _decimal(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise ValueError(f"not a number: {digits[:40]!r}")
    return int(digits)
