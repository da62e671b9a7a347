"""The text of a mail: only CR LF . CR LF ends it, however it is cut, and no smuggler's sequence does."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.smtpdata import Content, Head, Stuffer, Unstuffer

END = b"\r\n.\r\n"


def taken(octets, cuts=(), **limits):
    """(text, done, rest, content) of what comes after DATA, cut at these places."""
    decoder = Unstuffer(Content(**limits))
    places = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    text = b"".join(decoder.feed(octets[start:end]) for start, end in itertools.pairwise(places))
    return text, decoder.done, decoder.rest, decoder.content


def codes(content):
    return content.refusal and content.refusal.args[:2]


@pytest.mark.parametrize("octets, text, rest", [
    (b".\r\n", b"", b""), (b"a\r\n.\r\n", b"a\r\n", b""), (b"\r\n.\r\nQUIT\r\n", b"\r\n", b"QUIT\r\n"),
    (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"), (b"..\r\n.\r\n", b".\r\n", b""), (b"...\r\n.\r\n", b"..\r\n", b""),
    # RFC 5321, 4.5.2: any dot at the start of a line goes
    (b".a\r\n..b\r\nc.\r\n.\r\n", b"a\r\n.b\r\nc.\r\n", b""),
    (b".. \r\n.\r\n", b". \r\n", b""), (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""), (b"..\r\n..\r\n.\r\n", b".\r\n.\r\n", b""),
    (b". \r\n.\r\n", b" \r\n", b""),
])
def test_where_the_text_ends_and_what_it_is(octets, text, rest):
    """RFC 5321, 4.1.1.4 and 4.5.2."""
    found = taken(octets)
    assert found[:3] == (text, True, rest) and found[3].refusal is None and found[3].size == len(text)


LINES = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\0\n", b"\r\n\0"]
ENDS = [(before, after) for before in LINES for after in LINES if (before, after) != (b"\r\n", b"\r\n")]


@pytest.mark.parametrize("before, after", ENDS)
@pytest.mark.parametrize("smuggled", [b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nevil\r\n", b""])
def test_no_other_sequence_ends_the_text(before, after, smuggled):
    """CVE-2023-51764, CVE-2023-51765, CVE-2023-51766, CVE-2024-27305."""
    octets = b"Subject: x\r\n\r\ntext" + before + b"." + after + smuggled + b"more\r\n.\r\nQUIT\r\n"
    text, done, rest, content = taken(octets)
    assert all(taken(octets, [cut])[1:3] == (done, rest) for cut in range(len(octets)))
    if (before, after) == (b"\r\n", b"\r\n\0"):         # a true end, and a NUL after it
        assert done and rest.startswith(b"\0") and content.refusal is None
    elif b"\0" in before + after and not content.is_bare:
        assert (text, done, rest, codes(content)) == (b"", True, b"QUIT\r\n", (550, "5.6.0"))
    else:
        assert (text, done, rest, codes(content)) == (b"", True, b"", (550, "5.5.2"))


@pytest.mark.parametrize("sequence", [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\r\n.\r\r\n",
    b"\r\n.\0\r\n", b"\r\n.\r\0\n", b"\r.\n", b"\n.\r", b"\r\n.\r\r\n", b"\n\n.\r\n", b"\r\n.\n\r\n",
    b"\r\n.\x85\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\r\n .\r\n", b"\r\n..\r\n", b"\r\n.\x1a\r\n",
    b"\x85.\x85", "\u2028.\u2028".encode(),
])
def test_the_known_tricks_end_nothing(sequence):
    text, done, rest, content = taken(b"a" + sequence + b"RSET\r\n")
    assert not done and rest == b""
    assert not content.is_bare or text == b"" or text == b"a"


@pytest.mark.parametrize("octets", [
    b"a\nb\r\n.\r\n", b"a\rb\r\n.\r\n", b"\n.\r\n.\r\n", b"a\r\r\n.\r\n", b"\r.\r\n.\r\n", b"a\r\n\n\r\n.\r\n",
    b".\n\r\n.\r\n", b".\r\r\n.\r\n", b"a\r\r\n.\r\nMAIL FROM:<evil@x>\r\n",
])
def test_a_bare_cr_or_lf_is_refused_after_the_end(octets):
    text, done, rest, content = taken(octets)
    assert (text, done, rest, codes(content), content.is_bare) == (b"", True, b"", (550, "5.5.2"), True)


def test_a_bare_one_is_refused_before_all_else():
    assert codes(taken(b"a" * 2000 + b"\0\n\r\n.\r\n", most=3)[3]) == (550, "5.5.2")


@pytest.mark.parametrize("octets, limits, refusal", [
    (b"a\0b\r\n.\r\n", {}, (550, "5.6.0")), (b"a" * 2046 + END, {}, None), (b"a" * 2047 + END, {}, (554, "5.6.0")),
    (b"x\r\n" + b"a" * 2047 + b"\r\ny" + END, {}, (554, "5.6.0")), (b"." + b"." * 2046 + END, {}, None),
    (b"a" * 5000 + END, {"longest": None}, None), (b"a" * 2048 + END, {"longest": 2048}, None),
    (b"abc" + END, {"most": 5}, None), (b"abcd" + END, {"most": 5}, (552, "5.3.4")),
    (b"..bc" + END, {"most": 5}, None), (b"a\n\0" + b"b" * 2000 + END, {"binary": True}, None),
])
@pytest.mark.parametrize("step", [1, 7, 100000])
def test_limits(octets, limits, refusal, step):
    """RFC 5321, 4.5.3.1.6; RFC 1870, 6.1; a dot that was added for transparency is not counted."""
    content = taken(octets, range(0, len(octets), step), **limits)[3]
    assert codes(content) == refusal


def test_eight_bits_are_seen():
    assert taken("jü\r\n.\r\n".encode())[3].eight_bit and not taken(b"ju\r\n.\r\n")[3].eight_bit


def test_nothing_grows_while_it_waits_for_the_end():
    decoder = Unstuffer(Content(most=10))
    for piece in [b"a" * 65536, b"\r\n.", b"\n", b"\r"] * 20:
        decoder.feed(piece)
        assert len(decoder._held) <= 4
    assert decoder.feed(END) == b"" and decoder.done


def test_what_is_said_after_the_end_is_kept():
    decoder = Unstuffer(Content())
    assert (decoder.feed(b"a\r\n.\r\nNO"), decoder.feed(b"OP\r\n"), decoder.rest) == (b"a\r\n", b"", b"NOOP\r\n")


# what matters to the decoder, so that all of it meets
signs = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n.", b".\r\n", b"\0", b"\xff"]),
                 max_size=24).map(b"".join)
cuts = st.lists(st.integers(0, 60), max_size=8)


@given(signs, cuts)
def test_cuts_change_nothing(octets, places):
    def all_of(cut):
        text, done, rest, content = taken(octets, cut, most=20, longest=5)
        # what was sure before it is refused may come or not: it is thrown away by whoever gets the refusal
        return (content.refusal is None and text, done, rest, codes(content), content.is_bare, content.eight_bit,
                content.size)
    assert all_of(places) == all_of(()) == all_of(range(len(octets)))


@given(signs)
def test_the_end_is_where_the_rfc_has_it(octets):
    text, done, rest, content = taken(octets)
    before, end, after = (b"\r\n" + octets).partition(END)
    assert done is bool(end) and rest == (b"" if content.is_bare else after)
    if done and content.refusal is None:
        assert text == b"".join(line.removeprefix(b".") + b"\r\n" for line in before.split(b"\r\n")[1:])
        assert text.count(b"\n") == text.count(b"\r") == text.count(b"\r\n") and b"\0" not in text


def sent(octets, places=()):
    stuffer = Stuffer()
    bounds = [0, *sorted(min(cut, len(octets)) for cut in places), len(octets)]
    said = b"".join(stuffer.feed(octets[start:end]) for start, end in itertools.pairwise(bounds))
    return said + stuffer.end(), stuffer.size


@pytest.mark.parametrize("octets, said, size", [
    (b"", b".\r\n", 0), (b"a", b"a\r\n.\r\n", 3), (b"a\n", b"a\r\n.\r\n", 3), (b"a\r\n", b"a\r\n.\r\n", 3),
    (b".", b"..\r\n.\r\n", 3), (b".\n.\n", b"..\r\n..\r\n.\r\n", 6), (b"..", b"...\r\n.\r\n", 4),
    (b"\n.\n", b"\r\n..\r\n.\r\n", 5), (b"a\rb\n", b"a b\r\n.\r\n", 5), (b"a\r", b"a \r\n.\r\n", 4),
    (b"a\r\r\nb", b"a \r\nb\r\n.\r\n", 7), (b"\r.\r", b" . \r\n.\r\n", 5), (b"\n\r.\n", b"\r\n .\r\n.\r\n", 6),
])
def test_what_is_sent(octets, said, size):
    assert sent(octets) == sent(octets, range(9)) == (said, size)


@given(signs, cuts)
def test_nothing_that_is_sent_can_be_taken_for_another_end(octets, places):
    said, size = sent(octets, places)
    assert sent(octets) == (said, size)
    assert said.count(b"\n") == said.count(b"\r") == said.count(b"\r\n")
    assert (b"\r\n" + said).find(END) == len(said) - 3
    assert len(taken(said, longest=None)[0]) in (size, 0)


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"", b"a.b"]), max_size=10), cuts, cuts)
def test_what_is_sent_is_taken(lines, out, back):
    octets = b"".join(line + b"\r\n" for line in lines)
    said, size = sent(octets.replace(b"\r\n", b"\n"), out)
    assert taken(said, back)[:3] == (octets, True, b"") and size == len(octets)


@pytest.mark.parametrize("octets, head", [
    (b"A: b\r\n\r\nbody\r\n\r\n", b"A: b\r\n\r\n"), (b"\r\nbody", b"\r\n"), (b"A: b\r\nC: d", b"A: b\r\nC: d"),
    (b"\r\n\r\n", b"\r\n"), (b"A: b\r\n \r\n\r\nx", b"A: b\r\n \r\n\r\n"), (b"", b""),
])
@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_the_head_passes(octets, head, step):
    seen = Head()
    for start in range(0, len(octets), step):
        seen.look(octets[start:start + step])
    assert seen.octets == head and seen.refusal is None


@pytest.mark.parametrize("step", [1, 9, 1000])
@pytest.mark.parametrize("octets, fits", [(b"A: bcde\r\n\r\n" + b"x" * 99, True), (b"A: bcdef\r\n\r\n", False),
                                          (b"A: " + b"b" * 500, False)])
def test_the_head_has_a_limit(octets, fits, step):
    seen = Head(most=11)
    for start in range(0, len(octets), step):
        seen.look(octets[start:start + step])
    assert (seen.refusal is None) is fits and seen.done and len(seen.octets) <= 30
