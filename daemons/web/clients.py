"""Clients behind proxies: who really asks, as far as those can be believed who say so.

A field of a request is worth as much as whoever sent it.  So the list is read from its end: what our peer says counts
if we trust the peer, what the one before it says if we trust that one, and the first whom we do not trust is the
client.
"""

from daemons.kernel.access import judged, packed_host
from daemons.kernel.addresses import Address, address
from daemons.wire import forwarded


def client_of(exchange, networks):
    """(host, "forwarded") of the client that proxies of these networks speak for, else (host, "peer").

    `networks` are as daemons.kernel.access.networks has them, None for nobody.  A peer without an address, over a Unix
    socket, is of this machine and trusted where anybody is.
    """
    peer, fields = exchange.stream.peer, exchange.request.fields
    if not is_trusted(peer.host, networks):
        return peer.host, "peer"
    found = {_walked(chain, networks) for chain in _chains(fields)}
    # two lists that do not agree: one of them is the client's own, which a proxy let through that knows the other
    host = found.pop() if len(found) == 1 else ""
    return (host, "forwarded") if host else (peer.host, "peer")


def is_trusted(host, networks):
    """May this host say for whom it speaks?  Names do not count: to look them up for each request is too much."""
    return networks is not None and judged(Address(host), networks, None, lambda _: None).why is None


def _chains(fields):
    """The lists of addresses that the request came with."""
    found = []
    if (value := fields.get("x-forwarded-for")) is not None:
        found.append(forwarded.addresses(value))
    if (value := fields.get("forwarded")) is not None:
        try:
            found.append([element.host for element in forwarded.elements(value)])
        except ValueError:              # nothing that follows a broken quotation can be told from it
            found.append([])
    return found


def _walked(chain, networks):
    """The right-most address of a list that we do not trust, the left-most if we trust them all, "" without any.

    What is no address ends the walk: whoever stands left of it, nobody vouches for.
    """
    found = ""
    for host in reversed(chain):
        if not host or packed_host(host) is None:
            break
        found = address((host, 0)).host
        if not is_trusted(found, networks):
            break
    return found
