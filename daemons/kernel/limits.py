"""Instances, per source and rate: who may begin now, counted in this process."""

import time
from collections.abc import Callable, Hashable

MOST = 10000            # sources remembered at a time: a flood of forged ones must not fill the memory


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
