"""Postfix and OpenSMTPD as next hop of mailq, as clients of smtpd, and between the two."""

import contextlib
import smtplib
from pathlib import Path

import pytest

from tests.live import devlog, machine, mailhops
from tests.live.mailhops import Mailq
from tests.live.mailpeers import OpenSMTPD, Postfix
from tests.live.test_smtpd import SECONDS, Place

TEXT = b"From: fred@far.test\r\nSubject: through all of it\r\n\r\n.dot\r\n..\r\n.\r\n" + b"long " * 199 + b"\r\nend\r\n"
PEERS = pytest.mark.parametrize("peer", [Postfix, OpenSMTPD])


@pytest.fixture
def place():
    with contextlib.ExitStack() as stack:
        yield Place(stack, stack.enter_context(devlog.LogSocket()))


@pytest.fixture
def pem(place):
    """A certificate and its key in one file."""
    path = Path(place.path) / "both.pem"
    path.write_bytes(b"".join(Path(each).read_bytes() for each in reversed(place.pair)))
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def mailq(tmp_path):
    """A function that makes a mailq with options."""
    with contextlib.ExitStack() as stack:
        def made(*options):
            mailhops.need()
            found = Mailq(tmp_path, *options)
            stack.callback(found.end)
            return found
        yield made


def onward(peer, scheme, host):
    """How a server of others is told to send all mail to a host."""
    address, port = host.address
    return f"{scheme}://{address}:{port}" if peer is OpenSMTPD else f"{scheme}:[{address}]:{port}"


def body(text):
    return text.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def submit(peer, recipients, text=TEXT, sender="fred@far.test", options=()):
    """Have a server of others take a mail."""
    with smtplib.SMTP(*peer.address, timeout=SECONDS) as client:
        assert client.sendmail(sender, recipients, text, options) == {}


# -- mailq sends to them --


@pytest.mark.parametrize("peer, tls", [(Postfix, "no"), (Postfix, "may"), (Postfix, "must"), (OpenSMTPD, "no")])
def test_next_hop(mailq, place, pem, peer, tls):
    """OpenSMTPD in the clear alone: Debian's 6.8 with OpenSSL 3 breaks each handshake that it is asked for."""
    with peer(pair=pem) as hop:
        queue = mailq(f"--smarthost=localhost:{hop.port.number}", f"--starttls={tls}",
                      f"--starttls-ca={place.authority.path}")
        ids = [queue.put(f"bob{n}@far.test", text=TEXT) for n in range(20)]
        queue.start().until_empty()
        machine.until(lambda: len(hop.mails()) == len(ids), SECONDS, "mails")
        assert {body(mail) for mail in hop.mails()} == {body(TEXT)}
        assert all((b"with ESMTPS" in mail) == (tls != "no") for mail in hop.mails())
        assert len(queue.told("sent ")) == len(ids) and queue.stop() == 0


def test_postfix_takes_all_that_it_offers(mailq):
    """SMTPUTF8, 8BITMIME, DSN, and BDAT for nothing; a recipient that it refuses is one mail back and no more."""
    with Postfix() as hop:
        queue = mailq(f"--smarthost=127.0.0.1:{hop.port.number}")
        queue.put("b\u00fcb@far.test", text="Subject: gr\u00fcn\r\n\r\n\u00fc\r\n".encode(), notify="NEVER",
                  smtputf8=True, body="8BITMIME", envid="QQ314", ret="HDRS")
        queue.put("bob@far.test", "nobody@elsewhere.test")
        queue.start().until_empty()
        machine.until(lambda: len(hop.mails()) == 2, SECONDS, "mails")
        assert "\u00fc\n".encode() in b"".join(hop.mails()) and b"UTF8SMTP" in b"".join(hop.mails())


# -- they send to smtpd --


@PEERS
@pytest.mark.parametrize("tls", [False, True])
def test_they_send_to_us(place, peer, tls):
    host = place.serve(tls=tls)
    with peer(onward=onward(peer, "smtp", host)) as other:
        for number in range(10):
            submit(other, [f"{name}@example.org" for name in ("ann", "bob")], TEXT + b"%d\r\n" % number)
        machine.until(lambda: [len(place.mails(name)) for name in ("ann", "bob")] == [10, 10], SECONDS, "mails")
        for name in ("ann", "bob"):
            assert {mail.partition(b"\r\n\r\n")[2] for mail in place.mails(name)} == {
                TEXT.partition(b"\r\n\r\n")[2] + b"%d\r\n" % number for number in range(10)}
            assert all((b"with ESMTPS" in mail) == tls for mail in place.mails(name))


@PEERS
def test_whom_we_do_not_know_they_tell_their_sender(place, peer):
    host = place.serve()
    with peer(onward=onward(peer, "smtp", host)) as other:
        submit(other, ["nobody@example.org", "ann@example.org"])
        machine.until(lambda: place.mails("ann") and other.mails(), SECONDS, "mail and notice")
        notice, = other.mails()
        assert b"550 5.1.1 no such mailbox here" in b" ".join(notice.split())
    assert len(place.mails("ann")) == 1


@PEERS
def test_they_deliver_to_us_by_lmtp(place, peer):
    """As the last hop behind a mail server: one reply for each recipient."""
    host = place.serve("--role=lmtp")
    with peer(onward=onward(peer, "lmtp", host)) as other:
        # OpenSMTPD 6.8 takes several replies that come at once for too much data
        known = ["ann@example.org"] + ["bob@example.org"] * (peer is Postfix)
        submit(other, [*known, "nobody@example.org"])
        machine.until(lambda: place.mails("ann") and other.mails(), SECONDS, "mail and notice")
        notice, = other.mails()
        assert b"Final-Recipient: rfc822; nobody@example.org" in notice.replace(b"RFC822", b"rfc822")
        assert b"with LMTP" in place.mails("ann")[0]
        assert len(place.mails("ann")) == 1 and len(place.mails("bob")) == len(known) - 1


def test_postfix_comes_again_where_we_had_no_time(place):
    host = place.serve("--greylist", f"{place.path}/grey.db", "--greylist-delay=1s")
    with Postfix(onward=onward(Postfix, "smtp", host)) as other:
        submit(other, ["ann@example.org"])
        machine.until(lambda: place.mails("ann"), SECONDS, "mail")
        assert len(place.mails("ann")) == 1 and " status=deferred " in other.log()


# -- all of it --


@PEERS
def test_from_us_through_them_to_us(place, mailq, peer):
    host = place.serve()
    with peer(onward=onward(peer, "smtp", host)) as other:
        queue = mailq(f"--smarthost=127.0.0.1:{other.port.number}")
        queue.put("ann@example.org", "bob@example.org", sender="fred@far.test", text=TEXT)
        queue.start().until_empty()
        machine.until(lambda: place.mails("ann") and place.mails("bob"), SECONDS, "mails")
        for mail in place.mails("ann") + place.mails("bob"):
            assert mail.partition(b"\r\n\r\n")[2] == TEXT.partition(b"\r\n\r\n")[2]
            assert mail.startswith(b"Return-Path: <fred@far.test>\r\n") and mail.count(b"Received: ") == 2
