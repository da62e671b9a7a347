"""Datagrams behind a proxy: a header at the head of each packet, the answer to the proxy, rules for the client."""

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel import proxied
from daemons.kernel.proxyheader import DGRAM, Header, Malformed, block, line
from tests.kernel.test_datagrams import Server, client, events, named

assert events                           # the fixture
ASKER, ASKED = ("192.0.2.7", 41822), ("198.51.100.1", 7)
HEADER = block(Header(2, ASKER, ASKED), DGRAM, checksum=True)


def asked(server, packet, sock):
    """Send a packet; what comes back, None for nothing."""
    sock.sendto(packet, server.name)
    server.serve()
    sock.setblocking(False)
    try:
        return sock.recv(65536)
    except BlockingIOError:
        return None


@pytest.fixture
def sender():
    with client() as sock:
        yield sock


def seen_by(*arguments):
    """A server whose answer tells whom it saw."""
    def answer(packet, options):
        return f"{packet.peer} {packet.local} ".encode() + packet.data
    return Server(("127.0.0.1", 0), "--proxy-protocol=127.0.0.0/8", *arguments, answer=answer)


@pytest.mark.parametrize("header, peer, local", [
    (HEADER, "[192.0.2.7]:41822", "[198.51.100.1]:7"),
    (block(Header(2, ASKER, ASKED)), "[192.0.2.7]:41822", "[198.51.100.1]:7"),
    (block(Header(2, ("2001:db8::7", 1024), ("::1", 7)), DGRAM, [(4, bytes(100))]), "[2001:db8::7]:1024", "[::1]:7"),
    (block(Header(2, b"/run/a", b"/run/b"), DGRAM), "unix:/run/a", "unix:/run/b"),
    (block(Header(2, local=True)), None, "unknown"), (block(Header(2)), None, "unknown")])
@pytest.mark.parametrize("data", [b"hello", b""])
def test_the_program_sees_the_client_and_the_proxy_gets_the_answer(events, sender, header, peer, local, data):
    server = seen_by()
    peer = peer or f"[127.0.0.1]:{sender.getsockname()[1]}"
    assert asked(server, header + data, sender) == f"{peer} {local} ".encode() + data
    logged = named(events, "packet")[0]
    assert str(logged["from_"]) == peer and logged["in_"] == len(data)
    by = {} if "127.0.0.1" in peer else {"by": f"[127.0.0.1]:{sender.getsockname()[1]}"}
    assert {key: str(value) for key, value in logged.items() if key == "by"} == by


@pytest.mark.parametrize("packet, why", [
    (b"hello", "no PROXY header"), (b"", "cut short"), (b"PROXY UNKNOWN\r\nhello", "no PROXY header"),
    (line(Header(1, ASKER, ASKED)) + b"hello", "no PROXY header"), (HEADER[:15], "cut short"),
    (HEADER[:-1], "cut short"),
    (HEADER[:-1] + bytes([HEADER[-1] ^ 1]) + b"hello", "wrong checksum"),
    (HEADER[:14] + b"\xff\xff" + HEADER[16:], "65551 octets, of which we take 4096")])
def test_a_packet_without_a_right_header_is_refused_and_that_is_said_once(events, sender, packet, why):
    server = seen_by()
    assert [asked(server, packet, sender) for _ in range(3)] == [None] * 3
    assert [(str(one["from_"]), one["why"]) for one in named(events, "refused")] == \
        [(f"[127.0.0.1]:{sender.getsockname()[1]}", f"proxy: {why}")]
    assert server.service.count == [3, 0, 0, 3] and not named(events, "crash")


def test_a_header_from_elsewhere_is_refused(events):
    server = Server(("127.0.0.1", 0), "--proxy-protocol=127.0.0.9")
    with client() as stranger, client(("127.0.0.9", 0)) as proxy:
        assert asked(server, HEADER + b"hello", stranger) is None and asked(server, b"hello", stranger) is None
        assert [one["why"] for one in named(events, "refused")] == ["proxy-network"]
        assert asked(server, HEADER + b"hello", proxy) == b"hello"


def test_rules_and_limits_are_those_of_the_client(events, sender):
    server = seen_by("--no-access=192.0.2.8", "--only-from=192.0.2.0/24", "--rate=2")
    def ask(host):
        return asked(server, block(Header(2, (host, 2000), ASKED), DGRAM) + b"x", sender)
    assert [ask("192.0.2.7") is not None for _ in range(4)] == [True, True, False, False]
    assert [ask(host) is not None for host in ("192.0.2.9", "192.0.2.8", "203.0.113.1")] == [True, False, False]
    assert [(str(one["from_"]), one["why"]) for one in named(events, "refused")] == [
        ("[192.0.2.7]:2000", "rate"), ("[192.0.2.8]:2000", "no-access"), ("[203.0.113.1]:2000", "only-from")]
    assert asked(server, block(Header(2, b"/a", b"/b"), DGRAM), sender) is None
    assert named(events, "refused")[-1]["why"] == "no-address"


def test_times_hold_for_datagrams(events, sender):
    server = seen_by("--access-times=08:00-18:00")
    for hour, answered in ((7, False), (9, True), (18, True), (19, False)):
        server.service.wall = lambda hour=hour: time.mktime((2026, 9, 21, hour, 0, 0, 0, 0, -1))
        assert (asked(server, HEADER + b"x", sender) is not None) == answered
    assert [one["why"] for one in named(events, "refused")] == ["access-times"]


@pytest.mark.parametrize("port", [7, 19, 53, 1023])
def test_who_asks_from_a_servers_port_through_a_proxy_is_not_answered_either(events, sender, port):
    server = seen_by()
    assert asked(server, block(Header(2, ("192.0.2.7", port), ASKED), DGRAM) + b"x", sender) is None
    assert [(str(one["from_"]), one["why"]) for one in named(events, "ignored")] == \
        [(f"[192.0.2.7]:{port}", "server-port")]


def test_our_own_address_in_a_header_is_not_answered(events, sender):
    server = seen_by()
    assert asked(server, block(Header(2, server.name, server.name), DGRAM) + b"x", sender) is None
    assert [one["why"] for one in named(events, "ignored")] == ["own-address"]


def test_unix_datagrams_from_a_proxy_on_this_machine(events, tmp_path):
    server = Server(f"{tmp_path}/server", "--proxy-protocol=unix", family=socket.AF_UNIX)
    with client(f"{tmp_path}/proxy", socket.AF_UNIX) as sock:
        assert asked(server, HEADER + b"hello", sock) == b"hello"
        assert asked(server, b"hello", sock) is None
    other = Server(f"{tmp_path}/other", "--proxy-protocol=127.0.0.1", family=socket.AF_UNIX)
    with client(f"{tmp_path}/proxy2", socket.AF_UNIX) as sock:
        assert asked(other, HEADER + b"hello", sock) is None
    assert [one["why"] for one in named(events, "refused")] == ["proxy: no PROXY header", "proxy-network"]


@given(st.binary() | st.binary().map(HEADER.__add__) | st.binary().map(HEADER[:16].__add__))
def test_any_packet_is_unwrapped_or_malformed(packet):
    try:
        header, data = proxied.unwrap(packet)
    except Malformed:
        return
    assert packet.endswith(data) and len(packet) - len(data) >= 16 and header.version == 2
