"""What shared limits add to the start of a `nowait` program: echod from exec to its first octet, with and without.

With --per-source, in a table that knows 1,000 sources already, and without, in turn; both are started by the same
interpreter with -IS on an accepted TCP connection (see startup.py).  The bar is that of issue 3: at most 1 ms.
Beside it stand all three limits together, and what a conversation pays in a program that accepts itself: the time
of an `enter` and a `leave`.
"""

import os
import time
from statistics import median

from daemons.kernel.limits import Shared
from daemons.kernel.limitsfile import LimitsFile

from . import rounds, servers, startup

BAR = 1.0               # milliseconds
ROUNDS = 150
SOURCES, TIMES = 1000, 2000


def main():
    """Measure, print, and return whether the bar is met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        path = os.path.join(place.folder, "limits")
        _populate(path)
        table = f"--limits={path}"
        (bare,) = place.ours("echod").values() if not chosen.before else [place.ours("echod")[""]]
        contestants = {"echod": bare, "echod --per-source": [*bare, table, "--per-source=100000"],
                       "echod --per-source --max --rate": [*bare, table, "--per-source=100000", "--max=100000",
                                                           "--rate=100000"]}
        times = rounds.in_turn({name: lambda argv=argv: startup._time(argv) for name, argv in contestants.items()},
                               ROUNDS)
        for name, values in times.items():
            print(f"  {name:<40} {median(values) * 1000:10.2f} ms from exec to greeting, median of {ROUNDS}")
        print(f"  {'enter and leave, in one process':<40} {_entering(path) * 1e6:10.1f} us, mean of {TIMES}")
    added = {name: median(mine - his for mine, his in zip(values, times["echod"])) * 1000
             for name, values in times.items() if name != "echod"}
    print(f"  {'with all three limits':<40} {added['echod --per-source --max --rate']:10.2f} ms added")
    return rounds.verdict("added by --per-source", added["echod --per-source"], BAR, most=True, unit=" ms")


def _populate(path):
    """A table in which many have been."""
    shared = Shared(LimitsFile(path), "echod", per_source=100000)
    for number in range(SOURCES):
        shared.enter(f"198.51.{number // 250}.{number % 250}").leave()
    shared.table.close()


def _entering(path):
    """Seconds that counting one conversation in and out takes."""
    shared = Shared(LimitsFile(path), "echod", per_source=100000, most=100000, rate=100000)
    began = time.perf_counter()
    for _ in range(TIMES):
        shared.enter("192.0.2.7").leave()
    seconds = (time.perf_counter() - began) / TIMES
    shared.table.close()
    return seconds


if __name__ == "__main__":
    raise SystemExit(not main())
