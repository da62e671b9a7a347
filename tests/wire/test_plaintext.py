"""Plain text: nothing in it that a terminal would obey."""

import pytest
from hypothesis import given, strategies

from daemons.wire.plaintext import decoded, plain, spelt_in_ascii


@pytest.mark.parametrize(("text", "lines"), [
    ("plain", ["plain"]),
    ("\x1b[31mred\x1b[0m rose", ["red rose"]),                      # CSI, ECMA-48, 5.4
    ("\x1b[38;5;196mred\x1b[0 q rose", ["red rose"]),               # with an intermediate character
    ("\x9b2Jclean", ["clean"]),                                     # the same in one character
    ("\x1b]0;you are root\x07title", ["title"]),                    # OSC, which renames the window
    ("\x1b]0;you are root\x1b\\title", ["title"]),
    ("\x9d0;you are root\x07title", ["title"]),
    ("\x1bP+q544e\x1b\\answer", ["answer"]),                        # DCS, which some terminals answer
    ("\x1b]52;c;cm0gLXJmIC8=", []),                                 # a string without an end
    ("\x1b(Bset", ["set"]),
    ("\x1bcreset", ["reset"]),
    ("cut\x1b", ["cut"]),
    ("cut\x1b[31", ["cut"]),
    ("two\x1b[31\nlines", ["two", "lines"]),
    ("\x1b\x1b[31mred", ["red"]),
    ("be\x07ll\x00 and \x7fdelete", ["bell and delete"]),
    ("\u202egnp.exe", ["gnp.exe"]),                                 # from right to left
    ("a\u00a0b\u2028c", ["a b c"]),
    ("_\bu_\bx, b\bbo\bold", ["ux, bold"]),                         # as printers underline and embolden
    ("\b\bx", ["x"]),
    ("\tone\ttwo", ["        one     two"]),
    ("one\r\ntwo\rthree\n", ["one", "two three"]),
    ("\n\n one  \n\ntwo\n \n\n", [" one", "", "two"]),
    ("", []),
    ("naïve 😀", ["naïve 😀"]),
])
def test_what_is_left(text, lines):
    assert plain(text) == lines


@given(strategies.text() | strategies.text(alphabet="\x1b[]P\\\x07\x9b\x9d\b\t\r\n;0mA\u202e "))
def test_whatever_comes_is_printable(text):
    for line in plain(text):
        assert line.isprintable() and line == line.rstrip()


@pytest.mark.parametrize(("data", "text"), [(b"na\xc3\xafve", "naïve"), (b"na\xefve", "naïve"), (b"", "")])
def test_octets_are_utf8_or_else_latin1(data, text):
    assert decoded(data) == text


@pytest.mark.parametrize(("line", "spelt"), [
    ("\u201cIt\u2019s\u2026\u201d \u2014 he", '"It\'s..." -- he'), ("naïve", "naïve"), ("plain", "plain")])
def test_typographic_signs_are_spelt_in_ascii(line, spelt):
    assert spelt_in_ascii(line) == spelt
