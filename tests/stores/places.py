"""Where a store of accounts may lie, for tests that are to hold in each place."""

import sqlite3
import types

from daemons.stores import accounts
from daemons.stores.sqldrivers import driver
from daemons.stores.sqlstore import Store
from tests.live import postgresql

KINDS = ("sqlite", "named", "postgresql")
# SQLite by a driver that wants names for values
NAMED = types.SimpleNamespace(**{**{name: getattr(sqlite3, name) for name in dir(sqlite3)}, "paramstyle": "named"})


class Place:
    """One empty place, of a kind."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.dsn = postgresql.server().schema() if kind == "postgresql" else f"{folder}/accounts.db"

    def open(self, separator="", create=True):
        """The accounts there."""
        if self.kind != "named":
            return accounts.open(self.dsn, separator, create)
        return accounts.opened(self.store(create), separator, create)

    def store(self, create=True):
        """What is below them."""
        found = driver(self.dsn, create)
        if self.kind == "named":
            found.module = NAMED
        return Store(found)
