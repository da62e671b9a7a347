"""Ten thousand hostile conversations with one program in one model, and what they leave behind.

    python3 -m bench.soak [PROGRAM] [MODEL]         default: echod thread

Four processes take turns at eight kinds of peers: lines that never end, binary noise, one octet at a time, resets after
any number of octets, half-closes, peers that never read, peers that leave in the middle, peers that are gone
before they are accepted.  A tenth as many come first, so that what is made once has been made.  Processes, descriptors,
threads and PSS are then counted, and again after all are gone; a few threads may stay for the next conversation.
What was left behind, a crash or a traceback in the log, or a server that died make the exit status 1.
"""

import random
import socket
import struct
import time

from daemons.kernel.models import SPARE

from . import load, procfs, servers

CONVERSATIONS, WARM = 10_000, 1_000
GROWTH = 1024           # KiB of PSS that all together may leave: pools of the allocator, not 100 octets from each
PATIENCE = 1.0          # seconds that a peer waits for anything
SECONDS = 40            # after which the rest is called off
DIALOGUE = b"HELO there\r\nUSER anyone\r\nGET / HTTP/1.1\r\nHost: here\r\n\r\nQUIT\r\n"


def main():
    """Do it, print the counts, and return whether nothing was left."""
    chosen = servers.options(__doc__, _add_arguments)
    with servers.Workplace(chosen) as place:
        argv = place.ours(chosen.program, f"--model={chosen.model}", "--timeout=5")[""]
        with servers.Server(argv) as server:
            _attack(server.address, WARM)
            before = _quiet(server.pid)
            began = time.monotonic()
            done = _attack(server.address, CONVERSATIONS)
            seconds = time.monotonic() - began
            after = _quiet(server.pid)
            alive = server.process.poll() is None
    print(f"soak: {chosen.program} {chosen.model}, {done} hostile conversations in {seconds:.1f} s")
    return _judge(before, after, alive, done, place.reader)


def _add_arguments(parser):
    parser.add_argument("program", nargs="?", default="echod")
    parser.add_argument("model", nargs="?", default="thread", choices=("one", "fork", "thread"))


def _judge(before, after, alive, done, reader):
    """Print what there was before and after; is all as it was?"""
    met = [alive, done == CONVERSATIONS, not reader.bad]
    for what, least in before.items():
        print(f"  {what:<20} before {least:8,}   after {after[what]:8,}")
        most = {"KiB of PSS": least + GROWTH, "threads": max(least, 1 + SPARE)}.get(what, least)
        met.append(after[what] <= most)
    print(f"  log: {', '.join(f'{count:,} {name}' for name, count in sorted(reader.counts.items()))}")
    if done < CONVERSATIONS:
        print(f"  called off after {SECONDS} s")
    if not alive:
        print("  the server died")
    print("  nothing was left behind" if all(met) else "  NOT MET")
    return all(met)


def _quiet(pid):
    """What the server holds once nothing has changed for half a second, or after ten seconds."""
    end, looks = time.monotonic() + 10, []
    while time.monotonic() < end and (len(looks) < 6 or looks[-6:].count(looks[-1]) < 6):
        looks.append({"processes": len(procfs.tree(pid)), "descriptors": procfs.descriptors(pid),
                      "threads": procfs.threads(pid)})
        time.sleep(0.1)
    return {**looks[-1], "KiB of PSS": procfs.pss(pid)}


def _attack(address, count):
    """So many conversations from all clients together; returns how many came about."""
    end = time.monotonic() + SECONDS

    def work(number):
        dice, done = random.Random(number), 0
        while done < count // load.CLIENTS and time.monotonic() < end:
            one(KINDS[done % len(KINDS)], address, dice)
            done += 1
        return done

    return int(sum(load.clients(load.CLIENTS, work, SECONDS)))


def one(kind, address, dice):
    """One hostile conversation; being thrown out is what it has to expect."""
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        sock.connect(address)
        try:
            kind(sock, dice)
        except (TimeoutError, ConnectionError):
            return


def _line_without_end(sock, dice):
    sock.sendall(b"x" * dice.randrange(4_000, 40_000))
    sock.shutdown(socket.SHUT_WR)
    _read_all(sock)


def _noise(sock, dice):
    sock.sendall(dice.randbytes(dice.randrange(1, 4_000)))
    sock.shutdown(socket.SHUT_WR)
    _read_all(sock)


def _octet_by_octet(sock, dice):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in DIALOGUE[:dice.randrange(1, len(DIALOGUE))]:
        sock.send(bytes([octet]))
    sock.shutdown(socket.SHUT_WR)
    _read_all(sock)


def _reset(sock, dice):
    sock.send(DIALOGUE[:dice.randrange(len(DIALOGUE))])
    if dice.random() < 0.5:
        sock.recv(dice.randrange(1, 20))
    _hang_up(sock)


def _half_close(sock, dice):
    sock.shutdown(socket.SHUT_WR)
    _read_all(sock)


def _deaf(sock, dice):
    sock.sendall(DIALOGUE * 50)
    sock.shutdown(socket.SHUT_WR)


def _leave(sock, dice):
    sock.send(DIALOGUE[:dice.randrange(1, len(DIALOGUE))])


def _gone(sock, dice):
    _hang_up(sock)


KINDS = (_line_without_end, _noise, _octet_by_octet, _reset, _half_close, _deaf, _leave, _gone)


def _hang_up(sock):
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _read_all(sock):
    while sock.recv(65536):
        pass


if __name__ == "__main__":
    raise SystemExit(not main())
