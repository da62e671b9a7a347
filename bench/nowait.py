"""Conversations per second of echod under xinetd with wait = no, against a script that only imports socket.

One xinetd offers both; four clients at a time hold conversations with one of them for two seconds, then with the
other, five rounds.  A conversation is: connect, send five octets, read them, half-close, read the end.  Both are
started by the same interpreter with -IS.  echod logs its two lines to a process that reads them.
Beside each rate stands the processor time that xinetd and the server took for one conversation, which is quieter.
"""

from . import load, rounds, servers
from .xinetd import Xinetd

BAR = 0.95              # of the script's rate
ROUNDS, SECONDS = 5, 2.0


def main():
    """Measure, print, and return whether the bar is met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        services = {f"echod{label}": (argv, False) for label, argv in place.ours("echod").items()}
        services["script"] = place.peer("connection"), False
        with Xinetd(place.folder, services) as host:
            rates = rounds.in_turn({name: rounds.rate(host, name, SECONDS) for name in services}, ROUNDS)
    print(f"nowait: conversations per second, median of {ROUNDS} rounds of {SECONDS:g} s, {load.CLIENTS} clients")
    return rounds.compare(rates, {"echod": BAR}, "script")


if __name__ == "__main__":
    raise SystemExit(not main())
