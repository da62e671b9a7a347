"""MTA-STS: what the owner of a domain says of its mail servers and their TLS, in the DNS and in a file (RFC 8461).

    _mta-sts.example.com TXT "v=STSv1; id=20260921T141320"          there is a policy, and which

    version: STSv1                              https://mta-sts.example.com/.well-known/mta-sts.txt
    mode: enforce
    mx: mail.example.com
    mx: *.example.net
    max_age: 604800
"""

from collections.abc import Iterable

from .numbers import number

VERSION = "STSv1"
ENFORCE, TESTING, NONE = "enforce", "testing", "none"
OLDEST = 31557600               # seconds for which a policy counts at most (RFC 8461, 3.2)
LONGEST_ID = 32
BLANKS = " \t"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_"


class Policy:
    """One policy: its mode, the patterns of host names, and for how many seconds it counts."""

    __slots__ = ("mode", "patterns", "seconds")

    def __init__(self, mode: str, patterns: tuple[str, ...], seconds: int) -> None:
        self.mode, self.patterns, self.seconds = mode, patterns, seconds

    def allows(self, host: str) -> bool:
        """May this server have mail for the domain?  An asterisk stands for one whole label (RFC 8461, 4.1)."""
        name = host.lower().rstrip(".")
        above = name.partition(".")[2]
        return name in self.patterns or (bool(above) and f"*.{above}" in self.patterns)


def identity(texts: Iterable[bytes]) -> str | None:
    """The id among the TXT records of a name; None where there is no record, or more than one (RFC 8461, 3.1)."""
    found = [words for text in texts if (words := text.decode("latin-1").split(";"))[0].rstrip(BLANKS) == f"v={VERSION}"
             and len(words) > 1]
    if len(found) != 1:
        return None
    for word in found[0][1:]:
        name, _, value = word.strip(BLANKS).partition("=")
        if name == "id":
            return value if value.isascii() and value.isalnum() and len(value) <= LONGEST_ID else None
    return None


def parse(octets: bytes) -> Policy:
    """The policy in a file; raises ValueError for what is none (RFC 8461, 3.2)."""
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for line in octets.decode("latin-1").split("\n"):
        if not (line := line.removesuffix("\r").strip(BLANKS)):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"not a field: {line[:40]!r}")
        if name == "mx":
            patterns.append(_pattern(value.strip(BLANKS)))
        else:
            fields.setdefault(name, value.strip(BLANKS))        # of two with one name the first counts
    if fields.get("version") != VERSION:
        raise ValueError(f"not version {VERSION}")
    mode = fields.get("mode", "")
    if mode not in (ENFORCE, TESTING, NONE):
        raise ValueError(f"not a mode: {mode[:40]!r}")
    if not patterns and mode != NONE:
        raise ValueError("it names no server")
    return Policy(mode, tuple(patterns), min(number(fields.get("max_age", "")), OLDEST))


def is_name(text: str) -> bool:
    """Is this a host name in small letters, as the DNS and certificates have it?"""
    labels = text.split(".")
    return len(text) <= 253 and all(label and not label.strip(LETTERS) for label in labels)


def _pattern(text: str) -> str:
    #   sts-policy-mx-value = ["*."] Domain                                             RFC 8461, 3.2
    pattern = text.lower()
    if not is_name(pattern.removeprefix("*.")):
        raise ValueError(f"not the name of a server: {text[:40]!r}")
    return pattern
