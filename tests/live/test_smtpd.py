"""smtpd as real clients see it: swaks, msmtp, curl, smtplib, Postfix's smtp-source; TLS, logins, LMTP, many at once."""

import contextlib
import os
import signal
import smtplib
import ssl
import subprocess

import pytest

from daemons.stores import accounts
from daemons.stores.maildir import Folder
from daemons.stores.mailqueue import Queue
from tests.certificates import Authority
from tests.live import clients, devlog, installed, launchers, machine, processes
from tests.live.launchers import NOWAIT, WAIT, ByHand, Service, SocketActivate, Xinetd

SECONDS = 60
SECRET = "correct horse"
TEXT = "Subject: hello\r\n\r\n.A line with a dot.\r\n"


class Place:
    """Accounts and mailboxes in a folder, and a way to start smtpd over them."""

    def __init__(self, stack, log):
        self.stack, self.log = stack, log
        self.path = processes.new_folder("mail")
        there = accounts.open(f"{self.path}/accounts.db", create=True)
        for name in ("ann", "bob"):
            there.add_user(f"{name}@example.org", SECRET.encode())
        self.authority = Authority(self.path)
        self.pair = self.authority.pair("localhost", "127.0.0.1")

    def serve(self, *options, tls=False, launcher=ByHand, wait=WAIT, kind="stream"):
        """A host that runs smtpd."""
        certificate = [f"--tls-cert={self.pair[0]}", f"--tls-key={self.pair[1]}"] if tls else []
        argv = installed.argv("smtpd", f"--log={self.log.path}", "--config=/dev/null", "--hostname=mx.example.org",
                              f"--accounts={self.path}/accounts.db", f"--mail={self.path}/mail",
                              f"--queue={self.path}/queue", *certificate, *options)
        return self.stack.enter_context(launcher(Service(argv, kind, wait)))

    def mails(self, name):
        """The texts of a mailbox."""
        with Folder(f"{self.path}/mail/example.org/{name}") as folder:
            return [b"".join(folder.octets(one)) for one in folder.messages()] if os.path.isdir(folder.path) else []

    def queued(self):
        """How many mails are to go elsewhere."""
        if not os.path.isdir(f"{self.path}/queue"):
            return 0
        queue = Queue(f"{self.path}/queue")
        try:
            return len(queue.folder.ids())
        finally:
            queue.close()

    def trusting(self):
        """What a client needs to believe our certificate."""
        return ssl.create_default_context(cafile=self.authority.path)


@pytest.fixture
def place():
    with contextlib.ExitStack() as stack:
        yield Place(stack, stack.enter_context(devlog.LogSocket()))


def at(host):
    return f"{host.address[0]}:{host.address[1]}"


def swaks(*options):
    """What swaks prints of a conversation."""
    argv = [machine.program("swaks", "swaks"), "--helo", "client.example", "--from", "fred@example.net", *options]
    return subprocess.run(argv, capture_output=True, timeout=SECONDS, text=True)


# -- clients --


@pytest.mark.parametrize("options", [("--model=fork",), ("--model=thread",), ("--model=one",), ("--processes=2",)])
def test_swaks(place, options):
    done = swaks("--server", at(place.serve(*options)), "--to", "ann@example.org,bob@example.org")
    assert done.returncode == 0, done.stdout
    assert len(place.mails("ann")) == len(place.mails("bob")) == 1


@pytest.mark.parametrize("launcher", [Xinetd, SocketActivate])
@pytest.mark.parametrize("wait", [NOWAIT, WAIT])
def test_swaks_under_launchers(place, launcher, wait):
    done = swaks("--server", at(place.serve(launcher=launcher, wait=wait)), "--to", "ann@example.org")
    assert done.returncode == 0 and len(place.mails("ann")) == 1, done.stdout


def test_swaks_is_no_stranger_elsewhere(place):
    done = swaks("--server", at(place.serve()), "--to", "x@elsewhere.example")
    assert "550 5.7.1" in done.stdout and done.returncode == 24 and place.queued() == 0


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_under_tls(place, mechanism):
    host = place.serve("--role=submission", tls=True)
    known = ("--auth", mechanism, "--auth-user", "ann@example.org", "--auth-password", SECRET)
    argv = ("--server", at(host), "--from", "ann@example.org", "--to", "x@elsewhere.example", *known)
    done = swaks(*argv, "-tls")
    assert done.returncode == 0 and place.queued() == 1, done.stdout
    assert swaks(*argv).returncode == 28                # no password in the clear
    host = place.serve("--role=submission", "--tls=implicit", tls=True)
    assert swaks("--server", at(host), *argv[2:], "--tls-on-connect").returncode == 0 and place.queued() == 2


def test_swaks_speaks_lmtp(place):
    host = place.serve("--role=lmtp")
    done = swaks("--server", at(host), "--protocol", "LMTP", "--to", "ann@example.org,eve@example.org,bob@example.org")
    assert "550 5.1.1" in done.stdout and len(place.mails("ann")) == len(place.mails("bob")) == 1
    assert b"with LMTP" in place.mails("ann")[0]


def test_lmtp_over_a_unix_socket(place):
    host = place.serve("--role=lmtp", kind="unix")
    done = swaks("--socket", host.address, "--protocol", "LMTP", "--to", "ann@example.org")
    assert done.returncode == 0 and len(place.mails("ann")) == 1, done.stdout
    with smtplib.LMTP(host.address) as client:
        assert client.sendmail("fred@example.net", ["bob@example.org", "eve@example.org"], TEXT) == \
            {"eve@example.org": (550, b"5.1.1 no such mailbox here")}
    assert len(place.mails("bob")) == 1


def test_msmtp(place):
    host = place.serve("--role=submission", tls=True)
    argv = [machine.program("msmtp", "msmtp"), "-C", "/dev/null", "--host=localhost", f"--port={host.address[1]}",
            "--tls=on", "--tls-starttls=on", f"--tls-trust-file={place.authority.path}", "--auth=scram-sha-256",
            "--user=ann@example.org", f"--passwordeval=echo '{SECRET}'", "--from=ann@example.org",
            "x@elsewhere.example", "bob@example.org"]
    done = subprocess.run(argv, input=TEXT.encode(), capture_output=True, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (0, b"")
    assert place.queued() == len(place.mails("bob")) == 1


def test_curl(place):
    curl, path = machine.program("curl", "curl"), f"{place.path}/text"
    with open(path, "w") as file:
        file.write(TEXT)
    argv = [curl, "-sS", "--mail-from", "fred@example.net", "--mail-rcpt", "ann@example.org", "-T", path]
    subprocess.run([*argv, f"smtp://{at(place.serve())}/client.example"], check=True, timeout=SECONDS)
    assert place.mails("ann")[0].endswith(TEXT.encode())
    host = place.serve("--role=submission", "--tls=implicit", tls=True)
    argv = [curl, "-sS", "--mail-from", "ann@example.org", "--mail-rcpt", "x@elsewhere.example", "-T", path,
            "--cacert", place.authority.path, "--user", f"ann@example.org:{SECRET}"]
    subprocess.run([*argv, f"smtps://localhost:{host.address[1]}/client.example"], check=True, timeout=SECONDS)
    assert place.queued() == 1


def test_pythons_own_client(place):
    host = place.serve("--role=submission", tls=True)
    with smtplib.SMTP("localhost", host.address[1], timeout=SECONDS) as client:
        client.ehlo("client.example")
        assert client.has_extn("starttls") and client.esmtp_features["auth"].split() == ["SCRAM-SHA-256"]
        client.starttls(context=place.trusting())
        client.login("ann@example.org", SECRET)
        assert client.sendmail("ann@example.org", ["bob@example.org"], TEXT * 3, ["BODY=8BITMIME"]) == {}
        assert client.docmd("STARTTLS")[0] == 503
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("bob@example.org", ["ann@example.org"], TEXT)
    assert b"with ESMTPSA" in place.mails("bob")[0]


def test_many_at_once(place):
    host = place.serve()
    source = launchers.CACHE / "postfix/usr/sbin/smtp-source"
    if not source.exists():
        machine.unavailable("smtp-source: run tests/live/fetch.sh")
    argv = [str(source), "-c", "-s", "8", "-m", "200", "-l", "4096", "-f", "fred@example.net", "-t", "ann@example.org",
            at(host)]
    subprocess.run(argv, check=True, timeout=60, capture_output=True,
                   env={"LD_LIBRARY_PATH": str(launchers.CACHE / "postfix/usr/lib/postfix")})
    assert len(place.mails("ann")) == 200


# -- what no client of good faith does --


def test_nothing_said_before_tls_survives_it(place):
    host = place.serve("--role=submission", tls=True)
    with clients.connect(host.address) as sock:
        file = sock.makefile("rb")
        file.readline()
        sock.sendall(b"EHLO evil.example\r\n")
        while not file.readline().startswith(b"250 "):
            continue
        sock.sendall(b"STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@example.net>\r\n")
        assert file.readline().startswith(b"220 ")
        with place.trusting().wrap_socket(sock, server_hostname="localhost") as secure:
            secure.sendall(b"MAIL FROM:<>\r\n")
            assert secure.recv(1000) == b"503 5.5.1 say who you are first\r\n"


def test_early_talkers(place):
    host = place.serve("--greet-delay=0.5")
    heard = clients.converse(host.address, b"EHLO evil.example\r\n")
    assert heard.startswith(b"220-mx.example.org ESMTP\r\n554 5.5.1 ") and b"250" not in heard
    with smtplib.SMTP(*host.address, timeout=SECONDS) as client:        # who waits, is served
        assert client.ehlo()[0] == 250
    place.log.wait_for(r"\bclose .* reason=early ")


def test_who_does_not_await_answers(place):
    hasty = b"EHLO evil.example\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n\r\nHi\r\n.\r\nQUIT\r\n"
    host = place.serve("--strict-pipelining=yes")
    assert clients.converse(host.address, hasty).count(b"554 5.5.1 you spoke before it was your turn\r\n") == 1
    with clients.connect(host.address) as sock, sock.makefile("rwb") as file:
        for group in b"", b"EHLO client.example\r\n", b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n":
            file.write(group)           # several commands at once, as PIPELINING lets one
            file.flush()
            for _ in range(group.count(b"\n") or 1):
                while (line := file.readline())[3:4] == b"-":
                    continue
                assert line[:1] in b"23"
    with smtplib.SMTP(*host.address, timeout=SECONDS) as client:
        assert client.sendmail("fred@example.net", ["ann@example.org"], TEXT) == {}
    assert len(place.mails("ann")) == 1
    friendly = place.serve("--strict-pipelining=yes", "--relay-from=127.0.0.1")
    assert clients.converse(friendly.address, hasty).endswith(b"goodbye\r\n") and len(place.mails("ann")) == 2


def test_told_to_stop_it_says_so(place):
    host = place.serve()
    with clients.connect(host.address) as sock:
        assert sock.recv(1000).startswith(b"220 ")
        os.kill(host.pid, signal.SIGTERM)
        assert sock.recv(1000) == b"421 4.3.2 not now; try again later\r\n"
