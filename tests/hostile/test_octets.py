"""Octets that no honest peer sends: to every program's conversation, datagrams and log, and to every codec."""

import importlib
import inspect

import pytest
from hypothesis import strategies as st

from daemons.wire import commands, faults, httpstatus
from tests import sources
from tests.play import ask, dialogues, options_of, play

from . import kit, loglines
from .codecs import CODECS
from .hunting import hunt, keep, kept
from .octets import TRICKS, sessions, tricks
from .sink import Sink

SMALL = 64              # octets that an answer may have though the question had fewer: a time of day
LINE = 100_000          # octets that a reply to one line may have


def outcome(module, sink, arguments, chunks):
    """What comes of a conversation: octets, reason, and events as they were read back from the log."""
    del sink.events[:]
    came = play(module, chunks, options=options_of(module, *arguments))
    for name, values in came.events:
        sink.log(name, **values)
    return came.heard, came.reason, list(sink.events)


def hold(module, sink, arguments, chunks):
    """One hostile conversation: no crash, a readable log, and the same whatever the network does to its octets."""
    data = b"".join(chunks)
    cut = outcome(module, sink, arguments, chunks)
    assert outcome(module, sink, arguments, [data] if data else []) == cut
    if len(data) < 2000:
        assert outcome(module, sink, arguments, [bytes([octet]) for octet in data]) == cut
    return cut


@kit.streams
def test_a_conversation_takes_any_octets_however_they_are_cut(name):
    module = kit.program(name)
    with Sink(kit.SERVICES[name]) as sink:
        hunt(name, sessions(dialogues(name)), lambda drawn: b"".join(drawn[1]),
             lambda drawn: hold(module, sink, *drawn))


@kit.streams
def test_a_conversation_takes_every_trick_and_every_case_that_was_kept(name):
    module, arguments = kit.program(name), kit.starter(name).arguments
    with Sink(kit.SERVICES[name]) as sink:
        for octets in (*TRICKS, *kept(name)):
            for data in (octets, octets + b"\r\n", b"\r\n".join([kit.said(kit.starter(name)).rstrip(), octets, b""])):
                hold(module, sink, arguments, [data] if data else [])
        for arguments, octets in ((one.arguments, octets) for one in dialogues(name) for octets in kept(name)):
            hold(module, sink, arguments, [octets])


@kit.dgrams
def test_a_datagram_may_hold_anything_and_is_not_amplified(name):
    module = kit.program(name)
    asked = [(options_of(module, *arguments), data) for arguments, said in kit.questions(name) for data in said]
    octets = st.one_of(tricks, st.binary(max_size=1500), st.sampled_from([data for _, data in asked]))

    def answer(drawn):
        options, data = drawn
        said = ask(module, data[:65507], options=options)
        assert len(said or b"") <= max(len(data), SMALL)

    hunt(name, st.tuples(st.sampled_from([options for options, _ in asked]), octets), lambda drawn: drawn[1], answer)
    for data in (*TRICKS, *kept(name)):
        answer((asked[0][0], data))


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_takes_anything_or_refuses_it(codec):
    function, arguments = CODECS[codec]

    def call(drawn):
        try:
            made = function(*drawn)
            if inspect.isgenerator(made):
                for _ in made:
                    pass
        except (ValueError, commands.Refused, httpstatus.Refused, faults.Fault):
            return                      # which is how a codec says no

    hunt(codec, arguments, lambda drawn: b"\n".join(
        one if isinstance(one, bytes) else str(one).encode("utf-8", "surrogatepass") for one in drawn), call)
    for octets in kept(codec):
        kinds = [one.annotation for one in inspect.signature(function).parameters.values() if one.default is one.empty]
        if len(kinds) == 1:
            call((octets if "bytes" in str(kinds[0]) else octets.decode("utf-8", "surrogateescape"),))


# what is made there of values has been read elsewhere, and their own tests spoil it
PAGES = {"daemons/wire/errorpage.py", "daemons/wire/httpstatus.py", "daemons/wire/methodpage.py",
         "daemons/wire/tracefields.py"}


@pytest.mark.parametrize("path", sorted({*sources.files("daemons/wire")} - PAGES))
def test_every_module_of_codecs_is_hunted(path):
    module = importlib.import_module(sources.module(path))
    made = [name for name, one in vars(module).items() if inspect.isfunction(one) and one.__module__ == module.__name__]
    assert not made or any(codec.startswith(module.__name__.removeprefix("daemons.")) for codec in CODECS)


# -- the tools of this test can fail --

def test_a_failure_is_kept_in_its_smallest_form(tmp_path):
    def refuses_nul(octets):
        if b"\0" in octets:
            raise IndexError("as int() and friends do")

    with pytest.raises(IndexError) as caught:
        hunt("broken", st.binary(max_size=200), bytes, refuses_nul, tmp_path)
    assert kept("broken", tmp_path) == [b"\0"] and "kept as " in caught.value.__notes__[-1]
    keep("broken", b"another", tmp_path)
    assert len(kept("broken", tmp_path)) == 2 and kept("unheard of", tmp_path) == []


@pytest.mark.parametrize("line", [
    "close reason=done\nopen", "close reason=a b", "close reason=", 'close reason="a', "close  reason=a",
    r"close reason=\n", r'close reason="a\x1"', 'close reason="plain"', "close reason=a reason=b", "=a", "",
    "close reason=\x1b[2J", "close reason=a\N{RIGHT-TO-LEFT OVERRIDE}b", "close reason", 'close reason=a"b'])
def test_a_line_that_is_not_ours_is_not_read(line):
    with pytest.raises(loglines.Unreadable):
        loglines.parse(line)
