"""Short calls in XML-RPC, as nearly all clients write them, read without a parser: it would take longer to make one.

Taken is what is in ASCII and has scalars alone, with no attribute, comment or reference anywhere.  All else, right or
wrong, is for xmlrpcmessages.py, and what is taken here comes out there as the same; a test holds the two together.
"""

from .faults import Fault
from .xmlrpcmessages import LONGEST_NAME, NAME_SIGNS
from .xmlrpcvalues import EXTENSIONS, READERS

LONGEST = 4096          # octets: beyond, the parser is the faster one
# a reference begins with &, a parser makes LF of CR, and other controls are not XML
PLAIN = b"\t\n" + bytes(octet for octet in range(32, 127) if octet != ord("&"))
DECLARATIONS = ("?xml version='1.0'?>", '?xml version="1.0"?>', '?xml version="1.0" encoding="UTF-8"?>',
                '?xml version="1.0" encoding="utf-8"?>', "?xml version='1.0' encoding='UTF-8'?>",
                "?xml version='1.0' encoding='utf-8'?>", '?xml version="1.0" encoding="us-ascii"?>')
PARAMETER = ("param>", "value>", "/value>", "/param>")      # what stands around the type and its text
TAGS = 6                # of each parameter
KINDS = {kind: f"/{kind}>" for kind in READERS if kind not in EXTENSIONS}


def call(data: bytes) -> tuple[str, list[object]] | None:
    """The method's name and its parameters; None for what the parser is to look at."""
    if len(data) > LONGEST or data.translate(None, PLAIN):
        return None
    text = data.decode("ascii").rstrip("\n")
    if ">\n<" in text and ">\n</string>" not in text:       # nowhere else does a line feed alone mean anything
        text = text.replace(">\n<", "><")
    before, *tags = text.split("<")     # each with what follows it up to the next
    if tags and tags[0] in DECLARATIONS:
        del tags[0]
    if before or tags[:1] != ["methodCall>"] or tags[-1] != "/methodCall>" or tags[2:3] != ["/methodName>"]:
        return None
    tag, _, name = tags[1].partition(">")
    if tag != "methodName" or not name or len(name) > LONGEST_NAME or not NAME_SIGNS.issuperset(name):
        return None
    if len(tags) == 4:
        return name, []
    if tags[3] != "params>" or tags[-2] != "/params>" or len(tags) % TAGS:
        return None
    values = _values(tags[4:-2])
    return None if values is None else (name, values)


def _values(tags: list[str]) -> list[object] | None:
    """The values of parameters; None where one is not."""
    found: list[object] = []
    for at in range(0, len(tags), TAGS):
        first, second, value, end, third, last = tags[at:at + TAGS]
        kind, _, text = value.partition(">")
        if (first, second, third, last) != PARAMETER or KINDS.get(kind) != end or ">" in text:
            return None
        try:
            found.append(READERS[kind](text))
        except Fault:                   # which the parser tells, with its place
            return None
    return found
