"""Mails a second that are taken for a Maildir and are on the disk: smtpd beside Postfix, OpenSMTPD and aiosmtpd.

Postfix's smtp-source sends mails of 4 kB to one recipient over 8 connections, to one server, then to the next: over
connections that it keeps, then over a new one for each mail.  What is counted is mails that are safe: at the 250 they
are on the disk, in our and in aiosmtpd's Maildir or in Postfix's queue; OpenSMTPD does not fsync its queue, so it is
timed until all are in its Maildir.  The next one begins when all have delivered.

Every server is as it comes: smtpd with `wait = yes` has its sandbox, a process for each connection, and accounts in
SQLite; aiosmtpd takes all in one process.  A process of aiosmtpd for each connection, by xinetd with `wait = no`, is
what it would be with our isolation.
"""

import os
import time

from daemons.stores import accounts

from . import load, mailpeers, procfs, rounds, servers
from .xinetd import Xinetd

ROUNDS, CLIENTS = 5, 8
MAILS, NEW, FEW = 1000, 300, 40         # over connections that stay; over new ones; and of who takes longer for them
KEPT = {"postfix": 1.0, "opensmtpd": 1.0, "aiosmtpd": 2.0}
ALONE = 3.0


class Ours:
    """smtpd's accounts and folders; `mails` are those of its one user."""

    def __init__(self, place):
        self.folder = os.path.join(place.folder, "ours")
        os.mkdir(self.folder)
        there = accounts.open(f"{self.folder}/accounts.db", create=True)
        there.add_user(mailpeers.USER, b"correct horse")
        there.store.close()
        self.mails = os.path.join(self.folder, "mail", *reversed(mailpeers.USER.split("@")), "new")

    def argv(self, place):
        """{label: argv} of smtpd."""
        return place.ours("smtpd", "--config=/dev/null", "--role=mx", "--hostname=ours.test",
                          f"--accounts={self.folder}/accounts.db", f"--mail={self.folder}/mail",
                          f"--queue={self.folder}/queue")


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        ours = Ours(place)
        return all([_kept(place, ours), _alone(place, ours)])


def _kept(place, ours):
    """Over connections that stay."""
    box = _maildir(place, "kept")
    hosts = {f"smtpd{label}": (servers.Server(argv), ours.mails) for label, argv in ours.argv(place).items()}
    for kind in (mailpeers.Postfix, mailpeers.OpenSMTPD):
        hosts[kind.name] = (peer := kind(place), f"{peer.box}/new")
    hosts["aiosmtpd"] = servers.Server([*place.peer("aiosmtpd"), box]), f"{box}/new"
    begun = []
    try:
        for host, _ in hosts.values():
            begun.append(host.__enter__())
            mailpeers.ready(host.address)
        results = rounds.in_turn({name: _rate(host, host.address, new, MAILS, True, name == "opensmtpd")
                                  for name, (host, new) in hosts.items()}, ROUNDS)
    finally:
        for host in begun:
            host.__exit__()
    print(f"smtpd: mails of 4 kB a second over {CLIENTS} connections that stay, median of {ROUNDS} rounds")
    return _against(results, KEPT)


def _alone(place, ours):
    """Over a connection for each, under xinetd."""
    box = _maildir(place, "alone")
    services = {f"smtpd{label}": (argv, True) for label, argv in ours.argv(place).items()}
    services["aiosmtpd"] = [*place.peer("aiosmtpd"), box], False
    with Xinetd(place.folder, services, ready=mailpeers.ready) as host:
        results = rounds.in_turn({
            name: _rate(host, host.address[name], ours.mails if wait else f"{box}/new", NEW if wait else FEW, False)
            for name, (_, wait) in services.items()}, ROUNDS)
    print(f"smtpd: the same with a connection for each mail, under xinetd, {CLIENTS} at a time")
    return _against(results, {"aiosmtpd": ALONE})


def _maildir(place, name):
    path = os.path.join(place.folder, name)
    for each in ("", "tmp", "new", "cur"):
        os.mkdir(os.path.join(path, each))
    return path


def _rate(host, address, new, count, kept, to_the_end=False):
    """A contestant: mails a second, and the CPU time of each in us; it ends when all are in its Maildir."""
    def run():
        before, there, began = procfs.cpu_of_all(host.process.pid), _there(new), time.monotonic()
        took = mailpeers.source(address, count, CLIENTS, kept=kept)
        end = time.monotonic() + load.PATIENCE
        while _there(new) < there + count:
            if time.monotonic() > end:
                raise load.Broken(f"{_there(new) - there} of {count} mails have come into {new}")
            time.sleep(0.02)
        if to_the_end:
            took = time.monotonic() - began
        return count / took, (procfs.cpu_of_all(host.process.pid) - before) / count
    return run


def _there(new):
    return len(os.listdir(new)) if os.path.isdir(new) else 0


def _against(results, bars):
    """Print rates, and ours against each peer."""
    for name, pairs in results.items():
        rates, cpu = zip(*pairs)
        print(f"  {name:<40} {rounds.median(rates):10,.0f} /s   {rounds.median(cpu):10,.0f} us of CPU each")
    met = [rounds.verdict(f"smtpd / {name}", rounds.ratio(results["smtpd"], results[name]), bar)
           for name, bar in bars.items()]
    return all(met)


if __name__ == "__main__":
    try:
        raise SystemExit(not main())
    except load.Broken as error:
        raise SystemExit(f"bench.smtpd: {error}") from None
