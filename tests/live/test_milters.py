"""smtpd with real mail filters: one of libmilter, OpenDKIM, rspamd; within its sandbox, and signing what they left."""

import contextlib
import os
import smtplib

import pytest

from daemons.stores import accounts
from daemons.stores.maildir import Folder
from daemons.tools import dkim as dkimtool
from daemons.wire import mailheaders
from tests.certificates import Authority
from tests.live import devlog, installed, machine, milterpeers, processes
from tests.live.launchers import WAIT, ByHand, Service

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
ANN, BOB = "ann@example.org", "bob@example.org"


def letter(*fields, author="fred@signed.test", body="A line.\r\n"):
    """A mail."""
    rows = [f"From: {author}", f"To: {ANN}", "Subject: hello", "Date: Fri, 21 Aug 2026 12:00:00 +0200",
            "Message-ID: <1@signed.test>", *fields]
    return "".join(f"{row}\r\n" for row in rows) + "\r\n" + body


class Place:
    """Accounts and mailboxes in a folder, and smtpd over them with some filters."""

    def __init__(self, stack, log):
        self.stack, self.log, self.path = stack, log, processes.new_folder("mail")
        there = accounts.open(f"{self.path}/accounts.db", create=True)
        for name in (ANN, BOB, "refused@example.org"):
            there.add_user(name, b"secret")
        self.authority = Authority(self.path)

    def serve(self, *options, filters, model="fork"):
        """A client's connection to smtpd, in its sandbox."""
        certificate, key = self.authority.pair("localhost", "127.0.0.1")
        argv = installed.argv(
            "smtpd", f"--log={self.log.path}", "--config=/dev/null", "--hostname=mx.example.org", "--sandbox=on",
            f"--accounts={self.path}/accounts.db", f"--mail={self.path}/mail", f"--queue={self.path}/queue",
            f"--tls-cert={certificate}", f"--tls-key={key}", f"--model={model}",
            f"--milters={','.join(each.place for each in filters)}", *options)
        host = self.stack.enter_context(ByHand(Service(argv, "stream", WAIT)))
        client = self.stack.enter_context(smtplib.SMTP(*host.address, local_hostname="client.example", timeout=30))
        assert " sandbox=off " not in self.log.wait_for(r"\bstart ").text
        return client

    def start(self, peer):
        """A filter that runs until the end of the test."""
        return self.stack.enter_context(peer)

    def mails(self, name):
        """The texts of a mailbox, with CR LF."""
        with Folder(f"{self.path}/mail/example.org/{name}") as folder:
            return [b"".join(folder.octets(one)) for one in folder.messages()] if os.path.isdir(folder.path) else []


@pytest.fixture
def place():
    with contextlib.ExitStack() as stack:
        yield Place(stack, stack.enter_context(devlog.LogSocket()))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """(path of a private key, text of its record)."""
    pem, record = dkimtool._made("rsa")
    path = tmp_path_factory.mktemp("keys") / "rsa"
    path.write_bytes(pem)
    path.chmod(0o600)
    return str(path), record


def send(client, *fields, sender="fred@signed.test", to=(ANN,), **others):
    """The last reply to a mail: (code, text)."""
    try:
        client.sendmail(sender, list(to), letter(*fields, **others))
    except smtplib.SMTPDataError as error:
        return error.smtp_code, error.smtp_error.decode()
    return 250, ""


# -- libmilter --


@pytest.mark.parametrize("model", ["fork", "thread", "one"])
def test_libmilter_hears_a_conversation(place, model):
    one = place.start(milterpeers.libmilter())
    client = place.serve(filters=[one], model=model)
    assert send(client) == send(client) == (250, "")
    client.docmd("MAIL", f"FROM:<{BOB}>")
    client.rset()
    client.ehlo("other.example")
    assert send(client) == (250, "")
    client.quit()
    machine.until(lambda: "close" in one.heard())
    begin = one.heard()[:4]
    assert begin[:2] == ["connect [127.0.0.1] 127.0.0.1 mx.example.org 127.0.0.1", "hello client.example None"]
    assert begin[2].startswith("from <fred@signed.test> SIZE=") and begin[2].endswith("-1 None")
    words = [line.split()[0] for line in one.heard()]
    mail = ["from", "rcpt", "data", *["header"] * 5, "eoh", "body", "eom"]
    assert [word for word in words if word != "abort"] == \
        ["connect", "hello", *mail, *mail, "from", "hello", *mail, "close"]
    assert words.count("abort") == 1 and "hello other.example None" in one.heard()
    assert len(place.mails("ann")) == 3


def test_libmilter_is_told_of_tls_and_of_logins(place):
    one = place.start(milterpeers.libmilter())
    client = place.serve("--role=submission", filters=[one])
    client.starttls(context=place.authority.client())
    client.login(ANN, "secret")
    assert send(client, sender=ANN, author=ANN) == (250, "")
    assert "hello client.example TLSv1.3" in one.heard()
    assert next(line for line in one.heard() if line.startswith("from ")).endswith(f" {ANN}")


def test_libmilter_changes_mail(place):
    one, port = place.start(milterpeers.libmilter()), machine.Port()
    two = place.start(milterpeers.libmilter(port))
    client = place.serve(filters=[one, two])
    assert send(client, "X-Do: fields body envelope progress") == (250, "")
    assert place.mails("ann") == []
    text, = place.mails("bob")
    assert text.endswith(b"\r\n\r\n" + b"Another line.\r\n" * 10000) and b"for <bob@example.org>" in text
    fields = mailheaders.parse(text)
    assert (fields.get("subject"), fields.get("x-added"), fields.get("x-do")) == ("changed", "one;\ttwo", None)
    assert fields.get("return-path") == "<other@example.net>" and text.index(b"X-First") < text.index(b"Received")
    assert "header Subject 'changed'" in two.heard() and "header X-Added 'one;\\n\\ttwo'" in two.heard()
    assert "body 65535" in two.heard()
    port.release()


def test_libmilter_refuses(place):
    one = place.start(milterpeers.libmilter())
    client = place.serve(filters=[one])
    refused = client.sendmail("fred@signed.test", [ANN, "refused@example.org"], letter())
    assert refused == {"refused@example.org": (550, b"5.7.1 not for you, 100%")}
    assert send(client, "X-Do: reject") == (550, "5.7.1 refused")
    assert send(client, "X-Do: tempfail")[0] == 451 and send(client, "X-Do: discard") == (250, "")
    assert send(client, "X-Do: skip", body="A line.\r\n" * 100_000) == (250, "")
    assert [line for line in one.heard() if line.startswith("body ")][-1] == "body 65535"
    assert len(place.mails("ann")) == 2 and " what=discarded " in place.log.wait_for(" filtered .* what=discarded").text


def test_a_filter_that_comes_back(place):
    with milterpeers.libmilter() as one:
        client = place.serve(filters=[one])
        assert send(client) == (250, "")
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        send(client)
    assert refused.value.smtp_code == 451 and place.log.wait_for(r" trouble .*unix:").text


# -- OpenDKIM --


def verified(text, record, **which):
    import dkim
    return dkim.DKIM(text).verify(dnsfunc=lambda name, timeout=0: record.encode(), **which)


def test_opendkim_signs_and_we_sign_what_it_left(place, key, tmp_path):
    pytest.importorskip("dkim")
    (tmp_path / "keys").write_text(f"signed.test rsa {key[0]}\n")
    changing, signing = place.start(milterpeers.libmilter()), place.start(milterpeers.opendkim("s", key[0], {}))
    client = place.serve("--relay-from=127.0.0.1", f"--dkim-keys={tmp_path}/keys", filters=[changing, signing])
    assert send(client, "X-Do: fields body") == (250, "")
    text = place.mails("ann")[0].split(b"\r\n", 2)[2]           # without what the delivery wrote on it
    ours, theirs = mailheaders.parse(text).all("dkim-signature")
    assert "h=" in ours and "s=rsa" in theirs
    assert verified(text, key[1], idx=0) and verified(text, key[1], idx=1)
    assert not verified(text.replace(b"changed", b"other", 1), key[1])


def test_opendkim_verifies(place, key):
    pytest.importorskip("dkim")
    import dkim
    text = letter()
    with open(key[0], "rb") as file:
        made = dkim.DKIM(text.encode()).sign(b"rsa", b"signed.test", file.read()).decode()
    records = {"rsa._domainkey.signed.test": key[1]}
    client = place.serve(filters=[place.start(milterpeers.opendkim("v", key[0], records))])
    client.sendmail("fred@signed.test", [ANN], made + text)
    client.sendmail("fred@signed.test", [ANN], made + text.replace("hello", "other"))
    good, bad = [mailheaders.parse(text).get("authentication-results") for text in place.mails("ann")]
    assert good.startswith("filter.test;") and "dkim=pass" in good and "dkim=fail" in bad


# -- rspamd --


def test_rspamd_looks_at_mail(place):
    client = place.serve(filters=[place.start(milterpeers.rspamd())])
    assert send(client) == (250, "") and send(client, body=GTUBE) == (554, "5.7.1 Gtube pattern")
    assert send(client) == (250, "") and len(place.mails("ann")) == 2
    assert "Gtube" in place.log.wait_for(" filtered .* what=refused").text
