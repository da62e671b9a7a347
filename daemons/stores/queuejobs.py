"""A message in the hands of one worker: what became of each recipient is on the disk before the next step.

    for recipient in job.waiting(now, destination):
        ... hand it over ...
        job.done([recipient], reply, host)          # or defer, or bounce
    if job.owed():
        ... write a notification into the queue ...
        job.told(job.owed())
    job.finish()

Killed between the handing over and done(), it is delivered once more; killed between the notification and told(), that
is sent once more; nothing is ever left out.  One thread at a time; whoever holds the message may still be told to stop.
"""

import errno

from ..wire import queuelines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..wire.queueplan import Plan
    from .queuefiles import QueueFile
    from .queuefolder import Stamp

    Recipients = Iterable[queuelines.Recipient]
    Settle = Callable[[str, queuelines.Envelope | None, Stamp, bool], None]

KEPT, GONE = "kept", "gone"
FULL = (errno.ENOSPC, errno.EDQUOT)


class Job:
    """A claimed message; ours until finish(), the end of a `with` block, or the end of the process.

    Each step raises OSError where it may not be on the disk; `envelope` then says what happened nevertheless.
    """

    __slots__ = ("_failed", "_file", "_route", "_settle", "dropped")

    def __init__(self, file: "QueueFile", settle: "Settle", route: "Callable[[str], str]") -> None:
        self._file, self._settle, self._route, self._failed = file, settle, route, False
        self.dropped: list[queuelines.Recipient] = []       # bounced, and nobody is to be told (event "dropped")

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._failed = kind is not None
        self.finish()

    @property
    def id(self) -> str:
        """The message's name."""
        return self._file.id

    @property
    def envelope(self) -> queuelines.Envelope:
        """Sender, recipients and how the message came."""
        return self._file.envelope

    @property
    def stopped(self) -> str:
        """Why to go no further: "deleted" or "held" since by somebody, else ""."""
        self._file.refresh()
        return "deleted" if self.envelope.deleted else "held" if self.envelope.held else ""

    def waiting(self, now: float, destination: str | None = None) -> list[queuelines.Recipient]:
        """Whom to try now, at this destination or at any; nobody once the job is to stop."""
        if self.stopped:
            return []
        return [one for one in self.envelope.waiting if one.next <= now
                and (destination is None or self._route(one.address) == destination)]

    def message(self) -> "Iterator[bytes]":
        """The message, in pieces."""
        return self._file.message()

    def octets(self, offset: int, count: int) -> bytes:
        """A part of the message; fewer octets only where it ends."""
        left = max(0, self.envelope.size - offset)
        return self._file.octets(self.envelope.begins + offset, min(count, left))

    def done(self, recipients: "Recipients", reply: str, host: str = "", tell: bool = False) -> None:
        """These have it.  `tell`: whoever asked for NOTIFY=SUCCESS hears that from us, no server does it after us."""
        self._end(list(recipients), "done", queuelines.DELIVERED, reply, host,
                  lambda one: tell and one.wants("SUCCESS"))

    def bounce(self, recipients: "Recipients", reply: str, host: str = "") -> None:
        """These will never get it; their sender is owed a notification.

        There is none for a notification that bounces itself, nor where NOTIFY asks for none: what nobody hears of is
        put into `dropped`, to be logged with the message's name, the recipient and the reply.
        """
        recipients = list(recipients)
        self._end(recipients, "bounce", queuelines.BOUNCED, reply, host, lambda one: one.wants("FAILURE"))
        self.dropped += [one for one in recipients if not one.is_owed]

    def defer(self, recipients: "Recipients", reply: str, when: float, host: str = "") -> None:
        """These are not to be tried again before `when`; not by this process, even if that cannot be written down."""
        recipients = list(recipients)
        if not recipients:
            return
        try:
            self._file.append("defer", recipients, next=when, host=host, reply=reply)
            self._file.sync()
        except OSError:
            for one in recipients:
                one.next = when
            raise

    def split(self, recipient: queuelines.Recipient, mailboxes: "Iterable[str]") -> list[queuelines.Recipient]:
        """Add the mailboxes that a recipient leads to as recipients, for what becomes of each is another matter.

        They are asked about, and told of, as that one would have been; it waits itself until it is done().  Raises
        OSError before anything was handed over.
        """
        before = len(self.envelope.recipients)
        self._file.append("split", [recipient], **queuelines.split(self.envelope, mailboxes))
        self._file.sync()
        return self.envelope.recipients[before:]

    def owed(self) -> list[queuelines.Recipient]:
        """Those of whom the sender is to be told by a notification, from earlier attempts that were cut short too."""
        return self.envelope.owed

    def told(self, recipients: "Recipients") -> None:
        """The notification about these is in the queue."""
        for one in recipients:
            self._file.mark(one, one.sign.upper())
        self._file.sync()

    def late(self, now: float, plan: "Plan") -> list[queuelines.Recipient]:
        """Those of whose delay the sender is to be warned now; he is once, see warned()."""
        envelope = self.envelope
        if envelope.warned or not envelope.sender or not plan.is_late(now, envelope.received):
            return []
        return [one for one in envelope.waiting if one.attempts and one.wants("DELAY")]

    def warned(self) -> None:
        """The warning is in the queue."""
        self._file.append("warned")
        self._file.sync()

    def finish(self) -> str:
        """Let go of the message.  Returns "gone" if nothing is left to do, or it was deleted, and else "kept"."""
        file = self._file
        over = False
        if file.fd >= 0:
            try:
                file.refresh()
                if self.envelope.is_over:       # all signs are on the disk: should the name come back, nothing is sent
                    file.remove(durable=self.envelope.deleted)
                    over = True
            finally:
                self._settle(file.id, None if over else self.envelope, file.stamp(), self._failed)
                file.close()
        return GONE if self.envelope.is_over else KEPT

    def _end(self, recipients: list[queuelines.Recipient], kind: str, sign: str, reply: str, host: str,
             wants: "Callable[[queuelines.Recipient], bool]") -> None:
        telling = [one for one in recipients if self.envelope.sender and wants(one)]
        others = [one for one in recipients if one not in telling]
        for some, tell in ((telling, "yes"), (others, "no")):
            if some:
                self._close_off(some, kind, sign.lower() if tell == "yes" else sign, host=host, reply=reply, tell=tell)

    def _close_off(self, some: list[queuelines.Recipient], kind: str, sign: str, host: str, reply: str,
                   tell: str) -> None:
        trouble, last = None, len(some) == len(self.envelope.waiting)
        for one in some:
            one.sign, one.host, one.reply = sign, host, reply
        if tell == "yes" or not last:   # else the file is about to go
            try:
                self._file.append(kind, some, tell=tell, host=host, reply=reply)
            except OSError as error:
                trouble = error
        for one in some:                # whatever became of the record: a sign needs no room
            self._file.mark(one, sign)
        self._file.sync()
        if trouble is not None and trouble.errno not in FULL:
            raise trouble
