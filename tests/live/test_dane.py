"""DANE for SMTP (RFC 7672): servers whose certificates the DNS tells of, or not, before mailq."""

import datetime
import hashlib
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemons.stores.stspolicies import Kept, Policies
from daemons.tools import authority as making
from tests import certificates
from tests.live import machine, mailhops
from tests.live.dnszone import Zone
from tests.live.mailhops import Hop, Mailq
from tests.live.test_mailq import accounts_of

RECORDS = {("one.test", "MX"): ["10 mx.one.test."], ("mx.one.test", "A"): ["127.0.0.1"],
           ("two.test", "MX"): ["10 mx.one.test.", "20 mx.two.test."], ("mx.two.test", "A"): ["127.0.0.1"]}


@pytest.fixture
def zone():
    mailhops.need()
    made = Zone(RECORDS)
    yield made
    made.end()


@pytest.fixture
def authority(tmp_path):
    return certificates.Authority(tmp_path)


def tlsa(usage, selector, matching, certificate):
    """The text of a record that means this certificate."""
    octets = certificate.public_bytes(Encoding.DER) if selector == 0 else certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    data = [bytes, lambda data: hashlib.sha256(data).digest(), lambda data: hashlib.sha512(data).digest()][matching](
        octets)
    return f"{usage} {selector} {matching} {data.hex()}"


def unlike(text):
    """The text of a record that means another certificate."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def selfmade(authority, name="nobody.example", days=-3):
    """(certificate, the pair of its file and the key's): signed by nobody else, and out of date."""
    key = making.make_key()
    now = datetime.datetime.now(datetime.UTC)
    named = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(named).issuer_name(named).public_key(key.public_key()) \
        .serial_number(7).not_valid_before(now - datetime.timedelta(9)) \
        .not_valid_after(now + datetime.timedelta(days)).sign(key, hashes.SHA256())
    return made, (authority.write("selfmade.pem", made), authority.write("selfmade.key", key))


def chained(authority, *names, days=30, shows=None):
    """The pair of files of a server that shows its certificate and the authority's, or `shows`."""
    certificate, key = authority.signed(*names, days=days)
    shown = authority.own if shows is None else shows
    return authority.write("chain.pem", certificate, shown), authority.write("chain.key", key)


@pytest.fixture
def carried(tmp_path, zone):
    """Have mailq carry a mail to a server that shows `pair`, with these TLSA records; the Hop and the Mailq."""
    made = []

    def carry(*options, pair=None, tlsa=(), host="mx.one.test", to="bob@one.test", port=None, **facts):
        hop = Hop(certificate=pair, offers=("DSN", "REQUIRETLS"))
        if tlsa:
            zone.records[f"_{port or hop.port.number}._tcp.{host}", "TLSA"] = list(tlsa)
        zone.tlsa = f"_{hop.port.number}._tcp.{host}", "TLSA"
        mailq = Mailq(tmp_path, f"--resolver={zone.place}", f"--port={hop.port.number}", "--dane=yes",
                      f"--accounts={accounts_of(tmp_path)}", f"--mail={tmp_path}/mail", *options)
        made.extend([mailq, hop])
        return hop, mailq, lambda: (mailq.put(to, **facts), mailq.start())
    yield carry
    for one in reversed(made):
        one.end()


def sent(carried, *options, **how):
    """The word of `sent` for what a server was proven by."""
    hop, mailq, start = carried(*options, **how)
    start()
    mailq.until_empty()
    line, = mailq.told("sent ")
    assert len(hop.mails) == 1
    return line.rpartition(" tls=")[2]


def deferred(carried, *words, **how):
    """The mail waits, and nothing of it was told to the server."""
    hop, mailq, start = carried(**how)
    start()
    mailq.until("deferred ", *words)
    assert hop.mails == [] and not mailq.told("bounced ")
    return hop, mailq


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_a_servers_own_certificate_whatever_it_says_of_itself(carried, authority, selector, matching):
    certificate, pair = selfmade(authority)
    assert sent(carried, pair=pair, tlsa=[tlsa(3, selector, matching, certificate)]) == "dane"


def test_one_record_of_several_is_enough(carried, authority):
    certificate, pair = selfmade(authority)
    right = tlsa(3, 1, 1, certificate)
    assert sent(carried, pair=pair, tlsa=[unlike(right), right, "0 0 1 " + "00" * 32]) == "dane"


@pytest.mark.parametrize("selector", [0, 1])
def test_another_certificate_makes_mail_wait(carried, authority, selector):
    certificate, pair = selfmade(authority)
    deferred(carried, "4.7.5", "no TLSA record is for its certificate", "DANE wants it", pair=pair,
             tlsa=[unlike(tlsa(3, selector, 1, certificate))])


def test_a_good_certificate_of_an_authority_that_everybody_trusts_is_not_enough(carried, authority):
    pair = authority.pair("mx.one.test")
    deferred(carried, "no TLSA record", pair=pair, tlsa=["3 1 1 " + "00" * 32])


def test_without_tls_it_waits(carried):
    deferred(carried, "4.7.4", "DANE wants it", tlsa=["3 1 1 " + "00" * 32])


@pytest.mark.parametrize("records", [
    ["0 1 1 " + "00" * 32, "1 1 1 " + "00" * 32], ["2 9 1 " + "00" * 32], ["3 1 9 00"]],
    ids=["usages", "selector", "matching"])
def test_where_no_record_can_be_used_tls_is_all(carried, authority, records):
    assert sent(carried, pair=selfmade(authority)[1], tlsa=records) == "yes"


def test_where_no_record_can_be_used_there_must_be_tls(carried):
    deferred(carried, "4.7.4", "DANE wants it", tlsa=["0 1 1 " + "00" * 32])


# -- authorities --


@pytest.mark.parametrize("selector, matching", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)])
def test_an_authority_that_the_dns_tells_of(carried, authority, selector, matching):
    assert sent(carried, pair=chained(authority, "mx.one.test"),
                tlsa=[tlsa(2, selector, matching, authority.own)]) == "dane"


def test_an_authority_below_another_that_is_not_known(carried, authority):
    top, own, key = making.make_key(), making.make_key(), making.make_key()
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "the middle")])
    middle = x509.CertificateBuilder().subject_name(name).issuer_name(x509.Name([])) \
        .public_key(own.public_key()).serial_number(8).not_valid_before(now - datetime.timedelta(9)) \
        .not_valid_after(now + datetime.timedelta(9)) \
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(top, hashes.SHA256())
    leaf = making.sign(middle, own, key.public_key(), ["mx.one.test"], 9)
    assert sent(carried, tlsa=[tlsa(2, 0, 1, middle)],
                pair=(authority.write("leaf.pem", leaf, middle), authority.write("leaf.key", key))) == "dane"


def test_the_name_may_be_the_domain(carried, authority):
    assert sent(carried, pair=chained(authority, "one.test"), tlsa=[tlsa(2, 1, 1, authority.own)]) == "dane"


def test_several_mails_and_recipients_after_two_calls(carried, authority):
    hop, mailq, start = carried(pair=chained(authority, "*.one.test"), tlsa=[tlsa(2, 1, 1, authority.own)])
    for number in range(3):
        mailq.put(f"ann{number}@one.test")
    start()
    mailq.until_empty()
    assert len(hop.mails) == 4 and len(mailq.told("sent ", "tls=dane")) == 4


def test_an_authoritys_certificate_for_another_name(carried, authority):
    deferred(carried, "its certificate is for mx.two.test", "DANE wants it", pair=chained(authority, "mx.two.test"),
             tlsa=[tlsa(2, 1, 1, authority.own)])


def test_a_certificate_of_another_authority_that_shows_the_right_one_as_well(carried, authority, tmp_path):
    other = certificates.Authority(tmp_path, "other")
    deferred(carried, "certificate verify failed", pair=chained(other, "mx.one.test", shows=authority.own),
             tlsa=[tlsa(2, 1, 1, authority.own)])


def test_a_certificate_that_has_expired(carried, authority):
    key = making.make_key()
    now = datetime.datetime.now(datetime.UTC)
    old = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(authority.own.subject) \
        .public_key(key.public_key()).serial_number(9).not_valid_before(making.span(authority.own)[0]) \
        .not_valid_after(now - datetime.timedelta(seconds=60)) \
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.one.test")]), False) \
        .sign(authority.key, hashes.SHA256())
    deferred(carried, "certificate has expired", tlsa=[tlsa(2, 1, 1, authority.own)],
             pair=(authority.write("old.pem", old, authority.own), authority.write("old.key", key)))


def test_an_authority_that_may_sign_nothing(carried, authority):
    middle, middle_key = authority.signed("middle.test")            # a server's certificate, not an authority's
    key = making.make_key()
    forged = making.sign(middle, middle_key, key.public_key(), ["mx.one.test"], 9)
    deferred(carried, "certificate verify failed", tlsa=[tlsa(2, 1, 1, middle)],
             pair=(authority.write("forged.pem", forged, middle), authority.write("forged.key", key)))


def test_usage_2_does_not_mean_the_servers_own(carried, authority):
    certificate, pair = selfmade(authority, "mx.one.test", days=9)
    deferred(carried, "no TLSA record", pair=pair, tlsa=[tlsa(2, 1, 1, certificate)])


def test_usage_3_does_not_mean_an_authority(carried, authority):
    deferred(carried, "no TLSA record", pair=chained(authority, "mx.one.test"), tlsa=[tlsa(3, 1, 1, authority.own)])


# -- the DNS --


def test_where_the_records_cannot_be_looked_up_mail_waits(carried, zone):
    hop, mailq, start = carried()
    zone.broken.add(zone.tlsa)
    start()
    mailq.until("deferred ", "4.4.3", "TLSA")
    assert hop.sessions == []


def test_such_a_server_is_left_out(carried, zone):
    _, mailq, start = carried(to="bob@two.test")
    zone.broken.add(zone.tlsa)
    start()
    mailq.until_empty()
    assert mailq.told("sent ", "host=\"mx.two.test")


@pytest.mark.parametrize("unproven", [("one.test", "MX"), ("mx.one.test", "A"), ("mx.one.test", "AAAA"), "TLSA"])
def test_what_dnssec_does_not_prove_counts_for_nothing(carried, authority, zone, unproven):
    zone.unproven.add(unproven)
    assert sent(carried, pair=selfmade(authority)[1], tlsa=["3 1 1 " + "00" * 32]) == "yes"


def test_who_stops_one_answer_switches_nothing_off(carried, authority, zone):
    zone.broken.add(("mx.one.test", "AAAA"))
    deferred(carried, "no TLSA record", pair=selfmade(authority)[1], tlsa=["3 1 1 " + "00" * 32])


def test_a_server_without_records_is_as_ever(carried, authority):
    assert sent(carried) == "no"


def test_without_records_our_own_wish_counts(carried, authority):
    assert sent(carried, "--starttls=must", f"--starttls-ca={authority.path}",
                pair=authority.pair("mx.one.test")) == "pkix"


def test_the_records_of_another_port_are_not_meant(carried, authority):
    assert sent(carried, pair=selfmade(authority)[1], tlsa=["3 1 1 " + "00" * 32], port=26) == "yes"


def test_a_name_that_stands_for_another_has_that_ones_records(carried, authority, zone):
    zone.records["mx.one.test", "CNAME"] = ["mx.three.test."]
    zone.records["mx.three.test", "A"] = zone.records.pop(("mx.one.test", "A"))
    deferred(carried, "no TLSA record", pair=selfmade(authority)[1], tlsa=["3 1 1 " + "00" * 32], host="mx.three.test")


# -- with others --


def policy(mailq, *servers):
    """Have the queue keep a policy of one.test that is enforced."""
    text = "".join(f"{line}\n" for line in ("version: STSv1", "mode: enforce", *(f"mx: {one}" for one in servers),
                                            "max_age: 600"))
    now = int(time.time())
    Policies(mailq.path).put("one.test", Kept("0", now, 0, now + 600, text.encode()))


def test_records_come_before_policies(carried, authority):
    certificate, pair = selfmade(authority)
    _, mailq, start = carried("--mta-sts=yes", pair=pair, tlsa=[tlsa(3, 1, 1, certificate)])
    policy(mailq, "elsewhere.test")
    start()
    mailq.until_empty()
    assert mailq.told("sent ", "tls=dane")


def test_records_that_cannot_be_used_leave_a_policy_as_it_is(carried, authority):
    _, mailq, start = carried("--mta-sts=yes", pair=selfmade(authority)[1], tlsa=["0 1 1 " + "00" * 32])
    policy(mailq, "mx.one.test")
    start()
    mailq.until("deferred ", "certificate verify failed", "MTA-STS")


@pytest.mark.parametrize("records, goes", [(3, True), (0, False)])
def test_it_proves_enough_for_mail_that_requires_tls(carried, authority, records, goes):
    certificate, pair = selfmade(authority)
    hop, mailq, start = carried(pair=pair, tlsa=[tlsa(records, 1, 1, certificate)], requiretls="yes")
    start()
    if goes:
        mailq.until_empty()
    else:
        mailq.until("deferred ", "4.7.5")
    assert ["REQUIRETLS" in mail[3] for mail in hop.mails] == [True] * goes


def test_any_certificate_is_not_proof_for_a_mail_that_comes_next(carried, authority):
    hop, mailq, _ = carried(pair=selfmade(authority)[1], tlsa=["0 1 1 " + "00" * 32])
    mailq.put("bob@one.test")           # this one first
    mailq.put("ann@one.test", requiretls="yes")
    mailq.start()
    mailq.until("deferred ", "to=ann@one.test", "4.7.5")
    machine.until(lambda: hop.recipients() == ["bob@one.test"], what="the other one")


def test_relays_are_not_asked_about(carried, authority, zone, tmp_path):
    hop, mailq, start = carried(pair=selfmade(authority)[1], tlsa=["3 1 1 " + "00" * 32])
    mailq.options += (f"--smarthost=mx.one.test:{hop.port.number}",)
    start()
    mailq.until_empty()
    assert mailq.told("sent ", "tls=yes") and not [key for key in zone.asked if key[1] == "TLSA"]
