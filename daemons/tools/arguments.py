"""The command lines of all sub-commands: argparse, with our exit status, exact names, and the next thing to try."""

import argparse
import importlib
import os
import textwrap
from difflib import get_close_matches

DECLARE = object()      # in the place of arguments: do not run, but show the parser
MISUSE = 100
WIDTH = 98              # columns of a page
WIDEST = 42             # columns of the first column of a table


class Declared(Exception):
    """What a sub-command answers to DECLARE: its parser, as the first argument."""


def every():
    """(name, Parser) of each sub-command that has one."""
    from .__main__ import COMMANDS
    for name in COMMANDS:
        try:
            importlib.import_module(f"daemons.tools.{name}").main(DECLARE)
        except Declared as declared:
            yield name, declared.args[0]


class Parser(argparse.ArgumentParser):
    """A sub-command's arguments; `examples` are lines of (what to type, what it does).

    `actions` are lines of (what it can do, what that means), the first word of each the one that is typed.
    """

    def __init__(self, command, about, examples=(), actions=()):
        self.about, self.examples, self.actions = about, tuple(examples), tuple(actions)
        super().__init__(f"fd0 {command}", allow_abbrev=False, formatter_class=_Page,
                         description="\n\n".join([textwrap.fill(about, WIDTH), *_table("actions", actions)]),
                         epilog="".join(_table("examples", examples)) or None)
        if actions:
            verbs = list(dict.fromkeys(typed.split()[0] for typed, _ in actions))
            self.add_argument("action", metavar="ACTION", choices=verbs, help="one of the actions above")

    def parse(self, arguments):
        """The values; ends with status 100 where an argument is wrong.  Options may stand anywhere."""
        if arguments is DECLARE:
            raise Declared(self)
        options, unknown = self.parse_known_intermixed_args(arguments)
        if unknown:
            name = unknown[0].partition("=")[0]
            known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
            near = get_close_matches(name, known, 1)
            self.error(f"no option {name}" + (f" (did you mean {near[0]}?)" if near else ""))
        return options

    def rows(self):
        """(option or operand, meaning) of each argument, as they stand on the page."""
        found = []
        for action in self._actions:
            if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                continue
            if action.metavar == "ACTION":
                found += self.actions
                continue
            value = "" if action.nargs == 0 else action.metavar or "|".join(action.choices or ()) or action.dest.upper()
            name = f"{action.option_strings[-1]}={value}".rstrip("=") if action.option_strings else value
            found.append((name, (action.help or "") % {"default": action.default}))
        return found

    def parts(self):
        """The parsers of what the sub-command itself divides into, if it does."""
        return [part for action in self._actions if isinstance(action, argparse._SubParsersAction)
                for part in action.choices.values()]

    def error(self, message):
        """Say what is wrong, and where to look."""
        self.exit(MISUSE, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Page(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=28, width=WIDTH + 2)


def _table(title, rows):
    """[a title, and lines in two columns], or nothing without rows; a line that is much wider has no column."""
    if not rows:
        return []
    width = max((len(first) for first, _ in rows if len(first) <= WIDEST), default=0)
    return ["\n".join([f"{title}:", *(f"  {first:{width}}  {second}".rstrip() for first, second in rows)])]


def absolute(text):
    """A path that means the same from everywhere: launchers start programs in /."""
    if not os.path.isabs(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path")
    return text
