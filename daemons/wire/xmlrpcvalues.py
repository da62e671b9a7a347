"""XML-RPC's scalars as Python values, and all values as XML (Winer's specification of 1999, revised in 2003).

    i4 int             int of 32 bits                 string              str
    boolean            bool                           base64              bytes
    double             float                          struct              dict
    dateTime.iso8601   datetime.datetime, no zone     array               list
    i8, nil            int of 64 bits, None: extensions that both sides must want

What a text may be is what the specification says: a sign and digits, no blanks around them.  Two things that it leaves
out are read because clients send them (an exponent, dashes in a date), and neither is ever written.
"""

from collections.abc import Callable

from daemons.wire.faults import APPLICATION_ERROR, INVALID_REQUEST, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

DEPTH = 64                      # structs and arrays within each other
LONGEST_NUMBER = 400            # characters of a double: the longest that mean something have 325 or so
BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

# what XML 1.0 has no way to write, not even as a reference (2.2, Char); lone surrogates are found when encoding
_FORBIDDEN = frozenset(map(chr, range(32))) - frozenset("\t\n\r") | {"\ufffe", "\uffff"}


# -- text to value --


def scalar(kind: str, text: str) -> object:
    """The value of a scalar element of this kind with this text.  Raises Fault, and ValueError for no such kind."""
    reader = READERS.get(kind)
    if reader is None:
        raise ValueError(f"no kind {kind[:20]!r}")
    return reader(text)


def _int(text: str, bits: int = 32) -> int:
    if len(text) < 10 and text.isascii() and text.isdigit():    # nearly all are
        return int(text)
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise _bad("not a whole number", text)
    significant = digits.lstrip("0") or "0"
    value = int(significant) if len(significant) < 20 else 1 << 64      # int() takes its time over a million digits
    if text[0] == "-":
        value = -value
    if not -1 << (bits - 1) <= value < 1 << (bits - 1):
        raise _bad(f"not within {bits} bits", text)
    return value


def _long(text: str) -> int:
    return _int(text, 64)


def _boolean(text: str) -> bool:
    if text not in ("0", "1"):
        raise _bad("a boolean is 0 or 1", text)
    return text == "1"


def _double(text: str) -> float:
    # what is left for float() to refuse has only these characters: no inf, no nan, no blanks, no 1_0
    if len(text) > LONGEST_NUMBER or text.strip("0123456789+-.eE"):
        raise _bad("not a number", text)
    try:
        value = float(text)
    except ValueError:
        raise _bad("not a number", text) from None
    if value - value != 0.0:            # infinite
        raise _bad("a number too large for a double", text)
    return value


def _date(text: str) -> "datetime":
    from datetime import datetime
    day, separator, hour = text.partition("T")
    if len(day) == 10 and day[4] == day[7] == "-":
        day = day.replace("-", "")
    parts = (day[:4], day[4:6], day[6:], hour[:2], hour[3:5], hour[6:])
    if not (text.isascii() and separator and hour[2:3] == hour[5:6] == ":" and "".join(parts).isdigit()
            and [len(part) for part in parts] == [4, 2, 2, 2, 2, 2]):
        raise _bad("not a date like 20261231T23:59:59", text)
    year, month, date, hours, minutes, seconds = map(int, parts)
    try:
        return datetime(year, month, date, hours, minutes, seconds)
    except ValueError:
        raise _bad("no such date", text) from None


def _base64(text: str) -> bytes:
    from binascii import Error, a2b_base64
    packed = text.replace("\n", "").replace(" ", "").replace("\t", "")      # it comes in lines (RFC 2045, 6.8)
    pad = len(packed) - len(packed.rstrip("="))
    if not packed.isascii() or pad > 2 or len(packed) % 4 or not BASE64.issuperset(packed[:len(packed) - pad]):
        raise Fault(INVALID_REQUEST, "not base64")
    try:
        return a2b_base64(packed)
    except Error:
        raise Fault(INVALID_REQUEST, "not base64") from None


def _string(text: str) -> str:
    return text


def _nil(text: str) -> None:
    if text:
        raise _bad("nil holds nothing", text)


# name of an element -> what reads its text
READERS: dict[str, Callable[[str], object]] = {
    "string": _string, "int": _int, "i4": _int, "boolean": _boolean, "double": _double, "dateTime.iso8601": _date,
    "base64": _base64, "i8": _long, "ex:i8": _long, "nil": _nil, "ex:nil": _nil,
}
# of these, what both sides must want; ex: is the prefix that Apache's library has for them, and others took over
EXTENSIONS = frozenset(("i8", "ex:i8", "nil", "ex:nil"))


def _bad(why: str, text: str) -> Fault:
    return Fault(INVALID_REQUEST, f"{why}: {text[:40]!a}")


# -- value to text --


def element(value: object, extensions: bool) -> str:
    """The <value> element of any value.  Raises Fault for one that XML-RPC does not have."""
    parts: list[str] = []
    _write(value, extensions, parts, DEPTH)
    return "".join(parts)


def _write(value: "Any", extensions: bool, parts: list[str], left: int) -> None:
    kind = type(value)
    if kind is str:
        parts.append(f"<value><string>{escaped(value)}</string></value>")
    elif kind is int:
        parts.append(_written_int(value, extensions))
    elif kind is bool:
        parts.append(f"<value><boolean>{value:d}</boolean></value>")
    elif kind is float:
        parts.append(f"<value><double>{_written_double(value)}</double></value>")
    elif kind is list or kind is tuple:
        parts.append("<value><array><data>")
        for one in value:
            _write(one, extensions, parts, _deeper(left))
        parts.append("</data></array></value>")
    elif kind is dict:
        parts.append("<value><struct>")
        for name, one in value.items():
            if not isinstance(name, str):
                raise _unsendable(f"the name of a member must be text, not {type(name).__name__}")
            parts.append(f"<member><name>{escaped(name)}</name>")
            _write(one, extensions, parts, _deeper(left))
            parts.append("</member>")
        parts.append("</struct></value>")
    elif value is None:
        if not extensions:
            raise _unsendable("nothing (None) can only be sent with the nil extension")
        parts.append("<value><nil/></value>")
    else:
        _write_rarer(value, extensions, parts, left)


def _write_rarer(value: "Any", extensions: bool, parts: list[str], left: int) -> None:
    """Octets, dates, and what is one of the others by inheritance."""
    from datetime import datetime
    if isinstance(value, bytes | bytearray | memoryview):
        from binascii import b2a_base64
        parts.append(f"<value><base64>{b2a_base64(value, newline=False).decode()}</base64></value>")
    elif isinstance(value, datetime):
        parts.append(f"<value><dateTime.iso8601>{written_date(value, '')}</dateTime.iso8601></value>")
    elif isinstance(value, str | int | float | list | tuple | dict):
        plain: Any = next(kind for kind in (str, int, float, list, tuple, dict) if isinstance(value, kind))
        _write(plain(value), extensions, parts, left)
    else:
        raise _unsendable(f"there is no way to send a value of type {type(value).__name__}")


def _deeper(left: int) -> int:
    if not left:                        # it may hold itself
        raise _unsendable(f"structs and arrays more than {DEPTH} deep")
    return left - 1


def _written_int(value: int, extensions: bool) -> str:
    if -0x80000000 <= value <= 0x7fffffff:
        return f"<value><int>{value}</int></value>"
    if not extensions:
        raise _unsendable("a whole number of more than 32 bits can only be sent with the i8 extension")
    if not -1 << 63 <= value < 1 << 63:
        raise _unsendable("a whole number of more than 64 bits")
    return f"<value><i8>{value}</i8></value>"


def _written_double(value: float) -> str:
    """In decimal point notation, as the specification wants it, with all digits that tell it from its neighbours."""
    figure = repr(value)
    if value - value != 0.0:
        raise _unsendable(f"there is no way to send {figure}")
    mantissa, e, power = figure.partition("e")
    if not e:
        return figure
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, part = mantissa.removeprefix("-").partition(".")
    point = len(whole) + int(power)     # where the point is among the digits
    digits = whole + part
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"


def written_date(value: "datetime", dash: str) -> str:
    """A date as XML-RPC has it, or with dashes; the wire has no zones, so what has one is turned into UTC."""
    if value.tzinfo is not None:
        from datetime import UTC
        value = value.astimezone(UTC)
    return (f"{value.year:04}{dash}{value.month:02}{dash}{value.day:02}"
            f"T{value.hour:02}:{value.minute:02}:{value.second:02}")


def escaped(text: str) -> str:
    """Text as it stands in an element; CR as a reference, since a parser would make a line feed of it."""
    if not text.isprintable():          # most text is
        if not _FORBIDDEN.isdisjoint(text):
            sign = next(sign for sign in text if sign in _FORBIDDEN)
            raise _unsendable(f"XML cannot carry the character U+{ord(sign):04X}; send octets as base64")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _unsendable(f"XML cannot carry the lone surrogate U+{ord(text[error.start]):04X}; "
                              "send octets as base64") from None
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def tamed(text: str) -> str:
    """The text with U+FFFD for whatever XML cannot carry, so that it can always be sent."""
    known = text.encode("utf-8", "replace").decode()
    return known if known.isprintable() else "".join("\ufffd" if sign in _FORBIDDEN else sign for sign in known)


def _unsendable(why: str) -> Fault:
    return Fault(APPLICATION_ERROR, why)
