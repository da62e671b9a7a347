"""Many quotes from several sources, of which one is wanted: by weight, and never one that does not fit.

A source has a `count` of quotes and gives the octets of each by its `number`.  What is told is made of
them by `worded(octets)`, which returns b"" for what cannot be told.
"""

from collections.abc import Callable, Sequence

DRAWS = 8               # quotes looked at before all are: where most fit, the first does


class Source:
    """Quotes from one place, `name`; `percent` is its share as fortune(6) writes it, or None."""

    def __init__(self, name: str, quotes: Sequence[bytes] = (), percent: float | None = None) -> None:
        self.name, self.quotes, self.percent = name, quotes, percent

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.quotes)

    def read(self, number: int) -> bytes:
        """The octets of one."""
        return self.quotes[number]


class Quotes:
    """All quotes of some sources; `worded` makes of their octets what is told."""

    def __init__(self, sources: Sequence[Source], worded: Callable[[bytes], bytes], equal: bool = False) -> None:
        self.sources = [source for source in sources if source.count]
        if not self.sources:
            raise ValueError(f"{', '.join(source.name for source in sources)}: no quotes there")
        self.worded = worded
        self.shares = _shares(self.sources, equal)
        self.shelf: tuple[list[int], list[float], list[tuple[Source, int]]] | None = None

    def pick(self, draw: Callable[[], float], limit: int) -> bytes:
        """A quote of at most `limit` octets; b"" when there is none.

        Which one depends on nothing but what `draw` returns, numbers from 0 to below 1.
        """
        for _ in range(DRAWS):
            source = self._source(draw())
            quote = self.worded(source.read(int(draw() * source.count)))
            if quote and len(quote) <= limit:
                return quote
        return self._pick_of_those_that_fit(draw(), limit)

    def _source(self, share: float) -> Source:
        for source, its in zip(self.sources, self.shares):
            share -= its
            if share < 0:
                return source
        return self.sources[-1]         # shares add up to a little less than 1

    def _pick_of_those_that_fit(self, share: float, limit: int) -> bytes:
        from bisect import bisect_right
        self.shelf = self.shelf or self._by_length()
        lengths, sums, places = self.shelf
        fitting = bisect_right(lengths, limit)
        if not fitting:
            return b""
        source, number = places[bisect_right(sums, share * sums[fitting - 1], 0, fitting - 1)]
        return self.worded(source.read(number))

    def _by_length(self) -> tuple[list[int], list[float], list[tuple[Source, int]]]:
        """The length of every quote that can be told, shortest first, the sums of their shares, and where they are."""
        from itertools import accumulate
        rows = []
        for source, share in zip(self.sources, self.shares):
            for number in range(source.count):
                length = len(self.worded(source.read(number)))
                rows.append((length, share / source.count, (source, number)))
        rows = sorted((row for row in rows if row[0]), key=lambda row: row[0])
        return [row[0] for row in rows], list(accumulate(row[1] for row in rows)), [row[2] for row in rows]


def _shares(sources: Sequence[Source], equal: bool) -> list[float]:
    """What part of all picks is each source's: what fortune(6) says of percentages, and its -e."""
    given = sum(source.percent for source in sources if source.percent is not None) / 100
    rest = sum(1 if equal else source.count for source in sources if source.percent is None)
    return [source.percent / 100 if source.percent is not None else
            (1 - given) * (1 if equal else source.count) / rest for source in sources]
