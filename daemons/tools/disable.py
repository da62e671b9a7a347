"""fd0 disable: take away what `fd0 enable` put in place, without residue."""

import os

from daemons.kernel.options import FOLDER

from . import blocks
from .arguments import Parser, absolute
from .changes import Machine
from .enable import LAUNCHERS, in_place, of
from .programs import NotOurs, placed


def main(arguments):
    """Take services away; what the administrator wrote stays."""
    parser = Parser("disable", "Take a service away that `fd0 enable` put in place: its launcher's files, its options "
                    f"in {FOLDER}, its socket.  What you wrote yourself stays.", examples=(
        ("fd0 disable echod", ""), ("fd0 disable --all", "every service, before fd0 is uninstalled")))
    parser.add_argument("program", metavar="PROGRAM", nargs="*", help="which ones")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be removed and run, and do nothing")
    parser.add_argument("--root", metavar="DIR", type=absolute, help="do it in a tree; nothing is stopped")
    options = parser.parse(arguments)
    if bool(options.program) is options.all:
        parser.error("which program, or --all?")
    machine = Machine(options.root, options.dry_run)
    if machine.live and not machine.dry and os.geteuid() != 0:
        raise NotOurs(f"only root may: sudo fd0 disable {' '.join(options.program) or '--all'}")
    for service in placed(options.program):
        _take_away(service, machine, options.all)
    return 0


def _take_away(service, machine, every):
    conf = f"{FOLDER}/{service.name}.conf"
    there, had = in_place(service, machine), blocks.is_in(machine.read(conf), service.name)
    if not there and not had:
        if not every:
            raise NotOurs(f"{service.name} is not in place under {', '.join(LAUNCHERS)}: there is nothing to take away")
        return
    print(f"{service.name}{' under ' + ' and '.join(there) if there else ''}:")
    for name in there:
        of(name).disable(service, machine)
    if had:
        text, _ = blocks.take_out(machine.read(conf), service.name)
        if text:
            machine.write(conf, text)
        else:
            machine.remove(conf)
            machine.remove_folder(FOLDER)
