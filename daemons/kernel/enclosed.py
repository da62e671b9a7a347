"""A program that serves no socket and stays: its work is done by a child in a sandbox, and the parent stays outside.

The parent passes orders on, and starts the child anew when files that it may read were replaced by others - Landlock
allows files, and not what is put in their place later - or when it was killed.  It hears nobody, and does nothing else.
"""

import os
import signal
import time
from collections.abc import Callable

from . import inherited, log
from .conversation import Program
from .notify import notify
from .options import Options
from .watch import Watch
from .workers import BROKEN, ORDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .sandbox import Layer

ANEW = 75               # exit status of a child that asks for a new sandbox
PAUSE = 1.0             # seconds before a child that died at once is replaced
LINGER = 0.5            # that a finished child gives a slow syslogd
END, MOST = b"\0", 65536       # of one piece of news; octets of news that are read at once


class Enclosure:
    """What work is told of its sandbox.

    extent      the word for how complete it is: full, part or off; via is who started the program
    again       it is not the first one: what was read from files before may be old
    replaced    the name of a file that it can read no more, since another lies there now, looked for once a second; ""
    notify      tells the service manager how we are (sd_notify(3))
    lifeline    can be read once the parent is gone; None where there is none
    """

    __slots__ = ("again", "extent", "lifeline", "notify", "replaced", "via")

    def __init__(self, extent: str, via: str, again: bool = False, lifeline: int | None = None) -> None:
        self.extent, self.via, self.again, self.lifeline = extent, via, again, lifeline
        self.replaced: Callable[[], str] = lambda: ""
        self.notify: Callable[..., bool] = notify


Work = Callable[[Enclosure], int]


def keep(options: Options, work: Work) -> int:
    """Have `work` done within the sandbox, anew as often as it returns ANEW; returns its exit status otherwise.

    With --sandbox=off it is done here.  Raises Misuse where --sandbox=strict cannot be had.
    """
    from . import privileges
    via = inherited.launcher()
    privileges.limit(options)
    if options.sandbox == "off":
        return work(Enclosure("off", via))      # no file is out of its reach, so it has no reason to ask for more
    from . import sandbox
    program = program_of(options)
    layers = sandbox.trial(program, [])
    for layer in layers:
        layer.tell()
    return _Keeper(program, work, sandbox.extent(layers), via).run()


def layers_of(options: Options) -> "list[Layer]":
    """What the sandbox of this program would come to; a child tries it."""
    from . import sandbox
    return [] if options.sandbox == "off" else sandbox.trial(program_of(options), [])


def program_of(options: Options) -> Program:
    """The program as the sandbox wants to know it."""
    return Program(options.service, options, None, None, "")


class _Keeper:
    """The parent."""

    def __init__(self, program: Program, work: Work, extent: str, via: str) -> None:
        self.program, self.work, self.extent, self.via = program, work, extent, via
        self.lifeline, self.held = os.pipe()    # nobody writes here; its end is our own
        self.news, self.pen = os.pipe()         # what the service manager, who hears us alone, is to be told
        self.starts = 0
        self.watch = Watch()
        self.watch.signals(ORDERS)
        self.watch.on(self.news, self._pass_news)

    def run(self) -> int:
        """Pass on orders and news, and replace a child that asks for it or was killed."""
        pid, began, stopping = self._start(), time.monotonic(), False
        while True:
            self.watch.look(None)
            log.complaints()
            while self.watch.told:
                name = self.watch.told.pop(0)
                stopping = stopping or name != "SIGHUP"
                os.kill(pid, signal.Signals[name])      # not waited for yet, so the number is still its own
            ended, found = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            status = os.waitstatus_to_exitcode(found)
            if status < 0:
                log.event("crash", pid=pid, status=signal.Signals(-status).name)
            if stopping or (status >= 0 and status != ANEW):
                return max(status, 0)
            if status != ANEW and time.monotonic() - began < PAUSE:
                time.sleep(PAUSE)               # whatever kills it at once must not make us spin
            pid, began = self._start(), time.monotonic()

    def _pass_news(self) -> None:
        for text in os.read(self.news, MOST).split(END)[:-1]:
            notify(*text.decode().split("\n"))

    def _start(self) -> int:
        self.starts += 1
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS)      # until the child listens for itself
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            return pid
        status = BROKEN
        try:
            os.setpgid(0, 0)                    # a terminal's Ctrl-C comes from the parent, once
            os.close(self.held)
            from . import sandbox
            sandbox.confine(self.program, [])
            enclosure = Enclosure(self.extent, self.via, self.starts > 1, self.lifeline)
            enclosure.replaced = self.program.replaced or enclosure.replaced
            enclosure.notify = self._note
            status = self.work(enclosure)
        except BaseException as error:          # nothing may climb from it into the parent's loop
            log.crash(error)
        finally:
            log.settle(LINGER)
            os._exit(status)

    def _note(self, *lines: str) -> bool:
        return bool(os.write(self.pen, "\n".join(lines).encode() + END))
