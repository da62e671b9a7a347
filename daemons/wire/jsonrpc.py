"""JSON-RPC 2.0 (jsonrpc.org, 2013): octets to requests, and what came of them to octets.

    data = answered(body, call)         call(method, params) returns a value or raises Fault

JSON has no dates and no octets: both are sent as text, dates as 2026-12-31T23:59:59 and octets in base64.  How deep a
body goes and how many values it has is counted before anything is made of it.
"""

from collections.abc import Callable

from daemons.wire import faults
from daemons.wire.faults import INVALID_REQUEST, PARSE_ERROR, Fault
from daemons.wire.xmlrpcvalues import written_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Params = list[Any] | dict[str, Any]

VERSION = "2.0"
DEPTH = 64                      # arrays and objects within each other
VALUES = 100_000                # in one body
MOST = 1000                     # requests in a batch
LONGEST_NUMBER = 400            # digits of a whole number
SERVER_ERROR = -32000           # of the range that JSON-RPC leaves to servers (5.1)

# where XML-RPC's fault codes say more than JSON-RPC's
_CODES = {faults.UNSUPPORTED_ENCODING: PARSE_ERROR, faults.INVALID_CHARACTER: PARSE_ERROR,
          faults.APPLICATION_ERROR: SERVER_ERROR, faults.SYSTEM_ERROR: SERVER_ERROR,
          faults.TRANSPORT_ERROR: SERVER_ERROR}
_ALL_BUT_BRACKETS = bytes(octet for octet in range(256) if octet not in b"[]{}")


class Request:
    """One request: `method` and `params`, a list or a dict by name; `ident` is its id.

    A notification has no id and gets no answer.  One that is no request has a `fault` instead.
    """

    __slots__ = ("fault", "ident", "is_notification", "method", "params")

    def __init__(self, method: str, params: "Params", ident: object = None, is_notification: bool = False,
                 fault: Fault | None = None) -> None:
        self.method, self.params, self.ident, self.is_notification = method, params, ident, is_notification
        self.fault = fault


def parse(data: bytes) -> tuple[list[Request], bool]:
    """The requests of a body, and whether they came as a batch.  Raises Fault for a body that is no such thing."""
    body = loads(data)
    if not isinstance(body, list):
        return [_request(body)], False
    if not body:
        raise Fault(INVALID_REQUEST, "an empty batch")
    if len(body) > MOST:
        raise Fault(INVALID_REQUEST, f"a batch of more than {MOST} requests")
    return [_request(one) for one in body], True


def result(request: Request, value: object) -> bytes:
    """The answer to a request that went well.  Raises Fault for what JSON cannot carry."""
    return dumps({"jsonrpc": VERSION, "result": value, "id": request.ident})


def error(ident: object, fault: Fault) -> bytes:
    """The answer to a request that did not; None is the id where it could not be told."""
    told = {"code": _CODES.get(fault.code, fault.code), "message": fault.string}
    return dumps({"jsonrpc": VERSION, "error": told, "id": ident})


def answered(data: bytes, call: "Callable[[str, Params], object]") -> bytes:
    """Make the calls that a body asks for, in order; its answer, or b"" where none is due."""
    try:
        requests, is_batch = parse(data)
    except Fault as fault:
        return error(None, fault)
    answers = [answer for request in requests if (answer := _answer(request, call))]
    return b"[" + b",".join(answers) + b"]" if is_batch and answers else b"".join(answers)


def _answer(request: Request, call: "Callable[[str, Params], object]") -> bytes:
    try:
        if request.fault is not None:
            raise request.fault
        value = call(request.method, request.params)
        return b"" if request.is_notification else result(request, value)
    except Fault as fault:
        return b"" if request.is_notification else error(request.ident, fault)


def _request(body: object) -> Request:
    """One object of a body as a request; 4: what is none is answered all the same."""
    if not isinstance(body, dict):
        return _invalid("a request is an object")
    ident, method, params = body.get("id"), body.get("method"), body.get("params", [])
    if isinstance(ident, bool) or not (ident is None or isinstance(ident, str | int | float)):
        return _invalid("an id is text, a number or null")
    if body.get("jsonrpc") != VERSION:
        return _invalid('jsonrpc must be "2.0"', ident)
    if not isinstance(method, str):
        return _invalid("method must be text", ident)
    if not isinstance(params, list | dict):
        return _invalid("params must be an array or an object", ident)
    return Request(method, params, ident, "id" not in body)


def _invalid(why: str, ident: object = None) -> Request:
    return Request("", [], ident, fault=Fault(INVALID_REQUEST, why))


# -- JSON itself --


def loads(data: bytes) -> "Any":
    """The value of a JSON text in UTF-8 (RFC 8259), within DEPTH and VALUES.  Raises Fault."""
    import json
    _measure(data)
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_constant, parse_float=_finite, parse_int=_whole,
                          object_pairs_hook=_members)
    except ValueError as error:         # UnicodeDecodeError and JSONDecodeError are such
        why = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise Fault(PARSE_ERROR, f"not JSON: {why}") from None


def dumps(value: object) -> bytes:
    """The value as JSON, in ASCII.  Raises Fault for what JSON cannot carry."""
    import json
    try:
        return json.dumps(value, default=_spelt, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        why = "it is too deep" if isinstance(error, RecursionError) else str(error)
        raise Fault(faults.APPLICATION_ERROR, f"there is no way to send this value as JSON: {why}") from None


def _measure(data: bytes) -> None:
    """Refuse a text that goes too deep or has too many values, by looking at it alone."""
    opened = data.count(b"[") + data.count(b"{")
    if opened <= DEPTH and opened + data.count(b",") < VALUES:
        return                          # it cannot, whatever stands in its strings
    outside = b"".join(data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    if outside.count(b",") + outside.count(b"[") + outside.count(b"{") >= VALUES:
        raise Fault(INVALID_REQUEST, f"more than {VALUES} values")
    depth = 0
    for octet in outside.translate(None, _ALL_BUT_BRACKETS):
        depth += 1 if octet in b"[{" else -1
        if depth > DEPTH:
            raise Fault(INVALID_REQUEST, f"arrays and objects more than {DEPTH} deep")


def _constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON's")


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError("a number too large for a double")
    return value


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:      # int() has a limit of its own, and words for it that help nobody here
        raise ValueError("a whole number too large")
    return int(text)


def _members(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("two members have the same name")
    return found


def _spelt(value: object) -> str:
    """What JSON has no type for, as text."""
    from datetime import datetime
    if isinstance(value, bytes | bytearray):
        from binascii import b2a_base64
        return b2a_base64(value, newline=False).decode()
    if isinstance(value, datetime):
        return written_date(value, "-")
    raise TypeError(f"type {type(value).__name__}")
