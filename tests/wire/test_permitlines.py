"""Who may call what: rules out of lines."""

import pytest

from daemons.wire.permitlines import LoggedIn, parse

TEXT = """
# a comment
*: +
fd0.uptime  fd0.load: *
backup.*: ann zo\u0065\u0308\r
backup.erase:
"""


def test_rules():
    rules = parse(TEXT)
    assert [(one.line, one.patterns) for one in rules] == [
        (3, ["*"]), (4, ["fd0.uptime", "fd0.load"]), (5, ["backup.*"]), (6, ["backup.erase"])]
    assert isinstance(rules[0].users, LoggedIn) and rules[1].users is None
    assert rules[2].users == {"ann", "zo\u00eb"} and rules[3].users == frozenset()


def test_who_has_logged_in():
    assert "ann" in LoggedIn() and "" not in LoggedIn()


@pytest.mark.parametrize("line", ["fd0.uptime", ": ann", "a: * ann", "a: + *", "a: ann +"])
def test_what_is_no_rule(line):
    with pytest.raises(ValueError, match="line 2"):
        parse(f"\n{line}\n")
