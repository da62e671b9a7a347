"""Processes that tests start: marked when started, found again wherever they went, and ended by their ids.

A launcher's servers may leave its process group and session and outlive it, as the `wait` servers of xinetd do.  But
they keep a mark in the environment that they were given, or are children or session mates of one who does.

A test run that is itself killed cannot clean up.  A guard does: a process that waits for the run's end in
whatever form, then ends what bears the run's mark and removes the run's temporary files.
"""

import atexit
import contextlib
import functools
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MARK = "LIVE_TEST_MARK"                                 # not FD0_...: those are options of our programs
RUN = f"{os.getpid()}-{secrets.token_hex(8)}"           # one test run; marks are RUN.0, RUN.1, ...
numbers = itertools.count()


class Processes:
    """A process started by a test, and all that comes of it."""

    def __init__(self, argv, environment=None, **popen):
        """Start argv in a session of its own; the other arguments are those of subprocess.Popen."""
        directory()                                     # and with it the guard
        self.mark = f"{RUN}.{next(numbers)}"
        env = {**os.environ, **(environment or {}), MARK: self.mark}
        self.first = subprocess.Popen(argv, env=env, start_new_session=True, **popen)

    def alive(self):
        """Return the ids of all processes that came of this start and still run; zombies are gone."""
        return members(self.mark)

    def end(self, seconds=10):
        """Kill them all; TimeoutError when some are still there after `seconds`.

        The first one is stopped before we look, so that no child appears, unmarked and orphaned, behind our back.
        """
        if self.first.poll() is None:
            self.first.send_signal(signal.SIGSTOP)
        kill_all(self.mark, seconds)
        self.first.wait(seconds)
        for pipe in filter(None, (self.first.stdin, self.first.stdout, self.first.stderr)):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def running(pid):
    """Tell whether a process is there and no zombie."""
    return _look(str(pid)) is not None


def members(mark, sessions=()):
    """Return the ids of the living processes that bear a mark or are in a session, and of their kin.

    Kin are children, and processes of the same session: they may have been given an empty environment.  A mark
    that ends in a dot stands for all marks that begin so.
    """
    table = dict(filter(None, map(_look, os.listdir("/proc"))))
    wanted = f"{MARK}={mark}".encode() + (b"" if mark.endswith(".") else b"\0")
    sessions = set(sessions)
    found = set()
    more = {pid for pid, (_, session, environment) in table.items()
            if session in sessions or any(entry.startswith(wanted) for entry in environment)}
    while more:
        found |= more
        sessions |= {table[pid][1] for pid in more} - {os.getsid(0)}
        more = {pid for pid, (parent, session, _) in table.items()
                if pid not in found and (parent in found or session in sessions)}
    return found - {os.getpid()}


def _look(name):
    """Return (pid, (parent, session, environment entries)) for an entry of /proc; None for a zombie or no process."""
    if not name.isdigit():
        return None
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            state, parent, _, session = file.read().rpartition(b")")[2].split()[:4]
    except OSError:
        return None
    try:
        with open(f"/proc/{name}/environ", "rb") as file:
            environment = file.read().split(b"\0")
    except OSError:                                     # another user's
        environment = []
    if state in b"ZX":
        return None
    return int(name), (int(parent), int(session), [entry + b"\0" for entry in environment])


def kill_all(mark, seconds):
    """Kill what bears a mark, and its kin, until none is left; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    sessions = set()
    while found := members(mark, sessions):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                sessions.add(os.getsid(pid))
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(found)} cannot be killed")
        time.sleep(0.002)


@functools.cache
def directory():
    """Return the folder for this run's temporary files; with it begins the guard, who ends and removes all."""
    folder = tempfile.mkdtemp(prefix="fd0-live-")
    os.chmod(folder, 0o755)                             # servers may run as nobody
    watch = subprocess.Popen([sys.executable, "-I", "-S", __file__, RUN, folder], start_new_session=True,
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(watch.communicate)                  # closes its input; else the kernel will
    return folder


def new_folder(name):
    """Return the path of a new folder for temporary files, readable by everybody; it goes with the run."""
    folder = tempfile.mkdtemp(prefix=f"{name}-", dir=directory())
    os.chmod(folder, 0o755)
    return folder


def guard(run, folder):
    """Wait for the end of a test run, which holds our standard input open; then leave nothing of it."""
    sys.stdin.buffer.read()
    kill_all(f"{run}.", 10)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    guard(*sys.argv[1:])
