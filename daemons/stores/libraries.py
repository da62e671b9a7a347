"""Libraries of others, which a program needs for some of its options alone, and which may not be installed."""

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def library(name: str, package: str) -> "ModuleType":
    """Import a module that is not of the standard library; raises ValueError with the name of the package that has it.

    Before a program shuts itself in: later there may be nothing to import.
    """
    top = name.partition(".")[0]
    # installed programs start without the folder of others' modules; it is looked for once, while it can be
    if sys.flags.no_site and top not in sys.modules:
        import site
        site.main()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        raise ValueError(f"{top} is not installed ({package})") from None
