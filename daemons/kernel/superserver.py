"""A super-server: wait at many sockets, and start for each caller the server that the socket is meant for.

What a `Plan` says of one service is all that is known here; who reads it from which file is not.
A reload keeps every socket that is still wanted and ends no conversation.
"""

import math
import os
import pwd
import signal
import time
from select import POLLIN, poll

from . import access, descriptors, listening, log, sockopts
from .accepting import SHORT
from .addresses import Address, address, peer_of
from .models import how_it_died
from .notify import notify
from .service import Event
from .spawn import Command, passed_on, spawn

BATCH = 32              # callers taken from one socket before the others get their turn
PAUSE = 1.0             # seconds without accepting after the machine ran out of something

EVENTS = (
    Event("START", "info", "service pid from", "a server was started"),
    Event("EXIT", "info", "service pid status seconds", "a server ended"),
    Event("FAIL", "notice", "service from why", "a caller was turned away, or a server could not be started"),
    Event("listening", "info", "service at", "a service is ready for callers"),
    Event("paused", "warning", "service why seconds", "a service takes nobody for a while; callers wait in the queue"),
    Event("reload", "notice", "services kept new gone", "the configuration was read again"),
    Event("config", "warning", "at severity text", "something in the configuration is wrong"),
)


class Plan:
    """One service: where to listen, whom to let in, what to start, and how much of it.

    where, sort, family     for listening.bound(); together they tell whether a reload can keep the socket
    wait                    does one server take the socket itself, until it ends?
    only_from, no_access    as access.denied() takes them
    instances, per_source   servers at once, None without limit; cps is (connections a second, pause in seconds)
    log_success, log_failure    sets of PID HOST EXIT DURATION, and HOST
    """

    def __init__(self, name, where, sort, command, *, family=None, wait=False, only_from=None, no_access=(),
                 instances=None, per_source=None, cps=None, options=(), reuse=True,
                 log_success=frozenset(), log_failure=frozenset()):
        self.name, self.where, self.sort, self.command, self.family = name, where, sort, command, family
        self.wait, self.only_from, self.no_access = wait, only_from, list(no_access)
        self.instances, self.per_source, self.cps = instances, per_source, cps
        self.options, self.reuse = options, reuse
        self.log_success, self.log_failure = log_success, log_failure

    @property
    def socket(self):
        """What makes two plans want the same socket."""
        return self.where, self.sort, self.family


class _Port:
    """A plan with its socket, its running servers, and whether it is watched now."""

    def __init__(self, plan, sock):
        self.plan, self.sock = plan, sock
        self.running = {}               # pid -> (source, when it began, Address)
        self.watched, self.paused_until = False, 0.0
        self.second, self.begun = 0, 0

    def over_rate(self):
        """Count one beginning; True when this second has seen more than cps allows."""
        if self.plan.cps is None:
            return False
        second = int(time.monotonic())
        if second != self.second:
            self.second, self.begun = second, 0
        self.begun += 1
        return self.begun > self.plan.cps[0]

    def wanted(self, now):
        """May somebody call now?"""
        return now >= self.paused_until and not (self.plan.wait and self.running)


class SuperServer:
    """Serves the plans until told to stop; `reread()` returns new ones, or None to keep those there are."""

    def __init__(self, plans, reread, grace):
        self.ports, self.reread, self.grace = [], reread, grace
        self.leaving = []               # ports whose service is gone while its servers still talk
        self.told = []
        self.watch, self.by_fd = poll(), {}
        self.plans = plans
        self.began, self.started = time.monotonic(), 0

    # -- the loop --

    def run(self):
        """Listen and serve; returns the word for why it ended, "nothing" if no service could be opened."""
        waker = self._wake_on_signals()
        self._open(self.plans)
        if not self.ports:
            return "nothing"
        notify("READY=1", f"STATUS=serving {len(self.ports)} services")
        while True:
            self._watch_what_is_wanted()
            for fd, _ in self.watch.poll(self._patience()):
                if fd == waker:
                    os.read(fd, 4096)
                else:
                    self._called(self.by_fd[fd])
            self._reap()
            while self.told:
                word = self.told.pop(0)
                if word != "SIGHUP":
                    return self._drain(word)
                self._reload()

    def _wake_on_signals(self):
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.watch.register(reader, POLLIN)
        return reader

    def _note(self, number, frame):
        self.told.append(signal.Signals(number).name)

    def _watch_what_is_wanted(self):
        now = time.monotonic()
        for port in self.ports:
            wanted = port.wanted(now)
            if wanted != port.watched:
                port.watched = wanted
                if wanted:
                    self.watch.register(port.sock, POLLIN)
                else:
                    self.watch.unregister(port.sock)

    def _patience(self):
        now = time.monotonic()
        pauses = [port.paused_until - now for port in self.ports if port.paused_until > now]
        return math.ceil(min(pauses) * 1000) if pauses else None

    # -- callers --

    def _called(self, port):
        if port.plan.wait:
            return self._start(port, port.sock, None)
        for _ in range(BATCH):
            try:
                sock, name = port.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORT:
                    return self._pause(port, PAUSE, error.strerror)
                continue                # that caller is gone again
            with sock:
                peer = address(name) if name else peer_of(sock) or Address()
                sockopts.apply(sock, port.plan.options)
                why = self._why_not(port, peer)
                if why:
                    self._fail(port, why, peer)
                else:
                    self._start(port, sock, peer)
            if time.monotonic() < port.paused_until:
                return

    def _why_not(self, port, peer):
        plan = port.plan
        if plan.instances is not None and len(port.running) >= plan.instances:
            return "service_limit"
        if plan.per_source is not None:
            same = sum(source == peer.source for source, _, _ in port.running.values())
            if same >= plan.per_source:
                return "per_source_limit"
        return access.denied(peer, plan.only_from, plan.no_access) and "address"

    def _fail(self, port, why, peer=None):
        if port.plan.log_failure:
            caller = {"from_": peer} if peer is not None and "HOST" in port.plan.log_failure else {}
            log.event("FAIL", service=port.plan.name, **caller, why=why)

    def _start(self, port, sock, peer):
        if port.over_rate():
            self._pause(port, port.plan.cps[1], "cps")
            if peer is not None:        # it was accepted before we could know
                self._fail(port, "cps", peer)
            return
        try:
            pid = spawn(port.plan.command, sock, port.plan.name, peer)
        except OSError as error:
            self._fail(port, error.strerror, peer)
            return self._pause(port, PAUSE, error.strerror)
        self.started += 1
        port.running[pid] = peer.source if peer else "", time.monotonic(), peer
        if port.plan.log_success:
            what = {"pid": pid} if "PID" in port.plan.log_success else {}
            if peer is not None and "HOST" in port.plan.log_success:
                what["from_"] = peer
            log.event("START", service=port.plan.name, **what)

    def _pause(self, port, seconds, why):
        """Take nobody for a while: the kernel's queue holds callers back, and nobody is refused for good."""
        port.paused_until = time.monotonic() + seconds
        log.event("paused", service=port.plan.name, why=why, seconds=seconds)

    # -- servers that end --

    def _reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for port in self.ports + self.leaving:
                if pid in port.running:
                    self._ended(port, pid, status)
                    break
            self.leaving = [port for port in self.leaving if port.running]

    def _ended(self, port, pid, status):
        _, began, _ = port.running.pop(pid)
        flags = port.plan.log_success
        if flags & {"EXIT", "DURATION"}:
            what = {"pid": pid} if "PID" in flags else {}
            if "EXIT" in flags:
                what["status"] = how_it_died(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
            if "DURATION" in flags:
                what["seconds"] = f"{time.monotonic() - began:.3f}"
            log.event("EXIT", service=port.plan.name, **what)

    # -- opening, reloading, ending --

    def _open(self, plans):
        for plan in plans:
            try:
                sock = listening.bound(plan.where, plan.sort, plan.reuse, plan.family)
            except OSError as error:
                log.event("FAIL", service=plan.name, why=error.strerror)
                continue
            self._add(_Port(plan, sock))

    def _add(self, port):
        port.sock.setblocking(port.plan.wait or port.plan.sort == "dgram")
        self.ports.append(port)
        self.by_fd[port.sock.fileno()] = port
        log.event("listening", service=port.plan.name, at=listening.shown(_bound_at(port)))

    def _reload(self):
        plans = self.reread()
        if plans is None:
            return                      # what is wrong has been said; better the old than half of the new
        old = {port.plan.socket: port for port in self.ports}
        kept, new = [], []
        for plan in plans:
            port = old.pop(plan.socket, None)
            if port is not None and port.plan.wait == plan.wait:
                port.plan = plan
                kept.append(port)
            else:
                if port is not None:
                    self._close(port)
                new.append(plan)
        for port in old.values():
            self._close(port)
        self.ports = kept
        self._open(new)
        log.event("reload", services=len(self.ports), kept=len(kept), new=len(new), gone=len(old))

    def _close(self, port):
        """A service that is no longer wanted: nobody new, but who is talking may finish."""
        if port.watched:
            self.watch.unregister(port.sock)
        del self.by_fd[port.sock.fileno()]
        port.sock.close()
        if port.plan.wait:
            _signal(port, signal.SIGTERM)       # it accepts by itself, and would go on
        if port.running:
            self.leaving.append(port)

    def _drain(self, word):
        """Close every socket, let servers finish within the grace, then end them; a second signal ends the wait."""
        notify("STOPPING=1")
        for port in self.ports:
            self._close(port)
        self.ports = []
        end = time.monotonic() + self.grace
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                for port in self.leaving:
                    _signal(port, number)
                end = time.monotonic() + PAUSE
            while self.leaving and not self.told and (left := end - time.monotonic()) > 0:
                for fd, _ in self.watch.poll(left * 1000):
                    os.read(fd, 4096)
                self._reap()
            self.told.clear()
        return word


def _signal(port, number):
    for pid in port.running:            # not reaped yet, so nobody else can have the number
        os.kill(pid, number)


def _bound_at(port):
    name = port.sock.getsockname()
    return name[:2] if isinstance(name, tuple) else (name, None)


def command(program, arguments, *, user="", group="", env=None, passenv=None, stderr_to_log=False, **limits):
    """A Command from names; raises LookupError for a user or group that does not exist, ValueError for no right."""
    from .privileges import ids
    uid, gid = ids(user or None, group or None)
    if os.getuid() != 0:
        if uid not in (None, os.getuid()):
            raise ValueError(f"only root can run it as {user}; this is {pwd.getpwuid(os.getuid()).pw_name}")
        uid = gid = None
    environ = passed_on(os.environ, passenv)
    environ.update(env or {})
    return Command(program, arguments, environ, uid=uid, gid=gid,
                   stderr=descriptors.errors if stderr_to_log else None, **limits)
