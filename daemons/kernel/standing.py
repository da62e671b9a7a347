"""A program that stays: on a listener or datagram socket, alone or as several processes that share it."""

import os
import signal
import struct
import sys
import time

from . import log, privileges
from .accepting import Loop
from .inherited import LISTENER, name_process
from .listening import shown
from .models import how_it_died
from .notify import hand_over, notify

RESTART_PAUSE = 1.0     # seconds before a worker that died at once is replaced


def serve(program, given):
    """Serve until told to stop or idle; returns the exit status."""
    options, began = program.options, time.monotonic()
    name_process(program.service.name)
    ours = any(one.ours for one in given)
    with _background(options, given) if ours and options.detach else _foreground():
        if ours:
            privileges.become(options.user, options.group, options.chroot)
        at = " ".join(_where(one) for one in given)
        log.event("start", via=program.via, model=_model(program, given), listen=at)
        notify("READY=1", f"STATUS=serving at {at}")
        os.environ.pop("NOTIFY_SOCKET", None)
        loop = None
        if options.processes > 1:
            why, served = Workers(program, given).run(), 0
        else:
            loop = Loop(program, given)
            why, served = loop.run(), loop.served
            loop.summary()
        log.event("stop", why=why, seconds=f"{time.monotonic() - began:.3f}", conversations=served)
        if why == "SIGHUP" and ours:
            _start_anew(given)
    return 0


def _model(program, given):
    if any(one.kind == LISTENER for one in given):
        return program.options.model or program.service.model
    return "datagram"


def _where(one):
    name = one.sock.getsockname()
    return shown((name[0], name[1])) if isinstance(name, tuple) else shown((name, None))


class Activity:
    """When each of several processes last had something to do, in memory that they share."""

    def __init__(self, count):
        import mmap
        self.count, self.mine = count, 0
        self.memory = mmap.mmap(-1, 8 * count)

    def note(self, last):
        """When this process was last busy; infinity while it is."""
        struct.pack_into("d", self.memory, 8 * self.mine, last)

    def busy_within(self, seconds):
        """Was any of them busy lately?"""
        return time.monotonic() - max(struct.unpack_from(f"{self.count}d", self.memory)) < seconds


class Workers:
    """Processes that share the sockets; the parent replaces those that die and reads their complaints."""

    def __init__(self, program, given):
        self.program, self.given = program, given
        self.pids, self.stopping = {}, ""
        self.activity = Activity(program.options.processes)

    def run(self):
        """Keep them all running; returns the word for why they ended."""
        signal.signal(signal.SIGTERM, self._told)
        signal.signal(signal.SIGHUP, self._told)
        for place in range(self.program.options.processes):
            self._fork(place)
        while self.pids:
            pid, status = os.wait()
            log.complaints()
            place, began = self.pids.pop(pid, (None, 0.0))
            if place is not None:
                self._ended(place, began, pid, status)
        return self.stopping or "idle"

    def _ended(self, place, began, pid, status):
        if status:
            log.event("crash", pid=pid, status=how_it_died(status))
            if time.monotonic() - began < RESTART_PAUSE:
                time.sleep(RESTART_PAUSE)       # whatever kills it at once must not make us spin
        if not self.stopping and (status or self.activity.busy_within(self.program.options.idle)):
            self._fork(place)

    def _told(self, number, frame):
        self.stopping = signal.Signals(number).name
        for pid in self.pids:
            os.kill(pid, number)

    def _fork(self, place):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGHUP))
        pid = os.fork()
        if pid:
            self.pids[pid] = place, time.monotonic()
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            return
        status = 1
        try:
            self.activity.mine = place
            loop = Loop(self.program, self.given, self.activity)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            loop.run()
            loop.summary()
            status = 0
        except BaseException as error:          # nothing may climb from a worker into the parent's loop
            log.crash(error)
        finally:
            log.settle(RESTART_PAUSE)
            os._exit(status)


def _start_anew(given):
    """SIGHUP where no launcher would start the new version: become it, with the sockets still open."""
    arguments = [sys.executable, *_interpreter_flags(), *_program(), *sys.argv[1:]]
    names = [one.name or "own" for one in given]
    hand_over([one.sock for one in given], names, dict(os.environ), sys.executable, arguments)


def _interpreter_flags():
    return [flag for flag, on in (("-I", sys.flags.isolated), ("-S", sys.flags.no_site)) if on]


def _program():
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return ["-m", spec.name] if spec is not None else [os.path.abspath(sys.argv[0])]


class _foreground:
    """Stay where we were started."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def _background(options, given):
    """--detach: a daemon of its own session (PEP 3143), with the sockets and the log kept."""
    from . import detach
    return detach.background(options, [one.sock for one in given])


