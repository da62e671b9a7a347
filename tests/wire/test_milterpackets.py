"""Packets of the milter protocol: octets as libmilter has them, and answers that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import milterpackets
from daemons.wire.milterpackets import (
    ACCEPT,
    ADDHEADER,
    ADDRCPT,
    ADDRCPT_PAR,
    BODY,
    CHGFROM,
    CHGHEADER,
    CONNECT,
    CONTINUE,
    DATA,
    DELRCPT,
    EOB,
    FULL,
    HEADER,
    HELO,
    INSHEADER,
    LONGEST,
    MAIL,
    RCPT,
    REPLBODY,
    REPLYCODE,
    Malformed,
    Terms,
    agreed,
    begins,
    change,
    connect,
    field,
    header,
    macros,
    offer,
    packet,
    pieces,
    refusal,
    strings,
)
from daemons.wire.smtpreplies import Refused

PLAIN, BLANKS = Terms(6, 0), Terms(6, milterpackets.LEADING_BLANK)


def numbers(*values):
    return b"".join(value.to_bytes(4, "big") for value in values)


# -- what we say --


def test_packets_octet_by_octet():
    assert packet(EOB) == b"\0\0\0\1E"
    assert packet(HELO, strings(b"client.example")) == b"\0\0\0\x10Hclient.example\0"
    # version 6; all actions but quarantine and lists of macros; all steps but refused recipients (mfdef.h)
    assert offer() == b"\0\0\0\x0dO" b"\0\0\0\6" b"\0\0\0\xdf" b"\0\x1f\xf7\xff"
    assert connect("client.example", "192.0.2.7", 41822) == b"client.example\x004\xa3\x5e192.0.2.7\0"
    assert connect("[2001:db8::1]", "2001:db8::1", 25) == b"[2001:db8::1]\x006\0\x192001:db8::1\0"
    assert connect("x", "fe80::1%eth0", 25) == b"x\x006\0\x19fe80::1\0"


def test_macros():
    said = macros(MAIL, {"i": "4-1", "mail_addr": "fred@example.net", "auth_authen": ""})
    assert said == packet(b"D", b"Mi\0004-1\0{mail_addr}\0fred@example.net\0")


def test_a_packet_is_never_too_full():
    assert len(packet(BODY, bytes(FULL))) == FULL + 5
    with pytest.raises(ValueError, match="65535"):
        packet(BODY, bytes(FULL + 1))


def test_a_nul_cannot_end_a_string_before_its_end():
    assert strings(b"a\0b", b"") == b"ab\0\0"


@pytest.mark.parametrize(("raw", "terms", "said"), [
    (b"Subject: hello\r\n", PLAIN, b"Subject\0hello\0"), (b"Subject: hello\r\n", BLANKS, b"Subject\0 hello\0"),
    (b"Subject:hello\r\n", PLAIN, b"Subject\0hello\0"), (b"Subject:\thello\r\n", PLAIN, b"Subject\0\thello\0"),
    (b"Subject:  hello\r\n", PLAIN, b"Subject\0 hello\0"), (b"Subject :hello\r\n", PLAIN, b"Subject\0hello\0"),
    (b"To: a,\r\n\tb,\r\n c\r\n", PLAIN, b"To\0a,\n\tb,\n c\0"), (b"Empty:\r\n", PLAIN, b"Empty\0\0")])
def test_fields_as_filters_see_them(raw, terms, said):
    assert header(raw, terms) == said


def test_a_field_that_is_too_long_is_cut():
    said = header(b"Subject: " + b"x" * 100_000 + b"\r\n", PLAIN)
    assert len(said) == FULL and said.startswith(b"Subject\0xxx") and said.endswith(b"x\0")


@pytest.mark.parametrize(("size", "sizes"), [
    (0, []), (1, [1]), (FULL, [FULL]), (FULL + 1, [FULL, 1]), (2 * FULL, [FULL] * 2), (200_000, [FULL] * 3 + [3395])])
def test_a_body_fills_its_packets(size, sizes):
    assert [len(piece) for piece in pieces([bytes(size)])] == sizes


@given(st.lists(st.binary(max_size=200_000), max_size=4))
def test_a_body_is_the_same_however_it_comes(parts):
    made = list(pieces(iter(parts)))
    assert b"".join(made) == b"".join(parts)
    assert all(len(piece) == FULL for piece in made[:-1]) and all(0 < len(piece) <= FULL for piece in made)


# -- what is agreed on --


def test_what_a_filter_wants_to_hear():
    terms = agreed(numbers(6, 0x11, 0x01 | 0x10 | 0x80))
    assert [kind for kind in (CONNECT, HELO, MAIL, RCPT, DATA, HEADER, BODY, EOB) if not terms.is_told(kind)] == \
        [CONNECT, BODY]
    assert not terms.answers(HEADER) and terms.answers(BODY) and terms.answers(EOB) and not terms.has_blanks
    assert agreed(numbers(6, 0, 0x100000)).has_blanks


def test_older_filters_hear_of_no_data():
    assert not agreed(numbers(2, 0, 0)).is_told(DATA) and not agreed(numbers(3, 0, 0)).is_told(DATA)
    assert agreed(numbers(4, 0, 0)).is_told(DATA) and agreed(numbers(2, 0, 0)).is_told(RCPT)


def test_lists_of_macros_may_follow():
    assert agreed(numbers(6, 0, 0, 0) + b"j {client_addr}\0").version == 6


@pytest.mark.parametrize("data, why", [
    (b"", "too short"), (numbers(6, 0, 0)[:-1], "too short"), (numbers(7, 0, 0), "version 7"),
    (numbers(1, 0, 0), "version 1"), (numbers(0, 0, 0), "version 0"), (numbers(2**32 - 1, 0, 0), "version 4294967295"),
    (numbers(6, 0x2ff, 0), "0x2ff"), (numbers(6, 2**31, 0), "0x80000000")])
def test_what_nobody_agrees_to(data, why):
    with pytest.raises(Malformed, match=why):
        agreed(data)


# -- what a filter says --


def test_how_an_answer_begins():
    assert begins(b"\0\0\0\1c") == (CONTINUE, 0) and begins(b"\0\0\0\1a") == (ACCEPT, 0)
    assert begins(b"\0\0\0\x0dy") == (REPLYCODE, 12) and begins(b"\x7f\xff\xff\xffb") == (REPLBODY, 2**31 - 2)
    assert begins((LONGEST + 1).to_bytes(4, "big") + b"h") == (ADDHEADER, LONGEST)


@pytest.mark.parametrize("five", [
    b"", b"\0\0\0\0c", b"\0\0\0\2c", b"\0\0\0\1C", b"\0\0\0\1f", b"\0\0\0\0014", b"HTTP/", b"220 m",
    (LONGEST + 2).to_bytes(4, "big") + b"h", b"\xff\xff\xff\xffy", b"\0\0\0\1\xff"])
def test_what_is_no_answer(five):
    with pytest.raises(Malformed, match="answer"):
        begins(five)


def test_quarantine_is_not_had():
    assert agreed(numbers(6, 0x1ff, 0)).version == 6        # whatever they claim
    with pytest.raises(Malformed, match="quarantine"):
        begins(b"\0\0\0\6q")


def test_changes():
    assert change(ADDHEADER, b"X-A\0one\0") == (0, [b"X-A", b"one"])
    assert change(CHGHEADER, numbers(2) + b"X-A\0\0") == (2, [b"X-A", b""])
    assert change(INSHEADER, numbers(1) + b"X-A\0one\0") == (1, [b"X-A", b"one"])
    assert change(ADDRCPT, b"<a@b>\0") == (0, [b"<a@b>"]) and change(DELRCPT, b"<a@b>\0") == (0, [b"<a@b>"])
    assert change(CHGFROM, b"<a@b>\0") == (0, [b"<a@b>"])
    assert change(ADDRCPT_PAR, b"<a@b>\0NOTIFY=NEVER\0") == (0, [b"<a@b>", b"NOTIFY=NEVER"])


@pytest.mark.parametrize(("kind", "data"), [
    (ADDHEADER, b""), (ADDHEADER, b"X\0"), (ADDHEADER, b"X\0a"), (ADDHEADER, b"X\0a\0b\0"), (ADDHEADER, b"X\0a\0b"),
    (CHGHEADER, b"\0\0"), (INSHEADER, b"X\0a\0"), (ADDRCPT, b"a@b"), (ADDRCPT, b"a\0b\0"), (ADDRCPT, b"a@b\0x"),
    (DELRCPT, b""), (CHGFROM, b"a\0b\0c\0")])
def test_what_is_no_change(kind, data):
    with pytest.raises(Malformed):
        change(kind, data)


@pytest.mark.parametrize(("name", "value", "has_blank", "raw"), [
    (b"X-A", b"one", False, b"X-A: one\r\n"), (b"X-A", b" one", True, b"X-A: one\r\n"),
    (b"X-A", b"one", True, b"X-A:one\r\n"), (b"X-A", b"", False, b"X-A: \r\n"),
    (b"X-A", b"one;\n\ttwo", False, b"X-A: one;\r\n\ttwo\r\n"), (b"X-A", b"one;\r\n two\r\n", False,
                                                                   b"X-A: one;\r\n two\r\n"),
    (b"X-A", b"one\n \n two\n", False, b"X-A: one\r\n two\r\n"), (b"X-A", b"\xc3\xa9", False, b"X-A: \xc3\xa9\r\n")])
def test_fields_that_filters_write(name, value, has_blank, raw):
    assert field(name, value, has_blank) == raw


@pytest.mark.parametrize(("name", "value"), [
    (b"", b"x"), (b"X A", b"x"), (b"X:", b"x"), (b"X\r\nBcc", b"x"), (b"X", b"x\nBcc: eve@example.com"),
    (b"X", b"x\r\nBcc: eve@example.com"), (b"X", b"x\rBcc: eve@example.com"), (b"X", b"x\n\nbody"),
    (b"X", b"x\r\n\r\nbody"), (b"X", b"x\n\r\n\tbody\r"), (b"\xff", b"x"), (b"X", b"y" * 3000)])
def test_nobody_writes_two_fields_for_one(name, value):
    with pytest.raises(Malformed):
        field(name, value, False)


words = st.binary(max_size=12) | st.sampled_from([b"\r\n", b"\n", b"\r", b"\n\t", b"x", b": ", b"\0"])


@given(st.lists(words).map(b"".join), st.lists(words).map(b"".join), st.booleans())
def test_whatever_is_written_is_one_field(name, value, has_blank):
    from daemons.wire.mailheaders import parse
    try:
        raw = field(name, value, has_blank)
    except Malformed:
        return
    one, = parse(raw + b"\r\nbody")
    assert one.raw == raw and one.name == name.decode().lower()
    assert b"\r\n\r\n" not in raw and raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")


@pytest.mark.parametrize(("data", "code", "enhanced", "text"), [
    (b"550 5.7.1 spam\0", 550, "5.7.1", "spam"), (b"451 later\0", 451, "4.7.1", "later"),
    (b"554 5.7.1 100%% spam\0", 554, "5.7.1", "100% spam"), (b"450 4.2.0\0", 450, "4.2.0", "refused"),
    (b"550-5.7.1 one\r\n550 5.7.1 two\0", 550, "5.7.1", "one two"), (b"421 4.7.0 gone\0", 451, "4.7.0", "gone"),
    (b"550 5.7.1 no NUL", 550, "5.7.1", "no NUL"), (b"550 4.7.1 other class\0", 550, "5.7.1", "4.7.1 other class"),
    (b"550 5.7.1 \xff\x1b[2J\0", 550, "5.7.1", r"\xff?[2J")])
def test_refusals(data, code, enhanced, text):
    made = refusal(data)
    assert isinstance(made, Refused) and (made.code, made.enhanced, made.text) == (code, enhanced, text)


@pytest.mark.parametrize("data", [
    b"", b"\0", b"250 2.0.0 fine\0", b"354 go on\0", b"55 x\0", b"5500 x\0", b"spam\0", b"550 5.7.1 a\r\n250 ok\0",
    b"550 5.7.1 a\r\nQUIT\0", b"550 5.7.1 a\n250 ok\0", b"550 5.7.1 a\r250 ok\0", b"550 5.7.1 a\r\n\0",
    b"550-5.7.1 a\0", b"550 5.7.1 a\r\n550 5.7.1 b\0", b"550-5.7.1 a\r\n450 b\0"])
def test_what_cannot_be_said_to_a_client(data):
    with pytest.raises(Malformed):
        refusal(data)
