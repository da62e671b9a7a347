"""A web server started us for one request (CGI/1.1, RFC 3875): how that is known, and the octets to and from it."""

import os
import socket
import stat
from collections.abc import Mapping, Sequence

from . import descriptors, inherited
from .transport import PipeTransport, SocketTransport, Transport

INTERNET = (socket.AF_INET, socket.AF_INET6)


def is_asked(environ: Mapping[str, str]) -> bool:
    """Were we started for one request?  What is on descriptor 0 stays as it is.

    Not where that is a socket of the internet, whatever the environment says: web interfaces restart super-servers,
    which then hand their environment to all services.  A Unix socket is what Apache's mod_cgid gives.
    """
    if not (environ.get("GATEWAY_INTERFACE", "").startswith("CGI/") and environ.get("REQUEST_METHOD")):
        return False
    try:
        if not stat.S_ISSOCK(os.fstat(0).st_mode):
            return True
        with socket.fromfd(0, -1, -1, -1) as given:
            return given.family not in INTERNET
    except OSError:                     # descriptor 0 is closed: there is no body
        return True


def has_words_of_a_client(environ: Mapping[str, str], arguments: Sequence[str]) -> bool:
    """May the arguments be what a client wrote?  A query without "=" is handed on as such (RFC 3875, 4.4)."""
    query = environ.get("QUERY_STRING", "")
    return bool(arguments) and bool(query) and "=" not in query


def opened() -> Transport:
    """The octets to and from the web server; afterwards /dev/null is on descriptors 0 and 1."""
    given = inherited.standard_input()
    if given is None:                   # no body: /dev/null, or nothing at all
        return PipeTransport(os.open(descriptors.NULL, os.O_RDONLY), descriptors.take_output())
    if given.sock is not None:
        return SocketTransport(given.sock)
    return PipeTransport(given.input, given.output)
