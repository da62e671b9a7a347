"""A super-server: wait at many sockets, and start for each caller the server that the socket is meant for.

What a `Plan` says of one service is all that is known here; who reads it from which file is not.
A reload keeps every socket that is still wanted and ends no conversation.
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial

from . import descriptors, log, sockopts, spawn
from .accepting import SHORT
from .addresses import Address, address, local_of, peer_of
from .notify import notify
from .ports import EVENTS as OF_PORTS
from .ports import Plan, Port, Server, opened
from .service import Event
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

BATCH = 32              # callers taken from one socket before the others get their turn
PAUSE = 1.0             # seconds without accepting after the machine ran out of something
REFUSED = "address"     # xinetd's word for who may not come in

EVENTS = (
    *OF_PORTS,
    Event("reload", "notice", "services kept new gone refused", "the configuration was read again"),
    Event("config", "warning", "at severity text", "something in the configuration is wrong"),
)

# What a reload brings: the new plans, and the names of services that keep the plan they have; None changes nothing.
News = tuple[list[Plan], set[str]] | None


class SuperServer:
    """Serves the plans until told to stop."""

    def __init__(self, plans: list[Plan], reread: Callable[[], News], grace: float) -> None:
        self.plans, self.reread, self.grace = plans, reread, grace
        self.ports: list[Port] = []
        self.leaving: list[Port] = []   # whose service is gone while its servers still talk
        self.watch, self.started = Watch(), 0
        self.refused: dict[int, str] = {}       # children that turned their caller away, and why
        self.ledger, self.pen = os.pipe()       # where they tell
        os.set_blocking(self.ledger, False)

    # -- the loop --

    def run(self) -> str:
        """Listen and serve; returns the word for why it ended, "nothing" if no service could be opened."""
        self.watch.signals(spawn.HANDLED)
        spawn.prepare()
        if descriptors.reader is not None:
            self.watch.on(descriptors.reader, log.complaints)
        self._open(self.plans)
        if not self.ports:
            return "nothing"
        self._ready()
        while True:
            self._watch_what_is_wanted()
            self._look(self._patience())
            self._end_the_late()
            if self.watch.told:
                word = self.watch.told.pop(0)
                if word != "SIGHUP":
                    return self._drain(word)
                self._reload()

    def _ready(self) -> None:
        notify("READY=1", f"STATUS=serving {len(self.ports)} services")

    def _watch_what_is_wanted(self) -> None:
        now = time.monotonic()
        for port in self.ports:
            wanted = port.wanted(now)
            if wanted and not port.watched:
                self.watch.on(port.sock.fileno(), partial(self._called, port))
            elif port.watched and not wanted:
                self.watch.off(port.sock.fileno())
            port.watched = wanted

    def _patience(self) -> int | None:
        """Milliseconds until something has to be looked at without anybody calling."""
        now = time.monotonic()
        times = [port.paused_until for port in self.ports if port.paused_until > now]
        times += [port.until for port in self.leaving if port.until]
        if log.backlog() is not None:
            times.append(now + PAUSE)
        return math.ceil(max(min(times) - now, 0) * 1000) if times else None

    def _look(self, milliseconds: float | None) -> None:
        """Wait so long for something to happen, and do what is to be done then."""
        self.watch.look(milliseconds)
        self._reap()
        log.settle(0)

    # -- callers --

    def _called(self, port: Port) -> None:
        if port.at_rate():
            return port.pause("cps")
        if port.plan.wait:
            port.sock.setblocking(True)         # as a new server expects it, whatever the last one did
            return self._start(port, port.sock, None)
        for _ in range(BATCH):
            try:
                sock, name = port.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORT:
                    return port.pause(str(error.strerror), PAUSE)
                continue                # that caller is gone again
            with sock:
                self._accepted(port, sock, name)
            if port.at_rate() or not port.wanted(time.monotonic()):
                return                  # whoever still waits is seen at the next look

    def _accepted(self, port: Port, sock: "socket.socket", name: "Any") -> None:
        peer = address(name) if name else peer_of(sock) or Address()
        try:
            why = _why_not(port, peer)
            sockopts.apply(sock, port.plan.options)
        except OSError as error:        # the caller is gone again
            why = str(error.strerror)
        if why:
            port.log_refusal(why, peer)
        else:
            self._start(port, sock, peer)

    def _start(self, port: Port, sock: "socket.socket", peer: Address | None) -> None:
        variables, admitted, errors = {}, None, descriptors.errors
        if peer is not None:
            variables = spawn.callers(peer, local_of(sock), port.from_source(peer) + 1)
            admitted = partial(self._admitted, port, peer) if port.plan.needs_names else None
        if port.complaints is not None:
            errors = port.complaints.writer
            self.watch.on(port.complaints.reader, port.log_complaints)
        try:
            pid = spawn.spawn(port.plan.command, sock, variables, errors, port.log_failure, admitted)
        except OSError as error:
            port.log_failure(str(error.strerror))
            return port.pause(str(error.strerror), PAUSE)
        self.started += 1
        port.count()
        port.running[pid] = Server(peer)
        if admitted is None:
            port.log_start(pid, peer)

    def _admitted(self, port: Port, peer: Address) -> bool:
        """In the child, since looking up a name takes time that other callers have not: may this one come in?"""
        if port.plan.denies(peer):
            os.write(self.pen, f"{os.getpid()} {REFUSED}\n".encode())
            return False
        port.log_start(os.getpid(), peer)
        return True

    # -- servers that end --

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            for port in self.ports + self.leaving:      # in none: an orphan that was left to us as process 1
                if pid in port.running:
                    self._ended(port, pid, status)
        for port in [port for port in self.leaving if not port.running]:
            self._forget(port)

    def _ended(self, port: Port, pid: int, status: int) -> None:
        server = port.running.pop(pid)
        port.log_complaints(last=not port.running)
        self._read_refusals()
        if pid in self.refused:
            port.log_refusal(self.refused.pop(pid), server.peer)
        else:
            port.log_exit(pid, server, status)
        if port.plan.wait and port.failing(server, status):
            port.pause("its server fails")

    def _read_refusals(self) -> None:
        try:
            lines = os.read(self.ledger, 65536).decode().splitlines()
        except BlockingIOError:
            return
        self.refused.update((int(pid), why) for pid, _, why in (line.partition(" ") for line in lines))

    # -- opening, reloading, ending --

    def _open(self, plans: Iterable[Plan]) -> None:
        for plan in plans:
            try:
                port = opened(plan)
            except OSError as error:
                log.event("FAIL", None, (plan.log_place[0], "err"), service=plan.name, why=error.strerror)
                continue
            self.ports.append(port)
            port.log_listening()

    def _reload(self) -> None:
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        news = self.reread()
        if news is not None:            # else it has been said why
            self._change(*news)
        self._ready()

    def _change(self, plans: list[Plan], refused: set[str]) -> None:
        """Serve these plans from now on, and those of the `refused` as they were."""
        taken = {plan.socket for plan in plans}
        stale = [port.plan for port in self.ports if port.plan.name in refused and port.plan.socket not in taken]
        old = {port.plan.socket: port for port in self.ports}
        self.ports, new = [], []
        for plan in plans + stale:
            port = old.pop(plan.socket, None)
            if port is None:
                new.append(plan)
            else:
                self.ports.append(self._changed(port, plan))
        kept = len(self.ports)
        for port in old.values():
            self._leave(port)
            port.close()
        self._open(new)
        log.event("reload", services=len(self.ports), kept=kept, new=len(new), gone=len(old),
                  **{"refused": ",".join(plan.name for plan in stale)} if stale else {})

    def _changed(self, port: Port, plan: Plan) -> Port:
        """The same socket under a new plan."""
        if port.plan.wait != plan.wait:
            self._leave(port)
            return port.split(plan)
        port.plan = plan
        port.prepare()
        return port

    def _leave(self, port: Port) -> None:
        """A service that is no longer wanted: nobody new, but who is talking may finish."""
        self.watch.off(port.sock.fileno())
        port.watched = False
        if port.plan.wait:              # it accepts by itself, and would go on
            port.until = time.monotonic() + self.grace + PAUSE
            port.signal(signal.SIGTERM)
        self.leaving.append(port)
        if not port.running:
            self._forget(port)

    def _forget(self, port: Port) -> None:
        """The last server of a service that is gone has ended."""
        self.leaving.remove(port)
        if port.complaints is not None:
            port.log_complaints(last=True)
            self.watch.off(port.complaints.reader)
            port.complaints.close()

    def _end_the_late(self) -> None:
        """End wait servers of services that are gone, if they do not end themselves: they hold the port."""
        now = time.monotonic()
        for port in self.leaving:
            if port.until and now > port.until:
                port.until = 0.0
                port.signal(signal.SIGKILL)

    def _drain(self, word: str) -> str:
        """Close every socket, let servers finish within the grace, then end them; a second signal ends them at once."""
        notify("STOPPING=1")
        for port in self.ports:
            self._leave(port)
            port.close()
        self.ports = []
        for number, seconds in ((0, self.grace), (signal.SIGTERM, PAUSE), (signal.SIGKILL, PAUSE)):
            hurry = self._told_again()
            for port in self.leaving:
                port.signal(signal.SIGKILL if hurry else number)
            end = time.monotonic() + seconds
            while self.leaving and self._told_again() == hurry and (left := end - time.monotonic()) > 0:
                self._look(left * 1000)
        return word

    def _told_again(self) -> bool:
        """Were we told to stop once more?"""
        return any(word != "SIGHUP" for word in self.watch.told)


def _why_not(port: Port, peer: Address) -> str:
    """Why this caller is turned away, or nothing; who may come by name is asked later."""
    plan = port.plan
    if plan.instances is not None and len(port.running) >= plan.instances:
        return "service_limit"
    if plan.per_source is not None and port.from_source(peer) >= plan.per_source:
        return "per_source_limit"
    return REFUSED if not plan.needs_names and plan.denies(peer) else ""
