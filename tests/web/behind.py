"""A server behind us that does what a test says, and a client before us, both with real sockets.

    with Behind(b"HTTP/1.1 204 No Content\\r\\n\\r\\n") as server:          or a function of the socket, or several
        said = hold(proxy(server.url), b"GET /app/x HTTP/1.1\\r\\n...")
    server.heard        what it was sent on each connection;  said.octets       what the client heard
"""

import contextlib
import socket
import threading
import types

from daemons.kernel.addresses import Address
from daemons.kernel.ends import End, Late, Reset
from daemons.kernel.stream import Stream
from daemons.kernel.transport import SocketTransport
from daemons.web import keepalive, upstream
from daemons.web.sites import Place, Site

SECONDS = 60
OPTIONS = {"keep_alive": 5.0, "requests": 100, "body": 20_000_000, "forwarders": None, "model": None, "processes": 1,
           "spool": None}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Behind:
    """A server that acts once for each of `acts`: octets that it sends when a whole request is there, or a function
    of the socket, which reads by itself."""

    def __init__(self, *acts, path=None, context=None):
        self.acts, self.heard, self.context = acts, [], context
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen()
        self.listener.settimeout(SECONDS)
        self.where = path or "127.0.0.1:{1}".format(*self.listener.getsockname())

    @property
    def url(self):
        """Where it is."""
        return f"http://unix:{self.where}" if self.where.startswith("/") else f"http://{self.where}"

    def __enter__(self):
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(SECONDS)
        self.listener.close()
        assert not self.thread.is_alive()

    def _serve(self):
        for act in self.acts:
            with contextlib.suppress(TimeoutError):         # whom nobody calls has nothing to do
                sock, _ = self.listener.accept()
                sock.settimeout(SECONDS)
                with contextlib.suppress(OSError), self._secure(sock) as there:
                    if callable(act):
                        act(there, self)
                    else:
                        self.heard.append(whole(there))
                        there.sendall(act)

    def _secure(self, sock):
        return self.context.wrap_socket(sock, server_side=True) if self.context else sock

    def head(self, number=0):
        """The fields of a request that it heard, by their names in lower case, and its first line as ""."""
        line, *lines = self.heard[number].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        return {"": line, **{name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}}


def whole(sock):
    """A request with its body, as its head tells its length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return data
        data += piece
    head = data.partition(b"\r\n\r\n")[0].lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        while not data.endswith(b"\r\n0\r\n\r\n") and (piece := sock.recv(65536)):
            data += piece
    elif b"\r\ncontent-length: " in head:
        size = len(head) + 4 + int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        while len(data) < size and (piece := sock.recv(65536)):
            data += piece
    return data


class Said:
    """All that a client heard on a connection; `events` that were logged, `reason` why it ended."""

    def __init__(self):
        self.octets, self.events, self.reason = b"", [], ""

    def whys(self, name):
        """What events of this name said."""
        return [values["why"] for known, values in self.events if known == name]


def proxy(url, prefix="/app/", **exchange):
    """What answers requests as the file of sites would have it; more is set on each exchange."""
    place, site = Place("proxy", prefix, url), Site(None)

    def handle(given):
        for name, value in exchange.items():
            setattr(given, name, value)
        upstream.answer(given, site, place)
    return handle


def hold(handle, octets, client=None, peer="192.0.2.7", patience=20, **options):
    """Serve one connection whose client says these octets, then listens; `client(sock)` acts instead."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(SECONDS)
    said = Said()

    def converse():
        with theirs:
            if client is not None:
                said.octets = client(theirs)
                return
            theirs.sendall(octets)
            theirs.shutdown(socket.SHUT_WR)
            while data := theirs.recv(65536):
                said.octets += data

    def log(name, **values):
        said.events.append((name, {key: str(value) for key, value in values.items()}))

    stream = Stream(SocketTransport(ours), endings="crlf", patience=patience, peer=Address(peer, 41822),
                    local=Address("192.0.2.1", 8080), log=log)
    thread = threading.Thread(target=converse)
    thread.start()
    try:
        said.reason = keepalive.serve(stream, types.SimpleNamespace(**{**OPTIONS, **options}), handle)
        stream.close()
    except (Reset, Late) as end:        # as the kernel parts from them
        said.reason = end.reason
        stream.cut_off()
    except End as end:
        said.reason = end.reason
        stream.close()
    thread.join(SECONDS)
    assert not thread.is_alive()
    return said
