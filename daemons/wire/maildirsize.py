"""The file maildirsize of Maildir++: what a user may keep, and what was added and removed since it was counted.

    10000000S,1000C
      1234567          321
         4096            1

The first line has the limits, S in octets and C in messages, 0 or nothing for none; each of the others has what to add
to both sums, with a minus sign where something was removed.  A line is written at once, so writers need no lock.
"""

from .numbers import number

MOST = 5120                     # octets; a longer file is counted anew


def header(octets: int, messages: int) -> bytes:
    """The first line."""
    return b"%dS,%dC\n" % (octets, messages)


def line(octets: int, messages: int) -> bytes:
    """A line that adds to the sums."""
    return b"%d %d\n" % (octets, messages)


def limits(definition: bytes) -> tuple[int, int]:
    """(octets, messages) that a first line, or a limit as others write it, allows; raises ValueError."""
    found = {b"S": 0, b"C": 0}
    for part in definition.split(b","):
        if part:                        # letters that are not defined yet are limits of somebody else's
            found[part[-1:]] = number(part[:-1])
    return found[b"S"], found[b"C"]


def sums(data: bytes) -> tuple[int, int]:
    """(octets, messages) that the lines after the first make; raises ValueError if one of them is damaged."""
    octets = messages = 0
    for each in data.split(b"\n"):
        words = each.split()
        if words:
            size, count = words
            octets, messages = octets + number(size, -2**62), messages + number(count, -2**62)
    return octets, messages
