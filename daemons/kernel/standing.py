"""A program that stays: on a listener or datagram socket, alone or as several processes that share it."""

import os
import signal
import struct
import sys
import time
from select import POLLIN, poll

from . import descriptors, limits, log, privileges
from .accepting import ENDING, REPLACED, Loop
from .conversation import Program
from .inherited import LISTENER, OWN, Given, name_process
from .listening import shown
from .models import LINGER, how_it_died
from .notify import hand_over, notify
from .options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import NoReturn

    from .sandbox import Layer

RESTART_PAUSE = 1.0     # seconds before a worker that died at once is replaced
ANEW = 75               # exit status of a worker that asks for one with a new sandbox in its place


def serve(program: Program, given: list[Given]) -> int:
    """Serve until told to stop or idle; returns the exit status."""
    options, began = program.options, time.monotonic()
    name_process(program.service.name)
    ours = any(one.ours for one in given)
    anew = any(one.name == OWN for one in given)        # then we are in the background, and who we shall be
    limits.prepare(program, limits.kind_of(given))
    with _background(program, given) if ours and options.detach and not anew else _foreground(options, anew):
        if ours and options.detach:
            descriptors.catch()         # nobody is left who could read it elsewhere
        privileges.limit(options)
        if ours and not anew:
            if options.chroot is not None:
                _load_all()
            privileges.become(options.user, options.group, options.chroot, bounded=options.sandbox != "off")
        at = " ".join(_where(one) for one in given)
        layers, extent = _close_in(program, given, ours)
        kept = bool(layers) and ours
        loop = Workers(program, given, kept) if kept or options.processes > 1 else Loop(program, given)
        # signals are safe from here
        log.event("start", via=program.via, model=_model(program, given), sandbox=extent, listen=at)
        for layer in layers:
            layer.tell()
        notify("READY=1", f"STATUS=serving at {at}")
        why = loop.run()
        loop.summary()
        log.event("stop", why=why, seconds=f"{time.monotonic() - began:.3f}", conversations=loop.served)
        if why == "SIGHUP" and ours:
            _start_anew(given)
    return 0


def _load_all() -> None:
    """Import now what is imported late elsewhere: below a new root there is nothing to import."""
    import encodings.idna  # noqa: F401 - host names are looked up with it
    import mmap  # noqa: F401

    from . import access, allowance, dial, landlock, sandbox, seccomp  # noqa: F401


def _close_in(program: Program, given: list[Given], ours: bool) -> "tuple[list[Layer], str]":
    """The sandbox, and the word for it: around us, or tried out for those who will serve in our place.

    A process that is closed in cannot start the new version of the program, as it must where it bound its port itself.
    """
    if program.options.sandbox == "off":
        return [], "off"
    from . import sandbox
    layers = sandbox.trial(program, given) if ours else sandbox.confine(program, given)
    return layers, sandbox.extent(layers)


def _model(program: Program, given: list[Given]) -> str:
    if any(one.kind == LISTENER for one in given):
        return program.options.model or program.service.model
    return "datagram"


def _where(one: Given) -> str:
    name = one.sock.getsockname()
    return shown((name[0], name[1])) if isinstance(name, tuple) else shown((name, None))


class Activity:
    """What each of several processes has to do, and when it last had, in memory that they share."""

    def __init__(self, count: int) -> None:
        import mmap
        self.count, self.mine = count, 0
        # for each a time, then for each how many conversations it held when it ended, then how many it has
        self.memory = mmap.mmap(-1, 24 * count)

    def note(self, last: float) -> None:
        """When this process was last busy; infinity while it is."""
        struct.pack_into("d", self.memory, 8 * self.mine, last)

    def busy_within(self, seconds: float) -> bool:
        """Was any of them busy lately?"""
        last: float = max(struct.unpack_from(f"{self.count}d", self.memory))
        return time.monotonic() - last < seconds

    def has_more(self, conversations: int) -> bool:
        """This process has so many; are they two more than a sister has?"""
        base = 16 * self.count
        struct.pack_into("d", self.memory, base + 8 * self.mine, conversations)
        least: float = min(struct.unpack_from(f"{self.count}d", self.memory, base))
        return conversations > least + 1

    def add_served(self, conversations: int) -> None:
        """This process ends, having held so many."""
        place = 8 * (self.count + self.mine)
        struct.pack_into("d", self.memory, place, struct.unpack_from("d", self.memory, place)[0] + conversations)

    def served(self) -> int:
        """Conversations that all of them held, once they have ended."""
        return int(sum(struct.unpack_from(f"{self.count}d", self.memory, 8 * self.count)))


class Workers:
    """Processes that share the sockets; the parent replaces those that die and reads their complaints.

    `closed`: each closes itself in, since the parent stays free to start the new version of the program.
    """

    def __init__(self, program: Program, given: list[Given], closed: bool = False) -> None:
        self.program, self.given, self.closed = program, given, closed
        self.pids: dict[int, tuple[int, float]] = {}        # place and beginning by process
        self.stopping, self.served = "", 0
        self.activity = Activity(program.options.processes)
        self.news, self.pen = os.pipe()         # a worker that will not accept any more writes its place here
        self.deaths, waker = os.pipe()
        for fd in (self.news, self.deaths, waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self.lifeline, self.held = os.pipe()    # nobody writes here; its end is our own
        for number in ENDING:
            signal.signal(number, self._told)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> str:
        """Keep them all running; returns the word for why they ended."""
        for place in range(self.program.options.processes):
            self._fork(place)
        watch = poll()
        watch.register(self.news, POLLIN)
        watch.register(self.deaths, POLLIN)
        while self.pids:
            for fd, _ in watch.poll():
                if fd == self.deaths:
                    os.read(fd, 4096)
                elif fd == self.news:
                    self._outdated(os.read(fd, 4096))
            log.complaints()
            self._reap()
        self.served = self.activity.served()
        return self.stopping or "idle"

    def _outdated(self, places: bytes) -> None:
        """These finish what they have and accept no more: others take their places, or we go too, being like them."""
        if not self.closed and not self.stopping:
            self._stop(REPLACED, signal.SIGTERM)
        if not self.stopping:
            for place in places.split():
                self._fork(int(place))

    def _reap(self) -> None:
        while self.pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            worker = self.pids.pop(pid, None)
            if worker is not None:
                self._ended(*worker, pid, status)

    def _ended(self, place: int, began: float, pid: int, status: int) -> None:
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == ANEW:
            return                      # its place was taken long ago
        if status:
            log.event("crash", pid=pid, status=how_it_died(status))
            if time.monotonic() - began < RESTART_PAUSE:
                time.sleep(RESTART_PAUSE)       # whatever kills it at once must not make us spin
        if not self.stopping and (status or self.activity.busy_within(self.program.options.idle)):
            self._fork(place)

    def summary(self) -> None:
        """Each worker logs its own."""

    def _told(self, number: int, _: object) -> None:
        self._stop(signal.Signals(number).name, number)

    def _stop(self, why: str, number: int) -> None:
        """Have all end, and start none again."""
        self.stopping = why
        for pid in self.pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:          # waited for just now
                continue

    def _tell_outdated(self) -> None:
        os.write(self.pen, b"%d " % self.activity.mine)

    def _orphaned(self, loop: Loop) -> None:
        """In a worker: whoever would pass orders on was killed, and nobody else knows that we hold the port."""
        loop.watch.unregister(self.lifeline)
        log.event("warning", text="the process over this worker is gone; it ends too")
        os.kill(os.getpid(), signal.SIGTERM)

    def _fork(self, place: int) -> None:
        if self.program.tls is not None:
            self.program.tls.refresh()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pid = os.fork() if not self.stopping else -1    # from here on nobody can be told and leave a child untold
        if pid:
            if pid > 0:
                self.pids[pid] = place, time.monotonic()
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            return
        status = 1
        try:
            self.activity.mine = place
            if self.closed:
                from . import sandbox
                sandbox.confine(self.program, self.given)
            loop = Loop(self.program, self.given, self.activity, outdated=self._tell_outdated)
            os.close(self.held)
            loop.on(self.lifeline, lambda: self._orphaned(loop))
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            status = ANEW if loop.run() == REPLACED else 0
            loop.summary()
            self.activity.add_served(loop.served)
        except BaseException as error:          # nothing may climb from a worker into the parent's loop
            log.crash(error)
        finally:
            log.settle(RESTART_PAUSE)
            os._exit(status)


def _start_anew(given: list[Given]) -> "NoReturn":
    """SIGHUP where no launcher would start the new version: become it, with the sockets still open."""
    arguments = [sys.executable, *_interpreter_flags(), *_program(), *sys.argv[1:]]
    names = [OWN for one in given]
    log.complaints(last=True)
    log.settle(LINGER)                  # what waits for a slow syslogd would not survive
    if descriptors.reader is not None:
        os.close(2)                     # else it would be a pipe without a reader
    hand_over([one.sock for one in given], names, dict(os.environ), sys.executable, arguments)


def _interpreter_flags() -> list[str]:
    return [flag for flag, on in (("-I", sys.flags.isolated), ("-S", sys.flags.no_site)) if on]


def _program() -> list[str]:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return ["-m", spec.name] if spec is not None else [os.path.abspath(sys.argv[0])]


class _foreground:
    """Stay where we were started; when that was ourselves, the pid file is still to be removed in the end."""

    def __init__(self, options: Options, anew: bool) -> None:
        self.pid_file = options.pid_file if anew and options.detach else None

    def __enter__(self) -> "_foreground":
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid_file:
            from . import detach
            detach.remove(self.pid_file)


def _background(program: Program, given: list[Given]) -> "AbstractContextManager[object]":
    """--detach: a daemon of its own session (PEP 3143), with the sockets, the log and the limits kept."""
    from . import detach
    table = [program.table] if program.table is not None else []
    return detach.background(program.options, [*(one.sock for one in given), *table])


