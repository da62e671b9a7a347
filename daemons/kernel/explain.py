"""--explain: how the program believes it was launched.  Half of all questions about inetd end here."""

import os
import sys
import time

from . import descriptors, log, sockopts
from .conversation import Program
from .inherited import CONNECTION, PIPES, TERMINAL, Given
from .options import Options


def explain(program: Program, given: list[Given]) -> bool:
    """Tell a person, or the log where the client is listening; True if that was all there is to do."""
    lines = findings(program, given)
    for what, value in lines:
        log.event("explain", what=what, is_=value)
    page = "".join(f"{what:12} {value}\n" for what, value in lines)
    by_hand = given[0].kind == TERMINAL or any(one.ours for one in given)
    out = descriptors.errors
    if by_hand:
        out = 2 if given[0].kind in (TERMINAL, PIPES) else 1
    if out is not None:
        os.write(out, page.encode("utf-8", "backslashreplace"))
    return by_hand


def findings(program: Program, given: list[Given]) -> list[tuple[str, str]]:
    """What is known, as (what, value) pairs in the order in which a person asks."""
    options = program.options
    lines = [("program", f"{program.service.name}: {program.service.about}")]
    lines += [("given", str(one)) for one in given]
    lines.append(("launched by", f"{program.via} (process {os.getppid()})"))
    lines.append(("will", _plan(program, given)))
    lines += [_user(), _log(options)]
    lines += _access(options)
    lines.append(("limits", _limits(options)))
    lines.append(("counted", _counted(program, given)))
    chosen = ", ".join(f"{row[0]} {value}" for row, value in sockopts.chosen(options))
    lines.append(("socket", chosen or "no socket option set"))
    lines += program.tls.findings() if program.tls is not None else [("tls", "none")]
    lines += _sandbox(program, given)
    return lines + _sources(options)


def alone(options: Options, does: str) -> None:
    """The same for a program that serves no socket; `does` is what it would do."""
    from . import enclosed, inherited, sandbox
    layers = enclosed.layers_of(options)
    lines = [("program", f"{options.service.name}: {options.service.about}"),
             ("launched by", f"{inherited.launcher()} (process {os.getppid()})"), ("will", does),
             _user(), _log(options), ("sandbox", f"{sandbox.extent(layers)} (asked: {options.sandbox})"),
             *((layer.name, str(layer)) for layer in layers), *_sources(options)]
    sys.stdout.write("".join(f"{what:12} {value}\n" for what, value in lines))


def _user() -> tuple[str, str]:
    groups = " ".join(map(str, os.getgroups())) or "none"
    return "user", f"uid {os.getuid()}, gid {os.getgid()}, groups {groups}"


def _log(options: Options) -> tuple[str, str]:
    errors = "ours to log" if descriptors.errors is None else "kept"
    return "log", (f"{options.log}, facility {options.facility}, priority {options.priority} and above, "
                   f"as {options.ident}; descriptor 2 is {errors}")


def _sources(options: Options) -> list[tuple[str, str]]:
    """Where each option came from, and who runs all of it."""
    return [*(("option", f"{name} from {where}") for name, where in options.sources.items()),
            ("interpreter", f"{sys.executable} {sys.version.split()[0]}")]


def _sandbox(program: Program, given: list[Given]) -> list[tuple[str, str]]:
    """What was asked for, and what the kernel makes of each layer: a child tries it."""
    from . import privileges, sandbox
    options = program.options
    if not sandbox.wanted(options, given):
        why = "; a launcher's own limits hold, or say --sandbox=on" if options.sandbox == "auto" else ""
        return [("sandbox", f"off ({options.sandbox}{why})")]

    def become() -> None:
        privileges.limit(options)
        if any(one.ours for one in given):
            privileges.become(options.user, options.group, options.chroot, bounded=True)

    layers = sandbox.trial(program, given, become)
    return [("sandbox", f"{sandbox.extent(layers)} (asked: {options.sandbox})"),
            *((layer.name, str(layer)) for layer in layers)]


def _plan(program: Program, given: list[Given]) -> str:
    if given[0].kind in (CONNECTION, PIPES, TERMINAL):
        return "hold one conversation, then exit"
    model = program.options.model or program.service.model
    end = "until told to stop" if any(one.ours for one in given) else f"until idle for {program.options.idle:g} seconds"
    return f"serve {end}, model {model}, {program.options.processes} process(es)"


def _access(options: Options) -> list[tuple[str, str]]:
    """Who may come in, by which rules, and when."""
    only = "everybody" if options.only_from is None else " ".join(map(str, options.only_from)) or "nobody"
    lines = [("welcome", only), ("unwelcome", " ".join(map(str, options.no_access or [])) or "nobody else")]
    if options.access_times is not None:
        from .accesstimes import now, shown, within
        minute = now(time.time())
        state = "outside" if within(options.access_times, minute) is None else "within"
        lines.append(("times", f"{' '.join(shown(*one) for one in options.access_times)}, local time; "
                               f"it is {shown(minute)} now, which is {state}"))
    if options.proxy_protocol is not None:
        lines.append(("proxies", f"a PROXY header must come first from {options.proxy_protocol}; nobody else is heard"))
    return lines


def _counted(program: Program, given: list[Given]) -> str:
    from . import limits
    return limits.described(program, given)


def _limits(options: Options) -> str:
    import resource
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    memory = resource.getrlimit(resource.RLIMIT_AS)[0]
    return (f"{options.max} conversations, per source {options.per_source or 'any number'}, "
            f"rate {options.rate or 'any'}; {files} descriptors, "
            f"{'unlimited' if memory == resource.RLIM_INFINITY else memory} octets of memory")
