"""Nobody gets out: an intruder who runs inside a conversation, as root even, reaches nothing but his own peer.

Each attempt is made once with the sandbox and once without, where it must succeed: so these tests can fail.
"""

import contextlib
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.hostile.escaped import NEEDLESS
from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import WAIT, ByHand, Service

SHELL, SYSTEM_PYTHON = "/bin/sh", "/usr/bin/python3"
HELD_BACK = {"refused EPERM", "refused EACCES"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what root could do is tried as root")


class Surroundings:
    """What an intruder may want: a file, a folder, somebody else's process, listeners that count who calls."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "outside"
        self.file.write_text("not for him\n")
        self.file.chmod(0o600)
        self.name = f"/run/escaped-{os.getpid()}-{folder.name}"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.victim = stack.enter_context(subprocess.Popen(["sleep", "600"]))
            stack.callback(self.victim.kill)
            self.tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.udp.bind(("127.0.0.1", 0))
            self.abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
            self.abstract.bind(f"\0escaped-{os.getpid()}-{self.folder.name}")
            self.abstract.listen()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        Path(self.name).unlink(missing_ok=True)
        self.stack.close()

    def attempts(self):
        """Every line that the intruder says."""
        pid, port = self.victim.pid, self.tcp.getsockname()[1]
        about = {
            "opens_to_write": ["/etc/passwd", "/etc/ld.so.cache", os.path.realpath(os.__file__), self.file,
                               f"/proc/{pid}/mem"],
            "reads": ["/etc/shadow", "/etc/passwd", self.file, f"/proc/{pid}/environ"],
            "lists": ["/root", "/", "/etc", "/proc", self.folder], "makes": [self.name, self.folder / "new"],
            "links": [self.file], "changes_mode": [self.file], "changes_owner": [self.file], "truncates": [self.file],
            "removes": [self.folder / "outside.link"], "executes": [SHELL], "becomes_another": [SHELL],
            "calls_by_tcp": [port], "calls_by_udp": [self.udp.getsockname()[1]],
            "calls_abstract": [self.abstract.getsockname()[1:].decode()], "listens": [""],
            "binds_abstract": [f"mine-{pid}"], "makes_a_socket": [2, 10, 16, 17], "becomes_root": [""],
            "changes_groups": [""], "changes_root": [self.folder], "traces": [pid], "mounts": [self.folder],
            "unshares": [""], "clones_a_user_namespace": [""], "kills": [pid], "limits_another": [pid],
            "writes_code": [""], "turns_data_into_code": [""], "does_the_needless": list(NEEDLESS)}
        return [f"{what} {one}".strip() for what, several in about.items() for one in several]


@pytest.fixture
def around(tmp_path):
    with Surroundings(tmp_path) as made:
        yield made


@pytest.fixture
def log():
    with devlog.LogSocket() as sock:
        yield sock


@contextlib.contextmanager
def by_hand(log, *options, name="escaped"):
    with ByHand(Service(installed.argv(name, f"--log={log.path}", *options), wait=WAIT)) as host:
        yield clients.connect(host.address)


@contextlib.contextmanager
def launched(log, *options, wait):
    """As inetd starts it, on a connection or on the listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = clients.connect(listener.getsockname())
        sock = listener if wait else listener.accept()[0]
        process = installed.as_inetd(installed.argv("escaped", f"--log={log.path}", *options), sock)
        if not wait:
            sock.close()
        try:
            yield peer
        finally:
            process.end()


WAYS = {
    "fork": lambda log, *options: by_hand(log, "--model=fork", *options),
    "thread": lambda log, *options: by_hand(log, "--model=thread", *options),
    "one": lambda log, *options: by_hand(log, "--model=one", *options),
    "processes": lambda log, *options: by_hand(log, "--processes=2", *options),
    "nowait": lambda log, *options: launched(log, *options, wait=False),
    "wait": lambda log, *options: launched(log, *options, wait=True),
}
ways = pytest.mark.parametrize("way", WAYS)


def tried(peer, lines):
    """{attempt: what came of it}."""
    results = {}
    with peer, peer.makefile("rb") as file:
        for line in lines:
            peer.sendall(line.encode() + b"\n")
            results[line] = file.readline().decode().strip()
    return results


def escapes(results):
    return {line: result for line, result in results.items() if result not in HELD_BACK}


@ways
def test_nothing_can_be_reached(way, around, log):
    with WAYS[way](log, "--sandbox=strict") as peer:
        results = tried(peer, around.attempts())
    assert escapes(results) == {}
    assert around.file.read_text() == "not for him\n" and around.file.stat().st_mode & 0o7777 == 0o600


@ways
def test_without_a_sandbox_everything_could_be_reached(way, around, log):
    with WAYS[way](log, "--sandbox=off") as peer:
        results = tried(peer, around.attempts())
    wrong = {line: result for line, result in results.items() if result != "done"
             and not (line.startswith("does_the_needless ") and result != "refused EPERM")}
    assert wrong == {}


def test_a_listener_is_closed_in_and_a_connection_is_not_unless_told(around, log):
    with launched(log, wait=True) as peer:
        assert tried(peer, ["reads /etc/shadow"]) == {"reads /etc/shadow": "refused EACCES"}
    with launched(log, wait=False) as peer:
        assert tried(peer, ["reads /etc/shadow"]) == {"reads /etc/shadow": "done"}


@pytest.mark.parametrize("way", ["fork", "nowait"])
@pytest.mark.parametrize("sandbox, called", [("on", False), ("off", True)])
def test_the_peers_own_connection_is_no_way_out_either(way, sandbox, called, around, log):
    around.tcp.setblocking(False)
    with WAYS[way](log, f"--sandbox={sandbox}") as peer, peer:
        peer.sendall(b"calls_from_here %d\n" % around.tcp.getsockname()[1])
        result = re.search(r'result="?([^"]*)', log.wait_for(r"\btried ").text)[1]
    assert (result == "done") == called and (called or result in HELD_BACK)
    with contextlib.suppress(BlockingIOError):
        around.tcp.accept()[0].close()
        assert called


@pytest.mark.parametrize("sandbox", ["on", "off"])
def test_an_unprivileged_user_cannot_return(sandbox, around, log):
    command = [SYSTEM_PYTHON, "-IS", *installed.argv("escaped", f"--log={log.path}", "--user=nobody",
                                                     f"--sandbox={sandbox}")]
    if subprocess.run([*command[:3], "--version"], user="nobody", capture_output=True, check=False).returncode:
        machine.unavailable("nobody can run our programs from this folder with the system's Python")
    with ByHand(Service(command, wait=WAIT)) as host:
        peer = clients.connect(host.address)
        results = tried(peer, ["becomes_root", "changes_groups", "reads /etc/shadow", "opens_to_write /etc/passwd",
                               f"kills {around.victim.pid}", f"executes {SHELL}"])
    assert results.pop(f"executes {SHELL}") == ("done" if sandbox == "off" else "refused EPERM")
    assert escapes(results) == {}


@pytest.mark.parametrize("option, word, value", [
    ("--rlimit-nofile=64", "Max open files", "64"), ("--rlimit-as=512M", "Max address space", str(512 << 20)),
    ("--rlimit-cpu=77", "Max cpu time", "77"), ("--rlimit-core=0", "Max core file size", "0"),
    ("--rlimit-fsize=1M", "Max file size", str(1 << 20)), ("--rlimit-data=512M", "Max data size", str(512 << 20)),
    ("--rlimit-stack=4M", "Max stack size", str(4 << 20)), ("--rlimit-nproc=20000", "Max processes", "20000")])
@pytest.mark.parametrize("sandbox", ["strict", "off"])
def test_limits_of_the_process_are_in_force(option, word, value, sandbox, log):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = installed.as_inetd(installed.argv("echod", f"--log={log.path}", option, f"--sandbox={sandbox}"),
                                     listener)
        log.wait_for(r"\bstart ")
        limits = Path(f"/proc/{process.first.pid}/limits").read_text()
        assert re.search(rf"{word} +{value} +{value} ", limits)
        assert clients.converse(listener.getsockname(), b"hello") == b"hello"
        process.end()


def test_a_limit_above_what_we_may_have_is_a_misuse(log):
    command = installed.argv("echod", f"--log={log.path}", "--rlimit-nofile=99999999", "--listen=127.0.0.1:0")
    process = processes.Processes(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.first.wait(10) == 100
    assert b"command line: rlimit-nofile: cannot be 99999999" in process.first.stderr.read()
    process.end()
