"""Lines of the web log: what readers expect, and nothing that a client could forge."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.weblogline import combined, common, escaped

WHEN = 971186136                # 10/Oct/2000:13:55:36 in UTC; Apache's example is of that time seven hours west
WHEN_THERE = WHEN + 7 * 3600

# how log readers take a line apart
QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(rf'(\S+) (\S+) (\S+) \[([^]]+)\] {QUOTED} (\d+) (\d+|-) {QUOTED} {QUOTED}')


def line(host="192.0.2.1", ident=None, user=None, seconds=WHEN, offset=0, request="GET / HTTP/1.1", status=200, size=5):
    return common(host, ident, user, seconds, offset, request, status, size)


def test_the_example_of_apache():
    known = ("127.0.0.1", None, "frank", WHEN_THERE, -25200, "GET /apache_pb.gif HTTP/1.0", 200, 2326)
    text = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'
    agent = "Mozilla/4.08 [en] (Win98; I ;Nav)"
    assert common(*known) == text
    assert combined(*known, "http://www.example.com/start.html", agent) == (
        f'{text} "http://www.example.com/start.html" "{agent}"')


def test_what_is_missing():
    assert line(request=None, size=None) == '192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] "-" 200 -'
    assert line(size=0).endswith(" 200 -") and line(size=1).endswith(" 200 1")
    assert line(ident="", user="").startswith('192.0.2.1 "" "" [') and line(request="").endswith('] "" 200 5')
    assert combined("h", None, None, WHEN, 0, "", 400, 0, None, None).endswith(' "" 400 - "-" "-"')
    assert combined("h", None, None, WHEN, 0, "", 400, 0, "", "").endswith(' "" 400 - "" ""')


@pytest.mark.parametrize("text, shown", [
    ("GET / HTTP/1.1", "GET / HTTP/1.1"), ("~!@#$%^&*()[]{}'`", "~!@#$%^&*()[]{}'`"), ("", ""), ('a"b', 'a\\"b'),
    ("a\\b", "a\\\\b"), ('\\"', '\\\\\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\v", "\\v"), ("\b", "\\b"),
    ("\0", "\\x00"), ("\x1b[2J", "\\x1b[2J"), ("\x07", "\\x07"), ("\f", "\\x0c"), ("\x7f", "\\x7f"), ("\x80", "\\x80"),
    ("\x9b", "\\x9b"), ("\x85", "\\x85"), ("\xa0", "\\xa0"), ("\xe9", "\\xe9"), ("\xff", "\\xff"),
    ("\u20ac", "\\xe2\\x82\\xac"), ("\u2028", "\\xe2\\x80\\xa8"), ("\U0001f600", "\\xf0\\x9f\\x98\\x80"),
    ("\udc80\udcff", "\\x80\\xff"), ("\ud800", "\\xed\\xa0\\x80"), ("\\x41", "\\\\x41"),
])
def test_escapes(text, shown):
    assert escaped(text) == shown


@pytest.mark.parametrize("forged", [
    'x" 200 5\n192.0.2.9 - - [10/Oct/2000:13:55:36 +0000] "GET /secret HTTP/1.1', "a\r\nb", "\u2028b", "x\\", 'x\\"',
    "\x85", "\x1b]0;title\x07",
])
def test_one_request_is_one_line_of_as_many_fields_as_any(forged):
    written = combined(forged, forged, forged, WHEN, 0, forged, 200, 5, forged, forged)
    shown = escaped(forged)
    word = shown.replace(" ", "\\x20")
    assert LINE.fullmatch(written).groups() == (
        word, word, word, "10/Oct/2000:13:55:36 +0000", shown, "200", "5", shown, shown)


def test_a_user_cannot_shift_the_fields():
    assert line(user="a [b] 200").split(" ")[2] == "a\\x20[b]\\x20200"


@pytest.mark.parametrize("offset, moment", [
    (0, "10/Oct/2000:13:55:36 +0000"), (3600, "10/Oct/2000:14:55:36 +0100"), (-25200, "10/Oct/2000:06:55:36 -0700"),
    (19800, "10/Oct/2000:19:25:36 +0530"), (-12600, "10/Oct/2000:10:25:36 -0330"),
    (50400, "11/Oct/2000:03:55:36 +1400"), (-43200, "10/Oct/2000:01:55:36 -1200"),
    (-50400, "09/Oct/2000:23:55:36 -1400"),
])
def test_the_clock(offset, moment):
    assert line(offset=offset) == line(seconds=WHEN + 0.99, offset=offset) == (
        f'192.0.2.1 - - [{moment}] "GET / HTTP/1.1" 200 5')


@given(st.integers(0, 4133980799), st.integers(-14 * 60, 14 * 60))
def test_every_moment_is_what_the_standard_library_makes_of_it(seconds, minutes):
    shown = line(seconds=seconds, offset=minutes * 60).partition("[")[2].partition("]")[0]
    months = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    there = time.gmtime(seconds + minutes * 60)
    assert shown == time.strftime(f"%d/{months[there.tm_mon]}/%Y:%H:%M:%S ", there) + (
        f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}")


octets = st.binary().map(lambda data: data.decode("latin-1"))
kept = st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))
anything = octets | kept | st.text() | st.text(alphabet='"\\ \n\rx[]')


@given(anything)
def test_an_escaped_text_ends_no_field(text):
    shown = escaped(text)
    assert shown.isascii() and shown.isprintable() and re.fullmatch(QUOTED, f'"{shown}"')


@given(octets)
def test_no_two_texts_are_escaped_alike(text):
    assert escaped(text).encode().decode("unicode_escape") == text


@given(anything, st.none() | anything, st.none() | anything)
def test_any_client_leaves_one_line_of_nine_fields(host, maybe, other):
    written = combined(host, maybe, other, WHEN, 0, maybe, 200, 5, other, maybe)
    assert written.isascii() and written.isprintable()
    first, second = ("-" if text is None else escaped(text) for text in (maybe, other))
    assert LINE.fullmatch(written).group(5, 6, 7, 8, 9) == (first, "200", "5", second, first)
