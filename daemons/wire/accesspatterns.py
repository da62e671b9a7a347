"""The peers that xinetd's only_from and no_access name, as networks in CIDR form, host names and .domains.

An address that ends in zeros stands for its network (10.1.0.0 is 10.1.0.0/16), braces for several
(10.1.2.{3,4}, 10.1.{2,3}).  xinetd drops what it cannot read, which opens no_access; here that is an
error.  Names of /etc/networks look like host names: whoever has that file at hand refuses them.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from .numbers import number

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
NAMED = LETTERS | frozenset("0123456789-_")
MAPPED = IPv6Network("::ffff:0.0.0.0/96")       # IPv4 in IPv6's clothes


def patterns(word: str) -> list[str]:
    """Return what one word stands for, in canonical spelling, or raise ValueError."""
    if "{" in word:
        return _factor(word)
    if "," in word:
        raise ValueError(f"{word!r} has a comma in it: separate by blanks")
    if ":" in word or "/" in word:
        return [_network(word)]
    if is_name(word):
        return [word.lower()]
    return [_trailing_zeros(word)]


def is_name(word: str) -> bool:
    """Is this a host name, or a domain with a dot before it?"""
    lower = word.lower()
    return (word.isascii() and len(word) <= 253 and not LETTERS.isdisjoint(lower)
            and all(_is_label(label) for label in lower.removeprefix(".").split(".")))


def _is_label(text: str) -> bool:
    return 0 < len(text) <= 63 and NAMED.issuperset(text) and text.strip("-") == text


def _trailing_zeros(word: str) -> str:
    parts = [_octet(part, word) for part in word.split(".")]
    if len(parts) != 4:
        raise ValueError(f"{word!r} is not an address of four numbers")
    kept = max((place for place, part in enumerate(parts, 1) if part), default=0)
    return f"{word}/{kept * 8}"


def _factor(word: str) -> list[str]:
    #   128.138.{12,13}     the braces close the word; what is behind them is any
    head, _, tail = word.partition("{")
    inner, brace, rest = tail.partition("}")
    places = head.split(".")
    if not brace or rest or places.pop() or len(places) > 3:
        raise ValueError(f"{word!r} is not of the form 192.0.2.{{4,5}}")
    fixed = [_octet(part, word) for part in places]
    chosen = [_octet(part, word) for part in inner.split(",")]
    octets = [[*fixed, one, 0, 0, 0][:4] for one in chosen]
    return [".".join(map(str, four)) + f"/{8 * len(fixed) + 8}" for four in octets]


def _octet(text: str, word: str) -> int:
    try:
        value = number(text, 0, 255)
    except ValueError:
        raise ValueError(f"{word[:60]!r} is neither an address nor a host name") from None
    if text != str(value):
        raise ValueError(f"{word!r} has a leading zero, which some read as octal")
    return value


def _network(word: str) -> str:
    address, slash, length = word.partition("/")
    if "." in length:
        raise ValueError(f"{word!r} has a mask: write the number of its bits, as in 192.0.2.0/24")
    if "%" in word:
        raise ValueError(f"{word!r} names an interface: leave that out")
    try:
        whole = ip_address(address)
        bits = number(length, 0, whole.max_prefixlen) if slash else whole.max_prefixlen
        if not slash and not int(whole):
            bits = 0                            # "::" is any, as 0.0.0.0 is
        return _plain(ip_network((whole.packed, bits), strict=False))
    except ValueError:
        raise ValueError(f"{word!r} is not a network") from None


def _plain(network: IPv4Network | IPv6Network) -> str:
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        return f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}"
    return str(network)
