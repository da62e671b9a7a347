"""The attributes that a service file may set: one row each, in the order of xinetd.conf(5).

A row without a kind is known to xinetd and not supported here: a warning, and where it would restrict
the service, an error that disables it.  To support one more attribute, give it a kind and a default.
What is our own addition, and unknown to xinetd, stands at the end.
"""

from collections.abc import Callable
from ipaddress import ip_address
from os import fsencode

from ..wire.accesspatterns import is_name, patterns
from ..wire.numbers import number, octal

Kind = Callable[[list[str]], object]

SOME, ANY = -1, -2                      # how many values: one or more, any number; else exactly so many
ONCE, GROWS, CHANGES = ("=",), ("=", "+="), ("=", "+=", "-=")
SERVICE, DEFAULTS, BOTH = ("service",), ("defaults",), ("service", "defaults")

TYPES = ("RPC", "INTERNAL", "TCPMUX", "TCPMUXPLUS", "UNLISTED", "SPECIAL")
FLAGS = ("INTERCEPT", "NORETRY", "IDONLY", "NAMEINARGS", "NODELAY", "KEEPALIVE", "NOLIBWRAP", "SENSOR",
         "IPv4", "IPv6", "LABELED", "REUSE")
FACILITIES = ("daemon", "auth", "authpriv", "user", "mail", "lpr", "news", "uucp", "ftp", "cron", "syslog",
              *(f"local{number}" for number in range(8)))
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
ON_SUCCESS = ("PID", "HOST", "USERID", "EXIT", "DURATION", "TRAFFIC")
ON_FAILURE = ("HOST", "USERID", "ATTEMPT")
FOREVER = float("inf")
LEAST_EXTRA, MOST_EXTRA = 5 << 10, 20 << 10     # octets that a log file may have beyond its soft limit, xinetd.conf(5)
LONGEST_TIME = 24 * 86400       # seconds; poll(2) waits no longer than 2**31 milliseconds


class FileLog:
    """A log of the service's own: its path, and how many octets it may have before that is said, and at all."""

    __slots__ = ("hard", "path", "soft")

    def __init__(self, path: str, soft: int | None = None, hard: int | None = None) -> None:
        self.path, self.soft, self.hard = path, soft, hard


class Row:
    """One attribute.

    kind       values -> value, raising ValueError; None if this attribute is not supported
    restricts  whether a service without it would be open to more, or may do more, than its file says
    count      how many values it takes; where: in which sections it may stand
    operators  a value that += may add to is a list, given as often as one likes; any other is given ONCE
    into       what becomes of a list in the end
    field      where an Entry has the value, if not under its own name; key: the place in a dictionary there
    default    the value of an Entry that has none; a type is called for a new one
    """

    __slots__ = ("about", "count", "default", "field", "into", "key", "kind", "name", "operators", "restricts",
                 "where")

    def __init__(self, name: str, kind: Kind | None, about: str, *, restricts: bool = False, count: int = 1,
                 where: tuple[str, ...] = SERVICE, operators: tuple[str, ...] = ONCE, field: str = "", key: str = "",
                 into: Callable[[list[str]], object] = list, default: object = None) -> None:
        self.name, self.kind, self.about, self.restricts, self.count = name, kind, about, restricts, count
        self.where, self.operators, self.into, self.field, self.key = where, operators, into, field or name, key
        self.default = default

    @property
    def slot(self) -> str:
        """What two attributes have in common that mean the same: `bind` and `interface`."""
        return self.key or self.field


# Kinds: each turns the words behind an operator into a value; there are as many as the row's count.

def text(values: list[str]) -> str:
    """One word."""
    return values[0]


def texts(values: list[str]) -> list[str]:
    """All words."""
    return values


def path(values: list[str]) -> str:
    """An absolute path."""
    if not values[0].startswith("/"):
        raise ValueError(f"{values[0]!r} is not an absolute path")
    return values[0]


def switch(values: list[str]) -> bool:
    """yes or no."""
    return choice("yes", "no")(values) == "yes"


def choice(*allowed: str) -> Kind:
    """The kind that takes one of these words."""
    return lambda values: several(*allowed)(values)[0]


def several(*allowed: str) -> Callable[[list[str]], list[str]]:
    """The kind that takes any of these words."""
    def some(values: list[str]) -> list[str]:
        for value in values:
            if value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        return values
    return some


def sort(values: list[str]) -> str:
    """stream or dgram; the other two of xinetd's are for programs that read what no port tells apart."""
    if values[0] in ("raw", "seqpacket"):
        raise ValueError(f"{values[0]} is not supported: such a server has to be started by hand")
    return several("stream", "dgram")(values)[0]


def figure(least: int, most: int) -> Kind:
    """The kind that takes a number within these limits."""
    return lambda values: number(values[0], least, most)


def limit(values: list[str]) -> int | None:
    """A number of one or more, or None for UNLIMITED."""
    return None if values == ["UNLIMITED"] else number(values[0], 1, 2**31 - 1)


def amount(values: list[str]) -> int | None:
    """As limit(), in octets, or with K or M in units of 1,024 and 1,048,576."""
    scale = {"k": 1 << 10, "K": 1 << 10, "m": 1 << 20, "M": 1 << 20}.get(values[0][-1], 1)
    digits = values[0] if scale == 1 else values[0][:-1]
    return None if values == ["UNLIMITED"] else number(digits, 1, (2**63 - 1) // scale) * scale


def rate(values: list[str]) -> tuple[int, int] | None:
    """Connections per second, and how many seconds to pause for who has more; no limit if the first is 0."""
    per_second, pause = number(values[0], 0, 10**6), number(values[1], 0, 10**6)
    return (per_second, pause) if per_second else None


def mask(values: list[str]) -> int:
    """A umask, in base 8."""
    return octal(values[0])


def destination(values: list[str]) -> tuple[str, str] | FileLog:
    """Where to log: (facility, priority) of SYSLOG, "" for the usual one, or a FileLog of FILE."""
    if values[0] == "FILE":
        return _file_log(values[1:])
    if values[0] != "SYSLOG" or len(values) not in (2, 3):
        raise ValueError("say SYSLOG facility [priority], or FILE path [soft limit [hard limit]]")
    facility, priority = several(*FACILITIES)(values[1:2]), several(*PRIORITIES)(values[2:])
    return facility[0], "".join(priority)


def _file_log(words: list[str]) -> FileLog:
    if not 1 <= len(words) <= 3:
        raise ValueError("say FILE path [soft limit [hard limit]]")
    soft, hard = ([amount([word]) for word in words[1:]] + [None, None])[:2]
    if soft is not None and hard is None:
        hard = soft + min(max(soft // 100, LEAST_EXTRA), MOST_EXTRA)
    if soft is not None and hard is not None and hard < soft:
        raise ValueError(f"the hard limit, {hard}, is below the soft one, {soft}")
    return FileLog(path(words[:1]), soft, hard)


def hours(values: list[str]) -> list[tuple[int, int]]:
    """Spans of the day in minutes after midnight, both ends within; from 22:00-6:00 goes over midnight."""
    spans = []
    for value in values:
        first, dash, last = value.partition("-")
        if not dash:
            raise ValueError(f"{value!r} is not of the form 8:30-17:00")
        spans.append((_minute(first), _minute(last)))
    return spans


def _minute(word: str) -> int:
    hour, colon, minute = word.partition(":")
    if not colon:
        raise ValueError(f"{word!r} is not of the form hour:minute")
    return number(hour, 0, 23) * 60 + number(minute, 0, 59)


def decimal(values: list[str]) -> float:
    """A number that may have a fraction; 0 for no limit."""
    whole, _, part = values[0].partition(".")
    if not (whole + part).isascii() or not whole.isdigit() or not (part or "0").isdigit() or len(values[0]) > 12:
        raise ValueError(f"not a number: {values[0][:40]!r}")
    return float(values[0])


def minutes(values: list[str]) -> float:
    """How long in minutes, FOREVER, or NEVER, which is 0."""
    named = {"FOREVER": FOREVER, "NEVER": 0.0}
    return named[values[0]] if values[0] in named else float(number(values[0], 0, 10**6))


def duration(values: list[str]) -> int:
    """A time in seconds, or with a unit: 90, 30s, 5m, 2h, 1d."""
    scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(values[0][-1], 0)
    return number(values[0][:-1] if scale else values[0], 1, LONGEST_TIME // (scale or 1)) * (scale or 1)


def target(values: list[str]) -> tuple[str, int]:
    """A host, by address or name, and a port there."""
    host, figure = values
    try:
        host = str(ip_address(host))
    except ValueError:
        if not is_name(host) or host.startswith("."):
            raise ValueError(f"{host[:60]!r} is neither an address nor a host name") from None
    return host, number(figure, 1, 65535)


def place(values: list[str]) -> str:
    """An address of this machine, or the path of a Unix socket, which is our own addition."""
    if not values[0].startswith("/"):
        try:
            return str(ip_address(values[0]))
        except ValueError:
            raise ValueError(f"{values[0]!r} is neither an address nor an absolute path") from None
    if len(fsencode(values[0])) > 107 or values[0].endswith("/"):
        raise ValueError("the path of a Unix socket has at most 107 octets, and does not end in '/'")
    return values[0]


def networks(values: list[str]) -> list[str]:
    """As peers(), but no names."""
    found = peers(values)
    named = [one for one in found if is_name(one)]
    if named:
        raise ValueError(f"{named[0]} is a name: write addresses or networks")
    return found


def peers(values: list[str]) -> list[str]:
    """Networks, host names and domains, in canonical spelling."""
    return [pattern for value in values for pattern in patterns(value)]


def variables(values: list[str]) -> list[str]:
    """Variables with their values, each as NAME=value."""
    for value in values:
        if "=" not in value[1:]:
            raise ValueError(f"{value!r} is not of the form NAME=value")
    return values


def environment(items: list[str]) -> dict[str, str]:
    """Variables by name."""
    return {name: value for name, _, value in (item.partition("=") for item in items)}


def _rlimit(name: str, kind: Kind, about: str, key: str) -> Row:
    return Row(name, kind, about, restricts=True, field="rlimits", key=key, default=dict)


ROWS = (
    Row("id", text, "what this service is called in the log; its name unless given", default=""),
    Row("type", several(*TYPES), "what kind of service: UNLISTED is not in /etc/services", restricts=True,
        count=SOME, field="types", into=set, default=set),
    Row("flags", several(*FLAGS), "how to handle its connections", restricts=True, count=SOME, into=set,
        default=set),
    Row("disable", switch, "yes keeps the service from being started", restricts=True, default=False),
    Row("socket_type", sort, "stream, or dgram for datagrams", default=""),
    Row("protocol", choice("tcp", "udp", "tcp6", "udp6", "unix"), "tcp or udp, if not as usual for socket_type",
        default=""),
    Row("wait", switch, "yes: the server itself accepts connections, until it ends", default=False),
    Row("user", text, "whom the server runs as", restricts=True, default=""),
    Row("group", text, "its group, if not the user's own", restricts=True, default=""),
    Row("instances", limit, "how many servers at once", restricts=True, where=BOTH),
    Row("nice", figure(-20, 19), "priority of the server: 19 waits for everybody else", default=0),
    Row("server", path, "the program", default=""),
    Row("server_args", texts, "its arguments", count=SOME, default=list),
    Row("libwrap", text, "the name for /etc/hosts.allow and hosts.deny, if not the program's", restricts=True,
        default=""),
    Row("only_from", peers, "who may connect", restricts=True, count=ANY, where=BOTH, operators=CHANGES),
    Row("no_access", peers, "who may not connect", restricts=True, count=ANY, where=BOTH, operators=CHANGES,
        default=list),
    Row("access_times", hours, "when one may connect: hour:minute-hour:minute", restricts=True, count=SOME,
        default=list),
    Row("log_type", destination, "where to log: SYSLOG facility [priority], or FILE path [soft [hard limit]]",
        count=SOME, where=BOTH, default=("", "")),
    Row("log_on_success", several(*ON_SUCCESS), "what to log of a conversation", count=ANY, where=BOTH,
        operators=CHANGES, into=set, default=set),
    Row("log_on_failure", several(*ON_FAILURE), "what to log of a refusal", count=ANY, where=BOTH,
        operators=CHANGES, into=set, default=set),
    Row("rpc_version", None, "version of an RPC service"),
    Row("rpc_number", None, "number of an RPC service"),
    Row("env", variables, "variables for the server, NAME=value", count=ANY, operators=GROWS, into=environment,
        default=dict),
    Row("passenv", texts, "variables that the server inherits; all unless given", count=ANY, where=BOTH,
        operators=CHANGES),
    Row("port", figure(1, 65535), "its port, if not the one of /etc/services", default=0),
    Row("redirect", target, "host and port to forward connections to", restricts=True, count=2),
    Row("bind", place, "the address to listen on, or the path of a Unix socket", restricts=True, where=BOTH),
    Row("interface", place, "the same as bind", restricts=True, where=BOTH, field="bind"),
    Row("banner", path, "a file to send to everybody", where=BOTH, default=""),
    Row("banner_success", path, "a file to send to those who are let in", where=BOTH, default=""),
    Row("banner_fail", path, "a file to send to those who are not", where=BOTH, default=""),
    Row("per_source", limit, "how many servers at once for one address", restricts=True, where=BOTH),
    Row("cps", rate, "connections per second, and seconds to pause after more", restricts=True, count=2,
        where=BOTH, default=(50, 10)),
    Row("max_load", decimal, "the load from which on nobody is let in", restricts=True, where=BOTH, default=0.0),
    Row("groups", switch, "yes: the server has all groups of its user", where=BOTH, default=False),
    Row("mdns", switch, "yes: announce the service, which xinetd does on no Linux, and we nowhere", where=BOTH,
        default=False),
    Row("umask", mask, "permissions that new files never have, in octal", restricts=True, where=BOTH),
    Row("enabled", texts, "ids of the only services to start", restricts=True, count=ANY, where=DEFAULTS,
        operators=CHANGES),
    Row("disabled", texts, "ids of services not to start", restricts=True, count=ANY, where=DEFAULTS,
        operators=CHANGES),
    _rlimit("rlimit_as", amount, "octets of address space", "RLIMIT_AS"),
    _rlimit("rlimit_files", amount, "open files", "RLIMIT_NOFILE"),
    _rlimit("rlimit_cpu", limit, "seconds of processor time", "RLIMIT_CPU"),
    _rlimit("rlimit_data", amount, "octets of data", "RLIMIT_DATA"),
    _rlimit("rlimit_rss", amount, "octets of resident memory", "RLIMIT_RSS"),
    _rlimit("rlimit_stack", amount, "octets of stack", "RLIMIT_STACK"),
    Row("deny_time", minutes, "for how many minutes a SENSOR shuts somebody out, or FOREVER, or NEVER", restricts=True,
        default=0.0),
    Row("v6only", switch, "yes: a socket for IPv6 does not take IPv4", restricts=True, where=BOTH, default=False),
    # -- our additions --
    Row("stderr", choice("socket", "log"), "where the server's errors go: to the peer, or to the log",
        default="socket"),
    Row("pass", several("stdin", "listen_fds"), "how the server gets its socket: on descriptor 0, by LISTEN_FDS",
        count=SOME, field="passes", into=set, default=("stdin",)),
    Row("leaky_bucket", switch, "yes: callers over cps wait and are let in one by one at that rate, without a pause",
        restricts=True, where=BOTH, default=False),
    Row("max_time", duration, "for how long one server may run: 90, 5m, 2h", restricts=True, where=BOTH),
    Row("tls", switch, "yes: the caller speaks TLS from the first octet", restricts=True, default=False),
    Row("tls_cert", path, "the certificate for tls, with its chain", restricts=True, where=BOTH, default=""),
    Row("tls_key", path, "its key, if not in the same file", restricts=True, where=BOTH, default=""),
    Row("proxy_protocol", networks, "the proxies that tell in a PROXY header who calls", restricts=True, count=SOME,
        where=BOTH),
)
TABLE = {row.name: row for row in ROWS}
