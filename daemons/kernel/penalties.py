"""What failed logins cost their source: 2, 4, 8, then 15 seconds before the next answer, in all programs of a group.

The numbers are Dovecot's.  A minute without a new failure takes one step back.  A (user, password) pair that is
wrong again, of the last ten wrong ones, is no new failure: a telephone with an old password must not shut out the
house.  Pairs are remembered as digests under the table's own random key.
"""

from collections.abc import Callable

from . import log
from .limitsfile import LimitsFile, Row, Unusable, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .conversation import Program
    from .stream import Stream

DELAYS = (0.0, 2.0, 4.0, 8.0, 15.0)     # seconds, by level
FORGET = 60.0           # seconds for each step back
DIGEST = 8              # octets of one wrong pair; ten fit a row


def standing(row: Row, now: float) -> tuple[int, float]:
    """The level of a row now, and the seconds until it is forgotten."""
    level = min(row.level, len(DELAYS) - 1)
    since = now - row.failed
    if not 0 <= since < level * FORGET:         # long ago, or written before this machine started
        return 0, 0.0
    return level - int(since / FORGET), level * FORGET - since


class Penalty:
    """The penalty of one source (Address.source) in a group, kept in a table; `table` is None for one that broke."""

    def __init__(self, table: LimitsFile | None, group: str, source: str, exempt: bool = False) -> None:
        self.table, self.group, self.source, self.exempt = table, group, source, exempt
        self.broken = table is None

    def delay(self, user: str | bytes) -> float:
        """Seconds to wait before the answer to a login of this user, right or wrong: 0 until one failed.

        Wait before the password is looked at (`stream.pause`), so that the time tells nothing about it.
        """
        if self.exempt:
            return 0.0
        found = self._row(lambda table, row: DELAYS[standing(row, table.clock())[0]])
        return DELAYS[-1] if found is None else found

    def failed(self, user: str | bytes, password: str | bytes) -> None:
        """A login failed; a step up, unless this very pair was among the last ten wrong ones."""

        def step(table: LimitsFile, row: Row) -> float:
            digest, now = self._digest(table, user, password), table.clock()
            pairs = [row.pairs[at:at + DIGEST] for at in range(0, len(row.pairs), DIGEST)]
            if digest in pairs:
                pairs.remove(digest)
            else:
                row.level = min(standing(row, now)[0] + 1, len(DELAYS) - 1)
                row.failed = now
            row.pairs = b"".join([digest, *pairs])[:len(row.pairs)]
            table.put(row)
            return 0.0

        if not self.exempt:
            self._row(step)

    def passed(self, user: str | bytes) -> None:
        """A login succeeded: no penalty any more; wrong pairs stay known, since whoever sends them does not change."""

        def clear(table: LimitsFile, row: Row) -> float:
            if row.level:
                row.level, row.failed = 0, 0.0
                table.put(row)
            return 0.0

        if not self.exempt:
            self._row(clear)

    def _row(self, action: Callable[[LimitsFile, Row], float]) -> float | None:
        """What `action` returns for our row; None where the table cannot be used, which is logged once."""
        if self.table is None:
            return None
        try:
            with self.table as table:
                row = table.row(key_of(table.group(self.group), self.source), _value)
                return None if row is None else action(table, row)
        except (Unusable, OSError) as error:
            _tell(error)
            self.table = None
            return None

    def _digest(self, table: LimitsFile, user: str | bytes, password: str | bytes) -> bytes:
        from hashlib import blake2s  # 3 ms, which nobody sees who has just failed
        digest = blake2s(key=table.key, digest_size=DIGEST)
        for word in (user, password):
            data = word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.digest()


def _value(row: Row, now: float) -> int:
    """As LimitsFile.row asks: first to go are those who say nothing, then those without a penalty."""
    return 2 if standing(row, now)[0] else int(bool(row.now))


def _tell(error: Exception) -> None:
    log.event("warning", text=f"failed logins cannot be counted, so each waits {DELAYS[-1]:g} seconds: {error}")


def of(program: "Program", stream: "Stream") -> Penalty:
    """The penalty of a conversation's peer, in the table that the program's options choose."""
    options, exempt = program.options, False
    if options.penalty_exempt:
        from . import access
        exempt = access.denied(stream.peer, options.penalty_exempt, None) is None
    if program.table is None and not exempt:
        _open(program)
    return Penalty(program.table, options.limit_group or program.service.name, stream.peer.source, exempt)


def _open(program: "Program") -> None:
    """A conversation that a launcher accepted opens the table only now that it needs it."""
    from . import limits
    chosen: str | None = program.options.limits
    path = limits.SHARED if chosen == "shared" or (chosen is None and limits.may_share()) else chosen
    try:
        program.table = LimitsFile(None if path == "own" else path)
    except (Unusable, OSError) as error:
        _tell(error)
