"""Methods that are programs: each executable file of a folder is the method of its name.

    $ cat /etc/fd0/methods/disk.free        $ cat /etc/fd0/methods/disk.free.help
    #!/bin/sh                               Octets that are free on the file system of a path.
    read -r parameters
    df --output=avail ...

What a program gets   the parameters as one line of JSON on its standard input: an array in the order in which they were
                      given, or an object where they came by name (JSON-RPC can); dates and octets as text
                      FD0_METHOD, REMOTE_USER and REMOTE_ADDR in its environment, nothing of ours, / to work in
What it gives         what it prints, read as JSON, or as a text without its last line feed where it is no JSON
How it fails          by an exit status other than 0: the caller gets a fault with the status, and the log gets what
                      was written to standard error; the same where it takes longer or prints more than Limits allow

A file may be anybody's but must not be writable by group or others.  Names with what editors and package managers leave
behind (.bak, .dpkg-old), hidden ones and those that cannot be a method's are passed over.
"""

import os
import stat

from daemons.kernel.running import Failed, output
from daemons.wire.faults import APPLICATION_ERROR, Fault
from daemons.wire.jsonrpc import dumps, loads

from .methods import Limits, Method, is_name
from .signatures import Kind, Signature

HELP = ".help"                  # of the text file beside a program that tells what it is for
LONGEST_HELP = 16384            # octets of it that are told
LEFT_BEHIND = (HELP, ".bak", ".orig", ".rej", ".swp", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-tmp", ".rpmsave",
               ".rpmnew", ".rpmorig")


def executables(folder, limits=None):
    """The methods of a folder, as it is now.  Raises OSError, and ValueError for a file that others may write."""
    limits = limits or Limits()
    found = []
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        if is_name(name) and not name.endswith(LEFT_BEHIND) and _is_program(path):
            found.append(Method(name, _Program(name, path, limits), signature=_signature(), help=_help(path),
                                limits=limits, allow_none=True))
    return found


def _signature():
    """Anything, by whatever name: what it takes, the program knows."""
    return _Any([], rest=Kind({}), wants_caller=True)


class _Any(Signature):
    """The parameters of a program go to it as they came."""

    def arguments(self, params, spelt=False):
        """The parameters as the only argument."""
        return [params], {}


class _Program:
    """A program, to be called as a function."""

    def __init__(self, name, path, limits):
        self.name, self.path, self.limits = name, path, limits

    def __call__(self, params, caller):
        """Run it; what it printed, as a value.  Raises Fault."""
        environment = {"FD0_METHOD": self.name, "REMOTE_USER": caller.user, "REMOTE_ADDR": caller.host}
        try:
            printed = output([self.path], self.limits.seconds, self.limits.octets, environment,
                             given=dumps(params) + b"\n")
        except Failed as failure:       # its path is nobody's business
            why = str(failure).removeprefix(f"{self.path}: ")
            raise Fault(APPLICATION_ERROR, f"{self.name}: {why}") from None
        return _value(printed)


def _value(printed):
    """What a program printed: JSON, or else text; octets that are no text stay octets."""
    try:
        return loads(printed)
    except Fault:
        try:
            return printed.decode("utf-8").removesuffix("\n")
        except UnicodeDecodeError:
            return printed


def _is_program(path):
    try:
        status = os.stat(path)
    except FileNotFoundError:           # a link that leads nowhere
        return False
    if not (stat.S_ISREG(status.st_mode) and status.st_mode & 0o111):
        return False
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(f"{path} can be written by others: chmod go-w")
    return True


def _help(path):
    try:
        with open(path + HELP, encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST_HELP).strip()
    except FileNotFoundError:
        return ""
