"""Every dialogue comes out as written, however the network cuts it."""

import importlib

import pytest

from tests.play import dialogues, options_of, play


@pytest.mark.parametrize("dialogue", dialogues(), ids=lambda dialogue: dialogue.name)
def test_dialogue(dialogue):
    program = importlib.import_module(f"daemons.{dialogue.program}")
    options = options_of(program, *dialogue.arguments)
    for cut, chunks in dialogue.cuts().items():
        assert play(program, chunks, options=options).heard == dialogue.heard, cut
    assert play(program, dialogue.cuts()["at once"], options=options).writes <= 2, "pipelined replies leave together"
