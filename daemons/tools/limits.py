"""fd0 limits: who is here, whose logins fail, who was refused - as all programs that share the table see it."""

import argparse

from daemons.kernel import limits, limitsreport
from daemons.kernel.limitsfile import Unusable

from .arguments import Parser, absolute
from .programs import NotOurs

HEAD = ("GROUP", "SOURCE", "NOW", "ALLOWED", "LOGINS WAIT", "REFUSED")


def main(arguments):
    """Print the table, or forgive a source; returns 0."""
    parser = Parser("limits", "Show what is counted in the table of limits: conversations now and how many may be,\n"
                              "failed logins, and when somebody was last refused.", examples=(
        ("fd0 limits", "everybody who is known"),
        ("fd0 limits 192.0.2.7", "one client, in all programs"),
        ("fd0 limits --forgive=2001:db8::7", "forget the failed logins of its /64")))
    parser.add_argument("source", nargs="?", metavar="ADDRESS", type=source, help="only this one (IPv6: its /64)")
    parser.add_argument("--forgive", metavar="ADDRESS", type=source, help="forget its failed logins and refusals")
    parser.add_argument("--table", metavar="FILE", type=absolute, default=limits.SHARED,
                        help="the file, where the option limits of programs names another [%(default)s]")
    options = parser.parse(arguments)
    try:
        if options.forgive:
            return _forgive(options.table, options.forgive)
        found = limits.report(options.table, options.source)
    except Unusable as error:
        raise NotOurs(error) from None
    _print(found, options)
    return 0


def source(text):
    """An address as limits count it."""
    try:
        return limitsreport.counted_as(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _forgive(table, who):
    groups = limitsreport.forgive(table, who)
    print(f"{who}: forgiven by {', '.join(groups)}" if groups else f"{who}: there was nothing to forgive")
    return 0


def _print(found, options):
    if not found:
        print(f"{options.source or 'nobody'} is {'not ' if options.source else ''}known in {options.table}")
        return
    rows = [HEAD, *(cells(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def cells(one):
    """What is known of one source, in words."""
    waits = f"{one.penalty:g}s, forgotten in {duration(one.left)}" if one.penalty else "-"
    refused = "-" if one.refused is None else f"{duration(one.refused)} ago"
    return one.group, one.source, str(one.now), str(one.allowed or "-"), waits, refused


def duration(seconds):
    """A time as a person says it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
