"""Asking: a question to another program and its answer, both at once, so that nobody waits for ever.

The other program may read first and answer then, answer while it reads, or not read at all.  So whatever of the
question finds room is handed over, and whatever there is of the answer is taken, whichever comes first.  What both
callbacks take is our own time, or our client's, and not counted against the program.

`question` may wait for a client, and `heard` may as well.  If both do, a client who does not read before it has sent
everything stops us: have the question whole before asking.
"""

import time
from collections.abc import Callable
from select import POLLERR, POLLIN, POLLOUT, poll

from .ends import Late, Reset, Stopped
from .running import Failed
from .transport import Transport, ready

LINGER = 0.5            # seconds of silence after which a program that has ended itself has said everything
SETTLE = 0.05           # seconds of silence after which what was kept back of an answer leaves

Question = Callable[[], bytes]
Heard = Callable[[bytes], bool | None]


class Overdue(Failed):
    """It was silent for too long, or not done in time."""


class Overfull(Failed):
    """It said more than it may."""


class Bounds:
    """What an answer may cost: `patience` in seconds of silence, `seconds` for all of it, `most` octets."""

    __slots__ = ("most", "patience", "seconds")

    def __init__(self, seconds: float, most: int, patience: float | None = None) -> None:
        self.seconds, self.most = seconds, most
        self.patience = seconds if patience is None else patience


class Asking:
    """One question and its answer.

    there       who is asked
    question    gives the next octets to hand over, b"" after the last; called when there is room for them
    heard       takes a piece of the answer; True from it says that the answer is complete
    client      for whom we ask: when its conversation ends, or it is gone, so is the question
    settle      called when nothing came for a moment: what `heard` keeps back may leave
    closes      whether the end of the question is said by closing that direction, as pipes have it
    leader      a descriptor that becomes readable when the program itself has ended (pidfd_open(2)); others that it
                started may still hold the pipe, and are listened to while they speak
    """

    def __init__(self, there: Transport, question: Question, heard: Heard, bounds: Bounds, *,
                 client: Transport | None = None, settle: Callable[[], object] = lambda: None, closes: bool = False,
                 leader: int | None = None) -> None:
        self.there, self.question, self.heard, self.client = there, question, heard, client
        self.settle, self.closes, self.leader = settle, closes, leader
        self.seconds = self.left = bounds.seconds
        self.patience = self.quiet = bounds.patience
        self.most, self.received = bounds.most, 0
        self.held: bytes | memoryview = b""
        self.open, self.kept_back, self.ended = True, False, False

    def run(self) -> None:
        """Ask until `heard` says so, or the other side closes: whether that was all, the answer itself must tell.

        Raises Overdue, Overfull, Failed when the connection breaks before anything was said, and for the client
        Reset, Overtime or Stopped.
        """
        source = self.there.fileno()
        while found := self._wait():
            if self.client is not None and self.client.sink_fileno() in found:
                raise Stopped("the answer was awaited") if self.client.stopped else Reset("the peer went away")
            if self.leader in found:
                self.ended, self.patience = True, LINGER
                self.quiet = min(self.quiet, LINGER)
            if source in found and self._take():
                return
            sink = self.there.sink_fileno() if self.open else source
            if self.open and sink in found:
                self._put(found[sink])

    def _take(self) -> bool:
        """Hear what has come; True when the answer is complete."""
        try:
            data = self.there.take(65536)
        except Reset as end:            # as who closes without having read everything does, too: see what it said
            if self.received:
                return True
            raise Failed(f"the connection broke: {end}") from None
        if not data:
            return data is not None
        self.quiet, self.kept_back = self.patience, True
        room = self.most - self.received
        self.received += len(data)
        complete = bool(self.heard(data[:room]))
        if len(data) > room:
            raise Overfull(f"said more than {self.most} octets")
        return complete

    def _put(self, event: int) -> None:
        """Hand over what finds room; that somebody does not want the rest of a question is no error."""
        if self.closes and event & POLLERR:     # closed by those who could have read it
            return self._asked()
        if not event & POLLOUT:
            return
        if not self.held:
            self.held = memoryview(self.question())
            if not self.held:
                return self._asked()
        try:
            taken = self.there.offer(self.held)
        except Reset:
            return self._asked()
        if taken:
            self.held, self.quiet = self.held[taken:], self.patience

    def _asked(self) -> None:
        self.open, self.held = False, b""
        if self.closes:
            self.there.half_close()

    def _wait(self) -> dict[int, int]:
        """What is ready, by descriptor; nothing once a program that has ended is silent.  Raises Overdue."""
        watch = poll()
        for fd, what in self._wanted().items():
            watch.register(fd, what)
        if self.there.pending():        # what TLS has opened already, poll() does not know of
            return {**dict(watch.poll(0)), self.there.fileno(): POLLIN}
        if self.kept_back:
            if found := self._poll(watch, SETTLE):
                return found
            self.kept_back = False
            self.settle()
        found = self._poll(watch, self.quiet)
        if found or self.ended:
            return found
        if self.left <= 0:
            raise Overdue(f"was not done within {self.seconds:g} seconds")
        raise Overdue(f"was silent for {self.patience:g} seconds")

    def _wanted(self) -> dict[int, int]:
        wanted = {self.there.fileno(): POLLIN}
        if self.open:
            sink = self.there.sink_fileno()
            wanted[sink] = wanted.get(sink, 0) | POLLOUT
        if self.leader is not None and not self.ended:
            wanted[self.leader] = POLLIN
        if self.client is not None:
            wanted[self.client.sink_fileno()] = 0       # that it is gone for good is told unasked
        return wanted

    def _poll(self, watch: poll, seconds: float) -> dict[int, int]:
        """Wait at most so long, and count the time."""
        began = time.monotonic()
        clients = () if self.client is None else (self.client,)
        try:
            return dict(ready(watch, began + max(min(seconds, self.quiet, self.left), 0), clients, "no answer came"))
        except Late as end:
            if type(end) is not Late:   # the conversation's end, and not the program's fault
                raise
            return {}
        finally:
            waited = time.monotonic() - began
            self.left -= waited
            self.quiet -= waited
