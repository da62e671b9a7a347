"""Landlock: from now on this thread, and what it starts, reaches only the files and TCP ports named here.

Whatever the running kernel's version cannot hold back is told, not passed over.  The kernel's
Documentation/userspace-api/landlock.rst says which version brought what; we know six.  Governed are opening, running,
making, moving and removing files.  Not governed are stat(), chmod() and the like, connecting to a Unix socket that
has a path, and UDP: the first and the last are seccomp's business.
"""

import os
import stat
import struct

from .syscalls import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# LANDLOCK_ACCESS_FS_*, linux/landlock.h
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR = (1 << bit for bit in range(8))
MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in range(8, 16))
BIND_TCP, CONNECT_TCP = 1, 2
SCOPE_ABSTRACT, SCOPE_SIGNAL = 1, 2
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH, RULE_NET_PORT = 1, 2

READ = READ_FILE | READ_DIR
MAKE = MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM
WRITE = READ | WRITE_FILE | TRUNCATE | MAKE | REFER | REMOVE_DIR | REMOVE_FILE
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV      # what a rule about one file may say
KNOWN = 6
# what each version added, for kernels that have an older one
SINCE = {3: "truncating files", 4: "TCP", 5: "ioctl on devices", 6: "signals and abstract Unix sockets"}


class Rules:
    """What stays possible; everything else is refused.

    reads, runs, writes   files and directories with all below them; what is run or written can be read as well
    connects, binds       TCP ports, None for any; binding port 0 takes one that the kernel chooses
    signals, abstract     may signals be sent, and abstract Unix sockets reached, outside of this sandbox?
    """

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.runs: list[str] = []
        self.writes: list[str] = []
        self.connects: list[int] | None = []
        self.binds: list[int] | None = []
        self.signals = self.abstract = False

    def __str__(self) -> str:
        runs, ports = _shown(self.runs), "any" if self.connects is None else _shown(map(str, self.connects))
        return (f"reads {_shown(self.reads)}; writes {_shown(self.writes)}; runs {runs}; TCP ports that it may call: "
                f"{ports}")


def version() -> int:
    """The version that the kernel has; raises OSError: ENOSYS without Landlock, EOPNOTSUPP when it is switched off."""
    return call("landlock_create_ruleset", None, 0, CREATE_RULESET_VERSION)


def unguarded(found: int) -> list[str]:
    """What a kernel of this version cannot hold back."""
    return [what for since, what in SINCE.items() if found < since]


def enforce(rules: Rules, found: int) -> None:
    """Confine this thread and its children to `rules`, as far as version `found` can; raises OSError.

    Needs no_new_privs or CAP_SYS_ADMIN.  What does not exist is left out: a rule is about a file, not about a name.
    """
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(found, 16)) - 1
    net = 0 if found < 4 else BIND_TCP * (rules.binds is not None) | CONNECT_TCP * (rules.connects is not None)
    scopes = 0 if found < 6 else SCOPE_ABSTRACT * (not rules.abstract) | SCOPE_SIGNAL * (not rules.signals)
    attributes = struct.pack("=QQQ", files, net, scopes)[:8 if found < 4 else 16 if found < 6 else 24]
    ruleset = call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for access, paths in ((READ, rules.reads), (READ | EXECUTE, rules.runs), (WRITE, rules.writes)):
            for path in paths:
                _allow_path(ruleset, path, access & files)
        if net:
            _allow_ports(ruleset, BIND_TCP, rules.binds)
            _allow_ports(ruleset, CONNECT_TCP, rules.connects)
        call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _shown(words: "Iterable[str]") -> str:
    return " ".join(dict.fromkeys(words)) or "none"


def _allow_path(ruleset: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:                     # not there, or not to be reached by this user anyway
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= OF_FILES
        call("landlock_add_rule", ruleset, RULE_PATH_BENEATH, struct.pack("=Qi", access, fd), 0)
    finally:
        os.close(fd)


def _allow_ports(ruleset: int, access: int, ports: list[int] | None) -> None:
    for port in ports or ():
        call("landlock_add_rule", ruleset, RULE_NET_PORT, struct.pack("=QQ", access, port), 0)
