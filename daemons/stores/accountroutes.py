"""Where mail goes: which domains are ours, which mailbox an address has, which addresses an alias leads to."""

from ..wire.accountnames import account_name, address_name, domain_name, folder_of, split, sub_address
from .accountstable import USER, User
from .sqlstore import Store

MOST = 1000                     # addresses that one address may lead to
DEEPEST = 20                    # aliases of aliases


class TooMany(Exception):
    """An address leads to more than MOST others, or through more than DEEPEST aliases; the text says which."""


class Mailbox:
    """Where the mail of an account lies.

    user                its name
    domain              the domain of that
    detail              what follows the separator in a sub-address, "" without
    folder              where it lies below the folder of all mail: safe as a path, and the same for ever
    octets, messages    the most that it may hold, None without a limit
    disabled, expires   as of the account: its mail is taken all the same, unless a program does otherwise
    """

    __slots__ = ("detail", "disabled", "domain", "expires", "folder", "messages", "octets", "user")

    def __init__(self, user: User, detail: str = "") -> None:
        self.user, self.detail, self.folder = user.name, detail, folder_of(user.name)
        self.domain = split(user.name)[1]
        self.octets, self.messages = user.octets, user.messages
        self.disabled, self.expires = user.disabled, user.expires


class Routes:
    """Look-ups for mail; with a `separator`, alice+news@ is alice@ as well.  All raise Unavailable."""

    def __init__(self, store: Store, separator: str = "") -> None:
        self.store, self.separator = store, separator

    def is_local_domain(self, name: str) -> bool:
        """Is mail for this domain ours?"""
        try:
            return self.store.row("SELECT name FROM domains WHERE name = ?", domain_name(name)) is not None
        except ValueError:
            return False                # no name of a domain is ours that is none

    def mailbox_of(self, address: str) -> Mailbox | None:
        """The mailbox that has this address, without looking at aliases; None if there is none."""
        try:
            name = address_name(address)
        except ValueError:
            return None
        for whose, detail in self._readings(name):
            user = self._user(whose)
            if user is not None:
                return Mailbox(user, detail)
        return None

    def resolve(self, address: str) -> list[str]:
        """Where mail for an address of ours ends up: mailboxes, and addresses elsewhere; [] if nobody has it.

        Raises TooMany.
        """
        return list(self.ends(address))

    def ends(self, address: str) -> dict[str, Mailbox | None]:
        """As resolve, with the mailbox of each address that is here, and None for one elsewhere.

        An alias that names itself keeps a copy in its own mailbox.  An address elsewhere is nobody's here, unless an
        alias leads there.  Of an alias' addresses those that nobody has are left out.  Raises TooMany.
        """
        try:
            name = address_name(address)
        except ValueError:
            return {}
        local, domain = split(name)
        if not local or not self.is_local_domain(domain):
            return {}
        found: dict[str, Mailbox | None] = {}
        seen, todo = {name}, [name]
        for _ in range(DEEPEST + 1):
            deeper: list[str] = []
            for one in todo:
                ends, targets = self._step(one, domain)
                found.update(ends)
                deeper += targets
            todo = [one for one in dict.fromkeys(deeper) if one not in seen]
            seen.update(todo)
            if len(found) + len(todo) > MOST:
                raise TooMany(f"{address} leads to more than {MOST} addresses")
            if not todo:
                return found
        raise TooMany(f"{address} leads through more than {DEEPEST} aliases")

    def sender_may(self, user: str, address: str) -> bool:
        """May this account send mail as that address?  Its own, and each that leads to it."""
        try:
            name = account_name(user)
            finals = self.resolve(address)
        except (ValueError, TooMany):
            return False
        return any(final == name or sub_address(final, self.separator)[0] == name for final in finals)

    def _step(self, address: str, ours: str) -> tuple[dict[str, Mailbox | None], list[str]]:
        """(the address and its mailbox if mail for it ends there, the addresses that it goes to); one domain is ours"""
        local, domain = split(address)
        if domain != ours and not self.is_local_domain(domain):
            return {address: None}, []
        for one, detail in self._readings(address):
            targets = self._targets(one)
            user = self._user(one) if not targets or one in targets else None
            if targets or user is not None:
                ends: dict[str, Mailbox | None] = {address: Mailbox(user, detail)} if user is not None else {}
                return ends, [target for target in targets if target != one]
        others = self._targets(f"@{domain}")
        return {}, [f"{local}{target}" if target.startswith("@") else target for target in others]

    def _readings(self, name: str) -> list[tuple[str, str]]:
        """(address, detail): as it is, and then as a sub-address, if it can be one."""
        base, detail = sub_address(name, self.separator)
        return [(name, ""), (base, detail)] if base != name else [(name, "")]

    def _targets(self, address: str) -> list[str]:
        rows = self.store.rows("SELECT target FROM aliases WHERE address = ? ORDER BY target", address)
        return [row[0] for row in rows]

    def _user(self, name: str) -> User | None:
        row = self.store.row(f"{USER} WHERE name = ?", name)
        return User(*row) if row else None
