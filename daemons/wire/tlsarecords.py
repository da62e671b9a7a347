"""TLSA records: which certificate a server has, told by the DNS (RFC 6698, RFC 7671), as mail uses them (RFC 7672).

    _25._tcp.mail.example.com TLSA 3 1 1 0c72ac70b745ac19998811b131d662c9ac69dbdbe7cb23e5b514b56664c5d3d6

    usage       3: the certificate is the server's own; 2: an authority's, that the server's chain leads to
    selector    0: all of the certificate; 1: its public key with the name of the algorithm (SubjectPublicKeyInfo)
    matching    0: the octets themselves; 1: their SHA-256; 2: their SHA-512
"""

from collections.abc import Iterable

ANCHOR, OWN = 2, 3              # of the usages 0 and 1 nobody knows which authorities are meant (RFC 7672, 3.1.3)
WHOLE, KEY = 0, 1
EXACT, SHA256, SHA512 = 0, 1, 2
SIZES = {SHA256: 32, SHA512: 64}
SEQUENCE, INTEGER, VERSION = 0x30, 0x02, 0xA0


class Tlsa:
    """One record."""

    __slots__ = ("data", "matching", "selector", "usage")

    def __init__(self, usage: int, selector: int, matching: int, data: bytes) -> None:
        self.usage, self.selector, self.matching, self.data = usage, selector, matching, data

    @property
    def is_usable(self) -> bool:
        """Can a mail server's certificate be held against it?"""
        return (self.usage in (ANCHOR, OWN) and self.selector in (WHOLE, KEY) and
                self.matching in (EXACT, SHA256, SHA512) and
                len(self.data) == SIZES.get(self.matching, len(self.data)) > 0)

    def fits(self, certificate: bytes) -> bool:
        """Does it mean this certificate, which is DER?"""
        from hashlib import sha256, sha512
        try:
            octets = public_key(certificate) if self.selector == KEY else certificate
        except ValueError:              # what cannot be read has no key that anybody could mean
            return False
        if self.matching == EXACT:
            return octets == self.data
        return (sha256 if self.matching == SHA256 else sha512)(octets).digest() == self.data


def usable(records: Iterable[Tlsa]) -> list[Tlsa]:
    """Those that count: where there are digests of both kinds, the stronger ones alone (RFC 7671, 9)."""
    found = [one for one in records if one.is_usable]
    strong = {(one.usage, one.selector) for one in found if one.matching == SHA512}
    return [one for one in found if one.matching != SHA256 or (one.usage, one.selector) not in strong]


def public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate (RFC 5280, 4.1), both DER; raises ValueError.

    Only what is DER throughout is read: nobody else may find another key in the same octets.
    """
    tag, start, end = _element(certificate, 0, len(certificate))
    if tag != SEQUENCE or end != len(certificate):
        raise ValueError("not a certificate")
    tag, place, end = _element(certificate, start, end)
    if tag != SEQUENCE:
        raise ValueError("not a certificate")
    if place < end and certificate[place] == VERSION:
        place = _element(certificate, place, end)[2]
    #   serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
    for wanted in (INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE):
        begin = place
        tag, _, place = _element(certificate, begin, end)
        if tag != wanted:
            raise ValueError("not a certificate")
    return certificate[begin:place]


def _element(data: bytes, place: int, end: int) -> tuple[int, int, int]:
    """(tag, where its contents begin, where they end) of the element at a place; raises ValueError."""
    head = data[place:min(place + 6, end)]
    if len(head) < 2:
        raise ValueError("it ends too early")
    count = head[1] & 0x7F if head[1] & 0x80 else 0
    size = int.from_bytes(head[2:2 + count], "big") if count else head[1]
    if head[1] & 0x80 and (not 0 < count <= len(head) - 2 or size < 0x80 or not head[2]):
        raise ValueError("not the shortest length")             # X.690, 10.1
    start = place + 2 + count
    if start + size > end:
        raise ValueError("it ends too early")
    return head[0], start, start + size
