"""A super-server: wait at many sockets, and start for each caller the server that the socket is meant for.

What a `Plan` says of one service is all that is known here; who reads it from which file is not.
A reload keeps every socket that is still wanted, and ends no conversation but those with callers who are
denied now.
"""

import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial

from . import banner, descriptors, log, sockopts, spawn
from .accepting import SHORT
from .addresses import Address, address, local_of, peer_of
from .admission import ADDRESS, Doors, why_not_in_time
from .handed import Handed
from .notify import notify
from .ports import EVENTS as OF_PORTS
from .ports import Plan, Port, Server, opened
from .reception import Reception
from .service import Event
from .timers import Timers
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BATCH = 32              # callers taken from one socket before the others get their turn
PAUSE = 1.0             # seconds without accepting after the machine ran out of something
MERCY = 5.0             # seconds that one server has to end when it is told to
ASKING = 16             # refused callers whose users are asked for at a time
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
        self.watch, self.timers, self.started, self.alone = Watch(), Timers(), 0, True
        self.asking: set[int] = set()           # processes that find something out for us
        self.refused: dict[int, str] = {}       # children that turned their caller away, and why
        self.carried: dict[int, str] = {}       # children that forwarded, and how much
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
            if port.sock is None or wanted == port.watched:
                continue
            if wanted:
                self.watch.on(port.sock.fileno(), partial(self._called, port, port.sock))
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
        self._reap()
        log.settle(0)

    # -- callers --

    def _called(self, port: Port, listener: socket.socket) -> None:
        if port.at_rate():
            return port.slow_down()
        if port.plan.wait:
            return self._called_to_wait(port, listener)
        for _ in range(BATCH):
            try:
                sock, name = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORT:
                    return port.pause(str(error.strerror), PAUSE)
                continue                # that caller is gone again
            self._accepted(port, sock, address(name) if name else peer_of(sock) or Address())
            if port.at_rate() or not port.wanted(time.monotonic()):
                return                  # whoever still waits is seen at the next look

    def _accepted(self, port: Port, sock: socket.socket, peer: Address) -> None:
        """Let a caller in, or not; the socket is ours to close unless he goes to the reception."""
        port.calls += 1
        plan = port.plan
        try:
            if plan.banner:
                self._say(port, sock, plan.banner)
            why = self.doors.why_not(port, peer) if plan.trap is None else self._trapped(port, peer)
            sockopts.apply(sock, plan.options)
        except OSError as error:        # the caller is gone again
            why = str(error.strerror)
        if not why and plan.choose is not None:
            why = self._receive(port, sock, peer)
            if not why:
                return
        with sock:
            if why:
                self._turn_away(port, sock, peer, why)
            else:
                self._start(port, sock, peer)

    def _turn_away(self, port: Port, sock: socket.socket, peer: Address, why: str, answer: bytes = b"") -> None:
        """Say what is to be said to a caller who may not come in, and in the log."""
        port.refusals += 1
        plan = port.plan
        if answer:
            banner.words(sock, answer)
        if plan.banner_fail:
            self._say(port, sock, plan.banner_fail)
        if plan.banner or plan.banner_fail or answer:
            banner.last(sock)
        if plan.identify is not None and "USERID" in plan.log_failure and len(self.asking) < ASKING:
            ask, local = plan.identify, local_of(sock)
            self.asking.add(spawn.aside(lambda _: port.log_refusal(why, peer, ask(peer, local)), self.pen, sock))
        else:
            port.log_refusal(why, peer)

    def _say(self, port: Port, sock: socket.socket, path: str) -> None:
        why = banner.say(sock, path)
        if why and port.tell(path):
            port.log_failure(why)

    def _trapped(self, port: Port, peer: Address) -> str:
        """Whoever calls a sensor is shut out of everything, but those whom its rules except."""
        seconds = port.plan.trap or 0.0
        if not port.plan.denies(peer) and self.doors.shut_out.add(peer, seconds):
            log.event("shut-out", service=port.plan.name, from_=peer, seconds=f"{seconds:g}")
        return "sensor"

    def _start(self, port: Port, sock: socket.socket, peer: Address | None, greeting: bytes = b"") -> None:
        variables, admitted, errors, plan = {}, None, descriptors.errors, port.plan
        if peer is not None:
            variables = spawn.callers(peer, local_of(sock), port.from_source(peer) + 1)
            if greeting or plan.takes_time():
                admitted = partial(self._admitted, port, sock, peer, greeting)
        if port.complaints is not None:
            errors = port.complaints.writer
            self.watch.on(port.complaints.reader, port.log_complaints)
        try:
            pid = spawn.spawn(plan.command, sock, variables, errors, port.log_failure, admitted, self.pen)
        except OSError as error:
            port.log_failure(str(error.strerror))
            return port.pause(str(error.strerror), PAUSE)
        self.started += 1
        self.doors.total += 1
        port.count()
        port.running[pid] = Server(peer)
        if plan.max_time is not None and port.timer is None:
            self._time_the_oldest(port)
        if admitted is None:
            port.log_start(pid, peer)

    def _admitted(self, port: Port, sock: socket.socket, peer: Address, greeting: bytes) -> bool:
        """In the child, since it takes time that other callers have not: may this one come in?"""
        why, user = why_not_in_time(port.plan, peer, local_of(sock))
        if why:
            os.write(self.pen, f"{os.getpid()} refused {why}\n".encode())
            if port.plan.banner_fail:
                self._say(port, sock, port.plan.banner_fail)
            banner.last(sock)
            return False
        if greeting:
            banner.words(sock, greeting)
        if port.plan.banner_success:
            self._say(port, sock, port.plan.banner_success)
        port.log_start(os.getpid(), peer, user)
        return True

    # -- callers of services that wait --

    def _called_to_wait(self, port: Port, sock: socket.socket) -> None:
        """Give the server its socket; or take the caller away who may not come in, or he would call for ever."""
        port.calls += 1
        caller = None
        if port.plan.sort == "dgram":
            try:
                name = sock.recvfrom(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)[1]
            except OSError:             # it was for somebody else, or broken
                return
            caller = address(name) if name else Address()
        if port.plan.trap is not None:
            why = "sensor"              # and no more than that: whoever sends a datagram may be anybody
        else:
            why = self.doors.closed(port.plan)
            if not why and caller is not None:
                why = self.doors.why_not(port, caller)
        if why:
            return self._take_away(port, sock, caller, why)
        sock.setblocking(True)          # as a new server expects it, whatever the last one did
        self._start(port, sock, None)

    def _take_away(self, port: Port, sock: socket.socket, caller: Address | None, why: str) -> None:
        port.refusals += 1
        try:
            if caller is not None:
                sock.recv(1, socket.MSG_DONTWAIT)
            else:
                sock.setblocking(False)
                visitor, name = sock.accept()
                with visitor:
                    caller = address(name) if name else peer_of(visitor) or Address()
        except OSError:                 # gone again
            return
        if port.tell((caller.source, why)):
            port.log_refusal(why, caller)

    # -- callers who say what they want --

    def _receive(self, port: Port, sock: socket.socket, peer: Address) -> str:
        """Hear what this caller wants; why not, if nobody can."""
        if port.reception is None:
            port.reception = Reception(self.watch, self.timers, partial(self._chosen, port),
                                       lambda peer, why: port.log_refusal(why, peer))
        if port.reception.is_full():
            return "service_limit"
        port.reception.enter(sock, peer)
        return ""

    def _chosen(self, door: Port, sock: socket.socket, peer: Address, line: bytes) -> None:
        """Let a caller in where he wants to be, as if he had called there."""
        if door.plan.choose is None:
            return                      # a reload has made another service of it meanwhile
        name, yes, no = door.plan.choose(line)
        port = next((port for port in self.ports if port.plan.name == name and port.sock is None), None)
        if port is None:
            banner.words(sock, no)
            return banner.last(sock)
        port.calls += 1
        try:
            why = "cps" if port.at_rate() or not port.open() else self.doors.why_not(port, peer)
            sockopts.apply(sock, port.plan.options)
            if port.plan.banner:
                self._say(port, sock, port.plan.banner)
            if why:
                self._turn_away(port, sock, peer, why, no)
            else:
                self._start(port, sock, peer, yes)
        except OSError as error:        # the caller is gone again
            port.log_refusal(str(error.strerror), peer)

    # -- servers that end --

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.alone = True
                break
            self.alone = False
            if pid == 0:
                break
            if pid in self.asking:
                self.asking.discard(pid)
                self._read_ledger()
                continue
            for port in self.ports + self.leaving:      # in none: an orphan that was left to us as process 1
                if pid in port.running:
                    self._ended(port, pid, status)
        for port in [port for port in self.leaving if not port.running]:
            self._forget(port)

    def _ended(self, port: Port, pid: int, status: int) -> None:
        server = port.running.pop(pid)
        self.doors.total -= 1
        port.log_complaints(last=not port.running)
        self._read_ledger()
        if pid in self.refused:
            port.refusals += 1
            port.log_refusal(self.refused.pop(pid), server.peer)
        else:
            port.log_exit(pid, server, status, self.carried.pop(pid, ""))
        if port.plan.wait and port.failing(server, status):
            port.pause("its server fails")

    def _read_ledger(self) -> None:
        """What children tell: "PID refused WHY", "PID carried IN OUT", "PID denied PID-OF-A-SERVER"."""
        try:
            lines = os.read(self.ledger, 65536).decode().splitlines()
        except BlockingIOError:
            return
        for line in lines:
            pid, word, text = line.split(" ", 2)
            if word == "refused":
                self.refused[int(pid)] = text
            elif word == "carried":
                self.carried[int(pid)] = text
            elif word == "denied":
                self._end_one(int(text), ADDRESS)

    def _end_one(self, pid: int, why: str) -> None:
        """Tell a server to end, and see that it does."""
        for port in self.ports:
            server = port.running.get(pid)
            if server is not None and port.end(pid, why):
                self.timers.after(MERCY, partial(self._kill, port, pid, server))

    def _kill(self, port: Port, pid: int, server: Server) -> None:
        if port.running.get(pid) is server:
            port.signal_one(pid, signal.SIGKILL)

    def _time_the_oldest(self, port: Port) -> None:
        """See that the server which began first ends in time; then the next."""
        port.timer = None
        for pid, server in list(port.running.items()):
            if server.hurried or port.plan.max_time is None:
                continue
            left = port.plan.max_time - server.seconds
            if left > 0:
                port.timer = self.timers.after(left, partial(self._time_the_oldest, port))
                return
            self._end_one(pid, "max_time")

    # -- opening, reloading, ending --

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
        text = state.lines(self.ports, self.leaving, self.doors.shut_out, self.started)
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
        self._time_the_oldest(port)
        self._end_the_denied(port, before)
        return port

    def _end_the_denied(self, port: Port, before: Plan) -> None:
        """End the conversations with those whom the new plan does not let in, as xinetd.8 promises."""
        plan = port.plan
        peers = {pid: server.peer for pid, server in port.running.items() if server.peer is not None}
        if peers and plan.hours != before.hours and self.doors.closed(plan) == "time":
            for pid in peers:
                self._end_one(pid, "time")
        elif peers and plan.needs_names:
            self.asking.add(spawn.aside(partial(_denied, plan, peers), self.pen))
        else:
            for pid in [pid for pid, peer in peers.items() if plan.denies(peer)]:
                self._end_one(pid, ADDRESS)

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
        if number and os.getpid() == 1 and not self.alone:
            os.kill(-1, number)         # all that is left in the container

    def _is_empty(self) -> bool:
        """Is nobody left to wait for?"""
        return not self.leaving and (self.alone or os.getpid() != 1)

    def _told_again(self) -> bool:
        """Were we told to stop once more?"""
        return any(word in ENDING for word in self.watch.told)


def _denied(plan: Plan, peers: dict[int, Address], tell: spawn.Tell) -> None:
    """Tell which of these are denied: names may have to be looked up, and others wait meanwhile."""
    for pid, peer in peers.items():
        if plan.denies(peer):
            tell(f"denied {pid}")
