"""Run another program and take what it prints: for so long, so much, and with nothing of ours in its hands.

It gets /dev/null to read, or a pipe with what it is given, no descriptor but its output and the log behind
descriptor 2, the environment that it is given, and a process group that ends with it: nothing it started stays
behind to hold our pipe.
"""

import os
import signal
import time
from select import POLLIN, POLLOUT, poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class Failed(Exception):
    """It did not end well, or had to be ended; `output` is what it had printed until then."""

    def __init__(self, text: str, output: bytes = b"") -> None:
        super().__init__(text)
        self.output = output


def output(arguments: list[str], seconds: float, most: int, environment: dict[str, str] | None = None,
           quiet: bool = False, given: bytes | None = None) -> bytes:
    """What a program prints until it closes its output: `arguments` are its path and words, `quiet` shuts its stderr.

    `given` is what it may read, as much of it as it likes.

    Raises Failed when it cannot be started, takes more than `seconds`, prints more than `most` octets,
    or ends with a status other than 0.
    """
    import subprocess  # here, not above: 5 ms, and only for those who run something
    try:
        child = subprocess.Popen(arguments, env={**ENVIRONMENT, **(environment or {})}, cwd="/", start_new_session=True,
                                 stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None)
    except OSError as error:            # no such interpreter, not executable after all, no process to be had
        raise Failed(f"{arguments[0]}: {error.strerror}") from None
    try:
        assert child.stdout is not None         # PIPE makes it one
        with child.stdout:
            printed, why = _exchanged(child, given or b"", time.monotonic() + seconds, most)
    finally:
        if child.stdin is not None:
            child.stdin.close()
        os.killpg(child.pid, signal.SIGKILL)    # not reaped yet, so the number is still its own
        status = child.wait()
    why = why or _failure(status)
    if why:
        raise Failed(f"{arguments[0]}: {why}", printed)
    return printed


def _exchanged(child: "Popen[bytes]", given: bytes, deadline: float, most: int) -> tuple[bytes, str]:
    """What it prints while it is told what it is given, and why that was not read to its end."""
    assert child.stdout is not None
    printed, watch, rest = bytearray(), poll(), memoryview(given)
    watch.register(child.stdout, POLLIN)
    if child.stdin is not None:
        os.set_blocking(child.stdin.fileno(), False)
        watch.register(child.stdin, POLLOUT)
    while (left := deadline - time.monotonic()) > 0:
        for fd, _ in watch.poll(left * 1000):
            if child.stdin is not None and fd != child.stdout.fileno():
                rest = rest[_written(fd, rest):]
                if not rest:
                    watch.unregister(fd)
                    child.stdin.close()
                continue
            data = os.read(fd, 65536)
            if not data:
                return bytes(printed), ""
            printed += data
            if len(printed) > most:
                return bytes(printed[:most]), f"printed more than {most} octets"
    return bytes(printed), "took too long"


def _written(fd: int, data: memoryview) -> int:
    """How much of this it took; all, if it does not want to read any more."""
    try:
        return os.write(fd, data)
    except BrokenPipeError:
        return len(data)
    except BlockingIOError:
        return 0


def _failure(status: int) -> str:
    """How it ended, in words; that we ended it once it had printed everything is no failure."""
    if status in (0, -signal.SIGKILL):
        return ""
    return f"exit status {status}" if status > 0 else f"ended by {signal.Signals(-status).name}"
