"""Mails a second out of a queue into smtp-sink, all for one destination: mailq beside Postfix.

Each queue is filled before its server starts; what is counted is what smtp-sink has taken, from the first mail to the
last, so that starting counts for neither.  Both are as they come, with the sink as their relay: mailq with five
deliveries at once to a destination, its sandbox and its log; Postfix with twenty, and its log in a file.
"""

import os
import shutil
import subprocess

from daemons.stores import accounts, queuefolder
from daemons.stores.queuewriter import QueueWriter
from daemons.wire.queuelines import Recipient

from . import load, mailpeers, procfs, rounds, servers, xinetd

ROUNDS, MAILS, BAR = 3, 1000, 0.5
LINE = b"A line of a mail that is as long as lines of mails are, and not longer than that.\r\n"
TEXT = b"From: fred@source.test\r\nTo: ann@far.test\r\nSubject: a test\r\n\r\n" + LINE * 48
TO = "ann@far.test"


def main():
    """Measure, print, and return whether the bar is met."""
    chosen = servers.options(__doc__, lambda parser: parser.add_argument(
        "--count", type=int, default=MAILS, help="mails in the queue [%(default)s]"))
    with servers.Workplace(chosen) as place, mailpeers.Sink() as sink:
        queue = f"{place.folder}/queue"
        accounts.open(f"{place.folder}/accounts.db", create=True).store.close()     # nobody has a mailbox here
        contestants = {f"mailq{label}": lambda argv=argv: _ours(queue, argv, sink, chosen.count)
                       for label, argv in place.ours(
                           "mailq", "--config=/dev/null", "--hostname=ours.test", f"--queue={queue}",
                           f"--accounts={place.folder}/accounts.db", f"--mail={place.folder}/mail",
                           "--smarthost={}:{}".format(*sink.address)).items()}
        contestants["postfix"] = lambda: _postfix(place, sink, chosen.count)
        results = rounds.in_turn(contestants, ROUNDS)
    print(f"mailq: {chosen.count} mails of 4 kB out of a queue, to one destination, median of {ROUNDS} rounds")
    return rounds.compare(results, {"mailq": BAR}, "postfix")


def _ours(queue, argv, sink, count):
    """Mails a second of ours, and the CPU time of each in us."""
    queuefolder.make(queue)
    writer = QueueWriter(queue)
    for _ in range(count):
        with writer.new("fred@source.test", [Recipient(TO)]) as message:
            message.write(TEXT)
            message.commit()
    writer.close()
    process = subprocess.Popen(["timeout", str(mailpeers.LIFETIME), *argv], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return sink.taken(count), procfs.cpu_of_all(process.pid) / count
    finally:
        xinetd.end(process.pid)
        process.wait()
        shutil.rmtree(queue)


def _postfix(place, sink, count):
    """The same of Postfix, which is stopped, with all mails put on hold, and started again."""
    relay = "relayhost = [{}]:{}".format(*sink.address)
    peer = mailpeers.Postfix(place, f"{relay}\nsmtpd_client_restrictions = static:HOLD")
    hold, incoming = f"{peer.folder}/queue/hold", f"{peer.folder}/queue/incoming"
    with peer:
        mailpeers.source(peer.address, count, 8, to=TO)
    names = os.listdir(hold)
    if len(names) != count:
        raise load.Broken(f"{len(names)} of {count} mails are on hold: {peer.said()}")
    for name in names:
        os.rename(f"{hold}/{name}", f"{incoming}/{name}")
    peer.configure(relay)
    with peer:
        result = sink.taken(count), peer.cpu() / count
    shutil.rmtree(peer.folder)
    return result


if __name__ == "__main__":
    try:
        raise SystemExit(not main())
    except load.Broken as error:
        raise SystemExit(f"bench.mailq: {error}") from None
