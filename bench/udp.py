"""UDP echo datagrams per second of echod, against the smallest possible Python loop (peers/datagrams.py).

Two clients keep 64 datagrams of 32 octets under way each, so that the server always has work waiting; one second with
echod, then one with the loop, nine rounds.  Each server is started on a datagram socket as a wait launcher does it.
Beside each rate stands the processor time that one datagram took the server, which is quieter.
"""

import socket

from . import load, rounds, servers

BAR = 0.8               # of the loop's rate
ROUNDS, SECONDS = 9, 1.0
CLIENTS, WINDOW, SIZE = 2, 64, 32


def main():
    """Measure, print, and return whether the bar is met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        kinds = {f"echod{label}": argv for label, argv in place.ours("echod").items()}
        kinds["bare loop"] = place.peer("datagrams")
        rates = rounds.in_turn({name: lambda argv=argv: _rate(argv) for name, argv in kinds.items()}, ROUNDS)
    print(f"udp: datagrams per second, median of {ROUNDS} rounds of {SECONDS:g} s, "
          f"{CLIENTS} clients with {WINDOW} under way")
    return rounds.compare(rates, {"echod": BAR}, "bare loop")


def _rate(argv):
    """A server of its own for each round; an eighth of a round warms it."""
    with servers.Server(argv, socket.SOCK_DGRAM) as server:
        load.exchange(server.address, SECONDS / 8, WINDOW, SIZE, CLIENTS)
        before = server.cpu()
        done = load.exchange(server.address, SECONDS, WINDOW, SIZE, CLIENTS)
        return done / SECONDS, (server.cpu() - before) / done


if __name__ == "__main__":
    raise SystemExit(not main())
