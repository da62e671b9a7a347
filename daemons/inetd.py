"""inetd: the foreground super-server that reads xinetd.d files (xinetd.conf(5)) and starts who is called."""

import os
import sys
import time
from functools import cache

from daemons.kernel import access, handed, inherited, log, sockopts, spawn, superserver
from daemons.kernel.inherited import Nothing
from daemons.kernel.options import Misuse
from daemons.kernel.ports import Plan
from daemons.kernel.serve import main
from daemons.kernel.service import Option, Service
from daemons.kernel.values import count, path, seconds, switch, text
from daemons.stores import servicefiles
from daemons.stores.hostsfiles import HostsFiles, patterns
from daemons.stores.ourprograms import is_ours

SERVICE = Service(
    "inetd", sockets=(), operands="FILE ...",
    about="Listen for many services and start each one's program when it is called.",
    options=(Option("strict", switch, "no", "refuse to start when anything in the files is wrong"),
             Option("limit", count, None, "servers at once, of all services together"),
             Option("run", text, None, "start this one service on our own input and output, and end with it"),
             Option("dump", path, None, "where SIGUSR1 writes the state [the log]"),
             Option("hosts-allow", path, "/etc/hosts.allow", "who may come in, see hosts_access(5)"),
             Option("hosts-deny", path, "/etc/hosts.deny", "who may not"),
             Option("redirect-idle", seconds, "2h", "how long a redirected conversation may be silent"),
             Option("ident-port", count, "113", "where USERID asks who a caller is")),
    events=superserver.EVENTS,
    examples=("inetd /etc/xinetd.conf              run what xinetd would run",
              "inetd --check /etc/xinetd.d/echo     only tell what is wrong, and what would run",
              "inetd --run=finger /etc/xinetd.conf  hold one conversation with a service, here"),
    description="Stays in the foreground, listens for many services, and starts each one's program when it is called, "
                "as xinetd does and with the same files: /etc/xinetd.conf and what it includes, single files of "
                "xinetd.d, or an inetd.conf. It is meant for containers and for machines without another launcher.\n\n"
                "What a file asks for and cannot be kept is said with file and line; a service whose restriction is "
                "not understood is not started. SIGHUP has it read its files again: what is unchanged goes on "
                "undisturbed. SIGUSR1 tells its state; SIGUSR2 forgets whom sensors shut out. SIGTERM ends "
                "it, and lets conversations finish within --grace; SIGQUIT ends it and leaves them alone.")

FAMILIES = {"IPv4": 4, "IPv6": 6}
FLAG_OPTIONS = {"KEEPALIVE": "keepalive", "NODELAY": "nodelay"}
ANSWERING = 10.0        # seconds that an ident server has
NOBODY = "nobody"       # who internal services are, unless the file says it
LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
START = "import sys; sys.path.append({!r}); from daemons.kernel.launch import launch; launch({!r})"


def setup(options):
    """Read the files.  What is wrong with a service disables it and is said; --check says it, and is all."""
    if not options.operands:
        raise ValueError("which file? for example: inetd /etc/xinetd.conf")
    configurations = [servicefiles.read(path) for path in options.operands]
    if options.action == "explain":
        sys.stdout.write(f"launched by {inherited.launcher()}, running as user {os.geteuid()}; it would do this:\n")
    if options.action in ("check", "explain"):
        raise SystemExit(check(configurations, options))
    problems = [problem for one in configurations for problem in one.problems]
    for problem in problems:
        _log(problem.at, problem.severity, problem.text)
    if problems and options.strict:
        raise ValueError(f"--strict, and {_count(len(problems), 'problem')} in {_files(options)}: "
                         f"the first is {problems[0]}")
    return configurations


def run(options, configurations):
    """Serve until told to stop; returns the exit status."""
    began, (made, refused) = time.monotonic(), plans(configurations, options)
    if options.run is not None:
        return _run_one(options, made)
    if refused and options.strict:
        raise Misuse(f"--strict, and {', '.join(sorted(refused))} cannot run")
    if not made:
        raise Misuse(f"no service to run in {_files(options)}; for the reasons: inetd --check {_files(options)}")
    given = handed.handed("own", lambda text: log.event("warning", text=text))
    server = superserver.SuperServer(made, lambda: _reread(options), options.grace, handed=given,
                                     limit=options.limit, dump=options.dump)
    log.event("start", via=inherited.launcher(), model="inetd", listen=_count(len(made), "service"))
    why = server.run()
    log.event("stop", why=why, seconds=f"{time.monotonic() - began:.3f}", conversations=server.servers.started)
    if why == "nothing":
        raise Nothing(f"none of {_count(len(made), 'service')} could listen; the log says why")
    return 0


def _run_one(options, made):
    """--run: one conversation with one service."""
    from daemons.kernel import byhand
    plan = next((plan for plan in made if plan.name == options.run), None)
    if plan is None:
        raise Misuse(f"--run={options.run}: no service with this id can run here; there are "
                     f"{', '.join(plan.name for plan in made) or 'none'}")
    if plan.sort == "dgram" or plan.choose or plan.trap is not None:
        raise Misuse(f"--run={options.run}: this service holds no conversations")
    return byhand.run(plan)


def _reread(options):
    """The plans of the files as they are now, and who keeps the plan it has; None if all do."""
    try:
        configurations = setup(options)
        damaged = next((one.damaged for one in configurations if one.damaged), None)
        if damaged:
            raise ValueError(damaged)
    except (ValueError, OSError) as error:
        _log(_files(options), "error", f"not reloaded, all services stay as they are: {error}")
        return None
    return plans(configurations, options)


def plans(configurations, options):
    """What the super-server is to do, and the names of services that are wanted but not in order."""
    made, refused = [], set()
    maker = Maker(options, configurations)
    for entry in [entry for one in configurations for entry in one.services if entry.wanted]:
        plan, why = maker.planned(entry)
        if plan is not None:
            made.append(plan)
        else:
            refused.add(entry.id)
            if why != entry.disabled_because:           # else it has been said
                _log(f"{entry.path}:{entry.line}", "error", f"{entry.id}: {why}")
    return made, refused - {plan.name for plan in made}


class Maker:
    """Turns entries of the files into the super-server's words."""

    def __init__(self, options, configurations):
        self.options = options
        self.hosts = HostsFiles(options.hosts_allow, options.hosts_deny)
        self.muxed = {entry.name.lower(): entry for one in configurations for entry in one.services
                      if entry.is_muxed and entry.disabled_because is None}
        self.log_file = cache(_log_file)                # services may share one

    def planned(self, entry):
        """One entry as a Plan, or why it cannot be kept here."""
        if entry.disabled_because is not None:
            return None, entry.disabled_because
        try:
            return self._plan(entry), ""
        except ValueError as error:
            return None, str(error)

    def _plan(self, entry):
        where = (entry.bind, None) if entry.protocol == "unix" else (entry.bind or "", entry.port)
        to_file = entry.log_type if not isinstance(entry.log_type, tuple) else None
        return Plan(
            entry.id, None if entry.is_muxed else where, entry.socket_type, self._command(entry),
            family=_family(entry), wait=entry.wait,
            only_from=None if entry.only_from is None else access.networks(" ".join(entry.only_from)),
            no_access=access.networks(" ".join(entry.no_access)), hours=entry.access_times, max_load=entry.max_load,
            instances=entry.instances, per_source=entry.per_source, cps=entry.cps, leaky=entry.leaky_bucket,
            max_time=entry.max_time, checks=self._checks(entry), identify=self._identify(entry),
            identified="IDONLY" in entry.flags, trap=entry.deny_time * 60 if entry.is_sensor else None,
            choose=self._choose if entry.internal == "tcpmux" else None,
            banners=(entry.banner, entry.banner_success, entry.banner_fail),
            options=sockopts.named(FLAG_OPTIONS[flag] for flag in entry.flags & set(FLAG_OPTIONS)),
            log_success=entry.log_on_success, log_failure=entry.log_on_failure,
            log_place=("", "") if to_file else entry.log_type,
            log_file=to_file and self.log_file(to_file.path, to_file.soft, to_file.hard))

    def _command(self, entry):
        """What is started: a program, one of ours, or work of the super-server's own."""
        program, arguments, work = entry.server, entry.argv, None
        user = entry.user
        if entry.redirect:
            from daemons.kernel import forward
            host, port = entry.redirect
            program, arguments, work = "redirect", ["redirect", host, str(port)], forward.to(
                host, port, self.options.redirect_idle)
        elif entry.is_sensor or entry.internal == "tcpmux":
            program, arguments = entry.internal or "sensor", [entry.internal or "sensor"]
        elif entry.internal:
            program = sys.executable            # whole, as a Python finds its library by its argv[0]
            arguments = [program, "-I", "-S", "-c", START.format(LIBRARY, entry.internal), *entry.server_args]
            user = user or (NOBODY if os.geteuid() == 0 else "")
        elif (entry.tls or entry.proxy_protocol) and not is_ours(entry.server):
            work = self._behind(entry)
        return spawn.command(
            program, arguments + _options_for_ours(entry), user=user, group=entry.group, env=entry.env,
            passenv=entry.passenv, umask=entry.umask, nice=entry.nice, rlimits=entry.rlimits,
            keeps_errors=entry.stderr == "log", all_groups=entry.groups, passes=frozenset(entry.passes),
            fd_name=entry.id if entry.wait else "connection", work=work)

    def _behind(self, entry):
        """The work of standing before a server of somebody else's: a proxy's header and TLS are for us to read."""
        from daemons.kernel import forward, front
        if entry.wait:
            raise ValueError(f"{'tls' if entry.tls else 'proxy_protocol'} needs wait = no, or a server of fd0's own")
        try:
            prepare = front.front(entry.id, ",".join(entry.proxy_protocol or ()), entry.tls_cert, entry.tls_key)
        except Misuse as error:
            raise ValueError(str(error)) from None
        server = spawn.Command(entry.server, entry.argv, {}, keeps_errors=entry.stderr == "log")
        return forward.behind(prepare, server, self.options.redirect_idle)

    def _checks(self, entry):
        """libwrap, as Debian's xinetd asks it for every service that does not say NOLIBWRAP."""
        if "NOLIBWRAP" in entry.flags or entry.wait or entry.protocol == "unix" or entry.is_sensor:
            return ()
        usual = entry.name if entry.redirect or entry.internal else entry.argv[0].rpartition("/")[2] if (
            "NAMEINARGS" in entry.flags) else entry.server.rpartition("/")[2]
        return (Wrapped(self.hosts, entry.libwrap or usual, self._ask),)

    def _identify(self, entry):
        wanted = "IDONLY" in entry.flags or "USERID" in entry.log_on_success | entry.log_on_failure
        return self._ask if wanted else None

    def _ask(self, peer, local):
        """Who the caller says he is (RFC 1413), or nothing."""
        from daemons.kernel import dial, ends
        from daemons.wire import identlines
        if not peer.host:
            return ""
        try:
            stream = dial.call(peer.host, self.options.ident_port, seconds=ANSWERING, patience=ANSWERING,
                               source=local.host.partition("%")[0] or None)
            stream.say(identlines.query(peer.port, local.port))
            reply = identlines.parse(stream.line(identlines.LIMIT))
        except (ends.End, ValueError):          # nobody there, or nobody that makes sense: he has not said who he is
            return ""
        return reply.user.decode("utf-8", "surrogateescape")

    def _choose(self, line):
        """Which service a caller of tcpmux means, and what he is told if he is let in, and if not."""
        from daemons.wire import tcpmux
        name = tcpmux.wanted(line)
        if name == tcpmux.HELP:
            return "", b"", tcpmux.listed(sorted(entry.name for entry in self.muxed.values()))
        entry = self.muxed.get(name)
        if entry is None:
            return "", b"", tcpmux.NO
        return entry.id, tcpmux.YES if "TCPMUXPLUS" in entry.types else b"", tcpmux.NO


class Wrapped:
    """What /etc/hosts.allow and hosts.deny say of a caller."""

    def __init__(self, files, daemon, ask):
        self.files, self.daemon, self.ask = files, daemon, ask

    def needed(self):
        """Is there any rule?"""
        return not self.files.are_empty()

    def why_not(self, peer, local):
        """The word for why not, or nothing."""
        from daemons.kernel import dial
        from daemons.wire.hostsaccess import UNKNOWN, Caller
        host = peer.host.partition("%")[0]
        why = self.files.why_not(Caller(
            self.daemon, host, local.host.partition("%")[0], name=lambda: dial.claimed_name(host),
            user=lambda: self.ask(peer, local) or UNKNOWN, patterns=patterns))
        return f"libwrap ({why})" if why else ""


def _options_for_ours(entry):
    """What a program of fd0's does itself, as its options."""
    wanted = []
    if not entry.internal and not is_ours(entry.server):
        return wanted
    if entry.tls:
        wanted += ["--tls=implicit", f"--tls-cert={entry.tls_cert}"]
        wanted += [f"--tls-key={entry.tls_key}"] if entry.tls_key else []
    if entry.proxy_protocol:
        wanted.append(f"--proxy-protocol={','.join(entry.proxy_protocol)}")
    return wanted


def _log_file(path, soft, hard):
    from daemons.kernel.logfile import LogFile
    return LogFile(path, soft, hard, lambda text: log.event("logfile", text=text))


def _family(entry):
    """4 or 6 where the entry wants only one of them."""
    if entry.protocol.endswith("6") or entry.v6only:
        return 6
    return next((FAMILIES[flag] for flag in sorted(entry.flags) if flag in FAMILIES), None)


def check(configurations, options):
    """--check: say what is wrong, and what would run; returns the exit status."""
    severities = []
    for problem in [problem for one in configurations for problem in one.problems]:
        sys.stdout.write(f"{problem}\n")
        severities.append(problem.severity)
    running, maker = 0, Maker(options, configurations)
    for entry in [entry for one in configurations for entry in one.services]:
        plan, why = maker.planned(entry)
        running += plan is not None
        if plan is None and entry.wanted and why != entry.disabled_because:
            severities.append("error")
        state = f"{_where(entry)}: {_what(entry)}" if plan else f"{'refused' if entry.wanted else 'off'}: {why}"
        sys.stdout.write(f"{entry.id:20} {state}\n")
    errors, warnings = severities.count("error"), severities.count("warning")
    sys.stdout.write(f"{_count(running, 'service')} would run; {_count(errors, 'error')}, "
                     f"{_count(warnings, 'warning')}\n")
    return 100 if errors or (options.strict and warnings) else 0


def _where(entry):
    if entry.is_muxed:
        return f"tcpmux {entry.name}"
    return entry.bind if entry.protocol == "unix" else f"{entry.protocol} {entry.bind or '*'}:{entry.port}"


def _what(entry):
    if entry.redirect:
        return f"to [{entry.redirect[0]}]:{entry.redirect[1]}, as {entry.user}"
    if entry.is_sensor or entry.internal == "tcpmux":
        return "sensor" if entry.is_sensor else entry.internal
    what = " ".join([entry.internal or entry.server, *entry.argv[1:]])
    return f"{what}, as {entry.user or NOBODY}"


def _log(at, severity, text):
    log.event("config", None, ("", "err" if severity == "error" else ""), at=at, severity=severity, text=text)


def _count(number, noun):
    return f"{number} {noun}{'s' * (number != 1)}"


def _files(options):
    return " ".join(options.operands)


if __name__ == "__main__":
    main(SERVICE, setup=setup, run=run)
