"""Callers who say in one line what they want, before anybody is started for them.

They wait in the super-server itself, each with one deadline for the whole line, and only so many of them: a
stranger costs no process until he has named a service.  What comes behind the line stays in the socket, for
the server.
"""

import socket
from collections.abc import Callable
from functools import partial

from .addresses import Address
from .timers import Timer, Timers
from .watch import Watch

LONGEST = 257           # octets of a line, with its CR LF
MOST = 64               # callers who have not yet said it
SECONDS = 10.0

Chosen = Callable[[socket.socket, Address, bytes], None]


class Reception:
    """`chosen(sock, peer, line)` is called for who has said his line, `lost(peer, why)` for who has not."""

    def __init__(self, watch: Watch, timers: Timers, chosen: Chosen, lost: Callable[[Address, str], None]) -> None:
        self.watch, self.timers, self.chosen, self.lost = watch, timers, chosen, lost
        self.waiting: dict[int, tuple[socket.socket, Address, bytearray, Timer]] = {}

    def is_full(self) -> bool:
        """Are as many here as may be?"""
        return len(self.waiting) >= MOST

    def enter(self, sock: socket.socket, peer: Address) -> None:
        """Hear this caller; the socket is ours from now on."""
        fd = sock.fileno()
        timer = self.timers.after(SECONDS, partial(self._late, fd))
        self.waiting[fd] = sock, peer, bytearray(), timer
        self.watch.on(fd, partial(self._hear, fd))

    def close(self) -> None:
        """Send everybody away."""
        for fd in list(self.waiting):
            with self._leave(fd)[0]:
                continue

    def _hear(self, fd: int) -> None:
        sock, peer, line, _ = self.waiting[fd]
        try:
            seen = sock.recv(LONGEST - len(line), socket.MSG_PEEK | socket.MSG_DONTWAIT)
            end = seen.find(b"\n") + 1
            line += sock.recv(end or len(seen), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            return self._go(fd, peer, str(error.strerror))
        if not seen:
            self._go(fd, peer, "the caller closed")
        elif end:
            self._leave(fd)
            with sock:
                self.chosen(sock, peer, bytes(line))
        elif len(line) >= LONGEST:
            self._go(fd, peer, "the line is too long")

    def _late(self, fd: int) -> None:
        self._go(fd, self.waiting[fd][1], "no line in time")

    def _go(self, fd: int, peer: Address, why: str) -> None:
        with self._leave(fd)[0]:
            self.lost(peer, why)

    def _leave(self, fd: int) -> "tuple[socket.socket, Address, bytearray, Timer]":
        self.watch.off(fd)
        one = self.waiting.pop(fd)
        one[3].cancel()
        return one
