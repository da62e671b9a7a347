"""fd0 convert: xinetd.d files or inetd.conf as systemd units, and back."""

import os
import sys

from daemons.stores import servicefiles
from daemons.wire import inetdconf
from daemons.wire.unitfile import NotUnderstood
from daemons.wire.xinetdconf import written

from . import from_systemd, into_systemd
from .arguments import MISUSE, Parser
from .into_systemd import Losses, left

GOALS = ("systemd", "xinetd", "inetd")


def main(arguments):
    """Convert files; returns 100 if a service was not converted, because it would be open to more or is wrong."""
    parser = Parser("convert", "Convert service files of one launcher into those of another; nothing is installed.\n"
                    "What a launcher cannot keep is said; a service that would lose a restriction is left out.",
                    examples=(("fd0 convert /etc/xinetd.d/tftp", "print systemd units for it"),
                              ("fd0 convert inetd.conf --to=xinetd", "print xinetd.d sections"),
                              ("fd0 convert a.socket --to=xinetd", "and back; a.service stands beside it"),
                              ("fd0 convert xinetd.conf --into=units", "write files into a directory")))
    parser.add_argument("file", nargs="+", metavar="FILE", help="xinetd.d file, xinetd.conf, inetd.conf, .socket unit")
    parser.add_argument("--to", choices=GOALS, help="whose files to make [systemd; of a unit: xinetd]")
    parser.add_argument("--into", metavar="DIR", help="write files there (default: print)")
    parser.add_argument("--anyway", action="store_true", help="convert even what loses a restriction")
    options = parser.parse(arguments)
    made, refused = {}, 0
    for path in options.file:
        files, left_out = _converted(path, options)
        refused += left_out
        for name, text in files.items():
            made[name] = made[name] + text if name in made else text
    _put(made, options.into)
    return MISUSE if refused else 0


def _put(made, folder):
    for name, text in made.items():
        if folder is None:
            print(f"# ---- {name}\n{text}")
            continue
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    if folder is not None:
        print(f"{len(made)} file{'s' * (len(made) != 1)} written into {folder}; nothing is switched on")


def _converted(path, options):
    """The files made of one, and how many services were left out."""
    if path.endswith(".socket"):
        return _of_unit(path, options)
    if path.endswith(".service"):
        _say(path, "name the .socket beside it: a service alone does not say where it listens")
        return {}, 1
    if options.to == "xinetd":
        return _of_inetdconf(path)
    configuration = servicefiles.read(path, everything=True)
    for problem in configuration.problems:
        print(problem, file=sys.stderr)
    files, left_out = {}, 0
    for entry in configuration.services:
        where = f"{entry.path}:{entry.line}: {entry.id}"
        if not entry.port and entry.protocol != "unix":
            _say(where, f"not converted: {entry.disabled_because or 'only tcpmux leads to it'}")
            left_out += 1
            continue
        try:
            made, losses = MAKERS[options.to or "systemd"](entry)
        except ValueError as error:
            made, losses = {}, Losses()
            losses.restriction(str(error))
        left_out += _tell(where, losses, options.anyway)
        if made and (options.anyway or not losses.open):
            for name, text in made.items():
                files[name] = files.get(name, "") + text
    return files, left_out


def _of_unit(path, options):
    if options.to == "systemd":
        _say(path, "is a unit of systemd already: say --to=xinetd or --to=inetd")
        return {}, 1
    try:
        text, losses = from_systemd.sections(path)
    except NotUnderstood as error:
        _say(path, f"not converted: {error}")
        return {}, 1
    left_out = _tell(path, losses, options.anyway)
    if options.to == "inetd":
        _say(path, "make xinetd.d sections of it first, and inetd.conf of those")
        return {}, 1
    name = os.path.basename(path).removesuffix(".socket").replace(".", "-")     # xinetd reads no file with a dot in it
    return ({name: f"# From {path}.\n{text}"} if options.anyway or not losses.open else {}), left_out


def _tell(where, losses, anyway):
    """Say what is lost; returns 1 where that keeps the service from being converted."""
    for text in losses:
        _say(where, f"not carried over: {text}")
    if losses.open and not anyway:
        _say(where, "not converted, as it would be open to more; --anyway does it nevertheless")
        return 1
    return 0


def _say(where, text):
    print(f"{where}: {text}", file=sys.stderr)


# -- of inetd.conf, into xinetd.d; and into inetd.conf --


def _of_inetdconf(path):
    """One file with a section for each line, all of them switched off."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        sections, problems = inetdconf.parse(file.read())
    for problem in problems:
        _say(f"{path}:{problem.line}", f"not converted: {problem.text}")
    text = "".join(f"\n# from {path}:{one.line}\n" + written(one.name, [("disable", "yes"), *(
        (row.name, " ".join(row.values)) for row in one.attributes)]) for one in sections)
    return {"from-inetd-conf": text.lstrip()} if sections else {}, len(problems)


def _inetd(entry):
    """One line, for who has no other launcher; few restrictions survive that."""
    losses = left(entry, KEPT)
    if entry.is_sensor:
        losses.restriction("flags SENSOR: inetd shuts nobody out")
    service = entry.bind if entry.protocol == "unix" else str(entry.port) if entry.types else entry.name
    if entry.bind and entry.protocol != "unix":
        service = f"{entry.bind}:{service}"
    version = "6" if "IPv6" in entry.flags else "4" if "IPv4" in entry.flags else ""
    protocol = entry.protocol if entry.protocol == "unix" else entry.protocol.rstrip("6") + version
    line = inetdconf.entry(service, entry.socket_type, protocol, entry.wait, (entry.user, entry.group),
                           entry.server or "internal", entry.argv)
    return {"inetd.conf": f"# from {entry.path}:{entry.line}, service {entry.id}\n{line}\n"}, losses


KEPT = {"disable", "id", "types", "socket_type", "protocol", "bind", "wait", "user", "group", "server", "server_args",
        "port", "flags", "cps", "log_type", "log_on_success", "log_on_failure"}
MAKERS = {"systemd": into_systemd.units, "inetd": _inetd}
