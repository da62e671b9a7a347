"""Lines of a password file: a name, and what scrypt (RFC 7914) makes of the password.

The hash is in the PHC string format, its base64 without padding; passlib reads and writes the same:

    alice:$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Wm9v...
    bob:$scrypt$ln=14,r=8,p=1$ZmVkY2JhOTg3NjU0MzIxMA$YmFy...:realm=Our files:SHA-256=3ba6...:MD5=939e...

What follows the hash is for HTTP's Digest: the realm, and for each algorithm H(A1) in hex (RFC 7616, 3.4.2).  Whoever
reads that can log in to the realm with it, and guess at the password quickly, so it is there only if asked for.

Names and passwords are UTF-8, in Normalization Form C (RFC 7617, 2.1), and have no control characters.
"""

from .httpauth import ALGORITHMS, HEX, check_realm, digest_secret, normal
from .numbers import number

LONGEST_NAME, LONGEST_PASSWORD = 255, 1024      # octets
COST = (14, 8, 1)               # of new hashes: ln, r, p; 16 MiB and some hundredths of a second
CHEAPEST, DEAREST = 10, 17      # ln that is taken from a file
MEMORY = 128 << 20              # octets that one hash may need
PASSES = 16                     # the most for p
SALT, HASH = 16, 32             # octets of new ones
ACCEPTED = "$scrypt$ln=N,r=N,p=N$SALT$HASH"
AFTER = "realm=REALM:SHA-256=HEX:MD5=HEX"

Cost = tuple[int, int, int]


class Entry:
    """What is known of one who may log in; `secrets` is H(A1) by algorithm, and `realm` whose they are, if any."""

    __slots__ = ("cost", "hash", "name", "realm", "salt", "secrets")

    def __init__(self, name: str, cost: Cost, salt: bytes, hash: bytes) -> None:
        self.name, self.cost, self.salt, self.hash = name, cost, salt, hash
        self.realm: str | None = None
        self.secrets: dict[str, str] = {}

    def matches(self, password: bytes) -> bool:
        """Is this the password?  It takes what the hash is meant to cost, and as long if it is wrong."""
        from hmac import compare_digest
        return compare_digest(_scrypt(password, self.salt, self.cost, len(self.hash)), self.hash)

    def line(self) -> bytes:
        """The line of the file, without its end."""
        ln, r, p = self.cost
        fields = [self.name, f"$scrypt$ln={ln},r={r},p={p}${_base64(self.salt)}${_base64(self.hash)}"]
        if self.realm is not None:
            fields += [f"realm={self.realm}", *(f"{algorithm}={secret}" for algorithm, secret in self.secrets.items())]
        return ":".join(fields).encode()


def make(name: str, password: bytes, salt: bytes, realm: str | None = None) -> Entry:
    """The entry for a new password, with SALT random octets, and secrets for Digest if there is a realm; ValueError."""
    name, password = check_name(name), check_password(password)
    entry = Entry(name, COST, salt, _scrypt(password, salt, COST, HASH))
    if realm is not None:
        entry.realm = _check_realm(realm)
        entry.secrets = {algorithm: digest_secret(name, realm, password, algorithm) for algorithm in ALGORITHMS}
    return entry


def parse(line: bytes) -> Entry:
    """One line; raises ValueError with nothing in its text that is to be kept secret."""
    try:
        name, _, rest = line.decode("utf-8").partition(":")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    name = check_name(name)
    hash, *more = rest.split(":")
    entry = Entry(name, *_phc(hash))
    if more:
        word, _, entry.realm = more[0].partition("=")
        secrets = [field.partition("=") for field in more[1:]]
        entry.secrets = {algorithm: secret for algorithm, _, secret in secrets}
        if word != "realm" or not secrets or len(entry.secrets) < len(secrets) \
                or not all(_is_secret(algorithm, secret) for algorithm, secret in entry.secrets.items()):
            raise ValueError(f"{name}: after the hash comes nothing, or {AFTER}")
        _check_realm(entry.realm)
    return entry


def check_name(name: str) -> str:
    """The name in Normalization Form C, if one may be called so; raises ValueError."""
    name = normal(name)
    if not name or name != name.strip() or name.startswith("#") or any(_is_no_sign(sign) for sign in name) \
            or len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"{name[:40]!r} cannot be a name: 1 to {LONGEST_NAME} octets of UTF-8 without colons and "
                         "control characters, no blank at the ends, no # before it")
    return name


def check_password(password: bytes) -> bytes:
    """The password as it is hashed, in Normalization Form C; raises ValueError, without the password in its text."""
    if not 0 < len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password has 1 to {LONGEST_PASSWORD} octets")
    if min(password) < 32 or 127 in password:
        raise ValueError("a password has no control characters: clients may not send them (RFC 7617, 2)")
    try:
        return normal(password.decode("utf-8")).encode()
    except UnicodeDecodeError:
        raise ValueError("a password is UTF-8") from None


def _check_realm(realm: str) -> str:
    check_realm(realm)
    if ":" in realm or '"' in realm or "\\" in realm:           # clients differ on what they hash for the last two
        raise ValueError(f'a realm for Digest has no colon, " or \\: {realm[:80]!r}')
    return realm


def _is_no_sign(sign: str) -> bool:
    """May this not be in a name?  Colons, control characters, and halves of pairs, which are no UTF-8."""
    return sign == ":" or sign < " " or "\x7f" <= sign <= "\x9f" or "\ud800" <= sign <= "\udfff"


def _is_secret(algorithm: str, secret: str) -> bool:
    return algorithm in ALGORITHMS and len(secret) == ALGORITHMS[algorithm][1] and HEX.issuperset(secret)


def _phc(text: str) -> tuple[Cost, bytes, bytes]:
    """The cost, the salt and the hash; raises ValueError."""
    try:
        before, kind, cost, salt, hash = text.split("$")
        names, values = zip(*(part.split("=") for part in cost.split(",")), strict=True)
        ln, r, p = (number(value) for value in values)
        found = (ln, r, p), _unbase64(salt), _unbase64(hash)
    except ValueError:
        before, kind, names = text, "", ()
    if (before, kind, names) != ("", "scrypt", ("ln", "r", "p")):
        raise ValueError(f"after the name comes {ACCEPTED} and no other kind of hash; "
                         "take the line away, and make it with fd0 user add")
    if not (CHEAPEST <= ln <= DEAREST and r >= 1 and 1 <= p <= PASSES and 128 * r << ln <= MEMORY):
        raise ValueError(f"scrypt with ln={ln},r={r},p={p}: ln must be {CHEAPEST} to {DEAREST}, p 1 to {PASSES}, "
                         f"and no more than {MEMORY >> 20} MiB be needed")
    if not (8 <= len(found[1]) <= 64 and 16 <= len(found[2]) <= 64):
        raise ValueError("a salt has 8 to 64 octets, a hash 16 to 64")
    return found


def _scrypt(password: bytes, salt: bytes, cost: Cost, length: int) -> bytes:
    from hashlib import scrypt
    ln, r, p = cost
    return scrypt(password, salt=salt, n=1 << ln, r=r, p=p, dklen=length, maxmem=128 * r * ((1 << ln) + p + 2))


def _base64(data: bytes) -> str:
    from binascii import b2a_base64
    return b2a_base64(data, newline=False).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    from binascii import a2b_base64
    data = a2b_base64(text.encode("ascii") + b"=" * (-len(text) % 4), strict_mode=True)
    if _base64(data) != text:
        raise ValueError("not base64, or two spellings of it")
    return data
