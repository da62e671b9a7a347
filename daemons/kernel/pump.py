"""Carry octets both ways between two streams until both sides are done."""

from select import POLLIN, poll

from .ends import Late


def pump(one, other, *, idle=None):
    """Copy in both directions; returns the octets carried (from one, from other).

    The end of one direction is passed on as a half-close and the other direction goes on, as TCP
    has it.  Raises Late when nothing moved for `idle` seconds (default: the patience of `one`),
    and Reset when either side broke.  What either stream has already read is carried first.
    """
    idle = one.patience if idle is None else idle
    carried = {one: 0, other: 0}
    ways = {one: other, other: one}
    for source, sink in list(ways.items()):
        source.flush()
        _carry(source, sink, source.unread(), carried)
    while ways:
        for source in _ready(ways, idle):
            data = source.some()
            if data:
                _carry(source, ways[source], data, carried)
            else:
                ways.pop(source).half_close()
    return carried[one], carried[other]


def _carry(source, sink, data, carried):
    if data:
        sink.send(data)
        sink.flush()
        carried[source] += len(data)


def _ready(ways, idle):
    """The streams with something to read; waits for one."""
    watch, by_fd = poll(), {}
    for source in ways:
        fd = source.transport.fileno()
        by_fd[fd] = source
        watch.register(fd, POLLIN)
    ready = watch.poll(idle * 1000)
    if not ready:
        raise Late(f"nothing moved for {idle:g} seconds")
    return [by_fd[fd] for fd, _ in ready]
