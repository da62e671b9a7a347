"""Fortune files as fortune(6) and strfile(1) know them.

Strings stand between lines of a single delimiter, `%` as a rule.  NAME.dat is strfile's index to
NAME: where the strings begin, and whether they are rot13.  It is used where it agrees with the text;
otherwise the text is searched for delimiters.

    version  count  longest  shortest  flags  delimiter 0 0 0  offset ... offset     32 bits each, big-endian

The offsets are one more than the strings, since the end of the text is among them, and may be shuffled.
"""

import os
import stat
import struct
from collections.abc import Container, Iterator, Sequence

from .quotes import Source

HEADER = 24             # octets
ROTATED, COMMENTS = 4, 8        # flags: text is rot13, lines that begin with two delimiters are comments
LARGEST = 64 << 20      # octets in a file
LONGEST = 8192          # octets in a string; what is longer fits nowhere
OFFENSIVE_SUFFIX, OFFENSIVE_FOLDER = "-o", "off"
ENDINGS = (".dat", ".pos", ".u8", ".c", ".h", ".p", ".i", ".f", ".pas", ".ftn", ".sml", "~")    # no fortune files

LETTERS = bytes(range(ord("a"), ord("z") + 1))
ROT13 = bytes.maketrans(LETTERS + LETTERS.upper(),
                        LETTERS[13:] + LETTERS[:13] + LETTERS[13:].upper() + LETTERS[:13].upper())


class Fortunes(Source):
    """One fortune file, read into memory with its index."""

    def __init__(self, path: str, percent: float | None = None) -> None:
        super().__init__(path, (), percent)
        self.text, self.delimiter, self.flags = _read(path), b"%\n", COMMENTS
        starts = self._indexed(path)
        if self.text and not self.text.endswith(b"\n"):
            self.text += b"\n"
        self.starts = starts or self._searched()

    @property
    def count(self) -> int:
        """How many strings there are."""
        return len(self.starts)

    @property
    def offensive(self) -> bool:
        """Would fortune(6) tell these only with -o or -a?"""
        folder, name = os.path.split(self.name)
        return bool(self.flags & ROTATED) or name.endswith(OFFENSIVE_SUFFIX) or \
            os.path.basename(folder) == OFFENSIVE_FOLDER

    def read(self, number: int) -> bytes:
        """One string, as plain as its author wrote it; b"" for a long one, and where the index is wrong."""
        start = self.starts[number]
        if start and not self._delimited(start):
            return b""
        string, delimiter, _ = self.text[start:start + LONGEST].partition(b"\n" + self.delimiter)
        if not delimiter and start + LONGEST < len(self.text):
            return b""
        string += b"\n" if delimiter else b""
        if self.flags & COMMENTS:
            sign = self.delimiter[:1] * 2
            string = b"".join(line for line in string.splitlines(True) if not line.startswith(sign))
        return string.translate(ROT13) if self.flags & ROTATED else string

    def _delimited(self, start: int) -> bool:
        first = start == len(self.delimiter) and self.text.startswith(self.delimiter)
        return first or self.text.endswith(b"\n" + self.delimiter, 0, start)

    def _indexed(self, path: str) -> Sequence[int]:
        """Where strings begin, from the index; empty if there is none or it is another text's."""
        try:
            index = _read(path + ".dat")
        except FileNotFoundError:
            return ()
        if len(index) < HEADER or len(index) % 4:
            return ()
        _, count, _, _, flags, _, *offsets = struct.unpack(f">{len(index) // 4}I", index)
        if len(offsets) != count + 1 or len(self.text) not in offsets:
            return ()
        self.flags, self.delimiter = flags, index[20:21] + b"\n"
        return [at for at in offsets if at < len(self.text)]

    def _searched(self) -> Sequence[int]:
        """Where strings begin, from the text."""
        starts, at = [], 0
        while at < len(self.text):
            if self.text.startswith(self.delimiter, at):
                at += len(self.delimiter)       # one delimiter after the other: nothing between them
                continue
            starts.append(at)
            end = self.text.find(b"\n" + self.delimiter, at)
            at = end + 1 if end >= 0 else len(self.text)
        return starts


def fortunes(wanted: Sequence[tuple[float | None, str]], offensive: Container[bool],
             equal: bool = False) -> list[Fortunes]:
    """The files that are wanted, as (percent, path of a file or folder); `offensive` holds what they may be.

    Raises OSError, and ValueError where a path leads to none that may be told.
    """
    found: list[Fortunes] = []
    for percent, path in wanted:
        here = [one for one in map(Fortunes, _files(path, offensive)) if one.count and one.offensive in offensive]
        if not here:
            raise ValueError(f"{path}: no fortunes there{_hint(offensive)}")
        if percent is not None:
            _divide(percent, here, equal)
        found += here
    return found


def _divide(percent: float, files: Sequence[Fortunes], equal: bool) -> None:
    """Have a folder's files share its percentage."""
    count = sum(one.count for one in files)
    for one in files:
        one.percent = percent / len(files) if equal else percent * one.count / count


def _hint(offensive: Container[bool]) -> str:
    return "" if True in offensive else " but perhaps offensive ones"


def _files(path: str, offensive: Container[bool]) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    names = sorted(os.listdir(path))
    # where strfile(1) was at work, a file whose index was taken away is switched off: fortune(6), FILES
    indexed = any(name.endswith(".dat") for name in names)
    for name in names:
        if not name.startswith(".") and not name.endswith(ENDINGS) and os.path.isfile(f"{path}/{name}") and \
                (not indexed or f"{name}.dat" in names):
            yield f"{path}/{name}"
    if True in offensive and OFFENSIVE_FOLDER in names:
        yield from _files(f"{path}/{OFFENSIVE_FOLDER}", offensive)


def _read(path: str) -> bytes:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: not a file")
    if status.st_size > LARGEST:
        raise ValueError(f"{path}: over {LARGEST >> 20} MiB")
    with open(path, "rb") as file:
        return file.read(LARGEST)
