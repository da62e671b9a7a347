"""MTA-STS: records and policies, by the grammar and the examples of RFC 8461."""

import pytest

from daemons.wire.stsrecords import ENFORCE, NONE, OLDEST, TESTING, identity, is_name, parse

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize("text, id", [
    (b"v=STSv1; id=20160831085700Z;", "20160831085700Z"), (b"v=STSv1;id=1", "1"), (b"v=STSv1 ; a=b; id=x ;", "x"),
    (b"v=STSv1; id=" + b"9" * 32, "9" * 32), (b"v=STSv1; id=" + b"9" * 33, None), (b"v=STSv1; id=a-b", None),
    (b"v=STSv1; id=", None), (b"v=STSv1;", None), (b"v=STSv1", None), (b"v=STSv2; id=1", None),
    (b"id=1; v=STSv1", None), (b"v=STSv1; id=\xb2", None), (b"", None)])
def test_ids(text, id):
    assert identity([text]) == id


def test_one_record_is_meant_among_others_and_of_two_none():
    assert identity([b"v=spf1 -all", b"v=STSv1; id=1"]) == "1"
    assert identity([b"v=STSv1; id=1", b"v=STSv1; id=1"]) is None
    assert identity([]) is None


@pytest.mark.parametrize("octets", [POLICY, POLICY.replace(b"\r", b""), POLICY.replace(b": ", b":\t "),
                                    b"comment: x\n" + POLICY + b"mode: none\nmax_age: 1\n"])
def test_a_policy(octets):
    policy = parse(octets)
    assert (policy.mode, policy.patterns, policy.seconds) == (ENFORCE, ("mail.example.com", "*.example.net"), 604800)


@pytest.mark.parametrize("old, new", [
    (b"STSv1", b"STSv2"), (b"version: STSv1", b""), (b"enforce", b"enforced"), (b"mode: enforce", b""),
    (b"604800", b"-1"), (b"604800", b"1e9"), (b"max_age: 604800", b""), (b"mx: mail.example.com", b"mx: *"),
    (b"mail.example", b"mail..example"), (b"mail.example", b"m*.example"), (b"mail.example", b"../example"),
    (b"mail.example", b"*.*.example"), (b"mode", b"no field\nmode"),
    (b"mx: mail.example.com\r\nmx: *.example.net\r\n", b"")])
def test_what_is_no_policy(old, new):
    assert old in POLICY
    with pytest.raises(ValueError):
        parse(POLICY.replace(old, new))


def test_other_modes_and_the_longest_age():
    assert parse(b"version: STSv1\nmode: none\nmax_age: 99999999999\n").seconds == OLDEST
    assert parse(b"version: STSv1\nmode: none\nmax_age: 0").mode == NONE
    assert parse(POLICY.replace(b"enforce", b"testing")).mode == TESTING


@pytest.mark.parametrize("host, allowed", [
    ("mail.example.com", True), ("MAIL.example.com.", True), ("www.example.com", False), ("a.mail.example.com", False),
    ("a.example.net", True), ("example.net", False), ("a.b.example.net", False), ("*.example.net", True),
    ("aexample.net", False), ("", False), ("com", False)])
def test_servers(host, allowed):
    assert parse(POLICY).allows(host) is allowed


@pytest.mark.parametrize("text, good", [
    ("example.com", True), ("xn--bcher-kva.example", True), ("a" * 253, True), ("a" * 254, False), ("", False),
    (".", False), ("..", False), ("a..b", False), ("a/b", False), ("A.example", False), ("b\xfccher.example", False),
    ("a.example.", False), ("[192.0.2.1]", False), ("a\n", False)])
def test_names(text, good):
    assert is_name(text) is good
