"""Clients that take their time: each is parted with by --timeout or --session, for the reason that is true."""

import contextlib
import socket

import pytest

from daemons.kernel.ends import Late, Overtime
from tests.live import clients, devlog

from . import kit, loglines

FLOOD = 8 << 20         # octets after which the deaf stop sending: more than the buffers of both ends
SMALL = 16 * 1024       # octets of the client's receive buffer
LIMITS = {"late": ("--timeout=0.4",), "overtime": ("--session=0.4", "--timeout=60")}
ENDS = {"late": Late, "overtime": Overtime}


def silent(sock, data):
    """Says nothing at all."""


def hesitant(sock, data):
    """Says one octet."""
    sock.send(data[:1])


def deaf(sock, data):
    """Says a lot and reads nothing."""
    sock.setblocking(False)
    lump, sent = data * (65536 // len(data) + 1), 0
    with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
        while sent < FLOOD:
            sent += sock.send(lump)


def nibbling(sock, data):
    """Says a lot and reads one octet."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    sock.send(data)
    with contextlib.suppress(ConnectionResetError, TimeoutError):
        sock.settimeout(0.2)
        sock.recv(1)
    deaf(sock, data)


CLIENTS = (silent, hesitant, deaf, nibbling)


def on_paper(dialogue, kind, data, word):
    """How the program ends a conversation with such a client, were there no limits to what a socket takes."""
    said = {silent: [], hesitant: [data[:1]]}.get(kind, [data] * 200)
    return kit.expected(dialogue, [*said, ENDS[word]])[1]


@pytest.mark.parametrize("word", LIMITS)
@kit.streams
def test_whoever_takes_too_long_is_parted_with(name, word):
    dialogue = kit.starter(name)
    data = kit.said(dialogue) or b"hello\r\n"
    endless = [one for one in dialogue.arguments if not one.startswith("--most=")]
    with devlog.LogSocket() as log, contextlib.ExitStack() as stack, \
            kit.listening(name, log, *endless, *LIMITS[word]) as host:
        kinds = {}
        for kind in CLIENTS:
            sock = stack.enter_context(clients.connect(host.address))
            kinds[sock.getsockname()[1]] = kind
            kind(sock, data)
        log.wait_for(" close ", count=len(CLIENTS))     # while all of them are still there
        events = [loglines.parse(record.text) for record in log.records]
    sessions = {values["session"]: kinds[int(values["from"].rpartition(b":")[2])]
                for event, values in events if event == "open"}
    reasons = {sessions.pop(values["session"]): values["reason"].decode()
               for event, values in events if event == "close"}
    assert not sessions and not {"crash", "stderr", "warning"} & {event for event, _ in events}
    for kind, reason in reasons.items():
        own = on_paper(dialogue, kind, data, word)
        waits = kind in (silent, hesitant) and endless == dialogue.arguments
        assert reason in ({own} if waits else {own, word}), kind


@kit.streams
def test_an_octet_now_and_then_gains_no_time(name):
    dialogue = kit.starter(name)
    with devlog.LogSocket() as log, \
            kit.listening(name, log, *dialogue.arguments, "--timeout=0.4", "--session=0.8") as host, \
            clients.connect(host.address) as sock:
        sock.settimeout(0.05)
        heard = None
        while heard != b"":             # until the server makes an end
            try:
                sock.send(b"x")
                heard = sock.recv(65536)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
        sock.close()
        reason = loglines.parse(log.wait_for(" close ").text)[1]["reason"].decode()
    own = kit.expected(dialogue, [b"x"] * 4 + [Late])[1]
    assert reason in {"late", "overtime", own} - {"gone", "cut", "reset"}
