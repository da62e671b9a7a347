"""FastCGI records, as a server sends them to an application and reads its answer (FastCGI 1.0, 3 and 6.2).

One connection carries one request, in the role of a responder, and the application closes it after its answer.

    BEGIN_REQUEST, PARAMS..., PARAMS (empty), STDIN..., STDIN (empty)   ->
                                    <-  STDOUT..., STDERR..., END_REQUEST
"""

from collections.abc import Mapping

VERSION, HEADER = 1, 8
BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
REQUEST = 1             # the number of the only request
RESPONDER = 1
FULL = 65528            # octets of content in a record: eight less than the most, and nothing to pad
LONG = 1 << 31          # what is shorter can be told
COMPLETE, CANNOT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE = range(4)         # how an application ends a request
WORDS = ("complete", "it serves one connection at a time", "it is overloaded", "it is no responder")


def record(kind: int, content: bytes) -> bytes:
    """One record; raises ValueError for more content than FULL."""
    if len(content) > FULL:
        raise ValueError(f"more than {FULL} octets in a record")
    return b"%c%c%b%b\0\0%b" % (VERSION, kind, REQUEST.to_bytes(2, "big"), len(content).to_bytes(2, "big"), content)


def opening(variables: Mapping[str, str]) -> bytes:
    """What is sent before the body: the request begins, and its variables."""
    data = b"".join(_pair(name, value) for name, value in variables.items())
    pieces = [data[start:start + FULL] for start in range(0, len(data), FULL)]
    begin = record(BEGIN, RESPONDER.to_bytes(2, "big") + bytes(6))      # no flags: it closes the connection
    return begin + b"".join(record(PARAMS, piece) for piece in [*pieces, b""])


def _pair(name: str, value: str) -> bytes:
    words = [word.encode("utf-8", "surrogateescape") for word in (name, value)]
    return b"".join(_length(len(word)) for word in words) + b"".join(words)


def _length(size: int) -> bytes:
    """FastCGI, 3.4: one octet, or four whose first bit is set."""
    if size >= LONG:
        raise ValueError("a variable of 2 GiB")
    return bytes([size]) if size < 128 else (size | LONG).to_bytes(4, "big")


class Answer:
    """What an application says, as it comes; `over` once it has ended the request.

    status      the application's exit status, protocol one of COMPLETE to UNKNOWN_ROLE; both once it is over
    """

    __slots__ = ("_rest", "over", "protocol", "status")

    def __init__(self) -> None:
        self._rest = b""
        self.over, self.status, self.protocol = False, 0, COMPLETE

    def heard(self, data: bytes) -> list[tuple[int, bytes]]:
        """(STDOUT or STDERR, content) of each record that is whole now; raises ValueError for what is no answer."""
        data, place, found = self._rest + data, 0, []
        while len(data) - place >= HEADER:
            kind, size, padding = header(data[place:place + HEADER])
            if self.over:
                raise ValueError("a record after the end of the request")
            start = place + HEADER
            if len(data) - start < size + padding:
                break
            content, place = data[start:start + size], start + size + padding
            if kind == END:
                self._end(content)
            elif content:
                found.append((kind, content))
        self._rest = data[place:]
        return found

    def _end(self, content: bytes) -> None:
        if len(content) != 8 or content[4] > UNKNOWN_ROLE:
            raise ValueError("not an end of a request")
        self.over, self.status, self.protocol = True, int.from_bytes(content[:4], "big"), content[4]


def header(data: bytes) -> tuple[int, int, int]:
    """Kind, content's length and padding of a record that an application may send us; raises ValueError for another."""
    if len(data) < HEADER or data[0] != VERSION:
        raise ValueError(f"not FastCGI: {data[:HEADER]!r}")
    if data[1] not in (END, STDOUT, STDERR):
        raise ValueError(f"a record of kind {data[1]} from an application")
    if int.from_bytes(data[2:4], "big") != REQUEST:
        raise ValueError("a record of a request that we did not make")
    return data[1], int.from_bytes(data[4:6], "big"), data[6]
