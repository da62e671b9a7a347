"""seccomp: from now on the kernel answers only the system calls named here; any other gets EPERM.

The filter is a small program (seccomp(2), linux/filter.h) that the kernel runs at each call.  A process of another
architecture is killed: the same numbers mean other calls there.  Calls that are newer than our table get ENOSYS, so
that a newer libc falls back to older ones; so does clone3, whose flags a filter cannot see.
"""

import struct

from . import callnumbers
from .syscalls import Memory, call

SET_MODE_FILTER, TSYNC = 1, 1           # seccomp(2); TSYNC: all threads of the process
ALLOW, ERRNO, KILL = 0x7fff0000, 0x00050000, 0x80000000
EPERM, ENOSYS = 1, 38
ARCHITECTURES = {"x86_64": 0xc000003e, "aarch64": 0xc00000b7}           # linux/audit.h

# linux/bpf_common.h: load a word, jump on equal, greater, bits set, and with a mask, return
LOAD, EQUAL, GREATER, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16      # offsets in struct seccomp_data; arguments of eight octets each

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, SOCK_DGRAM, SOCK_TYPE = 1, 2, 10, 16, 2, 0xf
NEW_NAMESPACES = 0x7e020000 | 0x80      # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET, and TIME
PROT_WRITE, PROT_EXEC = 2, 4
TIOCSTI, TIOCLINUX = 0x5412, 0x541c     # put words into the mouth of whoever sits at the terminal
HARMLESS_PRCTL = (1, 2, 3, 15, 16, 21, 23, 39, 0x53564d41)     # death signal, names, asking what is in force

# What any program may need once it serves, in groups
ALWAYS = {
    "octets": "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup "
              "dup2 dup3 fcntl pipe pipe2 eventfd2 fsync fdatasync sync_file_range ftruncate fallocate sendfile splice "
              "tee copy_file_range fadvise64 readahead flock",
    "waiting": "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 "
               "inotify_init1 inotify_add_watch inotify_rm_watch signalfd4 timerfd_create timerfd_settime "
               "timerfd_gettime",
    "sockets": "accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt sendto sendmsg sendmmsg "
               "recvfrom recvmsg recvmmsg",
    "files": "open openat openat2 stat lstat fstat newfstatat statx access faccessat faccessat2 readlink readlinkat "
             "getdents getdents64 getcwd chdir fchdir statfs fstatfs umask",
    "memory": "brk munmap mremap madvise msync mincore membarrier",
    "processes": "fork vfork wait4 waitid exit exit_group kill tgkill pidfd_open pidfd_send_signal getpid gettid "
                 "getppid getpgid getpgrp getsid getuid geteuid getgid getegid getresuid getresgid getgroups "
                 "getpriority getrlimit getrusage capget set_tid_address set_robust_list get_robust_list rseq "
                 "futex futex_waitv arch_prctl restart_syscall sched_yield sched_getaffinity sched_getparam "
                 "sched_getscheduler getcpu sysinfo uname times",
    "signals": "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause "
               "alarm getitimer setitimer",
    "time and chance": "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getrandom",
}
# no chmod by name: Landlock would not hold it to the program's own files, as it holds whatever fchmod is given
WRITING = ("creat rename renameat renameat2 link linkat unlink unlinkat mkdir mkdirat rmdir symlink symlinkat truncate "
           "fchmod utime utimes utimensat futimesat mknod mknodat")
RUNNING = "execve execveat setpgid setsid"
CALLING, LISTENING = "bind", "bind listen"

Code = list[tuple[int, int, int, int]]          # operation, jump if true, jump if false, value
ALLOWED: Code = [(RETURN, 0, 0, ALLOW)]
REFUSED: Code = [(RETURN, 0, 0, ERRNO | EPERM)]
UNKNOWN: Code = [(RETURN, 0, 0, ERRNO | ENOSYS)]


class Calls:
    """What stays possible beside what every program needs.

    families   of sockets that can be made, beside Unix ones
    datagrams  may Internet sockets for datagrams be made?
    """

    def __init__(self) -> None:
        self.writes = self.runs = self.calls = self.listens = self.datagrams = False
        self.families: list[int] = []

    def __str__(self) -> str:
        words = {AF_INET: "IPv4", AF_INET6: "IPv6", AF_NETLINK: "netlink"}
        families = ["Unix", *[words[family] for family in self.families], *["UDP"] * self.datagrams]
        return (f"{len(self.names()) + len(self.checked())} system calls; new sockets: {' '.join(families)}; "
                f"{'runs programs' if self.runs else 'no program is run'}")

    def names(self) -> list[str]:
        """The calls that are let through whatever their arguments are."""
        groups = [*ALWAYS.values(), WRITING * self.writes, RUNNING * self.runs,
                  CALLING * (self.calls or self.datagrams), LISTENING * self.listens]
        return " ".join(groups).split()

    def checked(self) -> dict[str, Code]:
        """The calls whose arguments are looked at."""
        inet = [AF_INET, AF_INET6] if self.datagrams and AF_INET not in self.families else []
        return {
            "socket": _one_of(0, [AF_UNIX, *self.families])[:-1] + _typed(inet),
            "socketpair": _one_of(0, [AF_UNIX]),
            "clone": _none_of_bits(0, NEW_NAMESPACES),
            "mmap": _not_both(2, PROT_WRITE | PROT_EXEC),
            "mprotect": _none_of_bits(2, PROT_EXEC),
            "ioctl": _not_one_of(1, [TIOCSTI, TIOCLINUX]),
            "prctl": _one_of(0, HARMLESS_PRCTL),
            "prlimit64": _one_of(0, [0]),       # of nobody but ourselves
            "clone3": UNKNOWN,
        }


def enforce(calls: Calls) -> None:
    """Put the filter in force, for all threads; raises OSError.  Needs no_new_privs or CAP_SYS_ADMIN."""
    code = program(calls, callnumbers.MACHINE)
    memory = Memory(code)
    call("seccomp", SET_MODE_FILTER, TSYNC, struct.pack("HxxxxxxQ", len(code) // 8, memory.address))


def program(calls: Calls, machine: str) -> bytes:
    """The filter for an architecture, as an array of struct sock_filter; KeyError for one that we do not know."""
    code: Code = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, ARCHITECTURES[machine]), (RETURN, 0, 0, KILL),
                  (LOAD, 0, 0, NUMBER)]
    for name, verdict in calls.checked().items():
        code += [(EQUAL, 0, len(verdict), callnumbers.number(name, machine)), *verdict]
    allowed = {callnumbers.of(name, machine) for name in calls.names()} - {None}
    for first, last in _ranges(sorted(number for number in allowed if number is not None)):
        code += [(GREATER, 2, 0, last), (GREATER, 0, 1, first - 1), *ALLOWED] if first else \
                [(GREATER, 1, 0, last), *ALLOWED]
    code += [(GREATER, 0, 1, callnumbers.LAST), *UNKNOWN, *REFUSED]
    return b"".join(struct.pack("HBBI", *one) for one in code)


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    """Sorted numbers as (first, last) of those that follow one another."""
    found: list[tuple[int, int]] = []
    for one in numbers:
        if found and found[-1][1] == one - 1:
            found[-1] = found[-1][0], one
        else:
            found.append((one, one))
    return found


def _argument(place: int) -> tuple[int, int, int, int]:
    """Load the low half of an argument: the kernel looks at no more of those that we check."""
    return LOAD, 0, 0, ARGUMENTS + 8 * place


def _one_of(place: int, values: "list[int] | tuple[int, ...]") -> Code:
    return [_argument(place), *[step for value in values for step in ((EQUAL, 0, 1, value), *ALLOWED)], *REFUSED]


def _not_one_of(place: int, values: list[int]) -> Code:
    return [_argument(place), *[step for value in values for step in ((EQUAL, 0, 1, value), *REFUSED)], *ALLOWED]


def _none_of_bits(place: int, bits: int) -> Code:
    return [_argument(place), (ANY_BIT, 0, 1, bits), *REFUSED, *ALLOWED]


def _not_both(place: int, bits: int) -> Code:
    return [_argument(place), (AND, 0, 0, bits), (EQUAL, 0, 1, bits), *REFUSED, *ALLOWED]


def _typed(families: list[int]) -> Code:
    """The rest of socket()'s verdict: these families for datagrams only; the family is loaded."""
    if not families:
        return REFUSED
    tests = [(EQUAL, len(families) - at, 0, family) for at, family in enumerate(families)]
    return [*tests, *REFUSED, _argument(1), (AND, 0, 0, SOCK_TYPE), (EQUAL, 0, 1, SOCK_DGRAM), *ALLOWED, *REFUSED]
