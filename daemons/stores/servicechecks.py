"""What must be true of a service as a whole before it is started, and what xinetd would make of it otherwise."""

import grp
import os
import pwd
import stat
from collections.abc import Callable

from ..wire.accesspatterns import is_name
from ..wire.numbers import number
from .serviceentries import Draft

LONGEST_NAME = 255              # octets in the line of a TCPMUX caller
LAST_ID = 2**32 - 2             # the one above means "no change"
ANYBODY = {"0.0.0.0/0", "::/0"}

# what xinetd does itself, and the programs that do it here
INTERNAL = {"echo": "echod", "discard": "discardd", "daytime": "daytimed", "time": "timed", "chargen": "chargend"}
MUX = "tcpmux"

REFUSED_TYPES = {
    "RPC": "type RPC is not supported: fd0 does not register with the port mapper",
    "SPECIAL": "type SPECIAL is xinetd's own",
}
REFUSED_FLAGS = {
    "LABELED": "flags LABELED is not supported: the server would run in the wrong SELinux context",
}


def check(draft: Draft) -> None:
    """Complete an entry, and refuse it if anything is missing, contradictory or not supported."""
    for question in QUESTIONS:
        if draft.entry.disabled_because is None:
            question(draft)


def kind(draft: Draft) -> None:
    """Types and internal services that are not ours to run."""
    entry = draft.entry
    for name, text in REFUSED_TYPES.items():
        if name in entry.types:
            draft.refuse(text, "types")
    if "INTERNAL" not in entry.types or entry.is_sensor:
        return
    entry.internal = {**INTERNAL, MUX: MUX}.get(entry.name, "")
    if not entry.internal:
        known = ", ".join([*INTERNAL, MUX])
        draft.refuse(f"there is no internal service {entry.name}, in xinetd neither: there are {known}; what "
                     "servers, services and xadmin told in older ones, a state dump does (kill -USR1)", "types")


def flags(draft: Draft) -> None:
    """Flags that mean nothing here, or something else."""
    entry = draft.entry
    for name, text in REFUSED_FLAGS.items():
        if name in entry.flags:
            draft.refuse(text, "flags")
    if "INTERCEPT" in entry.flags and entry.wait:
        draft.refuse("flags INTERCEPT is not supported: it puts a process between each server and its callers; "
                     "let the server check them (--only-from), or say wait = no", "flags")
    elif "INTERCEPT" in entry.flags:
        draft.warn("flags INTERCEPT means nothing with wait = no: each caller is checked anyway", "flags")
    if "IDONLY" in entry.flags and (entry.wait or entry.protocol == "unix" or entry.socket_type == "dgram"):
        draft.refuse("flags IDONLY needs wait = no and a stream: nobody else can be asked who calls", "flags")


def required(draft: Draft) -> None:
    """What a service cannot be without."""
    entry, given = draft.entry, set(draft.lines)
    if entry.protocol not in ("", "unix"):
        given.add("socket_type")        # the protocol tells
    needed = ["socket_type", "wait"]
    if not entry.internal and not entry.is_sensor:
        needed += ["user"] if entry.redirect else ["user", "server"]
    missing = [name for name in needed if name not in given]
    if missing:
        draft.refuse(f"a service needs {', '.join(missing)}")


def without_server(draft: Draft) -> None:
    """A service that starts no program: internal, a sensor, or one that forwards."""
    entry = draft.entry
    dgram = entry.socket_type == "dgram" or entry.protocol.startswith("udp")
    if entry.is_sensor and entry.redirect:
        draft.refuse("a SENSOR answers nobody, and cannot redirect", "redirect")
    elif entry.is_sensor or entry.redirect or entry.internal:
        entry.server, entry.server_args = "", [] if not entry.internal else entry.server_args
        entry.flags.discard("NAMEINARGS")
    if entry.redirect and (dgram or entry.wait):
        draft.refuse("redirect needs socket_type = stream and wait = no", "redirect")
    if entry.internal and dgram:
        entry.wait = True               # one program answers all datagrams, which nobody sees from outside
    if entry.is_sensor:
        sensor(draft, dgram)
    elif "deny_time" in draft.lines:
        draft.warn("deny_time means nothing without flags = SENSOR", "deny_time")


def sensor(draft: Draft, dgram: bool) -> None:
    """A port that shuts out for all services whoever calls it."""
    entry = draft.entry
    if not dgram and entry.wait:
        draft.refuse("flags SENSOR needs wait = no", "wait")
    elif dgram:
        entry.wait = True
        draft.warn("a SENSOR for datagrams shuts nobody out, as their senders are easily forged: it only logs", "flags")
    elif "deny_time" not in draft.lines:
        draft.warn("flags SENSOR without deny_time shuts nobody out: it only logs", "flags")
    elif entry.only_from is None and not entry.no_access:
        draft.warn("this SENSOR shuts out whoever calls it: say no_access = and the networks that it must never "
                   "shut out, such as the administrators'", "flags")


def mux(draft: Draft) -> None:
    """The services behind tcpmux, and tcpmux itself."""
    entry = draft.entry
    if not entry.is_muxed and entry.internal != MUX:
        return
    if entry.socket_type != "stream" or entry.protocol != "tcp" or entry.wait:
        draft.refuse("tcpmux needs socket_type = stream, protocol = tcp and wait = no", "types")
    elif entry.is_muxed and entry.internal == MUX:
        draft.refuse("tcpmux cannot be called through itself", "types")
    elif entry.is_muxed and entry.is_sensor:
        draft.refuse("a SENSOR needs a port of its own", "types")
    elif entry.is_muxed and (entry.name.lower() == "help" or len(entry.name) > LONGEST_NAME):
        draft.refuse(f"{entry.name[:40]} cannot be called by its name: RFC 1078 has another use for help, "
                     f"and a line of {LONGEST_NAME} octets", "types")


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
    if entry.protocol.endswith("6") or entry.v6only:
        versions.add(6)
    if entry.flags & {"IPv4", "IPv6"}:
        versions.add(6 if "IPv6" in entry.flags else 4)         # both: xinetd takes IPv6
    if entry.bind and entry.protocol != "unix":
        versions.add(6 if ":" in entry.bind else 4)
    if len(versions) > 1:
        draft.refuse("bind, protocol, flags and v6only do not agree on IPv4 or IPv6", "bind")


def port(draft: Draft) -> None:
    """A port, given or looked up."""
    entry = draft.entry
    if entry.protocol == "unix" or entry.is_muxed:
        if entry.port:
            draft.warn(f"port means nothing for a {'Unix socket' if entry.protocol == 'unix' else 'TCPMUX service'}",
                       "port")
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
    if not user and ("user" not in draft.lines):
        return                          # required() has seen that it needs none
    if group and not _exists(group, grp.getgrnam):
        draft.refuse(f"there is no group {group!r}", "group")
    if not _exists(user, pwd.getpwnam):
        draft.refuse(f"there is no user {user!r}", "user")
    elif user.isdigit() and not group:
        try:
            pwd.getpwuid(int(user))
        except KeyError:
            draft.refuse(f"user {user} has no account, which would tell the group: say group, too", "user")
    if user.isdigit() and draft.entry.groups:
        draft.refuse(f"groups = yes needs the user's name, not {user}", "user")


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
    if not server:
        return
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
        named = [one for one in patterns if is_name(one)]
        if named and (entry.socket_type == "dgram" or entry.is_sensor):
            draft.refuse(f"{slot}: the name {named[0]} cannot be looked up for each "
                         f"{'caller of a SENSOR' if entry.is_sensor else 'datagram'}: write addresses", slot)
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


def waiting_callers(draft: Draft) -> None:
    """What is said to callers before their server begins needs a connection of ours."""
    entry = draft.entry
    for slot in ("banner", "banner_success", "banner_fail"):
        if not getattr(entry, slot):
            continue
        if entry.wait:
            setattr(entry, slot, "")
            if slot in draft.lines:
                draft.warn(f"{slot} means nothing with wait = yes: the server itself accepts connections", slot)
        elif entry.tls:
            draft.refuse(f"{slot} would be sent in the clear to a caller who expects TLS", slot)


def secure(draft: Draft) -> None:
    """TLS, and who may tell in whose name he calls."""
    entry = draft.entry
    if entry.tls and not entry.tls_cert:
        draft.refuse("tls = yes needs tls_cert", "tls")
    elif not entry.tls and ("tls_cert" in draft.lines or "tls_key" in draft.lines):
        draft.warn("tls_cert means nothing without tls = yes", "tls_cert" if "tls_cert" in draft.lines else "tls_key")
    for slot in ("tls", "proxy_protocol"):
        if getattr(entry, slot) and (entry.redirect or entry.is_sensor or entry.internal == MUX or entry.is_muxed):
            draft.refuse(f"{slot} goes with a server or an internal program only", slot)
    if entry.tls and entry.socket_type == "dgram":
        draft.refuse("tls needs socket_type = stream", "tls")


def announced(draft: Draft) -> None:
    """What nobody does."""
    if draft.entry.mdns and "mdns" in draft.lines:
        draft.warn("mdns = yes: nothing is announced, as by xinetd on Linux; avahi-daemon(8) can", "mdns")


def log(draft: Draft) -> None:
    """What is logged of each conversation."""
    entry = draft.entry
    for slot, flags in (("log_on_success", entry.log_on_success), ("log_on_failure", entry.log_on_failure)):
        if "USERID" in flags and (entry.wait or entry.protocol == "unix"):
            flags.discard("USERID")
            if slot in draft.lines:
                draft.warn(f"{slot} USERID needs wait = no and the internet: nobody else can be asked who calls", slot)
    if "TRAFFIC" in entry.log_on_success and not entry.redirect:
        entry.log_on_success.discard("TRAFFIC")
        draft.warn("log_on_success TRAFFIC needs redirect: xinetd drops a service for it", "log_on_success")


QUESTIONS = (kind, required, without_server, transport, flags, mux, address, port, account, program, arguments, peers,
             waiting, waiting_callers, secure, announced, log)
