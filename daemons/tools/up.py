"""fd0 up: run a set of services at loopback ports under our inetd, and tell how to try each."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from daemons.kernel import describe

from . import stubs
from .programs import launched

OFFSET = 7000           # echo's port 7 becomes 7007
TRY = {                 # what to type for the services whose protocol waits for something
    "echod": ("echo hello | nc -N {at}", "echo hello | nc -u -w1 {at}"),
    "discardd": ("echo hello | nc -N {at}", "echo hello | nc -u -w1 {at}"),
    "daytimed": ("nc {at}", "echo | nc -u -w1 {at}"),
    "timed": ("nc {at} | od -An -tu4 --endian=big", "echo | nc -u -w1 {at} | od -An -tu4 --endian=big"),
    "chargend": ("nc {at} | head -3", "printf '%0200d' 0 | nc -u -w1 {at}"),
    "qotd": ("nc {at}", "printf '%0500d' 0 | nc -u -w1 {at}"),
    "fingerd": ("echo root | nc {at}", ""),
    "identd": ("echo 1,2 | nc -N {at}", ""),
}


def main(arguments):
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser("fd0 up", description="Run services at loopback ports, to try them.")
    parser.add_argument("program", nargs="*", help="only these (default: all)")
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen at [%(default)s]")
    parser.add_argument("--offset", type=int, default=OFFSET, help="added to ports below 1024 [%(default)s]")
    options = parser.parse_args(arguments)
    services = launched(options.program)
    folder = tempfile.mkdtemp(prefix="fd0-up-")
    os.chmod(folder, 0o755)             # the services run as nobody
    try:
        return _run(services, options, folder)
    finally:
        shutil.rmtree(folder)


def _run(services, options, folder):
    stubs.write([service.name for service in services], folder, python=_interpreter())
    path = os.path.join(folder, "xinetd.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(entry(service, options, folder) for service in services))
    with ready_socket(folder) as ready:
        environ = dict(os.environ, NOTIFY_SOCKET=ready.getsockname(), PYTHONPATH=stubs.CHECKOUT)
        inetd = subprocess.Popen([sys.executable, "-m", "daemons.inetd", "--logopt=pid,perror", path], env=environ,
                                 start_new_session=True)        # so that Ctrl-C reaches it once, through us
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: inetd.send_signal(signal.SIGTERM))
        if _is_ready(ready, inetd):
            _print_table(services, options)
    return inetd.wait()


def entry(service, options, folder):
    """A program's xinetd.d file as shipped, with port and paths changed, and its log on the terminal too."""
    user = {} if _as_nobody() else {"user": str(os.getuid())}
    return describe.xinetd(service, folder, disable="no", port=str(port(service, options)), bind=options.bind,
                           server_args="--logopt=pid,perror", stderr="log", log_type=None,
                           log_on_success=None, **user)


def port(service, options):
    """Where the service listens here."""
    return service.port + options.offset if service.port < 1024 else service.port


def ready_socket(folder):
    """Where inetd says that it listens (sd_notify(3))."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(os.path.join(folder, "ready"))
    sock.settimeout(0.1)
    return sock


def _is_ready(ready, inetd):
    while inetd.poll() is None:
        try:
            if b"READY=1" in ready.recv(4096):
                return True
        except TimeoutError:
            continue
    return False


def _print_table(services, options):
    rows = [("SERVICE", "WHERE", "TRY")]
    for service in services:
        examples = TRY.get(service.name, ("nc {at}", "echo | nc -u -w1 {at}"))
        for sort, example in zip(("stream", "dgram"), examples):
            if sort in service.sockets:
                number = port(service, options)
                at = f"{options.bind} {number}"
                rows.append((service.name, f"{'tcp' if sort == 'stream' else 'udp'} {options.bind}:{number}",
                             example.format(at=at)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}" for row in rows]
    user = "" if _as_nobody() or os.getuid() else "  (run as root: nobody has no access to this checkout.)"
    print("\n" + "\n".join(lines) + "\n\nEach conversation is logged to syslog, and below.  Ctrl-C ends all." + user
          + "\n", flush=True)


def _as_nobody():
    """Can the services run as the user that their declarations name?  As root, if that user reaches our files."""
    return os.getuid() == 0 and all(map(_open_to_all, (_interpreter(), stubs.CHECKOUT, describe.__file__)))


def _open_to_all(path):
    steps = path.split(os.sep)
    folders = [os.sep.join(steps[:count]) or os.sep for count in range(1, len(steps))]
    return all(os.stat(folder).st_mode & 0o001 for folder in folders) and bool(os.stat(path).st_mode & 0o004)


def _interpreter():
    """The system's interpreter if it is new enough, as for installed programs; else the one behind our own."""
    system = "/usr/bin/python3"
    new_enough = [system, "-ISc", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if os.path.exists(system) and subprocess.run(new_enough, check=False).returncode == 0:
        return system
    return os.path.realpath(sys.executable)
