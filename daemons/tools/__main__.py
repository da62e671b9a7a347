"""fd0: one command for what an administrator does with the programs.

usage: fd0 COMMAND [ARGUMENT ...]
"""

import importlib
import os
import sys

from daemons import __version__

COMMANDS = {"list": "the programs, their ports and RFCs",
            "up": "run a set of services at loopback ports, to try them",
            "check": "check xinetd.d files, option files and the programs' options",
            "units": "print or write the xinetd.d files and systemd units",
            "stubs": "write the files that launchers start"}


def main(arguments=None):
    """Run one sub-command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        return _help()
    if command in ("-V", "--version"):
        print(f"fd0 {__version__}")
        return 0
    if command not in COMMANDS:
        from difflib import get_close_matches
        near = get_close_matches(command, COMMANDS, 1)
        print(f"fd0: no command {command!r}" + (f" (did you mean {near[0]}?)" if near else "; see fd0 --help"),
              file=sys.stderr)
        return 100
    try:
        return importlib.import_module(f"daemons.tools.{command}").main(arguments[1:])
    except LookupError as error:
        print(f"fd0 {command}: {error.args[0]}", file=sys.stderr)
        return 100
    except BrokenPipeError:             # `fd0 list | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _help():
    print("fd0: small network daemons, launched when somebody calls\n\nusage: fd0 COMMAND [ARGUMENT ...]\n")
    for name, about in COMMANDS.items():
        print(f"  {name:8} {about}")
    print("\n`fd0 COMMAND --help` tells more; `fd0 up` is the quickest way to see something.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
