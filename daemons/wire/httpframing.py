"""Where the body of an HTTP/1 request ends: by length, by chunks, or there is none (RFC 9112, 6 and 7).

Everything about which two servers in a row could disagree is refused, and the connection with it.
"""

from .httpfields import VALUE, Fields, tokens
from .httpstatus import Refused

CHUNKED = -1            # in the place of a length
CHUNK_LINE = 1024       # octets of a line before a chunk, with its extensions
DIGITS = 18             # decimal, of a length
HEX_DIGITS = 15         # of a chunk's size
HEX = b"0123456789abcdefABCDEF"
TRAILERS = 64           # lines after the last chunk, which are dropped (RFC 9110, 6.5.1)


def length(minor: int, fields: Fields) -> int:
    """How many octets of body follow a head of HTTP/1.minor, or CHUNKED; raises Refused (400, 501)."""
    coding, size = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        return _coded(minor, coding, size)
    if size is None:
        return 0
    if not (size.isascii() and size.isdigit() and len(size) <= DIGITS):
        raise Refused(400, "not a length", final=True)
    return int(size)


def _coded(minor: int, coding: str, size: str | None) -> int:
    if size is not None:
        raise Refused(400, "both a length and a transfer coding", final=True)
    if minor < 1:
        raise Refused(400, "a transfer coding in HTTP/1.0", final=True)
    codings = tokens(coding)
    if codings == ("chunked",) and coding.lower() == "chunked":
        return CHUNKED
    if codings[-1:] != ("chunked",) or "chunked" in codings[:-1]:
        raise Refused(400, "the last transfer coding is not chunked", final=True)
    raise Refused(501, "an unknown transfer coding", final=True)


def chunk_size(line: bytes) -> int:
    """The size in the line before a chunk, whose extensions are ignored; raises Refused."""
    size, semicolon, extension = line.partition(b";")
    if semicolon:
        size = size.rstrip(b" \t")      # RFC 9112, 7.1.1: blanks there are bad, and known
    if not size or len(size) > HEX_DIGITS or size.translate(None, HEX) or extension.translate(None, VALUE):
        raise Refused(400, "not the size of a chunk", final=True)
    return int(size, 16)


def chunk(data: bytes) -> bytes:
    """Octets as one chunk; an empty one would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
