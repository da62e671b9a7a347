"""The sandbox: close the program in before it hears a peer, and tell what the kernel really enforces.

A layer that the kernel lacks is told in --explain and logged, and the others still hold; with --sandbox=strict
the program does not start.  Everything is inherited, so that a forked child pays nothing.
"""

import errno
import os
import stat
import time
from collections.abc import Callable

from . import log, privileges
from .conversation import Program
from .inherited import CONNECTION, PIPES, TERMINAL, Given
from .options import Misuse, Options

LOOK = 1.0              # seconds between looks whether files were replaced
WHY = {errno.ENOSYS: "this kernel has not got it", errno.EOPNOTSUPP: "it was switched off when the kernel started",
       errno.EPERM: "refused; a filter around us does not let it through (systemd: SystemCallFilter=)",
       errno.EACCES: "no_new_privs is missing", errno.E2BIG: "too many sandboxes around this one"}


class Layer:
    """One kind of protection: what is enforced, and what is not although it was asked for, and why."""

    def __init__(self, name: str, held: str = "", missing: str = "") -> None:
        self.name, self.held, self.missing = name, held, missing

    def tell(self) -> None:
        """Log what is missing, if anything is."""
        if self.missing:
            log.event("unprotected", layer=self.name, why=self.missing)

    def __str__(self) -> str:
        return "; ".join(filter(None, [self.held, self.missing and f"NOT ENFORCED: {self.missing}"]))


def wanted(options: Options, given: list[Given]) -> bool:
    """Does --sandbox ask for one here?  auto leaves a conversation that a launcher accepted to that launcher."""
    return options.sandbox in ("on", "strict") or \
        (options.sandbox == "auto" and given[0].kind not in (CONNECTION, PIPES, TERMINAL))


def confine(program: Program, given: list[Given]) -> list[Layer]:
    """Close this process in, for good; returns what came of it.  Raises Misuse where strict asks for more."""
    from . import allowance
    known = Files(allowance.files(program))     # before they are allowed: what is put in their place meanwhile is news
    layers = [_layer(name, close) for name, close in (
        ("capabilities", _capabilities), ("no_new_privs", _no_new_privs),
        ("landlock", lambda: _landlock(program, given)), ("seccomp", lambda: _seccomp(program, given)))]
    judge(program, layers)
    if not layers[2].missing or layers[2].held:
        program.replaced = known.replaced
    return layers


class Files:
    """The files behind names, as they are now: Landlock allows files, and not what is put in their place later."""

    def __init__(self, paths: list[str]) -> None:
        self.known = {path: _identity(path) for path in paths}
        self.next_look = 0.0

    def replaced(self) -> str:
        """The name that stands for another file than it did, looked for once a second; "" if none does."""
        now = time.monotonic()
        if now < self.next_look:
            return ""
        self.next_look = now + LOOK
        return next((path for path, known in self.known.items() if _identity(path) not in (known, None)), "")


def _identity(path: str) -> tuple[int, int] | None:
    """Of a file; None for a folder, since what is replaced in it stays allowed, and where there is nothing now."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return None if stat.S_ISDIR(status.st_mode) else (status.st_dev, status.st_ino)


def trial(program: Program, given: list[Given], before: Callable[[], None] = lambda: None) -> list[Layer]:
    """What `confine` would come to after `before()`, found out by a child that does it and ends."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            before()
            os.write(writer, "\n".join(f"{layer.name}\t{layer.held}\t{layer.missing}"
                                       for layer in confine(program, given)).encode())
        except Misuse as error:
            os.write(writer, f"\t\t{error}".encode())
        except BaseException as error:  # nothing may climb out of the child
            os.write(writer, f"sandbox\t\t{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as file:
        layers = [Layer(*line.split("\t")) for line in file.read().split("\n") if line]
    os.waitpid(pid, 0)
    if not layers:
        layers = [Layer("sandbox", missing="the process that tried it died")]
    if not layers[0].name:
        raise Misuse(layers[0].missing)
    judge(program, layers)
    return layers


def judge(program: Program, layers: list[Layer]) -> None:
    """With --sandbox=strict, raise Misuse for the first layer that is not whole."""
    if program.options.sandbox == "strict":
        for layer in layers:
            if layer.missing:
                raise Misuse(f"--sandbox=strict: {layer.name}: {layer.missing}; --sandbox=on would do without")


def extent(layers: list[Layer]) -> str:
    """The word for how complete the sandbox is: full, part or off."""
    return "off" if not layers else "part" if any(layer.missing for layer in layers) else "full"


def _layer(name: str, close: "Callable[[], Layer]") -> Layer:
    try:
        return close()
    except OSError as error:
        return Layer(name, missing=f"{WHY.get(error.errno or 0, 'failed')} ({error})")


def _capabilities() -> Layer:
    bounded = privileges.bound()
    privileges.drop_capabilities()
    root = ", user is still root: see --user" if os.geteuid() == 0 else ""
    return Layer("capabilities", f"none held{', and none can come back' if bounded else ''}{root}")


def _no_new_privs() -> Layer:
    privileges.no_new_privileges()
    return Layer("no_new_privs", "what we run gets no more rights than we have")


def _landlock(program: Program, given: list[Given]) -> Layer:
    from . import allowance, landlock
    found, rules = landlock.version(), allowance.rules(program, given)
    if found == 1 and len(rules.writes) > 1:
        return Layer("landlock", missing="version 1 forbids moving a file from one folder to another (Linux 5.19)")
    landlock.enforce(rules, found)
    lacks = landlock.unguarded(found)
    missing = f"version {found} cannot hold back {', '.join(lacks)} (Linux 6.12 can)" if lacks else ""
    return Layer("landlock", f"version {found}: {rules}", missing)


def _seccomp(program: Program, given: list[Given]) -> Layer:
    from . import allowance, seccomp
    calls = allowance.calls(program, given)
    seccomp.enforce(calls)
    return Layer("seccomp", str(calls))
