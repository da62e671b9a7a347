"""Statements and problems of one file, whatever its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.xinetdconf import KEYWORDS, OPERATORS, Attribute, Include, Problem, Section, Stray, parse

GOOD = """\
# a comment
defaults
{
    instances = 60
}
service ftp
{
    # another
    server      = /usr/lib/fd0/ftpd
\tserver_args\t=\t-l  --root=/srv # not a comment
    only_from   +=10.0.0.0 .example.org
    no_access   -= 10.0.0.1

    passenv     =
}
include /etc/one
includedir /etc/many
"""


def outline(text):
    """A file's statements as tuples."""
    return [(one.kind, one.name, one.line, one.whole,
             [(a.name, a.operator, a.values, a.line) for a in one.attributes]) if isinstance(one, Section)
            else (one.kind, one.path, one.line) if isinstance(one, Include) else ("stray", one.line)
            for one in parse(text)[0]]


def problems(text):
    return [(problem.line, problem.text) for problem in parse(text)[1]]


def test_a_good_file():
    assert problems(GOOD) == []
    assert outline(GOOD) == [
        ("defaults", "", 2, True, [("instances", "=", ["60"], 4)]),
        ("service", "ftp", 6, True, [
            ("server", "=", ["/usr/lib/fd0/ftpd"], 9),
            ("server_args", "=", ["-l", "--root=/srv", "#", "not", "a", "comment"], 10),
            ("only_from", "+=", ["10.0.0.0", ".example.org"], 11),
            ("no_access", "-=", ["10.0.0.1"], 12),
            ("passenv", "=", [], 14)]),
        ("include", "/etc/one", 16),
        ("includedir", "/etc/many", 17)]


@pytest.mark.parametrize("line, text", [
    ("user=root", "'user=root' needs a blank before its operator"),
    ("user+= root", "'user+=' needs a blank before its operator"),
    ("user root", "no =, += or -= after 'user'"),
    ("user", "no =, += or -= after 'user'"),
    ("user +root", "no =, += or -= after 'user'"),
    ("{", "no =, += or -= after '{'"),
    ("user = ro\x00ot", "control character in 'user = ro\\x00ot'"),
    ("user = root\r", None), ("user = root\x0b", "control character in 'user = root\\x0b'"),
])
def test_a_line_that_is_no_attribute_leaves_its_section_not_whole(line, text):
    found = f"service a\n{{\n{line}\n}}\n"
    assert [section[3] for section in outline(found)] == [False]
    if text:
        assert problems(found) == [(3, text)]


@pytest.mark.parametrize("text, line, says", [
    ("service a {\nx = 1\n}\n", 1, "line of its own"),
    ("service a\n{ x = 1\n}\n", 2, "line of its own"),
    ("service a\nx = 1\n}\n", 2, "'{' must come first"),
    ("service a\n{\nx = 1\n} end\n", 4, "'}' must have a line of its own"),
    ("service a\n{\nx = 1\n", 1, "no '}'"),
    ("service a\n", 1, "no '{'"),
    ("service a b\n{\n}\n", 1, "one name"),
    ("service\n{\n}\n", 1, "one name"),
    ("defaults a\n{\n}\n", 1, "no name"),
    ("servce a\n{\n}\n", 1, "is it service?"),
    ("default\n{\n}\n", 1, "is it defaults?"),
])
def test_braces_and_headers(text, line, says):
    [(where, sentence)] = problems(text)
    assert where == line and says in sentence
    assert [section[3] for section in outline(text)] == [False]


def test_attributes_are_read_where_a_brace_is_missing():
    [section] = outline("service a\nx = 1\ny = 2\n}\n")
    assert section[4] == [("x", "=", ["1"], 2), ("y", "=", ["2"], 3)]


def test_a_section_that_is_not_closed_ends_where_the_next_begins():
    found = outline("service a\n{\nx = 1\nservice b\n{\n}\ninclude /c\n")
    assert [section[:4] for section in found] == [
        ("service", "a", 1, False), ("service", "b", 4, True), ("include", "/c", 7)]


@pytest.mark.parametrize("text", ["only_from = 10.0.0.0", "}", "inclde /etc/x", "include", "include /a b", "{\n}"])
def test_what_means_nothing_between_sections_is_a_stray_line(text):
    assert outline(f"service a\n{{\n}}\n{text}\n")[1:] == [("stray", 4)]
    assert [line for line, _ in problems(f"service a\n{{\n}}\n{text}\n")] == [4]


def test_an_attribute_between_sections_hints_at_a_brace_too_early():
    [(_, text)] = problems("only_from =\n")
    assert "stands outside of every section" in text


def test_keywords_may_be_the_names_of_attributes():
    assert problems("service a\n{\nservice =\ninclude += c\n}\n") == []


def test_a_file_from_elsewhere_is_told_once_that_its_lines_end_in_cr():
    [(line, text)] = problems(GOOD.replace("\n", "\r\n"))
    assert line == 1 and "CR LF" in text
    assert [statement[3] for statement in outline(GOOD.replace("\n", "\r\n"))[:2]] == [False, False]


LINES = st.lists(st.one_of(
    st.sampled_from([*KEYWORDS, *OPERATORS, "{", "}", "#", "service a", "x = y", "x\t+= y z", "\r", "\0",
                     "include /a"]),
    st.text(max_size=12)), max_size=25)


@given(LINES)
def test_any_text_gives_statements_and_problems_and_nothing_else(lines):
    statements, found = parse("\n".join(lines))
    assert all(isinstance(one, Section | Include | Stray) for one in statements)
    assert all(isinstance(one, Problem) and 1 <= one.line <= max(1, len("\n".join(lines).split("\n"))) for one in found)
    attributes = [a for one in statements if isinstance(one, Section) for a in one.attributes]
    assert all(isinstance(a, Attribute) and a.name and a.operator in OPERATORS for a in attributes)
    if any(isinstance(one, Stray) or (isinstance(one, Section) and not one.whole) for one in statements):
        assert found, "what is not understood is said"
