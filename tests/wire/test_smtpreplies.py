"""Replies of SMTP: no words of anybody's make two of one, and what servers say is understood or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import commands
from daemons.wire.smtpreplies import LINE, MOST, Malformed, Reader, Refused, build, is_enhanced, plain


@pytest.mark.parametrize("arguments, octets", [
    ((250, "2.1.0", "sender ok"), b"250 2.1.0 sender ok\r\n"),
    ((220, "", "mx.example.org ESMTP"), b"220 mx.example.org ESMTP\r\n"),
    ((250, "", "mx.example.org", "PIPELINING", "SIZE 10"), b"250-mx.example.org\r\n250-PIPELINING\r\n250 SIZE 10\r\n"),
    # RFC 2034, 4: in each line of a reply
    ((550, "5.7.1", "no", "relaying"), b"550-5.7.1 no\r\n550 5.7.1 relaying\r\n"),
    ((354, ""), b"354\r\n"), ((250, "2.0.0"), b"250 2.0.0\r\n"), ((250, "2.0.0", ""), b"250 2.0.0\r\n"),
    ((501, "5.1.3", "a\r\n250 b\0\x7f"), b"501 5.1.3 a\\r\\n250 b\\x00\\x7f\r\n"),
    ((501, "5.1.3", "j\u00fc\u20ac\ud800"), b"501 5.1.3 j\\xfc\\u20ac\\ud800\r\n"),
])
def test_what_is_said(arguments, octets):
    assert build(*arguments) == octets


def test_a_code_of_another_class_is_a_defect():
    with pytest.raises(ValueError, match=r"250 with 5\.1\.1"):
        build(250, "5.1.1", "x")


@given(st.sampled_from([(250, "2.0.0"), (550, "5.1.1"), (354, "")]), st.lists(st.text(max_size=1500), max_size=4))
def test_whatever_is_said_is_one_reply(codes, texts):
    """RFC 5321, 4.2 and 4.5.3.1.5."""
    data = build(*codes, *texts)
    lines = data.split(b"\r\n")
    assert lines.pop() == b"" and all(len(line) + 2 <= LINE and line.isascii() for line in lines)
    assert all(min(line) >= 32 and max(line) < 127 for line in lines)
    reader = Reader()
    replies = [reader.line(line) for line in lines[:MOST]]
    assert replies[:-1] == [None] * (len(replies) - 1)
    assert (replies[-1].code, replies[-1].enhanced) == codes


def test_a_long_text_is_cut_at_its_blanks():
    lines = build(550, "5.7.1", "word " * 200).split(b"\r\n")[:-1]
    assert len(lines) == 2 and all(line.endswith(b"word") for line in lines)


def test_a_refusal_is_what_session_refuse_takes():
    refusal = Refused(550, "5.1.1", "no such user")
    assert isinstance(refusal, commands.Refused) and refusal.args == (550, "5.1.1", "no such user")
    assert str(refusal) == "550 5.1.1 no such user"


def hear(*lines):
    reader = Reader()
    heard = [reader.line(line) for line in lines]
    assert heard[:-1] == [None] * (len(heard) - 1)
    return heard[-1]


@pytest.mark.parametrize("lines, code, enhanced, texts", [
    ((b"250 OK",), 250, "", ["OK"]), ((b"250",), 250, "", [""]), ((b"250 ",), 250, "", [""]),
    ((b"250-a", b"250-", b"250 c"), 250, "", ["a", "", "c"]), ((b"250-a", b"250"), 250, "", ["a", ""]),
    ((b"550 5.1.1 no such user",), 550, "5.1.1", ["no such user"]),
    ((b"550-5.1.1 no", b"550 5.1.1 such"), 550, "5.1.1", ["no", "such"]),
    ((b"550 4.1.1 hm",), 550, "", ["4.1.1 hm"]), ((b"550 5.1.1",), 550, "5.1.1", [""]),
    ((b"451 4.7.1\tno",), 451, "", ["4.7.1?no"]), ((b"250 j\xc3\xbc \xff\x1b[2J",), 250, "", ["j\u00fc \\xff?[2J"]),
    ((b"599 5.1000.1 x",), 599, "", ["5.1000.1 x"]),
])
def test_what_servers_say(lines, code, enhanced, texts):
    reply = hear(*lines)
    assert (reply.code, reply.enhanced, reply.lines) == (code, enhanced, texts)


@pytest.mark.parametrize("lines", [
    (b"",), (b"25",), (b"OK",), (b"150 x",), (b"650 x",), (b"250x",), (b"2500",), (b" 250 x",), (b"25\xb2 x",),
    (b"250-a", b"550 b"), (b"250-a", b"b"), (b"250-" + b"x" * 2100,), (b"250-x",) * (MOST + 1), (b"HTTP/1.1 200 OK",),
    (b"250\tx",), (b"-250 x",), (b"+50 x",),
])
def test_what_is_no_reply(lines):
    reader = Reader()
    with pytest.raises(Malformed):
        for line in lines:
            reader.line(line)


def test_the_reader_starts_anew_after_each_reply():
    reader = Reader()
    assert [reader.line(line).code for line in (b"250 a", b"354 b")] == [250, 354]


def test_what_a_reply_means():
    assert hear(b"250 x").done and hear(b"354 x").done and not hear(b"450 x").done
    assert hear(b"450 x").temporary and not hear(b"550 x").temporary and not hear(b"250 x").temporary
    assert (hear(b"450 4.2.2 x").status, hear(b"450 x").status, hear(b"550 x").status) == ("4.2.2", "4.0.0", "5.0.0")
    assert hear(b"550-5.1.1 no", b"550 5.1.1 user").text == "550 5.1.1 no user"


def test_the_keywords_of_ehlo():
    """The example of RFC 5321, 4.1.1.1 with what others send."""
    reply = hear(b"250-foo.com greets bar.com", b"250-8BITMIME", b"250-size 1000", b"250-AUTH=LOGIN PLAIN",
                 b"250-AUTH PLAIN SCRAM-SHA-256", b"250-X-ODD_WORD", b"250--", b"250-", b"250 HELP")
    assert reply.keywords() == {"8BITMIME": [], "SIZE": ["1000"], "AUTH": ["LOGIN", "PLAIN", "SCRAM-SHA-256"],
                                "HELP": []}
    assert hear(b"250 foo.com").keywords() == {}


@given(st.lists(st.binary(max_size=60) | st.binary(max_size=30).map(lambda octets: b"250-" + octets), max_size=8))
def test_any_line_is_a_reply_or_malformed(lines):
    reader = Reader()
    try:
        for line in lines:
            reply = reader.line(line)
            if reply:
                assert reply.text.isprintable() and isinstance(reply.keywords(), dict)
    except Malformed as error:
        assert str(error)


@pytest.mark.parametrize("word, is_one", [("5.1.1", True), ("2.0.0", True), ("4.999.999", True), ("3.1.1", False),
                                          ("5.1", False), ("5.1.1.1", False), ("5.1.1000", False), ("5..1", False),
                                          ("5.1.\u0661", False), ("", False)])
def test_enhanced_codes(word, is_one):
    """RFC 3463, 2."""
    assert is_enhanced(word) is is_one


@given(st.text())
def test_plain_text_is_printable_ascii(text):
    assert plain(text).isascii() and plain(text).isprintable()
