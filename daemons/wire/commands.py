"""Command lines: a verb and its words, answered out of a table of Commands.

    TRANSACTION = {"RETR": Command(retrieve, number), "QUIT": Command(leave)}

A row gives dispatch, the usage text, what the log may show and the list of dialogues that the tests owe.
A session is any object with `stream`, `limit` (octets in a line) and `refuse(*sentence)`.
"""

LEAVE = object()        # what a command returns to leave its table


class Refused(Exception):
    """We will not do that; the arguments go to session.refuse(), and the dialogue goes on."""


class Command:
    """One row: the function, the kind of each argument, and whether the words are a secret."""

    __slots__ = ("function", "kinds", "secret")

    def __init__(self, function, *kinds, secret=False):
        self.function, self.kinds, self.secret = function, kinds, secret

    def usage(self, verb):
        """How the command is to be given."""
        return " ".join([verb, *(kind.__name__ for kind in self.kinds)])


def converse(session, table):
    """Answer one command line after another, until a command says LEAVE."""
    while True:
        line = session.stream.line(session.limit)
        session.stream.commands += 1
        try:
            if answer(session, table, line) is LEAVE:
                return
        except Refused as refusal:
            session.refuse(*refusal.args)


def answer(session, table, line):
    """Do what one line asks; raises Refused for an unknown verb, a wrong count or kind of arguments."""
    verb, words = split(line)
    command = table.get(verb)
    if command is None:
        raise Refused("no such command here")
    return command.function(session, *arguments(command, verb, words))


def arguments(command, verb, words):
    """The words of a line as the command's kinds make them; a kind marked `rest` takes all that is left."""
    kinds, values = command.kinds, []
    if kinds and getattr(kinds[-1], "rest", False):
        words = words[:len(kinds) - 1] + [b" ".join(words[len(kinds) - 1:])]
    least = len([kind for kind in kinds if not getattr(kind, "optional", False)])
    if not least <= len(words) <= len(kinds):
        raise Refused(f"usage: {command.usage(verb)}")
    for kind, word_ in zip(kinds, words):
        try:
            values.append(kind(word_))
        except ValueError as error:
            raise Refused(f"{verb}: {error}") from None
    return values


def split(line):
    """The verb in capitals, as text, and the words; only blanks part words, and only ASCII is folded."""
    verb, *words = [part for part in line.split(b" ") if part] or [b""]
    return verb.upper().decode("ascii", "backslashreplace"), words


def shown(table, line):
    """A command line as the log may show it: secrets are not in it, nor what may be a secret typed in a wrong place."""
    verb, words = split(line)
    command = table.get(verb)
    if command is None:
        return f"{verb[:16]} ***" if words else verb[:16]
    return f"{verb} ***" if command.secret and words else b" ".join([verb.encode(), *words]).decode("utf-8",
                                                                                                    "backslashreplace")


def word(octets):
    """One word."""
    return octets


def text(octets):
    """The rest of the line."""
    return octets


text.rest = True


def number(octets):
    """A number in ASCII digits; int() takes far more than protocols do."""
    if not (octets.isdigit() and len(octets) < 19):
        raise ValueError("not a number")
    return int(octets)


def maybe(kind):
    """The same kind, which may be left out."""

    def optional(octets):
        return kind(octets)

    optional.__name__ = f"[{kind.__name__}]"
    optional.optional = True
    return optional
