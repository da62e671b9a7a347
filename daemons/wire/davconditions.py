"""The If field of WebDAV, for a server without locks (RFC 4918, 10.4).

    If: (["tag"] <urn:uuid:of-a-lock>) (Not <DAV:no-lock>)
    If: </share/file> (["tag"])

It cannot be passed over: a client that sends it relies on a change not being made where it does not hold.  No state
token is ever true here, since nobody was given one; entity tags and `Not` mean what they always do.
"""

from .httpstatus import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 100              # tokens and tags in one field

Conditions = list[tuple[bool, str]]     # (is it negated, an entity tag, or "" for a state token)


def holds(value: str, tag_of: "Callable[[str | None], str | None]") -> bool:
    """Is one of the field's lists true?  Raises Refused (400) for what is no If field.

    `tag_of(address)` tells the entity tag of what a list is about, None for the request's own target; it returns
    None for what does not exist or has no tag.
    """
    return any(all(_is_true(condition, about, tag_of) for condition in conditions)
               for about, conditions in parse(value))


def parse(value: str) -> list[tuple[str | None, Conditions]]:
    """The lists of a field, each with the address it is about, None for the request's own; raises Refused (400)."""
    lists: list[tuple[str | None, Conditions]] = []
    about: str | None = None
    place, count = _next(value, 0), 0
    while place < len(value):
        if value[place] == "<":
            if lists and about is None:         # all lists are tagged, or none
                raise _bad()
            about, place = _until(value, place + 1, ">")
            place = _next(value, place)
        if value[place:place + 1] != "(":
            raise _bad()
        conditions, place = _list(value, _next(value, place + 1))
        lists.append((about, conditions))
        place, count = _next(value, place), count + len(conditions)
        if count > MOST:
            raise Refused(400, f"more than {MOST} conditions")
    if not lists:
        raise _bad()
    return lists


def _list(value: str, place: int) -> tuple[Conditions, int]:
    """The conditions up to the closing parenthesis, and the place after it."""
    conditions: Conditions = []
    while value[place:place + 1] != ")":
        negated = value[place:place + 3].lower() == "not"
        if negated:
            place = _next(value, place + 3)
        sign, tag = value[place:place + 1], ""
        if sign == "<":
            _, place = _until(value, place + 1, ">")
        elif sign == "[":
            tag, place = _until(value, place + 1, '"]')
            tag, place = f'{tag}"', place + 1
            if not tag.removeprefix("W/").startswith('"'):
                raise _bad()
        else:
            raise _bad()
        conditions.append((negated, tag))
        place = _next(value, place)
    if not conditions:
        raise _bad()
    return conditions, place + 1


def _is_true(condition: tuple[bool, str], about: str | None, tag_of: "Callable[[str | None], str | None]") -> bool:
    negated, tag = condition
    # a weak tag never equals another (RFC 9110, 8.8.3.2)
    return (bool(tag) and not tag.startswith("W/") and tag_of(about) == tag) != negated


def _until(value: str, place: int, sign: str) -> tuple[str, int]:
    """What stands before a sign, which is not nothing, and the place after its first character."""
    end = value.find(sign, place)
    if end <= place:
        raise _bad()
    return value[place:end], end + 1


def _next(value: str, place: int) -> int:
    while value[place:place + 1] in (" ", "\t"):
        place += 1
    return place


def _bad() -> Refused:
    return Refused(400, "not an If field")
