"""A service of xinetd.d or inetd.conf as systemd units, and what of it systemd cannot keep."""

from daemons.stores.serviceentries import OWN
from daemons.wire.unitfile import command_line, quoted

PROXY = "/lib/systemd/systemd-socket-proxyd"
LIMITS = {"RLIMIT_AS": "LimitAS", "RLIMIT_NOFILE": "LimitNOFILE", "RLIMIT_CPU": "LimitCPU", "RLIMIT_DATA": "LimitDATA",
          "RLIMIT_RSS": "LimitRSS", "RLIMIT_STACK": "LimitSTACK"}
FLAGS = {"KEEPALIVE": "KeepAlive=yes", "NODELAY": "NoDelay=yes"}
# attributes, by their fields, that are carried over, or mean nothing where systemd is the launcher
CARRIED = {"id", "types", "flags", "disable", "socket_type", "protocol", "wait", "user", "group", "instances", "nice",
           "server", "server_args", "only_from", "no_access", "env", "passenv", "port", "bind", "per_source", "umask",
           "rlimits", "log_type", "log_on_success", "log_on_failure", "groups", "redirect", "v6only", "mdns", "stderr",
           "cps", "leaky_bucket", "libwrap"}


class Losses(list):
    """Sentences about what is not carried over; `open` says that a restriction is among them."""

    open = False

    def note(self, text):
        """Something is lost that harms nobody."""
        self.append(text)

    def restriction(self, text):
        """The service would be open to more than its file says."""
        self.append(text)
        self.open = True


def units(entry):
    """The unit files of one service, name -> text, and its Losses."""
    losses = Losses()
    each = not entry.wait and not _redirect(entry)
    socket = _socket(entry, each, losses)
    service = _service(entry, each, losses)
    _what_else(entry, losses)
    name = _unit_name(entry.id)
    return {f"{name}.socket": socket, f"{name}{'@' if each else ''}.service": service}, losses


def _unit_name(text):
    """A unit may be called by letters, digits and :-_.\\ (systemd.unit(5))."""
    return "".join(char if char.isascii() and (char.isalnum() or char in ":-_.") else "-" for char in text)


def _head(entry, what):
    return [f"# From {entry.path}:{entry.line}, service {entry.id}.", "[Unit]",
            f"Description={entry.id}{what} (as xinetd had it)"]


# -- the socket --


def _socket(entry, each, losses):
    lines = [*_head(entry, ", socket"), "", "[Socket]",
             f"Listen{'Stream' if entry.socket_type == 'stream' else 'Datagram'}={_where(entry)}"]
    if entry.protocol != "unix" and not entry.bind:
        lines.append(f"BindIPv6Only={'ipv6-only' if _only_six(entry) else 'both'}")
    lines.append(f"Accept={'yes' if each else 'no'}")
    lines += [FLAGS[flag] for flag in sorted(entry.flags) if flag in FLAGS]
    if each:
        lines += _how_many(entry)
    lines += _who(entry, losses)
    lines += ["# a burst slows the service down, and never ends it", "TriggerLimitIntervalSec=0",
              "", "[Install]", "WantedBy=sockets.target"]
    return "\n".join(lines) + "\n"


def _where(entry):
    if entry.protocol == "unix":
        return quoted(entry.bind)
    if entry.bind:
        return f"[{entry.bind}]:{entry.port}" if ":" in entry.bind else f"{entry.bind}:{entry.port}"
    if "IPv4" in entry.flags and "IPv6" not in entry.flags:
        return f"0.0.0.0:{entry.port}"
    return f"[::]:{entry.port}" if _only_six(entry) else str(entry.port)


def _only_six(entry):
    return entry.protocol.endswith("6") or "IPv6" in entry.flags or bool(getattr(entry, "v6only", None))


def _how_many(entry):
    lines = []
    if entry.instances is not None:
        lines.append(f"MaxConnections={entry.instances}")
    if entry.per_source is not None:
        lines.append(f"MaxConnectionsPerSource={entry.per_source}")
    return lines


def _who(entry, losses):
    """IPAddressAllow= and IPAddressDeny= see addresses alone; who is on both lists is allowed there."""
    if entry.only_from is None and not entry.no_access:
        return []
    named = [one for one in (entry.only_from or []) + entry.no_access if one.strip("0123456789abcdef.:/")]
    if named:
        losses.restriction(f"systemd knows no names: {', '.join(named)} would have to be addresses")
    if entry.only_from is not None and entry.no_access:
        losses.restriction("no_access within only_from: systemd lets in whoever is in IPAddressAllow=")
    if entry.only_from is None:
        return [f"IPAddressDeny={' '.join(entry.no_access)}"]
    if {"0.0.0.0/0", "::/0"} <= set(entry.only_from):
        return []
    return ["# others are not answered at all", f"IPAddressAllow={' '.join(entry.only_from)}", "IPAddressDeny=any"]


# -- the service --


def _service(entry, each, losses):
    lines = _head(entry, "")
    if not each:
        lines += [f"Requires={_unit_name(entry.id)}.socket", "StartLimitIntervalSec=0"]
    lines += ["CollectMode=inactive-or-failed", "", "[Service]"]
    redirect = _redirect(entry)
    if redirect:
        host, port = redirect
        lines.append(f"ExecStart={PROXY} {f'[{host}]' if ':' in host else host}:{port}")
    else:
        lines += [f"ExecStart={command_line(entry.server, entry.argv)}", "StandardInput=socket",
                  "# xinetd gives the client what the server writes to descriptor 2",
                  f"StandardOutput={'socket' if each else 'null'}", "StandardError=journal"]
    lines += _account(entry) + _process(entry)
    facility, level = entry.log_type[:2] if isinstance(entry.log_type, tuple) else ("", "")
    if facility and facility.islower():
        lines.append(f"SyslogFacility={facility}")
        lines += [f"SyslogLevel={level}"] if level else []
    if "INTERNAL" in entry.types:
        losses.restriction(f"type INTERNAL is xinetd's own {entry.name}: name a server")
    return "\n".join(lines) + "\n"


def _redirect(entry):
    """(host, port) of a service that only passes octets on."""
    found = getattr(entry, "redirect", None)
    return found or None


def _account(entry):
    lines = [f"User={entry.user}"] if entry.user else []
    if entry.group:
        lines.append(f"Group={entry.group}")
    return lines


def _process(entry):
    lines = [f"Environment={quoted(f'{name}={value}')}" for name, value in entry.env.items()]
    if entry.passenv:
        lines.append(f"PassEnvironment={' '.join(entry.passenv)}")
    if entry.nice:
        lines.append(f"Nice={entry.nice}")
    if entry.umask is not None:
        lines.append(f"UMask={entry.umask:04o}")
    lines += [f"{LIMITS[name]}={'infinity' if value is None else value}" for name, value in entry.rlimits.items()]
    return lines


# -- what is left --


def _what_else(entry, losses):
    if entry.cps is not None and entry.cps != (50, 10):
        losses.note("cps: systemd would end the socket at a limit of starts, so no limit is set; "
                    "PollLimitIntervalSec= and PollLimitBurst= of systemd 255 come near")
    if entry.wait and (entry.per_source is not None or entry.instances not in (None, 1)):
        losses.note("instances and per_source count nothing where the server itself accepts")
    if entry.is_sensor:
        losses.restriction("flags SENSOR: systemd shuts nobody out for calling a port")
    left(entry, CARRIED, losses)


def left(entry, carried, losses=None):
    """The Losses of whatever an entry says in fields that are not among those carried."""
    losses = Losses() if losses is None else losses
    for row in OWN:
        default = row.default() if isinstance(row.default, type) else row.default
        if row.field not in carried and getattr(entry, row.field) != default:
            (losses.restriction if row.restricts else losses.note)(f"{row.name}: {row.about}")
    return losses
