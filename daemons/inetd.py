"""inetd: the foreground super-server that reads xinetd.d files (xinetd.conf(5)) and starts who is called."""

import sys

from daemons.kernel import access, inherited, log, sockopts, superserver
from daemons.kernel.options import Misuse
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
              "inetd --check /etc/xinetd.d/echo     only tell what is wrong, and what would run"))

FAMILIES = {"IPv4": 4, "IPv6": 6}
FLAG_OPTIONS = {"KEEPALIVE": "keepalive", "NODELAY": "nodelay"}


def setup(options):
    """Read the files; returns their entries.  What is wrong with a service disables it and is said."""
    if not options.operands:
        raise ValueError("which file? for example: inetd /etc/xinetd.conf")
    entries, errors = [], 0
    for path in options.operands:
        configuration = servicefiles.read(path)
        for problem in configuration.problems:
            errors += problem.severity == "error" or options.strict
            _say(options, problem)
        entries += configuration.services
    if options.action == "check":
        _report(entries)
    if errors and (options.strict or options.action == "check"):
        raise ValueError(f"{errors} error{'s' * (errors > 1)} in {' '.join(options.operands)}")
    return entries


def run(options, entries):
    """Serve until told to stop; returns the exit status."""
    server = superserver.SuperServer(plans(entries), lambda: _reread(options), options.grace)
    log.event("start", via=inherited.launcher(), model="inetd", listen=f"{len(server.plans)} services")
    why = server.run()
    log.event("stop", why=why, conversations=server.started)
    if why == "nothing":
        raise Misuse(f"no service to listen for in {' '.join(options.operands)}; see inetd --check")
    return 0


def _reread(options):
    try:
        return plans(setup(options))
    except (ValueError, OSError) as error:
        log.event("config", at=" ".join(options.operands), severity="error", text=f"not reloaded: {error}")
        return None


def plans(entries):
    """What the super-server is to do for each entry that is switched on and in order."""
    made = []
    for entry in entries:
        if entry.disable or entry.disabled_because is not None:
            continue
        try:
            made.append(plan(entry))
        except (LookupError, ValueError) as error:
            log.event("config", at=f"{entry.path}:{entry.line}", severity="error", text=f"{entry.id}: {error}")
    return made


def plan(entry):
    """One entry in the super-server's words; raises ValueError or LookupError for what cannot be kept here."""
    command = superserver.command(
        entry.server, entry.argv, user=entry.user, group=entry.group, env=entry.env, passenv=entry.passenv,
        stderr_to_log=entry.stderr == "log", umask=entry.umask, nice=entry.nice, rlimits=entry.rlimits)
    return superserver.Plan(
        entry.id, _where(entry), entry.socket_type, command, family=_family(entry), wait=entry.wait,
        only_from=None if entry.only_from is None else access.networks(" ".join(entry.only_from)),
        no_access=access.networks(" ".join(entry.no_access)),
        instances=entry.instances, per_source=entry.per_source, cps=entry.cps,
        options=sockopts.named(FLAG_OPTIONS[flag] for flag in sorted(entry.flags & set(FLAG_OPTIONS))),
        log_success=entry.log_on_success, log_failure=entry.log_on_failure)


def _where(entry):
    if entry.protocol == "unix":
        return entry.bind, None
    return entry.bind or "", entry.port


def _family(entry):
    """4 or 6 where the entry wants only one of them."""
    if entry.protocol.endswith("6"):
        return 6
    return next((FAMILIES[flag] for flag in entry.flags if flag in FAMILIES), None)


def _say(options, problem):
    if options.action == "check":
        sys.stdout.write(f"{problem}\n")
    else:
        log.event("config", at=f"{problem.path}:{problem.line}", severity=problem.severity, text=problem.text)


def _report(entries):
    """--check: what would run, and what would not, and why."""
    for entry in entries:
        state = f"off: {entry.disabled_because}" if entry.disabled_because else "off" if entry.disable else "on"
        where = entry.bind if entry.protocol == "unix" else f"{entry.bind or '*'}:{entry.port}"
        wait = "wait" if entry.wait else "nowait"
        sys.stdout.write(f"{entry.id:20} {entry.protocol:5} {where:24} {wait:7} {state}\n")


if __name__ == "__main__":
    main(SERVICE, setup=setup, run=run)
