"""Who may talk to us: the peer's address, or its confirmed name, against two lists of patterns.

xinetd cannot decide this for a server that accepts its own connections, so every program does, after
accept.  A pattern is a network (192.0.2.0/24, 2001:db8::/32), an address, an address with trailing
zeros for "any" (10.0.0.0), a factor (192.0.2.{1,7}), a host name, or a domain (.example.org).  The
longest match wins, and between equals the refusal.  A name counts only if it leads back to the address.
"""

import socket
import time
from collections.abc import Callable

from .addresses import Address
from .dial import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Options
    from .stream import Stream

MAPPED = bytes(10) + b"\xff\xff"        # how IPv4 addresses begin in IPv6's clothes


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

    def __str__(self) -> str:
        bits = self.bits << (len(self.packed) * 8 - self.length)
        family = socket.AF_INET if len(self.packed) == 4 else socket.AF_INET6
        return f"{socket.inet_ntop(family, bits.to_bytes(len(self.packed), 'big'))}/{self.length}"


class Name:
    """A host name, or a domain and all below it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name.lower().removesuffix(".")

    def match(self, name: str) -> float | None:
        """As Network.match: a name counts as an address, a domain for less than that and more than any network."""
        if name == self.name:
            return 128
        if self.name.startswith(".") and name.endswith(self.name):
            return 127 + len(self.name) / 256       # the longer, the narrower
        return None

    def __str__(self) -> str:
        return self.name


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
        if packed.startswith(MAPPED) and len(packed) == 16 and int(length) >= 96:
            return [Network(packed[12:], int(length) - 96)]     # no peer is ever seen in these clothes
        return [Network(packed, int(length))]
    if packed.startswith(MAPPED) and len(packed) == 16:
        return [Network(packed[12:], 32)]
    if len(packed) == 4 and packed[3] == 0:
        return [Network(packed, 8 * len(packed.rstrip(b"\0")))]
    return [Network(packed, most)]


class Verdict:
    """What the rules say of one peer.

    why             the word for why it may not come in; None if it may
    rule, pattern   the list that decided ("only-from", "no-access"), and what of it matched; None where nothing did
    name            the peer's confirmed name, if rules ask for one
    """

    __slots__ = ("name", "pattern", "rule", "why")

    def __init__(self, why: str | None, rule: str = "", pattern: Pattern | None = None,
                 name: str | None = None) -> None:
        self.why, self.rule, self.pattern, self.name = why, rule, pattern, name


def denied(peer: Address, only_from: list[Pattern] | None, no_access: list[Pattern] | None) -> str | None:
    """Why this Address may not come in, or None.  No address at all (a pipe, a Unix socket) is local: welcome."""
    return judged(peer, only_from, no_access).why


def judged(peer: Address, only_from: list[Pattern] | None, no_access: list[Pattern] | None,
           named: Callable[[str], str | None] | None = None) -> Verdict:
    """The Verdict on this Address; `named` tells the confirmed name of a host (default: the resolver is asked)."""
    if not peer.host or (only_from is None and not no_access):
        return Verdict(None)
    packed, name = packed_host(peer.host), None
    if packed is None:
        return Verdict("no-address")    # whoever that is, no rule could be held against them
    if has_names(only_from, no_access):
        name = (named or name_of)(peer.host)
    refused = _longest(no_access or [], packed, name)
    if only_from is None:
        return Verdict(None, name=name) if refused is None else Verdict("no-access", "no-access", refused[1], name)
    allowed = _longest(only_from, packed, name)
    if allowed is None:
        return Verdict("only-from", "only-from", None, name)
    if refused is not None and refused[0] >= allowed[0]:
        return Verdict("no-access", "no-access", refused[1], name)
    return Verdict(None, "only-from", allowed[1], name)


def has_names(*lists: list[Pattern] | None) -> bool:
    """Must somebody's name be looked up to hold these lists against them?"""
    return any(isinstance(one, Name) for patterns in lists for one in patterns or ())


def _longest(patterns: list[Pattern], packed: bytes, name: str | None) -> tuple[float, Pattern] | None:
    best: tuple[float, Pattern] | None = None
    for one in patterns:
        length = one.match(name or "") if isinstance(one, Name) else one.match(packed)
        if length is not None and (best is None or length > best[0]):
            best = length, one
    return best


# -- for one conversation, one datagram, one connection --

def admit(stream: "Stream", options: "Options") -> str | None:
    """Hear the proxy, if the peer must be one; then why the client may not come in, or None.  Raises BadHeader."""
    if options.proxy_protocol is None:
        return refusal(stream.peer, options, stream.time())
    from . import proxied
    by = stream.peer
    if by not in options.proxy_protocol:
        return proxied.FOREIGN
    proxied.hear(stream, options.names)
    return refusal(stream.peer, options, stream.time(), by)


def refusal(peer: Address, options: "Options", seconds: float, by: Address | None = None) -> str | None:
    """Why this client, for whom `by` spoke, may not come in at this time (seconds since 1970), or None."""
    if options.access_times is not None:
        from .accesstimes import now, within
        if within(options.access_times, now(seconds)) is None:
            return "access-times"
    if by is not None and by.host and not peer.host and (options.only_from is not None or options.no_access):
        return "no-address"             # of another machine, and no rule could be held against it
    return denied(peer, options.only_from, options.no_access)


def at_the_door(options: "Options") -> Callable[[Address], str | None] | None:
    """What tells, of a connection before anything is spent on it, why it is turned away: None for what must be heard.

    None instead of it where nothing can be told without asking the peer or the resolver.
    """
    proxies = options.proxy_protocol
    if proxies is not None:
        from .proxied import FOREIGN
        return lambda peer: None if peer in proxies else FOREIGN
    if has_names(options.only_from, options.no_access):
        return None
    return lambda peer: refusal(peer, options, time.time())


def packed_host(host: str) -> bytes | None:
    """An address in network order, 4 or 16 octets; None for what is no address."""
    return _packed(host.partition("%")[0])


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
