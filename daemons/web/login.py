"""Who asks: Basic and Digest authentication against a file of passwords, or Basic against the accounts of a database,
with the penalty for those who guess.

The wait for an address whose logins failed comes before the password is looked at, so that it tells nothing.
"""

import _thread
import os

from daemons.wire import httpauth

BASIC, DIGEST = "basic", "digest"
AGAIN = ("Retry-After", "30"),


class Nonces:
    """What Digest needs beside passwords: a key for nonces, and which of their uses came already.

    Made before a listener forks, so all its processes accept each other's nonces; each counts uses for itself.
    """

    def __init__(self):
        self.key, self.uses, self.lock = os.urandom(32), httpauth.NonceUses(), _thread.allocate_lock()

    def verdict(self, given, exchange, realm, secret):
        """As httpauth.digest_verdict."""
        target = exchange.request.target
        with self.lock:
            return httpauth.digest_verdict(given, exchange.request.method, target, realm, secret, self.key,
                                           exchange.stream.time(), self.uses)


def users_of(options):
    """Those who may log in by --users or --accounts, None where neither is said.  Raises ValueError, OSError.

    Also what is needed to check them is loaded: below a new root there will be nothing to load.
    """
    if not options.accounts:
        return passwords(options.users) if options.users else None
    if options.users:
        raise ValueError("--users and --accounts: say one of them")
    from daemons.stores import accounts
    from daemons.stores.mailusers import SERVERS
    options.calling = getattr(options, "calling", False) or options.accounts.startswith(SERVERS)
    return accounts.AccountsUsers(accounts.open(options.accounts))


def passwords(path):
    """The users of a file.  Raises ValueError, OSError."""
    import hashlib  # noqa: F401
    import hmac  # noqa: F401
    import unicodedata  # noqa: F401

    from daemons.stores.passwords import Passwords
    return Passwords(path)


def demand(exchange, users, realm, nonces=None):
    """Let nobody pass who does not log in: by Digest where there are nonces, else by Basic.  Refuses with 401."""
    value = exchange.request.fields.get("authorization")
    if value is None:
        ask(exchange, realm, nonces)
    scheme = value.partition(" ")[0].lower()
    if nonces is not None:
        _digest(exchange, users, realm, nonces, value)
    elif scheme == BASIC:
        _basic(exchange, users, realm, value)
    else:
        ask(exchange, realm, nonces)


def ask(exchange, realm, nonces=None, stale=False):
    """Say how one may log in."""
    if nonces is None:
        challenges = [httpauth.challenge_basic(realm)]
    else:
        nonce = httpauth.make_nonce(nonces.key, exchange.stream.time(), os.urandom(httpauth.SALT))
        challenges = [httpauth.challenge_digest(realm, nonce, algorithm, stale) for algorithm in httpauth.ALGORITHMS]
    exchange.refuse(401, "nobody logged in", [("WWW-Authenticate", challenge) for challenge in challenges])


def _basic(exchange, users, realm, value):
    given = httpauth.basic(value)
    if given is None:
        exchange.refuse(400, "improper credentials")
    name, password = given
    if not _known(exchange, value) or not _is_right(exchange, users, name, password):
        _wait(exchange, name)
        if not _is_right(exchange, users, name, password):
            _failed(exchange, name, password)
            ask(exchange, realm)
        _passed(exchange, name, value)
    exchange.user, exchange.auth_type = name, "Basic"


def _is_right(exchange, users, name, password):
    """Is this her password?  Refuses with 503 while nobody can tell."""
    try:
        return users.check(name, password, exchange.client)
    except OSError as error:
        exchange.refuse(503, f"those who may log in cannot be looked up: {error.strerror}", AGAIN)


def _digest(exchange, users, realm, nonces, value):
    given = httpauth.parse_digest(value)
    if given is None:
        ask(exchange, realm, nonces)
    name = given["username"]
    known = _known(exchange, (DIGEST, name))
    if not known:
        _wait(exchange, name)
    verdict = nonces.verdict(given, exchange, realm, users.digest_secret(name, realm, given["algorithm"]))
    if verdict == httpauth.ELSEWHERE:
        exchange.refuse(400, "credentials for another target")
    if verdict == httpauth.FAILED:
        _failed(exchange, name, given["response"])
        ask(exchange, realm, nonces)
    if verdict == httpauth.STALE:
        ask(exchange, realm, nonces, stale=True)
    if not known:
        _passed(exchange, name, (DIGEST, name))
    exchange.user, exchange.auth_type = name, "Digest"


def _known(exchange, what):
    """Has this passed on the same connection before?  Then no failure of others makes it wait."""
    return what in exchange.admitted


def _wait(exchange, name):
    exchange.stream.pause(exchange.stream.penalty.delay(name))


def _passed(exchange, name, what):
    exchange.stream.penalty.passed(name)
    exchange.admitted.clear()           # a client has one login at a time, and may not fill our memory
    exchange.admitted.add(what)


def _failed(exchange, name, password):
    exchange.stream.penalty.failed(name, password)
    exchange.stream.log("login", user=name, result="wrong")


