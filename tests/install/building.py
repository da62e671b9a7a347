"""What make builds, built once for a run of the tests, outside the checkout."""

import functools
import os
import subprocess
import sys

from tests.live import machine, processes
from tests.sources import ROOT

SECONDS = 120


def make(*arguments, check=True):
    """Run make in the checkout; returns the finished process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run([machine.program("make", "make"), *arguments], cwd=ROOT, capture_output=True, text=True,
                          timeout=SECONDS, env=environment)
    if check and done.returncode:
        raise AssertionError(f"make {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done


def install(tree, *arguments):
    """Have `make install` fill a tree."""
    return make("install", f"DESTDIR={tree}", f"PYTHON={sys.executable}", *arguments)


@functools.cache
def package():
    """The path of the Debian package."""
    machine.program("dh", "debhelper")
    folder = processes.new_folder("deb")
    make("deb", f"BUILD={folder}/build", f"DIST={folder}")
    name, = [name for name in os.listdir(folder) if name.endswith(".deb")]
    return os.path.join(folder, name)
