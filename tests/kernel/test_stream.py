"""The stream: lines, blocks, deadlines, last words, and the ends told apart."""

import socket

import pytest

from daemons.kernel.ends import BadEnding, Cut, Gone, Late, Overtime, Reset, TooLong
from daemons.kernel.stream import Stream, TwoLines
from daemons.kernel.transport import SocketTransport
from tests.play import Peer


def stream_of(*chunks, **options):
    peer = Peer(chunks)
    return Stream(peer, **options), peer


def pair(**options):
    """A stream over a real socket, and the client's end."""
    ours, client = socket.socketpair()
    client.settimeout(10)
    return Stream(SocketTransport(ours), **options), client


class Clock:
    """A clock that goes on by a second whenever somebody looks."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


# -- lines --

def test_lines_come_without_their_endings():
    stream, _ = stream_of(b"one\r\ntwo\nthr", b"ee\r\n")
    assert [stream.line(), stream.line(), stream.line()] == [b"one", b"two", b"three"]


def test_the_limit_counts_the_ending():
    assert stream_of(b"12345678\r\n")[0].line(10) == b"12345678"
    with pytest.raises(TooLong):
        stream_of(b"123456789\r\n")[0].line(10)


def test_a_line_without_an_end_is_not_read_to_its_end():
    stream, peer = stream_of(*[b"x" * 100] * 50)
    with pytest.raises(TooLong):
        stream.line(1000)
    assert len(peer.chunks) >= 39


def test_after_a_line_that_was_too_long_the_next_is_whole():
    stream, _ = stream_of(b"x" * 2000, b"y" * 10 + b"\r\nnext\r\n")
    with pytest.raises(TooLong):
        stream.line(1000)
    stream.skip_line()
    assert stream.line() == b"next"


@pytest.mark.parametrize("said", [b"one\nMAIL\r\n", b"on\re\r\n", b"one\r\r\n", b"\n"])
def test_strict_endings_refuse_bare_cr_and_lf(said):
    with pytest.raises(BadEnding):
        stream_of(said, endings="crlf")[0].line()


def test_strict_endings_take_crlf_even_when_cut_between():
    assert stream_of(b"one\r", b"\n", endings="crlf")[0].line() == b"one"


def test_the_ends_are_told_apart():
    with pytest.raises(Cut):
        stream_of(b"half a li")[0].line()
    with pytest.raises(Gone) as gone:
        stream_of()[0].line()
    assert not isinstance(gone.value, Cut | Reset)
    with pytest.raises(Reset):
        stream_of(Reset)[0].line()
    with pytest.raises(Cut):
        stream_of(b"1234")[0].block(5)


def test_a_reset_is_not_an_end():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    with pytest.raises(Reset):
        Stream(SocketTransport(ours)).line()


# -- blocks --

def test_blocks_are_exact_and_leave_the_rest():
    stream, _ = stream_of(b"12", b"345678\r\n")
    assert stream.block(5) == b"12345"
    assert stream.line() == b"678"
    assert stream_of()[0].block(0) == b""


def test_some_gives_what_is_there_and_then_the_end():
    stream, _ = stream_of(b"abc", b"d")
    assert [stream.some(2), stream.some(), stream.some(), stream.some(), stream.some()] == [b"ab", b"c", b"d", b"", b""]


# -- deadlines --

@pytest.mark.parametrize("read", [lambda s: s.line(), lambda s: s.block(1000), lambda s: s.skip_line()])
def test_dripping_octets_extend_no_deadline(read):
    deadlines = []
    stream, peer = stream_of(*[b"x"] * 100, Late, clock=Clock(), patience=60)
    receive = peer.receive

    def noting(size, deadline):
        deadlines.append(deadline)
        return receive(size, deadline)

    peer.receive = noting
    with pytest.raises(Late):
        read(stream)
    assert len(deadlines) == 101 and len(set(deadlines)) == 1


def test_silence_is_late_on_a_real_socket():
    stream, _client = pair(patience=0.05)
    with pytest.raises(Late):
        stream.line()


def test_the_conversation_ends_however_busy_it_is():
    stream, client = pair(patience=60)
    stream.transport.end = 0.0
    client.sendall(b"x")
    assert stream.some() == b"x"
    with pytest.raises(Overtime):
        stream.some()


def test_a_peer_who_does_not_read_is_late():
    stream, _client = pair(patience=0.05)
    with pytest.raises(Late):
        stream.send(b"x" * 50_000_000)


# -- writing --

def test_replies_wait_for_the_peer_and_leave_together():
    stream, peer = stream_of(b"a\r\nb\r\n")
    for _ in range(2):
        stream.line()
        stream.say("ok")
    assert peer.writes == 0
    with pytest.raises(Gone):
        stream.line()
    assert (peer.heard, peer.writes) == (b"ok\r\nok\r\n", 1)


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\rb", "a\0b", b"a\nb"])
def test_no_reply_can_hold_two_lines(text):
    with pytest.raises(TwoLines):
        stream_of()[0].say(text)


def test_octets_are_counted_both_ways():
    stream, _ = stream_of(b"12345\r\n")
    stream.line()
    stream.say("hello")
    stream.close()
    assert (stream.received, stream.sent) == (7, 7)


def test_sendfile_sends_a_part_or_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 20_000)
    stream, client = pair()
    with path.open("rb") as file:
        stream.say("before")
        assert stream.sendfile(file, 5, 10) == 10
        assert client.makefile("rb").read(18) == b"before\r\n5678901234"
    peer_stream, peer = stream_of()
    with path.open("rb") as file:
        assert peer_stream.sendfile(file) == 200_000
    assert peer.heard == b"0123456789" * 20_000


# -- half-close and last words --

def test_half_close_works_in_both_directions():
    stream, client = pair()
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert (stream.some(), stream.some()) == (b"last", b"")
    stream.say("answer")
    stream.half_close()
    assert client.recv(100) == b"answer\r\n" and client.recv(100) == b""


def test_last_words_arrive_though_the_peer_still_talks():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname(), timeout=10)
    ours, _ = listener.accept()
    stream = Stream(SocketTransport(ours))
    client.sendall(b"unread " * 1000)
    stream.say("421 closing")
    client.shutdown(socket.SHUT_WR)
    stream.close()
    assert client.recv(100) == b"421 closing\r\n" and client.recv(100) == b""


def test_a_reset_before_the_last_words_were_read_is_told():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname(), timeout=10)
    ours, _ = listener.accept()
    stream = Stream(SocketTransport(ours))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.say("x")
    stream.flush()
    client.close()
    with pytest.raises(Reset):
        stream.close()


def test_closing_twice_is_harmless():
    stream, peer = stream_of()
    stream.close()
    stream.close()
    stream.cut_off()
    assert peer.closed and peer.half_closed


# -- views and upgrades --

def test_a_file_view_reads_and_writes():
    stream, peer = stream_of(b"GET /\r\n", b"more")
    view = stream.makefile("rwb")
    assert view.readline() == b"GET /\r\n"
    view.write(b"reply")
    view.flush()
    assert view.read() == b"more"
    stream.flush()
    assert peer.heard == b"reply"


def test_an_upgrade_forgets_what_was_said_before_it():
    stream, peer = stream_of(b"STARTTLS\r\nMAIL FROM:<injected>\r\n")
    after = Peer([b"EHLO\r\n"])
    assert stream.line() == b"STARTTLS"
    stream.say("220 go ahead")
    stream.upgrade(lambda transport: after)
    assert peer.heard == b"220 go ahead\r\n"
    assert stream.line() == b"EHLO"


# -- between two exchanges --

def test_whoever_always_has_more_to_say_is_heard_no_longer_than_others():
    stream, client = pair()
    with client:
        client.sendall(b"one\r\ntwo\r\n")
        assert stream.spoken_to(5) and stream.line() == b"one"
        stream.transport.end = 0.0
        with pytest.raises(Overtime):
            stream.spoken_to(5)


def test_the_end_between_two_exchanges_is_no_mistake():
    stream, client = pair()
    client.sendall(b"one\r\n")
    assert stream.line() == b"one"
    client.close()
    assert not stream.spoken_to(5) and stream.ended
    stream, client = pair()
    with client:
        assert not stream.spoken_to(0.01) and not stream.ended
        stream.transport.leave()
        assert stream.leaving and not stream.spoken_to(5)
