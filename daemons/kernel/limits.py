"""Instances, per source and rate: who may begin now, counted in this process, or by all that share a table.

Who shares: a conversation that a launcher accepted is alone in its process, so limits that somebody has set for it
are counted in a table, or nothing would be.  A program that accepts itself counts in the table where /run/fd0 is
there for it to use, else by itself; its processes count together in any case.  --limits names the place.
"""

import os
import time
from collections.abc import Callable, Hashable

from . import log
from .ends import Crowded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .conversation import Program
    from .inherited import Given
    from .limitsfile import LimitsFile, Row
    from .limitsreport import Known
    from .options import Options

DIRECTORY = "/run/fd0"
SHARED = f"{DIRECTORY}/limits"
STAYING = ("listener", "datagrams")     # kinds of what is given to programs that stay
MOST = 10000            # sources remembered at a time: a flood of forged ones must not fill the memory
MINUTE = 60.0           # seconds between two log lines about one source


class Limits:
    """Counts conversations by source; a source is an IPv4 address or an IPv6 /64."""

    def __init__(self, per_source: int | None, rate: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_source, self.rate, self.clock = per_source or 0, rate or 0, clock      # 0: any number
        self.present: dict[str, int] = {}
        self.second = 0
        self.begun: dict[str, int] = {}

    def enter(self, source: str) -> str | None:
        """Count one in; returns None, or the name of the limit that it would exceed."""
        if self.per_source and self.present.get(source, 0) >= self.per_source:
            return "per-source"
        if self.rate and not self.within_rate(source):
            return "rate"
        if self.per_source:
            self.present[source] = self.present.get(source, 0) + 1
        return None

    def within_rate(self, source: str) -> bool:
        """Count one beginning; False when this second already saw as many as allowed."""
        second = int(self.clock())
        if second != self.second:
            self.second, self.begun = second, {}
        begun = self.begun.get(source, 0)
        if begun >= self.rate or (not begun and len(self.begun) >= MOST):
            return False
        self.begun[source] = begun + 1
        return True

    def leave(self, source: str) -> None:
        """Count one out."""
        if self.per_source:
            left = self.present.get(source, 1) - 1
            if left:
                self.present[source] = left
            else:
                self.present.pop(source, None)


class OnceAMinute:
    """Says yes for a key once a minute, so that a flood cannot fill the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.minute = clock, 0
        self.seen: set[Hashable] = set()

    def __call__(self, key: Hashable) -> bool:
        minute = int(self.clock()) // 60
        if minute != self.minute:
            self.minute, self.seen = minute, set()
        if key in self.seen or len(self.seen) >= MOST:
            return False
        self.seen.add(key)
        return True


class Shared:
    """Counts that all processes of a group of programs share: `group` is its name, 0 any number."""

    def __init__(self, table: "LimitsFile", group: str, per_source: int = 0, most: int = 0, rate: int = 0,
                 present: bool = True) -> None:
        self.table, self.group, self.per_source, self.most, self.rate = table, group, per_source, most, rate
        self.present = present          # is who is here to be counted, or only who begins?
        self.number, self.of = 0, b""   # of our group, and in which making of the table
        self.tell = OnceAMinute(table.clock)
        self.spare: LimitsFile | None = None    # for a rehearsal, made while the sandbox still lets it be made

    def join(self) -> None:
        """See that the table can be used, and take a number for our group in it; raises Unusable, OSError."""
        with self.table:
            whole = self._keys("")[1]
            row = self.table.row(whole, self._value) if self.most else None
            if row is not None:         # from now on all who share the name are counted in it
                self.table.put(row)

    def rehearsal(self) -> "Shared":
        """The same on a table of its own, where nobody is turned away: for conversations with ourselves."""
        from .limitsfile import LimitsFile
        return Shared(self.spare or LimitsFile(), self.group, MOST, MOST if self.most else 0,
                      MOST if self.rate else 0, self.present)

    def enter(self, source: str) -> "Hold | None":
        """Count a conversation in; returns what counts it out, if that is to be done.  Raises Crowded."""
        from .limitsfile import Unusable
        try:
            with self.table:
                return self._enter(source)
        except (Unusable, OSError) as error:
            raise Crowded("limits", self._tell_broken(error)) from None

    def _enter(self, source: str) -> "Hold | None":
        key, whole = self._keys(source)
        row = self.table.row(key, self._value)
        if row is None:                 # so many sources in one second: who is new has to wait for the next
            raise Crowded("rate", self._tell_full())
        all_ = self.table.row(whole, self._value) if self.most else self.table.look(whole) if self.present else None
        why = self._over(row, all_)
        if why:
            raise Crowded(why, self._refuse(row))
        hold = None
        if self.present:
            at = self.table.claim(key)
            if at is None:
                self._tell_full()
                raise Crowded("instances", self._refuse(row))
            hold = Hold(self.table, at, key, whole)
            row.now += 1
            if all_ is not None:
                all_.now += 1
                self.table.put(all_)
        self.table.put(row)
        return hold

    def _over(self, row: "Row", all_: "Row | None") -> str | None:
        """The limit that one more would exceed; without one, the beginning is counted."""
        if self.per_source:
            row.allowed = self.per_source
            if self._full(row, self.per_source):
                return "per-source"
        if self.most and all_ is not None:
            all_.allowed = self.most
            if self._full(all_, self.most):
                self.table.put(all_)
                return "instances"
        return None if not self.rate or self._begin(row) else "rate"

    def _full(self, row: "Row", limit: int) -> bool:
        """Before we refuse, whoever was killed is counted out."""
        if row.now < limit:
            return False
        row.now = self.table.lives(row.key)
        return row.now >= limit

    def _begin(self, row: "Row") -> bool:
        second = int(self.table.clock()) & 0xffffffff
        if row.second != second:
            row.second, row.begun = second, 0
        if row.begun >= self.rate:
            return False
        row.begun += 1
        return True

    def crowded(self, source: str) -> str | None:
        """The limit that one more would exceed now, without counting it: a glance that spares a process."""
        from .limitsfile import Unusable
        try:
            if self._passes(source):
                return None
            with self.table:
                key, whole = self._keys(source)
                row, all_ = self.table.look(key), self.table.look(whole)
                if row is not None and self.per_source and self._full(row, self.per_source):
                    return "per-source"
                if all_ is not None and self.most and self._full(all_, self.most):
                    return "instances"
                return "rate" if row is not None and self._is_fast(row) else None
        except (Unusable, OSError):
            return None                 # whoever enters is told

    def _passes(self, source: str) -> bool:
        """As far as can be seen without the lock: numbers are never too low."""
        from .limitsfile import key_of
        row = self.table.look(key_of(self.number, source))
        all_ = self.table.look(key_of(self.number, None)) if self.most else None
        return not ((row is not None and ((self.per_source and row.now >= self.per_source) or self._is_fast(row)))
                    or (all_ is not None and all_.now >= self.most))

    def _is_fast(self, row: "Row") -> bool:
        return bool(self.rate) and row.second == int(self.table.clock()) & 0xffffffff and row.begun >= self.rate

    def within_rate(self, source: str) -> bool:
        """Count one beginning; False when this second already saw as many as allowed."""
        from .limitsfile import Unusable
        try:
            if not self._passes(source):
                return False
            with self.table:
                row = self.table.row(self._keys(source)[0], self._value)
                if row is None or not self._begin(row):
                    return False
                self.table.put(row)
                return True
        except (Unusable, OSError) as error:
            self._tell_broken(error)
            return False

    def told(self, source: str) -> bool:
        """Note that somebody is refused; is that news for the log, once in a minute for each source?"""
        from .limitsfile import Unusable
        try:
            with self.table:
                row = self.table.row(self._keys(source)[0], self._value)
                return self._refuse(row) if row is not None else self._tell_full()
        except (Unusable, OSError) as error:
            return self._tell_broken(error)

    def _refuse(self, row: "Row") -> bool:
        now = self.table.clock()
        news = not (row.told and 0 <= now - row.told < MINUTE)
        row.refused = now
        if news:
            row.told = now
        self.table.put(row)
        return news

    def _keys(self, source: str) -> tuple[bytes, bytes]:
        """The keys of a source and of the whole group."""
        from .limitsfile import key_of
        if self.of != self.table.key:
            self.number, self.of = self.table.group(self.group), self.table.key
        return key_of(self.number, source), key_of(self.number, None)

    def _value(self, row: "Row", now: float) -> int:
        """What would be missed if a row made room for another (LimitsFile.row)."""
        from .penalties import standing
        if self.rate and row.begun and row.second == int(now) & 0xffffffff:
            return -1
        if standing(row, now)[0]:
            return 2
        return int(bool(row.now) or 0 <= now - row.told < MINUTE)

    def _tell_full(self) -> bool:
        news = self.tell("full")
        if news:
            log.event("pressure", why="the table of limits is full")
        return news

    def _tell_broken(self, error: Exception) -> bool:
        news = self.tell("broken")
        if news:
            log.event("warning", text=f"limits cannot be counted, so nobody is let in: {error}")
        return news


class Hold:
    """One conversation that is counted."""

    __slots__ = ("at", "key", "made", "moves", "table", "whole")

    def __init__(self, table: "LimitsFile", at: int, key: bytes, whole: bytes) -> None:
        self.table, self.at, self.key, self.whole = table, at, key, whole
        self.made, self.moves = table.key, table.moves

    def leave(self) -> None:
        """Count it out."""
        from .limitsfile import Unusable
        try:
            with self.table as table:
                if table.key == self.made:
                    for key in (self.key, self.whole):
                        row = table.look(key)
                        if row is not None and row.now:
                            row.now -= 1
                            table.put(row)
                    table.release(self.at)
                elif table.moves == self.moves:         # made anew: only the lock is still ours
                    table.let_go(self.at)
        except (Unusable, OSError):     # the table is held up; whoever counts next finds no lock here
            self.table.let_go(self.at)


def prepare(program: "Program", kind: str) -> None:
    """Have a program count where its options say, for what it was given (inherited.Given.kind); raises Misuse."""
    options, stays = program.options, kind in STAYING
    names, present = counted(options, kind)
    path = place(program, kind, bool(names))
    # who speaks for whom is known in each conversation, and no loop could count there
    apart = stays and (options.processes > 1 or (kind == "listener" and options.proxy_protocol is not None))
    together = bool(names) and (path is not None or apart)
    if path is None and not together and not (stays and program.service.logins):
        return
    from .limitsfile import LimitsFile, Unusable
    try:
        program.table = LimitsFile(path)
        with program.table:             # what cannot be used is to be known now
            pass
        if together:
            program.limits = Shared(
                program.table, options.limit_group or program.service.name, options.per_source or 0,
                options.max if "max" in names else 0, options.rate or 0, present)
            program.limits.join()
            program.limits.spare = LimitsFile() if kind == "listener" else None
    except (Unusable, OSError) as error:
        if path is None and not together:       # nobody asked for limits: failed logins then wait as long as they may
            log.event("warning", text=f"failed logins cannot be counted: {error}")
            program.table = None
            return
        from .options import Misuse
        raise Misuse(f"limits: {error}") from None


def counted(options: "Options", kind: str) -> tuple[list[str], bool]:
    """What is to be counted because somebody set it, and whether that needs to know who is here.

    A program that accepts itself stops accepting at --max; only those who share a name count it together.
    """
    names = ["per-source", "rate"] if kind in STAYING and not options.limit_group else ["per-source", "rate", "max"]
    names = [name for name in names if name in options.sources]
    present = bool(options.limit_group) or any(name != "rate" for name in names)
    return names or ["limit-group"] * present, present


def place(program: "Program", kind: str, counting: bool) -> str | None:
    """The path of the table to share, or None to count alone."""
    chosen: str | None = program.options.limits
    if chosen is not None:
        return None if chosen == "own" else SHARED if chosen == "shared" else chosen
    if kind not in STAYING:
        return SHARED if counting else None
    if kind != "listener" or not (counting or program.service.logins) or not os.path.isdir(DIRECTORY):
        return None
    if may_share():
        return SHARED
    if counting:
        log.event("warning", text=f"user {os.geteuid()} may not use {DIRECTORY}, so limits count in this program alone")
    return None


def may_share() -> bool:
    """Is there a directory for shared limits, and may we use it?"""
    return os.access(DIRECTORY, os.W_OK | os.X_OK, effective_ids=True)


def described(program: "Program", given: "list[Given]") -> str:
    """Where a program counts, for --explain."""
    options, kind = program.options, kind_of(given)
    names, _ = counted(options, kind)
    path = place(program, kind, bool(names))
    group = options.limit_group or program.service.name
    if path is not None:
        return f"in {path}, as {group}: {' '.join(names) or 'failed logins'}"
    if kind not in STAYING:
        return "nowhere: " + ("--limits=own, and this process holds one conversation" if names else "no limit is set")
    return "in this program alone, by all its processes"


def kind_of(given: "list[Given]") -> str:
    """What we were given: a listener, if there is one among it."""
    return next((one.kind for one in given if one.kind == "listener"), given[0].kind)


def report(path: str, source: str | None = None) -> "list[Known]":
    """What a table knows: of one address or source, or of all; nothing where there is no such file."""
    from .limitsreport import known
    return known(path, source)
