"""Origins: from whose page a browser sends a request (RFC 6454, 7; Fetch, "CORS protocol").

A browser says so with every request that a page of another host makes, and with each POST.  Who says nothing is no
browser.
"""

from .httpstatus import Refused
from .httptarget import authority

PORTS = {"http": 80, "https": 443}


def parse(text: str) -> tuple[str, str, int]:
    """An origin as (scheme, host, port).  Raises ValueError for anything else, "null" included."""
    scheme, mark, rest = text.partition("://")
    try:
        name, port = authority(rest)
    except Refused:
        name, port = "", None
    if not mark or scheme.lower() not in PORTS or not name:
        raise ValueError(f"not an origin like https://www.example.org: {text[:80]!a}")
    return scheme.lower(), name, port or PORTS[scheme.lower()]


def is_of(origin: tuple[str, str, int], host: tuple[str, int | None]) -> bool:
    """Does an origin belong to the host that a request is for (httptarget.host)?

    Of names only localhost does: any other may have been made to lead here by whoever owns the page (DNS rebinding).
    The scheme may differ, since TLS may end before us.
    """
    scheme, name, port = origin
    return (name, port) == (host[0], host[1] or PORTS[scheme]) and is_fixed(name)


def is_fixed(name: str) -> bool:
    """Is this an address, or a name that leads to this machine wherever it is asked for (RFC 6761, 6.3)?"""
    octets = name.split(".")
    return (name.startswith("[") or name == "localhost" or name.endswith(".localhost")
            or (len(octets) == 4 and all(part.isascii() and part.isdigit() for part in octets)))
