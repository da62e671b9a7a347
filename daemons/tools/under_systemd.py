"""A service in place under systemd: its socket unit enabled and started, with what differs in drop-ins.

A program that serves no socket has a service alone, which is started with the machine.
"""

import os
import shutil

from daemons.kernel import describe
from daemons.kernel.options import known
from daemons.stores.mailusers import SERVERS
from daemons.wire.accesspatterns import is_name

from .changes import is_booted_by_systemd
from .programs import NotOurs

NAME = "systemd"
ETC = "/etc/systemd/system"
FOLDERS = ("/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
MARK = "# Put in place by `fd0 enable {name}`; `fd0 disable {name}` takes this file away.\n"
DROP_IN = "50-fd0-enable.conf"


def units(service, each):
    """(the unit to enable: its socket or, without one, its service; service unit) of a program."""
    stem = f"fd0-{service.name}{'-each' if each else ''}"
    if service.standing:
        return f"{stem}.service", f"{stem}.service"
    return f"{stem}.socket", f"{stem}{'@' if each else ''}.service"


def both(service):
    """The pairs of units that a program has: one to stay, and perhaps one for each connection."""
    each = any(name.endswith("-each.socket") for name in describe.files(service))
    return [units(service, one) for one in ((False, True) if each else (False,))]


def has(service, machine):
    """Is one of its units enabled, by whomever, or is anything of ours there?"""
    return any(_links(pair[0], machine) or _ours(service, pair, machine) for pair in both(service))


def _links(unit, machine):
    """Is it enabled: does a link of the target that wants such units name it?"""
    target = "sockets" if unit.endswith(".socket") else "multi-user"
    return os.path.lexists(machine.path(f"{ETC}/{target}.target.wants/{unit}"))


def _ours(service, pair, machine):
    """The files that fd0 enable wrote for these units."""
    mark = MARK.format(name=service.name)
    pair = dict.fromkeys(pair)
    names = [f"{ETC}/{unit}" for unit in pair] + [f"{ETC}/{unit}.d/{DROP_IN}" for unit in pair]
    return [name for name in names if (machine.read(name) or "").startswith(mark)]


def refuse(wish, machine):
    """Raise NotOurs where systemd is not, or a unit of that name is not ours."""
    if machine.dry:
        return
    if machine.live and not is_booted_by_systemd():
        raise NotOurs("systemd does not run this machine: --with=xinetd or inetd; or, for a tree that it will "
                      "boot later, --root=DIR")
    if not machine.live and shutil.which("systemctl") is None:
        raise NotOurs("systemctl is not installed here, and is needed to enable a unit in a tree")


def enable(wish, machine):
    """Write what is not there, and have systemd open the socket or start the service, now and at every start."""
    socket, service = units(wish.service, wish.each)
    texts = describe.files(wish.service, wish.library)
    mark = MARK.format(name=wish.service.name)
    for unit in dict.fromkeys((socket, service)):
        if not any(machine.read(f"{folder}/{unit}") is not None for folder in (ETC, *FOLDERS)):
            machine.write(f"{ETC}/{unit}", mark + texts[f"systemd/{unit}"])
    for unit, lines in ((socket, _elsewhere(wish)), (service, _rights(wish))):
        if lines:
            machine.write(f"{ETC}/{unit}.d/{DROP_IN}", mark + "\n".join(lines) + "\n")
    if machine.live:
        machine.run("systemctl", "daemon-reload", undo=("systemctl", "daemon-reload"))
        machine.run("systemctl", "enable", "--now", socket, undo=("systemctl", "disable", "--now", socket))
    else:
        machine.run("systemctl", f"--root={machine.root or '/'}", "enable", socket,
                    undo=("systemctl", f"--root={machine.root or '/'}", "disable", socket))


def _elsewhere(wish):
    """The drop-in of a socket that does not listen where its unit says."""
    if not wish.moved:
        return []
    lines = ["[Socket]", "ListenStream=", "ListenDatagram="]
    sorts = ["stream"] if wish.each else wish.service.sockets
    for host, port in wish.places:
        at = host if port is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else port
        lines += [f"{'ListenStream' if sort == 'stream' else 'ListenDatagram'}={at}" for sort in sorts]
    return lines


def _rights(wish):
    """The drop-in of a service whose options make it do more than it usually does."""
    values = dict(wish.values)
    rows = known(wish.service)
    lines = []
    if "network" not in wish.service.needs and _calls_others(wish.service, values):
        lines += describe.CALLING
    if any(f"homes:--{name}" in wish.service.needs for name in values):
        lines.append("ProtectHome=read-only")
    for name in wish.service.writes:
        if name.startswith("--") and name[2:] in values:
            found = rows[name[2:]].kind(values[name[2:]])
            lines += [f"ReadWritePaths={_folder(path)}" for path in (found if isinstance(found, list) else [found])]
    return ["[Service]", *lines] if lines else []


def _folder(path):
    """A folder, or that of a file, which may not be there yet and may be moved away."""
    return path if os.path.isdir(path) else os.path.dirname(path)


def _calls_others(service, values):
    """Do these options have it call others, or look up names?"""
    listed = f"{values.get('only-from', '')} {values.get('no-access', '')}".replace(",", " ").split()
    return (any(f"network:--{name}" in service.needs and value != "no" for name, value in values.items())
            or any(value.startswith(SERVERS) for value in values.values()) or values.get("names") == "yes"
            or any(not place.strip().startswith("unix:") for place in values.get("milters", "unix:").split(","))
            or any(map(is_name, listed)))


def disable(service, machine):
    """Close the socket, end the service, and take away what fd0 enable wrote."""
    for pair in both(service):
        files, enabled = _ours(service, pair, machine), _links(pair[0], machine)
        if enabled and machine.live:
            machine.run("systemctl", "disable", "--now", pair[0])
            if pair[1] != pair[0]:
                machine.run("systemctl", "stop", pair[1].replace("@.", "@*."))
        elif enabled:
            machine.run("systemctl", f"--root={machine.root or '/'}", "disable", pair[0])
        for name in files:
            machine.remove(name)
            if name.endswith(DROP_IN):
                machine.remove_folder(os.path.dirname(name))
        if files and machine.live:
            machine.run("systemctl", "daemon-reload")
