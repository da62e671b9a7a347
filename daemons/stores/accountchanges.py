"""What an administrator changes: accounts, domains, aliases, passwords of applications, quotas."""

from collections.abc import Iterable, Sequence

from ..wire.accountnames import account_name, address_name, domain_name, split, target_name
from ..wire.passwordlines import check_name
from .accountstable import APPLICATION, SCOPES, USER, Application, User, listed
from .credentials import Kept, application_digest, application_password, keep
from .sqlstore import Change, Conflict, Store

ADD = "INSERT INTO accounts (name, domain, hash, scram, secret, scopes, octets, messages, expires) " \
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_DOMAIN = "INSERT INTO domains (name) VALUES (?) ON CONFLICT (name) DO NOTHING"
MOST = 2**63 - 1                # of a number


class Changes:
    """Changes, each of them whole; names are taken in any spelling.

    They raise ValueError for what cannot be (Conflict where it is there already), KeyError where there is no such
    one, and Unavailable.
    """

    def __init__(self, store: Store, key: bytes) -> None:
        self.store, self._key = store, key

    # -- accounts --

    def add_user(self, name: str, password: bytes | None, secret: bool = False, scopes: Sequence[str] = (),
                 octets: int | None = None, messages: int | None = None, expires: int | None = None) -> str:
        """Let one log in, and take mail for her domain; returns the name as it is spelled.

        Without a password only those of applications let her in.  `secret` keeps it readable, for APOP and CRAM-MD5.
        """
        name = account_name(name)
        kept = keep(name, password, secret) if password is not None else None
        values = _row(name, kept, scopes, octets, messages, expires)
        with self.store.changing() as change:
            if change.rows("SELECT name FROM accounts WHERE name = ?", name):
                raise Conflict(f"{name} is there already")
            _add_domain(change, split(name)[1])
            change.execute(ADD, *values)
        return name

    def import_users(self, rows: Iterable[tuple[str, Kept]]) -> int:
        """Add many, with what is kept of their passwords: all or none; returns how many."""
        values = [_row(account_name(name), kept) for name, kept in rows]
        names = [str(value[0]) for value in values]
        with self.store.changing() as change:
            there = {row[0] for row in change.rows("SELECT name FROM accounts")}
            for name in names:
                if name in there:
                    raise Conflict(f"{name} is there already")
                there.add(name)
            for domain in dict.fromkeys(split(name)[1] for name in names):
                _add_domain(change, domain)
            change.many(ADD, values)
        return len(values)

    def set_password(self, name: str, password: bytes, secret: bool | None = None) -> None:
        """Give her another password; it stays readable or not as it was, unless `secret` says."""
        name = account_name(name)
        if secret is None:
            secret = self.user(name).secret is not None
        kept = keep(name, password, secret)
        self._change("UPDATE accounts SET hash = ?, scram = ?, secret = ? WHERE name = ?", name,
                     kept.hash, kept.scram, kept.secret)

    def remove_user(self, name: str) -> int:
        """Let her no longer log in nor get mail; returns how many aliases led to her, which are gone too."""
        name = account_name(name)
        with self.store.changing() as change:
            if not change.execute("DELETE FROM accounts WHERE name = ?", name):
                raise KeyError(name)
            return change.execute("DELETE FROM aliases WHERE target = ?", name)

    def set_quota(self, name: str, octets: int | None, messages: int | None) -> None:
        """The most that her mail may take; None for no limit."""
        self._change("UPDATE accounts SET octets = ?, messages = ? WHERE name = ?", account_name(name),
                     _limit(octets), _limit(messages))

    def set_scopes(self, name: str, scopes: Sequence[str]) -> None:
        """The services that she may use; none for all."""
        self._change("UPDATE accounts SET scopes = ? WHERE name = ?", account_name(name), _scopes(scopes))

    def set_expiry(self, name: str, expires: int | None) -> None:
        """From when on she cannot log in, in seconds since 1970; None for never."""
        self._change("UPDATE accounts SET expires = ? WHERE name = ?", account_name(name), _limit(expires))

    def disable(self, name: str) -> None:
        """Let her not log in for now; her mail is still taken."""
        self._change("UPDATE accounts SET disabled = 1 WHERE name = ?", account_name(name))

    def enable(self, name: str) -> None:
        """Let her log in again."""
        self._change("UPDATE accounts SET disabled = 0 WHERE name = ?", account_name(name))

    def list_users(self, domain: str | None = None) -> list[User]:
        """All, or those of a domain ("" for those without one), by name."""
        rows = self.store.rows(f"{USER} ORDER BY name") if domain is None else self.store.rows(
            f"{USER} WHERE domain IS NULL ORDER BY name") if not domain else self.store.rows(
            f"{USER} WHERE domain = ? ORDER BY name", domain_name(domain))
        return sorted((User(*row) for row in rows), key=lambda user: user.name)     # databases have orders of their own

    def user(self, name: str) -> User:
        """One account."""
        name = account_name(name)
        row = self.store.row(f"{USER} WHERE name = ?", name)
        if row is None:
            raise KeyError(name)
        return User(*row)

    # -- domains --

    def add_domain(self, name: str) -> str:
        """Take mail for a domain; returns its one spelling.  It may be there already."""
        name = domain_name(name)
        with self.store.changing() as change:
            _add_domain(change, name)
        return name

    def remove_domain(self, name: str) -> None:
        """Take no more mail for a domain, which must have neither accounts nor aliases left."""
        name = domain_name(name)
        with self.store.changing() as change:
            for table in ("accounts", "aliases"):
                if change.rows(f"SELECT domain FROM {table} WHERE domain = ? LIMIT 1", name):
                    raise Conflict(f"{name} still has {table}")
            if not change.execute("DELETE FROM domains WHERE name = ?", name):
                raise KeyError(name)

    def list_domains(self) -> list[str]:
        """Whose mail is ours."""
        return sorted(row[0] for row in self.store.rows("SELECT name FROM domains"))

    # -- aliases --

    def add_alias(self, address: str, *targets: str) -> None:
        """Let mail for an address of a domain of ours go to these: here or elsewhere, itself to keep a copy.

        @DOMAIN as the address is all that nobody else has there; @DOMAIN as a target keeps what stands before the @.
        """
        address = address_name(address)
        domain = split(address)[1]
        if not targets:
            raise ValueError(f"{address}: where to?")
        with self.store.changing() as change:
            ours = {row[0] for row in change.rows("SELECT name FROM domains")}
            if domain not in ours:
                raise ValueError(f"{domain} is no domain of ours")
            rows = [(address, domain, _target(address, target, ours)) for target in targets]
            change.many("INSERT INTO aliases (address, domain, target) VALUES (?, ?, ?) "
                        "ON CONFLICT (address, target) DO NOTHING", rows)

    def remove_alias(self, address: str, *targets: str) -> None:
        """Let mail for an address no longer go to these, or with none named to nobody by alias."""
        address = address_name(address)
        with self.store.changing() as change:
            ours = {row[0] for row in change.rows("SELECT name FROM domains")}
            there = {row[0] for row in change.rows("SELECT target FROM aliases WHERE address = ?", address)}
            for target in [_target(address, target, ours) for target in targets] or sorted(there) or [address]:
                if target not in there:
                    raise KeyError(f"{address} {target}" if targets else address)
                change.execute("DELETE FROM aliases WHERE address = ? AND target = ?", address, target)

    def list_aliases(self) -> list[tuple[str, str]]:
        """(address, where its mail goes) of all rows."""
        return sorted((row[0], row[1]) for row in self.store.rows("SELECT address, target FROM aliases"))

    # -- applications --

    def add_app_password(self, name: str, label: str, scopes: Sequence[str] = (), networks: Sequence[str] = (),
                         expires: int | None = None) -> str:
        """Make a password for one of her programs or devices, and return it: nobody can read it again.

        It does for these services, from these IP networks, until then; each without a limit if there is none.
        """
        name, label = account_name(name), check_name(label)
        password = application_password()
        values = (name, label, application_digest(self._key, name, password.encode()), _scopes(scopes),
                  listed([_network(network) for network in networks]), _limit(expires))
        with self.store.changing() as change:
            if not change.rows("SELECT name FROM accounts WHERE name = ?", name):
                raise KeyError(name)
            if change.rows("SELECT label FROM applications WHERE account = ? AND label = ?", name, label):
                raise Conflict(f"{name} has one called {label} already")
            change.execute("INSERT INTO applications (account, label, digest, scopes, networks, expires) "
                           "VALUES (?, ?, ?, ?, ?, ?)", *values)
        return password

    def remove_app_password(self, name: str, label: str) -> None:
        """Let that one be worth nothing."""
        name, label = account_name(name), check_name(label)
        with self.store.changing() as change:
            if not change.execute("DELETE FROM applications WHERE account = ? AND label = ?", name, label):
                raise KeyError(f"{name} {label}")

    def list_app_passwords(self, name: str) -> list[Application]:
        """Those of one account."""
        return [Application(*row) for row in self.store.rows(APPLICATION, self.user(name).name)]

    def _change(self, sql: str, name: str, *values: object) -> None:
        with self.store.changing() as change:
            if not change.execute(sql, *values, name):
                raise KeyError(name)


def _row(name: str, kept: Kept | None, scopes: Sequence[str] = (), octets: int | None = None,
         messages: int | None = None, expires: int | None = None) -> tuple[object, ...]:
    """The values of ADD."""
    of_password = (kept.hash, kept.scram, kept.secret) if kept else (None, None, None)
    return (name, split(name)[1] or None, *of_password, _scopes(scopes), _limit(octets), _limit(messages),
            _limit(expires))


def _add_domain(change: Change, domain: str) -> None:
    if domain:
        change.execute(ADD_DOMAIN, domain)


def _scopes(scopes: Sequence[str]) -> str:
    for scope in scopes:
        if scope not in SCOPES:
            raise ValueError(f"{scope!r} is none of {', '.join(SCOPES)}")
    return listed([scope for scope in SCOPES if scope in scopes])


def _limit(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= MOST:
        raise ValueError(f"must be 0 to {MOST}, not {value}")
    return value


def _network(text: str) -> str:
    from ipaddress import ip_network
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no IP network: {error}") from None


def _target(address: str, target: str, ours: set[str]) -> str:
    """Where an alias leads, in its one spelling: folded where it is ours."""
    spelled = target_name(target)
    local, domain = split(spelled)
    if domain in ours:
        spelled = address_name(spelled)
    if not local and (address[:1] != "@" or spelled == address):
        raise ValueError(f"{address} cannot lead to {spelled}: only all of a domain can lead to all of another")
    return spelled
