"""fd0 sendmail: what local programs expect of it."""

import io
import sys

import pytest

from daemons.stores import queuefolder
from daemons.stores.queuecontrol import QueueControl
from daemons.tools import sendmail
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


@pytest.mark.parametrize("arguments", [[], ["-bs"], ["--wrong", "bob@example.net"]])
def test_a_wrong_command_line_is_64(sent, arguments):
    with pytest.raises(SystemExit) as ended:
        sent(*arguments)
    assert ended.value.code == 64


def test_without_a_queue_and_a_server_it_is_to_be_tried_again(sent, capsys, monkeypatch):
    port = machine.Port()
    monkeypatch.setattr(sendmail, "SERVER", f"127.0.0.1:{port.number}")
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
