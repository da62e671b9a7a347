"""/etc/hosts.allow and /etc/hosts.deny, read again when they have changed."""

import os

from ..wire.hostsaccess import Caller, Rule, parse, why_not

LARGEST = 1 << 20       # octets in a file

Stamp = tuple[int, int, int] | None


class HostsFiles:
    """The rules of both files; a file that is not there has none, and one that cannot be read keeps everybody out."""

    def __init__(self, allow: str = "/etc/hosts.allow", deny: str = "/etc/hosts.deny") -> None:
        self.paths = allow, deny
        self._stamps: list[Stamp] = [None, None]
        self._rules: list[list[Rule]] = [[], []]

    def rules(self) -> list[list[Rule]]:
        """The rules of hosts.allow and of hosts.deny, as they are now."""
        for place, path in enumerate(self.paths):
            stamp = _stamp(path)
            if stamp != self._stamps[place]:
                self._stamps[place], self._rules[place] = stamp, _read(path)
        return self._rules

    def are_empty(self) -> bool:
        """Do they keep nobody out?"""
        return not any(self.rules())

    def why_not(self, caller: Caller) -> str:
        """Why this caller may not come in, or nothing."""
        allow, deny = self.rules()
        return why_not(allow, deny, caller)


def patterns(path: str) -> list[str]:
    """The lines of a file that a rule names; raises OSError."""
    return [line for line in _text(path).split("\n") if not line.startswith("#")]


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: str) -> list[Rule]:
    try:
        return parse(_text(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        return [Rule(0, [], [], "", f"cannot be read: {error.strerror}")]


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise OSError(27, "too large")
    return text
