"""Sockets that our own launcher opened for the services that we keep, each under a service's name."""

import os
import socket
from collections.abc import Callable

from . import inherited
from .addresses import local_of

KINDS = {"stream": socket.SOCK_STREAM, "dgram": socket.SOCK_DGRAM}


class Handed:
    """What was handed to us and nobody has now.  A service that is gone gives its socket back for the next of its name.

    None of it is ever bound, listened on, shut down or closed here: it is the launcher's.
    """

    def __init__(self, sockets: list[tuple[str, socket.socket]] | None = None) -> None:
        self.sockets = sockets or []

    def has(self, name: str, sort: str) -> bool:
        """Is there a socket for such a service?"""
        return any(known == name and fits(sock, sort) for known, sock in self.sockets)

    def take(self, name: str, sort: str) -> socket.socket | None:
        """The socket for a service, if it is of the kind that the service wants and awaits callers."""
        for place, (known, sock) in enumerate(self.sockets):
            if known == name and fits(sock, sort):
                del self.sockets[place]
                return sock
        return None

    def give_back(self, name: str, sock: socket.socket) -> None:
        """The service is gone."""
        self.sockets.append((name, sock))

    def left(self) -> list[str]:
        """What nobody has, in words."""
        return [f"{name} at {local_of(sock)}" for name, sock in self.sockets]


def fits(sock: socket.socket, sort: str) -> bool:
    """Can a service of this sort await its callers there?"""
    if sock.type != KINDS[sort]:
        return False
    return sort == "dgram" or bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def handed(always: str, warn: Callable[[str], None]) -> Handed:
    """What LISTEN_FDS and LISTEN_FDNAMES tell (sd_listen_fds(3)); raises inherited.Nothing for what is no socket."""
    passed = inherited.listen_fds(os.environ, os.getpid(), always, warn)
    names = inherited.listen_names(os.environ, len(passed))
    return Handed([(name, socket.socket(fileno=fd)) for name, fd in zip(names, passed)])
