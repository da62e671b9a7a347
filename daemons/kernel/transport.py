"""Octets to and from one peer, over a socket or two pipes, none of them waited for past a deadline.

Deadlines are points on time.monotonic().  Beside the deadline of one read or write there is an
end for the whole conversation, which a signal may bring nearer while we wait (`hurry`).
TLS is one more class with this face, over another of them (tls.py).
"""

import os
import socket
import sys
import time
from collections.abc import Iterable
from select import POLLIN, POLLOUT, poll

from .ends import Late, Overtime, Reset, Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tls import Handshake

Octets = bytes | bytearray | memoryview

NOW = socket.MSG_DONTWAIT
LONG = (sys.maxsize.bit_length() + 1) // 8      # octets of C's long, of which a timeval has two
PIPE_PIECE = 4096       # PIPE_BUF: a pipe that polls as writable takes so much at once


class _Hurry(Exception):
    """Raised by a signal's handler into a wait, so that it looks at the clock again."""


class Transport:
    """The face of all kinds, and what they share: the end of the conversation, and waiting."""

    secure = False
    tls: "Handshake | None" = None      # what was agreed on, where secure

    def __init__(self) -> None:
        self.end: float | None = None
        self.why: type[Late] = Overtime
        self.waiting = self.stopped = False
        self.idle = False               # nothing is owed: the peer may speak again, or not
        self.leaving = False            # the program was told to stop: what is begun is finished, and no more begun

    def fileno(self) -> int:
        """The descriptor to watch for input."""
        raise NotImplementedError

    def sink_fileno(self) -> int:
        """The descriptor to watch for room to write."""
        return self.fileno()

    def pending(self) -> bool:
        """May `take` have something although the descriptor does not become readable?"""
        return False

    def take(self, size: int) -> bytes | None:
        """Up to `size` octets that have come; None when none have, b"" once the peer has said its last."""
        raise NotImplementedError

    def offer(self, data: Octets) -> int:
        """Hand the kernel what it takes of `data` now; returns how many octets that was.

        What was not taken is to be offered again as it is, with more behind it at most.
        """
        raise NotImplementedError

    def send_file(self, fd: int, offset: int, count: int, deadline: float | None) -> int:
        """Send a piece of a file; returns how many octets were taken, 0 at the file's end."""
        raise NotImplementedError

    def half_close(self) -> None:
        """Tell the peer that nothing more will come; what it sends can still be read."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the descriptors."""
        raise NotImplementedError

    def receive(self, size: int, deadline: float | None) -> bytes:
        """Up to `size` octets, at least one; b"" once the peer has said that there are no more."""
        while (data := self.take(size)) is None:
            self.wait(self.fileno(), POLLIN, deadline)
        if not data and self.stopped:
            raise Stopped("the peer was silent")
        return data

    def send(self, data: Octets, deadline: float | None) -> None:
        """Hand all of it to the kernel."""
        rest = memoryview(data)
        while rest:
            taken = self.offer(rest)
            if not taken:
                self.wait(self.sink_fileno(), POLLOUT, deadline)
            rest = rest[taken:]

    def rest(self, listen: bool, deadline: float) -> bool:
        """Wait until the deadline (False), or the peer says something, if we `listen`, or is gone for good (True).

        Raises Overtime or Stopped when the conversation ends before.
        """
        watch = poll()
        watch.register(self.fileno() if listen else self.sink_fileno(), POLLIN if listen else 0)
        try:
            ready(watch, deadline, (self,), "the peer was made to wait")
        except Late as end:
            if type(end) is not Late:
                raise
            return False
        if self.stopped:
            raise Stopped("the peer was made to wait")
        return True

    def hurry(self, seconds: float) -> None:
        """The conversation must be over in so many seconds, if idle at once; for signal handlers in its thread."""
        self.leaving = True
        end = time.monotonic() + (0 if self.idle else seconds)
        if self.end is None or end < self.end:
            self.end, self.why = end, Stopped
        if self.waiting:
            raise _Hurry

    def leave(self) -> None:
        """Finish what is begun and begin no more, or end now if idle; for another thread than the serving one."""
        self.leaving = True

    def stop(self) -> None:
        """End the conversation now; called by another thread than the one that serves it."""
        self.stopped = True

    def wait(self, fd: int, what: int, deadline: float | None) -> None:
        """Return once the descriptor is ready; raises Late, Overtime or Stopped when it is not in time."""
        watch = poll()
        watch.register(fd, what)
        ready(watch, deadline, (self,), "the peer was silent" if what == POLLIN else "the peer did not read")


def ready(watch: poll, deadline: float | None, transports: Iterable[Transport], late: str) -> list[tuple[int, int]]:
    """What poll() finds ready; raises Late, or the end of one of these conversations, when nothing is in time."""
    while True:
        try:
            if found := _ready(watch, deadline, transports, late):
                return found
        except _Hurry:                  # an end came nearer: look at the clock again
            continue


def _ready(watch: poll, deadline: float | None, transports: Iterable[Transport], late: str) -> list[tuple[int, int]]:
    end, why = deadline, Late
    try:
        for one in transports:
            one.waiting = True
            if one.end is not None and (end is None or one.end < end):
                end, why = one.end, one.why
        left = None if end is None else (end - time.monotonic()) * 1000
        if left is not None and left <= 0:
            raise why(late)
        return watch.poll(left)
    finally:
        for one in transports:
            one.waiting = False


class SocketTransport(Transport):
    """One connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.sock = sock
        self._blocked = self._woken = False     # in receive(), maybe within a wait of the kernel's; kept from waiting
        self._patience = 0              # seconds after which the kernel itself ends a wait of ours (SO_RCVTIMEO)

    def receive(self, size: int, deadline: float | None) -> bytes:
        """As Transport.receive; long waits are one call of the kernel's, and only their last second is polled."""
        self._blocked = True            # from here on the end may come nearer
        try:
            end = min((one for one in (deadline, self.end) if one is not None), default=None)
            seconds = 0 if end is None else int(end - time.monotonic())
            if seconds > 0 and self.sock.gettimeout() is None:
                if seconds != self._patience:
                    self._patience = seconds
                    timeval = seconds.to_bytes(LONG, sys.byteorder) + bytes(LONG)
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
                if data := self.sock.recv(size):
                    return data
        except BlockingIOError:
            pass                        # the rest of the time is waited for exactly, whatever it is now
        except OSError as error:
            raise Reset(error.strerror) from None
        finally:
            self._blocked = False
            if self._woken:
                self._woken = False
                os.set_blocking(self.fileno(), True)
        return super().receive(size, deadline)

    def hurry(self, seconds: float) -> None:
        """As Transport.hurry; a wait of the kernel's is not broken off, which might lose what it has just taken.

        Instead the descriptor stops waiting: what has come comes out, or nothing does.
        """
        super().hurry(seconds)
        if self._blocked:
            self._woken = True
            os.set_blocking(self.fileno(), False)

    def leave(self) -> None:
        """As Transport.leave: what has come can still be read, and then comes the end."""
        super().leave()
        if self.idle:
            try:
                self.sock.shutdown(socket.SHUT_RD)
            except OSError:
                return                  # it ended just now

    def fileno(self) -> int:
        """As Transport.fileno."""
        return self.sock.fileno()

    def take(self, size: int) -> bytes | None:
        """As Transport.take."""
        try:
            return self.sock.recv(size, NOW)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Reset(error.strerror) from None

    def offer(self, data: Octets) -> int:
        """As Transport.offer."""
        try:
            return self.sock.send(data, NOW)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Reset(error.strerror) from None

    def send_file(self, fd: int, offset: int, count: int, deadline: float | None) -> int:
        """As Transport.send_file; the kernel itself copies."""
        if self.sock.gettimeout() != 0:
            self.sock.setblocking(False)    # sendfile(2) has no flag for it
        while True:
            try:
                return os.sendfile(self.sock.fileno(), fd, offset, count)
            except BlockingIOError:
                self.wait(self.fileno(), POLLOUT, deadline)
            except OSError as error:
                raise Reset(error.strerror) from None

    def half_close(self) -> None:
        """As Transport.half_close."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Reset(error.strerror) from None

    def close(self) -> None:
        """As Transport.close."""
        self.sock.close()


class PipeTransport(Transport):
    """Two descriptors: a pipe to read from and one to write to, or a terminal."""

    def __init__(self, source: int, sink: int) -> None:
        super().__init__()
        self.source = source
        self.sink: int | None = sink

    def fileno(self) -> int:
        """As Transport.fileno."""
        return self.source

    def sink_fileno(self) -> int:
        """As Transport.sink_fileno; raises Reset once we have closed it."""
        if self.sink is None:
            raise Reset("closed for writing already")
        return self.sink

    def take(self, size: int) -> bytes | None:
        """As Transport.take."""
        if not _is_ready(self.source, POLLIN):
            return None
        try:
            return os.read(self.source, size)
        except OSError as error:
            raise Reset(error.strerror) from None

    def offer(self, data: Octets) -> int:
        """As Transport.offer."""
        sink = self.sink_fileno()
        if not _is_ready(sink, POLLOUT):
            return 0
        try:
            return os.write(sink, data[:PIPE_PIECE])
        except OSError as error:
            raise Reset(error.strerror) from None

    def send_file(self, fd: int, offset: int, count: int, deadline: float | None) -> int:
        """As Transport.send_file."""
        data = os.pread(fd, min(count, PIPE_PIECE), offset)
        self.send(data, deadline)
        return len(data)

    def half_close(self) -> None:
        """As Transport.half_close: the pipe to the peer is closed."""
        if self.sink is not None:
            os.close(self.sink)
            self.sink = None

    def close(self) -> None:
        """As Transport.close."""
        self.half_close()
        os.close(self.source)


def _is_ready(fd: int, what: int) -> bool:
    """Pipes are shared with whoever made them, so they stay blocking and are asked first."""
    watch = poll()
    watch.register(fd, what)
    return bool(watch.poll(0))
