"""One conversation from its `open` to its `close` in the log, whatever happens in between."""

import os
import socket
import time
from collections.abc import Callable
from select import POLLOUT

from . import log
from .addresses import Address
from .ends import BadHeader, Crowded, Denied, End, Gone, Late, Reset, Upgrade
from .options import Options
from .service import Service
from .stream import Stream
from .transport import SocketTransport, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .limits import Shared
    from .limitsfile import LimitsFile
    from .penalties import Penalty
    from .tls import Security

    Figure = float | int | str          # text where it has crossed a pipe

REHEARSALS = 20         # more make no difference

Talk = Callable[..., str | None]
Answer = Callable[..., bytes | None]


class Program:
    """A declaration with its functions and the options it runs under: what every model serves."""

    talk: Talk          # None, as answer, where no socket of that kind is served
    answer: Answer

    def __init__(self, service: Service, options: Options, talk: "Any", answer: "Any", via: str) -> None:
        self.service, self.options, self.talk, self.answer, self.via = service, options, talk, answer, via
        self.made: tuple[object, ...] = ()      # what the program's setup() returned, as a tuple to call with
        self.restricted = any(rule is not None for rule in (options.only_from, options.no_access, options.access_times,
                                                            options.proxy_protocol))
        self.tell: Callable[[object], bool] | None = None       # a program that stays: is this news in the log?
        self.replaced: Callable[[], str] | None = None      # a sandbox that holds files by what they were (sandbox.py)
        self.crowded = False            # nine tenths of --max are here, or more
        self.limits: Shared | None = None       # where conversations are counted together with other processes
        self.table: LimitsFile | None = None    # the table of these counts, and of failed logins
        self.tls: Security | None = None        # where a certificate is configured

    @property
    def patience(self) -> float:
        """Seconds that a conversation which begins now may keep us waiting."""
        usual: float = 60.0 if self.options.timeout is None else self.options.timeout
        in_crowd: float | None = self.options.timeout_crowded
        return min(usual, in_crowd) if self.crowded and in_crowd is not None else usual

    def penalty(self, stream: Stream) -> "Penalty":
        """What failed logins cost the peer of this conversation."""
        from . import penalties
        return penalties.of(self, stream)

    def secures(self, local: Address) -> bool:
        """Does a conversation at this address of ours begin with a TLS handshake?"""
        return self.tls is not None and self.tls.implicit(local)


def new_session() -> str:
    """A session's id in the log."""
    return os.urandom(4).hex()


class Outcome:
    """How a conversation ended, for its `close` line; small enough to cross a pipe in one piece."""

    __slots__ = ("commands", "lost", "reason", "received", "seconds", "sent", "why")

    def __init__(self, reason: str, why: str, seconds: "Figure", received: "Figure", sent: "Figure",
                 commands: "Figure", lost: "Figure" = 0) -> None:
        self.reason, self.why, self.seconds = reason, why, float(seconds)
        self.received, self.sent, self.commands, self.lost = int(received), int(sent), int(commands), int(lost)

    def packed(self) -> str:
        """One line of octets, far below PIPE_BUF."""
        return "\t".join([self.reason, self.why.replace("\t", " ").replace("\n", " ")[:200], f"{self.seconds:.6f}",
                          f"{self.received}\t{self.sent}\t{self.commands}\t{self.lost}"])


def converse(program: Program, transport: Transport, peer: Address, local: Address, session: str) -> None:
    """Hold one conversation, from `open` to `close` in the log."""
    log_open(program, session, peer, local)
    log_close(session, hold(program, transport, peer, local, session))


def log_open(program: Program, session: str, peer: Address, local: Address, pid: int | None = None) -> None:
    """Say that a conversation begins, in the name of the process that holds it."""
    name = {"name": _confirmed(peer)} if program.options.names else {}
    log.event("open", pid, session=session, from_=peer, **name, to=local, via=program.via,
              tls="yes" if program.secures(local) else "no")


def log_close(session: str, outcome: Outcome, pid: int | None = None) -> None:
    """Say that it is over, and how it ended."""
    why = {"why": outcome.why} if outcome.why else {}
    commands = {"commands": outcome.commands} if outcome.commands else {}
    log.event("close", pid, session=session, reason=outcome.reason, **why, seconds=f"{outcome.seconds:.3f}",
              in_=outcome.received, out=outcome.sent, **commands)


def hold(program: Program, transport: Transport, peer: Address, local: Address, session: str) -> Outcome:
    """Hold one conversation and close it; returns its Outcome, whatever happened."""
    options, began = program.options, time.monotonic()
    if options.session is not None:
        transport.end = began + options.session
    stream = Stream(transport, patience=program.patience, endings=program.service.endings,
                    peer=peer, local=local, session=session, log=log.event, is_told=log.is_told,
                    penalty=program.penalty)
    reason, why = _hold(program, stream)
    return Outcome(reason, why, time.monotonic() - began, stream.received, stream.sent, stream.commands)


def rehearse(program: Program) -> None:
    """Hold conversations with ourselves, so that those in forked children need fewer pages of their own.

    Python rewrites a function's code the first times that it runs; what is rewritten here is shared.
    """
    if program.tls is not None:
        program.tls.rehearse()
    mute = Program(program.service, program.options, _say_back, None, program.via)
    mute.restricted = False
    if program.limits is not None:
        mute.limits = program.limits.rehearsal()
    for _ in range(REHEARSALS):
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.send(b"a line\r\nand more")
            theirs.shutdown(socket.SHUT_WR)
            hold(mute, SocketTransport(ours), Address(), Address(), "").packed()
    if mute.limits is not None:
        mute.limits.table.close()
    if program.service.rehearsal:
        for _ in range(REHEARSALS):
            _rehearse_talk(program)


def _rehearse_talk(program: Program) -> None:
    """Hold a conversation of the program's own that nobody hears or logs."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.send(program.service.rehearsal)
        theirs.shutdown(socket.SHUT_WR)
        stream = Stream(SocketTransport(ours), endings=program.service.endings, log=_unlogged)
        try:
            program.talk(stream, program.options, *program.made)
            stream.close()
        except End:
            stream.cut_off()


def _unlogged(name: str, /, **values: object) -> None:
    log.worded(name, values)


def _say_back(stream: Stream, options: Options) -> None:
    stream.transport.wait(stream.transport.fileno(), POLLOUT, time.monotonic() + 1)
    stream.say(stream.line())
    while data := stream.some():
        stream.send(data)


def _hold(program: Program, stream: Stream) -> tuple[str, str]:
    """Talk, and say the last words; returns the reason of the end and an explanation of it."""
    counted, secure = None, program.secures(stream.local)       # by where we are, whatever a proxy's header says
    try:
        if program.restricted:
            _admit(program, stream)
        if program.limits is not None:
            counted = program.limits.enter(stream.peer.source)
        if secure:
            _secure(program, stream, stream.unread())
        else:
            stream.can_upgrade = program.tls is not None and program.service.upgrades
        reason = _talk(program, stream)
        stream.close()
        return reason or "done", ""
    except Reset as end:
        stream.cut_off()
        return end.reason, str(end)
    except Gone as end:                 # the peer's last word; ours may still be on their way
        return _part(stream, end)
    except Crowded as end:
        if end.news:
            log.event("refused", session=stream.session, from_=stream.peer, why=str(end))
        stream.send(b"" if secure else program.service.busy)    # who waits for a handshake would not understand
        return _part(stream, end)
    except Denied as end:
        _tell_refusal(program, stream, end)
        return _part(stream, end)
    except BadHeader as end:            # the octets of no client: not to be answered, nor waited for
        _tell_refusal(program, stream, end)
        stream.cut_off()
        return end.reason, str(end)
    except Late as end:
        stream.cut_off()
        return end.reason, str(end)
    except End as end:
        return _part(stream, end)
    except Exception as error:
        log.crash(error, session=stream.session)
        _apologise(stream, b"" if secure and not stream.secure else program.service.busy)
        return "crash", ""
    finally:
        if counted is not None:
            counted.leave()


def _talk(program: Program, stream: Stream) -> str | None:
    """The program's own part; from an upgrade on it knows of nothing that was said before."""
    try:
        return program.talk(stream, program.options, *program.made)
    except Upgrade:
        _secure(program, stream, b"")
        stream.upgraded, stream.patience, stream.endings = True, program.patience, program.service.endings
        return program.talk(stream, program.options, *program.made)


def _secure(program: Program, stream: Stream, begun: bytes) -> None:
    """Shake hands; `begun` are octets of the handshake that have come already."""
    security = program.tls
    assert security is not None         # `secures` and can_upgrade say so
    stream.upgrade(lambda transport: security.accept(transport, begun))
    if stream.tls is not None:
        stream.log("tls", **stream.tls.facts())


def _part(stream: Stream, end: End) -> tuple[str, str]:
    try:
        stream.close()
    except End:
        stream.cut_off()
    return end.reason, "" if isinstance(end, Gone) else str(end)


def _apologise(stream: Stream, words: bytes) -> None:
    """After a crash of ours: half a reply is not sent, the protocol's own words for "not now" are."""
    try:
        stream.discard_output()
        stream.send(words)
        stream.close()
    except End:
        stream.cut_off()


def _admit(program: Program, stream: Stream) -> None:
    from . import access
    why = access.admit(stream, program.options)
    if why:
        raise Denied(why)


def _tell_refusal(program: Program, stream: Stream, end: End) -> None:
    """Log it, once in a minute for each source: a flood is not to fill the log."""
    source = stream.peer.source
    if program.limits is not None:
        news = program.limits.told(source)
    else:
        news = program.tell is None or program.tell((source, str(end)))
    if news:
        log.event("refused", session=stream.session, from_=stream.peer, why=str(end))


def _confirmed(peer: Address) -> str:
    from .dial import name_of
    return (peer.host and name_of(peer.host)) or "unknown"
