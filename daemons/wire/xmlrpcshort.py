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
BLANKS = " \t\n"
DECLARATIONS = ("?xml version='1.0'?>", '?xml version="1.0"?>', '?xml version="1.0" encoding="UTF-8"?>',
                '?xml version="1.0" encoding="utf-8"?>', "?xml version='1.0' encoding='UTF-8'?>",
                "?xml version='1.0' encoding='utf-8'?>", '?xml version="1.0" encoding="us-ascii"?>')
PARAMETER = 6           # pieces between two "<param>", where there is a type
KINDS = {f"{kind}>": f"/{kind}>" for kind in READERS if kind not in EXTENSIONS}


def call(data: bytes) -> tuple[str, list[object]] | None:
    """The method's name and its parameters; None for what the parser is to look at."""
    if len(data) > LONGEST or data.translate(None, PLAIN) or data[:1] != b"<":
        return None
    pieces = data.decode("ascii").split("<")[1:]        # each a tag, with what follows it up to the next
    if pieces[0].rstrip(BLANKS) in DECLARATIONS:
        del pieces[0]
    bare = [piece.rstrip(BLANKS) for piece in pieces]
    if bare[:1] != ["methodCall>"] or bare[-1] != "/methodCall>" or len(bare) < 4 or bare[2] != "/methodName>":
        return None
    tag, _, name = pieces[1].partition(">")
    if tag != "methodName" or not name or len(name) > LONGEST_NAME or not NAME_SIGNS.issuperset(name):
        return None
    if len(bare) == 4:
        return name, []
    if bare[3] != "params>" or bare[-2] != "/params>" or len(bare) % PARAMETER:
        return None
    values = _values(pieces[4:-2], bare[4:-2])
    return None if values is None else (name, values)


def _values(pieces: list[str], bare: list[str]) -> list[object] | None:
    """The values of parameters, PARAMETER pieces each; None where one is not."""
    found: list[object] = []
    for at in range(0, len(pieces), PARAMETER):
        opening, mark, text = pieces[at + 2].partition(">")
        kind = KINDS.get(opening + mark)
        if (bare[at] != "param>" or bare[at + 1] != "value>" or kind is None or ">" in text or bare[at + 3] != kind
                or bare[at + 4] != "/value>" or bare[at + 5] != "/param>"):
            return None
        try:
            found.append(READERS[opening](text))
        except Fault:                   # which the parser tells, with its place
            return None
    return found
