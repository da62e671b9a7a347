"""What smtpd makes of the DNS: block lists, SPF, DKIM, DMARC; a true resolver, true libraries, and hostile records."""

import base64
import contextlib
import os
import smtplib
import socket
import subprocess
import sys
import threading
import time

import pytest

from daemons import smtpd
from daemons.stores import accounts
from daemons.stores.maildir import Folder
from daemons.stores.mailqueue import Queue
from daemons.tools import dkim as dkimtool
from daemons.wire import dkimtexts, mailheaders
from tests.live import machine, mailhops, processes
from tests.live.launchers import ROOT
from tests.play import Peer, options_of, play

LISTED, FREE = "192.0.2.66", "192.0.2.7"
DEAD = "--resolver=127.0.0.9:9"         # nobody listens there
RECORDS = (
    "host-record=66.2.0.192.list.test,127.0.0.4", 'txt-record=66.2.0.192.list.test,"see http://list.test/"',
    "host-record=2.0.0.127.list.test,127.0.0.2",
    "host-record=66.2.0.192.error.test,127.255.255.254", 'txt-record=66.2.0.192.error.test,"public resolver"',
    "host-record=66.2.0.192.lying.test,192.0.2.1",
    "host-record=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.test,127.0.0.2",
    'txt-record=pass.test,"v=spf1 ip4:192.0.2.0/24 -all"', 'txt-record=fail.test,"v=spf1 ip4:198.51.100.0/24 -all"',
    'txt-record=soft.test,"v=spf1 ~all"', 'txt-record=twice.test,"v=spf1 -all"', 'txt-record=twice.test,"v=spf1 +all"',
    'txt-record=strange.test,"v=spf1 moo -all"', 'txt-record=loop.test,"v=spf1 include:loop2.test -all"',
    'txt-record=loop2.test,"v=spf1 include:loop.test -all"', 'txt-record=round.test,"v=spf1 redirect=round.test"',
    'txt-record=client.test,"v=spf1 -all"', 'txt-record=six.test,"v=spf1 ip6:2001:db8::/32 -all"',
    'txt-record=_dmarc.pass.test,"v=DMARC1; p=reject"', 'txt-record=_dmarc.reject.test,"v=DMARC1; p=reject; sp=none"',
    'txt-record=_dmarc.strict.test,"v=DMARC1; p=reject; aspf=s; adkim=s"', 'txt-record=strict.test,"v=spf1 ?all"',
    'txt-record=sub.strict.test,"v=spf1 +all"', 'txt-record=sub.relaxed.test,"v=spf1 +all"',
    'txt-record=_dmarc.relaxed.test,"v=DMARC1; p=reject"',
    'txt-record=_dmarc.ghost.test,"v=DMARC1; p=none; np=reject"', "host-record=there.ghost.test,192.0.2.9",
    'txt-record=_dmarc.shelf.test,"v=DMARC1; p=quarantine"', 'txt-record=_dmarc.part.test,"v=DMARC1; p=reject; pct=0"',
)


@pytest.fixture(scope="module", autouse=True)
def libraries():
    try:
        import dkim  # noqa: F401
        import dns.resolver  # noqa: F401
        import nacl.signing  # noqa: F401
        import spf  # noqa: F401
    except ImportError as error:
        machine.unavailable(f"{error.name} is not installed (pip install dnspython dkimpy pynacl pyspf)")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder of keys, each with the text of its record: name -> (path, record)."""
    folder, found = tmp_path_factory.mktemp("keys"), {}
    for name, kind in (("rsa", "rsa"), ("other", "rsa"), ("ed", "ed25519")):
        pem, record = dkimtool._made(kind)
        (folder / name).write_bytes(pem)
        found[name] = str(folder / name), record
    found["small"] = _small(folder / "small")
    return found


def _small(path):
    """A key of 768 bits, which only openssl still makes."""
    from cryptography.hazmat.primitives import serialization
    made = subprocess.run([machine.program("openssl", "openssl"), "genrsa", "-traditional", "768"], check=True,
                          capture_output=True, timeout=20).stdout
    path.write_bytes(made)
    public = serialization.load_pem_private_key(made, None).public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return str(path), dkimtexts.record(dkimtexts.RSA, public)


@pytest.fixture(scope="module")
def names(keys):
    """A resolver."""
    rows = [f"txt-record={name}._domainkey.{domain},{','.join(_parts(record))}" for domain in ("pass.test",
            "signed.test", "strict.test", "sub.strict.test") for name, (_, record) in keys.items()]
    revoked = 'txt-record=gone._domainkey.signed.test,"v=DKIM1; p="'
    made = mailhops.Names(*RECORDS, *rows, revoked)
    yield made
    made.end()


def _parts(record):
    return [f'"{record[start:start + 200]}"' for start in range(0, len(record), 200)]


class Place:
    """Accounts, mailboxes, and an smtpd over them that asks a resolver."""

    def __init__(self, path, resolver):
        self.path, self.resolver = str(path), resolver
        there = accounts.open(f"{self.path}/accounts.db", create=True)
        there.add_user("ann@example.org", b"secret")
        there.add_alias("postmaster@example.org", "ann@example.org")

    def say(self, *chunks, more=(), peer=FREE, resolver=None):
        """The Outcome of a conversation."""
        where = [resolver or f"--resolver={self.resolver.place}"] if self.resolver or resolver else []
        options = options_of(smtpd, f"--accounts={self.path}/accounts.db", f"--mail={self.path}/mail",
                             f"--queue={self.path}/queue", "--hostname=mx.example.org", *where, *more)
        return play(smtpd, list(chunks), options=options, peer=peer)

    def bring(self, text, *more, sender="fred@pass.test", helo="client.test", to="ann@example.org", **others):
        """The last reply to a mail that a stranger brings."""
        done = self.say(f"EHLO {helo}\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{to}>\r\n".encode(), b"DATA\r\n",
                        text + b".\r\n", more=more, **others)
        self.done = done
        return [line for line in done.heard.decode().split("\r\n") if line][-1]

    def last(self):
        """The fields of the mail that came last, unfolded, and its Authentication-Results."""
        with Folder(f"{self.path}/mail/example.org/ann") as folder:
            text = b"".join(folder.octets(folder.messages()[-1]))
        fields = mailheaders.parse(text)
        return fields, [" ".join(value.split()) for value in fields.all("authentication-results")]

    def results(self):
        """The one field of ours: {method: result}, and the whole."""
        field, = self.last()[1]
        rows = [word.split()[0].partition("=") for word in field.partition("; ")[2].split("; ")]
        return {method: result for method, _, result in rows}, field


@pytest.fixture
def place(tmp_path, names):
    return Place(tmp_path, names)


def letter(author="fred@pass.test", *more, body=b"Hello.\r\n"):
    """A mail."""
    fields = [f"From: {author}", "Subject: hello", "Date: Fri, 21 Aug 2026 12:00:00 +0200", *more]
    return "".join(f"{line}\r\n" for line in fields).encode() + b"\r\n" + body


def signed(text, key, domain="signed.test", selector="rsa", **more):
    """A mail with a signature of dkimpy's on top."""
    import dkim
    with open(key, "rb") as file:
        algorithm, octets = dkimtexts.key_of(file.read())
    octets = octets if algorithm == dkimtexts.RSA else base64.b64encode(octets)
    return dkim.DKIM(text, signature_algorithm=algorithm.encode()).sign(
        selector.encode(), domain.encode(), octets, **{"canonicalize": (b"relaxed", b"relaxed"), **more}) + text


# -- block lists --


@pytest.mark.parametrize("peer", [LISTED, "2001:db8::1"])
def test_who_is_listed_may_write_to_the_postmaster_alone(place, peer):
    lists = "--block-lists=other.test,list.test"
    place.bring(letter(), lists, peer=peer)
    refused = [line for line in place.done.heard.decode().split("\r\n") if line.startswith("550")]
    assert refused[0].startswith(f"550 5.7.1 {peer} is listed at list.test")
    assert place.bring(letter(), lists, peer=peer, to="Postmaster").startswith("250")
    assert place.bring(letter(), lists, peer=FREE).startswith("250")


def test_what_a_list_says_is_passed_on(place):
    place.bring(letter(), "--block-lists=list.test", peer=LISTED)
    assert b"listed at list.test: see http://list.test/" in place.done.heard


@pytest.mark.parametrize("zone", ["error.test", "lying.test"])
def test_answers_that_are_none_let_mail_in_and_are_logged(place, zone):
    assert place.bring(letter(), f"--block-lists={zone}", peer=LISTED).startswith("250")
    assert [values["where"] for name, values in place.done.events if name == "trouble"] == [zone]


def test_a_dead_resolver_lets_mail_in(place):
    assert place.bring(letter(), "--block-lists=list.test", peer=LISTED, resolver=DEAD).startswith("250")
    assert [values["where"] for name, values in place.done.events if name == "trouble"] == ["list.test"]


def test_networks_that_may_relay_are_on_no_list(place):
    more = "--block-lists=list.test", "--spf=refuse", "--dmarc=refuse", f"--relay-from={LISTED}"
    assert place.bring(letter(), *more, sender="fred@fail.test", peer=LISTED).startswith("250")
    assert place.last()[1] == []


# -- SPF --


@pytest.mark.parametrize("domain, result", [
    ("pass.test", "pass"), ("soft.test", "softfail"), ("none.test", "none"), ("fail.test", "fail"),
    ("twice.test", "permerror"), ("strange.test", "permerror"), ("loop.test", "permerror"),
    ("round.test", "permerror")])
def test_spf_is_marked(place, domain, result):
    assert place.bring(letter(), "--spf=mark", sender=f"fred@{domain}").startswith("250")
    results, field = place.results()
    assert results == {"spf": result} and f"smtp.mailfrom=fred@{domain}" in field
    assert field.startswith("mx.example.org; spf=")


@pytest.mark.parametrize("sender, code", [
    ("fred@pass.test", "250 2.0.0"), ("fred@soft.test", "250 2.0.0"), ("fred@twice.test", "250 2.0.0"),
    ("fred@fail.test", "550 5.7.23"), ('"a@pass.test"@fail.test', "550 5.7.23")])
def test_spf_refuses_at_mail(place, sender, code):
    place.bring(letter(), "--spf=refuse", sender=sender)
    assert f"\r\n{code} " in place.done.heard.decode()


def test_of_the_null_sender_the_name_of_the_client_counts(place):
    place.bring(letter(), "--spf=refuse", sender="", helo="fail.test")
    assert b"\r\n550 5.7.23 " in place.done.heard
    assert place.bring(letter(), "--spf=refuse", sender="", helo="pass.test").startswith("250")
    assert "smtp.helo=pass.test" in place.results()[1]
    assert place.bring(letter(), "--spf=refuse", sender="", helo="[192.0.2.7]").startswith("250")
    assert place.results()[0] == {"spf": "none"}


def test_ipv6(place):
    assert place.bring(letter(), "--spf=refuse", sender="a@six.test", peer="2001:db8::5").startswith("250")
    place.bring(letter(), "--spf=refuse", sender="a@six.test", peer="2001:db9::5")
    assert b"\r\n550 5.7.23 " in place.done.heard


def test_spf_without_an_answer(place):
    place.bring(letter(), "--spf=refuse", resolver=DEAD)
    assert b"\r\n451 4.7.24 " in place.done.heard
    assert place.bring(letter(), "--spf=mark", resolver=DEAD).startswith("250")
    assert place.results()[0] == {"spf": "temperror"}


# -- DKIM --


@pytest.mark.parametrize("selector", ["rsa", "ed"])
@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_a_signature_is_verified(place, keys, selector, form):
    body = b"a  b \t\r\n \r\n..dot\r\n\r\n\r\n"
    text = signed(letter(body=body), keys[selector][0], selector=selector, canonicalize=(form.encode(), form.encode()))
    sent = text.replace(b"\r\n.", b"\r\n..")
    assert place.bring(sent, "--dkim=mark").startswith("250")
    results, field = place.results()
    assert results == {"dkim": "pass"}
    assert "header.d=signed.test" in field and f"header.s={selector}" in field and "header.b=" in field


@pytest.mark.parametrize("what, result", [("body", "fail"), ("header", "fail"), ("key", "fail"), ("none", "none"),
                                          ("lost", "permerror"), ("revoked", "permerror"), ("small", "policy"),
                                          ("part", "policy"), ("long", "neutral"), ("broken", "neutral")])
def test_what_is_wrong_with_a_signature(place, keys, what, result):
    text = {
        "body": lambda: signed(letter(), keys["rsa"][0]).replace(b"Hello", b"Hallo"),
        "header": lambda: signed(letter(), keys["rsa"][0]).replace(b"Subject: hello", b"Subject: hullo"),
        "key": lambda: signed(letter(), keys["other"][0]),
        "none": letter,
        "lost": lambda: signed(letter(), keys["rsa"][0], selector="nobody"),
        "revoked": lambda: signed(letter(), keys["rsa"][0], selector="gone"),
        "small": lambda: signed(letter(), keys["small"][0], selector="small"),
        "part": lambda: signed(letter(), keys["rsa"][0], length=True) + b"And more.\r\n",
        "long": lambda: signed(letter(), keys["rsa"][0]).replace(b"v=1;", b"v=1;" + b"\r\n \t" * 1500, 1),
        "broken": lambda: b"DKIM-Signature: v=1; a=rsa-sha256; d=signed.test; d=other.test\r\n" + letter(),
    }[what]()
    assert place.bring(text, "--dkim=mark").startswith("250")
    assert place.results()[0] == {"dkim": result}


def test_a_second_from_breaks_a_signature(place, keys):
    text = b"From: eve@evil.test\r\n" + signed(letter(), keys["rsa"][0])
    assert place.bring(text, "--dkim=mark").startswith("250")
    assert place.results()[0] == {"dkim": "fail"}


def test_without_an_answer_a_signature_is_doubtful(place, keys):
    assert place.bring(signed(letter(), keys["rsa"][0]), "--dkim=mark", resolver=DEAD).startswith("250")
    assert place.results()[0] == {"dkim": "temperror"}


def test_of_many_signatures_the_first_eight_count(place, keys):
    text = letter()
    for _ in range(4):
        text = signed(text, keys["rsa"][0])
    for _ in range(96):
        text = text.replace(b"From: fred", b"DKIM-Signature: v=1; a=rsa-sha256; d=x.test\r\nFrom: fred", 1)
    assert place.bring(text, "--dkim=mark").startswith("250")
    assert place.results()[1].count("dkim=") == 8


# -- DMARC --


def test_a_mail_that_is_from_there(place):
    assert place.bring(letter(), "--dmarc=refuse").startswith("250")
    results, field = place.results()
    assert results == {"spf": "pass", "dkim": "none", "dmarc": "pass"} and "header.from=pass.test" in field
    event, = [values for name, values in place.done.events if name == "checked"]
    assert (event["spf"], event["dkim"], event["dmarc"], event["author"]) == ("pass", "-", "pass", "pass.test")


@pytest.mark.parametrize("author, result, code", [
    ("a@reject.test", "fail", "550 5.7.1"), ("a@none.test", "none", "250"), ("a@shelf.test", "fail", "250"),
    ("a@nobody.ghost.test", "fail", "550 5.7.1"), ("a@there.ghost.test", "fail", "250"),
    ("a@sub.reject.test", "fail", "250"), ("a@part.test", "fail", "250"),
    ("a@reject.test, b@pass.test", "permerror", "550 5.7.1"), ("nobody", "permerror", "550 5.7.1"),
    ("\"a@pass.test\" <b@reject.test>", "fail", "550 5.7.1")])
def test_a_mail_that_is_not(place, author, result, code):
    assert place.bring(letter(author), "--dmarc=refuse").startswith(code)
    assert place.bring(letter(author), "--dmarc=mark").startswith("250")
    assert place.results()[0]["dmarc"] == result


def test_two_from_fields_are_nobodys(place):
    text = letter("fred@pass.test", "From: b@reject.test")
    assert place.bring(text, "--dmarc=refuse").startswith("550 5.7.1 nobody can tell")
    assert place.bring(text, "--dmarc=mark").startswith("250")
    assert place.results()[0]["dmarc"] == "permerror"


@pytest.mark.parametrize("sender, author, code", [
    ("a@sub.relaxed.test", "b@relaxed.test", "250"), ("a@sub.strict.test", "b@strict.test", "550"),
    ("a@sub.relaxed.test", "b@strict.test", "550")])
def test_alignment(place, sender, author, code):
    assert place.bring(letter(author), "--dmarc=refuse", sender=sender).startswith(code)


def test_a_signature_counts_for_its_own_domain_alone(place, keys):
    forged = signed(letter("a@reject.test"), keys["rsa"][0])
    assert place.bring(forged, "--dmarc=refuse").startswith("550 5.7.1")
    assert place.bring(forged, "--dmarc=mark").startswith("250")
    results = place.results()[0]
    assert (results["dkim"], results["dmarc"]) == ("pass", "fail")
    text = signed(letter("a@strict.test"), keys["rsa"][0], domain="strict.test")
    assert place.bring(text, "--dmarc=refuse", sender="").startswith("250")
    text = signed(letter("a@strict.test"), keys["rsa"][0], domain="sub.strict.test")
    assert place.bring(text, "--dmarc=refuse", sender="").startswith("550 5.7.1")


def test_dmarc_without_an_answer(place):
    assert place.bring(letter(), "--dmarc=refuse", resolver=DEAD).startswith("451 4.7.0")
    assert place.bring(letter(), "--dmarc=mark", resolver=DEAD).startswith("250")
    assert place.results()[0]["dmarc"] == "temperror"


@pytest.mark.parametrize("policy, code", [("none", "250"), ("quarantine", "250"), ("reject", "451 4.7.0")])
def test_a_key_that_cannot_be_looked_up(hostile, keys, policy, code):
    place, _ = hostile(lambda name, kind: None if "_domainkey" in name else
                       [f"v=DMARC1; p={policy}"] if name == "_dmarc.x.test" else [])
    text = signed(letter("a@x.test"), keys["rsa"][0], domain="x.test")
    assert place.bring(text, "--dmarc=refuse").startswith(code)
    if code == "250":
        assert place.results()[0] == {"spf": "none", "dkim": "temperror", "dmarc": "temperror"}


def test_a_policy_that_cannot_be_looked_up(hostile):
    place, _ = hostile(lambda name, kind: None if "_dmarc" in name else [])
    assert place.bring(letter(), "--dmarc=refuse").startswith("451 4.7.0")
    assert place.bring(letter(), "--dmarc=mark").startswith("250")


def test_block_lists_alone_write_nothing(place):
    assert place.bring(letter(), "--block-lists=list.test").startswith("250")
    assert place.last()[1] == [] and not [name for name, _ in place.done.events if name == "checked"]


# -- the field --


FORGED = ("Authentication-Results: mx.example.org; dmarc=pass", "authentication-results : MX.example.org 1; spf=pass",
          'Authentication-Results:\r\n "mx.example.org"; dkim=pass', "Authentication-Results: (x) mx.example.org; none")


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("more", [(), ("--dmarc=mark",)])
def test_a_field_of_our_name_is_ours(place, forged, more):
    assert place.bring(letter("a@reject.test", forged, "Authentication-Results: elsewhere.test; spf=pass"),
                       *more).startswith("250")
    fields = place.last()[1]
    assert [field.partition(";")[0] for field in fields] == ["mx.example.org"] * bool(more) + ["elsewhere.test"]
    names = [field.name for field in place.last()[0]]
    if more:
        assert names[:4] == ["return-path", "delivered-to", "authentication-results", "received"]


# -- signing --


def test_what_is_submitted_is_signed_and_verifies(place, keys, tmp_path):
    import dkim
    table = tmp_path / "keys"
    table.write_text(f"pass.test rsa {keys['rsa'][0]}\npass.test ed {keys['ed'][0]}\n")
    more = f"--dkim-keys={table}", f"--relay-from={FREE}"
    assert place.bring(letter(), *more, to="x@elsewhere.test").startswith("250")
    text = queued(place)
    assert [field.partition(b":")[0] for field in text.split(b"\r\n")[:1]] == [b"DKIM-Signature"]
    fields = mailheaders.parse(text)
    assert fields.count("dkim-signature") == 2
    assert all(" x=" not in value and " l=" not in value for value in fields.all("dkim-signature"))
    records = {f"{name}._domainkey.pass.test.": record.encode() for name, (_, record) in keys.items()}
    message = dkim.DKIM(text)
    for place_of in (0, 1):
        assert message.verify(idx=place_of, dnsfunc=lambda name, timeout=0: records[name.decode()])
    # and as mx, from elsewhere
    assert place.bring(text, "--dmarc=refuse", sender="", helo="none.test").startswith("250")
    field = place.results()[1]
    assert field.count("dkim=pass") == 2 and "dmarc=pass" in field
    # another subject, above or below, is found out
    text = b"Subject: other\r\n" + text
    assert place.bring(text, "--dmarc=refuse", sender="", helo="none.test").startswith("550 5.7.1")


def queued(place):
    """The text of the one mail in the queue, with CR LF."""
    queue = Queue(f"{place.path}/queue")
    try:
        id, = queue.folder.ids()
        with queue.take(id, time.time()) as job:
            return b"".join(job.message())
    finally:
        queue.close()


def test_nothing_is_signed_as_somebody_elses(place, keys, tmp_path):
    table = tmp_path / "keys"
    table.write_text(f"pass.test rsa {keys['rsa'][0]}\n")
    for author, more in (("a@other.test", f"--relay-from={FREE}"), ("a@pass.test", "--spf=mark")):
        assert place.bring(letter(author), f"--dkim-keys={table}", more).startswith("250")
        assert place.last()[0].count("dkim-signature") == 0
    assert not [name for name, _ in place.done.events if name == "signed"]


@pytest.mark.parametrize("author, domain", [
    ("ann@example.org", "example.org"), ("boss@example.org", ""), ("ann@other.test", ""),
    ("ann@example.org, ann@example.org", "example.org"), ("Ann", "")])
def test_users_are_signed_as_themselves(place, keys, tmp_path, monkeypatch, author, domain):
    monkeypatch.setattr(Peer, "secure", True)           # or no password is taken
    table = tmp_path / "keys"
    table.write_text(f"example.org ed {keys['ed'][0]}\norg ed {keys['ed'][0]}\n")
    login = base64.b64encode(b"\0ann@example.org\0secret")
    done = place.say(b"EHLO [127.0.0.1]\r\nAUTH PLAIN " + login + b"\r\nMAIL FROM:<ann@example.org>\r\n"
                     b"RCPT TO:<ann@example.org>\r\n", b"DATA\r\n", letter(author) + b".\r\nQUIT\r\n",
                     more=("--role=submission", f"--dkim-keys={table}"))
    assert b"\r\n250 2.0.0 taken" in done.heard
    event, = [values for name, values in done.events if name == "signed"]
    assert event["domain"] == domain and bool(event["why"]) != bool(domain)
    fields, _ = place.last()
    assert [" d=example.org;" in value for value in fields.all("dkim-signature")] == [True] * bool(domain)


@pytest.mark.parametrize("text, why", [("pass.test rsa\n", "line 1"),
                                       ("pass.test rsa /dev/null\n", "not a private key"),
                                       ("pass.test rsa /nowhere\n", "nowhere"), ("a..b rsa /dev/null\n", "line 1")])
def test_a_bad_list_of_keys_stops_the_start(place, tmp_path, text, why):
    table = tmp_path / "keys"
    table.write_text(text)
    with pytest.raises((ValueError, OSError), match=why):
        place.say(b"QUIT\r\n", more=[f"--dkim-keys={table}"])


# -- hostile name servers --


class Hostile:
    """A name server over UDP and TCP that answers with the texts of `answer(name, kind)`, or not at all (None)."""

    def __init__(self, answer):
        self.answer, self.asked, self.port = answer, [], machine.Port()
        self.address = "127.0.0.1", self.port.number
        self.place = f"127.0.0.1:{self.port.number}"
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(self.address)
        self.tcp = socket.create_server(self.address)
        self.threads = [threading.Thread(target=one) for one in (self._datagrams, self._streams)]
        for thread in self.threads:
            thread.start()

    def _reply(self, wire, most):
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
        import dns.rrset
        query = dns.message.from_wire(wire)
        question, = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        reply = dns.message.make_response(query)
        texts = self.answer(name, kind)
        if texts is None:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif texts:
            rows = [" ".join(f'"{text[start:start + 255]}"' for start in range(0, len(text), 255)) for text in texts]
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *rows))
        octets = reply.to_wire(max_size=65535)
        if len(octets) > most:
            reply.answer, reply.flags = [], reply.flags | dns.flags.TC
            octets = reply.to_wire()
        return octets

    def _datagrams(self):
        while True:
            wire, client = self.udp.recvfrom(4096)
            if not wire:
                return
            self.udp.sendto(self._reply(wire, 1200), client)

    def _streams(self):
        while True:
            sock, _ = self.tcp.accept()
            with sock, sock.makefile("rb") as file:
                size = int.from_bytes(file.read(2))
                if not size:
                    return
                octets = self._reply(file.read(size), 65535)
                sock.sendall(len(octets).to_bytes(2) + octets)

    def end(self):
        """Answer no more."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self.address)
        with socket.create_connection(self.address) as sock:
            sock.sendall(b"\0\0")
        for thread in self.threads:
            thread.join(10)
        self.udp.close()
        self.tcp.close()
        self.port.release()


@pytest.fixture
def hostile(tmp_path):
    """A Place whose resolver answers as a function says."""
    with contextlib.ExitStack() as stack:
        def make(answer):
            server = Hostile(answer)
            stack.callback(server.end)
            return Place(tmp_path, server), server
        yield make


def test_includes_without_end(hostile):
    place, server = hostile(lambda name, kind: [f"v=spf1 include:a.{name} include:b.{name} -all"] * (kind == "TXT"))
    assert place.bring(letter(), "--spf=mark", sender="a@x.test").startswith("250")
    assert place.results()[0] == {"spf": "permerror"} and len(server.asked) <= 12


def test_lookups_that_are_empty(hostile):
    record = "v=spf1 " + " ".join(f"a:{number}.x.test" for number in range(9)) + " -all"
    place, server = hostile(lambda name, kind: [record] * (name == "x.test" and kind == "TXT"))
    assert place.bring(letter(), "--spf=mark", sender="a@x.test").startswith("250")
    assert place.results()[0] == {"spf": "permerror"} and len(server.asked) <= 5


@pytest.mark.parametrize("record", ["v=spf1 " + "ip4:192.0.2.1 " * 3000 + "-all", "v=spf1 " + "." * 20000 + "%",
                                    "v=spf1 exists:%{l99999999999r}.x.test -all", "v=spf1 a:%{d1r+-.,/_=}%",
                                    "v=spf1 ip4:1.2.3.4/99999999999999999999 -all", "v=spf1 include:%{i}%{i}%{i} -all"])
def test_records_that_are_to_hurt(hostile, record):
    place, server = hostile(lambda name, kind: [record] * (kind == "TXT"))
    assert place.bring(letter(), "--spf=mark", sender="a@x.test").startswith("250")
    assert place.results()[0]["spf"] in ("permerror", "neutral", "fail", "none") and len(server.asked) <= 12


@pytest.mark.parametrize("texts", [["v=DKIM1; p=" + "A" * 60000], ["v=DKIM1; k=rsa; p=" + "A" * 4000],
                                   ["v=DKIM1; p=AAAA"] * 900, ["p=;p=x"], ["v=DKIM1; k=rsa; p=MAA="],
                                   ["v=DKIM1; k=ed25519; p=AAAA"]])
def test_keys_that_are_to_hurt(hostile, keys, texts):
    place, _ = hostile(lambda name, kind: texts * (kind == "TXT"))
    assert place.bring(signed(letter(), keys["rsa"][0]), "--dkim=mark").startswith("250")
    assert place.results()[0] == {"dkim": "permerror"}


def test_a_key_that_would_take_long(hostile, keys):
    # a modulus of 8192 bits, and an exponent as large
    number = b"\x02\x82\x04\x01\x00" + b"\xff" * 1024
    inner = b"\x30\x82\x08\x0a" + number * 2
    place, _ = hostile(lambda name, kind: ["v=DKIM1; p=" + base64.b64encode(inner).decode()])
    assert place.bring(signed(letter(), keys["rsa"][0]), "--dkim=mark").startswith("250")
    assert "dkim=permerror" in place.results()[1] and "bits" in place.results()[1]


def test_a_walk_ends(hostile):
    place, server = hostile(lambda name, kind: [])
    author = "a@" + ".".join(["a"] * 60) + ".test"
    assert place.bring(letter(author), "--dmarc=mark", sender="").startswith("250")
    assert len([name for name, _ in server.asked if name.startswith("_dmarc.")]) == 8


# -- a true server --


def test_a_server_that_closes_itself_in(place, keys, tmp_path):
    table = tmp_path / "keys"
    table.write_text(f"pass.test rsa {keys['rsa'][0]}\n")
    port = machine.Port()
    with contextlib.ExitStack() as stack:
        stack.callback(port.release)
        log = stack.enter_context(open(f"{place.path}/log", "wb"))
        server = processes.Processes(
            [sys.executable, "-m", "daemons.smtpd", f"--listen=127.0.0.1:{port.number}", "--log=stderr",
             "--config=/dev/null", f"--accounts={place.path}/accounts.db", f"--mail={place.path}/mail",
             f"--queue={place.path}/queue", "--hostname=mx.example.org", f"--resolver={place.resolver.place}",
             "--block-lists=list.test", "--dmarc=refuse", f"--dkim-keys={table}", "--sandbox=on"],
            {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}, stderr=log, cwd="/")
        stack.callback(server.end)

        def connected():
            with contextlib.suppress(ConnectionError):
                return smtplib.SMTP("127.0.0.1", port.number, timeout=20)
        with machine.until(connected, what="server") as client:
            text = signed(letter("fred@signed.test"), keys["ed"][0], selector="ed")
            assert client.sendmail("fred@signed.test", ["ann@example.org"], text) == {}
        results, field = place.results()
        assert results["dkim"] == "pass" and "temperror" not in field
        with smtplib.SMTP("127.0.0.1", port.number, source_address=("127.0.0.2", 0), timeout=20) as client, \
                pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            client.sendmail("fred@signed.test", ["ann@example.org"], text)
        assert caught.value.recipients["ann@example.org"][1].startswith(b"5.7.1 127.0.0.2 is listed")


def test_what_is_missing_is_named(place, tmp_path):
    (tmp_path / "spf.py").write_text("raise ModuleNotFoundError('no', name='spf')\n")
    done = subprocess.run([sys.executable, "-m", "daemons.smtpd", "--spf=mark", "--log=stderr", "--config=/dev/null",
                           "--listen=127.0.0.1:0"], capture_output=True, text=True, timeout=20, cwd="/", check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT), *sys.path])})
    assert done.returncode == 100 and "python3-spf" in done.stderr
