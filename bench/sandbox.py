"""What the sandbox adds: to a conversation that a server forks for, and to a start for one connection.

Forked: echod --listen --model=fork with --sandbox=on and with off serve four clients in turn, for two seconds each, in
nine rounds; the ratio of conversations per second is the median over the rounds.  A round runs both, so that whatever
else the machine does hits them alike.
Started: echod --sandbox=on and off, each from exec to its first octet, on an accepted TCP connection with the
interpreter's own -IS, in turn, a hundred times each; the difference of the medians.  Beside it stands the processor
time of the whole process, which other work on the machine does not blur.
"""

import os
import socket
import subprocess
import time
from statistics import median

from . import load, procfs, rounds, servers, xinetd

MOST_OF_A_FORK = 1.10           # times the conversation without
MOST_OF_A_START = 5.0           # ms more than without
ROUNDS, SECONDS, STARTS = 9, 2.0, 100


class ByHand:
    """`with ByHand(argv) as server`: a program that listens by itself, as servers.Server otherwise."""

    def __init__(self, argv):
        self.argv = argv

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = free.getsockname()
        self.process = subprocess.Popen([*self.argv, f"--listen=127.0.0.1:{self.address[1]}"],
                                        stdin=subprocess.DEVNULL)
        self.pid = self.process.pid
        load.ready(self.address)
        return self

    def __exit__(self, *_):
        xinetd.end(self.pid)
        self.process.wait()

    def cpu(self):
        """Microseconds of processor time that it, those it serves through, and their ended children used."""
        return sum(map(procfs.cpu, procfs.tree(self.pid)))


class Two:
    """Two servers as one host, for rounds.rate."""

    def __init__(self, servers_):
        self.servers, self.address = servers_, {name: server.address for name, server in servers_.items()}

    def rate(self, name):
        """A contestant: conversations a second with this one, and the CPU time of each in us."""
        def run():
            before = self.servers[name].cpu()
            done = load.conversations(self.address[name], SECONDS)
            return done / SECONDS, (self.servers[name].cpu() - before) / done
        return run


def forked(place):
    """Measure forked conversations; returns whether the bar is met."""
    argv = {f"--sandbox={word}": place.ours("echod", "--model=fork", f"--sandbox={word}")[""] for word in ("on", "off")}
    with ByHand(argv["--sandbox=on"]) as on, ByHand(argv["--sandbox=off"]) as off:
        two = Two({"--sandbox=on": on, "--sandbox=off": off})
        results = rounds.in_turn({name: two.rate(name) for name in argv}, ROUNDS)
    print(f"forked: echod --listen --model=fork, conversations per second, median of {ROUNDS} rounds of {SECONDS:g} s")
    rounds.compare(results, {}, "")
    return rounds.verdict("a forked conversation, on / off", rounds.ratio(results["--sandbox=off"],
                                                                         results["--sandbox=on"]),
                          MOST_OF_A_FORK, most=True)


def started(place):
    """Measure starts for one connection; returns whether the bar is met."""
    argv = {f"--sandbox={word}": place.ours("echod", f"--sandbox={word}")[""] for word in ("on", "off")}
    results = rounds.in_turn({name: lambda one=one: start(one) for name, one in argv.items()}, STARTS)
    print(f"started: echod for one connection, from exec to the first octet, median of {STARTS}")
    middle = {name: tuple(map(median, zip(*pairs))) for name, pairs in results.items()}
    for name, (wall, cpu) in middle.items():
        print(f"  {name:<40} {wall:10.2f} ms   {cpu:10.2f} ms of CPU in all")
    more = [on - off for on, off in zip(middle["--sandbox=on"], middle["--sandbox=off"])]
    print(f"  {'on - off':<40} {more[0]:10.2f} ms   {more[1]:10.2f} ms of CPU in all")
    return rounds.verdict("a start, on - off", more[0], MOST_OF_A_START, most=True, unit=" ms")


def start(argv):
    """Milliseconds from the start of a process on a connection to its first octet, and of its processor time."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname(), 10) as ours:
        theirs, _ = listener.accept()
        ours.send(load.WORDS)
        ours.shutdown(socket.SHUT_WR)
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), fd) for fd in (0, 1, 2)]
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, {}, file_actions=actions)
        theirs.close()
        ours.recv(1)
        wall = time.perf_counter() - began
    _, _, used = os.wait4(pid, 0)
    return wall * 1000, (used.ru_utime + used.ru_stime) * 1000


def main():
    """Measure, print, and return whether both bars are met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        met = [forked(place), started(place)]
    return all(met)


if __name__ == "__main__":
    raise SystemExit(not main())
