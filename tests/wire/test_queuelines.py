"""Queued messages' lines: what is written is read again, what is torn does not count, and whatever comes is judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import queuelines
from daemons.wire.queuelines import FACTS, Envelope, Recipient, apply, head, parse_head, quoted, record, unquoted

TEXT = (st.text(st.characters(codec="utf-8"), max_size=30)
        | st.binary(max_size=30).map(lambda data: data.decode("utf-8", "surrogateescape")))
NOT_EMPTY = TEXT.filter(bool)


def envelope(*addresses, **more):
    recipients = [Recipient(each) for each in addresses or ("bob@example.net",)]
    made = Envelope("alice@example.org", recipients, 1000.5, **more)
    head(made)
    return made


def state(made):
    return {name: getattr(made, name) for name in Envelope.__slots__ if name != "recipients"} | {
        "recipients": [{name: getattr(one, name) for name in Recipient.__slots__} for one in made.recipients]}


def test_a_head_is_as_it_is_documented():
    made = Envelope("alice@example.org", [Recipient("bob@example.net", "SUCCESS,FAILURE", "rfc822;bob@example.net"),
                                          Recipient("a b@example.com")], 1785400000.123, client="[192.0.2.7]:41822")
    assert head(made) == (b"fd0 mail 1\nsize: 00000000000000\nreceived: 1785400000.123\nsender: alice@example.org\n"
                          b"client: [192.0.2.7]:41822\n"
                          b"to: - bob@example.net notify=SUCCESS,FAILURE orcpt=rfc822;bob@example.net\n"
                          b"to: - a\\x20b@example.com\n\n")


@given(NOT_EMPTY, TEXT, st.lists(NOT_EMPTY, min_size=1, max_size=4), st.booleans(),
       st.dictionaries(st.sampled_from(FACTS), NOT_EMPTY), st.booleans())
def test_what_is_written_is_read_again(orcpt, sender, addresses, utf8, facts, final):
    made = Envelope(sender, [Recipient(each, "NEVER", orcpt) for each in addresses], 12.25, utf8, 99.5, **facts)
    made.recipients[-1].final = final
    data = head(made)
    found = parse_head(data)
    assert state(found) == state(made) and len(data) == made.begins
    for one in found.recipients:
        assert data[one.place:one.place + 2] == b"- "
    assert data[queuelines.SIZE_AT:].startswith(b"0" * queuelines.SIZE_DIGITS + b"\n")
    assert all(octet >= 0x20 or octet == 0x0a for octet in data)


@given(st.binary(max_size=80) | st.builds(lambda junk: queuelines.FIRST + junk + b"\n\n", st.binary(max_size=80)))
def test_any_octets_are_a_head_or_refused(data):
    try:
        parse_head(data)
    except ValueError:
        return
    assert data.startswith(queuelines.FIRST)


@pytest.mark.parametrize("old, new", [
    (b"fd0 mail 1", b"fd0 mail 2"), (b"size: 0", b"size: x"), (b"sender: ", b"from: "), (b"to: - ", b"to: ? "),
    (b"to: - ", b"to: -  "), (b"to: - bob@example.net", b"to: - "), (b"received: 1000.500", b"received: 1000.5"),
    (b"received: 1000.500\n", b""), (b"sender: ", b"sender: \\x2g"), (b"sender: ", b"sender: \x80 \x01"),
    (b"net\n", b"net final=no\n"),
    (b"net\n", b"net size=3\n"), (b"net\n", b"net notify=A notify=B\n"), (b"received", b"sender: a\nreceived")])
def test_a_head_that_nobody_wrote_is_refused(old, new):
    data = head(envelope())
    assert old in data
    with pytest.raises(ValueError):
        parse_head(data.replace(old, new))


def test_an_envelope_that_makes_no_sense_is_not_written():
    for wrong in (Envelope("a@b", [], 0), Envelope("a@b", [Recipient("")], 0)):
        with pytest.raises(ValueError, match="recipient"):
            head(wrong)
    with pytest.raises(TypeError, match="nobody asks for colour"):
        Envelope("a@b", [Recipient("c@d")], 0, colour="red")


@given(TEXT)
def test_a_word_is_one_word(text):
    word = quoted(text)
    assert unquoted(word) == text and not set(word) & set(b" \n\r\t\0\x7f")


@pytest.mark.parametrize("word", [b"\\", b"\\x", b"\\x2", b"\\x2g", b"\\n", b"a b", b"\x00", b"\\xAB"])
def test_what_is_no_word(word):
    with pytest.raises(ValueError):
        unquoted(word)


# ------------------------------------------------------------------ records

def test_records_tell_what_happened():
    made = envelope("a@x", "b@x", "c@x", "d@x", "e@x")
    a, b, c, d, e = made.recipients
    data = (record(1.0, "defer", [a, b, c, e], next=300.25, host="mx", reply="451 later\r\n")
            + record(2.0, "done", [a], tell="no", host="mx2", reply="250 ok") + record(3.0, "bounce", [b], tell="yes",
                                                                                       host="", reply="550"))
    assert b"defer 1-3,5 next=300.250 host=mx reply=451\\x20later\\x0d\\x0a ." in data
    assert apply(made, data) == len(data)
    assert [one.sign for one in made.recipients] == ["D", "b", "-", "-", "-"]
    assert (c.attempts, c.next, c.host, c.reply, c.tried) == (1, 300.25, "mx", "451 later\r\n", 1.0)
    assert (d.attempts, d.next, e.attempts, a.reply, a.host) == (0, 0, 1, "250 ok", "mx2")
    assert made.waiting == [c, d, e] and made.owed == [b] and not made.is_over
    apply(made, record(4.0, "retry", [c]))
    assert (c.next, e.next, c.attempts) == (0, 300.25, 1)
    apply(made, record(4.0, "retry"))
    assert e.next == 0


def test_an_alias_makes_way_for_its_mailboxes():
    made = envelope("a@x", "b@x")
    made.recipients[1].notify, made.recipients[1].orcpt = "NEVER", "rfc822;b@x"
    before = b"\n" + record(1.0, "hold", why="3=-x")
    data = before + record(2.0, "split", made.recipients[1:], **queuelines.split(made, ["ann@x", "b en@x"]))
    assert data.endswith(b"2.000 split 2 3=-ann@x 4=-b\\x20en@x .\n")
    assert apply(made, data, 700) == len(data)
    b, ann, ben = made.recipients[1:]
    assert [(one.number, one.address, one.notify, one.orcpt, one.final, one.split) for one in (b, ann, ben)] == [
        (2, "b@x", "NEVER", "rfc822;b@x", False, True), (3, "ann@x", "NEVER", "rfc822;b@x", True, False),
        (4, "b en@x", "NEVER", "rfc822;b@x", True, False)]
    for one in ann, ben:
        assert data[one.place - 700:].startswith(b"-" + quoted(one.address))
    signed = data.replace(b"=-ann", b"=D" b"ann")
    again = envelope("a@x", "b@x")
    apply(again, signed + record(3.0, "bounce", [ben], tell="yes", host="", reply="552"))
    assert [one.sign for one in again.recipients] == ["-", "-", "D", "b"]


@pytest.mark.parametrize("line", [
    b"split 1 2=-c@x 4=-d@x", b"split 1 1=-c@x", b"split 1-2 3=-c@x", b"split 3=-c@x", b"split 1", b"split",
    b"split 1 3=-", b"split 1 3=", b"split 1 3=?c@x", b"split 3 3=-c@x", b"split 1 03=-c@x", b"split 1 3=-c@x 3=-d@x"])
def test_recipients_that_nobody_adds(line):
    made = envelope("a@x", "b@x")
    apply(made, b"1.000 " + line + b" .\n")
    assert len(made.recipients) == 2 and not any(one.split for one in made.recipients)


def test_an_alias_makes_way_once():
    made = envelope("a@x")
    apply(made, b"1.000 split 1 2=-c@x .\n1.000 split 1 3=-d@x .\n1.000 split 1 2=-e@x .\n")
    assert [one.address for one in made.recipients] == ["a@x", "c@x"]


def test_records_of_the_whole_message():
    made = envelope()
    apply(made, record(1.0, "hold", why="ask Ann"))
    assert (made.held, made.why) == (True, "ask Ann")
    apply(made, record(1.0, "release") + record(1.0, "warned"))
    assert (made.held, made.why, made.warned, made.is_over) == (False, "", True, False)
    apply(made, record(1.0, "delete"))
    assert made.deleted and made.is_over


def test_a_sign_counts_more_than_a_record():
    made = envelope()
    made.recipients[0].sign = "B"       # its sender has been told
    apply(made, record(1.0, "bounce", made.recipients, tell="yes", host="mx", reply="550 no"))
    assert made.recipients[0].sign == "B" and made.recipients[0].reply == "550 no" and made.is_over
    apply(made, record(2.0, "defer", made.recipients, next=9.0, host="", reply=""))
    assert made.recipients[0].attempts == 0


@pytest.mark.parametrize("kind, values", [
    ("defer", {"next": 300.0, "host": "mx", "reply": "451 x"}), ("done", {"tell": "no", "host": "m", "reply": "250"}),
    ("bounce", {"tell": "yes", "host": "", "reply": ""}), ("hold", {"why": "x"}), ("release", {}), ("retry", {}),
    ("delete", {}), ("warned", {}), ("split", {"31": "-c@x", "32": "-d@x"})])
def test_half_a_record_is_none(kind, values):
    """Wherever somebody was stopped, and whatever is appended after it."""
    chosen = [Recipient("a"), Recipient("b")] if kind in ("defer", "done", "bounce", "retry") else []
    chosen = [Recipient("a")] if kind == "split" else chosen
    for each, one in enumerate(chosen, 1):
        one.number = each * 11
    whole = record(5.0, kind, chosen, **values)
    addresses = [f"{each}@x" for each in range(30)]
    untouched = state(envelope(*addresses))
    for cut in range(len(whole) - 1):
        made = envelope(*addresses)
        assert apply(made, whole[:cut]) == 0 and state(made) == untouched
        apply(made, whole[:cut] + b"\n" + record(6.0, "hold", why="after"))
        assert made.why == "after"
        made.held, made.why = False, ""
        assert state(made) == untouched, whole[:cut]


@given(st.binary(max_size=100) | st.lists(st.sampled_from([
    b"1.000 ", b"defer ", b"done ", b"1 ", b"1-9 ", b"0 ", b"next=1.000 ", b"next=x ", b"host=a ", b"reply=b ",
    b"tell=no ", b"split ", b"3=-a ", b"4=-b ", b".\n", b"hold ", b"\n", b" .\n", b"=", b"\\x"]),
    max_size=12).map(b"".join))
def test_any_octets_are_records_or_nothing(data):
    made = envelope("a@x", "b@x")
    assert apply(made, data) == data.rfind(b"\n") + 1
    assert {one.sign for one in made.recipients} <= set("-DdBb")


def test_a_reply_is_kept_up_to_a_length():
    made = envelope()
    apply(made, record(1.0, "defer", made.recipients, next=2.0, host="", reply="x" * 5000))
    assert len(made.recipients[0].reply) == queuelines.LONGEST_REPLY


@pytest.mark.parametrize("notify, wanted", [("", {"FAILURE", "DELAY"}), ("NEVER", set()), ("SUCCESS", {"SUCCESS"}),
                                            ("success,Failure", {"SUCCESS", "FAILURE"})])
def test_what_the_sender_wants_to_hear(notify, wanted):
    one = Recipient("a@b", notify)
    assert {what for what in ("SUCCESS", "FAILURE", "DELAY") if one.wants(what)} == wanted
