"""Real launchers, each started for one test around one service.

    with Xinetd(Service([sys.executable, "-m", "daemons.echod"])) as host:
        assert converse(host.address, b"hello") == b"hello"

All have the same face.  `with` returns once the kernel shows the listening sockets in the launcher's hands, and its end
kills the launcher and every process that came of it.  In between:

    host.address       (host, port), or the path of a Unix socket; of the first one where there are several
    host.addresses     name -> address: names of descriptors, ids of xinetd services
    host.pid           the launcher
    host.wait()        waits for the launcher's end; its exit status
    host.servers()     ids of the other processes that came of it
    host.log()         what the launcher, and servers that were left its stderr, have said so far
    host.directory     a folder of temporary files, readable by everybody, removed at the end
    host.stop()        what the end of `with` does

Every launcher takes `prefix`, an argv to put before its own (devlog.private_devlog), and `options`, more options for
its command line.  A launcher that is not installed skips the test, or fails it where CI=true.

Servers get the environment that the launcher hands on.  PYTHONPATH names the checkout in it, so that `python3 -m
daemons.NAME` works from any directory.
"""

import dataclasses
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.live import machine, processes

ROOT = Path(__file__).resolve().parents[2]              # the checkout
CACHE = ROOT / ".launchers"                             # filled by fetch.sh
ME = pwd.getpwuid(os.geteuid()).pw_name
NOWAIT, WAIT = False, True


@dataclasses.dataclass(frozen=True)
class Service:
    """What a launcher shall run, and on which kind of socket.

    argv         the program by its absolute path, and its arguments
    kind         stream, dgram, unix (stream) or unix-dgram
    wait         False: a process for each connection; True: a server that is given the listening socket
    host         the address to listen at, 127.0.0.1 or ::1
    user         who runs it, for launchers that change user
    environment  more variables for the launcher, and so for the program where the launcher hands them on
    attributes   more attributes of the xinetd service, name -> value
    """

    argv: list
    kind: str = "stream"
    wait: bool = NOWAIT
    host: str = "127.0.0.1"
    user: str = ME
    environment: dict = dataclasses.field(default_factory=dict)
    attributes: dict = dataclasses.field(default_factory=dict)


class Launcher:
    """What all launchers share.  Each adds `command`, which names the sockets it wants and returns its argv."""

    modes = ()                  # the pairs (kind, wait) that it can do
    ipv6 = True
    trouble = r"(?i)address already in use"             # in its log: it will not come up
    attempts = 3                # with other ports each

    def __init__(self, service, prefix=(), options=()):
        if (service.kind, service.wait) not in self.modes:
            raise ValueError(f"{type(self).__name__} has no {service.kind} with wait={service.wait}")
        if ":" in service.host:
            if not self.ipv6:
                raise ValueError(f"{type(self).__name__} has no IPv6")
            machine.need_ipv6()
        self.service = service
        self.prefix = prefix
        self.options = options
        self.program = self.find()
        self.directory = self._processes = None
        self.addresses, self._sockets, self._ports = {}, [], []

    def find(self):
        """Return the path of the launcher; without it the calling test is skipped (in CI: fails)."""
        raise NotImplementedError

    def command(self):
        """Return the launcher's argv, having taken its addresses with `take_port` or `take_path`."""
        raise NotImplementedError

    def __enter__(self):
        for _ in range(self.attempts):
            try:
                self._start()
                if self._ready():
                    return self
            except BaseException:
                self.stop()
                raise
            story = self.log()
            self.stop()
        raise RuntimeError(f"{type(self).__name__} did not come up; its log:\n{story}")

    def __exit__(self, kind, error, trace):
        if error:
            print(f"--- log of {type(self).__name__} ---\n{self.log()}", file=sys.stderr)
        self.stop()

    def _start(self):
        self.addresses, self._sockets, self._ports = {}, [], []
        self.directory = Path(processes.new_folder(type(self).__name__.lower()))
        argv = [*self.prefix, *self.command()]
        with open(self.directory / "launcher.log", "wb") as log:
            self._processes = processes.Processes(argv, self.environment(), cwd="/", stdin=subprocess.DEVNULL,
                                                  stdout=log, stderr=log)

    def environment(self):
        """Return what we add to the launcher's environment."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, **self.service.environment}

    def _ready(self):
        """Wait until every socket is there; return False when the launcher gives up or takes too long."""
        def decided():
            if self._processes.first.poll() is not None and not self._processes.alive():
                return "failed"
            if re.search(self.trouble, self.log()):
                return "failed"
            return all(map(self._held, self._sockets)) and "ready"
        try:
            return machine.until(decided) == "ready"
        except TimeoutError:
            return False

    def _held(self, kind_and_address):
        """Tell whether the socket at an address listens, and is ours."""
        inodes = machine.listeners(*kind_and_address)
        return inodes and any(inodes & machine.sockets_of(pid) for pid in self._processes.alive())

    def take_port(self, kind, name="", port=None):
        """Note that the launcher will have a socket at a port, a new one if none is given; return the address."""
        if port is None:
            self._ports.append(machine.Port())
            port = self._ports[-1].number
        return self._take(kind, name, (self.service.host, port))

    def take_path(self, kind, name=""):
        """Note that the launcher will have a Unix socket; return its path."""
        return self._take(kind, name, str(self.directory / f"socket{len(self._sockets)}"))

    def take(self, name=""):
        """Take a port or a path, as the service's kind asks for."""
        return (self.take_path if self.service.kind.startswith("unix") else self.take_port)(self.service.kind, name)

    def _take(self, kind, name, address):
        self.addresses[name] = address
        self._sockets.append((kind, address))
        return address

    @property
    def address(self):
        """The first address."""
        return self._sockets[0][1]

    @property
    def pid(self):
        """The launcher's process id."""
        return self._processes.first.pid

    def wait(self, seconds=10):
        """Return the launcher's exit status, negative for a signal, once it has ended; subprocess.TimeoutExpired."""
        return self._processes.first.wait(seconds)

    def servers(self):
        """Return the ids of all living processes that came of the launcher, without its own."""
        return self._processes.alive() - {self.pid}

    def alive(self):
        """Return the ids of all living processes, the launcher's too; after `stop` there are none."""
        return self._processes.alive()

    def log(self):
        """Return what was said on the launcher's stderr and in its log files, so far."""
        return "".join(file.read_text(errors="replace") for file in sorted(self.directory.glob("*.log")))

    def stop(self):
        """End all processes and free the ports; may be called twice, and before anything was started."""
        if self._processes:
            self._processes.end()
        for port in self._ports:
            port.release()
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def words(argv):
    """Return argv as one string for files whose syntax has no quotes; ValueError when it needs them."""
    if any(re.search(r"\s", word) or not word for word in argv):
        raise ValueError(f"blanks in {argv}")
    return " ".join(argv)


class Xinetd(Launcher):
    """xinetd 2.3.15.  With wait=True its servers outlive it; here they end with it."""

    modes = ("stream", NOWAIT), ("stream", WAIT), ("dgram", WAIT)
    trouble = r"bind failed|DISABLING|removing |fatal error|0 available services"

    def __init__(self, service, prefix=(), options=()):
        super().__init__(service, prefix, options)
        self.text = entry(service)
        self.changes = {}

    @classmethod
    def of_file(cls, text, paths=None, host="127.0.0.1", environment=None, prefix=(), options=(), **changes):
        """Run the services of an xinetd.d file as they are written, but where this test can.

        text     the file's contents; equal ports in it stay equal to each other
        paths    string -> string: replaced everywhere in it
        changes  attribute -> value, for all services, such as user=; None takes the attribute away

        Besides, the services are enabled and bound to `host`.
        """
        self = cls(Service([], host=host, environment=environment or {}), prefix, options)
        for old, new in (paths or {}).items():
            text = text.replace(old, str(new))
        self.text, self.changes = text, changes
        return self

    def find(self):
        return machine.program("xinetd", "xinetd")

    def command(self):
        return [self.program, "-dontfork", "-stayalive", "-f", self.configure(), "-filelog",
                str(self.directory / "xinetd.log"), "-pidfile", str(self.directory / "xinetd.pid"), *self.options]

    def configure(self):
        """Write the configuration and return its path."""
        defaults = f"defaults\n{{\n    log_type = FILE {self.directory}/service.log\n}}\n\n"
        self.configuration = self.directory / "xinetd.conf"
        self.configuration.write_text(defaults + self._moved(self.text))
        return str(self.configuration)

    def _moved(self, text):
        """Return a file's text with every service moved to a port of ours."""
        ports = {}

        def moved(match):
            name, body = match.groups()
            found = dict(re.findall(r"^[ \t]*(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", body, re.MULTILINE))
            if "TCPMUX" in found.get("type", ""):               # it has no port, and is called through tcpmux
                return f"service {name}\n{{{rewritten(body, {'disable': 'no', **self.changes})}}}"
            key = found.get("port", name)
            host, port = self.take_port(found.get("socket_type", "stream"), found.get("id", name), ports.get(key))
            ports[key] = port
            kind = "INTERNAL UNLISTED" if "INTERNAL" in found.get("type", "") else "UNLISTED"
            changes = {"type": kind, "port": port, "bind": host, "disable": "no", **self.changes}
            return f"service {name}\n{{{rewritten(body, changes)}}}"

        return re.sub(r"^service\s+(\S+)\s*\{(.*?)^\s*\}", moved, text, flags=re.MULTILINE | re.DOTALL)

    def reload(self):
        """Have a changed `configuration` file read, and wait until xinetd says that it has."""
        done = self.log().count("Reconfigured:")
        os.kill(self.pid, signal.SIGHUP)
        machine.until(lambda: self.log().count("Reconfigured:") > done, what="reconfiguration")


def entry(service):
    """Return a service as text for xinetd.

    NAMEINARGS gives the program its whole path as argv[0], where xinetd's habit, the last part of it, leaves a Python
    that is not in PATH unable to find its own library.  It must stand before server_args, and so does all else.
    """
    attributes = {
        "socket_type": service.kind, "protocol": "tcp" if service.kind == "stream" else "udp",
        "wait": "yes" if service.wait else "no", "user": service.user, "cps": "1000 1", **service.attributes}
    attributes["flags"] = f"NAMEINARGS {attributes.get('flags', '')}".rstrip()
    if service.argv:
        attributes.update(server=words(service.argv[:1]), server_args=words(service.argv))
    lines = "".join(f"    {name} = {value}\n" for name, value in attributes.items())
    return f"service live\n{{\n{lines}}}\n"


def rewritten(body, changes):
    """Return the inside of a service's braces with attributes replaced where they stand, or added at the end."""
    for name, value in changes.items():
        line = "" if value is None else f"    {name} = {value}\n"
        body, count = re.subn(rf"^[ \t]*{name}[ \t]*=.*\n", lambda _, line=line: line, body, flags=re.MULTILINE)
        body += "" if count else line
    return body


class OurInetd(Xinetd):
    """Our own super-server, which reads the same files."""

    trouble = r"(?i)address already in use"

    def find(self):
        if not (ROOT / "daemons/inetd.py").exists():
            machine.unavailable("daemons/inetd.py is not there")
        return sys.executable

    def command(self):
        return [self.program, "-m", "daemons.inetd", *self.options, self.configure()]


class OpenBSDInetd(Launcher):
    """openbsd-inetd, unpacked by fetch.sh, since its package and xinetd's exclude each other."""

    modes = ("stream", NOWAIT), ("stream", WAIT), ("dgram", WAIT), ("unix", NOWAIT), ("unix", WAIT)

    def find(self):
        path = CACHE / "openbsd-inetd/usr/sbin/inetd"
        return str(path) if path.exists() else machine.unavailable("openbsd-inetd: run tests/live/fetch.sh")

    def command(self):
        service, address = self.service, self.take()
        wait = "wait" if service.wait else "nowait"
        if service.kind == "unix":
            what = f"{address} stream unix"
        else:
            protocol = ("tcp" if service.kind == "stream" else "udp") + ("6" if ":" in service.host else "4")
            what = f"{address[0]}:{address[1]} {service.kind} {protocol}"
        self.configuration = self.directory / "inetd.conf"
        self.configuration.write_text(f"{what} {wait} {service.user} {service.argv[0]} {words(service.argv)}\n")
        return [self.program, "-i", *self.options, str(self.configuration)]


class Tcpserver(Launcher):
    """tcpserver of ucspi-tcp: fds 0 and 1 are the connection, 2 is its own stderr."""

    modes = ("stream", NOWAIT),
    ipv6 = False

    def find(self):
        return machine.program("tcpserver", "ucspi-tcp")

    def command(self):
        host, port = self.take()
        return [self.program, "-v", "-H", "-R", "-l", "localhost", *self.options, host, str(port), *self.service.argv]


class Tcpsvd(Launcher):
    """tcpsvd of ipsvd: fds 0 and 1 are the connection, 2 is its own stderr."""

    modes = ("stream", NOWAIT),
    ipv6 = False
    name = "tcpsvd"

    def find(self):
        return machine.program(self.name, "ipsvd")

    def command(self):
        host, port = self.take()
        return [self.program, "-v", "-l", "localhost", *self.options, host, str(port), *self.service.argv]


class Udpsvd(Tcpsvd):
    """udpsvd of ipsvd: only fd 0 is the socket, 1 and 2 are its own stderr."""

    modes = ("dgram", WAIT),
    name = "udpsvd"


class SocketActivate(Launcher):
    """systemd-socket-activate: sockets from fd 3 on, with LISTEN_FDS; with inetd=True on fds 0 and 1, without.

    wait=False is its --accept.  With wait=True it becomes the server itself, at the first sign of a client, once.
    `names` asks for as many sockets, in this order, and names them with --fdname; they are the keys of `addresses`.
    """

    modes = tuple((kind, wait) for kind in ("stream", "unix") for wait in (NOWAIT, WAIT)) + (
        ("dgram", WAIT), ("unix-dgram", WAIT))

    def __init__(self, service, inetd=False, names=(), prefix=(), options=()):
        super().__init__(service, prefix, options)
        self.inetd = inetd
        self.names = names

    def find(self):
        return machine.program("systemd-socket-activate", "systemd")

    def command(self):
        argv = [self.program, *self.options]
        argv += ["--accept"] if not self.service.wait else []
        argv += ["--inetd"] if self.inetd else []
        argv += ["--datagram"] if self.service.kind.endswith("dgram") else []
        argv += [f"--listen={joined(self.take(name))}" for name in self.names or [""]]
        argv += [f"--fdname={':'.join(self.names)}"] if self.names else []
        argv += [f"--setenv={name}" for name in (*self.environment(), processes.MARK)]
        return argv + list(self.service.argv)


class Socat(Launcher):
    """socat with `fork` and `nofork`: the connection itself on fds 0 and 1, not a pair of pipes."""

    modes = ("stream", NOWAIT), ("unix", NOWAIT)

    def find(self):
        return machine.program("socat", "socat")

    def command(self):
        run = self.directory / "run"                    # socat's own syntax has too many signs of its own
        run.write_text(f"#!/bin/sh\nexec {shlex.join(self.service.argv)}\n")
        run.chmod(0o755)
        address = self.take()
        if self.service.kind == "unix":
            listen = f"UNIX-LISTEN:{address},fork"
        elif ":" in self.service.host:
            listen = f"TCP6-LISTEN:{address[1]},bind=[{address[0]}],fork,reuseaddr"
        else:
            listen = f"TCP4-LISTEN:{address[1]},bind={address[0]},fork,reuseaddr"
        return [self.program, *self.options, listen, f"EXEC:{run},nofork"]


class ByHand(Launcher):
    """No launcher: the program, started with --listen ADDRESS and /dev/null on fd 0, binds the socket itself."""

    modes = tuple((kind, WAIT) for kind in ("stream", "dgram", "unix", "unix-dgram"))

    def find(self):
        return self.service.argv[0]

    def command(self):
        address = self.take()
        where = f"unix:{address}" if isinstance(address, str) else joined(address)
        return [*self.service.argv, "--listen", where, *self.options]


def joined(address):
    """Return an address as people write it: a path, 127.0.0.1:25 or [::1]:25."""
    if isinstance(address, str):
        return address
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def pipes(argv, data=b"", seconds=10, prefix=(), environment=None):
    """Run a program with pipes on fds 0, 1 and 2, as a person or a TLS wrapper does; return a CompletedProcess.

    Raises subprocess.TimeoutExpired after `seconds`.  What the program has left behind is ended.
    """
    started = processes.Processes([*prefix, *argv], environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, cwd=ROOT)
    try:
        output, errors = started.first.communicate(data, seconds)
        return subprocess.CompletedProcess(argv, started.first.returncode, output, errors)
    finally:
        started.end()
