"""kill -9 of a parent, a child or a worker at every stage: nothing is left of it, and whoever remains serves on."""

import contextlib
import os
import signal
import socket

import pytest

from bench import procfs
from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import WAIT, ByHand, Service

from . import kit, loglines

MODELS = ("one", "fork", "thread")


def traces():
    """What a program may leave on a machine: sockets in the file system and shared memory of ours."""
    return {entry for folder in ("/dev/shm", "/dev/mqueue", "/run/fd0") if os.path.isdir(folder)
            for entry in os.listdir(folder) if not entry.startswith("PostgreSQL.")}     # other tests come and go


@contextlib.contextmanager
def listening(name, *options, kind="stream"):
    """(host, log) of a server that bound its port."""
    arguments = kit.starter(name).arguments if name in kit.STREAMS else []
    with devlog.LogSocket() as log, kit.listening(name, log, *arguments, *options, kind=kind) as host:
        yield host, log


def gone(pid, name):
    """Wait until a process that was killed, and all that came of it, are gone."""
    machine.until(lambda: not procfs.is_running(pid), what=f"the end of {name}")


STAGES = {
    "before anybody calls": (None, False),
    "with a caller who has said nothing": (b"", False),
    "in the middle of a line": (b"half a li", False),
    "after a reset": (b"x\r\n", True),
}


@pytest.mark.parametrize("stage", STAGES)
@kit.streams
def test_a_killed_server_leaves_nothing_and_its_launchers_next_one_serves(name, stage):
    said, reset = STAGES[stage]
    dialogue, before = kit.starter(name), traces()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(devlog.LogSocket())
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        argv = installed.argv(name, f"--log={log.path}", kit.no_options(), *dialogue.arguments)
        server = installed.as_inetd(argv, listener)
        stack.callback(server.end)
        pid = log.wait_for(" start ").pid
        if said is not None:
            caller = stack.enter_context(clients.connect(listener.getsockname()))
            caller.send(said)
            log.wait_for(" open ")
            if reset:
                clients.abort(caller)
        os.kill(pid, signal.SIGKILL)
        assert server.first.wait(10) == -signal.SIGKILL
        machine.until(lambda: not server.alive() or name, what="its children")
        again = installed.as_inetd(argv, listener)
        stack.callback(again.end)
        octets, _ = kit.expected(dialogue, [kit.said(dialogue)] if dialogue.said else [])
        heard = clients.converse(listener.getsockname(), kit.said(dialogue))
        assert heard == octets if octets is not None else bool(heard) == bool(dialogue.heard)
        os.kill(log.wait_for(" start ", count=2).pid, signal.SIGTERM)
        assert again.first.wait(10) == 0
        if said is None or reset:
            machine.until(lambda: not server.alive(), what="the end of its children")
    assert traces() == before


@kit.streams
def test_a_killed_conversation_is_logged_and_the_server_serves_on(name):
    with contextlib.ExitStack() as stack:
        host, log = stack.enter_context(listening(name, "--model=fork", "--timeout=60"))
        clients.converse(host.address, kit.said(kit.starter(name)))     # whoever serves is there
        log.wait_for(" close ")
        machine.until(lambda: len(procfs.tree(host.pid)) <= 2, what="nobody but those who wait")
        alone = len(procfs.tree(host.pid))
        caller = stack.enter_context(clients.connect(host.address))
        opened = log.wait_for(" open ", count=2)
        session = loglines.parse(opened.text)[1]["session"].decode()
        with contextlib.suppress(ProcessLookupError):       # a program that only answers may be done already
            os.kill(opened.pid, signal.SIGKILL)
        closed = loglines.parse(log.wait_for(f" close session={session}").text)[1]
        assert closed["reason"] in {b"crash", kit.expected(kit.starter(name), [])[1].encode()}
        caller.close()
        clients.converse(host.address, kit.said(kit.starter(name)))
        log.wait_for(" close ", count=3)
        machine.until(lambda: len(procfs.tree(host.pid)) == alone, what="no child, and no zombie")


@pytest.mark.parametrize("name, kind", [(name, kind) for name, one in kit.SERVICES.items() for kind in one.sockets])
def test_a_killed_worker_is_replaced(name, kind):
    with listening(name, "--processes=2", kind=kind) as (host, log):
        machine.until(lambda: len(procfs.tree(host.pid)) == 3, what="two workers")
        workers = set(procfs.tree(host.pid)[1:])
        os.kill(min(workers), signal.SIGKILL)
        log.wait_for(" crash .*status=SIGKILL")
        machine.until(lambda: len(set(procfs.tree(host.pid)[1:]) - workers) == 1
                      and len(procfs.tree(host.pid)) == 3, what="another worker")
        if kind == "stream":
            for _ in range(4):
                clients.converse(host.address, kit.said(kit.starter(name)))
            log.wait_for(" close ", count=4)


@kit.streams
def test_workers_whose_parent_was_killed_do_not_hold_the_port_for_ever(name):
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(devlog.LogSocket())
        service = Service(installed.argv(name, f"--log={log.path}", kit.no_options(), "--processes=2",
                                         *kit.starter(name).arguments), wait=WAIT)
        host = stack.enter_context(ByHand(service))
        machine.until(lambda: len(procfs.tree(host.pid)) == 3, what="two workers")
        workers = procfs.tree(host.pid)[1:]
        os.kill(host.pid, signal.SIGKILL)
        host.wait()
        machine.until(lambda: not any(processes.running(one) for one in workers), what="the end of the orphans")
        log.wait_for("warning .*this worker is gone|warning .*process over this worker", count=2)
