"""One service of the super-server: what is planned for it, its socket, its servers, and what is logged of them."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

from . import access, listening, log
from .access import Pattern
from .accesstimes import Window
from .addresses import Address
from .handed import Handed
from .limits import OnceAMinute
from .models import how_it_died
from .service import Event
from .sockopts import Chosen
from .spawn import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Protocol

    from .logfile import LogFile
    from .reception import Reception
    from .timers import Timer

    class Check(Protocol):
        """What takes time to find out about a caller, so that his own process does."""

        def needed(self) -> bool:
            """Is there anything to find out now?"""

        def why_not(self, peer: Address, local: Address) -> str:
            """The word for why this caller may not come in, or nothing."""

    # a caller's line -> the plan that he wants, "" for none, what he is told when he is let in, and otherwise
    Choose = Callable[[bytes], tuple[str, bytes, bytes]]
    Identify = Callable[[Address, Address], str]        # both ends of a connection -> who the caller says he is

LONGEST = 4096          # octets of a complaint that has no end of line
FAILURES = 10           # wait servers that fail in a row, each within QUICKLY seconds, before we pause
QUICKLY = 1.0
LONG_PAUSE = 10.0       # seconds for a service whose cps does not tell how long to pause

EVENTS = (
    Event("START", "info", "service pid from user", "a server was started"),
    Event("EXIT", "info", "service pid status seconds in out", "a server ended"),
    Event("FAIL", "notice", "service from user why",
          "a caller was turned away, or (err) a server could not be started"),
    Event("ended", "notice", "service pid from why", "a server was told to end"),
    Event("logfile", "alert", "service text", "a service's own log file has reached a limit, or cannot be written"),
    Event("stderr", "warning", "service text", "a server with stderr = log, or ourselves, wrote to descriptor 2"),
    Event("listening", "info", "service at", "a service is ready for callers"),
    Event("paused", "warning", "service why seconds", "a service takes nobody for a while; callers wait in the queue"),
)


class Plan:
    """One service: where to listen, whom to let in, what to start, and how much of it.

    where, sort, family     for listening.bound(); together they tell whether a reload can keep the socket.
                            A service with nowhere to listen is reached through another one's `choose`
    wait                    does one server take the socket itself, until it ends?
    only_from, no_access    as access.denied() takes them
    hours, max_load         spans of the day in which, and the load up to which callers are let in; none: always
    instances, per_source   servers at once, None without limit; cps is (connections a second, pause in seconds)
    leaky                   callers over cps are let in one by one at that rate, without a pause
    max_time                seconds that one server may run
    checks                  what else is asked about a caller, in his own process
    identify                asks who the caller's user is; `identified`: who does not tell is turned away
    trap                    no service at all: for so many seconds whoever calls is shut out of all others
    choose                  callers say in one line which other plan they mean
    banners                 paths of what is said to everybody, to who is let in, and to who is not
    log_success, log_failure    sets of PID HOST USERID EXIT DURATION TRAFFIC, and HOST USERID
    log_place, log_file     facility and priority of what is logged of it, "" for the usual one; or its own file
    """

    def __init__(self, name: str, where: listening.Where | None, sort: str, command: Command, *,
                 family: int | None = None, wait: bool = False, only_from: list[Pattern] | None = None,
                 no_access: Iterable[Pattern] = (), hours: Sequence[Window] = (), max_load: float = 0.0,
                 instances: int | None = None, per_source: int | None = None, cps: tuple[int, int] | None = None,
                 leaky: bool = False, max_time: float | None = None, checks: "Sequence[Check]" = (),
                 identify: "Identify | None" = None, identified: bool = False, trap: float | None = None,
                 choose: "Choose | None" = None, banners: tuple[str, str, str] = ("", "", ""),
                 options: Chosen | None = None, log_success: Set[str] = frozenset(),
                 log_failure: Set[str] = frozenset(), log_place: tuple[str, str] = ("", ""),
                 log_file: "LogFile | None" = None) -> None:
        self.name, self.where, self.sort, self.command, self.family = name, where, sort, command, family
        self.wait, self.only_from, self.no_access = wait, only_from, list(no_access)
        self.hours, self.max_load = hours, max_load
        self.instances, self.per_source, self.cps, self.leaky = instances, per_source, cps, leaky
        self.max_time, self.checks, self.trap, self.choose = max_time, checks, trap, choose
        self.identify, self.identified = identify, identified
        self.banner, self.banner_success, self.banner_fail = banners
        self.options: Chosen = options or []
        self.log_success, self.log_failure, self.log_place = log_success, log_failure, log_place
        self.log_file = log_file
        # must somebody's name be looked up to know whether he may come in?
        self.needs_names = any(isinstance(one, access.Name) for one in [*(only_from or []), *self.no_access])
        self.asks_user = identify is not None and (identified or "USERID" in log_success)

    @property
    def socket(self) -> object:
        """What makes two plans want the same socket."""
        return (self.where, self.sort, self.family) if self.where else self.name

    def takes_time(self) -> bool:
        """Is there something about callers that only their own processes may wait for?"""
        return (self.needs_names or self.asks_user or bool(self.banner_success)
                or any(check.needed() for check in self.checks))

    def denies(self, peer: Address) -> bool:
        """Do the rules keep this caller out?"""
        return access.denied(peer, self.only_from, self.no_access) is not None


class Server:
    """A process that was started: for one caller, or with `wait` for all who call until it ends."""

    __slots__ = ("began", "hurried", "peer")

    def __init__(self, peer: Address | None) -> None:
        self.peer, self.began, self.hurried = peer, time.monotonic(), False

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self.began


class Port:
    """A plan with its socket, if it has one, its running servers, and whether it is watched now."""

    def __init__(self, plan: Plan, sock: "socket.socket | None", file: tuple[int, int] | None = None,
                 handed: bool = False) -> None:
        self.plan, self.sock = plan, sock
        self.file = file                # device and inode of a Unix socket: what we may take away again
        self.handed = handed            # our own launcher's, who keeps it
        self.calls = self.refusals = 0
        self.drops, self.emptied = 0.0, 0.0     # how full the leaky bucket is, and when that was looked at
        self.tell = OnceAMinute()
        self.running: dict[int, Server] = {}
        self.watched, self.paused_until, self.failures = False, 0.0, 0
        self.second, self.begun = 0.0, 0
        self.complaints: Complaints | None = None
        self.until = 0.0                # when a server that was told to end must have ended
        self.timer: Timer | None = None     # for the oldest server, if max_time limits it
        self.reception: Reception | None = None
        self.prepare()

    def prepare(self) -> None:
        """Do what the plan, which may be new, says of the socket and of descriptor 2."""
        if self.sock is not None:
            self.sock.setblocking(self.plan.wait)
        if self.plan.command.keeps_errors and self.complaints is None and not log.on_stderr():
            self.complaints = Complaints()      # else they may write there themselves

    def split(self, plan: Plan) -> "Port":
        """The same socket for a plan that waits where ours did not, or the reverse; we keep our servers."""
        heir = Port(plan, self.sock, self.file, self.handed)
        heir.paused_until = self.paused_until
        return heir

    def from_source(self, peer: Address) -> int:
        """How many servers this source has."""
        return sum(server.peer is not None and server.peer.source == peer.source for server in self.running.values())

    def count(self) -> None:
        """One more begins."""
        self.begun += 1
        self.drops += 1

    def at_rate(self) -> bool:
        """Have as many begun within a second as cps allows?"""
        now = time.monotonic()
        if self.plan.leaky and self.plan.cps is not None:
            self.drops = max(self.drops - (now - self.emptied) * self.plan.cps[0], 0.0)
            self.emptied = now
            return self.drops > self.plan.cps[0] - 1
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

    def open(self) -> bool:
        """Is it not pausing, where callers come without a socket of its own?"""
        return time.monotonic() >= self.paused_until

    def pause(self, why: str, seconds: float | None = None) -> None:
        """Take nobody for so long, or as cps says: the kernel's queue holds callers back, and none is lost."""
        now = time.monotonic()
        if seconds is None:
            seconds = max(self.plan.cps[1], self.second + 1 - now) if self.plan.cps else LONG_PAUSE
        self.paused_until = now + seconds
        self._log_pause(why, seconds)

    def slow_down(self) -> None:
        """Too many have begun within a second: pause, or let one in as soon as the leaky bucket has room."""
        if not self.plan.leaky or self.plan.cps is None:
            return self.pause("cps")
        seconds = (self.drops - self.plan.cps[0] + 1) / self.plan.cps[0]
        self.paused_until = time.monotonic() + seconds
        if self.tell("cps"):
            self._log_pause("cps", seconds)

    def _log_pause(self, why: str, seconds: float) -> None:
        log.event("paused", service=self.plan.name, why=why, seconds=f"{seconds:.3g}")

    def signal(self, number: int) -> None:
        """Signal the servers, which are not reaped yet, so nobody else can have their numbers.

        SIGKILL takes what they started, too.
        """
        for pid in self.running:
            self.signal_one(pid, number)

    def signal_one(self, pid: int, number: int) -> None:
        """Signal one of the servers, as signal() does."""
        try:
            if number == signal.SIGKILL and os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except (PermissionError, ProcessLookupError):       # we are not root, and it runs as somebody else
            return

    def end(self, pid: int, why: str) -> bool:
        """Tell one server to end, and the log; False if it has been told."""
        server = self.running[pid]
        if server.hurried:
            return False
        server.hurried = True
        self.signal_one(pid, signal.SIGTERM)
        whose = {} if server.peer is None else {"from_": server.peer}
        log.event("ended", None, (self.plan.log_place[0], ""), service=self.plan.name, pid=pid, **whose, why=why)
        return True

    def close(self) -> None:
        """Take no more callers, and leave no path behind that leads nowhere; what was handed to us stays open."""
        if self.sock is None or self.handed or self.plan.where is None:
            return
        path, number = self.plan.where
        self.sock.close()
        if number is None and self.file is not None:
            try:
                if _identity(path) == self.file:
                    os.unlink(path)
            except OSError:             # gone already, or in a directory where we may do nothing
                return

    # -- what is logged --

    def at(self) -> str:
        """Where it listens, as a person writes it."""
        if self.sock is None:
            return "tcpmux"
        name = self.sock.getsockname()
        return listening.shown((name[0], name[1]) if isinstance(name, tuple) else (name, None))

    def log_listening(self) -> None:
        """It is open."""
        log.event("listening", service=self.plan.name, at=self.at())

    def log_start(self, pid: int, peer: Address | None, user: str = "") -> None:
        """A server was started."""
        flags = self.plan.log_success
        if flags:
            what: dict[str, object] = {"pid": pid} if "PID" in flags else {}
            if peer is not None and "HOST" in flags:
                what["from_"] = peer
            if "USERID" in flags and self.plan.identify is not None:
                what["user"] = user
            self._log("START", **what)

    def log_exit(self, pid: int, server: Server, status: int, carried: str = "") -> None:
        """A server ended; `carried` are the octets that it forwarded from and to its caller."""
        flags = self.plan.log_success
        if flags & {"EXIT", "DURATION", "TRAFFIC"}:
            what: dict[str, object] = {"pid": pid} if "PID" in flags else {}
            if "EXIT" in flags:
                what["status"] = how_it_died(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
            if "DURATION" in flags:
                what["seconds"] = f"{server.seconds:.3f}"
            if "TRAFFIC" in flags and carried:
                what["in_"], what["out"] = carried.split()
            self._log("EXIT", **what)

    def log_refusal(self, why: str, peer: Address | None, user: str | None = None) -> None:
        """A caller was turned away."""
        if self.plan.log_failure:
            caller: dict[str, object] = {"from_": peer} if peer is not None and "HOST" in self.plan.log_failure else {}
            if user is not None:
                caller["user"] = user
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
        file = self.plan.log_file
        if file is not None and file.take(log.worded(event, {"service": self.plan.name, **what})):
            return
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


def opened(plan: Plan, handed: Handed) -> Port:
    """Bind a plan's socket, or take the one that our own launcher opened for it; raises OSError with the address in it.

    A Unix socket is open to all who can reach its directory, whose rights decide.
    """
    if plan.where is None:
        return Port(plan, None)
    given = handed.take(plan.name, plan.sort)
    if given is not None:
        return Port(plan, given, handed=True)
    before = os.umask(0o111)
    try:
        sock = listening.bound(plan.where, plan.sort, family=plan.family)
    finally:
        os.umask(before)
    return Port(plan, sock, _identity(plan.where[0]) if plan.where[1] is None else None)


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
