"""Forwarded requests: what proxies say of those whom they speak for (X-Forwarded-For, and Forwarded of RFC 7239).

Both are lists to which each proxy adds whom it heard, so the last entry is that of the proxy that talks to us, and
the first whatever a client made up.  Nothing here says whom to believe: web/clients.py does.
"""

from .httpfields import TOKEN, is_token

MOST = 64               # entries that are looked at
UNKNOWN = "unknown"     # RFC 7239, 6.2, and what proxies write into X-Forwarded-For
PORT = "0123456789"
BLANKS = " \t"


class Element:
    """One proxy's report: whom it heard (`host`, an address or ""), and which `proto` and `named` host were asked."""

    __slots__ = ("host", "named", "proto")

    def __init__(self, host: str, proto: str = "", named: str = "") -> None:
        self.host, self.proto, self.named = host, proto, named


def addresses(value: str) -> list[str]:
    """The addresses of an X-Forwarded-For field, the last MOST of them, without ports; "" where there is none."""
    return [_address(one.strip(BLANKS)) for one in value.split(",")[-MOST:]]


def elements(value: str) -> list[Element]:
    """The elements of a Forwarded field, the last MOST of them; raises ValueError for what is no such field."""
    found = []
    for pairs in _split(value):
        known = dict(pairs)
        if len(known) < len(pairs):     # RFC 7239, 4: each parameter once
            raise ValueError("a parameter that is there twice")
        if known:
            found.append(Element(_address(known.get("for", "")), known.get("proto", "").lower(),
                                 known.get("host", "")))
    return found[-MOST:]


def _address(text: str) -> str:
    """A node's address without its port; "" for what can be none (RFC 7239, 6)."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        good = bracket and ":" in host and (not rest or (rest[0] == ":" and not rest[1:].strip(PORT)))
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        good = not port.strip(PORT)
    else:
        host, good = text, True
    return host.lower() if good and host and not host.strip("0123456789abcdefABCDEF.:") else ""


def _split(value: str) -> list[list[tuple[str, str]]]:
    """The pairs of each element; names in lower case, values without their quotes."""
    found: list[list[tuple[str, str]]] = [[]]
    place, size = 0, len(value)
    while place < size:
        if value[place] in BLANKS or value[place] == ";":
            place += 1
        elif value[place] == ",":
            found.append([])
            place += 1
        else:
            name, place = _token(value, place)
            if value[place:place + 1] != "=":
                raise ValueError("a parameter without a value")
            text, place = _quoted(value, place + 2) if value[place + 1:place + 2] == '"' else _token(value, place + 1)
            if value[place:place + 1] not in ("", ",", ";", *BLANKS):
                raise ValueError("a value that goes on behind its end")
            found[-1].append((name.lower(), text))
    return found


def _token(value: str, place: int) -> tuple[str, int]:
    start = place
    while place < len(value) and value[place].isascii() and ord(value[place]) in TOKEN:
        place += 1
    if place == start:
        raise ValueError("not a token")
    return value[start:place], place


def _quoted(value: str, place: int) -> tuple[str, int]:
    """The text of a quoted string that began before `place`, and the place behind it (RFC 9110, 5.6.4)."""
    text = []
    while place < len(value) and value[place] != '"':
        if value[place] == "\\":
            place += 1
        text.append(value[place:place + 1])
        place += 1
    if place >= len(value):
        raise ValueError("a quoted string without its end")
    return "".join(text), place + 1


# -- what we say --


def with_address(before: str | None, host: str) -> str:
    """An X-Forwarded-For field that goes on with `host`, "" where a client has no address."""
    own = host or UNKNOWN
    return f"{before}, {own}" if before else own


def with_element(before: str | None, element: Element) -> str:
    """A Forwarded field that goes on with an element."""
    host = f"[{element.host}]" if ":" in element.host else element.host or UNKNOWN
    pairs = [("for", host), ("host", element.named), ("proto", element.proto)]
    own = ";".join(f"{name}={_written(text)}" for name, text in pairs if text)
    return f"{before}, {own}" if before else own


def _written(text: str) -> str:
    if is_token(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
