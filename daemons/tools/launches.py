"""Where launchers start a program on this machine, and what they themselves ask of a caller before they do."""

import glob
import os

from daemons.kernel.access import networks
from daemons.stores import servicefiles
from daemons.wire import unitfile, xinetdconf

from .programs import NotOurs

XINETD, INETD = "/etc/xinetd.conf", "/etc/inetd.conf"
UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
         "/lib/systemd/system")
NAMED = {"any": "0.0.0.0/0 ::/0", "localhost": "127.0.0.0/8 ::1/128", "link-local": "169.254.0.0/16 fe80::/64",
         "multicast": "224.0.0.0/4 ff00::/8"}       # systemd.resource-control(5)


class Rule:
    """One rule of a launcher: its name there, the file and line, patterns or windows."""

    def __init__(self, name, at, value):
        self.name, self.at, self.value = name, at, value


class Launch:
    """A program as one launcher starts it.

    launcher, at    which one, and the file and line where it says so
    ports           that it is told to listen at; may be empty
    arguments, env  what it gives the program
    rules           Rules by name: only_from, no_access, access_times; systemd's are IPAddressAllow and IPAddressDeny
    limits          its own limits, as (name, value) pairs
    off             why nobody is served here, or None
    """

    def __init__(self, launcher, at, ports=(), arguments=(), env=None, rules=(), limits=(), off=None):
        self.launcher, self.at, self.ports, self.arguments = launcher, at, set(ports), list(arguments)
        self.env, self.rules = dict(env or {}), {rule.name: rule for rule in rules}
        self.limits, self.off = list(limits), off


def found(name, file=None):
    """The Launches of a program: of one file, or of all places where launchers look; raises NotOurs."""
    if file is not None:
        file = os.path.abspath(file)
        launches = _of_unit(name, file) if file.endswith(".socket") else _of_xinetd(name, file)
        if not launches:
            raise NotOurs(f"{file} does not start {name}")
        return launches
    launches = []
    for path in (XINETD, INETD):
        if os.path.exists(path):
            launches += [launch for launch in _of_xinetd(name, path) if launch.off != "disable = yes"]
    units = {os.path.basename(path) for folder in UNITS for path in glob.glob(f"{folder}/fd0-{name}*.socket")}
    for unit in sorted(units):
        if _is_enabled(unit):
            path = next(f"{folder}/{unit}" for folder in UNITS if os.path.exists(f"{folder}/{unit}"))
            launches += _of_unit(name, path)
    return launches


# -- xinetd, and whoever reads its files --

def _of_xinetd(name, path):
    return [_launch(entry, path) for entry in servicefiles.read(path).services
            if os.path.basename(entry.server) == name]


def _launch(entry, top):
    lines = Lines(entry.path, entry.line, top)
    rules = []
    if entry.only_from is not None:
        rules.append(Rule("only_from", lines.of("only_from"), networks(" ".join(entry.only_from))))
    if entry.no_access:
        rules.append(Rule("no_access", lines.of("no_access"), networks(" ".join(entry.no_access))))
    if entry.access_times:
        rules.append(Rule("access_times", lines.of("access_times"), entry.access_times))
    limits = [(limit, getattr(entry, limit)) for limit in ("instances", "per_source") if getattr(entry, limit)]
    off = entry.disabled_because if entry.wanted or entry.disabled_because is None else "disable = yes"
    off = off or (None if entry.wanted else "disable = yes")
    launcher = "inetd" if top == INETD else "xinetd"
    return Launch(launcher, f"{entry.path}:{entry.line}", [entry.port] if entry.port else [], entry.argv[1:], entry.env,
                  rules, limits, off)


class Lines:
    """Where the attributes of a section stand: in itself, or in the defaults of the file that includes it."""

    def __init__(self, path, line, top):
        self.where = {}
        for place in dict.fromkeys((top, path)):
            for one in _sections(place):
                if one.kind == "defaults" or (place == path and one.line == line):
                    self.where.update({attribute.name: f"{place}:{attribute.line}" for attribute in one.attributes})

    def of(self, name):
        """The file and the last line that set an attribute; "" where none is found."""
        return self.where.get(name, "")


def _sections(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return [one for one in xinetdconf.parse(file.read())[0] if isinstance(one, xinetdconf.Section)]


# -- systemd --

def _is_enabled(unit):
    return any(os.path.lexists(f"{folder}/{target}.wants/{unit}") for folder in UNITS[:2]
               for target in ("sockets.target", "multi-user.target"))


def _of_unit(name, path):
    """The socket unit at this path with its service, drop-ins and all."""
    settings = _settings(path)
    each = unitfile.values([one for _, one in settings], "Socket", "Accept")[-1:] in (["yes"], ["true"], ["1"], ["on"])
    stem = os.path.basename(path).removesuffix(".socket")
    unit = _last(settings, "Socket", "Service") or f"{stem}{'@' if each else ''}.service"
    service = _settings(_beside(path, unit))
    start = unitfile.command(_last(service, "Service", "ExecStart"))
    if os.path.basename(start.program) != name:
        return []
    env = dict(word.partition("=")[::2] for value in _values(service, "Service", "Environment")
               for word in unitfile.words(value))
    ports = [int(port) for kind in ("ListenStream", "ListenDatagram") for value in _values(settings, "Socket", kind)
             if (port := value.rpartition(":")[2]).isdigit()]
    rules = [rule for kind in ("IPAddressAllow", "IPAddressDeny") if (rule := _addresses(settings, kind))]
    limits = [(kind, value) for kind in ("MaxConnections", "MaxConnectionsPerSource")
              if (value := _last(settings, "Socket", kind))]
    return [Launch("systemd", path, ports, start.arguments[1:], env, rules, limits)]


def _settings(path):
    """(file, Setting) pairs of a unit and its drop-ins, in the order in which they count; raises NotOurs."""
    unit = os.path.basename(path)
    drops = {os.path.basename(drop): drop for folder in (*reversed(UNITS), os.path.dirname(path))
             for drop in glob.glob(f"{folder}/{unit}.d/*.conf")}
    settings = []
    for file in [path, *(drops[name] for name in sorted(drops))]:
        with open(file, encoding="utf-8", errors="surrogateescape") as text:
            try:
                settings += [(file, one) for one in unitfile.parse(text.read())]
            except unitfile.NotUnderstood as error:
                raise NotOurs(f"{file}: {error}") from None
    return settings


def _beside(path, unit):
    places = [f"{os.path.dirname(path)}/{unit}", *(f"{folder}/{unit}" for folder in UNITS)]
    return next((place for place in places if os.path.exists(place)), places[0])


def _values(settings, section, name):
    return unitfile.values([one for _, one in settings], section, name)


def _last(settings, section, name):
    return (_values(settings, section, name) or [""])[-1]


def _addresses(settings, name):
    """A list of networks as a Rule; None where it is empty, or was emptied."""
    words = [NAMED.get(word, word) for value in _values(settings, "Socket", name) for word in value.split()]
    lines = [f"{file}:{one.line}" for file, one in settings if (one.section, one.name) == ("Socket", name)]
    return Rule(name, lines[-1], networks(" ".join(words))) if words else None


