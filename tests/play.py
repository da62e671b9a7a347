"""A conversation without a socket: the other end says what was written down, and a program answers it.

A dialogue is a text file of lines that begin with `C: ` (the client says) or `S: ` (the server does), as RFCs
print them; `#` begins a comment, whose first names the RFC's section.  `C> ` and `S> ` are octets without
a line ending, with Python's escapes; `O: name=value` sets an option of the program.  At its end the client
has said everything and half-closes.
"""

import codecs
import contextlib
import glob
import os

from daemons.kernel.addresses import Address
from daemons.kernel.datagrams import Packet
from daemons.kernel.ends import End, Late, Reset
from daemons.kernel.limitsfile import LimitsFile
from daemons.kernel.options import read
from daemons.kernel.penalties import Penalty
from daemons.kernel.stream import Stream

HERE = os.path.dirname(os.path.abspath(__file__))
NOON = 1_790_000_000.0          # the wall clock of every dialogue: 2026-09-21 14:13:20 UTC


class Peer:
    """A transport whose other end says these chunks, one a read, and hears what is sent."""

    secure = idle = leaving = False
    tls = None

    def __init__(self, chunks, patience_for=None):
        self.chunks, self.heard, self.writes = list(chunks), b"", 0
        self.half_closed = self.closed = False
        self.now, self.rested = 0.0, 0.0        # seconds since it began, and of them those it was kept waiting
        self.end, self.why, self.late_at = None, Late, patience_for

    def receive(self, size, deadline):
        """The next chunk, in pieces of at most `size`."""
        chunk = self.chunks.pop(0) if self.chunks else b""
        if isinstance(chunk, type) and issubclass(chunk, End):
            raise chunk("as written down")
        if len(chunk) > size:
            self.chunks.insert(0, chunk[size:])
        return chunk[:size]

    def pending(self):
        """Nothing is kept back."""
        return False

    def send(self, data, deadline):
        """Hear it."""
        self.heard += bytes(data)
        self.writes += 1

    def send_file(self, fd, offset, count, deadline):
        """Hear a piece of a file."""
        data = os.pread(fd, count, offset)
        self.send(data, deadline)
        return len(data)

    def rest(self, listen, deadline):
        """Be kept waiting: time passes, and nothing else; what it has to say it says when it is asked."""
        self.rested += deadline - self.now
        self.now = deadline
        return False

    def half_close(self):
        """Note it."""
        self.half_closed = True

    def close(self):
        """Note it."""
        self.closed = True


class Outcome:
    """What came of it: octets heard, writes, the word for the end, events logged, and seconds spent waiting."""

    def __init__(self, peer, reason, events, stream):
        self.heard, self.writes, self.reason, self.events, self.stream = \
            peer.heard, peer.writes, reason, events, stream
        self.rested = peer.rested


def options_of(program, *arguments):
    """A program's options as from this command line, with no file and no environment."""
    return read(program.SERVICE, ["--config=/dev/null", *arguments], {})


def play(program, chunks, *, options=None, peer="192.0.2.7", made=(), now=NOON, table=None, since=0.0):
    """Hold the program's `talk` with a peer who says these chunks; returns the Outcome.

    Failed logins are counted in `table` (a LimitsFile; by default one of this conversation alone), on a clock that
    begins at `since` and goes on only while the peer is kept waiting.
    """
    options = options or options_of(program)
    if not made and hasattr(program, "setup"):
        made = (program.setup(options),)
    events, there = [], Peer(chunks)
    there.now = since
    own = []                            # a table that nobody will look at afterwards

    def penalty(stream):
        counts = table or LimitsFile()
        counts.clock = lambda: there.now
        own[:] = [] if table else [counts]
        return Penalty(counts, program.SERVICE.name, stream.peer.source)

    stream = Stream(there, endings=program.SERVICE.endings, session="00000000", peer=Address(peer, 41822),
                    local=Address("192.0.2.1", program.SERVICE.port), wall=lambda: now, clock=lambda: there.now,
                    penalty=penalty,
                    log=lambda name, **values: events.append((name, values)))
    try:
        reason = program.talk(stream, options, *made) or "done"
        stream.close()
    except (Reset, Late) as end:        # as the kernel parts: nothing more is said to these,
        reason = end.reason
    except End as end:                  # and what was queued for the others still leaves
        reason = end.reason
        with contextlib.suppress(End):
            stream.close()
    finally:
        for counts in own:
            counts.close()
    return Outcome(there, reason, events, stream)


def ask(program, data, *, options=None, made=(), now=NOON, peer=("192.0.2.7", 41822)):
    """What the program's `answer` says to one datagram."""
    options = options or options_of(program)
    if not made and hasattr(program, "setup"):
        made = (program.setup(options),)
    packet = Packet(data, peer, ("192.0.2.1", program.SERVICE.port), lambda name, **values: None, lambda: now)
    return program.answer(packet, options, *made)


class Dialogue:
    """One file of tests/dialogues: what the client says, what the server must say, and under which options."""

    def __init__(self, path):
        self.path = path
        self.program = os.path.basename(os.path.dirname(path))
        self.name = f"{self.program}/{os.path.basename(path)[:-4]}"
        self.said, self.heard, self.arguments = [], b"", []
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                self._line(number, line.rstrip("\n"))

    def _line(self, number, line):
        mark, text = line[:3], line[3:]
        if mark in ("C: ", "C:"):
            self.said.append(text.encode() + b"\r\n")
        elif mark in ("S: ", "S:"):
            self.heard += text.encode() + b"\r\n"
        elif mark in ("C> ", "C>"):
            self.said.append(codecs.escape_decode(text)[0])
        elif mark == "S> ":
            self.heard += codecs.escape_decode(text)[0]
        elif mark == "O: ":
            self.arguments.append(f"--{text.format(here=os.path.dirname(self.path))}")
        elif line and not line.startswith("#"):
            raise ValueError(f"{self.path}:{number}: not a line of a dialogue: {line!r}")

    def cuts(self):
        """The client's octets as the network may cut them: by line, all at once, octet by octet."""
        everything = b"".join(self.said)
        return {"by line": self.said, "at once": [everything] if everything else [],
                "by octet": [bytes([octet]) for octet in everything]}


def dialogues(program="*"):
    """All dialogues of a program, or of all."""
    return [Dialogue(path) for path in sorted(glob.glob(f"{HERE}/dialogues/{program}/*.txt"))]
