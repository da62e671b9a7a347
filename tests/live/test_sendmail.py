"""fd0 sendmail for users who may not write to the queue: their mail goes through the server of the machine."""

import contextlib
import os
import subprocess
import sys

import pytest

from daemons.stores import accounts, queuefolder
from daemons.stores.queuecontrol import QueueControl
from tests.live import devlog, installed, machine, mailhops, processes
from tests.live.launchers import ROOT, ByHand, Service

SECONDS = 60
TEXT = b"Subject: hello\nBcc: secret@example.org\n\nOne\rtwo\n.\nM\xc3\xbcller\n"


class Machine:
    """A folder with an account and a queue that belongs to us, and smtpd for them."""

    def __init__(self, stack, *options):
        self.path = processes.new_folder("sendmail")
        accounts.open(f"{self.path}/accounts.db", create=True).add_user("ann@example.org", b"a password")
        queuefolder.make(f"{self.path}/queue")
        os.chmod(f"{self.path}/queue", 0o700)
        argv = installed.argv("smtpd", f"--log={stack.enter_context(devlog.LogSocket()).path}", "--config=/dev/null",
                              "--hostname=mx.example.org", f"--accounts={self.path}/accounts.db",
                              f"--mail={self.path}/mail", f"--queue={self.path}/queue", *options)
        host = stack.enter_context(ByHand(Service(argv, "stream", True)))
        self.server = f"{host.address[0]}:{host.address[1]}"

    def send(self, *arguments, text=TEXT, server=True):
        """Call it as somebody who cannot write to the queue; returns a CompletedProcess."""
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        python = "/usr/bin/python3" if prefix else sys.executable
        where = f"from daemons.tools import sendmailletter; sendmailletter.SERVER = {self.server!r}; " if server else ""
        code = f"import sys; {where}from daemons.tools.__main__ import main; sys.exit(main())"
        return subprocess.run([*prefix, python, "-c", code, "sendmail", f"--queue={self.path}/queue",
                               "--hostname=us.example.org", *arguments], input=text, capture_output=True,
                              timeout=SECONDS, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"})

    def inbox(self):
        """The texts of ann's mails, their lines with LF."""
        folder = f"{self.path}/mail/example.org/ann/new"
        found = []
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with open(f"{folder}/{name}", "rb") as file:
                found.append(file.read().replace(b"\r\n", b"\n"))
        return found

    def queued(self):
        """(sender, recipients) of what is in the queue."""
        control = QueueControl(f"{self.path}/queue")
        try:
            return [(one["sender"], [each["address"] for each in one["recipients"]]) for one in control.all()]
        finally:
            control.close()


@pytest.fixture
def here():
    if os.geteuid() != 0:
        pytest.skip("whoever is not root may write to a queue of her own")
    with contextlib.ExitStack() as stack:
        yield lambda *options: Machine(stack, *options)


def test_who_may_not_write_to_the_queue_has_the_server_take_it(here):
    there = here()
    done = there.send("-i", "-f", "bob@example.net", "-F", "Bob", "ann@example.org")
    assert (done.returncode, done.stderr) == (0, b"")
    text, = there.inbox()
    assert text.startswith(b"Return-Path: <bob@example.net>\n") and b"\nFrom: Bob <bob@example.net>\n" in text
    assert b"\nDate: " in text and b"\nMessage-ID: <" in text
    assert text.endswith(b"\n\nOne\ntwo\n.\nM\xc3\xbcller\n")


def test_to_elsewhere_it_goes_where_the_server_lets_it(here):
    there = here("--relay-from=127.0.0.0/8")
    text = b"To: eve@elsewhere.example\nBcc: ann@example.org\n\nx\n"
    done = there.send("-t", "-i", "-f", "bob@example.net", text=text)
    assert (done.returncode, done.stderr) == (0, b"")
    assert there.queued() == [("bob@example.net", ["eve@elsewhere.example"])] and b"Bcc" not in there.inbox()[0]


@pytest.mark.parametrize("address, status, said", [
    ("eve@example.org", 67, b"sendmail: eve@example.org: 550 5.1.1 no such mailbox here\n"),
    ("eve@elsewhere.example", 69, b"sendmail: eve@elsewhere.example: 550 5.7.1 ")])
def test_a_refusal_is_told_and_nobody_gets_the_mail(here, address, status, said):
    there = here()
    done = there.send("-i", "-f", "bob@example.net", "ann@example.org", address)
    assert done.returncode == status and done.stderr.startswith(said)
    assert there.inbox() == [] and there.queued() == []


def test_root_writes_into_a_queue_of_others_as_they_would(here):
    there = here()
    os.chown(f"{there.path}/queue", 65534, 65534)
    for name in ("mail", "tmp", "wake"):
        os.chown(f"{there.path}/queue/{name}", 65534, 65534)
    os.chmod(there.path, 0o755)
    done = subprocess.run([sys.executable, "-m", "daemons.tools", "sendmail", f"--queue={there.path}/queue",
                           "eve@elsewhere.example"], input=TEXT, cwd=ROOT, timeout=SECONDS)
    assert done.returncode == 0
    (name,) = os.listdir(f"{there.path}/queue/mail")
    assert os.stat(f"{there.path}/queue/mail/{name}").st_uid == 65534


def test_dsn_and_utf8_are_told_to_a_server_that_has_them():
    mailhops.need()
    hop = mailhops.Hop(enable_SMTPUTF8=True)
    try:
        where = f"--server=127.0.0.1:{hop.port.number}"
        dsn = ["-N", "success,failure", "-R", "hdrs", "-V", "QQ314"]
        done = subprocess.run([sys.executable, "-m", "daemons.tools", "sendmail", where, *dsn, "-f", "bob@example.net",
                               "j\u00f6rg@one.test"], input=TEXT, cwd=ROOT, timeout=SECONDS)
        assert done.returncode == 0
        sender, recipients, _, of_mail, of_rcpt, _ = hop.mails[0]
        assert (sender, recipients) == ("bob@example.net", ["j\u00f6rg@one.test"])
        assert {"RET=HDRS", "ENVID=QQ314", "SMTPUTF8"} <= set(of_mail)
        assert of_rcpt == [["NOTIFY=SUCCESS,FAILURE"]]
        hop.says["MAIL"] = "451 4.3.0 not now"
        done = subprocess.run([sys.executable, "-m", "daemons.tools", "sendmail", where, "bob@one.test"], input=TEXT,
                              cwd=ROOT, timeout=SECONDS, capture_output=True)
        assert (done.returncode, done.stderr) == (75, b"sendmail: the sender: 451 4.3.0 not now\n")
    finally:
        hop.end()


# -- SMTP on standard input and output --

FIRST = (b"EHLO us.example.org\r\nMAIL FROM:<bob@example.net> RET=HDRS ENVID=QQ314\r\n"
         b"RCPT TO:<eve@elsewhere.example> NOTIFY=FAILURE ORCPT=rfc822;ann@example.org\r\nRCPT TO:<ann@example.org>\r\n"
         b"DATA\r\nSubject: one\r\n\r\n..\r\n.\r\n")
SECOND = (b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<j\xc3\xb6rg@one.test>\r\nRCPT TO:<ann@example.org>\r\nVRFY ann\r\n"
          b"NOOP x\r\nDATA\r\n.\r\nQUIT\r\n")
CODES = [220, 250, 250, 250, 250, 354, 250, 250, 250, 553, 250, 252, 250, 354, 250, 221]


def speak(queue, pieces, *options):
    """(codes of replies, exit status) for what is said in these pieces."""
    argv = [sys.executable, "-m", "daemons.tools", "sendmail", "-bs", f"--queue={queue}", "--hostname=us.example.org"]
    with subprocess.Popen([*argv, *options], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for piece in pieces:
            process.stdin.write(piece)
            process.stdin.flush()
        heard = process.communicate(timeout=SECONDS)[0]
    return [int(line[:3]) for line in heard.split(b"\r\n") if line[3:4] == b" "], process.returncode


def waiting(queue):
    """{sender: text} of what waits in a queue, and its recipients."""
    control = QueueControl(queue)
    try:
        return {one["sender"]: (b"".join(control.message(one["id"])), one["recipients"]) for one in control.all()}
    finally:
        control.close()


@pytest.mark.parametrize("pieces", [
    [FIRST, SECOND], [FIRST + SECOND], [bytes([octet]) for octet in FIRST + SECOND]], ids=["two", "at once", "octets"])
def test_programs_speak_smtp_to_it(tmp_path, pieces):
    queuefolder.make(str(tmp_path))
    assert speak(tmp_path, pieces) == (CODES, 0)
    mails = waiting(str(tmp_path))
    text, recipients = mails["bob@example.net"]
    assert text.replace(b"\r\n", b"\n").endswith(b"\nSubject: one\n\n.\n") and b"\nMessage-ID: <" in text
    assert [one["address"] for one in recipients] == ["eve@elsewhere.example", "ann@example.org"]
    assert [one["address"] for one in mails[""][1]] == ["ann@example.org"] and len(mails) == 2


@pytest.mark.parametrize("said, codes", [
    (b"EHLO x\r\n", [220, 250]), (b"", [220]), (b"QUIT now\r\nRCPT TO:<a@b>\r\nDATA\r\n", [220, 501, 503, 503]),
    (b"AUTH PLAIN\r\nHELO\r\nNOOP\nNOOP\r\n", [220, 500, 501, 500, 250]),
    (b"x" * 5000 + b"\r\nQUIT\r\n", [220, 500, 221]),
    (b"MAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\nDATA\r\n", [220, 250, 503, 503]),
    (FIRST[:-5], CODES[:6]), (FIRST[:-5] + b"\n.\nQUIT\r\n\r\n.\r\nNOOP\r\n", [*CODES[:6], 550])])
def test_what_is_no_mail_leaves_none(tmp_path, said, codes):
    queuefolder.make(str(tmp_path))
    assert speak(tmp_path, [said]) == (codes, 0) and waiting(str(tmp_path)) == {}


def test_what_a_server_says_to_a_mail_is_said_to_the_program():
    mailhops.need()
    hop = mailhops.Hop(enable_SMTPUTF8=True)
    try:
        where = f"--server=127.0.0.1:{hop.port.number}"
        assert speak("/nowhere", [FIRST + b"QUIT\r\n"], where) == ([*CODES[:7], 221], 0)
        sender, recipients, _, of_mail, of_rcpt, _ = hop.mails[0]
        assert (sender, recipients) == ("bob@example.net", ["eve@elsewhere.example", "ann@example.org"])
        assert {"RET=HDRS", "ENVID=QQ314"} <= set(of_mail)
        assert of_rcpt == [["NOTIFY=FAILURE", "ORCPT=rfc822;ann@example.org"], []]
        for says, code in (("550 5.1.1 nobody", 550), ("451 4.3.0 not now", 451), ("554 5.7.1 no", 554)):
            hop.says["eve@elsewhere.example"] = says
            assert speak("/nowhere", [FIRST + b"QUIT\r\n"], where) == ([*CODES[:6], code, 221], 0)
    finally:
        hop.end()


def test_swaks_speaks_to_it(tmp_path):
    queuefolder.make(str(tmp_path))
    call = f"{sys.executable} -m daemons.tools sendmail -bs --queue={tmp_path}"
    argv = [machine.program("swaks", "swaks"), "--pipe", call, "--from", "fred@example.net", "--to", "eve@one.test"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout
    assert b"This is a test mailing" in waiting(str(tmp_path))["fred@example.net"][0]
