"""Windows of the day, in local time, in which somebody may call: 08:00-18:00, or 22:00-02:00 over midnight.

As in xinetd's access_times both minutes belong to the window: 18:00 lasts until 18:00:59.
"""

import time
from collections.abc import Iterable

Window = tuple[int, int]        # minutes after midnight, the second before the first where midnight lies between

DAY = 24 * 60


def windows(text: str) -> list[Window]:
    """Windows, separated by commas or blanks; raises ValueError."""
    found = [_window(word) for word in text.replace(",", " ").split()]
    if not found:
        raise ValueError("name a time at which somebody may call: 08:00-18:00")
    return found


def _window(word: str) -> Window:
    first, dash, last = word.partition("-")
    try:
        if not dash:
            raise ValueError
        return minute(first), minute(last, DAY)
    except ValueError:
        raise ValueError(f"not a window of the day: {word!r} (write 08:00-18:00, or 22:00-02:00)") from None


def minute(word: str, last: int = DAY - 1) -> int:
    """A time of the day as minutes after midnight; raises ValueError.  Midnight may end a window as 24:00."""
    hour, colon, minutes = word.partition(":")
    if not (word.isascii() and colon and hour.isdigit() and len(hour) <= 2 and minutes.isdigit() and len(minutes) == 2):
        raise ValueError(f"not a time of the day: {word!r} (write 17:30)")
    value = int(hour) * 60 + int(minutes)
    if int(minutes) > 59 or value > last:
        raise ValueError(f"not a time of the day: {word!r} (write 17:30)")
    return value


def now(seconds: float) -> int:
    """The minute of the day, in local time, at this moment in seconds since 1970."""
    there = time.localtime(seconds)
    return there.tm_hour * 60 + there.tm_min


def within(chosen: Iterable[Window], at: int) -> Window | None:
    """The first of these windows that a minute of the day lies in."""
    for first, last in chosen:
        if first <= at <= last if first <= last else at >= first or at <= last:
            return first, last
    return None


def shown(*minutes: int) -> str:
    """A window, or one time of the day, as people write it."""
    return "-".join(f"{one // 60:02}:{one % 60:02}" for one in minutes)
