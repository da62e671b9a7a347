"""Programs that listen, and are watched by strace for the time of one conversation: killed at a step, or given errors.

strace comes to a program that runs already, so that a step costs no start; what it counts begins anew with each
process, and a conversation has one of its own.
"""

import contextlib
import re
import signal
import subprocess
import sys

from tests.live import machine

CALLS = ("openat", "write", "writev", "pwrite64", "pwritev2", "fsync", "fdatasync", "link", "linkat", "rename",
         "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "ftruncate")
LINE = re.compile(r"(\d+) +(\w+)\((.*)")
# PR_SET_PTRACER, PR_SET_PTRACER_ANY: Yama lets nobody but a parent or root trace a program that has not asked for it
TRACEABLE = [sys.executable, "-c", "import ctypes, os, sys; ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1)); "
             "os.execv(sys.argv[1], sys.argv[1:])"]


@contextlib.contextmanager
def traced(pids, output="/dev/null", inject=None):
    """strace at these processes and all their children: `inject` as in its manual."""
    argv = [machine.program("strace", "strace"), "-f", "-y", "-e", f"trace={','.join(CALLS)}", "-o",
            str(output), *(["-e", f"inject={inject}"] if inject else []), *(f"--attach={pid}" for pid in pids)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = [process.stderr.readline() for _ in pids]
            # not at all of them: a child of the conversation before this one may end meanwhile
            if not any(line.endswith(" attached\n") for line in said):
                machine.unavailable(f"strace cannot look at another process: {said}")
            yield process
        finally:
            process.send_signal(signal.SIGINT)          # it lets go of them


def steps(path, folder, of=None):
    """[(call, when, about)] of what is done below a folder, by the first process that does something there.

    `when` counts the calls of this name by that process, as strace does; `of` is another process to look at.
    """
    counts, found, trace = {}, [], []
    for line in path.read_text().splitlines():
        match = LINE.match(line)
        if match:
            trace.append(match.groups())
    of = of or next(pid for pid, _, about in trace if folder in about)
    for pid, call, about in trace:
        if pid == str(of):
            counts[call] = counts.get(call, 0) + 1
            if folder in about and " = -1 " not in about:
                found.append((call, counts[call], about))
    return found
