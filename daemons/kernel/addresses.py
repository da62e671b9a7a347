"""One end of a conversation, as the log writes it and access rules compare it."""

import socket

Name = tuple[str, int] | tuple[str, int, int, int] | str | bytes        # what the socket calls return


class Address:
    """A host and a port; for what is not on the internet, a word that says what it is, and no host."""

    __slots__ = ("host", "port", "word")

    def __init__(self, host: str = "", port: int = 0, word: str = "") -> None:
        self.host, self.port, self.word = host, port, word

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.host else self.word or "unknown"

    @property
    def source(self) -> str:
        """Whom limits count as one: an IPv4 address, an IPv6 /64, or everything that is local."""
        if ":" not in self.host:
            return self.host or self.word
        packed = socket.inet_pton(socket.AF_INET6, self.host.partition("%")[0])
        return socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8)) + "/64"


def address(name: Name) -> Address:
    """An Address from what the socket calls return; IPv4 that came through an IPv6 socket is IPv4 again."""
    if isinstance(name, tuple):
        host = name[0]
        if host.startswith("::ffff:") and "." in host:
            host = host[7:]
        return Address(host, name[1])
    if isinstance(name, bytes):         # Linux's abstract names begin with NUL
        name = name.decode("utf-8", "backslashreplace").replace("\0", "@", 1)
    return Address(word=f"unix:{name}")


def peer_of(sock: socket.socket) -> Address | None:
    """Who is at the other end of a connected socket; None when it is gone already."""
    try:
        name = sock.getpeername()
    except OSError:                     # ENOTCONN: a port scan is over before we look
        return None
    if sock.family == socket.AF_UNIX and not name:
        return Address(word=f"unix:uid={_credentials(sock)}")
    return address(name)


def local_of(sock: socket.socket) -> Address:
    """The address at which we were asked."""
    try:
        return address(sock.getsockname())
    except OSError:
        return Address()


def _credentials(sock: socket.socket) -> int:
    packed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(packed[4:8], "little" if socket.htons(1) != 1 else "big")
