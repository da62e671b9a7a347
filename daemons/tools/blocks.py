"""A block of lines of ours in a file of the administrator's: put there, and taken out again to the last octet."""

BEGIN, END = "# >>> fd0 enable {}", "# <<< fd0 enable {}"
JOINED = " (the file did not end in a newline)"


def put(text, name, lines):
    """A file's text (None if there is none) with the block of this name at its end."""
    text = text or ""
    joined = bool(text) and not text.endswith("\n")
    begin = BEGIN.format(name) + (JOINED if joined else "")
    return text + "\n" * joined + "\n".join([begin, *lines, END.format(name)]) + "\n"


def take_out(text, name):
    """The text without the block, and whether there was one."""
    lines = text.split("\n")
    begin, end = BEGIN.format(name), END.format(name)
    starts = [number for number, line in enumerate(lines) if line in (begin, begin + JOINED)]
    if not starts or end not in lines[starts[0]:]:
        return text, False
    start = starts[0]
    stop = lines.index(end, start)
    before, after = lines[:start], lines[stop + 1:]
    rest = "\n".join(before + after)
    if lines[start].endswith(JOINED) and after == [""]:
        rest = "\n".join(before)
    return rest, True


def is_in(text, name):
    """Is the block there?"""
    return text is not None and take_out(text, name)[1]
