"""smtpd and mail filters: what they are told, what they may change, and what becomes of mail when they break."""

import errno
from types import SimpleNamespace

import pytest

from daemons.mail import drafts, milter
from daemons.stores.sqlstore import Unavailable
from tests import milters
from tests.milters import ACCEPT, CONTINUE, DISCARD, HANG_UP, PROGRESS, REJECT, SILENCE, SKIP, TEMPFAIL, Filter, said
from tests.play import Peer
from tests.programs.test_smtpd import FROM, HELLO, LOG_IN, NEIGHBOUR, TEXT, TO_ANN, Place, codes

MAIL = FROM[len(HELLO):]
RELAY = "--relay-from=198.51.100.0/24"
DONE = [250, 250, 354, 250]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def filters(tmp_path):
    """A function that starts a Filter."""
    made = []

    def start(answers=None, **terms):
        made.append(Filter(tmp_path / f"filter{len(made)}.sock", answers, **terms))
        return made[-1]

    yield start
    for one in made:
        one.end()


@pytest.fixture
def impatient(monkeypatch):
    """Nobody is waited for long."""
    for name in ("CONNECTING", "COMMAND", "CONTENT"):
        monkeypatch.setattr(milter, name, 0.2)


def bring(place, *them, text=TEXT, more=(), **others):
    """The codes of a conversation that brings one mail to ann, with these filters."""
    option = "--milters=" + ",".join(f"unix:{one.path}" for one in them)
    place.done = place.say(FROM + TO_ANN + text, more=[option, *more], **others)
    for one in them:
        one.settle()
    return codes(place.done.heard)[2:]


def changing(*packets, last=CONTINUE):
    """The answers of a filter that asks for these changes."""
    return {"E": b"".join(packets) + last}


def events(place, name):
    return [values for event, values in place.done.events if event == name]


def reply(place):
    """The first line by which something was refused."""
    return next((line for line in place.done.heard.decode().split("\r\n") if line[:1] in ("4", "5")), "")


# -- what a filter is told --


def test_a_filter_hears_the_whole_conversation(place, filters):
    one = filters()
    text = b"DATA\r\nSubject: hello\r\nTo: ann,\r\n\tbob\r\n\r\nA line.\r\n..\r\n.\r\nQUIT\r\n"
    assert bring(place, one, text=text) == [*DONE, 221]
    one.settle()
    assert one.kinds() == "CHMRTLLNBEAQ" and one.told[0] == ("O", bytes.fromhex("00000006 000000df 001ff7ff"))
    assert one.of("C") == [b"[192.0.2.7]\x004\xa3\x5e192.0.2.7\0"] and one.of("H") == [b"client.example\0"]
    assert one.of("M") == [b"<fred@example.net>\0"] and one.of("R") == [b"<ann@example.org>\0"]
    assert one.of("L") == [b"Subject\0hello\0", b"To\0ann,\n\tbob\0"] and one.of("B") == [b"A line.\r\n.\r\n"]
    assert one.macros("C") == {
        "j": "mx.example.org", "v": "fd0 0.1.0", "{daemon_name}": "mx.example.org", "{daemon_addr}": "192.0.2.1",
        "{daemon_port}": "25", "{client_name}": "unknown", "{client_ptr}": "unknown", "{client_addr}": "192.0.2.7",
        "{client_port}": "41822", "_": "[192.0.2.7]"}
    assert one.macros("M") == {"i": "00000000-1", "r": "ESMTP", "{mail_addr}": "fred@example.net",
                               "{mail_host}": "example.net", "{mail_mailer}": "smtp"}
    assert one.macros("R") == {"i": "00000000-1", "{rcpt_addr}": "ann@example.org", "{rcpt_host}": "example.org",
                               "{rcpt_mailer}": "local"}
    assert one.macros("T") == one.macros("N") == one.macros("E") == {"i": "00000000-1"}
    assert b"id 00000000-1" in place.mails("ann")[0] and not events(place, "filtered")


def test_parameters_and_the_null_sender_are_told(place, filters):
    one = filters()
    place.say(HELLO + b"MAIL FROM:<> SIZE=100 BODY=8BITMIME RET=HDRS\r\nRCPT TO:<ann@example.org> NOTIFY=NEVER\r\n",
              more=[one.option])
    assert one.of("M") == [b"<>\0SIZE=100\0BODY=8BITMIME\0RET=HDRS\0"]
    assert one.of("R") == [b"<ann@example.org>\0NOTIFY=NEVER\0"] and one.macros("M")["{mail_addr}"] == "<>"


def test_nobody_is_called_before_there_is_a_mail(place, filters):
    one = filters()
    place.say(HELLO + b"NOOP\r\nRSET\r\nRCPT TO:<ann@example.org>\r\nQUIT\r\n", more=[one.option])
    assert one.calls == 0


def test_what_smtpd_refuses_itself_is_not_asked_about(place, filters):
    one = filters()
    assert place.codes(FROM + b"RCPT TO:<eve@example.org>\r\n" + TO_ANN, more=[one.option]) == [250, 550, 250]
    assert one.of("R") == [b"<ann@example.org>\0"]


def test_a_large_mail_comes_in_pieces(place, filters):
    one, body = filters(), b"x" * 76 + b"\r\n"
    assert place.codes(FROM + TO_ANN + b"DATA\r\n\r\n", *[body * 1000] * 40, b".\r\n", more=[one.option]) == DONE
    pieces = one.of("B")
    assert b"".join(pieces) == body * 40000 and {len(piece) for piece in pieces[:-1]} == {65535}


def test_one_connection_for_the_mails_of_a_conversation(place, filters):
    one = filters()
    assert place.codes(FROM + TO_ANN + TEXT + MAIL + TO_ANN + b"RSET\r\n" + MAIL + TO_ANN + TEXT + b"QUIT\r\n",
                       more=[one.option]) == [*DONE, 250, 250, 250, *DONE, 221]
    one.settle()
    assert one.calls == 1 and one.kinds("DOLNBE") == "CHMRTAMRAMRTAQ"


def test_a_new_greeting_is_told(place, filters):
    one = filters()
    place.say(FROM + b"EHLO other.example\r\n" + MAIL + b"QUIT\r\n", more=[one.option])
    one.settle()
    assert one.kinds() == "CHMAHMAQ" and one.of("H") == [b"client.example\0", b"other.example\0"]


def test_chunks_are_a_text_like_any_other(place, filters):
    one = filters()
    assert bring(place, one, text=b"BDAT 6\r\nA: b\r\nBDAT 5 LAST\r\n\r\nx\r\n") == [250, 250, 250, 250]
    assert one.of("L") == [b"A\0b\0"] and one.of("B") == [b"x\r\n"] and one.kinds() == "CHMRTLNBEAQ"


def test_a_client_at_a_unix_socket_is_on_this_machine(place, filters):
    one = filters()
    place.say(FROM, more=[one.option], peer="")
    assert one.of("C")[0].startswith(b"localhost\x004") and one.of("C")[0].endswith(b"127.0.0.1\0")
    assert one.macros("C")["{client_addr}"] == "127.0.0.1" and one.macros("C")["{client_name}"] == "localhost"


def test_a_name_is_told_where_it_may_be_looked_for(place, filters):
    one = filters()
    place.say(FROM, more=[one.option, "--names=yes"], peer="127.0.0.1")
    assert one.of("C")[0].startswith(b"localhost\0") and one.macros("C")["_"] == "localhost [127.0.0.1]"
    assert one.macros("C")["{client_name}"] == one.macros("C")["{client_ptr}"] == "localhost"


def test_filters_hear_only_what_they_want(place, filters):
    one = filters(steps=0x01 | 0x02 | 0x10 | 0x20 | 0x200)
    assert bring(place, one) == DONE and one.kinds() == "MRNEAQ"
    two = filters(version=2)
    assert bring(place, two) == DONE and two.kinds() == "CHMRLNBEAQ"


def test_who_says_nothing_is_not_waited_for(place, filters):
    silent = dict.fromkeys("CHMRTLNB", SILENCE)
    one = filters(silent, steps=0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x40000 | 0x80000)
    assert bring(place, one) == DONE and one.kinds() == "CHMRTLNBEAQ"


def test_a_filter_may_have_heard_enough_of_something(place, filters):
    one = filters({"L": SKIP, "B": SKIP})
    text = b"DATA\r\nA: b\r\nC: d\r\nE: f\r\n\r\n" + b"x" * 998 + b"\r\n"
    assert bring(place, one, text=text + (b"y" * 998 + b"\r\n") * 300 + b".\r\n") == DONE
    assert one.kinds() == "CHMRTLNBEAQ"
    assert bring(place, one) == DONE and one.kinds() == "CHMRTLNBEAQ" * 2


def test_values_of_fields_with_and_without_their_blank(place, filters):
    added = said("h", b"X-A\0 one\0")
    one = filters(changing(added), steps=0x100000)
    two = filters(changing(added))
    bring(place, one, two)
    assert one.of("L") == [b"Subject\0 hello\0"] and two.of("L") == [b"Subject\0hello\0", b"X-A\0one\0"]
    assert b"X-A: one\r\nX-A:  one\r\n\r\n" in place.mails("ann")[0]


def test_lmtp_is_not_filtered(place, filters):
    one = filters()
    place.say(b"LHLO client.example\r\n" + MAIL + TO_ANN + TEXT, more=[one.option, "--role=lmtp"])
    assert one.calls == 0 and len(place.mails("ann")) == 1


# -- verdicts --


@pytest.mark.parametrize(("answer", "code", "text"), [
    (REJECT, 550, "550 5.7.1 refused"), (TEMPFAIL, 451, "451 4.7.1 not now; try again later"),
    (said("y", b"554 5.7.9 100%% spam\0"), 554, "554 5.7.9 100% spam"),
    (said("y", b"421 4.7.0 enough\0"), 451, "451 4.7.0 enough")])
@pytest.mark.parametrize(("step", "before"), [
    ("M", []), ("R", [250]), ("T", [250, 250]), ("L", DONE[:3]), ("N", DONE[:3]), ("B", DONE[:3]), ("E", DONE[:3])])
def test_refusals_at_every_step(place, filters, answer, code, text, step, before):
    one = filters({step: answer})
    chunks = [HELLO + MAIL, TO_ANN, b"DATA\r\n", TEXT.removeprefix(b"DATA\r\n")]
    place.done = place.say(*chunks[:len(before) + 1], more=[one.option])
    assert codes(place.done.heard)[2:] == [*before, code] and reply(place) == text and place.mails("ann") == []
    event, = events(place, "filtered")
    assert (event["id"], str(event["filter"]), event["what"], str(event["why"])) == \
        ("00000000-1", f"unix:{one.path}", "refused", text)
    one.settle()
    assert one.kinds().endswith(f"{step}AQ")


def test_one_recipient_may_be_refused(place, filters):
    one = filters({"R": [REJECT, CONTINUE]})
    assert place.codes(FROM + TO_ANN + b"RCPT TO:<bob@example.org>\r\n" + TEXT, more=[one.option]) == \
        [250, 550, 250, 354, 250]
    assert (len(place.mails("ann")), len(place.mails("bob"))) == (0, 1)


@pytest.mark.parametrize("step", ["C", "H"])
def test_a_client_may_be_refused_for_good(place, filters, step):
    one = filters({step: said("y", b"550 5.7.1 not you\0")})
    assert place.codes(FROM + MAIL + MAIL, more=[one.option]) == [550, 550, 550]
    assert one.calls == 1 and "M" not in one.kinds()


@pytest.mark.parametrize("step", ["C", "H"])
def test_a_client_may_be_let_through_for_good(place, filters, step):
    one = filters({step: ACCEPT, "E": REJECT})
    assert place.codes((FROM + TO_ANN + TEXT) * 2, more=[one.option]) == [*DONE, 250, *DONE]
    assert one.calls == 1 and "M" not in one.kinds()


@pytest.mark.parametrize("step", ["M", "R", "T", "L", "N", "B"])
def test_a_mail_may_be_let_through(place, filters, step):
    one, two = filters({step: [ACCEPT, CONTINUE], "E": REJECT}), filters()
    done = place.say(FROM + TO_ANN + TEXT + MAIL + TO_ANN + TEXT, more=[f"{one.option},unix:{two.path}"])
    assert codes(done.heard)[2:] == [*DONE, *DONE[:3], 550]     # and what it let through was that one alone
    assert len(place.mails("ann")) == 1 and two.kinds().startswith("CHMRTLNBEAM")


@pytest.mark.parametrize("step", ["M", "R", "T", "L", "N", "B", "E"])
def test_a_mail_may_be_thrown_away(place, filters, step):
    one, two = filters({step: DISCARD}), filters({"E": REJECT})
    assert bring(place, one, two) == DONE and place.mails("ann") == [] and place.queued() == []
    assert "E" not in two.kinds() and not events(place, "mail")
    assert events(place, "filtered")[0]["what"] == "discarded"


def test_the_next_mail_is_not_thrown_away(place, filters):
    one = filters({"E": [DISCARD, CONTINUE]})
    assert bring(place, one, text=TEXT + MAIL + TO_ANN + TEXT) == DONE * 2 and len(place.mails("ann")) == 1
    assert one.kinds() == "CHMRTLNBEAMRTLNBEAQ"


def test_a_text_that_is_not_wanted_is_the_end_of_its_mail(place, filters):
    one = filters({"T": REJECT})
    assert place.codes(FROM + TO_ANN + b"DATA\r\nDATA\r\n", more=[one.option]) == [250, 250, 550, 503]


def test_a_connection_is_nothing_to_throw_away(place, filters):
    assert bring(place, filters({"C": DISCARD, "H": DISCARD})) == DONE and len(place.mails("ann")) == 1


def test_progress_is_no_answer(place, filters):
    assert bring(place, filters({"E": PROGRESS * 3 + REJECT, "M": PROGRESS + CONTINUE})) == [*DONE[:3], 550]


def test_all_must_agree(place, filters):
    one, two = filters(), filters({"R": REJECT})
    assert place.codes(FROM + TO_ANN, more=[f"{one.option},unix:{two.path}"]) == [250, 550]


# -- changes --


def fields(text):
    """The header of a mail without what we write on it."""
    return text.partition(b"\r\n\r\n")[0].split(b"for <ann@example.org>; ")[-1].split(b"\r\n", 1)[1].split(b"\r\n")


HEADER = b"DATA\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\nA line.\r\n.\r\n"


@pytest.mark.parametrize(("packets", "left"), [
    ([said("h", b"C\0new\0")], [b"A: 1", b"B: 2", b"A: 3", b"C: new"]),
    ([said("i", 1, b"C\0new\0")], [b"C: new", b"A: 1", b"B: 2", b"A: 3"]),
    ([said("i", 2, b"C\0new\0")], [b"A: 1", b"C: new", b"B: 2", b"A: 3"]),
    ([said("i", 2**32 - 1, b"C\0new\0")], [b"A: 1", b"B: 2", b"A: 3", b"C: new"]),
    ([said("m", 1, b"A\0new\0")], [b"A: new", b"B: 2", b"A: 3"]),
    ([said("m", 0, b"a\0new\0")], [b"a: new", b"B: 2", b"A: 3"]),
    ([said("m", 2, b"A\0new\0")], [b"A: 1", b"B: 2", b"A: new"]),
    ([said("m", 3, b"A\0new\0")], [b"A: 1", b"B: 2", b"A: 3", b"A: new"]),
    ([said("m", 1, b"A\0\0")], [b"B: 2", b"A: 3"]), ([said("m", 9, b"A\0\0")], [b"A: 1", b"B: 2", b"A: 3"]),
    ([said("m", 1, b"A\0\0"), said("m", 1, b"A\0\0")], [b"B: 2"]),
    ([said("m", 1, b"Received\0\0")], [b"A: 1", b"B: 2", b"A: 3"]),       # ours is none of its business
    ([said("h", b"C\0one;\n\ttwo\0")], [b"A: 1", b"B: 2", b"A: 3", b"C: one;", b"\ttwo"])])
def test_header_fields(place, filters, packets, left):
    assert bring(place, filters(changing(*packets)), text=HEADER) == DONE
    text = place.mails("ann")[0]
    assert fields(text) == left and text.endswith(b"\r\n\r\nA line.\r\n") and text.count(b"Received: ") == 1


def test_a_field_at_the_very_top(place, filters):
    bring(place, filters(changing(said("i", 0, b"C\0new\0"))))
    assert b"\r\nC: new\r\nReceived: " in place.mails("ann")[0]


def test_the_next_filter_sees_what_was_changed(place, filters):
    one = filters(changing(said("m", 1, b"B\0new\0"), said("b", b"Another line.\n"), said("i", 0, b"C\0top\0")))
    two = filters(changing(said("h", b"D\0last\0"), last=ACCEPT))
    assert bring(place, one, two, text=HEADER) == DONE
    assert two.of("L") == [b"C\0top\0", b"A\0001\0", b"B\0new\0", b"A\0003\0"] and two.of("B") == [b"Another line.\r\n"]
    text = place.mails("ann")[0]
    assert text.endswith(b"A: 1\r\nB: new\r\nA: 3\r\nD: last\r\n\r\nAnother line.\r\n")
    assert [event["why"] for event in events(place, "filtered")] == \
        ["field changed 1, body 1, field added 1", "field added 1"]


def test_a_mail_without_a_body_may_get_one(place, filters):
    two = filters()
    assert bring(place, filters(changing(said("b", b"New."))), two, text=b"DATA\r\nA: 1\r\n.\r\n") == DONE
    assert place.mails("ann")[0].endswith(b"\r\nA: 1\r\n\r\nNew.\r\n") and two.of("B") == [b"New.\r\n"]


def test_a_large_body_from_a_filter(place, filters):
    line = b"y" * 76 + b"\r\n"
    many = [said("b", (line * 840)[at:at + 65521]) for at in range(0, 65520, 65521)] * 40
    assert bring(place, filters(changing(*many)), filters()) == DONE
    assert place.mails("ann")[0].endswith(b"\r\n\r\n" + line * 840 * 40)
    assert bring(place, filters(changing(said("b", line * 40000)))) == DONE     # rspamd says all of it at once
    assert place.mails("ann")[1].endswith(b"\r\n\r\n" + line * 40000)


def test_the_envelope(place, filters):
    one = filters(changing(said("e", b"<other@example.net>\0SIZE=1\0"), said("+", b"<bob@example.org>\0"),
                           said("2", b"both@example.org\0NOTIFY=NEVER\0"), said("+", b"<ann@example.org>\0"),
                           said("-", b"<ANN@example.org>\0"), said("-", b"<nobody@example.org>\0")))
    assert bring(place, one) == DONE and len(place.mails("ann")) == 1       # both@ is for her, too
    assert place.mails("bob")[0].startswith(b"Return-Path: <other@example.net>\r\n")
    assert b"for <" not in place.mails("bob")[0]
    mail, = events(place, "mail")
    assert (str(mail["sender"]), mail["recipients"]) == ("other@example.net", "bob@example.org,both@example.org")


def test_the_one_recipient_that_is_told_is_the_one_there_is(place, filters):
    bring(place, filters(changing(said("-", b"<ann@example.org>\0"), said("+", b"<bob@example.org>\0"))))
    assert place.mails("ann") == [] and b"for <bob@example.org>;" in place.mails("bob")[0]


def test_nobody_gets_a_mail_twice(place, filters):
    bring(place, filters(changing(said("+", b"<ANN@example.org>\0"), said("+", b"<ann@example.org>\0"))))
    assert events(place, "mail")[0]["recipients"] == "ann@example.org"


def test_the_null_sender(place, filters):
    bring(place, filters(changing(said("e", b"<>\0"))))
    assert place.mails("ann")[0].startswith(b"Return-Path: <>\r\n")


def test_recipients_are_looked_up_as_those_of_the_client(place, filters):
    one = filters(changing(said("+", b"<x@elsewhere.example>\0"), said("+", b"<eve@example.org>\0")))
    assert bring(place, one) == DONE and place.queued() == []
    assert [(event["what"], event["why"]) for event in events(place, "filtered")][:2] == [
        ("recipient left out", "x@elsewhere.example: 550 5.7.1 no mail for that domain is taken here"),
        ("recipient left out", "eve@example.org: 550 5.1.1 no such mailbox here")]
    assert bring(place, one, more=[RELAY], peer=NEIGHBOUR) == DONE and len(place.queued()) == 1


def test_a_mail_for_nobody_is_thrown_away(place, filters):
    assert bring(place, filters(changing(said("-", b"<ann@example.org>\0")))) == DONE and place.mails("ann") == []
    assert [event["what"] for event in events(place, "filtered")] == ["changed", "discarded"]


def test_the_mail_that_is_queued_is_the_one_that_was_changed(place, filters):
    one = filters(changing(said("m", 1, b"Subject\0new\0"), said("b", b"Another line.\n"),
                           said("e", b"<other@example.net>\0")))
    place.say(FROM + b"RCPT TO:<x@elsewhere.example>\r\n" + TEXT, more=[one.option, RELAY], peer=NEIGHBOUR)
    text, = place.queued()
    assert text.endswith(b"Subject: new\r\n\r\nAnother line.\r\n") and b"other@example.net" in text


def test_what_is_submitted_is_shown_with_what_its_client_left_out(place, filters, monkeypatch):
    monkeypatch.setattr(Peer, "secure", True)
    monkeypatch.setattr(Peer, "tls", SimpleNamespace(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"))
    one = filters()
    place.say(LOG_IN + b"MAIL FROM:<ann@example.org>\r\n" + TO_ANN + TEXT, more=[one.option, "--role=submission"])
    names = [data.split(b"\0")[0] for data in one.of("L")]
    assert names == [b"From", b"Date", b"Message-ID", b"Subject"]
    assert one.macros("M")["{auth_authen}"] == "ann@example.org" and one.macros("M")["{auth_type}"] == "PLAIN"
    assert one.macros("M")["r"] == "ESMTPSA"
    assert one.macros("H") == {"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384"}


# -- filters that fail --


def failing(place, *them, fails="tempfail", text=TEXT):
    found = bring(place, *them, text=text, more=[f"--milter-fails={fails}"])
    place.why = [str(event["why"]) for event in events(place, "trouble")]
    return found


BROKEN = {
    "answers nothing": ({"C": SILENCE}, "the peer was silent"),
    "closes at once": ({"O": HANG_UP}, "the peer closed"),
    "closes in the middle": ({"R": b"\0\0\0\x20yoh"}, "the peer was silent"),
    "garbage": ({"M": b"220 mx.example.org ESMTP\r\n"}, "octets"),
    "garbage at the start": ({"O": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "no answer"),
    "another answer at the start": ({"O": CONTINUE}, "to our offer"),
    "an agreement too late": ({"E": milters.agreement()}, "another answer to our offer"),
    "a huge packet": ({"E": b"\x7f\xff\xff\xffy"}, "octets"),
    "a huge field": ({"E": b"\x7f\xff\xff\xffh"}, "octets"),
    "a huge body": (changing(said("b", b"x" * 998 + b"\n") * 11000), "a body that cannot be: more than 10240000"),
    "version 7": ({"O": milters.agreement(version=7)}, "version 7"),
    "version 1": ({"O": milters.agreement(version=1)}, "version 1"),
    "more than was offered": ({"O": milters.agreement(actions=0x200)}, "nobody knows"),
    "quarantine": (changing(said("q", b"spam\0")), "quarantine"),
    "a reply of two": ({"R": said("y", b"550 5.7.1 no\r\n250 2.0.0 taken\0")}, "not a refusal"),
    "a reply and a command": ({"R": said("y", b"550 5.7.1 no\r\nQUIT\0")}, "not a reply"),
    "a reply that says yes": ({"E": said("y", b"250 2.0.0 taken\0")}, "not a refusal"),
    "a field of two": (changing(said("h", b"X\0a\r\nBcc: eve@example.com\0")), "not one field"),
    "a body in a field": (changing(said("i", 1, b"X\0a\n\nbody\0")), "not one field"),
    "a name of two": (changing(said("m", 1, b"X: a\r\nY\0a\0")), "not one field"),
    "100000 fields": (changing(said("h", b"X\0a\0") * 100_000), "more than 2000 fields"),
    "10001 changes": (changing(said("m", 1, b"Subject\0X\0") * 10_001), "more than 10000 changes"),
    "long fields": (changing(said("h", b"X\0" + b"a" * 900 + b"\n\t" + b"b" * 900 + b"\0") * 200), "204800 octets"),
    "a NUL in the body": (changing(said("b", b"a\0b\n")), "a NUL"),
    "a bare CR in the body": (changing(said("b", b"a\r.\rb\n")), "a bare CR"),
    "a long line": (changing(said("b", b"x" * 3000)), "a line over"),
    "no address": (changing(said("+", b"<ann@example.org> ORCPT=x\0")), "ann@example.org"),
    "two addresses": (changing(said("+", b"<ann@example.org\r\nRCPT TO:<eve@example.org>\0")), "ann@example.org"),
    "no sender": (changing(said("e", b"nobody\0")), "nobody"),
    "a change too early": ({"N": said("h", b"X\0a\0") + CONTINUE}, "before the end"),
    "half a change": (changing(said("h", b"X\0a")), "strings"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.usefixtures("impatient")
def test_broken_filters(place, filters, name):
    answers, why = BROKEN[name]
    failing(place, filters(answers))
    assert reply(place) == "451 4.7.1 mail cannot be looked at now; try again later"
    assert why in place.why[0] and place.mails("ann") == []
    failing(place, filters(answers), fails="reject")
    assert reply(place) == "550 5.5.0 mail cannot be looked at now" and place.mails("ann") == []
    two = filters(changing(said("h", b"Z\0z\0")))
    assert failing(place, filters(answers), two, fails="accept") == DONE
    text, = place.mails("ann")
    assert text.endswith(b"\r\nSubject: hello\r\nZ: z\r\n\r\nA line.\r\n") and b"X" not in text


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("where", ["unix:/nowhere/at/all", "127.0.0.9:9", "nowhere.invalid:8891"])
def test_filters_that_are_not_there(place, where):
    place.done = place.say(FROM + TO_ANN, more=[f"--milters={where}"])
    assert codes(place.done.heard)[2:] == [451, 503]
    trouble, = events(place, "trouble")
    assert str(trouble["where"]) == where and str(trouble["why"])
    assert place.codes(FROM + TO_ANN + TEXT, more=[f"--milters={where}", "--milter-fails=accept"]) == DONE


@pytest.mark.usefixtures("impatient")
def test_a_mail_does_not_slip_past_a_filter_that_broke(place, filters):
    one = filters({"R": [CONTINUE, HANG_UP, CONTINUE]})
    assert place.codes(FROM + TO_ANN * 3 + b"DATA\r\n" + b"RSET\r\n" + MAIL + TO_ANN + TEXT, more=[one.option]) == \
        [250, 250, 451, 451, 451, 250, *DONE]


def test_who_spoke_garbage_is_called_anew(place, filters):
    one = filters({"M": [b"garbage", CONTINUE]})
    assert bring(place, one, text=MAIL + TO_ANN + TEXT) == [451, 503, *DONE]
    assert one.calls == 2 and one.kinds("DOALNBERTQ") == "CHMCHM"


@pytest.mark.usefixtures("impatient")
def test_without_end(place, filters, monkeypatch):
    monkeypatch.setattr(milter, "WHOLE", 0.1)

    class Endless(Filter):
        """It is still at it."""

        def _next(self, kind):
            return PROGRESS * 100_000 if kind == "E" else super()._next(kind)

    one = Endless(place.path + "/endless.sock")
    try:
        failing(place, one)
    finally:
        one.end()
    assert reply(place).startswith("451 4.7.1") and "to no end within" in place.why[0]


def test_a_disk_that_is_full_is_not_the_filters_fault(place, filters, monkeypatch):
    def full(spool, octets):
        raise OSError(errno.ENOSPC, "No space left on device")

    one = filters(changing(said("b", b"Another line.\n")))
    spoilt = type("Spoilt", (drafts.Spool,), {"write": full, "__slots__": ()})
    monkeypatch.setattr(drafts, "Spool", spoilt)
    assert bring(place, one, more=["--milter-fails=accept"]) == [*DONE[:3], 452] and place.mails("ann") == []


def test_accounts_that_cannot_be_asked(place, filters, monkeypatch):
    def gone(*_):
        raise Unavailable("no database")

    one = filters(changing(said("+", b"<bob@example.org>\0")))
    monkeypatch.setattr(drafts, "recipient", gone)
    assert bring(place, one) == [*DONE[:3], 451] and place.mails("ann") == []
    assert events(place, "trouble")[0]["where"] == "accounts"
