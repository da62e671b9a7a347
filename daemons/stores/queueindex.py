"""Which message is due when, and where it goes: what a runner keeps in memory of the files of the queue.

The files are the truth; this is made from them and can be lost.  A message stands under each of its destinations with
the earliest time of its recipients there, and under NOBODY while its sender is still owed a notification.
"""

from heapq import heappop, heappush

from ..wire.queueplan import destination as domain_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire.queuelines import Envelope
    from .queuefolder import Stamp

NOBODY = "<>"                   # as where notifications come from; no domain looks like that


class Entry:
    """A message: its file's `stamp` when it was read, and destination -> time of the next try."""

    __slots__ = ("stamp", "times")

    def __init__(self, stamp: "Stamp", times: dict[str, float]) -> None:
        self.stamp, self.times = stamp, times


class QueueIndex:
    """Messages by destination and time; `route` tells where an address is sent: the domain, or a relay for all.

    Nothing is kept of where a message was sent before: a changed route counts from the next look on.
    """

    __slots__ = ("_later", "_ready", "busy", "entries", "route")

    def __init__(self, route: "Callable[[str], str]" = domain_of) -> None:
        self.route = route
        self.entries: dict[str, Entry] = {}
        self.busy: set[str] = set()             # those that we have claimed
        self._later: list[tuple[float, str, str]] = []          # a heap; holds for what is the same in `entries`
        self._ready: dict[str, dict[str, None]] = {}            # destination -> names, in order

    def put(self, id: str, envelope: "Envelope", stamp: "Stamp", not_before: float = 0.0) -> None:
        """Take up what a message's file says now."""
        times: dict[str, float] = {}
        if not envelope.held:
            for one in envelope.waiting:
                where, when = self.route(one.address), max(one.next, not_before)
                times[where] = min(when, times.get(where, when))
            if envelope.owed:
                times[NOBODY] = not_before
        self._set(id, stamp, times)

    def put_aside(self, id: str, stamp: "Stamp") -> None:
        """Know of a message with which nothing can be done until its file changes."""
        self._set(id, stamp, {})

    def postpone(self, id: str, until: float) -> None:
        """Not before then: somebody else has it."""
        if entry := self.entries.get(id):
            self._set(id, entry.stamp, {where: max(when, until) for where, when in entry.times.items()})

    def drop(self, id: str) -> None:
        """It is gone."""
        self._set(id, (0, 0), {})
        del self.entries[id]

    def due(self, now: float, limit: int, most: int) -> dict[str, list[str]]:
        """Destination -> the names of at most `limit` messages that can be claimed for it now, the longest due first.

        No more than `most` in all.
        """
        later = self._later
        while later and later[0][0] <= now:
            when, id, where = heappop(later)
            entry = self.entries.get(id)
            if entry is not None and entry.times.get(where) == when:
                self._ready.setdefault(where, {})[id] = None
        found = {}
        for where, names in self._ready.items():
            if most <= 0:
                break
            free: list[str] = []
            for id in names:
                if len(free) >= min(limit, most):
                    break
                if id not in self.busy:
                    free.append(id)
            if free:
                found[where] = free
                most -= len(free)
        return found

    def next_time(self) -> float | None:
        """When something is due that is not yet; None for never."""
        later = self._later
        while later:
            when, id, where = later[0]
            entry = self.entries.get(id)
            if entry is not None and entry.times.get(where) == when:
                return when
            heappop(later)
        return None

    def _set(self, id: str, stamp: "Stamp", times: dict[str, float]) -> None:
        old = self.entries.get(id)
        before = old.times if old is not None else {}
        for where, when in before.items():
            if times.get(where) != when and (names := self._ready.get(where)) is not None:
                names.pop(id, None)
                if not names:
                    del self._ready[where]
        self.entries[id] = Entry(stamp, times)
        for where, when in times.items():
            if before.get(where) != when:
                heappush(self._later, (when, id, where))
