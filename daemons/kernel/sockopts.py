"""Socket options by declaration and by option: the set an administrator knows from setsockopt(2) and xinetd's flags.

Each row is the option's name, the kind of its value, the help, which sockets it suits, and what is set on them.
A `Service` changes a default with `defaults=(("nodelay", "yes"),)`.
"""

import socket
from collections.abc import Iterable

from .service import Kind, Option
from .values import size, switch, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Options

Row = tuple[str, Kind, str, tuple[socket.SocketKind, ...], int, int]
Chosen = list[tuple[Row, str | int]]

STREAM, ANY = (socket.SOCK_STREAM,), (socket.SOCK_STREAM, socket.SOCK_DGRAM)
LEVEL = socket.SOL_SOCKET

ROWS: tuple[Row, ...] = (
    ("keepalive", switch, "probe an idle connection for a peer that vanished", STREAM, LEVEL, socket.SO_KEEPALIVE),
    ("nodelay", switch, "send small replies at once (TCP_NODELAY)", STREAM, socket.IPPROTO_TCP, socket.TCP_NODELAY),
    ("oobinline", switch, "read urgent data in line with the rest", STREAM, LEVEL, socket.SO_OOBINLINE),
    ("broadcast", switch, "allow datagrams to broadcast addresses", (socket.SOCK_DGRAM,), LEVEL, socket.SO_BROADCAST),
    ("dontroute", switch, "send to directly connected networks only", ANY, LEVEL, socket.SO_DONTROUTE),
    ("bind-to-device", text, "use this network interface only", ANY, LEVEL, socket.SO_BINDTODEVICE),
    ("send-buffer", size, "kernel's send buffer", ANY, LEVEL, socket.SO_SNDBUF),
    ("receive-buffer", size, "kernel's receive buffer", ANY, LEVEL, socket.SO_RCVBUF),
)

OPTIONS = tuple(Option(name, kind, None, about) for name, kind, about, *_ in ROWS) + (
    Option("reuse-address", switch, "yes", "bind a port whose old connections are still closing"),
)


def chosen(options: "Options") -> Chosen:
    """The rows that somebody set, with their values: an empty list costs a conversation nothing."""
    return [(row, value) for row in ROWS if (value := getattr(options, row[0].replace("-", "_"))) is not None]


def named(names: Iterable[str]) -> Chosen:
    """The rows of these switches, turned on."""
    wanted = set(names)
    return [(row, True) for row in ROWS if row[0] in wanted]


def apply(sock: socket.socket, rows: Chosen) -> None:
    """Set the chosen options that suit this socket; OSError names the option that the kernel refuses."""
    for (name, _, _, types, level, option), value in rows:
        if sock.type not in types or (level == socket.IPPROTO_TCP and sock.family == socket.AF_UNIX):
            continue
        try:
            sock.setsockopt(level, option, value.encode() if isinstance(value, str) else int(value))
        except OSError as error:
            raise OSError(error.errno, f"--{name}: {error.strerror}") from None
