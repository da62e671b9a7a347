"""DMARC records, and the walk up the tree of names, by the examples of RFC 9989 and RFC 7489."""

import pytest

from daemons.wire import dmarcrecords
from daemons.wire.dmarcrecords import NONE, QUARANTINE, REJECT, Record, parse


def record(text):
    return parse([text.encode()])


@pytest.mark.parametrize("text", ["", "v=spf1 -all", "v=DMARC2; p=none", "v=dmarc1; p=none", "p=none; v=DMARC1",
                                  "v=DMARC1x; p=none"])
def test_what_is_no_record(text):
    assert record(text) is None


def test_two_records_are_none():
    assert parse([b"v=DMARC1; p=reject", b"v=DMARC1; p=none"]) is None
    assert parse([b"something else", b"v=DMARC1; p=reject"]).policy == REJECT


@pytest.mark.parametrize("text, policy, below, missing", [
    ("v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com", NONE, NONE, NONE),
    ("v=DMARC1;p=quarantine", QUARANTINE, QUARANTINE, QUARANTINE),
    ("v = DMARC1 ; P = Reject ;", REJECT, REJECT, REJECT),
    ("v=DMARC1; p=reject; sp=none", REJECT, NONE, NONE), ("v=DMARC1; p=none; np=reject", NONE, NONE, REJECT),
    ("v=DMARC1; p=reject; sp=what", REJECT, REJECT, REJECT), ("v=DMARC1; p=what; rua=mailto:a@b.c", NONE, NONE, NONE),
    ("v=DMARC1", NONE, NONE, NONE), ("v=DMARC1; p=reject; p=none", REJECT, REJECT, REJECT),
    ("v=DMARC1; p=reject; \xff=\x00; ==;;", REJECT, REJECT, REJECT)])
def test_policies(text, policy, below, missing):
    found = record(text)
    assert (found.policy, found.below, found.missing) == (policy, below, missing)
    assert (found.wanted(True), found.wanted(False), found.wanted(False, exists=False)) == (policy, below, missing)


def test_modes():
    found = record("v=DMARC1; p=none; adkim=s; aspf=R")
    assert found.strict_dkim and not found.strict_spf


@pytest.mark.parametrize("text, draw, wanted", [
    ("v=DMARC1; p=reject; pct=50", 49, REJECT), ("v=DMARC1; p=reject; pct=50", 50, QUARANTINE),
    ("v=DMARC1; p=quarantine; pct=0", 0, NONE), ("v=DMARC1; p=reject; pct=200", 99, REJECT),
    ("v=DMARC1; p=reject; t=y", 0, QUARANTINE), ("v=DMARC1; p=none; t=y; pct=3", 9, NONE)])
def test_for_a_part_of_the_mail(text, draw, wanted):
    assert record(text).wanted(True, draw=draw) == wanted


def test_a_walk_asks_eight_at_most():
    assert dmarcrecords.names("a.mail.example.com") == ["a.mail.example.com", "mail.example.com", "example.com", "com"]
    # RFC 9989, 4.10
    assert dmarcrecords.names("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
        "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com"]
    assert dmarcrecords.names("com") == ["com"]


PLAIN, TOP, END = Record({"p": "reject"}), Record({"p": "none", "psd": "y"}), Record({"p": "none", "psd": "n"})


@pytest.mark.parametrize("domain, found, organization", [
    ("a.mail.example.com", [], "a.mail.example.com"), ("a.mail.example.com", [("example.com", PLAIN)], "example.com"),
    ("a.mail.example.com", [("mail.example.com", PLAIN), ("example.com", PLAIN)], "example.com"),
    ("a.mail.example.com", [("mail.example.com", PLAIN), ("com", TOP)], "example.com"),
    ("a.mail.example.com", [("mail.example.com", END)], "mail.example.com"),
    ("bank", [("bank", TOP)], "bank"), ("giant.bank", [("bank", TOP)], "giant.bank"),
    ("mail.giant.bank", [("bank", TOP)], "giant.bank")])
def test_where_an_organization_ends(domain, found, organization):
    assert dmarcrecords.organization(domain, found) == organization


@pytest.mark.parametrize("domain, found, name", [
    ("a.example.com", [], None), ("a.example.com", [("a.example.com", PLAIN), ("example.com", PLAIN)], "a.example.com"),
    ("a.b.example.com", [("b.example.com", PLAIN), ("example.com", PLAIN)], "example.com"),
    ("mail.giant.bank", [("bank", TOP)], "bank")])
def test_whose_record_counts(domain, found, name):
    applying = dmarcrecords.applying(domain, found)
    assert (applying and applying[0]) == name


def test_what_cannot_align():
    assert dmarcrecords.may_align("mail.example.com", "example.com")
    assert dmarcrecords.may_align("example.com", "example.com")
    assert not dmarcrecords.may_align("badexample.com", "example.com")
