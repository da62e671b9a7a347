"""Header fields of a mail: the examples of RFC 5322, what spoofers write, and the standard library's words."""

import email.utils

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemons.wire.mailaddresses import mailbox
from daemons.wire.mailheaders import (
    MOST,
    addresses,
    author,
    date,
    hops,
    is_resent,
    message_id,
    parse,
    recipients,
    split,
    was_delivered_to,
    without_comments,
)
from daemons.wire.smtpreplies import Refused


def texts(value):
    return [str(one) for one in addresses(value)]


@pytest.mark.parametrize("block, rows", [
    (b"", []), (b"\r\nbody", []), (b"A: b\r\n\r\nbody: c\r\n", [("a", "b")]),
    (b"A: b\nC:d\n\nx", [("a", "b"), ("c", "d")]), (b"A:\r\n b\r\n", [("a", "b")]), (b"A:", [("a", "")]),
    (b"A: b\r\n c\r\n\td\r\nE: f", [("a", "b c\td"), ("e", "f")]),
    (b"A : b\r\n", [("a", "b")]), (b"A\t :b\r\n", [("a", "b")]),            # RFC 5322, 4.5.8
    (b"From me Mon\r\nA: b\r\n", [("", "From me Mon"), ("a", "b")]), (b" x\r\nA: b\r\n", [("", "x"), ("a", "b")]),
    (b"A: b\r\nno field\r\nC: d\r\n", [("a", "b"), ("", "no field"), ("c", "d")]), (b": b\r\n", [("", ": b")]),
    (b"A b: c\r\n", [("", "A b: c")]), (b"A\xff: c\r\n", [("", "A\udcff: c")]), (b"A:b\n\r\nC:d", [("a", "b")]),
    (b"A: \xff\xc3\xbc\r\n", [("a", "\udcff\xfc")]), (b"A: b\r\n \r\nC: d\r\n", [("a", "b"), ("c", "d")]),
    (b"A: b\rC: d\r\n", [("a", "bC: d")]),
])
def test_fields(block, rows):
    fields = parse(block)
    assert [(row.name, row.value) for row in fields] == rows
    assert block.startswith(b"".join(row.raw for row in fields))


def test_looking_for_fields():
    fields = parse(b"Received: a\r\nTo: x\r\nreceived: b\r\n  c\r\nRECEIVED: d\r\n\r\n")
    assert (fields.get("to"), fields.get("cc"), fields.all("received"), fields.count("received")) == \
        ("x", None, ["a", "b  c", "d"], 3)
    assert hops(fields) == 3 and hops(parse(b"")) == 0
    assert fields.without(lambda row: row.name == "received") == b"To: x\r\n"
    assert fields.without(lambda row: row.value == "x") == b"Received: a\r\nreceived: b\r\n  c\r\nRECEIVED: d\r\n"


def test_there_is_a_limit():
    assert sum(1 for _ in parse(b"A: b\r\n" * MOST)) == MOST
    with pytest.raises(Refused, match=r"554 5\.6\.0"):
        parse(b"A: b\r\n" * (MOST + 1))


@pytest.mark.parametrize("message, parts", [
    (b"A: b\r\n\r\nc\r\n", (b"A: b\r\n\r\n", b"c\r\n")), (b"A: b\n\nc\n\nd", (b"A: b\n\n", b"c\n\nd")),
    (b"\r\nc", (b"\r\n", b"c")), (b"\nc", (b"\n", b"c")), (b"A: b\r\n", (b"A: b\r\n", b"")), (b"", (b"", b"")),
    (b"A: b\r\n\r\nc\n\nd", (b"A: b\r\n\r\n", b"c\n\nd")), (b"A: b\n\nc\r\n\r\nd", (b"A: b\n\n", b"c\r\n\r\nd")),
])
def test_head_and_body(message, parts):
    assert split(message) == parts


@pytest.mark.parametrize("value, found", [
    ("<1234@local.machine.example>", "<1234@local.machine.example>"), ("  <a@b> (x)", "<a@b>"), ("a@b", None),
    ("", None),
    ("<a b@c>", None), ("<a\x01@c>", None), ("><", None),
])
def test_message_id(value, found):
    """RFC 5322, 3.6.4."""
    assert message_id(parse(f"Message-ID: {value}\r\n".encode())) == found
    assert message_id(parse(b"A: b\r\n")) is None


def test_a_mail_that_comes_back_is_known():
    fields = parse("Delivered-To: joe@Example.com\nDelivered-To: Jürgen@x\n\n".encode())
    assert was_delivered_to(fields, mailbox("JOE@example.com")) and was_delivered_to(fields, mailbox("jürgen@x"))
    assert not was_delivered_to(fields, mailbox("joe@example.org"))


@pytest.mark.parametrize("value, found", [
    # RFC 5322, appendix A
    ("John Doe <jdoe@machine.example>", ["jdoe@machine.example"]),
    ('"Joe Q. Public" <john.q.public@example.com>', ["john.q.public@example.com"]),
    ("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
     ["mary@x.test", "jdoe@example.org", "one@y.test"]),
    ('<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>', ["boss@nil.test", "sysservices@example.net"]),
    ("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
     ["c@a.test", "joe@where.test", "jdoe@one.test"]),
    ("Undisclosed recipients:;", []), ("", []), (" , ,", []), ("(comment)", []),
    ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", ["pete@silly.test"]),
    ("A Group(Some people)     :Chris Jones <c@(Chris's host.)public.example>, joe@example.org,",
     ["c@public.example", "joe@example.org"]),
    ("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", []),
    ("Joe Q. Public <john.q.public@example.com>", ["john.q.public@example.com"]),               # A.6.1
    ("Mary Smith <@node.test:mary@example.net>, , jdoe@test . example", ["mary@example.net", "jdoe@test.example"]),
    ("John Doe <jdoe@machine(comment).  example>", ["jdoe@machine.example"]),                   # A.6.3
    ('"a b"@x', ['"a b"@x']), ("a..b@x", ['"a..b"@x']), ('"a"."b"@x', ["a.b@x"]), ("a@[192.0.2.1]", ["a@[192.0.2.1]"]),
    ("a@[IPv6:::1], b@y", ["a@[IPv6:::1]", "b@y"]), ("Jürgen <jü@bücher.de>", ["jü@xn--bcher-kva.de"]),
    ('"<evil@x>" <good@y>', ["good@y"]), ('"a@x, b@y" <c@z>', ["c@z"]), ("g: a@x;, b@y", ["a@x", "b@y"]),
    ("=?utf-8?q?a=40b=2C?= <c@z>", ["c@z"]), ('"a\\\\" <b@y>', ["b@y"]),
])
def test_addresses(value, found):
    assert texts(value) == found


@pytest.mark.parametrize("value", [
    "root", "a b@x", "a@x b@y", "<a@x> <b@y>", "<a@x> b@y", "a@x <b@y>", "<a@x", "a@x>", "<<a@x>>", "<a@x>>", "a@",
    "@x", "<>", "a@b@c", '"a@x', "(a@x", "a@x (", "a@[1.2.3.4", "a@x\0", "a@x..y", "<a@x>, b", "a\\@b@x",
    "@a:b@c <d@e>",
    "<a, b@x>", "x y@z", '"a" b@x', "\udcff@x",
])
def test_addresses_that_are_not_clear(value):
    with pytest.raises(ValueError):
        addresses(value)


@pytest.mark.parametrize("block, found", [
    (b"From: Fred <fred@Example.org>\r\n", "fred@example.org"), (b"from : a@x\r\n", "a@x"),
    (b"From: a@x, b@X\r\nSender: a@x\r\n", "a@x"), (b"From:\r\n =?x?q?y?=\r\n <a@x>\r\n", "a@x"),
])
def test_the_author(block, found):
    """RFC 7489, 6.6.1."""
    assert str(author(parse(block))) == found


@pytest.mark.parametrize("block, why", [
    (b"To: a@x\r\n", "no From field"), (b"From: a@x\r\nFrom: a@y\r\n", "2 From fields"),
    (b"From: a@x\r\nFROM : a@x\r\n", "2 From"), (b"From: a@x, b@y\r\n", "several domains"),
    (b"From: g:;\r\n", "without an address"), (b"From: <a@x> <b@y>\r\n", "two ways"),
    (b"From: root\r\n", "one @"), (b"From: a@x\r\nbroken\r\nFrom: b@y\r\n", "2 From fields"),
    (b"From: bank@good.example <b@y>\r\n", "two ways"),
])
def test_nobody_can_be_held_to_it(block, why):
    with pytest.raises(ValueError, match=why):
        author(parse(block))


def test_recipients():
    fields = parse(b"To: a@x, B <b@y>\nCc: a@x, c@z\nBcc: d@w\nResent: no\n\n")
    assert [str(one) for one in recipients(fields)] == ["a@x", "b@y", "c@z", "d@w"] and not is_resent(fields)
    again = parse(b"Resent-To: e@x\nResent-Bcc: f@x\nTo: a@x\n\n")
    assert [str(one) for one in recipients(again)] == ["e@x", "f@x"] and is_resent(again)      # RFC 5322, 3.6.6


@pytest.mark.parametrize("value, seconds", [
    ("Fri, 21 Nov 1997 09:55:06 -0600", 880127706), ("Tue, 1 Jul 2003 10:52:37 +0200", 1057049557),   # RFC 5322, A
    ("Thu, 13 Feb 1969 23:32 -0330", -27723480), ("Thu,\t13  Feb  1969 23:32 -0330 (Newfoundland Time)", -27723480),
    ("21 Nov 97 09:55:06 GMT", 880106106), ("21 Nov 1997 09:55:06 Z", 880106106),
    ("Fri, 21 Nov (a) 1997 09:55:06 -0600", 880127706),
    ("21 nov 1997 09:55:06 EST", 880124106), ("21 Nov 1997 09:55:06 XYZ", 880106106),
    ("21 Nov 1997 09:55:06", 880106106), ("1 Jan 00 00:00:00 +0000", 946684800),
    ("1 Jan 100 00:00:00 +0000", 946684800),
    ("31 Dec 1998 23:59:60 +0000", 915148800), ("01 Jan 1970 00:00 +0000", 0),
])
def test_dates(value, seconds):
    assert date(value) == seconds


@pytest.mark.parametrize("value", [
    "", "Fri", "21 Nov 1997", "Fri, 32 Nov 1997 09:55:06 -0600", "31 Feb 2000 00:00 +0000", "1 Foo 2000 00:00 +0000",
    "1 Jan 2000 24:00 +0000", "1 Jan 2000 00:60 +0000", "1 Jan 2000 00:00:61 +0000", "1 Jan 2000 00 +0000",
    "1 Jan 2000 0:0:0:0 +0000", "1 Jan 2000 00:00 +00", "1 Jan 2000 00:00 +0060", "1 Jan 2000 00:00 +0000 x",
    "1 Jan 10000 00:00 +0000", "-1 Jan 2000 00:00 +0000", "1 Jan 2000 00:00 +-100", "1 Jan 2000 00:00 (", "1" * 300,
    "\u0661 Jan 2000 00:00 +0000", "1 Jan 2000 00:00 +\u0661000",
])
def test_what_is_no_date(value):
    assert date(value) is None


@given(st.integers(0, 4102444800), st.integers(-14 * 4, 14 * 4))
def test_dates_of_the_standard_library(seconds, quarters):
    moment = email.utils.datetime.datetime.fromtimestamp(
        seconds, email.utils.datetime.timezone(email.utils.datetime.timedelta(minutes=15 * quarters)))
    assert date(email.utils.format_datetime(moment)) == seconds


@pytest.mark.parametrize("value, plain", [("a (b) c", "a   c"), ('"(a)" (b)', '"(a)"'), ("a", "a"), ("(a(b)\\))c", "c"),
                                          ('"a\\"(" (b)c', '"a\\"("  c')])
def test_comments_go(value, plain):
    assert without_comments(value) == plain


pieces = st.lists(st.sampled_from(["a", "b", "@", "<", ">", ",", ":", ";", ".", " ", '"', "\\", "(", ")", "[", "]",
                                   "x.y", "ü", "\0", "1.2.3.4"]) | st.text(max_size=2), max_size=16).map("".join)


@example("a@x,,<b@y>")
@given(pieces)
def test_any_value_is_addresses_or_not(value):
    try:
        found = addresses(value)
    except ValueError as error:
        assert str(error)
    else:
        assert texts(", ".join(map(str, found))) == [str(one) for one in found]
    date(value)


@given(st.lists(st.sampled_from([b"A: b", b"From: a@x", b" c", b"\t", b"x", b":", b"Message-ID: <a@b>", b"\r\n", b"\n",
                                 b"\r", b"\xff"]) | st.binary(max_size=4), max_size=20).map(b"".join))
def test_any_octets_are_fields(block):
    fields = parse(block)
    head, body = split(block)
    assert head + body == block and head.startswith(fields.without(lambda row: False))
    for read in (author, recipients):
        try:
            read(fields)
        except ValueError as error:
            assert str(error)
    assert message_id(fields) in (None, "<a@b>") or message_id(fields).isprintable()
    assert hops(fields) == 0 and is_resent(fields) is False


@given(st.lists(st.tuples(st.text("ab \"',.é<@", max_size=8), st.sampled_from(["a@x.org", '"a b"@y', "a.b@[1.2.3.4]"])),
                min_size=1, max_size=4))
def test_what_the_standard_library_writes(people):
    value = ", ".join(email.utils.formataddr((name, address), "utf-8") for name, address in people)
    assert texts(value) == [address for _, address in people]
