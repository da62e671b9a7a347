"""HTTP's logins: what a client says of itself, and what it is asked for: Basic (RFC 7617) and Digest (RFC 7616).

Fields are text as latin-1 reads their octets.  Whatever is not well-formed is None: a client that sends it is asked
again.  Of Digest there are SHA-256 and MD5 with qop=auth; -sess, auth-int and hashed user names are not offered.

A nonce is its time and a random number under an HMAC, so no server has to remember the ones it gave out: any process
with the key knows them again, and how old they are.  What it cannot tell is whether the same request came before.  For
that there is NonceUses, which a process keeps; where each conversation has a process of its own, a request that was
overheard can be repeated until its nonce is too old.  Digest protects the password, TLS protects the request.
"""

from collections.abc import Mapping

LONGEST = 8192                  # octets in a field
BLANK = " \t"                   # OWS and BWS of RFC 9110, 5.6.3
HEX = frozenset("0123456789abcdef")
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
ALGORITHMS = {"SHA-256": ("sha256", 64), "MD5": ("md5", 32)}    # the better first; hashlib's name, and hex digits
NEEDED = ("realm", "nonce", "uri", "response", "cnonce")        # in credentials, beside the name

SALT = 8                        # octets that make a nonce unlike any other
SEAL = 16                       # octets of its HMAC
LIFETIME = 300.0                # seconds that a nonce is good for
SKEW = 5.0                      # seconds that our clock may have been set back
WINDOW = 64                     # requests that may overtake one another, since browsers have several connections

# what digest_verdict finds
PASSED, FAILED, STALE, ELSEWHERE = "passed", "failed", "stale", "elsewhere"


# -- Basic --


def challenge_basic(realm: str) -> str:
    """WWW-Authenticate for Basic; names and passwords are UTF-8 (RFC 7617, 2.1).  ValueError: see check_realm."""
    check_realm(realm)
    return f'Basic realm="{_escaped(realm)}", charset="UTF-8"'


def basic(value: str) -> tuple[str, bytes] | None:
    """Who it is, and the password, out of an Authorization field (RFC 7617, 2); None if it is not that.

    The name is in Normalization Form C.  Neither has control characters; a password may be anything else.
    """
    from binascii import Error, a2b_base64, b2a_base64
    rest = _after_scheme(value, "basic")
    if rest is None:
        return None
    try:
        token = rest.encode("ascii")
        both = a2b_base64(token, strict_mode=True)
        user, colon, password = both.partition(b":")
        name = normal(user.decode("utf-8"))
    except (Error, UnicodeError):
        return None
    if b2a_base64(both, newline=False) != token:        # loose bits at the end: two spellings of one password
        return None
    if not colon or _has_controls(name) or min(password, default=32) < 32 or 127 in password:
        return None
    return name, password


# -- Digest: what is said --


def challenge_digest(realm: str, nonce: str, algorithm: str = "SHA-256", stale: bool = False) -> str:
    """WWW-Authenticate for Digest (RFC 7616, 3.3); each algorithm is a field of its own, the best first.

    `stale` says that only the nonce was wrong, so that nobody is asked for the password anew.
    """
    check_realm(realm)
    return f'Digest realm="{_escaped(realm)}", qop="auth", algorithm={algorithm}, nonce="{nonce}", charset=UTF-8' \
        + ", stale=true" * stale


def parse_digest(value: str) -> Mapping[str, str] | None:
    """The credentials of an Authorization field (RFC 7616, 3.4), None if they are improper or not of our kind.

    There are username, realm, nonce, uri, response, algorithm, cnonce, qop and nc; quotes and escapes are undone, the
    name is in Normalization Form C.
    """
    rest = _after_scheme(value, "digest")
    given = _parameters(rest) if rest is not None else None
    if given is None or not all(name in given for name in NEEDED):
        return None
    name = _user_name(given)
    algorithm = given.get("algorithm", "MD5").upper()
    count = given.get("nc", "")
    if name is None or algorithm not in ALGORITHMS or given.get("qop") != "auth" \
            or given.get("userhash", "false").lower() != "false":
        return None
    if len(given["response"]) != ALGORITHMS[algorithm][1] or not HEX.issuperset(given["response"]):
        return None
    if len(count) != 8 or not HEX.issuperset(count.lower()) or not int(count, 16):
        return None
    return {"username": name, "algorithm": algorithm, "qop": "auth", "nc": count,
            **{name: given[name] for name in NEEDED}}


def digest_secret(name: str, realm: str, password: bytes, algorithm: str) -> str:
    """H(A1) in hex: what a server keeps of a password (RFC 7616, 3.4.2).  For this realm it is as good as that."""
    return _hash(algorithm, f"{name}:".encode(), realm.encode("latin-1"), b":" + password)


def digest_response(secret: str, method: str, given: Mapping[str, str]) -> str:
    """The response that goes with credentials (RFC 7616, 3.4.1), for a secret in hex; the method counts too."""
    algorithm = given["algorithm"]
    request = _hash(algorithm, f"{method}:{given['uri']}".encode("latin-1"))
    words = secret, given["nonce"], given["nc"], given["cnonce"], given["qop"], request
    return _hash(algorithm, ":".join(words).encode("latin-1"))


# -- Digest: whether it is true --


def make_nonce(key: bytes, now: float, salt: bytes) -> str:
    """A nonce made at `now`, in seconds since 1970, with SALT random octets, for clients to answer."""
    plain = int(now * 1000).to_bytes(8, "big") + salt[:SALT].ljust(SALT, b"\0")
    return (plain + _seal(key, plain)).hex()


def nonce_made(key: bytes, nonce: str) -> float | None:
    """When a nonce was made, in seconds since 1970; None if that was not with this key."""
    from hmac import compare_digest
    if len(nonce) != 2 * (8 + SALT + SEAL) or not HEX.issuperset(nonce):
        return None
    data = bytes.fromhex(nonce)
    plain, seal = data[:-SEAL], data[-SEAL:]
    return int.from_bytes(plain[:8], "big") / 1000 if compare_digest(seal, _seal(key, plain)) else None


class NonceUses:
    """Which counts of which nonces came already, for the `most` that came last; one thread at a time.

    Of a nonce that was dropped to make room, and of all that were made before it, no further use is the first.
    """

    __slots__ = ("_dropped", "_seen", "most")

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self._seen: dict[str, tuple[float, int, int]] = {}      # when made, highest count, bits of those below it
        self._dropped = float("-inf")                           # when the youngest that was dropped was made

    def first(self, nonce: str, made: float, count: int) -> bool:
        """Is this the first time that this count comes?  It is noted."""
        if nonce not in self._seen:
            if made <= self._dropped:
                return False
            while len(self._seen) >= self.most:
                self._dropped = max(self._dropped, self._seen.pop(next(iter(self._seen)))[0])
            self._seen[nonce] = made, count, 1
            return True
        _, highest, bits = self._seen[nonce]
        if count > highest:
            ahead = count - highest
            bits = (bits << ahead | 1) & (1 << WINDOW) - 1 if ahead < WINDOW else 1
        elif highest - count >= WINDOW or bits >> highest - count & 1:
            return False
        else:
            bits |= 1 << highest - count
        self._seen[nonce] = made, max(count, highest), bits
        return True


def digest_verdict(given: Mapping[str, str], method: str, target: str, realm: str, secret: str | None, key: bytes,
                   now: float, uses: NonceUses | None = None, lifetime: float = LIFETIME) -> str:
    """Do credentials hold for this request?  PASSED, FAILED, STALE (ask anew, the password is right) or ELSEWHERE.

    ELSEWHERE is a client that means another target than the request line has: status 400 (RFC 7616, 3.4.6).  `secret`
    is the digest_secret of that name, realm and algorithm, None if there is none, which takes as long.
    """
    from hmac import compare_digest
    if given["uri"] != target:
        return ELSEWHERE
    expected = digest_response(secret or "0" * ALGORITHMS[given["algorithm"]][1], method, given)
    if not compare_digest(expected, given["response"]) or secret is None or given["realm"] != realm:
        return FAILED
    made = nonce_made(key, given["nonce"])
    if made is None or not -SKEW <= now - made <= lifetime:
        return STALE
    return PASSED if uses is None or uses.first(given["nonce"], made, int(given["nc"], 16)) else STALE


# -- words --


def check_realm(realm: str) -> None:
    """Raise ValueError unless a realm can be told to every client: printable ASCII."""
    if not realm or not realm.isascii() or not realm.isprintable():
        raise ValueError(f"not a realm, which is printable ASCII: {realm[:80]!r}")


def normal(text: str) -> str:
    """Text in Normalization Form C, as names and passwords in UTF-8 are to come (RFC 7617, 2.1; RFC 7616, 3.3)."""
    if text.isascii():
        return text
    from unicodedata import normalize
    return normalize("NFC", text)


def _after_scheme(value: str, scheme: str) -> str | None:
    """What follows the scheme, whose letters may be of any case (RFC 9110, 11.1)."""
    word, blank, rest = value[:LONGEST + 1].partition(" ")
    return rest.strip(BLANK) if blank and len(value) <= LONGEST and word.isascii() and word.lower() == scheme else None


def _parameters(text: str) -> dict[str, str] | None:
    """auth-params (RFC 9110, 11.2) by their names in small letters; None if one is malformed or comes twice."""
    found: dict[str, str] = {}
    rest = text.lstrip(BLANK + ",")
    while rest:
        name, _, rest = rest.partition("=")
        name, rest = name.rstrip(BLANK), rest.lstrip(BLANK)
        value, rest = _quoted(rest) if rest.startswith('"') else _token(rest)
        rest = rest.lstrip(BLANK)
        if not name or not TOKEN.issuperset(name) or value is None or rest[:1] not in ("", ","):
            return None
        if name.lower() in found:
            return None
        found[name.lower()] = value
        rest = rest.lstrip(BLANK + ",")
    return found


def _token(text: str) -> tuple[str | None, str]:
    """The token that the text begins with, None without one, and what follows."""
    end = next((at for at, sign in enumerate(text) if sign not in TOKEN), len(text))
    return text[:end] or None, text[end:]


def _quoted(text: str) -> tuple[str | None, str]:
    """The value of the quoted-string that the text begins with (RFC 9110, 5.6.4), None if it is none."""
    value: list[str] = []
    signs = iter(enumerate(text[1:], 1))
    for at, sign in signs:
        if sign == '"':
            return "".join(value), text[at + 1:]
        if sign == "\\":
            _, sign = next(signs, (at, "\0"))
        if not (sign == "\t" or " " <= sign <= "\xff") or sign == "\x7f":
            return None, ""
        value.append(sign)
    return None, ""


def _user_name(given: Mapping[str, str]) -> str | None:
    """The name out of username or username*, which is an ext-value (RFC 8187, 3.2.1); one of them, in UTF-8."""
    plain, extended = given.get("username"), given.get("username*")
    if (plain is None) is (extended is None):
        return None
    if plain is not None:
        octets = plain.encode("latin-1")
    else:
        charset, _, rest = (extended or "").partition("'")
        _, quote, value = rest.partition("'")
        pieces = value.split("%")
        if charset.lower() != "utf-8" or not quote or not value.isascii() \
                or not all(len(piece) > 1 and HEX.issuperset(piece[:2].lower()) for piece in pieces[1:]):
            return None
        octets = pieces[0].encode() + b"".join(bytes.fromhex(piece[:2]) + piece[2:].encode() for piece in pieces[1:])
    try:
        name = normal(octets.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return None if _has_controls(name) else name


def _has_controls(text: str) -> bool:
    return any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _hash(algorithm: str, *pieces: bytes) -> str:
    from hashlib import new
    if algorithm not in ALGORITHMS:
        raise ValueError(f"no algorithm {algorithm[:20]!r}")
    return new(ALGORITHMS[algorithm][0], b"".join(pieces), usedforsecurity=False).hexdigest()


def _seal(key: bytes, plain: bytes) -> bytes:
    from hmac import digest
    return digest(key, b"fd0 digest nonce: " + plain, "sha256")[:SEAL]
