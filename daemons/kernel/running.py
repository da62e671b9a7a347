"""Run another program and take what it prints: for so long, so much, and with nothing of ours in its hands.

It gets /dev/null to read, no descriptor but its output and the log behind descriptor 2, the environment
that it is given, and a process group that ends with it: nothing it started stays behind to hold our pipe.
"""

import os
import signal
import time
from select import POLLIN, poll

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class Failed(Exception):
    """It did not end well, or had to be ended; `output` is what it had printed until then."""

    def __init__(self, text: str, output: bytes = b"") -> None:
        super().__init__(text)
        self.output = output


def output(arguments: list[str], seconds: float, most: int, environment: dict[str, str] | None = None,
           quiet: bool = False) -> bytes:
    """What a program prints until it closes its output: `arguments` are its path and words, `quiet` shuts its stderr.

    Raises Failed when it cannot be started, takes more than `seconds`, prints more than `most` octets,
    or ends with a status other than 0.
    """
    import subprocess  # here, not above: 5 ms, and only for those who run something
    try:
        child = subprocess.Popen(arguments, env={**ENVIRONMENT, **(environment or {})}, cwd="/", start_new_session=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL if quiet else None)
    except OSError as error:            # no such interpreter, not executable after all, no process to be had
        raise Failed(f"{arguments[0]}: {error.strerror}") from None
    try:
        assert child.stdout is not None         # PIPE makes it one
        with child.stdout:
            printed, why = _printed(child.stdout.fileno(), time.monotonic() + seconds, most)
    finally:
        os.killpg(child.pid, signal.SIGKILL)    # not reaped yet, so the number is still its own
        status = child.wait()
    why = why or _failure(status)
    if why:
        raise Failed(f"{arguments[0]}: {why}", printed)
    return printed


def _printed(fd: int, deadline: float, most: int) -> tuple[bytes, str]:
    """What is printed on this descriptor, and why it was not read to its end."""
    printed, watch = bytearray(), poll()
    watch.register(fd, POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if not watch.poll(left * 1000):
            continue
        data = os.read(fd, 65536)
        if not data:
            return bytes(printed), ""
        printed += data
        if len(printed) > most:
            return bytes(printed[:most]), f"printed more than {most} octets"
    return bytes(printed), "took too long"


def _failure(status: int) -> str:
    """How it ended, in words; that we ended it once it had printed everything is no failure."""
    if status in (0, -signal.SIGKILL):
        return ""
    return f"exit status {status}" if status > 0 else f"ended by {signal.Signals(-status).name}"
