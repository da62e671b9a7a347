"""DNS block lists: under which name an address is looked up, and what the answers mean (RFC 5782).

    192.0.2.99 at bad.example.com       99.2.0.192.bad.example.com.     A 127.0.0.2, TXT "why"
    2001:db8::1 at bad.example.com      1.0.0...8.b.d.0.1.0.0.2.bad.example.com.
"""

from collections.abc import Iterable

from .mailaddresses import domain

LISTED = "127."                 # what a list answers lies here (RFC 5782, 2.1); all else comes from somebody who lies
TROUBLE = "127.255.255."        # how lists say that they do not answer us: too many questions, a public resolver
LONGEST = 200                   # characters of a list's own words that are passed on


def zones(text: str) -> list[str]:
    """The zones of several lists, separated by commas or blanks; raises ValueError."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            found.append(domain(word.rstrip(".").encode()))
        except ValueError:
            raise ValueError(f"not a domain: {word!r}") from None
    return found


def name_of(address: str, zone: str) -> str:
    """The name of an address in a zone (RFC 5782, 2.1 and 2.4); raises ValueError for what is no address."""
    from ipaddress import IPv6Address, ip_address
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return f"{found.reverse_pointer.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


def is_listed(answers: Iterable[str]) -> bool:
    """Do these A records say that the address is on the list?"""
    return any(one.startswith(LISTED) and not one.startswith(TROUBLE) for one in answers)


def is_trouble(answers: Iterable[str]) -> bool:
    """Do these A records say nothing of the address, but that the list does not answer us?"""
    found = list(answers)
    return bool(found) and not is_listed(found)


def words(texts: Iterable[bytes]) -> str:
    """What a list says about it, in printable ASCII and no longer than a reply can bear."""
    text = " ".join(one.decode("latin-1") for one in texts)
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text[:LONGEST]).strip()
