"""fd0 list: the programs, their ports and RFCs."""

import argparse

from .programs import services


def main(arguments):
    """Print a line for each program."""
    parser = argparse.ArgumentParser("fd0 list", description="List the programs.")
    parser.add_argument("program", nargs="*", help="only these")
    chosen = parser.parse_args(arguments).program
    rows = [("PROGRAM", "PORT", "SOCKETS", "MODEL", "RFC", "")]
    for service in services(chosen):
        kinds = " ".join({"stream": "tcp", "dgram": "udp"}[sort] for sort in service.sockets) or "-"
        rows.append((service.name, str(service.port or "-"), kinds, service.model if service.sockets else "-",
                     " ".join(map(str, service.rfcs)) or "-", service.about))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[5]]).rstrip())
    return 0
