"""fd0 stubs: the files that launchers start, one for each program."""

import argparse
import os

import daemons
from daemons.kernel import describe

from .programs import services

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(daemons.__file__)))


def main(arguments):
    """Write an executable file for each program."""
    parser = argparse.ArgumentParser("fd0 stubs", description="Write the files that launchers start.")
    parser.add_argument("program", nargs="*", help="only these (default: all)")
    parser.add_argument("--to", metavar="DIR", required=True, help="where to write them")
    parser.add_argument("--library", default=CHECKOUT, help="the directory that holds daemons/ [%(default)s]")
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter [%(default)s]")
    options = parser.parse_args(arguments)
    write([service.name for service in services(options.program)], options.to, options.library, options.python)
    return 0


def write(names, folder, library=CHECKOUT, python="/usr/bin/python3"):
    """Write the files of these programs."""
    os.makedirs(folder, exist_ok=True)
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(describe.stub(name, library, python))
        os.chmod(path, 0o755)
