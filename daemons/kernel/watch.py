"""Wait for many descriptors at once, with something to do for each, and for signals."""

import os
import signal
from collections.abc import Callable, Collection
from select import POLLIN, poll


class Watch:
    """Descriptors with their actions; `told` has the names of the signals that came, in order."""

    def __init__(self) -> None:
        self.poll = poll()
        self.actions: dict[int, Callable[[], object]] = {}
        self.told: list[str] = []

    def on(self, fd: int, action: Callable[[], object]) -> None:
        """Call `action` whenever there is something to read here."""
        if fd not in self.actions:
            self.poll.register(fd, POLLIN)
        self.actions[fd] = action

    def off(self, fd: int) -> None:
        """No longer."""
        if self.actions.pop(fd, None) is not None:
            self.poll.unregister(fd)

    def look(self, milliseconds: float | None) -> None:
        """Wait until something happens, but not longer than this; do what is to be done then."""
        for fd, _ in self.poll.poll(milliseconds):
            self.actions[fd]()

    def signals(self, numbers: Collection[signal.Signals]) -> None:
        """Have these signals, and the end of a child, wake us: a pipe that they write to makes poll() return."""
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)     # held back since before we could hear them
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.on(reader, lambda: os.read(reader, 4096))

    def _note(self, number: int, _: object) -> None:
        self.told.append(signal.Signals(number).name)
