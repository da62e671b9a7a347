"""The other connections: calls that are answered, refused or not heard, and names that exist or cannot be asked for."""

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel import dial
from daemons.kernel.dial import NoAnswer, NoSuchName, NotReached, addresses_of, await_call, call, name_of
from daemons.kernel.ends import End, Late


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def deaf():
    """A port at which a connection stays unanswered: the queue is full, and the kernel drops what else comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as sock, socket.create_connection(sock.getsockname()):
        yield sock.getsockname()[1]


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def resolve(monkeypatch, answer):
    """Have the resolver return these (host, port) pairs, or raise this."""
    def getaddrinfo(name, port, **_):
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in answer]
    monkeypatch.setattr(dial.socket, "getaddrinfo", getaddrinfo)


# -- calls --

def test_a_call_that_is_answered_is_a_conversation(listener):
    stream = call("127.0.0.1", listener.getsockname()[1], endings="crlf")
    there, name = listener.accept()
    there.sendall(b"220 hello\r\n")
    assert stream.line() == b"220 hello"
    assert str(stream.peer) == "[127.0.0.1]:%d" % listener.getsockname()[1] and str(stream.local) == "[%s]:%d" % name
    stream.say("QUIT")
    stream.flush()
    assert there.recv(100) == b"QUIT\r\n"


def test_a_call_leaves_from_the_address_that_was_chosen(listener):
    call("127.0.0.1", listener.getsockname()[1], source="127.0.0.2")
    assert listener.accept()[1][0] == "127.0.0.2"


def test_a_refused_call_says_where_and_why():
    port = closed_port()
    with pytest.raises(NotReached, match=rf"^\[127.0.0.1\]:{port} Connection refused$"):
        call("127.0.0.1", port)


def test_a_call_from_an_address_that_is_not_ours_reaches_nobody(listener):
    with pytest.raises(NotReached, match="Cannot assign"):
        call("127.0.0.1", listener.getsockname()[1], source="192.0.2.1")


def test_a_call_that_nobody_hears_is_late(deaf):
    began = time.monotonic()
    with pytest.raises(Late, match=r"no connection within 0\.1 seconds: .*timed out"):
        call("127.0.0.1", deaf, seconds=0.1)
    assert 0.1 <= time.monotonic() - began < 2


def test_the_next_address_is_tried(listener, monkeypatch):
    resolve(monkeypatch, [("127.0.0.1", closed_port()), listener.getsockname()])
    assert call("a.example", 25).peer.port == listener.getsockname()[1]


def test_all_attempts_share_one_time(deaf, listener, monkeypatch):
    resolve(monkeypatch, [("127.0.0.1", deaf), listener.getsockname()])
    with pytest.raises(Late, match=r"timed out, .*timed out"):
        call("a.example", 25, seconds=0.1)


# -- awaiting one --

def test_the_first_caller_is_taken(listener):
    caller = socket.create_connection(listener.getsockname())
    stream = await_call(listener)
    caller.sendall(b"x")
    assert stream.some() == b"x" and stream.peer.port == caller.getsockname()[1]


def test_only_the_expected_caller_is_taken(listener):
    stranger = socket.create_connection(listener.getsockname(), source_address=("127.0.0.2", 0), timeout=5)
    friend = socket.create_connection(listener.getsockname())
    assert await_call(listener, peer="127.0.0.1").peer.port == friend.getsockname()[1]
    assert stranger.recv(1) == b""


def test_a_call_that_does_not_come_is_late(listener):
    with pytest.raises(Late, match="nobody called within"):
        await_call(listener, seconds=0.02)


# -- names --

@pytest.mark.parametrize("errno", [socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_FAIL])
def test_a_name_that_does_not_exist_never_will(monkeypatch, errno):
    resolve(monkeypatch, socket.gaierror(errno, "no such thing"))
    with pytest.raises(NoSuchName, match="a.example: no such thing"):
        call("a.example", 25)


@pytest.mark.parametrize("errno", [socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY])
def test_a_name_that_cannot_be_asked_for_may_be_known_later(monkeypatch, errno):
    resolve(monkeypatch, socket.gaierror(errno, "not now"))
    with pytest.raises(NoAnswer, match="a.example: not now"):
        addresses_of("a.example")


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", "\udcff.example"])
def test_what_cannot_be_a_name_does_not_exist(name):
    with pytest.raises(NoSuchName, match="not a host name"):
        addresses_of(name)


def test_the_four_failures_are_four():
    assert len({kind.reason for kind in (NoSuchName, NoAnswer, NotReached, Late)}) == 4
    assert all(issubclass(kind, End) for kind in (NoSuchName, NoAnswer, NotReached, Late))


def test_addresses_are_asked_for_with_their_port():
    assert (socket.AF_INET, ("127.0.0.1", 25)) in addresses_of("127.0.0.1", 25)


def test_a_name_leads_back_or_is_none(monkeypatch):
    monkeypatch.setattr(dial.socket, "getnameinfo", lambda where, flags: ("MX.Example.", "0"))
    resolve(monkeypatch, [("192.0.2.7", 0)])
    assert name_of("192.0.2.7") == "mx.example"
    assert name_of("192.0.2.8") is None
    resolve(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "not now"))
    assert name_of("192.0.2.7") is None


@given(st.text())
def test_asking_for_the_name_of_anything_raises_nothing(host):
    with pytest.MonkeyPatch.context() as monkeypatch:
        resolve(monkeypatch, socket.gaierror(socket.EAI_NONAME, "unknown"))
        assert name_of(host) is None
