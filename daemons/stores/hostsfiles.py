"""/etc/hosts.allow and /etc/hosts.deny, read again when they have changed."""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..wire.hostsaccess import Caller, Rule

LARGEST = 1 << 20       # octets in a file

Stamp = tuple[int, int, int] | None


class HostsFiles:
    """The rules of both files; a file that is not there has none, and one that cannot be read keeps everybody out.

    They are looked at every `look` seconds, since that would cost each connection more than all else that is checked.
    """

    def __init__(self, allow: str = "/etc/hosts.allow", deny: str = "/etc/hosts.deny", look: float = 1.0) -> None:
        self.paths, self.look, self._next = (allow, deny), look, 0.0
        self._stamps: list[Stamp] = [None, None]
        self._rules: list[list[Rule]] = [[], []]

    def rules(self) -> "list[list[Rule]]":
        """The rules of hosts.allow and of hosts.deny, as they are now."""
        now = time.monotonic()
        if now < self._next:
            return self._rules
        self._next = now + self.look
        for place, path in enumerate(self.paths):
            stamp = _stamp(path)
            if stamp != self._stamps[place]:
                self._stamps[place], self._rules[place] = stamp, _read(path)
        return self._rules

    def are_empty(self) -> bool:
        """Do they keep nobody out?"""
        return not any(self.rules())

    def why_not(self, caller: "Caller") -> str:
        """Why this caller may not come in, or nothing."""
        from ..wire.hostsaccess import why_not
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


def _read(path: str) -> "list[Rule]":
    try:
        text = _text(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        from ..wire.hostsaccess import Rule
        return [Rule(0, [], [], "", f"cannot be read: {error.strerror}")]
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.split("\n")):
        return []                       # as on most machines, which need not know the language
    from ..wire.hostsaccess import parse
    return parse(text)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise OSError(27, "too large")
    return text
