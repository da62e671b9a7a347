"""The loop of a program that has listeners or datagram sockets: accept, answer, reap, drain, leave when idle.

How a conversation is served is a `Model`: one after another, in a forked child, or in a thread.
At --max the loop stops accepting, and the kernel's queue holds the rest back.
"""

import errno
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from select import POLLIN, POLLOUT, poll

from . import descriptors, log
from .addresses import Address, address, local_of, peer_of
from .conversation import Program
from .datagrams import Datagrams
from .inherited import Given
from .limits import Limits, OnceAMinute
from .models import MODELS, Model
from .transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .standing import Activity

SPARE = 16              # descriptors that no new conversation may take: those who are here open files as well
PAUSE = 1.0             # seconds without accepting after the machine ran out of something
LOOK = 0.1              # seconds between looks whether a descriptor is free again
BATCH = 32              # connections taken from one listener before others get their turn
COURTESY = 0.02         # seconds in which a sister process with less to do may take a connection before us,
NAP = COURTESY / 20     # and between looks whether it did
REMINDER = 1.0          # seconds after which children are told once more to come to an end
LAST_WORDS = 1.0        # seconds in which conversations that were cut may still log their end
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)     # signals that tell us to finish and leave
REPLACED = "replaced"   # why we end when a file that the sandbox lets us read has been replaced
SUMMARY = 60.0          # seconds between summaries of datagrams
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN)


def at_the_door(program: Program) -> Callable[[Address], str | None] | None:
    """What turns connections away before they cost a process or a thread; None where nobody restricts access."""
    if not program.restricted:
        return None
    from . import access
    return access.at_the_door(program.options)


class Loop:
    """Serves everything given until told to stop, or until idle where a launcher would start us again."""

    def __init__(self, program: Program, given: list[Given], activity: "Activity | None" = None,
                 outdated: Callable[[], object] = lambda: None) -> None:
        self.program, self.options = program, program.options
        self.listeners = [one for one in given if one.kind == "listener"]
        self.datagrams = [Datagrams(one.sock, program.answer, self.options, *program.made, shared=program.limits)
                          for one in given if one.kind == "datagrams"]
        self.ours = any(one.ours for one in given)
        self.shared = program.limits    # then each conversation counts itself, and here we only look
        self.proxied = self.options.proxy_protocol is not None      # then the source is known in the conversation only
        alone = self.shared is None and not self.proxied
        self.limits = Limits(self.options.per_source, self.options.rate) if alone else Limits(None, None)
        self.tell = program.tell = OnceAMinute()
        self.refusal = at_the_door(program)
        self.stopping, self.paused_until, self.last = "", 0.0, time.monotonic()
        self.served, self.began = 0, self.last
        self.next_summary = self.last + SUMMARY
        self.activity, self.outdated, self.courteous = activity, outdated, 0.0
        self.here: Transport | None = None      # the conversation that this very thread holds, in a child or one by one
        self.watch, self.accepting = poll(), False
        self.act: dict[int, Callable[[], object]] = {}
        self.waker = self._wake_on_signals()
        most = os.sysconf("SC_OPEN_MAX")        # RLIMIT_NOFILE
        self.room = most - min(SPARE, most // 4) if most > 0 else math.inf
        self.model: Model = MODELS[self.options.model or program.service.model](self)

    # -- signals --

    def _wake_on_signals(self) -> int:
        """A pipe that signals write to, so that poll() returns for each of them."""
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in ENDING:
            signal.signal(number, self._told)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.on(reader, lambda: os.read(reader, 4096))
        return writer

    def _told(self, number: int, _: object) -> None:
        self.stopping = signal.Signals(number).name
        if self.here is not None:
            self.here.hurry(self.options.grace)

    def wake(self) -> None:
        """Make the loop look round; other threads call this."""
        try:
            os.write(self.waker, b"\0")
        except BlockingIOError:
            return                      # it has not even read the earlier ones

    # -- the loop --

    def run(self) -> str:
        """Serve; returns the word for why it ended."""
        for one in self.datagrams:
            self.on(one.sock.fileno(), partial(self._answer, one))
        if descriptors.reader is not None:
            self.on(descriptors.reader, log.complaints)
        for listener in self.listeners:
            listener.sock.setblocking(False)
            self.act[listener.sock.fileno()] = partial(self._accept, listener.sock)
        while not self.stopping:
            self._accept_or_not()
            self._settle_log()
            ready = self.watch.poll(self._patience())
            if self.program.replaced is not None and (path := self.program.replaced()):
                log.event("replaced", file=path)
                self.stopping = REPLACED
                self.outdated()
                break
            for fd, _ in ready:
                self.act[fd]()
            self.model.settle()
            if self.datagrams and time.monotonic() >= self.next_summary:
                self.summary()
            if self._is_idle():
                return "idle"
        return self._drain()

    def on(self, fd: int, action: Callable[[], object], what: int = POLLIN) -> None:
        """Call `action` whenever this descriptor is ready."""
        self.watch.register(fd, what)
        self.act[fd] = action

    def _accept_or_not(self) -> None:
        """Watch the listeners while there is room for one more conversation and nothing is short."""
        if self.paused_until and time.monotonic() >= self.paused_until:
            self.paused_until = 0.0 if self._has_room() else time.monotonic() + LOOK
        wanted = self.model.active() < self.options.max and not self.paused_until
        if wanted != self.accepting:
            self.accepting = wanted
            for one in self.listeners:
                if wanted:
                    self.watch.register(one.sock, POLLIN)
                else:
                    self.watch.unregister(one.sock)

    def _has_room(self) -> bool:
        """Is a descriptor free that is none of the spare ones?  The kernel gives the lowest."""
        try:
            fd = os.dup(self.waker)
        except OSError:
            return False
        os.close(fd)
        return fd < self.room

    def _settle_log(self) -> None:
        """While log lines wait for a slow syslogd, let its socket wake us too; for one that is gone, the clock."""
        if log.undelivered() and log.backlog() is None:
            log.settle(0)
        sock = log.backlog()
        if sock is not None and sock.fileno() not in self.act:
            fd = sock.fileno()

            def deliver() -> None:
                if log.settle(0) == 0 or log.backlog() is not sock:
                    self.watch.unregister(fd)
                    del self.act[fd]

            self.on(fd, deliver, POLLOUT)

    def _patience(self) -> float | None:
        """Milliseconds until something has to be looked at without anybody calling."""
        times = [SUMMARY] if self.datagrams else []
        if log.undelivered() and log.backlog() is None:
            times.append(log.AGAIN)
        if self.paused_until and not self.accepting:
            times.append(max(self.paused_until - time.monotonic(), 0.01))
        if not self.ours and not self.model.active():
            left = self.last + self.options.idle - time.monotonic()
            times.append(left if left > 0 else PAUSE)       # idle, but a sister process is not
        return min(times) * 1000 if times else None

    def _is_idle(self) -> bool:
        active = self.model.active()
        if active:
            self.last = time.monotonic()
        if self.ours:
            return False
        if self.activity is None:
            return not active and time.monotonic() - self.last >= self.options.idle
        self.activity.note(math.inf if active else self.last)
        return not self.activity.busy_within(self.options.idle)

    # -- beginning --

    def _answer(self, one: Datagrams) -> None:
        if one.serve():
            self.last = time.monotonic()

    def _accept(self, listener: socket.socket) -> None:
        self.last = time.monotonic()
        for _ in range(BATCH):
            if self.model.active() >= self.options.max or (self.stopping and not self.ours) or self._is_for_sister():
                return
            try:
                sock, name = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORT:
                    self._pause(error)
                    return
                continue                # that peer is gone again (ECONNABORTED and the like)
            number = sock.fileno()
            self._begin(sock, address(name) if name else peer_of(sock) or address(""))
            if number >= self.room:
                self._pause(OSError(errno.EMFILE, os.strerror(errno.EMFILE)), LOOK)
                return

    def _is_for_sister(self) -> bool:
        """Should the next conversation be a sister's, who has fewer?  She gets a moment to take it: she may be stuck.

        Else whoever wakes first has all connections of a burst, and for as long as they stay.
        """
        if self.activity is None or not self.activity.has_more(self.model.active()) or self.stopping:
            return False
        now = time.monotonic()
        if now - self.courteous > 2 * COURTESY:
            self.courteous = now
        if now - self.courteous > COURTESY:
            return False
        time.sleep(NAP)
        return True

    def _begin(self, sock: socket.socket, peer: Address) -> None:
        why = self.refusal(peer) if self.refusal is not None else None
        if why:
            return self._shut_out(sock, peer, why)
        if self.limits.per_source:
            self.model.settle()         # who just left does not count
        if self.shared is not None and not self.proxied:
            why = self.shared.crowded(peer.source)
        else:
            why = self.limits.enter(peer.source) if self.limits.per_source or self.limits.rate else None
        if why:
            return self._turn_away(sock, peer, why)
        self.served += 1
        self.program.crowded = self.model.active() * 10 >= self.options.max * 9
        if self.program.tls is not None:
            self.program.tls.refresh()
        try:
            self.model.begin(sock, peer)
        except (OSError, RuntimeError, MemoryError) as error:   # no process, no thread, no memory
            self.limits.leave(peer.source)
            self._turn_away(sock, peer, "pressure")
            self._pause(error)

    def ended(self, source: str) -> None:
        """A conversation with this source is over."""
        self.limits.leave(source)
        self.last = time.monotonic()

    def _shut_out(self, sock: socket.socket, peer: Address, why: str) -> None:
        """Access rules keep this peer out: for good, so there is nothing to say to it."""
        self._tell_refusal(peer, why)
        sock.close()

    def _tell_refusal(self, peer: Address, why: str) -> None:
        if self.tell((peer.source, why)) and (self.shared is None or self.shared.told(peer.source)):
            log.event("refused", from_=peer, why=why)

    def _turn_away(self, sock: socket.socket, peer: Address, why: str) -> None:
        self._tell_refusal(peer, why)
        try:
            if self.program.service.busy and not self.program.secures(local_of(sock)):
                sock.send(self.program.service.busy, socket.MSG_DONTWAIT)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(65536, socket.MSG_DONTWAIT)   # what lies unread would take our words back
        except OSError:
            return                      # gone, which is what we wanted
        finally:
            sock.close()

    def _pause(self, error: BaseException, seconds: float = PAUSE) -> None:
        """Nothing is gained by accepting what cannot be served: wait a little, and say so."""
        self.paused_until = time.monotonic() + seconds
        if self.tell("pressure"):
            log.event("pressure", why=str(error))

    # -- ending --

    def _drain(self) -> str:
        """Accept no more, let conversations finish within the grace, then end what is left."""
        if self.accepting:
            for one in self.listeners:
                if one.ours and self.stopping != REPLACED:      # nobody would take these up from the queue after us
                    self._accept(one.sock)
                self.watch.unregister(one.sock)
        self._wait_for_all(self.options.grace + self.model.margin, self.model.hurry)
        self.model.cut()
        self._wait_for_all(LAST_WORDS)
        return self.stopping

    def _wait_for_all(self, seconds: float, tell: Callable[[], None] | None = None) -> None:
        """Return once no conversation is left, at the latest after so many seconds.

        They are told, if at all, again and again: a signal that comes to a child just before it waits in the kernel
        is not heard by Python before that wait is over, unless another one breaks it off.
        """
        end, next_ = time.monotonic() + seconds, 0.0
        while self.model.active() and (left := end - (now := time.monotonic())) > 0:
            if tell is not None:
                if now >= next_:
                    tell()
                    next_ = now + REMINDER
                left = min(left, next_ - now)
            for fd, _ in self.watch.poll(left * 1000):
                self.act[fd]()
            self.model.settle()

    def summary(self) -> None:
        """Log what the datagram sockets did."""
        self.next_summary = time.monotonic() + SUMMARY
        for one in self.datagrams:
            one.summary()
