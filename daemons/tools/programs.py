"""Which programs there are: every file in daemons/ that declares a SERVICE."""

import importlib
import os

import daemons


class NotOurs(LookupError):
    """There is no such program or command, or it cannot do what was asked."""


def names():
    """The programs' names, in order."""
    folder = os.path.dirname(daemons.__file__)
    return sorted(entry[:-3] for entry in os.listdir(folder) if entry.endswith(".py") and not entry.startswith("_"))


def program(name):
    """One program's module; raises NotOurs that names the nearest."""
    if name not in names():
        from difflib import get_close_matches
        near = get_close_matches(name, names(), 1)
        raise NotOurs(f"no program {name}" + (f" (did you mean {near[0]}?)" if near else "; see fd0 list"))
    return importlib.import_module(f"daemons.{name}")


def services(chosen=()):
    """The declarations of the chosen programs, or of all."""
    return [program(name).SERVICE for name in (chosen or names())]


def launched(chosen=()):
    """Those that a launcher can start, because they serve sockets; raises NotOurs for a chosen one that does not."""
    return _those(chosen, lambda service: service.sockets)


def placed(chosen=()):
    """Those that can be put in place on a machine: these, and such as systemd starts with it and that stay."""
    return _those(chosen, lambda service: service.sockets or service.standing)


def _those(chosen, are):
    found = services(chosen)
    for service in found if chosen else ():
        if not are(service):
            raise NotOurs(f"{service.name} serves no socket that a launcher could give it; start it by hand"
                          + f", or fd0 enable {service.name} --with=systemd" * service.standing)
    return [service for service in found if are(service)]
