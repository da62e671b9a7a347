"""How an accepted conversation is served: one after another, in a process of its own, or in a thread of its own.

A model begins conversations, says how many are active, reaps those that ended, hurries the rest when
the program was told to stop, and cuts them when their time is over.
"""

import _thread
import gc
import os
import signal
import socket
from _queue import SimpleQueue
from collections import deque

from . import log
from .addresses import Address, local_of
from .conversation import Outcome, converse, hold, log_close, log_open, new_session, rehearse
from .transport import SocketTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .accepting import Loop

    Inbox = SimpleQueue[tuple[SocketTransport, socket.socket, Address]]

SPARE = 16              # threads that stay for another conversation: starting one costs more than a short conversation
STACK = 256 * 1024      # octets of address space for a thread's stack; only what is touched becomes memory
LEDGER = 65536          # octets that a pipe holds: more asked for would be memory that we may not have
LINGER = 0.5            # seconds a finished child gives a slow syslogd


class OneByOne:
    """In the loop itself: no isolation, no second peer until the first is done."""

    margin = 0.0            # seconds that conversations get beyond the grace, since they end by themselves

    def __init__(self, loop: "Loop") -> None:
        self.loop = loop
        log.follow_complaints()         # the loop cannot while it talks

    def begin(self, sock: socket.socket, peer: Address) -> None:
        """Hold the conversation."""
        self.loop.here = transport = SocketTransport(sock)
        if self.loop.stopping:              # told between the accept and now
            transport.hurry(self.loop.options.grace)
        converse(self.loop.program, transport, peer, local_of(sock), new_session())
        self.loop.here = None
        self.loop.ended(peer.source)

    def active(self) -> int:
        """None is, whenever the loop looks."""
        return 0

    def settle(self) -> None:
        """Nothing to do."""

    def hurry(self) -> None:
        """Nothing to do: the signal itself hurried the conversation."""

    def cut(self) -> None:
        """Nothing to do."""


class Forking:
    """In a forked child each: a crash, a leak or an intruder stays in there.

    The child only talks.  The parent logs for it, before and after: every page that a child touches must be copied
    first, and the log is a hundred pages.  So there is a `close` even for a child that was killed.
    """

    margin = 1.0

    def __init__(self, loop: "Loop") -> None:
        self.loop = loop
        self.children: dict[int, tuple[str, str]] = {}      # session and source by process
        self.outcomes: dict[int, Outcome] = {}
        self.listeners = [one.sock.fileno() for one in loop.listeners]
        self.ledger, self.pen = os.pipe()       # each child writes its outcome here, in one piece
        os.set_blocking(self.ledger, False)
        loop.on(self.ledger, self._read_outcomes)
        rehearse(loop.program)
        gc.collect()
        gc.freeze()                     # shared pages stay shared: no collector touches what the parent made

    def begin(self, sock: socket.socket, peer: Address) -> None:
        """Fork a child that holds the conversation; raises OSError when there is no process to be had."""
        session, local = new_session(), local_of(sock)
        pid = os.fork()
        if pid == 0:
            self._child(sock, peer, local, session)
        self.children[pid] = session, peer.source
        sock.close()
        log_open(self.loop.program, session, peer, local, pid=pid)

    def _child(self, sock: socket.socket, peer: Address, local: Address, session: str) -> "NoReturn":
        status = 1
        try:
            for fd in self.listeners:
                os.close(fd)
            self.loop.here = transport = SocketTransport(sock)
            if self.loop.stopping:              # told between the fork and now
                transport.hurry(self.loop.options.grace)
            outcome = hold(self.loop.program, transport, peer, local, session)
            outcome.lost = log.settle(LINGER)
            os.write(self.pen, f"{os.getpid()}\t{outcome.packed()}\n".encode("utf-8", "backslashreplace"))
            status = 0
        except BaseException as error:  # nothing may climb from a child into the parent's loop
            log.crash(error, session=session)
        finally:
            os._exit(status)

    def active(self) -> int:
        """Children that were not reaped yet."""
        return len(self.children)

    def settle(self) -> None:
        """Reap what ended, and log how."""
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self.children:            # else left to us by whoever was this process before
                self._over(pid, status)

    def _over(self, pid: int, status: int) -> None:
        session, source = self.children.pop(pid)
        if pid not in self.outcomes:
            self._read_outcomes()
        outcome = self.outcomes.pop(pid, None)
        if status:
            log.event("crash", session=session, pid=pid, status=how_it_died(status))
        log_close(session, outcome or Outcome("crash", "", 0, 0, 0, 0), pid)
        self.loop.ended(source)

    def _read_outcomes(self) -> None:
        try:
            data = os.read(self.ledger, LEDGER)
        except BlockingIOError:
            return
        for line in data.decode("utf-8", "replace").split("\n")[:-1]:    # splitlines() knows ten more line breaks
            pid, *fields = line.split("\t")
            outcome = self.outcomes[int(pid)] = Outcome(*fields)
            if outcome.lost:
                log.add_lost(outcome.lost)

    def hurry(self) -> None:
        """Pass the order to stop on to the children: each knows the grace."""
        self._signal(signal.SIGTERM)

    def cut(self) -> None:
        """End those that outlived the grace."""
        self._signal(signal.SIGKILL)
        while self.children:
            pid, status = os.waitpid(-1, 0)
            if pid in self.children:
                self._over(pid, status)

    def _signal(self, number: int) -> None:
        for pid in self.children:       # not reaped yet, so nobody else can have the number
            os.kill(pid, number)


class Threading:
    """In a thread each of this process: the cheapest, for anonymous and chatty services."""

    margin = 0.0

    def __init__(self, loop: "Loop") -> None:
        self.loop = loop
        self.live: dict[SocketTransport, socket.socket] = {}
        self.over: deque[str] = deque()         # sources of conversations that ended, for the loop to count out
        self.idle: deque[Inbox] = deque()       # of threads that have nothing to do, the latest last
        _thread.stack_size(max(STACK, loop.options.stack))

    def begin(self, sock: socket.socket, peer: Address) -> None:
        """Give the conversation to a thread; raises RuntimeError when there is none to be had."""
        transport = SocketTransport(sock)
        transport.leaving = bool(self.loop.stopping)
        self.live[transport] = sock
        try:
            inbox = self.idle.pop() if self.idle else self._new_thread()
        except RuntimeError:
            del self.live[transport]
            raise
        inbox.put((transport, sock, peer))

    def _new_thread(self) -> "Inbox":
        inbox: Inbox = SimpleQueue()
        _thread.start_new_thread(self._work, (inbox,))
        return inbox

    def _work(self, inbox: "Inbox") -> None:
        """Hold one conversation after another, until enough other threads have nothing to do."""
        while True:
            self._hold(*inbox.get())
            if len(self.idle) >= SPARE:
                return
            self.idle.append(inbox)

    def _hold(self, transport: SocketTransport, sock: socket.socket, peer: Address) -> None:
        try:
            converse(self.loop.program, transport, peer, local_of(sock), new_session())
        except BaseException as error:
            log.crash(error)
        finally:
            most = self.loop.options.max
            del self.live[transport]
            self.over.append(peer.source)
            if self.loop.stopping or len(self.live) >= most - 1 or not self.live:
                self.loop.wake()

    def active(self) -> int:
        """Threads that are still talking."""
        return len(self.live)

    def settle(self) -> None:
        """Count out what ended: limits are the loop's alone, or two threads would miscount."""
        while self.over:
            self.loop.ended(self.over.popleft())

    def hurry(self) -> None:
        """Tell them: who is idle ends now, the others when they have answered; the loop waits for the grace."""
        for transport in list(self.live):
            transport.leave()

    def cut(self) -> None:
        """Shut the sockets of those that outlived the grace: their threads see the end."""
        for transport, sock in list(self.live.items()):
            transport.stop()
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue                # it ended just now


Model = OneByOne | Forking | Threading
MODELS: dict[str, type[Model]] = {"one": OneByOne, "fork": Forking, "thread": Threading}


def how_it_died(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit-{os.waitstatus_to_exitcode(status)}"
