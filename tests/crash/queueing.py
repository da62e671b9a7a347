"""What a mail server and a queue's runner do, as small programs to be killed: `python -m tests.crash.queueing ...`.

    put DIR             queue a message for RECIPIENTS, say "250 ID"; "452" if it cannot be
    deliver DIR LOG     try all there is once, five minutes later; whatever is handed over becomes a line of LOG

One recipient is taken at once, one at the second attempt, one never: its sender gets a notification, by the queue.
"""

import contextlib
import os
import sys
import time

from daemons.stores.mailqueue import Queue
from daemons.stores.queuewriter import QueueWriter
from daemons.wire.queuelines import Recipient

ALICE = "alice@example.org"
RECIPIENTS = ("now@example.net", "later@example.net", "never@example.com")
TEXT = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 8192           # more than is written at once
LATER = 300.0


def put(path):
    """As smtpd does; what is said is said only after commit() returned."""
    try:
        with QueueWriter(path).new(ALICE, [Recipient(each) for each in RECIPIENTS]) as message:
            for at in range(0, len(TEXT), 10_000):
                message.write(TEXT[at:at + 10_000])
            said = f"250 {message.commit()}\n"
    except OSError:
        said = "452\n"
    os.write(1, said.encode())


def deliver(path, log_path, now):
    """As mailq does; a disk that fails ends the job, not the runner."""
    with contextlib.closing(Queue(path)) as queue, contextlib.closing(QueueWriter(path)) as writer, \
            open(log_path, "ab", 0) as log:
        for job in list(queue.claim(now, 100)):
            with contextlib.suppress(OSError), job:
                _try(job, writer, log, now)


def _try(job, writer, log, now):
    whole = b"".join(job.message())
    assert whole == TEXT or (job.envelope.sender == "" and whole.endswith(b"\nend\n")), "half a message"
    for one in job.waiting(now):
        name = one.address.partition("@")[0]
        if name == "never":
            job.bounce([one], "550 5.1.1 nobody")
        elif name == "later" and not one.attempts:
            job.defer([one], "451 4.7.1 greylisted", now + LATER)
        else:
            log.write(f"{one.address}\n".encode())
            job.done([one], "250 ok")
    if owed := job.owed():
        with writer.new("", [Recipient(job.envelope.sender)]) as notification:
            notification.write("".join(f"{one.address}: {one.reply}\n" for one in owed).encode() + b"end\n")
            notification.commit()
        job.told(owed)


if __name__ == "__main__":
    if sys.argv[1] == "put":
        put(sys.argv[2])
    else:
        deliver(sys.argv[2], sys.argv[3], time.time() + float(sys.argv[4]))
