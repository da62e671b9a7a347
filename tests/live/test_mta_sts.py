"""MTA-STS (RFC 8461): policies from a web server and from the queue, and what mailq makes of them."""

import contextlib
import os
import socket
import ssl
import threading
import time

import pytest

from daemons.kernel import log
from daemons.mail import mtasts
from daemons.mail.mailservers import MailServers
from daemons.stores.stspolicies import LARGEST, Kept, Policies
from tests import certificates
from tests.live import machine, mailhops
from tests.live.dnszone import Zone
from tests.live.mailhops import Hop, Mailq
from tests.live.test_mailq import accounts_of, inbox
from tests.serving import Serving

RECORDS = {("one.test", "MX"): ["10 mx.one.test."], ("mx.one.test", "A"): ["127.0.0.1"],
           ("_mta-sts.one.test", "TXT"): ['"v=STSv1; id=1"'], ("mta-sts.one.test", "A"): ["127.0.0.1"],
           ("two.test", "MX"): ["10 mx.one.test.", "20 mx.two.test."], ("mx.two.test", "A"): ["127.0.0.1"]}
POLICY = "version: STSv1\nmode: {}\nmx: {}\nmax_age: {}\n"
WEB = "127.0.0.43"              # where a test that needs port 443 has it for itself


def policy(mode="enforce", mx="mx.one.test", seconds=86400):
    return POLICY.format(mode, mx, seconds)


@pytest.fixture
def zone():
    mailhops.need()
    made = Zone(RECORDS)
    yield made
    made.end()


@pytest.fixture
def authority(tmp_path):
    return certificates.Authority(tmp_path)


# -- fetching --


class Web:
    """httpd with the policy of one.test, which a test may change; `sites` are more lines of its file of sites."""

    def __init__(self, folder, authority, name="mta-sts.one.test", sites="", **where):
        self.root = folder / "www/.well-known"
        self.root.mkdir(parents=True)
        (folder / "sites").write_text(f"host mta-sts.one.test\nroot {folder}/www\n{sites}")
        certificate, key = authority.pair(name)
        self.serving = Serving("httpd", f"--vhosts={folder}/sites", f"--tls-cert={certificate}", f"--tls-key={key}",
                               "--tls=implicit", **where)

    def say(self, text):
        """This is the policy now."""
        (self.root / "new").write_bytes(text if isinstance(text, bytes) else text.encode())
        os.replace(self.root / "new", self.root / "mta-sts.txt")


class Asker:
    """MtaSts under a clock of the test's own, with what it logs; `fetches` counts the requests to the server."""

    def __init__(self, folder, zone, web, authority, monkeypatch):
        self.now, self.told, self.fetches = time.time(), [], 0
        (folder / "queue/tmp").mkdir(parents=True)
        self.kept = Policies(f"{folder}/queue")
        host, _, port = zone.place.partition(":")
        self.sts = mtasts.MtaSts(MailServers("us.test", 25, (host, int(port))), self.kept, authority.path,
                                 web.serving.port, lambda: self.now)
        monkeypatch.setattr(log, "event", lambda name, **facts: self.told.append((name, facts)))
        fetch = mtasts.fetch

        def counted(*arguments):
            self.fetches += 1
            return fetch(*arguments)
        monkeypatch.setattr(mtasts, "fetch", counted)

    def modes(self, *later, domain="one.test"):
        """The modes of the policies after so many seconds each."""
        found = []
        for seconds in later or (0,):
            self.now += seconds
            policy = self.sts.policy(domain)
            found.append(policy and policy.mode)
        return found

    @property
    def why(self):
        """Why the last one was not fetched."""
        return self.told[-1][1]["why"]


@pytest.fixture
def web(tmp_path, authority):
    made = Web(tmp_path, authority)
    with made.serving:
        yield made


@pytest.fixture
def asker(tmp_path, zone, web, authority, monkeypatch):
    return Asker(tmp_path, zone, web, authority, monkeypatch)


def test_a_policy_is_fetched_and_kept(web, asker, zone):
    web.say(policy())
    assert asker.modes(0, 10, domain="One.Test") == ["enforce"] * 2 and asker.fetches == 1
    assert asker.kept.get("one.test").text == policy().encode() and asker.told == []


def test_another_id_has_it_fetched_anew(web, asker, zone):
    web.say(policy())
    assert asker.modes() == ["enforce"]
    web.say(policy("testing"))
    assert asker.modes(10) == ["enforce"]
    zone.records["_mta-sts.one.test", "TXT"] = ['"v=STSv1; id=2"']
    assert asker.modes(1) == ["testing"] and asker.fetches == 2


def test_it_is_fetched_anew_each_day(web, asker):
    web.say(policy(seconds=10 * 86400))
    assert asker.modes() == ["enforce"]
    web.say(policy("none", seconds=10 * 86400))
    assert asker.modes(86300, 200) == ["enforce", "none"]


@pytest.mark.parametrize("block", ["TXT fails", "no TXT", "no address", "two TXT", "gone"])
def test_whoever_blocks_the_dns_or_the_web_switches_nothing_off(web, asker, zone, block):
    web.say(policy())
    assert asker.modes() == ["enforce"]
    zone.records["_mta-sts.one.test", "TXT"] = ['"v=STSv1; id=2"'] * (1 if block in ("no address", "gone") else 2)
    if block == "TXT fails":
        zone.broken.add(("_mta-sts.one.test", "TXT"))
    elif block == "no TXT":
        del zone.records["_mta-sts.one.test", "TXT"]
    elif block == "two TXT":
        zone.records["_mta-sts.one.test", "TXT"] = ['"v=STSv1; id=2"', '"v=STSv1; id=3"']
    elif block == "no address":
        zone.broken |= {("mta-sts.one.test", "A"), ("mta-sts.one.test", "AAAA")}
    else:
        (web.root / "mta-sts.txt").unlink()
    assert asker.modes(86000, 1000) == ["enforce", None]        # until its time is over


def test_what_failed_is_tried_again_and_not_at_once(web, asker):
    assert asker.modes(0, 299) == [None, None] and asker.fetches == 1
    web.say(policy())
    assert asker.modes(1) == ["enforce"] and asker.fetches == 2


def test_who_has_no_record_is_not_asked(web, asker, zone):
    del zone.records["_mta-sts.one.test", "TXT"]
    assert asker.modes() == [None] and asker.fetches == 0
    assert asker.modes(domain="[127.0.0.1]") == asker.modes(domain="smtp://one.test:25") == [None]


def test_a_domain_of_other_letters_is_asked_for_as_the_dns_has_it(asker, zone):
    zone.records["_mta-sts.xn--bcher-kva.test", "TXT"] = zone.records["_mta-sts.one.test", "TXT"]
    assert asker.modes(domain="B\xfccher.test") == [None] and "mta-sts.xn--bcher-kva.test" in asker.why


def test_what_is_no_host_name_has_neither_a_policy_nor_a_file(asker, zone):
    zone.records["_mta-sts.x/y.test", "TXT"] = zone.records["_mta-sts.one.test", "TXT"]
    for domain in ("x/y.test", "b\xfccher/../x", "a..test", "..", ""):
        assert asker.modes(domain=domain) == [None]
    assert asker.told == [] and asker.fetches == 0


def test_a_kept_policy_that_cannot_be_read_is_fetched_anew(web, asker):
    now = int(asker.now)
    asker.kept.put("one.test", Kept("1", now, 0, now + 9, b"version: STSv1\nmode: enf"))
    web.say(policy())
    assert asker.modes() == ["enforce"]


@pytest.mark.parametrize("text, why", [
    (None, "status 404"), (b"x" * (LARGEST + 1), "over 65536 octets"),
    ("version: STSv1\nmode: enforce\nmax_age: 9", "not a policy"), (policy(seconds="soon"), "not a policy")],
    ids=["none", "oversize", "no server", "no age"])
def test_what_is_refused(web, asker, text, why):
    if text is not None:
        web.say(text)
    assert asker.modes() == [None] and why in asker.why and asker.told[-1][0] == "unfetched"


def test_a_policy_of_the_full_size(web, asker):
    octets = policy().encode()
    web.say(octets + b"a: b\n" * ((LARGEST - len(octets)) // 5))
    assert asker.modes() == ["enforce"]


@pytest.mark.parametrize("sites, name, why", [
    ("type .txt text/html\n", "mta-sts.one.test", "media type text/html"),
    ("redirect /.well-known/ /there/\n", "mta-sts.one.test", "status 30"),
    ("", "www.one.test", "certificate verify failed"), ("", "one.test", "certificate verify failed")],
    ids=["media type", "redirect", "another's certificate", "the domain's certificate"])
def test_servers_that_are_not_believed(tmp_path, zone, authority, monkeypatch, sites, name, why):
    web = Web(tmp_path, authority, name, sites)
    web.say(policy())
    (tmp_path / "www/there").mkdir()
    (tmp_path / "www/there/mta-sts.txt").write_text(policy())
    with web.serving:
        asker = Asker(tmp_path, zone, web, authority, monkeypatch)
        assert asker.modes() == [None] and why in asker.why


def test_a_server_that_says_too_little_or_nothing_holds_nobody_up(zone, tmp_path, authority, monkeypatch):
    monkeypatch.setattr(mtasts, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(mtasts.Unfetched, match="the peer was silent"):
            mtasts.fetch("one.test", ["127.0.0.1"] * 9, authority.path, silent.getsockname()[1])
        assert time.monotonic() - began < 5         # not one patience for each address


def test_a_policy_that_ends_too_early_is_none(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.pair("mta-sts.one.test"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            with context.wrap_socket(listener.accept()[0], server_side=True) as sock:
                sock.recv(4096)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 999\r\n\r\n"
                             + policy().encode())
                with contextlib.suppress(ssl.SSLError):     # it says that this is all, and is hung up on
                    sock.unwrap()
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(mtasts.Unfetched, match="ends too early"):
            mtasts.fetch("one.test", ["127.0.0.1"], authority.path, listener.getsockname()[1])
        thread.join()


# -- delivering --


@pytest.fixture
def carried(tmp_path, zone, authority):
    """Have mailq carry a mail to a domain whose policy is in the queue; the Hop and the Mailq."""
    made = []

    def carry(*options, kept=None, name="mx.one.test", to="bob@one.test", **facts):
        hop = Hop(certificate=name and authority.pair(name), offers=("DSN", "REQUIRETLS"))
        mailq = Mailq(tmp_path, f"--resolver={zone.place}", f"--port={hop.port.number}", "--mta-sts=yes",
                      f"--starttls-ca={authority.path}", f"--accounts={accounts_of(tmp_path)}",
                      f"--mail={tmp_path}/mail", *options)
        made.extend([mailq, hop])
        if kept:
            now = int(time.time())
            Policies(mailq.path).put(to.partition("@")[2], Kept("0", now, now, now + 3600, kept.encode()))
        mailq.put(to, **facts)
        return hop, mailq.start()
    yield carry
    for one in reversed(made):
        one.end()


def test_a_server_of_the_policy_with_a_good_certificate_gets_it(carried):
    hop, mailq = carried(kept=policy())
    mailq.until_empty()
    assert [mail[-1] for mail in hop.mails] == [True] and mailq.told("sent ", "tls=mta-sts")


@pytest.mark.parametrize("facts, why", [
    ({"name": "mx.two.test"}, "4.7.5 no TLS with it: certificate verify failed"),
    ({"name": None}, "4.7.4 TLS is wanted"),
    ({"kept": policy(mx="*.two.test")}, "4.7.5 it is no server of the domain's MTA-STS policy")],
    ids=["another's certificate", "no TLS", "not in the policy"])
def test_what_the_policy_forbids_waits(carried, facts, why):
    hop, mailq = carried(**{"kept": policy(), **facts})
    assert mailq.until("deferred ", why) and mailq.told("deferred ", "MTA-STS policy")
    assert hop.mails == [] and len(mailq.left()) == 1 and not mailq.told("bounced ")


def test_a_server_that_the_policy_does_not_name_is_left_out(carried):
    hop, mailq = carried(kept=policy(mx="mx.two.test"), name="mx.two.test", to="bob@two.test")
    mailq.until_empty()
    assert mailq.told("sent ", "host=\"mx.two.test") and len(set(hop.sessions)) == 1


def test_somebody_in_between_who_greets_by_our_name_bounces_nothing(carried):
    _, mailq = carried("--hostname=hop.test", kept=policy(), name=None)
    assert mailq.until("deferred ", "4.7.5 it says that it is this server")
    assert not mailq.told("bounced ")


@pytest.mark.parametrize("facts, why, encrypted", [
    ({"name": "mx.two.test"}, "certificate verify failed", True), ({"name": None}, "4.7.4", False),
    ({"kept": policy("testing", "mx.two.test")}, "does not name it", True)])
def test_testing_keeps_nothing_and_tells(carried, facts, why, encrypted):
    hop, mailq = carried(**{"kept": policy("testing"), **facts})
    mailq.until_empty()
    assert [mail[-1] for mail in hop.mails] == [encrypted]
    assert mailq.told("tested ", "domain=one.test", "host=\"mx.one.test [127.0.0.1]", why)
    assert mailq.told("sent ", "tls=yes" if encrypted else "tls=no")


def test_testing_that_nothing_fails_tells_nothing(carried):
    _, mailq = carried(kept=policy("testing"))
    mailq.until_empty()
    assert mailq.told("sent ", "tls=mta-sts") and not mailq.told("tested ")


def test_a_policy_that_asks_for_nothing_or_is_too_old_changes_nothing(carried):
    hop, mailq = carried(kept=policy("none"), name="mx.two.test")
    mailq.until_empty()
    assert mailq.told("sent ", "tls=yes") and hop.recipients() == ["bob@one.test"]


def test_a_policy_tells_enough_for_mail_that_requires_tls(carried, zone, tmp_path):
    zone.unproven.add("MX")
    hop, mailq = carried(kept=policy(), requiretls="yes")
    mailq.until_empty()
    assert ["REQUIRETLS" in mail[3] for mail in hop.mails] == [True]


def test_without_a_policy_such_mail_comes_back(carried, zone, tmp_path):
    zone.unproven.add("MX")
    hop, mailq = carried(kept=policy("testing"), requiretls="yes")
    mailq.until_empty()
    assert hop.mails == [] and b"Status: 5.7.30" in inbox(tmp_path)[0]


def test_mailq_fetches_what_it_needs_within_its_sandbox(carried, zone, tmp_path, authority):
    try:
        socket.create_server((WEB, 443)).close()
    except OSError as error:
        machine.unavailable(f"{WEB} has no port 443 for us: {error.strerror}")
    web = Web(tmp_path, authority, at=WEB, port=443)
    web.say(policy())
    zone.records["mta-sts.one.test", "A"] = [WEB]
    with web.serving:
        _, mailq = carried()
        mailq.until_empty()
    assert mailq.told("sent ", "tls=mta-sts") and mailq.told("start ", "sandbox=") and not mailq.told("warning ")
    assert Policies(mailq.path).get("one.test").text == policy().encode()


def test_no_tls_and_policies_do_not_go_together(tmp_path, zone):
    mailq = Mailq(tmp_path, f"--resolver={zone.place}", "--mta-sts=yes")
    done = mailq.run("--starttls=no", "--check")
    assert done.returncode != 0 and "--starttls=no" in done.stderr
    mailq.end()
