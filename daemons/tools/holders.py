"""Who has a port of this machine, and which processes are launchers: what /proc tells."""

import os
import socket

from daemons.wire.proctcp import sockets

LISTENING = {"stream": 0x0A, "dgram": 0x07}             # TCP_LISTEN; TCP_CLOSE, as an unconnected UDP socket looks
TABLES = {"stream": ("tcp", "tcp6"), "dgram": ("udp", "udp6")}


def holder(host, port, sort):
    """Who listens there, in words ("inetd (process 12)"); "" if nobody does.  No host means every address."""
    inodes = {row.inode for table in TABLES[sort] for row in _rows(table)
              if (row.local_port, row.state) == (port, LISTENING[sort]) and _meet(host, row.local)}
    if not inodes:
        return ""
    owners = [f"{name(pid)} (process {pid})" for pid in pids() if inodes & _sockets(pid)]
    return ", ".join(owners[:3]) or "a process that cannot be seen from here"


def _meet(host, at):
    """Would a socket at this host be in the way of one at that address?"""
    if not host or not any(at):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return _plain(socket.inet_pton(family, host)) == _plain(at)


def _plain(packed):
    mapped = bytes(10) + b"\xff\xff"
    return packed[12:] if packed.startswith(mapped) else packed


def _rows(table):
    """The sockets of a table of the kernel's."""
    try:
        with open(f"/proc/self/net/{table}", encoding="ascii") as file:
            return list(sockets(file.read()))
    except FileNotFoundError:           # a machine without IPv6
        return []


def pids():
    """All processes that are to be seen."""
    return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def name(pid):
    """What a process is called."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "somebody"


def launchers(*names):
    """The processes of these names that share our files and network, but not those that such a one has forked."""
    found = [pid for pid in pids() if name(pid) in names and _is_with_us(pid)]
    return [pid for pid in found if _parent(pid) not in found]


def _is_with_us(pid):
    try:
        return all(os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
                   for kind in ("mnt", "net"))
    except OSError:
        return False


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _sockets(pid):
    """The inodes of a process's sockets."""
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:                     # gone, or somebody else's
        return found
    return found
