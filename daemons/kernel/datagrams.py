"""Packets in, answers out from the address that was asked.

Two servers that answer each other's answers do so for ever (CVE-2024-2169), so what comes from a port
where servers live, from ourselves, or was sent to many is not answered.
"""

import errno
import socket
import struct
import time
from collections.abc import Callable, Iterable

from . import log
from .addresses import Address, Name, address
from .limits import Limits, OnceAMinute, Shared
from .options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOW = socket.MSG_DONTWAIT
LARGEST = 65535
BATCH = 256             # packets taken from one socket before others get their turn
IP_PKTINFO = 8          # linux/in.h; Python's socket module does not name it
SERVER_PORTS = 1024
MAPPED = bytes(10) + b"\xff\xff"         # how IPv4 addresses begin in IPv6's clothes


class Packet:
    """One datagram: `data`, who sent it to where, and the log and wall clock for its answer.

    `name` and `to` are those of the client where a proxy sent it, as socket calls have them.
    """

    __slots__ = ("data", "log", "name", "time", "to")

    def __init__(self, data: bytes, name: Name, to: Name | None = None,
                 log_: Callable[..., None] = log.event, wall: Callable[[], float] = time.time) -> None:
        self.data, self.name, self.to, self.log, self.time = data, name, to, log_, wall

    @property
    def peer(self) -> Address:
        """The sender's Address."""
        return address(self.name)

    @property
    def local(self) -> Address:
        """The Address that was asked; without a host where only the socket knows."""
        return address(self.to or ("", 0))


class Datagrams:
    """One datagram socket and the program's `answer(packet, options)`, which returns octets or None."""

    def __init__(self, sock: socket.socket, answer: Callable[..., bytes | None], options: Options,
                 *made: object, shared: Shared | None = None) -> None:
        self.sock, self.answer, self.options, self.made = sock, answer, options, made
        self.port = sock.getsockname()[1] if sock.family != socket.AF_UNIX else 0
        self.low_ports = SERVER_PORTS if options.low_ports == "ignore" and self.port else 0
        self.shared = shared
        self.limits = shared or Limits(None, options.rate)
        self.first_of, self.tell = OnceAMinute(), OnceAMinute()
        self.seen: set[Name] = set()
        self.seen_until = 0.0
        self.count = [0, 0, 0, 0]       # in, answered, ignored, refused
        self.proxies, self.wall = options.proxy_protocol, time.time
        self.restricted = any(rule is not None for rule in (options.only_from, options.no_access, options.access_times))
        if self.port and not options.broadcast:     # a launcher's socket may; but a forged sender may be everybody
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)
        self.connected = _is_connected(sock)
        self.wildcard = _ask_for_destination(sock) if not self.connected else False

    def serve(self) -> bool:
        """Answer what is waiting; returns whether anything was."""
        receive = self._receive_to if self.wildcard else self._receive
        for done in range(BATCH):
            try:
                data, name, to = receive()
            except BlockingIOError:
                return done > 0
            except OSError:             # an earlier answer found nobody (ICMP): the network's news, not ours
                continue
            self._serve(data, name or "", to)
        return True

    def _serve(self, data: bytes, name: "Any", to: "_Destination | None") -> None:
        self.count[0] += 1
        if self.port and (name[1] < self.low_ports or (to is not None and to.many) or self._is_us(name)):
            return self._ignore(name, to)
        if self.proxies is not None:
            return self._serve_proxied(data, name, to)
        if self._is_welcome(name):
            self._answer(Packet(data, name, to.name if to else None), name, to)

    def _serve_proxied(self, data: bytes, name: "Any", to: "_Destination | None") -> None:
        """What a proxy sends begins with a header that says who asks; the answer goes to the proxy."""
        from . import proxied  # loaded by the option
        from .proxyheader import Malformed
        try:
            if address(name) not in self.proxies:
                return self._refuse(name, proxied.FOREIGN)
            header, data = proxied.unwrap(data)
        except Malformed as error:
            return self._refuse(name, f"proxy: {error}")
        asker, asked = header.source, header.destination
        if asker is None or asked is None:
            asker, asked = name, to.name if to else None
        elif self.port and isinstance(asker, tuple) and (asker[1] < self.low_ports or self._is_us(asker)):
            return self._ignore(asker, None)
        if self._is_welcome(asker, address(name)):
            self._answer(Packet(data, asker, asked), name, to)

    def _is_welcome(self, name: "Any", by: Address | None = None) -> bool:
        """Hold who asks against the limits and the rules; `by` is the proxy that told of it."""
        if self.limits.rate and not self.limits.within_rate(address(name).source):
            self._refuse(name, "rate")
            return False
        if self.restricted:
            from . import access
            why = access.refusal(address(name), self.options, self.wall(), by)
            if why:
                self._refuse(name, why)
                return False
        return True

    def _answer(self, packet: Packet, name: "Any", to: "_Destination | None") -> None:
        """Let the program answer; what it says goes to `name`."""
        try:
            reply = self.answer(packet, self.options, *self.made)
            if reply is not None and name:      # a Unix peer without a name is heard, but cannot be answered
                self._reply(reply, name, to)
        except Exception as error:      # one bad packet must not end the service for all
            return log.crash(error)
        if packet.name not in self.seen:
            self._first(packet, name, to, len(reply or b""))

    def _receive(self) -> "tuple[bytes, Any, _Destination | None]":
        data, name = self.sock.recvfrom(LARGEST, NOW)
        return data, name or self.connected, None

    def _receive_to(self) -> "tuple[bytes, Any, _Destination | None]":
        data, ancillary, _, name = self.sock.recvmsg(LARGEST, 128, NOW)
        return data, name, _destination(ancillary, self.port)

    def _reply(self, reply: bytes, name: Name, to: "_Destination | None") -> None:
        try:
            if self.connected:
                self.sock.send(reply, NOW)
            elif to is None:
                self.sock.sendto(reply, NOW, name)
            else:
                self.sock.sendmsg([reply], [to.reply], NOW, name)
            self.count[1] += 1
        except OSError as error:        # no room, no route, or the address asked was nobody's own (broadcast)
            if self.tell(address(name).source):
                log.event("ignored", from_=address(name), why=error.strerror)

    def _first(self, packet: Packet, name: Name, to: "_Destination | None", sent: int) -> None:
        """Log the first packet of a sender in a minute; the rest are counted."""
        now = time.monotonic()
        if now > self.seen_until or len(self.seen) > 4096:
            self.seen, self.seen_until = set(), now + 60
        self.seen.add(packet.name)
        if self.first_of(packet.peer.source):
            by = {"by": address(name)} if packet.name != name else {}
            asked = packet.local if packet.to else address(to.name if to else self.sock.getsockname())
            log.event("packet", from_=packet.peer, to=asked, **by, in_=len(packet.data), out=sent)

    def _is_us(self, name: tuple[str, int]) -> bool:
        """Did we send this ourselves, from whichever address?  Then the answer would be the next question."""
        return name[1] == self.port and _is_here(address(name).host)

    def _ignore(self, name: Name, to: "_Destination | None") -> None:
        self.count[2] += 1
        sender = address(name)
        if self.tell(sender.source):
            why = "server-port" if sender.port < self.low_ports else "sent-to-many" if to and to.many else "own-address"
            log.event("ignored", from_=sender, why=why)

    def _refuse(self, name: Name, why: str) -> None:
        self.count[3] += 1
        source = address(name).source
        if self.tell(source) and (self.shared is None or self.shared.told(source)):
            log.event("refused", from_=address(name), why=why)

    def summary(self) -> None:
        """Log what was done since the last summary, if anything was."""
        if self.count[0]:
            received, answered, ignored, refused = self.count
            self.count = [0, 0, 0, 0]
            log.event("packets", in_=received, answered=answered, ignored=ignored, refused=refused)


class _Destination:
    """Where a packet was sent to, and the ancillary data that make the answer leave from there."""

    __slots__ = ("many", "name", "reply")

    def __init__(self, name: tuple[str, int], reply: tuple[int, int, bytes], many: bool) -> None:
        self.name, self.reply, self.many = name, reply, many


def _destination(ancillary: Iterable[tuple[int, int, bytes]], port: int) -> _Destination | None:
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            _, ours, asked = struct.unpack("=i4s4s", data[:12])
            # the kernel names its own address beside the one asked; they differ for broadcast and multicast
            many = ours not in (asked, bytes(4)) or asked[0] >= 224
            reply = level, kind, struct.pack("=i4s4s", 0, asked, bytes(4))
            return _Destination((socket.inet_ntop(socket.AF_INET, asked), port), reply, many)
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and not data.startswith(MAPPED):
            host = socket.inet_ntop(socket.AF_INET6, data[:16])
            return _Destination((host, port), (level, kind, data), data[0] == 255)
    return None


def _is_here(host: str) -> bool:
    """Is this an address of our own machine?  Another's cannot be bound."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


def _ask_for_destination(sock: socket.socket) -> bool:
    """On a socket bound to every address, have the kernel tell which one was asked; False on any other."""
    if sock.family == socket.AF_UNIX or sock.getsockname()[0] not in ("0.0.0.0", "::"):
        return False
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return True


def _is_connected(sock: socket.socket) -> "Any":
    """The peer's name, where a launcher connected the socket to one."""
    try:
        return sock.getpeername() or None
    except OSError:
        return None
