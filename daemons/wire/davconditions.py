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


def holds(value: str, tag_of: "Callable[[str | None], str | None]") -> bool:
    """Is one of the field's lists true?  Raises Refused (400) for what is none.

    `tag_of(address)` tells the entity tag of what a list is about, None for the request's own target; it returns
    None for what does not exist or has no tag.
    """
    about: str | None = None
    tagged, any_list, true, place, count = False, False, False, _next(value, 0), 0
    while place < len(value):
        if value[place] == "<":
            if any_list and not tagged:
                raise _bad()
            about, place = _until(value, place + 1, ">")
            tagged, place = True, _next(value, place)
            if value[place:place + 1] != "(":
                raise _bad()
        elif value[place] == "(":
            conditions, place = _list(value, _next(value, place + 1))
            any_list, place, count = True, _next(value, place), count + len(conditions)
            if count > MOST:
                raise Refused(400, f"more than {MOST} conditions")
            true = true or all(_is_true(condition, about, tag_of) for condition in conditions)
        else:
            raise _bad()
    if not any_list:
        raise _bad()
    return true


def _list(value: str, place: int) -> tuple[list[tuple[bool, str]], int]:
    """The conditions up to the closing parenthesis, as (is it negated, an entity tag or ""), and what is after it."""
    conditions: list[tuple[bool, str]] = []
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
