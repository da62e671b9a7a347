"""fd0.*: what an administrator asks a machine for.  All of it only tells; nothing here changes anything.

Sizes are in MiB and times in seconds, so that they fit a whole number of XML-RPC.  Which disks are told of, and which
log is read, is the machine's administrator's choice and no caller's.
"""

import os
import time
from functools import cache

import daemons
from daemons.wire.faults import APPLICATION_ERROR, INVALID_PARAMS, SYSTEM_ERROR, Fault

from .methods import Method

SECONDS = 5.0           # that a lookup may take
MOST = 1000             # events told at once
LONGEST_NAME = 253      # characters of a host's name (RFC 1035, 2.3.4, written out)
KIB, MIB = 1 << 10, 1 << 20
NAMES = ("addresses", "disk", "events", "hostnames", "load", "lookup", "memory", "programs", "reverse", "time",
         "uptime", "version")


def methods(log_file=None, disks=None, seconds=SECONDS, proc="/proc", net=None):
    """The fd0.* methods.

    `log_file` is where a syslogd writes the events of programs, None for nowhere; `disks` are the folders whose file
    systems are told of, None for all disks that are mounted now.  `seconds` are for one lookup of a name or address.
    `net` is where the kernel's tables of networks are, as from network().

    Raises OSError where one of the disks is not there.
    """
    if disks is None:
        from daemons.stores.machinefacts import mounts
        try:
            disks = mounts(proc)
        except OSError:                 # /proc is hidden from us
            disks = ["/"]
    for path in disks:
        os.statvfs(path)
    machine = _Machine(log_file, disks, seconds, proc, net or f"{proc}/self/net")
    return [Method(f"fd0.{name}", getattr(machine, name)) for name in NAMES]


@cache
def network(proc="/proc"):
    """The kernel's tables of networks as this process has them, open: a path that leads children of ours there as well.

    A sandbox can allow these; by their own name each child would have others.
    """
    try:
        return f"/proc/self/fd/{os.open(f'{proc}/self/net', os.O_PATH | os.O_DIRECTORY)}"
    except OSError:                     # /proc is hidden from us
        return f"{proc}/self/net"


class _Machine:
    """The methods of these names."""

    def __init__(self, log_file, disks, seconds, proc, net):
        self.log_file, self.disks, self.seconds, self.proc, self.net = log_file, disks, seconds, proc, net
        self._services = None

    def version(self) -> str:
        """The version of fd0."""
        return daemons.__version__

    def programs(self) -> list[dict]:
        """The programs of fd0, each with its name, what it does, its port (0 for none) and RFCs.

        secure_port is its port under TLS, 0 for none; sockets are "stream" for TCP and "dgram" for UDP.
        """
        return [{"name": one.name, "about": one.about, "port": one.port, "secure_port": one.secure_port,
                 "rfcs": list(one.rfcs), "sockets": list(one.sockets)} for one in self._programs()]

    def _programs(self):
        if self._services is None:
            from importlib import import_module
            folder = os.path.dirname(daemons.__file__)
            names = sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".py") and name[0] != "_")
            self._services = [import_module(f"daemons.{name}").SERVICE for name in names]
        return self._services

    def uptime(self) -> int:
        """Seconds since the machine was started."""
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))

    def load(self) -> list[float]:
        """How many processes ran or waited to run, on average over the last 1, 5 and 15 minutes."""
        from daemons.stores.machinefacts import load
        try:
            return load(self.proc)
        except OSError:                 # /proc is hidden from us
            return [part / 65536 for part in _sysinfo()[1:4]]

    def memory(self) -> dict:
        """Memory in MiB: total and available; swap_total and swap_available are those of swap space."""
        from daemons.stores.machinefacts import memory
        try:
            rows = memory(self.proc)
        except OSError:                 # /proc is hidden from us; then what is free is all we know to be available
            _, _, _, _, total, free, _, _, swap, swap_free, _, _, _, unit = _sysinfo()
            sizes = [size * unit for size in (total, free, swap, swap_free)]
        else:
            sizes = [KIB * rows.get(name, 0) for name in ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")]
        return dict(zip(("total", "available", "swap_total", "swap_available"), (size // MIB for size in sizes)))

    def disk(self) -> list[dict]:
        """The disks: of each its mount, its size and what is available in MiB, and how much is used in percent.

        As df tells it: what is kept for root counts neither as available nor as used.
        """
        told = []
        for path in self.disks:
            status = os.statvfs(path)
            used, available = status.f_blocks - status.f_bfree, status.f_bavail
            told.append({"mount": path, "size": status.f_blocks * status.f_frsize // MIB,
                         "available": available * status.f_frsize // MIB,
                         "used": -(-100 * used // (used + available)) if used + available else 0})
        return told

    def time(self) -> dict:
        """The time: utc and local, the name of the local zone, and how many seconds that is ahead of UTC."""
        from datetime import UTC, datetime
        now = time.time()
        here = time.localtime(now)
        return {"utc": datetime.fromtimestamp(now, UTC).replace(microsecond=0, tzinfo=None),
                "local": datetime(*here[:6]), "zone": here.tm_zone, "offset": here.tm_gmtoff}

    def hostnames(self) -> list[str]:
        """The names of this machine: its own for itself first, then those that its addresses have."""
        from daemons.kernel.lookups import own_names
        return self._looked_up(own_names)

    def addresses(self) -> list[str]:
        """The addresses of this machine on its networks, IPv4 first."""
        from daemons.stores.machinefacts import addresses
        return addresses(self.net)

    def lookup(self, name: str) -> list[str]:
        """The addresses of a host, as this machine finds them."""
        from daemons.kernel.lookups import forwards
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise Fault(INVALID_PARAMS, "fd0.lookup: not the name of a host")
        return self._looked_up(forwards, name)

    def reverse(self, address: str) -> str:
        """The name of an address, if that name leads back to it; else an empty text."""
        from daemons.kernel.lookups import backwards
        if len(address) > LONGEST_NAME or address.strip("0123456789abcdefABCDEF.:") or not address:
            raise Fault(INVALID_PARAMS, "fd0.reverse: not an address")
        return self._looked_up(backwards, address)

    def _looked_up(self, question, *words):
        from daemons.kernel.dial import NoAnswer, NoSuchName
        try:
            return question(*words, self.seconds)
        except NoSuchName:
            raise Fault(APPLICATION_ERROR, f"there is no host {', '.join(words)}") from None
        except NoAnswer as end:
            raise Fault(SYSTEM_ERROR, f"the resolver does not answer now: {end}") from None

    def events(self, service: str, count: int = 20) -> list[dict]:
        """The last events that a program of fd0 logged, oldest first: when, pid, event, and its values by name.

        Only the newest part of the log is looked at, so there may be fewer than `count`.
        """
        from daemons.stores.lastlines import last_lines
        from daemons.wire.eventlines import parse
        if self.log_file is None:
            raise Fault(APPLICATION_ERROR, "fd0.events: no log file is set here")
        if not 1 <= count <= MOST:
            raise Fault(INVALID_PARAMS, f"fd0.events: count must be 1 to {MOST}")
        if service not in [one.name for one in self._programs()]:
            raise Fault(INVALID_PARAMS, f"fd0.events: there is no program {service[:40]!a}")
        try:
            lines = last_lines(self.log_file)
        except OSError as error:
            raise Fault(SYSTEM_ERROR, f"fd0.events: the log cannot be read: {error.strerror}") from None
        found = []
        for line in reversed(lines):
            event = parse(line) if f" {service}" in line else None
            if event is not None and event.ident == service:
                found.append({"when": event.when, "pid": event.pid, "event": event.name, "values": event.values})
                if len(found) == count:
                    break
        return found[::-1]


def _sysinfo():
    """sysinfo(2): the fields of its structure on a machine of 64 bits, without padding."""
    import struct

    from daemons.kernel.syscalls import Memory, call
    there = Memory(bytes(struct.calcsize("l3L6LH6x2LI4x")))
    call("sysinfo", there)
    return struct.unpack("l3L6LH6x2LI4x", there.read())
