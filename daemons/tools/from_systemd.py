"""A socket unit and its service as an xinetd.d section, and what of them xinetd cannot keep."""

import os

from daemons.wire.unitfile import NotUnderstood, command, parse, values, words
from daemons.wire.xinetdconf import written

from .into_systemd import LIMITS, PROXY, Losses

SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
UNIT = {"socket": ("Socket", "ListenStream ListenDatagram Accept BindIPv6Only MaxConnections MaxConnectionsPerSource "
                             "KeepAlive NoDelay IPAddressAllow IPAddressDeny Service FileDescriptorName"),
        "service": ("Service", "ExecStart User Group Environment PassEnvironment Nice UMask StandardInput "
                               "StandardOutput StandardError SyslogFacility SyslogLevel SyslogIdentifier Type "
                               "DynamicUser " + " ".join(LIMITS.values()))}
# what only systemd's own bookkeeping needs
MEANS_NOTHING = {"TriggerLimitIntervalSec", "TriggerLimitBurst", "PollLimitIntervalSec", "PollLimitBurst", "Backlog",
                 "SyslogIdentifier", "Restart", "RestartSec", "RemainAfterExit"}
# how the names of settings begin that confine a service (systemd.exec(5), systemd.resource-control(5))
CONFINING = ("Ambient", "Capability", "Device", "IPAddress", "Inaccessible", "Keyring", "Lock", "MemoryDeny", "NoNew",
             "Private", "Proc", "Protect", "ReadOnly", "ReadWrite", "RemoveIPC", "Restrict", "SecureBits", "SystemCall")


def sections(path):
    """(xinetd.d text, Losses) for one .socket file; raises NotUnderstood and OSError."""
    losses = Losses()
    socket = _read(path)
    each = _yes(_last(socket, "Socket", "Accept", "no"))
    service_path = _service_path(path, socket, each)
    service = _read(service_path)
    _unknown(socket, "socket", losses)
    _unknown(service, "service", losses)
    name = os.path.basename(path).removesuffix(".socket")
    shared = [*_how_started(service, each), *_access(socket, losses), *_limits(socket, service, losses)]
    places = _places(socket, losses)
    if not places:
        raise NotUnderstood(f"{path} has no ListenStream= or ListenDatagram=")
    names = [name] if len(places) == 1 else [f"{name}-{number}" for number in range(1, len(places) + 1)]
    return "\n".join(written(one, _merged(rows + shared)) for one, rows in zip(names, places)), losses


def _read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        try:
            return parse(file.read())
        except NotUnderstood as error:
            raise NotUnderstood(f"{path}: {error}") from None


def _service_path(path, socket, each):
    named = _last(socket, "Socket", "Service", "")
    stem = path.removesuffix(".socket")
    return os.path.join(os.path.dirname(path), named) if named else f"{stem}{'@' if each else ''}.service"


def _merged(rows):
    """An attribute may be given once: flags come from several settings."""
    merged = {}
    for name, value in rows:
        merged[name] = f"{merged[name]} {value}" if name == "flags" and name in merged else value
    order = sorted(merged, key=lambda name: name in ("server", "server_args"))  # xinetd wants NAMEINARGS before these
    return [(name, merged[name]) for name in order]


def _last(settings, section, name, default):
    found = values(settings, section, name)
    return found[-1] if found else default


def _yes(text):
    return text.lower() in ("yes", "true", "on", "1")


# -- the socket --


def _places(socket, losses):
    """The rows for each place that the unit listens at."""
    found = []
    six = _last(socket, "Socket", "BindIPv6Only", "both") == "ipv6-only"
    for kind, sort, protocol in (("ListenStream", "stream", "tcp"), ("ListenDatagram", "dgram", "udp")):
        for where in values(socket, "Socket", kind):
            found.append([("disable", "yes"), ("type", "UNLISTED"), ("socket_type", sort),
                          *_where(where, protocol, six)])
            if where.startswith("@"):
                losses.restriction(f"{kind}={where}: there are no abstract sockets in xinetd.d")
    return found


def _where(where, protocol, six):
    if where.startswith(("/", "@")):
        return [("protocol", "unix"), ("bind", where)]
    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    rows = [("protocol", protocol), ("port", port)]
    if host in ("0.0.0.0", "*"):
        rows.append(("flags", "IPv4"))
    elif host == "::" or (six and not host):
        rows += [("flags", "IPv6")] if six else []
    elif host:
        rows.append(("bind", host))
    return rows


def _access(socket, losses):
    allowed = [word for value in values(socket, "Socket", "IPAddressAllow") for word in value.split()]
    refused = [word for value in values(socket, "Socket", "IPAddressDeny") for word in value.split()]
    rows = []
    if allowed and "any" in refused:
        rows.append(("only_from", " ".join(map(_network, allowed))))
    elif allowed:
        losses.note("IPAddressAllow= without IPAddressDeny=any lets everybody in")
    rest = [_network(word) for word in refused if word != "any"]
    if rest:
        rows.append(("no_access", " ".join(rest)))
    if "any" in refused and not allowed:
        rows.append(("only_from", ""))
    return rows


def _network(word):
    return {"localhost": "127.0.0.0/8 ::1", "any": "0.0.0.0/0 ::/0", "link-local": "169.254.0.0/16 fe80::/64",
            "multicast": "224.0.0.0/4 ff00::/8"}.get(word, word)


# -- the service --


def _how_started(service, each):
    line = _last(service, "Service", "ExecStart", "")
    ours = command(line)
    named = ours.arguments[:1] != [ours.program.rpartition("/")[2]]
    user = "nobody" if _yes(_last(service, "Service", "DynamicUser", "no")) else "root"
    rows = [("wait", "no" if each else "yes"), ("user", _last(service, "Service", "User", user))]
    if _last(service, "Service", "Group", ""):
        rows.append(("group", _last(service, "Service", "Group", "")))
    if ours.program == PROXY and ours.arguments[1:]:
        host, _, port = ours.arguments[-1].rpartition(":")
        rows[0] = ("wait", "no")
        return [*rows, ("redirect", f"{host.strip('[]')} {port}")]
    arguments = ours.arguments if named else ours.arguments[1:]
    for word in arguments:
        if word.split() != [word]:
            raise NotUnderstood(f"xinetd.d has no way to write the argument {word!r}")
    rows += [("flags", "NAMEINARGS")] if named else []
    rows.append(("server", ours.program))
    return [*rows, ("server_args", " ".join(arguments))] if arguments else rows


def _limits(socket, service, losses):
    rows = [(name, _last(socket, "Socket", key, "")) for name, key in
            (("instances", "MaxConnections"), ("per_source", "MaxConnectionsPerSource"))]
    flags = [flag for flag, key in (("KEEPALIVE", "KeepAlive"), ("NODELAY", "NoDelay"))
             if _yes(_last(socket, "Socket", key, "no"))]
    rows += [("flags", " ".join(flags)), ("nice", _last(service, "Service", "Nice", "")),
             ("umask", _last(service, "Service", "UMask", "")),
             ("env", " ".join(_environment(service, losses))),
             ("passenv", " ".join(values(service, "Service", "PassEnvironment"))),
             ("stderr", "log")]
    facility = _last(service, "Service", "SyslogFacility", "")
    if facility:
        rows.append(("log_type", f"SYSLOG {facility} {_last(service, 'Service', 'SyslogLevel', 'info')}"))
    for key, directive in LIMITS.items():
        value = _last(service, "Service", directive, "").partition(":")[0]
        name = {"RLIMIT_NOFILE": "rlimit_files"}.get(key, key.lower())
        rows.append((name, {"infinity": "UNLIMITED"}.get(value, _octets(value))))
    return [(name, value) for name, value in rows if value]


def _octets(value):
    """A limit as xinetd writes it: systemd's G and T are more than it knows."""
    scale = SIZES.get(value[-1:], 0)
    return str(int(value[:-1]) * scale) if scale > SIZES["M"] and value[:-1].isdigit() else value


def _environment(service, losses):
    for line in values(service, "Service", "Environment"):
        for word in words(line):
            if word.split() == [word]:
                yield word
            else:
                losses.note(f"Environment: {word!r} has a blank in it, which xinetd.d cannot write")


def _unknown(settings, kind, losses):
    section, names = UNIT[kind]
    known = {*names.split(), *MEANS_NOTHING}
    lost = dict.fromkeys(one.name for one in settings if one.section == section and one.name not in known)
    confining = [name for name in lost if name.startswith(CONFINING)]
    if confining:
        losses.note(f"the sandbox: {len(confining)} settings, such as {confining[0]}; "
                    "xinetd has rlimits and a user alone")
    rest = [name for name in lost if name not in confining]
    if rest:
        losses.note(f"of the {kind} unit: {', '.join(rest)}")
