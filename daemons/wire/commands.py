"""Command lines: a verb and its words, answered out of a table of Commands.

    TRANSACTION = {"RETR": Command(retrieve, number), "QUIT": Command(leave)}

A row gives dispatch, the usage text, what the log may show and the list of dialogues that the tests owe.
A session is any object with `stream`, `limit` (octets in a line) and `refuse(*sentence)`.
"""

from collections.abc import Callable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Kind = Callable[[bytes], object]

LEAVE = object()        # what a command returns to leave its table


class Refused(Exception):
    """We will not do that; the arguments go to session.refuse(), and the dialogue goes on."""


class Command:
    """One row: the function, the kind of each argument, and whether the words are a secret."""

    __slots__ = ("function", "kinds", "secret")

    def __init__(self, function: Callable[..., object], *kinds: Kind, secret: bool = False) -> None:
        self.function, self.kinds, self.secret = function, kinds, secret

    def usage(self, verb: str) -> str:
        """How the command is to be given."""
        return " ".join([verb, *(kind.__name__ for kind in self.kinds)])


Table = Mapping[str, Command]


def converse(session: "Any", table: Table) -> None:
    """Answer one command line after another, until a command says LEAVE."""
    while True:
        line = session.stream.line(session.limit)
        session.stream.commands += 1
        try:
            if answer(session, table, line) is LEAVE:
                return
        except Refused as refusal:
            session.refuse(*refusal.args)


def answer(session: "Any", table: Table, line: bytes) -> object:
    """Do what one line asks; raises Refused for an unknown verb, a wrong count or kind of arguments."""
    verb, rest = split(line)
    command = table.get(verb)
    if command is None:
        raise Refused("no such command here")
    return command.function(session, *arguments(command, verb, rest))


def arguments(command: Command, verb: str, rest: bytes) -> list[object]:
    """The words of a line as the command's kinds make them; a kind marked `rest` takes all that is left, as it is."""
    kinds = command.kinds
    words = _words(rest, len(kinds) if kinds and getattr(kinds[-1], "rest", False) else 0)
    values: list[object] = []
    least = len([kind for kind in kinds if not getattr(kind, "optional", False)])
    if not least <= len(words) <= len(kinds):
        raise Refused(f"usage: {command.usage(verb)}")
    for kind, word_ in zip(kinds, words):
        try:
            values.append(kind(word_))
        except ValueError as error:
            raise Refused(f"{verb}: {error}") from None
    return values


def split(line: bytes) -> tuple[str, bytes]:
    """The verb in capitals, as text, and the rest of the line; only blanks part them, and only ASCII is folded."""
    verb, _, rest = line.lstrip(b" ").partition(b" ")
    return verb.upper().decode("ascii", "backslashreplace"), rest.lstrip(b" ")


def _words(rest: bytes, most: int) -> list[bytes]:
    """The words between blanks; with `most`, the last of so many is all that is left, blanks and all."""
    if not most:
        return [word for word in rest.split(b" ") if word]
    words: list[bytes] = []
    while rest and len(words) < most - 1:
        word, _, rest = rest.partition(b" ")
        rest = rest.lstrip(b" ")
        words.append(word)
    return [*words, rest] if rest else words


def shown(table: Table, line: bytes) -> str:
    """A command line as the log may show it: secrets are not in it, nor what may be a secret typed in a wrong place."""
    verb, rest = split(line)
    command = table.get(verb)
    if command is None:
        return "***"                    # a password typed where its command was forgotten, for all we know
    if command.secret and rest:
        return f"{verb} ***"
    return f"{verb} {rest.decode('utf-8', 'surrogateescape')}".rstrip(" ")


def word(octets: bytes) -> bytes:
    """One word."""
    return octets


def text(octets: bytes) -> bytes:
    """The rest of the line."""
    return octets


text.rest = True        # type: ignore[attr-defined]


def number(octets: bytes) -> int:
    """A number in ASCII digits; int() takes far more than protocols do."""
    if not (octets.isdigit() and len(octets) < 19):
        raise ValueError("not a number")
    return int(octets)


def maybe(kind: Kind) -> Kind:
    """The same kind, which may be left out."""

    def optional(octets: bytes) -> object:
        return kind(octets)

    optional.__name__ = f"[{kind.__name__}]"
    optional.optional = True                            # type: ignore[attr-defined]
    optional.rest = getattr(kind, "rest", False)        # type: ignore[attr-defined]
    return optional
