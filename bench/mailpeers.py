"""Mail servers to measure ourselves against, and Postfix's smtp-source and smtp-sink, which measure them.

Postfix and OpenSMTPD are those that tests/live/fetch.sh unpacks (unpacked.py), Dovecot is the one that Debian installs,
on a port of ours.  None is tuned beyond what the lines here and there say.
"""

import os
import re
import select
import socket
import subprocess
import sys
import time

from daemons.tools import stubs

from . import load, procfs, unpacked, xinetd

UNPACKED = os.path.join(stubs.CHECKOUT, ".launchers")
LIFETIME = 300          # seconds
DOMAIN, USER = "bench.test", "ann@bench.test"

OPENSMTPD = """
smtp limit max-mails 1000000
listen on 127.0.0.1 port {port} hostname opensmtpd.test
table owners {{ ann = "{owner}:{owner}:{folder}" }}
table virtuals {{ "@" = ann }}
action "keep" maildir "{folder}/box" userbase <owners> virtual <virtuals>
match from any for any action "keep"
"""
DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:{box}
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={folder}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


def tool(package, path):
    """A file of a package that fetch.sh has unpacked; ends the bench where it is missing."""
    path = os.path.join(UNPACKED, package, path)
    if not os.path.exists(path):
        sys.exit(f"{path} is not there: run tests/live/fetch.sh")
    return path


def libraries():
    """The environment that Postfix's programs need."""
    tool("postfix", "usr/lib/postfix")
    return {**os.environ, **unpacked.libraries(os.path.join(UNPACKED, "postfix"))}


class Peer:
    """`with Peer(place) as peer`: a server in a folder of the workplace; `address`, and `box`, its Maildir."""

    name = ""

    def __init__(self, place):
        if os.geteuid():
            sys.exit(f"{self.name} needs root")
        self.folder = os.path.join(place.folder, f"{self.name}-{xinetd.free_port()}")
        self.address, self.box = ("127.0.0.1", xinetd.free_port()), os.path.join(self.folder, "box")
        os.mkdir(self.folder)
        unpacked.house(self.folder)

    def write(self, name, template, **values):
        """A file of its own."""
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(template.format(folder=self.folder, box=self.box, port=self.address[1],
                                       owner=unpacked.OWNER, **values))

    def spawn(self, command, mounts=()):
        """Start it where it has users and folders of its own, and wait until it greets."""
        with open(os.path.join(self.folder, "output"), "wb") as out:
            self.process = subprocess.Popen(
                unpacked.command(self.folder, f"timeout {LIFETIME} {command}", mounts), stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, env=libraries(), cwd="/")
        try:
            ready(self.address)
        except OSError:
            self.__exit__()
            raise load.Broken(f"{self.name}: {self.said()}") from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        xinetd.end(self.process.pid)
        self.process.wait()

    def cpu(self):
        """Microseconds of processor time that it used, and what came of it."""
        return procfs.cpu_of_all(self.process.pid)

    def said(self):
        """The end of what it has logged."""
        found = ""
        for name in ("output", "log"):
            if os.path.exists(f"{self.folder}/{name}"):
                with open(f"{self.folder}/{name}", errors="replace") as file:
                    found += file.read()
        return found[-2000:]


class Postfix(Peer):
    """Postfix, which takes mail for DOMAIN into its Maildir, or does what these lines of main.cf say."""

    name = "postfix"

    def __init__(self, place, more=unpacked.KEEPING):
        super().__init__(place)
        unpacked.postfix(self.folder, self.address[1], 300)
        self.configure(more)

    def configure(self, more):
        """Other lines of main.cf, for its next start."""
        self.write("main.cf", unpacked.MAIN + more, unpacked=os.path.join(UNPACKED, "postfix"), domain=DOMAIN)

    def __enter__(self):
        return self.spawn(f"{tool('postfix', 'usr/lib/postfix/sbin/master')} -d -c {self.folder}")


class OpenSMTPD(Peer):
    """OpenSMTPD, which takes all mail into its Maildir."""

    name = "opensmtpd"

    def __enter__(self):
        self.write("smtpd.conf", OPENSMTPD)
        tool("opensmtpd", "usr/sbin/smtpd")
        return self.spawn(f"/usr/sbin/smtpd -d -f {self.folder}/smtpd.conf",
                          unpacked.opensmtpd(self.folder, os.path.join(UNPACKED, "opensmtpd")))


class Dovecot(Peer):
    """Dovecot's POP3 server: every user has this password, and the Maildir."""

    name = "dovecot"

    def __init__(self, place, password):
        super().__init__(place)
        self.password = password

    def __enter__(self):
        self.write("dovecot.conf", DOVECOT, password=self.password)
        program = xinetd.program("dovecot", "dovecot-pop3d")
        return self.spawn(f"{program} -F -c {self.folder}/dovecot.conf")


def ready(address, seconds=20):
    """Return once it greets."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(address, 5) as sock:
                if sock.recv(64)[:3] in (b"220", b"+OK"):
                    return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def source(address, count, clients, to=USER, kept=True, octets=4096):
    """Seconds in which smtp-source has `count` mails taken, over connections that it keeps, or a new one for each."""
    command = [tool("postfix", "usr/sbin/smtp-source"), *["-d"] * kept, "-s", str(clients), "-m", str(count), "-l",
               str(octets), "-M", "source.test", "-f", "fred@source.test", "-t", to, "inet:{}:{}".format(*address)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=libraries())
    took = time.monotonic() - began
    if done.returncode or done.stderr:
        raise load.Broken(f"smtp-source: {done.stderr}")
    return took


class Sink:
    """`with Sink() as sink`: an smtp-sink that takes all mail and forgets it."""

    def __enter__(self):
        self.address = "127.0.0.1", xinetd.free_port()
        command = ["timeout", str(LIFETIME), tool("postfix", "usr/sbin/smtp-sink"), "-c", "-u", "nobody",
                   "{}:{}".format(*self.address), "1000"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=libraries())
        self.seen = 0
        ready(self.address)
        return self

    def taken(self, count):
        """Mails a second, from the first to the last of so many more than there were."""
        before, tail, began = self.seen, b"", 0.0
        while self.seen < before + count:
            if not select.select([self.process.stdout], [], [], load.PATIENCE)[0]:
                raise load.Broken(f"{self.seen - before} of {count} mails have come")
            *lines, tail = (tail + os.read(self.process.stdout.fileno(), 1 << 16)).split(b"\r")
            for number in re.findall(rb"mesg=(\d+)", b" ".join(lines)):
                self.seen = int(number)
            if not began and self.seen > before:
                began, first = time.monotonic(), self.seen
        return (self.seen - first) / (time.monotonic() - began)

    def __exit__(self, *_):
        xinetd.end(self.process.pid)
        self.process.wait()
        self.process.stdout.close()
