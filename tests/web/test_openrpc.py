"""The description for programs: each method with what it takes and gives."""

import datetime

import pytest

from daemons.web import openrpc
from daemons.web.methods import Caller, Method, Registry


def plain(name: str, count: int = 3, *, caller) -> list[dict[str, int]]:
    """Do it.

    At length.
    """


def odd(*more: bytes) -> datetime.datetime | None:
    pass


def anything(what):
    pass


@pytest.fixture
def registry():
    found = Registry()
    found.add([Method("plain", plain), Method("odd", odd), Method("anything", anything),
               Method("secret", anything, users={"ann"})])
    return found


def test_document(registry):
    found = openrpc.document(registry, Caller())
    assert found["openrpc"].startswith("1.3.") and set(found["info"]) == {"title", "version"}
    anything, odd, plain = found["methods"]
    assert plain == {
        "name": "plain", "summary": "Do it.", "description": "Do it.\n\nAt length.", "paramStructure": "either",
        "params": [{"name": "name", "required": True, "schema": {"type": "string"}},
                   {"name": "count", "required": False, "schema": {"type": "integer"}}],
        "result": {"name": "result", "schema": {"type": "array", "items": {
            "type": "object", "additionalProperties": {"type": "integer"}}}}}
    assert odd["paramStructure"] == "by-position" and "summary" not in odd
    assert [one["schema"]["contentEncoding"] for one in odd["params"]] == ["base64"]
    assert [one["type"] for one in odd["result"]["schema"]["anyOf"]] == ["string", "null"]
    assert anything["params"] == [{"name": "what", "required": True, "schema": {}}]


def test_what_one_may_not_call_is_not_there(registry):
    assert "secret" not in [one["name"] for one in openrpc.document(registry, Caller("bob"))["methods"]]
    assert "secret" in [one["name"] for one in openrpc.document(registry, Caller("ann"))["methods"]]
