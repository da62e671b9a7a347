"""fd0: one command for what an administrator does with the programs.

usage: fd0 COMMAND [ARGUMENT ...]
"""

import importlib
import os
import sys

from daemons import __version__

from .arguments import MISUSE
from .programs import NotOurs

LATER = 111             # exit status: something is missing now; try again later

COMMANDS = {"list": "the programs, their ports and RFCs",
            "up": "run services at loopback ports, to try them",
            "enable": "put a service in place under xinetd, systemd or inetd",
            "disable": "take away what enable put in place",
            "check": "what is wrong with xinetd.d files and option files",
            "why": "whether an address may talk to a program, and by which rule",
            "limits": "who is here, whose logins fail, who was refused",
            "queue": "mail that waits: why, hold, retry, re-route, delete",
            "sendmail": "put a mail into the queue, as local programs do",
            "user": "who may log in",
            "cert": "keys and certificates for TLS",
            "dkim": "keys to sign mail with, and their DNS records",
            "convert": "service files of one launcher as those of another",
            "units": "print or write xinetd.d files and systemd units",
            "manual": "write the manual pages",
            "completion": "print what a shell needs to complete fd0's arguments",
            "stubs": "write the files that launchers start"}


def main(arguments=None):
    """Run one sub-command; returns the exit status."""
    if arguments is None:               # a link to us as /usr/sbin/sendmail is what programs call
        arguments = ["sendmail"] * (os.path.basename(sys.argv[0]) == "sendmail") + sys.argv[1:]
    command = arguments[0] if arguments else "--help"
    try:
        status = _run(command, arguments[1:])
        sys.stdout.flush()
        return status
    except NotOurs as error:
        return _fail(command, error, MISUSE)
    except BrokenPipeError:             # `fd0 list | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        status = LATER if error.filename is None or not isinstance(error, REFUSALS) else MISUSE
        return _fail(command, f"{error.filename}: {error.strerror}" if error.filename else error.strerror, status)
    except KeyboardInterrupt:
        return 130


REFUSALS = (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)


def _run(command, arguments):
    if command in ("-h", "--help", "help"):
        return _help()
    if command in ("-V", "--version"):
        print(f"fd0 {__version__}")
        return 0
    if command in COMMANDS:
        return importlib.import_module(f"daemons.tools.{command}").main(arguments)
    from difflib import get_close_matches
    near = get_close_matches(command, COMMANDS, 1)
    raise NotOurs(f"no command {command}" + (f" (did you mean {near[0]}?)" if near else "; see fd0 --help"))


def _fail(command, why, status):
    sys.stdout.flush()
    print(f"fd0 {command}: {why}" if command in COMMANDS else f"fd0: {why}", file=sys.stderr)
    return status


def _help():
    print("fd0: small network daemons, launched when somebody calls\n\nusage: fd0 COMMAND [ARGUMENT ...]\n")
    for name, about in COMMANDS.items():
        print(f"  {name:10} {about}")
    print("\n`fd0 COMMAND --help` tells more; `fd0 up` is the quickest way to see something.\n"
          "Exit status: 0 done, 100 something is wrong with what was asked, 111 try again later.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
