"""Who may call which methods: lines of a file into rules.

    # methods: users; of several lines about a method the last counts
    *: +                        + is whoever has logged in
    fd0.uptime fd0.load: *      * is everybody
    backup.*: ann bob
    backup.erase:               nobody

A method is named in full, with `NAME.*` for all below a name, or `*` for all.
"""

from collections.abc import Container

from .httpauth import normal

EVERYBODY, LOGGED_IN = "*", "+"


class LoggedIn:
    """All users who have a name."""

    def __contains__(self, user: object) -> bool:
        return bool(user)


class Rule:
    """One line: `patterns` of methods, and the `users` who may call them, None for everybody."""

    __slots__ = ("line", "patterns", "users")

    def __init__(self, line: int, patterns: list[str], users: Container[str] | None) -> None:
        self.line, self.patterns, self.users = line, patterns, users


def parse(text: str) -> list[Rule]:
    """The rules of a file.  Raises ValueError with the number of the line."""
    rules = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        patterns, colon, users = line.partition(":")
        if not colon or not patterns.split():
            raise ValueError(f"line {number}: not a line of the form METHOD ...: USER ...")
        rules.append(Rule(number, patterns.split(), _users(users.split(), number)))
    return rules


def _users(words: list[str], line: int) -> Container[str] | None:
    if words == [EVERYBODY]:
        return None
    if words == [LOGGED_IN]:
        return LoggedIn()
    if EVERYBODY in words or LOGGED_IN in words:
        raise ValueError(f"line {line}: {EVERYBODY} and {LOGGED_IN} stand alone")
    return frozenset(map(normal, words))
