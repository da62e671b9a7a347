"""Our programs as launchers find them when installed: stub files in a folder of the test run, and their service files.

    installed.argv("echod", "--idle=3")                 what to start
    installed.shipped(["echod", "timed"])               xinetd with the services' own files
    installed.argv("probed")                            a program for tests: see probed.py
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

from daemons.kernel import describe
from daemons.tools import programs, stubs
from tests.live import launchers, processes
from tests.live.launchers import ROOT, Xinetd

# Programs that only tests start.  The last two never come to their own first line.
PROBES = {
    "probed": Path(__file__).with_name("probed.py").read_text(),
    "weakd": (ROOT / "tests/hostile/weakd.py").read_text(),
    "logind": Path(__file__).with_name("logind.py").read_text(),
    "deafd": Path(__file__).with_name("deafd.py").read_text(),
    "escaped": Path(__file__).parents[1].joinpath("hostile/escaped.py").read_text(),
    "starttlsd": Path(__file__).with_name("starttlsd.py").read_text(),
    "unreadd": "def talk(:\n",
    "unstartedd": 'raise RuntimeError("no import\\r\\n<0>forged \\x1b[2J")\n',
}


@functools.cache
def library():
    """Return a folder that has everything of the checkout's daemons/, and the probes beside it."""
    folder = Path(processes.new_folder("library"))
    (folder / "daemons").mkdir()
    for entry in (ROOT / "daemons").iterdir():
        if entry.name != "__pycache__":
            (folder / "daemons" / entry.name).symlink_to(entry)
    for name, text in PROBES.items():
        (folder / f"daemons/{name}.py").write_text(text)
    return folder


@functools.cache
def folder():
    """Return a folder with the stub file of each program, and of each probe."""
    path = processes.new_folder("stubs")
    stubs.write(programs.names(), path, str(ROOT), sys.executable)
    stubs.write(PROBES, path, str(library()), sys.executable)
    return path


def argv(name, *options):
    """Return what a launcher starts."""
    return [f"{folder()}/{name}", *options]


def xinetd_file(name):
    """Return the text of xinetd.d/NAME."""
    file = ROOT / "xinetd.d" / name
    return file.read_text() if file.exists() else describe.xinetd(programs.program(name).SERVICE)


def shipped(names, prefix=(), environment=None, **changes):
    """Return Xinetd with the files of these programs: only ports, paths and `changes` differ.

    And the user, who is nobody here in place of one that only an installation makes, or ourselves, where nobody cannot
    start a program from here: a checkout in somebody's home, or no root.
    """
    changes.setdefault("user", "nobody" if everybody_can_start() else launchers.ME)
    text = "\n".join(map(xinetd_file, names))
    return Xinetd.of_file(text, {describe.LIBRARY: folder()}, prefix=prefix, environment=environment, **changes)


@functools.cache
def everybody_can_start():
    """Tell whether the user nobody can start our stubs."""
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run(argv("echod", "--version"), user="nobody", check=False, capture_output=True,
                              timeout=20).returncode == 0
    except PermissionError:
        return False


# Starts a program as systemd does: sockets at descriptors 3 and up, and variables that tell about them.
AS_SYSTEMD = """
import fcntl, os, sys
given = [int(number) for number in sys.argv[1].split(",")]
lifted = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in given]
for number in given:
    os.close(number)
os.closerange(3, 100)
for number, fd in enumerate(lifted, 3):
    os.dup2(fd, number)
pid = os.getpid()
own = {"PID": pid, "PIDFD": os.fstat(os.pidfd_open(pid)).st_ino if hasattr(os, "pidfd_open") else ""}
for name in ("LISTEN_PID", "LISTEN_PIDFDID"):
    if name in os.environ:
        os.environ[name] = os.environ[name].format(**own)
os.execv(sys.argv[2], sys.argv[2:])
"""


def as_systemd(command, sockets, environment=None, prefix=(), **popen):
    """Start a program with these sockets from descriptor 3 on; LISTEN_FDS and LISTEN_PID are right if not given.

    In their values {PID} and {PIDFD} stand for what is right.
    """
    variables = {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": "{PID}", **(environment or {})}
    numbers = [sock.fileno() for sock in sockets]
    wrapper = [sys.executable, "-I", "-S", "-c", AS_SYSTEMD, ",".join(map(str, numbers))]
    defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return processes.Processes([*prefix, *wrapper, *command], variables, pass_fds=numbers, **{**defaults, **popen})


def as_inetd(command, sock, environment=None, prefix=(), **popen):
    """Start a program as inetd does: with a socket on descriptors 0, 1 and 2."""
    defaults = {"stdin": sock, "stdout": sock, "stderr": sock}
    return processes.Processes([*prefix, *command], environment, **{**defaults, **popen})
