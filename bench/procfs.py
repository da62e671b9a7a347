"""What the kernel says of processes: who came of whom, and what they hold."""

import contextlib
import os

TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")        # microseconds
STACK = 16              # KiB of kernel memory that each thread's kernel stack takes


def tree(pid):
    """The process and all that came of it, those that end meanwhile left out."""
    found = [pid]
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                for child in file.read().split():
                    found += tree(int(child))
    except (FileNotFoundError, ProcessLookupError):
        return found                    # it ended
    return found


def pss(pid):
    """KiB of memory: each page of the process tree, shared ones counted once (smaps_rollup's Pss, summed)."""
    return sum(_number(f"/proc/{one}/smaps_rollup", "Pss:") for one in tree(pid))


def anonymous(pid):
    """As pss, but only what is in no file: pages of libraries change hands as other processes come and go."""
    return sum(_number(f"/proc/{one}/smaps_rollup", "Pss_Anon:") for one in tree(pid))


def resident(pid):
    """KiB of one process that are in memory, shared ones too."""
    return _number(f"/proc/{pid}/status", "VmRSS:")


def kernel_memory(pid):
    """KiB of page tables and kernel stacks of the process tree, which PSS leaves out."""
    return sum(_number(f"/proc/{one}/status", "VmPTE:") + STACK * threads(one) for one in tree(pid))


def threads(pid):
    """Threads of one process."""
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid):
    """Open descriptors of one process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu(pid):
    """Microseconds of processor time that the process and its reaped children have used; 0 once it is gone."""
    return sum(map(int, _status(pid)[11:15])) * TICK


def cpu_of_all(pid):
    """As cpu, with all processes that came of it and are there."""
    return sum(map(cpu, tree(pid)))


def is_running(pid):
    """Is it there, and no zombie?"""
    return _status(pid)[:1] not in ([], ["Z"])


def _status(pid):
    """The fields of /proc/PID/stat after the name; none when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _number(path, key):
    """The number after this word; 0 when the process is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as file:
        for line in file:
            if line.startswith(key):
                return int(line.split()[1])
    return 0
