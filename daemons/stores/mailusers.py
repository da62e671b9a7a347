"""Mail users: the accounts that there are, and where the mail of each lies; what programs that show mail open.

A program starts without accounts too: whoever logs in is told to come again until they are there.
"""

import os

from ..wire.accountnames import account_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .accounts import Accounts
    from .maildrop import Maildrop

ACCOUNTS, MAIL = "/var/lib/fd0/accounts.db", "/var/lib/fd0/mail"
SERVERS = ("postgresql://", "postgres://")


class NoMail(LookupError):
    """The account has no mailbox: it has no domain, or it was removed just now."""


class MailUsers:
    """The accounts of a database, and the folder `mail` in which theirs lie; make it before a program forks.

    is_called       the database is a server, so it has to be called
    Raises ValueError for a database that cannot be one.
    """

    def __init__(self, dsn: str, mail: str) -> None:
        self.dsn, self.mail = dsn, mail
        self.is_called = dsn.startswith(SERVERS)
        self._accounts: Accounts | None = None
        if self.is_called or os.path.exists(self.path):
            try:
                self._accounts = self._opened()
            except OSError:             # it is asked again when somebody logs in, who is told then
                self._accounts = None
            from . import maildrop, mailindex  # noqa: F401     # once, and not in each child of ours

    @property
    def path(self) -> str:
        """The file of SQLite's database; "" for a server."""
        return "" if self.is_called else self.dsn.removeprefix("sqlite:")

    @property
    def accounts(self) -> "Accounts":
        """The accounts; raises OSError, which may be Unavailable."""
        if self._accounts is None:
            try:
                self._accounts = self._opened()
            except ValueError as error:
                raise OSError(str(error)) from None
        return self._accounts

    def maildrop(self, user: str) -> "Maildrop":
        """The maildrop of an account, which is not open yet; raises NoMail, and OSError.

        Where the folder of all mail is missing, nothing is made: to a client that leaves its mail here, an empty
        maildrop would mean that all is gone.
        """
        from .maildirquota import Quota
        from .maildrop import Maildrop
        found = self.accounts.mailbox_of(account_name(user))
        if found is None:
            raise NoMail(user)
        if not os.path.isdir(self.mail):
            raise NotADirectoryError(20, "there is no folder of mail", self.mail)
        path = f"{self.mail}/{found.folder}"
        return Maildrop(path, Quota(path, found.octets or 0, found.messages or 0))

    def _opened(self) -> "Accounts":
        from . import accounts
        return accounts.open(self.dsn)
