"""Lines of the log as files keep them: when, from whom, and the event with its values.

    Nov 24 12:00:00 host echod[41]: close session=0badcafe reason=done          RFC 3164, 4.1, as syslogd writes it
    2026-11-24T12:00:00.000000+01:00 host echod[41]: ...                        rsyslog's own form

The event is one word, its values are key=value, quoted where they hold a blank; see quoted() in kernel/log.py.
"""

LONGEST = 8192                  # characters of a line: no receiver of syslog keeps more


class EventLine:
    """One event: `when` as the line has it, the program's `ident` and `pid`, the event's `name` and `values`."""

    __slots__ = ("ident", "name", "pid", "values", "when")

    def __init__(self, when: str, ident: str, pid: int, name: str, values: dict[str, str]) -> None:
        self.when, self.ident, self.pid, self.name, self.values = when, ident, pid, name, values


def parse(line: str) -> EventLine | None:
    """The event of a line; None where it holds none of our form."""
    if len(line) > LONGEST:
        return None
    stamp = 1 if line[:4].isdigit() else 3      # words of the date
    words = line.split(None, stamp + 1)
    if len(words) < stamp + 2:
        return None
    tag, colon, text = words[-1].partition(": ")
    ident, _, pid = tag.partition("[")
    name, _, rest = text.partition(" ")
    values = _values(rest)
    if not colon or " " in tag or values is None or not name.replace("-", "").isalpha():
        return None
    number = pid.removesuffix("]")
    return EventLine(" ".join(words[:stamp]), ident, int(number) if _is_number(number) else 0, name, values)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _values(text: str) -> dict[str, str] | None:
    """The values behind an event's name; None where the text is no such list."""
    found: dict[str, str] = {}
    while text := text.lstrip(" "):
        key, equals, rest = text.partition("=")
        if not equals or not key.isalpha():
            return None
        if not rest.startswith('"'):
            value, _, text = rest.partition(" ")
        else:
            end = _closing(rest)
            if not end:
                return None
            value, text = rest[1:end], rest[end + 1:]
        found[key] = _unquoted(value)
    return found


def _closing(text: str) -> int:
    """Where the quote ends that the text begins with; 0 if it does not (the line was cut)."""
    place = 1
    while (place := text.find('"', place)) > 0:
        slashes = len(text[:place]) - len(text[:place].rstrip("\\"))
        if not slashes % 2:
            return place
        place += 1
    return 0


def _unquoted(value: str) -> str:
    """A value as it was, with \\xNN octets put together again."""
    if "\\" not in value:
        return value
    out, place = bytearray(), 0
    while place < len(value):
        sign = value[place]
        if sign == "\\" and value[place + 1:place + 2] == "x" and _is_hex(value[place + 2:place + 4]):
            out.append(int(value[place + 2:place + 4], 16))
            place += 4
        elif sign == "\\" and place + 1 < len(value):
            out += value[place + 1].encode("utf-8", "surrogateescape")
            place += 2
        else:
            out += sign.encode("utf-8", "surrogateescape")
            place += 1
    return out.decode("utf-8", "replace")


def _is_hex(text: str) -> bool:
    return len(text) == 2 and not text.strip("0123456789abcdefABCDEF")
