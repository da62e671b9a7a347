"""Workers: forked children that each do one piece of work of ours, for a program whose loop waits for other things.

    workers = Workers(watch)                    # a Watch; orders to stop or to read anew come into watch.told
    workers.start(lambda leaving: ..., about)
    watch.look(milliseconds)                    # returns when one of them has ended, too
    for about, status in workers.ended(): ...

A worker holds all that its program had open when it was started.  Told to stop, it is not interrupted: `leaving()`
says so from then on, and it ends when it has finished what it began.
"""

import os
import signal
from collections.abc import Callable

from . import log
from .watch import Watch

Leaving = Callable[[], bool]

ORDERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOP = ("SIGTERM", "SIGINT")            # of the names in watch.told, those that end the program
BROKEN = 111                            # exit status of a worker whose work raised something
GRACEFUL, AT_ONCE = signal.SIGTERM, signal.SIGKILL


class Workers:
    """The workers of this process; `watch` wakes when an order comes or one of them ends."""

    __slots__ = ("_running",)

    def __init__(self, watch: Watch) -> None:
        watch.signals(ORDERS)
        self._running: dict[int, object] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Callable[[Leaving], object], about: object) -> int:
        """Have a child do this; `about` is what ended() tells it by.  Raises OSError where there is no process."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS)
        try:
            pid = os.fork()
            if pid == 0:
                _work(work)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._running[pid] = about
        return pid

    def ended(self) -> list[tuple[object, int]]:
        """(about, status) of those that have ended since: 0 for well, a signal's number below zero."""
        found = []
        for pid in list(self._running):
            known, status = os.waitpid(pid, os.WNOHANG)
            if known:
                found.append((self._running.pop(pid), os.waitstatus_to_exitcode(status)))
        return found

    def stop(self, at_once: bool = False) -> None:
        """Tell all of them to come to an end, or kill them."""
        for pid in self._running:
            os.kill(pid, AT_ONCE if at_once else GRACEFUL)      # not reaped yet, so the number is still its own


def _work(work: Callable[[Leaving], object]) -> None:
    """Be the child: do it, and leave without anything that is the parent's to do."""
    status, told = BROKEN, []
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGHUP):           # a terminal sends these to us as well: ours comes
            signal.signal(number, signal.SIG_IGN)               # from the parent
        signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        work(lambda: bool(told))
        status = 0
    except BaseException as error:      # nothing may climb into the parent's loop
        log.crash(error)
    finally:
        log.settle(0.5)
        os._exit(status)
