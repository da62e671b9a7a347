"""What a table of limits knows, for an administrator: who is here, whose logins failed, who was refused."""

import os
import socket
import time

from .addresses import Address
from .limitsfile import LimitsFile, Row, source_of
from .penalties import DELAYS, standing


class Known:
    """One source in one group.

    group, source       as Address.source has it; "all" for the whole group
    now, allowed        conversations now, and how many may be (0: nobody set a limit, or nobody came since)
    penalty, left       seconds that the next answer to a login waits, and seconds until that is forgotten
    refused             seconds since it was last refused; None for never
    """

    __slots__ = ("allowed", "group", "left", "now", "penalty", "refused", "source")

    def __init__(self, group: str, row: Row, present: int, now: float) -> None:
        level, self.left = standing(row, now)
        self.group, self.source, self.now, self.allowed = group, source_of(row.key), present, row.allowed
        self.penalty = DELAYS[level]
        self.refused = now - row.refused if row.refused and row.refused <= now else None


def known(path: str, source: str | None = None) -> list[Known]:
    """All that is known, or what is known of one address; raises limitsfile.Unusable."""
    if not os.path.lexists(path):
        return []
    table = LimitsFile(path)
    try:
        with table:
            names, now, present = table.names(), time.monotonic(), table.present()
            rows = list(table.rows())
    finally:
        table.close()
    counts = {row.key: present.get(row.key, 0) for row in rows}
    for row in rows:
        if not row.key[1]:              # the whole group
            counts[row.key] = sum(count for key, count in present.items() if key[0] == row.key[0])
    found = [Known(names[row.key[0] - 1], row, counts[row.key], now) for row in rows if names[row.key[0] - 1:][:1]]
    wanted = None if source is None else counted_as(source)
    return sorted((one for one in found if wanted in (None, one.source)),
                  key=lambda one: (one.group, one.source != "all", -one.now, one.source))


def forgive(path: str, source: str) -> list[str]:
    """Forget the failed logins and refusals of an address in all groups; returns the groups that knew of any."""
    if not os.path.lexists(path):
        return []
    table, wanted, groups = LimitsFile(path), counted_as(source), []
    try:
        with table:
            names = table.names()
            for row in table.rows():
                if source_of(row.key) == wanted and (row.level or row.refused):
                    row.level, row.failed, row.refused, row.told, row.pairs = 0, 0.0, 0.0, 0.0, b""
                    table.put(row)
                    groups.append(names[row.key[0] - 1])
    finally:
        table.close()
    return sorted(groups)


def counted_as(text: str) -> str:
    """The source that an address counts as (an IPv6 address as its /64), as it is written; raises ValueError."""
    if text in ("all", "local") or text.startswith("unix:"):
        return text
    host = text.removesuffix("/64") if ":" in text else text
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        raise ValueError(f"not an address: {text!r}") from None
    return Address(host).source
