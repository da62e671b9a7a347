"""Fields that a server writes: each by its grammar, and nothing that a peer says breaks out of its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.mailaddresses import mailbox
from daemons.wire.mailheaders import date, parse, was_delivered_to, without_comments
from daemons.wire.tracefields import (
    Finding,
    authentication_results,
    claims_to_be,
    completion,
    date_time,
    delivered_to,
    protocol,
    received,
    return_path,
)

NOW = 1787306400                # Fri, 21 Aug 2026 10:00:00 GMT
FACTS = {"server": "mx.example.com", "with_": "ESMTPS", "id": "4XyZ12abc", "seconds": NOW, "offset": 120}


@pytest.mark.parametrize("arguments, text", [
    ((NOW, 120), "Fri, 21 Aug 2026 12:00:00 +0200"), ((NOW,), "Fri, 21 Aug 2026 10:00:00 +0000"),
    ((NOW, -210), "Fri, 21 Aug 2026 06:30:00 -0330"), ((0.9, 0), "Thu, 1 Jan 1970 00:00:00 +0000"),
    ((0, -60), "Wed, 31 Dec 1969 23:00:00 -0100"),
])
def test_dates(arguments, text):
    """RFC 5322, 3.3."""
    assert date_time(*arguments) == text and date(text) == int(arguments[0])


@pytest.mark.parametrize("arguments", [(-1e11,), (1e12,), (0, 1440), (0, -1440)])
def test_what_is_no_date_of_a_mail(arguments):
    with pytest.raises(ValueError, match="no date of a mail"):
        date_time(*arguments)


@pytest.mark.parametrize("facts, name", [
    ({"extended": False}, "SMTP"), ({}, "ESMTP"), ({"tls": True}, "ESMTPS"), ({"login": True}, "ESMTPA"),
    ({"tls": True, "login": True}, "ESMTPSA"), ({"lmtp": True}, "LMTP"), ({"lmtp": True, "tls": True}, "LMTPS"),
    ({"lmtp": True, "tls": True, "login": True}, "LMTPSA"), ({"utf8": True}, "UTF8SMTP"),
    ({"utf8": True, "tls": True, "login": True}, "UTF8SMTPSA"), ({"utf8": True, "lmtp": True}, "UTF8LMTP"),
    ({"lmtp": True, "extended": False}, "LMTP"),
])
def test_names_of_protocols(facts, name):
    """RFC 3848; RFC 6531, 4.3."""
    assert protocol(**facts) == name


def test_received():
    """RFC 5321, 4.4."""
    assert received(helo="client.example.org", address="192.0.2.1", client="client.example.org",
                    tls="TLSv1.3 TLS_AES_256_GCM_SHA384", recipients=[mailbox("joe@example.com")], **FACTS) == (
        b"Received: from client.example.org (client.example.org [192.0.2.1])\r\n"
        b"\tby mx.example.com with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid 4XyZ12abc for <joe@example.com>; Fri, 21 Aug 2026 12:00:00 +0200\r\n")


@pytest.mark.parametrize("facts, start", [
    ({"helo": "[192.0.2.1]", "address": "192.0.2.1"}, "from [192.0.2.1] ([192.0.2.1]) by mx"),
    ({"helo": "x.org", "address": "2001:db8::1"}, "from x.org ([IPv6:2001:db8::1]) by mx"),
    ({"helo": "not!a(name", "address": "192.0.2.1"}, "from [192.0.2.1] (helo=not!a\\(name [192.0.2.1]) by mx"),
    ({"helo": "x)", "address": "::1", "client": "y"}, "from [IPv6:::1] (helo=x\\) y [IPv6:::1]) by mx"),
    ({"helo": "localhost"}, "from localhost by mx"), ({"helo": "!"}, "from localhost (helo=!) by mx"), ({}, "by mx"),
    ({"helo": "x\r\nY: z"}, "from localhost (helo=x\\\\r\\\\nY: z) by mx"),
])
def test_where_it_came_from(facts, start):
    assert parse(received(**facts, **FACTS)).get("received").replace("\t", " ").startswith(start)


def test_several_recipients_are_not_told_of_each_other():
    """RFC 5321, 7.2."""
    both = [mailbox("a@x"), mailbox("b@x")]
    assert b" for " not in received(recipients=both, **FACTS)
    assert b" for <a@x>;" in received(recipients=both[:1], **FACTS)
    assert b"id 4XyZ12abc;" in received(**FACTS)


@given(st.text(max_size=300), st.text(max_size=300))
def test_nothing_breaks_out_of_received(helo, tls):
    data = received(helo=helo, tls=tls, address="192.0.2.1", **FACTS)
    fields = parse(data)
    assert data.endswith(b"\r\n") and data.isascii() and data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    assert [row.name for row in fields] == ["received"] and max(map(len, data.split(b"\r\n"))) < 998
    plain = without_comments(fields.get("received").replace("\t", " "))
    assert " by mx.example.com " in plain and plain.count(";") == 1


def test_small_fields():
    assert return_path(mailbox("A@x")) == b"Return-Path: <A@x>\r\n" and return_path(None) == b"Return-Path: <>\r\n"
    assert delivered_to(mailbox('"a b"@X')) == b'Delivered-To: "a b"@x\r\n'
    assert was_delivered_to(parse(delivered_to(mailbox("Jü@x"))), mailbox("jü@X"))


def test_authentication_results():
    """RFC 8601, appendix B."""
    assert authentication_results("example.org", []) == b"Authentication-Results: example.org; none\r\n"
    assert authentication_results("example.com", [
        Finding("auth", "pass", {"smtp.auth": "sender@example.net"}),
        Finding("spf", "pass", {"smtp.mailfrom": "example.net"}),
    ]) == (b"Authentication-Results: example.com; auth=pass smtp.auth=sender@example.net;\r\n"
           b"\tspf=pass smtp.mailfrom=example.net\r\n")
    assert authentication_results("example.com", [
        Finding("dkim", "fail", {"header.i": "@x.net", "header.b": "a+b/c", "smtp.mailfrom": '"a b"@x'}, 'a "bad" key'),
        Finding("iprev", "pass", {"policy.iprev": "2001:db8::1"}),
    ]) == (b'Authentication-Results: example.com; dkim=fail reason="a \\"bad\\" key"\r\n'
           b'\theader.i=@x.net header.b="a+b/c" smtp.mailfrom="\\"a b\\"@x"; iprev=pass\r\n'
           b'\tpolicy.iprev="2001:db8::1"\r\n')


@given(st.text(max_size=50), st.text(max_size=50))
def test_nothing_breaks_out_of_a_finding(reason, value):
    data = authentication_results("x", [Finding("dkim", "fail", {"header.i": value}, reason)])
    (field,) = parse(data)
    assert data.isascii() and data.count(b"\n") == 1 + data.count(b"\r\n\t") and claims_to_be(field, "x")
    unquoted = field.value.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    assert sum(part.count(";") for part in unquoted) == 1


@pytest.mark.parametrize("line, is_ours", [
    (b"Authentication-Results: mx.example.com; spf=pass", True), (b"Authentication-results:MX.Example.COM 1; x", True),
    (b"Authentication-Results: (x) mx.example.com (y); none", True), (b"Authentication-Results: mx.example.com", True),
    (b'Authentication-Results: "mx.example.com"; none', True), (b"Authentication-Results:\r\n mx.example.com;", True),
    (b"Authentication-Results : mx.example.com; none", True), (b"Authentication-Results: (mx.example.com; none", True),
    (b"Authentication-Results: example.com; none", False), (b"Authentication-Results: mx.example.com.evil; x", False),
    (b"Authentication-Results: x; mx.example.com", False), (b"X-Authentication-Results: mx.example.com; x", False),
    (b"Authentication-Results: \xff; none", False),
])
def test_forged_results(line, is_ours):
    """RFC 8601, 5."""
    (field,) = parse(line)
    assert claims_to_be(field, "mx.example.com") is is_ours


@pytest.mark.parametrize("block, missing", [
    (b"From: a@x\r\n", ["date", "message-id"]), (b"Date: x\r\n", ["message-id"]), (b"Message-ID: <a@b>\r\n", ["date"]),
    (b"Date: x\r\nMESSAGE-id: <a@b>\r\n", []), (b"Resent-From: a@x\r\n", ["resent-date"]),
    (b"Resent-Date: x\r\n", []),
])
def test_what_a_client_left_out(block, missing):
    """RFC 6409, 8.2 and 8.3."""
    added = parse(completion(parse(block), server="mx.example.com", unique="u1", seconds=NOW, offset=120))
    assert [row.name for row in added] == missing
    assert added.get("message-id") in (None, "<u1@mx.example.com>")
    assert added.get("date") in (None, "Fri, 21 Aug 2026 12:00:00 +0200")
