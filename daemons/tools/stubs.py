"""fd0 stubs: the files that launchers start, one for each program."""

import os

import daemons
from daemons.kernel import describe

from .arguments import Parser, absolute
from .programs import services

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(daemons.__file__)))


def main(arguments):
    """Write an executable file for each program."""
    parser = Parser("stubs", "Write the files that launchers start, one for each program.", examples=(
        ("fd0 stubs --to=/usr/local/lib/fd0", "what `make install` does"),))
    parser.add_argument("program", nargs="*", metavar="PROGRAM", help="only these (default: all)")
    parser.add_argument("--to", metavar="DIR", required=True, help="where to write them")
    parser.add_argument("--library", metavar="DIR", type=absolute, default=CHECKOUT,
                        help="the directory that holds daemons/ [the one where this fd0 is]")
    parser.add_argument("--python", metavar="FILE", type=absolute, default="/usr/bin/python3",
                        help="the interpreter [%(default)s]")
    options = parser.parse(arguments)
    names = [service.name for service in services(options.program)]
    write(names, options.to, options.library, options.python)
    print(f"{len(names)} file{'s' * (len(names) != 1)} written to {options.to}")
    return 0


def write(names, folder, library=CHECKOUT, python="/usr/bin/python3"):
    """Write the files of these programs."""
    os.makedirs(folder, exist_ok=True)
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(describe.stub(name, library, python))
        os.chmod(path, 0o755)
