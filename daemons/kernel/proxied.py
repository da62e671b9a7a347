"""Clients that come through a proxy, which says in a PROXY header who they are.

From the networks that --proxy-protocol names the header is required, and from any other it is refused: never guessed,
or everybody could say who he is.  After it the client is the peer, for rules, limits and the log alike.
"""

from . import proxyheader
from .access import Network, networks, packed_host
from .addresses import Address, address
from .ends import BadHeader, Cut, Late
from .proxyheader import Header, Malformed
from .stream import Stream

PATIENCE = 10.0         # seconds for the header, where the conversation has not even less for a line
FOREIGN = "proxy-network"       # why somebody is denied who is none of the proxies


class Proxies:
    """Who must begin with a header: networks, and with `unix` whoever comes over a Unix socket."""

    __slots__ = ("networks", "unix")

    def __init__(self, networks: list[Network], unix: bool) -> None:
        self.networks, self.unix = networks, unix

    def network_of(self, peer: Address) -> "Network | str | None":
        """The network, or the word "unix", by which this peer is a proxy; None if it is none."""
        if not peer.host:
            return "unix" if self.unix and peer.word.startswith("unix:") else None
        packed = packed_host(peer.host) or b""
        return next((one for one in self.networks if one.match(packed) is not None), None)

    def __contains__(self, peer: Address) -> bool:
        return self.network_of(peer) is not None

    def __str__(self) -> str:
        return " ".join([*map(str, self.networks), *(["unix"] if self.unix else [])])


def proxies(text: str) -> Proxies:
    """Networks and addresses, and the word unix; raises ValueError.  A name would have to be looked up first."""
    words = text.replace(",", " ").split()
    found = networks(" ".join(word for word in words if word != "unix"))
    addresses = [one for one in found if isinstance(one, Network)]
    if len(addresses) < len(found):
        raise ValueError(f"proxies are known by their addresses: {text!r} (write 192.0.2.0/24, or unix)")
    if not words:
        raise ValueError("name the networks of the proxies, or unix")
    return Proxies(addresses, "unix" in words)


def hear(stream: Stream, name: bool = False) -> None:
    """Read the header that a proxy begins with, and let the client that it tells of be the stream's peer.

    What followed the header is kept for the conversation; the header's own octets are not counted for it.
    With `name` the client's confirmed name is logged.  Raises BadHeader.
    """
    by = stream.peer
    try:
        data = stream.head(proxyheader.size_of, min(stream.patience, PATIENCE))
        header = proxyheader.parse(data)
    except Malformed as error:
        raise BadHeader(str(error)) from None
    except Cut:
        raise BadHeader("cut short") from None
    except Late as end:
        if type(end) is not Late:       # the whole conversation is over
            raise
        raise BadHeader("too late") from None
    stream.received -= len(data)
    if header.local:
        return
    stream.peer, stream.local = ends(header, by, stream.local)
    who = {"name": _name(stream.peer)} if name else {}
    stream.log("proxied", from_=stream.peer, **who, to=stream.local, by=by, version=header.version)


def _name(peer: Address) -> str:
    from .dial import name_of
    return (peer.host and name_of(peer.host)) or "unknown"


def ends(header: Header, peer: Address, local: Address) -> tuple[Address, Address]:
    """Who calls, and where, as far as a header tells; else these two."""
    if header.source is None or header.destination is None:
        return peer, local
    return address(header.source), address(header.destination)


def unwrap(packet: bytes) -> tuple[Header, bytes]:
    """A datagram's header and what is behind it; raises Malformed.  Version 1 has no datagrams."""
    size = proxyheader.size_of(packet, lines=False)
    if not 0 < size <= len(packet):
        raise Malformed("cut short")
    return proxyheader.parse(packet[:size]), packet[size:]
