"""Descriptors 0, 1 and 2, put where no accident can reach the client.

inetd and xinetd leave the client's socket on all three, so that a traceback, a warning, a C
library's message or a child's complaint would be sent to the peer in the middle of a protocol.
`shelter` is the first thing a program does, before any import that could fail; it needs `os` alone.
What is then written to descriptor 2 is read back by `complaints` and logged, line by line.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

NULL = "/dev/null"
LATER = 111             # exit status: try again later

sheltered = False           # has it been done?
errors: int | None = None   # where a person or a log collector reads us, None where that is the client
reader: int | None = None   # where the lines written to descriptor 2 come out, None where descriptor 2 was left alone
_rest = b""                 # the beginning of a complaint whose end is still to come


def shelter() -> None:
    """Keep what we write by accident from the client.  Descriptor 0 stays until it has been looked at.

    Ends the process where that cannot be done, with a word only to a stderr that is no socket.
    """
    global errors
    try:
        _shelter()
    except OSError as error:            # no descriptor left; a traceback would go to the client
        if errors is None and (place := _identity(2)) and not stat.S_ISSOCK(place[0]):
            errors = 2
        give_up(error.strerror or str(error))


def give_up(text: str) -> "NoReturn":
    """End at once, where there is not even a log, with one line to the person who started us if there is one."""
    if errors is not None:
        os.write(errors, f"cannot begin: {text}\n".encode("utf-8", "backslashreplace"))
    os._exit(LATER)


def _shelter() -> None:
    global errors, sheltered
    sheltered = True
    files = [_identity(fd) for fd in (0, 1, 2)]
    for file in files:
        if file is None:            # the kernel gives the lowest number that is free: the one that is missing
            os.set_inheritable(_null(), True)
    if files[1] and stat.S_ISSOCK(files[1][0]):
        silence(1)
    if files[2] and files[2] not in files[:2]:
        errors = 2
    elif files[2] and not (stat.S_ISSOCK(files[2][0]) or stat.S_ISFIFO(files[2][0])):
        errors = 2                  # a terminal, a file or /dev/null shared by all three
    elif files[2] and files[0] == _identity_of_null():
        errors = 2                  # nobody converses on 0 and 1: 1 and 2 are the journal's, or a container's
    else:
        catch()


def catch() -> None:
    """Have what is written to descriptor 2 from now on come out at `reader`."""
    global errors, reader
    errors = None
    if reader is not None:
        os.close(reader)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.dup2(writer, 2)
    os.close(writer)


def take_output() -> int:
    """Move the conversation's output pipe away from descriptor 1; returns its new descriptor."""
    output = os.dup(1)
    silence(1)
    return output


def silence(fd: int) -> None:
    """Put /dev/null on a descriptor."""
    null = _null()
    os.dup2(null, fd)
    os.close(null)


def _null() -> int:
    """A new descriptor of /dev/null, or of an empty file without a name where there is none to be had."""
    try:
        return os.open(NULL, os.O_RDWR)
    except OSError:                     # a root without devices, or nobody may write to this one
        return os.memfd_create("null")


def complaints() -> "Iterator[bytes]":
    """Yield the lines that were written to descriptor 2 since the last call, without waiting."""
    global _rest
    while reader is not None:
        try:
            data = os.read(reader, 65536)
        except BlockingIOError:
            break
        *lines, _rest = (_rest + data).split(b"\n")
        yield from lines
        if len(_rest) > 4096:
            yield _rest
            _rest = b""
        if not data:
            break


def last_complaints() -> "Iterator[bytes]":
    """Yield what `complaints` would, and a last line that nobody ended."""
    global _rest
    yield from complaints()
    if _rest:
        yield _rest
        _rest = b""


def leave_complaints() -> None:
    """Let a forked child complain to its parent, who reads for both."""
    global reader, _rest
    if reader is not None:
        os.close(reader)
    reader, _rest = None, b""


def _identity(fd: int) -> tuple[int, int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_mode, status.st_dev, status.st_ino


def _identity_of_null() -> tuple[int, int, int] | None:
    try:
        status = os.stat(NULL)
    except OSError:
        return None
    return status.st_mode, status.st_dev, status.st_ino
