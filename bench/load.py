"""Clients: forked processes that keep a server busy, each for so many seconds or conversations, and count.

Whatever goes wrong, they end: an alarm kills a client that hangs, and its end is an error here.
"""

import os
import signal
import socket
import struct
import time

CLIENTS = 4             # at a time, where nothing else is said
WORDS = b"hello"
PATIENCE = 15           # seconds after which a client that should be done is killed


class Broken(Exception):
    """A client did not get what it was due."""


def clients(count, work, seconds):
    """Fork `count` processes that each call work(number) once; returns what they returned, numbers.

    `seconds` is how long the work should take.
    """
    pipes = [_client(work, number, seconds + PATIENCE) for number in range(count)]
    results = []
    for pid, pipe in pipes:
        with os.fdopen(pipe, "rb") as file:
            results.append(file.read())
        os.waitpid(pid, 0)
    for result in results:
        if not result.startswith(b"="):
            raise Broken(result.decode() or "a client hung")
    return [float(result[1:]) for result in results]


def _client(work, number, limit):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(limit))
        os.close(reader)
        os.write(writer, b"=%f" % work(number))
    except BaseException as error:          # an interrupt too: nothing climbs from a client into the bench
        os.write(writer, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(0)


def conversation(address):
    """Connect, send five octets, read them back, half-close, read the end."""
    sock = socket.socket()
    sock.connect(address)
    sock.send(WORDS)
    said = sock.recv(64)
    while 0 < len(said) < len(WORDS):
        said += sock.recv(64)
    sock.shutdown(socket.SHUT_WR)
    rest = sock.recv(64)
    sock.close()
    if said != WORDS or rest:
        raise Broken(f"echo of {WORDS!r} was {said!r}, then {rest!r}")


def conversations(address, seconds, count=CLIENTS):
    """Conversations that `count` clients finish while the seconds last, one after another each."""
    end = time.monotonic() + seconds

    def work(_):
        done = 0
        while time.monotonic() < end:
            conversation(address)
            done += 1
        return done

    return sum(clients(count, work, seconds))


def exchange(address, seconds, window, size, count):
    """Datagrams that `count` clients get back while the seconds last, `window` of them under way for each."""
    end = time.monotonic() + seconds
    return sum(clients(count, lambda _: _exchange(address, end, window, bytes(size)), seconds))


def _exchange(address, end, window, data):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(address)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 200_000))
    done = 0
    while time.monotonic() < end:           # once at first, and again whenever all that were under way are lost
        for _ in range(window):
            sock.send(data)
        try:
            while time.monotonic() < end:
                if sock.recv(65535) != data:
                    raise Broken("a datagram came back changed")
                done += 1
                sock.send(data)
        except BlockingIOError:
            continue
    return done


def ready(address, seconds=10):
    """Return once a whole conversation went well: the server is there and warm."""
    end = time.monotonic() + seconds
    while True:
        try:
            return conversation(address)
        except (ConnectionRefusedError, ConnectionResetError):
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
