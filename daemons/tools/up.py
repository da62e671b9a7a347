"""fd0 up: run a set of services at loopback ports under our inetd, and tell how to try each."""

import argparse
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from ipaddress import ip_address

from daemons.kernel import describe
from daemons.kernel.options import known
from daemons.kernel.values import path, paths

from . import stubs
from .arguments import Parser
from .programs import NotOurs, launched, names

TWICE = ["--logopt=pid,perror"]     # the log goes to syslog and to the terminal
OFFSET = 7000           # echo's port 7 becomes 7007
MOST = 65535 - 1023     # what can be added to any port below 1024
MAIL = "mail"           # not a program, but several, and what they need
PATHS = (path, paths)   # kinds of options that may be relative here
LATER = 111             # exit status: a port is taken now; try again later
TRY = {                 # what to type for the services whose protocol waits for something
    "echod": ("echo hello | nc -N {at}", "echo hello | nc -u -w1 {at}"),
    "discardd": ("echo hello | nc -N {at}", "echo hello | nc -u -w1 {at}"),
    "daytimed": ("nc {at}", "echo | nc -u -w1 {at}"),
    "timed": ("nc {at} | od -An -tu4 --endian=big", "echo | nc -u -w1 {at} | od -An -tu4 --endian=big"),
    "chargend": ("nc {at} | head -3", "printf '%0200d' 0 | nc -u -w1 {at}"),
    "qotd": ("nc {at}", "printf '%0500d' 0 | nc -u -w1 {at}"),
    "httpd": ("curl http://{url}/", ""),
    "xmlrpcd": ("""curl --json '{{"jsonrpc": "2.0", "id": 1, "method": "fd0.load"}}' http://{url}/""", ""),
    "fingerd": ("echo root | nc {at}", ""),
    "pop3d": ("printf 'CAPA\\r\\nQUIT\\r\\n' | nc {at}", ""),
    "smtpd": ("printf 'EHLO me\\r\\nQUIT\\r\\n' | nc {at}", ""),
    "identd": ("echo 1,2 | nc -N {at}", ""),
    "mailq": ("fd0 queue list",),
}


def main(arguments):
    """Run until Ctrl-C."""
    parser = Parser("up", "Run services at loopback ports, to try them, until Ctrl-C.", examples=(
        ("fd0 up", "all of them"),
        ("fd0 up echod fingerd", "only these two"),
        ("fd0 up httpd --root=. --listing=yes", "one, with options of its own; paths may be relative here"),
        ("fd0 up --bind=0.0.0.0 --offset=0 echod", "for the whole network, at the real port"),
        ("fd0 up mail", "smtpd, pop3d and mailq with an account, all in ./fd0-mail")))
    what = parser.add_argument("program", nargs="*", metavar="PROGRAM", help="only these (default: all), or mail")
    what.also = (MAIL,)
    parser.add_argument("--bind", metavar="ADDRESS", type=_address, default="127.0.0.1",
                        help="address to listen at [%(default)s]")
    parser.add_argument("--offset", metavar="NUMBER", type=_offset, default=OFFSET,
                        help="added to ports below 1024 [%(default)s]")
    parser.add_argument("--folder", metavar="DIR", help="of mail: where it lies; made if need be [fd0-mail]")
    ours, given = _split(arguments, parser)
    options = parser.parse(ours)
    if given and len(options.program) > 1:
        parser.error(f"{given[0].partition('=')[0]} is an option of one program: name that one alone")
    if given and options.program[:1] not in [[name] for name in names()]:
        parser.parse(arguments)         # which says what is wrong with them
    if options.program == [MAIL]:
        from . import upmail
        return upmail.run(options)
    if options.folder is not None or MAIL in options.program:
        parser.error(f"{MAIL} stands alone, and --folder goes with it")
    services = launched(options.program)
    options.given = _checked(services[0], given)
    trouble = _taken(services, options)
    if trouble:
        print(f"fd0 up: {trouble}", file=sys.stderr)
        return LATER
    folder = tempfile.mkdtemp(prefix="fd0-up-")
    os.chmod(folder, 0o755)             # the services run as nobody
    try:
        return _run(services, options, folder)
    finally:
        shutil.rmtree(folder)


def _split(arguments, parser):
    """What is for us, and options that only the program can know."""
    if not isinstance(arguments, list):
        return arguments, []            # somebody asks what we take
    ours = {name for name, _ in parser.rows()} | {"--help", "--bind", "--offset", "--folder"}
    given = [word for word in arguments if word.startswith("--") and word.partition("=")[0] not in ours]
    return [word for word in arguments if word not in given], given


def _checked(service, given):
    """Options for the one program, with paths made absolute; raises NotOurs for what it will not take."""
    if not given:
        return []
    rows, found = known(service), []
    for word in given:
        name, equals, value = word[2:].partition("=")
        option = rows.get(name)
        if option is not None and option.kind in PATHS:
            value = ",".join(os.path.abspath(one) for one in value.split(","))
        if " " in value:
            raise NotOurs(f"--{name}: no blank can be in it here")
        found.append(f"--{name}{equals}{value}")
    tried = subprocess.run([sys.executable, "-m", f"daemons.{service.name}", "--check", "--log=/dev/null", *found],
                           cwd=stubs.CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if tried.returncode:
        said = tried.stderr.strip().partition(": ")[2].removeprefix("command line: ")
        raise NotOurs(said or f"{service.name} does not start with these options")
    return found


def _address(text):
    try:
        return str(ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 or IPv6 address") from None


def _offset(text):
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 to {MOST}")
    return int(text)


def _taken(services, options):
    """Which place somebody has already, or we must not have: said before anything is started."""
    for service in services:
        for sort in service.sockets:
            why = why_taken(options.bind, [port(service, options)], sort)
            if why:
                return f"{service.name} cannot have {why}; try another --offset or --bind"
    return ""


def why_taken(host, numbers, sort="stream"):
    """The first of these ports that cannot be had, and why; "" if all can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in numbers:
        with socket.socket(family, socket.SOCK_STREAM if sort == "stream" else socket.SOCK_DGRAM) as probe:
            if sort == "stream":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, number))
            except OSError as error:
                return f"{_shown(host, number)}: {error.strerror}"
    return ""


def _run(services, options, folder):
    stubs.write([service.name for service in services], folder, python=interpreter())
    path = os.path.join(folder, "xinetd.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(entry(service, options, folder) for service in services))
    with ready_socket(folder) as ready:
        environ = dict(os.environ, NOTIFY_SOCKET=ready.getsockname(), PYTHONPATH=stubs.CHECKOUT)
        inetd = _start([sys.executable, "-m", "daemons.inetd", "--priority=notice", *TWICE, path], environ)
        if _is_ready(ready, inetd):
            _print_table(services, options)
        return inetd.wait()


def _start(command, environ):
    """Start it in a session of its own, so that Ctrl-C reaches it through us, once, however early it comes."""
    told, running = [], []

    def end(*_):
        told.append(True)
        for process in running:
            process.send_signal(signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    running.append(subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True))
    if told:
        end()
    return running[0]


def entry(service, options, folder):
    """A program's xinetd.d file as shipped, with port and paths changed, and its log on the terminal, too.

    Where one program alone is tried, with options, it accepts itself, as it would under systemd.
    """
    alone = {"wait": "yes", "instances": None, "per_source": None, "cps": None} if options.given else {}
    user = {"user": _user(service)} if _as_nobody() else {"user": str(os.getuid()), "group": str(os.getgid())}
    return describe.xinetd(service, folder, disable="no", port=str(port(service, options)), bind=options.bind,
                           server_args=" ".join([*TWICE, *options.given]), stderr="log", log_type=None,
                           log_on_success=None, **user, **alone)


def port(service, options):
    """Where the service listens here."""
    return service.port + options.offset if service.port < 1024 else service.port


def ready_socket(folder):
    """Where inetd says that it listens (sd_notify(3))."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(os.path.join(folder, "ready"))
    return sock


def _is_ready(ready, inetd):
    """Wait until it says so; False when it ends before."""
    ended = os.pidfd_open(inetd.pid)
    try:
        while ready in select.select([ready, ended], [], [])[0]:
            if b"READY=1" in ready.recv(4096):
                return True
        return False
    finally:
        os.close(ended)


def _print_table(services, options):
    rows = [("SERVICE", "WHERE", "TRY")]
    for service in services:
        examples = TRY.get(service.name, ("nc {at}", "echo | nc -u -w1 {at}"))
        for sort, example in zip(("stream", "dgram"), examples):
            if sort in service.sockets:
                number = port(service, options)
                at = f"{options.bind} {number}"
                rows.append((service.name, f"{'tcp' if sort == 'stream' else 'udp'} {_shown(options.bind, number)}",
                             example.format(at=at, url=_shown(options.bind, number))))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}" for row in rows]
    user = "" if _as_nobody() or os.getuid() else \
        "They run as root, since others cannot read this checkout.\n"
    lines.append(f"\n{user}Each conversation is logged to syslog, and below.  Ctrl-C ends all.\n")
    print(*lines, sep="\n", flush=True)


def _shown(host, number):
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def _user(service):
    """The user that the declaration names, or nobody where nothing is installed that would have made her."""
    try:
        return pwd.getpwnam(service.user).pw_name
    except KeyError:
        return "nobody"


def _as_nobody():
    """Can the services run as somebody else?  As root, if others reach our files."""
    return os.getuid() == 0 and all(map(open_to_all, (interpreter(), stubs.CHECKOUT, describe.__file__)))


def open_to_all(path):
    """Can everybody read it?"""
    return is_reachable(path) and bool(os.stat(path).st_mode & 0o004)


def is_reachable(path):
    """Can everybody go through the folders above it, as far as they are there?"""
    steps = path.split(os.sep)
    folders = [os.sep.join(steps[:count]) or os.sep for count in range(1, len(steps))]
    return all(os.stat(folder).st_mode & 0o001 for folder in folders if os.path.exists(folder))


def interpreter():
    """The system's interpreter if it is new enough, as for installed programs; else the one behind our own."""
    system = "/usr/bin/python3"
    new_enough = [system, "-ISc", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if os.path.exists(system) and subprocess.run(new_enough, check=False).returncode == 0:
        return system
    return os.path.realpath(sys.executable)
