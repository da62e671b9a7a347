"""Where mail filters listen: unix:/run/x/milter.sock, filter.example:8891, or [2001:db8::1]:8891."""

UNIX = "unix:"


class Place:
    """One of them: the `path` of a Unix socket, or else a `host` and a `port`."""

    __slots__ = ("host", "path", "port")

    def __init__(self, text: str) -> None:
        self.host, self.port, self.path = "", 0, text.removeprefix(UNIX) if text.startswith(UNIX) else ""
        if self.path:
            if not self.path.startswith("/"):
                raise ValueError(f"not an absolute path: {text}")
            return
        from .mailroutes import relay  # for those alone who have such a filter
        try:
            found = relay(text)
        except ValueError:
            raise ValueError(f"not unix:/path, host:port or [address]:port: {text!r}") from None
        if not found.port:
            raise ValueError(f"a filter needs a port: {text}")
        self.host, self.port = found.host, found.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{UNIX}{self.path}" if self.path else f"{host}:{self.port}"


def places(text: str) -> list[Place]:
    """Those of an option's value, with commas between them; raises ValueError."""
    return [Place(word.strip()) for word in text.split(",")]


places.__name__ = "place,..."
