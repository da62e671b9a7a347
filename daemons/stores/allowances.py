"""Allowances: to how many recipients a user may write in an hour, counted in the accounts' database by all who send.

What is spent comes back evenly: with 60 in an hour, one a minute.  So who has sent nothing for an hour may send all at
once, and nobody sends more than twice as many within any hour.
"""

from .sqlstore import Store

PART = "allowances"
STEPS = (("CREATE TABLE allowances (name TEXT PRIMARY KEY, spent DOUBLE PRECISION NOT NULL, "
          "last DOUBLE PRECISION NOT NULL)",),)
HOUR = 3600.0
# locks the row until the transaction is over, so that two at once do not spend the same
TAKE = ("INSERT INTO allowances (name, spent, last) VALUES (?, 0, ?) "
        "ON CONFLICT (name) DO UPDATE SET name = excluded.name")


class Allowances:
    """Those of all users, `most` recipients in an hour for each.  Raises Unavailable; to begin with, ValueError too."""

    def __init__(self, store: Store, most: int) -> None:
        self._store, self.most = store, most
        store.migrate(PART, STEPS, create=True)
        store.close()                   # who forks next shall have none

    def spend(self, user: str, now: float) -> float:
        """Count one recipient; returns 0, or in how many seconds there is room for one."""
        with self._store.changing() as change:
            change.execute("DELETE FROM allowances WHERE last < ?", now - HOUR)     # all of theirs has come back
            change.execute(TAKE, user, now)
            [(spent, last)] = change.rows("SELECT spent, last FROM allowances WHERE name = ?", user)
            spent = max(spent - max(now - last, 0) * self.most / HOUR, 0)
            if spent + 1 > self.most:
                return float(spent + 1 - self.most) * HOUR / self.most
            change.execute("UPDATE allowances SET spent = ?, last = ? WHERE name = ?", spent + 1, now, user)
        return 0.0
