"""Every dialogue as a hostile network delivers it: in the smallest pieces, in one, and broken off at every step.

Replies and ends are compared with those of the same octets on paper (tests/play.py), events with the log.
"""

import contextlib
import socket
import threading

import pytest

from daemons.kernel.addresses import address
from daemons.kernel.conversation import Program, converse, new_session
from daemons.kernel.ends import Reset
from daemons.kernel.transport import SocketTransport
from tests.live import clients, devlog
from tests.play import options_of, play

from . import kit, loglines
from .sink import Sink

SECONDS = 60


class Conversation:
    """The kernel holds one with the program in a thread, over a real TCP connection whose other end is `client`."""

    def __init__(self, dialogue):
        module, options = kit.program(dialogue.program), options_of(kit.program(dialogue.program), *dialogue.arguments)
        self.program = Program(module.SERVICE, options, module.talk, None, "tests")
        if hasattr(module, "setup"):
            self.program.made = (module.setup(options),)

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = clients.connect(listener.getsockname())
            self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock, name = listener.accept()
        self.session = new_session()
        self.thread = threading.Thread(target=converse, daemon=True, args=(
            self.program, SocketTransport(sock), address(name), address(sock.getsockname()), self.session))
        self.thread.start()
        return self.client

    def __exit__(self, *_):
        self.client.close()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive(), "the conversation goes on after its peer has left"


@pytest.fixture(scope="module")
def seen():
    """A function that returns the events of one conversation, as read back from the log."""
    class Seen:
        def of(self, conversation, service):
            with Sink(service) as sink:
                conversation()
                sink.read()
            return sink.events
    return Seen().of


def end_of(events):
    """The reason of the only `close`, for whose session there is an only `open`, before it."""
    names = [name for name, _ in events]
    assert names.count("open") == names.count("close") == 1 and names[0] == "open" and names[-1] == "close", events
    assert len({values["session"] for _, values in events}) == 1
    assert not {"crash", "stderr", "warning"} & set(names), events
    return events[-1][1]["reason"].decode()


@kit.all_dialogues
def test_replies_are_equal_however_the_octets_come(dialogue, seen):
    service, data = kit.SERVICES[dialogue.program], kit.said(dialogue)
    octets, reason = kit.expected(dialogue, [data] if data else [])
    _, on_paper = kit.expected(dialogue, [data] if data else [], kit.STRANGER)
    for cut, chunks in kit.pieces(data).items():
        paper = play(kit.program(dialogue.program), chunks,
                     options=options_of(kit.program(dialogue.program), *dialogue.arguments))
        assert (paper.heard, paper.reason) == (dialogue.heard, on_paper), cut
        heard = []

        def conversation(chunks=chunks, heard=heard):
            with Conversation(dialogue) as client:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):        # it has heard enough
                    for chunk in chunks:
                        client.send(chunk)
                heard.append(clients.exchange(client))

        assert end_of(seen(conversation, service)) == reason, cut
        assert octets is None or heard == [octets], cut


@kit.all_dialogues
def test_a_half_close_at_each_step_is_the_peers_last_word(dialogue, seen):
    service = kit.SERVICES[dialogue.program]
    for before in kit.steps(dialogue):
        octets, reason = kit.expected(dialogue, [before] if before else [])
        heard = []

        def conversation(before=before, heard=heard):
            with Conversation(dialogue) as client:
                heard.append(clients.exchange(client, before))

        assert end_of(seen(conversation, service)) == reason, before
        assert octets is None or heard == [octets], before


@kit.all_dialogues
def test_a_reset_at_each_step_is_the_end(dialogue, seen):
    service = kit.SERVICES[dialogue.program]
    for before in kit.steps(dialogue):
        _, reason = kit.expected(dialogue, [*([before] if before else []), Reset])

        def conversation(before=before):
            with Conversation(dialogue) as client:
                client.send(before)
                clients.abort(client)

        assert end_of(seen(conversation, service)) == reason, before
        assert reason in ("reset", "toolong")


@kit.streams
def test_a_listener_logs_each_end_once_and_rightly(name):
    dialogue = kit.starter(name)
    wanted = []
    with devlog.LogSocket() as log, kit.listening(name, log, *dialogue.arguments) as host:
        for before in kit.steps(dialogue):
            wanted += [kit.expected(dialogue, [before] if before else [])[1], "reset"]
            clients.converse(host.address, before)
            clients.reset(host.address, before)
        log.wait_for(" close ", count=len(wanted))
        events = [loglines.parse(record.text) for record in log.records]
    closed = {values["session"]: values["reason"].decode() for event, values in events if event == "close"}
    opened = [values["session"] for event, values in events if event == "open"]
    assert sorted(closed.values()) == sorted(wanted)
    assert sorted(opened) == sorted(closed) and len(set(opened)) == len(wanted)
    assert not {"crash", "stderr", "warning"} & {event for event, _ in events}
