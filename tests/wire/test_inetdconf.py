"""inetd.conf as sections, and services as its lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.inetdconf import NotUnderstood, entry, is_inetdconf, parse

FIELDS = "stream tcp nowait nobody /usr/sbin/fingerd"


def attributes(line):
    """The one section of one line, as name -> words."""
    (section,), problems = parse(line + "\n")
    assert not problems
    return {one.name: " ".join(one.values) for one in section.attributes}


@pytest.mark.parametrize(("line", "expected"), [
    (f"finger {FIELDS} fingerd", {"id": "finger", "socket_type": "stream", "protocol": "tcp", "wait": "no",
                                  "user": "nobody", "server": "/usr/sbin/fingerd"}),
    (f"finger {FIELDS} fingerd -l -s", {"server_args": "-l -s"}),
    (f"finger {FIELDS} other -l", {"flags": "NAMEINARGS", "server_args": "other -l"}),
    (f"7007 {FIELDS} fingerd", {"type": "UNLISTED", "port": "7007"}),
    (f"127.0.0.1:finger {FIELDS} fingerd", {"bind": "127.0.0.1"}),
    (f"[::1]:finger {FIELDS} fingerd", {"bind": "::1"}),
    (f"*:finger {FIELDS} fingerd", {"protocol": "tcp"}),
    (f"tcpmux/+finger {FIELDS} fingerd", {"type": "TCPMUXPLUS"}),
    ("finger stream tcp4 nowait.30 nobody.staff /s s", {"flags": "IPv4", "cps": "30 60", "group": "staff"}),
    ("finger stream tcp6 nowait nobody:staff /s s", {"flags": "IPv6", "user": "nobody", "group": "staff"}),
    ("tftp dgram udp wait root /s s", {"socket_type": "dgram", "protocol": "udp", "wait": "yes"}),
    ("time stream tcp nowait root internal", {"type": "INTERNAL"}),
    ("/run/x.sock stream unix nowait root /s s", {"protocol": "unix", "bind": "/run/x.sock"}),
    ("rstatd/1-3 dgram rpc/udp wait root /s s", {"type": "RPC", "protocol": "udp"}),
])
def test_a_line_is_a_section(line, expected):
    found = attributes(line)
    assert {name: found.get(name) for name in expected} == expected
    assert ("bind" in found) == ("bind" in expected)


@pytest.mark.parametrize(("line", "complaint"), [
    ("finger stream tcp nowait nobody", "finger has 5 words"),
    ("finger stream tcp sometimes nobody /s s", "say wait or nowait, not sometimes"),
    ("finger stream tcp nowait.x nobody /s s", "nowait.x"),
    ("finger stream sctp nowait nobody /s s", "protocol sctp is not one of"),
])
def test_what_is_no_service_is_said_with_its_line(line, complaint):
    sections, problems = parse(f"# first\n\n{line}\nfinger {FIELDS} fingerd\n")
    assert [section.line for section in sections] == [4]
    assert [problem.line for problem in problems] == [3] and complaint in problems[0].text


def test_an_entry_goes_on_where_lines_begin_with_a_blank():
    assert attributes(f"finger {FIELDS} fingerd\n   -l\n\t-s")["server_args"] == "-l -s"


def test_addresses_before_a_colon_hold_for_the_lines_after_it():
    text = f"127.0.0.1,::1:\nfinger {FIELDS} f\n*:\ntime {FIELDS} f\n"
    found = [{one.name: one.values for one in section.attributes} for section in parse(text)[0]]
    assert [one.get("bind") for one in found] == [["127.0.0.1"], ["::1"], None]
    assert len({one["id"][0] for one in found}) == 3


def test_namesakes_have_ids_of_their_own():
    text = "echo stream tcp nowait root internal\n" + 2 * "echo dgram udp wait root internal\n"
    ids = [section.attributes[0].values[0] for section in parse(text)[0]]
    assert ids == ["echo-tcp", "echo-udp", "echo-udp-2"]


@pytest.mark.parametrize(("text", "answer"), [
    (f"# a comment\n\nfinger {FIELDS} fingerd\n", True), ("127.0.0.1:\n", True), ("", False), ("# nothing\n", False),
    ("defaults\n{\n}\n", False), ("service echo\n{\n}\n", False), ("includedir /etc/xinetd.d\n", False),
])
def test_it_is_told_from_a_file_of_xinetd(text, answer):
    assert is_inetdconf(text) is answer


WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#:{}"), min_size=1, max_size=8)


@given(name=WORD.filter(lambda word: not word.isdigit() and "/" not in word and word[0] not in "[*"),
       arguments=st.lists(WORD, max_size=3))
def test_a_line_written_is_the_line_read(name, arguments):
    line = entry(name, "stream", "tcp", False, ("nobody", ""), "/usr/sbin/x", ["x", *arguments])
    found = attributes(line)
    assert (found["server"], found.get("server_args", "")) == ("/usr/sbin/x", " ".join(arguments))


@pytest.mark.parametrize("word", ["", "two words", "a\nsecond line"])
def test_a_word_that_no_line_can_hold_is_refused(word):
    with pytest.raises(NotUnderstood, match="no way to write"):
        entry("finger", "stream", "tcp", False, ("nobody", ""), "/s", ["s", word])


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text):
    sections, problems = parse(text)
    lines = [one.line for one in [*sections, *problems]]
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)
