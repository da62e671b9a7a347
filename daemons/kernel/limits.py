"""Instances, per source and rate: who may begin now, counted in this process."""

import time

MOST = 10000            # sources remembered at a time: a flood of forged ones must not fill the memory


class Limits:
    """Counts conversations by source; a source is an IPv4 address or an IPv6 /64."""

    def __init__(self, per_source, rate, clock=time.monotonic):
        self.per_source, self.rate, self.clock = per_source, rate, clock
        self.present = {}
        self.second, self.begun = 0, {}

    def enter(self, source):
        """Count one in; returns None, or the name of the limit that it would exceed."""
        if self.per_source and self.present.get(source, 0) >= self.per_source:
            return "per-source"
        if self.rate and not self.within_rate(source):
            return "rate"
        if self.per_source:
            self.present[source] = self.present.get(source, 0) + 1
        return None

    def within_rate(self, source):
        """Count one beginning; False when this second already saw as many as allowed."""
        second = int(self.clock())
        if second != self.second:
            self.second, self.begun = second, {}
        begun = self.begun.get(source, 0)
        if begun >= self.rate or (not begun and len(self.begun) >= MOST):
            return False
        self.begun[source] = begun + 1
        return True

    def leave(self, source):
        """Count one out."""
        if self.per_source:
            left = self.present.get(source, 1) - 1
            if left:
                self.present[source] = left
            else:
                self.present.pop(source, None)


class OnceAMinute:
    """Says yes for a key once a minute, so that a flood cannot fill the log."""

    def __init__(self, clock=time.monotonic):
        self.clock, self.minute, self.seen = clock, 0, set()

    def __call__(self, key):
        minute = int(self.clock()) // 60
        if minute != self.minute:
            self.minute, self.seen = minute, set()
        if key in self.seen or len(self.seen) >= MOST:
            return False
        self.seen.add(key)
        return True
