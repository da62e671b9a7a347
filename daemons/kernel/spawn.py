"""Start a server as inetd does: its socket on descriptors 0, 1 and 2, as another user, within limits.

Everything that can fail is looked up before the fork; what fails after it is said in the log, never
to the client.
"""

import os
import resource
import signal

from . import log
from .addresses import Address, address

RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)     # Python ignores these; what it starts must not
OURS = ("LISTEN_", "NOTIFY_SOCKET", "LD_", "PYTHON", "FD0_")   # never passed on unless asked for by name


class Command:
    """What to run, and as whom: everything about a start that does not change between two of them."""

    __slots__ = ("arguments", "environ", "gid", "groups", "nice", "program", "rlimits", "stderr", "uid", "umask")

    def __init__(self, program, arguments, environ, *, uid=None, gid=None, umask=None, nice=0, rlimits=None,
                 stderr=None):
        self.program, self.arguments, self.environ = program, arguments, environ
        self.uid, self.gid, self.groups = uid, gid, []
        self.umask, self.nice, self.stderr = umask, nice, stderr
        self.rlimits = [(getattr(resource, name), value) for name, value in (rlimits or {}).items()]


def spawn(command, sock, service, peer=None):
    """Start it on this socket; returns the process id.  Raises OSError when there is no process to be had."""
    environ = dict(command.environ)
    if peer is not None:
        environ.update(callers(peer, address(sock.getsockname())))
    pid = os.fork()
    if pid == 0:
        try:
            _become(command, sock, environ)
        except BaseException as error:  # nothing may climb into the parent's loop
            log.event("FAIL", service=service, why=f"{command.program}: {error}")
        finally:
            os._exit(111)
    return pid


def _become(command, sock, environ):
    signal.set_wakeup_fd(-1)
    os.setsid()
    for number in RESTORED:
        signal.signal(number, signal.SIG_DFL)
    for fd in (0, 1) if command.stderr is not None else (0, 1, 2):
        os.dup2(sock.fileno(), fd)
    if command.stderr is not None:
        os.dup2(command.stderr, 2)      # which may be 2 itself: now it survives the exec
    os.chdir("/")
    if command.umask is not None:
        os.umask(command.umask)
    if command.nice:
        os.nice(command.nice)
    for limit, value in command.rlimits:
        value = resource.RLIM_INFINITY if value is None else value
        resource.setrlimit(limit, (value, value))
    if command.gid is not None:
        os.setgroups(command.groups)
        os.setresgid(command.gid, command.gid, command.gid)
    if command.uid is not None:
        os.setresuid(command.uid, command.uid, command.uid)
        if command.uid and os.getresuid() != (command.uid,) * 3:
            raise PermissionError("could not give up privilege")
    os.execve(command.program, command.arguments, environ)


def passed_on(environ, names=None):
    """Our environment as a server gets it: without what is ours alone; of the rest only `names`, if given."""
    return {name: value for name, value in environ.items()
            if (not name.startswith(OURS) if names is None else name in names)}


def callers(peer: Address, local: Address):
    """The caller in every dialect: xinetd's REMOTE_HOST, systemd's REMOTE_ADDR, UCSPI's TCPREMOTEIP."""
    if not peer.host:
        return {"PROTO": "UNIX", "REMOTE_ADDR": str(peer)}
    return {"REMOTE_HOST": peer.host, "REMOTE_ADDR": peer.host, "REMOTE_PORT": str(peer.port), "PROTO": "TCP",
            "TCPREMOTEIP": peer.host, "TCPREMOTEPORT": str(peer.port),
            "TCPLOCALIP": local.host, "TCPLOCALPORT": str(local.port)}

