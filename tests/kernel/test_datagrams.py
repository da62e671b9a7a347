"""Datagrams: who is answered, from which address, and who must not be; on real sockets, without a wait.

A datagram that was sent over the loopback lies in its receiver's queue when send() returns, so `serve` has
seen all that it will ever see when it comes back.
"""

import contextlib
import errno
import os
import socket
import struct
import sys

import pytest

from daemons import chargend, echod
from daemons.kernel import log
from daemons.kernel.datagrams import IP_PKTINFO, Datagrams, Packet
from daemons.kernel.limits import MOST
from tests.live.devlog import LogSocket
from tests.live.machine import need_ipv6, unavailable
from tests.live.processes import Processes
from tests.play import options_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVERS = (7, 13, 17, 19, 37, 53, 69, 123, 161, 1023)
REMEMBERED = 4096 + 1   # senders of this minute


class Server:
    """Datagrams on a bound socket, with a log that is a list and a clock that stands."""

    def __init__(self, where=("127.0.0.1", 0), *arguments, family=socket.AF_INET, program=echod, answer=None):
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.sock.bind(where)
        self.begin(*arguments, program=program, answer=answer)

    def begin(self, *arguments, program=echod, answer=None):
        self.service = Datagrams(self.sock, answer or program.answer, options_of(program, *arguments))
        self.now = 1000.0
        for table in (self.service.tell, self.service.first_of, self.service.limits):
            table.clock = lambda: self.now
        self.name = self.sock.getsockname()

    @property
    def port(self):
        return self.name[1]

    def serve(self):
        """Answer all that is there; returns the numbers of packets in, answered, ignored and refused."""
        for _ in range(20):             # times up to 256 packets: who talks to himself must not do it here for ever
            if not self.service.serve():
                break
        return tuple(self.service.count)


@pytest.fixture
def events(monkeypatch):
    """What is logged, as (name, values)."""
    logged = []
    monkeypatch.setattr(log, "event", lambda name, **values: logged.append((name, values)))
    return logged


@pytest.fixture
def server(events):
    return Server()


def client(where=("127.0.0.1", 0), family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind(where)
    except PermissionError:
        unavailable(f"port {where[1]} needs root")
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        unavailable(f"this machine has no {where[0]}")
    return sock


def loopback():
    """An address of this machine that no other test has: all of 127.0.0.0/8 is."""
    return f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.{next(numbers)}"


numbers = iter(range(2, 250))


def heard(sock):
    """All that lies in a socket's queue, as (data, sender)."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recvfrom(65536, socket.MSG_DONTWAIT))
    return found


def named(events, name):
    return [values for kind, values in events if kind == name]


# -- answers --

def test_the_answer_goes_to_who_asked(server, events):
    with client() as one, client() as other:
        one.sendto(b"one", server.name)
        other.sendto(b"other", server.name)
        assert server.serve() == (2, 2, 0, 0)
        assert heard(one) == [(b"one", server.name)]
        assert heard(other) == [(b"other", server.name)]


def test_an_empty_datagram_is_a_question(server):
    with client() as one:
        one.sendto(b"", server.name)
        one.sendto(b"after", server.name)
        assert server.serve() == (2, 2, 0, 0)
        assert [data for data, _ in heard(one)] == [b"", b"after"]


def test_the_largest_datagram_comes_back_whole(server):
    question = os.urandom(65507)
    with client() as one:
        one.sendto(question, server.name)
        server.serve()
        assert heard(one) == [(question, server.name)]


def test_silence_is_no_answer(events):
    server = Server(answer=lambda packet, options: None)
    with client() as one:
        one.sendto(b"?", server.name)
        assert server.serve() == (1, 0, 0, 0)
        assert heard(one) == []


def test_a_question_that_breaks_the_program_ends_nothing(events, monkeypatch):
    crashes = []
    monkeypatch.setattr(log, "crash", lambda error, **values: crashes.append(str(error)))

    def answer(packet, options):
        if packet.data == b"bad":
            raise LookupError("no such thing")
        return "text" if packet.data == b"worse" else packet.data

    server = Server(answer=answer)
    with client() as one:
        for question in (b"bad", b"worse", b"good"):
            one.sendto(question, server.name)
        server.serve()
        assert [data for data, _ in heard(one)] == [b"good"]
    assert len(crashes) == 2 and crashes[0] == "no such thing"


def test_a_peer_that_is_gone_ends_nothing(events):
    server = Server()
    with client() as gone, client() as other:
        server.sock.connect(gone.getsockname())         # as a launcher may hand it over
        server.begin()
        gone.sendto(b"bye", server.name)
        gone.close()
        assert server.serve() == (1, 1, 0, 0)           # the answer finds nobody, and ICMP says so
        again = client(gone_name := server.sock.getpeername())
        again.sendto(b"back", server.name)
        assert server.serve()[0] == 2
        assert heard(again) == [(b"back", server.name)] and gone_name != other.getsockname()
        again.close()


def test_the_packet_tells_who_asked_when_and_where(events):
    told = []
    server = Server(("0.0.0.0", 0), answer=lambda packet, options: told.append(packet))
    with client() as one:
        one.sendto(b"?", ("127.0.0.3", server.port))
        server.serve()
        assert (str(told[0].peer), told[0].local.host) == (f"[127.0.0.1]:{one.getsockname()[1]}", "127.0.0.3")
    assert Packet(b"", ("::ffff:192.0.2.7", 5, 0, 0)).peer.host == "192.0.2.7"


# -- the address that was asked --

@pytest.mark.parametrize("asked", ["127.0.0.2", "127.0.0.3"])
def test_a_server_of_all_addresses_answers_from_the_one_that_was_asked(events, asked):
    server = Server(("0.0.0.0", 0))
    with client() as one:
        one.sendto(b"?", (asked, server.port))
        server.serve()
        assert heard(one) == [(b"?", (asked, server.port))]
    assert named(events, "packet")[0]["to"].host == asked


@pytest.mark.parametrize("asked", ["127.0.0.2", "127.0.0.3"])
def test_so_it_does_for_ipv4_through_an_ipv6_socket(events, asked):
    need_ipv6()
    server = Server(("::", 0), family=socket.AF_INET6)
    with client() as one:
        one.sendto(b"?", (asked, server.port))
        server.serve()
        assert heard(one) == [(b"?", (asked, server.port))]
    assert str(named(events, "packet")[0]["from_"]).startswith("[127.0.0.1]:"), "IPv4 is logged as IPv4"


def test_so_it_does_for_ipv6(events):
    need_ipv6()
    server = Server(("::", 0), family=socket.AF_INET6)
    with client(("::1", 0), socket.AF_INET6) as one:
        one.sendto(b"?", ("::1", server.port))
        server.serve()
        [(data, sender)] = heard(one)
        assert (data, sender[:2]) == (b"?", ("::1", server.port))


def test_unix_peers_are_answered_if_they_have_a_name(events, tmp_path):
    asked = []
    server = Server(str(tmp_path / "server"), family=socket.AF_UNIX,
                    answer=lambda packet, options: asked.append(packet.data) or packet.data)
    with client(str(tmp_path / "client"), socket.AF_UNIX) as one, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
        nameless.sendto(b"from nobody", server.name)
        one.sendto(b"from one", server.name)
        assert server.serve() == (2, 1, 0, 0)
        assert asked == [b"from nobody", b"from one"], "syslog's clients have no name, and are heard"
        assert [data for data, _ in heard(one)] == [b"from one"]
    assert not named(events, "ignored"), "nor is an answer tried that nobody can get"


# -- who must not be answered --

@pytest.mark.parametrize("port", SERVERS)
def test_a_question_from_a_server_s_port_gets_no_answer(server, events, port):
    """CVE-2024-2169: the answer to a server is its next question."""
    with client((loopback(), port)) as one:
        for _ in range(3):
            one.sendto(b"?", server.name)
        assert server.serve() == (3, 0, 3, 0)
        assert heard(one) == []
    assert [values["why"] for values in named(events, "ignored")] == ["server-port"], "one line, not three"


def test_a_source_is_ignored_in_the_log_once_a_minute(server, events):
    with client((loopback(), 53)) as one, client((loopback(), 53)) as other:
        for now in (1020.0, 1030.0, 1079.9, 1080.0, 1100.0):
            server.now = now
            one.sendto(b"?", server.name)
            other.sendto(b"?", server.name)
            server.serve()
    assert len(named(events, "ignored")) == 4
    server.service.summary()
    assert named(events, "packets") == [{"in_": 10, "answered": 0, "ignored": 10, "refused": 0}]


def test_the_first_port_that_is_no_server_s_gets_an_answer(server):
    with client((loopback(), 1024)) as one:
        one.sendto(b"?", server.name)
        assert server.serve() == (1, 1, 0, 0)


def test_low_ports_may_be_answered_where_the_administrator_says_so(events):
    server = Server(("127.0.0.1", 0), "--low-ports=answer")
    with client((loopback(), 53)) as one:
        one.sendto(b"?", server.name)
        assert server.serve() == (1, 1, 0, 0)
        assert len(heard(one)) == 1


def low_port_server(port, *arguments, program):
    try:
        return Server((loopback(), port), *arguments, program=program)
    except PermissionError:
        unavailable(f"port {port} needs root")


@pytest.mark.parametrize(("low_ports", "packets"), [("ignore", 1), ("answer", 100)])
def test_two_of_our_servers_pointed_at_each_other_stop_after_one_packet(events, low_ports, packets):
    """Where the protection is switched off they would go on for ever; here we stop them after 100 packets."""
    one = low_port_server(7, f"--low-ports={low_ports}", program=echod)
    other = low_port_server(19, f"--low-ports={low_ports}", "--reply-limit=512", program=chargend)
    one.sock.sendto(b"x" * 100, other.name)             # what a forger sends in the name of `one`
    for _ in range(50):
        other.serve()
        one.serve()
    assert one.service.count[0] + other.service.count[0] == packets


def test_a_server_does_not_answer_itself(server, events):
    server.sock.sendto(b"?", server.name)
    assert server.serve() == (1, 0, 1, 0)
    assert named(events, "ignored")[0]["why"] == "own-address"


@pytest.mark.parametrize(("family", "where", "source"), [
    (socket.AF_INET, "0.0.0.0", "127.0.0.1"), (socket.AF_INET, "0.0.0.0", "127.0.0.3"),
    (socket.AF_INET6, "::", "::ffff:127.0.0.1"), (socket.AF_INET6, "::", "::ffff:127.0.0.3")])
def test_nor_does_it_at_another_address_of_its_own(events, family, where, source):
    """A server of all addresses is at both ends of a packet from one of them to another."""
    if family == socket.AF_INET6:
        need_ipv6()
    server = Server((where, 0), family=family)
    mapped = "::ffff:" if family == socket.AF_INET6 else ""
    send_from(server.sock, b"?", (mapped + "127.0.0.2", server.port), source.removeprefix("::ffff:"))
    assert server.serve() == (1, 0, 1, 0)


def send_from(sock, data, to, source):
    """Send from an address of this machine, in whose name the kernel lets us speak."""
    info = struct.pack("=i4s4s", 0, socket.inet_aton(source), bytes(4))
    sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, to)


@pytest.mark.parametrize(("host", "here"), [
    ("127.0.0.3", True), ("::ffff:127.0.0.3", True), ("192.0.2.7", False), ("2001:db8::7", False)])
def test_only_an_address_of_this_machine_is_our_own(server, host, here):
    """Hosts of one kind may ask each other from the port at which they listen, as syslog's do."""
    if host.startswith("2001:"):
        need_ipv6()
    assert server.service._is_us((host, server.port)) is here
    assert not server.service._is_us((host, server.port + 1))


@pytest.mark.parametrize(("family", "where"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_what_was_sent_to_all_gets_no_answer(events, family, where):
    if family == socket.AF_INET6:
        need_ipv6()
    server = Server((where, 0), family=family)
    with client() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.sendto(b"?", ("127.255.255.255", server.port))
        assert server.serve() == (1, 0, 1, 0)
        assert heard(one) == []
    assert [values["why"] for values in named(events, "ignored")] == ["sent-to-many"]


def test_what_was_sent_to_a_group_gets_no_answer(events):
    server = Server(("0.0.0.0", 0))
    group = socket.inet_aton("239.255.77.77"), socket.inet_aton("127.0.0.1")
    server.sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, b"".join(group))
    with client() as one:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, group[1])
        one.sendto(b"?", ("239.255.77.77", server.port))
        assert server.serve() == (1, 0, 1, 0)
        assert heard(one) == []


def test_who_asks_too_often_is_refused_and_that_is_said_once(events):
    server = Server(("127.0.0.1", 0), "--rate=3")
    with client() as one, client((loopback(), 0)) as other:
        for _ in range(10):
            one.sendto(b"?", server.name)
        other.sendto(b"?", server.name)
        assert server.serve() == (11, 4, 0, 7)
        assert (len(heard(one)), len(heard(other))) == (3, 1)
        server.now += 1
        one.sendto(b"?", server.name)
        assert server.serve() == (12, 5, 0, 7)
    assert [values["why"] for values in named(events, "refused")] == ["rate"]


def test_who_is_kept_out_gets_no_answer(events):
    server = Server(("127.0.0.1", 0), "--no-access=127.0.0.0/8")
    with client() as one:
        one.sendto(b"?", server.name)
        assert server.serve() == (1, 0, 0, 1)
        assert heard(one) == []


# -- the summary --

def test_what_was_done_is_said_once_a_minute_while_the_program_runs():
    """Where nobody stops it, the count at its end is never seen.  Here a minute has a hundredth of a second."""
    code = "from daemons.kernel import accepting, serve; accepting.SUMMARY = 0.01; from daemons import echod; " \
           "serve.main(echod.SERVICE, echod.talk, echod.answer)"
    with LogSocket() as said, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        one.settimeout(10)
        program = Processes([sys.executable, "-c", code, f"--log={said.path}"], stdin=sock, cwd=ROOT)
        try:
            for _ in range(2):
                one.sendto(b"?", sock.getsockname())
                assert one.recv(10) == b"?"
            said.wait_for(r" packets in=\d answered=\d ignored=0 refused=0")
            assert program.first.poll() is None
        finally:
            program.end()
            sock.close()


# -- a flood --

@pytest.mark.parametrize("arguments", [(), ("--rate=1",)])
def test_a_flood_of_forged_senders_fills_no_memory_and_no_log(events, arguments):
    server = Server(("127.0.0.1", 0), *arguments)
    with client(("0.0.0.0", 0)) as flood:
        for number in range(20_000):
            source = f"127.{number >> 12 | 64}.{number >> 4 & 255}.{number & 15 | 16}"
            send_from(flood, b"?", server.name, source)
            if number % 100 == 99:
                server.serve()
                heard(flood)
    service = server.service
    assert service.count[0] == 20_000
    assert len(service.seen) <= REMEMBERED
    assert len(service.first_of.seen) <= MOST and len(service.tell.seen) <= MOST
    assert len(service.limits.begun) <= MOST
    assert len(events) <= 2 * MOST


def client_below_1024():
    """A client at a server's port of every address: one that neither this machine nor another test has taken."""
    for port in range(600 + os.getpid() % 200, 1024):
        try:
            return client(("0.0.0.0", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("no port below 1024 is free")


def test_a_flood_from_servers_ports_fills_no_memory_and_no_log(events):
    server = Server()
    with client_below_1024() as flood:
        for number in range(MOST + 2000):
            send_from(flood, b"?", server.name, f"127.{number >> 12 | 64}.{number >> 4 & 255}.{number & 15 | 16}")
            if number % 100 == 99:
                server.serve()
    assert server.serve() == (MOST + 2000, 0, MOST + 2000, 0)
    assert len(server.service.tell.seen) == len(named(events, "ignored")) == MOST
