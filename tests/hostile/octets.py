"""What hostile peers send: tricks that broke other daemons, and Hypothesis, who mixes them into our own dialogues."""

import itertools
import re

from hypothesis import strategies as st

NUMBERS = tuple(word.encode() for word in (
    "1_0", "\u0663", "\u00b2", "\uff11", "-1", "-0", "+1", " 5 ", "0x10", "010", "1e3", "1.0", "0000000000000000000001",
    "65536", "2147483648", "4294967296", "9223372036854775808", "18446744073709551616", str(10**30), "9" * 5000, "nan",
    "inf", ""))
ENDINGS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"\r\0\n", b"\x0b", b"\x0c", b"\x1c",
           b"\x85", "\u2028".encode(), b"\r\n.\r\n", b"\n.\n", b"\r\n" * 2000)
TEXTS = (b"\0", b"\0" * 600, b"\x80\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
         b"\xff\xf4\xff\xfd\x06", "\u212a".encode(), "\u202e".encode(), "\ufeff".encode(), b"\x1b]0;x\x07", b"\x1b[2J",
         b"\x7f\x08\x08", b"\r\n<0>Nov 23 10:54:04 su[1]: forged", b'" reason=done forged="', b"\\", b"\\x41", b"\\\"",
         b"a=b", b"%n%s%x", b"{0.__class__}", b"{}", b"$(id)", b"`id`", b"'; DROP TABLE users; --", b"/dev/zero",
         b"../../../../etc/passwd", b"@" * 300, b"(" * 3000, b"x" * 511, b"x" * 998, b"x" * 70_000, b" " * 4000, b"\t",
         b"@localhost", b"|id")
TRICKS = (*NUMBERS, *ENDINGS, *TEXTS)

tricks = st.sampled_from(TRICKS) | st.binary(max_size=40)


@st.composite
def sessions(draw, dialogues):
    """(arguments, chunks): what the client of one of these dialogues says, changed for the worse and cut anywhere."""
    dialogue = draw(st.sampled_from(dialogues))
    data = draw(spoilt(b"".join(dialogue.said)))
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=6, unique=True).map(sorted))
    places = [0, *cuts, len(data)]
    return dialogue.arguments, [data[first:last] for first, last in itertools.pairwise(places) if first < last]


@st.composite
def spoilt(draw, data):
    """These octets after a few edits: something put in, taken out, said twice, or a number that is none."""
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, len(data)))
        last = draw(st.integers(first, min(len(data), first + 40)))
        edit = draw(st.sampled_from(("insert", "replace", "number", "word", "twice")))
        trick = draw(tricks)
        if edit == "insert":
            data = data[:first] + trick + data[first:]
        elif edit == "replace":
            data = data[:first] + trick + data[last:]
        elif edit == "twice":
            data = data[:last] + data[first:]
        else:
            found = list(re.finditer(rb"[0-9]+" if edit == "number" else rb"[^ \r\n]+", data))
            if found:
                one = draw(st.sampled_from(found))
                data = data[:one.start()] + trick + data[one.end():]
    return data
