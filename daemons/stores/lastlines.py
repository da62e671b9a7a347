"""The last lines of a file that grows: no more of it is read than so much."""

import os

MOST = 1 << 20          # octets that are looked at


def last_lines(path: str, most: int = MOST) -> list[str]:
    """The whole lines in the last octets of a file, oldest first.  Raises OSError."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - most - 1, 0))      # one more, to see whether a line begins there
        data = file.read(most + 1)
    if size > most:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace").split("\n")[:-1]
