"""One service of the super-server: what is planned for it, its socket, its servers, and what is logged of them."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Set

from . import access, listening, log
from .access import Pattern
from .addresses import Address
from .models import how_it_died
from .service import Event
from .sockopts import Chosen
from .spawn import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

LONGEST = 4096          # octets of a complaint that has no end of line
FAILURES = 10           # wait servers that fail in a row, each within QUICKLY seconds, before we pause
QUICKLY = 1.0
LONG_PAUSE = 10.0       # seconds for a service whose cps does not tell how long to pause

EVENTS = (
    Event("START", "info", "service pid from", "a server was started"),
    Event("EXIT", "info", "service pid status seconds", "a server ended"),
    Event("FAIL", "notice", "service from why", "a caller was turned away, or (err) a server could not be started"),
    Event("stderr", "warning", "service text", "a server with stderr = log, or ourselves, wrote to descriptor 2"),
    Event("listening", "info", "service at", "a service is ready for callers"),
    Event("paused", "warning", "service why seconds", "a service takes nobody for a while; callers wait in the queue"),
)


class Plan:
    """One service: where to listen, whom to let in, what to start, and how much of it.

    where, sort, family     for listening.bound(); together they tell whether a reload can keep the socket
    wait                    does one server take the socket itself, until it ends?
    only_from, no_access    as access.denied() takes them
    instances, per_source   servers at once, None without limit; cps is (connections a second, pause in seconds)
    log_success, log_failure    sets of PID HOST EXIT DURATION, and HOST
    log_place               facility and priority of what is logged of it, "" for the usual one
    """

    def __init__(self, name: str, where: listening.Where, sort: str, command: Command, *, family: int | None = None,
                 wait: bool = False, only_from: list[Pattern] | None = None, no_access: Iterable[Pattern] = (),
                 instances: int | None = None, per_source: int | None = None, cps: tuple[int, int] | None = None,
                 options: Chosen | None = None, log_success: Set[str] = frozenset(),
                 log_failure: Set[str] = frozenset(), log_place: tuple[str, str] = ("", "")) -> None:
        self.name, self.where, self.sort, self.command, self.family = name, where, sort, command, family
        self.wait, self.only_from, self.no_access = wait, only_from, list(no_access)
        self.instances, self.per_source, self.cps = instances, per_source, cps
        self.options: Chosen = options or []
        self.log_success, self.log_failure, self.log_place = log_success, log_failure, log_place

    @property
    def socket(self) -> tuple[listening.Where, str, int | None]:
        """What makes two plans want the same socket."""
        return self.where, self.sort, self.family

    @property
    def needs_names(self) -> bool:
        """Must somebody's name be looked up to know whether he may come in?"""
        return any(isinstance(one, access.Name) for one in [*(self.only_from or []), *self.no_access])

    def denies(self, peer: Address) -> bool:
        """Do the rules keep this caller out?"""
        return access.denied(peer, self.only_from, self.no_access) is not None


class Server:
    """A process that was started: for one caller, or with `wait` for all who call until it ends."""

    __slots__ = ("began", "peer")

    def __init__(self, peer: Address | None) -> None:
        self.peer, self.began = peer, time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self.began


class Port:
    """A plan with its socket, its running servers, and whether it is watched now."""

    def __init__(self, plan: Plan, sock: "socket.socket", file: tuple[int, int] | None = None) -> None:
        self.plan, self.sock = plan, sock
        self.file = file                # device and inode of a Unix socket: what we may take away again
        self.running: dict[int, Server] = {}
        self.watched, self.paused_until, self.failures = False, 0.0, 0
        self.second, self.begun = 0.0, 0
        self.complaints: Complaints | None = None
        self.until = 0.0                # when a server that was told to end must have ended
        self.prepare()

    def prepare(self) -> None:
        """Do what the plan, which may be new, says of the socket and of descriptor 2."""
        self.sock.setblocking(self.plan.wait)
        if self.plan.command.keeps_errors and self.complaints is None and not log.on_stderr():
            self.complaints = Complaints()      # else they may write there themselves

    def split(self, plan: Plan) -> "Port":
        """The same socket for a plan that waits where ours did not, or the reverse; we keep our servers."""
        heir = Port(plan, self.sock, self.file)
        heir.paused_until = self.paused_until
        return heir

    def from_source(self, peer: Address) -> int:
        """How many servers this source has."""
        return sum(server.peer is not None and server.peer.source == peer.source for server in self.running.values())

    def count(self) -> None:
        """One more begins."""
        self.begun += 1

    def at_rate(self) -> bool:
        """Have as many begun within a second as cps allows?"""
        now = time.monotonic()
        if now - self.second >= 1:
            self.second, self.begun = now, 0
        return self.plan.cps is not None and self.begun >= self.plan.cps[0]

    def failing(self, server: Server, status: int) -> bool:
        """Note how a wait server ended; True when the last ones have all failed at once: starting it is of no use."""
        self.failures = self.failures + 1 if status and server.seconds < QUICKLY else 0
        return self.failures > 0 and self.failures % FAILURES == 0

    def wanted(self, now: float) -> bool:
        """May somebody call now?"""
        return now >= self.paused_until and not (self.plan.wait and self.running)

    def pause(self, why: str, seconds: float | None = None) -> None:
        """Take nobody for so long, or as cps says: the kernel's queue holds callers back, and none is lost."""
        now = time.monotonic()
        if seconds is None:
            seconds = max(self.plan.cps[1], self.second + 1 - now) if self.plan.cps else LONG_PAUSE
        self.paused_until = now + seconds
        log.event("paused", service=self.plan.name, why=why, seconds=f"{seconds:.3g}")

    def signal(self, number: int) -> None:
        """Signal the servers, which are not reaped yet, so nobody else can have their numbers.

        SIGKILL takes what they started, too.
        """
        for pid in self.running:
            try:
                if number == signal.SIGKILL and os.getpgid(pid) == pid:
                    os.killpg(pid, number)
                else:
                    os.kill(pid, number)
            except (PermissionError, ProcessLookupError):       # we are not root, and it runs as somebody else
                continue

    def close(self) -> None:
        """Take no more callers, and leave no path behind that leads nowhere."""
        path, number = self.plan.where
        self.sock.close()
        if number is None and self.file is not None:
            try:
                if _identity(path) == self.file:
                    os.unlink(path)
            except OSError:             # gone already, or in a directory where we may do nothing
                return

    # -- what is logged --

    def log_listening(self) -> None:
        """It is open."""
        name = self.sock.getsockname()
        at = listening.shown((name[0], name[1]) if isinstance(name, tuple) else (name, None))
        log.event("listening", service=self.plan.name, at=at)

    def log_start(self, pid: int, peer: Address | None) -> None:
        """A server was started."""
        flags = self.plan.log_success
        if flags:
            what: dict[str, object] = {"pid": pid} if "PID" in flags else {}
            if peer is not None and "HOST" in flags:
                what["from_"] = peer
            self._log("START", **what)

    def log_exit(self, pid: int, server: Server, status: int) -> None:
        """It ended, with this wait status."""
        flags = self.plan.log_success
        if flags & {"EXIT", "DURATION"}:
            what: dict[str, object] = {"pid": pid} if "PID" in flags else {}
            if "EXIT" in flags:
                what["status"] = how_it_died(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
            if "DURATION" in flags:
                what["seconds"] = f"{server.seconds:.3f}"
            self._log("EXIT", **what)

    def log_refusal(self, why: str, peer: Address | None) -> None:
        """A caller was turned away."""
        if self.plan.log_failure:
            caller = {"from_": peer} if peer is not None and "HOST" in self.plan.log_failure else {}
            self._log("FAIL", **caller, why=why)

    def log_failure(self, why: str) -> None:
        """A server could not be started, which is nobody's fault but ours: always logged."""
        log.event("FAIL", None, (self.plan.log_place[0], "err"), service=self.plan.name, why=why)

    def log_complaints(self, last: bool = False) -> None:
        """What servers wrote to descriptor 2."""
        if self.complaints is not None:
            for line in self.complaints.lines(last):
                log.event("stderr", service=self.plan.name, text=line)

    def _log(self, event: str, **what: object) -> None:
        log.event(event, None, self.plan.log_place, service=self.plan.name, **what)


class Complaints:
    """What the servers of one service write to descriptor 2, line by line."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.rest = b""

    def lines(self, last: bool = False) -> Iterator[bytes]:
        """The lines since the last call, without waiting; with `last` also one that nobody ended."""
        try:
            data = self.rest + os.read(self.reader, 65536)
        except BlockingIOError:
            data = self.rest
        *lines, self.rest = data.split(b"\n")
        if self.rest and (last or len(self.rest) > LONGEST):
            lines.append(self.rest)
            self.rest = b""
        return filter(bytes.strip, lines)

    def close(self) -> None:
        """Nobody is left who could complain."""
        os.close(self.reader)
        os.close(self.writer)


def opened(plan: Plan) -> Port:
    """Bind a plan's socket; raises OSError with the address in it.

    A Unix socket is open to all who can reach its directory, whose rights decide.
    """
    before = os.umask(0o111)
    try:
        sock = listening.bound(plan.where, plan.sort, family=plan.family)
    finally:
        os.umask(before)
    return Port(plan, sock, _identity(plan.where[0]) if plan.where[1] is None else None)


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
