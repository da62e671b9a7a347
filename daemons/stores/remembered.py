"""What was right a moment ago, so that a password which comes with each request is not hashed with each.

It is kept in memory that a process shares with the children it forks, where each conversation has a process of its own:
as HMACs under a random key that is nowhere else, never the passwords.  There is no lock.  Two who write one place at
once leave a token that fits nothing, or one whose time is another's, which was right as well.
"""

import os
import struct
from mmap import mmap

KEPT = 30.0                     # seconds
PLACES = 4096                   # each token has one that it may be in
PLACE = struct.Struct("=32sd")  # a token, and until when it is right


class Remembered:
    """What was right, for this process and those that it forks from now on."""

    __slots__ = ("_key", "_memory")

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._memory = mmap(-1, PLACES * PLACE.size)

    def token(self, *pieces: bytes) -> bytes:
        """What stands for these pieces, none of which has a NUL in it."""
        from hmac import digest
        return digest(self._key, b"\0".join(pieces), "sha256")

    def keep(self, token: bytes, now: float) -> None:
        """This is right, for KEPT seconds from `now` on a clock that all processes have."""
        PLACE.pack_into(self._memory, _at(token), token, now + KEPT)

    def holds(self, token: bytes, now: float) -> bool:
        """Was this right not long ago?"""
        from hmac import compare_digest
        kept, until = PLACE.unpack_from(self._memory, _at(token))
        return compare_digest(kept, token) and now < until <= now + KEPT


def _at(token: bytes) -> int:
    return int.from_bytes(token[:4], "big") % PLACES * PLACE.size
