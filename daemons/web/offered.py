"""Which methods a server offers: out of its options, and who may call which of them."""

import os
import stat
import sys

from daemons.wire.permitlines import LoggedIn, parse

from . import introspection
from .methods import Limits, Method, load

OURS = "fd0"            # in --methods, the word for the fd0.* methods
ASKING = {"fd0.lookup", "fd0.reverse"}          # of these, the ones that have this machine ask others


def fill(registry, options, extensions):
    """Put into a registry what the options name.  Raises ValueError and OSError."""
    registry.add(introspection.methods(registry, extensions))
    registry.add([Method("rpc.discover", _Described(registry).discover)])
    for folder in options.method_path or ():
        _trust(folder)
        sys.path.append(folder)         # behind the others: nothing in it takes the place of a module of ours
    for spec in options.methods:
        registry.add(_ours(options) if spec == OURS else load(spec, options.allow_none))
    if options.executables:
        from .executables import executables
        registry.add(executables(options.executables, Limits(options.executable_time, options.executable_most)))
    if options.queries:
        from .queries import Bounds, queries
        database, found = queries(options.queries, Bounds(options.query_time, options.query_rows))
        registry.add(found)
        options.learnt.extend(_of_database(database))
    _permit(registry, options)


class _Described:
    """A method of JSON-RPC's own namespace."""

    def __init__(self, registry):
        self.registry = registry

    def discover(self, caller) -> dict:
        """All methods that you may call, as an OpenRPC document."""
        from .openrpc import document
        return document(self.registry, caller)


def _ours(options):
    from . import machine
    net = machine.network()
    options.learnt.append(net)
    return [one for one in machine.methods(options.log_file, net=net) if options.network or one.name not in ASKING]


def _trust(folder):
    """Raise ValueError for a folder whose modules anybody may write."""
    status = os.stat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise ValueError(f"method-path: {folder} is no folder")
    if status.st_mode & stat.S_IWOTH:
        raise ValueError(f"method-path: anybody may write to {folder}: chmod o-w")


def _of_database(path):
    """What of the file system a database is: its file and those beside it, or all of a folder that is its own."""
    folder = os.path.dirname(path)
    return [folder] if folder.count("/") > 2 else [path, f"{path}-wal", f"{path}-shm"]


def _permit(registry, options):
    """Where people log in, everything is for them alone, unless a rule says otherwise."""
    if options.users or options.accounts or options.restrict:
        for one in registry.methods.values():
            one.users = LoggedIn()
    if not options.restrict:
        return
    with open(options.restrict, encoding="utf-8") as file:
        text = file.read()
    try:
        for rule in parse(text):
            for pattern in rule.patterns:
                _apply(registry, rule, pattern)
    except ValueError as error:
        raise ValueError(f"{options.restrict}: {error}") from None


def _apply(registry, rule, pattern):
    found = [one for name, one in registry.methods.items() if pattern in ("*", name)
             or (pattern.endswith(".*") and name.startswith(pattern[:-1]))]
    if not found:
        raise ValueError(f"line {rule.line}: there is no method {pattern}")
    for one in found:
        one.users = rule.users
