"""Start program NAME of LIBRARY as its stub does; at its first wait print the modules it has loaded, and end.

    python3 -IS first_wait.py LIBRARY NAME OPTIONS...       the connection or datagram socket on descriptor 0
"""
import posix
import select
import socket
import sys

real = select.poll


def tell():
    """Print the modules and end."""
    posix.write(1, " ".join(sys.modules).encode())
    posix._exit(0)


class FirstWait:
    """A poll object that ends the program instead of waiting."""

    def __init__(self):
        self.watch = real()
        self.register, self.unregister = self.watch.register, self.watch.unregister

    def poll(self, timeout=None):
        if timeout == 0:                # a look, no wait
            return self.watch.poll(0)
        return tell()


class Socket(socket.socket):
    """A socket that ends the program instead of waiting for what comes."""

    def recv(self, size, flags=0):
        return super().recv(size, flags) if flags & socket.MSG_DONTWAIT else tell()


select.poll = FirstWait
socket.socket = Socket
library, name, *sys.argv[1:] = sys.argv[1:]
sys.path.append(library)
from daemons.kernel.launch import launch    # noqa: E402, I001

launch(name)
