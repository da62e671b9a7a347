"""fd0 check: what is wrong with xinetd.d files and option files, before a launcher finds out."""

import os

from daemons.kernel.options import FOLDER, Misuse, read
from daemons.stores import servicefiles
from daemons.stores.servicefiles import Problem

from .arguments import MISUSE, Parser
from .programs import names, program

PLACES = ("/etc/xinetd.d", FOLDER)
LEAST_MEMORY = 32 << 20         # octets of address space: with 16 the interpreter starts, with threads it ends there


def main(arguments):
    """Check files; returns 0 if nothing is wrong, 100 if a service would not run as its file says."""
    parser = Parser("check", "Check xinetd.d files, with the options that they give to our programs, and option files.",
                    examples=(("fd0 check", "what is installed"),
                              ("fd0 check /etc/xinetd.conf", "all that xinetd would read"),
                              ("fd0 check --strict ./xinetd.d", "a directory, before it is installed")))
    parser.add_argument("file", nargs="*", metavar="FILE", help="files or directories (default: those of our programs "
                                                                f"in {' and '.join(PLACES)})")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    options = parser.parse(arguments)
    paths = [path for place in options.file or PLACES for path in _files(place, bool(options.file))]
    if not paths:
        print(f"nothing to check in {' and '.join(options.file or PLACES)}; name files: fd0 check FILE ...")
        return 0
    services, found = [], []
    for path in paths:
        more, problems = checked(path)
        services += more
        found += problems
    for problem in found:
        print(problem)
    errors, warnings = ([problem.severity for problem in found].count(wanted) for wanted in ("error", "warning"))
    off = sum(not entry.wanted for entry in services)
    print(f"{_count(len(paths), 'file')}, {_count(len(services), 'service')}"
          + (f" ({off} switched off)" if off else "") + f": {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    return MISUSE if errors or (options.strict and warnings) else 0


def checked(path):
    """The services of one file, and all Problems that it has, in the order of their lines."""
    name = os.path.basename(path).removesuffix(".conf")
    if path.endswith(".conf") and (name in [*names(), "common"] or os.path.dirname(path) == FOLDER):
        return [], _option_file(path, name)
    configuration = servicefiles.read(path)
    found = list(configuration.problems)
    for entry in configuration.services:
        for severity, text in [*_of_our_program(entry), *(("warning", text) for text in traps(entry))]:
            severity = severity if entry.wanted else "warning"
            found.append(Problem(entry.path, entry.line, severity, f"{entry.id}: {text}"))
    order = list(dict.fromkeys(problem.path for problem in found))
    return configuration.services, sorted(found, key=lambda problem: (order.index(problem.path), problem.line))


def _option_file(path, name):
    """A file of name = value lines, read as the program would read it."""
    if name not in [*names(), "common"]:
        from difflib import get_close_matches
        near = get_close_matches(name, names(), 1)
        return [Problem(path, 0, "warning", "no program reads this file"
                        + (f" (did you mean {near[0]}.conf?)" if near else ""))]
    service = program(names()[0] if name == "common" else name).SERVICE
    try:
        read(service, [f"--config={path}"], {})
    except Misuse as error:
        where, _, text = str(error).partition(": ")
        line = where.removeprefix(f"{path}:")
        return [Problem(path, int(line) if line.isdigit() else 0, "error", text)]
    return []


def _of_our_program(entry):
    """(severity, text): is one of our programs given what it does not know, or cannot do?"""
    if not _is_ours(entry.server):
        return
    service = program(os.path.basename(entry.server)).SERVICE
    try:
        read(service, entry.argv[1:], entry.env)
    except Misuse as error:
        yield "error", str(error).replace("command line:", "server_args:", 1)
    sort = entry.socket_type or "stream"
    if sort not in service.sockets:
        yield "error", f"{service.name} does not serve socket_type = {sort}"
    memory = entry.rlimits.get("RLIMIT_AS")
    if memory is not None and memory < LEAST_MEMORY:
        yield "warning", "rlimit_as is so little that Python may not start, which the caller would read: say 256M"


def _is_ours(server):
    """Is it one of our programs, and no other of that name?  What is not installed yet is told by its directory."""
    folder, name = os.path.split(server)
    if name not in names():
        return False
    try:
        with open(server, "rb") as file:
            return b"daemons.kernel.launch" in file.read(4096)
    except OSError:
        return os.path.basename(folder) == "fd0"


def traps(entry):
    """What xinetd would make of it, without a word."""
    if entry.protocol.endswith("6"):
        yield (f"xinetd opens no port for protocol = {entry.protocol} (our inetd does): "
               f"say protocol = {entry.protocol[:-1]}, and bind = with an IPv6 address")
    elif "IPv6" in entry.flags and not entry.bind:
        yield "with flags = IPv6 xinetd takes IPv4 as well (our inetd does not): say bind = ADDRESS to be sure"
    if (entry.bind or "").startswith("/"):
        yield "xinetd has no Unix sockets and drops this service; our inetd and systemd have them"
    if any(first > last for first, last in entry.access_times):
        yield "xinetd drops a service whose access_times go over midnight: write 22:00-23:59 0:00-6:00"
    for slot, value in (("max_time", entry.max_time), ("leaky_bucket", entry.leaky_bucket), ("tls", entry.tls),
                        ("proxy_protocol", entry.proxy_protocol), ("pass", "listen_fds" in entry.passes)):
        if value:
            yield f"xinetd does not know {slot}, and runs the service without it"
    for name, value in entry.env.items():
        if "$" in value:
            yield f"env {name}={value} is taken as it stands: nothing after a '$' is filled in"
    if os.path.basename(entry.server).startswith("python") and "NOLIBWRAP" not in entry.flags:
        yield (f"/etc/hosts.allow and hosts.deny know this service as {os.path.basename(entry.server)}: "
               "let the script itself be the server (#!/usr/bin/python3 -IS)")


def _files(place, named):
    """A file itself, or those of a directory that a launcher or program would read."""
    if not os.path.isdir(place):
        return [place] if named else []
    found = [name for name in sorted(os.listdir(place))
             if not name.endswith("~") and ("." not in name or name.endswith(".conf"))]
    if not named and place != FOLDER:           # there may be others' files, which are not our business
        found = [name for name in found if name.removeprefix("fd0-") in names()]
    return [os.path.join(place, name) for name in found if not os.path.isdir(os.path.join(place, name))]


def _count(number, noun):
    return f"{number} {noun}{'s' * (number != 1)}"
