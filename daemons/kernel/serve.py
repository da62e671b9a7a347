"""main(): from a descriptor to a served conversation, in the same order always."""

import _signal as signal  # signal itself makes enums of all numbers: 0.4 ms of every start
import os
import select
import socket
import sys
import time
from collections.abc import Callable

from . import descriptors, inherited, log, sockopts
from .addresses import Address, local_of, peer_of
from .conversation import Answer, Program, Talk, converse, new_session
from .ends import End
from .inherited import CONNECTION, DATAGRAMS, LISTENER, Given, Nothing
from .options import Misuse, Options, help_page, read
from .service import Service
from .stream import Stream
from .transport import PipeTransport, SocketTransport, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

Setup = Callable[[Options], object]
Run = Callable[..., int | None]

DONE, MISUSE, LATER = 0, 100, 111       # exit status: done; wrong, and wrong again if repeated; try later
HOLD = 1.0                              # seconds a failed start keeps its socket, or launchers would spin
LINGER = 0.5                            # seconds that a finished program gives a slow syslogd
# options by which a conversation that is alone in its process may have to be counted
COUNTED = frozenset(("max", "per-source", "rate", "limits", "limit-group"))

_speechless = False                     # callers expect TLS, and would not understand a plain word


def main(service: Service, talk: Talk | None = None, answer: Answer | None = None, setup: Setup | None = None,
         run: Run | None = None) -> "NoReturn":
    """Serve what descriptor 0, LISTEN_FDS or --listen gives; ends the process.

    talk(stream, options) holds a stream conversation and may return the word for its end;
    answer(packet, options) returns the octets of an answer, or None.  With setup(options) both get what it
    returned, once for all conversations, as a third argument.  A program that serves no socket has
    run(options) instead, which returns the exit status; where it returns None, the program serves after all.
    """
    if not descriptors.sheltered:
        descriptors.shelter()
    _take_signals()
    log.start(service.name, service.facility, events=service.events)
    try:
        status = _main(service, talk, answer, setup, run)
    except Misuse as error:
        status = fail(service, MISUSE, str(error))
    except Nothing as error:
        status = fail(service, LATER, str(error))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else DONE
    except Exception as error:
        status = crash(service.name, error)
    if status:
        refuse_callers(b"" if status == MISUSE or _speechless else service.busy)
    leave(status)


def _take_signals() -> None:
    """Undo what a careless parent left: a server that cannot be told to end, or whose children vanish unasked."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _main(service: Service, talk: Talk | None, answer: Answer | None, setup: Setup | None, run: Run | None) -> int:
    options = read(service, sys.argv[1:], os.environ)
    if options.action in ("help", "version"):
        return _print_page(service, options.action)
    log.start(options.ident, options.facility, options.priority, options.logopt, options.log, service.events)
    if options.action == "check":
        return _check(options, setup)
    if run is not None:
        inherited.name_process(service.name)
        status = run(options, *_made(options, setup))
        if status is not None:
            return status
    program = Program(service, options, talk, answer, inherited.launcher())
    given = _given(program)
    _secure(program, given)
    if options.action == "explain" and _explain(program, given):
        return DONE
    _prepare(program, given, setup)
    if given[0].kind in (LISTENER, DATAGRAMS):
        from . import standing  # a connection needs nothing of what only a server that stays needs
        return standing.serve(program, given)
    if COUNTED & options.sources.keys():
        from . import limits
        limits.prepare(program, given[0].kind)
    return _serve_one(program, given[0])


def _given(program: Program) -> list[Given]:
    """What we were given, once it is clear that the program can serve it."""
    try:
        given = inherited.look(program.options, lambda text: log.event("warning", text=text))
    except OSError as error:
        raise Misuse(str(error)) if error.errno in (13, 99) else Nothing(error.strerror or str(error)) from None
    for one in given:
        sort = "dgram" if one.kind == DATAGRAMS else "stream"
        if sort not in program.service.sockets:
            raise Misuse(f"{program.service.name} serves {' and '.join(program.service.sockets)} sockets, "
                         f"and was given a {sort} socket; see socket_type (xinetd), ListenStream= (systemd)")
    return given


def _secure(program: Program, given: list[Given]) -> None:
    """Read the certificates, and decide what is under TLS from its first octet; raises Misuse."""
    global _speechless
    options, service = program.options, program.service
    if options.tls_cert and options.tls != "no":
        from . import tls  # 10 ms, for those alone who configured it
        program.tls = tls.Security(options, service)
        program.tls.arrange(given)
        _speechless = program.tls.everywhere or bool(program.tls.marked)
        return
    for one in given:
        if one.is_secure(service) and options.tls != "no":
            raise Misuse(f"the {one} is one for TLS, and there is no certificate; say --tls-cert=FILE, or --tls=no")


def _prepare(program: Program, given: list[Given], setup: Setup | None) -> None:
    """Socket options, and what the program makes once for all conversations."""
    try:
        for one in given:
            if one.sock is not None:
                sockopts.apply(one.sock, sockopts.chosen(program.options))
        program.made = _made(program.options, setup)
    except OSError as error:
        raise Misuse(str(error)) from None
    except Misuse:
        raise
    except Exception:
        _turn_away(program, given[0])
        raise


def _made(options: Options, setup: Setup | None) -> tuple[object, ...]:
    """What the program's setup() returns, as a tuple to call with; raises Misuse for what it refuses."""
    try:
        return () if setup is None else (setup(options),)
    except ValueError as error:
        raise Misuse(str(error)) from None
    except OSError as error:
        where = f"{options.naming(error.filename)}{error.filename}: " if error.filename else ""
        raise Misuse(f"{where}{error.strerror}") from None


def _turn_away(program: Program, one: Given) -> None:
    """The start broke: say so in the protocol's own words to a peer that is already connected."""
    if one.kind == CONNECTION and program.service.busy and not program.secures(local_of(one.sock)):
        stream = Stream(SocketTransport(one.sock))
        stream.send(program.service.busy)
        try:
            stream.close()
        except End:
            return                      # gone already


def _serve_one(program: Program, given: Given) -> int:
    """A connection that the launcher accepted, two pipes, or a terminal: one conversation."""
    if given.kind == CONNECTION:
        peer, local = peer_of(given.sock), local_of(given.sock)
        transport: Transport = SocketTransport(given.sock)
        if peer is None:                # a port scan is over before we look
            log.event("close", session=new_session(), reason="gone", why="the peer left before we looked")
            return DONE
    else:
        peer, local = Address(word=given.kind), Address(word=given.kind)
        transport = PipeTransport(given.input, given.output)

    def told(*_: object) -> None:
        transport.hurry(program.options.grace)

    signal.signal(signal.SIGINT, lambda number, frame: transport.hurry(0))      # somebody at a terminal has enough
    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGHUP, told)
    log.follow_complaints()
    _close_in(program, given)
    converse(program, transport, peer, local, new_session())
    return DONE


def _close_in(program: Program, given: Given) -> None:
    """The --rlimit-* and the sandbox of a process that holds one conversation.

    auto asks for no sandbox here: each start would pay for it, and whoever launched us confines as well.
    """
    if any(name.startswith("rlimit-") for name in program.options.sources):
        from . import privileges
        privileges.limit(program.options)
    if program.options.sandbox in ("on", "strict"):
        from . import sandbox
        for layer in sandbox.confine(program, [given]):
            layer.tell()


def _print_page(service: Service, action: str) -> int:
    from daemons import __version__
    text = help_page(service) if action == "help" else f"{service.name} (fd0) {__version__}\n"
    sys.stdout.write(text)
    sys.stdout.flush()
    return DONE


def _check(options: Options, setup: Setup | None) -> int:
    """--check: options were read; see whether what the program loads can be loaded."""
    if "tls-cert" in options.sources and options.tls != "no":
        from . import tls
        tls.Security(options, options.service).arrange([])
    _made(options, setup)
    yet = f"; not there yet: {', '.join(options.absent)}" if options.absent else ""
    sys.stdout.write(f"{options.service.name}: options and files are in order{yet}\n")
    sys.stdout.flush()
    return DONE


def _explain(program: Program, given: list[Given]) -> bool:
    from . import explain
    return explain.explain(program, given)


def refuse_callers(busy: bytes) -> None:
    """A start that failed: whoever waits at an inherited listener hears so, and the launcher is kept from spinning.

    Callers are closed at the end: a close with something unread would take back what was said.
    """
    watch, listeners, end = select.poll(), {}, time.monotonic() + HOLD
    refused = []
    sockets = inherited.callers_wait_at()
    for sock in sockets:
        if sock.type != socket.SOCK_DGRAM:
            sock.setblocking(False)
            listeners[sock.fileno()] = sock
            watch.register(sock, select.POLLIN)
    while sockets and (left := end - time.monotonic()) > 0:
        for fd, _ in watch.poll(left * 1000):
            try:
                caller, _ = listeners[fd].accept()
                refused.append(caller)
                caller.send(busy, socket.MSG_DONTWAIT)
                caller.shutdown(socket.SHUT_WR)
            except OSError:             # gone again, or a sister process took it
                continue


def fail(service: Service, status: int, text: str) -> int:
    """Say why the program does not start, to the person at the terminal and in the log."""
    log.event("misuse", text=text)
    tell(service.name, text)
    return status


def crash(name: str, error: Exception) -> int:
    """Say what broke before anybody was served, as `fail` does."""
    log.crash(error)
    tell(name, f"{type(error).__name__}: {error}")
    return LATER


def tell(name: str, text: str) -> None:
    """One line for the person who started us, unless the log itself is there."""
    if descriptors.errors is not None and not log.on_stderr():
        text = text if text.isprintable() else log.quoted(text)
        os.write(descriptors.errors, f"{name}: {text}\n".encode("utf-8", "backslashreplace"))


def leave(status: int) -> "NoReturn":
    """End now: everything is flushed, and there is nothing that the interpreter's own way out would add."""
    if sys.stdout is not None:          # descriptor 1 was closed when we began
        sys.stdout.flush()
    log.complaints(last=True)
    log.settle(LINGER)
    os._exit(status)
