"""The command lines of all sub-commands: argparse, with our exit status, exact names, and the next thing to try."""

import argparse
import os
import textwrap
from difflib import get_close_matches

MISUSE = 100
WIDTH = 98              # columns of a page


class Parser(argparse.ArgumentParser):
    """A sub-command's arguments; `examples` are lines of (what to type, what it does)."""

    def __init__(self, command, about, examples=()):
        lines = [f"  {typed:36} {does}" for typed, does in examples]
        super().__init__(f"fd0 {command}", description=textwrap.fill(about, WIDTH), allow_abbrev=False,
                         epilog="examples:\n" + "\n".join(lines) if lines else None,
                         formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse(self, arguments):
        """The values; ends with status 100 where an argument is wrong.  Options may stand anywhere."""
        options, unknown = self.parse_known_intermixed_args(arguments)
        if unknown:
            name = unknown[0].partition("=")[0]
            known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
            near = get_close_matches(name, known, 1)
            self.error(f"no option {name}" + (f" (did you mean {near[0]}?)" if near else ""))
        return options

    def error(self, message):
        """Say what is wrong, and where to look."""
        self.exit(MISUSE, f"{self.prog}: {message}; see {self.prog} --help\n")


def absolute(text):
    """A path that means the same from everywhere: launchers start programs in /."""
    if not os.path.isabs(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path")
    return text
