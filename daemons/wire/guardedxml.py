"""XML from strangers: read by expat, with all of XML refused that makes much of little or leads elsewhere.

No document type is taken: entities, external or not, could only come from one.  A document is never longer nor its
elements deeper than is said here, and its encoding is one of those that every reader knows.
"""

from pyexpat import ErrorString, ExpatError, ParserCreate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

MOST = 65536            # octets of a document
DEPTH = 32              # elements within each other
PIECE = 4096            # octets that the parser is given at a time: told to stop, it goes on to the end of them
PROLOG_PIECE = 64       # the same before the first element, so that a document type says nothing before it is refused
ENCODINGS = ("utf-8", "utf-16", "us-ascii", "iso-8859-1")       # RFC 4918, 19, wants the first two

Name = tuple[str, str]  # of an element: its namespace, "" without one, and its local name


class Unreadable(ValueError):
    """XML that cannot be read, or is not to be; the sentence says why."""


def read(data: bytes, begin: "Callable[[Name], None]", end: "Callable[[Name], None]",
         text: "Callable[[str], None] | None" = None) -> None:
    """Call `begin` and `end` for each element in turn, and `text` for what stands between; raises Unreadable."""
    if len(data) > MOST:
        raise Unreadable(f"more than {MOST} octets of XML")
    depth, begun = 0, False

    def started(tag: str, _: object) -> None:
        nonlocal depth, begun
        depth, begun = depth + 1, True
        if depth > DEPTH:
            raise Unreadable(f"elements more than {DEPTH} deep")
        begin(_name(tag))

    def ended(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(_name(tag))

    parser = ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = started, ended, text
    parser.XmlDeclHandler = _declared
    # the first comes before all others could; they are here for parsers that see things otherwise
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.NotationDeclHandler = _refuse
    parser.UnparsedEntityDeclHandler = parser.ExternalEntityRefHandler = _refuse
    if hasattr(parser, "SetReparseDeferralEnabled"):            # MOST does what this is for
        parser.SetReparseDeferralEnabled(False)
    try:
        start = 0
        while start < len(data):
            size = PIECE if begun else PROLOG_PIECE
            parser.Parse(data[start:start + size], False)
            start += size
        parser.Parse(b"", True)
    except ExpatError as error:
        raise Unreadable(f"not well-formed: {ErrorString(error.code)}, line {error.lineno}") from None
    finally:                            # it would else hold us, and we it
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None


def escaped(text: str) -> str:
    """Text as it stands between tags or in an attribute; what XML has no way to write (XML 1.0, 2.2) is U+FFFD."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    if text.isprintable():              # most text is
        return text
    return "".join(f"&#{ord(sign)};" if sign in "\t\n\r" else sign if _is_char(sign) else "\ufffd" for sign in text)


def _is_char(sign: str) -> bool:
    return " " <= sign <= "\ud7ff" or "\ue000" <= sign <= "\ufffd" or sign >= "\U00010000"


def _name(tag: str) -> Name:
    namespace, _, local = tag.rpartition(" ")
    return namespace, local


def _declared(version: str, encoding: "str | None", standalone: int) -> None:
    if encoding and encoding.lower() not in ENCODINGS:
        raise Unreadable(f"the encoding must be {', '.join(ENCODINGS)}, not {encoding[:40]!a}")


def _refuse(*what: object) -> "NoReturn":
    raise Unreadable("a document type or entity is not taken here")
