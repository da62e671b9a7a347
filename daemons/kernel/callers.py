"""From a call to the server that is started for it: who may come in, what he is told, and in what process.

The super-server itself waits for nobody: what takes time to find out about a caller, his own process does.
"""

import os
import socket
import time
from collections.abc import Callable
from functools import partial

from . import banner, descriptors, log, sockopts, spawn
from .accepting import SHORT
from .addresses import Address, address, local_of, peer_of
from .admission import Doors, why_not_in_time
from .ports import Port, Server
from .servers import Servers
from .timers import Timers
from .watch import Watch

BATCH = 32              # callers taken from one socket before the others get their turn
PAUSE = 1.0             # seconds without accepting after the machine ran out of something


class Callers:
    """Takes calls and starts servers; `behind(name)` is the Port without a socket that has this name, or None."""

    def __init__(self, watch: Watch, timers: Timers, doors: Doors, servers: Servers,
                 behind: Callable[[str], Port | None]) -> None:
        self.watch, self.timers, self.doors, self.servers, self.behind = watch, timers, doors, servers, behind

    # -- callers of services that do not wait --

    def called(self, port: Port, listener: socket.socket) -> None:
        """Somebody calls at this port."""
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
        if plan.identify is not None and "USERID" in plan.log_failure:
            ask, local = plan.identify, local_of(sock)
            if self.servers.aside(lambda _: port.log_refusal(why, peer, ask(peer, local)), sock):
                return
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
            pid = spawn.spawn(plan.command, sock, variables, errors, port.log_failure, admitted, self.servers.pen)
        except OSError as error:
            port.log_failure(str(error.strerror))
            return port.pause(str(error.strerror), PAUSE)
        port.count()
        self.servers.began(port, pid, Server(peer))
        if admitted is None:
            port.log_start(pid, peer)

    def _admitted(self, port: Port, sock: socket.socket, peer: Address, greeting: bytes) -> bool:
        """In the child, since it takes time that other callers have not: may this one come in?"""
        why, user = why_not_in_time(port.plan, peer, local_of(sock))
        if why:
            os.write(self.servers.pen, f"{os.getpid()} refused {why}\n".encode())
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
            from .reception import Reception  # only where somebody has to say what he wants
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
        port = self.behind(name)
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
