"""systemd's unit files and command lines, as systemd.syntax(7) and systemd.service(5) tell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.unitfile import NotUnderstood, command, command_line, parse, quoted, values, words


def test_settings_stand_in_sections():
    found = parse("# a\n; b\n[Unit]\nA=1\n\n[Socket]\n A = two words \\\n   and more\nB=\n")
    assert [(one.section, one.name, one.value, one.line) for one in found] == [
        ("Unit", "A", "1", 4), ("Socket", "A", "two words  and more", 7), ("Socket", "B", "", 9)]


def test_a_comment_within_a_continued_line_is_no_part_of_it():
    (setting,) = parse("[A]\nB=one \\\n# no part\n two\n")
    assert setting.value.split() == ["one", "two"]


@pytest.mark.parametrize("text", ["A=1\n", "[A]\nnothing\n"])
def test_a_line_that_is_no_setting_is_an_error_with_its_number(text):
    with pytest.raises(NotUnderstood, match=f"line {text.count(chr(10))} is neither"):
        parse(text)


def test_an_empty_value_takes_back_those_before_it():
    settings = parse("[S]\nA=1\nA=2\nA=\nA=3\nA=4\n")
    assert values(settings, "S", "A") == ["3", "4"] and values(settings, "S", "B") == []


@pytest.mark.parametrize(("text", "expected"), [
    ("a b  c", ["a", "b", "c"]), ("'a b' \"c d\"", ["a b", "c d"]), ('""', [""]), (r"a\x20b \101\s", ["a b", "A "]),
    (r"\u00e9 \303\251", ["é", "é"]), ("it's", ["it's"]), (r"'a\'b'", ["a'b"]), ("", []),
])
def test_words_of_a_command_line(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize("text", ["'open", r"a\q", r"\x2", r"\400", "\\"])
def test_what_systemd_would_refuse_is_refused(text):
    with pytest.raises(NotUnderstood):
        words(text)


@pytest.mark.parametrize(("text", "program", "arguments"), [
    ("/bin/x -a", "/bin/x", ["x", "-a"]), ("@/bin/x y -a", "/bin/x", ["y", "-a"]), ("-+/bin/x", "/bin/x", ["x"]),
    ("/bin/x 100%% $$HOME", "/bin/x", ["x", "100%", "$HOME"]), (":/bin/x $HOME", "/bin/x", ["x", "$HOME"]),
])
def test_a_command_is_a_program_and_its_arguments(text, program, arguments):
    found = command(text)
    assert (found.program, found.arguments) == (program, arguments)


@pytest.mark.parametrize("text", ["", "/bin/x %i", "/bin/x ${HOME}", "/bin/x ; /bin/y", "@/bin/x"])
def test_what_only_systemd_fills_in_is_refused(text):
    with pytest.raises(NotUnderstood):
        command(text)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)


@given(TEXT)
def test_a_word_quoted_is_the_word_read(word):
    assert words(quoted(word).replace("%%", "%")) == [word]


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_a_command_line_written_is_the_command_read(argv):
    found = command(command_line("/usr/bin/x", argv))
    assert (found.program, found.arguments) == ("/usr/bin/x", argv)
