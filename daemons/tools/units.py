"""fd0 units: the xinetd.d files and systemd units, made from the programs' declarations."""

import os

from daemons.kernel import describe

from .arguments import Parser, absolute
from .programs import placed


def main(arguments):
    """Print the files, or write them below a directory."""
    parser = Parser("units", "Make the xinetd.d files and systemd units of the programs.", examples=(
        ("fd0 units echod", "print those of echod"),
        ("fd0 units --to=.", "write all to ./xinetd.d and ./systemd")))
    parser.add_argument("program", nargs="*", metavar="PROGRAM", help="only these (default: all)")
    parser.add_argument("--to", metavar="DIR", help="write DIR/xinetd.d/... and DIR/systemd/... (default: print)")
    parser.add_argument("--library", metavar="DIR", type=absolute, default=describe.LIBRARY,
                        help="where the programs are installed [%(default)s]")
    options = parser.parse(arguments)
    files = {}
    for service in placed(options.program):
        files.update(describe.files(service, options.library))
    for name, text in files.items():
        if options.to is None:
            print(f"# ---- {name}\n{text}")
        else:
            _write(os.path.join(options.to, name), text)
    if options.to is not None:
        print(f"{len(files)} files written below {options.to}")
    return 0


def _write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
