"""fd0 units: the xinetd.d files and systemd units, made from the programs' declarations."""

import argparse
import os

from daemons.kernel import describe

from .programs import launched


def main(arguments):
    """Print the files, or write them below a directory."""
    parser = argparse.ArgumentParser("fd0 units", description="Make xinetd.d files and systemd units.")
    parser.add_argument("program", nargs="*", help="only these (default: all)")
    parser.add_argument("--to", metavar="DIR", help="write DIR/xinetd.d/... and DIR/systemd/... (default: print)")
    parser.add_argument("--library", default=describe.LIBRARY, help="where the programs are installed [%(default)s]")
    options = parser.parse_args(arguments)
    for service in launched(options.program):
        for name, text in describe.files(service, options.library).items():
            if options.to is None:
                print(f"# ---- {name}\n{text}")
            else:
                _write(os.path.join(options.to, name), text)
    return 0


def _write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
