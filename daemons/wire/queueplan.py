"""When a queued message is tried again, when its sender is warned, and when it is given up; nothing here reads a clock.

The n-th wait is the first one doubled n-1 times, up to the longest; RFC 5321, 4.5.4.1 asks for 30 minutes or more
in the long run and for four to five days in all.  Each wait is longer by up to a fifth, drawn from the message's
own name: what was put off at one moment does not come back at one moment, and the same message always waits the same.
"""

from binascii import crc32

FIRST, MOST = 300.0, 4200.0             # seconds
LIFETIME, WARN_AFTER = 5 * 86400.0, 4 * 3600.0
SPREAD = 0.2


class Plan:
    """The rule of a queue, all in seconds: first and longest wait, when to give up, when to warn (0: never)."""

    __slots__ = ("first", "lifetime", "most", "warn_after")

    def __init__(self, first: float = FIRST, most: float = MOST, lifetime: float = LIFETIME,
                 warn_after: float = WARN_AFTER) -> None:
        self.first, self.most, self.lifetime, self.warn_after = first, max(first, most), lifetime, warn_after

    def wait(self, id: str, attempts: int) -> float:
        """How long to wait after so many attempts, one or more, that came to nothing."""
        doubled = self.most if attempts > 40 else self.first * 2.0**(attempts - 1)      # no float is that large
        drawn = crc32(f"{id} {attempts}".encode()) / 2**32
        return min(doubled, self.most) * (1 + SPREAD * drawn)

    def gives_up(self, received: float, expires: float = 0.0) -> float:
        """When a message is given up that came then; `expires` is its own wish, 0 for none."""
        return expires or received + self.lifetime

    def next_try(self, id: str, attempts: int, now: float, received: float, expires: float = 0.0) -> float:
        """When to try again: at the latest when it is to be given up, so that its sender hears of that in time."""
        return max(now, min(now + self.wait(id, attempts), self.gives_up(received, expires)))

    def is_expired(self, now: float, received: float, expires: float = 0.0) -> bool:
        """Is it to be given up?"""
        return now >= self.gives_up(received, expires)

    def is_late(self, now: float, received: float) -> bool:
        """Has it been here for so long that its sender ought to know?"""
        return self.warn_after > 0 and now >= received + self.warn_after


def destination(address: str) -> str:
    """Where an address leads: its domain, with ASCII letters small; "" for one without any."""
    return lower(address.rpartition("@")[2]) if "@" in address else ""


def lower(domain: str) -> str:
    """A domain with its ASCII letters, and no others, small."""
    return domain.encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")


def matches(domain: str, pattern: str) -> bool:
    """Is this the domain, or with a dot in front of the pattern, below it?"""
    domain, pattern = lower(domain), lower(pattern)
    return domain.endswith(pattern) if pattern.startswith(".") else domain == pattern
