"""A caller's conversation carried on: to another host, or to a server that knows nothing of what is before it.

Both are the work of a process of the caller's own (spawn.Command.work).
"""

import os
import socket
from collections.abc import Callable

from . import log
from .addresses import local_of, peer_of
from .dial import call
from .ends import End
from .pump import pump
from .spawn import Command, Tell, Work, become_server, callers
from .stream import Stream
from .transport import SocketTransport

CONNECTING = 30.0       # seconds for all addresses of a name together


def to(host: str, port: int, idle: float) -> Work:
    """The work of calling `host`, whose name is resolved only now, and carrying both ways until both are done.

    `idle` is how many seconds nothing may move.  Tells "carried IN OUT", the octets from the caller and to him.
    """
    def work(sock: socket.socket, tell: Tell) -> None:
        caller = _stream(sock, idle)
        other = call(host, port, seconds=CONNECTING, patience=idle)
        try:
            pump(caller, other, idle=idle)
        except End:                     # one of them has had enough, or neither moves: it is over for both
            caller.cut_off()
        finally:
            tell(f"carried {caller.received} {caller.sent}")
    return work


def behind(prepare: Callable[[Stream], None], server: Command, idle: float) -> Work:
    """The work of starting `server`, which knows nothing of it, for a caller whom `prepare` has let through.

    The server has one end of a pair of Unix sockets on descriptor 0; who calls, its environment tells.
    """
    def work(sock: socket.socket, tell: Tell) -> int:
        caller = _stream(sock, idle)
        before = caller.peer
        try:
            prepare(caller)
        except End as end:
            log.event("refused", from_=caller.peer, why=f"{end.reason}: {end}")
            caller.cut_off()
            return 0
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            sock.close()
            if caller.peer is not before:       # a proxy told us who it is
                os.environ.update(callers(caller.peer, caller.local, 1))
            become_server(server, theirs)
        theirs.close()
        inner = _stream(ours, idle)
        try:
            pump(caller, inner, idle=idle)
        except End:                     # the caller broke it off, or neither moves
            caller.cut_off()
        finally:
            inner.cut_off()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return work


def _stream(sock: socket.socket, idle: float) -> Stream:
    return Stream(SocketTransport(sock), patience=idle, peer=peer_of(sock), local=local_of(sock), log=log.event,
                  session=os.urandom(4).hex())
