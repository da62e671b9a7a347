"""The servers that run: what they tell, how they end, and how they are made to."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial

from . import spawn
from .accesstimes import now, within
from .addresses import Address
from .admission import ADDRESS, Doors
from .ports import Plan, Port, Server
from .timers import Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

ASKING = 16             # processes at a time that find something out for us
MERCY = 5.0             # seconds that one server has to end when it is told to


class Servers:
    """All servers, each of which a Port has among its running ones."""

    def __init__(self, timers: Timers, doors: Doors) -> None:
        self.timers, self.doors = timers, doors
        self.port_of: dict[int, Port] = {}
        self.started, self.alone = 0, True      # alone: without any child, our own or left to us as process 1
        self.asking: set[int] = set()           # processes that find something out for us
        self.refused: dict[int, str] = {}       # children that turned their caller away, and why
        self.carried: dict[int, str] = {}       # children that forwarded, and how much
        self.ledger, self.pen = os.pipe()       # where they tell
        os.set_blocking(self.ledger, False)

    def began(self, port: Port, pid: int, server: Server) -> None:
        """One more runs."""
        self.started += 1
        self.doors.total += 1
        port.running[pid] = server
        self.port_of[pid] = port
        if port.plan.max_time is not None and port.timer is None:
            self.time_the_oldest(port)

    def reap(self) -> None:
        """See out all children that have ended."""
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
            port = self.port_of.pop(pid, None)
            if port is not None:        # else an orphan that was left to us as process 1
                self._ended(port, pid, status)

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
                port = self.port_of.get(int(text))
                if port is not None:
                    self._end(port, int(text), ADDRESS)

    def _end(self, port: Port, pid: int, why: str) -> None:
        """Tell a server to end, and see that it does."""
        server = port.running.get(pid)
        if server is not None and port.end(pid, why):
            self.timers.after(MERCY, partial(self._kill, port, pid, server))

    def _kill(self, port: Port, pid: int, server: Server) -> None:
        if port.running.get(pid) is server:
            port.signal_one(pid, signal.SIGKILL)

    def time_the_oldest(self, port: Port) -> None:
        """See that the server which began first ends in time; then the next."""
        port.timer = None
        for pid, server in list(port.running.items()):
            if server.hurried or port.plan.max_time is None:
                continue
            left = port.plan.max_time - server.seconds
            if left > 0:
                port.timer = self.timers.after(left, partial(self.time_the_oldest, port))
                return
            self._end(port, pid, "max_time")

    def end_the_denied(self, port: Port, before: Plan) -> None:
        """End the conversations with those whom the new plan does not let in, as xinetd.8 promises."""
        plan = port.plan
        peers = {pid: server.peer for pid, server in port.running.items() if server.peer is not None}
        late = plan.hours != before.hours and bool(plan.hours) and not within(plan.hours, now(time.time()))
        if late:
            for pid in peers:
                self._end(port, pid, "time")
        elif peers and plan.needs_names and self.aside(partial(_tell_denied, plan, peers)):
            return
        else:
            for pid in _denied(plan, peers):
                self._end(port, pid, ADDRESS)

    def aside(self, work: Callable[[spawn.Tell], None], sock: "socket.socket | None" = None) -> bool:
        """Have something found out while others need not wait for it; False if there is no process to be had."""
        if len(self.asking) >= ASKING:
            return False
        try:
            self.asking.add(spawn.aside(work, self.pen, sock))
        except OSError:
            return False
        return True


def _denied(plan: Plan, peers: dict[int, Address]) -> list[int]:
    return [pid for pid, peer in peers.items() if plan.denies(peer)]


def _tell_denied(plan: Plan, peers: dict[int, Address], tell: spawn.Tell) -> None:
    """Names may have to be looked up."""
    for pid in _denied(plan, peers):
        tell(f"denied {pid}")
