"""A module of methods, as somebody might write one for xmlrpcd."""

import datetime
import os.path
from os.path import basename

PREFIX = "of this module"


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    The second may be left out.
    """
    return a + b


def when(moment: datetime.datetime) -> "datetime.datetime | None":
    """The same moment."""
    return moment


def _hidden():
    return basename(os.path.sep)


class Backups:
    """An object with methods."""

    def __init__(self, last="never"):
        self.last = last

    @property
    def dangerous(self):
        """What must not be asked for when methods are looked for."""
        raise AssertionError("a property was read")

    def status(self, host: str) -> str:
        """When a host was last saved."""
        return f"{host}: {self.last}"

    @staticmethod
    def kinds() -> list[str]:
        """The kinds there are."""
        return ["full", "partial"]

    @classmethod
    def named(cls) -> str:
        """The name of it all."""
        return cls.__name__

    def _secret(self):
        return self.last


class Unmade:
    """What cannot be made."""

    def __init__(self):
        raise OSError("no disk")


backups = Backups("today")
CHOSEN = {"math.add": add, "base": basename}
