"""Every program under every launch and bad condition: service, or one clear line; no word of ours at a client.

A launch is what lies on descriptors 0 to 3; a condition is what the parent or the machine did to us (launching.py).
"""

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess

import pytest

from tests.live import clients, devlog, installed, machine, processes

from . import anybody, kit, launching, loglines

SECONDS = 60
OURS = re.compile(rb"Traceback|File \"|Exception|Error:|daemons[./]|python|warning:", re.IGNORECASE)


class Launched:
    """A program, its log, and what a client may hear of it."""

    def __init__(self, stack, name, condition=None, options=()):
        self.stack, self.name, self.condition = stack, name, condition or launching.Condition()
        self.log = stack.enter_context(devlog.LogSocket())
        dialogue = kit.starter(name) if name in kit.STREAMS else None
        arguments = dialogue.arguments if dialogue else kit.questions(name)[0][0]
        self.dialogue = dialogue
        target = [f"--log={self.log.path}"] if self.condition.logs else []
        find = anybody.argv if self.condition.user else installed.argv
        self.argv = find(name, *target, kit.no_options(), *arguments, *options)

    complaint = b""

    def start(self, **popen):
        """Start it with these descriptors."""
        folder = launching.set_trap(processes.new_folder("trap"))
        self.process = processes.Processes(
            [*self.condition.prefix, *self.argv], launching.environment(self.condition, folder), cwd=folder,
            **{"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, **popen, **self.condition.popen})
        self.stack.callback(self.process.end)
        return self.process.first

    def end(self):
        """Its exit status once it has ended, and what it had said on a stderr of its own."""
        status = self.process.first.wait(SECONDS)
        stderr = self.process.first.stderr
        return status, stderr.read() if stderr and not stderr.closed else self.complaint

    def events(self):
        """Its log, read back."""
        found = []
        for record in self.log.records:
            assert record.ident == self.name, record.line
            found.append(loglines.parse(record.text))
        return found

    def judge(self, heard, conversations=1):
        """Was this service, or one clear line?  Never anything between, and never a word of ours to the client."""
        status, complaint = self.end()
        assert not OURS.search(heard), heard
        assert complaint.count(b"\n") <= 1 and b"Traceback" not in complaint, complaint
        events = self.events()
        names = [event for event, _ in events]
        if status == 0:
            assert not {"crash", "misuse", "stderr"} & set(names), events
            if self.condition.logs:
                assert names.count("open") == names.count("close") == conversations, events
        else:
            assert status in (100, 111) and not self.condition.serves, (status, complaint, events)
            assert heard in (b"", kit.SERVICES[self.name].busy)
            assert names == ["misuse"] or not self.condition.logs or names == ["crash"], events
        return status


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def connected(stack):
    """(client, server): the ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = stack.enter_context(clients.connect(listener.getsockname()))
        server, _ = listener.accept()
    return client, stack.enter_context(server)


def answered(launched, heard, same=True):
    """Was the starter's dialogue held?"""
    octets, _ = kit.expected(launched.dialogue, [kit.said(launched.dialogue)] if launched.dialogue.said else [])
    if octets is not None and same:
        assert heard == octets
    else:
        assert bool(heard) == bool(launched.dialogue.heard)


def bound(stack, family, kind):
    """A bound socket; a stream listens."""
    sock = stack.enter_context(socket.socket(family, kind))
    where = processes.new_folder("sock") + "/socket" if family == socket.AF_UNIX else ("127.0.0.1", 0)
    sock.bind(where)
    if kind == socket.SOCK_STREAM:
        sock.listen()
    if family == socket.AF_UNIX:
        os.chmod(where, 0o777)
    return sock


# -- every program under every launch --

def on_connection(launched, data):
    client, server = connected(launched.stack)
    launched.start(stdin=server, stdout=server, stderr=server)
    server.close()
    heard = b""
    with contextlib.suppress(OSError):  # who does not begin reads nothing, and may be gone already
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            heard += piece
    return heard


def on_socketpair(launched, data):
    client, server = socket.socketpair()
    with client:
        launched.start(stdin=server, stdout=server, stderr=server)
        server.close()
        return clients.exchange(client, data)


def on_unix_connection(launched, data):
    listener = bound(launched.stack, socket.AF_UNIX, socket.SOCK_STREAM)
    with clients.connect(listener.getsockname()) as client:
        server, _ = listener.accept()
        launched.start(stdin=server, stdout=server, stderr=server)
        server.close()
        return clients.exchange(client, data)


def on_listen_fds_connection(launched, data):
    client, server = connected(launched.stack)
    launched.process = installed.as_systemd(launched.argv, [server])
    launched.stack.callback(launched.process.end)
    server.close()
    return clients.exchange(client, data)


def _listening(launched, data, sock, start):
    process = start(sock)
    heard = clients.converse(sock.getsockname(), data)
    launched.log.wait_for(" close ")
    os.kill(launched.log.wait_for(" start ").pid, signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    return heard


def on_listener(launched, data):
    return _listening(launched, data, bound(launched.stack, socket.AF_INET, socket.SOCK_STREAM),
                      lambda sock: launched.start(stdin=sock, stdout=sock, stderr=sock))


def on_listener_that_never_waits(launched, data):
    sock = bound(launched.stack, socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)             # a property of the open file, which is the launcher's and ours
    return _listening(launched, data, sock, lambda sock: launched.start(stdin=sock, stdout=sock, stderr=sock))


def on_unix_listener(launched, data):
    return _listening(launched, data, bound(launched.stack, socket.AF_UNIX, socket.SOCK_STREAM),
                      lambda sock: launched.start(stdin=sock, stdout=sock, stderr=sock))


def on_listen_fds(launched, data):
    def start(sock):
        launched.process = installed.as_systemd(launched.argv, [sock])
        launched.stack.callback(launched.process.end)
        return launched.process.first
    return _listening(launched, data, bound(launched.stack, socket.AF_INET, socket.SOCK_STREAM), start)


def on_pipes(launched, data):
    process = launched.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    heard, launched.complaint = process.communicate(data, SECONDS)
    return heard


def on_file(launched, data):
    path = processes.new_folder("file") + "/input"
    with open(path, "wb+") as file:
        file.write(data)
        file.seek(0)
        heard, launched.complaint = launched.start(stdin=file, stdout=subprocess.PIPE).communicate(timeout=SECONDS)
        return heard


def on_terminal(launched, data):
    master, slave = pty.openpty()
    launched.start(stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, data.replace(b"\r\n", b"\n")[:1000] + b"\n\x04")       # ^D
    heard = b""
    with contextlib.suppress(OSError):  # EIO once nobody has the other end
        while piece := os.read(master, 65536):
            heard += piece
    os.close(master)
    return heard


ON_STREAMS = (on_connection, on_socketpair, on_unix_connection, on_listen_fds_connection, on_listener,
              on_listener_that_never_waits, on_unix_listener, on_listen_fds, on_pipes, on_file, on_terminal)
WITH_PEER = (on_connection, on_listen_fds_connection, on_listener, on_listener_that_never_waits, on_listen_fds)


@pytest.mark.parametrize("way", ON_STREAMS, ids=lambda way: way.__name__)
@kit.streams
def test_a_program_of_streams_serves_whatever_it_is_given(stack, name, way):
    launched = Launched(stack, name)
    heard = way(launched, kit.said(launched.dialogue))
    if way is not on_terminal:          # which echoes
        answered(launched, heard, way in WITH_PEER)
    assert launched.judge(heard) == 0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("systemd", [False, True])
@kit.dgrams
def test_a_program_of_datagrams_serves_whatever_it_is_given(stack, name, family, systemd):
    launched = Launched(stack, name)
    sock = bound(stack, family, socket.SOCK_DGRAM)
    if systemd:
        launched.process = installed.as_systemd(launched.argv, [sock])
        stack.callback(launched.process.end)
    else:
        launched.start(stdin=sock, stdout=sock, stderr=sock)
    asked(launched, sock)
    os.kill(launched.log.wait_for(" start ").pid, signal.SIGTERM)
    assert launched.end()[0] == 0
    assert not {"crash", "misuse", "stderr", "warning"} & {event for event, _ in launched.events()}


def asked(launched, sock):
    """Put the program's questions to it; those that are answered on paper are answered."""
    from tests.play import ask, options_of
    for arguments, datagrams in kit.questions(launched.name)[:1]:
        for data in datagrams:
            module = kit.program(launched.name)
            on_paper = [ask(module, data, options=options_of(module, *arguments)) for _ in range(20)]
            if all(one is not None for one in on_paper):
                heard = clients.ask(sock.getsockname(), data)
                assert not OURS.search(heard)
    launched.log.wait_for(" start ")


# -- bad conditions --

PAIRS = [(name, condition) for number, condition in enumerate(launching.CONDITIONS)
         for name in (kit.STREAMS[number % len(kit.STREAMS)], kit.STREAMS[(number * 3 + 1) % len(kit.STREAMS)])]


@pytest.mark.parametrize("way", [on_connection, on_listener])
@pytest.mark.parametrize("name, condition", sorted(set(PAIRS)))
def test_a_bad_condition_is_no_trouble_or_one_clear_line(stack, name, condition, way):
    launched = Launched(stack, name, launching.CONDITIONS[condition]())
    if way is on_listener and not (launched.condition.listens and launched.condition.logs):
        way = on_connection             # no log would tell when it is there
    heard = way(launched, kit.said(launched.dialogue))
    if launched.judge(heard) == 0:
        answered(launched, heard, launched.condition.same)


NOT_OURS = re.compile(rb"error while loading|Fatal Python error|ImportError: lib|^MemoryError|Python runtime state|"
                      rb"frozen importlib|init_import_site|could not find platform|"
                      rb"Python path configuration", re.MULTILINE)


@pytest.mark.parametrize("limit", [*(f"--nofile={number}:{number}" for number in range(4, 14)),
                                   *(f"--as={megabytes << 20}" for megabytes in range(10, 30))])
def test_with_less_and_less_of_everything_nothing_of_ours_reaches_the_client(stack, limit):
    prlimit = [machine.program("prlimit", "util-linux"), limit, "--"]
    name = kit.STREAMS[0]
    launched = Launched(stack, name, launching.Condition(prlimit, serves=False))
    heard = on_connection(launched, kit.said(launched.dialogue))
    status, _ = launched.end()
    if NOT_OURS.search(heard):          # the interpreter's own end, before it had read a line of ours
        assert status not in (0, 100, 111)
        return
    assert status in (0, 100, 111) and not OURS.search(heard), (status, heard)
    if status == 0:
        answered(launched, heard)


def test_children_are_waited_for_though_the_parent_ignored_theirs(stack):
    launched = Launched(stack, kit.STREAMS[0], launching.CONDITIONS["signals ignored and blocked"]())
    launched.argv = installed.argv("weakd", f"--log={launched.log.path}")
    launched.name = "weakd"
    heard = on_connection(launched, b"execute exit 3\r\nexecute echo hello\r\n")
    assert heard == b"451 /bin/sh: exit status 3\r\n200 hello\r\n"
    assert launched.end()[0] == 0


# -- what cannot be served --

REDIRECTIONS = {"0 closed": "<&-", "0, 1 closed": "<&- >&-", "all closed": "<&- >&- 2>&-",
                "1, 2 closed": "</dev/null >&- 2>&-",
                "/dev/null read-only": "</dev/null >/dev/null 2>/dev/null", "/dev/null write-only": "0>/dev/null",
                "/dev/zero": "</dev/zero", "/dev/full": "</dev/full >/dev/full"}


@pytest.mark.parametrize("redirection", REDIRECTIONS)
@pytest.mark.parametrize("name", list(kit.SERVICES))
def test_what_is_no_socket_ends_with_one_clear_line(stack, name, redirection):
    launched = Launched(stack, name)
    launched.condition.prefix = ["sh", "-c", f'exec "$@" {REDIRECTIONS[redirection]}', "sh"]
    launched.start(stdin=subprocess.DEVNULL)
    status, complaint = launched.end()
    (event, values), = launched.events()
    assert (status, event) == (111, "misuse") and b"no socket on descriptor 0" in values["text"]
    assert complaint.count(b"\n") <= 1 and b"Traceback" not in complaint


SOCKETS = {"netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
           "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
           "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM),
           "seqpacket": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)[0],
           "unconnected stream": socket.socket,
           "unconnected unix": lambda: socket.socket(socket.AF_UNIX)}


@pytest.mark.parametrize("sort", SOCKETS)
@kit.streams
def test_a_socket_of_no_use_ends_without_a_crash(stack, name, sort):
    try:
        sock = stack.enter_context(SOCKETS[sort]())
    except PermissionError:
        pytest.skip("this socket needs root")
    launched = Launched(stack, name)
    launched.start(stdin=sock, stdout=sock, stderr=sock)
    status, _ = launched.end()
    events = [event for event, _ in launched.events()]
    assert status in (0, 100, 111) and "crash" not in events, events
    assert len(events) >= 1             # whoever reads the log learns of it
