"""Delivery status notifications: as the standard library reads them, part by part, and as people do."""

import email
import email.header
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.dsn import (
    DELAYED,
    DELIVERED,
    EXPANDED,
    FAILED,
    RELAYED,
    Outcome,
    Report,
    build,
    closing,
    encoded_words,
    needs_utf8,
    opening,
)
from daemons.wire.dsnadvice import ADVICE, UNKNOWN, advice
from daemons.wire.mailaddresses import mailbox

NOW = 1787306400                # Fri, 21 Aug 2026 10:00:00 GMT
HEAD = b"From: fred@example.org\r\nSubject: Hello\r\nMessage-ID: <1@example.org>\r\nDate: today\r\n\r\n"
REFUSED = Outcome("joe@example.net", FAILED, "5.1.1", remote="mail.example.net", diagnostic="550 5.1.1 no such user",
                  attempted=NOW - 60, original=("rfc822", "joe@example.com"))


def report(*outcomes, sender="fred@example.org", **more):
    return Report("mx.example.com", mailbox(sender), outcomes or (REFUSED,), unique="u7", seconds=NOW, offset=120,
                  **more)


def read(data):
    """(the message, its text, its blocks of fields, what is returned), with every line end as it must be."""
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    ours = data.rpartition(b"\r\n--=_u7\r\n")[0]
    assert max(map(len, ours.split(b"\r\n"))) <= 998 and not set(ours) - {9, 10, 13, *range(32, 127), *range(128, 256)}
    message = email.message_from_bytes(data, policy=email.policy.SMTP)
    assert not message.defects and message.get_content_type() == "multipart/report"
    text, status, returned = message.iter_parts()
    assert not any(part.defects for part in message.walk())
    return message, text.get_content().replace("\r\n", "\n"), status.get_payload(), returned


def test_a_mail_that_failed():
    """RFC 3464, 2, and its appendix E.1."""
    one = report(arrival=NOW - 3600, envid="QQ314159")
    message, text, (whole, joe), returned = read(build(one, HEAD + b"body\r\n"))
    assert message["from"] == "Mail Delivery System <MAILER-DAEMON@mx.example.com>"
    assert (message["to"], message["subject"], message["message-id"], message["date"]) == \
        ("fred@example.org", "Not delivered: Hello", "<u7@mx.example.com>", "Fri, 21 Aug 2026 12:00:00 +0200")
    assert (message["auto-submitted"], message["references"]) == ("auto-replied", "<1@example.org>")
    assert message.get_param("report-type") == "delivery-status"
    assert whole.items() == [("Original-Envelope-Id", "QQ314159"), ("Reporting-MTA", "dns; mx.example.com"),
                             ("Arrival-Date", "Fri, 21 Aug 2026 11:00:00 +0200")]
    assert joe.items() == [
        ("Original-Recipient", "rfc822; joe@example.com"), ("Final-Recipient", "rfc822; joe@example.net"),
        ("Action", "failed"), ("Status", "5.1.1"), ("Remote-MTA", "dns; mail.example.net"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 no such user"), ("Last-Attempt-Date", "Fri, 21 Aug 2026 11:59:00 +0200")]
    assert returned.get_content_type() == "text/rfc822-headers" and b"body" not in returned.get_payload(decode=True)
    assert text.split("\n") == [
        "This is the mail server mx.example.com.", "", "Your mail could not be delivered to", "", "<joe@example.net>",
        "    Why: nobody has this address (5.1.1)", "    mail.example.net said: 550 5.1.1 no such user",
        "    What to do: check the address for typing errors, and send the mail", "      again", "",
        "The header of the mail is attached:", "", "    Subject: Hello", "    Date: today",
        "    Message-ID: <1@example.org>", "    Envelope-ID: QQ314159", ""]


def test_the_whole_mail_comes_back_if_it_was_asked_for():
    """RFC 3461, 4.3."""
    assert report().returns_all("FULL") and report().returns_all("full")
    assert not report().returns_all("HDRS") and not report().returns_all(None)
    assert not report(Outcome("a@x", DELAYED, "4.0.0")).returns_all("FULL")
    *_, returned = read(build(report(), HEAD + b"body\n.\n", full=True))
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_content().get_content().replace("\r\n", "\n") == "body\n.\n"


def test_a_mail_that_is_late():
    late = Outcome("joe@example.net", DELAYED, "4.4.1", attempted=NOW, until=NOW + 86400)
    message, text, (_, joe), _ = read(build(report(late), HEAD))
    assert message["subject"] == "Delayed, still trying: Hello"
    assert (joe["action"], joe["status"], joe["will-retry-until"]) == \
        ("delayed", "4.4.1", "Sat, 22 Aug 2026 12:00:00 +0200")
    assert "could not be delivered yet to" in text
    assert "We go on trying until Sat, 22 Aug 2026 12:00:00 +0200" in text.replace("\n     ", "")


@pytest.mark.parametrize("action, words", [(DELIVERED, "was delivered to"), (RELAYED, "was passed on"),
                                           (EXPANDED, "was delivered to a list")])
def test_a_mail_that_arrived(action, words):
    message, text, (_, joe), _ = read(build(report(Outcome("joe@example.net", action, "2.0.0")), HEAD))
    assert message["subject"] == "Delivered: Hello" and joe["action"] == action and words in text
    assert "What to do" not in text and "Why" not in text


def test_several_recipients():
    done = [Outcome("a@x", DELIVERED, "2.0.0"), Outcome("b@x", FAILED, "5.2.2", why="no room for 3 days"),
            Outcome("c@x", DELAYED, "4.2.0", diagnostic="451 later")]
    message, text, blocks, _ = read(build(report(*done), HEAD))
    assert message["subject"].startswith("Not delivered") and [one["action"] for one in blocks[1:]] == \
        ["delivered", "failed", "delayed"]
    assert "Why: no room for 3 days (5.2.2)" in text and "The other server said: 451 later" in text


@pytest.mark.parametrize("raw, subject", [
    ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"), ("Grüße 用户", "Grüße 用户"),
    ("=?iso-8859-1?q?Gr=FC=DFe?= aus", "Grüße aus"),
    ("=?x-unknown?q?abc?=", "=?x-unknown?q?abc?="), ("=?utf-8?b?!!!?=", None), ("a\x1b[2Jb", "a [2Jb"), ("", ""),
    ("=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x"), ("ü" * 500, "ü" * 200), ("x" * 3000, "x" * 200),
])
def test_subjects_are_told_in_any_language(raw, subject):
    """RFC 2047."""
    data = build(report(), f"Subject: {raw}\n\n".encode())
    message, text, *_ = read(data)
    told = message["subject"]
    assert data.partition(b"\r\n\r\n")[0].isascii() and "bcc" not in message
    if subject is not None:
        assert told == f"Not delivered{': ' if subject else ''}{subject}"
        assert f"Subject: {subject}" in text.replace("\n      ", " ") or not subject


def test_addresses_that_are_not_ascii():
    """RFC 6533, 3 and 4."""
    one = report(Outcome("jürgen@xn--tda.example", FAILED, "5.6.7", original=("utf-8", "jürgen@ü.example")),
                 sender="Grüße@x.example")
    data = build(one, HEAD)
    _, text, (_, fields), returned = read(data)
    assert fields["final-recipient"] == "utf-8; j\\x{FC}rgen@xn--tda.example"
    assert fields["original-recipient"] == "utf-8; j\\x{FC}rgen@\\x{FC}.example"
    assert "<jürgen@xn--tda.example>" in text and "To: <Grüße@x.example>\r\n".encode() in data
    assert needs_utf8(one, HEAD) and not needs_utf8(report(), HEAD) and needs_utf8(report(), "A: ü\r\n\r\n".encode())
    assert not needs_utf8(report(), b"A: \xff\r\n\r\n") and returned.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("original, full, kind, encoding", [
    (HEAD + b"x", True, "message/rfc822", "7bit"), (HEAD + "ü".encode(), True, "message/rfc822", "8bit"),
    (HEAD + "ü".encode(), False, "text/rfc822-headers", "7bit"),
    (b"A: \xff\r\n\r\n", False, "text/rfc822-headers", "8bit"),
    ("A: ü\r\n\r\n".encode(), False, "message/global-headers", "8bit"),
    ("A: ü\r\n\r\nx".encode(), True, "message/global", "8bit"),
])
def test_what_is_returned_is_named_for_what_it_is(original, full, kind, encoding):
    data = build(report(), original, full=full)
    message, *_, returned = read(data)
    assert (returned.get_content_type(), returned["content-transfer-encoding"]) == (kind, encoding)
    assert message["content-transfer-encoding"] == encoding and data.isascii() is (encoding == "7bit")


def test_it_can_be_built_around_a_mail_that_is_not_in_memory():
    one = report()
    assert opening(one, HEAD, full=True, eight_bit=False) + HEAD + b"body\r\n" + closing(one) == \
        build(one, HEAD + b"body\n", full=True)


@given(st.text(max_size=1500), st.text(max_size=40), st.text(max_size=120), st.binary(max_size=60))
def test_nothing_breaks_out_of_its_place(diagnostic, remote, why, head):
    outcome = Outcome("joe@example.net", FAILED, "5.0.0", diagnostic=diagnostic, remote=remote, why=why)
    subject = head.replace(b"\r", b"").replace(b"\n", b"")
    data = build(report(outcome, envid=remote), b"Subject: " + subject + b"\r\n\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    before, *parts, after = data.split(b"--=_u7")
    assert len(parts) == 3 and after == b"--\r\n" and before.count(b"\nSubject:") == before.count(b"\nTo:") == 1
    fields = parts[1].partition(b"\r\n\r\n")[2]
    assert fields.isascii() and fields.count(b"\nAction:") == 1 and fields.count(b"\r\n\r\n") == 2


@given(st.text(max_size=300))
def test_encoded_words(text):
    """RFC 2047, 2: 75 characters each; 5: no character in two of them."""
    words = encoded_words(text)
    assert all(len(word) <= 75 and word.isascii() for word in words)
    decoded = [email.header.decode_header(word)[0][0].decode() for word in words]
    assert "".join(decoded) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("status, row", [("5.1.1", "1.1"), ("4.1.99", "1"), ("5.7.26", "7.26"), ("5.7.999", "7")])
def test_advice(status, row):
    assert advice(status) == ADVICE[row]


@pytest.mark.parametrize("status", ["5.0.0", "5.9.9", "", "x", "5"])
def test_there_is_always_some_advice(status):
    assert advice(status) == UNKNOWN and all(UNKNOWN)


def test_the_advice_is_short_and_plain():
    for why, what in [*ADVICE.values(), UNKNOWN]:
        assert why.isascii() and what.isascii() and len(why) < 90 and len(what) < 130 and not what.endswith(".")
