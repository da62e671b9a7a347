"""Service files as xinetd reads them: /etc/xinetd.conf and all that it includes, or an /etc/inetd.conf, as services.

A file that others may write to is refused.  Where something unreadable may have held the restrictions
of `defaults`, no service at all is to be started: xinetd would start them all without.
"""

import errno
import os
import stat

from ..wire import inetdconf
from ..wire.xinetdconf import Include, Section, Statement, Stray, parse
from .netnames import NetNames
from .servicechecks import check
from .serviceentries import Draft, Entry, Problem
from .servicesettings import ERROR, WARNING, Settings

LARGEST = 1 << 20               # octets in a file
DEEPEST = 16                    # includes within includes

__all__ = ["Configuration", "Entry", "Problem", "read"]


class Configuration:
    """All services of a configuration, disabled ones too, and all that is wrong with it, in order.

    `damaged` says why services may be missing altogether, if so: who runs with an older configuration keeps it.
    """

    __slots__ = ("damaged", "problems", "services")

    def __init__(self, services: list[Entry], problems: list[Problem], damaged: str | None) -> None:
        self.services, self.problems, self.damaged = services, problems, damaged


def read(path: str, services: str = "/etc/services", networks: str = "/etc/networks",
         everything: bool = False) -> Configuration:
    """Read a configuration file and all that it includes; with `everything` as if no service were switched off."""
    files = _Files()
    files.file(path, _Place(path, 0, None, 0))
    defaults = _defaults(files)
    names = NetNames(services, networks)
    entries = [_entry(one, defaults, names, files, everything)
               for one in files.sections if one.section.kind == "service"]
    _tell_apart(entries, files.problems)
    _check_mux(entries, files.problems)
    _check_ids(entries, defaults, files)
    order = {name: place for place, name in enumerate(files.seen.values())}
    files.problems.sort(key=lambda problem: (order.get(problem.path, -1), problem.line))
    return Configuration(entries, files.problems, files.damaged)


class _Place:
    """Where an include stands, how deep, and why nothing of that file may be started, if so."""

    __slots__ = ("depth", "line", "path", "spoilt")

    def __init__(self, path: str, line: int, spoilt: str | None, depth: int) -> None:
        self.path, self.line, self.spoilt, self.depth = path, line, spoilt, depth


class _Found:
    """A section, its file, and why nothing of that file may be started, if so."""

    __slots__ = ("path", "section", "spoilt")

    def __init__(self, path: str, section: Section, spoilt: str | None) -> None:
        self.path, self.section, self.spoilt = path, section, spoilt


class _Files:
    """The sections of all files, all problems, what damage they did, and why nothing may be started, if so."""

    __slots__ = ("damaged", "problems", "sections", "seen", "suspended")

    def __init__(self) -> None:
        self.sections: list[_Found] = []
        self.problems: list[Problem] = []
        self.seen: dict[tuple[int, int], str] = {}
        self.suspended: str | None = None
        self.damaged: str | None = None

    def say(self, path: str, line: int, severity: str, text: str) -> None:
        self.problems.append(Problem(path, line, severity, text))

    def damage(self, path: str, line: int, text: str) -> None:
        """Say what is wrong, where whole services may be lost."""
        self.say(path, line, ERROR, text)
        self.damaged = self.damaged or f"{self.problems[-1].at}: {text}"

    def suspend(self, path: str, line: int, text: str) -> None:
        """Say what is wrong, and start nothing: the restrictions of `defaults` may be lost."""
        self.damage(path, line, text)
        self.suspended = self.suspended or f"{self.problems[-1].at}: {text}"

    def file(self, path: str, place: _Place) -> None:
        try:
            identity, fault, text = _content(path)
        except OSError as error:
            self.suspend(place.path, place.line, f"cannot read {path}: {error.strerror}")
            return
        if identity in self.seen:
            self.say(place.path, place.line, ERROR, f"{path} is read already, as {self.seen[identity]}")
            return
        self.seen[identity] = path
        statements, problems = inetdconf.parse(text) if inetdconf.is_inetdconf(text) else parse(text)
        if fault:
            self.refused(path, fault, statements)
            return
        for problem in problems:
            self.damage(path, problem.line, problem.text)
        stray = next((one.line for one in statements if isinstance(one, Stray)), 0)
        spoilt = f"line {stray} of {path} is not understood" if stray else place.spoilt
        for statement in statements:
            if isinstance(statement, Section):
                self.sections.append(_Found(path, statement, spoilt))
            elif isinstance(statement, Include):
                self.include(statement, _Place(path, statement.line, spoilt, place.depth + 1))

    def refused(self, path: str, fault: str, statements: list[Statement]) -> None:
        if all(isinstance(one, Section) and one.kind == "service" for one in statements):
            self.damage(path, 0, f"{fault}: nothing of this file is used")
        else:
            self.suspend(path, 0, f"{fault}: nothing of this file is used, and it has more than services in it")

    def include(self, statement: Include, place: _Place) -> None:
        if not statement.path.startswith("/") or place.depth > DEEPEST:
            text = "is not an absolute path" if place.depth <= DEEPEST else "is included from too deep"
            self.suspend(place.path, place.line, f"{statement.path} {text}")
        elif statement.kind == "include":
            self.file(statement.path, place)
        else:
            self.directory(statement.path, place)

    def directory(self, path: str, place: _Place) -> None:
        try:
            names, fault = os.listdir(path), _fault(os.stat(path))
        except OSError as error:
            self.suspend(place.path, place.line, f"cannot read {path}: {error.strerror}")
            return
        if fault:
            self.suspend(place.path, place.line, f"{path} {fault}")
            return
        for name in sorted(names, key=os.fsencode):     # as strcmp(3) sorts
            if "." not in name and not name.endswith("~"):
                self.member(os.path.join(path, name), place)

    def member(self, path: str, place: _Place) -> None:
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except FileNotFoundError:
            self.say(place.path, place.line, WARNING, f"{path} leads nowhere")
            return
        except OSError:
            regular = True                              # file() says what is wrong
        if regular:
            self.file(path, place)
        else:
            self.say(place.path, place.line, WARNING, f"{path} is not a file")


def _content(path: str) -> tuple[tuple[int, int], str | None, str]:
    """A file's identity, why it must not be trusted, if so, and its text."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        octets = file.read(LARGEST + 1)
    if len(octets) > LARGEST:
        raise OSError(errno.EFBIG, "too large for a service file")
    return (status.st_dev, status.st_ino), _fault(status), octets.decode("utf-8", "surrogateescape")


def _fault(status: os.stat_result) -> str | None:
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to user {status.st_uid}, not to root"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"has mode {stat.S_IMODE(status.st_mode):o}: others may write to it"
    return None


def _defaults(files: _Files) -> Settings:
    """What all services begin with, wherever in the files it stands."""
    settings = Settings("defaults")
    found = [one for one in files.sections if one.section.kind == "defaults"]
    for one in found[1:]:
        files.suspend(one.path, one.section.line, f"a second defaults section; the first is in {found[0].path}")
    for one in found[:1]:
        if one.spoilt or not one.section.whole:
            files.suspended = files.suspended or one.spoilt or f"defaults of {one.path} are not understood"
        for attribute in one.section.attributes:
            severity, text = settings.take(attribute) or ("", "")
            if severity == ERROR:
                files.suspend(one.path, attribute.line, text)
            elif severity:
                files.say(one.path, attribute.line, severity, text)
    return settings


def _entry(found: _Found, defaults: Settings, names: NetNames, files: _Files, everything: bool) -> Entry:
    section = found.section
    settings = Settings("service", defaults)
    outcomes = [(attribute.line, settings.take(attribute)) for attribute in section.attributes]
    entry = Entry(section.name, found.path, section.line, settings.values)
    draft = Draft(entry, settings.lines, names, None if everything else _switched_off(entry, defaults))
    for line, outcome in outcomes:
        if outcome:
            draft.say(line, *outcome)
    if not section.whole:
        entry.disabled_because = entry.disabled_because or "a line of this section is not understood"
    entry.disabled_because = entry.disabled_because or found.spoilt
    check(draft)
    entry.disabled_because = entry.disabled_because or files.suspended
    files.problems += draft.problems
    return entry


def _switched_off(entry: Entry, defaults: Settings) -> str | None:
    """Why nobody wants this service to be started, if so."""
    if entry.disable:
        return "disable = yes"
    if entry.id in _ids(defaults, "disabled"):
        return "is in disabled, in defaults"
    if "enabled" in defaults.values and entry.id not in _ids(defaults, "enabled"):
        return "is not in enabled, in defaults"
    return None


def _ids(defaults: Settings, slot: str) -> list[str]:
    value = defaults.values.get(slot)
    return value if isinstance(value, list) else []


def _check_ids(entries: list[Entry], defaults: Settings, files: _Files) -> None:
    known = {entry.id for entry in entries}
    path = next((one.path for one in files.sections if one.section.kind == "defaults"), "")
    for slot in ("enabled", "disabled"):
        for unknown in [one for one in _ids(defaults, slot) if one not in known]:
            files.say(path, defaults.lines[slot], WARNING, f"{slot}: there is no service with the id {unknown}")


def _tell_apart(entries: list[Entry], problems: list[Problem]) -> None:
    """Of two services with one id, or in one place, the first counts."""
    taken: dict[object, Entry] = {}
    for entry in entries:
        if entry.disabled_because is not None:
            continue
        place: object = entry.bind, entry.protocol, entry.port, frozenset(entry.flags & {"IPv4", "IPv6"})
        where = "its address, protocol and port"
        if entry.is_muxed:
            place, where = ("tcpmux", entry.name.lower()), f"the name {entry.name} for tcpmux"
        for key, text in ((entry.id, f"the id {entry.id}"), (place, where)):
            twin = taken.setdefault(key, entry)
            if twin is not entry and entry.disabled_because is None:
                entry.disabled_because = f"has {text} from {twin.path}:{twin.line}: give it its own"
                problems.append(Problem(entry.path, entry.line, ERROR, entry.disabled_because))


def _check_mux(entries: list[Entry], problems: list[Problem]) -> None:
    """Services that only tcpmux leads to, and no tcpmux, or none for it."""
    runnable = [entry for entry in entries if entry.disabled_because is None]
    muxed = [entry for entry in runnable if entry.is_muxed]
    doors = [entry for entry in runnable if entry.internal == "tcpmux"]
    if muxed and not doors:
        problems += [Problem(entry.path, entry.line, WARNING, f"nobody can call {entry.id}: there is no service tcpmux "
                             "of type INTERNAL") for entry in muxed]
    elif doors and not muxed:
        problems += [Problem(entry.path, entry.line, WARNING, "there is no service of type TCPMUX behind tcpmux")
                     for entry in doors]
