"""One peer of a stream conversation: lines and blocks, buffered both ways, never late.

Replies are kept until we would wait for the peer, so that the answers to pipelined commands leave
in one write and no program ever flushes.  One deadline holds for a whole line or block: a peer who
sends an octet every ten seconds gets no more time than one who sends none.
"""

import io
import time
from collections.abc import Callable

from .addresses import Address
from .ends import BadEnding, Cut, Gone, Late, Reset, TooLong, Truncated, Upgrade
from .transport import Octets, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, NoReturn

    from .penalties import Penalty
    from .tls import Handshake

PIECE = 65536           # octets written under one deadline, and the most that replies may wait
FILE_PIECE = 1 << 20    # octets of a file asked of the kernel under one deadline; it takes what finds room
LAST_WORDS = 2.0        # seconds in which a peer may read our last words,
LAST_DRAIN = 65536      # and octets that it may still send meanwhile
_BREAKS = (b"\r", b"\n", b"\0")


class TwoLines(ValueError):
    """A reply held a line break: somebody's words were about to become a second reply of ours."""


class Stream:
    """A conversation over a transport.

    patience   seconds that one line, block or write may take
    endings    "crlf": only CR LF ends a line; "lf": a bare LF does as well
    peer, local, session, log   who, where, the session's id, its log
    time, clock                 the wall clock, and one that only goes on, both in seconds
    received, sent, commands          counted for the log
    can_upgrade                       may the program say that TLS begins (starttls)?
    upgraded                          it did, and talks anew: most protocols then have no greeting
    """

    __slots__ = ("_closed", "_ended", "_input", "_log", "_output", "_penalty", "_penalty_of", "_waiting", "can_upgrade",
                 "clock", "commands", "endings", "is_told", "local", "patience", "peer", "received", "sent",
                 "session", "time", "transport", "upgraded", "wrote_last")

    def __init__(self, transport: Transport, *, patience: float = 60.0, endings: str = "lf",
                 peer: Address | None = None, local: Address | None = None, session: str = "",
                 log: "Any" = None, clock: Callable[[], float] = time.monotonic,
                 wall: Callable[[], float] = time.time,
                 penalty: "Callable[[Stream], Penalty] | None" = None,
                 is_told: Callable[[str], bool] = bool) -> None:
        self.transport, self.patience, self.endings = transport, patience, endings
        self.peer, self.local, self.session = peer or Address(), local or Address(), session
        self._log, self.clock, self.time = log, clock, wall
        self.is_told = is_told          # would this event be logged at all?
        self._penalty_of = penalty
        self._penalty: Penalty | None = None
        self._input = bytearray()
        self._output: list[bytes] = []
        self._waiting = 0
        self._ended = self._closed = False
        self.received = self.sent = self.commands = 0
        self.wrote_last = self.can_upgrade = self.upgraded = False

    # -- what the peer says --

    def line(self, limit: int = 1000) -> bytes:
        """The next line as bytes, without its ending; `limit` is in octets and counts the ending.

        Raises TooLong (the line stays; see skip_line), BadEnding (the line is taken away), Gone,
        Cut when the peer ended in the middle of it, and Late.
        """
        deadline = self.clock() + self.patience
        searched = 0
        while (end := self._input.find(b"\n", searched)) < 0:
            searched = len(self._input)
            if searched >= limit:
                raise TooLong(f"line over {limit} octets")
            if not self._fill(deadline):
                raise self._over()
        if end >= limit:
            raise TooLong(f"line over {limit} octets")
        line = bytes(self._input[:end])
        del self._input[:end + 1]
        if line.endswith(b"\r"):
            line = line[:-1]
        elif self.endings == "crlf":
            raise BadEnding("line ends with a bare LF")
        if self.endings == "crlf" and b"\r" in line:
            raise BadEnding("bare CR within a line")
        return line

    def skip_line(self) -> None:
        """Drop the rest of a line that was too long, under one deadline."""
        deadline = self.clock() + self.patience
        while (end := self._input.find(b"\n")) < 0:
            self._input.clear()
            if not self._fill(deadline):
                raise Cut("the peer closed in the middle of a line")
        del self._input[:end + 1]

    def block(self, size: int) -> bytes:
        """Exactly `size` octets; raises Gone, Cut when the peer ended before the last of them, and Late."""
        deadline = self.clock() + self.patience
        while len(self._input) < size:
            if not self._fill(deadline):
                raise self._over()
        return self._first(size)

    def head(self, size_of: Callable[[bytearray], int], patience: float) -> bytes:
        """What comes first, as long as `size_of(what has come)` says (0: not known yet), under one deadline."""
        deadline = self.clock() + patience
        while not (size := size_of(self._input)) or len(self._input) < size:
            if not self._fill(deadline):
                raise self._over()
        return self._first(size)

    def spoken_to(self, patience: float) -> bool:
        """Between two exchanges, when nothing is owed: does the peer speak again?

        No, once it has closed, was silent for so many seconds, or the program was told to stop.  Raises Overtime and
        Stopped: whoever always has more to say is heard no longer than others.
        """
        end = self.transport.end
        if end is not None and time.monotonic() >= end:
            raise self.transport.why("the peer went on")
        if self._input:
            return True
        self.flush()
        self.transport.idle = True
        try:
            if self.transport.leaving:  # what came together with the order is still answered
                data = self.transport.take(PIECE)
                return bool(data) and self._keep(data or b"")
            return self._fill(self.clock() + patience)
        except (Late, Truncated):
            return False
        finally:
            self.transport.idle = False

    @property
    def ended(self) -> bool:
        """Has the peer said its last, as far as we have read?"""
        return self._ended

    @property
    def leaving(self) -> bool:
        """Was the program told to stop?  Then what is begun is finished, and no more begun."""
        return self.transport.leaving

    def some(self, limit: int = PIECE) -> bytes:
        """What has come, at least one octet, at most `limit`; b"" once the peer has said its last."""
        if not self._input and not self._fill(self.clock() + self.patience):
            return b""
        return self._first(limit)

    def take(self, limit: int = PIECE) -> bytes | None:
        """What has come, without waiting for it; None when nothing has, b"" once the peer has said its last."""
        if self._input or self._ended:
            return self._first(limit)
        data = self.transport.take(limit)
        if data is not None:
            self.received += len(data)
            self._ended = not data
        return data

    def pending(self) -> bool:
        """May `take` have something although the peer says nothing more?"""
        return bool(self._input) or self.transport.pending()

    def unread(self) -> bytes:
        """What has been read from the peer and not been asked for yet; it is taken away."""
        return self._first(len(self._input))

    def _first(self, size: int) -> bytes:
        data = bytes(self._input[:size])
        del self._input[:size]
        return data

    def _over(self) -> Gone:
        return Cut("the peer closed in the middle of a line or block") if self._input else Gone("the peer closed")

    def _fill(self, deadline: float) -> bool:
        if self._ended:
            return False
        if self._output:                # never wait for a peer who waits for us
            self.flush()
        return self._keep(self.transport.receive(PIECE, deadline))

    def _keep(self, data: bytes) -> bool:
        """Take note of what was received; False if that was the end."""
        self.received += len(data)
        self._input += data
        self._ended = not data
        return not self._ended

    # -- what we say --

    def say(self, line: str | bytes) -> None:
        """Queue one line, str or bytes; it leaves before we next wait for the peer.  Raises TwoLines."""
        data = line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")
        if any(sign in data for sign in _BREAKS):
            raise TwoLines(f"a reply of two lines: {data[:80]!r}")
        self.send(data + b"\r\n")

    def send(self, data: bytes) -> None:
        """Queue octets."""
        self._output.append(data)
        self._waiting += len(data)
        if self._waiting >= PIECE:
            self.flush()

    def offer(self, data: Octets) -> int:
        """Hand the kernel what it takes of these octets without waiting; returns how many."""
        taken = self.transport.offer(data)
        self.sent += taken
        return taken

    def unsent(self) -> bytes:
        """What was queued and has not left yet; it is taken away."""
        data, self._output, self._waiting = b"".join(self._output), [], 0
        return data

    def flush(self) -> None:
        """Hand everything queued to the kernel, each 64 KiB under a deadline of its own."""
        if not self._output:
            return
        data = self.unsent()
        for start in range(0, len(data), PIECE):
            piece = data[start:start + PIECE] if len(data) > PIECE else data
            self.transport.send(piece, self.clock() + self.patience)
            self.sent += len(piece)

    def sendfile(self, file: "BinaryIO", offset: int = 0, count: int | None = None) -> int:
        """Send `count` octets of an open file (None: to its end) from `offset`; returns how many there were."""
        self.flush()
        done = 0
        while count is None or done < count:
            size = FILE_PIECE if count is None else min(FILE_PIECE, count - done)
            sent = self.transport.send_file(file.fileno(), offset + done, size, self.clock() + self.patience)
            if not sent:
                break
            done += sent
            self.sent += sent
        return done

    def half_close(self) -> None:
        """Say that nothing more will come from us; the peer may go on."""
        self.flush()
        if not self.wrote_last:
            self.wrote_last = True
            self.transport.half_close()

    # -- the rest --

    def log(self, name: str, /, **values: object) -> None:
        """Log one of the program's declared events, with this session's id."""
        self._log(name, session=self.session, **values)

    @property
    def penalty(self) -> "Penalty":
        """What failed logins cost this peer: `pause(penalty.delay(user))`, and then tell it `failed` or `passed`."""
        if self._penalty is None:
            if self._penalty_of is None:
                raise LookupError("this stream was made without a penalty")
            self._penalty = self._penalty_of(self)
        return self._penalty

    def pause(self, seconds: float) -> None:
        """Keep the peer waiting; what it sends meanwhile is read later.

        Raises Gone when it hangs up with nothing left to answer, Reset, and what ends the conversation (Overtime,
        Stopped).
        """
        if seconds <= 0:
            return
        self.flush()
        deadline = self.clock() + seconds
        while not self._ended and len(self._input) < PIECE:
            if not self.transport.rest(True, deadline):
                return
            data = self.transport.take(PIECE)
            if data is not None:
                self.received += len(data)
                self._input += data
                self._ended = not data
        if not self._input:
            raise Gone("the peer closed")
        if self.transport.rest(False, deadline):
            raise Reset("the peer went away")

    def makefile(self, mode: str = "rb") -> io.BufferedIOBase:
        """A file view, for libraries that want one: "rb", "wb" or "rwb"; closing it closes nothing here."""
        view = _View(self)
        if mode == "rb":
            return io.BufferedReader(view)
        return io.BufferedWriter(view) if mode == "wb" else io.BufferedRWPair(view, view)

    @property
    def secure(self) -> bool:
        """Is the conversation under TLS now?"""
        return self.transport.secure

    @property
    def tls(self) -> "Handshake | None":
        """What was agreed on in the handshake; None where there was none."""
        return self.transport.tls if self.transport.secure else None

    def starttls(self) -> "NoReturn":
        """TLS begins here: what was said leaves, what was heard is forgotten, and `talk` is called anew.

        Only where can_upgrade says so; never returns.
        """
        if not self.can_upgrade:
            raise RuntimeError("TLS was not offered: ask stream.can_upgrade first")
        raise Upgrade("TLS begins")

    def upgrade(self, shake: Callable[[Transport], Transport]) -> None:
        """Go on over the transport that `shake(transport)` returns; nothing heard before survives the change."""
        self.flush()
        self._input.clear()
        self.transport = shake(self.transport)
        self.can_upgrade = False

    def discard_output(self) -> None:
        """Forget what is queued: the conversation broke, and it may be half a reply."""
        self._output, self._waiting = [], 0

    def cut_off(self) -> None:
        """Close without last words."""
        self.discard_output()
        if not self._closed:
            self._closed = True
            self.transport.close()

    def close(self) -> None:
        """Say the last words so that they arrive: flush, half-close, wait for the peer to have read, close.

        Closing with unread input would make TCP throw our last reply away.  Only after this is what we
        sent known to be delivered; a reset until then raises Reset.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.flush()
            if not self._ended or self.secure:  # else nobody waits for our end, and closing says it
                self.half_close()
            if not self._ended:
                self._drain()
        finally:
            self.transport.close()

    def _drain(self) -> None:
        deadline, left = self.clock() + LAST_WORDS, LAST_DRAIN
        try:
            while not self._ended and left > 0:
                data = self.transport.receive(PIECE, deadline)
                self._ended = not data
                left -= len(data)
        except Late:
            return                      # it has had its time
        except Truncated:
            return                      # nobody looks at what may be missing


class _View(io.RawIOBase):
    """A stream as a raw file."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: "Any") -> int:
        data = self.stream.some(len(buffer))
        buffer[:len(data)] = data
        return len(data)

    def write(self, data: "Any") -> int:
        self.stream.send(bytes(data))
        return len(data)


