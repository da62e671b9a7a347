"""The text of a systemd unit (systemd.syntax(7)), and the command lines in it (systemd.service(5)).

    [Socket]
    ListenStream=127.0.0.1:7        a backslash at its end joins a line to the next
    Accept=yes                      # and ; begin comments, on lines of their own only
"""

QUOTES = "\"'"
# what an escape stands for; \xNN, \NNN, \uNNNN and \UNNNNNNNN are read beside these
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'",
           "s": " "}
NUMBERED = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}
PREFIXES = "@-:+!|"             # of ExecStart=, each with a meaning of its own


class Setting:
    """One line of a section: name, value, and where it stands."""

    __slots__ = ("line", "name", "section", "value")

    def __init__(self, section: str, name: str, value: str, line: int) -> None:
        self.section, self.name, self.value, self.line = section, name, value, line


class NotUnderstood(ValueError):
    """A line or a command that systemd would refuse, or that means what no other launcher can do."""


def parse(text: str) -> list[Setting]:
    """Every setting of a unit file, in order; raises NotUnderstood with its line."""
    settings: list[Setting] = []
    section = ""
    for number, line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        name, equals, value = line.partition("=")
        if not equals or not section:
            raise NotUnderstood(f"line {number} is neither a section nor name=value: {line[:40]!r}")
        settings.append(Setting(section, name.strip(), value.strip(), number))
    return settings


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines that say something, with those that a backslash continues joined by a blank."""
    found: list[tuple[int, str]] = []
    held, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if line.startswith(("#", ";")) or (not line and not held):
            continue
        first = first or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        if held or line:
            found.append((first, held + line))
        held, first = "", 0
    if held:
        found.append((first, held.rstrip()))
    return found


def values(settings: list[Setting], section: str, name: str) -> list[str]:
    """All values of a setting that may be given more than once; an empty one takes back those before it."""
    found: list[str] = []
    for one in settings:
        if (one.section, one.name) == (section, name):
            found = [*found, one.value] if one.value else []
    return found


def words(text: str) -> list[str]:
    """A command line's words, unquoted; raises NotUnderstood for an open quote and for unknown escapes."""
    found: list[str] = []
    word, quote, begun, place = "", "", False, 0
    while place < len(text):
        char = text[place]
        place += 1
        if char == "\\":
            char, place = _escape(text, place)
            word, begun = word + char, True
        elif quote and char == quote:
            quote = ""
        elif not quote and char in QUOTES and not begun:
            quote, begun = char, True
        elif not quote and char in " \t":
            if begun:
                found.append(_joined(word))
            word, begun = "", False
        else:
            word, begun = word + char, True
    if quote:
        raise NotUnderstood(f"a quote is never closed: {text[:60]!r}")
    return [*found, _joined(word)] if begun else found


def _joined(word: str) -> str:
    """Octets that were escaped one by one, as the character that they are together."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _escape(text: str, place: int) -> tuple[str, int]:
    sign = text[place:place + 1]
    if sign in ESCAPES and sign:
        return ESCAPES[sign], place + 1
    digits, base, start = *NUMBERED.get(sign, (3, 8)), place + (sign in NUMBERED)
    figure = text[start:start + digits]
    try:
        if len(figure) != digits or not figure.isalnum():
            raise ValueError
        code = int(figure, base)
        if sign in "uU":
            return chr(code), start + digits
        return bytes([code]).decode("utf-8", "surrogateescape"), start + digits
    except (ValueError, OverflowError):
        raise NotUnderstood(f"no escape: \\{text[place:place + 4]}") from None


class Command:
    """What ExecStart= runs: a program, its arguments from argv[0] on, and the prefixes that were before it."""

    __slots__ = ("arguments", "prefixes", "program")

    def __init__(self, program: str, arguments: list[str], prefixes: str) -> None:
        self.program, self.arguments, self.prefixes = program, arguments, prefixes


def command(text: str) -> Command:
    """An ExecStart= line; raises NotUnderstood where it needs what systemd alone fills in."""
    found = words(text)
    if not found or ";" in text.split():
        raise NotUnderstood("ExecStart= must have one program, with its path")
    program = found[0].lstrip(PREFIXES)
    prefixes = found[0][:len(found[0]) - len(program)]
    rest = [_plain(word, ":" not in prefixes) for word in found[1:]]
    if "@" in prefixes and not rest:
        raise NotUnderstood("ExecStart=@ needs argv[0] after the program")
    arguments = rest if "@" in prefixes else [program.rpartition("/")[2], *rest]
    return Command(_plain(program, False), arguments, prefixes)


def _plain(word: str, variables: bool) -> str:
    """A word without specifiers (%i) and variables ($X), whose signs are written twice."""
    text = word.replace("%%", "\0")
    if "%" in text:
        raise NotUnderstood(f"{word} has a specifier in it, which only systemd fills in")
    text = text.replace("\0", "%")
    if variables:
        rest = text.replace("$$", "\0")
        if "$" in rest:
            raise NotUnderstood(f"{word} has a variable in it, which only systemd fills in")
        text = rest.replace("\0", "$")
    return text


def quoted(word: str, variables: bool = False) -> str:
    """A word as a unit file has it, for any setting; with `variables` for a command line, where $ means something."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if variables:
        text = text.replace("$", "$$")
    text = "".join(char if char.isprintable() else "".join(f"\\x{octet:02x}" for octet in
                   char.encode("utf-8", "surrogateescape")) for char in text)
    plain = text == word or text == word.replace("%", "%%").replace("$", "$$")
    needs = not word or not plain or any(char in " \t'\";#" for char in word)
    return f'"{text}"' if needs else text


def command_line(program: str, argv: list[str]) -> str:
    """An ExecStart= line for a program and its arguments from argv[0] on."""
    given = argv[:1] == [program.rpartition("/")[2]]
    rest = argv[1:] if given else argv
    line = [quoted(program if given else f"@{program}"), *(quoted(word, variables=True) for word in rest)]
    return " ".join(line)
