"""Who had a connection, in a word that means nothing without the key: what an identification server may hand out.

A token is SIV turned to HMAC-SHA256 (after Rogaway and Shrimpton, as in RFC 5297): a tag is computed over the plain
octets, and the stream that hides them depends on that tag.  So it needs no nonce that could be used twice, one
changed bit anywhere makes it worthless, and equal tokens say only that all was equal, to the second.
"""

import hashlib
import hmac
import struct
from base64 import b64decode, b64encode
from binascii import Error
from ipaddress import IPv4Address, IPv6Address, ip_address

HEAD = struct.Struct(">IIHH")   # seconds since 1970, uid, ports here and there
TAG = 16
LEAST_KEY = 16


class Record:
    """What a token holds: when it was made, whose the connection was, and its two ends."""

    __slots__ = ("here", "seconds", "there", "uid")

    def __init__(self, seconds: int, uid: int, here: tuple[str, int], there: tuple[str, int]) -> None:
        self.seconds, self.uid, self.here, self.there = seconds, uid, here, there


def seal(key: bytes, record: Record) -> str:
    """The token: 48 characters for IPv4, 80 for IPv6, all of them letters, digits, - and _."""
    here, there = ip_address(record.here[0]).packed, ip_address(record.there[0]).packed
    plain = HEAD.pack(record.seconds & 0xffffffff, record.uid, record.here[1], record.there[1]) + here + there
    tag = _tag(key, plain)
    return b64encode(tag + _hidden(key, tag, plain), b"-_").decode()


def unseal(key: bytes, token: str) -> Record:
    """What a token holds; raises ValueError unless it was made with this key."""
    try:
        data = b64decode(token.encode("ascii"), b"-_", validate=True)
    except (Error, UnicodeEncodeError):
        raise ValueError("not a token") from None
    if len(data) not in (TAG + HEAD.size + 8, TAG + HEAD.size + 32):
        raise ValueError("not a token: it has another length")
    tag, plain = data[:TAG], _hidden(key, data[:TAG], data[TAG:])
    if not hmac.compare_digest(tag, _tag(key, plain)):
        raise ValueError("not a token of this key, or somebody changed it")
    seconds, uid, here_port, there_port = HEAD.unpack_from(plain)
    addresses = plain[HEAD.size:]
    half = len(addresses) // 2
    return Record(seconds, uid, (_address(addresses[:half]), here_port), (_address(addresses[half:]), there_port))


def _address(packed: bytes) -> str:
    return str(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))


def _tag(key: bytes, plain: bytes) -> bytes:
    return hmac.digest(_derived(key, b"tag"), plain, "sha256")[:TAG]


def _hidden(key: bytes, tag: bytes, data: bytes) -> bytes:
    """The data under the stream of this tag; doing it again undoes it."""
    stream_key = _derived(key, b"stream")
    stream = b"".join(hmac.digest(stream_key, tag + bytes([block]), "sha256") for block in range(2))
    return bytes(octet ^ mask for octet, mask in zip(data, stream))


def _derived(key: bytes, use: bytes) -> bytes:
    """One key for each use."""
    return hmac.digest(hashlib.sha256(key).digest(), b"fd0 audit token: " + use, "sha256")
