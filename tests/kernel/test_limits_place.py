"""Where a program counts: what was set, what it was given, and what the machine has decide."""

import ast
import importlib
import os
import tempfile

import pytest

from daemons.kernel import limits, log
from daemons.kernel.conversation import Program
from daemons.kernel.inherited import Given
from daemons.kernel.limits import described, prepare
from daemons.kernel.options import Misuse, read
from daemons.kernel.service import Service
from tests import sources
from tests.kernel.forked import forked

ECHO = Service("echod", about="Echo.")
LOGIN = Service("logind", about="Log in.", logins=True)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """What stands for /run/fd0."""
    monkeypatch.setattr(limits, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(limits, "SHARED", f"{tmp_path}/limits")
    return tmp_path


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without one."""
    monkeypatch.setattr(limits, "DIRECTORY", f"{tmp_path}/no")
    monkeypatch.setattr(limits, "SHARED", f"{tmp_path}/no/limits")


@pytest.fixture
def events(monkeypatch):
    """What is logged, as (name, values)."""
    logged = []
    monkeypatch.setattr(log, "event", lambda name, **values: logged.append((name, values)))
    return logged


def prepared(kind, *arguments, service=ECHO):
    """A program that is about to serve what it was given."""
    program = Program(service, read(service, ["--config=/dev/null", *arguments], {}), None, None, "test")
    prepare(program, kind)
    return program


def place(program):
    """"file", "memory" or None, and what is counted."""
    where = None if program.table is None else "file" if program.table.path else "memory"
    one = program.limits
    return (where, None) if one is None else (where, (one.group, one.per_source, one.most, one.rate, one.present))


@pytest.mark.parametrize("kind, arguments, expected", [
    # a conversation alone in its process: what was set counts, and only among all processes
    ("connection", "", (None, None)),
    ("connection", "--per-source=3", ("file", ("echod", 3, 0, 0, True))),
    ("connection", "--max=9", ("file", ("echod", 0, 9, 0, True))),
    ("connection", "--rate=9", ("file", ("echod", 0, 0, 9, False))),
    ("connection", "--limit-group=g", ("file", ("g", 0, 0, 0, True))),
    ("connection", "--limits=own --per-source=3", (None, None)),
    ("connection", "--limits=shared", ("file", None)),
    ("pipes", "--per-source=3", ("file", ("echod", 3, 0, 0, True))),
    # a program that accepts itself
    ("listener", "", (None, None)),
    ("listener", "--max=9", (None, None)),
    ("listener", "--per-source=3 --max=9", ("file", ("echod", 3, 0, 0, True))),
    ("listener", "--per-source=3 --max=9 --limit-group=g", ("file", ("g", 3, 9, 0, True))),
    ("listener", "--rate=3", ("file", ("echod", 0, 0, 3, False))),
    ("listener", "--limits=own --per-source=3", (None, None)),
    ("listener", "--limits=own --per-source=3 --processes=2", ("memory", ("echod", 3, 0, 0, True))),
    ("listener", "--processes=2", (None, None)),
    ("datagrams", "--rate=3", (None, None)),
    ("datagrams", "--rate=3 --processes=2", ("memory", ("echod", 0, 0, 3, False))),
    ("datagrams", "--rate=3 --limits=shared", ("file", ("echod", 0, 0, 3, False))),
])
def test_what_was_set_is_counted(directory, kind, arguments, expected):
    assert place(prepared(kind, *arguments.split())) == expected
    assert os.path.exists(f"{directory}/limits") == (expected[0] == "file")


@pytest.mark.parametrize("kind, arguments, expected", [
    ("listener", "--per-source=3", (None, None)),
    ("listener", "--per-source=3 --processes=2", ("memory", ("echod", 3, 0, 0, True))),
    ("connection", "--limits=own --per-source=3", (None, None)),
])
def test_a_listener_counts_alone_where_there_is_no_directory(nowhere, kind, arguments, expected):
    assert place(prepared(kind, *arguments.split())) == expected


@pytest.mark.parametrize("kind, arguments", [
    ("connection", "--per-source=3"), ("connection", "--limits=shared"), ("listener", "--limits=shared"),
    ("datagrams", "--limits=shared --rate=3"), ("listener", "--limits=/no/such/directory/limits --per-source=3")])
def test_what_was_asked_for_and_cannot_be_had_is_misuse(nowhere, kind, arguments):
    with pytest.raises(Misuse, match="limits: .* there is no directory .* or say --limits=own"):
        prepared(kind, *arguments.split())


def test_a_program_with_logins_has_a_table_before_it_accepts(directory):
    assert place(prepared("listener", service=LOGIN)) == ("file", None)
    assert place(prepared("listener", "--limits=own", service=LOGIN)) == ("memory", None)
    assert place(prepared("connection", service=LOGIN)) == (None, None), "one conversation opens it when it needs it"


def test_and_without_a_directory_in_memory(nowhere):
    assert place(prepared("listener", service=LOGIN)) == ("memory", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_listener_that_may_not_use_the_directory_counts_alone_and_says_so(monkeypatch, events):
    with tempfile.TemporaryDirectory(prefix="fd0-limits-") as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setattr(limits, "DIRECTORY", folder)
        monkeypatch.setattr(limits, "SHARED", f"{folder}/limits")

        def as_nobody():
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            return place(prepared("listener", "--per-source=3")), events

        (where, _), logged = forked(as_nobody)
        assert where is None
        assert logged == [["warning", {"text": f"user 65534 may not use {folder}, so limits count in this program "
                                               "alone"}]]


@pytest.mark.parametrize("kind, arguments, expected", [
    ("connection", "", "nowhere: no limit is set"),
    ("connection", "--per-source=3 --rate=2", "in {}/limits, as echod: per-source rate"),
    ("connection", "--limits=own --max=3", "nowhere: --limits=own, and this process holds one conversation"),
    ("listener", "", "in this program alone, by all its processes"),
    ("listener", "--max=5 --limit-group=g", "in {}/limits, as g: max"),
    ("listener", "--limit-group=g", "in {}/limits, as g: limit-group"),
])
def test_explain_tells_it(directory, kind, arguments, expected):
    program = Program(ECHO, read(ECHO, ["--config=/dev/null", *arguments.split()], {}), None, None, "test")
    assert described(program, [Given(kind)]) == expected.format(directory)


def asks_for_passwords(path):
    """Does a program mention the penalty of failed logins?"""
    return any(isinstance(node, ast.Attribute) and node.attr == "penalty"
               for one in {path, *sources.family(path)} for node in ast.walk(sources.tree(one)))


@pytest.mark.parametrize("path", [*sources.programs(), "tests/live/logind.py"])
def test_who_asks_for_passwords_declares_it(path):
    """Or failed logins would be counted by each process of a listener alone."""
    assert asks_for_passwords(path) == importlib.import_module(sources.module(path)).SERVICE.logins


@pytest.mark.parametrize("option, complaint", [
    ("--limits=limits", "limits: not an absolute path: 'limits'"),
    ("--limit-group=", "limit-group: not a name"), ("--limit-group=a b", "limit-group: not a name"),
    ("--limit-group=" + "x" * 32, "limit-group: not a name"), ("--penalty-exempt=10.0.0.0/33", "penalty-exempt: ")])
def test_wrong_values_are_told(option, complaint):
    with pytest.raises(Misuse, match=complaint):
        read(ECHO, ["--config=/dev/null", option], {})
