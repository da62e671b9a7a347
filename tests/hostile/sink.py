"""The log as a hostile peer would have it read: lines through our own log code and a real socket, each parsed back."""

import contextlib
import os
import socket
import tempfile

from daemons.kernel import log
from tests.live import devlog

from . import loglines


class Sink:
    """Where the log of this very process goes for a while: a socket that is read after each line.

    `events` are (name, {key: octets}) of every line; one that is not ours raises loglines.Unreadable.
    """

    def __init__(self, service):
        self.service, self.events = service, []

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="fd0-sink-")
        path = os.path.join(self.folder.name, "log")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        log.start(self.service.name, self.service.facility, "debug", ("pid",), path, self.service.events)
        return self

    def __exit__(self, *_):
        log.start(self.service.name, target="/nonexistent")
        self.socket.close()
        self.folder.cleanup()

    def log(self, name, **values):
        """Log one event, and read it."""
        log.event(name, **values)
        self.read()

    def read(self):
        """Take all lines that were sent; the socket holds ten, and the log keeps the others until they are taken."""
        self._take()
        while log.settle(0):
            self._take()
        self._take()

    def _take(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                record = devlog.parse(self.socket.recv(1 << 20, socket.MSG_DONTWAIT).decode())      # strictly UTF-8
                assert record.ident == self.service.name and record.pid == os.getpid(), record.line
                assert record.facility == self.service.facility
                self.events.append(loglines.parse(record.text))
