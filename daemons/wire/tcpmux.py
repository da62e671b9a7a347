"""The TCP port service multiplexer (RFC 1078): a caller names a service in one line, and is answered in one.

    CLNT: MYORG-BILLING<CRLF>
    SERV: +go<CRLF>                 or, if there is no such service, a line that begins with '-'

Names are compared without case.  The name HELP asks for all names, one a line, and the conversation is over.
"""

from collections.abc import Iterable

HELP = "help"
YES, NO = b"+go\r\n", b"-no such service\r\n"


def wanted(line: bytes) -> str:
    """The name in a caller's line, in lower case."""
    return line.rstrip(b"\r\n").decode("latin-1").lower()


def listed(names: Iterable[str]) -> bytes:
    """The answer to HELP."""
    return b"".join(name.encode("utf-8", "surrogateescape") + b"\r\n" for name in names)
