"""What this machine calls ports and networks: /etc/services and /etc/networks.

Read by hand, since asking the C library would mean importing `socket`, and possibly the network.
"""

from ..wire.numbers import number


class NetNames:
    """Names of ports and networks; the files are read when first asked for, a missing one is empty."""

    __slots__ = ("_networks", "_ports", "networks", "services")

    def __init__(self, services: str = "/etc/services", networks: str = "/etc/networks") -> None:
        self.services, self.networks = services, networks
        self._ports: dict[tuple[str, str], int] | None = None
        self._networks: set[str] | None = None

    def port(self, name: str, protocol: str) -> int | None:
        """The port of a service over "tcp" or "udp", if it is listed."""
        if self._ports is None:
            self._ports = _ports(_rows(self.services))
        return self._ports.get((name, protocol))

    def is_network(self, name: str) -> bool:
        """Is this the name or an alias of a network?"""
        if self._networks is None:
            self._networks = {word.lower() for row in _rows(self.networks) for word in row[:1] + row[2:]}
        return name.lower() in self._networks


def _ports(rows: list[list[str]]) -> dict[tuple[str, str], int]:
    #   smtp    25/tcp    mail      of two rows for a name, the first counts, as in getservbyname(3)
    ports: dict[tuple[str, str], int] = {}
    for row in rows:
        figure, _, protocol = "".join(row[1:2]).partition("/")
        try:
            port = number(figure, 1, 65535)
        except ValueError:
            continue
        for name in row[:1] + row[2:]:
            ports.setdefault((name, protocol), port)
    return ports


def _rows(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.partition("#")[0].split() for line in file]
    except OSError:
        return []
    return [line for line in lines if line]
