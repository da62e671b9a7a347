"""Whose connection is that?  Real ones, over loopback; both ways of asking must say the same."""

import os
import socket
import subprocess
import sys

import pytest

from daemons.kernel import inherited, owners
from daemons.kernel.addresses import Address, local_of, peer_of
from daemons.wire.proctcp import sockets
from tests.sources import ROOT

ME = os.getuid()
OTHER = 23456           # a uid that nobody else here has


@pytest.fixture(params=["sock_diag", "given", "table"])
def way(request, monkeypatch):
    """Ask the kernel for one connection, by our own socket or a launcher's, or else read its table."""
    monkeypatch.setattr(inherited, "asking", [])
    if request.param == "given":
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, owners.NETLINK_SOCK_DIAG)
        request.addfinalizer(sock.close)
        ask(sock)                       # somebody before us did not wait for the answer
        assert inherited.kept(sock)
        ask(sock)                       # and somebody since
    if request.param == "table":
        def closed(*_):
            raise PermissionError("as in a sandbox")
        monkeypatch.setattr(owners, "_asked", closed)
    else:
        monkeypatch.setattr(owners, "_rows", lambda table: pytest.fail("read the table"))
    return request.param


def ask(sock):
    """Ask a question whose answer nobody reads."""
    sock.send(owners._request(socket.AF_INET, owners.NLM_F_REQUEST, 1, 0, (7, bytes(4)), (7, bytes(4)), 0))


class Line:
    """Three sockets: who listens, who called, and who was called."""

    def __init__(self, family=socket.AF_INET, at="127.0.0.1", call="127.0.0.1", device=None, uid=None):
        self.listener = socket.create_server((at, 0), family=family, dualstack_ipv6=at == "::")
        where = call, self.listener.getsockname()[1]
        if uid is not None:
            os.seteuid(uid)             # a socket belongs to whom its maker was then
        self.client = socket.socket(socket.AF_INET6 if ":" in call else socket.AF_INET)
        if uid is not None:
            os.seteuid(ME)
        if device:
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        self.client.connect(where)
        self.server, _ = self.listener.accept()
        self.ends = local_of(self.client), peer_of(self.client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self.client, self.server, self.listener):
            sock.close()


def owner(here, there):
    return owners.owner(here, there, sockets)


@pytest.mark.parametrize("at, call", [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")])
def test_both_ends_are_ours(way, at, call):
    with Line(socket.AF_INET6 if ":" in at else socket.AF_INET, at, call) as line:
        here, there = line.ends
        assert owner(here, there) == owner(there, here) == ME


@pytest.mark.skipif(ME != 0, reason="only root can be others")
@pytest.mark.parametrize("call", ["127.0.0.1", "::1"])
def test_each_end_has_its_own_owner(way, call):
    with Line(socket.AF_INET6, "::", call, uid=OTHER) as line:
        here, there = line.ends
        assert (owner(here, there), owner(there, here)) == (OTHER, ME)


def test_all_four_numbers_must_be_right(way):
    with Line() as line:
        here, there = line.ends
        for wrong in (Address("127.0.0.2", here.port), Address(here.host, here.port + 1), Address("::1", here.port)):
            if ":" not in wrong.host:
                assert owner(wrong, there) is None
        assert owner(here, Address("127.0.0.2", there.port)) is None
        assert owner(here, Address(there.host, there.port + 1)) is None


def test_a_listener_is_no_connection(way):
    with Line() as line:
        _, there = line.ends
        assert owner(there, Address("127.0.0.1", 1)) is None
        assert owner(there, Address("0.0.0.0", 0)) is None


def test_what_nobody_holds_any_more_is_nobodys(way):
    """Linux sees such a connection out, and calls it uid 0's: a user must not pass for root by hanging up."""
    with Line() as line:
        here, there = line.ends
        line.client.close()             # FIN_WAIT2: the other end is still open
        assert owner(here, there) is None
        assert owner(there, here) == ME     # CLOSE_WAIT, and held
        line.server.close()             # now TIME_WAIT
        assert owner(here, there) is None
        assert owner(there, here) is None


def test_half_closed_is_still_a_connection(way):
    with Line() as line:
        here, there = line.ends
        line.client.shutdown(socket.SHUT_WR)
        assert owner(here, there) == owner(there, here) == ME


def test_a_connection_bound_to_an_interface(way):
    try:
        line = Line(device=b"lo")
    except PermissionError:
        pytest.skip("this kernel lets only root bind to an interface")
    with line:
        assert owner(*line.ends) == ME


def test_an_answer_about_another_connection_is_none(monkeypatch):
    """The kernel gives exactly what was asked for; were it otherwise, we should be telling of strangers."""
    ask_for = owners._request
    with Line() as line, Line() as other:
        here, there = (owners._end(end) for end in other.ends)
        monkeypatch.setattr(owners, "_request", lambda family, flags, number, states, a, b, interface:
                            ask_for(family, flags, number, states, here, there, interface))
        assert owner(*other.ends) == ME
        assert owner(*line.ends) is None


@pytest.mark.parametrize("state", [2, 3, 6, 7, 10, 12])
def test_states_that_are_no_connection(state):
    row = sockets("\n 0: 0100007F:0001 0200007F:0002 %02X 0:0 0:0 0 1000 0 77" % state)
    assert owners._rows(lambda text: row) == []


def test_a_kernel_without_sock_diag_for_tcp_is_not_believed(monkeypatch):
    """It says that there is no such connection, as it would of any."""
    monkeypatch.setattr(owners, "_answers", lambda sock: False)
    monkeypatch.setattr(owners, "_exactly", lambda *_: None)
    with Line() as line:
        assert owner(*line.ends) == ME


def test_where_nothing_can_be_asked_nothing_is_known(monkeypatch):
    monkeypatch.setattr(owners, "NETLINK_SOCK_DIAG", 31)
    monkeypatch.setattr(owners, "_text", lambda path: "")
    with Line() as line, pytest.raises(owners.Unknowable, match="neither"):
        owner(*line.ends)


def test_by_ports_alone():
    with Line() as line:
        here, there = line.ends
        assert owners.owner_by_ports(here.port, there.port, sockets) == ME
        assert owners.owner_by_ports(here.port, 1, sockets) is None


@pytest.mark.skipif(ME != 0, reason="only root can be others")
def test_by_ports_alone_two_owners_are_none():
    with Line() as line, socket.create_server(("127.0.0.2", line.ends[1].port)) as listener:
        os.seteuid(OTHER)
        second = socket.socket()
        os.seteuid(ME)
        with second:
            second.bind(("127.0.0.2", line.ends[0].port))
            second.connect(listener.getsockname())
            assert owners.owner_by_ports(line.ends[0].port, line.ends[1].port, sockets) is None


def test_nobody_of_a_user_namespace_is_not_named(way, monkeypatch):
    texts = {"/proc/sys/kernel/overflowuid": f"{ME}\n", "/proc/self/uid_map": "         0       1000          1\n"}
    read = owners._text
    monkeypatch.setattr(owners, "_text", lambda path: texts.get(path) or read(path))
    with Line() as line:
        with pytest.raises(owners.Unknowable, match="user namespace"):
            owner(*line.ends)
        texts["/proc/self/uid_map"] = "         0          0 4294967295\n"
        assert owner(*line.ends) == ME


# Its network is another than the one whose connections it is asked about, and it may make no socket but local ones.
SHUT_IN = """
import os, socket, sys
os.environ.update(LISTEN_PID=str(os.getpid()))
from daemons.kernel import inherited, owners
from daemons.kernel.addresses import Address
from daemons.wire.proctcp import sockets
fd, *ports = map(int, sys.argv[1:])
assert inherited.kept(socket.socket(fileno=fd))
socket.if_nameindex = lambda: 1 / 0
here, there = (Address("127.0.0.1", port) for port in ports)
def owner():
    return owners.owner(here, there, sockets)
print(owner())
children = []
for _ in range(3):
    if (pid := os.fork()) == 0:
        os._exit(any(owner() != 23456 for _ in range(300)))
    children.append(pid)
print([os.waitpid(pid, 0)[1] for pid in children], {owner() for _ in range(300)})
try:
    owners.owner_by_ports(here.port, there.port, sockets)
except owners.Unknowable as error:
    print(error)
"""


@pytest.mark.skipif(ME != 0, reason="only root makes network namespaces")
def test_by_a_given_socket_the_kernel_answers_from_where_that_was_opened():
    asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, owners.NETLINK_SOCK_DIAG)
    with asking, Line(uid=OTHER) as line:
        numbers = [str(number) for number in (asking.fileno(), *(end.port for end in line.ends))]
        done = subprocess.run(["unshare", "--net", sys.executable, "-c", SHUT_IN, *numbers], capture_output=True,
                              text=True, timeout=60, pass_fds=[asking.fileno()], cwd=ROOT)
    assert (done.stdout, done.stderr) == (
        f"{OTHER}\n[0, 0, 0] {{{OTHER}}}\n"
        "the table at hand is of another network: let the unit have PrivateNetwork=no\n", "")
