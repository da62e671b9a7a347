"""Octets to and from one peer, over a socket or two pipes, none of them waited for past a deadline.

Deadlines are points on time.monotonic().  Beside the deadline of one read or write there is an
end for the whole conversation, which a signal may bring nearer while we wait (`hurry`).
TLS will be one more class with this face.
"""

import os
import socket
import time
from collections.abc import Iterable
from select import POLLIN, POLLOUT, poll

from .ends import Late, Overtime, Reset, Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Buffer

NOW = socket.MSG_DONTWAIT
PIPE_PIECE = 4096       # PIPE_BUF: a pipe that polls as writable takes so much at once


class _Hurry(Exception):
    """Raised by a signal's handler into a wait, so that it looks at the clock again."""


class Transport:
    """What both kinds share: the end of the conversation, and waiting."""

    secure = False

    def __init__(self):
        self.end, self.why = None, Overtime
        self.waiting = False

    def hurry(self, seconds):
        """The conversation must be over in so many seconds; called by signal handlers in the serving thread."""
        end = time.monotonic() + seconds
        if self.end is None or end < self.end:
            self.end, self.why = end, Stopped
        if self.waiting:
            raise _Hurry

    def wait(self, fd, what, deadline):
        """Return once the descriptor is ready; raises Late, Overtime or Stopped when it is not in time."""
        watch = poll()
        watch.register(fd, what)
        while True:
            try:
                if self._ready(watch, what, deadline):
                    return
            except _Hurry:              # the end came nearer: look at the clock again
                continue

    def _ready(self, watch, what, deadline):
        try:
            self.waiting = True
            end, why = deadline, Late
            if self.end is not None and (end is None or self.end < end):
                end, why = self.end, self.why
            left = None if end is None else (end - time.monotonic()) * 1000
            if left is not None and left <= 0:
                raise why("the peer was silent" if what == POLLIN else "the peer did not read")
            return watch.poll(left)
        finally:
            self.waiting = False


class SocketTransport(Transport):
    """One connected socket."""

    def __init__(self, sock):
        super().__init__()
        self.sock = sock

    def fileno(self):
        """The descriptor to watch for input."""
        return self.sock.fileno()

    def receive(self, size, deadline):
        """Up to `size` octets, at least one; b"" once the peer has said that there are no more."""
        while True:
            try:
                return self.sock.recv(size, NOW)
            except BlockingIOError:
                self.wait(self.sock, POLLIN, deadline)
            except OSError as error:
                raise Reset(error.strerror) from None

    def send(self, data, deadline):
        """Hand all of it to the kernel."""
        data = memoryview(data)
        while data:
            try:
                data = data[self.sock.send(data, NOW):]
            except BlockingIOError:
                self.wait(self.sock, POLLOUT, deadline)
            except OSError as error:
                raise Reset(error.strerror) from None

    def send_file(self, fd, offset, count, deadline):
        """Let the kernel copy from a file; returns how many octets it took, 0 at the file's end."""
        while True:
            self.wait(self.sock, POLLOUT, deadline)
            try:
                return os.sendfile(self.sock.fileno(), fd, offset, count)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Reset(error.strerror) from None

    def half_close(self):
        """Tell the peer that nothing more will come; what it sends can still be read."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Reset(error.strerror) from None

    def close(self):
        """Let go of the socket."""
        self.sock.close()


class PipeTransport(Transport):
    """Two descriptors: a pipe to read from and one to write to, or a terminal."""

    def __init__(self, source, sink):
        super().__init__()
        self.source, self.sink = source, sink

    def fileno(self):
        """As SocketTransport.fileno."""
        return self.source

    def receive(self, size, deadline):
        """As SocketTransport.receive."""
        self.wait(self.source, POLLIN, deadline)
        try:
            return os.read(self.source, size)
        except OSError as error:
            raise Reset(error.strerror) from None

    def send(self, data, deadline):
        """As SocketTransport.send."""
        data = memoryview(data)
        while data:
            self.wait(self.sink, POLLOUT, deadline)
            try:
                data = data[os.write(self.sink, data[:PIPE_PIECE]):]
            except OSError as error:
                raise Reset(error.strerror) from None

    def send_file(self, fd, offset, count, deadline):
        """As SocketTransport.send_file."""
        data = os.pread(fd, min(count, PIPE_PIECE), offset)
        self.send(data, deadline)
        return len(data)

    def half_close(self):
        """Close the pipe to the peer."""
        if self.sink is not None:
            os.close(self.sink)
            self.sink = None

    def close(self):
        """Let go of both descriptors."""
        self.half_close()
        os.close(self.source)
