"""Lines of a file of aliases, as sendmail, Postfix and Exim have it in /etc/aliases, with a domain for names without.

    # comments, empty lines
    postmaster: root
    root:       ann@example.org, bob
    staff:      carol,
                dave@example.net

A line that begins with a blank goes on from the one before.  What leads to a program, a file or an included list is
told as bad: mail goes to addresses here.
"""

from .accountnames import address_name

BLANKS = " \t"
ELSEWHERE = {"|": "a program", "/": "a file", ":": "an included list"}

Rows = list[tuple[str, list[str]]]
Bad = list[tuple[int, str]]


def parse(text: str, domain: str) -> tuple[Rows, Bad]:
    """([(address, targets)], [(line number, what is wrong there)])."""
    rows, bad = [], []
    for at, line in _whole(text):
        name, colon, values = _parted(line, ":")
        try:
            if not colon:
                raise ValueError("no NAME: ADDRESS, ...")
            targets = [_address(value, domain) for value in _split(values)]
            if not targets:
                raise ValueError("it leads to nobody")
            rows.append((_address(name, domain), targets))
        except ValueError as error:
            bad.append((at, str(error)))
    return rows, bad


def _whole(text: str) -> list[tuple[int, str]]:
    """(number, line) of each line with those that go on from it."""
    found: list[tuple[int, str]] = []
    for at, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip(BLANKS) or line.lstrip(BLANKS).startswith("#"):
            continue
        if line[0] in BLANKS and found:
            found[-1] = found[-1][0], f"{found[-1][1]} {line.strip(BLANKS)}"
        else:
            found.append((at, line.strip(BLANKS)))
    return found


def _parted(text: str, sign: str) -> tuple[str, str, str]:
    """Before the first such sign that is not within quotes, the sign, and what is behind it."""
    quoted = False
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif letter == sign and not quoted:
            return text[:at].strip(BLANKS), sign, text[at + 1:].strip(BLANKS)
    return text, "", ""


def _split(values: str) -> list[str]:
    found, rest = [], values
    while rest:
        value, _, rest = _parted(rest, ",")
        if value:
            found.append(value)
    return found


def _address(text: str, domain: str) -> str:
    """An address; raises ValueError."""
    bare = text.strip('"').removeprefix("\\").strip(BLANKS)        # \\name: not aliased again, as it is here anyway
    if bare[:1] in ELSEWHERE:
        raise ValueError(f"{text} is {ELSEWHERE[bare[:1]]}, and mail goes to addresses alone")
    if not bare or bare.startswith("@") or set(bare) & set(BLANKS):
        raise ValueError(f"{text!r} is no address")
    return address_name(bare if "@" in bare else f"{bare}@{domain}")
