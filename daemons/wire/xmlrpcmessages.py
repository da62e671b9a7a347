"""XML-RPC's messages: octets of a call or an answer to Python values, and back.

    method, params = parse_call(data, extensions=False)
    data = build_response(value, extensions=False)

The parser is expat with a grammar on top that knows no element but XML-RPC's, so what is read is never more than what
stands there: no document type is taken (entities, external or not, could only come from one), no element unknown, no
nesting beyond DEPTH, no more than VALUES values.  It is fed in pieces, as they come, and the first mistake ends it.
What each type may hold is in xmlrpcvalues.py.
"""

from pyexpat import ErrorString, ExpatError, ParserCreate, errors

from daemons.wire import faults
from daemons.wire.faults import INVALID_REQUEST, PARSE_ERROR, Fault
from daemons.wire.xmlrpcvalues import DEPTH, EXTENSIONS, READERS, element, escaped, tamed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

VALUES = 100_000                # in one message, those within others counted as well
PIECE = 16384                   # octets that the parser is given at a time
PROLOG_PIECE = 64               # the same before the first element: a document type ends the matter before it says much
LONGEST_TAG = 65536             # octets of one tag or comment: each piece makes the parser look at all of it again
PROLOG = 16384                  # octets before the first element
LONGEST_NAME = 255              # characters of a method's name
CHARSETS = ("utf-8", "iso-8859-1", "us-ascii")
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
BLANKS = " \t\r\n"
NAME_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-")

# What may stand where: a place -> the elements that may follow there -> the place after them.  Within an element, the
# place is its own name first.
TYPED, DONE = "value, with its type", "the end"
_PLACES = {
    "methodCall": {"methodName": "methodCall, after its name"},
    "methodCall, after its name": {"params": DONE},
    "methodResponse": {"params": DONE, "fault": DONE},
    "params": {"param": "params"}, "param": {"value": DONE}, "fault": {"value": DONE},
    "array": {"data": DONE}, "data": {"value": "data"},
    "struct": {"member": "struct"}, "member": {"name": "member, after its name"},
    "member, after its name": {"value": "member, after its value"},
    **{place: {} for place in (*READERS, "name", "methodName", TYPED, DONE, "member, after its value")},
}
_TYPES = dict.fromkeys([*READERS, "struct", "array"], TYPED)
_GRAMMARS = {(root, extensions): {
    **_PLACES, "": {root: DONE}, "value": {name: TYPED for name in _TYPES if extensions or name not in EXTENSIONS}}
    for root in ("methodCall", "methodResponse") for extensions in (False, True)}
_UNFINISHED = {"methodCall", "methodResponse", "param", "fault", "array", "member", "member, after its name"}
_OF_TEXT = {*READERS, "value", "name", "methodName"}
_BAD_OCTETS = {errors.codes[errors.XML_ERROR_INVALID_TOKEN], errors.codes[errors.XML_ERROR_PARTIAL_CHAR]}


class Reading:
    """A message as it comes in: feed() takes its octets, end() says that these were all.  Both raise Fault.

    `root` is methodCall or methodResponse; `charset`, where the transport named one, is believed before what the
    message says of itself (RFC 7303, 3.2).  Then `method`, `params` and `fault` are what it said.
    """

    def __init__(self, root: str, extensions: bool, charset: str = "") -> None:
        if charset and charset.lower() not in CHARSETS:
            raise _unsupported(charset)
        self.method, self.params, self.fault = "", [], None     # type: str, list[object], object
        self._charset = charset
        self._places = _GRAMMARS[root, bool(extensions)]
        self._stack = [""]                      # where we are, and in what
        self._pieces: list[str] = []            # of the text of an element that may have some
        self._collects = False                  # whether we are in such
        self._holders: list[Any] = []           # the structs and arrays that we are in
        self._names: list[str] = []             # of the members that we are in
        self._value: object = None              # the last one that ended
        self._left, self._fed, self._last = VALUES, 0, b""
        self._parser = parser = ParserCreate(charset or None)
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.XmlDeclHandler = self._characters, self._declared
        # the first comes before all others could; they are here for parsers that see things otherwise
        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.NotationDeclHandler = _refuse
        parser.UnparsedEntityDeclHandler = parser.ExternalEntityRefHandler = _refuse
        if hasattr(parser, "SetReparseDeferralEnabled"):        # LONGEST_TAG does what this is for, and tells
            parser.SetReparseDeferralEnabled(False)

    def feed(self, data: "bytes | memoryview") -> None:
        """Take the next octets, however many."""
        view, start = memoryview(data), 0
        while start < len(view):
            in_prolog = not self._stack[0]
            piece = bytes(view[start:start + (PROLOG_PIECE if in_prolog else PIECE)])
            if in_prolog and not {0, 0xfe, 0xff}.isdisjoint(piece):         # the parser would guess
                raise _unsupported("UTF-16")
            self._parse(piece, False)
            start += len(piece)

    def end(self) -> None:
        """There is no more."""
        self._parse(b"", True)
        self.close()

    def close(self) -> None:
        """Let go of the parser, which would else hold us, and we it."""
        parser = self._parser
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
        parser.XmlDeclHandler = None

    def _parse(self, piece: bytes, last: bool) -> None:
        before, self._fed = self._fed, self._fed + len(piece)
        try:
            self._parser.Parse(piece, last)
        except ExpatError as error:
            raise self._trouble(error, before, piece) from None
        if self._fed > PROLOG and not self._stack[0]:
            raise Fault(INVALID_REQUEST, f"no message within {PROLOG} octets")
        if self._fed - self._parser.CurrentByteIndex > LONGEST_TAG:
            raise Fault(INVALID_REQUEST, f"a tag or comment of more than {LONGEST_TAG} octets")
        self._last = (self._last + piece)[-8:] if len(piece) < 8 else piece[-8:]

    def _trouble(self, error: ExpatError, before: int, piece: bytes) -> Fault:
        """What the parser did not like, as a fault."""
        where = f"line {error.lineno}, column {error.offset + 1}"
        known = self._last + piece
        place = self._parser.ErrorByteIndex - before + len(self._last)
        if error.code in _BAD_OCTETS and 0 <= place < len(known) and known[place] > 127:
            return Fault(faults.INVALID_CHARACTER, f"octets that are no character of the encoding: {where}")
        return Fault(PARSE_ERROR, f"not well-formed: {ErrorString(error.code)}, {where}")

    # -- what the parser calls --

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding and not self._charset and encoding.lower() not in CHARSETS:
            raise _unsupported(encoding)

    def _start(self, tag: str, attributes: object) -> None:     # attributes mean nothing: there is xmlns at most
        stack = self._stack
        after = self._places[stack[-1]].get(tag)
        if after is None:
            raise self._misplaced(tag)
        stack[-1] = after
        stack.append(tag)
        if after is TYPED and self._pieces and "".join(self._pieces).strip(BLANKS):
            raise Fault(INVALID_REQUEST, "a value has one type, and no text beside it")
        if tag in _OF_TEXT:
            self._pieces.clear()
            self._collects = True
            if tag == "value":
                self._left -= 1
                if self._left < 0:
                    raise Fault(INVALID_REQUEST, f"more than {VALUES} values")
        else:
            self._collects = False
            if after is TYPED:
                if len(self._holders) == DEPTH:
                    raise Fault(INVALID_REQUEST, f"structs and arrays more than {DEPTH} deep")
                self._holders.append({} if tag == "struct" else [])

    def _misplaced(self, tag: str) -> Fault:
        """Why this element cannot stand here."""
        place = self._stack[-1]
        if place != "value":
            return Fault(INVALID_REQUEST, f"there can be no {tag[:40]!a} here" + (f" ({place})" if place else ""))
        if tag in EXTENSIONS:
            return Fault(INVALID_REQUEST, f"{tag} is an extension that is not enabled here")
        return Fault(INVALID_REQUEST, f"there is no type {tag[:40]!a}")

    def _characters(self, data: str) -> None:
        if self._collects:
            self._pieces.append(data)
        elif data.strip(BLANKS):
            raise Fault(INVALID_REQUEST, f"text where there can be none ({self._stack[-1]})")

    def _end(self, tag: str) -> None:
        place = self._stack.pop()
        self._collects = False
        if tag in READERS:
            self._value = READERS[tag]("".join(self._pieces))
        elif tag == "value":
            self._keep("".join(self._pieces) if place == "value" else self._value)      # no type is a string
        elif place in _UNFINISHED:
            raise Fault(INVALID_REQUEST, f"something is missing in {tag}")
        elif tag == "struct" or tag == "array":
            self._value = self._holders.pop()
        elif tag == "name":
            self._name("".join(self._pieces))
        elif tag == "methodName":
            self._method("".join(self._pieces))

    def _method(self, text: str) -> None:
        if not text or len(text) > LONGEST_NAME or not NAME_SIGNS.issuperset(text):
            raise Fault(INVALID_REQUEST, f"not the name of a method: {text[:40]!a}")
        self.method = text

    def _name(self, text: str) -> None:
        if text in self._holders[-1]:
            raise Fault(INVALID_REQUEST, f"two members have the name {text[:40]!a}")
        self._names.append(text)

    def _keep(self, value: object) -> None:
        """Put a value where it belongs: in what we are in, or in the message."""
        self._pieces.clear()
        place = self._stack[-1]
        if place == "data":
            self._holders[-1].append(value)
        elif place == "member, after its value":
            self._holders[-1][self._names.pop()] = value
        elif self._stack[-2] == "params":
            self.params.append(value)
        else:
            self.fault = value


def _refuse(*what: object) -> "NoReturn":
    raise Fault(PARSE_ERROR, "a document type or entity is not taken here")


def _unsupported(charset: str) -> Fault:
    return Fault(faults.UNSUPPORTED_ENCODING, f"the encoding must be {', '.join(CHARSETS)}, not {charset[:40]!a}")


def _read(root: str, data: bytes, extensions: bool, charset: str) -> Reading:
    reading = Reading(root, extensions, charset)
    try:
        reading.feed(data)
        reading.end()
    finally:
        reading.close()
    return reading


# -- whole messages --


def parse_call(data: bytes, extensions: bool, charset: str = "") -> tuple[str, list[object]]:
    """The method's name and its parameters.  Raises Fault."""
    reading = _read("methodCall", data, extensions, charset)
    return reading.method, reading.params


def parse_response(data: bytes, extensions: bool, charset: str = "") -> object:
    """The value that was answered.  Raises Fault: the one that was answered, or our own for what is no answer."""
    reading = _read("methodResponse", data, extensions, charset)
    if reading.fault is not None:
        fault = reading.fault
        if not (isinstance(fault, dict) and type(fault.get("faultCode")) is int
                and isinstance(fault.get("faultString"), str)):
            raise Fault(INVALID_REQUEST, "a fault without its code and string")
        raise Fault(fault["faultCode"], fault["faultString"])
    if len(reading.params) != 1:
        raise Fault(INVALID_REQUEST, "an answer has one value")
    return reading.params[0]


def build_call(method: str, params: "list[Any] | tuple[Any, ...]", extensions: bool) -> bytes:
    """A call.  Raises Fault for what XML-RPC cannot carry."""
    values = "".join(f"<param>{element(value, extensions)}</param>" for value in params)
    return (f"{HEADER}<methodCall><methodName>{escaped(method)}</methodName><params>{values}</params></methodCall>\n"
            ).encode()


def build_response(value: object, extensions: bool) -> bytes:
    """An answer.  Raises Fault for what XML-RPC cannot carry: send that instead."""
    return (f"{HEADER}<methodResponse><params><param>{element(value, extensions)}</param></params></methodResponse>\n"
            ).encode()


def build_fault(code: int, string: str) -> bytes:
    """A fault, whatever its string."""
    if not -1 << 31 <= code < 1 << 31:
        code = faults.APPLICATION_ERROR
    told = element({"faultCode": code, "faultString": tamed(string)}, False)
    return f"{HEADER}<methodResponse><fault>{told}</fault></methodResponse>\n".encode()
