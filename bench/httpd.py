"""httpd beside nginx and Python's servers: small files over connections that stay and new ones, a large file, idleness.

All serve the same folder, in turn, and none writes a log of requests (httpd: --priority=notice).  A row with a log on
both sides stands beside.  Connections that are new for each request are compared under one xinetd: a C server
(micro-httpd) with wait = no, and httpd with wait = yes.
"""

import os

from . import load, memory, procfs, rounds, servers, webpeers
from .xinetd import Xinetd, program

SMALL, LARGE = b"<!doctype html>\n<title>A page</title>\n<p>" + b"Hello. " * 80, 100_000_000
ROUNDS, SECONDS = 5, 2
REQUESTS, CLIENTS = 2000, 8     # of ab
BARS = {"nginx": 0.5, "http.server": 20, "cheroot": 4, "waitress": 4}
CONNECTIONS = (16, 64)
IDLE, IDLE_BAR = 5000, 32       # connections, KiB
MOST = ("--max=6000", "--requests=100000000", "--priority=notice")


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        root = os.path.join(place.folder, "www")
        _fill(root)
        argv = place.ours("httpd", f"--root={root}", *MOST)[""]
        met = [_small(chosen, place, root, argv), _logged(place, root), _large(place, root, argv),
               _new(place, root, argv), _idle(argv)]
    return all(met)


def _fill(root):
    os.mkdir(root)
    for name, data in (("page.html", SMALL), ("index.html", SMALL)):
        with open(os.path.join(root, name), "wb") as file:
            file.write(data)
        os.utime(os.path.join(root, name), (1_700_000_000, 1_700_000_000))
    with open(os.path.join(root, "large.bin"), "wb") as file:
        file.truncate(LARGE)
    for folder, _, names in os.walk(root):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)
    os.chmod(root, 0o755)


def _small(chosen, place, root, argv):
    """Requests a second over connections that stay."""
    print(f"httpd: a file of {len(SMALL)} octets, requests a second, median of {ROUNDS} rounds of {SECONDS} s (wrk)")
    met = []
    with servers.Server(argv) as ours, webpeers.nginx(place.folder, root) as nginx, \
            webpeers.standard(chosen.python, root) as standard, \
            webpeers.library(place.peer("cheroot"), root) as cheroot, \
            webpeers.library(place.peer("waitress"), root) as waitress:
        webpeers.ready(ours.address)
        peers = {"httpd": ours, "nginx": nginx, "http.server": standard, "cheroot": cheroot, "waitress": waitress}
        for count in CONNECTIONS:
            print(f" {count} connections:")
            contestants = {name: webpeers.requests(peer, "/page.html", count, SECONDS) for name, peer in peers.items()}
            met.append(_against(rounds.in_turn(contestants, ROUNDS), BARS))
    return all(met)


def _logged(place, root):
    """The same with a line for each request in a file, on both sides; a figure without a bar."""
    argv = place.ours("httpd", f"--root={root}", *MOST, f"--access-log={place.folder}/ours.log")[""]
    with servers.Server(argv) as ours, webpeers.nginx(place.folder, root, f"{place.folder}/nginx-access.log") as nginx:
        webpeers.ready(ours.address)
        print(" 16 connections, each request logged in a file:")
        contestants = {name: webpeers.requests(peer, "/page.html", 16, SECONDS)
                       for name, peer in (("httpd", ours), ("nginx", nginx))}
        return _against(rounds.in_turn(contestants, 3), {"nginx": 0})


def _large(place, root, argv):
    """Megabytes a second of one large file; memory beside it."""
    print(f"httpd: a file of {LARGE // 1_000_000} MB, megabytes a second, median of {2 * ROUNDS} (curl)")
    with servers.Server(argv) as ours, webpeers.nginx(place.folder, root) as nginx:
        webpeers.ready(ours.address)
        contestants = {name: webpeers.download(peer, "/large.bin", LARGE)
                       for name, peer in (("httpd", ours), ("nginx", nginx))}
        for _ in range(ROUNDS):
            contestants["httpd"]()
        before = procfs.anonymous(ours.pid)
        met = _against(rounds.in_turn(contestants, 2 * ROUNDS), {"nginx": 0.9})
        grown = procfs.anonymous(ours.pid) - before
        return rounds.verdict("KiB more after all of them", grown, 512, most=True) and met


def _new(place, root, argv):
    """Requests a second with a new connection for each, under one xinetd."""
    print(f"httpd: a new connection for each request, under xinetd: requests a second, median of {ROUNDS} (ab)")
    micro = program("micro-httpd", "micro-httpd")
    services = {"micro-httpd": ([micro, root], False), "httpd fork": ([*argv, "--model=fork"], True),
                "httpd thread": ([*argv, "--model=thread"], True)}
    with Xinetd(place.folder, services, ready=webpeers.ready) as host:
        contestants = {name: webpeers.connections(host, host.address[name], "/page.html", REQUESTS, CLIENTS)
                       for name in services}
        results = rounds.in_turn(contestants, ROUNDS)
    return rounds.compare(results, {"httpd fork": 1.3, "httpd thread": 3.0}, "micro-httpd")


def _idle(argv):
    """KiB of a connection that has had its answer and stays."""
    count = memory.affordable(IDLE)
    with servers.Server([*argv, "--processes=1", "--keep-alive=600"]) as server, \
            memory.Callers(server.address, b"GET /page.html HTTP/1.1\r\nHost: localhost\r\n\r\n") as callers:
        callers.call(memory.FIRST)
        before = memory.settled(server.pid, "thread", memory.FIRST)
        callers.call(count)
        after = memory.settled(server.pid, "thread", memory.FIRST + count)
    value, beside = [(more - less) / count for less, more in zip(before, after)]
    print(f"httpd: {count} idle connections")
    met = rounds.verdict("each", value, IDLE_BAR, most=True, unit=" KiB")
    print(f"  {'':<40} {beside:10.2f} KiB more in page tables and kernel stacks")
    return met


def _against(results, bars):
    """Print rates, and ours against each peer."""
    for name, pairs in results.items():
        rates, cpu = zip(*pairs)
        print(f"  {name:<40} {rounds.median(rates):10,.0f} /s   {rounds.median(cpu):10,.1f} us of CPU each")
    ours = results["httpd"]
    met = [rounds.verdict(f"httpd / {name}", rounds.ratio(ours, results[name]), bar)
           for name, bar in bars.items() if name in results]
    return all(met)


if __name__ == "__main__":
    try:
        raise SystemExit(not main())
    except load.Broken as error:
        raise SystemExit(f"bench.httpd: {error}") from None
