"""A greylist: who tries again after some minutes is a mail server; whoever has done so often is not asked any more.

A mail is known by the network of its client, its sender and a recipient.  The first attempt is put off; one that comes
after `delay` seconds and within WINDOW passes, and is remembered for LIFETIME.  A network of which ENOUGH different
ones have passed is believed from then on, as long as something comes from it.
"""

from ipaddress import ip_network

from .sqldrivers import driver
from .sqlstore import Store

PART = "greylist"
STEPS = ((
    "CREATE TABLE greylist (network TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, "
    "first BIGINT NOT NULL, last BIGINT NOT NULL, passed INTEGER NOT NULL DEFAULT 0, "
    "PRIMARY KEY (network, sender, recipient))",
    "CREATE INDEX greylist_last ON greylist (last)",
    "CREATE TABLE greylist_known (network TEXT PRIMARY KEY, passed INTEGER NOT NULL, last BIGINT NOT NULL)",
),)
WINDOW = 2 * 86400              # seconds in which a second attempt is awaited
LIFETIME = 35 * 86400           # seconds for which what has passed passes: a monthly letter is known
ENOUGH = 5


class Greylist:
    """The greylist in a database, which is made if need be; `delay` in seconds.  All raises Unavailable, OSError."""

    def __init__(self, dsn: str, delay: float) -> None:
        self.delay = delay
        self._store = Store(driver(dsn, create=True))
        self._store.migrate(PART, STEPS, create=True)
        self._store.close()             # who forks next shall have none

    def passes(self, host: str, sender: str, recipient: str, now: float) -> bool:
        """May this mail come in now?  The attempt is noted."""
        network, time = network_of(host), int(now)
        known = self._store.row("SELECT passed FROM greylist_known WHERE network = ? AND passed >= ? AND last > ?",
                                network, ENOUGH, time - LIFETIME)
        with self._store.changing() as change:
            if known:
                change.execute("UPDATE greylist_known SET last = ? WHERE network = ?", time, network)
                return True
            change.execute("DELETE FROM greylist WHERE last < ? OR (passed = 0 AND first < ?)", time - LIFETIME,
                           time - WINDOW)
            key = (network, sender.lower(), recipient.lower())
            rows = change.rows("SELECT first, passed FROM greylist WHERE network = ? AND sender = ? AND recipient = ?",
                               *key)
            if not rows:
                change.execute("INSERT INTO greylist (network, sender, recipient, first, last) VALUES (?, ?, ?, ?, ?)",
                               *key, time, time)
                return False
            first, passed = rows[0]
            if not passed and time < first + self.delay:
                return False
            change.execute("UPDATE greylist SET last = ?, passed = 1 "
                           "WHERE network = ? AND sender = ? AND recipient = ?", time, *key)
            if not passed:
                change.execute("INSERT INTO greylist_known (network, passed, last) VALUES (?, 1, ?) "
                               "ON CONFLICT (network) DO UPDATE SET passed = greylist_known.passed + 1, "
                               "last = excluded.last", network, time)
        return True


def network_of(host: str) -> str:
    """The network whose servers are taken for one, since large senders try again from another of theirs."""
    return str(ip_network(f"{host.partition('%')[0]}/{64 if ':' in host else 24}", strict=False))
