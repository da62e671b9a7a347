"""fd0 enable: put one service in place under a launcher, on this machine, and tell how to try it."""

import importlib
import os
import pwd
import re
import subprocess

from daemons.kernel import describe, listening
from daemons.kernel.options import FOLDER, Misuse, read

from . import blocks, holders
from .arguments import Parser, absolute
from .changes import Machine
from .programs import NotOurs, placed
from .stubs import CHECKOUT
from .up import TRY

LAUNCHERS = ("xinetd", "systemd", "inetd")
PLACES = (CHECKOUT, describe.LIBRARY, "/usr/lib/fd0")
AUTH = ("auth", "authpriv")
CHECK_SECONDS = 30


class Wish:
    """What to put in place: a program's declaration, where it listens, its options, where it is installed.

    `places` are (host, port) pairs, host "" for all addresses, or (path, None); `each` asks for a process and a
    sandbox for each connection, which only systemd gives.
    """

    def __init__(self, service, places, values, each=False, library=describe.LIBRARY):
        self.service, self.places, self.values = service, places, values
        self.each, self.library = each, library

    @property
    def moved(self):
        """Does it listen elsewhere than the world expects it?"""
        return bool(self.places) and self.places != [("", self.service.port)]


def main(arguments):
    """Put a service in place; undoes what it did when something fails on the way."""
    parser = Parser("enable", "Put one service in place under a launcher: write what the launcher reads, and have it "
                    "read.  `fd0 disable` takes all of it away again.", examples=(
        ("fd0 enable echod --with=xinetd", "at its own port"),
        ("fd0 enable fingerd --with=systemd --only-from=192.0.2.0/24 --set match=names", ""),
        ("fd0 enable qotd --with=inetd --listen=127.0.0.1:7017 --dry-run", "only tell what would be done")))
    parser.add_argument("program", metavar="PROGRAM", help="which one (fd0 list names them)")
    parser.add_argument("--with", dest="launcher", choices=LAUNCHERS, required=True, help="under which launcher")
    parser.add_argument("--port", metavar="NUMBER", help="listen at this port (default: the one of its RFC)")
    parser.add_argument("--listen", metavar="ADDRESS", action="append", default=[],
                        help="listen here only: 127.0.0.1, 127.0.0.1:7007, [::1]:7007; may be given again")
    parser.add_argument("--only-from", metavar="NETWORKS", help="talk to these only")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="values",
                        help=f"an option of the program, for its file in {FOLDER}; may be given again")
    parser.add_argument("--each", action="store_true",
                        help="systemd: a process with a sandbox of its own for each connection")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be written and run, and do nothing")
    parser.add_argument("--root", metavar="DIR", type=absolute,
                        help="do it in a tree that will be a machine later; nothing is started")
    parser.add_argument("--library", metavar="DIR", type=absolute, help="where the programs are installed [found]")
    options = parser.parse(arguments)
    machine = Machine(options.root, options.dry_run)
    wish = wished(options, machine)
    launcher = of(options.launcher)
    _refuse(wish, launcher, machine)
    print(f"{wish.service.name} under {options.launcher}:")
    try:
        _put(wish, launcher, machine)
    except BaseException:
        machine.take_back()
        raise
    _tell(wish, machine, launcher)
    return 0


def of(launcher):
    """The file of tools/ that knows a launcher."""
    return importlib.import_module(f"daemons.tools.under_{launcher}")


# -- what is asked for --


def wished(options, machine):
    """What the command line asks for; raises NotOurs for what cannot be meant."""
    service, = placed([options.program])
    if service.standing:
        _refuse_places(service, options)
    values = [_pair(text) for text in options.values]
    if options.only_from is not None:
        values.append(_pair(f"only-from={options.only_from}"))
    try:
        read(service, ["--config=/dev/null", *(f"--{name}={value}" for name, value in values)], {})
    except Misuse as error:
        raise NotOurs(str(error).replace("command line: no option --", "--set: no option ", 1)
                      .replace("command line: ", "--set: ", 1).replace("mean --", "mean ")) from None
    if options.each and not any(name.endswith("-each.socket") for name in describe.files(service)):
        raise NotOurs(f"{service.name} has no unit for --each: it is made to stay")
    return Wish(service, _places(service, options), values, options.each, _library(service, options, machine))


def _refuse_places(service, options):
    """Raise NotOurs for what only a service with sockets can be told."""
    for name, value in (("port", options.port), ("listen", options.listen), ("only-from", options.only_from),
                        ("each", options.each)):
        if value:
            raise NotOurs(f"{service.name} serves no socket, and has no use for --{name}")
    if options.launcher != "systemd":
        raise NotOurs(f"{service.name} serves no socket that {options.launcher} could give it: --with=systemd, or have "
                      f"it started with the machine: {_library(service, options, Machine(None, True))}/{service.name}")


def _pair(text):
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or "\n" in text:
        raise NotOurs(f"--set takes name=value on one line, not {text!r}")
    if name == "config":
        raise NotOurs("--set config: the launcher's files have no place for it; name the options themselves")
    return name.removeprefix("--"), value


def _places(service, options):
    if service.standing:
        return []
    port = service.port
    if options.port is not None:
        if not re.fullmatch("[0-9]{1,5}", options.port) or not 0 < int(options.port) < 65536:
            raise NotOurs(f"--port takes a number of 1 to 65535, not {options.port!r}")
        port = int(options.port)
    places = [_place(text, port) for text in options.listen] or [("", port)]
    if any(at == 0 for _, at in places):
        raise NotOurs(f"{service.name} has no port of its own: say --port=NUMBER")
    return places


def _place(text, port):
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not text.startswith("unix:") and (":" not in text or (bare.count(":") > 1 and "]:" not in text)):
        text = f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
    try:
        host, port = listening.listen(text)
        return (host, port) if port is None else (_canonical(host), port)
    except ValueError as error:
        raise NotOurs(f"--listen: {error}") from None


def _canonical(host):
    """An address in its canonical spelling: launchers resolve no names, and neither do we on their behalf."""
    from ipaddress import ip_address
    return str(ip_address(host)) if host else ""


def _library(service, options, machine):
    """Where that machine has the program."""
    if options.library:
        return options.library
    for place in PLACES:
        if os.access(machine.path(f"{place}/{service.name}"), os.X_OK):
            return place
    if machine.dry:
        return describe.LIBRARY
    raise NotOurs(f"{service.name} is not installed{f' below {machine.root}' if machine.root else ''}: "
                  "sudo make install, or install the package, or say --library=DIR")


# -- may it be? --


def _refuse(wish, launcher, machine):
    """Raise NotOurs for whatever stands in the way, before anything is done."""
    if machine.live and not machine.dry and os.geteuid() != 0:
        raise NotOurs(f"only root may: sudo fd0 enable {wish.service.name} ...   (--dry-run tells what it would do)")
    there = in_place(wish.service, machine)
    if there:
        raise NotOurs(f"{wish.service.name} is in place already, under {' and '.join(there)}; "
                      f"to change it, first: fd0 disable {wish.service.name}")
    if wish.each and launcher.NAME != "systemd":
        raise NotOurs(f"--each is systemd's; {launcher.NAME} starts a process for each connection as it is")
    if launcher.NAME != "systemd" and any(port is None for _, port in wish.places):
        raise NotOurs(f"{launcher.NAME} has no Unix sockets; systemd has")
    launcher.refuse(wish, machine)
    if machine.live:
        _refuse_live(wish, machine)


def _refuse_live(wish, machine):
    for host, port in wish.places:
        for sort in wish.service.sockets:
            who = holders.holder(host, port, sort) if port else ""
            if who:
                raise NotOurs(f"{'tcp' if sort == 'stream' else 'udp'} port {port} is taken, by {who}; "
                              "end that, or choose another: --port=NUMBER")
    try:
        pwd.getpwnam(wish.service.user)
    except KeyError:
        if not machine.dry:
            raise NotOurs(f"there is no user {wish.service.user} here: sudo make install makes one") from None


def in_place(service, machine):
    """The launchers under which `fd0 enable`, or with systemd anybody, put this service in place."""
    return [name for name in LAUNCHERS if of(name).has(service, machine)]


# -- do it --


def _put(wish, launcher, machine):
    conf = f"{FOLDER}/{wish.service.name}.conf"
    if wish.values:
        lines = [f"{name} = {value}" for name, value in wish.values]
        machine.write(conf, blocks.put(machine.read(conf), wish.service.name, lines))
    if machine.live and not machine.dry:
        _check(wish)
    launcher.enable(wish, machine)


def _check(wish):
    """Have the program itself read its options, as the user who will: a file that she cannot read is found now."""
    account = pwd.getpwnam(wish.service.user)
    done = subprocess.run([f"{wish.library}/{wish.service.name}", "--check"], capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, cwd="/", env={"PATH": "/usr/bin:/bin"},
                          user=account.pw_uid, group=account.pw_gid, extra_groups=[], timeout=CHECK_SECONDS)
    if done.returncode:
        raise NotOurs(done.stderr.strip().removeprefix(f"{wish.service.name}: ") or
                      f"{wish.library}/{wish.service.name} --check failed with status {done.returncode}")


def _tell(wish, machine, launcher):
    name = wish.service.name
    rows = []
    if machine.live:
        rows += [("try it", line) for line in trials(wish)]
        rows.append(("its log", log_of(wish.service, launcher.NAME)))
    root = f" --root={machine.root or '/'}" if not machine.live else ""
    rows.append(("undo", f"fd0 disable {name}{root}"))
    print("".join(f"{what + ':':9} {line}\n" for what, line in rows), end="")


def trials(wish):
    """What to type to see it work."""
    if wish.service.standing:
        return list(TRY.get(wish.service.name, ()))
    host, port = wish.places[0]
    if port is None:
        return [f"nc -NU {host}"]
    if any(name == "tls-cert" for name, _ in wish.values) and not wish.service.upgrades:
        return [f"openssl s_client -connect {host or 'localhost'}:{port}"]
    examples = zip(("stream", "dgram"), TRY.get(wish.service.name, ("nc {at}", "echo | nc -u -w1 {at}")))
    host = host or "localhost"
    url = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return [example.format(at=f"{host} {port}", url=url) for sort, example in examples if sort in wish.service.sockets]


def log_of(service, launcher):
    """How to read what a program logs here."""
    if launcher == "systemd" or os.path.exists("/run/systemd/journal/socket"):
        return f"journalctl -t {service.name}"
    file = "/var/log/auth.log" if service.facility in AUTH else "/var/log/syslog"
    return f"grep '{service.name}\\[' {file}"
