"""Whose connection is that?  The user behind a TCP connection of this machine, found by both of its ends.

Linux is asked for exactly this connection (sock_diag(7)), which takes it no longer when there are many, and
needs no privilege.  Where that is closed to us, by a sandbox or an old kernel, its table of all sockets
is read, with the help of whoever knows how it is written: `table` is daemons.wire.proctcp.sockets.

A launcher may pass us a socket to ask by (ListenNetlink= of systemd.socket(5)).  The kernel then answers for the
network and the users where that socket was opened, so that the program itself can be shut in without either.
"""

import fcntl
import os
import socket
import struct
from _thread import allocate_lock
from collections.abc import Callable, Iterable

from . import inherited
from .addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Row(Protocol):
        """A line of the table."""

        local: bytes
        local_port: int
        remote: bytes
        remote_port: int
        state: int
        uid: int
        inode: int

    Table = Callable[[str], Iterable[Row]]
    End = tuple[int, bytes]             # port, packed address

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
NLMSG_ERROR, NLM_F_REQUEST, NLM_F_DUMP = 2, 1, 0x300
HEADER = struct.Struct("=IHHII")        # length, type, flags, sequence, port id
REQUEST = struct.Struct("=BBBBI")       # family, protocol, extensions, padding, states
ENDS = struct.Struct("!HH16s16s")       # ports here and there, addresses here and there
REST = struct.Struct("=III")            # interface, cookie
MESSAGE = struct.Struct("=BBBB")        # family, state, timer, retransmissions
FIGURES = struct.Struct("=IIIII")       # expires, receive queue, send queue, uid, inode
ANY_COOKIE = 0xffffffff
SO_NETNS_COOKIE = 71                    # asm-generic/socket.h, Linux 5.14: tells network namespaces apart
MOST_INTERFACES = 64                    # that are tried where their list is out of our sight
SECONDS = 2.0                           # the kernel answers at once, or a sandbox never does

# include/net/tcp_states.h: open at our end, and known to the other: no listener, no half-open call, no TIME_WAIT
ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING = 1, 4, 5, 8, 9, 11
OPEN = (ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING)
MAPPED = bytes(10) + b"\xff\xff"        # how IPv6 writes IPv4


class Unknowable(Exception):
    """Nobody can be asked here, or the answer would be about users that this process cannot tell apart."""


def owner(here: Address, there: Address, table: "Table") -> int | None:
    """The uid behind our end of the connection between `here` and `there`; None without one.  Raises Unknowable."""
    ends = _end(here), _end(there)
    try:
        return _told_apart(_asked(*ends))
    except OSError:                     # EAFNOSUPPORT, EPERM, ENOENT: no netlink, or not for us
        found = {row.uid for row in _rows(table) if ends == ((row.local_port, _plain(row.local)),
                                                            (row.remote_port, _plain(row.remote)))}
        return _told_apart(_only(found))


def owner_by_ports(here_port: int, there_port: int, table: "Table") -> int | None:
    """The uid behind the one connection from this port of ours to that port anywhere; None if it is not one user's."""
    return _told_apart(_only({row.uid for row in _rows(table) if (row.local_port, row.remote_port)
                              == (here_port, there_port)}))


def _only(uids: set[int]) -> int | None:
    return uids.pop() if len(uids) == 1 else None


# -- sock_diag --


def _asked(here: "End", there: "End") -> int | None:
    """Ask for the connection: at any interface, then at each, for those that are bound to one (link-local ones are)."""
    with _Asker() as sock:
        if not _answers(sock):
            raise OSError("no sock_diag for TCP here")
        for interface in [0, *_interfaces()]:
            uid = _exactly(sock, here, there, interface)
            if uid is not None:
                return uid
    return None


class _Asker:
    """A socket to ask by for a while: our own, or the one that all our threads and processes were given, in turn."""

    turn = allocate_lock()

    def __enter__(self) -> socket.socket:
        self.given = bool(inherited.asking)
        if self.given:
            self.sock = inherited.asking[0]
            self.turn.acquire()
            fcntl.lockf(self.sock, fcntl.LOCK_EX)
        else:
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self.sock.settimeout(SECONDS)
        return self.sock

    def __exit__(self, *_: object) -> None:
        if self.given:
            fcntl.lockf(self.sock, fcntl.LOCK_UN)
            self.turn.release()
        else:
            self.sock.close()


def _answers(sock: socket.socket) -> bool:
    """Is TCP known to sock_diag?  It says ENOENT for an unknown protocol as for an unknown connection.

    So ask for all sockets in no state at all, which looks at none of them.
    """
    data = _answer(sock, socket.AF_INET, NLM_F_REQUEST | NLM_F_DUMP, 0, (0, bytes(4)), (0, bytes(4)), 0)
    errno: int = struct.unpack_from("=i", data, HEADER.size)[0]         # of NLMSG_DONE or NLMSG_ERROR
    return errno == 0


def _exactly(sock: socket.socket, here: "End", there: "End", interface: int) -> int | None:
    family = socket.AF_INET if len(here[1]) == 4 else socket.AF_INET6
    data = _answer(sock, family, NLM_F_REQUEST, 0xffffffff, here, there, interface)
    if HEADER.unpack_from(data)[1] == NLMSG_ERROR:
        return None
    _, state, _, _ = MESSAGE.unpack_from(data, HEADER.size)
    here_port, there_port, local, remote = ENDS.unpack_from(data, HEADER.size + MESSAGE.size)
    *_, uid, inode = FIGURES.unpack_from(data, HEADER.size + MESSAGE.size + ENDS.size + REST.size)
    size = len(here[1])
    local, remote = ((_plain(address) if address.startswith(MAPPED) else address[:size]) for address in (local, remote))
    # without such a connection the kernel names the listener that would take it
    if (here, there) != ((here_port, local), (there_port, remote)) or state not in OPEN:
        return None
    return int(uid) if inode else None  # nobody holds it any more: the kernel sees it out, as uid 0


def _answer(sock: socket.socket, family: int, flags: int, states: int, here: "End", there: "End",
            interface: int) -> bytes:
    """What the kernel says to this question; an answer to one that somebody did not wait for is passed over."""
    number: int = struct.unpack("=I", os.urandom(4))[0]
    sock.send(_request(family, flags, number, states, here, there, interface))
    data = sock.recv(8192)
    while HEADER.unpack_from(data)[3] != number:
        data = sock.recv(8192)
    return data


def _request(family: int, flags: int, number: int, states: int, here: "End", there: "End", interface: int) -> bytes:
    body = (REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, states) + ENDS.pack(here[0], there[0], here[1], there[1])
            + REST.pack(interface, ANY_COOKIE, ANY_COOKIE))
    return HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, number, 0) + body


def _interfaces() -> Iterable[int]:
    if _is_shut_in():
        return range(1, MOST_INTERFACES + 1)
    try:
        return [index for index, _ in socket.if_nameindex()]
    except OSError:
        return []


def _is_shut_in() -> bool:
    """Is our own network another than the one whose connections we are asked about?"""
    if not inherited.asking:
        return False
    with socket.socket(socket.AF_UNIX) as own:
        return len({sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8) for sock in (own, inherited.asking[0])}) > 1


# -- the table --


def _rows(table: "Table") -> Iterable["Row"]:
    """The connections of both tables that somebody holds open; raises Unknowable when neither can be read."""
    if _is_shut_in():
        raise Unknowable("the table at hand is of another network: let the unit have PrivateNetwork=no")
    texts = [text for text in map(_text, ("/proc/net/tcp", "/proc/net/tcp6")) if text]
    if not texts:
        raise Unknowable("neither sock_diag nor /proc/net/tcp")
    return [row for text in texts for row in table(text) if row.state in OPEN and row.inode]


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


# -- addresses and users --


def _end(one: Address) -> "End":
    family = socket.AF_INET6 if ":" in one.host else socket.AF_INET
    return one.port, _plain(socket.inet_pton(family, one.host.partition("%")[0]))


def _plain(packed: bytes) -> bytes:
    return packed[12:] if len(packed) == 16 and packed.startswith(MAPPED) else packed


def _told_apart(uid: int | None) -> int | None:
    """In a user namespace all users that it does not know are one, who is nobody; his name would be a lie."""
    if uid is not None and uid == _overflow() and not _sees_all_users():
        raise Unknowable("the owner is not known in this user namespace")
    return uid


def _overflow() -> int:
    text = _text("/proc/sys/kernel/overflowuid")
    return int(text) if text else 65534


def _sees_all_users() -> bool:
    text = _text("/proc/self/uid_map")
    return not text or int(text.split()[2]) == 0xffffffff


