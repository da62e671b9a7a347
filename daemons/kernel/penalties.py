"""What failed logins cost their source: 2, 4, 8, then 15 seconds before the next answer, in all programs of a group.

The numbers are Dovecot's.  A minute without a new failure takes one step back.  A (user, password) pair that is
wrong again, of the last ten wrong ones, is no new failure: a telephone with an old password must not shut out the
house.  Pairs are remembered as digests under the table's own random key.

Whoever guesses in parallel gains nothing by it.  A guess is in flight from its `delay` on until it is told how it
ended.  While few have failed, a few may be in flight at once, for browsers open six connections; each one more
waits as if those before it had failed already, and has its turn after theirs.  A line that is too long takes nobody
else: conversations that wait are not to fill the machine.
"""

from collections.abc import Callable

from . import log
from .ends import Crowded
from .limitsfile import LimitsFile, Row, Unusable, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .conversation import Program
    from .stream import Stream

DELAYS = (0.0, 2.0, 4.0, 8.0, 15.0)     # seconds, by level
AT_ONCE = (6, 3, 2, 1, 1)               # guesses in flight that wait no longer for each other, by level
HIGHEST = len(DELAYS) - 1
FORGET = 60.0           # seconds for each step back
LINE = 60.0             # seconds that anybody waits; whoever would wait longer is told to come again
JUDGED = 5.0            # seconds after its turn in which a guess is judged; after that its conversation is over
DIGEST, WHO = 8, 4      # octets of one wrong pair, ten of which fit a row; and those of them that tell the user
COUNTS = 0x80           # in the first octet: this pair took a step that nobody has taken back


def standing(row: Row, now: float) -> tuple[int, float]:
    """The level of a row now, and the seconds until it is forgotten."""
    level = min(row.level, HIGHEST)
    since = now - row.failed
    if not 0 <= since < level * FORGET:         # long ago, or written before this machine started
        return 0, 0.0
    return level - int(since / FORGET), level * FORGET - since


def in_flight(row: Row, now: float) -> int:
    """Guesses that nobody has judged yet; who hung up or was killed meanwhile is among them until the line is over."""
    return row.guesses if row.line - LINE <= now <= row.line + JUDGED else 0


def matters(row: Row, now: float) -> bool:
    """Would logins of its source be quicker if the row were gone?"""
    return bool(standing(row, now)[0] or in_flight(row, now))


class Penalty:
    """The penalty of one source (Address.source) in a group, kept in a table; `table` is None for one that broke.

    It belongs to one conversation, which has one guess at a time.
    """

    def __init__(self, table: LimitsFile | None, group: str, source: str, exempt: bool = False) -> None:
        self.table, self.group, self.source, self.exempt = table, group, source, exempt
        self.broken = table is None
        self.turn: float | None = None  # when our guess is answered, while it is in flight

    def delay(self, user: str | bytes) -> float:
        """Seconds to wait before the answer to a login of this user, right or wrong: 0 until one failed.

        Wait before the password is looked at (`stream.pause`), so that the time tells nothing about it; then tell
        `failed` or `passed`.  Raises Crowded, which ends the conversation, when too many are waiting already.
        """
        if self.exempt:
            return 0.0
        found = self._row(self._reserve)
        return DELAYS[-1] if found is None else found

    def _reserve(self, table: LimitsFile, row: Row) -> float:
        now = table.clock()
        self._land(row, now)            # the one before was given up
        level, ahead = standing(row, now)[0], in_flight(row, now)
        beyond = max(0, ahead + 1 - AT_ONCE[level])
        seconds = DELAYS[min(level + beyond, HIGHEST)]
        if beyond:
            seconds += max(0.0, row.line - now)
        if seconds > LINE:
            raise Crowded("logins", table.refuse(row))
        row.guesses, self.turn = ahead + 1, now + seconds
        row.line = max(self.turn, row.line) if ahead else self.turn
        table.put(row)
        return seconds

    def _land(self, row: Row, now: float) -> None:
        """Our guess is in flight no more."""
        if self.turn is not None and now <= self.turn + JUDGED and in_flight(row, now):
            row.guesses -= 1            # later it may be out of the count already, and this another's
        self.turn = None

    def failed(self, user: str | bytes, password: str | bytes) -> None:
        """A login failed; a step up, unless this very pair was among the last ten wrong ones."""

        def step(table: LimitsFile, row: Row) -> float:
            digest, now = self._digest(table, user, password), table.clock()
            self._land(row, now)
            level, known = standing(row, now)[0], _pairs(row)
            if not level:               # what is forgotten counts no more
                known = [_plain(pair) for pair in known]
            same = next((pair for pair in known if _plain(pair) == digest), None)
            if same is not None:
                known.remove(same)
            else:
                row.level, row.failed = min(level + 1, HIGHEST), now
                same = bytes([digest[0] | COUNTS]) + digest[1:]
            row.pairs = b"".join([same, *known])[:len(row.pairs)]
            table.put(row)
            return 0.0

        if not self.exempt:
            self._row(step)

    def passed(self, user: str | bytes) -> None:
        """A login succeeded: what this user failed costs no more, but what others did from the same source does.

        Else whoever has an account here would guess at those of others in peace.  Wrong pairs stay known, since
        whoever sends them does not change.
        """

        def clear(table: LimitsFile, row: Row) -> float:
            now, before = table.clock(), row.guesses
            self._land(row, now)
            level = standing(row, now)[0]
            if row.level:
                who = self._digest(table, user, b"")[:WHO]
                known = [_plain(pair) if _plain(pair)[:WHO] == who else pair for pair in _pairs(row)]
                row.failed += (min(row.level, HIGHEST) - level) * FORGET
                row.level = min(level, sum(1 for pair in known if pair[0] & COUNTS))
                row.pairs = b"".join(known)
            elif row.guesses == before:
                return 0.0
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
        """Of a pair, without COUNTS; the first WHO octets are the user's."""
        from hashlib import blake2s  # 3 ms, which nobody sees who has just failed
        digest = blake2s(key=table.key, digest_size=DIGEST)
        parts = []
        for word, size in ((user, WHO), (password, DIGEST - WHO)):
            data = word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")
            digest.update(len(data).to_bytes(4, "big") + data)
            parts.append(digest.digest()[:size])
        return _plain(b"".join(parts))


def _pairs(row: Row) -> list[bytes]:
    return [row.pairs[at:at + DIGEST] for at in range(0, len(row.pairs), DIGEST)]


def _plain(pair: bytes) -> bytes:
    return bytes([pair[0] & ~COUNTS]) + pair[1:]


def _value(row: Row, now: float) -> int:
    """As LimitsFile.row asks: first to go are those who say nothing, then those without a penalty."""
    return 2 if matters(row, now) else int(bool(row.now))


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
