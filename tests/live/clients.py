"""Tiny clients.  An address is (host, port), or the path of a Unix socket; every wait has an end, given in seconds."""

import contextlib
import select
import socket
import struct
import time


def connect(address, seconds=60, source=None):
    """Return a stream socket connected to an address, from the host `source` if given."""
    if not isinstance(address, str):
        return socket.create_connection(address, seconds, source and (source, 0))
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(seconds)
    sock.connect(address)
    return sock


def converse(address, data=b"", half_close=True, seconds=60, source=None):
    """Send data, end our direction if half_close, and return all that comes until the peer closes.

    Raises TimeoutError, with what has come so far, when the peer has not closed in time, and
    ConnectionResetError when it ended with a reset.
    """
    with connect(address, seconds, source) as sock:
        return exchange(sock, data, half_close, seconds)


def exchange(sock, data=b"", half_close=True, seconds=60):
    """Hold the conversation of `converse` on a connected socket, sending and receiving at the same time."""
    deadline = time.monotonic() + seconds
    sock.setblocking(False)
    unsent, answer = memoryview(data), bytearray()
    if half_close and not unsent:
        _half_close(sock)
    while True:
        events = _wait(sock, select.POLLIN | (select.POLLOUT if unsent else 0), deadline - time.monotonic())
        if not events:
            raise TimeoutError(f"peer has not closed within {seconds} s; last came {bytes(answer[-200:])!r}")
        if unsent and events & select.POLLOUT:
            unsent = _send(sock, unsent, half_close)
        if events & ~select.POLLOUT:
            chunk = sock.recv(65536)
            if not chunk:
                return bytes(answer)
            answer += chunk


def _send(sock, unsent, half_close):
    """Send what fits and return the rest; nothing is left for a peer who has closed, but may have answered."""
    try:
        unsent = unsent[sock.send(unsent):]
    except (BrokenPipeError, ConnectionResetError):
        return b""
    if half_close and not unsent:
        _half_close(sock)
    return unsent


def _half_close(sock):
    """End our direction, if there still is a connection."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


def _wait(sock, events, seconds):
    """Return the events that have come on a socket within some seconds; 0 for none."""
    poller = select.poll()
    poller.register(sock, events)
    return next((got for _, got in poller.poll(max(seconds, 0) * 1000)), 0)


def drip(address, data, half_close=True, seconds=60, gap=0.001):
    """Hold the conversation of `converse`, but send one octet at a time, with `gap` seconds for an answer to each."""
    deadline = time.monotonic() + seconds
    answer = bytearray()
    with connect(address, seconds) as sock:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in data:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                sock.sendall(bytes([octet]))
            except (BrokenPipeError, ConnectionResetError):
                break
            if _wait(sock, select.POLLIN, gap):
                answer += sock.recv(65536)
        return bytes(answer) + exchange(sock, b"", half_close, deadline - time.monotonic())


def abort(sock):
    """Close a connected TCP socket with a reset, so that the peer reads ECONNRESET."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def reset(address, data=b"", seconds=60):
    """Connect, send data, and end with a reset at once."""
    sock = connect(address, seconds)
    sock.sendall(data)
    abort(sock)


def ask(address, datagram, seconds=30, source=None):
    """Send one datagram and return the first answer; TimeoutError without one, ConnectionRefusedError without a server.

    The socket is connected: an answer from another address than the one that was asked is not seen.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        if family == socket.AF_UNIX:
            sock.bind("")                               # the kernel names it, else there is no way back
        elif source:
            sock.bind((source, 0))
        sock.connect(address)
        sock.send(datagram)
        return sock.recv(65536)
