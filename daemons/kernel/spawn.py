"""Start a server as inetd does: its socket on descriptors 0, 1 and 2, as another user, within limits.

A server is a program, or for what a super-server does itself a function of ours in a process of its own.
Everything that can fail is looked up before the fork; what fails after it is said in the log, never
to the client.
"""

import fcntl
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Collection, Mapping
from functools import partial

from . import descriptors, log
from .addresses import Address
from .inherited import FIRST
from .privileges import can_return

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

Tell = Callable[[str], None]                            # a word to the super-server
Work = Callable[[socket.socket, Tell], int | None]      # what is done instead of a program; returns its exit status

# What is ours alone or would change the server's own code: never passed on unless asked for by name.
OURS = ("LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_", "LD_", "PYTHON", "FD0_INETD_")
# kept for the child until it is its own master
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
COULD_NOT_START = 111

_altered: list[int] = []        # signals that we handle or ignore, or whoever started us ignored


class Command:
    """What to run, and as whom: everything about a start that does not change between two of them.

    uid, gid        None to stay who we are; `keeps_errors` leaves descriptor 2 to a pipe that spawn() is given
    groups          what other groups the server is in
    rlimits         names of the resource module -> soft and hard limit, None for no limit
    passes          "stdin" for the socket on descriptors 0, 1 and 2, "listen_fds" for sd_listen_fds(3), or both;
                    `fd_name` is what the descriptor is called then
    work            what is done instead of starting the program, which then is only a name
    """

    __slots__ = ("arguments", "environ", "fd_name", "gid", "groups", "keeps_errors", "nice", "passes", "program",
                 "rlimits", "uid", "umask", "work")

    def __init__(self, program: str, arguments: list[str], environ: dict[str, str], *, uid: int | None = None,
                 gid: int | None = None, groups: list[int] | None = None, umask: int | None = None, nice: int = 0,
                 rlimits: Mapping[str, int | None] | None = None, keeps_errors: bool = False,
                 passes: Collection[str] = ("stdin",), fd_name: str = "", work: Work | None = None) -> None:
        self.program, self.arguments, self.environ = program, arguments, environ
        self.uid, self.gid, self.umask, self.nice, self.keeps_errors = uid, gid, umask, nice, keeps_errors
        self.groups, self.passes, self.fd_name, self.work = groups or [], passes, fd_name, work
        self.rlimits = [(getattr(resource, name), resource.RLIM_INFINITY if value is None else value)
                        for name, value in (rlimits or {}).items()]


def command(program: str, arguments: list[str], *, user: str = "", group: str = "",
            env: Mapping[str, str] | None = None, passenv: list[str] | None = None, umask: int | None = None,
            nice: int = 0, rlimits: Mapping[str, int | None] | None = None, keeps_errors: bool = False,
            all_groups: bool = False, passes: Collection[str] = ("stdin",), fd_name: str = "",
            work: Work | None = None) -> Command:
    """A Command from names; raises ValueError for what does not exist, and for what we have no right to do.

    With `all_groups` the server is in all groups of its user.
    """
    uid, gid = _ids(user, group)
    environ = passed_on(os.environ, passenv)
    environ.update(env or {})
    groups = os.getgrouplist(user, gid) if all_groups and user and gid is not None else []
    made = Command(program, arguments, environ, uid=uid, gid=gid, groups=groups, umask=umask, nice=nice,
                   rlimits=rlimits, keeps_errors=keeps_errors, passes=passes, fd_name=fd_name, work=work)
    if os.geteuid() != 0:
        _check_rights(made, user, group)
        made.uid = made.gid = None
    return made


def _ids(user: str, group: str) -> tuple[int | None, int | None]:
    """The numbers of a user and a group, which may be numbers already; without a group, the user's own."""
    import grp
    import pwd
    uid = gid = None
    try:
        if group:
            gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
        if user:
            uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
            gid = pwd.getpwuid(uid).pw_gid if gid is None else gid
    except KeyError:
        raise ValueError(f"no such user or group: {user} {group}".rstrip()) from None
    return uid, gid


def _check_rights(made: Command, user: str, group: str) -> None:
    """Without root a server is who we are; the group counts only where the file names one."""
    if made.uid not in (None, os.geteuid()):
        raise ValueError(f"only root can run it as {user}; we are {_own_name()}")
    if group and made.gid != os.getegid():
        raise ValueError(f"only root can run it in group {group}; ours is {os.getegid()}")
    if made.nice < 0:
        raise ValueError(f"only root can give it nice {made.nice}")
    for limit, value in made.rlimits:
        most = resource.getrlimit(limit)[1]
        if most != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > most):
            raise ValueError(f"only root can allow it more than we may have ourselves: a limit of {most}")


def _own_name() -> str:
    import pwd
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:                    # a container's user need have no name
        return f"user {os.geteuid()}"


def prepare() -> None:
    """Once, when signals are handled and before the first spawn(): see that servers get nothing of ours by accident.

    What we inherited ourselves is closed to them, our own stderr moves to where a server's cannot
    replace it, and new files are at most readable for others, as xinetd has it.
    """
    _altered[:] = [int(number) for number in signal.valid_signals()
                   if signal.getsignal(number) not in (signal.SIG_DFL, None)]
    gc.freeze()                         # no collector of a child touches, and so copies, what is ours
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:             # the one that read the directory
                continue
    if descriptors.errors == 2:
        descriptors.errors = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)
    os.umask(os.umask(0o022) | 0o022)


def spawn(command: Command, sock: socket.socket, variables: Mapping[str, str], errors: int | None,
          failed: Callable[[str], None], admitted: Callable[[], bool] | None = None,
          pen: int | None = None) -> int:
    """Start it on this socket; returns the process id.  Raises OSError when there is no process to be had.

    variables   more of them for this start
    errors      what to put on descriptor 2 if the command keeps its errors
    failed      called in the child with a sentence when it could not become the server
    admitted    called in the child before anything else: whether to go on
    pen         where a Command's work may write a line with a word for us
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            try:
                if admitted is None or admitted():
                    _become(command, sock, {**command.environ, **variables}, errors, pen)
            except OSError as error:
                failed(f"{command.program}: {error.strerror or error}")
            except BaseException as error:      # nothing may climb into the parent's loop
                failed(f"{command.program}: {error}")
            finally:
                os._exit(COULD_NOT_START)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def aside(work: Callable[[Tell], None], pen: int, sock: socket.socket | None = None) -> int:
    """Have something found out in a process of its own, which holds nothing of ours open but `sock`; returns its id."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            try:
                _forget_signals()
                _shelter(None, sock, None, pen)
                work(partial(_tell, pen))
            except BaseException as error:      # nothing may climb into the parent's loop
                log.crash(error)
            finally:
                os._exit(0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _become(command: Command, sock: socket.socket, environ: dict[str, str], errors: int | None,
            pen: int | None) -> "NoReturn":
    os.setsid()
    _forget_signals()
    if command.work is not None:
        _shelter(command, sock, errors, pen)
        os.environ.clear()
        os.environ.update(environ)
    else:
        _hand_over(command, sock, environ, errors)
    os.chdir("/")
    if command.umask is not None:
        os.umask(command.umask)
    if command.nice:
        os.nice(command.nice)
    for limit, value in command.rlimits:
        resource.setrlimit(limit, (value, value))
    if command.gid is not None:
        os.setgroups(command.groups)
        os.setresgid(command.gid, command.gid, command.gid)
    if command.uid is not None:
        os.setresuid(command.uid, command.uid, command.uid)
        if command.uid and (os.getresuid() != (command.uid,) * 3 or can_return()):
            raise PermissionError(0, "could not give up privilege")
    if command.work is not None:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os._exit(command.work(sock, partial(_tell, pen)) or 0)
    os.execve(command.program, command.arguments, environ)


def become_server(command: Command, sock: socket.socket) -> "NoReturn":
    """In a process that is nobody else's: be the program, on this socket and with the environment that we have."""
    environ = dict(os.environ)
    _forget_signals()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _hand_over(command, sock, environ, os.dup(2))
    os.execve(command.program, command.arguments, environ)


def _hand_over(command: Command, sock: socket.socket, environ: dict[str, str], errors: int | None) -> None:
    """Put the socket where the server looks for it, and its errors where they belong."""
    stdin = sock.fileno() if "stdin" in command.passes else os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(errors if fd == 2 and command.keeps_errors and errors is not None else stdin, fd)
    if "listen_fds" in command.passes:
        if log.fileno() == FIRST:       # else what went wrong from here on would be told to the caller
            log.disconnect()
        if sock.fileno() == FIRST:
            os.set_inheritable(FIRST, True)
        else:
            os.dup2(sock.fileno(), FIRST)
        environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=command.fd_name)


def _shelter(command: Command | None, sock: socket.socket | None, errors: int | None, pen: int | None) -> None:
    """Nothing that work of ours says by accident reaches the caller, and it holds no other service's socket open."""
    kept = {0, 1, 2, None if sock is None else sock.fileno(), log.fileno(), descriptors.errors, pen}
    for fd in (0, 1):
        descriptors.silence(fd)
    if command is not None and command.keeps_errors and errors is not None:
        os.dup2(errors, 2)
    else:
        descriptors.silence(2)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:             # the one that read the directory
                continue


def _tell(pen: int | None, text: str) -> None:
    if pen is not None:
        os.write(pen, f"{os.getpid()} {text}\n".encode())


def _forget_signals() -> None:
    """Every signal as a new process expects it: we handle some, Python ignores some, whoever started us may have."""
    signal.set_wakeup_fd(-1)
    for number in _altered:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def passed_on(environ: Mapping[str, str], names: list[str] | None = None) -> dict[str, str]:
    """Our environment as a server gets it: without what is ours alone; of the rest only `names`, if given."""
    return {name: value for name, value in environ.items()
            if (not name.startswith(OURS) if names is None else name in names)}


def callers(peer: Address, local: Address, count: int) -> dict[str, str]:
    """The caller in every dialect: xinetd's REMOTE_HOST, systemd's REMOTE_ADDR, UCSPI's TCPREMOTEIP.

    `count` is how many conversations the same source has now, with this one.
    """
    if not peer.host:
        return {"PROTO": "UNIX", "REMOTE_ADDR": str(peer)}
    return {"REMOTE_HOST": peer.host, "REMOTE_ADDR": peer.host, "REMOTE_PORT": str(peer.port), "PROTO": "TCP",
            "TCPREMOTEIP": peer.host, "TCPREMOTEPORT": str(peer.port),
            "TCPLOCALIP": local.host, "TCPLOCALPORT": str(local.port), "TCPCONNNUM": str(count)}
