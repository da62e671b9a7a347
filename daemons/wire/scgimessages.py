"""SCGI requests: the variables of CGI in a netstring, and the body after it (SCGI, version 1, by Neil Schemenauer).

    70:CONTENT_LENGTH<NUL>27<NUL>SCGI<NUL>1<NUL>...,What is the answer to life?

What comes back is a CGI response (cgimessages.parse_head), and ends with the connection.
"""

from collections.abc import Mapping


def head(variables: Mapping[str, str], length: int) -> bytes:
    """What is sent before a body of `length` octets; raises ValueError for a name or value that cannot be told."""
    rows = [("CONTENT_LENGTH", str(length)), ("SCGI", "1"),
            *(row for row in variables.items() if row[0] not in ("CONTENT_LENGTH", "SCGI"))]
    words = [word for row in rows for word in row]
    if any("\0" in word for word in words) or not all(name for name, _ in rows):
        raise ValueError("a NUL, or a variable without a name")
    return netstring(b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words))


def netstring(data: bytes) -> bytes:
    """Octets with their number before them, as Dan Bernstein's netstrings have it."""
    return b"%d:%b," % (len(data), data)
