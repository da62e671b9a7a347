"""What a program declares about itself: data, no behaviour.

From one `Service` come the program's command line, its xinetd entry, its systemd units, its
`--help` and the list of events it may log, so that they cannot disagree.  Plain classes:
dataclasses would cost every `nowait` start several milliseconds.
"""

from collections.abc import Callable

Kind = Callable[[str], object]
Words = tuple[str, ...]


class Option:
    """One setting: `kind` turns text into a value or raises ValueError; `default` is text, or None for unset.

    `kind.__name__` is what help calls the value.  A value given where None is the default is
    what "configured" means: nothing is loaded for an option that nobody set.
    """

    __slots__ = ("about", "default", "kind", "name")

    def __init__(self, name: str, kind: Kind, default: str | None, about: str) -> None:
        self.name, self.kind, self.default, self.about = name, kind, default, about

    @property
    def attribute(self) -> str:
        """The name under which programs find the value on their options."""
        return self.name.replace("-", "_")


class Event:
    """One kind of log line: a stable name, a syslog priority by name, the keys it may carry, a meaning."""

    __slots__ = ("about", "keys", "name", "priority")

    def __init__(self, name: str, priority: str, keys: str, about: str) -> None:
        self.name, self.priority, self.keys, self.about = name, priority, keys.split(), about


class Service:
    """A program's declaration.

    name      the program and its log ident; `port` is where the world expects it, 0 for nowhere
    sockets   "stream", "dgram" or both: what it serves
    model     how it serves a listener unless told otherwise: "fork" or "thread"
    endings   "crlf" when only CR LF ends a line, "lf" when a bare LF is taken as well
    busy      octets said to a peer that is turned away for now, or whose conversation broke here
    user      whom launchers should run it as: fd0, whom the installation makes; facility, its place in syslog
    reads     paths it must be able to read, writes: paths it must be able to write; "--option" is that option's value
    needs     what its sandbox must leave: "network" to call others, "netlink" to ask the kernel, "homes" to read,
              "exec" to run programs; "exec:--option" where that option asks for it
    protocol  the word for it in /etc/services, for xinetd's `service` line
    upgrades  whether its protocol can turn to TLS in the middle (STARTTLS, STLS, AUTH TLS)
    secure_port   where the world expects it under TLS from the first octet, 0 for nowhere
    alpn      protocol names that it answers to in a TLS handshake (RFC 7301)
    description   paragraphs of its manual page, between blank lines: indented ones are shown as typed, # is a heading
    rehearsal what a client may say that changes nothing: said before the first fork, so that children find all warm
    standing  whether it serves no socket and works all the time: it has a unit that starts it with the machine
    logins    whether it asks for passwords, so that failed logins are to be counted by all its processes
    """

    def __init__(self, name: str, *, about: str, port: int = 0, rfcs: tuple[int, ...] = (),
                 sockets: Words = ("stream",), model: str = "thread", endings: str = "lf", busy: bytes = b"",
                 user: str = "fd0", facility: str = "daemon", reads: Words = (), writes: Words = (),
                 needs: Words = (), protocol: str = "", operands: str = "", options: tuple[Option, ...] = (),
                 events: tuple[Event, ...] = (), defaults: tuple[tuple[str, str], ...] = (),
                 examples: Words = (), upgrades: bool = False, secure_port: int = 0, alpn: Words = (),
                 description: str = "", logins: bool = False, rehearsal: bytes = b"",
                 standing: bool = False) -> None:
        self.name, self.about, self.port, self.rfcs, self.sockets = name, about, port, rfcs, sockets
        self.model, self.endings, self.busy = model, endings, busy
        self.user, self.facility = user, facility
        self.reads, self.writes, self.needs = reads, writes, needs
        self.protocol = protocol or name.removesuffix("d")
        self.operands, self.options, self.events = operands, options, events
        self.defaults, self.examples = dict(defaults), examples
        self.upgrades, self.secure_port, self.alpn, self.description = upgrades, secure_port, alpn, description
        self.logins, self.rehearsal, self.standing = logins, rehearsal, standing
