"""Limits that processes share, under real launchers: who is one too many hears so, and who is killed makes room."""

import contextlib
import os
import re
import signal
import socket

import pytest

from daemons.kernel import limits
from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import NOWAIT, WAIT, ByHand, OurInetd, Service, SocketActivate, Xinetd

BUSY = b"421 not now\r\n"
# a machine of its own as far as /run goes, with the directory that tmpfiles.d makes
WITH_RUN = ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
            'mount -t tmpfs tmpfs /run; mkdir -m 770 /run/fd0; exec "$@"', "sh"]
ALIKE = ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
         'mount -t tmpfs tmpfs /run; exec "$@"', "sh"]


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


@pytest.fixture
def table():
    """The path of a table in a directory that everybody can reach, so that it is said who may use it."""
    folder = processes.new_folder("limits")
    os.chmod(folder, 0o755)
    return f"{folder}/limits"


@pytest.fixture
def start(log):
    """A function that starts a launcher with a program of ours."""
    with contextlib.ExitStack() as stack:
        def started(launcher, *options, name="probed", wait=NOWAIT, prefix=(), **attributes):
            service = Service(installed.argv(name, f"--log={log.path}", *options), wait=wait, attributes=attributes)
            return stack.enter_context(launcher(service, prefix=prefix))
        yield started


@contextlib.contextmanager
def talking(address, source=None):
    """A conversation with probed that has begun."""
    with clients.connect(address, source=source) as sock:
        sock.sendall(b"says hello\r\n")
        assert line(sock) == b"200 done\r\n"
        yield sock


def line(sock):
    """A line, or what comes up to the end."""
    data = b""
    while not data.endswith(b"\n") and (more := sock.recv(1)):
        data += more
    return data


def texts(log, event):
    """The texts of an event, so far."""
    return [record.text for record in log.records if record.text.split()[0] == event]


def is_busy(address, source=None):
    """Is a client turned away in the protocol's words?  One who is not says nothing and leaves."""
    said = clients.converse(address, source=source)
    assert said in (b"", BUSY)
    return said == BUSY


def opened(log, count=1):
    """The process that holds the count-th conversation."""
    return log.wait_for(r"\bopen session=", count=count).pid


# -- a process for each connection --

@pytest.mark.parametrize("launcher", [Xinetd, OurInetd, SocketActivate])
def test_one_too_many_from_a_source_hears_so_and_who_is_killed_makes_room(start, log, table, launcher):
    host = start(launcher, f"--limits={table}", "--per-source=1")
    with talking(host.address) as first:
        holder = opened(log)
        for _ in range(3):
            assert is_busy(host.address)
        assert not is_busy(host.address, source="127.0.0.9")
        os.kill(holder, signal.SIGKILL)
        assert first.recv(1) == b""
    assert not is_busy(host.address)
    closed = log.wait_for(r"\bclose .* reason=denied why=per-source ", count=3)
    assert closed.priority == "info"
    refused = texts(log, "refused")
    assert 1 <= len(refused) <= 2, "once a minute among all processes, and one minute may just have ended"
    assert re.fullmatch(r"refused session=\w+ from=\[127\.0\.0\.1\]:\d+ why=per-source", refused[0])
    known = {one.source: one for one in limits.report(table)}
    assert known["127.0.0.1"].allowed == 1 and known["127.0.0.1"].refused is not None


@pytest.mark.parametrize("option, why", [("--max=2", "instances"), ("--rate=2", "rate")])
def test_instances_and_rate_hold_under_xinetd(start, log, table, option, why):
    host = start(Xinetd, f"--limits={table}", option)
    if why == "rate":
        assert True in {is_busy(host.address) for _ in range(30)}, "thirty processes start in less than ten seconds"
    else:
        with talking(host.address), talking(host.address, source="127.0.0.9"):
            assert is_busy(host.address)
            os.kill(opened(log, 2), signal.SIGKILL)
            machine.until(lambda: not is_busy(host.address), what="room")
    log.wait_for(rf"\brefused .* why={why}$")
    log.wait_for(rf"\bclose .* reason=denied why={why} ")


def test_clients_that_come_at_once_never_exceed_the_limit(start, log, table):
    host = start(Xinetd, f"--limits={table}", "--per-source=4", instances="UNLIMITED", per_source="UNLIMITED")
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(clients.connect(host.address)) for _ in range(16)]
        for sock in callers:
            sock.sendall(b"says hello\r\n")
        said = [line(sock) for sock in callers]
        assert sorted(said) == [b"200 done\r\n"] * 4 + [BUSY] * 12


def test_two_programs_of_a_group_share_and_others_do_not(start, log, table):
    shared = f"--limits={table}", "--limit-group=all", "--per-source=1"
    one, two = start(Xinetd, *shared), start(Xinetd, *shared, name="logind")
    alone = start(Xinetd, f"--limits={table}", "--per-source=1", name="logind")
    with talking(one.address):
        assert clients.converse(two.address) == BUSY
        assert clients.converse(alone.address) == b"220 who\r\n"
    log.wait_for(r"probed.*\bclose ")
    assert clients.converse(two.address) == b"220 who\r\n"


def test_a_listener_and_a_process_for_each_connection_share(start, log, table):
    shared = f"--limits={table}", "--limit-group=all", "--per-source=2"
    stays, each = start(ByHand, *shared, wait=WAIT), start(Xinetd, *shared)
    with talking(stays.address) as first, talking(each.address):
        assert is_busy(stays.address) and is_busy(each.address)
        first.close()
        log.wait_for(r"\bclose .* reason=gone ")
        assert not is_busy(each.address)


def need_namespaces():
    if os.geteuid() != 0:
        machine.unavailable("a /run of our own needs root")


def test_run_fd0_is_the_place_and_is_needed(start, log):
    need_namespaces()
    host = start(Xinetd, "--per-source=1", prefix=WITH_RUN)
    with talking(host.address):
        assert is_busy(host.address)
    lacks = start(Xinetd, "--per-source=1", prefix=ALIKE)
    assert clients.converse(lacks.address) == b"", "what restricts fails closed"
    record = log.wait_for(r"\bmisuse text=")
    assert record.priority == "err" and "there is no directory /run/fd0" in record.text


def test_a_listener_without_run_fd0_counts_alone(start, log):
    need_namespaces()
    for prefix in (ALIKE, WITH_RUN):
        host = start(ByHand, "--per-source=1", wait=WAIT, prefix=prefix)
        with talking(host.address):
            assert is_busy(host.address) and not is_busy(host.address, source="127.0.0.9")


def test_a_file_that_is_not_to_be_trusted_lets_nobody_in(start, log, table):
    os.symlink("/etc/passwd", table)
    host = start(Xinetd, f"--limits={table}", "--per-source=1")
    assert clients.converse(host.address) == b""
    assert "is a symbolic link" in log.wait_for(r"\bmisuse text=").text
    assert os.readlink(table) == "/etc/passwd"


# -- a program that accepts itself --

@pytest.mark.parametrize("model", ["fork", "thread", "one"])
@pytest.mark.parametrize("where", ["own", "file"])
def test_workers_share(start, log, table, where, model):
    place = "own" if where == "own" else table
    host = start(ByHand, f"--limits={place}", f"--model={model}", "--processes=2", "--per-source=1", wait=WAIT)
    with talking(host.address):
        assert all(is_busy(host.address) for _ in range(10)), "whichever of the two takes the call"
        assert not is_busy(host.address, source="127.0.0.9")
    log.wait_for(r"\bclose .* reason=gone ", count=2)
    assert not is_busy(host.address)
    refused = texts(log, "refused")
    assert 1 <= len(refused) <= 2 and " why=per-source" in refused[0]


def test_a_child_that_is_killed_makes_room_at_once(start, log, table):
    host = start(ByHand, f"--limits={table}", "--model=fork", "--per-source=1", wait=WAIT)
    with talking(host.address) as first:
        os.kill(opened(log), signal.SIGKILL)
        assert first.recv(1) == b""
        assert not is_busy(host.address)


def test_children_outlive_a_parent_that_is_killed_and_still_count(start, log, table):
    host = start(ByHand, f"--limits={table}", "--model=fork", "--per-source=1", wait=WAIT)
    other = start(Xinetd, f"--limits={table}", "--per-source=1")
    with talking(host.address) as first:
        os.kill(host.pid, signal.SIGKILL)
        host.wait()
        assert is_busy(other.address)
        first.sendall(b"says more\r\n")
        assert line(first) == b"200 done\r\n"
        first.close()
        machine.until(lambda: not is_busy(other.address), what="room")


@pytest.mark.parametrize("model", ["fork", "thread"])
def test_counts_hold_below_another_root_and_as_another_user(start, log, table, model):
    need_namespaces()
    jail = processes.new_folder("jail")
    os.chmod(jail, 0o755)
    host = start(ByHand, f"--limits={table}", f"--model={model}", "--per-source=1", "--user=nobody",
                 f"--chroot={jail}", "--logopt=ndelay,pid", wait=WAIT)
    with talking(host.address):
        assert is_busy(host.address)
    log.wait_for(r"\bclose .* reason=gone ")
    assert not is_busy(host.address)
    assert not texts(log, "crash")


def test_the_table_may_be_removed_or_cut_short_under_a_listener(start, log, table):
    host = start(ByHand, f"--limits={table}", "--model=thread", "--per-source=1", wait=WAIT)
    for spoil in (os.unlink, lambda path: os.truncate(path, 0), lambda path: os.truncate(path, 20000)):
        spoil(table)
        with talking(host.address):
            assert is_busy(host.address)
        machine.until(lambda: not is_busy(host.address), what="room")
    assert not texts(log, "crash") and host.pid in host.alive()


def test_datagrams_over_the_rate_are_counted_by_all_workers(log):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        sock.bind(("127.0.0.1", 0))
        client.connect(sock.getsockname())
        for number in range(100):
            client.send(b"%d" % number)
        command = installed.argv("echod", f"--log={log.path}", "--rate=5", "--processes=2")
        process = installed.as_inetd(command, sock)
        log.wait_for(r"\brefused .* why=rate$")
        os.kill(process.first.pid, signal.SIGTERM)
        assert process.first.wait(10) == 0
        process.end()
    summaries = [list(map(int, re.findall(r"=(\d+)", text))) for text in texts(log, "packets")]
    received, answered, _, refused = map(sum, zip(*summaries))
    assert answered in (5, 10) and answered + refused == received == 100
    assert len(texts(log, "refused")) == 1


# -- failed logins --

def waits(log):
    """Seconds that logins waited, in their order."""
    return [int(text.rpartition("=")[2]) for text in texts(log, "login")]


def test_failed_logins_slow_down_the_next_process(start, log, table):
    host = start(Xinetd, f"--limits={table}", name="logind")
    assert clients.converse(host.address, b"u\r\nwrong\r\nquit\r\n") == b"220 who\r\n530 no\r\n"
    for _ in range(2):
        assert clients.converse(host.address, b"u\r\nwrong\r\nquit\r\n") == b"220 who\r\n530 no\r\n", "the same pair"
    one, = limits.report(table, "127.0.0.1")
    assert (one.group, one.penalty) == ("logind", 2) and 0 < one.left <= 60
    assert clients.converse(host.address, b"u\r\nright\r\nquit\r\n") == b"220 who\r\n230 welcome\r\n"
    assert limits.report(table, "127.0.0.1")[0].penalty == 0
    assert waits(log) == [0, 2, 2, 2]


@pytest.mark.parametrize("model", ["fork", "thread"])
def test_failed_logins_slow_down_the_next_conversation_of_a_listener(start, log, model):
    host = start(ByHand, "--limits=own", f"--model={model}", "--processes=2", name="logind", wait=WAIT)
    for password in (b"a", b"b"):
        assert clients.converse(host.address, b"u\r\n%s\r\nquit\r\n" % password) == b"220 who\r\n530 no\r\n"
    assert clients.converse(host.address, b"u\r\na\r\nquit\r\n", source="127.0.0.9") == b"220 who\r\n530 no\r\n"
    assert waits(log) == [0, 2, 0]


def test_who_hangs_up_while_he_waits_is_not_kept(start, log, table):
    host = start(Xinetd, f"--limits={table}", name="logind")
    for number, password in enumerate((b"a", b"b", b"c"), 1):
        with clients.connect(host.address) as sock:
            assert line(sock) == b"220 who\r\n"
            sock.sendall(b"u\r\n%s\r\n" % password)
            log.wait_for(r"\blogin ", count=number)
            assert number > 1 or line(sock) == b"530 no\r\n"
    log.wait_for(r"\bclose .* reason=gone seconds=[01]\.", count=3)
    assert limits.report(table)[0].penalty == 2, "who did not hear the answer was not told either"


def test_trusted_networks_never_wait(start, log, table):
    host = start(Xinetd, f"--limits={table}", "--penalty-exempt=127.0.0.0/8", name="logind")
    said = b"".join(b"u\r\n%d\r\n" % number for number in range(5)) + b"quit\r\n"
    assert clients.converse(host.address, said) == b"220 who\r\n" + b"530 no\r\n" * 5
    assert waits(log) == [0] * 5 and limits.report(table) == []
