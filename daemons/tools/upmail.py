"""fd0 up mail: a whole mail server in one folder, at loopback ports, with an account that can be used at once."""

import os
import pwd
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile

from daemons.stores import queuefolder

from . import stubs, up
from .owners import owner_of
from .programs import NotOurs

FOLDER = "fd0-mail"
ACCOUNT = "user@localhost"
PASSWORD_OCTETS = 9     # of chance: twelve signs that need no quotes anywhere
PORTS = {"smtp": 25, "submission": 587, "pop3": 110}
GRACE = 10.0            # seconds in which each must end
NO_DNS = "mailq is left out, since Python lacks dnspython (python3-dnspython): what is for elsewhere stays queued."
NO_TLS = "There is no TLS, since Python lacks cryptography (python3-cryptography): port {at} takes SCRAM-SHA-256 alone."


class Place:
    """The folder, the ports, and by which `python` and as whom the programs run.

    owner   (uid, gid), or None for ourselves: root gives way to nobody, where others can read what is needed
    """

    def __init__(self, options):
        self.folder, self.bind = os.path.abspath(options.folder or FOLDER), options.bind
        self.ports = {name: number + options.offset for name, number in PORTS.items()}
        self.python, self.owner = sys.executable, None
        if os.getuid() == 0 and up.open_to_all(stubs.CHECKOUT) and up.is_reachable(self.folder):
            for python in (up.interpreter(), sys.executable):
                if up.open_to_all(os.path.realpath(python)):
                    nobody = pwd.getpwnam("nobody")
                    self.python, self.owner = python, (nobody.pw_uid, nobody.pw_gid)

    def at(self, name, sign=":"):
        """Where one of them is, to be typed."""
        return f"[{self.bind}]:{self.ports[name]}" if ":" in self.bind else f"{self.bind}{sign}{self.ports[name]}"

    def path(self, name):
        """Of a file or folder in it."""
        return f"{self.folder}/{name}"

    def run(self, *command, **options):
        """Run a module of ours to its end, as those who will serve; raises NotOurs where it fails, having said why."""
        try:
            subprocess.run([self.python, "-m", *command], check=True, **self.how(), **options)
        except subprocess.CalledProcessError as error:
            raise NotOurs(f"{self.folder} could not be made ready (status {error.returncode})") from None

    def start(self, ready, *command):
        """Start a module of ours, which tells at `ready` that it serves."""
        environ = {**self.how()["env"], "NOTIFY_SOCKET": ready}
        return subprocess.Popen([self.python, "-m", *command], stdin=subprocess.DEVNULL, start_new_session=True,
                                **{**self.how(), "env": environ})

    def how(self):
        """What subprocess is to be told."""
        user = {} if self.owner is None else {"user": self.owner[0], "group": self.owner[1], "extra_groups": []}
        return {"env": dict(os.environ, PYTHONPATH=stubs.CHECKOUT, PYTHONDONTWRITEBYTECODE="1"), "cwd": "/", **user}


def run(options):
    """Make what is not there yet, serve until Ctrl-C, and return the exit status."""
    place = Place(options)
    taken = up.why_taken(place.bind, place.ports.values())
    if taken:
        print(f"fd0 up: mail cannot have {taken}; try another --offset or --bind", file=sys.stderr)
        return up.LATER
    password, has_tls = make(place)
    has_dns = _has("dns.resolver", place)
    with tempfile.TemporaryDirectory(prefix="fd0-up-") as folder:
        os.chmod(folder, 0o755)         # those who serve must find the socket in it
        with up.ready_socket(folder) as ready:
            os.chmod(ready.getsockname(), 0o666)
            return _serve(place, ready, commands(place, has_tls, has_dns),
                          lambda: print(page(place, password, has_tls, has_dns), flush=True))


def make(place):
    """The folder with its accounts, mail and queue; returns (the password of a new account or "", is there TLS)."""
    try:
        os.makedirs(place.folder, 0o755, exist_ok=True)
    except FileExistsError:
        raise NotOurs(f"{place.folder}: not a folder") from None
    if place.owner is not None:
        os.chown(place.folder, *place.owner)
    with owner_of(place.folder):
        os.makedirs(place.path("mail"), 0o700, exist_ok=True)
        queuefolder.make(place.path("queue"))
    password = ""
    if not os.path.exists(place.path("accounts.db")):
        password = _password()
        accounts = f"--accounts={place.path('accounts.db')}"
        place.run("daemons.tools", "user", "add", ACCOUNT, accounts, "--password-stdin",
                  input=f"{password}\n".encode(), stdout=subprocess.DEVNULL)
        place.run("daemons.tools", "user", "alias", "add", "postmaster@localhost", ACCOUNT, accounts,
                  stdout=subprocess.DEVNULL)
    has_tls = os.path.exists(place.path("tls/localhost.pem"))
    if not has_tls and _has("cryptography", place):
        place.run("daemons.tools", "cert", f"--to={place.path('tls')}", stdout=subprocess.DEVNULL)
        has_tls = True
    return password, has_tls


def commands(place, has_tls, has_dns):
    """The command line of each program."""
    log, where = "--logopt=pid,perror", [f"--accounts={place.path('accounts.db')}", f"--mail={place.path('mail')}"]
    queue = f"--queue={place.path('queue')}"
    tls = [f"--tls-cert={place.path('tls/localhost.pem')}", f"--tls-key={place.path('tls/localhost.key')}"] * has_tls
    smtpd = ["daemons.smtpd", log, "--hostname=localhost", *where, queue, *tls[:2]]
    found = [[*smtpd, "--role=mx", f"--listen={place.at('smtp')}"],
             [*smtpd, "--role=submission", f"--listen={place.at('submission')}"],
             ["daemons.pop3d", log, *where, "--plaintext=yes", f"--listen={place.at('pop3')}"]]
    if has_dns:
        found.append(["daemons.mailq", log, "--hostname=localhost", *where, queue])
    return found


def page(place, password, has_tls, has_dns):
    """What to type now."""
    shown, accounts = password or "PASSWORD", place.path("accounts.db")
    login = f"{ACCOUNT}:{shown}"
    url = f"pop://{login.replace('@', '%40', 1)}@{place.at('pop3')}/"
    lines = [f"All of it lies in {place.folder}.", "", f"Address   {ACCOUNT}"]
    lines.append(f"Password  {password}   (not shown again)" if password else
                 f"Password  the one that was shown when the folder was made; another one:\n"
                 f"          {_fd0()} user passwd {ACCOUNT} --accounts={shlex.quote(accounts)}")
    lines += ["", "Send it a mail, as another server would:",
              f"  swaks --server {place.at('smtp')} --from ann@example.org --to {ACCOUNT}",
              "Read it:",
              f"  curl pop3://{place.at('pop3')}/1 --user {login}",
              f"  mutt -e 'set ssl_force_tls=no ssl_starttls=no' -f {url}"]
    if has_tls:
        lines += ["Send one yourself, logged in; an address elsewhere is really written to:",
                  f"  swaks --server {place.at('submission')} -tls --auth PLAIN --auth-user {ACCOUNT} "
                  f"--auth-password {shown} --from {ACCOUNT} --to {ACCOUNT}"]
    else:
        lines.append(NO_TLS.format(at=place.ports["submission"]))
    lines += ["See what waits to be delivered, and why:",
              f"  {_fd0()} queue list --queue={shlex.quote(place.path('queue'))}"]
    if not has_dns:
        lines.append(NO_DNS)
    if os.getuid() == 0 and place.owner is None:
        lines.append("It all runs as root, since others cannot read this checkout or reach the folder.")
    return "\n".join([*lines, "", "Each conversation is logged to syslog, and below.  Ctrl-C ends all.", ""])


# -- pieces --


def _serve(place, ready, wanted, tell):
    """Start them all, `tell` once they serve, and wait until somebody wants the end, or one of them ends by itself."""
    told, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    running = [place.start(ready.getsockname(), *command) for command in wanted]
    deaths = [os.pidfd_open(process.pid) for process in running]
    waiting, status = len(running), 0
    try:
        while True:
            found = select.select([told, ready, *deaths], [], [])[0]
            if told in found:
                break
            if ready in found and b"READY=1" in ready.recv(4096):
                waiting -= 1
                if not waiting:
                    tell()
            elif set(found) & set(deaths):
                status = up.LATER       # it has said why
                break
    finally:
        _end(running)
        for fd in deaths:
            os.close(fd)
        signal.set_wakeup_fd(-1)
    return status


def _end(running):
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _has(module, place):
    """Has Python this module, for those who will serve?"""
    done = subprocess.run([place.python, "-c", f"import {module}"], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False, **place.how())
    return done.returncode == 0


def _password():
    import secrets
    while True:
        password = secrets.token_urlsafe(PASSWORD_OCTETS)
        if password.isalnum():          # no sign that a shell or a URL would take for its own
            return password


def _fd0():
    """How this command was called."""
    name = sys.argv[0]
    return "python3 -m daemons.tools" if name.endswith("__main__.py") else os.path.basename(name)
