"""system.*: what a registry tells of itself, and many calls in one.

listMethods, methodSignature and methodHelp are those of xmlrpc-c's "XML-RPC Introspection", version 1; multicall is
Eric Kidd's, getCapabilities is of the "Specification for Fault Code Interoperability".  What a caller may not call, he
is not told of.
"""

from daemons.wire.faults import INVALID_PARAMS, UNKNOWN_METHOD, Fault
from daemons.wire.methodpage import Entry

from .methods import NOBODY, Method

MOST = 1000                     # calls in a multicall
MULTICALL = "system.multicall"

# what we keep to -> where it is written down, and which version
CAPABILITIES = {
    "xmlrpc": ("http://xmlrpc.com/spec.md", 1),
    "faults_interop": ("http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php", 20010516),
    "introspect": ("http://xmlrpc-c.sourceforge.net/xmlrpc-c/introspection.html", 1),
    "system.multicall": ("https://mirrors.talideon.com/articles/multicall.html", 1),
    "json-rpc": ("https://www.jsonrpc.org/specification", 2),
}
EXTENSIONS = {
    "nil": ("http://ws.apache.org/xmlrpc/types.html", 1),
    "i8": ("http://ws.apache.org/xmlrpc/types.html", 1),
}


def methods(registry, extensions):
    """The system.* methods of this registry; `extensions` is whether i8 and nil are enabled."""
    return [Method(f"system.{name}", getattr(_System(registry, extensions), name)) for name in
            ("getCapabilities", "listMethods", "methodExist", "methodHelp", "methodSignature", "multicall")]


def entries(registry, caller=NOBODY):
    """What the documentation page tells of the methods that this caller may call: Entries for methodpage.page()."""
    return [Entry(one.name, str(one.signature), one.help, "signed in" if one.users is not None else "")
            for one in registry.known(caller)]


class _System:
    """The methods, with the names that the world knows them by."""

    def __init__(self, registry, extensions):
        self.registry, self.extensions = registry, extensions

    def listMethods(self, caller) -> list[str]:
        """The names of all methods that you may call."""
        return [method.name for method in self.registry.known(caller)]

    def methodExist(self, name: str, caller) -> bool:
        """Whether there is a method of this name that you may call."""
        return any(method.name == name for method in self.registry.known(caller))

    def methodSignature(self, name: str, caller) -> list | str:
        """What a method takes and gives: a list of the ways to call it, each a list of types, the result's first.

        It is the text "undef" where a method takes anything.
        """
        return self._known(name, caller).signatures or "undef"

    def methodHelp(self, name: str, caller) -> str:
        """What a method is for, in words."""
        return self._known(name, caller).help

    def getCapabilities(self) -> dict:
        """Which specifications this server keeps to: where each is written down, and its version."""
        told = {**CAPABILITIES, **(EXTENSIONS if self.extensions else {})}
        return {name: {"specUrl": url, "specVersion": version} for name, (url, version) in told.items()}

    def multicall(self, calls: list, caller) -> list:
        """Make several calls, one after the other.

        Each is a struct of methodName and params.  For each there is a list of the one value that it gave, or a
        struct of faultCode and faultString: a call that fails does not keep the others from being made.
        """
        if len(calls) > MOST:
            raise Fault(INVALID_PARAMS, f"more than {MOST} calls")
        return [self._one_of_many(call, caller) for call in calls]

    def _one_of_many(self, call, caller):
        try:
            if not (isinstance(call, dict) and isinstance(call.get("methodName"), str)
                    and isinstance(call.get("params", []), list)):
                raise Fault(INVALID_PARAMS, "a call is a struct of methodName, a text, and params, a list")
            if call["methodName"] == MULTICALL:
                raise Fault(INVALID_PARAMS, f"{MULTICALL} cannot be called within itself")
            return [self.registry.call(call["methodName"], call.get("params", []), caller)]
        except Fault as fault:
            return {"faultCode": fault.code, "faultString": fault.string}

    def _known(self, name, caller):
        found = self.registry.methods.get(name)
        if found is None or not found.may_be_called_by(caller):
            raise Fault(UNKNOWN_METHOD, f"there is no method {name[:60]!a}")
        return found
