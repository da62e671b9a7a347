"""Mail from its writer to its reader, with programs that people use: mutt, getmail, fetchmail, msmtp, curl, Python."""

import contextlib
import email.message
import email.policy
import os
import poplib
import pty
import pwd
import select
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from daemons.stores.maildir import Folder
from tests.hostile import anybody, kit
from tests.live import devlog, installed, launchers, machine, mailhops, processes
from tests.live.launchers import WAIT, ByHand, Service
from tests.live.mailhops import Hop
from tests.live.test_smtpd import SECRET, Place
from tests.sources import ROOT

TEXT = "Subject: hello\r\n\r\n.A line with a dot.\r\n"
UTF8 = "Subject: gr\u00fcn\r\n\r\n\u00fcber\r\n"
SECONDS, MANY = 10, "1000"
ANN, BOB = "ann@example.org", "bob@example.org"


class House(Place):
    """A Place with a pop3d as well."""

    def mailboxes(self, *options, tls=True):
        """A host that runs pop3d."""
        certificate = [f"--tls-cert={self.pair[0]}", f"--tls-key={self.pair[1]}"] if tls else []
        argv = installed.argv("pop3d", f"--log={self.log.path}", kit.no_options(), f"--mail={self.path}/mail",
                              f"--accounts={self.path}/accounts.db", *certificate, *options)
        return self.stack.enter_context(ByHand(Service(argv, "stream", WAIT)))

    def deliver(self, *texts, name="ann"):
        """Mail for somebody."""
        with smtplib.SMTP(*self.serve().address, timeout=SECONDS) as client:
            for text in texts:
                client.sendmail("fred@example.net", [f"{name}@example.org"], text.encode())

    def file(self, name, text, mode=0o600):
        """The path of a file with this text."""
        path = Path(self.path) / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)


@pytest.fixture
def house():
    with contextlib.ExitStack() as stack:
        yield House(stack, stack.enter_context(devlog.LogSocket()))


def run(argv, said="", **more):
    """What a client prints; it must not fail."""
    done = subprocess.run([str(word) for word in argv], input=said, capture_output=True, timeout=SECONDS, text=True,
                          **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# -- sending --


def test_mutt_sends(house):
    host = house.serve("--role=submission", tls=True)
    rc = house.file("muttrc", f"""
set smtp_url="smtp://ann%40example.org@localhost:{host.address[1]}/" smtp_pass="{SECRET}" from="{ANN}"
set ssl_starttls=yes ssl_force_tls=yes ssl_ca_certificates_file="{house.authority.path}"
set copy=no use_domain=no hostname=client.example
""")
    run([machine.program("mutt", "mutt"), "-n", "-F", rc, "-s", "from mutt", "--", BOB, "x@elsewhere.example"],
        "one\n.\nthree\n", env={**os.environ, "HOME": house.path})
    mail, = house.mails("bob")
    assert b"\r\n\r\none\r\n.\r\nthree\r\n" in mail and b"Subject: from mutt\r\n" in mail and house.queued() == 1


def test_msmtp_speaks_lmtp(house):
    host = house.serve("--role=lmtp")
    run([machine.program("msmtp", "msmtp"), "-C", "/dev/null", "--protocol=lmtp", f"--host={host.address[0]}",
         f"--port={host.address[1]}", "--from=fred@example.net", ANN, BOB], TEXT)
    assert len(house.mails("ann")) == len(house.mails("bob")) == 1


def test_curl_sends_eight_bits(house):
    host = house.serve()
    path = house.file("text", UTF8)
    run([machine.program("curl", "curl"), "-sS", f"smtp://{host.address[0]}:{host.address[1]}/client.example",
         "--mail-from", "fred@example.net", "--mail-rcpt", ANN, "--mail-rcpt", BOB, "-T", path])
    assert house.mails("ann")[0].endswith(UTF8.encode()) and len(house.mails("bob")) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtplib_sends_what_only_smtputf8_can(house, mechanism):
    host = house.serve("--role=submission", tls=True)
    message = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
    message["From"], message["To"], message["Subject"] = ANN, "\u00fc@elsewhere.example", "gr\u00fcn"
    message.set_content("\u00fcber\n")
    with smtplib.SMTP("localhost", host.address[1], timeout=SECONDS) as client:
        client.starttls(context=house.trusting())
        client.ehlo()
        client.user, client.password = ANN, SECRET
        assert client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))[0] == 235
        assert client.send_message(message) == {}
        message.replace_header("To", BOB)
        assert client.send_message(message) == {}
    assert house.queued() == 1
    assert "\r\nSubject: gr\u00fcn\r\n".encode() in house.mails("bob")[0]


def smtp_source(host, *options):
    """Postfix's load generator: mail for ann."""
    source = launchers.CACHE / "postfix/usr/sbin/smtp-source"
    if not source.exists():
        machine.unavailable("smtp-source: run tests/live/fetch.sh")
    run([source, *options, "-f", "fred@example.net", "-t", ANN, f"{host.address[0]}:{host.address[1]}"],
        env={"LD_LIBRARY_PATH": str(launchers.CACHE / "postfix/usr/lib/postfix")})


def test_postfixs_smtp_source_speaks_lmtp(house):
    smtp_source(house.serve("--role=lmtp"), "-L", "-s", "3", "-m", "30", "-l", "2000")
    assert len(house.mails("ann")) == 30


# -- reading --


def test_mutt_reads(house, tmp_path):
    """It has no batch mode for this: its keys are pushed, at a terminal of its own."""
    house.deliver(*[TEXT] * 3)
    host = house.mailboxes()
    rc = house.file("muttrc", f"""
set pop_host="pop://ann%40example.org@localhost:{host.address[1]}" pop_pass="{SECRET}" pop_delete=yes
set ssl_starttls=yes ssl_force_tls=yes ssl_ca_certificates_file="{house.authority.path}"
set spoolfile="{tmp_path}/inbox" mbox_type=mbox quit=yes move=no folder="{tmp_path}" header_cache=""
push "<fetch-mail><quit>"
""")
    (tmp_path / "inbox").touch()
    ours, its = pty.openpty()
    mutt = processes.Processes([machine.program("mutt", "mutt"), "-n", "-F", rc], {
        "TERM": "vt100", "HOME": house.path}, stdin=its, stdout=its, stderr=its)
    os.close(its)
    drawn = b""
    try:
        while select.select([ours], [], [], SECONDS)[0]:
            try:
                drawn += os.read(ours, 65536)
            except OSError:             # it has gone
                break
        else:
            pytest.fail(f"mutt waits: {drawn[-500:]}")
        assert mutt.first.wait(SECONDS) == 0
    finally:
        mutt.end()
        os.close(ours)
    assert (tmp_path / "inbox").read_bytes().count(b"\n\n.A line with a dot.\n") == 3 and house.mails("ann") == []


@pytest.mark.parametrize("secure", [False, True])
def test_getmail(house, secure):
    """It delivers for nobody who is root."""
    house.deliver(*(f"Message-ID: <{n}@x>\r\n{TEXT}" for n in range(20)))
    host = house.mailboxes("--tls=implicit") if secure else house.mailboxes("--plaintext=yes", "--apop=yes", tls=False)
    place = Path(processes.new_folder("getmail"))
    uid = os.geteuid() or pwd.getpwnam("nobody").pw_uid
    authority = place / "authority"
    authority.write_bytes(Path(house.authority.path).read_bytes())
    for name in ("cur", "new", "tmp"):
        (place / "got" / name).mkdir(parents=True)
    for delete in ("false", "true"):                    # the second time it knows them by their ids
        rc = place / "getmailrc"
        rc.write_text(f"""
[retriever]
type = SimplePOP3{'SSL' * secure}Retriever
server = localhost
port = {host.address[1]}
username = {ANN}
password = {SECRET}
{f'ca_certs = {authority}' if secure else ''}
[destination]
type = Maildir
path = {place}/got/
[options]
read_all = false
delete = {delete}
verbose = 0
""")

        for one in (place, *place.rglob("*")):
            os.chown(one, uid, -1)
        run([*(anybody.as_user(uid) if uid != os.geteuid() else []), machine.program("getmail", "getmail6"),
             f"--getmaildir={place}", f"--rcfile={rc}"], env={**os.environ, "HOME": str(place)}, cwd=place)
    assert len(os.listdir(place / "got/new")) == 20 and house.mails("ann") == []


def test_fetchmail_brings_it_from_one_mailbox_to_another(house):
    """From pop3d to smtpd, which takes it for another user."""
    texts = [f"Message-ID: <{n}@x>\r\n{TEXT}" for n in range(10)]
    house.deliver(*texts)
    reading, writing = house.mailboxes(), house.serve()
    config = house.file("fetchmailrc", f'poll localhost proto pop3 port {reading.address[1]} user "{ANN}" password '
                        f'"{SECRET}" is "bob@example.org" here\n sslproto "TLS1.2+" sslcertck sslcertfile '
                        f'"{house.authority.path}" smtphost "127.0.0.1/{writing.address[1]}" smtpname "{BOB}" '
                        'fetchall no keep\n')
    run([machine.program("fetchmail", "fetchmail"), "-f", config, "--nosyslog", "-N", "-d0", "--pidfile",
         f"{house.path}/pid", "-i", f"{house.path}/ids"], env={**os.environ, "FETCHMAILHOME": house.path})
    assert house.mails("ann") == [] and len(house.mails("bob")) == 10
    assert all(mail.endswith(TEXT.partition("\r\n")[2].encode()) for mail in house.mails("bob"))


def test_curl_reads_lists_and_removes(house):
    house.deliver(TEXT, UTF8)
    host = house.mailboxes("--plaintext=yes", tls=False)

    def curl(path, *options):
        return run([machine.program("curl", "curl"), "-sS", "--user", f"{ANN}:{SECRET}", *options,
                    f"pop3://{host.address[0]}:{host.address[1]}/{path}"])

    sizes = [len(mail) for mail in house.mails("ann")]
    assert curl("").split() == ["1", str(sizes[0]), "2", str(sizes[1])]
    ids = curl("", "-X", "UIDL").split()
    assert ids[::2] == ["1", "2"] and ids[1] != ids[3]
    assert curl("2").endswith("\u00fcber\n") and "Subject: hello" in curl("", "-X", "TOP 1 0")
    curl("1", "-X", "DELE", "--head")
    assert [mail.count(b"hello") for mail in house.mails("ann")] == [0]


def test_poplib_in_utf8(house):
    house.deliver(UTF8)
    host = house.mailboxes()
    client = poplib.POP3("localhost", host.address[1], timeout=SECONDS)
    client.stls(house.trusting())
    client.utf8()
    client.user(ANN)
    client.pass_(SECRET)
    assert client.capa()["UTF8"] in ([], ["USER"]) and "\u00fcber".encode() in client.retr(1)[1]
    assert client.quit().startswith(b"+OK")


# -- many --


def test_readers_see_all_that_four_connections_bring(house):
    """Three programs list, move and flag while mail comes as fast as it can."""
    path, host = f"{house.path}/mail/example.org/ann", house.serve()
    with Folder(path) as folder:
        folder.create()
    readers = [subprocess.Popen([sys.executable, "-m", "tests.crash.reading", path, flag], cwd=ROOT, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for flag in "SFR"]
    try:
        smtp_source(host, "-d", "-s", "4", "-m", MANY, "-l", "300")
        outcome = [reader.communicate(timeout=SECONDS)[0].split() for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
    assert outcome == [[MANY, MANY, "0", "0"]] * 3


# -- a user whom nobody knows --


def test_all_of_it_as_a_user_without_an_account(tmp_path):
    """As in a container that is given any user id: accounts, delivery, reading, the queue and what comes of it."""
    mailhops.need()
    uid = anybody.random_uid()
    as_user, path = anybody.as_user(uid), Path(processes.new_folder("anybodys"))
    os.chown(path, uid, uid)
    stub = Path(anybody.argv("smtpd")[0])
    fd0 = path / "fd0"
    fd0.write_text(stub.read_text().partition("from daemons")[0] +
                   "from daemons.tools.__main__ import main\nraise SystemExit(main())\n")
    fd0.chmod(0o755)
    accounts = f"--accounts={path}/accounts.db"

    def tool(*words, said=""):
        return run([*as_user, fd0, *words], said, cwd="/", env={"PATH": machine.SYSTEM_PATH})

    for who in (ANN, BOB):
        tool("user", accounts, "--password-stdin", "add", who, said=f"{SECRET}\n")
    assert ANN in tool("user", accounts, "list")
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(devlog.LogSocket())
        hop = Hop()
        stack.callback(hop.end)

        def serve(name, *options):
            return [*as_user, *anybody.argv(name, f"--log={log.path}", kit.no_options(), accounts,
                                            f"--mail={path}/mail", *options)]

        taking = stack.enter_context(ByHand(Service(serve(
            "smtpd", "--hostname=mx.example.org", f"--queue={path}/queue", "--relay-from=127.0.0.1"), "stream", WAIT)))
        giving = stack.enter_context(ByHand(Service(serve("pop3d", "--plaintext=yes"), "stream", WAIT)))
        sending = processes.Processes(serve("mailq", "--hostname=mx.example.org", f"--queue={path}/queue",
                                            f"--smarthost=127.0.0.1:{hop.port.number}"), cwd="/")
        stack.callback(sending.end)
        hop.says["nobody@elsewhere.test"] = "550 5.1.1 nobody"
        with smtplib.SMTP(*taking.address, timeout=SECONDS) as client:
            assert client.sendmail(ANN, [ANN, "x@elsewhere.test", "nobody@elsewhere.test"], TEXT) == {}
        machine.until(lambda: hop.mails and len(os.listdir(path / "mail/example.org/ann/new")) == 2, SECONDS, "notice")
        client = poplib.POP3(*giving.address, timeout=SECONDS)
        client.user(ANN)
        client.pass_(SECRET)
        assert b"Subject: hello" in client.retr(1)[1] and b"550 5.1.1 nobody" in b" ".join(client.retr(2)[1])
        client.dele(1)
        client.quit()
        assert hop.recipients() == ["x@elsewhere.test"]
        machine.until(lambda: not os.listdir(path / "queue/mail"), SECONDS, "empty queue")
        tool("queue", f"--queue={path}/queue", "list")
    assert {entry.stat().st_uid for entry in path.rglob("*") if entry != fd0} == {uid}
    open_to_others = {entry for entry in path.rglob("*") if entry.stat().st_mode & 0o077}
    # the index, below a folder that nobody else can enter
    assert open_to_others <= {fd0, path / "mail/example.org/ann/fd0-index"}
