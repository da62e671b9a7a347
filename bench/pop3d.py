"""A maildrop of 50,000 messages: log in, LIST, UIDL, and RETR of 1,000; pop3d beside Dovecot.

Both have a Maildir of the same messages, of 2 kB each, with sizes in their names as both write them; one client asks
one thing after another.  pop3d is as it comes, with a process for each session, and so is Dovecot.  The bar is for
sessions when both have seen the maildrop before; the first one, in which each writes its index, stands beside.
"""

import os
import shutil
import socket
import time

from daemons.stores import accounts

from . import load, mailpeers, procfs, rounds, servers, unpacked

ROUNDS, MESSAGES, RETRIEVED = 5, 50_000, 1000
BAR = 1.5               # times the peer's time
FEW, GROWN = 100, 256   # messages, KiB
SECRET = "correct-horse"
MOMENT = 1_700_000_000


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__, lambda parser: parser.add_argument(
        "--messages", type=int, default=MESSAGES, help="messages in the maildrop [%(default)s]"))
    with servers.Workplace(chosen) as place:
        argv, box = _ours(place)
        with servers.Server(argv) as ours, mailpeers.Dovecot(place, SECRET) as dovecot:
            mailpeers.ready(ours.address)
            _fill(box, chosen.messages)
            shutil.rmtree(dovecot.box)
            shutil.copytree(box, dovecot.box)
            _give(dovecot.box)
            hosts = {"pop3d": ours, "dovecot": dovecot}
            print(f"pop3d: a maildrop of {chosen.messages} messages: login, LIST, UIDL, {RETRIEVED} times RETR")
            for name, host in hosts.items():
                took = _session(host.address, chosen.messages)
                print(f"  {f'{name}, the first time':<40} {took:10.3f} s")
            results = rounds.in_turn({name: _contestant(host, chosen.messages) for name, host in hosts.items()}, ROUNDS)
            return all([_against(results), _flat(ours, chosen.messages)])


def _ours(place):
    """The argv of pop3d, and the Maildir of its user."""
    folder = os.path.join(place.folder, "ours")
    os.mkdir(folder)
    there = accounts.open(f"{folder}/accounts.db", create=True)
    there.add_user(mailpeers.USER, SECRET.encode())
    there.store.close()
    box = os.path.join(folder, "mail", *reversed(mailpeers.USER.split("@")))
    return place.ours("pop3d", "--config=/dev/null", "--plaintext=yes", f"--accounts={folder}/accounts.db",
                      f"--mail={folder}/mail")[""], box


def _fill(box, count):
    for name in ("tmp", "new", "cur"):
        os.makedirs(os.path.join(box, name), 0o700)
    text = b"".join(b"A line of a message that is as long as lines of messages are.\n" for _ in range(31))
    for number in range(count):
        head = b"From: fred@example.net\nTo: ann@bench.test\nSubject: number %d\n\n" % number
        size, lines = len(head) + len(text), 35
        name = f"{MOMENT + number}.M{number}P1.mx,S={size},W={size + lines}:2,"
        with open(f"{box}/cur/{name}", "wb") as file:
            file.write(head + text)


def _give(box):
    for folder, _, names in os.walk(box):
        for name in ("", *names):
            os.chown(os.path.join(folder, name), unpacked.OWNER, unpacked.OWNER)


class _Client:
    """One session, in which all answers are read to their ends."""

    def __init__(self, address):
        self.sock = socket.create_connection(address, load.PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read(b"\r\n")

    def ask(self, line, end=b"\r\n"):
        """What is answered; raises Broken for what is not +OK."""
        self.sock.sendall(line + b"\r\n")
        return self._read(end)

    def _read(self, end):
        pieces, last = [], b""
        while not last.endswith(end):
            piece = self.sock.recv(1 << 18)
            if not piece:
                raise load.Broken(f"the server left, after {last!r}")
            pieces.append(piece)
            last = (last + piece)[-64:] if len(piece) < 64 else piece[-64:]
        said = b"".join(pieces)
        if not said.startswith(b"+OK"):
            raise load.Broken(said[:80].decode("utf-8", "replace"))
        return said

    def begin(self, count):
        """Log in, and be told of all messages."""
        self.ask(b"USER " + mailpeers.USER.encode())
        self.ask(b"PASS " + SECRET.encode())
        for line in (b"LIST", b"UIDL"):
            told = self.ask(line, b"\r\n.\r\n").count(b"\r\n") - 2
            if told != count:
                raise load.Broken(f"{line.decode()} told of {told} of {count} messages")

    def fetch(self, first, last):
        """Retrieve these."""
        for number in range(first, last + 1):
            self.ask(b"RETR %d" % number, b"\r\n.\r\n")

    def end(self):
        """Say goodbye."""
        self.ask(b"QUIT")
        self.sock.close()


def _session(address, count):
    """Seconds of a session."""
    began = time.monotonic()
    client = _Client(address)
    client.begin(count)
    client.fetch(1, min(RETRIEVED, count))
    client.end()
    return time.monotonic() - began


def _contestant(host, count):
    def run():
        before = procfs.cpu_of_all(host.process.pid)
        took = _session(host.address, count)
        time.sleep(0.1)                 # until it was reaped, and counts
        return took, procfs.cpu_of_all(host.process.pid) - before
    return run


def _against(results):
    """Print times, and ours by the peer's."""
    for name, pairs in results.items():
        seconds, cpu = zip(*pairs)
        print(f"  {name:<40} {rounds.median(seconds):10.3f} s   {rounds.median(cpu) / 1e6:10.3f} s of CPU")
    return rounds.verdict("pop3d / dovecot", rounds.ratio(results["pop3d"], results["dovecot"]), BAR, most=True)


def _flat(ours, count):
    """Does a session take more memory, the more it has retrieved?"""
    client = _Client(ours.address)
    client.begin(count)
    client.fetch(1, FEW)
    pid = procfs.tree(ours.pid)[-1]
    before = procfs.resident(pid)
    client.fetch(FEW + 1, min(RETRIEVED, count))
    grown = procfs.resident(pid) - before
    client.end()
    print(f"  {before:.0f} KiB (RSS) of a session after {FEW} times RETR")
    return rounds.verdict(f"KiB more after {RETRIEVED}", grown, GROWN, most=True)


if __name__ == "__main__":
    try:
        raise SystemExit(not main())
    except load.Broken as error:
        raise SystemExit(f"bench.pop3d: {error}") from None
