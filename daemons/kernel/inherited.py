"""What were we given?  Descriptor 0, the descriptors of LISTEN_FDS, or nothing and an order to listen.

The kernel is asked, never a flag: which family and type a socket has, whether it listens, who is at its
other end.  An inherited listener is never bound, listened on, shut down or unlinked: it is the launcher's.
"""

import os
import socket
import stat
import sys

from . import descriptors
from .addresses import local_of, peer_of

FIRST = 3               # SD_LISTEN_FDS_START, sd_listen_fds(3)

CONNECTION, LISTENER, DATAGRAMS, PIPES, TERMINAL = "connection", "listener", "datagrams", "pipes", "terminal"


class Nothing(Exception):
    """Nothing that we could serve was given; the text says what was there instead."""


class Given:
    """One thing to serve: a socket, or for a conversation on pipes or a terminal two descriptors."""

    __slots__ = ("input", "kind", "name", "ours", "output", "sock")

    def __init__(self, kind, sock=None, name="", ours=False, pipes=(None, None)):
        self.kind, self.sock, self.name, self.ours = kind, sock, name, ours
        self.input, self.output = pipes

    def __str__(self):
        if self.sock is None:
            return self.kind
        family = socket.AddressFamily(self.sock.family).name.removeprefix("AF_").lower()
        peer = f" from {peer_of(self.sock)}" if self.kind == CONNECTION else ""
        name = f" named {self.name}" if self.name else ""
        return f"{family} {self.kind} at {local_of(self.sock)}{peer} on descriptor {self.sock.fileno()}{name}"


def look(options, warn):
    """Everything that we were given, in order; raises Nothing.  `warn(text)` gets what looks like a mistake."""
    passed = listen_fds(os.environ, os.getpid(), options.listen_fds, warn)
    names = listen_names(os.environ, len(passed))
    forget_launcher(os.environ)
    if passed:
        return [kind_of(socket.socket(fileno=fd), name) for fd, name in zip(passed, names)]
    given = standard_input(options.listen)
    if given is not None:
        return [given]
    if options.listen:
        return own(options)
    raise Nothing(f"no socket on descriptor 0 but {_described(0)}; start this from inetd, xinetd or systemd, "
                  "or say --listen=127.0.0.1:PORT")


def listen_fds(environ, pid, always, warn):
    """The descriptors that systemd passed to us (sd_listen_fds(3)), set close-on-exec."""
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit() and 0 < int(count) < 4096):
        if count not in ("", "0"):
            warn(f"LISTEN_FDS={count} is not a number of descriptors; ignored")
        return []
    if always != "always" and not _addressed(environ, pid, warn):
        return []
    passed = list(range(FIRST, FIRST + int(count)))
    for fd in passed:
        try:
            os.set_inheritable(fd, False)
        except OSError:
            raise Nothing(f"LISTEN_FDS={count}, but descriptor {fd} is not open") from None
    return passed


def _addressed(environ, pid, warn):
    """Are the descriptors meant for this process?  If not, say so with both ids: a wrapper stands between us."""
    meant = environ.get("LISTEN_PID", "")
    if meant != str(pid):
        warn(f"LISTEN_FDS is for process {meant or '(none named)'} and we are {pid}: ignored; "
             "if a wrapper starts us, say --listen-fds=always")
        return False
    wanted = environ.get("LISTEN_PIDFDID", "")
    if wanted and hasattr(os, "pidfd_open"):
        pidfd = os.pidfd_open(pid)
        ours = os.fstat(pidfd).st_ino
        os.close(pidfd)
        if wanted != str(ours):
            warn(f"LISTEN_PIDFDID is {wanted} and ours is {ours}: LISTEN_FDS is another process's, ignored")
            return False
    return True


def listen_names(environ, count):
    """A name for each descriptor: names may be missing, too few, or twice the same (one for IPv4, one for IPv6)."""
    names = environ.get("LISTEN_FDNAMES", "")
    names = names.split(":") if names else []
    return (names + ["unknown"] * count)[:count]


def forget_launcher(environ):
    """Drop what was addressed to us alone, before any program that we start could believe it."""
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)


def standard_input(listen=None):
    """What is on descriptor 0, or None; afterwards /dev/null is there."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    if stat.S_ISSOCK(mode):
        # -1 asks the kernel for SO_DOMAIN, SO_TYPE and SO_PROTOCOL; AF_INET would be a guess
        sock = socket.fromfd(sys.stdin.fileno() if sys.stdin else 0, -1, -1, -1)
        descriptors.silence(0)
        return kind_of(sock, "")
    if listen:
        return None
    if os.isatty(0):
        return Given(TERMINAL, pipes=(os.dup(0), descriptors.take_output()))
    if stat.S_ISFIFO(mode) or stat.S_ISREG(mode):
        pipes = os.dup(0), descriptors.take_output()
        descriptors.silence(0)
        return Given(PIPES, pipes=pipes)
    return None


def kind_of(sock, name):
    """A socket by what the kernel says of it."""
    if sock.type == socket.SOCK_DGRAM:
        return Given(DATAGRAMS, sock, name)
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return Given(LISTENER, sock, name)
    return Given(CONNECTION, sock, name)


def own(options):
    """The sockets that --listen asks for, of each kind that the program serves."""
    from . import listening             # a launched program binds nothing
    given = []
    for where in options.listen:
        for sort in options.service.sockets:
            sock = listening.bound(where, sort, options.reuse_address)
            kind = LISTENER if sort == "stream" else DATAGRAMS
            given.append(Given(kind, sock, ours=True))
            if where[1] == 0:           # the kernel chose the port: the same for the next kind
                where = where[0], sock.getsockname()[1]
            elif where[1] is None:
                break                   # a path can hold one socket
    return given


def launcher():
    """Who started us: the name of our parent process, "unknown" where /proc does not tell."""
    try:
        with open(f"/proc/{os.getppid()}/comm", "rb") as file:
            return file.read().strip().decode("ascii", "replace")
    except OSError:
        return "unknown"


def _described(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "nothing"
