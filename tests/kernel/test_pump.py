"""Octets carried both ways: in order, in bounded memory, and with nobody waiting for who does not read."""

import os
import signal
import socket
import time
from threading import Thread

import pytest

from daemons.kernel.ends import Late, Overtime, Reset, Stopped
from daemons.kernel.pump import pump
from daemons.kernel.stream import PIECE, Stream
from daemons.kernel.transport import PipeTransport, SocketTransport

LONG = 10.0             # seconds; nothing here takes so long unless it is broken
MUCH = os.urandom(1 << 20) * 5


def pair():
    """A stream, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(LONG)
    return Stream(SocketTransport(ours), patience=LONG), theirs


@pytest.fixture
def sides():
    """(one, the client's socket, other, the server's socket)."""
    (one, client), (other, server) = pair(), pair()
    yield one, client, other, server
    for sock in (client, server, one.transport.sock, other.transport.sock):
        sock.close()


def say_all(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def hear_all(sock):
    with sock.makefile("rb") as file:
        return file.read()


def begin(*steps):
    """Do these, one after the other, beside us; returns what they return, once it is joined."""
    heard = []

    def all_steps():
        try:
            heard.extend([step() for step in steps])
        except OSError:
            return                      # the test is over

    thread = Thread(target=all_steps, daemon=True)
    thread.start()

    def joined():
        thread.join(LONG)
        return heard

    return joined


def test_octets_go_both_ways_and_so_does_the_end(sides):
    one, client, other, server = sides
    say_all(client, b"ping")
    say_all(server, b"pong!")
    assert pump(one, other) == (4, 5)
    assert (hear_all(server), hear_all(client)) == (b"ping", b"pong!")
    assert (one.received, one.sent, other.received, other.sent) == (4, 5, 5, 4)


def test_the_end_of_one_way_leaves_the_other_open(sides):
    one, client, other, server = sides
    say_all(client, b"question")
    answered = begin(lambda: hear_all(server), lambda: say_all(server, b"answer"))
    assert pump(one, other) == (8, 6)
    assert answered()[0] == b"question" and hear_all(client) == b"answer"


def test_what_was_read_or_queued_before_is_carried_first(sides):
    one, client, other, server = sides
    client.sendall(b"CONNECT\r\nearly ")
    assert one.line() == b"CONNECT"
    one.say("200 connected")
    other.say("PROXY")
    say_all(client, b"late")
    say_all(server, b"reply")
    assert pump(one, other) == (10, 5)
    assert (hear_all(server), hear_all(client)) == (b"PROXY\r\nearly late", b"200 connected\r\nreply")


def test_a_side_that_had_said_its_last_is_known_to_have(sides):
    one, client, other, server = sides
    say_all(client, b"x")
    assert (one.some(), one.some()) == (b"x", b"")
    say_all(server, b"")
    assert pump(one, other) == (0, 0)
    assert hear_all(server) == b""


def test_a_side_that_reads_once_it_has_said_all_stops_nobody(sides):
    one, client, other, server = sides
    ends = [begin(lambda: say_all(client, MUCH), lambda: hear_all(client)),     # does not read meanwhile
            begin(lambda: say_all(server, MUCH)), begin(lambda: hear_all(server))]
    assert pump(one, other) == (len(MUCH), len(MUCH))
    (_, to_client), _, (to_server,) = [joined() for joined in ends]
    assert to_client == MUCH == to_server


def test_what_a_side_does_not_take_is_not_read_either(sides):
    one, client, other, _ = sides
    client.setblocking(False)
    room = 0
    while True:
        try:
            room += client.send(MUCH)
        except BlockingIOError:
            break
    client.settimeout(LONG)
    begin(lambda: say_all(client, MUCH))
    with pytest.raises(Late):
        pump(one, other, idle=0.05)
    assert other.sent <= one.received <= other.sent + 2 * PIECE


def test_what_goes_slowly_is_not_idle(sides):
    one, client, other, server = sides
    ticks = iter(range(20))

    def tick(*_):
        try:
            client.sendall(b"%d " % next(ticks))
        except StopIteration:
            signal.setitimer(signal.ITIMER_REAL, 0)
            client.shutdown(socket.SHUT_WR)
            server.shutdown(socket.SHUT_WR)

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        pump(one, other, idle=0.1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(hear_all(server).split()) == 20


def test_nothing_at_all_is_late_after_the_idle_time(sides):
    one, _, other, _ = sides
    began = time.monotonic()
    with pytest.raises(Late, match=r"nothing moved for 0\.05 seconds"):
        pump(one, other, idle=0.05)
    assert time.monotonic() - began >= 0.05


def test_a_side_that_broke_is_a_reset(sides):
    one, client, other, server = sides
    server.close()
    client.sendall(b"x")
    with pytest.raises(Reset):
        pump(one, other)


@pytest.mark.parametrize("which", [0, 2])
def test_the_time_of_a_conversation_ends_it_however_busy(sides, which):
    one, client, other, _ = sides
    sides[which].transport.end = time.monotonic() - 1
    client.sendall(b"busy")
    with pytest.raises(Overtime):
        pump(one, other)


@pytest.mark.parametrize("which", [0, 2])
def test_an_order_to_stop_is_heard(sides, which):
    one, _, other, _ = sides
    before = signal.signal(signal.SIGALRM, lambda *_: sides[which].transport.hurry(0))
    end = time.monotonic() + LONG
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(Stopped):
            pump(one, other)
        assert time.monotonic() < end
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_pipes_are_carried_as_well(sides):
    _, _, other, server = sides
    (source, theirs), (mine, sink) = os.pipe(), os.pipe()
    os.write(theirs, b"ping")
    os.close(theirs)
    say_all(server, b"pong" * 5000)
    assert pump(Stream(PipeTransport(source, sink)), other) == (4, 20_000)
    assert hear_all(server) == b"ping" and os.read(mine, 65536) == b"pong" * 5000 and os.read(mine, 1) == b""
    os.close(source)
    os.close(mine)
