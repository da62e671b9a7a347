"""Text from files and from strangers, as plain lines: nothing in them that a terminal would obey.

What is shown on somebody's screen must not move the cursor, rename the window, answer for the person or
write from right to left: escape sequences (ECMA-48) go as a whole, control and format characters one by one.
"""

ESCAPE, BELL = "\x1b", "\x07"
STRINGS = "PX]^_"               # ESC with one of these opens a string, which ends with BEL or ESC \ (ECMA-48, 5.6)
LONG = {0x9b: ESCAPE + "[", 0x9d: ESCAPE + "]", 0x90: ESCAPE + "P", 0x98: ESCAPE + "X", 0x9e: ESCAPE + "^",
        0x9f: ESCAPE + "_"}     # the same in one character

# what word processors put for signs that ASCII has
PUNCTUATION = {0x2018: "'", 0x2019: "'", 0x201c: '"', 0x201d: '"', 0x2010: "-", 0x2011: "-", 0x2013: "-",
               0x2014: "--", 0x2026: "..."}


def decoded(data: bytes) -> str:
    """Text from octets whose charset nobody noted: UTF-8, or else Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def plain(text: str) -> list[str]:
    """The lines of a text, in printable characters and spaces alone; empty lines around it are left out."""
    lines = [_line(line) for line in _without_escapes(text).replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def spelt_in_ascii(line: str) -> str:
    """The line with typographic signs spelt in ASCII; whatever else is not ASCII stays."""
    return line if line.isascii() else line.translate(PUNCTUATION)


def _line(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line.rstrip()
    shown = _struck(line.expandtabs()) if "\b" in line else line.expandtabs()
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "" for sign in shown).rstrip()


def _struck(line: str) -> str:
    """Overstrikes as a printer showed them (`_` BS `x` is x underlined), with the last sign alone."""
    shown: list[str] = []
    for sign in line:
        if sign != "\b":
            shown.append(sign)
        elif shown:
            shown.pop()
    return "".join(shown)


def _without_escapes(text: str) -> str:
    if not text.isascii():
        text = text.translate(LONG)
    if ESCAPE not in text:
        return text
    first, *rest = text.split(ESCAPE)
    return first + "".join(piece[_sequence(piece):] for piece in rest)


def _sequence(piece: str) -> int:
    """How many characters after an ESC belong to it."""
    if piece[:1] == "[":                # CSI: parameters and intermediates, then a final character
        return _past(piece, 1, " ", "?")
    if piece[:1] and piece[0] in STRINGS:
        end = piece.find(BELL)
        return end + 1 if end >= 0 else len(piece)
    return _past(piece, 0, " ", "/")    # ESC ( B and the like


def _past(piece: str, start: int, low: str, high: str) -> int:
    while start < len(piece) and low <= piece[start] <= high:
        start += 1
    return start + 1 if start < len(piece) and high < piece[start] <= "~" else start
