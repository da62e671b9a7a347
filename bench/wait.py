"""Conversations per second of echod under xinetd with wait = yes, against a C program with wait = no.

One xinetd offers all; four clients at a time hold conversations with one of them for 1.2 seconds, then with the
next, five rounds.  A conversation is: connect, send five octets, read them, half-close, read the end.
echod logs its two lines for each to a process that reads them; peers log nothing.
The bare Python loops (peers/forks.py, peers/threads.py) show what the interpreter itself allows on this machine.
Beside each rate stands the processor time that one conversation took, which is quieter.
"""

from . import load, rounds, servers
from .xinetd import Xinetd

BARS = {"echod fork": 1.5, "echod thread": 3.0}         # times the C program's rate
ROUNDS, SECONDS = 5, 1.2


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        services = {"C": (place.compiled("echo"), False)}
        for model, peer in (("fork", "forks"), ("thread", "threads")):
            for label, argv in place.ours("echod", f"--model={model}").items():
                services[f"echod {model}{label}"] = argv, True
            services[f"bare {model} loop"] = place.peer(peer), True
        with Xinetd(place.folder, services) as host:
            rates = rounds.in_turn({name: rounds.rate(host, name, SECONDS) for name in services}, ROUNDS)
    print(f"wait: conversations per second, median of {ROUNDS} rounds of {SECONDS:g} s, {load.CLIENTS} clients")
    return rounds.compare(rates, BARS, "C")


if __name__ == "__main__":
    raise SystemExit(not main())
