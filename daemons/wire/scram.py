"""SCRAM-SHA-256: a login in which the password is never said (RFC 5802, RFC 7677), for both sides.

    C: n,,n=user,r=rOprNGfwEbeRWgbNEkqO
    S: r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096
    C: c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=
    S: v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=

Messages are octets, without the base64 that a protocol puts around them.  What a server keeps cannot be used to log in,
but a password can be guessed from it more quickly than from scrypt.  SCRAM-SHA-256-PLUS binds the login to the TLS
connection below it: a program gives the data of each kind of binding that it has, such as tls-exporter (RFC 9266).
"""

from collections.abc import Mapping

from .numbers import number
from .saslprep import saslprep

MECHANISM = "SCRAM-SHA-256"
LEAST, MOST = 4096, 1_000_000   # iterations that are taken: fewer are a trap (RFC 7677, 4), more keep us busy
ITERATIONS = 10_000             # of new keys
SALT, HASH = 16, 32             # octets
LONGEST = 4096                  # octets of a message
NOT_IN_NONCE = frozenset(range(0x21)) | frozenset(range(0x7f, 0x100)) | {0x2c}     # all but "printable" (RFC 5802, 7)


class Improper(ValueError):
    """A message is not one of SCRAM, or asks for what is not there; the text may be told and logged."""


class Keys:
    """What a server keeps of a password (RFC 5802, section 3)."""

    __slots__ = ("iterations", "salt", "server", "stored")

    def __init__(self, salt: bytes, iterations: int, stored: bytes, server: bytes) -> None:
        self.salt, self.iterations, self.stored, self.server = salt, iterations, stored, server

    def text(self) -> str:
        """As they are kept in a file, which is PostgreSQL's way too: SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER."""
        salt, stored, server = (_base64(data).decode() for data in (self.salt, self.stored, self.server))
        return f"{MECHANISM}${self.iterations}:{salt}${stored}:{server}"


def make_keys(password: bytes, salt: bytes, iterations: int = ITERATIONS) -> Keys:
    """The keys of a password, with SALT random octets."""
    salted = _salted(password, salt, iterations)
    return Keys(salt, iterations, _hash(_hmac(salted, b"Client Key")), _hmac(salted, b"Server Key"))


def parse_keys(text: str) -> Keys:
    """Keys out of what Keys.text() makes; raises ValueError with nothing of it in the text."""
    try:
        mechanism, cost, kept = text.split("$")
        (iterations, salt), (stored, server) = cost.split(":"), kept.split(":")
        found = Keys(_unbase64(salt.encode()), number(iterations, LEAST, MOST),
                     _unbase64(stored.encode()), _unbase64(server.encode()))
    except ValueError:
        mechanism, found = "", Keys(b"", 0, b"", b"")
    if mechanism != MECHANISM or not found.salt or len(found.stored) != HASH or len(found.server) != HASH:
        raise ValueError(f"not keys of {MECHANISM}")
    return found


def fake_keys(secret: bytes, name: str, iterations: int = ITERATIONS) -> Keys:
    """Keys for a name that is not there, the same each time: no password fits them, and nobody can tell."""
    pieces = [_hmac(secret, what + name.encode()) for what in (b"salt: ", b"stored: ", b"server: ")]
    return Keys(pieces[0][:SALT], iterations, pieces[1], pieces[2])


# -- the server's side --


class ClientFirst:
    """What a client opens with.  `binding` is n (it cannot), y (it believes that we cannot), or a kind of binding."""

    __slots__ = ("authorization", "bare", "binding", "header", "name", "nonce")

    def __init__(self, header: bytes, binding: str, authorization: str, bare: bytes, name: str, nonce: bytes) -> None:
        self.header, self.binding, self.authorization = header, binding, authorization
        self.bare, self.name, self.nonce = bare, name, nonce


def parse_client_first(data: bytes) -> ClientFirst:
    """A client's first message (RFC 5802, section 7); raises Improper.

    `name` is who logs in, prepared by SASLprep; `authorization` whom she wants to be, "" for herself.
    """
    fields = _fields(data, 4)
    flag, authorization = fields[0], fields[1]
    if flag not in (b"n", b"y") and not (flag.startswith(b"p=") and _is_binding_name(flag[2:])):
        raise Improper("the first message begins with n, y or p=")
    if authorization and not authorization.startswith(b"a="):
        raise Improper("after the first comma comes nothing, or a=")
    if fields[2].startswith(b"m="):
        raise Improper("an extension that is not known here")
    nonce = fields[3].removeprefix(b"r=")
    if not fields[2].startswith(b"n=") or not fields[3].startswith(b"r=") or not _is_nonce(nonce):
        raise Improper("the first message has n= and r=")
    header = flag + b"," + authorization + b","
    return ClientFirst(header, flag.removeprefix(b"p=").decode(), _name(authorization[2:]) if authorization else "",
                       data[len(header):], _name(fields[2][2:]), nonce)


class Server:
    """One login as its server sees it: say `challenge`, then give the answer to finish()."""

    def __init__(self, first: ClientFirst, keys: Keys, nonce: bytes, plus: bool = False,
                 bindings: Mapping[str, bytes] | None = None) -> None:
        """`plus`: the client chose SCRAM-SHA-256-PLUS; `bindings`: data by kind, where that was offered.  Improper."""
        bindings = bindings or {}
        if plus is not (first.binding not in ("n", "y")):
            raise Improper("a binding goes with SCRAM-SHA-256-PLUS, and only with that")
        if plus and first.binding not in bindings:
            raise Improper("a kind of channel binding that is not there")
        if first.binding == "y" and bindings:
            raise Improper("somebody took SCRAM-SHA-256-PLUS from the list that the client saw")    # RFC 5802, 6
        self._first, self._keys = first, keys
        self._nonce = first.nonce + nonce
        self._bound = first.header + (bindings[first.binding] if plus else b"")
        self.challenge = b"r=%b,s=%b,i=%d" % (self._nonce, _base64(keys.salt), keys.iterations)

    def finish(self, data: bytes) -> bytes | None:
        """What to say to a client whose proof is right; None if it is wrong.  Raises Improper."""
        from hmac import compare_digest
        without, proof = _proof(data)
        fields = _fields(without, 2)
        if not fields[0].startswith(b"c=") or not fields[1].startswith(b"r="):
            raise Improper("the last message has c=, r= and p=")
        if any(field.startswith(b"m=") for field in fields[2:]):
            raise Improper("an extension that is not known here")
        same = compare_digest(fields[1][2:], self._nonce) & compare_digest(_decoded(fields[0][2:]), self._bound)
        said = b",".join((self._first.bare, self.challenge, without))
        client = _xor(proof, _hmac(self._keys.stored, said))
        if not (same & compare_digest(_hash(client), self._keys.stored)):
            return None
        return b"v=" + _base64(_hmac(self._keys.server, said))


# -- the client's side --


class Client:
    """One login as its client does it: say `first`, then answer(challenge), and believe only who passes is_server()."""

    def __init__(self, name: str, password: bytes, nonce: bytes, authorization: str = "",
                 binding: tuple[str, bytes] | None = None) -> None:
        """A nonce is random, printable, without commas; `binding` is kind and data, for SCRAM-SHA-256-PLUS."""
        self._password, self._nonce = password, nonce
        flag = f"p={binding[0]}" if binding else "n"
        self._header = f"{flag},{'a=' * bool(authorization)}{_escaped(authorization)},".encode()
        self._bound = self._header + (binding[1] if binding else b"")
        self._bare = b"n=%b,r=%b" % (_escaped(name).encode(), nonce)
        self.first = self._header + self._bare
        self._proven = b""              # what the server is to send

    def answer(self, challenge: bytes) -> bytes:
        """What to say to the server's challenge; raises Improper for one that is not good."""
        fields = _fields(challenge, 3)
        nonce = fields[0].removeprefix(b"r=")
        if [field[:2] for field in fields[:3]] != [b"r=", b"s=", b"i="] or not _is_nonce(nonce):
            raise Improper("the server's challenge has r=, s= and i=")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise Improper("the server's nonce does not go on after ours")
        try:
            salt, iterations = _unbase64(fields[1][2:]), number(fields[2][2:], LEAST, MOST)
        except ValueError as error:
            raise Improper(f"the server's challenge: {error}") from None
        salted = _salted(self._password, salt, iterations)
        key = _hmac(salted, b"Client Key")
        without = b"c=%b,r=%b" % (_base64(self._bound), nonce)
        said = b",".join((self._bare, challenge, without))
        self._proven = b"v=" + _base64(_hmac(_hmac(salted, b"Server Key"), said))
        return without + b",p=" + _base64(_xor(key, _hmac(_hash(key), said)))

    def is_server(self, final: bytes) -> bool:
        """Does who says this have the keys of our password?"""
        from hmac import compare_digest
        return bool(self._proven) and compare_digest(final.partition(b",")[0], self._proven)


# -- pieces --


def _salted(password: bytes, salt: bytes, iterations: int) -> bytes:
    """Hi() of the prepared password (RFC 5802, 2.2); one that cannot be prepared goes in as it is, as elsewhere."""
    from hashlib import pbkdf2_hmac
    try:
        password = saslprep(password.decode()).encode()
    except ValueError:                  # UnicodeDecodeError is one
        return pbkdf2_hmac("sha256", password, salt, iterations)
    return pbkdf2_hmac("sha256", password, salt, iterations)


def _fields(data: bytes, least: int) -> list[bytes]:
    """What stands between the commas, so many or more."""
    if len(data) > LONGEST:
        raise Improper("a message that is too long")
    fields = data.split(b",")
    if len(fields) < least:
        raise Improper("a message that is too short")
    return fields


def _proof(data: bytes) -> tuple[bytes, bytes]:
    """The client's last message without its proof, which stands last, and the proof."""
    without, comma, last = data.rpartition(b",")
    if len(data) > LONGEST or not comma or not last.startswith(b"p="):
        raise Improper("the last message ends with p=")
    proof = _decoded(last[2:])
    if len(proof) != HASH:
        raise Improper(f"a proof has {HASH} octets")
    return without, proof


def _name(octets: bytes) -> str:
    """A saslname (RFC 5802, 5.1): =2C is a comma, =3D an equals sign, and no other may follow =."""
    pieces = octets.split(b"=")
    if any(piece[:2] not in (b"2C", b"3D") for piece in pieces[1:]):
        raise Improper("a name has = only in =2C and =3D")
    try:
        return saslprep(octets.replace(b"=2C", b",").replace(b"=3D", b"=").decode())
    except ValueError:
        raise Improper("a name that is not UTF-8, or that SASLprep does not allow") from None


def _escaped(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def _is_nonce(octets: bytes) -> bool:
    return bool(octets) and not NOT_IN_NONCE.intersection(octets)


def _is_binding_name(octets: bytes) -> bool:
    """cb-name (RFC 5802, 7): letters, digits, dots and hyphens."""
    return octets.isascii() and octets.replace(b".", b"").replace(b"-", b"").isalnum()


def _base64(data: bytes) -> bytes:
    from binascii import b2a_base64
    return b2a_base64(data, newline=False)


def _unbase64(text: bytes) -> bytes:
    from binascii import a2b_base64
    data = a2b_base64(text, strict_mode=True)
    if _base64(data) != text:
        raise ValueError("not base64, or two spellings of it")
    return data


def _decoded(text: bytes) -> bytes:
    try:
        return _unbase64(text)
    except ValueError:
        raise Improper("a field that is not base64") from None


def _hmac(key: bytes, data: bytes) -> bytes:
    from hmac import digest
    return digest(key, data, "sha256")


def _hash(data: bytes) -> bytes:
    from hashlib import sha256
    return sha256(data).digest()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))
