"""Delivers messages and prints the name of each as it is told, or "failed": to be killed, and to be given errors.

    python -m tests.crash.delivering FIRST COUNT FOLDER...

Messages FIRST to FIRST + COUNT - 1, each into all folders.  What message number n is, `message(n)` says.
"""

import os
import sys

from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder


def message(n):
    """Message number `n`, as it comes over the wire; each third one is large."""
    return b"Subject: %d\r\n\r\n" % n + b"line of a message\r\n" * (6000 if n % 3 == 0 else n % 50) + b"%d\r\n" % n


def main(first, count, *paths):
    """Deliver."""
    folders = [Folder(path) for path in paths]
    for n in range(int(first), int(first) + int(count)):
        try:
            with Delivery(folders[0]) as delivery:
                data = message(n)
                for begin in range(0, len(data), 8000):
                    delivery.write(data[begin:begin + 8000])
                for folder in folders:
                    told(folder, n, os.fsdecode(delivery.keep(folder)))
        except OSError as error:
            told(folders[0], n, f"failed {error.errno}")


def told(folder, n, what):
    """Print it, at once and in one piece."""
    os.write(1, f"{os.fsdecode(os.path.basename(folder.path))} {n} {what}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
