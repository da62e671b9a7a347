"""A program that stays: how it begins, shares, limits, drains, leaves and comes back, and loses nobody meanwhile."""

import collections
import contextlib
import os
import re
import select
import signal
import socket
import threading

import pytest

from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import WAIT, ByHand, Service, Xinetd

MODELS = ["one", "fork", "thread"]
SHARING = ["fork", "thread"]                            # those that hold several conversations at once


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def start(log):
    """A function that starts a program on a listener of ours, and waits until it serves."""
    with contextlib.ExitStack() as stack:
        def started(sock, *options, name="echod", prefix=()):
            begun = len(texts(log, "start"))
            process = installed.as_inetd(installed.argv(name, f"--log={log.path}", *options), sock, prefix=prefix)
            stack.callback(process.end)
            log.wait_for(r"\bstart ", count=begun + 1)
            return process.first
        yield started


@pytest.fixture
def by_hand(log):
    """A function that starts a program with --listen."""
    with contextlib.ExitStack() as stack:
        def started(*options, name="echod"):
            service = Service(installed.argv(name, f"--log={log.path}", *options), wait=WAIT)
            return stack.enter_context(ByHand(service))
        yield started


def texts(log, event):
    """The texts of an event, so far."""
    return [record.text for record in log.records if record.text.split()[0] == event]


def sessions(log, event):
    """The session ids of an event, so far."""
    return [re.search(r"session=(\w+)", text)[1] for text in texts(log, event)]


@contextlib.contextmanager
def talking(address, source=None):
    """A conversation with echod that has begun, and is ended in the end."""
    with clients.connect(address, source=source) as sock:
        assert echoed(sock, b"begun")
        yield sock


def echoed(sock, data):
    """Send something to echod; is it what comes back?"""
    sock.sendall(data)
    return receive(sock, len(data)) == data


def receive(sock, size):
    """So many octets, or what there is up to the end."""
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


class Callers:
    """Threads that hold one conversation after another; what went wrong is raised at the end."""

    def __init__(self, address, threads=3):
        self.address, self.done, self.failures, self.over = address, 0, [], False
        self.threads = [threading.Thread(target=self._call, daemon=True) for _ in range(threads)]

    def _call(self):
        while not self.over:
            try:
                assert clients.converse(self.address, b"hello") == b"hello"
                self.done += 1
            except Exception as error:
                self.failures.append(error)
                return

    def served(self, more):
        """Wait until so many more conversations were held."""
        wanted = self.done + more
        machine.until(lambda: self.failures or self.done >= wanted, what="conversations")
        assert not self.failures

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join()
        assert not self.failures


# The models.

@pytest.mark.parametrize("processes_", ["1", "2"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_echoes(by_hand, log, model, processes_):
    host = by_hand(f"--model={model}", f"--processes={processes_}")
    data = os.urandom(300000)
    assert clients.converse(host.address, data) == data
    with Callers(host.address) as callers:
        callers.served(20)
    assert f" model={model} " in texts(log, "start")[0]


# Leaving, and coming back.

class Activator:
    """systemd in miniature: starts a server whenever somebody calls and none runs."""

    def __init__(self, command):
        self.command, self.started, self.statuses = command, None, []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.wake, self.over = socket.socketpair()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        while self.wake not in select.select([self.listener, self.wake], [], [])[0]:
            self.started = installed.as_systemd(self.command, [self.listener])
            self.statuses.append(self.started.first.wait(30))

    def __exit__(self, *_):
        self.over.send(b"x")
        if self.started:
            self.started.end()
        self.thread.join()
        for sock in (self.listener, self.wake, self.over):
            sock.close()


def test_servers_leave_when_idle_and_come_back_when_called():
    """All at once, since idle means three seconds at least."""
    with contextlib.ExitStack() as stack:
        logs = {}

        def command(name, *options):
            logs[name] = stack.enter_context(devlog.LogSocket())
            return installed.argv("echod", "--idle=3", f"--log={logs[name].path}", *options)

        stays = stack.enter_context(ByHand(Service(command("stays"), wait=WAIT)))
        assert clients.converse(stays.address, b"hello") == b"hello"
        anew = stack.enter_context(ByHand(Service(command("anew"), wait=WAIT)))
        logs["anew"].wait_for(r"\bstart ")
        os.kill(anew.pid, signal.SIGHUP)
        logs["anew"].wait_for(r"\bstart ", count=2)
        talks = stack.enter_context(Xinetd(Service(command("talks"), wait=WAIT)))
        open_ = stack.enter_context(talking(talks.address))
        hosts = {
            "thread": Xinetd(Service(command("thread", "--model=thread"), wait=WAIT)),
            "fork": Xinetd(Service(command("fork", "--model=fork"), wait=WAIT)),
            "one": Xinetd(Service(command("one", "--model=one"), wait=WAIT)),
            "workers": Xinetd(Service(command("workers", "--processes=2"), wait=WAIT)),
            "datagrams": Xinetd(Service(command("datagrams"), "dgram", WAIT)),
            "systemd": Activator(command("systemd")),
        }
        for host in hosts.values():
            stack.enter_context(host)
        for turn in (1, 2):
            for name, host in hosts.items():
                talk = clients.ask if name == "datagrams" else clients.converse
                assert talk(host.address, b"hello") == b"hello", name
                logs[name].wait_for(r"\bstart ", count=turn)
            if turn == 1:
                for name in hosts:
                    logs[name].wait_for(r"\bstop why=idle ")
        for name in hosts:
            first, second = [record.pid for record in logs[name].records if record.text.startswith("start ")]
            assert first != second, name
        assert hosts["systemd"].statuses == [0]
        assert texts(logs["stays"], "stop") == texts(logs["talks"], "stop") == []
        assert len(texts(logs["anew"], "stop")) == 1    # that of SIGHUP
        assert echoed(open_, b"still here")
        for host in (stays, anew):
            assert clients.converse(host.address, b"hello") == b"hello"


# How many.

@pytest.mark.parametrize("model", SHARING)
def test_one_more_than_max_waits_and_is_served_when_another_leaves(listener, start, log, model):
    start(listener, f"--model={model}", "--max=2")
    address = listener.getsockname()
    with talking(address) as first, talking(address) as second:
        with clients.connect(address) as third:
            third.sendall(b"third")
            assert echoed(first, b"I talk") and echoed(second, b"so do I")
            assert select.select([third], [], [], 0)[0] == []
            first.close()
            assert receive(third, 5) == b"third"
            assert echoed(second, b"so do I")
        log.wait_for(r"\bclose ", count=2)
    events = [record.text.split()[0] for record in log.records]
    assert events[:5] == ["start", "open", "open", "close", "open"]


@pytest.mark.parametrize("model", SHARING)
def test_refusals_of_a_source_are_logged_once_and_said_in_the_protocols_words(listener, start, log, model):
    start(listener, f"--model={model}", "--per-source=1", name="probed")
    address = listener.getsockname()
    with clients.connect(address) as first:
        first.sendall(b"says hello\r\n")
        assert receive(first, 10) == b"200 done\r\n"
        for _ in range(20):
            assert clients.converse(address) == b"421 not now\r\n"
        assert clients.converse(address, b"quit\r\n", source="127.0.0.9") == b""        # another source
        first.sendall(b"quit\r\n")
        assert receive(first, 1) == b""
    log.wait_for(r"\bclose ", count=2)
    assert clients.converse(address, b"quit\r\n") == b""
    refusals = texts(log, "refused")
    assert 1 <= len(refusals) <= 2                      # once a minute, and one minute may just have ended
    assert re.match(r"refused from=\[127\.0\.0\.1\]:\d+ why=per-source$", refusals[0])
    assert {record.priority for record in log.records if record.text in refusals} == {"notice"}


@pytest.mark.parametrize("model", MODELS)
def test_more_than_the_rate_of_a_source_is_refused(listener, start, log, model):
    start(listener, f"--model={model}", "--rate=1", name="probed")
    said = [clients.converse(listener.getsockname()) for _ in range(20)]
    assert set(said) == {b"", b"421 not now\r\n"}
    log.wait_for(r"\bclose ", count=said.count(b""))
    refusals = texts(log, "refused")
    assert 1 <= len(refusals) <= 2 and refusals[0].endswith(" why=rate")


def test_more_datagrams_than_the_rate_get_no_answer(log):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        sock.bind(("127.0.0.1", 0))
        client.connect(sock.getsockname())
        for number in range(20):
            client.send(b"%d" % number)
        process = installed.as_inetd(installed.argv("echod", f"--log={log.path}", "--rate=5"), sock)
        log.wait_for(r"\brefused .* why=rate$")
        os.kill(process.first.pid, signal.SIGTERM)
        assert process.first.wait(60) == 0
        process.end()
    summary = log.wait_for(r"\bpackets ").text
    count = re.match(r"packets in=20 answered=(\d+) ignored=0 refused=(\d+)$", summary)
    assert int(count[1]) in (5, 10) and int(count[1]) + int(count[2]) == 20


# Ending.

@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("model", MODELS)
def test_a_drain_finishes_conversations_and_leaves_the_queue_to_the_next(listener, start, log, model, number):
    address = listener.getsockname()
    server = start(listener, f"--model={model}", "--max=1")
    with talking(address) as running, clients.connect(address) as queued:
        queued.sendall(b"queued")
        server.send_signal(getattr(signal, number))
        assert echoed(running, b"still here")
        assert server.poll() is None
        running.shutdown(socket.SHUT_WR)
        assert receive(running, 1) == b""
        assert server.wait(60) == 0
        stop = log.wait_for(r"\bstop ").text
        assert f"why={number} " in stop and "conversations=1" in stop
        assert sessions(log, "open") == sessions(log, "close") and len(sessions(log, "open")) == 1
        start(listener, f"--model={model}")
        assert receive(queued, 6) == b"queued"


@pytest.mark.parametrize("processes_", ["1", "2"])
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_server_without_conversations_ends_at_once(listener, start, log, number, processes_):
    server = start(listener, f"--processes={processes_}")
    server.send_signal(getattr(signal, number))
    assert server.wait(60) == 0
    assert f"why={number} " in log.wait_for(r"\bstop ").text


@pytest.mark.parametrize("model", MODELS)
def test_grace_ends_a_stubborn_conversation(listener, start, log, model):
    server = start(listener, f"--model={model}", "--grace=1")
    with talking(listener.getsockname()) as stubborn:
        server.send_signal(signal.SIGTERM)
        assert receive(stubborn, 1) == b""
        assert server.wait(60) == 0
    assert " reason=stopped " in log.wait_for(r"\bclose ").text
    log.wait_for(r"\bstop ")
    assert sessions(log, "open") == sessions(log, "close") and texts(log, "crash") == []


def test_a_child_that_has_not_heard_is_told_again(listener, start, log):
    server = start(listener, "--grace=600", "--timeout=600", name="deafd")
    with clients.connect(listener.getsockname()) as sock:
        assert sock.recv(100) == b"220 speak up\r\n"
        server.send_signal(signal.SIGTERM)
        assert sock.recv(1) == b"", "a grace is for those who are in the middle of something"
        assert server.wait(60) == 0


def test_grace_ends_a_stubborn_conversation_in_a_process_of_its_own(listener, log):
    with clients.connect(listener.getsockname()) as stubborn:
        sock, _ = listener.accept()
        process = installed.as_inetd(installed.argv("echod", f"--log={log.path}", "--grace=1"), sock)
        sock.close()
        assert echoed(stubborn, b"begun")
        process.first.send_signal(signal.SIGTERM)
        assert receive(stubborn, 1) == b""
        assert process.first.wait(60) == 0
        process.end()
    assert " reason=stopped " in log.wait_for(r"\bclose ").text


@pytest.mark.parametrize("model", SHARING)
def test_no_connection_is_lost_while_a_server_of_xinetd_is_told_to_start_anew(log, model):
    service = Service(installed.argv("echod", f"--log={log.path}", f"--model={model}"), wait=WAIT)
    with Xinetd(service) as host, Callers(host.address) as callers:
        for turn in range(1, 9):
            pid = log.wait_for(r"\bstart ", count=turn).pid
            callers.served(5)
            os.kill(pid, signal.SIGHUP)
    assert len(texts(log, "start")) >= 8
    assert all("why=SIGHUP " in text for text in texts(log, "stop"))


@pytest.mark.parametrize("model", SHARING)
def test_a_server_that_bound_its_port_becomes_the_new_version_itself(by_hand, log, model):
    host = by_hand(f"--model={model}")
    with Callers(host.address) as callers:
        for turn in range(1, 6):
            record = log.wait_for(r"\bstart ", count=turn)
            assert record.pid == host.pid
            callers.served(5)
            os.kill(host.pid, signal.SIGHUP)
        log.wait_for(r"\bstart ", count=6)
        callers.served(5)
    assert len({text.partition(" listen=")[2] for text in texts(log, "start")}) == 1
    os.kill(host.pid, signal.SIGTERM)
    assert host.wait() == 0
    log.wait_for(r"\bstop why=SIGTERM ")
    assert sorted(sessions(log, "open")) == sorted(sessions(log, "close"))


def test_a_server_that_became_the_new_version_itself_still_logs_what_is_written_to_descriptor_2(log):
    """When descriptors 1 and 2 were one pipe, and so 2 our own."""
    reader, writer = os.pipe()
    command = installed.argv("probed", f"--log={log.path}", "--listen=127.0.0.1:0")
    process = processes.Processes(command, stdin=reader, stdout=writer, stderr=writer)
    for turn in (1, 2):
        port = int(re.search(r"\]:(\d+)", log.wait_for(r"\bstart .* listen=", count=turn).text)[1])
        assert clients.converse(("127.0.0.1", port), b"writes\r\nquit\r\n") == b"200 done\r\n"
        log.wait_for(r'\bstderr text="to descriptor 2', count=turn)
        process.first.send_signal(signal.SIGHUP)
    process.end()
    os.close(reader)
    os.close(writer)


# Accidents.

@pytest.mark.parametrize("number", ["SIGKILL", "SIGSEGV"])
def test_the_death_of_a_child_is_logged_with_its_session_and_hurts_nobody_else(listener, start, log, number):
    start(listener, "--model=fork")
    address = listener.getsockname()
    with talking(address) as victim:
        record = log.wait_for(r"\bopen ")
        with talking(address) as other:
            os.kill(record.pid, getattr(signal, number))
            assert receive(victim, 1) == b""
            session = record.text.split()[1]
            crash = log.wait_for(r"\bcrash ")
            assert crash.priority == "err" and crash.text == f"crash {session} pid={record.pid} status={number}"
            close = log.wait_for(rf"\bclose {session} ")
            assert " reason=crash " in close.text
            assert echoed(other, b"still here")
        assert clients.converse(address, b"hello") == b"hello"


@pytest.mark.parametrize("model", MODELS)
def test_a_worker_that_was_killed_is_replaced(by_hand, log, model):
    host = by_hand(f"--model={model}", "--processes=2")
    machine.until(lambda: len(host.servers()) == 2, what="workers")
    killed, other = host.servers()
    os.kill(killed, signal.SIGKILL)
    record = log.wait_for(r"\bcrash ")
    assert record.text == f"crash pid={killed} status=SIGKILL" and record.priority == "err"
    machine.until(lambda: len(host.servers()) == 2 and killed not in host.servers(), what="new worker")
    assert other in host.servers()
    os.kill(other, signal.SIGKILL)                      # now the new one is alone
    for _ in range(5):
        assert clients.converse(host.address, b"hello") == b"hello"
    machine.until(lambda: len(host.servers()) == 2, what="new worker")
    os.kill(host.pid, signal.SIGTERM)
    assert host.wait() == 0 and host.alive() == set()


def callers_of(host, log, count):
    """How many of so many conversations, which all go on, each process under `host` began."""
    log.wait_for(r"\bopen ", count=count)
    talking = [record.pid for record in log.records if record.text.startswith("open ")]
    parents = {pid: parent(pid) for pid in talking}
    return collections.Counter(pid if parents[pid] == host.pid else parents[pid] for pid in talking)


def parent(pid):
    """The process that started this one."""
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("model", ["fork", "thread"])
def test_processes_have_about_as_many_callers_of_a_burst_each(by_hand, log, model):
    host = by_hand(f"--model={model}", "--processes=2")
    both = machine.until(lambda: len(host.servers()) == 2 and host.servers(), what="workers")
    with contextlib.ExitStack() as stack:
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        callers = [stack.enter_context(clients.connect(host.address)) for _ in range(32)]
        for pid in both:
            os.kill(pid, signal.SIGCONT)
        assert all(echoed(sock, b"begun") for sock in callers)
        counts = callers_of(host, log, 32)
    assert len(counts) == 2 and min(counts.values()) >= 8


def test_a_process_that_is_stuck_keeps_nobody_waiting(by_hand, log):
    host = by_hand("--model=thread", "--processes=2")
    stuck, other = machine.until(lambda: len(host.servers()) == 2 and host.servers(), what="workers")
    os.kill(stuck, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(talking(host.address))
        assert callers_of(host, log, 8) == {other: 8}
        os.kill(stuck, signal.SIGCONT)


def zombies(parent):
    """The ids of a process's children that nobody has waited for."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
            state, ppid = file.read().rpartition(")")[2].split()[:2]
            if state == "Z" and int(ppid) == parent:
                found.add(int(name))
    return found


def test_children_are_waited_for(by_hand):
    host = by_hand("--model=fork")
    with talking(host.address):
        here = {host.pid, *host.servers()}              # whoever listens, may keep it running, and talks
        with Callers(host.address) as callers:
            callers.served(50)
        machine.until(lambda: not any(map(zombies, here)) and {host.pid, *host.servers()} == here,
                      what="end of children")


def test_a_server_without_descriptors_pauses_and_recovers_and_does_not_spin(listener, start, log, tmp_path):
    trace = tmp_path / "trace"
    prefix = [machine.program("strace", "strace"), "-f", "-e", "trace=accept4,fcntl", "-o", str(trace),
              machine.program("prlimit", "util-linux"), "--nofile=16:16"]
    start(listener, "--model=thread", prefix=prefix)
    callers = []
    for number in range(16):
        callers.append(clients.connect(listener.getsockname()))
        callers[-1].sendall(b"%2d" % number)
    assert log.wait_for(r"\bpressure ").text == 'pressure why="[Errno 24] Too many open files"'
    assert len(texts(log, "open")) < 16
    for number, sock in enumerate(callers):             # each end makes room for another
        assert receive(sock, 2) == b"%2d" % number
        sock.close()
    log.wait_for(r"\bclose ", count=16)
    assert len(texts(log, "pressure")) <= 2
    looks = trace.read_text().count("F_DUPFD_CLOEXEC")
    assert 1 <= looks <= 200                            # ten a second; in a loop there would be thousands
    assert trace.read_text().count("EMFILE") <= 16


def test_a_server_at_its_maximum_does_not_spin_either(listener, start, tmp_path):
    trace = tmp_path / "trace"
    prefix = [machine.program("strace", "strace"), "-f", "-e", "trace=accept4,poll", "-o", str(trace)]
    start(listener, "--model=thread", "--max=1", prefix=prefix)
    address = listener.getsockname()
    with talking(address) as first, clients.connect(address) as second:
        second.sendall(b"second")
        for number in range(20):
            assert echoed(first, b"%d" % number)
        first.close()
        assert receive(second, 6) == b"second"
    assert len(trace.read_text().splitlines()) < 200


def test_a_second_signal_is_no_trouble(listener, start, log):
    server = start(listener, "--model=fork")
    with talking(listener.getsockname()) as running:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            server.send_signal(number)
            assert echoed(running, b"still here")
        running.close()
        assert server.wait(60) == 0
    log.wait_for(r"\bstop ")
    assert len(texts(log, "stop")) == 1 and texts(log, "crash") == []


def test_the_process_has_the_programs_name(listener, start):
    server = start(listener)
    assert processes.running(server.pid)
    with open(f"/proc/{server.pid}/comm") as file:
        assert file.read() == "echod\n"
