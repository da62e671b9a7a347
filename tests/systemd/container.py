"""A real systemd, booted as PID 1 of a throw-away container in about a second.

    with Container() as box:
        box.run("systemctl", "start", "fd0-echod.socket")
        with box.network():
            assert converse(("127.0.0.1", 7), b"hello") == b"hello"
        print(box.run("journalctl", "-b", "-o", "cat").stdout)

Its root is an overlay on this machine's (or on `tree`): programs, Python and checkout stand there at the same paths,
and whatever it writes is gone afterwards.  It has a network of its own with 127.0.0.1 and ::1.  boot.sh keeps it within
cgroups of its own, and refuses to start anything where it cannot.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.live import machine

BOOT = Path(__file__).with_name("boot.sh")
HIERARCHIES = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")      # where v1 and v2 stand side by side
NAMES = "fd0-test-"
PATH = machine.SYSTEM_PATH
NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C")
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


class Container:
    """One systemd; `with` returns once it has booted, and its end kills all that is in there."""

    def __init__(self, tree="/", options=()):
        if os.geteuid() != 0:
            machine.unavailable("a systemd of our own needs root")
        machine.program("systemd-nspawn", "systemd-container")
        self.name = NAMES + secrets.token_hex(4)
        self.groups = [Path(one) / self.name for one in _hierarchies()]
        self.tree, self.options, self.leader = str(tree), options, None

    def __enter__(self):
        sweep()
        self.folder = tempfile.mkdtemp(prefix=self.name)
        self.console = open(f"{self.folder}.log", "w+b")
        # whoever kills the tests ends the container: told to terminate, nspawn has the systemd in it power off
        command = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private", "sh", str(BOOT),
                   self.name, self.folder, self.tree, *map(str, self.groups), "--", *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console,
                                        env={"PATH": PATH, "LANG": "C.UTF-8"}, start_new_session=True)
        try:
            self.leader = machine.until(self._leader, 60, "PID 1 in the container")
            machine.until(self._is_up, 60, "systemd in the container")
            state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
            if state not in ("running", "degraded"):
                raise RuntimeError(f"the container's systemd is {state or 'mute'}")
        except BaseException as error:
            story = Path(self.console.name).read_text(errors="replace")
            self.stop()
            raise RuntimeError(f"{error}; the console says:\n{story}") from error
        return self

    def __exit__(self, *_):
        self.stop()

    def _leader(self):
        """PID 1 of the container, as the machine counts: the one child of nspawn."""
        if self.process.poll() is not None:
            raise RuntimeError("systemd-nspawn ended")
        for pid in _children(self.process.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"/systemd"):
                    return pid
        return None

    def _is_up(self):
        return self.run("test", "-S", "/run/systemd/private", check=False).returncode == 0

    @property
    def root(self):
        """Its files, seen from outside."""
        return Path(f"/proc/{self.leader}/root")

    def argv(self, *argv):
        """The command line that runs this one inside."""
        enter = ["nsenter", "-t", str(self.leader), *NAMESPACES]
        return [*enter, "--", "env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", *argv]

    def run(self, *argv, check=True, timeout=120, **options):
        """Run a command inside; returns its CompletedProcess with text.  Raises AssertionError if it failed."""
        done = subprocess.run(self.argv(*map(str, argv)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, errors="replace", cwd="/", **options)
        assert not check or done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    @contextlib.contextmanager
    def network(self):
        """Sockets made by this thread in here belong to the container's network."""
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self.leader}/ns/net") as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())

    def journal(self, *arguments):
        """Lines of the journal since the boot, as journalctl(1) prints them with these arguments."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "-b", "-o", "cat", *arguments).stdout.splitlines()

    def stop(self):
        """Kill it, wait until its processes are gone, and take its cgroups away."""
        if self.leader is not None:     # nspawn has not reaped it yet, so nobody else can have the number
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.kill(self.leader, signal.SIGKILL)
                self.process.wait(10)
        self.process.kill()
        self.process.wait()
        for group in self.groups:
            machine.until(lambda group=group: _remove(group), 60, f"end of {group}")
        self.console.close()
        os.unlink(self.console.name)
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep():
    """Take away the empty cgroups of containers whose tests were killed."""
    for hierarchy in _hierarchies():
        for group in Path(hierarchy).glob(f"{NAMES}*"):
            if not any(path.read_text() for path in group.rglob("cgroup.procs")):
                _remove(group)


def _hierarchies():
    unified = "/sys/fs/cgroup"
    return [unified] if os.path.exists(f"{unified}/cgroup.controllers") else [
        one for one in HIERARCHIES if os.path.exists(f"{one}/cgroup.procs")]


def _remove(group):
    """Take a cgroup away with all below it; returns whether it is gone, which it is not while a process dies in it."""
    for path in sorted((one for one in group.rglob("*") if one.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def _children(pid):
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _enter(namespace):
    if LIBC.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
