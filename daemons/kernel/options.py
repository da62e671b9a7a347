"""Values for a declaration's options: command line, environment, files, defaults - the first that speaks wins.

    echod --timeout=30                  command line (in xinetd: server_args)
    FD0_ECHOD_TIMEOUT=30                environment
    timeout = 30                        /etc/fd0/echod.conf, then /etc/fd0/common.conf, or --config=FILE

Whatever is wrong is a `Misuse` that says where it stands and what may have been meant.
"""

import os
import stat
from collections.abc import Container, Iterable, Mapping

from . import log, sockopts
from .service import Option, Service
from .values import (
    choice,
    count,
    linger,
    number,
    path,
    paths,
    place,
    processes,
    seconds,
    several,
    size,
    switch,
    tag,
    text,
    words,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .access import Pattern
    from .accesstimes import Window
    from .proxied import Proxies

FOLDER = "/etc/fd0"
ACTIONS = {"help": "print this page", "version": "print the version", "check": "only check options and files",
           "explain": "tell how the program believes it was launched"}


class Misuse(Exception):
    """Options, files or descriptors are wrong in a way that only the administrator can mend: exit status 100."""


def networks(text: str) -> "list[Pattern]":
    """Networks, addresses and names that access rules may list."""
    from . import access  # loaded only where somebody restricts access
    return access.networks(text)


def hours(text: str) -> "list[Window]":
    """Windows of the day."""
    from . import accesstimes
    return accesstimes.windows(text)


def proxies(text: str) -> "Proxies":
    """The proxies' networks."""
    from . import proxied
    return proxied.proxies(text)


def listens(text: str) -> list[tuple[str, int | None]]:
    """Addresses to listen at."""
    from .listening import listen  # a launched program binds nothing
    return [listen(word) for word in words(text)]


networks.__name__, listens.__name__ = "networks", "address:port,..."
hours.__name__, proxies.__name__ = "hh:mm-hh:mm,...", "networks|unix"

LAUNCH = (
    Option("listen", listens, None, "bind here when no launcher gave us a socket: 127.0.0.1:7007, :7, unix:/run/x"),
    Option("listen-fds", choice("own", "always"), "own", "believe LISTEN_FDS only if it names us, or always"),
    Option("detach", switch, "no", "with --listen: go to the background as a daemon"),
    Option("pid-file", path, None, "with --detach: write the process id here"),
    Option("user", text, None, "with --listen: become this user once the port is bound"),
    Option("group", text, None, "with --listen: become this group (default: the user's)"),
    Option("chroot", path, None, "with --listen: make this directory the root"),
    Option("config", path, None, f"read this file instead of those in {FOLDER}"),
)
SERVING = (
    Option("model", choice("one", "fork", "thread"), None, "serve a listener one by one, in processes or in threads"),
    Option("processes", processes, "1", "processes that share a listener or datagram socket"),
    Option("max", count, "1000", "conversations at once; more wait in the kernel's queue"),
    Option("per-source", count, None, "conversations at once from one IPv4 address or IPv6 /64"),
    Option("rate", count, None, "conversations or datagrams a second from one source"),
    Option("idle", linger, "60", "exit after this time without a conversation (not with --listen)"),
    Option("timeout", seconds, None, "longest wait for one line, block or write"),
    Option("timeout-crowded", seconds, None, "the same for those who come while nine tenths of --max are here"),
    Option("session", seconds, None, "longest conversation"),
    Option("grace", seconds, "30", "time that conversations get to finish after SIGTERM or SIGHUP"),
    Option("low-ports", choice("ignore", "answer"), "ignore", "datagrams from ports below 1024, where servers live"),
    Option("names", switch, "no", "look up and confirm the peer's name for the log"),
)
TLS = (
    Option("tls-cert", paths, None, "certificates, each a PEM file with its chain; the first for unknown names"),
    Option("tls-key", paths, None, "their private keys, in any order (default: in the files of certificates)"),
    Option("tls-min", choice("1.2", "1.3"), "1.2", "oldest version that is spoken"),
    Option("tls-ca", path, None, "PEM file of the authorities for clients' certificates"),
    Option("tls-clients", choice("no", "ask", "require"), "no", "whether clients must show a certificate"),
    Option("tls", choice("auto", "implicit", "offer", "no"), "auto", "from the first octet, or by a command"),
    Option("tls-timeout", seconds, "10", "longest handshake"),
)
ACCESS = (
    Option("only-from", networks, None, "talk to these only"),
    Option("no-access", networks, None, "do not talk to these"),
    Option("access-times", hours, None, "talk at these times of the day: 08:00-18:00,22:00-02:00"),
    Option("proxy-protocol", proxies, None, "networks (or unix) of proxies, which begin with a PROXY header"),
)
LIMITS = (
    Option("limits", place, None,
           "count in /run/fd0/limits (default; listeners without it count alone), alone, or in PATH"),
    Option("limit-group", tag, None, "count together with all programs that name this group"),
    Option("penalty-exempt", networks, None, "networks whose failed logins slow nobody down"),
)
SANDBOX = (
    Option("sandbox", choice("auto", "on", "off", "strict"), "auto",
           "close ourselves in: when serving a listener, always, never, or else fail"),
    # xinetd's names, and those it has not
    Option("rlimit-as", size, None, "octets of address space for each process"),
    Option("rlimit-cpu", number, None, "seconds of processor time for each process"),
    Option("rlimit-data", size, None, "octets of data for each process"),
    Option("rlimit-stack", size, None, "octets of stack for each process"),
    Option("rlimit-nofile", number, None, "open descriptors of each process"),
    Option("rlimit-nproc", number, None, "processes and threads of the user that it runs as"),
    Option("rlimit-fsize", size, None, "octets of the longest file that it may write"),
    Option("rlimit-core", size, None, "octets of a core dump"),
)
LOGGING = (
    Option("facility", choice(*log.FACILITIES), None, "syslog facility"),
    Option("priority", choice(*log.PRIORITIES), "info", "least important priority still logged"),
    Option("ident", text, None, "name in the log"),
    Option("logopt", several(*log.OPTIONS), "pid", "openlog(3) options"),
    Option("log", text, "syslog", "where to log: syslog, stderr, or the path of a syslog socket"),
)
Groups = tuple[tuple[str, tuple[Option, ...]], ...]
GENERAL: Groups = (("Launch", LAUNCH), ("Serving", SERVING), ("TLS", TLS), ("Access", ACCESS), ("Limits", LIMITS),
                   ("Socket", sockopts.OPTIONS), ("Sandbox", SANDBOX), ("Log", LOGGING))


class Options:
    """The values, as attributes; `sources` tells where each one that was set came from."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.action: str | None = None
        self.operands: list[str] = []
        self.sources: dict[str, str] = {}
        self.learnt: list[str] = []     # paths that setup() found in the program's own files: to be read later, too
        self.written: list[str] = []    # and such as are to be written
        self.absent: list[str] = []     # files that it can do without for now
        self.stack = 0                  # octets of stack that each thread must have at least
        for option in [*(one for _, group in GENERAL for one in group), *known(service).values()]:
            setattr(self, option.attribute, None)       # what the kernel asks for, though a program may not have it

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any: ...        # a value for each option that was declared

    def set(self, option: Option, value: str, where: str, taken: Container[str] = ()) -> None:
        """Give an option its value from text, unless a place that goes first has `taken` it; of two the last wins."""
        if option.name in taken:
            return
        try:
            setattr(self, option.attribute, option.kind(value))
        except ValueError as error:
            raise Misuse(f"{where}: {option.name}: {error}") from None
        self.sources[option.name] = where

    def naming(self, path: object) -> str:
        """Where an option that names this file, or one above or in it, was set, as messages begin; "" if none does."""
        for name, option in known(self.service).items():
            value = getattr(self, option.attribute)
            if isinstance(value, str) and value[:1] == "/" and (
                    f"{path}/".startswith(f"{value.rstrip('/')}/") or value.rpartition("/")[0] == path):
                return f"{self.sources[name]}: {name}: " if name in self.sources else f"--{name}: "
        return ""


def groups(service: Service) -> Groups:
    """The general options that a program takes: one that serves no socket has no use for most."""
    if service.sockets:
        return GENERAL
    few = tuple(option for option in (*LAUNCH, *SERVING) if option.name in ("config", "grace"))
    return (("Serving", few), *((("Sandbox", SANDBOX),) if service.standing else ()), ("Log", LOGGING))


def known(service: Service) -> dict[str, Option]:
    """Every option of a program by name: the general ones and its own, with its own defaults."""
    rows = {option.name: option for _, group in groups(service) for option in group}
    for option in service.options:
        rows[option.name] = option
    for name, default in {"facility": service.facility, "ident": service.name, **service.defaults}.items():
        rows[name] = Option(name, rows[name].kind, default, rows[name].about)
    return rows


def read(service: Service, arguments: Iterable[str], environ: Mapping[str, str]) -> Options:
    """Options from all four places; raises Misuse."""
    options, rows = Options(service), known(service)
    _read_arguments(options, rows, arguments)
    if options.action in ("help", "version"):
        return options
    _read_environment(options, rows, environ)
    if options.config:
        _read_file(options, rows, options.config, True)
    else:
        _read_file(options, rows, f"{FOLDER}/{service.name}.conf", False)
        _read_file(options, rows, f"{FOLDER}/common.conf", False)
    for option in rows.values():
        if option.default is not None and option.name not in options.sources:
            setattr(options, option.attribute, option.kind(option.default))
    if options.log not in ("syslog", "stderr") and not options.log.startswith("/"):
        raise Misuse(f"{options.sources['log']}: log: must be syslog, stderr or an absolute path, not {options.log!r}")
    _read_tls(options)
    return options


def _read_tls(options: Options) -> None:
    """TLS is asked for as a whole or not at all: half of it would be none, and nobody would notice."""
    given = {name: where for name, where in options.sources.items() if name.startswith("tls")}
    if not given or options.tls == "no":
        return
    name, where = next(iter(given.items()))
    if not options.tls_cert:
        raise Misuse(f"{where}: {name}: there is no TLS without a certificate; say --tls-cert=FILE, or --tls=no")
    if options.tls_clients != "no" and not options.tls_ca:
        raise Misuse(f"{given['tls-clients']}: tls-clients: whose certificates are good? say --tls-ca=FILE")
    if options.tls_ca and options.tls_clients == "no":
        raise Misuse(f"{given['tls-ca']}: tls-ca: no client is asked for a certificate; "
                     "say --tls-clients=require, or ask")


def _read_arguments(options: Options, rows: dict[str, Option], arguments: Iterable[str]) -> None:
    arguments = list(arguments)
    while arguments:
        word = arguments.pop(0)
        if word in ("-h", "-?"):
            word = "--help"
        if not word.startswith("--"):
            _operand(options, word)
            continue
        name, equals, value = word[2:].partition("=")
        if name in ACTIONS and not equals:
            options.action = name
            continue
        option = rows.get(name) or _unknown(name, [*rows, *ACTIONS], "command line: no option --{}", "--")
        if not equals:
            value = _next_value(option, arguments)
        options.set(option, value, "command line")


def _next_value(option: Option, arguments: list[str]) -> str:
    """The value of `--name value`; a switch that stands alone means yes."""
    if option.kind is switch and (not arguments or arguments[0] not in ("yes", "no")):
        return "yes"
    if not arguments:
        raise Misuse(f"command line: --{option.name} needs a value")
    return arguments.pop(0)


def _operand(options: Options, word: str) -> None:
    if not options.service.operands:
        raise Misuse(f"command line: {word!r} is not an option (options look like --name=value)")
    options.operands.append(word)


def _read_environment(options: Options, rows: dict[str, Option], environ: Mapping[str, str]) -> None:
    prefix, taken = f"FD0_{options.service.name.upper()}_", set(options.sources)
    for variable, value in environ.items():
        if variable.startswith(prefix):
            name = variable[len(prefix):].lower().replace("_", "-")
            option = rows.get(name) or _unknown(name, rows, f"environment: {variable}: no option {{}}")
            options.set(option, value, f"environment, {variable}", taken)


def _read_file(options: Options, rows: dict[str, Option], name: str, required: bool) -> None:
    try:
        with open(name, encoding="utf-8", errors="surrogateescape") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & 0o002:
                raise Misuse(f"{name}: anybody may write to this file; say chmod o-w {name}")
            lines = file.read().split("\n")
    except FileNotFoundError:
        if required:
            raise Misuse(f"{name}: no such file") from None
        return
    except OSError as error:
        raise Misuse(f"{name}: {error.strerror}") from None
    general = {option.name for _, group in GENERAL for option in group} if name.endswith("/common.conf") else set()
    taken = set(options.sources)
    for number_, line in enumerate(lines, 1):
        line, where = line.strip(), f"{name}:{number_}"
        if not line or line.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise Misuse(f"{where}: not a line of the form name = value: {line!r}")
        if general and key in rows and key not in general:
            raise Misuse(f"{where}: {key} is not an option of every program; it belongs in {FOLDER}/PROGRAM.conf")
        if key in general and key not in rows:
            continue                    # this program serves no socket, and has no use for it
        option = rows.get(key) or _unknown(key, general or rows, f"{where}: no option {{}}")
        options.set(option, value, where, taken)


def _unknown(name: str, candidates: Iterable[str], sentence: str, dashes: str = "") -> "NoReturn":
    from difflib import get_close_matches  # only on the way out
    near = get_close_matches(name, [one for one in candidates if one[:1] == name[:1]], 1)
    hint = f" (did you mean {dashes}{near[0]}?)" if near else "; see --help"
    raise Misuse(sentence.format(name) + hint)


def help_page(service: Service) -> str:
    """What --help prints."""
    rows = known(service)
    rfcs = f" ({', '.join(f'RFC {number_}' for number_ in service.rfcs)})" if service.rfcs else ""
    lines = [f"{service.name}: {service.about}{rfcs}", "", f"usage: {service.name} [--option=value ...] "
             + service.operands, "",
             *(["Launched by inetd, xinetd, systemd or a person; what is on descriptor 0 decides how it serves.", ""]
               if service.sockets else [])]
    own = [(f"Options of {service.name}", service.options)] if service.options else []
    for title, group in [*own, *groups(service)]:
        lines.append(f"{title}:")
        for option in group:
            option = rows[option.name]
            default = f" [{option.default}]" if option.default is not None else ""
            kind = option.kind.__name__
            head = f"  --{option.name}={kind}"
            if len(head) > 32:
                head = f"  --{option.name}=..."
                default = f" ({kind.replace('|', ' ')}){default}" if len(kind) < 30 else default
            lines.append(f"{head:32} {option.about}{default}")
        lines.append("")
    lines.append("Instead of serving:")
    lines += [f"  --{name:28}  {about}" for name, about in ACTIONS.items()]
    lines += ["", "Times: 90, 30s, 5m, 2h.  Sizes: 4096, 64K, 10M.  The same names work in the environment",
              f"(FD0_{service.name.upper()}_TIMEOUT=30) and, as 'timeout = 30', in {FOLDER}/{service.name}.conf",
              f"and {FOLDER}/common.conf.", ""]
    if service.examples:
        lines += ["Examples:", *(f"  {example}" for example in service.examples), ""]
    lines += ["Exit status: 0 done, 100 wrong option or file, 111 something is missing now; try again later."]
    return "\n".join(line.rstrip() for line in lines) + "\n"


