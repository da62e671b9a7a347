"""Service files as xinetd reads them: /etc/xinetd.conf, or a directory's worth, as a list of services.

A file that others may write to is refused.  Where something unreadable may have held the restrictions
of `defaults`, no service at all is started: xinetd would start them without.
"""

import os
import stat

from ..wire.xinetdconf import Include, Section, parse
from .netnames import NetNames
from .servicechecks import check
from .serviceentries import Draft, Entry, Problem
from .servicesettings import ERROR, WARNING, Settings

LARGEST = 1 << 20               # octets in a file
DEEPEST = 16                    # includes in includes

__all__ = ["Configuration", "Entry", "Problem", "read"]


class Configuration:
    """All services of a configuration, disabled ones too, and all that is wrong with it, in order."""

    __slots__ = ("problems", "services")

    def __init__(self, services: list[Entry], problems: list[Problem]) -> None:
        self.services, self.problems = services, problems


def read(path: str, services: str = "/etc/services", networks: str = "/etc/networks") -> Configuration:
    """Read a configuration file and all that it includes."""
    files = _Files()
    files.file(path, Problem(path, 0, ERROR, ""), 0)
    defaults = _defaults(files)
    names = NetNames(services, networks)
    entries = [_entry(found, defaults, names, files) for found in files.found if found.section.kind == "service"]
    _suspend(entries, files.suspended)
    _tell_apart(entries, files.problems)
    order = {name: place for place, name in enumerate(files.read)}
    files.problems.sort(key=lambda problem: (order.get(problem.path, -1), problem.line))
    return Configuration(entries, files.problems)


class _Found:
    """A section, and where; `spoilt` says why nothing of its file may be started, if so."""

    __slots__ = ("path", "section", "spoilt")

    def __init__(self, path: str, section: Section, spoilt: str | None) -> None:
        self.path, self.section, self.spoilt = path, section, spoilt


class _Files:
    """All files of a configuration: their sections, their problems, and whether anything may be started at all."""

    __slots__ = ("found", "problems", "read", "seen", "suspended")

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self.problems: list[Problem] = []
        self.read: list[str] = []
        self.seen: dict[tuple[int, int], str] = {}
        self.suspended: str | None = None
