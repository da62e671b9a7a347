"""fd0 check: what is wrong with xinetd.d files and option files, before a launcher finds out."""

import argparse
import os

from daemons.kernel.options import FOLDER, Misuse, read
from daemons.stores import servicefiles

from .programs import names, program

PLACES = ("/etc/xinetd.d", FOLDER)


def main(arguments):
    """Check files; returns 0 if nothing is wrong, 100 if a service would not run as its file says."""
    parser = argparse.ArgumentParser("fd0 check", description="Check xinetd.d files and fd0's option files.")
    parser.add_argument("file", nargs="*", help="files or directories (default: those of our programs in "
                                                f"{' and '.join(PLACES)})")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    options = parser.parse_args(arguments)
    paths = [path for place in options.file or _ours() for path in _files(place)]
    errors = warnings = 0
    for path in paths:
        for severity, text in problems(path):
            print(text)
            errors, warnings = errors + (severity == "error"), warnings + (severity == "warning")
    print(f"{len(paths)} file{'s' * (len(paths) != 1)}, {errors} error{'s' * (errors != 1)}, "
          f"{warnings} warning{'s' * (warnings != 1)}")
    return 100 if errors or (options.strict and warnings) else 0


def problems(path):
    """(severity, text) of all that is wrong with one file, by what its name says that it is."""
    name = os.path.basename(path)
    if name.endswith(".conf") and (name[:-5] in names() or name == "common.conf"):
        return _option_file(path, name[:-5])
    configuration = servicefiles.read(path)
    found = [(problem.severity, str(problem)) for problem in configuration.problems]
    for entry in configuration.services:
        found += _arguments(entry)
    return found


def _option_file(path, name):
    """A file of name = value lines, read as the program would read it."""
    service = program(names()[0] if name == "common" else name).SERVICE
    try:
        read(service, [f"--config={path}"], {})
    except Misuse as error:
        return [("error", str(error))]
    return []


def _arguments(entry):
    """The server_args of one of our programs, and what wait = yes changes for it."""
    name = os.path.basename(entry.server)
    if name not in names():
        return []
    here, found = f"{entry.path}:{entry.line}", []
    service = program(name).SERVICE
    try:
        read(service, entry.argv[1:], {**entry.env})
    except Misuse as error:
        found.append(("error", f"{here}: error: {entry.id}: {error}"))
    if entry.socket_type == "stream" and entry.wait and (entry.only_from is not None or entry.no_access):
        found.append(("warning", f"{here}: warning: {entry.id}: with wait = yes xinetd cannot keep only_from and "
                                 f"no_access, and starts {name} again and again for a caller it refuses; take them "
                                 "out and say server_args = --only-from=... --no-access=..."))
    sort = "stream" if entry.socket_type == "stream" else "dgram"
    if sort not in service.sockets:
        found.append(("error", f"{here}: error: {entry.id}: {name} does not serve socket_type = {sort}"))
    return found


def _ours():
    """The files of our programs where launchers and programs look for them."""
    found = []
    for place in PLACES:
        if os.path.isdir(place):
            found += [os.path.join(place, name) for name in sorted(os.listdir(place))
                      if name.removesuffix(".conf") in [*names(), "common"]]
    return found


def _files(place):
    """A file itself, or those of a directory that xinetd would read."""
    if not os.path.isdir(place):
        return [place]
    return [os.path.join(place, name) for name in sorted(os.listdir(place))
            if not name.endswith("~") and ("." not in name or name.endswith(".conf"))]
