"""What an account keeps of its password: a hash, keys of SCRAM, and the password itself only if somebody asked for it.

The hash is scrypt's, in the PHC string format that wire/passwordlines.py reads; one that was brought from elsewhere may
be of crypt(3).  An application's password is made here, of 100 random bits, so an HMAC keeps it well enough.
"""

import os

from ..wire import accountlines, passwordlines, scram
from .sqlstore import Unavailable

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"   # 32 that nobody takes for one another
GROUPS, GROUP = 5, 4            # of letters in an application's password


class Kept:
    """What is kept of one password; `secret` is the password, or None."""

    __slots__ = ("hash", "scram", "secret")

    def __init__(self, hash: str, scram: str | None, secret: str | None) -> None:
        self.hash, self.scram, self.secret = hash, scram, secret


def keep(name: str, password: bytes, secret: bool = False) -> Kept:
    """What is kept of an account's new password; `secret` for APOP and CRAM-MD5.  Raises ValueError."""
    password = passwordlines.check_password(password)
    line = passwordlines.make(name, password, os.urandom(passwordlines.SALT)).line()
    keys = scram.make_keys(password, os.urandom(scram.SALT))
    return Kept(line.decode().rpartition(":")[2], keys.text(), password.decode() if secret else None)


def keep_hash(hash: str) -> Kept:
    """What is kept where only a hash is known, as accountlines.check_hash takes it; ValueError if it cannot be checked.

    SCRAM cannot be used until the password was seen: keys cannot be made from a hash.
    """
    hash = accountlines.check_hash(hash)
    if accountlines.is_crypt(hash):
        from .cryptlibrary import crypt
        try:
            crypt(b"", hash)
        except LookupError as error:
            raise ValueError(str(error)) from None
    return Kept(hash, None, None)


def is_lasting(hash: str) -> bool:
    """Is it of our own kind?"""
    return not accountlines.is_crypt(hash)


def matches(hash: str, password: bytes) -> bool:
    """Is this the password of that hash?  It takes what the hash is meant to cost.  Raises Unavailable."""
    if accountlines.is_crypt(hash):
        from hmac import compare_digest

        from .cryptlibrary import crypt
        try:
            return compare_digest(crypt(password, hash).encode(), hash.encode())
        except LookupError as error:
            raise Unavailable(str(error)) from None
    return passwordlines.parse(b"user:" + hash.encode()).matches(password)


def nobodys() -> str:
    """A hash of the usual cost that no password fits."""
    salt, hash = os.urandom(passwordlines.SALT), os.urandom(passwordlines.HASH)
    return passwordlines.Entry("", passwordlines.COST, salt, hash).line().decode().rpartition(":")[2]


# -- passwords of applications --


def application_password() -> str:
    """A new one: abcd-efgh-ijkm-npqr-stuv"""
    letters = "".join(LETTERS[octet % len(LETTERS)] for octet in os.urandom(GROUPS * GROUP))
    return "-".join(letters[at:at + GROUP] for at in range(0, len(letters), GROUP))


def application_digest(secret: bytes, name: str, password: bytes) -> str:
    """What is kept of it, under the database's secret; hyphens, blanks and capitals make no difference to who types it.
    """
    from hmac import digest
    typed = password.lower().replace(b"-", b"").replace(b" ", b"")
    return digest(secret, b"application: " + name.encode() + b"\0" + typed, "sha256").hex()
