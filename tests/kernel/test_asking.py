"""Questions over sockets: the same as with children, where one descriptor is both ways."""

import socket
import threading

import pytest

from daemons.kernel.asking import Asking, Bounds, Overdue, Overfull
from daemons.kernel.dial import NotReached, call_path
from daemons.kernel.ends import Late
from daemons.kernel.running import Failed
from daemons.kernel.transport import SocketTransport

MANY = 3_000_000


@pytest.fixture
def both():
    """Our transport, and the other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield SocketTransport(ours), theirs


def asked(transport, question=b"", bounds=None, enough=None, **more):
    """What is answered to a question."""
    said, pieces = bytearray(), iter([question])

    def heard(data):
        said.extend(data)
        return enough is not None and enough in said

    Asking(transport, lambda: next(pieces, b""), heard, bounds or Bounds(20, 2 * MANY), **more).run()
    return bytes(said)


def beside(work):
    """Do something meanwhile, as the other side."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_question_and_its_answer_until_the_end(both):
    ours, theirs = both
    theirs.sendall(b"answer")
    thread = beside(lambda: theirs.recv(100) == b"question" and theirs.shutdown(socket.SHUT_WR))
    assert asked(ours, b"question") == b"answer"
    thread.join()


def test_the_end_of_the_question_is_not_said(both):
    ours, theirs = both
    thread = beside(lambda: theirs.recv(100) == b"question" and theirs.sendall(b"answer."))
    assert asked(ours, b"question", enough=b".") == b"answer."
    thread.join()
    with pytest.raises(BlockingIOError):
        theirs.recv(100, socket.MSG_DONTWAIT)


def test_much_both_ways_at_once(both):
    ours, theirs = both

    def echo():
        left = MANY
        while left:
            data = theirs.recv(65536)
            left -= len(data)
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)

    thread = beside(echo)
    assert asked(ours, bytes(range(256)) * (MANY // 256) + bytes(MANY % 256)) == \
        bytes(range(256)) * (MANY // 256) + bytes(MANY % 256)
    thread.join()


def test_who_answers_without_reading_is_heard(both):
    ours, theirs = both
    theirs.sendall(b"busy")
    theirs.shutdown(socket.SHUT_RDWR)
    assert asked(ours, bytes(MANY)) == b"busy"


def test_a_connection_that_breaks_is_no_end(both):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ours.sendall(b"x")
    theirs.close()
    with ours, pytest.raises(Failed, match="broke"):
        asked(SocketTransport(ours))


def test_who_closes_without_having_read_everything_has_answered(both):
    ours, theirs = both
    theirs.sendall(b"busy")
    thread = beside(lambda: theirs.recv(1) and theirs.close())
    assert asked(ours, bytes(1000)) == b"busy"
    thread.join()


def test_the_bounds(both):
    ours, theirs = both
    with pytest.raises(Overdue, match="silent for 0.1 seconds"):
        asked(ours, b"question", Bounds(20, 100, patience=0.1))
    theirs.sendall(bytes(101))
    with pytest.raises(Overfull, match="more than 100 octets"):
        asked(ours, bounds=Bounds(20, 100))


# -- Unix sockets --


def test_a_call_to_a_path(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stream = call_path(path, endings="crlf")
        there, _ = listener.accept()
        with there:
            there.sendall(b"hello\r\n")
            assert stream.line() == b"hello" and str(stream.peer) == f"unix:{path}"
        stream.cut_off()


@pytest.mark.parametrize("path", ["/nowhere/socket", "/etc/passwd", "x" * 200])
def test_a_call_to_nobody(path):
    with pytest.raises(NotReached, match=path[:20]):
        call_path(path)


def test_a_call_that_is_not_answered_in_time(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        with pytest.raises(Late, match="no connection within 0.1 seconds"):
            call_path(path, seconds=0.1)
