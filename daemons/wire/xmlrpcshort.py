"""Short calls in XML-RPC, as nearly all clients write them, read without a parser: it would take longer to make one.

Taken is what is in ASCII and has scalars alone, with no attribute, comment or reference anywhere.  All else, right or
wrong, is for xmlrpcmessages.py, and what is taken here comes out there as the same; a test holds the two together.
"""

import re

from .faults import Fault
from .xmlrpcmessages import LONGEST_NAME
from .xmlrpcvalues import EXTENSIONS, READERS

LONGEST = 4096          # octets: beyond, the parser is the faster one
# a reference begins with &, a parser makes LF of CR, other controls are not XML, and > may be a part of ]]>
TEXT = r"[\t\n -%'-;=?-~]*"
KINDS = "|".join(re.escape(kind) for kind in READERS if kind not in EXTENSIONS)
DECLARATION = r"""<\?xml version=(?:'1\.0'|"1\.0")(?: encoding=(?:'utf-8'|"utf-8"|'UTF-8'|"UTF-8"|"us-ascii"))?\?>"""
PARAMETER = r"<param>\n?<value>\n?<({kinds})>({text})</\{kind}>\n?</value>\n?</param>\n?"
ONE = re.compile(PARAMETER.format(kinds=KINDS, text=TEXT, kind=1).encode())
CALL = re.compile(
    rf"(?:{DECLARATION}\n?)?<methodCall>\n?<methodName>([A-Za-z0-9_.:/-]{{1,{LONGEST_NAME}}})</methodName>\n?"
    rf"(?:<params>\n?((?:{PARAMETER.format(kinds=KINDS, text=TEXT, kind=3)})*)</params>\n?)?</methodCall>\n*".encode())


def call(data: bytes) -> tuple[str, list[object]] | None:
    """The method's name and its parameters; None for what the parser is to look at."""
    found = CALL.fullmatch(data) if len(data) <= LONGEST else None
    if found is None:
        return None
    try:
        values = [READERS[kind.decode()](text.decode()) for kind, text in ONE.findall(found[2] or b"")]
    except Fault:                       # which the parser tells, with its place
        return None
    return found[1].decode(), values
