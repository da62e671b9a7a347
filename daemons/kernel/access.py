"""Who may talk to us: the peer's address, or its confirmed name, against two lists of patterns.

xinetd cannot decide this for a server that accepts its own connections, so every program does, after
accept.  A pattern is a network (192.0.2.0/24, 2001:db8::/32), an address, an address with trailing
zeros for "any" (10.0.0.0), a factor (192.0.2.{1,7}), a host name, or a domain (.example.org).  The
longest match wins, and between equals the refusal.  A name counts only if it leads back to the address.
"""

import socket

from .addresses import Address
from .dial import name_of


class Network:
    """All addresses that begin with the same bits."""

    __slots__ = ("bits", "length", "packed")

    def __init__(self, packed: bytes, length: int) -> None:
        self.packed, self.length = packed, length
        self.bits = int.from_bytes(packed, "big") >> (len(packed) * 8 - length)

    def match(self, packed: bytes) -> int | None:
        """How many bits match, for the longest to win; None if the address is outside."""
        if len(packed) != len(self.packed):
            return None
        same = int.from_bytes(packed, "big") >> (len(packed) * 8 - self.length) == self.bits
        # an IPv4 /24 is as narrow as an IPv6 /120
        return 128 - len(packed) * 8 + self.length if same else None


class Name:
    """A host name, or a domain and all below it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name.lower()

    def match(self, name: str) -> float | None:
        """As Network.match: a name counts as an address, a domain for less than that and more than any network."""
        if name == self.name:
            return 128
        if self.name.startswith(".") and name.endswith(self.name):
            return 127 + len(self.name) / 256       # the longer, the narrower
        return None


Pattern = Network | Name


def networks(text: str) -> list[Pattern]:
    """Networks and names, separated by commas or blanks."""
    patterns: list[Pattern] = []
    word, depth = "", 0
    for char in text + " ":
        depth += (char == "{") - (char == "}")
        if char in ", \t" and depth == 0:
            if word:
                patterns += pattern(word)
            word = ""
        else:
            word += char
    if depth:
        raise ValueError(f"a brace without its partner in {text!r}")
    return patterns


def pattern(word: str) -> list[Pattern]:
    """One pattern as a list of Network or Name objects; raises ValueError."""
    head, brace, tail = word.partition("{")
    if brace:
        choices, brace, rest = tail.partition("}")
        if not brace or rest.strip(".0123456789") or choices.strip(", 0123456789"):
            raise ValueError(f"not a factor: {word!r} (write 192.0.2.{{1,7}})")
        return [found for choice in choices.split(",") for found in pattern(head + choice.strip() + rest)]
    address, slash, length = word.partition("/")
    packed = _packed(address)
    if packed is None:
        if slash or not _is_name(word):
            raise ValueError(f"not a network, address or host name: {word!r}")
        return [Name(word)]
    most = len(packed) * 8
    if slash:
        if not (length.isascii() and length.isdigit() and int(length) <= most):
            raise ValueError(f"not a prefix length of 0 to {most}: {word!r}")
        return [Network(packed, int(length))]
    if len(packed) == 4 and packed[3] == 0:
        return [Network(packed, 8 * len(packed.rstrip(b"\0")))]
    return [Network(packed, most)]


def denied(peer: Address, only_from: list[Pattern] | None, no_access: list[Pattern] | None) -> str | None:
    """Why this Address may not come in, or None.  No address at all (a pipe, a Unix socket) is local: welcome."""
    if not peer.host or (only_from is None and not no_access):
        return None
    packed, confirmed = _packed(peer.host.partition("%")[0]), None
    if packed is None:
        return "no-address"             # whoever that is, no rule could be held against them
    if any(isinstance(one, Name) for one in (only_from or []) + (no_access or [])):
        confirmed = name_of(peer.host)
    refused = _longest(no_access or [], packed, confirmed)
    if only_from is None:
        return None if refused is None else "no-access"
    allowed = _longest(only_from, packed, confirmed)
    if allowed is None:
        return "only-from"
    return "no-access" if refused is not None and refused >= allowed else None


def _longest(patterns: list[Pattern], packed: bytes, name: str | None) -> float | None:
    found = [one.match(name or "") if isinstance(one, Name) else one.match(packed) for one in patterns]
    return max((length for length in found if length is not None), default=None)


def _packed(text: str) -> bytes | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text)
        except OSError:
            continue
    return None


def _is_name(word: str) -> bool:
    letters = word.replace("-", "").replace(".", "").replace("_", "")
    return letters.isascii() and letters.isalnum() and not letters.isdigit() and ".." not in word
