"""Octets to and from one peer: nothing is waited for past a deadline, and a signal may bring the end nearer."""

import os
import signal
import socket
import time

import pytest

from daemons.kernel.ends import Late, Overtime, Reset, Stopped
from daemons.kernel.transport import PipeTransport, SocketTransport

LONG = 10.0             # seconds; nothing here takes so long unless it is broken


def deadline(seconds=LONG):
    return time.monotonic() + seconds


def over_socket():
    """A transport over a socket, and functions to speak, hear and leave at its other end."""
    ours, client = socket.socketpair()
    client.settimeout(10)
    return SocketTransport(ours), client.sendall, client.recv, client.close


def over_pipes():
    """The same over two pipes."""
    source, theirs = os.pipe()
    mine, sink = os.pipe()

    def leave():
        os.close(theirs)
        os.close(mine)

    return PipeTransport(source, sink), lambda data: os.write(theirs, data), lambda size: os.read(mine, size), leave


both = pytest.mark.parametrize("over", [over_socket, over_pipes])


@pytest.fixture
def alarm():
    """Call something in a signal handler, soon and, if wanted, again and again."""
    def soon(action, every=0.0):
        signal.signal(signal.SIGALRM, lambda *_: action())
        signal.setitimer(signal.ITIMER_REAL, 0.02, every)
    before = signal.getsignal(signal.SIGALRM)
    yield soon
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# -- octets --

@both
def test_octets_come_as_they_are_and_then_the_end(over):
    transport, speak, _, leave = over()
    speak(b"hello")
    assert transport.receive(3, deadline()) == b"hel"
    assert transport.receive(30, deadline()) == b"lo"
    leave()
    assert transport.receive(30, deadline()) == b""


@both
def test_what_has_not_come_is_not_waited_for(over):
    transport, speak, _, leave = over()
    assert transport.take(10) is None
    speak(b"x")
    assert transport.take(10) == b"x"
    leave()
    assert transport.take(10) == b""


@both
def test_octets_leave_and_the_end_is_seen(over):
    transport, _, hear, _ = over()
    transport.send(bytearray(b"hello"), deadline())
    transport.half_close()
    assert hear(100) == b"hello" and hear(100) == b""


@both
def test_only_what_there_is_room_for_is_taken(over):
    transport, _, hear, _ = over()
    sent = 0
    while taken := transport.offer(b"x" * 100_000):
        sent += taken
    assert sent >= 4096
    while sent:
        sent -= len(hear(65536))
    assert transport.offer(b"x") == 1


@both
def test_a_piece_of_a_file_is_sent(over, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    transport, _, hear, _ = over()
    with file.open("rb") as source:
        assert transport.send_file(source.fileno(), 2, 3, deadline()) == 3
        assert transport.send_file(source.fileno(), 10, 3, deadline()) == 0
    assert hear(100) == b"234"


@both
def test_a_peer_that_left_is_a_reset(over):
    transport, _, _, leave = over()
    leave()
    with pytest.raises(Reset):
        transport.send(b"x" * 100_000, deadline())


def test_a_pipe_that_we_closed_is_not_written_to():
    transport, _, _, _ = over_pipes()
    transport.half_close()
    transport.half_close()
    with pytest.raises(Reset):
        transport.send(b"x", deadline())
    transport.close()


# -- deadlines --

@both
@pytest.mark.parametrize("wait", [lambda one, end: one.receive(10, end), lambda one, end: one.send(b"x" * 10**7, end)],
                         ids=["reading", "writing"])
def test_a_silent_or_deaf_peer_is_late(over, wait):
    transport, _, _, _ = over()
    began = time.monotonic()
    with pytest.raises(Late) as late:
        wait(transport, began + 0.05)
    assert time.monotonic() - began >= 0.05
    assert type(late.value) is Late and not transport.waiting


@both
def test_the_end_of_the_conversation_comes_before_a_later_deadline(over):
    transport, _, _, _ = over()
    transport.end = deadline(0.02)
    with pytest.raises(Overtime):
        transport.receive(10, deadline())
    transport.end = deadline()
    with pytest.raises(Late) as late:
        transport.receive(10, deadline(0.02))
    assert type(late.value) is Late


@both
def test_without_a_deadline_only_the_end_ends(over):
    transport, _, _, _ = over()
    transport.end = deadline(0.02)
    with pytest.raises(Overtime):
        transport.receive(10, None)


# -- signals --

@both
def test_signals_neither_end_a_wait_nor_make_it_longer(over, alarm):
    transport, _, _, _ = over()
    began = time.monotonic()
    alarm(lambda: None, every=0.005)
    with pytest.raises(Late):
        transport.receive(10, began + 0.1)
    assert 0.1 <= time.monotonic() - began < 5


@both
def test_what_comes_after_a_signal_is_received(over, alarm):
    transport, speak, _, _ = over()
    told = []

    def third_time():
        told.append(1)
        if len(told) == 3:
            speak(b"x")

    alarm(third_time, every=0.005)
    assert transport.receive(10, deadline()) == b"x"


@both
def test_an_order_to_hurry_ends_a_wait(over, alarm):
    transport, _, _, _ = over()
    end = deadline()
    alarm(lambda: transport.hurry(0))
    with pytest.raises(Stopped):
        transport.receive(10, end)
    assert time.monotonic() < end and not transport.waiting


@both
def test_an_order_to_hurry_leaves_its_grace(over, alarm):
    transport, speak, _, _ = over()
    steps = [lambda: transport.hurry(LONG), lambda: speak(b"in time")]
    alarm(lambda: steps and steps.pop(0)(), every=0.01)
    assert transport.receive(10, deadline(2 * LONG)) == b"in time"
    assert transport.end < deadline(LONG)


def test_an_order_to_hurry_before_a_wait_is_remembered():
    transport, _, _, _ = over_socket()
    transport.hurry(0)
    with pytest.raises(Stopped):
        transport.receive(10, deadline())


def test_an_order_to_hurry_gives_nobody_more_time():
    transport, _, _, _ = over_socket()
    transport.end = deadline(0)
    transport.hurry(LONG)
    with pytest.raises(Overtime):
        transport.receive(10, deadline())


@both
def test_orders_that_rain_down_end_in_stopped(over, alarm):
    transport, _, _, _ = over()
    end, last = deadline(0.1), deadline()
    alarm(lambda: transport.hurry(max(end - time.monotonic(), 0)), every=0.0005)
    with pytest.raises(Stopped):
        transport.receive(10, last)
    assert end <= time.monotonic() < last
