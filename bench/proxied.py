"""What a PROXY header costs: milliseconds of a `nowait` start, and conversations per second of a listener.

echod without options and with --proxy-protocol, its clients with a header of version 1 or 2 (with a checksum), and
with --only-from for what access rules alone cost.  Started by the same interpreter with -IS, in turn.
"""

import os
import signal
import socket
import time
from functools import partial
from operator import truediv
from statistics import median

from daemons.kernel.proxyheader import Header, block, line

from . import rounds, servers

BAR = 1.30              # times the start without options
# of the conversations per second without options; a thread spends as much on a line of the log, of which there is
# one more, as on the rest of a header
LISTENER = {"fork": 0.80, "thread": 0.60}
ROUNDS, EACH = 60, 100         # starts, and conversations of a listener in each of LOOPS rounds
LOOPS = 15

ENDS = ("192.0.2.7", 41822), ("198.51.100.1", 7)
PROXIES = "--proxy-protocol=127.0.0.0/8"
KINDS = {"echod": ([], b""), "echod --only-from": (["--only-from=127.0.0.0/8"], b""),
         "echod behind a proxy, v1": ([PROXIES], line(Header(1, *ENDS))),
         "echod behind a proxy, v2": ([PROXIES], block(Header(2, *ENDS))),
         "echod behind a proxy, v2, checksum": ([PROXIES], block(Header(2, *ENDS), checksum=True))}


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        starts = {name: partial(_start, place.ours("echod", *arguments)[""], header)
                  for name, (arguments, header) in KINDS.items()}
        times = rounds.in_turn(starts, ROUNDS)
        for name, values in times.items():
            print(f"  {name:<40} {median(values) * 1000:10.2f} ms from exec to the first octet, median of {ROUNDS}")
        met = [rounds.verdict(f"{name} / echod", median(times[name]) / median(times["echod"]), BAR, most=True)
               for name in list(KINDS)[1:]]
        for model in ("fork", "thread"):
            met.append(_listeners(place, model))
    return all(met)


def _start(argv, header):
    """Seconds from the start of a process to the first octet that comes back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs = listener.accept()[0]
    with ours, theirs:
        ours.settimeout(10)
        ours.send(header + b"x")
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), fd) for fd in (0, 1, 2)]
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, {}, file_actions=actions)
        theirs.close()
        assert ours.recv(1) == b"x"
        seconds = time.perf_counter() - began
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return seconds


def _listeners(place, model):
    """Conversations per second, one after another, of listeners with and without a header."""
    running = {}
    try:
        for name, (arguments, header) in KINDS.items():
            listener = socket.create_server(("127.0.0.1", 0), backlog=servers.BACKLOG)
            argv = place.ours("echod", f"--model={model}", *arguments)[""]
            actions = [(os.POSIX_SPAWN_DUP2, listener.fileno(), 0)]
            running[name] = os.posix_spawn(argv[0], argv, {}, file_actions=actions), listener, header
        contestants = {name: partial(_rate, listener.getsockname(), header)
                       for name, (_, listener, header) in running.items()}
        rates = rounds.in_turn(contestants, LOOPS)
    finally:
        for pid, listener, _ in running.values():
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            listener.close()
    for name, values in rates.items():
        print(f"  {model}: {name:<34} {median(values):10,.0f} conversations/s, median of {LOOPS}")
    met = [rounds.verdict(f"{model}: {name} / echod", median(map(truediv, rates[name], rates["echod"])),
                          LISTENER[model])
           for name in list(KINDS)[1:]]
    return all(met)


def _rate(address, header):
    began = time.perf_counter()
    for _ in range(EACH):
        with socket.create_connection(address) as sock:
            sock.sendall(header + b"x")
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(100):
                continue
    return EACH / (time.perf_counter() - began)


if __name__ == "__main__":
    raise SystemExit(not main())
