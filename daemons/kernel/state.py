"""What a super-server knows, as text for people: every service, its limits and servers, and who is shut out."""

import os
import stat
import time
from collections.abc import Iterable, Iterator

from .ports import Plan, Port
from .sensor import ShutOut

MODE = 0o600


def lines(ports: Iterable[Port], leaving: Iterable[Port], shut_out: ShutOut, started: int) -> Iterator[str]:
    """The state, line by line; times are in seconds."""
    now = time.monotonic()
    yield f"state of process {os.getpid()}: {started} servers started"
    for port in ports:
        yield from _service(port, now)
    for port in leaving:
        yield f"service {port.plan.name}, no longer wanted"
        yield from _servers(port)
    for source, left in shut_out.left():
        yield f"shut out: {source} {'forever' if left == float('inf') else f'for {left:.0f} seconds'}"


def _service(port: Port, now: float) -> Iterator[str]:
    plan = port.plan
    state = f"paused for {port.paused_until - now:.1f} seconds" if port.paused_until > now else "ready"
    yield f"service {plan.name} at {port.at()}: {state}, {port.calls} calls, {port.refusals} refused"
    yield f"    {'; '.join(_limits(plan))}"
    if port.reception is not None and port.reception.waiting:
        yield f"    {len(port.reception.waiting)} callers have not said what they want"
    yield from _servers(port)


def _limits(plan: Plan) -> Iterator[str]:
    yield " ".join([plan.command.program, *plan.command.arguments[1:]])
    yield f"wait = {'yes' if plan.wait else 'no'}"
    for name, value in (("instances", plan.instances), ("per_source", plan.per_source), ("max_time", plan.max_time)):
        if value is not None:
            yield f"{name} = {value}"
    if plan.cps is not None:
        yield f"cps = {plan.cps[0]} {plan.cps[1]}"
    if plan.max_load:
        yield f"max_load = {plan.max_load:g}"
    if plan.command.uid is not None:
        yield f"uid {plan.command.uid}"


def _servers(port: Port) -> Iterator[str]:
    for pid, server in port.running.items():
        whose = "" if server.peer is None else f" for {server.peer}"
        yield f"    server {pid}{whose}, {server.seconds:.1f} seconds{', told to end' if server.hurried else ''}"


def write(path: str, text: Iterable[str]) -> None:
    """Write the lines into a file that is ours alone to read; raises OSError, for a link or another's file too."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags, MODE), "w", encoding="utf-8", errors="backslashreplace") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise PermissionError(1, "not a file of ours alone", path)
        os.fchmod(file.fileno(), MODE)
        file.truncate()
        file.writelines(f"{line}\n" for line in text)
