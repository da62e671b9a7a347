"""inetd: the foreground super-server that reads xinetd.d files (xinetd.conf(5)) and starts who is called."""

import os
import sys
import time

from daemons.kernel import access, inherited, log, sockopts, spawn, superserver
from daemons.kernel.inherited import Nothing
from daemons.kernel.options import Misuse
from daemons.kernel.ports import Plan
from daemons.kernel.serve import main
from daemons.kernel.service import Option, Service
from daemons.kernel.values import switch
from daemons.stores import servicefiles

SERVICE = Service(
    "inetd", sockets=(), operands="FILE ...",
    about="Listen for many services and start each one's program when it is called.",
    options=(Option("strict", switch, "no", "refuse to start when anything in the files is wrong"),),
    events=superserver.EVENTS,
    examples=("inetd /etc/xinetd.conf              run what xinetd would run",
              "inetd --check /etc/xinetd.d/echo     only tell what is wrong, and what would run"),
    description="Stays in the foreground, listens for many services, and starts each one's program when it is called, "
                "as xinetd does and with the same files: /etc/xinetd.conf and what it includes, single files of "
                "xinetd.d, or an inetd.conf. It is meant for containers and for machines without another launcher.\n\n"
                "What a file asks for and cannot be kept is said with file and line; a service whose restriction is "
                "not understood is not started. SIGHUP has it read its files again: what is unchanged goes on "
                "undisturbed. SIGTERM ends it, and lets conversations finish within --grace.")

FAMILIES = {"IPv4": 4, "IPv6": 6}
FLAG_OPTIONS = {"KEEPALIVE": "keepalive", "NODELAY": "nodelay"}


def setup(options):
    """Read the files.  What is wrong with a service disables it and is said; --check says it, and is all."""
    if not options.operands:
        raise ValueError("which file? for example: inetd /etc/xinetd.conf")
    configurations = [servicefiles.read(path) for path in options.operands]
    if options.action == "explain":
        sys.stdout.write(f"launched by {inherited.launcher()}, running as user {os.geteuid()}; it would do this:\n")
    if options.action in ("check", "explain"):
        raise SystemExit(check(configurations, options.strict))
    problems = [problem for one in configurations for problem in one.problems]
    for problem in problems:
        _log(problem.at, problem.severity, problem.text)
    if problems and options.strict:
        raise ValueError(f"--strict, and {_count(len(problems), 'problem')} in {_files(options)}: "
                         f"the first is {problems[0]}")
    return configurations


def run(options, configurations):
    """Serve until told to stop; returns the exit status."""
    began, (made, refused) = time.monotonic(), plans(configurations)
    if refused and options.strict:
        raise Misuse(f"--strict, and {', '.join(sorted(refused))} cannot run")
    if not made:
        raise Misuse(f"no service to run in {_files(options)}; for the reasons: inetd --check {_files(options)}")
    server = superserver.SuperServer(made, lambda: _reread(options), options.grace)
    log.event("start", via=inherited.launcher(), model="inetd", listen=_count(len(made), "service"))
    why = server.run()
    log.event("stop", why=why, seconds=f"{time.monotonic() - began:.3f}", conversations=server.started)
    if why == "nothing":
        raise Nothing(f"none of {_count(len(made), 'service')} could listen; the log says why")
    return 0


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
    return plans(configurations)


def plans(configurations):
    """What the super-server is to do, and the names of services that are wanted but not in order."""
    made, refused = [], set()
    for entry in [entry for one in configurations for entry in one.services if entry.wanted]:
        plan, why = planned(entry)
        if plan is not None:
            made.append(plan)
        else:
            refused.add(entry.id)
            if why != entry.disabled_because:           # else it has been said
                _log(f"{entry.path}:{entry.line}", "error", f"{entry.id}: {why}")
    return made, refused - {plan.name for plan in made}


def planned(entry):
    """One entry in the super-server's words, or why it cannot be kept here."""
    if entry.disabled_because is not None:
        return None, entry.disabled_because
    try:
        return _plan(entry), ""
    except ValueError as error:
        return None, str(error)


def _plan(entry):
    command = spawn.command(
        entry.server, entry.argv, user=entry.user, group=entry.group, env=entry.env, passenv=entry.passenv,
        umask=entry.umask, nice=entry.nice, rlimits=entry.rlimits, keeps_errors=entry.stderr == "log")
    where = (entry.bind, None) if entry.protocol == "unix" else (entry.bind or "", entry.port)
    return Plan(
        entry.id, where, entry.socket_type, command, family=_family(entry), wait=entry.wait,
        only_from=None if entry.only_from is None else access.networks(" ".join(entry.only_from)),
        no_access=access.networks(" ".join(entry.no_access)),
        instances=entry.instances, per_source=entry.per_source, cps=entry.cps,
        options=sockopts.named(FLAG_OPTIONS[flag] for flag in entry.flags & set(FLAG_OPTIONS)),
        log_success=entry.log_on_success, log_failure=entry.log_on_failure, log_place=entry.log_type)


def _family(entry):
    """4 or 6 where the entry wants only one of them."""
    if entry.protocol.endswith("6"):
        return 6
    return next((FAMILIES[flag] for flag in sorted(entry.flags) if flag in FAMILIES), None)


def check(configurations, strict):
    """--check: say what is wrong, and what would run; returns the exit status."""
    severities = []
    for problem in [problem for one in configurations for problem in one.problems]:
        sys.stdout.write(f"{problem}\n")
        severities.append(problem.severity)
    running = 0
    for entry in [entry for one in configurations for entry in one.services]:
        plan, why = planned(entry)
        running += plan is not None
        if plan is None and entry.wanted and why != entry.disabled_because:
            severities.append("error")
        where = entry.bind if entry.protocol == "unix" else f"{entry.protocol} {entry.bind or '*'}:{entry.port}"
        what = " ".join([entry.server, *entry.argv[1:]])
        state = f"{where}: {what}, as {entry.user}" if plan else f"{'refused' if entry.wanted else 'off'}: {why}"
        sys.stdout.write(f"{entry.id:20} {state}\n")
    errors, warnings = severities.count("error"), severities.count("warning")
    sys.stdout.write(f"{_count(running, 'service')} would run; {_count(errors, 'error')}, "
                     f"{_count(warnings, 'warning')}\n")
    return 100 if errors or (strict and warnings) else 0


def _log(at, severity, text):
    log.event("config", None, ("", "err" if severity == "error" else ""), at=at, severity=severity, text=text)


def _count(number, noun):
    return f"{number} {noun}{'s' * (number != 1)}"


def _files(options):
    return " ".join(options.operands)


if __name__ == "__main__":
    main(SERVICE, setup=setup, run=run)
