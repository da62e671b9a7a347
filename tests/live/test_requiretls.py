"""Mail that requires TLS all the way (RFC 8689): smtpd takes it under TLS alone, mailq hands it on so or not at all."""

import contextlib
import smtplib
import ssl

import pytest

from daemons.stores import accounts
from daemons.stores.queuecontrol import QueueControl
from tests import certificates
from tests.live import devlog, installed, mailhops, processes
from tests.live.dnszone import Zone
from tests.live.launchers import ByHand, Service
from tests.live.mailhops import Hop, Mailq, Names
from tests.live.test_mailq import accounts_of, inbox

PROVEN = {("one.test", "MX"): ["10 mx.one.test."], ("mx.one.test", "A"): ["127.0.0.1"]}
RECORDS = ("mx-host=one.test,mx.one.test,10", "host-record=mx.one.test,127.0.0.1")


@pytest.fixture
def authority(tmp_path):
    return certificates.Authority(tmp_path)


@pytest.fixture
def carried(tmp_path, authority):
    """Have mailq carry a mail that requires TLS over a server; returns the Hop and the Mailq."""
    mailhops.need()
    made = [Names(*RECORDS)]

    def carry(*options, name="mx.one.test", offers=("DSN", "REQUIRETLS"), sender="alice@example.org", route=True,
              resolver=None):
        hop = Hop(certificate=name and authority.pair(name), offers=offers)
        where = [f"--smarthost=mx.one.test:{hop.port.number}"] if route else [f"--port={hop.port.number}"]
        mailq = Mailq(tmp_path, f"--resolver={resolver or made[0].place}", f"--accounts={accounts_of(tmp_path)}",
                      f"--mail={tmp_path}/mail", f"--starttls-ca={authority.path}", *where, *options)
        made.extend([mailq, hop])
        mailq.put("bob@one.test", sender=sender, ret="FULL", requiretls="yes")
        return hop, mailq.start()
    yield carry
    for one in reversed(made):
        one.end()


def test_it_goes_where_all_is_promised(carried):
    hop, mailq = carried()
    mailq.until_empty()
    assert [("REQUIRETLS" in mail[3], mail[-1]) for mail in hop.mails] == [(True, True)]


def test_to_servers_of_which_dnssec_tells(carried):
    mailhops.need()
    names = Zone(PROVEN)
    try:
        hop, mailq = carried(route=False, resolver=names.place)
        mailq.until_empty()
        assert ["REQUIRETLS" in mail[3] for mail in hop.mails] == [True]
    finally:
        names.end()


@pytest.mark.parametrize("options, status", [
    ({"offers": ("DSN",)}, b"5.7.30"), ({"name": None}, b"5.7.10"), ({"route": False}, b"5.7.30")],
    ids=["no promise", "no TLS", "no DNSSEC"])
def test_what_no_server_promises_comes_back_without_its_text(carried, tmp_path, options, status):
    hop, mailq = carried(**options)
    mailq.until_empty()
    notice, = inbox(tmp_path)
    assert hop.mails == [] and b"Status: " + status in notice
    assert b"Subject: a test" in notice and b".dots" not in notice


def test_a_certificate_for_another_makes_it_wait(carried):
    hop, mailq = carried(name="another.test")
    mailq.until("deferred ", "4.7.5")
    assert hop.mails == []


def test_a_notification_goes_all_the_same(carried):
    hop, mailq = carried(sender="", name=None, offers=())
    mailq.until_empty()
    assert [(mail[0], "REQUIRETLS" in mail[3]) for mail in hop.mails] == [("<>", False)]


def test_smtpd_offers_it_under_tls_alone_and_hands_it_to_the_queue(authority):
    folder = processes.new_folder("requiretls")
    accounts.open(f"{folder}/accounts.db", create=True).add_user("ann@example.org", b"a password")
    certificate, key = authority.pair("localhost", "127.0.0.1")
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(devlog.LogSocket())
        host = stack.enter_context(ByHand(Service(installed.argv(
            "smtpd", f"--log={log.path}", "--config=/dev/null", "--hostname=mx.example.org", "--relay-from=127.0.0.0/8",
            f"--accounts={folder}/accounts.db", f"--mail={folder}/mail", f"--queue={folder}/queue",
            f"--tls-cert={certificate}", f"--tls-key={key}"), "stream", True)))
        client = stack.enter_context(smtplib.SMTP(*host.address, timeout=20))
        client.ehlo("client.example")
        assert not client.has_extn("requiretls") and client.mail("bob@example.net", ["REQUIRETLS"])[0] == 555
        client.starttls(context=ssl.create_default_context(cafile=authority.path))
        client.ehlo("client.example")
        assert client.has_extn("requiretls")
        assert client.sendmail("bob@example.net", ["eve@elsewhere.example"], "Subject: x\r\n\r\ny\r\n",
                               ["REQUIRETLS"]) == {}
    control = QueueControl(f"{folder}/queue")
    try:
        message, = control.all()
        assert message["requiretls"] == "yes"
    finally:
        control.close()
