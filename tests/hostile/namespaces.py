"""Two machines on a wire: network namespaces of the test's own, from which it takes sockets.

    with Wire() as wire:
        sock = wire.there.socket(socket.AF_INET, socket.SOCK_DGRAM)     a socket of the other machine, used from here
        command = [*wire.here.inside, "program"]                        a command that runs on the server's machine

A socket belongs for ever to the namespace in which it was made; so a process in each namespace makes them and
hands them over (SCM_RIGHTS), and everything else happens in the test.  Nothing of the real machine's network is seen.
"""

import contextlib
import os
import socket
import subprocess
import sys

from tests.live import machine, processes

HERE, THERE = ("10.9.0.1", "10.9.0.2", "fd09::1", "fd09::2"), ("10.9.0.10", "10.9.0.11", "fd09::10", "fd09::11")
BROADCAST, GROUP, GROUP6 = "10.9.0.255", "239.1.2.3", "ff02::1:9"
MAKER = """
import array, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
while words := control.recv(100).split():
    try:
        sock = socket.socket(*map(int, words))
        control.sendmsg([b"ok"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))])
        sock.close()
    except OSError as error:
        control.send(str(error.errno).encode())
"""


class Machine:
    """One namespace: `inside` is the argv to put before a command."""

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        with theirs:
            self.process = processes.Processes(
                ["unshare", "-n", sys.executable, "-I", "-S", "-c", MAKER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self.pid = self.process.first.pid
        self.socket(socket.AF_INET, socket.SOCK_DGRAM).close()         # it is there
        self.inside = [machine.program("nsenter", "util-linux"), f"--net=/proc/{self.pid}/ns/net", "--"]

    def socket(self, family, kind, protocol=0):
        """A socket that was made in there."""
        self.control.send(f"{int(family)} {int(kind)} {int(protocol)}".encode())
        said, fds, _, _ = socket.recv_fds(self.control, 100, 1)
        if not fds:
            number = int(said or 0)
            raise OSError(number, os.strerror(number))
        return socket.socket(fileno=fds[0])

    def run(self, script):
        """Run a shell script in there."""
        subprocess.run([*self.inside, "sh", "-ec", script], check=True, timeout=20, stdin=subprocess.DEVNULL)

    def end(self):
        """End the process that holds the namespace, and with it its network."""
        self.control.close()
        self.process.end()


class Wire:
    """`here`, where servers run, and `there`, both with two addresses of each family, on a wire of their own."""

    def __enter__(self):
        if os.geteuid() != 0:
            machine.unavailable("network namespaces need root")
        program = machine.program("ip", "iproute2")
        with contextlib.ExitStack() as stack:
            self.here, self.there = Machine(), Machine()
            stack.callback(self.here.end)
            stack.callback(self.there.end)
            self.here.run(f"{program} link add wire type veth peer name wire netns {self.there.pid}")
            for one, addresses in ((self.here, HERE), (self.there, THERE)):
                one.run("\n".join([
                    "echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/wire/accept_dad",
                    f"{program} link set lo up", f"{program} link set wire up",
                    *(f"{program} addr add {host}/{64 if ':' in host else 24} "
                      + ("nodad" if ":" in host else "brd + ") + " dev wire" for host in addresses)]))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()
