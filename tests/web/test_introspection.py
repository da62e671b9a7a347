"""system.*: what a registry tells of itself, and many calls in one, by the standard library's own words."""

import xmlrpc.client

import pytest

from daemons.web import introspection
from daemons.web.introspection import MOST, MULTICALL
from daemons.web.methods import Method, Registry, load
from daemons.wire import faults
from daemons.wire.faults import Fault
from daemons.wire.xmlrpcmessages import build_fault, build_response, parse_call


@pytest.fixture
def registry():
    """The methods of tests/web/offers.py, one that crashes, and the system's."""
    found = Registry()
    found.add(introspection.methods(found, extensions=True))
    found.add([*load("tests.web.offers"), Method("crash", lambda: 1 / 0), Method("any", lambda *what: list(what))])
    return found


class Transport(xmlrpc.client.Transport):
    """From the standard library's client to a registry, without HTTP."""

    def __init__(self, registry):
        super().__init__()
        self.registry = registry

    def request(self, host, handler, request_body, verbose=False):
        """Answer a call."""
        method, params = parse_call(request_body, extensions=True)
        try:
            answer = build_response(self.registry.call(method, params), extensions=True)
        except Fault as fault:
            answer = build_fault(fault.code, fault.string)
        parser, target = self.getparser()
        parser.feed(answer)
        parser.close()
        return target.close()


@pytest.fixture
def server(registry):
    """The standard library's ServerProxy."""
    return xmlrpc.client.ServerProxy("http://here/", Transport(registry))


def test_what_a_client_learns(server):
    system = "getCapabilities listMethods methodExist methodHelp methodSignature multicall".split()
    assert server.system.listMethods() == ["add", "any", "crash", *(f"system.{name}" for name in system), "when"]
    assert server.system.methodSignature("add") == [["int", "int"], ["int", "int", "int"]]
    assert server.system.methodSignature("any") == "undef"
    assert server.system.methodHelp("add") == "Add two numbers.\n\nThe second may be left out."
    assert server.system.methodHelp("crash") == ""
    assert server.system.methodExist("add") is True and server.system.methodExist("add.__doc__") is False
    for method in ("methodSignature", "methodHelp"):
        with pytest.raises(xmlrpc.client.Fault) as fault:
            getattr(server.system, method)("nosuch")
        assert fault.value.faultCode == faults.UNKNOWN_METHOD


def test_every_system_method_is_explained(server):
    for name in server.system.listMethods():
        if name.startswith("system."):
            assert server.system.methodHelp(name) and server.system.methodSignature(name) != "undef"


def test_capabilities(server, registry):
    told = server.system.getCapabilities()
    assert told["faults_interop"] == {"specUrl": "http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php",
                                      "specVersion": 20010516}
    assert {"xmlrpc", "introspect", "system.multicall", "nil", "i8"} <= set(told)
    plain = Registry()
    plain.add(introspection.methods(plain, extensions=False))
    assert not {"nil", "i8"} & set(plain.call("system.getCapabilities", []))


def test_many_calls_in_one(server):
    calls = xmlrpc.client.MultiCall(server)
    calls.add(1, 2)
    calls.nosuch()
    calls.crash()
    calls.system.methodExist("add")
    results = calls()
    assert results[0] == 3 and results[3] is True
    for place, code in ((1, faults.UNKNOWN_METHOD), (2, faults.APPLICATION_ERROR)):
        with pytest.raises(xmlrpc.client.Fault) as fault:
            results[place]
        assert fault.value.faultCode == code


@pytest.mark.parametrize("call", [
    "add", 5, None, [], {}, {"methodName": 5, "params": []}, {"params": []}, {"methodName": "add", "params": {"a": 1}},
    {"methodName": "add", "params": "x"}, {"methodName": MULTICALL, "params": [[]]}, {"methodName": "add",
    "params": []},
    {"methodName": MULTICALL, "params": [[{"methodName": MULTICALL, "params": [[]]}]]}])
def test_a_bad_call_is_a_fault_in_its_place(registry, call):
    good = {"methodName": "add", "params": [1, 2]}
    first, second, third = registry.call(MULTICALL, [[good, call, good]])
    assert first == third == [3] and second["faultCode"] == faults.INVALID_PARAMS
    assert set(second) == {"faultCode", "faultString"}


def test_what_multicall_itself_is_asked(registry):
    assert registry.call(MULTICALL, [[]]) == []
    assert registry.call(MULTICALL, [[{"methodName": "any"}]]) == [[[]]]
    for params in ([], [{}], ["x"], [[], []], [[{"methodName": "any"}] * (MOST + 1)]):
        with pytest.raises(Fault) as fault:
            registry.call(MULTICALL, params)
        assert fault.value.code == faults.INVALID_PARAMS


def test_crashes_within_are_reported():
    reported = []
    registry = Registry(report=lambda name, error: reported.append(name))
    registry.add([*introspection.methods(registry, False), Method("crash", lambda: 1 / 0)])
    registry.call(MULTICALL, [[{"methodName": "crash"}] * 2])
    assert reported == ["crash", "crash"]


def test_the_entries_of_the_page(registry):
    registry.restrict(["ann"], ["add"])
    names = {one.name: one for one in introspection.entries(registry)}
    assert "add" not in names and names["any"].signature == "(...)" and names["any"].note == ""
    from daemons.web.methods import Caller
    (add,) = [one for one in introspection.entries(registry, Caller("ann")) if one.name == "add"]
    assert (add.signature, add.note) == ("(a: int, b: int = ...) -> int",
    "signed in") and add.help.startswith("Add two")
