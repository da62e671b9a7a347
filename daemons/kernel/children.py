"""Children: other programs whose standard input and output are pipes that we hold.

A child gets an environment, a folder, and no descriptor of ours but the log behind descriptor 2.  It leads a process
group of its own, which is killed and the child reaped in every case.  What it started in yet another session, of its
own accord, is nobody's any more.

Nothing here knows of SIGCHLD, so it works in a thread as in a process.  Whoever waits for any child (waitpid(-1)) in
the same process would take the status away: our loops do so only in processes that hold no conversations.

This file costs 5 ms to load, all for subprocess: only who runs something loads it, and before a sandbox closes.
"""

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping
from select import POLLIN, poll

from .asking import LINGER, Asking, Bounds, Heard, Question
from .running import ENVIRONMENT, Failed
from .transport import PipeTransport, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class NotStarted(Failed):
    """There is no such program, or no process to be had."""


class Child:
    """A program that runs until the end of a `with`.

        with Child(["/srv/cgi/script"], {"QUERY_STRING": ""}, "/srv/cgi") as child:
            child.converse(question, heard, Bounds(seconds=30, most=1 << 20))
        if child.failure: ...

    Text in the environment holds octets as surrogateescape has them.  `rlimits` are names of the resource module and
    their values, in force a moment after the start: what it does at once may escape them.  Raises NotStarted.
    """

    __slots__ = ("_process", "_watch", "arguments", "pid", "status", "transport", "was_running")

    def __init__(self, arguments: list[str], environment: Mapping[str, str], folder: str = "/",
                 rlimits: Mapping[str, int] | None = None) -> None:
        self.arguments = arguments
        self.status: int | None = None          # its exit status, or a signal's number below zero, once it is over
        self.was_running = False                # when it was killed: then the status is our own doing
        self.transport, self._process = _started(arguments, {**ENVIRONMENT, **environment}, folder)
        self.pid = self._process.pid
        self._watch = -1
        try:
            self._watch = os.pidfd_open(self.pid)
            _limit(self.pid, rlimits or {})
        except BaseException as error:
            self.end()
            if isinstance(error, (OSError, ValueError, OverflowError)):
                raise NotStarted(f"{arguments[0]}: {error}") from None
            raise

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: "TracebackType | None") -> None:
        self.end()

    def converse(self, question: Question, heard: Heard, bounds: Bounds, *, client: Transport | None = None,
                 settle: Callable[[], object] = lambda: None) -> None:
        """Hand it the question and take what it prints until it closes its output; then wait a moment for its end.

        As asking.Asking has it: raises Overdue, Overfull, and for the client Reset, Overtime or Stopped.
        """
        Asking(self.transport, question, heard, bounds, client=client, settle=settle, closes=True,
               leader=self._watch).run()
        self._has_ended(LINGER)

    @property
    def failure(self) -> str:
        """In words how it ended, or "" where it ended well or was killed by us: for the time after its end."""
        if not self.status or self.was_running:
            return ""
        return f"exit status {self.status}" if self.status > 0 else f"ended by {signal.Signals(-self.status).name}"

    def end(self) -> None:
        """Kill it and all of its group, and reap it."""
        if self.status is not None:
            return
        self.transport.close()
        self.was_running = not self._has_ended(0)
        try:
            os.killpg(self.pid, signal.SIGKILL)     # not reaped yet, so the number is still its own
            self.status = self._process.wait()
        except (PermissionError, ProcessLookupError):
            self.status = 0             # it became another user, and is reaped by subprocess later; or somebody did
        if self._watch >= 0:
            os.close(self._watch)

    def _has_ended(self, seconds: float) -> bool:
        """Has it, within so many seconds?  It is not reaped by this."""
        if self._watch < 0:
            return False
        watch = poll()
        watch.register(self._watch, POLLIN)
        return bool(watch.poll(seconds * 1000))


def _started(arguments: list[str], environment: dict[str, str],
             folder: str) -> tuple[PipeTransport, subprocess.Popen[bytes]]:
    fds: list[int] = []
    told = {name.encode("utf-8", "surrogateescape"): value.encode("utf-8", "surrogateescape")
            for name, value in environment.items()}
    try:
        fds += os.pipe()
        fds += os.pipe()
        process = subprocess.Popen(arguments, env=told, cwd=folder, start_new_session=True, stdin=fds[0],
                                   stdout=fds[3])
    except BaseException as error:
        for fd in fds:
            os.close(fd)
        if isinstance(error, OSError):  # no such interpreter, not executable after all, no process to be had
            raise NotStarted(f"{arguments[0]}: {error.strerror}") from None
        raise
    os.close(fds[0])
    os.close(fds[3])
    return PipeTransport(fds[2], fds[1]), process


def _limit(pid: int, rlimits: Mapping[str, int]) -> None:
    for name, value in rlimits.items():
        resource.prlimit(pid, getattr(resource, name), (value, value))
