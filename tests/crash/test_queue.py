"""kill -9 and failing disks at every call by which the queue changes something: nothing lost, one duplicate at most.

strace kills the process as it enters its n-th call of a kind, or has the call fail; which calls there are is found out
by letting it live once.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from daemons.stores import queuefolder
from daemons.stores.mailqueue import Queue
from daemons.stores.queuecontrol import QueueControl
from daemons.stores.queuewake import Wake
from tests.crash.queueing import ALICE, LATER, RECIPIENTS, TEXT, deliver
from tests.live import machine
from tests.sources import ROOT

CHANGES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "fsync", "fdatasync", "rename", "renameat",
           "renameat2", "link", "linkat", "unlink", "unlinkat", "ftruncate", "mkdir", "mkdirat")
KILLED = 128 + signal.SIGKILL, -signal.SIGKILL
TO_ALICE = ALICE


@pytest.fixture(scope="module")
def strace():
    return [machine.program("strace", "strace"), "-f", "-qq", "-e", f"trace={','.join(CHANGES)}"]


@pytest.fixture
def path(tmp_path):
    """A queue whose runner listens, and does nothing else."""
    queuefolder.make(str(tmp_path / "q"))
    wake = Wake(str(tmp_path / "q"))
    yield str(tmp_path / "q")
    wake.close()


def run(*arguments, prefix=()):
    """(exit status, what it said) of a program of tests/crash/queueing.py."""
    command = [*prefix, sys.executable, "-B", "-m", "tests.crash.queueing", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, *KILLED), done.stderr
    return done.returncode, done.stdout


def traced(strace, folder, *arguments):
    """How often a program that lives makes each of the calls."""
    assert run(*arguments, prefix=[*strace, "-o", folder / "trace"])[0] == 0
    names = [line.split(None, 1)[1].partition("(")[0] for line in (folder / "trace").read_text().splitlines()]
    return Counter(name for name in names if name in CHANGES)


def injected(strace, call, number, what):
    """The prefix that has this happen at the n-th of these calls."""
    return [*strace, "-o", "/dev/null", "-e", f"inject={call}:{what}:when={number}"]


def queued(path):
    """The messages that a runner finds, none of them damaged."""
    queue = Queue(path)
    try:
        assert queue.damaged == {}
        return [job.id for job in queue.claim(time.time() + 10 * LATER, 100)]
    finally:
        queue.close()


def text_of(path, id):
    control = QueueControl(path)
    try:
        return b"".join(control.message(id))
    finally:
        control.close()


def swept(path):
    queue = Queue(path)
    try:
        queue.sweep(time.time() + 10 * queuefolder.ABANDONED)
        return os.listdir(f"{path}/tmp")
    finally:
        queue.close()


# ------------------------------------------------------------------ a message comes

def test_killed_at_every_step_of_a_commit(strace, path, tmp_path):
    calls = traced(strace, tmp_path, "put", path)
    assert calls["fsync"] == 2 and calls["renameat"] + calls["rename"] + calls["renameat2"] == 1 and calls["write"] == 4
    before = set(queued(path))
    assert len(before) == 1
    for call, count in calls.items():
        for number in range(1, count + 1):
            status, said = run("put", path, prefix=injected(strace, call, number, "signal=KILL"))
            assert status in KILLED and said == "", f"{call} {number}"
            new = set(queued(path)) - before
            assert len(new) <= 1 and all(text_of(path, id) == TEXT for id in new), f"{call} {number}"
            assert not (new and call in ("pwrite64", "renameat", "rename", "renameat2")), "before it has its name"
            before |= new
            assert swept(path) == []
    assert len(before) > 1, "some came after it was in its place"


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_at_every_step_of_a_commit(strace, path, tmp_path, error):
    before = set()
    for call, count in traced(strace, tmp_path, "put", path).items():
        for number in range(1, count + 1 - (call == "write")):          # the last one says 250
            before = set(queued(path))
            status, said = run("put", path, prefix=injected(strace, call, number, f"error={error}"))
            new = set(queued(path)) - before
            assert status == 0 and said in ({f"250 {id}\n" for id in new} or {"452\n"}), f"{call} {number}: {said}"
            assert all(text_of(path, id) == TEXT for id in new)
            # the last write but one tells the runner, which may fail; every other one matters
            assert not new or (call, number) == ("write", count - 1), f"{call} {number}"
            assert swept(path) == os.listdir(f"{path}/tmp") == []


# ------------------------------------------------------------------ a message goes

def emptied(path, log, since):
    """Let a runner that nobody kills try until nothing is left; how often each recipient got it."""
    for attempt in range(5):
        deliver(path, log, since + attempt * LATER)
    assert queued(path) == [] and os.listdir(f"{path}/mail") == []
    return Counter(log.read_text().split("\n")[:-1])


def full(path):
    assert run("put", path)[1].startswith("250 ")


def copies(path, tmp_path):
    """Queues with the same content, for one death each."""
    number = 0
    while True:
        number += 1
        shutil.copytree(f"{path}/mail", tmp_path / f"{number}/mail")
        os.mkdir(tmp_path / f"{number}/tmp")
        os.mkfifo(tmp_path / f"{number}/wake")
        yield str(tmp_path / str(number)), tmp_path / f"log{number}"


STAGES = {"first attempt": 0, "second attempt": 1}


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_every_step_of_a_delivery(strace, path, tmp_path, stage):
    full(path)
    log = tmp_path / "log"
    if STAGES[stage]:
        deliver(path, log, time.time())
    else:
        log.touch()
    fresh = copies(path, tmp_path)
    place, own = next(fresh)
    ahead = STAGES[stage] * 2 * LATER
    calls = traced(strace, tmp_path, "deliver", place, own, ahead)
    steps = {"first attempt": {"write", "pwritev2", "pwrite64", "fdatasync", "fsync"},
             "second attempt": {"write", "pwrite64", "fdatasync", "unlink"}}[stage]
    assert steps <= calls.keys() | ({"unlink"} if "unlinkat" in calls else set())
    doubled = 0
    for call, count in calls.items():
        for number in range(1, count + 1):
            place, own = next(fresh)
            shutil.copy(log, own)
            status, _ = run("deliver", place, own, ahead, prefix=injected(strace, call, number, "signal=KILL"))
            assert status in KILLED, f"{call} {number}"
            got = emptied(place, own, time.time() + ahead)
            assert set(got) == {*RECIPIENTS[:2], TO_ALICE}, f"lost at {call} {number}: {got}"
            assert sum(got.values()) <= 4, f"more than one duplicate at {call} {number}: {got}"
            doubled += sum(got.values()) - 3
            assert swept(place) == []
    assert doubled, "killed between handing over and noting it, there is one"


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_at_every_step_of_a_delivery(strace, path, tmp_path, error):
    full(path)
    fresh = copies(path, tmp_path)
    place, log = next(fresh)
    for call, count in traced(strace, tmp_path, "deliver", place, log, 0).items():
        for number in range(1, count + 1):
            place, log = next(fresh)
            assert run("deliver", place, log, 0, prefix=injected(strace, call, number, f"error={error}"))[0] == 0
            got = emptied(place, log, time.time())
            assert set(got) == {*RECIPIENTS[:2], TO_ALICE}, f"lost at {call} {number}: {got}"
            assert sum(got.values()) <= 4, f"more than one duplicate at {call} {number}: {got}"
            if (call, error) == ("pwritev2", "ENOSPC"):
                assert sum(got.values()) == 3, "a full disk delivers nothing twice"


def test_killed_in_the_middle_of_an_administrators_wish(strace, path, tmp_path):
    """Deleted while nobody has it: there or gone, and what is there is whole."""
    fd0 = [sys.executable, "-B", "-m", "daemons.tools", "queue", "delete", f"--queue={path}"]
    for call in ("unlink", "unlinkat", "fsync"):
        full(path)
        (id,) = queued(path)
        done = subprocess.run([*injected(strace, call, 1, "signal=KILL"), *fd0, id], cwd=ROOT, capture_output=True)
        assert done.returncode in (0, *KILLED)
        assert queued(path) in ([], [id])
        if queued(path):
            assert text_of(path, id) == TEXT
            assert subprocess.run([*fd0, id], cwd=ROOT, capture_output=True).returncode == 0
