"""A service in place under xinetd: a file of its own in /etc/xinetd.d."""

import os
import signal

from daemons.kernel import describe
from daemons.stores import servicefiles

from . import holders
from .changes import is_booted_by_systemd
from .programs import NotOurs

NAME = "xinetd"
MAIN, FOLDER = "/etc/xinetd.conf", "/etc/xinetd.d"
MARK = "# Put in place by `fd0 enable {name}`; `fd0 disable {name}` takes this file away.\n"


def file_of(service):
    """Where its entry stands."""
    return f"{FOLDER}/fd0-{service.name}"


def has(service, machine):
    """Did fd0 enable put it there?"""
    return (machine.read(file_of(service)) or "").startswith(MARK.format(name=service.name))


def refuse(wish, machine):
    """Raise NotOurs for what stands in the way: no xinetd, a file of that name, another service at that port."""
    if not machine.dry and machine.program("xinetd") is None:
        raise NotOurs("xinetd is not installed: apt-get install xinetd, or --with=systemd or inetd")
    if machine.read(file_of(wish.service)) is not None:
        raise NotOurs(f"{file_of(wish.service)} is there already, and not of our making")
    for entry in _entries(machine):
        for host, port in wish.places:
            if (entry.port == port and entry.socket_type in wish.service.sockets
                    and (not host or not entry.bind or host == entry.bind)):
                at = entry.path.removeprefix(machine.root)
                raise NotOurs(f"port {port} is taken, by the service {entry.id} in {at}:{entry.line}; "
                              "say disable = yes there, or choose another: --port=NUMBER")


def _entries(machine):
    """The services that xinetd would start there."""
    if machine.live:
        files = [MAIN] if machine.read(MAIN) is not None else []
    else:                               # what that machine includes has other paths here
        folder = machine.path(FOLDER)
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        files = [f"{folder}/{name}" for name in names if "." not in name and not name.endswith("~")]
    return [entry for file in files for entry in servicefiles.read(file).services if entry.wanted]


def text(wish):
    """The file: a section for each kind of socket at each place."""
    service = wish.service
    sections = []
    for number, (host, port) in enumerate(wish.places, 1):
        for sort in service.sockets:
            changes = {"disable": "no", "port": str(port), "id": f"fd0-{service.name}-{sort}"
                       + (f"-{number}" if len(wish.places) > 1 else "")}
            if host:
                changes["bind"] = host
            sections.append(describe.xinetd_entry(service, wish.library, sort, changes))
    return MARK.format(name=service.name) + "".join(sections)


def enable(wish, machine):
    """Write the entry and have xinetd read it; raises NotOurs if it would not run as it stands."""
    machine.write(file_of(wish.service), text(wish))
    if machine.live and not machine.dry:
        _verify(wish.service)
    reload(machine, hint=True)


def _verify(service):
    """Would xinetd read our file, and start the service?"""
    found = servicefiles.read(MAIN)
    ours = [entry for entry in found.services if entry.path == file_of(service)]
    if not ours:
        raise NotOurs(f"{MAIN} does not include {FOLDER}: add the line  includedir {FOLDER}")
    for entry in ours:
        if entry.disabled_because:
            raise NotOurs(f"xinetd would not start {entry.id}: {entry.disabled_because}")


def disable(service, machine):
    """Take the entry away, and have xinetd close its port."""
    machine.remove(file_of(service))
    reload(machine)


def reload(machine, hint=False):
    """Have a running xinetd read its files again; what it serves goes on."""
    if not machine.live:
        return
    running = holders.launchers("xinetd")
    for pid in running:
        machine.signal(pid, signal.SIGHUP, f"have xinetd (process {pid}) read its files again")
    if not running and hint:
        how = "systemctl start xinetd" if is_booted_by_systemd() else "/etc/init.d/xinetd start"
        print(f"  xinetd does not run; to start it: {how}")
