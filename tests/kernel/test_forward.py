"""A server behind a wrapping: what it says and hears goes through it both ways, and its end is the caller's."""

import os
import socket

import pytest

from daemons.kernel import forward, log, ports, spawn
from daemons.kernel.transport import SocketTransport


class Shouting(SocketTransport):
    """A transport that turns what comes into capitals, and what goes into small letters."""

    def take(self, size):
        data = super().take(size)
        return data and data.upper()

    def offer(self, data):
        return super().offer(bytes(data).lower())


def shout(stream):
    stream.upgrade(lambda beneath: Shouting(beneath.sock))


@pytest.fixture
def through():
    """A function that starts a command behind Shouting; returns our end of the caller's connection, and the process."""
    log.start("test", target="/nonexistent/log", events=ports.EVENTS)
    pids, socks = [], []

    def started(*argv):
        server = spawn.Command(argv[0], list(argv), {})
        command = spawn.Command("behind", ["behind"], {"REMOTE_HOST": "192.0.2.1"},
                                work=forward.behind(shout, server, 10.0))
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        pids.append(spawn.spawn(command, theirs, {"PROTO": "TCP"}, None, print))
        theirs.close()
        socks.append(ours)
        return ours, pids[-1]

    yield started
    for sock in socks:
        sock.close()


def heard(sock):
    data = b""
    while piece := sock.recv(100):
        data += piece
    return data


def test_both_ways_and_both_ends(through):
    ours, pid = through("/bin/sh", "-c", "read line; echo \"GOT $line\"; cat; exit 7")
    ours.sendall(b"hello\nmore")
    ours.shutdown(socket.SHUT_WR)
    assert heard(ours) == b"got hello\nmore"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_the_server_knows_who_calls_and_has_nothing_else_open(through):
    ours, pid = through("/bin/sh", "-c", "echo $REMOTE_HOST $PROTO; ls /proc/self/fd")
    ours.shutdown(socket.SHUT_WR)
    said = heard(ours).decode().split()
    os.waitpid(pid, 0)
    assert said[:2] == ["192.0.2.1", "tcp"] and said[2:5] == ["0", "1", "2"] and len(said) == 6
