"""What were we given?  Descriptor 0, the descriptors of LISTEN_FDS, or nothing and an order to listen.

The kernel is asked, never a flag: which family and type a socket has, whether it listens, who is at its
other end.  An inherited listener is never bound, listened on, shut down or unlinked: it is the launcher's.
"""

import os
import socket
import stat
import sys
from collections.abc import Callable, Mapping, MutableMapping

from . import descriptors
from .addresses import local_of, peer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .options import Options
    from .service import Service

FIRST = 3               # SD_LISTEN_FDS_START, sd_listen_fds(3)
FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
TYPES = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
OWN = "fd0-own"         # name of a descriptor that we bound ourselves and handed to ourselves over an exec

CONNECTION, LISTENER, DATAGRAMS, PIPES, TERMINAL = "connection", "listener", "datagrams", "pipes", "terminal"

standing: list[socket.socket] = []     # inherited listeners and datagram sockets: for these we are started again
asking: list[socket.socket] = []       # netlink sockets, which are asked: opened where a sandbox may not reach
manager = ""            # where the service manager wants to hear from us (NOTIFY_SOCKET)


class Nothing(Exception):
    """Nothing that we could serve was given; the text says what was there instead."""


class Given:
    """One thing to serve: a socket, or for a conversation on pipes or a terminal two descriptors."""

    __slots__ = ("input", "kind", "name", "ours", "output", "sock")
    sock: socket.socket         # None on pipes and terminals
    input: int                  # None on sockets, as output is
    output: int

    def __init__(self, kind: str, sock: "Any" = None, name: str = "", ours: bool = False,
                 pipes: "tuple[Any, Any]" = (None, None)) -> None:
        self.kind, self.sock, self.name, self.ours = kind, sock, name, ours
        self.input, self.output = pipes

    def is_secure(self, service: "Service") -> bool:
        """Does its name or its port say that TLS begins with the first octet?"""
        if self.kind not in (CONNECTION, LISTENER):
            return False
        port = service.secure_port and local_of(self.sock).port
        return self.name == f"{service.protocol}s" or (port > 0 and port == service.secure_port)

    def __str__(self) -> str:
        if self.sock is None:
            return self.kind
        family = socket.AddressFamily(self.sock.family).name.removeprefix("AF_").lower()
        peer = f" from {peer_of(self.sock)}" if self.kind == CONNECTION else ""
        name = f" named {self.name}" if self.name else ""
        return f"{family} {self.kind} at {local_of(self.sock)}{peer} on descriptor {self.sock.fileno()}{name}"


def look(options: "Options", warn: Callable[[str], None]) -> list[Given]:
    """Everything that we were given, in order; raises Nothing.  `warn(text)` gets what looks like a mistake."""
    passed = listen_fds(os.environ, os.getpid(), options.listen_fds, warn)
    names = listen_names(os.environ, len(passed))
    forget_launcher(os.environ)
    found = [kind_of(sock, name) for fd, name in zip(passed, names) if not kept(sock := socket.socket(fileno=fd))]
    if found:
        return found
    given = standard_input(options.listen)
    if given is not None:
        return [given]
    if options.listen:
        return own(options)
    raise Nothing(f"no socket on descriptor 0 but {_described(0)}; start this from inetd, xinetd or systemd, "
                  "or say --listen=127.0.0.1:PORT")


def listen_fds(environ: Mapping[str, str], pid: int, always: str, warn: Callable[[str], None]) -> list[int]:
    """The descriptors that systemd passed to us (sd_listen_fds(3)), set close-on-exec."""
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit() and len(count) < 5 and 0 < int(count) < 4096):
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
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise Nothing(f"LISTEN_FDS={count}, but descriptor {fd} is no socket but {_described(fd)}")
    return passed


def _addressed(environ: Mapping[str, str], pid: int, warn: Callable[[str], None]) -> bool:
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


def listen_names(environ: Mapping[str, str], count: int) -> list[str]:
    """A name for each descriptor: names may be missing, too few, or twice the same (one for IPv4, one for IPv6)."""
    text = environ.get("LISTEN_FDNAMES", "")
    names = text.split(":") if text else []
    return (names + ["unknown"] * count)[:count]


def forget_launcher(environ: MutableMapping[str, str]) -> None:
    """Drop what was addressed to us alone, before any program that we start could believe it."""
    global manager
    manager = environ.pop("NOTIFY_SOCKET", "")
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)


def standard_input(listen: list[tuple[str, int | None]] | None = None) -> Given | None:
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


def kind_of(sock: socket.socket, name: str) -> Given:
    """A socket by what the kernel says of it; raises Nothing for one that carries no conversation."""
    if sock.family not in FAMILIES or sock.type not in TYPES:
        raise Nothing(f"a socket of family {int(sock.family)} and type {int(sock.type)} carries no conversation; "
                      "give us a stream or datagram socket of IPv4, IPv6 or Unix")
    if sock.type != socket.SOCK_DGRAM and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return Given(CONNECTION, sock, name)
    standing.append(sock)
    return Given(DATAGRAMS if sock.type == socket.SOCK_DGRAM else LISTENER, sock, name, ours=name == OWN)


def kept(sock: socket.socket) -> bool:
    """Is this a socket to ask the kernel by?  Then it is kept for that, without what somebody before us left unread."""
    if sock.family != socket.AF_NETLINK:
        return False
    sock.setblocking(False)
    try:
        while sock.recv(1):
            pass
    except OSError:
        asking.append(sock)
    return True


def callers_wait_at() -> list[socket.socket]:
    """The sockets for whose callers the launcher will start us again at once, should we leave now."""
    if not standing:                    # what failed may have been before we looked
        try:
            for fd in listen_fds(os.environ, os.getpid(), "own", lambda text: None):
                sock = socket.socket(fileno=fd)
                if not kept(sock):
                    kind_of(sock, "")
        except Nothing:                 # it has been said
            return standing
        try:
            standard_input()
        except (Nothing, OSError):      # so has this, or it was that nothing can be opened any more
            return standing
    return standing


def own(options: "Options") -> list[Given]:
    """The sockets that --listen asks for, of each kind that the program serves."""
    from . import listening  # a launched program binds nothing
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


def launcher() -> str:
    """Who started us: the name of our parent process, or systemd's mark where a sandbox hides it."""
    try:
        with open(f"/proc/{os.getppid()}/comm", "rb") as file:
            return file.read().strip().decode("ascii", "replace")
    except OSError:
        return "systemd" if "INVOCATION_ID" in os.environ else "unknown"


def name_process(name: str) -> None:
    """Be known by the program's name, not the interpreter's, to ps(1) and to those whom we launch."""
    try:
        with open("/proc/self/comm", "wb") as file:
            file.write(name.encode())
    except OSError:                     # a sandbox without /proc: nobody looks there either
        return


def _described(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "nothing"
