"""Real mail servers of others on ports of their own: Postfix and OpenSMTPD, unpacked by fetch.sh.

Both want users that only their packages make, and OpenSMTPD has its folders' names built in.  So each gets a mount
namespace with users and folders of its own.  Mail for far.test goes into its Maildir, all other mail to `onward`.
"""

import os
import signal
import subprocess
from pathlib import Path

from tests.live import machine, processes
from tests.live.launchers import CACHE

USERS = "".join(f"{name}:x:{uid}:{uid}::/:/bin/false\n" for name, uid in (
    ("postfix", 64001), ("opensmtpd", 64002), ("opensmtpq", 64003)))
GROUPS = "postfix:x:64001:\nopensmtpd:x:64002:\nopensmtpq:x:64003:\npostdrop:x:64004:\n"
OWNER = 64005                   # of the Maildir; nobody else

POSTFIX = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {unpacked}/usr/lib/postfix/sbin
command_directory = {unpacked}/usr/sbin
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
import_environment = MAIL_CONFIG LD_LIBRARY_PATH LIVE_TEST_MARK
myhostname = postfix.test
mydestination =
alias_maps =
alias_database =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_host_lookup = native
virtual_mailbox_domains = far.test
virtual_mailbox_base = {folder}
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
smtpd_tls_chain_files = {pair}
smtpd_tls_security_level = {tls}
smtp_tls_security_level = may
smtputf8_enable = yes
minimal_backoff_time = 1s
queue_run_delay = 1s
default_transport = {onward}
"""
SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
OPENSMTPD = """
pki here cert "{pair}"
pki here key "{pair}"
listen on 127.0.0.1 port {port} {tls} hostname opensmtpd.test
queue ttl 1h
table owners {{ bob = "{owner}:{owner}:{folder}" }}
table virtuals {{ "@" = bob }}
action "keep" maildir "{folder}/box" userbase <owners> virtual <virtuals>
action "onward" relay host "{onward}" helo "opensmtpd.test"
match from any for domain "far.test" action "keep"
match from any for any action "onward"
"""


class Peer:
    """What both share: a port, a folder, and a Maildir; `pair` is a PEM file if it is to offer TLS."""

    unpacked = needed = ""

    def __init__(self, onward="", pair=None):
        if os.geteuid() != 0:
            machine.unavailable("a mail server with users of its own needs root")
        if not (CACHE / self.unpacked / self.needed).exists():
            machine.unavailable(f"{self.unpacked}: run tests/live/fetch.sh")
        self.onward, self.pair, self.port = onward, pair, machine.Port()
        self.folder, self.place = Path(processes.new_folder(self.unpacked)), CACHE / self.unpacked
        for name, more in (("passwd", USERS), ("group", GROUPS)):
            (self.folder / name).write_text(Path(f"/etc/{name}").read_text() + more)
        for name in ("box", "box/tmp", "box/new", "box/cur"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, OWNER, OWNER)
        self.configure()
        mounts = [f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("passwd", "group")] + self.mounts()
        script = " && ".join([*mounts, f"exec {self.command()}"])
        with open(self.folder / "output", "wb") as output:
            self.processes = processes.Processes(
                [machine.program("unshare", "util-linux"), "--mount", "--propagation=private", "sh", "-c", script],
                {"LD_LIBRARY_PATH": f"{self.place}/usr/lib/postfix"}, cwd="/", stdin=subprocess.DEVNULL,
                stdout=output, stderr=output)
        try:
            machine.until(lambda: machine.listeners("stream", self.address) or self.processes.first.poll() is not None,
                          20, self.unpacked)
            if self.processes.first.poll() is not None:
                raise RuntimeError(self.log())
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(f"--- log of {self.unpacked} ---\n{self.log()}")
        self.end()

    @property
    def address(self):
        """Where it takes mail."""
        return "127.0.0.1", self.port.number

    def log(self):
        """What it has said so far."""
        return "".join((self.folder / name).read_text() for name in ("output", "log") if (self.folder / name).exists())

    def mails(self):
        """The texts in its Maildir."""
        return [each.read_bytes() for each in sorted((self.folder / "box/new").iterdir())]

    def mounts(self):
        """Commands of a shell for its namespace."""
        return []

    def end(self):
        """Stop, and give the port back."""
        self.processes.first.send_signal(signal.SIGTERM)
        self.processes.end()
        self.port.release()


class Postfix(Peer):
    """Postfix 3.7; `onward` is a transport such as smtp:[127.0.0.1]:2525."""

    unpacked, needed = "postfix", "usr/lib/postfix/sbin/master"

    def configure(self):
        """Files, and the folders of a queue."""
        names = ("active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace")
        for name in ("data", "queue", *(f"queue/{each}" for each in names.split())):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, *(0, 0) if name in ("queue", "queue/pid") else (64001, 0))
        for name in ("maildrop", "public"):
            os.chown(self.folder / "queue" / name, 64001, 64004)
            os.chmod(self.folder / "queue" / name, 0o730 if name == "maildrop" else 0o710)
        (self.folder / "main.cf").write_text(POSTFIX.format(
            folder=self.folder, unpacked=self.place, owner=OWNER, pair=self.pair or "",
            tls="may" if self.pair else "none", onward=self.onward or "error:nowhere"))
        (self.folder / "master.cf").write_text(SERVICES.format(port=self.port.number))

    def command(self):
        """What is started."""
        return f"{self.place}/usr/lib/postfix/sbin/master -d -c {self.folder}"


class OpenSMTPD(Peer):
    """OpenSMTPD 6.8; `onward` is a server such as smtp://127.0.0.1:2525 or lmtp://127.0.0.1:2424."""

    unpacked, needed = "opensmtpd", "usr/sbin/smtpd"

    def configure(self):
        """Its file."""
        lines = OPENSMTPD.format(folder=self.folder, port=self.port.number, owner=OWNER, pair=self.pair or "",
                                 tls="tls pki here" if self.pair else "", onward=self.onward or "smtp://127.0.0.1:9")
        if not self.pair:
            lines = "".join(line for line in lines.splitlines(True) if not line.startswith("pki"))
        (self.folder / "smtpd.conf").write_text(lines)

    def mounts(self):
        """Folders whose names are built in."""
        return ["mount -t tmpfs none /var/spool", "mount -t tmpfs none /var/lib",
                "mount -t tmpfs -o mode=755 none /run",
                "mkdir -m 711 /var/spool/smtpd", "mkdir -p -m 755 /var/lib/opensmtpd/empty",
                f"mount --bind {self.place}/usr/libexec /usr/libexec", f"mount --bind {self.place}/usr/sbin /usr/sbin"]

    def command(self):
        """What is started."""
        return f"/usr/sbin/smtpd -d -f {self.folder}/smtpd.conf"
