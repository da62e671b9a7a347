"""Spans of the day, in minutes after midnight, local time."""

import time
from collections.abc import Iterable

Span = tuple[int, int]


def within(spans: Iterable[Span], seconds: float) -> bool:
    """Is this moment, in seconds since 1970, in one of the spans?  Both ends are; 1320 to 360 goes over midnight."""
    now = time.localtime(seconds)
    minute = now.tm_hour * 60 + now.tm_min
    return any(first <= minute <= last if first <= last else minute >= first or minute <= last
               for first, last in spans)
