"""What is to be done later, at points on time.monotonic(), by a loop that waits for other things meanwhile."""

import heapq
import time
from collections.abc import Callable


class Timer:
    """One thing to do; `cancel` it when it has become pointless."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Callable[[], object] | None) -> None:
        self.when, self.action = when, action

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """Do nothing then."""
        self.action = None


class Timers:
    """Timers in the order in which they are due."""

    def __init__(self) -> None:
        self.heap: list[Timer] = []

    def after(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Have something done in so many seconds."""
        timer = Timer(time.monotonic() + seconds, action)
        heapq.heappush(self.heap, timer)
        return timer

    def next(self) -> float | None:
        """When the next one is due, or None."""
        while self.heap and self.heap[0].action is None:
            heapq.heappop(self.heap)
        return self.heap[0].when if self.heap else None

    def run(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        while self.heap and self.heap[0].when <= now:
            action = heapq.heappop(self.heap).action
            if action is not None:
                action()
