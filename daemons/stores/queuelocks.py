"""Whose is a queued message at the moment?  A lock on its file, which ends with its holder however that ends.

It belongs to the open file (fcntl(2), open file description locks): a child that inherits the descriptor holds it too,
other descriptors of the same process do not, and asking who has it takes nothing from anybody.
"""

import fcntl
import struct

FLOCK = struct.Struct("hhqqi4x")        # struct flock: type, whence, start, length, process


def take(fd: int) -> bool:
    """Lock the file unless somebody has; raises OSError where the file system has no locks."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    except BlockingIOError:             # EAGAIN
        return False
    return True


def is_taken(fd: int) -> bool:
    """Has somebody else locked it?"""
    asked = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    return bool(FLOCK.unpack(asked)[0] != fcntl.F_UNLCK)
