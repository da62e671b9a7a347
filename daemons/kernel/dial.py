"""The other connections of a program: call somebody, await a call, ask for names and addresses.

The two lookups tell their failures apart, because a program must: what does not exist will not exist
in a minute either (refuse), what could not be asked may be known then (try later).
"""

import socket
import time
from select import POLLIN, poll

from .addresses import address, local_of, peer_of
from .ends import End, Late
from .stream import Stream
from .transport import SocketTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NoSuchName(End):
    """The name, or an address for it, does not exist."""

    reason = "noname"


class NoAnswer(End):
    """The name could not be looked up now."""

    reason = "noanswer"


class NotReached(End):
    """Nobody answered our call, at any address of the name."""

    reason = "notreached"


AGAIN = 0.02            # seconds between two calls to a Unix socket whose queue is full
_NEVER = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME), socket.EAI_FAIL)


def addresses_of(name: str, port: int = 0) -> "list[tuple[int, Any]]":
    """The (family, socket address) pairs of a host name, in the resolver's order; NoSuchName or NoAnswer."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise (NoSuchName if error.errno in _NEVER else NoAnswer)(f"{name}: {error.strerror}") from None
    except ValueError:                  # UnicodeError: what IDNA cannot spell
        raise NoSuchName(f"{name}: not a host name") from None
    return [(family, where) for family, _, _, _, where in found]


def name_of(host: str) -> str | None:
    """The name of an address, if that name leads back to it; None without one.  Never raises."""
    try:
        name = socket.getnameinfo((host, 0), socket.NI_NAMEREQD)[0].rstrip(".").lower()
        found = [address(where).host for _, where in addresses_of(name)]
    except (OSError, ValueError, End):          # ValueError: that cannot even be asked
        return None
    return name if host.partition("%")[0] in found else None


def claimed_name(host: str) -> str:
    """As name_of, but as libwrap says it: "unknown" for who has no name, "paranoid" for who has one that is not his."""
    try:
        socket.getnameinfo((host, 0), socket.NI_NAMEREQD)
    except OSError:
        return "unknown"
    return name_of(host) or "paranoid"


def call(name: str, port: int, *, seconds: float = 30.0, patience: float = 60.0, source: str | None = None,
         endings: str = "lf") -> Stream:
    """A Stream to the first address of `name` that answers, all attempts within `seconds`.

    `source` is the address to call from.  Raises NoSuchName, NoAnswer, Late and NotReached.
    """
    deadline, refusals = time.monotonic() + seconds, []
    for family, where in addresses_of(name, port):
        left, sock = deadline - time.monotonic(), None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)        # a sandbox may not let us
            if left <= 0:
                raise TimeoutError("timed out")
            if source:
                sock.bind((source, 0))
            sock.settimeout(left)
            sock.connect(where)
            sock.settimeout(None)
        except OSError as error:
            if sock is not None:
                sock.close()
            refusals.append(f"{address(where)} {error.strerror or error}")
            continue
        return _stream(sock, patience, endings)
    if time.monotonic() >= deadline:
        raise Late(f"no connection within {seconds:g} seconds: {', '.join(refusals)}")
    raise NotReached(", ".join(refusals))


def call_path(path: str, *, seconds: float = 30.0, patience: float = 60.0, endings: str = "lf") -> Stream:
    """A Stream to the Unix socket at `path`; raises Late and NotReached."""
    deadline = time.monotonic() + seconds
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while not _is_connected(sock, path):
            if time.monotonic() >= deadline:
                raise Late(f"no connection within {seconds:g} seconds: {path} does not accept")
            time.sleep(AGAIN)
        sock.setblocking(True)
    except OSError as error:
        sock.close()
        raise NotReached(f"{path} {error.strerror or error}") from None
    except End:
        sock.close()
        raise
    return _stream(sock, patience, endings)


def _is_connected(sock: socket.socket, path: str) -> bool:
    """Is there room in the queue of whoever listens there?  A Unix socket cannot be watched for it."""
    try:
        sock.connect(path)
    except BlockingIOError:
        return False
    return True


def secure(stream: Stream, name: str, *, seconds: float = 30.0, authorities: str | None = None, check: bool = True,
           alpn: tuple[str, ...] = (), anchors: tuple[bytes, ...] = ()) -> None:
    """Turn a stream that we dialled to TLS, as the client of the server `name`; `stream.tls` tells what came of it.

    The server must prove that it has this name, by a certificate of `authorities` (a PEM file; None: those that
    the system trusts), unless `check` is off; or that its certificate, whatever name that is for, leads to one of
    `anchors` (DER).  What it said before is forgotten.  Raises NoHandshake.
    """
    from . import tlsclient  # 10 ms, for those alone who call out under TLS
    context = tlsclient.anchored_context(anchors) if anchors else tlsclient.client_context(authorities, check, alpn)
    stream.upgrade(lambda transport: tlsclient.connect(transport, context, name, time.monotonic() + seconds))


def shown(stream: Stream) -> list[bytes]:
    """The certificates that the server of a stream under TLS has shown, its own first, verified or not: DER."""
    from . import tls
    return stream.transport.certificates() if isinstance(stream.transport, tls.TlsTransport) else []


def call_secure(name: str, port: int, *, seconds: float = 30.0, patience: float = 60.0, source: str | None = None,
                endings: str = "lf", authorities: str | None = None, check: bool = True,
                alpn: tuple[str, ...] = ()) -> Stream:
    """`call`, with TLS from the first octet on, as `secure` has it; `seconds` are for both together."""
    deadline = time.monotonic() + seconds
    stream = call(name, port, seconds=seconds, patience=patience, source=source, endings=endings)
    try:
        secure(stream, name, seconds=deadline - time.monotonic(), authorities=authorities, check=check, alpn=alpn)
    except End:
        stream.cut_off()
        raise
    return stream


def await_call(listener: socket.socket, *, seconds: float = 30.0, patience: float = 60.0, peer: str | None = None,
               endings: str = "lf") -> Stream:
    """A Stream from the first caller at `listener`, or the first from host `peer`; raises Late."""
    deadline = time.monotonic() + seconds
    watch = poll()
    watch.register(listener, POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if not watch.poll(left * 1000):
            continue
        try:
            sock, _ = listener.accept()
        except OSError:                 # the caller gave up before we answered
            continue
        caller = peer_of(sock)
        if caller and (peer is None or caller.host == peer):
            return _stream(sock, patience, endings)
        sock.close()
    raise Late(f"nobody called within {seconds:g} seconds")


def _stream(sock: socket.socket, patience: float, endings: str) -> Stream:
    return Stream(SocketTransport(sock), patience=patience, endings=endings,
                  peer=peer_of(sock), local=local_of(sock))
