"""What a program may still do once it serves: from its declaration, its options and the sockets it was given.

Whatever is not named here is refused: the rules for Landlock and the calls for seccomp are made from the same words.
"""

import os
import socket
import sys

from . import inherited
from .conversation import Program
from .inherited import DATAGRAMS, Given
from .landlock import Rules
from .options import Options
from .seccomp import AF_INET, AF_INET6, AF_NETLINK, Calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DNS = 53
FIRST_PERSON, LAST_PERSON = 1000, 59999         # uids of people (Debian policy, 9.2.2); systems keep the others

# what the interpreter and libc read whenever they please
LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")
LIBC = ("/etc/localtime", "/usr/share/zoneinfo", "/etc/nsswitch.conf", "/etc/ssl/openssl.cnf", "/dev/urandom",
        "/dev/random")
RESOLVER = ("/etc/resolv.conf", "/run/systemd/resolve", "/run/resolvconf", "/etc/hosts", "/etc/host.conf",
            "/etc/gai.conf", "/etc/services", "/etc/protocols")
AUTHORITIES = ("/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
PROGRAMS = ("/usr", "/bin", "/sbin", *LIBRARIES, "/etc/alternatives")
# options of every program that name files which are read again later, or folders that are written to
READ_AGAIN, WRITTEN = ("--tls-cert", "--tls-key", "--tls-ca"), ("--limits",)
SHARED_LIMITS = "/run/fd0"
# too much lies here for a file in it to open the whole folder
WIDE = {"/", "/dev", "/etc", "/home", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/usr", "/var",
        "/var/lib", "/var/log", "/var/mail", "/var/run", "/var/spool", "/var/tmp", "/usr/share", "/usr/local",
        "/etc/ssl", "/etc/ssl/private", "/etc/fd0"}


def needs(program: Program) -> set[str]:
    """What the program needs with the options that it has: "exec:--scripts" counts where --scripts is set."""
    found = set()
    for need in program.service.needs:
        word, _, option = need.partition(":")
        if not option or value(program.options, option) not in (None, False, "no", "", []):
            found.add(word)
    return found


def rules(program: Program, given: list[Given]) -> Rules:
    """The files and ports that it may reach."""
    made, wanted, options = Rules(), needs(program), program.options
    made.reads = [*_interpreter(), *LIBRARIES, *LIBC, *paths(options, program.service.reads), *options.learnt]
    if program.service.standing:        # it reads its files again when told to
        made.reads += map(_with_folder, paths(options, program.service.reads))
    for path in paths(options, READ_AGAIN):
        made.reads += _with_folder(path), _with_folder(os.path.realpath(path))
    for path in [*paths(options, program.service.writes), *paths(options, WRITTEN)]:
        made.writes.append(_with_folder(path))
    made.writes += options.written
    if program.service.sockets and os.path.isdir(SHARED_LIMITS) and value(options, "--limits") != "own":
        made.writes.append(SHARED_LIMITS)
    made.writes += ["/dev/null", *["/dev/console"] * ("cons" in options.logopt)]
    if "homes" in wanted:
        made.reads += _homes()
    if "exec" in wanted:
        made.runs = [*PROGRAMS, *made.reads]
    if _resolves(options, wanted):
        made.reads += RESOLVER
        made.connects = [DNS]
    if "network" in wanted:
        made.reads += AUTHORITIES
        made.connects, made.binds = None, [0]
    made.abstract = inherited.manager.startswith("@") or any(
        one.kind == DATAGRAMS and one.sock.family == socket.AF_UNIX for one in given)      # whom we may have to answer
    return made


def files(program: Program) -> list[str]:
    """The files that it may read and that others may replace while it runs."""
    options = program.options
    alone = [path for path in paths(options, READ_AGAIN) if _with_folder(path) == path]     # else what comes is allowed
    reads = paths(options, program.service.reads)
    if program.service.standing:
        reads = [path for path in reads if _with_folder(path) == path]
    found = [*reads, *options.learnt, *alone, "/etc/localtime"]
    return [*found, *RESOLVER] if _resolves(options, needs(program)) else found


def calls(program: Program, given: list[Given]) -> Calls:
    """The system calls that it may make."""
    made, wanted = Calls(), needs(program)
    options = program.options
    named = paths(options, (*program.service.writes, *WRITTEN))
    made.writes = bool(named or options.written or (program.service.sockets and os.path.isdir(SHARED_LIMITS)))
    made.runs = "exec" in wanted
    made.calls = made.listens = "network" in wanted
    if _resolves(program.options, wanted):
        made.families += AF_INET, AF_INET6
    if "netlink" in wanted:
        made.families.append(AF_NETLINK)
    made.datagrams = any(one.kind == DATAGRAMS and one.sock.family != socket.AF_UNIX for one in given)
    return made


def paths(options: Options, entries: "Iterable[str]") -> list[str]:
    """The paths that entries of a declaration stand for."""
    found: list[str] = []
    for entry in entries:
        found += _paths_in(value(options, entry)) if entry.startswith("--") else [entry]
    return found


def value(options: Options, option: str) -> object:
    """The value of "--option"; None where the program has no such option."""
    return getattr(options, option.removeprefix("--").replace("-", "_"), None)


def _paths_in(found: object) -> list[str]:
    """Every absolute path in an option's value, which may be a list, or a list of tuples."""
    if isinstance(found, str):
        return [found] if found.startswith("/") else []
    if isinstance(found, list | tuple):
        return [path for one in found for path in _paths_in(one)]
    return []


def _with_folder(path: str) -> str:
    """The folder of a file: what replaces it, or lies beside it as a database's journal does, is meant as well."""
    folder = os.path.dirname(path)
    return path if os.path.isdir(path) or folder in WIDE or not os.path.isdir(folder) else folder


def _interpreter() -> list[str]:
    """Where Python finds modules that are imported late: its own, installed ones, and ours."""
    standard, ours = os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(__file__))
    installed = [path for path in sys.path if path.endswith(("-packages", "lib-dynload", ".zip"))]
    shared = [f"{sys.base_prefix}/lib"] if sys.base_prefix != "/usr" else []
    return [standard, *installed, *shared, ours, os.path.realpath(ours),
            os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]


def _homes() -> list[str]:
    """/home, and the homes of people that lie elsewhere."""
    import pwd
    people = [entry.pw_dir for entry in pwd.getpwall() if FIRST_PERSON <= entry.pw_uid <= LAST_PERSON]
    return ["/home", *[path for path in people if not path.startswith("/home/") and path not in WIDE]]


def _resolves(options: Options, wanted: set[str]) -> bool:
    """Are names looked up in the DNS?"""
    if "network" in wanted or options.names:
        return True
    return any(hasattr(pattern, "name") for pattern in [*(options.only_from or []), *(options.no_access or [])])
