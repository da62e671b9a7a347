"""Hostile parents and poor machines: what stands before a program's argv to start it under bad conditions."""

import os
import sys

from tests.live import machine

from . import anybody

# Blocks and ignores what it can, as a careless parent leaves it, then becomes the command.
CARELESS = """
import os, signal, sys
for number in sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}):
    if sys.argv[1] in ("ignored", "both") and number < 32:
        signal.signal(number, signal.SIG_IGN)
if sys.argv[1] in ("blocked", "both"):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execv(sys.argv[2], sys.argv[2:])
"""
PYTHON = {"PYTHONPATH": "/nonexistent:{trap}", "PYTHONHOME": "/nonexistent", "PYTHONSTARTUP": "{trap}/trap.py",
          "PYTHONINSPECT": "1", "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1", "PYTHONVERBOSE": "1",
          "PYTHONIOENCODING": "no-such-codec:strict", "PYTHONUTF8": "x", "PYTHONHASHSEED": "no number",
          "PYTHONOPTIMIZE": "2", "PYTHONUNBUFFERED": "1", "PYTHONTRACEMALLOC": "-1", "PYTHONPROFILEIMPORTTIME": "1",
          "PYTHONEXECUTABLE": "/nonexistent", "PYTHONPLATLIBDIR": "/nonexistent", "PYTHONFAULTHANDLER": "1",
          "PYTHONMALLOC": "no-such-allocator", "PYTHONBREAKPOINT": "os.abort", "PYTHONCASEOK": "1"}


class Condition:
    """`prefix` is argv before the program's; `environment` and `popen` are for its parent.

    serves   the program must serve; else it may also end with one clear line
    logs     its log can be read
    same     it must answer as on paper; else only something, where something is answered
    user     it runs as a user whom nobody knows
    listens  a listener can be served as well: conversations get threads or processes
    """

    def __init__(self, prefix=(), environment=None, serves=True, logs=True, same=True, user=False, listens=True,
                 **popen):
        self.prefix, self.environment, self.popen = list(prefix), environment or {}, popen
        self.serves, self.logs, self.same, self.user = serves, logs, same, user
        self.listens = listens


def _careless(what):
    return [sys.executable, "-I", "-S", "-c", CARELESS, what]


def _mounted(script):
    """Run a shell script in a mount namespace of its own, then the command."""
    return ["unshare", "-m", "--propagation", "private", "sh", "-ec", f'{script}\nexec "$@"', "sh"]


def _dev(nodes):
    """A /dev with these nodes alone."""
    return _mounted("mount -t tmpfs none /dev\n" + "\n".join(nodes))


NULL, READ_ONLY_NULL = "mknod -m 666 /dev/null c 1 3", "mknod -m 444 /dev/null c 1 3"
ZERO = "mknod -m 444 /dev/zero c 1 5; mknod -m 444 /dev/urandom c 1 9"
STRANGER = anybody.random_uid()

# id -> Condition; built late, since some ask the machine for programs
CONDITIONS = {
    "random uid": lambda: Condition(anybody.as_user(anybody.random_uid()), user=True),
    "no /proc": lambda: Condition(_mounted("mount -t tmpfs none /proc"), same=False),
    "no /dev/log": lambda: Condition(_dev([NULL, ZERO]), logs=False),
    "no /dev/null": lambda: Condition(_dev([ZERO])),
    "no /dev at all, random uid": lambda: Condition([*_dev([]), *anybody.as_user(anybody.random_uid())], user=True),
    "read-only /dev/null, random uid": lambda: Condition([*_dev([READ_ONLY_NULL, ZERO]),
                                                          *anybody.as_user(anybody.random_uid())], user=True),
    "/dev/null is a file": lambda: Condition(_dev(["echo a file > /dev/null", ZERO])),
    "read-only files": lambda: Condition(_mounted("mount --bind / /mnt && mount -o remount,ro,bind /mnt "
                                                  "&& mount -o remount,ro,bind / 2>/dev/null || true")),
    "empty environment": lambda: Condition(["env", "-i"]),
    "LANG=C": lambda: Condition(environment={"LANG": "C", "LC_ALL": "C"}),
    "bad locale": lambda: Condition(environment={"LANG": "xx_YY.no-such", "LC_ALL": "\udcff\x1b", "LC_CTYPE": "POSIX",
                                                 "TZ": "../../../etc/passwd"}),
    "PYTHON*": lambda: Condition(environment=PYTHON),
    "huge environment": lambda: Condition(environment={f"X{number}": "x" * 100_000 for number in range(10)}),
    "LISTEN_*": lambda: Condition(environment={"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": ":\x1b:",
                                               "NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "x"}),
    "removed cwd": lambda: Condition(["sh", "-ec", 'd=$(mktemp -d); cd "$d"; rmdir "$d"; exec "$@"', "sh"]),
    "unreadable cwd, random uid": lambda: Condition(["sh", "-ec", 'cd /root; exec "$@"', "sh",
                                                     *anybody.as_user(anybody.random_uid())], user=True),
    "umask 777": lambda: Condition(umask=0o777),
    "signals ignored": lambda: Condition(_careless("ignored")),
    "signals blocked": lambda: Condition(_careless("blocked")),
    "signals ignored and blocked": lambda: Condition(_careless("both")),
    "16 descriptors": lambda: Condition([machine.program("prlimit", "util-linux"), "--nofile=16:16", "--"]),
    "no file may grow": lambda: Condition([machine.program("prlimit", "util-linux"), "--fsize=0:0", "--"]),
    "no core, no locks, one process": lambda: Condition(
        [machine.program("prlimit", "util-linux"), "--core=0", "--memlock=0", "--nproc=1", "--",
         *anybody.as_user(anybody.random_uid())], user=True, listens=False),
    "little memory": lambda: Condition([machine.program("prlimit", "util-linux"), f"--as={64 << 20}", "--"]),
}


def environment(condition, trap):
    """A condition's variables; {trap} is a folder with modules that must never be imported."""
    return {name: value.format(trap=trap) for name, value in condition.environment.items()}


def set_trap(folder):
    """Fill a folder with modules that print and raise, named like those that every program imports."""
    for name in ("os", "socket", "syslog", "sitecustomize", "usercustomize", "trap", "select", "daemons", "encodings"):
        with open(os.path.join(folder, f"{name}.py"), "w") as file:
            file.write("print('Traceback: trapped'); raise SystemExit('Traceback: trapped')\n")
    return folder
