"""Next hops for mail: servers of aiosmtpd that behave as the test says, a name server, and a mailq between them."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from daemons.stores import queuefolder
from daemons.stores.queuecontrol import QueueControl
from daemons.stores.queuewriter import QueueWriter
from daemons.wire.queuelines import Recipient
from tests.live import machine, processes
from tests.live.launchers import ROOT

TEXT = b"From: alice@example.org\r\nSubject: a test\r\n\r\n.dots\r\n..\r\n.\r\nend\r\n"


def need():
    """Skip the calling test (in CI: fail it) where Python lacks what mailq or its next hops need."""
    try:
        import aiosmtpd.controller  # noqa: F401
        import dns.resolver  # noqa: F401
    except ImportError as error:
        machine.unavailable(f"{error.name} is not installed (pip install dnspython aiosmtpd)")


class Hop:
    """A server that takes mail at 127.0.0.1 (or `host`); `mails` are (sender, recipients, text) of those it took.

    `says` maps a verb, or the address of a RCPT, to what is said in the place of the usual reply; "drop" hangs up.
    `offers` are lines of its answer to EHLO beside the usual ones; `options` are those of aiosmtpd's SMTP.
    """

    def __init__(self, host="127.0.0.1", port=None, certificate=None, offers=("DSN",), **options):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import SMTP
        hop = self
        self.port, self.says, self.mails, self.sessions = port or machine.Port(), {}, [], []

        class Server(SMTP):
            """One of its conversations."""

            def connection_made(self, transport):
                super().connection_made(transport)
                if self._original_transport is not None or transport.get_extra_info("sslcontext") is None:
                    hop.sessions.append(self)

            async def smtp_MAIL(self, arg):
                self.envelope_dsn, arg = _parted(arg, ("RET=", "ENVID=", "REQUIRETLS"))
                await super().smtp_MAIL(arg)

            async def smtp_RCPT(self, arg):
                self.recipient_dsn, arg = _parted(arg, ("NOTIFY=", "ORCPT="))
                await super().smtp_RCPT(arg)

        class Handler:
            """What it says."""

            async def handle_EHLO(self, server, session, envelope, hostname, responses):
                session.host_name = hostname
                return [said] if (said := hop.says.get("EHLO")) else [
                    *responses[:-1], *(f"250-{one}" for one in offers), responses[-1]]

            async def handle_MAIL(self, server, session, envelope, address, options):
                envelope.mail_from, envelope.mail_options = address or "", [*options, *server.envelope_dsn]
                return hop.said(server, "MAIL", "250 2.1.0 ok")

            async def handle_RCPT(self, server, session, envelope, address, options):
                said = hop.said(server, address, "250 2.1.5 ok")
                if said.startswith("2"):
                    envelope.rcpt_tos.append(address)
                    envelope.rcpt_options.append(server.recipient_dsn)
                return said

            async def handle_DATA(self, server, session, envelope):
                said = hop.said(server, "DATA", "250 2.0.0 taken")
                if said.startswith("2") or hop.says.get("DATA") == "take and drop":
                    hop.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content,
                                      envelope.mail_options, list(envelope.rcpt_options), session.ssl is not None))
                return said

        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)

        class Hopping(Controller):
            """Speaks as Server."""

            def factory(self):
                return Server(self.handler, hostname=options.pop("hostname", "hop.test"), tls_context=context,
                              ident="hop", **options)
        self.controller = Hopping(Handler(), hostname=host, port=self.port.number)
        self.controller.start()
        self.sessions.clear()           # it has called itself

    def said(self, server, what, usual):
        """The reply, or the end of the conversation."""
        said = self.says.get(what, usual)
        if said in ("drop", "take and drop"):
            server.transport.abort()
            return "421 gone"
        return said

    def recipients(self):
        """All who were sent something, once for each time."""
        return sorted(each for mail in self.mails for each in mail[1])

    def end(self):
        """Take no more."""
        self.controller.stop()
        self.port.release()


def _parted(arg, names):
    """The parameters of these names, which aiosmtpd does not know, and the rest of a command."""
    words = (arg or "").split()
    return [one for one in words if one.startswith(names)], " ".join(one for one in words if not one.startswith(names))


class Names:
    """A name server with these lines of dnsmasq's configuration; it knows of nothing else."""

    def __init__(self, *lines):
        self.port = machine.Port()
        folder = Path(processes.new_folder("names"))
        (folder / "conf").write_text("".join(f"{line}\n" for line in (
            "keep-in-foreground", f"port={self.port.number}", "listen-address=127.0.0.1", "bind-interfaces", "no-hosts",
            "no-resolv", "user=", "pid-file=", "local=/test/", *lines)))
        self.process = processes.Processes([machine.program("dnsmasq", "dnsmasq-base"), f"--conf-file={folder}/conf"])
        machine.until(self._answers, what="name server")

    @property
    def place(self):
        """For --resolver."""
        return f"127.0.0.1:{self.port.number}"

    def _answers(self):
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port.number)) == 0

    def end(self):
        """Know nothing more."""
        self.process.end()
        self.port.release()


class Mailq:
    """A queue in a folder, and a mailq for it with these options; `lines` is its log so far."""

    def __init__(self, folder, *options):
        self.path, self.options, self.process = f"{folder}/queue", options, None
        self.log = Path(folder) / "log"
        queuefolder.make(self.path)
        self.writer = QueueWriter(self.path)

    def put(self, *recipients, sender="alice@example.org", text=TEXT, notify="", **facts):
        """Queue a mail; its name."""
        with self.writer.new(sender, [Recipient(each, notify) for each in recipients], **facts) as message:
            message.write(text)
            return message.commit()

    def argv(self, *more):
        """How it is started."""
        return [sys.executable, "-m", "daemons.mailq", f"--queue={self.path}", "--hostname=us.test", "--log=stderr",
                "--connect-timeout=60", "--timeout=60", *self.options, *more]

    def start(self, *more):
        """Begin."""
        with open(self.log, "ab") as log:
            self.process = processes.Processes(self.argv(*more), {"PYTHONPATH": os.pathsep.join(
                [str(ROOT), *sys.path])}, stderr=log, cwd="/")
        return self

    def told(self, *words):
        """The lines of the log that have all these words."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if all(word in line for word in words)]

    def until(self, *words, count=1):
        """Wait for such a line."""
        return machine.until(lambda: len(self.told(*words)) >= count and self.told(*words), 60, f"{words} in the log")

    def left(self):
        """What is in the queue, as fd0 queue has it."""
        control = QueueControl(self.path)
        try:
            return list(control.all())
        finally:
            control.close()

    def until_empty(self):
        """Wait for the end of all mail."""
        machine.until(lambda: not self.left(), 60, "empty queue")

    def stop(self, number=signal.SIGTERM):
        """End it; its exit status."""
        self.process.first.send_signal(number)
        return self.process.first.wait(20)

    def run(self, *more):
        """Have it run where it ends by itself."""
        return subprocess.run(self.argv(*more), check=False, capture_output=True, text=True, timeout=20,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])})

    def end(self):
        """All of it away."""
        self.writer.close()
        if self.process is not None:
            self.process.end()
