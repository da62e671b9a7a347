"""A service in place under inetd: marked lines in /etc/inetd.conf."""

import signal

from daemons.stores import servicefiles
from daemons.wire import inetdconf

from . import blocks, holders
from .programs import NotOurs

NAME = "inetd"
FILE = "/etc/inetd.conf"
NAMES = ("inetd", "openbsd-inetd", "inetutils-inetd")


def has(service, machine):
    """Did fd0 enable put it there?"""
    return blocks.is_in(machine.read(FILE), service.name)


def refuse(wish, machine):
    """Raise NotOurs for another line at the same port."""
    if machine.read(FILE) is None:
        return
    for entry in servicefiles.read(machine.path(FILE)).services:
        for host, port in wish.places:
            if (entry.port == port and entry.socket_type in wish.service.sockets
                    and (not host or not entry.bind or host == entry.bind)):
                raise NotOurs(f"port {port} is taken, by {entry.name} in {FILE}:{entry.line}; "
                              "take out that line, or choose another: --port=NUMBER")


def lines(wish):
    """A line for each kind of socket at each place."""
    service = wish.service
    made = []
    for host, port in wish.places:
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else str(port)
        for sort in service.sockets:
            protocol = ("tcp" if sort == "stream" else "udp") + ("6" if ":" in host else "")
            made.append(inetdconf.entry(at, sort, protocol, sort == "dgram", (service.user, ""),
                                        f"{wish.library}/{service.name}", [service.name]))
    return made


def enable(wish, machine):
    """Write the lines and have inetd read them."""
    try:
        block = lines(wish)
    except inetdconf.NotUnderstood as error:
        raise NotOurs(str(error)) from None
    machine.write(FILE, blocks.put(machine.read(FILE), wish.service.name, block))
    reload(machine, wish.library)


def disable(service, machine):
    """Take the lines out, and have inetd close their port."""
    text, _ = blocks.take_out(machine.read(FILE), service.name)
    if text:
        machine.write(FILE, text)
    else:
        machine.remove(FILE)
    reload(machine)


def reload(machine, library=None):
    """Have a running inetd read its file again."""
    if not machine.live:
        return
    running = holders.launchers(*NAMES)
    for pid in running:
        machine.signal(pid, signal.SIGHUP, f"have inetd (process {pid}) read {FILE} again")
    if not running and library:
        print(f"  inetd does not run; this one would do: {library}/inetd {FILE}")
