"""Conversations per second of a C program under our inetd, with one service and with 200, and what a reload takes.

Both super-servers offer the same C program (peers/echo.c) with wait = no; four clients at a time hold conversations
through one of them for two seconds, then through the next, five rounds.  A reload of 200 services is timed from SIGHUP
to the READY=1 that we tell a service manager.  With --before=DIR another checkout takes part, and the bar is its
figure: what a change adds for those who do not use it.
"""

import os
import select
import signal
import socket
import subprocess
import time
from statistics import median

from . import load, procfs, rounds, servers, xinetd

BAR = 0.95              # of the other checkout's rate
SLOWER = 1.15           # times its reload
ROUNDS, SECONDS = 5, 2.0
MANY = 200


class Ours:
    """Our inetd with `count` services that all start `argv`; a host as bench.xinetd.Xinetd is one."""

    def __init__(self, folder, library, argv, count, python):
        self.folder, self.library, self.argv, self.count, self.python = folder, library, argv, count, python

    def __enter__(self):
        self.ports = [xinetd.free_port() for _ in range(self.count)]
        self.address = {"C": ("127.0.0.1", self.ports[0])}
        host = xinetd.Xinetd(self.folder, {})
        host.address, host.services = {}, {}
        text = ""
        for number, port in enumerate(dict.fromkeys(self.ports)):
            host.address[f"s{number}"], host.services[f"s{number}"] = ("127.0.0.1", port), (self.argv, False)
            text += host._entry(f"s{number}")
        path = f"{self.folder}/{os.path.basename(self.library)}-{self.count}.conf"
        with open(path, "w") as file:
            file.write("defaults\n{\n    instances = UNLIMITED\n    cps = 1000000 1\n}\n" + text)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(f"{path}.notify")
        self.process = subprocess.Popen(
            [self.python, "-m", "daemons.inetd", f"--log={self.folder}/nobody-reads", path], stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHONPATH": self.library,
                 "NOTIFY_SOCKET": f"{path}.notify"}, cwd=self.folder)
        self._told("READY=1")
        return self

    def __exit__(self, *_):
        xinetd.end(self.process.pid)
        self.process.wait()
        self.manager.close()

    def cpu(self):
        """Microseconds of processor time of it and its servers, ended ones too."""
        return sum(procfs.cpu(pid) for pid in procfs.tree(self.process.pid))

    def reload(self):
        """Milliseconds from SIGHUP until it is ready again."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGHUP)
        self._told("READY=1")
        return (time.monotonic() - began) * 1000

    def _told(self, line):
        while select.select([self.manager], [], [], load.PATIENCE)[0]:
            if line in self.manager.recv(4096).decode().split("\n"):
                return
        raise load.Broken(f"inetd never said {line}")


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        argv = place.compiled("echo")
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        libraries = {"": here, **({" before": os.path.abspath(chosen.before)} if chosen.before else {})}
        hosts = {f"inetd, {count}{label}": Ours(place.folder, library, argv, count, chosen.python)
                 for label, library in libraries.items() for count in (1, MANY)}
        peer = xinetd.Xinetd(place.folder, {"C": (argv, False)})
        try:
            for host in [*hosts.values(), peer]:
                host.__enter__()
            runs = {name: rounds.rate(host, "C", SECONDS) for name, host in {**hosts, "xinetd": peer}.items()}
            rates = rounds.in_turn(runs, ROUNDS)
            reloads = {label: [hosts[f"inetd, {MANY}{label}"].reload() for _ in range(ROUNDS)] for label in libraries}
        finally:
            for host in [*hosts.values(), peer]:
                if hasattr(host, "process"):
                    host.__exit__()
    print(f"inetd: conversations per second, median of {ROUNDS} rounds of {SECONDS:g} s, {load.CLIENTS} clients")
    met = rounds.compare(rates, {}, "xinetd")
    for label, times in reloads.items():
        print(f"  reload of {MANY} services{label:<22} {median(times):10.1f} ms")
    for count in (1, MANY) if chosen.before else ():
        name = f"inetd, {count}"
        met &= rounds.verdict(f"{name} / before", rounds.ratio(rates[name], rates[f"{name} before"]), BAR)
    if chosen.before:
        met &= rounds.verdict("reload / before", median(reloads[""]) / median(reloads[" before"]), SLOWER, most=True)
    print(f"  {'inetd, 1 / xinetd':<40} {rounds.ratio(rates['inetd, 1'], rates['xinetd']):10.2f}")
    return met


if __name__ == "__main__":
    raise SystemExit(not main())
