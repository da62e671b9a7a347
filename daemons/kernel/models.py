"""How an accepted conversation is served: one after another, in a process of its own, or in a thread of its own.

A model begins conversations, says how many are active, reaps those that ended, hurries the rest when
the program was told to stop, and cuts them when their time is over.
"""

import _thread
import gc
import os
import signal
import socket

from . import descriptors, log
from .addresses import local_of
from .conversation import converse, new_session
from .transport import SocketTransport

STACK = 256 * 1024      # octets of address space for a thread's stack; only what is touched becomes memory
LINGER = 0.5            # seconds a finished child gives a slow syslogd


class OneByOne:
    """In the loop itself: no isolation, no second peer until the first is done."""

    def __init__(self, loop):
        self.loop, self.transport = loop, None

    def begin(self, sock, peer):
        """Hold the conversation."""
        self.transport = SocketTransport(sock)
        previous = [(number, signal.signal(number, self._told)) for number in (signal.SIGTERM, signal.SIGHUP)]
        converse(self.loop.program, self.transport, peer, local_of(sock), new_session())
        self.transport = None
        for number, handler in previous:
            signal.signal(number, handler)
        self.loop.ended(peer.source)

    def _told(self, number, _):
        self.loop.stopping = signal.Signals(number).name
        self.transport.hurry(self.loop.options.grace)

    def active(self):
        """None is, whenever the loop looks."""
        return 0

    def reap(self):
        """Nothing to do."""

    def hurry(self, grace):
        """Nothing to do."""

    def cut(self):
        """Nothing to do."""


class Forking:
    """In a forked child each: a crash, a leak or an intruder stays in there."""

    def __init__(self, loop):
        self.loop, self.children = loop, {}
        self.ledger, self.pen = os.pipe()       # children write here how many log lines they left behind
        os.set_blocking(self.ledger, False)
        os.set_blocking(self.pen, False)
        loop.on(self.ledger, lambda: log.add_lost(len(os.read(self.ledger, 65536))))
        gc.collect()
        gc.freeze()                     # shared pages stay shared: no collector touches what the parent made

    def begin(self, sock, peer):
        """Fork a child that holds the conversation; raises OSError when there is no process to be had."""
        session = new_session()
        pid = os.fork()
        if pid == 0:
            self._child(sock, peer, session)
        self.children[pid] = session, peer.source
        sock.close()

    def _child(self, sock, peer, session):
        status = 1
        try:
            become_child()
            transport = SocketTransport(sock)
            hurry_on_signals(transport, self.loop.options.grace)
            for one in self.loop.listeners:
                os.close(one.sock.fileno())
            converse(self.loop.program, transport, peer, local_of(sock), session)
            status = 0
        except BaseException as error:  # nothing may climb from a child into the parent's loop
            log.crash(error, session=session)
        finally:
            lost = log.settle(LINGER)
            if lost:
                os.write(self.pen, bytes(min(lost, 4096)))
            os._exit(status)

    def active(self):
        """Children that were not reaped yet."""
        return len(self.children)

    def reap(self):
        """Take leave of every child that ended, and say so if it died of something."""
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            session, source = self.children.pop(pid, (None, None))
            if session is None:
                continue                # not ours: left to us by whoever started us
            if status:
                log.event("crash", session=session, pid=pid, status=how_it_died(status))
            self.loop.ended(source)

    def hurry(self, grace):
        """Pass the order to stop on to the children: each knows its own grace."""
        self._signal(signal.SIGTERM)

    def cut(self):
        """End those that outlived the grace."""
        self._signal(signal.SIGKILL)

    def _signal(self, number):
        for pid in self.children:       # not reaped yet, so nobody else can have the number
            os.kill(pid, number)


class Threading:
    """In a thread each of this process: the cheapest, for anonymous and chatty services."""

    def __init__(self, loop):
        self.loop, self.live, self.full = loop, {}, False
        _thread.stack_size(STACK)

    def begin(self, sock, peer):
        """Start a thread that holds the conversation; raises RuntimeError when there is none to be had."""
        transport = SocketTransport(sock)
        self.live[transport] = sock
        try:
            _thread.start_new_thread(self._hold, (transport, sock, peer))
        except RuntimeError:
            del self.live[transport]
            raise

    def _hold(self, transport, sock, peer):
        try:
            converse(self.loop.program, transport, peer, local_of(sock), new_session())
        except BaseException as error:
            log.crash(error)
        finally:
            most = self.loop.options.max
            del self.live[transport]
            self.loop.ended(peer.source)
            if self.loop.stopping or len(self.live) >= most - 1 or not self.live:
                self.loop.wake()

    def active(self):
        """Threads that are still talking."""
        return len(self.live)

    def reap(self):
        """Threads need none."""

    def hurry(self, grace):
        """Nothing to do: the loop waits for the grace."""

    def cut(self):
        """Shut the sockets of those that outlived the grace: their threads see the end."""
        for sock in list(self.live.values()):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue                # it ended just now


MODELS = {"one": OneByOne, "fork": Forking, "thread": Threading}


def become_child():
    """In a forked child: signals, collector and complaints are no longer the parent's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    descriptors.leave_complaints()
    log.forked()


def hurry_on_signals(transport, grace):
    """SIGTERM and SIGHUP let the conversation finish within the grace."""

    def told(number, frame):
        transport.hurry(grace)

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGHUP, told)


def how_it_died(status):
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit-{os.waitstatus_to_exitcode(status)}"
