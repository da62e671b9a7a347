"""JSON-RPC 2.0: the specification's own examples, and what is none of it."""

import json
import tracemalloc
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import faults
from daemons.wire.faults import Fault
from daemons.wire.jsonrpc import DEPTH, MOST, VALUES, answered, dumps, loads, parse

NO_METHOD = '{"code":-32601,"message":"no such method"}'
INVALID = '{"code":-32600,'


def call(method, params):
    """The methods of the specification's section 7."""
    if method == "subtract":
        return params[0] - params[1] if isinstance(params, list) else params["minuend"] - params["subtrahend"]
    if method in ("sum", "notify_sum"):
        return sum(params)
    if method == "get_data":
        return ["hello", 5]
    if method in ("update", "notify_hello"):
        return None
    raise Fault(faults.UNKNOWN_METHOD, "no such method")


@pytest.mark.parametrize("sent, answer", [
    ('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', '{"jsonrpc":"2.0","result":19,"id":1}'),
    ('{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": "x"}',
     '{"jsonrpc":"2.0","result":19,"id":"x"}'),
    ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', ""),
    ('{"jsonrpc": "2.0", "method": "foobar"}', ""),
    ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', f'{{"jsonrpc":"2.0","error":{NO_METHOD},"id":"1"}}'),
    ('{"jsonrpc": "2.0", "method": "update", "id": null}', '{"jsonrpc":"2.0","result":null,"id":null}'),
    ('[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1]}, {"jsonrpc": "2.0", "method": "notify_hello"}]', ""),
])
def test_the_examples_of_the_specification(sent, answer):
    assert answered(sent.encode(), call).decode() == answer


def test_a_batch_is_answered_in_order_without_its_notifications():
    sent = [{"jsonrpc": "2.0", "method": "sum", "params": [1, 2, 4], "id": "1"},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}, {"foo": "boo"}, 1,
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": 5.5},
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]
    answers = json.loads(answered(json.dumps(sent).encode(), call))
    assert [(one["id"], one.get("result"), one.get("error", {}).get("code")) for one in answers] == [
        ("1", 7, None), (None, None, -32600), (None, None, -32600), (5.5, None, -32601), ("9", ["hello", 5], None)]


@pytest.mark.parametrize("sent, code", [
    (b"", -32700), (b"{", -32700), (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700),
    (b"[]", -32600), (b"1", -32600), (b'"x"', -32600), (b"null", -32600), (b"\xff", -32700),
    (b"\xef\xbb\xbf{}", -32700),
    ('{"jsonrpc":"2.0","method":"é","id":1}'.encode("utf-16"), -32700),
    (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', -32600), (b'{"jsonrpc": "2.0", "id": 1}', -32600),
    (b'{"jsonrpc": 2.0, "method": "a", "id": 1}', -32600), (b'{"method": "a", "id": 1}', -32600),
    (b'{"jsonrpc": "2.0", "method": "a", "params": "bar", "id": 1}', -32600),
    (b'{"jsonrpc": "2.0", "method": "a", "params": null, "id": 1}', -32600),
    (b'{"jsonrpc": "2.0", "method": "a", "id": true}', -32600),
    (b'{"jsonrpc": "2.0", "method": "a", "id": {}}', -32600),
    (b'{"jsonrpc": "2.0", "method": "a", "method": "b", "id": 1}', -32700),
    (b'{"jsonrpc": "2.0", "method": "sum", "params": [NaN], "id": 1}', -32700),
    (b'{"jsonrpc": "2.0", "method": "sum", "params": [1e999], "id": 1}', -32700),
    (b'{"jsonrpc": "2.0", "method": "sum", "params": [-Infinity], "id": 1}', -32700),
    (b'{"jsonrpc": "2.0", "method": "sum", "params": [%s], "id": 1}' % (b"9" * 100_000), -32700),
    (b"[" + b",".join([b"1"] * (MOST + 1)) + b"]", -32600),
])
def test_what_is_no_request(sent, code):
    told = json.loads(answered(sent, call))
    assert told["error"]["code"] == code and told["error"]["message"].isprintable()


@pytest.mark.parametrize("code, told", [
    (faults.APPLICATION_ERROR, -32000), (faults.SYSTEM_ERROR, -32000), (faults.DENIED, -32001), (42, 42),
    (faults.INVALID_PARAMS, -32602), (faults.INTERNAL_ERROR, -32603), (faults.INVALID_CHARACTER, -32700)])
def test_faults_by_their_numbers_in_json_rpc(code, told):
    def fail(method, params):
        raise Fault(code, "why")
    answer = json.loads(answered(b'{"jsonrpc":"2.0","method":"a","id":1}', fail))
    assert answer["error"] == {"code": told, "message": "why"}


def test_dates_and_octets_are_text():
    assert dumps([datetime(2026, 12, 31, 1, 2, 3), b"hello", "é\ud800"]) \
        == b'["2026-12-31T01:02:03","aGVsbG8=","\\u00e9\\ud800"]'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), {(1, 2): 3}])
def test_what_json_cannot_carry_is_a_fault(value):
    answer = answered(b'{"jsonrpc":"2.0","method":"a","id":1}', lambda method, params: [value])
    assert json.loads(answer)["error"]["code"] == -32000


def test_a_value_that_holds_itself_or_goes_too_deep():
    endless, deep = [], []
    endless.append(endless)
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(Fault):
            dumps(value)


# -- limits --


@pytest.mark.parametrize("piece", [b"[", b'{"a":', b'[{"a":'])
def test_depth_is_looked_at_before_anything_is_made(piece):
    for times in (DEPTH + 1, 100_000, 1_000_000):
        with pytest.raises(Fault, match="deep|values"):
            loads(piece * times)
    assert loads(b"[" * DEPTH + b"]" * DEPTH)


def test_brackets_and_commas_in_text_count_nothing():
    text = '[{",' * VALUES + '\\"' * 100 + "\\"
    assert loads(json.dumps([text, "[", "\\", '"']).encode()) == [text, "[", "\\", '"']


def test_the_number_of_values_is_limited_in_little_memory():
    body = b"[" + b"{}," * 1_000_000 + b"{}]"
    tracemalloc.start()
    try:
        with pytest.raises(Fault, match="values"):
            loads(body)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(body)
    finally:
        tracemalloc.stop()
    assert len(loads(b"[" + b"1," * (VALUES - 2) + b"1]")) == VALUES - 1


JSON = st.recursive(st.none() | st.booleans() | st.integers(-2**63, 2**63) | st.text()
                    | st.floats(allow_nan=False, allow_infinity=False),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(JSON)
def test_what_is_sent_arrives(value):
    assert loads(dumps(value)) == json.loads(json.dumps(value)) == value


@given(st.binary(max_size=60) | st.text(st.sampled_from('[]{}",:\\1a ')).map(str.encode))
def test_any_octets_end_in_requests_or_a_fault(data):
    try:
        requests, is_batch = parse(data)
    except Fault as fault:
        assert fault.code in (-32700, -32600)
    else:
        assert requests and isinstance(is_batch, bool)
