"""Accounts: who may log in to which service, and where mail goes; one database for all programs.

    accounts = open("/var/lib/fd0/accounts.db")         # or postgresql://...
    verdict = accounts.check("alice@example.org", b"secret", "imap", "192.0.2.1", time())
    verdict.user if verdict else verdict.why

Open it once, before a program forks: its children then share what was found right a moment ago, and each thread of
each gets a connection of its own when it needs one.  Whatever asks the database raises Unavailable while that is out
of reach: then peers are told to come again, and nobody is told that a mailbox is not there.
"""

import os
import time

from ..wire import scram
from ..wire.accountnames import account_name
from ..wire.passwordlines import check_password
from .accountchanges import Changes
from .accountroutes import Mailbox, Routes, TooMany
from .accountstable import APPLICATION, PART, SCOPES, STEPS, USER, Application, User
from .credentials import application_digest, is_lasting, keep, matches, nobodys
from .remembered import Remembered
from .sqldrivers import driver
from .sqlstore import Conflict, Store, Unavailable

__all__ = ["DEFAULT", "SCOPES", "Accounts", "AccountsUsers", "Application", "Conflict", "Mailbox", "TooMany",
           "Unavailable", "User", "Verdict", "open"]

DEFAULT = "/var/lib/fd0/accounts.db"
RENEW = "UPDATE accounts SET hash = ?, scram = ? WHERE name = ? AND hash = ? AND scram IS NULL"
# the account at or after a point in the alphabet that nobody can guess: its hash costs what others cost
LIKE = "SELECT hash, scram FROM accounts WHERE name >= ? AND hash IS NOT NULL ORDER BY name LIMIT 1"


def open(dsn: str, separator: str = "", create: bool = False) -> "Accounts":
    """The accounts in a database: a path is SQLite's, postgresql://... PostgreSQL's.

    `separator` makes sub-addresses: with + mail for alice+news@ is alice@'s.  `create` makes what is not there yet.
    Raises FileNotFoundError where there is none, other OSErrors (Unavailable), and ValueError.
    """
    import hashlib  # noqa: F401                        # here, and not with the first login: a program may be closed in then
    import hmac  # noqa: F401
    import unicodedata  # noqa: F401
    store = Store(driver(dsn, create))
    return opened(store, separator, create)


def opened(store: Store, separator: str = "", create: bool = False) -> "Accounts":
    """The accounts in a database whose Store is there; raises as open does."""
    store.migrate(PART, STEPS, create)
    row = store.row("SELECT value FROM account_secret WHERE what = 'key'")
    if row is None:
        with store.changing() as change:
            change.execute("INSERT INTO account_secret (what, value) VALUES ('key', ?) ON CONFLICT (what) DO NOTHING",
                           os.urandom(32).hex())
        row = store.rows("SELECT value FROM account_secret WHERE what = 'key'")[0]
    store.close()                       # who forks next shall have none
    return Accounts(store, bytes.fromhex(row[0]), separator)


class Verdict:
    """What came of a login; true if it passed.

    user            the account's name, in its one spelling; "" if it did not pass
    application     the label of the password, if it was an application's
    why             the reason for the log, "" if it passed: unknown, wrong; and, though the password was right:
                    disabled, expired, scope, network
    """

    __slots__ = ("application", "user", "why")

    def __init__(self, user: str = "", why: str = "", application: str = "") -> None:
        self.user, self.why, self.application = "" if why else user, why, application

    def __bool__(self) -> bool:
        return not self.why


class Accounts(Changes, Routes):
    """The accounts of one database: logins here, where mail goes in Routes, what is changed in Changes."""

    def __init__(self, store: Store, key: bytes, separator: str = "") -> None:
        Changes.__init__(self, store, key)
        Routes.__init__(self, store, separator)
        self._right = Remembered()
        self._nobodys = nobodys()

    def __repr__(self) -> str:
        return f"Accounts({self.store.name!r})"

    # -- logins --

    def check(self, name: str, password: bytes, scope: str, host: str = "", now: float | None = None) -> Verdict:
        """May this one with this password use this service (one of SCOPES), from this IP address, at this time?

        It takes as long whether the account is there or not, and whatever else keeps it out: one hash, of a password
        that came the first time.  The password is the account's own or an application's.
        """
        now = time.time() if now is None else now
        try:
            name = account_name(name)
        except ValueError:
            return Verdict(why="unknown")               # which can be told without looking
        try:
            password = check_password(password)
        except ValueError:
            password = os.urandom(32).hex().encode()    # nobody has either, and this one takes as long as any other
        user = self._find(name)
        token = self._token(user, password)
        if user is not None and self._right.holds(token, time.monotonic()):
            return Verdict(name, user.refusal(scope, now))
        like = self._like(name)[0]
        application = self._application(name, password)
        if user is not None and application is not None:
            why = user.refusal(scope, now) or application.refusal(scope, host, now)
            if not why:
                return Verdict(name, "", application.label)
        else:
            why = "unknown" if user is None else "wrong"
        if not self._is_right(user, password, like) or user is None:
            return Verdict(why=why)
        self._right.keep(token, time.monotonic())
        return Verdict(name, user.refusal(scope, now))

    def admitted(self, name: str, scope: str, now: float | None = None) -> Verdict:
        """May one use this service whose password was proven already, by SCRAM or from the secret?"""
        user = self._find_any(name)
        if user is None:
            return Verdict(why="unknown")
        return Verdict(user.name, user.refusal(scope, time.time() if now is None else now))

    def scram(self, name: str) -> scram.Keys:
        """The keys for SCRAM-SHA-256 of an account; of one that is not there, or has none, such as fit no password.

        Those are the same each time that somebody asks.  A right proof still needs admitted().
        """
        try:
            name = account_name(name)
        except ValueError:
            pass                        # no account can be called so: as it is, it will do for a fake
        user, iterations = self._find_any(name), self._like(name)[1]
        if user is not None and user.scram is not None:
            return scram.parse_keys(user.scram)
        return scram.fake_keys(self._key, name.encode("utf-8", "replace").decode(), iterations)

    def secret(self, name: str) -> bytes | None:
        """The password itself, for APOP and CRAM-MD5, of an account that keeps it; a right answer needs admitted()."""
        user = self._find_any(name)
        return user.secret.encode() if user is not None and user.secret is not None else None

    # -- pieces --

    def _find(self, name: str) -> User | None:
        row = self.store.row(f"{USER} WHERE name = ?", name)
        return User(*row) if row else None

    def _find_any(self, name: str) -> User | None:
        try:
            return self._find(account_name(name))
        except ValueError:
            return None                 # nobody is called so

    def _like(self, name: str) -> tuple[str, int]:
        """The hash and the iterations of another account, always the same: what a stranger of that name is given."""
        from hmac import digest
        point = digest(self._key, b"like: " + name.encode("utf-8", "replace"), "sha256").hex()
        # hex digits come before most letters: as a number to base 26 they are spread as names are
        at = "".join(chr(97 + int(point[place:place + 4], 16) % 26) for place in range(0, 16, 4))
        row = self.store.row(LIKE, at) or self.store.row(LIKE, "") or (self._nobodys, None)
        return row[0], scram.parse_keys(row[1]).iterations if row[1] else scram.ITERATIONS

    def _application(self, name: str, password: bytes) -> Application | None:
        """The application whose password this is; all are looked at."""
        from hmac import compare_digest
        digest, found = application_digest(self._key, name, password), None
        for row in self.store.rows(APPLICATION, name):
            if compare_digest(row[1], digest):
                found = Application(*row)
        return found

    def _is_right(self, user: User | None, password: bytes, like: str) -> bool:
        """Is this the account's own password?  The work is the same if there is no account, or no password."""
        if user is None or user.hash is None:
            matches(like, password)
            return False
        if not matches(user.hash, password):
            return False
        if user.scram is None:
            self._renew(user, password)
        return True

    def _token(self, user: User | None, password: bytes) -> bytes:
        """What is remembered of a right password; another hash in the database makes it worthless."""
        name, hash = (user.name, user.hash or "") if user else ("", "")
        return self._right.token(name.encode(), hash.encode(), password)

    def _renew(self, user: User, password: bytes) -> None:
        """Make of a password that came as a mere hash what we keep of our own: now it is known."""
        kept, hash = keep(user.name, password), user.hash or ""
        try:
            with self.store.changing() as change:
                change.execute(RENEW, hash if is_lasting(hash) else kept.hash, kept.scram, user.name, hash)
        except Unavailable:
            return                      # it was right all the same; the next login comes by here again


class AccountsUsers:
    """Accounts with the face of stores/passwords.Passwords, for HTTP's Basic authentication."""

    def __init__(self, accounts: Accounts, scope: str = "http") -> None:
        self.accounts, self.scope = accounts, scope

    def check(self, name: str, password: bytes, host: str = "") -> bool:
        """Is this her password, and may she use the service?  Without a host, networks keep applications out."""
        return bool(self.accounts.check(name, password, self.scope, host))

    def digest_secret(self, name: str, realm: str, algorithm: str) -> str | None:
        """None: Digest needs a secret for each realm, which accounts do not keep."""
        return None
