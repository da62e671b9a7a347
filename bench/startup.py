"""What a program does before its greeting: the modules it loads, and the time it takes from exec to the first octet.

The time is held against an interpreter that only imports `socket` and sends one octet (peers/octet.py); both are
started by the same interpreter with -IS, in turn, on an accepted TCP connection.  A program that waits for the peer to
begin finds CR LF and the end waiting, and its first octet, or its end where it answers nothing, is its greeting.
Programs of datagrams alone are not timed: no launcher starts them for each packet.

tests/test_startup.py holds every program to the list of modules below, and measures no time.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from statistics import median

from daemons.tools import programs, stubs

from . import rounds, servers

BAR = 1.15              # times the interpreter's own start
ROUNDS = 60             # at most, for each program
SECONDS = 45.0          # for all programs together

# What any program may load before its greeting, beyond the interpreter's own and what `import socket` brings
KERNEL = ("addresses", "conversation", "descriptors", "ends", "inherited", "launch", "log", "options", "serve",
          "service", "sockopts", "stream", "transport", "values")
ALLOWED = ("daemons", "daemons.kernel", *(f"daemons.kernel.{name}" for name in KERNEL), "gc", "signal", "syslog")

# What one program may load besides; its own module and those of wire and stores need no leave
ALSO = {
    "fingerd": ("_struct", "pwd", "struct"),                            # users, and who is logged in (utmp)
    "identd": ("_struct", "daemons.kernel.owners", "pwd", "struct"),    # users, and the kernel's answer about them
    # how an HTTP conversation is held, and files as it has them
    "httpd": ("daemons.web", *(f"daemons.web.{name}" for name in ("body", "exchange", "files", "keepalive", "places",
                                                                  "sites"))),
    # what is known of a client and shared by all; SQLite and what else costs time only where there are accounts
    "smtpd": ("_struct", "fcntl", "struct", "daemons.mail",
              *(f"daemons.mail.{name}" for name in ("roles", "server", "session"))),
    "pop3d": ("daemons.mail", "daemons.mail.popmessages", "fcntl"),     # its commands, and the lock of a maildrop
    "qotd": ("_random",),                                               # which quote
    # the same conversation, a parser, and the methods that there are: a wrong one is to be known at the start
    "xmlrpcd": ("daemons.kernel.undercgi", "daemons.web", "pyexpat", "pyexpat.errors", "pyexpat.model",
                *(f"daemons.web.{name}" for name in ("body", "calls", "exchange", "introspection", "keepalive",
                                                     "machine", "methods", "offered", "signatures"))),
}

# Options without which a program does not start
ARGUMENTS = {}

# What only a program that stays loads: one that serves datagrams alone has no greeting and always stays
STAYING = tuple(f"daemons.kernel.{name}" for name in ("accepting", "datagrams", "limits", "listening", "models",
                                                      "notify", "privileges", "standing"))


def allowed(service, python=sys.executable):
    """The modules that a program may load before its greeting."""
    names = {*ALLOWED, *ALSO.get(service.name, ()), f"daemons.{service.name}", *_of_socket(python)}
    return names if "stream" in service.sockets else names.union(STAYING)


def loaded(service, python=sys.executable, options=()):
    """The modules that a program has loaded when it first waits for a peer, in order."""
    ours, theirs = _connection() if "stream" in service.sockets else _datagrams()
    with ours, theirs:
        probe = os.path.join(os.path.dirname(os.path.abspath(__file__)), "first_wait.py")
        done = subprocess.run([python, "-IS", probe, stubs.CHECKOUT, service.name, *_options(service, "/nowhere/log"),
                               *options], stdin=theirs, capture_output=True, timeout=30)
    if not done.stdout:
        raise RuntimeError(f"{service.name} ended before it waited: {done.stderr.decode('utf-8', 'replace')}")
    return done.stdout.decode().split()


def beyond(service, python=sys.executable):
    """The modules that a program loads although nobody allowed it."""
    may = allowed(service, python)
    return [name for name in loaded(service, python)
            if name not in may and not name.startswith(("daemons.wire", "daemons.stores"))]


def main():
    """List, measure, print, and return whether every program meets the bar."""
    chosen = servers.options(__doc__)
    met = []
    with servers.Workplace(chosen) as place:
        services = programs.launched()
        stream = [service for service in services if "stream" in service.sockets]
        bare = place.peer("octet")
        for service in services:
            _list(service, chosen.python)
            if service in stream:
                met.append(_compare(service, place, bare, SECONDS / len(stream)))
    return all(met)


def _of_socket(python):
    """The modules that are there once an interpreter has imported `socket`."""
    done = subprocess.run([python, "-IS", "-c", "import socket, sys; print(*sys.modules)"], capture_output=True,
                          check=True, timeout=30)
    return done.stdout.decode().split()


def _options(service, log):
    return [f"--log={log}", *ARGUMENTS.get(service.name, ())]


def _list(service, python):
    common = set(_of_socket(python))
    own = [name for name in loaded(service, python) if name not in common]
    print(f"startup: {service.name} loads {len(own)} modules that `import socket` does not:")
    print(f"  {' '.join(name.replace('daemons.kernel.', '.') for name in own)}")
    if extra := beyond(service, python):
        print(f"  NOT ALLOWED: {' '.join(extra)}")


def _compare(service, place, bare, seconds):
    """Time a program and the interpreter in turn; print the medians, and whether the bar is met."""
    contestants = {service.name + label: lambda argv=argv: _time(argv)
                   for label, argv in place.ours(service.name, *ARGUMENTS.get(service.name, ())).items()}
    contestants["import socket"] = lambda: _time(bare)
    count = max(5, min(ROUNDS, int(seconds / len(contestants) / (_time(bare) + 0.02))))
    times = rounds.in_turn(contestants, count)
    for name, values in times.items():
        print(f"  {name:<40} {median(values) * 1000:10.2f} ms from exec to greeting, median of {count}")
    return rounds.verdict(f"{service.name} / import socket", median(times[service.name]) /
                          median(times["import socket"]), BAR, most=True)


def _time(argv):
    """Seconds from the start of a process to its first octet, or to its end where it says nothing."""
    ours, theirs = _connection()
    with ours, theirs:
        ours.settimeout(10)
        ours.send(b"\r\n")
        ours.shutdown(socket.SHUT_WR)
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), fd) for fd in (0, 1, 2)]
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, {}, file_actions=actions)
        theirs.close()
        ours.recv(1)
        seconds = time.perf_counter() - began
    os.kill(pid, signal.SIGKILL)            # some never stop talking
    os.waitpid(pid, 0)
    return seconds


def _connection():
    """Both ends of a TCP connection: a peer's, and the one that a launcher accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        return peer, listener.accept()[0]


def _datagrams():
    """A peer's datagram socket, and the one that a launcher bound."""
    peer, sock = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    sock.bind(("127.0.0.1", 0))
    return peer, sock


if __name__ == "__main__":
    raise SystemExit(not main())
