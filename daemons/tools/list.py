"""fd0 list: the programs, their ports and RFCs."""

from .arguments import Parser
from .programs import services


def main(arguments):
    """Print a line for each program."""
    parser = Parser("list", "List the programs: their ports, sockets, ways to serve, and RFCs.")
    parser.add_argument("program", nargs="*", metavar="PROGRAM", help="only these (default: all)")
    rows = [("PROGRAM", "PORT", "SOCKETS", "MODEL", "RFC", "WHAT IT DOES")]
    for service in services(parser.parse(arguments).program):
        kinds = " ".join({"stream": "tcp", "dgram": "udp"}[sort] for sort in service.sockets) or "-"
        rows.append((service.name, str(service.port or "-"), kinds, service.model if service.sockets else "-",
                     " ".join(map(str, service.rfcs)) or "-", service.about))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[5]]))
    return 0
