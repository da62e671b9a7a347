"""Files of aliases: what is read, and what is told of the rest."""

import pytest

from daemons.wire.aliaslines import parse

DEBIAN = """# /etc/aliases
mailer-daemon: postmaster
postmaster: root
nobody: root

root: ann@Example.net, \\bob
"staff": carol,
\tdave@example.net , "erin"
"""


def test_what_machines_have():
    assert parse(DEBIAN, "example.org") == ([
        ("mailer-daemon@example.org", ["postmaster@example.org"]), ("postmaster@example.org", ["root@example.org"]),
        ("nobody@example.org", ["root@example.org"]), ("root@example.org", ["ann@example.net", "bob@example.org"]),
        ("staff@example.org", ["carol@example.org", "dave@example.net", "erin@example.org"])], [])


@pytest.mark.parametrize("line, why", [
    ('list: "|/usr/bin/list -a, -b"', "a program"), ("list: /var/mail/list", "a file"),
    ("list: :include:/etc/list", "an included list"), ("list", "no NAME"), ("list:", "nobody"), ("list: ,", "nobody"),
    ("a b: c", "a b"), (": c", "''"), ("a: @y.org", "@y.org")])
def test_what_is_no_address_is_told_by_line(line, why):
    rows, ((at, said),) = parse(f"good: one\n# more\n{line}\n", "x.org")
    assert rows == [("good@x.org", ["one@x.org"])] and at == 3 and why in said


@pytest.mark.parametrize("text", ["", "\n", "# one\n", "  \n"])
def test_nothing(text):
    assert parse(text, "x.org") == ([], [])
