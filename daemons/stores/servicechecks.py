"""What must be true of a service as a whole before it is started, and what xinetd would make of it otherwise."""

import grp
import os
import pwd
import stat
from collections.abc import Callable

from ..wire.accesspatterns import is_name
from ..wire.numbers import number
from .serviceentries import Draft

LAST_ID = 2**32 - 2             # the one above means "no change"
ANYBODY = {"0.0.0.0/0", "::/0"}

INTERNAL = {"echo": "echod", "discard": "discardd", "daytime": "daytimed", "time": "timed", "chargen": "chargend"}

REFUSED_TYPES = {
    "RPC": "type RPC is not supported: fd0 does not register with the port mapper",
    "TCPMUX": "type TCPMUX is not supported yet: give the service a port of its own",
    "TCPMUXPLUS": "type TCPMUXPLUS is not supported yet: give the service a port of its own",
    "SPECIAL": "type SPECIAL is xinetd's own",
}
REFUSED_FLAGS = {
    "SENSOR": "flags SENSOR is not supported yet: nobody would be shut out",
    "IDONLY": "flags IDONLY is not supported yet: who has no ident server would be let in",
    "LABELED": "flags LABELED is not supported: the server would run in the wrong SELinux context",
}


def check(draft: Draft) -> None:
    """Complete an entry, and refuse it if anything is missing, contradictory or not supported."""
    for question in QUESTIONS:
        if draft.entry.disabled_because is None:
            question(draft)


def kind(draft: Draft) -> None:
    """Types and internal services that are not ours to run."""
    for name, text in REFUSED_TYPES.items():
        if name in draft.entry.types:
            draft.refuse(text, "types")
    if "INTERNAL" not in draft.entry.types:
        return
    program = INTERNAL.get(draft.entry.name)
    if program:
        draft.refuse(f"xinetd answers {draft.entry.name} itself; here the program {program} does: leave out "
                     f"type INTERNAL and let server be the path of {program}", "types")
    else:
        draft.refuse("type INTERNAL is not supported: name a server", "types")


def flags(draft: Draft) -> None:
    """Flags that mean nothing here, or something else."""
    for name, text in REFUSED_FLAGS.items():
        if name in draft.entry.flags:
            draft.refuse(text, "flags")
    if "INTERCEPT" in draft.entry.flags and draft.entry.wait:
        draft.refuse("flags INTERCEPT is not supported: let the server check its peers, or say wait = no", "flags")


def required(draft: Draft) -> None:
    """What a service cannot be without."""
    given = set(draft.lines)
    if draft.entry.protocol not in ("", "unix"):
        given.add("socket_type")        # the protocol tells
    missing = [name for name in ("socket_type", "wait", "user", "server") if name not in given]
    if missing:
        draft.refuse(f"a service needs {', '.join(missing)}")


def transport(draft: Draft) -> None:
    """Which protocol carries it: either of socket_type and protocol gives the other."""
    entry = draft.entry
    local = (entry.bind or "").startswith("/")
    entry.socket_type = entry.socket_type or ("dgram" if entry.protocol.startswith("udp") else "stream")
    usual = "unix" if local else "tcp" if entry.socket_type == "stream" else "udp"
    entry.protocol = entry.protocol or usual
    if local != (entry.protocol == "unix"):
        draft.refuse("protocol = unix and bind = /path belong together", "protocol")
    elif entry.protocol.rstrip("6") != usual:
        draft.refuse(f"protocol {entry.protocol} does not go with socket_type {entry.socket_type}", "protocol")
    elif entry.socket_type == "dgram" and not entry.wait:
        draft.refuse("socket_type dgram needs wait = yes: there are no connections to start a server for", "wait")


def address(draft: Draft) -> None:
    """The address, the protocol and the flags must mean the same version of IP."""
    entry = draft.entry
    versions = set()
    if entry.protocol.endswith("6"):
        versions.add(6)
    if entry.flags & {"IPv4", "IPv6"}:
        versions.add(6 if "IPv6" in entry.flags else 4)         # both: xinetd takes IPv6
    if entry.bind and entry.protocol != "unix":
        versions.add(6 if ":" in entry.bind else 4)
    if len(versions) > 1:
        draft.refuse("bind, protocol and flags do not agree on IPv4 or IPv6", "bind")


def port(draft: Draft) -> None:
    """A port, given or looked up."""
    entry = draft.entry
    if entry.protocol == "unix":
        if entry.port:
            draft.warn("port means nothing for a Unix socket", "port")
        entry.port = 0
        return
    protocol = entry.protocol.rstrip("6")
    listed = draft.names.port(entry.name, protocol)
    if not entry.port and "UNLISTED" in entry.types:
        draft.refuse("type UNLISTED needs a port", "types")
    elif not entry.port and listed is None:
        draft.refuse(f"{entry.name}/{protocol} is not in {draft.names.services}: give type = UNLISTED and a port")
    elif entry.port and "UNLISTED" not in entry.types and listed != entry.port:
        draft.warn(f"{entry.name}/{protocol} is {'not' if listed is None else f'port {listed}'} in "
                   f"{draft.names.services}: xinetd wants type = UNLISTED for port {entry.port}", "port")
    entry.port = entry.port or listed or 0


def account(draft: Draft) -> None:
    """The user and the group that servers run as."""
    user, group = draft.entry.user, draft.entry.group
    if group and not _exists(group, grp.getgrnam):
        draft.refuse(f"there is no group {group!r}", "group")
    if not _exists(user, pwd.getpwnam):
        draft.refuse(f"there is no user {user!r}", "user")
    elif user.isdigit() and not group:
        try:
            pwd.getpwuid(int(user))
        except KeyError:
            draft.refuse(f"user {user} has no account, which would tell the group: say group, too", "user")


def _exists(name: str, look_up: Callable[[str], object]) -> bool:
    """Is this the name of an account, or a number that may be an id?"""
    try:
        number(name, 0, LAST_ID) if name.isdigit() else look_up(name)
    except (KeyError, ValueError):
        return False
    return True


def program(draft: Draft) -> None:
    """The file to start."""
    server = draft.entry.server
    try:
        mode = os.stat(server).st_mode
    except (OSError, ValueError) as error:
        draft.refuse(f"server {server}: {getattr(error, 'strerror', error)}", "server")
        return
    if not stat.S_ISREG(mode) or not os.access(server, os.X_OK):
        draft.refuse(f"server {server} is not an executable file", "server")


def arguments(draft: Draft) -> None:
    """The words that the server gets."""
    entry, lines = draft.entry, draft.lines
    if "#" in entry.server_args:
        draft.warn("server_args has a '#' in it: a comment must have a line of its own", "server_args")
    if "NAMEINARGS" not in entry.flags:
        return
    if not entry.server_args:
        draft.refuse("flags NAMEINARGS needs server_args, and argv[0] as the first of them", "flags")
    elif lines["flags"] > lines["server_args"]:
        draft.warn("flags NAMEINARGS must stand before server_args: xinetd crashes for every client otherwise", "flags")
    elif entry.server_args[0].startswith("-"):
        draft.warn(f"with flags NAMEINARGS the first word of server_args, {entry.server_args[0]!r}, is the program's "
                   "name, and no argument", "server_args")


def peers(draft: Draft) -> None:
    """Whoever is named must be somebody whom a launcher can tell apart."""
    entry = draft.entry
    for slot, patterns in (("only_from", entry.only_from or []), ("no_access", entry.no_access)):
        for pattern in patterns:
            if is_name(pattern) and draft.names.is_network(pattern):
                draft.refuse(f"{slot}: {pattern} is the name of a network in {draft.names.networks}, which is not "
                             "supported: write its address", slot)
        if entry.protocol == "unix" and slot in draft.lines:
            draft.refuse(f"{slot} cannot be kept on a Unix socket: the rights of its directory decide", slot)


def waiting(draft: Draft) -> None:
    """A server that accepts its own peers meets them before we do."""
    entry = draft.entry
    if entry.wait and entry.per_source is not None and "per_source" in draft.lines:
        draft.warn("per_source cannot be kept with wait = yes: give the server a limit of its own, "
                   "as in server_args = --per-source=20", "per_source")
    anybody = entry.only_from is None or ANYBODY.issubset(entry.only_from)
    if not entry.wait or entry.protocol == "unix" or (anybody and not entry.no_access):
        return
    slot = "only_from" if entry.no_access == [] else "no_access"
    if entry.socket_type == "stream":
        draft.refuse(f"{slot} cannot be kept with wait = yes, as the server itself accepts connections: say "
                     "wait = no, or only_from = 0.0.0.0 :: here and who may connect in the server's options", slot)
    else:
        draft.warn(f"{slot} holds for the first datagram alone: the server itself receives the others", slot)


def log(draft: Draft) -> None:
    """What is logged of each conversation."""
    for slot, flags in (("log_on_success", draft.entry.log_on_success), ("log_on_failure", draft.entry.log_on_failure)):
        if "USERID" in flags:
            flags.discard("USERID")
            draft.warn(f"{slot} USERID is not supported yet: nobody's ident server is asked", slot)
    if "TRAFFIC" in draft.entry.log_on_success:
        draft.entry.log_on_success.discard("TRAFFIC")
        draft.warn("log_on_success TRAFFIC needs redirect: xinetd drops a service for it", "log_on_success")


QUESTIONS = (kind, flags, required, transport, address, port, account, program, arguments, peers, waiting,
             log)
