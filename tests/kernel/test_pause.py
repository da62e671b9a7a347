"""Keeping a peer waiting: nothing it does shortens that, and what ends a conversation ends it there too."""

import os
import signal
import socket
import struct
import threading
import time

import pytest

from daemons.kernel.ends import Gone, Overtime, Reset, Stopped
from daemons.kernel.stream import Stream
from daemons.kernel.transport import PipeTransport, SocketTransport

LONG = 60.0             # seconds; nothing here takes so long unless it is broken
SHORT = 0.05


@pytest.fixture
def pair():
    """A stream over TCP, and the client's socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()) as client:
        client.settimeout(10)
        ours, _ = listener.accept()
        with ours:
            yield Stream(SocketTransport(ours)), client


def test_no_time_is_no_wait_and_looks_at_nothing(pair):
    stream, client = pair
    client.close()
    stream.pause(0)
    stream.pause(-1)


def test_what_was_said_before_arrives_before(pair):
    stream, client = pair
    stream.say("one moment")
    stream.pause(SHORT)
    assert client.recv(100) == b"one moment\r\n"


def test_what_comes_meanwhile_is_read_later(pair):
    stream, client = pair
    client.sendall(b"one\r\ntwo\r\n")
    began = time.monotonic()
    stream.pause(SHORT)
    assert time.monotonic() - began >= SHORT, "talking does not shorten it"
    assert [stream.line(), stream.line()] == [b"one", b"two"] and stream.received == 10


def test_who_hangs_up_is_gone_at_once(pair):
    stream, client = pair
    client.close()
    with pytest.raises(Gone) as end:
        stream.pause(LONG)
    assert end.value.reason == "gone"


def test_who_is_reset_is_gone_at_once(pair):
    stream, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with pytest.raises(Reset):
        stream.pause(LONG)


def test_who_has_said_all_and_waits_for_answers_is_answered(pair):
    stream, client = pair
    client.sendall(b"one\r\nquit\r\n")
    client.shutdown(socket.SHUT_WR)
    assert stream.line() == b"one"
    stream.pause(SHORT)
    assert stream.line() == b"quit"
    stream.say("bye")
    stream.close()
    assert client.recv(100) == b"bye\r\n"


def test_who_has_said_all_and_is_torn_away_is_gone_at_once(pair):
    stream, client = pair
    client.sendall(b"one\r\nquit\r\n")
    client.shutdown(socket.SHUT_WR)
    assert stream.line() == b"one"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with pytest.raises(Reset):
        stream.pause(LONG)


def test_who_sends_without_end_is_not_read_without_end(pair):
    stream, client = pair
    client.setblocking(False)
    sent = 0
    try:
        while True:
            sent += client.send(b"x" * 65536)
    except BlockingIOError:
        pass
    stream.pause(SHORT)
    assert stream.received <= 2 * 65536 < sent


def test_the_end_of_the_session_is_the_end_of_the_pause(pair):
    stream, _ = pair
    stream.transport.end = time.monotonic() + SHORT
    with pytest.raises(Overtime):
        stream.pause(LONG)


@pytest.mark.parametrize("said", [b"", b"one\r\nquit\r\n"], ids=["silent", "half-closed"])
def test_an_order_to_stop_is_heard_meanwhile(pair, said):
    stream, client = pair
    if said:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        stream.line()
    before = signal.signal(signal.SIGALRM, lambda *_: stream.transport.hurry(0))
    try:
        signal.setitimer(signal.ITIMER_REAL, SHORT)
        with pytest.raises(Stopped):
            stream.pause(LONG)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("said", [b"", b"one\r\nquit\r\n"], ids=["silent", "half-closed"])
def test_a_thread_can_be_stopped_meanwhile(pair, said):
    stream, client = pair
    if said:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        stream.line()
    ends = []

    def wait():
        try:
            stream.pause(LONG)
        except (Stopped, Gone) as end:
            ends.append(type(end))

    thread = threading.Thread(target=wait)
    thread.start()
    stream.transport.stop()
    stream.transport.sock.shutdown(socket.SHUT_RDWR)
    thread.join(20)
    assert ends == [Stopped]


def test_over_pipes_what_was_said_is_answered_and_a_reader_who_left_is_gone():
    source, theirs = os.pipe()
    mine, sink = os.pipe()
    stream = Stream(PipeTransport(source, sink))
    os.write(theirs, b"one\ntwo\n")
    os.close(theirs)
    assert stream.line() == b"one"
    stream.pause(SHORT)
    assert stream.line() == b"two"
    os.close(mine)
    with pytest.raises(Gone):
        stream.pause(LONG)
    stream.transport.close()
