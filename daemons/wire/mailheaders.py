"""Header fields of a mail: octets into names and values, as much as a server must understand (RFC 5322).

A server takes what comes: a line that is no field stays where it is and stops nothing, a blank before the colon hides
no field (RFC 5322, 4.5), and lines may end with CR LF or LF.  What decides about trust is strict: one From field, and
addresses in it that can be read in one way only.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

from .httpdate import DAY, MONTHS, SHORT_DAYS, civil, days
from .mailaddresses import Mailbox, mailbox, quoted
from .numbers import number
from .smtpreplies import Refused

MOST = 2000                     # fields of one block
MOST_ADDRESSES = 1000           # that are looked for in one field
LONGEST_DATE = 256              # characters, with all its comments
NAME = bytes([*range(33, 58), *range(59, 127)])         # ftext (RFC 5322, 3.6.8)
BLANK = b" \t"
SPECIALS = "<>@,:;"             # those of RFC 5322, 3.2.3, that part the addresses of a list
ZONES = {"UT": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}


class Field:
    """One field: its `name` in lower case ("" for lines that are none), and its lines as they came."""

    __slots__ = ("name", "raw")

    def __init__(self, name: str, raw: bytes) -> None:
        self.name, self.raw = name, raw

    @property
    def value(self) -> str:
        """What it says, on one line, without the blanks around; octets that are not UTF-8 are surrogates."""
        text = self.raw.partition(b":")[2] if self.name else self.raw
        return text.replace(b"\r", b"").replace(b"\n", b"").strip(BLANK).decode("utf-8", "surrogateescape")


class Fields:
    """The fields of one block, in order."""

    __slots__ = ("_rows",)

    def __init__(self, rows: list[Field]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Field]:
        return iter(self._rows)

    def get(self, name: str) -> str | None:
        """The value of the first field of this name, None without it."""
        return next((row.value for row in self._rows if row.name == name), None)

    def all(self, name: str) -> list[str]:
        """The value of each field of this name."""
        return [row.value for row in self._rows if row.name == name]

    def count(self, name: str) -> int:
        """How many fields have this name."""
        return sum(row.name == name for row in self._rows)

    def without(self, is_unwanted: Callable[[Field], bool]) -> bytes:
        """The block, with its empty line left out, without some of its fields."""
        return b"".join(row.raw for row in self._rows if not is_unwanted(row))


def parse(block: bytes) -> Fields:
    """The fields of a block, up to its empty line or its end; raises Refused for a block of too many."""
    begins: list[int] = []
    place = 0
    while place < len(block):
        end = block.find(b"\n", place) + 1 or len(block)
        if block[place:end] in (b"\n", b"\r\n"):
            break
        if block[place] not in BLANK or not begins:
            begins.append(place)
        place = end
    if len(begins) > MOST:
        raise Refused(554, "5.6.0", f"more than {MOST} header fields")
    rows = [block[begin:end] for begin, end in pairwise([*begins, place])]
    return Fields([Field(_name(row), row) for row in rows])


def _name(line: bytes) -> str:
    name, colon, _ = line.partition(b":")
    name = name.rstrip(BLANK)
    return name.decode("ascii").lower() if colon and name and not name.translate(None, NAME) else ""


def split(message: bytes) -> tuple[bytes, bytes]:
    """The header block with its empty line, and the body, of a message with either kind of line ends."""
    if message.startswith((b"\r\n", b"\n")):
        end = message.find(b"\n") + 1
    else:
        ends = [place + size for sign, size in ((b"\n\r\n", 3), (b"\n\n", 2)) if (place := message.find(sign)) >= 0]
        end = min(ends, default=len(message))
    return message[:end], message[end:]


def hops(fields: Fields) -> int:
    """How many servers have had this mail: far too many, and it goes in circles (RFC 5321, 6.3)."""
    return fields.count("received")


def was_delivered_to(fields: Fields, recipient: Mailbox) -> bool:
    """Has it been in this mailbox before?  Then it is a forward that comes back."""
    there = str(recipient.folded())
    return any(value.lower() == there for value in fields.all("delivered-to"))


def message_id(fields: Fields) -> str | None:
    """The Message-ID with its brackets, or None if there is none of use."""
    value = fields.get("message-id") or ""
    start, end = value.find("<"), value.rfind(">")
    found = value[start:end + 1]
    return found if 0 <= start < end and " " not in found and found.isprintable() else None


def is_resent(fields: Fields) -> bool:
    """Did somebody send it on as it is (RFC 5322, 3.6.6)?"""
    return any(row.name.startswith("resent-") for row in fields)


def author(fields: Fields) -> Mailbox:
    """Who wrote it, for DMARC: the first address of the one From field (RFC 7489, 6.6.1).

    Raises ValueError where there is none, or where not all have the same domain, so nobody can be held to it.
    """
    values = fields.all("from")
    if len(values) != 1:
        raise ValueError(f"{len(values)} From fields" if values else "no From field")
    found = addresses(values[0])
    if not found:
        raise ValueError("a From field without an address")
    if len({one.domain for one in found}) > 1:
        raise ValueError("a From field of several domains")
    return found[0]


def recipients(fields: Fields) -> list[Mailbox]:
    """All to whom it is addressed, once each: of the last sending-on, if it was sent on; raises ValueError."""
    before = "resent-" if is_resent(fields) else ""
    names = [before + name for name in ("to", "cc", "bcc")]
    return list(dict.fromkeys(one for name in names for value in fields.all(name) for one in addresses(value)))


# -- addresses within a field --


def addresses(value: str) -> list[Mailbox]:
    """The mailboxes of an address list, groups opened (RFC 5322, 3.4); raises ValueError where one is not clear."""
    found: list[Mailbox] = []
    words: list[str] = []
    in_brackets = False
    for word in [*_words(value), ","]:
        if word == ":" and not in_brackets:         # the name of a group was before it
            words = []
        elif word in (",", ";") and not in_brackets:
            if words:
                found.append(_address(words))
            words = []
        else:
            words.append(word)
            in_brackets = word == "<" or (in_brackets and word != ">")
        if len(found) > MOST_ADDRESSES:
            raise ValueError("too many addresses")
    if in_brackets:
        raise ValueError("an address without its >")
    return found


def _address(words: list[str]) -> Mailbox:
    """The mailbox of one address: within <>, or all of it."""
    if "<" in words:
        start = words.index("<")
        if words[-1] != ">" or words.count("<") > 1 or words.count(">") > 1 or "@" in words[:start]:
            raise ValueError("an address that can be read in two ways")
        words = words[start + 1:-1]
        if words[:1] == ["@"] and ":" in words:     # a route (RFC 5322, 4.4)
            words = words[words.index(":") + 1:]
    if words.count("@") != 1:
        raise ValueError("an address without its one @")
    at = words.index("@")
    local, where = words[:at], words[at + 1:]
    if any(_is_apart(one, other) for part in (local, where) for one, other in pairwise(part)):
        raise ValueError("an address of several words")
    # a quoted word is told by its quotes; within a local part of several, they mean what they quote (RFC 5322, 4.4)
    plain = "".join(_unquoted(word) if word[0] == '"' else word for word in local)
    return mailbox(f"{quoted(plain)}@{''.join(where)}")


def _is_apart(one: str, other: str) -> bool:
    return not (one.endswith(".") or other.startswith("."))


def _unquoted(word: str) -> str:
    plain, escaped = [], False
    for sign in word[1:-1]:
        if sign == "\\" and not escaped:
            escaped = True
        else:
            plain.append(sign)
            escaped = False
    return "".join(plain)


def _words(value: str) -> Iterator[str]:
    """Atoms, quoted strings with their quotes, literals with their brackets, and specials; no comments, no blanks."""
    place = 0
    while place < len(value):
        sign = value[place]
        if sign in " \t":
            place += 1
        elif sign == "(":
            place = _past_comment(value, place)
        elif sign in SPECIALS:
            yield sign
            place += 1
        else:
            end = _past_enclosed(value, place, {'"': '"', "[": "]"}[sign]) if sign in '"[' else _past_atom(value, place)
            yield value[place:end]
            place = end


def _past_atom(value: str, place: int) -> int:
    while place < len(value) and value[place] not in ' \t("[' + SPECIALS:
        place += 1
    return place


def _past_enclosed(value: str, place: int, last: str) -> int:
    """After the sign that closes what opens here; a backslash hides the next one."""
    place += 1
    while place < len(value) and value[place] != last:
        place += 2 if value[place] == "\\" else 1
    if place >= len(value):
        raise ValueError(f"no {last} to the end")
    return place + 1


def _past_comment(value: str, place: int) -> int:
    """After a comment, in which others may be (RFC 5322, 3.2.2)."""
    depth = 0
    while place < len(value):
        sign = value[place]
        depth += (sign == "(") - (sign == ")")
        place += 2 if sign == "\\" else 1
        if not depth:
            return place
    raise ValueError("a comment without an end")


def without_comments(value: str) -> str:
    """A structured value without its comments; raises ValueError."""
    pieces, place = [], 0
    while (start := value.find("(", place)) >= 0:
        quote = value.find('"', place, start)
        end = _past_enclosed(value, quote, '"') if quote >= 0 else _past_comment(value, start)
        pieces.append(value[place:end] if quote >= 0 else value[place:start] + " ")
        place = end
    return "".join([*pieces, value[place:]]).strip(" \t")


# -- dates --


def date(value: str) -> int | None:
    """The seconds since 1970 that a date-time tells, or None (RFC 5322, 3.3; the old forms of 4.3 as well)."""
    if len(value) > LONGEST_DATE:
        return None
    try:
        words = without_comments(value).replace(",", " ").split()
        if words and words[0].title() in SHORT_DAYS:
            words = words[1:]
        day, month, year, clock, *zone = words
        hour, minute, *seconds = [number(part, most=60) for part in clock.split(":")]
        whole = days(_year(year), MONTHS.index(month.title()) + 1, number(day, 1, 31))
        if civil(whole) != (_year(year), MONTHS.index(month.title()) + 1, number(day)) or len(seconds) > 1 \
                or hour > 23 or minute > 59 or len(zone) > 1:
            return None
        return whole * DAY + hour * 3600 + (minute - _zone(zone)) * 60 + sum(seconds)
    except ValueError:          # too few words, no number, no month: it is no date
        return None


def _year(word: str) -> int:
    """A year; of two or three digits as RFC 5322, 4.3 reads them."""
    year = number(word, most=9999)
    if len(word) >= 4:
        return year
    return year + (2000 if len(word) == 2 and year < 50 else 1900)


def _zone(words: list[str]) -> int:
    """Minutes east of Greenwich; a zone that nobody knows is counted as -0000 (RFC 5322, 4.3)."""
    word = words[0].upper() if words else "-0000"
    if word[0] in "+-":
        digits = word[1:]
        if len(digits) != 4:
            raise ValueError("a zone has four digits")
        minutes = number(digits[:2]) * 60 + number(digits[2:], most=59)
        return -minutes if word[0] == "-" else minutes
    return ZONES.get(word, 0) * 60
