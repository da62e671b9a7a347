"""XML-RPC calls per second over connections that are kept: xmlrpcd, against Python's own SimpleXMLRPCServer.

Both offer add(a, b), under the same interpreter.  wrk keeps 16 connections busy, on each of them one call after
another, at one server for 2 seconds, then at the next, five rounds.  xmlrpcd is as it comes: a process for each
processor, threads in them, its sandbox.  So is the peer (peers/xmlrpc.py): one thread, HTTP/1.0, so that wrk connects
anew for each call.  Neither writes a log of calls (--priority=notice, logRequests=False); a row with a log on both
sides stands beside, ours read by another process, theirs for /dev/null.
"""

import os
import re
import subprocess
import time
from xmlrpc.client import ServerProxy

from . import load, procfs, rounds, servers
from .xinetd import program

BAR = 5.0               # times the peer's rate
ROUNDS, SECONDS, CONNECTIONS = 5, 2, 16
METHODS = '''
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
'''
CALL = """
wrk.method, wrk.path = "POST", "/RPC2"
wrk.headers["Content-Type"] = "text/xml"
wrk.body = [[<?xml version='1.0'?>
<methodCall><methodName>add</methodName><params><param><value><int>2</int></value></param>
<param><value><int>40</int></value></param></params></methodCall>]]
"""


def main():
    """Measure, print, and return whether the bar is met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        for name, text in (("summing.py", METHODS), ("call.lua", CALL)):
            with open(os.path.join(place.folder, name), "w") as file:
                file.write(text)
        argv = {f"xmlrpcd{label}": command for label, command in place.ours(
            "xmlrpcd", "--methods=summing", f"--method-path={place.folder}", "--config=/dev/null").items()}
        argv.update({f"{label}, logging": command for label, command in argv.items()})
        argv["xmlrpcd"] = [*argv["xmlrpcd"], "--priority=notice"]
        argv["SimpleXMLRPCServer"] = place.peer("xmlrpc")
        argv["SimpleXMLRPCServer, logging"] = [*argv["SimpleXMLRPCServer"], "logging"]
        hosts = {name: servers.Server(command).__enter__() for name, command in argv.items()}
        try:
            turns = {name: _rate(host, f"{place.folder}/call.lua") for name, host in hosts.items()}
            results = rounds.in_turn(turns, ROUNDS)
        finally:
            for host in hosts.values():
                host.__exit__()
    print(f"xmlrpc: calls per second, median of {ROUNDS} rounds of {SECONDS:g} s, {CONNECTIONS} connections")
    return rounds.compare(results, {"xmlrpcd": BAR}, "SimpleXMLRPCServer")


def _rate(host, script):
    """A contestant, once it has answered: gives calls a second, and the CPU time of each in us."""
    url = "http://{}:{}/RPC2".format(*host.address)
    _ready(url)

    def run():
        before = _cpu(host.pid)
        done = subprocess.run([program("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", f"-s{script}", url],
                              capture_output=True, text=True, timeout=load.PATIENCE + SECONDS, check=True).stdout
        count = int(re.search(r"(\d+) requests in", done)[1])
        if "Non-2xx" in done or "Socket errors" in done or not count:
            raise load.Broken(done)
        rate = float(re.search(r"Requests/sec: +([\d.]+)", done)[1])
        return rate, (_cpu(host.pid) - before) / count
    return run


def _cpu(pid):
    return sum(map(procfs.cpu, procfs.tree(pid)))


def _ready(url, seconds=10):
    end = time.monotonic() + seconds
    while True:
        try:
            with ServerProxy(url) as server:
                if server.add(2, 40) != 42:
                    raise load.Broken("a wrong sum")
                return
        except (ConnectionRefusedError, ConnectionResetError):
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    raise SystemExit(not main())
