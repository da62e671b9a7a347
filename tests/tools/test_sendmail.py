"""fd0 sendmail: what local programs expect of it."""

import io
import os
import sys

import pytest

from daemons.stores import queuefolder
from daemons.stores.queuecontrol import QueueControl
from daemons.tools import sendmail, sendmailletter
from tests.live import machine

MAIL = b"Subject: x\nTo: Bob <bob@example.net>, carol@example.net\nBcc: dan@example.net\n\nhello\n.\nrest\n"


class Sent:
    """Calls it with a mail, and looks into the queue."""

    def __init__(self, folder, monkeypatch):
        self.path, self.monkeypatch = f"{folder}/queue", monkeypatch
        queuefolder.make(self.path)

    def __call__(self, *arguments, text=MAIL):
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        return sendmail.main([f"--queue={self.path}", "--hostname=us.test", *arguments])

    def mails(self):
        control = QueueControl(self.path)
        try:
            return [(one["sender"], [each["address"] for each in one["recipients"]],
                     b"".join(control.message(one["id"]))) for one in control.all()]
        finally:
            control.close()


@pytest.fixture
def sent(tmp_path, monkeypatch):
    return Sent(tmp_path, monkeypatch)


def test_a_mail_to_named_recipients_ends_with_a_lone_dot(sent):
    assert sent("-f", "alice@example.org", "erin@example.net", "root") == 0
    (sender, recipients, text), = sent.mails()
    assert (sender, recipients) == ("alice@example.org", ["erin@example.net", "root@us.test"])
    assert text.endswith(b"\r\nFrom: <alice@example.org>\r\n" + MAIL.partition(b".\nrest")[0].replace(b"\n", b"\r\n"))
    assert text.startswith(b"Received: by us.test with local id ") and b"\r\nMessage-ID: <" in text
    assert b"\r\nDate: " in text


def test_recipients_out_of_the_header_and_no_bcc_left(sent):
    assert sent("-t", "-oi", "-F", "Alice Ångström", "-falice@example.org") == 0
    (_, recipients, text), = sent.mails()
    assert recipients == ["bob@example.net", "carol@example.net", "dan@example.net"]
    assert b"Bcc" not in text and b"dan@" not in text and text.endswith(b"\r\n\r\nhello\r\n.\r\nrest\r\n")
    assert b"\r\nFrom: =?utf-8?" in text


@pytest.mark.parametrize("sender", ["<>", ""])
def test_a_mail_from_nobody(sent, sender):
    assert sent("-i", "-f", sender, "bob@example.net") == 0
    assert sent.mails()[0][0] == ""


@pytest.mark.parametrize("arguments, text, status", [
    (["bad address"], MAIL, 67), (["-f", "a b", "bob@example.net"], MAIL, 65), (["-t"], b"Subject: x\n\ny\n", 64)])
def test_what_cannot_be_sent_has_a_status_of_sysexits(sent, capsys, arguments, text, status):
    assert sent(*arguments, text=text) == status
    assert capsys.readouterr().err.startswith("sendmail: ") and sent.mails() == []


@pytest.mark.parametrize("arguments, said", [
    ([], "to whom? name recipients, or say -t"), (["-h", "5"], "to whom? name recipients, or say -t"),
    (["-bd", "-q30m"], "-bd: only -bm, -bs, -bp and -bi are here; see smtpd, mailq and fd0 queue"),
    (["--wrong", "bob@example.net"], "no option --wrong"), (["-iZ", "bob@example.net"], "no option -Z"),
    (["bob@example.net", "-f"], "argument -f/-r: expected one argument")])
def test_a_wrong_command_line_is_64(sent, capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        sent(*arguments)
    assert ended.value.code == 64 and sent.mails() == []
    assert capsys.readouterr().err == f"sendmail: {said}\n"


@pytest.mark.parametrize("arguments", [
    "-h 5", "-h5", "-oi -oem -odb -om", "-B 8BITMIME", "-B7BIT", "-G", "-U -n -v -m", "-nvh 5", "-Am", "-A c",
    "-C /etc/x.cf", "-L tag", "-O DeliveryMode=b", "-OTimeout.queuereturn=5d", "-X /tmp/log", "-d", "-d0.1", "-vd8",
    "-p SMTP:host", "-em", "-e q", "-x -c -s", "-D /tmp/debug", "-Q why"])
def test_what_other_sendmails_have_and_means_nothing_here_loses_no_mail(sent, capsys, arguments):
    assert sent(*arguments.split(), "-i", "-f", "alice@example.org", "bob@example.net") == 0
    (sender, recipients, _), = sent.mails()
    assert (sender, recipients) == ("alice@example.org", ["bob@example.net"])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments, recipients", [
    (["-tif", "alice@example.org"], ["bob@example.net", "carol@example.net", "dan@example.net"]),
    (["-ifalice@example.org", "--", "bob@example.net"], ["bob@example.net"]),
    (["-oi", "-ralice@example.org", "erin@example.net", "--", "-t@a.test"], ["erin@example.net", "-t@a.test"]),
    (["erin@example.net", "-Nfailure,delay", "-Rhdrs", "-VQQ314", "-ioi", "-f", "alice@example.org"],
     ["erin@example.net"])])
def test_options_may_be_joined(sent, arguments, recipients):
    assert sent(*arguments) == 0
    assert [(sender, to) for sender, to, _ in sent.mails()] == [("alice@example.org", recipients)]
    assert sent.mails()[0][2].endswith(b"\r\n.\r\nrest\r\n")


@pytest.mark.parametrize("sender", ["-x@example.org", "a=b@example.org"])
def test_a_value_may_look_like_anything(sent, sender):
    assert sent("-i", "-f", sender, "-F", "-q", "bob@example.net") == 0
    assert sent.mails()[0][0] == sender and b"\r\nFrom: -q <" in sent.mails()[0][2]


@pytest.mark.parametrize("arguments", [["-bi"], ["-I"], ["-oA/etc/aliases", "-bi"]])
def test_newaliases_has_nothing_to_do(sent, capsys, arguments):
    assert sent(*arguments) == 0
    assert sent.mails() == [] and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [["-q"], ["-q30m"], ["-qf"], ["-qIabc", "-v"]])
def test_all_that_waits_is_tried_now(sent, capsys, arguments):
    for _ in range(2):
        assert sent("-i", "bob@example.net") == 0
    assert sent(*arguments) == 0
    folder = f"{sent.path}/mail"
    assert len(os.listdir(folder)) == 2
    for name in os.listdir(folder):
        with open(f"{folder}/{name}", "rb") as file:
            assert b" retry" in file.read().rpartition(b"\r\nrest\r\n")[2]
    assert capsys.readouterr() == ("", "")


def test_only_help_is_a_call_for_help(sent, capsys):
    with pytest.raises(SystemExit) as ended:
        sent("--help")
    page = capsys.readouterr().out
    assert ended.value.code == 0 and "--help" in page and "-h, --help" not in page


def test_without_a_queue_and_a_server_it_is_to_be_tried_again(sent, capsys, monkeypatch):
    port = machine.Port()
    monkeypatch.setattr(sendmailletter, "SERVER", f"127.0.0.1:{port.number}")
    assert sent("--queue=/nowhere/queue", "bob@example.net") == 75
    assert capsys.readouterr().err == (f"sendmail: /nowhere/queue is not ours to write to, and 127.0.0.1:{port.number} "
                                       "takes no mail now: [Errno 111] Connection refused\n")
    port.release()


@pytest.mark.parametrize("server", ["host:smtp", ":25x", "host:0", "host:70000"])
def test_a_server_that_is_none(sent, capsys, server):
    assert sent(f"--server={server}", "bob@example.net") == 64
    assert capsys.readouterr().err == f"sendmail: --server={server}: not HOST:PORT\n"


def test_it_lists_the_queue_as_mailq_did(sent, capsys):
    assert sent("-i", "-f", "alice@example.org", "bob@example.net") == 0
    assert sent("-bp") == 0
    assert "bob@example.net" in capsys.readouterr().out
