"""Short calls in XML-RPC, as nearly all clients write them, read without a parser: it would take longer to make one.

Taken is what is in ASCII and has scalars alone, with no attribute, comment or reference anywhere.  All else, right or
wrong, is for xmlrpcmessages.py, and what is taken here comes out there as the same; a test holds the two together.
"""

from functools import lru_cache

from .faults import Fault
from .xmlrpcmessages import LONGEST_NAME, NAME_SIGNS
from .xmlrpcvalues import EXTENSIONS, READERS

LONGEST = 4096          # octets: beyond, the parser is the faster one
# a reference begins with &, a parser makes LF of CR, and other controls are not XML
PLAIN = b"\t\n" + bytes(octet for octet in range(32, 127) if octet != ord("&"))
DECLARATIONS = ("", "<?xml version='1.0'?>", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>',
                '<?xml version="1.0" encoding="utf-8"?>', "<?xml version='1.0' encoding='UTF-8'?>",
                "<?xml version='1.0' encoding='utf-8'?>", '<?xml version="1.0" encoding="us-ascii"?>')
BEFORE, AFTER = "<methodCall><methodName>", "</methodName>"
PARAMS, END, END_OF_PARAMS = "<params>", "</methodCall>", "</params></methodCall>"
PARAM, END_OF_PARAM = "<param><value><", "</value></param>"     # what stands around the type and its text
KINDS = {kind: f"</{kind}>" for kind in READERS if kind not in EXTENSIONS}


def call(data: bytes) -> tuple[str, list[object]] | None:
    """The method's name and its parameters; None for what the parser is to look at."""
    if len(data) > LONGEST or data.translate(None, PLAIN):
        return None
    text = data.decode("ascii").rstrip("\n")
    if ">\n<" in text and ">\n</string>" not in text:       # nowhere else does a line feed alone mean anything
        text = text.replace(">\n<", "><")
    before, has_params, rest = text.partition(PARAMS)
    if not has_params:
        before, end, rest = text.partition(END)
        name = _name(before) if end and not rest else ""
        return (name, []) if name else None
    name = _name(before)
    if not name or not rest.endswith(END_OF_PARAMS):
        return None
    values = _values(rest[:-len(END_OF_PARAMS)])
    return None if values is None else (name, values)


@lru_cache(256)                         # the same methods are called again and again
def _name(text: str) -> str:
    """The method's name, out of all before its parameters; "" for what the parser is to look at."""
    declaration, _, name = text.partition(BEFORE)
    name, end, rest = name.partition(AFTER)
    is_name = 0 < len(name) <= LONGEST_NAME and NAME_SIGNS.issuperset(name)
    return name if is_name and end and not rest and declaration in DECLARATIONS else ""


def _values(text: str) -> list[object] | None:
    """The values of parameters; None where one is not."""
    found: list[object] = []
    *parameters, rest = text.split(END_OF_PARAM)
    if rest:
        return None
    for parameter in parameters:
        kind, _, value = parameter[len(PARAM):].partition(">")
        end = KINDS.get(kind)
        if end is None or not (parameter.startswith(PARAM) and value.endswith(end)):
            return None
        value = value[:-len(end)]
        if "<" in value or ">" in value:
            return None
        try:
            found.append(READERS[kind](value))
        except Fault:                   # which the parser tells, with its place
            return None
    return found
