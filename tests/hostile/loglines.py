"""A reader of our log's lines (`event key=value ...`), as strict as a review tool: what it takes, it gives back.

    parse('close session=1f reason="a \\"b\\"" why=\\x1b')      ("close", {"session": b"1f", ...})

Strict means: an event's name, then pairs with one space between, printable characters only, values quoted exactly
where they hold a space, a quote or an equals sign, and no escapes but those that `daemons.kernel.log` writes.
"""

import re

from daemons.kernel.log import LONGEST

CUT = re.compile(r"\.\.\.\((\d+)\)\Z")          # how a value ends that was too long
_NAME = re.compile(r"[A-Za-z][A-Za-z-]*")
_KEY = re.compile(r" ([a-z]+)=")
_ESCAPE = re.compile(r'\\(?:(\\)|(")|x([0-9a-f]{2})|u([0-9a-f]{4}))')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BARE = re.compile(r'[^ "=]+')


class Unreadable(ValueError):
    """This is no line of ours."""


def parse(text):
    """(event, {key: octets}) of a line without its syslog head; raises Unreadable."""
    if not text.isprintable():
        raise Unreadable(f"characters that a terminal obeys: {text!r}")
    if len(text.encode()) > LONGEST:
        raise Unreadable(f"a line of {len(text)} characters")
    name = _NAME.match(text)
    if not name:
        raise Unreadable(f"no event: {text!r}")
    values, place = {}, name.end()
    while place < len(text):
        key = _KEY.match(text, place)
        value = key and (_QUOTED.match(text, key.end()) or _BARE.match(text, key.end()))
        if value is None:
            if len(text.encode()) > LONGEST - 100:      # a line may be cut where nothing of it could be split
                return name[0], values
            raise Unreadable(f"no key=value at {place}: {text[place:place + 40]!r}")
        if key[1] in values:
            raise Unreadable(f"{key[1]} twice: {text!r}")
        values[key[1]] = octets(value[1] if value.re is _QUOTED else value[0], value.re is _QUOTED)
        place = value.end()
    return name[0], values


def octets(word, quoted):
    """What a value says, as the peer said it; raises Unreadable for an escape or quotes that we never write."""
    if quoted and word and not re.search(r'[ "=]', word):
        raise Unreadable(f"quoted without need: {word!r}")
    found, place = bytearray(), 0
    while place < len(word):
        if word[place] != "\\":
            found += word[place].encode()
            place += 1
            continue
        escape = _ESCAPE.match(word, place)
        if not escape:
            raise Unreadable(f"no escape of ours: {word[place:place + 6]!r}")
        slash, quote, pair, half = escape.groups()
        found += (slash or quote or "").encode() or (bytes([int(pair, 16)]) if pair else
                                                    chr(int(half, 16)).encode("utf-8", "surrogatepass"))
        place = escape.end()
    return bytes(found)
