"""SASL exchanges as a server holds them: PLAIN, LOGIN and SCRAM-SHA-256 (RFC 4422; RFC 4616; RFC 5802 with RFC 7677).

An exchange is an object with `step(response)`: it returns the next challenge, or Done.  The first response is None
where the client sent none along with its command; a challenge to it may be empty.  SMTP (RFC 4954), POP3 (RFC 5034)
and IMAP frame both in base64, each on a line of its own: encode() and decode().

    exchange = begin("SCRAM-SHA-256", keys_of, nonce)
    said = exchange.step(initial)
    while not isinstance(said, Done):
        said = exchange.step(decode(ask(encode(said))))

Nothing here knows an account.  PLAIN and LOGIN end with a password that is still to be checked; SCRAM asks `keys_of`
for the keys of a name and ends only where the client has proved that it has the password.
"""

from collections.abc import Callable, Mapping

from . import scram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Exchange(Protocol):
        """What begin() returns."""

        def step(self, response: bytes | None) -> "bytes | Done":
            """The next challenge, or the end; raises NotSasl, WrongProof."""

LONGEST = 12288                 # octets of base64 on a line (RFC 4954, 4)
NAME, PASSWORD = 255, 1024      # octets of what a client may tell
PLUS = f"{scram.MECHANISM}-PLUS"
MECHANISMS = (scram.MECHANISM, "PLAIN", "LOGIN")        # the best first


class NotSasl(ValueError):
    """What came is no base64, or no message of the mechanism."""


class Cancelled(NotSasl):
    """The client gave up, with a line that is `*` alone (RFC 4954, 4)."""


class WrongProof(Exception):
    """The client does not know the password of the `user` it named."""

    def __init__(self, user: str) -> None:
        super().__init__("wrong user or password")
        self.user = user


class Done:
    """The end: who it is, and for whom it wants to act ("" for itself); `password` is None if it has proved it."""

    __slots__ = ("acts_for", "password", "user")

    def __init__(self, user: str, acts_for: str = "", password: bytes | None = None) -> None:
        self.user, self.acts_for, self.password = user, acts_for, password


def encode(challenge: bytes) -> bytes:
    """A challenge or response as it stands on its line."""
    from binascii import b2a_base64
    return b2a_base64(challenge, newline=False)


def decode(line: bytes) -> bytes:
    """What a line of the client says; raises Cancelled, NotSasl."""
    from binascii import Error, a2b_base64
    if line == b"*":
        raise Cancelled("authentication given up")
    if len(line) > LONGEST:
        raise NotSasl("too long")
    try:
        return a2b_base64(line, strict_mode=True)
    except Error:
        raise NotSasl("not base64") from None


def begin(mechanism: str, keys_of: Callable[[str], scram.Keys], nonce: bytes,
          bindings: Mapping[str, bytes] | None = None) -> "Exchange | None":
    """The exchange of a mechanism, or None for one that we do not have.

    `keys_of` is asked once for the keys of a name, and has some for a name that nobody has, the same each time.
    `nonce` is random, of printable ASCII without commas.  `bindings` is the data of each kind of channel binding that
    there is ({"tls-exporter": ...}, RFC 9266), wherever SCRAM-SHA-256-PLUS is offered.
    """
    if mechanism == "PLAIN":
        return Plain()
    if mechanism == "LOGIN":
        return Login()
    if mechanism == scram.MECHANISM or (mechanism == PLUS and bindings):
        return Scram(keys_of, nonce, mechanism == PLUS, bindings)
    return None


def plain(user: str, password: bytes, acts_for: str = "") -> bytes:
    """What a client of ours says in PLAIN; raises ValueError for a name or password with a NUL."""
    if "\0" in user + acts_for or b"\0" in password:
        raise ValueError("a name or password for PLAIN has no NUL")
    return b"\0".join((acts_for.encode(), user.encode(), password))


class Plain:
    """PLAIN: all in one response (RFC 4616, 2)."""

    __slots__ = ()

    def step(self, response: bytes | None) -> "bytes | Done":
        """The next challenge, or who it says it is."""
        #   message = [authzid] UTF8NUL authcid UTF8NUL passwd
        if response is None:
            return b""
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise NotSasl("not a message of PLAIN")
        return Done(_name(parts[1]), _name(parts[0]) if parts[0] else "", _password(parts[2]))


class Login:
    """LOGIN: the name, then the password (draft-murchison-sasl-login); old, but clients still know nothing else."""

    __slots__ = ("_user",)

    def __init__(self) -> None:
        self._user: str | None = None

    def step(self, response: bytes | None) -> "bytes | Done":
        """The next challenge, or who it says it is."""
        if response is None:
            return b"Username:"         # in these very words: some clients compare them
        if self._user is None:
            self._user = _name(response)
            return b"Password:"
        return Done(self._user, "", _password(response))


class Scram:
    """SCRAM-SHA-256, and -PLUS: one challenge, a proof, and our own proof, which the client acknowledges (RFC 5802)."""

    __slots__ = ("_bindings", "_done", "_first", "_keys_of", "_nonce", "_plus", "_server")

    def __init__(self, keys_of: Callable[[str], scram.Keys], nonce: bytes, plus: bool = False,
                 bindings: Mapping[str, bytes] | None = None) -> None:
        self._keys_of, self._nonce, self._plus, self._bindings = keys_of, nonce, plus, bindings
        self._first: scram.ClientFirst | None = None
        self._server: scram.Server | None = None
        self._done: Done | None = None

    def step(self, response: bytes | None) -> "bytes | Done":
        """The next challenge, or who has proved it; raises NotSasl, and WrongProof."""
        if response is None:
            return b""
        if self._done:
            if response:
                raise NotSasl("something after the end of SCRAM")
            return self._done
        try:
            return self._challenge(response)
        except scram.Improper as error:
            raise NotSasl(str(error)) from None

    def _challenge(self, response: bytes) -> bytes:
        if self._first is None or self._server is None:
            self._first = scram.parse_client_first(response)
            self._server = scram.Server(self._first, self._keys_of(self._first.name), self._nonce, self._plus,
                                        self._bindings)
            return self._server.challenge
        proof = self._server.finish(response)
        if proof is None:
            raise WrongProof(self._first.name)
        self._done = Done(self._first.name, self._first.authorization)
        return proof


def _name(octets: bytes) -> str:
    """A user's name; raises NotSasl for one that none can have."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise NotSasl("a name is UTF-8") from None
    if not 0 < len(octets) <= NAME or any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in text):
        raise NotSasl(f"a name has 1 to {NAME} octets, and no control characters")
    return text


def _password(octets: bytes) -> bytes:
    if not 0 < len(octets) <= PASSWORD or b"\0" in octets:
        raise NotSasl(f"a password has 1 to {PASSWORD} octets, and no NUL")
    return octets
