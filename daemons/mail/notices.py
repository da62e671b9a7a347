"""Notices: a sender is told what became of a mail, by another one in the queue from nobody (RFC 3461, RFC 3464)."""

import os
import time

from daemons.kernel import log
from daemons.wire import dsn, smtplines
from daemons.wire.dsn import Outcome, Report
from daemons.wire.mailaddresses import mailbox
from daemons.wire.queuelines import DELIVERED, Recipient
from daemons.wire.smtpdata import HEAD, Head
from daemons.wire.smtpreplies import is_enhanced

MOST_RETURNED = 1 << 20         # octets of a mail that comes back as a whole; of a larger one its header does


class Notices:
    """Writes them for a job; `writer` is the QueueWriter, `hostname` our name."""

    def __init__(self, writer, hostname, plan, clock=time.time):
        self.writer, self.hostname, self.plan, self._clock = writer, hostname, plan, clock

    def tell(self, job):
        """All that the sender of this job is owed; raises OSError, and then it stays owed."""
        owed = job.owed()
        if owed:
            self._write(job, [self._outcome(one, self._action(one)) for one in owed])
            job.told(owed)
        late = job.late(self._clock(), self.plan)
        if late:
            envelope = job.envelope
            until = self.plan.gives_up(envelope.received, envelope.expires)
            self._write(job, [self._outcome(one, dsn.DELAYED, until) for one in late])
            job.warned()
            log.event("warned", id=job.id, to=envelope.sender)

    def _action(self, one):
        """What became of one of whom the sender is owed news; smtpd leaves to us to tell of what it delivered."""
        if one.sign.upper() != DELIVERED:
            return dsn.FAILED
        return dsn.DELIVERED if one.host in ("", self.hostname) else dsn.RELAYED

    def _outcome(self, one, action, until=None):
        text = one.reply
        code, _, rest = text.partition(" ")
        word, _, words = rest.partition(" ")
        status = word if is_enhanced(word) else f"{code[:1]}.0.0" if code[:1] in "245" else "4.0.0"
        wanted = {dsn.FAILED: "5", dsn.DELAYED: "4"}.get(action, "2")
        if not status.startswith(wanted):
            status = wanted + status[1:]
        try:
            original = smtplines.original_of(one.orcpt.encode()) if one.orcpt else None
        except ValueError:
            original = None             # RCPT was let through with it, but no notification can say it
        ours = one.host in ("", self.hostname)
        host = "" if ours else one.host.partition(" ")[0]
        return Outcome(one.address, action, status, original=original, remote=host,
                       diagnostic="" if ours else text, why=(words if is_enhanced(word) else rest) if ours else "",
                       attempted=one.tried or None, until=until)

    def _write(self, job, outcomes):
        envelope, now = job.envelope, self._clock()
        try:
            sender = mailbox(envelope.sender)
        except ValueError as error:     # a front end let it through; nobody can be told
            for one in outcomes:
                log.event("dropped", id=job.id, to=one.recipient, host="", reply=f"no notice to its sender: {error}")
            return
        head = Head()
        for piece in job.message():
            head.look(piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            if head.done:
                break
        block = head.octets[:HEAD]
        if not block.endswith(b"\r\n\r\n"):         # cut off, or all header: it is returned as far as it goes
            block = block.rstrip(b"\r\n") + b"\r\n\r\n"
        report = Report(self.hostname, sender, outcomes, unique=f"{job.id}.{os.urandom(9).hex()}", seconds=now,
                        offset=time.localtime(now).tm_gmtoff // 60, arrival=envelope.received, envid=envelope.envid)
        # what was to be encrypted all the way goes back over a way of which nobody knows (RFC 8689, 5)
        full = report.returns_all(envelope.ret or None) and envelope.size <= MOST_RETURNED and not envelope.requiretls
        eight = any(not piece.isascii() for piece in job.message()) if full else None
        is_eight = eight or (eight is None and not block.isascii())
        with self.writer.new("", [Recipient(envelope.sender)], now, dsn.needs_utf8(report, block),
                             body="8BITMIME" if is_eight else "", requiretls=envelope.requiretls) as notice:
            notice.write(dsn.opening(report, block, full=full, eight_bit=eight))
            notice.write(b"" if full else block)
            if full:
                _copy(job, notice)
            notice.write(dsn.closing(report))
            notice.commit()


def _copy(job, notice):
    """The mail itself, its lines with CR LF."""
    last, carry = b"", b""
    for piece in job.message():
        piece = carry + piece
        carry = b"\r" if piece.endswith(b"\r") else b""
        piece = piece[:-1] if carry else piece
        text = piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        notice.write(text)
        last = text or last
    notice.write(carry)
    if not last.endswith(b"\n"):
        notice.write(b"\r\n")
