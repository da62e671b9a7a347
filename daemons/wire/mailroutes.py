"""Where mail leaves to: relays as they are written, and files that give domains their own.

    smarthost.example.org:587       a relay: a name or an address, and a port if it is not the usual one
    [2001:db8::1]:25

    # routes: a domain, .domain for all below it, or * for all others; then a relay, or - for the domain's own servers
    example.net     relay.example.net:2525
    .example.net    [192.0.2.1]
    *               smarthost.example.org:587
"""

from .mailaddresses import domain as checked
from .mailaddresses import literal
from .numbers import number
from .queueplan import lower

OWN = "-"                       # the domain's own servers
EVERYTHING = "*"


class Relay:
    """A server that takes mail for others: `host` is a name or an address without brackets, `port` 0 for the usual."""

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int = 0) -> None:
        self.host, self.port = host, port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


class RouteLines:
    """What a file of routes says: domain -> Relay, or None for the domain's own servers."""

    __slots__ = ("exact",)

    def __init__(self, exact: "dict[str, Relay | None]") -> None:
        self.exact = exact

    def find(self, domain: str) -> "Relay | None":
        """The relay for a domain in small letters: its own line, that of the nearest domain above it, that of all."""
        if domain in self.exact:
            return self.exact[domain]
        rest = domain
        while "." in rest:
            rest = rest.partition(".")[2]
            if f".{rest}" in self.exact:
                return self.exact[f".{rest}"]
        return self.exact.get(EVERYTHING)


def relay(text: str) -> Relay:
    """A relay as it is written: HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT; raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if colon and not port and not text.endswith("]"):
        raise ValueError(f"not HOST:PORT: {text!r}")
    try:
        if host.startswith("["):
            inner = host[1:-1]
            host = literal(f"[IPv6:{inner}]".encode() if ":" in inner else host.encode())[1:-1].removeprefix("IPv6:")
        else:
            host = checked(host.encode(), utf8=True)
        return Relay(host, number(port, 1, 65535) if port else 0)
    except ValueError:
        raise ValueError(f"not HOST, HOST:PORT or [ADDRESS]:PORT: {text!r}") from None


def parse(text: str) -> RouteLines:
    """The lines of a file of routes; raises ValueError with the number of the line that is wrong."""
    found: dict[str, Relay | None] = {}
    for place, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if len(words) != 2:
                raise ValueError("a line has a domain and a relay")
            name = _pattern(words[0])
            if name in found:
                raise ValueError(f"{name} has a line already")
            found[name] = None if words[1] == OWN else relay(words[1])
        except ValueError as error:
            raise ValueError(f"line {place}: {error}") from None
    return RouteLines(found)


def _pattern(word: str) -> str:
    if word == EVERYTHING:
        return word
    dot = "." if word.startswith(".") else ""
    try:
        return dot + lower(checked(word.removeprefix(".").encode(), utf8=True))
    except ValueError:
        raise ValueError(f"not a domain, .domain or *: {word!r}") from None
