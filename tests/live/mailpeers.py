"""Real mail servers of others on ports of their own: Postfix and OpenSMTPD, unpacked by fetch.sh.

Mail for far.test goes into their Maildir, all other mail to `onward`.
"""

import os
import signal
import subprocess
from pathlib import Path

from bench import unpacked
from tests.live import machine, processes
from tests.live.launchers import CACHE

POSTFIX = unpacked.MAIN + unpacked.KEEPING + """
smtpd_tls_chain_files = {pair}
smtpd_tls_security_level = {tls}
smtp_tls_security_level = may
smtputf8_enable = yes
minimal_backoff_time = 1s
queue_run_delay = 1s
default_transport = {onward}
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
        unpacked.house(self.folder)
        self.configure()
        machine.program("unshare", "util-linux")
        with open(self.folder / "output", "wb") as output:
            self.processes = processes.Processes(
                unpacked.command(self.folder, self.command(), self.mounts()), unpacked.libraries(self.place), cwd="/",
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
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
        unpacked.postfix(self.folder, self.port.number, 1)
        (self.folder / "main.cf").write_text(POSTFIX.format(
            folder=self.folder, unpacked=self.place, domain="far.test", pair=self.pair or "",
            tls="may" if self.pair else "none", onward=self.onward or "error:nowhere"))

    def command(self):
        """What is started."""
        return f"{self.place}/usr/lib/postfix/sbin/master -d -c {self.folder}"


class OpenSMTPD(Peer):
    """OpenSMTPD 6.8; `onward` is a server such as smtp://127.0.0.1:2525 or lmtp://127.0.0.1:2424."""

    unpacked, needed = "opensmtpd", "usr/sbin/smtpd"

    def configure(self):
        """Its file."""
        lines = OPENSMTPD.format(folder=self.folder, port=self.port.number, owner=unpacked.OWNER, pair=self.pair or "",
                                 tls="tls pki here" if self.pair else "", onward=self.onward or "smtp://127.0.0.1:9")
        if not self.pair:
            lines = "".join(line for line in lines.splitlines(True) if not line.startswith("pki"))
        (self.folder / "smtpd.conf").write_text(lines)

    def mounts(self):
        """Folders whose names are built in."""
        return unpacked.opensmtpd(self.folder, self.place)

    def command(self):
        """What is started."""
        return f"/usr/sbin/smtpd -d -f {self.folder}/smtpd.conf"
