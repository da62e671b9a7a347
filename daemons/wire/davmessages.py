"""WebDAV's messages: what PROPFIND and PROPPATCH ask for, and the multistatus that answers (RFC 4918, 9 and 14).

A property is named as guardedxml names elements: (namespace, local name).  Addresses are given as they stand in a
URI; a file's name never comes here in another way, so what it holds cannot end an element.
"""

from . import guardedxml
from .guardedxml import Name, Unreadable, escaped
from .httpdate import imf
from .httpstatus import REASONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DAV, XML = "DAV:", "http://www.w3.org/XML/1998/namespace"
NAMES = 100             # properties in one request: each is told of for each file in a folder
ALL, NAMES_ONLY, SOME = "allprop", "propname", "prop"
OF_FILES = ("getcontentlength", "getcontenttype", "getetag", "getlastmodified", "resourcetype")
OF_FOLDERS = ("getlastmodified", "resourcetype")
QUOTA = ("quota-available-bytes", "quota-used-bytes")           # RFC 4331: never part of allprop
# what only a server changes (RFC 4918, 15; RFC 4331), whether we have it or not
PROTECTED = frozenset((*OF_FILES, *QUOTA, "creationdate", "lockdiscovery", "supportedlock"))
CONTENT_TYPE = "application/xml; charset=utf-8"
PROLOG = '<?xml version="1.0" encoding="utf-8"?>\n'
BEGIN, END = f'{PROLOG}<D:multistatus xmlns:D="{DAV}">\n', "</D:multistatus>\n"
COLLECTION = "<D:collection/>"


class Find:
    """What a PROPFIND asks for: `kind` is ALL, NAMES_ONLY or SOME, `names` the properties that it lists."""

    __slots__ = ("kind", "names")

    def __init__(self, kind: str, names: tuple[Name, ...] = ()) -> None:
        self.kind, self.names = kind, names


class Resource:
    """What is told of a file or folder: its address, and of files octets, media type and entity tag.

    `modified` is in seconds since 1970.  `space` is (free, used) in octets where that is known, of a folder.
    """

    __slots__ = ("etag", "href", "is_folder", "kind", "modified", "size", "space")

    def __init__(self, href: str, is_folder: bool, modified: float, size: int = 0, kind: str = "", etag: str = "",
                 space: tuple[int, int] | None = None) -> None:
        self.href, self.is_folder, self.modified, self.size, self.kind = href, is_folder, modified, size, kind
        self.etag, self.space = etag, space


# -- requests --


def parse_propfind(data: bytes) -> Find:
    """What a PROPFIND's body asks for; all properties, if there is none (RFC 4918, 9.1).  Raises Unreadable."""
    if not data:
        return Find(ALL)
    names: dict[Name, None] = {}        # each once, in order
    kinds: list[str] = []

    def element(path: list[Name]) -> None:
        if len(path) == 2 and path[1] in ((DAV, ALL), (DAV, NAMES_ONLY), (DAV, SOME)):
            kinds.append(path[1][1])
        elif len(path) == 3 and path[1] in ((DAV, SOME), (DAV, "include")):
            names[path[2]] = None
            _count(names)

    _walk(data, (DAV, "propfind"), element)
    if len(kinds) != 1:
        raise Unreadable("a propfind asks for one of allprop, propname and prop")
    return Find(kinds[0], tuple(names) if kinds[0] != NAMES_ONLY else ())


def parse_proppatch(data: bytes) -> list[tuple[bool, Name]]:
    """What a PROPPATCH would do, in order: (is it set, or else removed, the property); raises Unreadable."""
    wishes: list[tuple[bool, Name]] = []

    def element(path: list[Name]) -> None:
        if len(path) == 4 and path[2] == (DAV, "prop") and path[1] in ((DAV, "set"), (DAV, "remove")):
            wishes.append((path[1][1] == "set", path[3]))
            _count(wishes)

    _walk(data, (DAV, "propertyupdate"), element)
    if not wishes:
        raise Unreadable("a propertyupdate that updates nothing")
    return wishes


def _walk(data: bytes, root: Name, element: "Callable[[list[Name]], None]") -> None:
    """Call `element` with the way from the root to each element; what is unknown is not minded (RFC 4918, 17)."""
    path: list[Name] = []

    def begin(name: Name) -> None:
        if not path and name != root:
            raise Unreadable(f"not a {root[1]}")
        path.append(name)
        element(path)

    guardedxml.read(data, begin, lambda _: path.pop() and None)


def _count(names: "dict[Name, None] | list[tuple[bool, Name]]") -> None:
    if len(names) > NAMES:
        raise Unreadable(f"more than {NAMES} properties")


# -- replies --


class Listing:
    """Writes what a PROPFIND asks for, one resource after another, between BEGIN and END."""

    def __init__(self, find: Find) -> None:
        self.find = find
        self._missing: dict[tuple[bool, bool], str] = {}        # what is told of the properties that there are none

    def response(self, of: Resource) -> str:
        """The response element of a resource."""
        find, live = self.find, OF_FOLDERS if of.is_folder else OF_FILES
        if find.kind == NAMES_ONLY:
            return response(of.href, propstat(200, "".join(map(_live, live))))
        wanted = [local for namespace, local in find.names if namespace == DAV]
        shown = [local for local in live if find.kind == ALL or local in wanted]
        if of.space is not None:
            shown += [local for local in QUOTA if local in wanted]
        found = propstat(200, "".join([_live(local, _content(of, local)) for local in shown])) if shown else ""
        return response(of.href, found + self._rest(of, shown) or propstat(200, ""))

    def _rest(self, of: Resource, shown: list[str]) -> str:
        """What is told of wanted properties that this kind of resource has not: the same for all of the kind."""
        key = of.is_folder, of.space is not None
        if key not in self._missing:
            rest = [name for name in self.find.names if name[0] != DAV or name[1] not in shown]
            self._missing[key] = propstat(404, "".join(map(element, rest))) if rest else ""
        return self._missing[key]


def response(href: str, propstats: str) -> str:
    """A response element that tells of properties."""
    return f"<D:response><D:href>{escaped(href)}</D:href>{propstats}</D:response>\n"


def propstat(status: int, properties: str, condition: str = "", description: str = "") -> str:
    """What became of some properties, which are elements already; `condition` is one of RFC 4918, 16."""
    error = f"<D:error><D:{condition}/></D:error>" if condition else ""
    told = f"<D:responsedescription>{escaped(description)}</D:responsedescription>" if description else ""
    return f"<D:propstat><D:prop>{properties}</D:prop>{_status(status)}{error}{told}</D:propstat>"


def element(name: Name) -> str:
    """An empty element of this name."""
    namespace, local = name
    if namespace == DAV:
        return f"<D:{local}/>"
    if namespace == XML:                # no other prefix may stand for it
        return f"<xml:{local}/>"
    return f'<x:{local} xmlns:x="{escaped(namespace)}"/>' if namespace else f"<{local}/>"


def patched(href: str, wishes: "Iterable[tuple[bool, Name]]") -> str:
    """The multistatus of a PROPPATCH, of which nothing was done, unless it was to remove what is not there.

    Ours cannot be changed and others are not kept; then what could have been done was not (RFC 4918, 9.2).
    """
    wishes = list(wishes)
    ours = "".join(element(name) for _, name in wishes if _is_protected(name))
    others = "".join(element(name) for is_set, name in wishes if is_set and not _is_protected(name))
    gone = "".join(element(name) for is_set, name in wishes if not is_set and not _is_protected(name))
    rows = ""
    if ours:
        rows += propstat(403, ours, "cannot-modify-protected-property")
    if others:
        rows += propstat(403, others, description="This server keeps no properties that clients make up.")
    if gone:
        rows += propstat(424 if rows else 200, gone)
    return f"{BEGIN}{response(href, rows)}{END}"


def failures(rows: "Iterable[tuple[str, int]]") -> str:
    """The multistatus of a request that failed for these (address, status)."""
    told = "".join(f"<D:response><D:href>{escaped(href)}</D:href>{_status(status)}</D:response>\n"
                   for href, status in rows)
    return f"{BEGIN}{told}{END}"


def error(condition: str) -> str:
    """The body of a reply that says which precondition was not met (RFC 4918, 16)."""
    return f'{PROLOG}<D:error xmlns:D="{DAV}"><D:{condition}/></D:error>\n'


def _is_protected(name: Name) -> bool:
    return name[0] == DAV and name[1] in PROTECTED


def _status(status: int) -> str:
    return f"<D:status>HTTP/1.1 {status} {REASONS.get(status, '')}</D:status>"


def _live(local: str, content: str = "") -> str:
    return f"<D:{local}>{content}</D:{local}>" if content else f"<D:{local}/>"


def _content(of: Resource, local: str) -> str:
    """The value of a live property, as it stands in its element (RFC 4918, 15)."""
    if local == "resourcetype":
        return COLLECTION if of.is_folder else ""
    if local == "getlastmodified":
        return _date(of.modified)
    if local == "getcontentlength":
        return str(of.size)
    if local in QUOTA:
        return str(of.space[QUOTA.index(local)]) if of.space is not None else ""
    return escaped(of.kind if local == "getcontenttype" else of.etag)


def _date(seconds: float) -> str:
    """Empty for a year that HTTP's dates cannot tell: one strange file must not hide the others."""
    try:
        return imf(seconds)
    except ValueError:
        return ""
