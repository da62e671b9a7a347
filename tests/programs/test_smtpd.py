"""smtpd: who may send where, what ends a mail, where mail goes, and what is said when it cannot."""

import base64
import errno
import os

import pytest

from daemons import smtpd
from daemons.stores import accounts, maildelivery, queuefolder, queuewriter
from daemons.stores.maildir import Folder
from daemons.stores.mailqueue import Queue
from daemons.wire import scram
from tests.play import NOON, Peer, options_of, play

HELLO = b"EHLO client.example\r\n"
FROM = HELLO + b"MAIL FROM:<fred@example.net>\r\n"
TO_ANN = b"RCPT TO:<ann@example.org>\r\n"
TEXT = b"DATA\r\nSubject: hello\r\n\r\nA line.\r\n.\r\n"
STRANGER, NEIGHBOUR = "192.0.2.7", "198.51.100.7"


class Place:
    """Accounts, mailboxes and a queue, and an smtpd over them."""

    def __init__(self, path):
        self.path = str(path)
        there = accounts.open(f"{self.path}/accounts.db", create=True)
        for name in ("ann", "bob"):
            there.add_user(f"{name}@example.org", b"secret")
        there.add_alias("postmaster@example.org", "ann@example.org")
        there.add_alias("both@example.org", "ann@example.org", "bob@example.org")
        there.add_alias("away@example.org", "ann@elsewhere.example")
        there.add_domain("catch.example")
        there.add_alias("@catch.example", "bob@example.org")
        there.add_domain("other.example")
        there.add_alias("@other.example", "@elsewhere.example")
        self.accounts = there

    def options(self, *more):
        """What smtpd is started with."""
        return options_of(smtpd, f"--accounts={self.path}/accounts.db", f"--mail={self.path}/mail",
                          f"--queue={self.path}/queue", "--hostname=mx.example.org", *more)

    def say(self, *chunks, more=(), peer=STRANGER, **others):
        """The Outcome of a conversation."""
        return play(smtpd, list(chunks), options=self.options(*more), peer=peer, **others)

    def codes(self, *chunks, **others):
        """The codes of all replies after the answer to EHLO."""
        return codes(self.say(*chunks, **others).heard)[2:]

    def mails(self, name, domain="example.org"):
        """The texts of a mailbox."""
        with Folder(f"{self.path}/mail/{domain}/{name}") as folder:
            try:
                return [b"".join(folder.octets(one)) for one in folder.messages()]
            except FileNotFoundError:
                return []

    def queued(self):
        """(envelope, text) of all that is to go elsewhere."""
        if not os.path.isdir(f"{self.path}/queue"):
            return []
        queue, found = Queue(f"{self.path}/queue"), []
        for id in queue.folder.ids():
            with open(f"{self.path}/queue/mail/{id}", "rb") as file:
                found.append(file.read())
        queue.close()
        return found


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def codes(heard):
    """The codes of replies, one for each."""
    return [int(line[:3]) for line in heard.split(b"\r\n") if line[3:4] == b" " or len(line) == 3]


def sasl(text):
    return base64.b64encode(text)


# -- mail for mailboxes here --


def test_a_mail_is_in_the_mailbox_when_it_is_said_to_be(place):
    outcome = place.say(FROM + TO_ANN + b"DATA\r\nSubject: hello\r\n\r\n..a dot\r\n.\r\nQUIT\r\n")
    assert codes(outcome.heard) == [220, 250, 250, 250, 354, 250, 221]
    [text] = place.mails("ann")
    assert text.startswith(b"Return-Path: <fred@example.net>\r\nDelivered-To: ann@example.org\r\n"
                           b"Received: from client.example ([192.0.2.7])")
    assert b"for <ann@example.org>;" in text and text.endswith(b"\r\nSubject: hello\r\n\r\n.a dot\r\n")
    assert outcome.events[-1][0] == "mail" and outcome.reason == "quit"


@pytest.mark.parametrize(("recipient", "whose"), [
    (b"ann@example.org", "ann"), (b"ANN@Example.ORG", "ann"), (b"ann+news@example.org", "ann"),
    (b"postmaster", "ann"), (b"Postmaster@example.org", "ann"), (b"@relay.example:ann@example.org", "ann"),
    (b"anything@catch.example", "bob"), (b'"ann"@example.org', "ann")])
def test_the_names_of_a_mailbox(place, recipient, whose):
    assert place.codes(FROM + b"RCPT TO:<" + recipient + b">\r\n" + TEXT) == [250, 250, 354, 250]
    assert len(place.mails(whose)) == 1


def test_sub_addresses_are_by_option(place):
    assert place.codes(FROM + b"RCPT TO:<ann+news@example.org>\r\n", more=["--separator="]) == [250, 550]
    assert place.codes(FROM + b"RCPT TO:<ann-news@example.org>\r\n", more=["--separator=-"]) == [250, 250]


def test_one_copy_for_a_mailbox_of_several_names(place):
    place.say(FROM + TO_ANN + b"RCPT TO:<both@example.org>\r\nRCPT TO:<ann+x@example.org>\r\n" + TEXT)
    assert (len(place.mails("ann")), len(place.mails("bob"))) == (1, 1)
    assert b" for " not in place.mails("ann")[0]        # who else has it is nobody's business


def test_a_mailbox_is_told_by_which_other_address_a_mail_came(place):
    place.say(FROM + TO_ANN + b"RCPT TO:<both@example.org>\r\nRCPT TO:<Ann+X@example.org>\r\n" + TEXT)
    [ann], [bob] = place.mails("ann"), place.mails("bob")
    delivered = b"Return-Path: <fred@example.net>\r\nDelivered-To: %s@example.org\r\n"
    assert ann.startswith(delivered % b"ann" + b"X-Original-To: both@example.org\r\n"
                          b"X-Original-To: Ann+X@example.org\r\nReceived:")
    assert bob.startswith(delivered % b"bob" + b"X-Original-To: both@example.org\r\nReceived:")


def test_the_text_may_come_in_chunks(place):
    chunks = b"BDAT 24\r\nSubject: hello\r\n\r\nQUIT\r\nBDAT 3\r\n.\r\nBDAT 0 LAST\r\n"
    assert place.codes(FROM + TO_ANN + chunks + b"NOOP\r\n") == [250, 250, 250, 250, 250, 250]
    assert place.mails("ann")[0].endswith(b"Subject: hello\r\n\r\nQUIT\r\n.\r\n")


def test_a_large_mail_is_not_kept_in_memory(place):
    body = b"x" * 76 + b"\r\n"
    assert place.codes(FROM + TO_ANN + b"DATA\r\n\r\n", *[body * 1000] * 40, b".\r\n") == [250, 250, 354, 250]
    assert place.mails("ann")[0].endswith(b"\r\n\r\n" + body * 40000)


def test_the_same_connection_brings_several(place):
    assert place.codes(FROM + TO_ANN + TEXT + FROM[len(HELLO):] + TO_ANN + TEXT) == [250, 250, 354, 250] * 2
    assert len(place.mails("ann")) == 2


def test_a_mail_cut_off_is_nowhere(place):
    outcome = place.say(FROM + TO_ANN + b"DATA\r\nSubject: hello\r\n\r\nA line.\r\n")
    assert outcome.reason == "cut" and place.mails("ann") == []
    assert place.say(FROM + TO_ANN + b"BDAT 100 LAST\r\nSubject").reason == "cut" and place.mails("ann") == []


# -- who may send elsewhere --


TRICKS = [b"x@elsewhere.example", b"x%elsewhere.example@example.org", b"@example.org:x@elsewhere.example",
          b'"x@elsewhere.example"@example.org', b"elsewhere.example!x@example.org", b"x@[192.0.2.1]",
          b"x@[127.0.0.1]", b"x@[IPv6:::1]", b"x@example.org.elsewhere.example", b"x@example.org.",
          b"ann@example.org.", b"postmaster@elsewhere.example", b'"ann@example.org"@elsewhere.example',
          b"x%elsewhere.example@catch.example", b'"x@elsewhere.example"@catch.example',
          b"x%elsewhere.example@other.example", b"ann@example.org@elsewhere.example", b"x@localhost",
          b"@elsewhere.example", b"ann@example.org>,<x@elsewhere.example", b"nobody@example.org"]
SENDERS = [b"", b"ann@example.org", b"fred@example.net", b"postmaster@example.org", b"x@[127.0.0.1]"]


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("recipient", TRICKS)
def test_no_trick_makes_a_relay(place, sender, recipient):
    got = place.codes(HELLO + b"MAIL FROM:<" + sender + b">\r\nRCPT TO:<" + recipient + b">\r\n" + TEXT)
    assert got[0] == 250 and got[1] in (501, 550) and got[2] == 503 and place.queued() == []


@pytest.mark.parametrize("role", ["mx", "lmtp"])
def test_an_alias_may_lead_elsewhere(place, role):
    begin = FROM if role == "mx" else FROM.replace(b"EHLO", b"LHLO")
    said = begin + b"RCPT TO:<away@example.org>\r\n" + TEXT
    assert place.codes(said, more=[f"--role={role}"]) == [250, 250, 354, 250]
    [text] = place.queued()
    assert b"\nto: - ann@elsewhere.example" in text and b"Delivered-To: away@example.org\r\n" in text


def test_named_networks_may_send_anywhere(place):
    to = FROM + b"RCPT TO:<x@elsewhere.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;y@z.example\r\n" + TEXT
    relay = ["--relay-from=198.51.100.0/24"]
    assert place.codes(to, more=relay)[:2] == [250, 550]
    assert place.codes(to, more=relay, peer=NEIGHBOUR) == [250, 250, 354, 250]
    [text] = place.queued()
    assert b"to: - x@elsewhere.example notify=SUCCESS,FAILURE orcpt=rfc822;y@z.example\n" in text
    assert place.codes(to.replace(b"EHLO", b"LHLO"), more=[*relay, "--role=lmtp"], peer=NEIGHBOUR)[:2] == [250, 550]


@pytest.mark.parametrize("peer, proxies, codes", [
    (NEIGHBOUR, "203.0.113.1", [250, 250]), ("127.0.0.1", "203.0.113.1", [250, 550]),
    ("::1", "203.0.113.1", [250, 550]),
    (NEIGHBOUR, NEIGHBOUR, [250, 550]),         # it has said of nobody that he is there
])
def test_what_a_proxy_says_of_this_machine_or_does_not_say_makes_no_relay(place, peer, proxies, codes):
    to = FROM + b"RCPT TO:<x@elsewhere.example>\r\n"
    more = [f"--relay-from={NEIGHBOUR},127.0.0.0/8,::1"]
    assert place.codes(to, more=more, peer=peer) == [250, 250]
    assert place.codes(to, more=[*more, f"--proxy-protocol={proxies}"], peer=peer) == codes


def test_lmtp_is_not_for_port_25(place):
    for where in "127.0.0.1:25", ":24,:25":
        with pytest.raises(ValueError, match="must not be at port 25"):
            place.say(b"", more=["--role=lmtp", f"--listen={where}"])
    assert place.codes(b"LHLO x\r\nQUIT\r\n", more=["--role=lmtp", "--listen=unix:/run/lmtp,:24"]) == [221]


def test_one_for_here_and_elsewhere_goes_to_both(place):
    both = FROM + TO_ANN + b"RCPT TO:<x@elsewhere.example>\r\n" + TEXT
    assert place.codes(both, more=[f"--relay-from={NEIGHBOUR}"], peer=NEIGHBOUR) == [250, 250, 250, 354, 250]
    assert len(place.mails("ann")) == len(place.queued()) == 1


def test_who_asks_to_be_told_of_success_will_be(place):
    place.say(HELLO + b"MAIL FROM:<fred@example.net> RET=HDRS ENVID=Q1\r\nRCPT TO:<ann@example.org> NOTIFY=SUCCESS\r\n"
              + TEXT, peer=NEIGHBOUR, more=[f"--relay-from={NEIGHBOUR}"])
    assert len(place.mails("ann")) == 1
    place.say(FROM + b"RCPT TO:<x@elsewhere.example>\r\n" + TEXT, peer=NEIGHBOUR, more=[f"--relay-from={NEIGHBOUR}"])
    place.say(HELLO + b"MAIL FROM:<fred@example.net> ENVID=Q1\r\nRCPT TO:<ann@example.org> NOTIFY=SUCCESS\r\n" + TEXT)
    assert [text for text in place.queued() if b"\nto: d ann@example.org" in text and b"envid: Q1" in text] != []


# -- logins --


@pytest.fixture
def secure(monkeypatch):
    """A conversation under TLS."""
    monkeypatch.setattr(Peer, "secure", True)


@pytest.mark.parametrize(("said", "code"), [
    (b"AUTH PLAIN " + sasl(b"\0ann@example.org\0secret"), 235),
    (b"AUTH PLAIN\r\n" + sasl(b"\0ann@example.org\0secret"), 235),
    (b"AUTH LOGIN\r\n" + sasl(b"ann@example.org") + b"\r\n" + sasl(b"secret"), 235),
    (b"AUTH PLAIN " + sasl(b"ann@example.org\0ann@example.org\0secret"), 235),
    (b"AUTH PLAIN " + sasl(b"bob@example.org\0ann@example.org\0secret"), 535),
    (b"AUTH PLAIN " + sasl(b"\0ann@example.org\0wrong"), 535),
    (b"AUTH PLAIN " + sasl(b"\0eve@example.org\0wrong"), 535),
    (b"AUTH PLAIN !", 501), (b"AUTH PLAIN\r\n*", 501), (b"AUTH CRAM-MD5", 504), (b"AUTH", 501),
    (b"AUTH PLAIN " + b"A" * 20000, 500), (b"AUTH PLAIN\r\n" + b"A" * 20000, 500)])
def test_logins(place, secure, said, code):
    outcome = place.say(HELLO + said + b"\r\n", more=["--role=submission"])
    assert codes(outcome.heard)[-1] == code
    assert b"AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n" in outcome.heard
    assert b"secret" not in repr(outcome.events).encode()


def test_logins_without_accounts(place):
    os.rename(f"{place.path}/accounts.db", f"{place.path}/gone")
    assert place.codes(HELLO + b"AUTH SCRAM-SHA-256 " + sasl(b"n,,n=ann,r=0123456789") + b"\r\n",
                       more=["--role=submission"]) == [454]


def test_no_password_in_the_clear(place):
    for mechanism in (b"PLAIN", b"LOGIN"):
        said = HELLO + b"AUTH " + mechanism + b" " + sasl(b"\0ann@example.org\0secret") + b"\r\n"
        assert place.codes(said, more=["--role=submission"]) == [538]


class ScramPeer(Peer):
    """A client whose proof is made of what it has heard."""

    def __init__(self, chunks):
        super().__init__(chunks)
        self.client = scram.Client("ann@example.org", b"secret", b"0123456789")
        self.chunks.append(b"AUTH SCRAM-SHA-256 " + sasl(self.client.first) + b"\r\n")

    def send(self, data, deadline):
        """Hear it, and know what to say next."""
        super().send(data, deadline)
        if data.startswith(b"334 "):
            challenge = base64.b64decode(data[4:])
            first = self.heard.count(b"334 ") == 1
            self.chunks.append((sasl(self.client.answer(challenge)) if first else b"") + b"\r\n")
            assert first or self.client.is_server(challenge)


def test_scram(place, monkeypatch):
    monkeypatch.setattr("tests.play.Peer", ScramPeer)
    assert place.codes(HELLO, more=["--role=submission"]) == [334, 334, 235]


LOG_IN = HELLO + b"AUTH PLAIN " + sasl(b"\0ann@example.org\0secret") + b"\r\n"


def test_a_user_writes_to_so_many_in_an_hour(place, secure):
    to_two = b"RCPT TO:<x@elsewhere.example>\r\nRCPT TO:<y@elsewhere.example>\r\n"
    begin, more = LOG_IN + b"MAIL FROM:<ann@example.org>\r\n", ["--role=submission", "--user-rate=3"]
    assert place.codes(begin + to_two + TEXT, more=more) == [235, 250, 250, 250, 354, 250]
    outcome = place.say(begin + to_two + TEXT, more=more)
    assert codes(outcome.heard)[-4:] == [250, 450, 354, 250] and b"try again in 20 min\r\n" in outcome.heard
    unknown = begin + b"RCPT TO:<nobody@example.org>\r\n" * 9      # are nobody's mail
    other = unknown.replace(b"ann@", b"bob@").replace(sasl(b"\0ann@example.org\0secret"),
                                                     sasl(b"\0bob@example.org\0secret"))
    assert place.codes(other + to_two, more=more)[-2:] == [250, 250]



def test_who_has_logged_in_sends_anywhere_as_herself(place, secure):
    sent = LOG_IN + b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<x@elsewhere.example>\r\n" + TEXT
    assert place.codes(sent, more=["--role=submission"]) == [235, 250, 250, 354, 250]
    [text] = place.queued()
    assert b"\r\nDate: " in text and b"\r\nMessage-ID: <" in text and b"192.0.2.7" not in text.partition(b"\n\n")[2]
    assert b"user: ann@example.org\n" in text


@pytest.mark.parametrize(("sender", "field"), [
    (b"ann+x@example.org", b"\r\nFrom: <ann+x@example.org>\r\n"), (b"", b"")])
def test_a_mail_without_an_author_is_of_who_sent_it(place, secure, sender, field):
    place.say(LOG_IN + b"MAIL FROM:<" + sender + b">\r\n" + TO_ANN + TEXT, more=["--role=submission"])
    [text] = place.mails("ann")
    assert field in text and text.count(b"From:") == bool(sender)


@pytest.mark.parametrize(("author", "code"), [
    (b"ann@example.org", 250), (b"Ann <ann+x@example.org>", 250), (b"both@example.org", 250), (b"bob@example.org", 550),
    (b"ann@example.org, bob@example.org", 550), (b"ann@example.org, both@example.org", 250),
    (b"bob@example.org <<ann@example.org>", 554)])
def test_nobody_writes_as_another_where_that_is_checked(place, secure, author, code):
    sent = LOG_IN + b"MAIL FROM:<ann@example.org>\r\n" + TO_ANN + b"DATA\r\nFrom: " + author + b"\r\n\r\nHi\r\n.\r\n"
    assert place.codes(sent, more=["--role=submission", "--check-from=yes"])[-1] == code
    assert place.codes(sent, more=["--role=submission"])[-1] == 250
    assert len(place.mails("ann")) == 1 + (code == 250)


@pytest.mark.parametrize(("sender", "code"), [
    (b"ann@example.org", 250), (b"ann+x@example.org", 250), (b"both@example.org", 250), (b"", 250),
    (b"bob@example.org", 553), (b"x@elsewhere.example", 553)])
def test_nobody_sends_as_another(place, secure, sender, code):
    assert place.codes(LOG_IN + b"MAIL FROM:<" + sender + b">\r\n", more=["--role=submission"])[1] == code


def test_guessing_is_slow_and_ends(place, secure):
    guesses = [b"AUTH PLAIN " + sasl(b"\0ann@example.org\0" + b"%d" % each) + b"\r\n" for each in range(9)]
    outcome = place.say(HELLO, *guesses, more=["--role=submission"])
    assert codes(outcome.heard)[2:] == [535] * smtpd.LOGINS + [421] and outcome.reason == "errors"
    assert outcome.rested >= 2 + 4 + 8 + 15


def test_no_logins_on_the_way_in(place, secure):
    outcome = place.say(LOG_IN)
    assert codes(outcome.heard)[2:] == [502] and b"AUTH" not in outcome.heard.partition(b"502")[0]


# -- smuggling --


SMUGGLED = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\r\n.\r\r\n",
            b"\n\n.\r\n", b"\r\n.\r\r\n", b"\r\n.\0\r\n"]


@pytest.mark.parametrize("end", SMUGGLED)
@pytest.mark.parametrize("cut", [0, 1])
def test_nothing_else_ends_a_mail(place, end, cut):
    second = b"MAIL FROM:<admin@example.org>\r\nRCPT TO:<bob@example.org>\r\n" \
        b"DATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n"
    said = FROM + TO_ANN + b"DATA\r\nSubject: x\r\n\r\nx" + end + second
    outcome = place.say(*([said] if not cut else [bytes([octet]) for octet in said]))
    assert codes(outcome.heard)[5:6] == [550] and place.mails("ann") == place.mails("bob") == []
    if b"\0" not in end:
        assert outcome.reason == "badending" and len(codes(outcome.heard)) == 6


def test_a_chunk_with_a_bare_line_end_is_refused(place):
    outcome = place.say(FROM + TO_ANN + b"BDAT 5 LAST\r\na\n.\r\nQUIT\r\n")
    assert codes(outcome.heard)[-1] == 550 and outcome.reason == "badending" and place.mails("ann") == []


def test_a_command_with_a_bare_line_feed_ends_it(place):
    assert place.say(HELLO + b"MAIL FROM:<a@b.example>\nRCPT TO:<ann@example.org>\r\n").reason == "badending"


@pytest.mark.parametrize("command", [b"MAIL FROM:<a\0b@c.example>", b"HELO a\tb", b"NOOP \x1b[2J",
                                     b"RCPT TO:<a\x7f@b.example>"])
def test_no_control_characters_in_commands(place, command):
    assert place.codes(HELLO + command + b"\r\n") == [500]


# -- limits --


def test_size(place):
    more = ["--size=1000"]
    long = b"DATA\r\n\r\n" + b"x" * 70 + b"\r\n"
    assert place.codes(FROM + TO_ANN + long + (b"y" * 70 + b"\r\n") * 20 + b".\r\nNOOP\r\n", more=more) == \
        [250, 250, 354, 552, 250]
    assert place.codes(FROM + TO_ANN + b"BDAT 1001 LAST\r\n", more=more)[2:] == [552]
    assert place.codes(FROM + TO_ANN + b"BDAT 600\r\n" + b"z" * 598 + b"\r\nBDAT 600 LAST\r\n" + b"z" * 598 + b"\r\n"
                       b"NOOP\r\n", more=more)[2:] == [250, 552, 250]
    assert place.mails("ann") == []


def test_recipients(place):
    said = FROM + TO_ANN + b"RCPT TO:<bob@example.org>\r\n" + TO_ANN
    assert place.codes(said, more=["--recipients=2"]) == [250, 250, 250, 452]


def test_errors_are_slow_and_then_the_end(place):
    outcome = place.say(HELLO + b"DANCE\r\n" * 100)
    assert codes(outcome.heard)[2:] == [500] * smtpd.HARD + [421]
    assert outcome.rested == pytest.approx(5) and outcome.reason == "errors"


def test_doing_nothing_for_ever_is_an_error(place):
    outcome = place.say(HELLO + b"NOOP\r\n" * 1000)
    assert outcome.reason == "errors" and codes(outcome.heard).count(250) < 150


def test_lines(place):
    assert place.codes(HELLO + b"NOOP " + b"x" * 2100 + b"\r\nNOOP\r\n") == [500, 250]
    assert place.codes(FROM + TO_ANN + b"DATA\r\n\r\n" + b"x" * 2047 + b"\r\n.\r\n")[-1] == 554
    assert place.codes(FROM + TO_ANN + b"DATA\r\n\r\n" + b"x" * 2046 + b"\r\n.\r\n")[-1] == 250


def test_tls_required(place):
    assert place.codes(FROM + b"NOOP\r\n", more=["--require-tls=yes"]) == [530, 250]


# -- what strangers must be like --


@pytest.mark.parametrize(("name", "code"), [
    (b"client.example", 250), (b"[192.0.2.7]", 250), (b"[IPv6:2001:db8::7]", 250), (b"localhost", 550),
    (b"mx.example.org", 550), (b"MX.example.ORG", 550), (b"[192.0.2]", 550), (b"a_b!c.example", 550)])
def test_what_a_stranger_calls_itself(place, name, code):
    said = b"EHLO " + name + b"\r\nMAIL FROM:<>\r\n"
    assert place.codes(said, more=["--check-helo=yes"]) == [code] and place.codes(said) == [250]
    assert place.codes(said, more=["--check-helo=yes", f"--relay-from={STRANGER}"]) == [250]


def test_an_address_without_a_name(place):
    assert place.codes(FROM, more=["--client-names=yes"], peer="192.0.2.7") == [450]        # TEST-NET has none


def test_a_greylist(place):
    more = [f"--greylist={place.path}/greylist.db"]
    assert place.codes(FROM + b"RCPT TO:<eve@example.org>\r\n" + TO_ANN, more=more) == [250, 550, 450]
    assert place.codes(FROM + TO_ANN + TEXT, more=more, now=NOON + 300) == [250, 250, 354, 250]
    assert place.codes(FROM + TO_ANN, more=[*more, f"--relay-from={NEIGHBOUR}"], peer=NEIGHBOUR) == [250, 250]


# -- circles, quotas, disks --


def test_circles(place):
    hops = b"Received: by a.example\r\n" * 100
    assert place.codes(FROM + TO_ANN + b"DATA\r\n" + hops + b"\r\nx\r\n.\r\n")[-1] == 554
    assert place.codes(FROM + TO_ANN + b"DATA\r\nDelivered-To: Ann@example.org\r\n\r\nx\r\n.\r\n")[-1] == 554
    away = FROM + b"RCPT TO:<away@example.org>\r\nDATA\r\nDelivered-To: away@example.org\r\n\r\nx\r\n.\r\n"
    assert place.codes(away)[-1] == 554 and place.queued() == place.mails("ann") == []


def test_quotas(place):
    place.accounts.set_quota("ann@example.org", 2000, None)
    declared = HELLO + b"MAIL FROM:<> SIZE=%d\r\n" + TO_ANN
    assert place.codes(declared % 2001) == [250, 552]
    assert place.codes(declared % 1000 + b"DATA\r\n\r\n" + b"x" * 998 + b"\r\n.\r\n") == [250, 250, 354, 250]
    assert place.codes(declared % 1500) == [250, 452]
    large = b"DATA\r\n\r\n" + (b"x" * 998 + b"\r\n") * 2 + b".\r\n"
    assert place.codes(FROM + TO_ANN + b"RCPT TO:<bob@example.org>\r\n" + large)[-1] == 552
    assert place.mails("bob") == []


@pytest.mark.parametrize("role", ["mx", "lmtp"])
@pytest.mark.parametrize("size", [b" SIZE=400", b""])
def test_one_full_mailbox_keeps_nothing_from_the_others_of_an_alias(place, role, size):
    queuefolder.make(f"{place.path}/queue")
    place.accounts.set_quota("bob@example.org", 300, None)
    place.accounts.add_alias("two@example.org", "both@example.org")
    said = (b"MAIL FROM:<fred@example.net>" + size + b"\r\nRCPT TO:<both@example.org>\r\nRCPT TO:<two@example.org>\r\n"
            b"DATA\r\n\r\n" + b"x" * 400 + b"\r\n.\r\n")
    begin, answers = (LMTP, [250, 250]) if role == "lmtp" else (HELLO, [250])
    assert place.codes(begin + said, more=[f"--role={role}"]) == [250, 250, 250, 354, *answers]
    assert (len(place.mails("ann")), len(place.mails("bob"))) == (1, 0)
    [text] = place.queued()
    assert text.count(b"\nto: ") == 1 and b"\nto: - bob@example.org final=yes\n" in text
    assert b"Delivered-To: both@example.org\r\n" in text and b"Delivered-To: bob@" not in text
    # but who is named himself is refused, now that the size is known, or at RCPT
    expected = {("mx", b""): [552], ("lmtp", b""): [250, 552]}.get((role, size), [250])
    to_bob = said.replace(b"RCPT TO:<two@example.org>", b"RCPT TO:<bob@example.org>")
    assert place.codes(begin + to_bob, more=[f"--role={role}"])[-len(expected):] == expected


def test_where_nobody_of_an_alias_has_room_the_mail_is_to_come_again(place):
    queuefolder.make(f"{place.path}/queue")
    for name in ("ann", "bob"):
        place.accounts.set_quota(f"{name}@example.org", None, 1)
    mail = b"MAIL FROM:<fred@example.net>\r\nRCPT TO:<both@example.org>\r\n"
    assert place.codes(HELLO + mail + TEXT + mail) == [250, 250, 354, 250, 250, 452] and place.queued() == []


def test_a_full_disk_is_no_loss_and_a_retry_no_second_copy(place, monkeypatch):
    keep = maildelivery.Delivery.keep

    def fails(self, *arguments):
        if self._folder.path.endswith(b"/bob"):
            raise OSError(errno.ENOSPC, "no room")
        return keep(self, *arguments)

    monkeypatch.setattr(maildelivery.Delivery, "keep", fails)
    mail = b"MAIL FROM:<fred@example.net>\r\n" + TO_ANN + b"RCPT TO:<bob@example.org>\r\n" + TEXT
    assert place.codes(HELLO + mail + mail) == [250, 250, 250, 354, 452] * 2
    assert len(place.mails("ann")) == 1 and place.mails("bob") == []


def test_forged_fields_are_taken_out(place):
    forged = b"Return-Path: <x@y.example>\r\nAuthentication-Results: mx.example.org; spf=pass\r\nSubject: x\r\n"
    place.say(FROM + TO_ANN + b"DATA\r\n" + forged + b"\r\nbody\r\n.\r\n")
    [text] = place.mails("ann")
    assert b"spf=pass" not in text and b"x@y.example" not in text and text.endswith(b"\r\nSubject: x\r\n\r\nbody\r\n")


# -- LMTP --


def test_lmtp_answers_for_each_recipient(place):
    place.accounts.set_quota("bob@example.org", 300, None)
    said = b"LHLO client.example\r\nMAIL FROM:<>\r\n" + TO_ANN + b"RCPT TO:<eve@example.org>\r\n" \
        b"RCPT TO:<bob@example.org>\r\nDATA\r\n\r\n" + b"x" * 400 + b"\r\n.\r\nQUIT\r\n"
    assert place.codes(said, more=["--role=lmtp"]) == [250, 250, 550, 250, 354, 250, 552, 221]
    assert (len(place.mails("ann")), len(place.mails("bob"))) == (1, 0)
    assert b"with LMTP" in place.mails("ann")[0]


LMTP = b"LHLO client.example\r\n"
TO_BOTH = b"MAIL FROM:<fred@example.net>\r\nRCPT TO:<both@example.org>\r\n"


def test_an_alias_of_lmtp_has_one_answer_and_nobody_of_it_a_mail_that_is_refused(place):
    """One member is full, so the client tries again later: the other must not have it by then."""
    place.accounts.set_quota("bob@example.org", 300, None)
    large = b"DATA\r\n\r\n" + b"x" * 400 + b"\r\n.\r\n"
    assert place.codes(LMTP + TO_BOTH + TO_ANN + large, more=["--role=lmtp"]) == [250, 250, 250, 354, 552, 250]
    assert (len(place.mails("ann")), len(place.mails("bob"))) == (1, 0)         # for she was named beside it
    assert place.codes(LMTP + TO_BOTH + large, more=["--role=lmtp"]) == [250, 250, 354, 552]
    assert (len(place.mails("ann")), len(place.mails("bob"))) == (1, 0)


def test_a_full_disk_gives_no_second_copy_over_lmtp(place, monkeypatch):
    place.accounts.add_alias("all@example.org", "bob@example.org", "ann@example.org", "x@elsewhere.example")
    keep, left = maildelivery.Delivery.keep, [1, 2]

    def fails(self, *arguments):
        if self._folder.path.endswith(b"/bob") and left:
            left.pop()
            raise OSError(errno.ENOSPC, "no room")
        return keep(self, *arguments)

    monkeypatch.setattr(maildelivery.Delivery, "keep", fails)
    mail = TO_BOTH.replace(b"both", b"all") + TEXT
    assert place.codes(LMTP + mail * 3, more=["--role=lmtp"]) == [250, 250, 354, 452] * 2 + [250, 250, 354, 250]
    assert len(place.mails("ann")) == len(place.mails("bob")) == len(place.queued()) == 1


def test_the_rest_of_an_alias_of_lmtp_is_not_queued_twice(place, monkeypatch):
    """What is for elsewhere could not be put into the queue: then none of it was taken."""
    place.accounts.add_alias("all@example.org", "ann@example.org", "x@elsewhere.example")
    commit, left = queuewriter.NewMessage.commit, [1]

    def fails(self):
        if left:
            left.pop()
            raise OSError(errno.EIO, "no disk")
        return commit(self)

    monkeypatch.setattr(queuewriter.NewMessage, "commit", fails)
    mail = TO_BOTH.replace(b"both", b"all") + TEXT
    assert place.codes(LMTP + mail * 2, more=["--role=lmtp"]) == [250, 250, 354, 451, 250, 250, 354, 250]
    assert len(place.mails("ann")) == len(place.queued()) == 1


def test_a_mail_of_whose_success_nobody_could_be_told_is_not_taken(place, monkeypatch):
    monkeypatch.setattr(queuewriter.QueueWriter, "room", lambda self, size: False)
    queuefolder.make(f"{place.path}/queue")
    to = FROM + b"RCPT TO:<ann@example.org> NOTIFY=SUCCESS\r\n" + TEXT
    assert place.codes(to) == [250, 250, 354, 452] and place.mails("ann") == []


@pytest.mark.parametrize(("local", "expected"), [
    (("192.0.2.1", 25), "mx"), (("192.0.2.1", 587), "submission"), (("::1", 465), "submission"),
    (("192.0.2.1", 24), "lmtp"),
    ("unix:/run/fd0/lmtp", "lmtp"), ("unix:/run/fd0/submission.sock", "submission"), ("unix:/run/lmtp/smtp", "mx")])
def test_roles_by_place(local, expected):
    from daemons.kernel.addresses import Address
    from daemons.mail.roles import role_of
    there = Address(*local) if isinstance(local, tuple) else Address(word=local)
    assert role_of(None, there).name == expected and role_of("mx", there).name == "mx"
