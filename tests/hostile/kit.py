"""What the hostile kit takes from a program: its declaration, and the dialogues that were written down for it.

Nothing here or in the tests names a program.  A new one is covered once it is declared, has a dialogue
(tests/dialogues/NAME/*.txt) and, if it serves datagrams, questions (tests/dialogues/NAME/*.dgram: the lines of a
dialogue, of which each `C:` or `C>` is one datagram).
"""

import functools
import glob
import os
import re

import pytest

from daemons.tools import programs
from tests.live import installed, processes
from tests.live.launchers import WAIT, ByHand, Service
from tests.play import HERE, NOON, Dialogue, dialogues, options_of, play

LATER = NOON + 40 * 86400 + 3723.0      # another day, hour, minute and second
STRANGER, LOCAL = "192.0.2.7", "127.0.0.1"

SERVICES = {service.name: service for service in programs.launched()}
STREAMS = [name for name, service in SERVICES.items() if "stream" in service.sockets]
DGRAMS = [name for name, service in SERVICES.items() if "dgram" in service.sockets]

streams = pytest.mark.parametrize("name", STREAMS)
dgrams = pytest.mark.parametrize("name", DGRAMS)
all_dialogues = pytest.mark.parametrize("dialogue", dialogues(), ids=lambda dialogue: dialogue.name)


def program(name):
    """A program's module."""
    return programs.program(name)


@functools.cache
def starter(name):
    """The dialogue that opens the kit's conversations: of those with the fewest options the first that speaks."""
    found = dialogues(name)
    if not found:
        pytest.fail(f"{name} serves streams and has no dialogue: write tests/dialogues/{name}/SOMETHING.txt")
    return min(found, key=lambda one: (len(one.arguments), not one.said, one.path))


def said(dialogue):
    """All that the client says in a dialogue."""
    return b"".join(dialogue.said)


@functools.cache
def questions(name):
    """(arguments, datagrams) that a program may be asked."""
    found = sorted(glob.glob(f"{HERE}/dialogues/{name}/*.dgram"))
    if not found:
        pytest.fail(f"{name} serves datagrams and has no question: write tests/dialogues/{name}/SOMETHING.dgram")
    return [(one.arguments, one.said) for one in map(Dialogue, found)]


def expected(dialogue, chunks, peer=LOCAL):
    """(octets, reason) that answer these chunks; no octets (None) where the day or the peer's address changes them."""
    module, options = program(dialogue.program), options_of(program(dialogue.program), *dialogue.arguments)
    here = play(module, chunks, options=options, peer=peer)
    others = [play(module, chunks, options=options, peer=one, now=now)
              for one, now in ((peer, LATER), (STRANGER, NOON), ("2001:db8::7", LATER))]
    same = all(one.heard == here.heard for one in others)
    return (here.heard if same else None), here.reason


def pieces(data):
    """The ways in which a network may cut these octets: name -> chunks."""
    ends = re.split(rb"(?<=\r)|(?<=\n)", data)
    around = re.split(rb"(?=\r)|(?=\n)|(?<=\n)", data)
    return {"at once": [data] if data else [], "by octet": [bytes([octet]) for octet in data],
            "after each CR and LF": list(filter(None, ends)), "around each CR and LF": list(filter(None, around))}


def steps(dialogue):
    """What the client has said after nothing, in the middle and at the end of each of its lines."""
    found, before = [b""], b""
    for chunk in dialogue.said:
        found += [before + chunk[:len(chunk) // 2], before + chunk]
        before += chunk
    return list(dict.fromkeys(found))


@functools.cache
def no_options():
    """The option that keeps a program from the machine's own options, be there a /dev/null or not."""
    path = processes.new_folder("options") + "/empty.conf"
    with open(path, "w"):
        os.chmod(path, 0o644)
    return f"--config={path}"


def listening(name, log, *options, kind="stream", prefix=(), environment=None):
    """A server that binds a port itself and logs to a devlog.LogSocket, as a launchers.ByHand."""
    argv = installed.argv(name, f"--log={log.path}", no_options(), "--processes=1", *options)
    return ByHand(Service(argv, kind, WAIT, environment=environment or {}), prefix=prefix)
