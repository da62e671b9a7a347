"""One conversation with one service on our own input and output, as the super-server would have started it.

The server gets a real connection, over loopback, so that it finds its caller as ever; what it says comes out
at our standard output, and what we are given to say goes in until our input ends.  Where descriptor 0 is a
connection itself, the server gets that.
"""

import os
import signal
import socket
import stat

from . import descriptors, inherited, log, spawn
from .addresses import Address, local_of, peer_of
from .admission import Doors, why_not_in_time
from .ends import End
from .options import Misuse
from .ports import Plan, Port, Server
from .pump import pump
from .stream import Stream
from .transport import PipeTransport, SocketTransport

FOR_EVER = 24 * 86400.0
SIGNALLED = 128         # exit status of a shell for who was ended by a signal, less its number


def run(plan: Plan) -> int:
    """Hold it; returns the server's exit status, as a shell has it.  Raises Misuse when access is denied."""
    if stat.S_ISSOCK(os.fstat(0).st_mode):
        given = inherited.standard_input()
        if given is None or given.kind != inherited.CONNECTION or plan.wait:
            raise Misuse(f"descriptor 0 is a {given.kind if given else 'socket'}, and {plan.name} needs a connection "
                         "that is accepted already")
        caller, ours = given.sock, None
    else:
        ours, caller = _pair(plan.wait)
    peer = Address() if plan.wait else peer_of(caller) or Address()
    pid = _start(plan, caller, peer)
    if ours is None:
        return _status(os.waitpid(pid, 0)[1])
    return _carry(plan, ours, pid)


def _pair(listens: bool) -> tuple[socket.socket, socket.socket]:
    """Our end of a connection, and the server's: accepted, or the listener that it accepts it from."""
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    if listens:
        return ours, listener
    while True:
        caller, name = listener.accept()
        if name == ours.getsockname():          # not somebody who was quicker
            listener.close()
            return ours, caller
        caller.close()


def _start(plan: Plan, caller: socket.socket, peer: Address) -> int:
    spawn.prepare()
    port = Port(plan, None)
    local = local_of(caller)
    if not plan.wait:
        why = Doors(None).why_not(port, peer) or why_not_in_time(plan, peer, local)[0]
        if why:
            port.log_refusal(why, peer)
            raise Misuse(f"{plan.name} turns {peer} away: {why}")
    variables = {} if plan.wait else spawn.callers(peer, local, 1)
    pid = spawn.spawn(plan.command, caller, variables, descriptors.errors, port.log_failure)
    port.running[pid] = Server(peer)
    port.log_start(pid, None if plan.wait else peer)
    caller.close()
    return pid


def _carry(plan: Plan, ours: socket.socket, pid: int) -> int:
    """Carry both ways until the server has said its last; one that waits is told to end then."""
    here = Stream(PipeTransport(os.dup(0), descriptors.take_output()), patience=FOR_EVER)
    try:
        pump(here, Stream(SocketTransport(ours), patience=FOR_EVER))
    except End as end:
        log.event("warning", text=f"{plan.name}: {end}")
    if plan.wait:
        os.kill(pid, signal.SIGTERM)
    return _status(os.waitpid(pid, 0)[1])


def _status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNALLED - code
