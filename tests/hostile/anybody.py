"""Programs as a user without any account starts them: files and an interpreter that everybody may read."""

import functools
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from daemons.tools import programs, stubs
from tests.live import installed, machine, processes
from tests.live.launchers import ROOT

INTERPRETERS = (sys.executable, "/usr/bin/python3")     # the first may be in somebody's home


def random_uid():
    """A user id that no account has, as containers (OpenShift) and DynamicUser= give them; new each time."""
    return random.SystemRandom().randrange(200_000, 2_000_000_000)


def as_user(uid):
    """The argv to put before a command that this user shall run."""
    if os.geteuid() != 0:
        machine.unavailable("another user needs root")
    return [machine.program("setpriv", "util-linux"), f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]


@functools.cache
def _stubs():
    library, folder = Path(processes.new_folder("everybodys")), Path(processes.new_folder("everybodys-stubs"))
    shutil.copytree(ROOT / "daemons", library / "daemons", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in installed.PROBES.items():
        (library / f"daemons/{name}.py").write_text(text)
    for interpreter in INTERPRETERS:
        stubs.write([*programs.names(), *installed.PROBES], folder, str(library), interpreter)
        done = subprocess.run([*as_user(random_uid()), str(folder / programs.names()[0]), "--version"], check=False,
                              capture_output=True, timeout=20)
        if done.returncode == 0:
            return folder
    return machine.unavailable(f"no Python 3.11 that everybody may start: {done.stderr.decode()}")


def argv(name, *options):
    """As installed.argv."""
    return [str(_stubs() / name), *options]
