"""The text of one xinetd configuration file, as statements and problems; what they mean is not known here.

A file is made of sections, whose braces have lines of their own, and of includes:

    service ftp                 includedir /etc/xinetd.d
    {
        server    = /usr/lib/fd0/ftpd
        only_from += 10.0.0.0 .example.org
    }

As in xinetd, `#` opens a comment only where a line begins, names are case-sensitive, an operator has a
blank before it, and blanks alone separate values.  Any text gives statements and problems, nothing else.
A section in which a line was not understood is not `whole`: the line may have been a restriction.
"""

KEYWORDS = ("service", "defaults", "include", "includedir")
OPERATORS = ("=", "+=", "-=")
BLANKS = " \t"


class Attribute:
    """One line of a section: a name, "=", "+=" or "-=", and values, perhaps none."""

    __slots__ = ("line", "name", "operator", "values")

    def __init__(self, name: str, operator: str, values: list[str], line: int) -> None:
        self.name, self.operator, self.values, self.line = name, operator, values, line


class Section:
    """Attributes between braces; `kind` is "service", which has a name, or "defaults", whose name is empty."""

    __slots__ = ("attributes", "kind", "line", "name", "whole")

    def __init__(self, kind: str, name: str, attributes: list[Attribute], line: int, whole: bool = True) -> None:
        self.kind, self.name, self.attributes, self.line, self.whole = kind, name, attributes, line, whole


class Include:
    """Another file, or with kind "includedir" all files of a directory."""

    __slots__ = ("kind", "line", "path")

    def __init__(self, kind: str, path: str, line: int) -> None:
        self.kind, self.path, self.line = kind, path, line


class Stray:
    """A line between sections that means nothing: the end of a section closed too early, or a misspelt include."""

    __slots__ = ("line",)

    def __init__(self, line: int) -> None:
        self.line = line


class Problem:
    """What is wrong with a line, in a sentence for the administrator."""

    __slots__ = ("line", "text")

    def __init__(self, line: int, text: str) -> None:
        self.line, self.text = line, text


Statement = Section | Include | Stray


def parse(text: str) -> tuple[list[Statement], list[Problem]]:
    """Return the statements of a file, in order, and everything that is wrong with them."""
    reading = _Reading()
    reading.unix = "\r\n" not in text
    if not reading.unix:
        reading.problem(1, "lines end in CR LF, and xinetd takes the CR as part of each value: save with LF alone")
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        content = line.strip(BLANKS)
        if content and not content.startswith("#"):
            reading.take(content, number)
    reading.end()
    return reading.statements, reading.problems


class _Reading:
    """Where we are in a file: outside of sections, or in one, whose brace is open or not yet."""

    __slots__ = ("open", "problems", "section", "statements", "unix")

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.problems: list[Problem] = []
        self.section: Section | None = None
        self.open = False
        self.unix = True

    def problem(self, line: int, text: str) -> None:
        self.problems.append(Problem(line, text))

    def broken(self, line: int, text: str) -> None:
        """Say what is wrong with a line that may have meant anything."""
        self.problem(line, text)
        if self.section:
            self.section.whole = False
        else:
            self.statements.append(Stray(line))

    def take(self, text: str, line: int) -> None:
        words = _words(text)
        if any((char < " " and char != "\t") or char == "\x7f" for char in text):
            self.broken(line, f"control character in {_short(text)}")
        elif self.section is None:
            self.outside(words, line)
        elif words[0] in KEYWORDS and not _is_setting(words):
            self.cut_short(self.section)
            self.outside(words, line)
        elif self.open:
            self.within(self.section, text, words, line)
        else:
            self.before(self.section, text, words, line)

    def outside(self, words: list[str], line: int) -> None:
        if words[0] in ("service", "defaults"):
            self.header(words[0], words[1:], line)
        elif words[0] in ("include", "includedir"):
            self.include(words, line)
        elif words == ["{"]:
            self.broken(line, "'{' with no service or defaults line before it")
            self.section, self.open = Section("", "", [], line), True       # read, and kept by nobody
        elif _is_setting(words):
            self.broken(line, f"{_short(words[0])} stands outside of every section: is a '}}' too early?")
        else:
            self.unknown(words, line)

    def unknown(self, words: list[str], line: int) -> None:
        from difflib import get_close_matches  # only for those who misspell

        near = "".join(get_close_matches(words[0], KEYWORDS, 1, 0.7))
        text = f"{_short(words[0])} does not begin a section or an include" + (f": is it {near}?" if near else "")
        if near not in ("service", "defaults"):
            self.broken(line, text)
            return
        self.header(near, words[1:], line)
        self.broken(line, text)

    def header(self, kind: str, rest: list[str], line: int) -> None:
        names = rest[:-1] if rest[-1:] == ["{"] else rest
        self.section = Section(kind, names[0] if names and kind == "service" else "", [], line, self.unix)
        self.open = names != rest
        self.statements.append(self.section)
        if self.open:
            self.broken(line, "'{' must have a line of its own")
        if len(names) != (kind == "service"):
            self.broken(line, "service takes one name" if kind == "service" else "defaults takes no name")

    def include(self, words: list[str], line: int) -> None:
        if len(words) == 2:
            self.statements.append(Include(words[0], words[1], line))
        else:
            self.broken(line, f"{words[0]} takes one path")

    def before(self, section: Section, text: str, words: list[str], line: int) -> None:
        """The line after a header, which should be its brace."""
        self.open = True
        if words == ["{"]:
            return
        self.broken(line, "a '{' must come first, on a line of its own")
        if words[0] != "{":
            self.within(section, text, words, line)

    def within(self, section: Section, text: str, words: list[str], line: int) -> None:
        if words[0] == "}":
            if len(words) > 1:
                self.broken(line, "'}' must have a line of its own")
            self.section = None
            return
        rest = text[len(words[0]):].lstrip(BLANKS)
        operator = next((one for one in OPERATORS if rest.startswith(one)), None)
        if "=" in words[0]:
            self.broken(line, f"{_short(words[0])} needs a blank before its operator")
        elif operator is None:
            self.broken(line, f"no =, += or -= after {_short(words[0])}")
        else:
            section.attributes.append(Attribute(words[0], operator, _words(rest[len(operator):]), line))

    def cut_short(self, section: Section) -> None:
        """The text goes on with something else, or ends, and this section still waits for a brace."""
        self.broken(section.line, f"no '{'}' if self.open else '{'}' for the section that begins here")
        self.section = None

    def end(self) -> None:
        if self.section:
            self.cut_short(self.section)


def _is_setting(words: list[str]) -> bool:
    return len(words) > 1 and words[1].startswith(OPERATORS)


def _words(text: str) -> list[str]:
    return [word for word in text.replace("\t", " ").split(" ") if word]


def _short(word: str) -> str:
    return repr(word[:40])


def written(name: str, rows: list[tuple[str, str]]) -> str:
    """A service section with these attributes, as parse() reads it."""
    lines = [f"\t{attribute:15} = {value}".rstrip() for attribute, value in rows]
    return f"service {name}\n{{\n" + "\n".join(lines) + "\n}\n"
