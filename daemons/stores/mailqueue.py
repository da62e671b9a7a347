"""The durable queue of mail, for whoever empties it: what is due, a message for exactly one worker, and its outcome.

    queue = Queue("/var/spool/fd0")
    for destination, ids in queue.due(now, 10).items():
        for id in ids:
            if job := queue.take(id, now):
                with job:
                    ...                                 # see queuejobs.py
    (wait until queue.next_time(), or queue.wake has something; then queue.listen(), and refresh() every minute or so)

Any number of processes may do so with one queue.  smtpd puts mail in with queuewriter.py, `fd0 queue` looks and
meddles with queuecontrol.py; all three may be killed at any time.
"""

import time

from ..wire.queueplan import destination as domain_of
from .queuefiles import Damaged, QueueFile
from .queuefolder import SPOOL, QueueFolder
from .queueindex import QueueIndex
from .queuejobs import Job
from .queuewake import Wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..wire.queuelines import Envelope
    from .queuefolder import Stamp

BUSY = 5.0                      # seconds until a message is looked at again that somebody else has
FAILED = 60.0                   # and one whose worker failed
EVERY = 1 << 30


class Queue:
    """The queue at `path`, which queuefolder.make made, and what is known of it; raises OSError.

    route      where an address is sent: its domain, or a relay; the names of destinations are what it returns
    wake       what tells of new messages, with a fileno() to wait at
    damaged    names of files that are no messages, and why; they are left alone
    """

    __slots__ = ("_clock", "_settled", "damaged", "folder", "index", "wake")

    def __init__(self, path: str = SPOOL, route: "Callable[[str], str]" = domain_of,
                 clock: "Callable[[], float]" = time.time) -> None:
        self.folder, self.index, self._clock = QueueFolder(path), QueueIndex(route), clock
        self.wake = Wake(path)
        self.damaged: dict[str, str] = {}
        self._settled: list[tuple[str, Envelope | None, Stamp, bool]] = []
        self.refresh()

    def close(self) -> None:
        """Done with it."""
        self.wake.close()
        self.folder.close()

    # -- what is there --

    def refresh(self) -> None:
        """Look at the files of all messages, and read those that are new or longer than before."""
        self._settle()
        stamps = self.folder.stamps()
        for id in sorted(stamps):
            entry = self.index.entries.get(id)
            if entry is None or entry.stamp != stamps[id]:
                self._look(id)
        for id in self.index.entries.keys() - stamps.keys():
            self._forget(id)

    def listen(self) -> None:
        """Look at what the pipe told of; returns at once."""
        names = self.wake.told()
        if names is None:
            self.refresh()
        else:
            self.notice(names)

    def notice(self, ids: "Iterable[str]") -> None:
        """Read these anew: they came, or were changed by somebody else, such as a child that we gave them to."""
        self._settle()
        for id in ids:
            self._look(id)

    def due(self, now: float, limit: int, most: int = EVERY) -> dict[str, list[str]]:
        """Destination -> at most `limit` names of messages to take for it, the longest due first; `most` in all.

        Under queueindex.NOBODY stand those whose sender is still owed a notification.
        """
        self._settle()
        return self.index.due(now, limit, most)

    def next_time(self) -> float | None:
        """When there will be something due that is not yet; None for never."""
        self._settle()
        return self.index.next_time()

    def postpone(self, id: str, until: float) -> None:
        """Do not name a message before then: a child has it, or its destination has enough to do."""
        self.index.postpone(id, until)

    # -- taking --

    def take(self, id: str, now: float) -> Job | None:
        """Claim a message.  None where somebody else has it, it is gone, held, damaged, or nothing of it is due."""
        self._settle()
        if id in self.index.busy:
            return None
        file = self._opened(id)
        if file is None:
            return None
        job = None
        try:
            if not file.lock():
                self.index.postpone(id, now + BUSY)
            elif (envelope := self._read(file)) is not None and not self._removed(file, envelope):
                if not envelope.held and (envelope.owed or any(one.next <= now for one in envelope.waiting)):
                    job = Job(file, self._note, self.index.route)
                    self.index.busy.add(id)
                else:
                    self.index.put(id, envelope, file.stamp())
        finally:
            if job is None:
                file.close()
        return job

    def claim(self, now: float, limit: int) -> "Iterator[Job]":
        """At most `limit` jobs, whatever their destinations; each is ours once it is yielded."""
        for names in self.due(now, limit, limit).values():
            for id in names:
                if limit <= 0:
                    return
                if job := self.take(id, now):
                    limit -= 1
                    yield job

    def sweep(self, now: float) -> list[str]:
        """Throw away what writers left behind who were killed; returns names."""
        return self.folder.sweep(now)

    def _note(self, id: str, envelope: "Envelope | None", stamp: "Stamp", failed: bool) -> None:
        """What a job came to; from any thread, so it is only put down here."""
        self._settled.append((id, envelope, stamp, failed))

    def _settle(self) -> None:
        while self._settled:
            id, envelope, stamp, failed = self._settled.pop()
            self.index.busy.discard(id)
            if envelope is None:
                self._forget(id)
            else:
                self.index.put(id, envelope, stamp, self._clock() + FAILED if failed else 0.0)

    def _forget(self, id: str) -> None:
        self.damaged.pop(id, None)
        if id in self.index.entries and id not in self.index.busy:
            self.index.drop(id)

    def _look(self, id: str) -> None:
        """Read a message that we have not claimed ourselves."""
        if id in self.index.busy or (file := self._opened(id)) is None:
            return
        with file:
            envelope = self._read(file)
            if envelope is None:
                return
            if not envelope.is_over:
                self.index.put(id, envelope, file.stamp())
            elif not file.lock():       # whoever has it removes it
                self.index.put_aside(id, file.stamp())
            else:
                self._removed(file, envelope)

    def _opened(self, id: str) -> QueueFile | None:
        try:
            return QueueFile(self.folder, id, self._clock)
        except FileNotFoundError:
            self._forget(id)
        except Damaged as error:
            self._set_aside(id, (0, 0), error)
        return None

    def _read(self, file: QueueFile) -> "Envelope | None":
        try:
            envelope = file.read()
        except Damaged as error:
            self._set_aside(file.id, file.stamp(), error)
            return None
        self.damaged.pop(file.id, None)
        return envelope

    def _set_aside(self, id: str, stamp: "Stamp", why: Damaged) -> None:
        self.damaged[id] = str(why)
        self.index.put_aside(id, stamp)

    def _removed(self, file: QueueFile, envelope: "Envelope") -> bool:
        """Remove a locked message of which nothing is left to do; is it gone?"""
        if envelope.is_over:
            file.remove(durable=envelope.deleted)
            self._forget(file.id)
        return envelope.is_over
