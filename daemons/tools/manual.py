"""fd0 manual: the manual pages, made from the programs' declarations and the commands' own pages."""

import os

import daemons
from daemons.kernel import describe, manual

from . import arguments, mailguide
from .programs import services


def main(given):
    """Write the pages below a directory."""
    parser = arguments.Parser("manual", "Write the manual pages: fd0(1), fd0.conf(5), fd0-mail(7), and one for each "
                              "program.",
                              examples=(("fd0 manual --to=/usr/local/share/man", "what `make install` does"),))
    parser.add_argument("--to", metavar="DIR", required=True, help="write DIR/man1/... to DIR/man8/...")
    parser.add_argument("--library", metavar="DIR", type=arguments.absolute, default=describe.LIBRARY,
                        help="where the programs are installed [%(default)s]")
    options = parser.parse(given)
    made = pages(options.library)
    for name, text in made.items():
        path = os.path.join(options.to, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    print(f"{len(made)} pages written below {options.to}")
    return 0


def pages(library=describe.LIBRARY):
    """All pages: path below share/man -> text."""
    version, date, found = daemons.__version__, daemons.__date__, services()
    made = {f"man8/{manual.page_name(service)}.8": manual.program(service, version, date, library) for service in found}
    made["man1/fd0.1"] = manual.command(commands(), found, version, date, [f"{mailguide.NAME}(7)"])
    text = mailguide.TEXT.replace(describe.LIBRARY, library)
    made[f"man7/{mailguide.NAME}.7"] = manual.guide(mailguide.NAME, mailguide.ABOUT, text, mailguide.SEE, version, date)
    made["man5/fd0.conf.5"] = manual.option_files(found, version, date)
    return made


def commands():
    """Every sub-command as its own parser declares it."""
    found = []
    for name, parser in arguments.every():
        rows = [row for one in (parser, *parser.parts()) for row in one.rows()]
        usage = " ".join(parser.format_usage().split()[3:]).replace("[-h] ", "")
        found.append(manual.Command(name, usage, parser.about, rows, parser.examples))
    return found
