"""The tables of accounts: what they are, and their rows as values.

    accounts            who may log in; the name is as wire/accountnames.py spells it
    domains             whose mail is ours
    aliases             a row for each address that mail for another one goes to; @DOMAIN is all that has no other row
    applications        passwords of programs and devices, each for some services
    account_secret      what this database alone knows

Everything is text, or a number: no type is needed that only one database has.  `scopes` are names of services between
commas, none for all; times are seconds since 1970.
"""

SCOPES = ("smtp", "pop3", "imap", "ftp", "http")
PART = "accounts"               # in the table of versions
STEPS = ((
    "CREATE TABLE account_secret (what TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE domains (name TEXT PRIMARY KEY)",
    "CREATE TABLE accounts (name TEXT PRIMARY KEY, domain TEXT REFERENCES domains (name), hash TEXT, scram TEXT, "
    "secret TEXT, scopes TEXT NOT NULL DEFAULT '', octets BIGINT, messages BIGINT, "
    "disabled INTEGER NOT NULL DEFAULT 0, expires BIGINT)",
    "CREATE INDEX accounts_domain ON accounts (domain)",
    "CREATE TABLE aliases (address TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domains (name), "
    "target TEXT NOT NULL, PRIMARY KEY (address, target))",
    "CREATE INDEX aliases_domain ON aliases (domain)",
    "CREATE INDEX aliases_target ON aliases (target)",
    "CREATE TABLE applications (account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE, "
    "label TEXT NOT NULL, digest TEXT NOT NULL, scopes TEXT NOT NULL DEFAULT '', networks TEXT NOT NULL DEFAULT '', "
    "expires BIGINT, PRIMARY KEY (account, label))",
),)
USER = "SELECT name, hash, scram, secret, scopes, octets, messages, disabled, expires FROM accounts"
APPLICATION = "SELECT label, digest, scopes, networks, expires FROM applications WHERE account = ? ORDER BY label"


class User:
    """One who may log in.

    hash, scram, secret     what is kept of her password: see stores/credentials.py; None for what is not
    scopes                  the services that she may use, none for all
    octets, messages        the most that her mail may take, None without a limit
    disabled, expires       she cannot log in, or not from then on
    """

    __slots__ = ("disabled", "expires", "hash", "messages", "name", "octets", "scopes", "scram", "secret")

    def __init__(self, name: str, hash: str | None, scram: str | None, secret: str | None, scopes: str,
                 octets: int | None, messages: int | None, disabled: int, expires: int | None) -> None:
        self.name, self.hash, self.scram, self.secret = name, hash, scram, secret
        self.scopes, self.octets, self.messages = unlisted(scopes), octets, messages
        self.disabled, self.expires = bool(disabled), expires

    def refusal(self, scope: str, now: float) -> str:
        """Why she may not use a service now, though the password is right: disabled, expired, scope; "" if she may."""
        return "disabled" if self.disabled else _refusal(self.scopes, self.expires, scope, now)


class Application:
    """A password of one program or device; `networks` are the addresses that it may come from, none for all."""

    __slots__ = ("digest", "expires", "label", "networks", "scopes")

    def __init__(self, label: str, digest: str, scopes: str, networks: str, expires: int | None) -> None:
        self.label, self.digest, self.expires = label, digest, expires
        self.scopes, self.networks = unlisted(scopes), unlisted(networks)

    def refusal(self, scope: str, host: str, now: float) -> str:
        """Why it does not do now: expired, scope, network; "" if it does.  `host` is "" for who has no address."""
        return _refusal(self.scopes, self.expires, scope, now) or ("" if self._comes_from(host) else "network")

    def _comes_from(self, host: str) -> bool:
        if not self.networks:
            return True
        from ipaddress import ip_address, ip_network
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:              # a Unix socket, a pipe
            return False
        return any(address in ip_network(network) for network in self.networks)


def listed(words: "tuple[str, ...] | list[str]") -> str:
    """Words as a column has them."""
    return ",".join(words)


def unlisted(text: str) -> tuple[str, ...]:
    """Words out of a column."""
    return tuple(text.split(",")) if text else ()


def _refusal(scopes: tuple[str, ...], expires: int | None, scope: str, now: float) -> str:
    if expires is not None and expires <= now:
        return "expired"
    return "scope" if scopes and scope not in scopes else ""
