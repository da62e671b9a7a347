"""Every service of the package under a real systemd: enabled, talked to, in both logs, and never left failed."""

import contextlib
import re
import socket

import pytest

from daemons.tools import programs
from tests import play
from tests.live import clients, machine

SERVICES = programs.launched()
STREAMS = [service for service in SERVICES if "stream" in service.sockets]
PACKETS = [service for service in SERVICES if "dgram" in service.sockets]
NAMED = {"ids": lambda service: service.name}


@pytest.fixture(scope="module", autouse=True)
def enabled(box):
    """Every socket, enabled and started as an administrator would."""
    sockets = [f"fd0-{service.name}.socket" for service in SERVICES]
    box.run("systemctl", "enable", "--now", *sockets)
    states = box.run("systemctl", "is-active", *sockets).stdout.split()
    assert states == ["active"] * len(sockets)
    return sockets


def said_to(service):
    """What the client of its first dialogue says."""
    return next((b"".join(one.said) for one in play.dialogues(service.name) if not one.arguments), b"")


def converse(box, service, data=b"", host="127.0.0.1"):
    with box.network():
        return clients.converse((host, service.port), data)


def closes(box, name):
    """(in, out) of each conversation of a program that the journal tells of."""
    return re.findall(r"^close .* in=(\d+) out=(\d+)", "\n".join(box.journal("-t", name)), re.MULTILINE)


def failed(box):
    return box.run("systemctl", "--failed", "--plain", "--no-legend").stdout


@pytest.mark.parametrize("service", STREAMS, **NAMED)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"], ids=["IPv4", "IPv6"])
def test_it_talks_and_both_logs_tell_of_it(box, service, host):
    data = said_to(service)
    before = len(closes(box, service.name))
    answer = converse(box, service, data, host)
    machine.until(lambda: len(closes(box, service.name)) > before, what="the close line in the journal")
    taken, sent = closes(box, service.name)[-1]
    assert int(taken) <= len(data) and int(sent) == len(answer)         # not every program listens
    (line,) = [line for line in box.journal("-t", service.name) if line.startswith("open ")][-1:]
    assert f"from=[{host}]:" in line and "via=systemd" in line
    everything = box.root / "var/log/everything"
    machine.until(lambda: f": {line}" in everything.read_text(), what="the same line in rsyslog's file")


@pytest.mark.parametrize("service", PACKETS, **NAMED)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"], ids=["IPv4", "IPv6"])
def test_it_answers_packets(box, service, host):
    data = b"a packet"
    expected = play.ask(programs.program(service.name), data)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with box.network(), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((host, service.port))
        sock.send(data)
        if expected is not None:
            sock.recv(65536)            # which may be empty (RFC 864)
    if expected is None:
        machine.until(lambda: box.run("systemctl", "is-active", f"fd0-{service.name}.service", check=False)
                      .stdout.strip() == "active", what="a start for a packet that gets no answer")


@pytest.mark.parametrize("service", [one for one in STREAMS if one.model == "fork"], **NAMED)
def test_a_process_for_each_connection_does_as_well(box, service):
    box.run("systemctl", "stop", f"fd0-{service.name}.socket", f"fd0-{service.name}.service")
    box.run("systemctl", "start", f"fd0-{service.name}-each.socket")
    try:
        before = len(closes(box, service.name))
        data = said_to(service)
        answer = converse(box, service, data)
        machine.until(lambda: len(closes(box, service.name)) > before, what="the close line")
        assert closes(box, service.name)[-1] == (str(len(data)), str(len(answer)))
    finally:
        box.run("systemctl", "stop", f"fd0-{service.name}-each.socket")
        box.run("systemctl", "start", f"fd0-{service.name}.socket")
    assert not failed(box)


def test_identd_knows_whose_a_connection_is_though_it_has_no_network(box):
    with box.network(), socket.create_server(("127.0.0.1", 0)) as server, \
            clients.connect(server.getsockname()) as ours, clients.connect(("127.0.0.1", 113)) as sock:
        query = f"{ours.getsockname()[1]}, {server.getsockname()[1]}\r\n".encode()
        assert re.search(rb" : USERID : [^:]+ : ?root\r\n$", clients.exchange(sock, query))


@pytest.mark.parametrize("service", SERVICES, **NAMED)
def test_it_can_close_itself_in_once_more(box, service):
    unit = f"fd0-{service.name}.service"
    box.run("systemctl", "restart", unit)
    lines = box.journal("-u", unit)
    assert " sandbox=" in [line for line in lines if line.startswith("start ")][-1]
    assert not [line for line in lines if line.startswith("unprotected ") and "refused" in line]


# ------------------------------------------------------------------ bursts, deaths and mistakes

@pytest.mark.parametrize("unit", ["fd0-fingerd", "fd0-fingerd-each"])
def test_a_burst_leaves_no_unit_failed(box, unit):
    finger = next(service for service in STREAMS if service.name == "fingerd")
    box.run("systemctl", "stop", "fd0-fingerd.socket", "fd0-fingerd.service")
    box.run("systemctl", "start", f"{unit}.socket")
    try:
        with contextlib.ExitStack() as stack:
            with box.network():
                callers = [stack.enter_context(clients.connect(("127.0.0.1", finger.port), 30)) for _ in range(200)]
            answers = []
            for sock in callers:        # -each closes at once what is over MaxConnectionsPerSource
                with contextlib.suppress(OSError):
                    answers.append(clients.exchange(sock, b"/W nobody-here\r\n", seconds=30))
        assert sum(bool(answer) for answer in answers) >= (200 if unit == "fd0-fingerd" else 20)
        assert not failed(box)
        assert box.run("systemctl", "is-active", f"{unit}.socket").stdout.strip() == "active"
        with box.network():
            assert machine.until(lambda: _answer(finger, b"\r\n"), 60, "an answer after the burst")
    finally:
        box.run("systemctl", "stop", f"{unit}.socket")
        box.run("systemctl", "start", "fd0-fingerd.socket")


def _answer(service, data):
    with contextlib.suppress(ConnectionError):
        return clients.converse(("127.0.0.1", service.port), data)


@pytest.mark.parametrize("service", SERVICES, **NAMED)
def test_after_a_kill_the_next_caller_is_served(box, service):
    unit = f"fd0-{service.name}.service"
    box.run("systemctl", "start", unit)
    box.run("systemctl", "kill", "--signal=KILL", unit)
    machine.until(lambda: box.run("systemctl", "is-active", unit, check=False).stdout.strip() != "active",
                  what="the end of a killed service")
    if "stream" in service.sockets:
        before = len(closes(box, service.name))
        converse(box, service, said_to(service))
        machine.until(lambda: len(closes(box, service.name)) > before, what="a conversation after the kill")
    assert box.run("systemctl", "is-active", f"fd0-{service.name}.socket").stdout.strip() == "active"
    assert not failed(box)


def test_a_wrong_option_is_named_in_the_journal_and_mended_without_touching_the_socket(box):
    echo = next(service for service in STREAMS if service.name == "echod")
    file = box.root / "etc/fd0/echod.conf"
    box.run("systemctl", "stop", "fd0-echod.service")
    file.write_text("timeuot = 5\n")
    try:
        assert converse(box, echo, b"") == b""
        machine.until(lambda: any("/etc/fd0/echod.conf:1: no option timeuot (did you mean timeout?)" in line
                                  for line in box.journal("-t", "echod")), what="the complaint in the journal")
        stderr = [line for line in box.journal("-u", "fd0-echod.service") if line.startswith("echod: ")]
        assert stderr == [], "it is said once, though stderr and syslog are both the journal"
    finally:
        file.unlink()
    with box.network():
        machine.until(lambda: _answer(echo, b"hello") == b"hello", 60, "an answer after the file was mended")
    assert box.run("systemctl", "is-active", "fd0-echod.socket").stdout.strip() == "active"
    assert not failed(box)


def test_an_idle_service_leaves_and_comes_back(box):
    echo = next(service for service in STREAMS if service.name == "echod")
    file = box.root / "etc/fd0/echod.conf"
    file.write_text("idle = 3\n")
    try:
        box.run("systemctl", "restart", "fd0-echod.service")
        assert converse(box, echo, b"one") == b"one"
        machine.until(lambda: box.run("systemctl", "is-active", "fd0-echod.service", check=False).stdout.strip()
                      == "inactive", 20, "the end of an idle service")
        assert converse(box, echo, b"two") == b"two"
    finally:
        file.unlink()
