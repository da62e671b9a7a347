"""Faults: why a call of a method came to nothing, as a number for programs and a sentence for people.

The numbers are those of the "Specification for Fault Code Interoperability" (xmlrpc-epi, version 20010516), which
JSON-RPC 2.0 took over; -32768 to -32000 are reserved there, so a method of one's own has all the others.
"""

PARSE_ERROR = -32700            # not well-formed
UNSUPPORTED_ENCODING = -32701
INVALID_CHARACTER = -32702      # octets that the encoding does not have
INVALID_REQUEST = -32600        # well-formed, but no call
UNKNOWN_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
APPLICATION_ERROR = -32500      # the method itself
SYSTEM_ERROR = -32400
TRANSPORT_ERROR = -32300
DENIED = -32001                 # of the range that is left to servers: not for this caller


class Fault(Exception):
    """What the caller gets in the place of a value: a `code`, and a `string` that says it in words."""

    def __init__(self, code: int, string: str) -> None:
        super().__init__(code, string)
        self.code, self.string = code, string

    def __str__(self) -> str:
        return f"{self.string} ({self.code})"
