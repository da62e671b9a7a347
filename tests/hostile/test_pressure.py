"""A machine that is short of everything: descriptors, processes, memory, a syslogd, room on the disk.

Whatever is short, the service is back when it is there again, and meanwhile nothing crashes, spins or is left behind.
"""

import contextlib
import os
import resource
import signal
import socket

import pytest

from bench import procfs
from daemons.tools import programs
from tests.live import clients, devlog, installed, launchers, machine, processes
from tests.live.launchers import WAIT, ByHand, Service

from . import anybody, kit, loglines
from .octets import TRICKS

HELD = 40               # conversations at once, more than there is room for
GROWTH = 512            # KiB of PSS: pools of the allocator
WRITERS = [service.name for service in programs.services() if service.writes and service.sockets]


@contextlib.contextmanager
def served(name, *options, prefix=(), argv=installed.argv, kind="stream", may=frozenset()):
    """(host, log) of a server, which must end well, and never have logged what it should not, but what it `may`."""
    arguments = kit.starter(name).arguments if name in kit.STREAMS else []
    with devlog.LogSocket() as log:
        command = argv(name, f"--log={log.path}", kit.no_options(), *arguments, *options)
        with ByHand(Service(command, kind, WAIT), prefix=prefix) as host:
            yield host, log
            os.kill(host.pid, signal.SIGTERM)
            assert host.wait() == 0
        events = [loglines.parse(record.text) for record in log.records]
        assert not ({"crash", "stderr", "misuse"} - may) & {event for event, _ in events}, events
        opened = [values["session"] for event, values in events if event == "open"]
        closed = [values["session"] for event, values in events if event == "close"]
        assert sorted(opened) == sorted(closed), "\n".join(record.text[:200] for record in log.records)


def still_serves(host, name):
    """Is the starter's dialogue held as ever?  A server that is short of something pauses for a second."""
    dialogue = kit.starter(name)
    octets, _ = kit.expected(dialogue, [kit.said(dialogue)] if dialogue.said else [])

    def well_answered():
        try:
            heard = clients.converse(host.address, kit.said(dialogue))
        except ConnectionError:
            return False                # turned away while the shortage lasts
        return heard == octets if octets is not None else bool(heard) == bool(dialogue.heard)

    machine.until(well_answered, what="service as ever")


def crowd(stack, host, data=b"x"):
    """As many callers as can connect, who say something and wait."""
    for _ in range(HELD):
        with contextlib.suppress(ConnectionError):      # turned away at once
            stack.enter_context(clients.connect(host.address)).send(data)


@kit.streams
def test_few_descriptors(name):
    prlimit = [machine.program("prlimit", "util-linux"), "--nofile=24:24", "--"]
    with served(name, "--timeout=20", prefix=prlimit) as (host, log):
        with contextlib.ExitStack() as stack:
            crowd(stack, host)
            log.wait_for(" open ")
        still_serves(host, name)


@kit.streams
@pytest.mark.parametrize("model", ["fork", "thread"])
def test_no_process_and_no_thread_to_be_had(name, model):
    uid = anybody.random_uid()
    prefix = [machine.program("prlimit", "util-linux"), "--nproc=4:4", "--", *anybody.as_user(uid)]
    options = f"--model={model}", "--processes=1", "--timeout=20"
    with served(name, *options, prefix=prefix, argv=anybody.argv) as (host, log):
        still_serves(host, name)
        log.wait_for(" close ")
        machine.until(lambda: len(procfs.tree(host.pid)) <= 2, what="nobody but those who wait")
        alone = len(procfs.tree(host.pid))
        with contextlib.ExitStack() as stack:
            crowd(stack, host)
            log.wait_for(" (open|refused) ")
            assert len(procfs.tree(host.pid)) <= 5
        still_serves(host, name)
        machine.until(lambda: len(procfs.tree(host.pid)) == alone, what="the end of every child")


@kit.streams
def test_hardly_any_memory(name):
    # one conversation may break for want of memory, as its MemoryError says; the server may not
    with served(name, "--timeout=20", may={"crash"}) as (host, log):
        still_serves(host, name)
        log.wait_for(" close ")         # before which the child of this conversation may still be there
        before = len(log.records)
        unlimited = resource.prlimit(host.pid, resource.RLIMIT_AS)
        serving = procfs.tree(host.pid)
        for pid in serving:
            with open(f"/proc/{pid}/statm") as file:
                size = int(file.read().split()[0]) * resource.getpagesize()
            resource.prlimit(pid, resource.RLIMIT_AS, (size + (1 << 19), unlimited[1]))
        with contextlib.ExitStack() as stack:
            crowd(stack, host, b"x" * 4000)
        machine.until(lambda: len(log.records) > before, what="a word")
        for pid in serving:
            with contextlib.suppress(ProcessLookupError):       # a conversation that is over
                resource.prlimit(pid, resource.RLIMIT_AS, unlimited)
        still_serves(host, name)


@kit.streams
def test_a_syslogd_that_is_stuck_and_one_that_is_gone_hold_up_nobody(name):
    with served(name) as (host, log):
        log.fill()
        for _ in range(3):
            still_serves(host, name)
        log.remove()
        for _ in range(3):
            still_serves(host, name)
        log.appear()
        log.wait_for(" close ", count=6)
        still_serves(host, name)


@kit.dgrams
def test_hostile_datagrams_leave_nothing_behind(name):
    with served(name, kind="dgram") as (host, log):
        def attack(rounds):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0)
                for number in range(rounds):
                    with contextlib.suppress(OSError):
                        sock.sendto(TRICKS[number % len(TRICKS)][:60000], host.address)
                        sock.recv(65536)

        attack(3000)
        log.wait_for(" packet ")
        before, memory = held(host.pid), procfs.pss(host.pid)
        attack(6000)
        assert held(host.pid) == before
        assert procfs.pss(host.pid) <= memory + GROWTH


def held(pid):
    """Processes and descriptors that a server has."""
    return len(procfs.tree(pid)), sum(map(procfs.descriptors, procfs.tree(pid)))


# -- who writes --

def spooling(name, folder):
    """The options that have a program write into this folder."""
    module = programs.program(name) if name in programs.names() else None
    writes = module.SERVICE.writes if module else ("--spool",)
    # a database of accounts is there already, or there is none
    return [f"{option}={folder}/spool" for option in writes if option.startswith("--") and option != "--accounts"]


@contextlib.contextmanager
def full_disk():
    """A file system without room."""
    folder = processes.new_folder("full")
    if os.system(f"mount -t tmpfs -o size=16k,nr_inodes=3 none {folder}"):
        machine.unavailable("mounting needs root")
    try:
        with contextlib.suppress(OSError), open(f"{folder}/filler", "wb", 0) as file:
            while True:
                file.write(b"x" * 4096)
        yield folder
    finally:
        os.system(f"umount -l {folder}")


@pytest.mark.parametrize("name", [*WRITERS, "weakd"])
def test_a_full_disk_refuses_what_cannot_be_kept_and_crashes_nothing(name):
    with devlog.LogSocket() as log, full_disk() as folder:
        command = installed.argv(name, f"--log={log.path}", kit.no_options(), *spooling(name, folder))
        service = Service(command, wait=WAIT)
        with ByHand(service) as host:
            for data in (b"store hello\r\n", kit.said(kit.starter(name)) if name in kit.STREAMS else b"close\r\n"):
                heard = clients.converse(host.address, data)
            log.wait_for(" close ", count=2)
            if name == "weakd":
                assert clients.converse(host.address, b"store hello\r\n") == b"452 no room\r\n"
                os.unlink(f"{folder}/filler")
                assert clients.converse(host.address, b"store hello\r\n") == b"250 stored\r\n"
        assert "crash" not in [record.text.split()[0] for record in log.records], heard


def test_no_file_may_grow_is_a_refusal_too(tmp_path):
    prlimit = [machine.program("prlimit", "util-linux"), "--fsize=4:4", "--"]
    done = launchers.pipes(installed.argv("weakd", "--log=stderr", f"--spool={tmp_path}/spool"),
                           b"store hello\r\nstore hello\r\nclose\r\n", prefix=prlimit)
    assert done.returncode == 0 and done.stdout.endswith(b"452 no room\r\n") and b"Traceback" not in done.stderr
    assert os.path.getsize(tmp_path / "spool") <= 4
