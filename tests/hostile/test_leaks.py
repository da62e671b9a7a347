"""Hostile conversations leave nothing behind: no process, descriptor or memory, and nothing but lines in the log.

A smaller run of what `python3 -m bench.soak` does ten thousand times.
"""

import random

import pytest

from bench import procfs
from bench.soak import KINDS, one
from daemons.tools import programs
from tests.live import clients, devlog, installed, machine
from tests.live.launchers import WAIT, ByHand, Service

ROUNDS = 12             # of each kind of hostile client, after half as many that warm up
GROWTH = 512            # KiB of memory: pools of the allocator
TIMES = 3

STREAMS = [service.name for service in programs.launched() if "stream" in service.sockets]
RUNS = [(name, None) for name in STREAMS] + [("echod", "fork"), ("echod", "one")]


def attack(address, rounds, log):
    """So many rounds of all kinds; returns once each conversation has its `close`."""
    dice, served = random.Random(7), ended(log)
    for _ in range(rounds):
        for kind in KINDS:
            one(kind, address, dice)
    machine.until(lambda: ended(log) == served + rounds * len(KINDS), what="a close for each conversation")


def ended(log):
    log.sync()
    return sum(record.text.startswith("close ") for record in log.records)


def held(pid):
    """Processes that a server has, and descriptors of all of them."""
    tree = procfs.tree(pid)
    return len(tree), sum(map(procfs.descriptors, tree))


@pytest.mark.parametrize("name, model", RUNS)
def test_hostile_conversations_leave_nothing_behind(name, model):
    options = ["--timeout=5", *([f"--model={model}"] if model else []), *(["--most=64K"] if name == "chargend" else [])]
    with devlog.LogSocket() as log:
        service = Service(installed.argv(name, f"--log={log.path}", *options), wait=WAIT)
        with ByHand(service) as host:
            attack(host.address, ROUNDS // 2, log)
            before, memories, served = held(host.pid), [procfs.anonymous(host.pid)], ROUNDS // 2 * len(KINDS) + 1
            while len(memories) <= TIMES:
                attack(host.address, ROUNDS, log)
                served += ROUNDS * len(KINDS)
                machine.until(lambda: held(host.pid) == before, what="the end of all that was held")
                memories.append(procfs.anonymous(host.pid))
                if memories[-1] <= memories[-2] + GROWTH:
                    break               # more threads at once than ever before cost once; a leak costs each time
            assert memories[-1] <= memories[-2] + GROWTH, memories
            clients.converse(host.address, b"\r\n")
            machine.until(lambda: ended(log) == served, what="the last close")
        words = [record.text.split()[0] for record in log.records]
        assert words.count("open") == words.count("close") == served
        assert not {"crash", "stderr", "misuse", "pressure"} & set(words)
