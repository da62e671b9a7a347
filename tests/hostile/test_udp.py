"""Datagrams as hostile networks send them, to every program that serves them, on a machine with two addresses each.

That something is NOT answered is seen without waiting: an honest question follows it on the same path, and is answered.
"""

import contextlib
import fcntl
import select
import signal
import socket
import struct

import pytest

from tests.live import devlog, installed, machine, processes
from tests.play import ask, options_of

from . import kit, loglines
from .namespaces import BROADCAST, GROUP, GROUP6, HERE, THERE, Wire
from .octets import TRICKS

SECONDS = 60
HEAD = 28               # octets of IPv4 and UDP before the data
SMALL = 64              # octets that an answer may have though the question had fewer: a time of day
LOW = (1, 7, 9, 13, 17, 19, 37, 53, 69, 123, 161, 389, 520, 1023)


@pytest.fixture(scope="module")
def wire():
    with Wire() as wire:
        yield wire


class Server:
    """A program on a socket of the server's machine, as inetd starts it with wait; `port` is its port everywhere."""

    def __init__(self, stack, wire, name, host="::", options=(), port=None, arguments=None):
        self.wire, self.name, self.stack = wire, name, stack
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.log = stack.enter_context(devlog.LogSocket())
        self.sock = stack.enter_context(wire.here.socket(family, socket.SOCK_DGRAM))
        if family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.sock.bind((host, port or 0))
        self.port = self.sock.getsockname()[1]
        arguments = kit.questions(name)[0][0] if arguments is None else arguments
        argv = installed.argv(name, f"--log={self.log.path}", kit.no_options(), *arguments, *options)
        self.process = processes.Processes([*wire.here.inside, *argv], stdin=self.sock, stdout=self.sock,
                                           stderr=self.sock)
        stack.callback(self.process.end)
        self.log.wait_for(" start ")
        self.question, self.answered = honest(name)

    def client(self, host=THERE[0], port=0):
        """A socket of the other machine."""
        sock = self.stack.enter_context(self.wire.there.socket(
            socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM))
        sock.settimeout(SECONDS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind((host, port))
        return sock

    def still_serves(self, host=HERE[0]):
        """An honest question: once it is answered, or counted where none is due, all before it has been looked at."""
        with self.client(THERE[1]) as sock:
            sock.sendto(self.question, (host, self.port))
            if self.answered:
                assert sock.recvfrom(65536)[1] == (host, self.port)
            else:
                until_drained(self.sock)

    def stop(self):
        """End it; returns its events, and what the `packets` events counted."""
        self.process.first.send_signal(signal.SIGTERM)
        assert self.process.first.wait(SECONDS) == 0
        events = [loglines.parse(record.text) for record in self.log.records]
        assert not {"crash", "stderr", "misuse", "warning"} & {event for event, _ in events}, events
        counts = dict.fromkeys(("in", "answered", "ignored", "refused"), 0)
        for event, values in events:
            if event == "packets":
                counts = {key: count + int(values[key]) for key, count in counts.items()}
        return events, counts


def until_drained(sock):
    """Wait until nothing lies in a socket's queue; it is shared with its server."""
    machine.until(lambda: not select.select([sock], [], [], 0)[0], what="an empty queue")


def honest(name):
    """(question, is it answered): the longest question of a program."""
    module, (arguments, datagrams) = kit.program(name), kit.questions(name)[0]
    question = max(datagrams, key=len)
    return question, all(ask(module, question, options=options_of(module, *arguments)) is not None for _ in range(20))


@pytest.fixture
def serve(wire):
    with contextlib.ExitStack() as stack:
        yield lambda name, *arguments, **more: Server(stack, wire, name, *arguments, **more)


def raw_udp(source, target, data, length=None, checksum=0):
    """An IPv4 packet with any source (host, port) and any length in its UDP head."""
    payload = struct.pack("!HHHH", source[1], target[1], 8 + len(data) if length is None else length, checksum) + data
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(source[0]), socket.inet_aton(target[0]))
    return head + payload


def send_raw(one, packet, target):
    with one.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(packet, (target[0], 0))


@kit.dgrams
def test_an_answer_leaves_from_the_address_that_was_asked(serve, name):
    server = serve(name)
    for asked, source in zip(HERE, THERE):
        with server.client(source) as sock:
            sock.sendto(server.question, (asked, server.port))
            if server.answered:
                assert sock.recvfrom(65536)[1][:2] == (asked, server.port)
    if not server.answered:
        until_drained(server.sock)
    _, counts = server.stop()
    assert counts == {"in": 4, "answered": 4 if server.answered else 0, "ignored": 0, "refused": 0}


@kit.dgrams
def test_who_is_a_server_itself_or_asks_for_many_gets_no_answer(serve, wire, name):
    server = serve(name)
    me = (HERE[0], server.port)
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(server.client(THERE[0], port)) for port in LOW]
        for sock in asking:
            sock.sendto(server.question, me)
        many = stack.enter_context(server.client(THERE[0]))
        many.sendto(server.question, (BROADCAST, server.port))
        many.sendto(server.question, ("255.255.255.255", server.port))
        server.sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                               socket.inet_aton(GROUP) + socket.inet_aton(HERE[0]))
        many.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(THERE[0]))
        many.sendto(server.question, (GROUP, server.port))
        index = interface(wire.here)
        server.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                               socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("@I", index))
        six = stack.enter_context(server.client(THERE[2]))
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface(wire.there))
        six.sendto(server.question, (GROUP6, server.port))
        server.still_serves()
        for sock in (*asking, many, six):
            assert lying(sock) == []
    events, counts = server.stop()
    assert counts["ignored"] == len(LOW) + 4 and counts["answered"] == (1 if server.answered else 0)
    why = [values["why"] for event, values in events if event == "ignored"]
    assert 1 <= len(why) <= 3           # once a source and minute


def interface(one):
    """The number of the wire's end."""
    with one.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return struct.unpack("@16sI", fcntl.ioctl(sock, 0x8933, struct.pack("@16sI", b"wire", 0))[:20])[1]


@kit.dgrams
def test_a_forged_sender_hits_nobody(serve, wire, name):
    server = serve(name)
    me = (HERE[0], server.port)
    for source in ((HERE[0], server.port), (HERE[1], server.port), (BROADCAST, 4000), (THERE[0], 0),
                   ("10.9.0.77", 4000)):
        for data in (server.question, b"", b"x" * 1000):
            send_raw(wire.there, raw_udp(source, me, data), me)
            with contextlib.suppress(OSError):
                send_raw(wire.here, raw_udp(source, me, data), me)      # and from the inside: it is on our own loopback
    server.still_serves()
    _, counts = server.stop()
    assert counts["in"] < 60 and counts["answered"] <= 7, counts       # .77 and the honest one; nothing went in circles


@kit.dgrams
def test_packets_of_any_size_and_shape_are_survived(serve, wire, name):
    server = serve(name)
    me = (HERE[0], server.port)
    with server.client() as sock:
        for data in (*TRICKS, b"", b"x", b"x" * 1472, b"x" * 1473, b"x" * 9000, b"x" * 65507):
            sock.sendto(data[:65507], me)
            if not select.select([sock], [], [], 0)[0]:
                until_drained(server.sock)
            lying(sock)
        for length in (0, 1, 7, 8, 9, 200, 65535):                      # truncated, and lies about the length
            send_raw(wire.there, raw_udp((THERE[0], 4000), me, b"0123456789", length), me)
        send_raw(wire.there, raw_udp((THERE[0], 4000), me, b"0123456789", None, 0xBAD), me)
        send_raw(wire.there, raw_udp((THERE[0], 4000), me, b"")[:24], me)
        server.still_serves()
    server.stop()


def lying(sock):
    """All that lies in a socket's queue."""
    found = []
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(65536))
    return found


@kit.dgrams
def test_a_burst_and_gone_askers_end_nothing(serve, name):
    server = serve(name)
    me = (HERE[0], server.port)
    for _ in range(100):                # closed before the answer comes: ICMP port unreachable
        with server.client() as sock:
            sock.sendto(server.question, me)
    with server.client() as sock:
        for _ in range(3000):
            sock.sendto(server.question, me)
    until_drained(server.sock)
    server.still_serves()
    events, counts = server.stop()
    assert counts["in"] >= 200 and len(events) < 20


@kit.dgrams
def test_icmp_errors_on_a_connected_socket_are_the_networks_news(serve, wire, name):
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(wire.there.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.bind((THERE[0], 0))
        server = serve(name, HERE[0])
        server.sock.connect(client.getsockname())
        client.settimeout(SECONDS)
        for _ in range(10):
            client.sendto(server.question, (HERE[0], server.port))
        until_drained(server.sock)
        name_of_client = client.getsockname()
        client.close()
        send_raw(wire.there, raw_udp(name_of_client, (HERE[0], server.port), server.question), (HERE[0], 0))
        until_drained(server.sock)
        again = stack.enter_context(wire.there.socket(socket.AF_INET, socket.SOCK_DGRAM))
        again.bind(name_of_client)
        again.settimeout(SECONDS)
        again.sendto(server.question, (HERE[0], server.port))
        if server.answered:
            assert again.recv(65536) is not None
        until_drained(server.sock)
        server.stop()


@kit.dgrams
def test_an_answer_is_hardly_longer_than_its_question(serve, name, record_property):
    server = serve(name)
    asked = heard = worst = 0
    for data in (b"", b"x", b"x" * 10, server.question, b"x" * 100, b"x" * 512, b"x" * 1400):
        with server.client() as sock, server.client(THERE[1]) as fence:
            sock.connect((HERE[0], server.port))
            sock.send(data)
            fence.sendto(server.question, (HERE[0], server.port))
            fence.recv(65536) if server.answered else until_drained(server.sock)
            answers = lying(sock)
            assert len(answers) <= 1 and all(len(one) <= max(len(data), SMALL) for one in answers)
            asked, heard = asked + HEAD + len(data), heard + sum(HEAD + len(one) for one in answers)
            worst = max(worst, sum(HEAD + len(one) for one in answers) / (HEAD + len(data)))
    print(f"amplification of {name}: at worst {worst:.2f}, on the whole {heard / asked:.2f}")
    record_property("amplification", f"{worst:.2f}")
    assert worst < 3
    server.stop()


def test_a_program_that_amplifies_is_found(serve, monkeypatch, capsys):
    monkeypatch.setattr(kit, "questions", lambda name: [([], [b"x" * 40])])
    monkeypatch.setattr("tests.hostile.test_udp.honest", lambda name: (b"x" * 40, True))
    with pytest.raises(AssertionError):
        test_an_answer_is_hardly_longer_than_its_question(serve, "weakd", lambda *_: None)


LOOPS = [(one, other) for one in kit.DGRAMS for other in kit.DGRAMS if one <= other]


def test_no_two_of_our_servers_can_be_set_on_each_other(wire):
    with contextlib.ExitStack() as stack:
        servers = {name: Server(stack, wire, name, port=kit.SERVICES[name].port) for name in kit.DGRAMS}
        for one, other in LOOPS:
            for source, target in ((one, other), (other, one)):
                forged = raw_udp((HERE[0], servers[source].port), (HERE[0], servers[target].port), b"x" * 60)
                send_raw(wire.here, forged, (HERE[0], 0))
        for server in servers.values():
            server.still_serves()
        counts = [server.stop()[1] for server in servers.values()]
    assert all(count["answered"] <= 1 for count in counts)       # the honest one
    assert sum(count["ignored"] for count in counts) == 2 * len(LOOPS)


def test_servers_at_high_ports_are_set_on_each_other_only_as_far_as_a_rate_allows(wire):
    answering = [name for name in kit.DGRAMS if honest(name)[1]]
    with contextlib.ExitStack() as stack:
        one, other = (Server(stack, wire, name, options=["--rate=20"]) for name in (answering[0], answering[-1]))
        forged = raw_udp((HERE[0], one.port), (HERE[0], other.port), b"x" * 60)
        send_raw(wire.here, forged, (HERE[0], 0))
        machine.until(lambda: any(" why=rate" in record.line for server in (one, other)
                                  for record in server.log.records), what="a refusal, which ends the loop")
        counts = [server.stop()[1] for server in (one, other)]
    assert sum(count["refused"] for count in counts) == 1, counts
