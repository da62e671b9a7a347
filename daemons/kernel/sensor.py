"""Who called a port where nobody has any business, and is shut out of all services for it.

One list for all services, kept for as long as the process lives: a reload changes nothing about it.  Only a
connection gets a source onto it, since whoever completes a handshake is where he says he is.
"""

import time
from collections.abc import Callable

from .addresses import Address

MOST = 10000            # sources on the list: a flood must not fill the memory
FOREVER = float("inf")


class ShutOut:
    """Sources that are shut out, and until when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.until: dict[str, float] = {}

    def add(self, peer: Address, seconds: float) -> bool:
        """Shut this caller's source out for so long, or for as long as it is already; False if nothing changes."""
        if not seconds or not peer.host:
            return False
        until = self.clock() + seconds
        before = self.until.get(peer.source, 0.0)
        if until <= before or (not before and not self._has_room()):
            return False
        self.until[peer.source] = until
        return True

    def _has_room(self) -> bool:
        if len(self.until) >= MOST:
            now = self.clock()
            self.until = {source: until for source, until in self.until.items() if until > now}
        return len(self.until) < MOST

    def holds(self, peer: Address) -> bool:
        """Is this caller shut out now?"""
        if not self.until:              # as it is nearly always
            return False
        until = self.until.get(peer.source)
        if until is None:
            return False
        if until > self.clock():
            return True
        del self.until[peer.source]
        return False

    def forget(self) -> int:
        """Let everybody in again; returns how many that were."""
        count = len(self.until)
        self.until.clear()
        return count

    def left(self) -> list[tuple[str, float]]:
        """Who is shut out, and for how many more seconds."""
        now = self.clock()
        return [(source, until - now) for source, until in self.until.items() if until > now]
