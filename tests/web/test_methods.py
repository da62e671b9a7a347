"""The registry: what is in it is called, and nothing else, whatever it is asked for."""

import sys
import xmlrpc.client
from datetime import datetime

import pytest

from daemons.kernel.ends import Late
from daemons.web import introspection
from daemons.web.methods import INTERNAL, NOBODY, Caller, Denied, Method, Registry, load
from daemons.wire import faults
from daemons.wire.faults import Fault

ANN = Caller("ann", "192.0.2.7")
HERE = "tests.web.offers"


def registry(*methods, **more):
    """A registry of these, with its system methods."""
    found = Registry(**more)
    found.add(introspection.methods(found, extensions=False))
    found.add(methods)
    return found


def fails(error):
    """A method that raises this."""
    def function():
        raise error
    return Method("fails", function)


def code(registry, name, *params, caller=NOBODY):
    """The code of the fault that a call comes to."""
    with pytest.raises(Fault) as fault:
        registry.call(name, list(params), caller)
    return fault.value.code


# -- names --


@pytest.mark.parametrize("name", [
    "system.__init__", "system.__init__.__globals__", "system.listMethods.__func__", "__class__", "methods", "call", "",
    "system", "system.", ".listMethods", "system.registry", "System.listMethods", "system.listMethods ", "add.__call__",
    "fd0.events.__self__._programs", "os.system", "system.methodHelp.__wrapped__", "_hidden", "\ud800", "x" * 100_000])
def test_a_name_is_no_path(name):
    there = registry(*load(HERE))
    with pytest.raises(Fault) as fault:
        there.call(name, [])
    assert fault.value.code == faults.UNKNOWN_METHOD
    assert len(fault.value.string) < 400 and fault.value.string.isprintable()


@pytest.mark.parametrize("name", ["", "_a", "a._b", "a..b", ".a", "a.", "a b", "é", "a\n", "<a>",
    "x" * 256, "__init__"])
def test_names_that_no_method_can_have(name):
    with pytest.raises(ValueError, match="not the name of a method"):
        Method(name, len)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="two methods add"):
        registry(*load(HERE), *load(HERE))


# -- calls --


def test_calls_and_their_parameters():
    there = registry(*load(HERE, allow_none=True))
    assert there.call("add", [2, 3]) == 5 and there.call("add", {"a": 2}) == 3
    moment = datetime(2026, 12, 31, 1, 2, 3)
    assert there.call("when", ["2026-12-31T01:02:03"], spelt=True) == moment == there.call("when", [moment])
    with pytest.raises(Fault, match="add: parameter a must be a whole number"):
        there.call("add", ["2"])
    assert code(there, "add") == code(there, "add", 1, 2, 3) == code(there, "when", "x") == faults.INVALID_PARAMS


def test_nothing_is_given_only_where_that_was_declared():
    def nothing():
        """Give nothing."""
    assert code(registry(Method("a", nothing)), "a") == faults.APPLICATION_ERROR
    assert registry(Method("a", nothing, allow_none=True)).call("a", []) is None


@pytest.mark.parametrize("error", [ValueError("/etc/secret"), KeyError("x"), RecursionError("deep"), Late("no answer"),
                                   MemoryError(), AssertionError("<object at 0x7f>"), StopIteration(1)])
def test_a_crash_is_reported_and_told_to_nobody(error):
    reported = []
    there = registry(fails(error), report=lambda name, error: reported.append((name, error)))
    with pytest.raises(Fault) as fault:
        there.call("fails", [])
    assert (fault.value.code, fault.value.string) == (faults.APPLICATION_ERROR, INTERNAL)
    assert reported == [("fails", error)] and fault.value.__cause__ is error


def test_a_crash_is_told_where_that_is_asked_for():
    with pytest.raises(Fault) as fault:
        registry(fails(ValueError("why")), debug=True).call("fails", [])
    assert fault.value.string == "ValueError: why"


@pytest.mark.parametrize("error, told", [(Fault(42, "not today"), (42, "not today")),
                                         (xmlrpc.client.Fault(43, "nor tomorrow"), (43, "nor tomorrow")),
                                         (xmlrpc.client.Fault("x", "odd"), (faults.APPLICATION_ERROR, "odd"))])
def test_a_fault_is_what_a_method_makes_it(error, told):
    reported = []
    with pytest.raises(Fault) as fault:
        registry(fails(error), report=lambda *what: reported.append(what)).call("fails", [])
    assert (fault.value.code, fault.value.string) == told and reported == []


def test_what_ends_a_process_ends_it():
    with pytest.raises(SystemExit):
        registry(fails(SystemExit(1))).call("fails", [])


# -- who may call what --


def test_methods_for_some():
    there = registry(*load(HERE), Method("b.status", lambda caller: f"{caller.user} at {caller.host}"))
    there.restrict(["ann"], ["b.*", "add"])
    assert there.call("b.status", [], ANN) == "ann at 192.0.2.7"
    with pytest.raises(Denied, match="who you are") as denied:
        there.call("b.status", [])
    assert denied.value.code == faults.DENIED and not denied.value.knows_caller
    with pytest.raises(Denied, match="not for you") as denied:
        there.call("add", [1], Caller("bob"))
    assert denied.value.knows_caller
    assert "add" in there.call("system.listMethods", [], ANN) and "add" not in there.call("system.listMethods", [])
    assert there.call("system.methodExist", ["add"], ANN) and not there.call("system.methodExist", ["add"])
    assert code(there, "system.methodHelp", "add") == code(there, "system.methodHelp", "nosuch")
    assert there.call("system.methodHelp", ["add"], ANN).startswith("Add two")
    (first, second) = there.call("system.multicall", [[{"methodName": "add", "params": [1]}] * 2])
    assert first == second == {"faultCode": faults.DENIED, "faultString": "add wants to know who you are"}
    with pytest.raises(ValueError, match="no method c"):
        there.restrict(["ann"], ["c.*"])


def test_nobody_is_caller_by_saying_so():
    there = registry(Method("a", lambda caller: caller.user))
    assert there.call("a", [], ANN) == "ann"
    for params in (["root"], {"caller": "root"}):
        with pytest.raises(Fault) as fault:
            there.call("a", params, ANN)
        assert fault.value.code == faults.INVALID_PARAMS


# -- where methods come from --


@pytest.mark.parametrize("spec, names", [
    (HERE, {"add", "when"}), (f"{HERE}:backups", {"status", "kinds", "named"}),
    (f"{HERE}:Backups", {"status", "kinds", "named"}),
    (f"{HERE}:CHOSEN", {"math.add", "base"}), (f"{HERE}:add", {"add"})])
def test_what_is_offered(spec, names):
    assert {method.name for method in load(spec)} == names


def test_objects_are_made_once_and_called():
    there = registry(*load(f"{HERE}:Backups"))
    assert there.call("status", ["web1"]) == "web1: never" and there.call("kinds", []) == ["full", "partial"]
    assert there.call("named", []) == "Backups"


@pytest.mark.parametrize("text, names", [
    ("__all__ = ['b', 'C']\ndef a(): pass\ndef b(): pass\nC = 5\n", {"b"}),
    ("def a(): pass\ndef b(): pass\nMETHODS = {'x.y': a}\n", {"x.y"}),
    ("import os\nfrom os import getcwd\nfrom os.path import join\ndef a(): pass\nclass B: pass\n", {"a"})])
def test_what_a_module_says_of_itself(text, names, tmp_path, monkeypatch):
    (tmp_path / "offered.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "offered", raising=False)
    assert {method.name for method in load("offered")} == names
    del sys.modules["offered"]


@pytest.mark.parametrize("spec, why", [
    ("nosuch.module", "ModuleNotFoundError"), ("../x", "not the name of a module"), ("", "not the name of a module"),
    (f"{HERE}:nosuch", "nothing of this name"), (f"{HERE}:_hidden", "nothing of this name"),
    (f"{HERE}:PREFIX", "no methods"),
    (f"{HERE}:backups.status", "nothing of this name"), (f"{HERE}:Unmade", "OSError: no disk"),
    ("tests.web", "no methods"),
    (f"{HERE}:", "nothing of this name"), ("math:pi", "no methods")])
def test_what_cannot_be_offered(spec, why):
    with pytest.raises(ValueError, match=why):
        load(spec)


@pytest.mark.parametrize("text", ["def a(:", "1/0", "METHODS = {'_a': len}", "METHODS = {5: len}", "METHODS = {'a': 5}",
                                  "def a(*, x): pass"])
def test_a_module_that_is_wrong_stops_the_start(text, tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wrong", raising=False)
    with pytest.raises(ValueError, match="wrong"):
        load("wrong")
    sys.modules.pop("wrong", None)
