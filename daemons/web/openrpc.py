"""The methods of a registry as an OpenRPC document (spec.open-rpc.org, 1.3), for programs that make clients."""

import daemons

VERSION = "1.3.2"
# Python's type -> JSON Schema of what stands for it in JSON
SCHEMAS = {int: {"type": "integer"}, str: {"type": "string"}, float: {"type": "number"}, bool: {"type": "boolean"},
           list: {"type": "array"}, dict: {"type": "object"}, type(None): {"type": "null"},
           bytes: {"type": "string", "contentEncoding": "base64"}}
DATE = {"type": "string", "description": "a date like 2026-12-31T23:59:59"}
WITHIN = {list: "items", dict: "additionalProperties"}


def document(registry, caller, title="XML-RPC and JSON-RPC methods"):
    """What this caller may call, as a value for JSON."""
    return {"openrpc": VERSION, "info": {"title": title, "version": daemons.__version__},
            "methods": [_method(one) for one in registry.known(caller)]}


def _method(method):
    signature = method.signature
    parameters = [{"name": one.name, "required": not one.may_lack, "schema": schema(one.kind)}
                  for one in signature.parameters]
    found = {"name": method.name, "params": parameters,
             "paramStructure": "by-position" if signature.in_order or signature.rest is not None else "either",
             "result": {"name": "result", "schema": schema(signature.gives)}}
    if method.help:
        found["summary"] = method.help.partition("\n")[0]
        found["description"] = method.help
    if signature.rest is not None:
        parameters.append({"name": "more", "required": False, "description": "any number of them",
                           "schema": schema(signature.rest)})
    return found


def schema(kind):
    """The JSON Schema of a Kind of values."""
    several = [_of_type(one, kind.within.get(one)) for one in kind.words]
    if len(several) > 1:
        return {"anyOf": several}
    return several[0] if several else {}


def _of_type(kind, within):
    found = dict(SCHEMAS.get(kind, DATE))
    if within is not None and within.words:
        found[WITHIN[kind]] = schema(within)
    return found
