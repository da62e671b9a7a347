"""A machine of a test's own: this one's files under an overlay that vanishes, loopback, own processes, no systemd.

    with Inside() as machine:
        machine("make", "install")                  a finished process, with stdout and stderr as text
        machine.root + "/etc/fd0"                   where its files are seen from here
"""

import os
import subprocess
import sys

from tests.install import trees
from tests.live import machine, processes
from tests.sources import ROOT

WITHIN = os.path.join(ROOT, "tests/install/within")
SECONDS = 300
# where an installation may put something (hier(7)); what else a machine has may be somebody's log of this very run
PLACES = ("/bin", "/boot", "/lib", "/lib64", "/media", "/mnt", "/opt", "/sbin", "/srv", "/usr", "/var")
# where nothing is of our making, or somebody else may be at work; /etc is looked at more closely
OTHERS = ("/usr/include", "/usr/share/doc", ROOT, *{os.path.dirname(ROOT)} - {"/"})
BACKUPS = {f"{name}-" for name in ("passwd", "group", "shadow", "gshadow")}         # useradd's own
PATH = machine.SYSTEM_PATH
# process 1 has to see orphans out: who ignores SIGCHLD does
FIRST = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.read()
"""


class Inside:
    """Begins with its `with` block, ends with everything in it at the end of that."""

    def __enter__(self):
        if os.geteuid() != 0:
            machine.unavailable("only root can have a machine of its own")
        self.started = processes.Processes([WITHIN, sys.executable, "-ISc", FIRST],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           cwd=ROOT, text=True)
        if self.started.first.stdout.readline() != "ready\n":
            self.started.first.kill()
            said = self.started.first.stderr.read()
            self.started.end()
            machine.unavailable(f"this machine lets root have no namespaces or overlays: {said.strip()}")
        self.pid = self._first()
        self.root = f"/proc/{self.pid}/root"
        return self

    def _first(self):
        """Process 1 of the machine: the youngest of what was started, which has the namespace."""
        with open(f"/proc/{self.started.first.pid}/task/{self.started.first.pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def __exit__(self, *_):
        self.started.end()

    def __call__(self, *command, input="", check=True, **environment):
        """Run a command there, as root."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--root", f"--wdns={ROOT}"]
        done = subprocess.run([*enter, *command], input=input, capture_output=True, text=True, timeout=SECONDS,
                              env={"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", **environment})
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def everything(self, without=()):
        """Names in /, all files of PLACES with modes, owners and sizes, what those of /etc hold; no other mounts."""
        prune = [word for path in (*OTHERS, *without) for word in ("-path", path, "-prune", "-o")]
        places = [path for path in PLACES if os.path.isdir(self.root + path)]
        found = self("find", *places, "-xdev", *prune, "(", "-type", "d", "-printf", "%p %M %U %G\\n",
                     "-o", "-printf", "%p %M %U %G %s %l\\n", ")").stdout.splitlines()
        etc = trees.snapshot(f"{self.root}/etc")
        return set(os.listdir(self.root)), set(found), {path: what for path, what in etc.items() if path not in BACKUPS}

    def says(self, command, heard, input=""):
        """Wait until this command prints exactly that."""
        machine.until(lambda: self("sh", "-c", command, input=input, check=False).stdout == heard, what=f"{heard!r}")
