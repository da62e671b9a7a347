"""Sockets that we bind ourselves, when no launcher did: --listen, and the super-server's."""

import os
import socket
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Where = tuple[str, int | None]          # a host and a port, or a path and None

BACKLOG = 1024          # connections the kernel may hold for us; it lowers this to net.core.somaxconn


def listen(text: str) -> Where:
    """An address to listen at: 127.0.0.1:7, [::1]:7, :7 for all, or unix:/path."""
    if text.startswith("unix:/"):
        return text[5:], None
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"write an IPv6 address in brackets: [{host}]:{port}")
    if not colon or not (port.isascii() and port.isdigit() and len(port) < 6) or int(port) > 65535:
        raise ValueError(f"not an address to listen at: {text!r} (write ADDRESS:PORT, :PORT or unix:/path)")
    return host if host != "*" else "", int(port)


def bound(where: Where, sort: str, reuse: bool = True, family: int | None = None) -> socket.socket:
    """Bind one socket at (host, port) or (path, None); `sort` is "stream" or "dgram".

    No host means every address: of IP version `family` (4 or 6), or both through one socket where the machine has both.
    Raises OSError with the address in it.
    """
    type_ = socket.SOCK_STREAM if sort == "stream" else socket.SOCK_DGRAM
    only = {4: socket.AF_INET, 6: socket.AF_INET6}[family] if family else None
    family, address = _resolved(where, type_, only)
    sock = socket.socket(family, type_)
    try:
        if family == socket.AF_UNIX:
            _clear(address)
        elif reuse and sort == "stream":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if where[0] or only else 0)
        sock.bind(address)
        if sort == "stream":
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen at {shown(where)}: {error.strerror or error}") from None
    return sock


def shown(where: Where) -> str:
    """An address to listen at, as a person writes it."""
    host, port = where
    return f"unix:{host}" if port is None else f"[{host or '*'}]:{port}"


def _resolved(where: Where, type_: int, family: int | None) -> "tuple[int, Any]":
    host, port = where
    if port is None:
        return socket.AF_UNIX, host
    if not host:
        family = family or (socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET)
        return family, ("::" if family == socket.AF_INET6 else "", port)
    try:
        found = socket.getaddrinfo(host, port, family or 0, type_, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(error.errno, f"cannot listen at {shown(where)}: {error.strerror}") from None
    return found[0][0], found[0][4]


def _clear(path: str) -> None:
    """Take away a Unix socket whose owner is gone; where somebody still answers, bind will say so."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.setblocking(False)            # its queue may be full
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError:                     # not there, or not ours to judge
        return
    finally:
        probe.close()
