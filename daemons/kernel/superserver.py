"""A super-server: wait at many sockets, and start for each caller the server that the socket is meant for.

What a `Plan` says of one service is all that is known here; who reads it from which file is not.
A reload keeps every socket that is still wanted, and ends no conversation but those with callers who are
denied now.
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial

from . import descriptors, log, spawn
from .admission import Doors
from .callers import PAUSE, Callers
from .handed import Handed
from .notify import notify
from .ports import EVENTS as OF_PORTS
from .ports import Plan, Port, opened
from .servers import Servers
from .service import Event
from .timers import Timers
from .watch import Watch

ENDING = ("SIGTERM", "SIGINT", "SIGQUIT")

EVENTS = (
    *OF_PORTS,
    Event("reload", "notice", "services kept new gone refused", "the configuration was read again"),
    Event("config", "warning", "at severity text", "something in the configuration is wrong"),
    Event("shut-out", "notice", "service from seconds", "a caller of a sensor is turned away by all services now"),
    Event("forgotten", "notice", "count", "all who were shut out may call again (SIGUSR2)"),
    Event("state", "info", "text", "a line of the state that SIGUSR1 asks for"),
)

# What a reload brings: the new plans, and the names of services that keep the plan they have; None changes nothing.
News = tuple[list[Plan], set[str]] | None


class SuperServer:
    """Serves the plans until told to stop."""

    def __init__(self, plans: list[Plan], reread: Callable[[], News], grace: float, *, handed: Handed | None = None,
                 limit: int | None = None, dump: str | None = None) -> None:
        self.plans, self.reread, self.grace, self.dump = plans, reread, grace, dump
        self.handed, self.doors = handed or Handed(), Doors(limit)
        self.ports: list[Port] = []
        self.leaving: list[Port] = []   # whose service is gone while its servers still talk
        self.watch, self.timers = Watch(), Timers()
        self.servers = Servers(self.timers, self.doors)
        self.callers = Callers(self.watch, self.timers, self.doors, self.servers, self._behind)

    # -- the loop --

    def run(self) -> str:
        """Listen and serve; returns the word for why it ended, "nothing" if no service could be opened."""
        self.watch.signals(spawn.HANDLED)
        spawn.prepare()
        if descriptors.reader is not None:
            self.watch.on(descriptors.reader, log.complaints)
        self._open(self.plans)
        self._tell_unclaimed()
        if not self.ports:
            return "nothing"
        self._ready()
        while True:
            self._watch_what_is_wanted()
            self._look(self._patience())
            self._end_the_late()
            if self.watch.told:
                word = self.watch.told.pop(0)
                if word in ENDING:
                    return self._drain(word)
                self._obey(word)

    def _obey(self, word: str) -> None:
        if word == "SIGHUP":
            self._reload()
        elif word == "SIGUSR1":
            self._dump()
        elif word == "SIGUSR2":
            log.event("forgotten", count=self.doors.shut_out.forget())

    def _ready(self) -> None:
        notify("READY=1", f"STATUS=serving {len(self.ports)} services")

    def _watch_what_is_wanted(self) -> None:
        now = time.monotonic()
        for port in self.ports:
            wanted = port.wanted(now)
            if wanted == port.watched or port.sock is None:
                continue
            if wanted:
                self.watch.on(port.sock.fileno(), partial(self.callers.called, port, port.sock))
            else:
                self.watch.off(port.sock.fileno())
            port.watched = wanted

    def _patience(self) -> int | None:
        """Milliseconds until something has to be looked at without anybody calling."""
        now = time.monotonic()
        times = [port.paused_until for port in self.ports if port.paused_until > now]
        times += [port.until for port in self.leaving if port.until]
        timer = self.timers.next()
        if timer is not None:
            times.append(timer)
        if log.backlog() is not None:
            times.append(now + PAUSE)
        return math.ceil(max(min(times) - now, 0) * 1000) if times else None

    def _look(self, milliseconds: float | None) -> None:
        """Wait so long for something to happen, and do what is to be done then."""
        self.watch.look(milliseconds)
        self.timers.run()
        self.servers.reap()
        for port in [port for port in self.leaving if not port.running]:
            self._forget(port)
        log.settle(0)

    # -- opening, reloading, ending --

    def _behind(self, name: str) -> Port | None:
        return next((port for port in self.ports if port.plan.name == name and port.sock is None), None)

    def _open(self, plans: Iterable[Plan]) -> None:
        for plan in plans:
            try:
                port = opened(plan, self.handed)
            except OSError as error:
                log.event("FAIL", None, (plan.log_place[0], "err"), service=plan.name, why=error.strerror)
                continue
            self.ports.append(port)
            port.log_listening()

    def _tell_unclaimed(self) -> None:
        for what in self.handed.left():
            log.event("warning", text=f"we were given a socket called {what}, and no service has that id and kind")

    def _dump(self) -> None:
        """The state, into the file that was named, or the log."""
        from . import state
        text = state.lines(self.ports, self.leaving, self.doors.shut_out, self.servers.started)
        if self.dump is None:
            for line in text:
                log.event("state", text=line)
            return
        try:
            state.write(self.dump, text)
        except OSError as error:
            log.event("warning", text=f"cannot write the state to {self.dump}: {error.strerror}")

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
        old = {("handed", port.plan.name) if port.handed else port.plan.socket: port for port in self.ports}
        self.ports, new = [], []
        for plan in plans + stale:
            port = old.pop(("handed", plan.name), None)
            if port is None and not self.handed.has(plan.name, plan.sort):
                port = old.pop(plan.socket, None)
            if port is None:
                new.append(plan)
            else:
                self.ports.append(self._changed(port, plan))
        kept = len(self.ports)
        for port in old.values():
            self._leave(port)
            port.close()
            if port.handed and port.sock is not None:
                self.handed.give_back(port.plan.name, port.sock)
        self._open(new)
        log.event("reload", services=len(self.ports), kept=kept, new=len(new), gone=len(old),
                  **{"refused": ",".join(plan.name for plan in stale)} if stale else {})

    def _changed(self, port: Port, plan: Plan) -> Port:
        """The same socket under a new plan."""
        if port.plan.wait != plan.wait:
            self._leave(port)
            return port.split(plan)
        before, port.plan = port.plan, plan
        port.prepare()
        if port.timer is not None:
            port.timer.cancel()
        self.servers.time_the_oldest(port)
        self.servers.end_the_denied(port, before)
        return port

    def _leave(self, port: Port) -> None:
        """A service that is no longer wanted: nobody new, but who is talking may finish."""
        if port.sock is not None:
            self.watch.off(port.sock.fileno())
        port.watched = False
        if port.reception is not None:
            port.reception.close()
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
        """Close every socket, let servers finish within the grace, then end them; a second signal ends them at once.

        SIGQUIT leaves them alone, who may go on without us.  As process 1 we see every orphan out as well.
        """
        notify("STOPPING=1")
        for port in self.ports:
            if word == "SIGQUIT":
                port.close()
                continue
            self._leave(port)
            port.close()
        self.ports = []
        if word == "SIGQUIT":
            return word
        for number, seconds in ((0, self.grace), (signal.SIGTERM, PAUSE), (signal.SIGKILL, PAUSE)):
            hurry = self._told_again()
            self._signal_all(signal.SIGKILL if hurry else number)
            end = time.monotonic() + seconds
            while not self._is_empty() and self._told_again() == hurry and (left := end - time.monotonic()) > 0:
                self._look(left * 1000)
        return word

    def _signal_all(self, number: int) -> None:
        for port in self.leaving:
            port.signal(number)
        if number and os.getpid() == 1 and not self.servers.alone:
            os.kill(-1, number)         # all that is left in the container

    def _is_empty(self) -> bool:
        """Is nobody left to wait for?"""
        return not self.leaving and (self.servers.alone or os.getpid() != 1)

    def _told_again(self) -> bool:
        """Were we told to stop once more?"""
        return any(word in ENDING for word in self.watch.told)
