"""Conditional requests: is what the client has, or believes to be there, still so (RFC 9110, 13)?

Entity tags are text as it stands in the ETag field, quotes and W/ and all.  Of a resource that does not exist the
tag is None; of one that exists and has no tag it is "".
"""

from daemons.wire import httpdate

GO_ON, NOT_MODIFIED, PRECONDITION_FAILED = 0, 304, 412
UNCONDITIONAL = ("CONNECT", "OPTIONS", "TRACE")     # RFC 9110, 13.2.1: these select no representation
WEAK = "W/"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Fields(Protocol):
        """What outcome() needs of a request's fields: their values by name in lower case."""

        def get(self, name: str, /) -> str | None:
            """The value, or None."""


def outcome(method: str, fields: "Fields", etag: str | None, modified: int | None, now: int) -> int:
    """GO_ON, or the status that a request is answered with for its conditions, taken in the order of 13.2.2.

    `modified` and `now` are seconds since 1970; `modified` is None where no date is known.
    """
    if method in UNCONDITIONAL:
        return GO_ON
    value = fields.get("if-match")
    if value is not None:
        if not _matches(value, etag, weak=False):
            return PRECONDITION_FAILED
    elif modified is not None and (value := fields.get("if-unmodified-since")) is not None:
        date = httpdate.parse(value, now)
        if date is not None and modified > date:
            return PRECONDITION_FAILED
    reads = method in ("GET", "HEAD")
    value = fields.get("if-none-match")
    if value is not None:
        if _matches(value, etag, weak=True):
            return NOT_MODIFIED if reads else PRECONDITION_FAILED
    elif reads and modified is not None and (value := fields.get("if-modified-since")) is not None:
        date = httpdate.parse(value, now)
        # a date that our clock has not reached tells nothing of what the client has
        if date is not None and modified <= date <= now:
            return NOT_MODIFIED
    return GO_ON


def if_range(value: str, etag: str | None, modified: int | None) -> bool:
    """Does the If-Range field name exactly what is there, so that its Range counts (RFC 9110, 13.1.5)?

    Give None for `modified` while the file may change once more within that second: its date is weak then (8.8.2.2).
    """
    if '"' in value[:3]:
        return value == etag and _tag_end(value, 0) == len(value) and not value.startswith(WEAK)
    # two digits of a year stand for that century which would make the dates equal
    return modified is not None and httpdate.parse(value, modified) == modified


def tags(text: str) -> list[str] | None:
    """The entity tags of a list (RFC 9110, 8.8.3); None where anything in it is not one."""
    found, place = [], _next(text, 0)
    while place < len(text):
        end = _tag_end(text, place)
        if end < 0:
            return None
        found.append(text[place:end])
        place = _next(text, end)
        if place < len(text) and "," not in text[end:place]:
            return None
    return found


def _matches(value: str, etag: str | None, weak: bool) -> bool:
    """Does an If-Match or If-None-Match field name this tag?  A list with a mistake in it names none."""
    if etag is None:
        return False
    if value == "*":
        return True
    if not etag or (not weak and etag.startswith(WEAK)):
        return False
    if value == etag:                   # by far the most frequent
        return True
    listed = tags(value) or []
    if weak:                            # RFC 9110, 8.8.3.2
        return etag.removeprefix(WEAK) in [tag.removeprefix(WEAK) for tag in listed]
    return etag in listed


def _tag_end(text: str, place: int) -> int:
    """Where the entity tag that begins here ends, or -1 if none does."""
    start = place + 2 if text.startswith(WEAK, place) else place
    if text[start:start + 1] != '"':
        return -1
    end = text.find('"', start + 1)
    return end + 1 if end >= 0 and _is_opaque(text[start + 1:end]) else -1


def _is_opaque(text: str) -> bool:
    if text.isascii():
        return " " not in text and text.isprintable()
    return all("!" <= sign <= "~" or "\x80" <= sign <= "\xff" for sign in text)


def _next(text: str, place: int) -> int:
    """The place after spaces, tabs and commas."""
    while place < len(text) and text[place] in " \t,":
        place += 1
    return place
