"""What live tests ask of the machine: patience, installed programs, rights, free ports, and who listens where."""

import os
import random
import shutil
import socket
import struct
import time
from pathlib import Path

import pytest

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FIRST_PORT = 10000
TABLES = {"stream": "tcp", "dgram": "udp"}              # in /proc/net
LISTENING = {"stream": "0A", "dgram": "07"}             # TCP_LISTEN; TCP_CLOSE, which is how an unconnected UDP looks


def until(check, seconds=60, what="event"):
    """Return the first true result of `check()`, asked every 5 ms; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {seconds} s")
        time.sleep(0.005)
    return result


def unavailable(reason):
    """Skip the calling test for `reason`; where CI=true everything must be there, so fail it instead."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name, package):
    """Return the absolute path of an installed program; without it the calling test is skipped (in CI: fails)."""
    return shutil.which(name, path=SYSTEM_PATH) or unavailable(f"{name} is not installed (Debian package {package})")


def need_ipv6():
    """Skip the calling test (in CI: fail it) where ::1 cannot be bound."""
    if not _bindable(socket.AF_INET6, socket.SOCK_STREAM, "::1", 0, absent=False):
        unavailable("this machine has no ::1")


class Port:
    """A port number that no other test has while we hold it, whichever copy of the suite or user it runs for.

    Asking the kernel for a free port (bind to 0, close) gives the same number to whoever asks next.  So each number
    is first reserved by binding an abstract Unix socket named after it: atomic, visible to every user of the same
    network namespace, and given back by the kernel however we end.  Numbers lie below the range from which
    the kernel takes the local ends of outgoing connections, and must be free for TCP and UDP, IPv4 and IPv6.  Only a
    program that is no test of ours can still be quicker: launchers then try again with another port.
    """

    def __init__(self):
        ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        candidates = range(FIRST_PORT, max(ephemeral, FIRST_PORT + 10000))
        for self.number in random.SystemRandom().sample(candidates, 500):
            self._lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            if self._reserve() and _unused(self.number):
                return
            self._lock.close()
        raise OSError("no free port among 500")

    def _reserve(self):
        try:
            self._lock.bind(f"\0fd0-live-port-{self.number}")
        except OSError:
            return False
        return True

    def release(self):
        """Let others have the number."""
        self._lock.close()


def _unused(number):
    """Tell whether nobody has the port, for any protocol and address; leftovers of closed connections count."""
    return all(_bindable(family, kind, "", number) for family in (socket.AF_INET, socket.AF_INET6)
               for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))


def _bindable(family, kind, host, number, absent=True):
    """Tell whether host and port can be bound; `absent` is the answer where the machine lacks the family."""
    try:
        probe = socket.socket(family, kind)
    except OSError:
        return absent
    with probe:
        try:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, number))
        except OSError:
            return False
    return True


def listeners(kind, address):
    """Return the inodes of sockets that await connections or datagrams at an address, as the kernel lists them.

    `kind` is stream or dgram for an address (host, port), unix or unix-dgram for a path.
    """
    if isinstance(address, str):
        return _unix_listeners(kind, address)
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    words = socket.inet_pton(family, host)
    local = "".join(f"{word:08X}" for word in struct.unpack(f"{len(words) // 4}I", words)) + f":{port:04X}"
    table = Path(f"/proc/net/{TABLES[kind]}{'6' if ':' in host else ''}")
    rows = [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
    return {int(row[9]) for row in rows if row[1] == local and row[3] == LISTENING[kind]}


def _unix_listeners(kind, path):
    """Return the inodes of Unix sockets bound at a path; for unix (streams) only those that listen."""
    rows = [line.split(None, 7) for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    accepting = 0x10000                                 # __SO_ACCEPTCON
    return {int(row[6]) for row in rows
            if row[7:] == [path] and (kind == "unix-dgram" or int(row[3], 16) & accepting)}


def sockets_of(pid):
    """Return the inodes of the sockets that a process has open; none when it is gone or not ours to look at."""
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        pass
    return found
