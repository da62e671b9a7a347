"""A service as a section of a service file describes it, and everything that keeps it from being started.

What restricts a service and cannot be understood, or not be kept, disables it: it never runs with less
protection than its file asks for.
"""

from .netnames import NetNames
from .serviceattributes import ROWS, FileLog
from .servicesettings import ERROR, WARNING

OWN = tuple(row for row in ROWS if row.kind and "service" in row.where)


class Problem:
    """What is wrong, and where; an error keeps at least one service from being started."""

    __slots__ = ("line", "path", "severity", "text")

    def __init__(self, path: str, line: int, severity: str, text: str) -> None:
        self.path, self.line, self.severity, self.text = path, line, severity, text

    @property
    def at(self) -> str:
        """The file, and the line if it is one line's fault."""
        return f"{self.path}:{self.line}" if self.line else self.path

    def __str__(self) -> str:
        return f"{self.at}: {self.severity}: {self.text}"


class Entry:
    """One service.  Start it only if `disabled_because` is None: otherwise that says why not.

    `wanted` is False if nobody asked for it to be started: then that is no mistake.
    """

    __slots__ = ("disabled_because", "internal", "line", "name", "path", "wanted",
                 *dict.fromkeys(row.field for row in OWN))

    name: str                           # and where it was read
    path: str
    line: int
    disabled_because: str | None
    wanted: bool
    disable: bool
    id: str
    types: set[str]
    flags: set[str]
    socket_type: str                    # "stream" or "dgram"
    protocol: str                       # "tcp", "udp", "tcp6", "udp6" or "unix"
    port: int                           # 0 for a Unix socket
    bind: str | None                    # an address, or the path of a Unix socket
    wait: bool
    user: str                           # a name or a number, as `group`, which may be empty
    group: str
    server: str                         # "" where nothing is started: internal, redirect, a SENSOR
    server_args: list[str]
    internal: str                       # the program of ours that does it, "tcpmux", or "" for a server of its own
    redirect: tuple[str, int] | None    # host and port
    env: dict[str, str]
    passenv: list[str] | None           # None: all
    instances: int | None               # None: no limit; so with per_source and cps
    per_source: int | None
    cps: tuple[int, int] | None
    only_from: list[str] | None         # as accesspatterns has them; None: everybody, []: nobody
    no_access: list[str]
    libwrap: str                        # what it is called in /etc/hosts.allow, if not after its program
    access_times: list[tuple[int, int]]     # spans of minutes after midnight; []: always
    max_load: float                     # 0: whatever the load
    deny_time: float                    # minutes
    banner: str                         # paths, or ""
    banner_success: str
    banner_fail: str
    leaky_bucket: bool
    max_time: int | None                # seconds
    groups: bool
    mdns: bool
    v6only: bool
    passes: set[str]                    # of "stdin", "listen_fds"
    tls: bool
    tls_cert: str
    tls_key: str
    proxy_protocol: list[str] | None    # networks
    log_type: tuple[str, str] | FileLog     # facility and priority, "" where not said
    log_on_success: set[str]
    log_on_failure: set[str]
    umask: int | None
    nice: int
    rlimits: dict[str, int | None]      # by the names of the `resource` module; None: unlimited
    stderr: str                         # "socket" or "log"

    def __init__(self, name: str, path: str, line: int, values: dict[str, object]) -> None:
        self.name, self.path, self.line, self.disabled_because, self.wanted = name, path, line, None, True
        for row in OWN:
            setattr(self, row.field, row.default() if isinstance(row.default, type) else row.default)
        for row in OWN:
            if row.slot not in values:
                continue
            value = values[row.slot]
            if row.key:
                getattr(self, row.field)[row.key] = value
            else:
                setattr(self, row.field, row.into(value) if isinstance(value, list) else value)
        self.id, self.internal = self.id or name, ""

    @property
    def is_sensor(self) -> bool:
        """Does it only wait for those who have no business there?"""
        return "SENSOR" in self.flags

    @property
    def is_muxed(self) -> bool:
        """Is it called by its name at the port of tcpmux, and has none of its own?"""
        return bool(self.types & {"TCPMUX", "TCPMUXPLUS"})

    @property
    def argv(self) -> list[str]:
        """The server's arguments from argv[0] on."""
        return self.server_args if "NAMEINARGS" in self.flags else [self.server.rpartition("/")[2], *self.server_args]


class Draft:
    """An entry while it is checked: knows what its section set where, and collects what is wrong.

    `off` says why the service is not wanted, if so: then nothing about it is worse than a warning.
    """

    __slots__ = ("entry", "lines", "names", "off", "problems")

    def __init__(self, entry: Entry, lines: dict[str, int], names: NetNames, off: str | None) -> None:
        self.entry, self.lines, self.names, self.off = entry, lines, names, off
        self.problems: list[Problem] = []
        entry.disabled_because, entry.wanted = off, off is None

    def say(self, line: int, severity: str, text: str) -> None:
        """Note a problem; an error disables the service."""
        severity = WARNING if self.off else severity
        self.problems.append(Problem(self.entry.path, line, severity, text))
        if severity == ERROR and self.entry.disabled_because is None:
            self.entry.disabled_because = text

    def warn(self, text: str, slot: str = "") -> None:
        """Say what is odd about the line that set `slot`, or about the whole section."""
        self.say(self.lines.get(slot, self.entry.line), WARNING, text)

    def refuse(self, text: str, slot: str = "") -> None:
        """The same for what keeps the service from being started."""
        self.say(self.lines.get(slot, self.entry.line), ERROR, text)
