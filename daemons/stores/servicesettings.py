"""What a section of a service file sets, attribute by attribute: who may set what, how often, how lists change.

What xinetd only warns about and then ignores - a second value, a wrong number of values, a misspelt
name - may have been a restriction.  Here it is an error wherever it could have been one.
"""

from ipaddress import ip_network

from ..wire.xinetdconf import Attribute
from .serviceattributes import ANY, ONCE, SOME, TABLE, Kind, Row

WARNING, ERROR = "warning", "error"


class Settings:
    """The values of one section, by slot; those of a service begin with the values of `defaults`."""

    __slots__ = ("kind", "lines", "values")

    def __init__(self, kind: str, defaults: "Settings | None" = None) -> None:
        self.kind = kind
        self.values: dict[str, object] = dict(defaults.values) if defaults else {}
        self.lines: dict[str, int] = {}         # where this very section set them

    def take(self, attribute: Attribute) -> tuple[str, str] | None:
        """Set what an attribute says, or return a severity and what is wrong with it."""
        row = TABLE.get(attribute.name)
        if row is None:
            return _unknown(attribute)
        severity = ERROR if row.restricts else WARNING
        if self.kind not in row.where:
            return severity, f"{row.name} belongs into a {row.where[0]} section; here it has no effect"
        if row.kind is None:
            return severity, f"{row.name} is not supported yet"
        try:
            self._set(row, row.kind, attribute)
        except ValueError as error:
            hint = "; a '#' opens a comment only where a line begins" if "#" in "".join(attribute.values) else ""
            return ERROR, f"{row.name}: {error}{hint}"
        return None

    def _set(self, row: Row, kind: Kind, attribute: Attribute) -> None:
        if attribute.operator not in row.operators:
            raise ValueError(f"takes {' or '.join(row.operators)}, not {attribute.operator}")
        if row.operators == ONCE and row.slot in self.lines:
            raise ValueError(f"has a value already, in line {self.lines[row.slot]}")
        _check_count(row.count, len(attribute.values))
        value = kind(attribute.values)
        if isinstance(value, list) and row.operators != ONCE:
            value = self._changed(row, attribute.operator, value)
        self.values[row.slot], self.lines[row.slot] = value, attribute.line

    def _changed(self, row: Row, operator: str, items: list[str]) -> list[str]:
        before = self.values.get(row.slot)
        old = before if isinstance(before, list) else []
        if operator == "-=":
            for item in items:
                if row.restricts and item not in old:
                    raise ValueError(f"{item} is to be taken away, but is not there")
            return [item for item in old if item not in items]
        if operator == "=" and self.kind != "defaults":     # defaults only ever add, xinetd.conf(5)
            old = []
        return list(dict.fromkeys(old + items))


def _check_count(expected: int, given: int) -> None:
    if expected == SOME and not given:
        raise ValueError("has no value: give one, or leave the line out (xinetd drops such a service)")
    if expected not in (SOME, ANY, given):
        raise ValueError(f"takes {expected} value{'s' * (expected > 1)}, and {given} are given")


def _unknown(attribute: Attribute) -> tuple[str, str]:
    """It may have been a restriction: by its name, or because it speaks of addresses."""
    from difflib import get_close_matches  # only for those who misspell

    name = attribute.name
    limit = name.startswith("rlimit_")
    near = get_close_matches(name, TABLE, 1, 0.9 if limit else 0.65)    # csp is that near to cps, and bnid to bind
    text = f"unknown attribute {name[:40]!r}" + (f": is it {near[0]}?" if near else "")
    closed = limit or any(TABLE[one].restricts for one in near) or any(map(_is_address, attribute.values))
    return ERROR if closed else WARNING, text


def _is_address(value: str) -> bool:
    try:
        return bool(ip_network(value, strict=False))
    except ValueError:
        return False
