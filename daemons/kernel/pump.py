"""Carry octets both ways between two streams until both are done."""

import time
from select import POLLIN, POLLOUT, poll

from .stream import PIECE, Stream
from .transport import ready


def pump(one: Stream, other: Stream, *, idle: float | None = None) -> tuple[int, int]:
    """Copy in both directions; returns the octets carried (from one, from other).

    The end of one direction is passed on as a half-close and the other direction goes on, as TCP
    has it.  What either stream has read or queued already is carried first.  Raises Late when nothing
    moved for `idle` seconds (default: the patience of `one`), Reset when either side broke, and
    Overtime or Stopped when the time of either conversation is over.
    """
    idle = one.patience if idle is None else idle
    ways = _Way(one, other), _Way(other, one)
    going = [way for way in ways if way.step()]
    while going:
        if not any(way.has_more() for way in going):
            ready(_watch(going), time.monotonic() + idle, (one.transport, other.transport),
                  f"nothing moved for {idle:g} seconds")
        going = [way for way in going if way.step()]
    return ways[0].carried, ways[1].carried


class _Way:
    """One direction.  Neither waits for the other: a side that does not read holds up nobody but its partner."""

    def __init__(self, source: Stream, sink: Stream) -> None:
        self.source, self.sink = source, sink
        self.held = sink.unsent()       # what the sink has not taken yet, less than two pieces
        self.carried, self.ended = 0, False

    def has_room(self) -> bool:
        """May more be read?"""
        return not self.ended and len(self.held) < PIECE

    def has_more(self) -> bool:
        """Is there something to read that poll() does not know of, and room for it?"""
        return self.has_room() and self.source.pending()

    def step(self) -> bool:
        """Move what can be moved without waiting; False once the end has been passed on."""
        data = self.source.take() if self.has_room() else None
        if data:
            self.held += data
            self.carried += len(data)
        elif data is not None:
            self.ended = True
        if self.held:
            self.held = self.held[self.sink.offer(self.held):]
        if self.ended and not self.held:
            self.sink.half_close()
            return False
        return True


def _watch(ways: list[_Way]) -> poll:
    """Whom to wait for: sources that may say more, and sinks that have not taken all."""
    wanted: dict[int, int] = {}
    for way in ways:
        if way.has_room():
            fd = way.source.transport.fileno()
            wanted[fd] = wanted.get(fd, 0) | POLLIN
        if way.held:
            fd = way.sink.transport.sink_fileno()
            wanted[fd] = wanted.get(fd, 0) | POLLOUT
    watch = poll()
    for fd, what in wanted.items():
        watch.register(fd, what)
    return watch
