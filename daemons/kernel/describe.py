"""A declaration as the files that launchers read: xinetd's entry, systemd's units, the file they start.

Never imported by a running program.
"""

from .service import Service

LIBRARY = "/usr/local/lib/fd0"
SHARED = "/run/fd0"
# what a unit must say in a drop-in for a program to call others
CALLING = ["PrivateNetwork=no", "IPAddressDeny=", "RestrictAddressFamilies=AF_INET AF_INET6", "ProcSubset=all"]
MADE = "Made by `fd0 units` from the declaration in daemons/{name}.py; a test holds the two together."


def files(service: Service, library: str = LIBRARY) -> dict[str, str]:
    """All service files of a program: path below the project's root -> text."""
    if service.standing:
        return {f"systemd/fd0-{service.name}.service": systemd_service(service, library)}
    made = {f"xinetd.d/{service.name}": xinetd(service, library),
            f"systemd/fd0-{service.name}.socket": systemd_socket(service),
            f"systemd/fd0-{service.name}.service": systemd_service(service, library)}
    if service.model == "fork" and "stream" in service.sockets:
        made[f"systemd/fd0-{service.name}-each.socket"] = systemd_socket(service, each=True)
        made[f"systemd/fd0-{service.name}-each@.service"] = systemd_service(service, library, each=True)
    return made


def stub(name: str, library: str = LIBRARY, python: str = "/usr/bin/python3") -> str:
    """The file that a launcher starts: isolated from the environment (-I) and from site-packages (-S)."""
    return (f"#!{python} -IS\nimport sys\nsys.path.append({library!r})\n"
            f"from daemons.kernel.launch import launch\nlaunch({name!r})\n")


def xinetd(service: Service, library: str = LIBRARY, **changes: str | None) -> str:
    """xinetd.d/NAME: one entry for each kind of socket."""
    rfcs = f" ({', '.join(f'RFC {number}' for number in service.rfcs)})" if service.rfcs else ""
    head = [f"# {service.name}: {service.about.rstrip('.')}{rfcs}.", f"# {MADE.format(name=service.name)}",
            "# To switch it on: disable = no, then have xinetd read its files again (kill -HUP).",
            f"# Its options: {library}/{service.name} --help"]
    return "\n".join(head) + "\n" + "".join(xinetd_entry(service, library, sort, changes) for sort in service.sockets)


def xinetd_entry(service: Service, library: str, sort: str, changes: dict[str, str | None]) -> str:
    """One section for one kind of socket; `changes` are attributes with other values, or None to leave them out."""
    stream = sort == "stream"
    rows = [
        ("# say no here to switch the service on", "disable", "yes"),
        ("", "id", f"{service.name}-{sort}"),
        ("", "type", "UNLISTED"),
        ("# where it listens; add bind = ADDRESS to choose an interface", "port", str(service.port)),
        ("", "socket_type", sort),
        ("", "protocol", "tcp" if stream else "udp"),
        _wait_row(service, stream),
        ("", "user", service.user),
        ("", "server", f"{library}/{service.name}"),
        ("# who may come: networks, addresses, host names", "#only_from", "192.0.2.0/24 2001:db8::/32"),
    ]
    if stream:
        rows += [("# processes at once, of them for one client, and connections a second (then a pause of 10)",
                  "instances", "200"), ("", "per_source", "20"), ("", "cps", "100 10")]
    rows += [
        ("# the program logs each conversation itself; xinetd adds whom it turned away", "log_type",
         f"SYSLOG {service.facility} info"),
        ("", "log_on_success", ""), ("", "log_on_failure", "HOST"),
        ("# memory that one process may take", "rlimit_as", "256M"),
    ]
    lines = []
    for comment, name, value in rows:
        chosen = changes.get(name, value)
        if chosen is None:
            continue
        if comment:
            lines.append(f"\t{comment}".replace("\n", "\n\t"))
        lines.append(f"\t{name:15} = {chosen}".rstrip())
    lines += [f"\t{name:15} = {value}" for name, value in changes.items()
              if value is not None and name not in [row[1] for row in rows]]
    return f"\nservice {service.protocol}\n{{\n" + "\n".join(lines) + "\n}\n"


def _wait_row(service: Service, stream: bool) -> tuple[str, str, str]:
    if not stream:
        return "# one process reads the socket, and leaves when it is idle", "wait", "yes"
    return ("# no: a process for each connection, and xinetd's own limits apply.  yes: the program accepts itself, at\n"
            "# many times the rate; then take out instances, per_source, cps and only_from, and give the program\n"
            "# server_args = --per-source=20 --only-from=192.0.2.0/24 instead", "wait", "no")


def systemd_socket(service: Service, each: bool = False) -> str:
    """fd0-NAME.socket: one socket unit for all that the program serves."""
    lines = [f"# {MADE.format(name=service.name)}"]
    if each:
        lines += [f"# Instead of fd0-{service.name}.socket: a fresh process with its own sandbox for each connection.",
                  "# For rare conversations.  Start one of the two, not both."]
    lines += ["# To change a line: systemctl edit " + _unit(service, each) + ".socket", "[Unit]",
              f"Description={service.about.rstrip('.')} (fd0 {service.name}, socket)"]
    if each:
        lines.append(f"Conflicts=fd0-{service.name}.socket")
    lines += ["", "[Socket]", "# where it listens: a port for IPv4 and IPv6, or ADDRESS:PORT, or a path"]
    lines += [f"{'ListenStream' if sort == 'stream' else 'ListenDatagram'}={service.port}"
              for sort in service.sockets if not (each and sort == "dgram")]
    if "netlink" in service.needs and not each:
        lines += ["# by which it asks the kernel: opened here, so that it can be shut in without a network of its own",
                  "ListenNetlink=inet-diag"]
    lines += ["BindIPv6Only=both", f"FileDescriptorName={service.name}", f"Accept={'yes' if each else 'no'}"]
    if each:
        lines += ["# processes at once, and of them for one client", "MaxConnections=200", "MaxConnectionsPerSource=20"]
    lines += ["# a burst slows the service down and never ends it", "TriggerLimitIntervalSec=0"]
    lines += ["", "[Install]", "WantedBy=sockets.target"]
    return "\n".join(lines) + "\n"


def systemd_service(service: Service, library: str = LIBRARY, each: bool = False) -> str:
    """fd0-NAME.service, or the template that starts for each connection."""
    unit = _unit(service, each)
    lines = [f"# {MADE.format(name=service.name)}",
             f"# To change a line: systemctl edit {unit}{'@' if each else ''}.service",
             "[Unit]", f"Description={service.about.rstrip('.')} (fd0 {service.name})"]
    if service.standing:
        lines += ["# it serves no socket: it starts with the machine, and again whatever ends it but a wrong option",
                  "StartLimitIntervalSec=0", "After=network.target nss-lookup.target"]
    elif not each:
        lines += ["# it leaves when idle and comes back when called, as often as that may be",
                  "StartLimitIntervalSec=0", f"Requires={unit}.socket", f"After={unit}.socket"]
    lines += ["CollectMode=inactive-or-failed", "", "[Service]",
              "# options go here, or as name = value lines into /etc/fd0/" + service.name + ".conf",
              f"ExecStart={library}/{service.name}"]
    if each:
        lines += ["StandardInput=socket", "StandardOutput=null", "StandardError=journal"]
    else:
        lines += ["Type=notify", "StandardInput=null", "StandardOutput=null", "StandardError=journal"]
    if service.standing:
        lines += ["# it has its children finish, which must not be told as well", "KillMode=mixed",
                  "ExecReload=kill -HUP $MAINPID", "Restart=always", "RestartSec=5", "RestartPreventExitStatus=100"]
    lines += [f"SyslogIdentifier={service.name}", *_identity(service), *_sandbox(service, each)]
    if service.standing:
        lines += ["", "[Install]", "WantedBy=multi-user.target"]
    return "\n".join(lines) + "\n"


def _unit(service: Service, each: bool) -> str:
    return f"fd0-{service.name}-each" if each else f"fd0-{service.name}"


def _identity(service: Service) -> list[str]:
    return ["# whom the installation makes for all programs (sysusers.d)", f"User={service.user}"]


def _sandbox(service: Service, each: bool) -> list[str]:
    """What the program can do without, which is nearly everything: its socket is already there."""
    calls = "network" in service.needs
    asks = "netlink" in service.needs and each      # nobody passes a second socket with a connection
    families = "AF_UNIX" + (" AF_INET AF_INET6" if calls else "") + (" AF_NETLINK" if asks else "")
    homes = "read-only" if "homes" in service.needs else "yes"
    return [
        "# privileges", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "AmbientCapabilities=",
        "RestrictSUIDSGID=yes", "KeyringMode=private", "UMask=0077",
        "# files", "ProtectSystem=strict", f"ProtectHome={homes}", "PrivateTmp=yes", "PrivateDevices=yes",
        "DevicePolicy=closed", "ProtectProc=invisible", "ProcSubset=pid",
        "PrivateMounts=yes",
        *([] if service.standing else ["# where programs count callers together, where that is asked for",
                                       f"ReadWritePaths=-{SHARED}"]),
        *[f"ReadWritePaths={path}" for path in service.writes if not path.startswith("--")],
        "# kernel", "ProtectClock=yes", "ProtectControlGroups=yes", "ProtectHostname=yes", "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes", "ProtectKernelTunables=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
        "RestrictNamespaces=yes", "RestrictRealtime=yes", "RemoveIPC=yes",
        # whose files and connections these are could not be told apart in a user namespace of our own
        *([] if asks or (calls and not service.standing) or "homes" in service.needs else ["PrivateUsers=yes"]),
        "# network: " + ("it calls others" if service.standing else "the socket is inherited; only what is named here "
                                                                    "can be opened"),
        *([] if asks or calls else ["PrivateNetwork=yes", "IPAddressDeny=any"]),
        f"RestrictAddressFamilies={families}",
        "# system calls", "SystemCallArchitectures=native", "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources @setuid @chown @keyring @memlock @timer @pkey @ipc @aio",
        "# of what that took away, a pipe is needed: signals wake the program through one",
        "SystemCallFilter=pipe pipe2",
        "# and the program closes itself in once more, in what its options leave it to do",
        "SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp",
        "SystemCallErrorNumber=EPERM",
        "# resources", "LimitNOFILE=8192", "LimitCORE=0",
    ]
