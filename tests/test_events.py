"""Events are part of the product: each is declared once, and no other is ever logged."""

import ast
import importlib
import re

import pytest

from daemons.kernel import log
from daemons.kernel.service import Event
from daemons.tools import programs
from tests import sources

KERNEL = sources.files("daemons/kernel")
PROGRAMS = sources.programs()


def declared(path):
    """The events that code in this file may log, by name: name -> keys."""
    known = {one.name: set(one.keys) for one in log.EVENTS}
    module = importlib.import_module(sources.module(path))
    own = module.SERVICE.events if path in PROGRAMS else ()
    for others in ([] if path in PROGRAMS else KERNEL):
        own += tuple(getattr(importlib.import_module(sources.module(others)), "EVENTS", ()))
    for one in own:
        known[one.name] = known.get(one.name, set()) | set(one.keys)
    return known


def logged(path):
    """(line, event, keys) of each call that logs; the event is None where a variable names it."""
    for node in ast.walk(sources.tree(path)):
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        if call == "log.event" or re.search(r"\._?log$", call):
            name = node.args[0] if node.args else None
            keys = {keyword.arg.rstrip("_") for keyword in node.keywords if keyword.arg}
            yield node.lineno, name.value if isinstance(name, ast.Constant) else None, keys


def services():
    """Every program's declaration."""
    return pytest.mark.parametrize("service", programs.services(), ids=lambda service: service.name)


@pytest.mark.parametrize("path", [*KERNEL, *PROGRAMS])
def test_what_is_logged_was_declared_with_its_keys(path):
    known = declared(path)
    for place in [path, *(sources.family(path) if path in PROGRAMS else ())]:
        for line, name, keys in logged(place):
            if name is not None:
                assert name in known, f"{place}:{line}: {path} declares no event {name}"
                assert keys <= known[name] | {"session"}, f"{place}:{line}: event {name} has no {keys - known[name]}"


def test_a_variable_names_an_event_only_where_a_call_is_passed_on():
    found = {path for path in [*KERNEL, *PROGRAMS] for _, name, _ in logged(path) if name is None}
    assert found == {"daemons/kernel/ports.py", "daemons/kernel/stream.py"}


@services()
def test_a_programs_events_are_well_declared(service):
    names = [one.name for one in service.events]
    assert len(set(names)) == len(names)
    general = {one.name: one for one in log.EVENTS}
    for one in service.events:
        assert isinstance(one, Event) and one.priority in log.PRIORITIES and one.about
        assert re.fullmatch(r"[A-Za-z-]+", one.name) and all(re.fullmatch(r"[a-z]+", key) for key in one.keys)
        if one.name in general:         # one more key for an event that all have, and nothing else
            assert set(general[one.name].keys) < set(one.keys) and one.priority == general[one.name].priority


def test_the_events_of_all_programs_are_well_declared():
    names = [one.name for one in log.EVENTS]
    assert len(set(names)) == len(names)
    assert {one.priority for one in log.EVENTS} <= set(log.PRIORITIES) and all(one.about for one in log.EVENTS)


def test_every_event_of_the_kernel_is_logged_somewhere():
    said = {name for path in KERNEL for _, name, _ in logged(path)}
    said |= set(re.findall(r'\bevent\("([a-z-]+)"', sources.text("daemons/kernel/log.py")))
    said.add("lost")                    # which the log says of itself
    assert {one.name for one in log.EVENTS} <= said


@services()
def test_every_event_of_a_program_is_logged_somewhere(service):
    path = f"daemons/{service.name}.py"
    said = {name for one in [*KERNEL, path, *sources.family(path)] for _, name, _ in logged(one)}
    assert {one.name for one in service.events} <= said


def test_priorities_tell_whose_mistake_it_is():
    of = {one.name: one.priority for one in log.EVENTS}
    assert of["crash"] == of["misuse"] == "err"         # ours: never below err
    assert list(log.PRIORITIES).index(of["refused"]) >= list(log.PRIORITIES).index("notice")    # theirs: never above
