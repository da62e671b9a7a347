"""What was done to the names in a folder: on the disk, and no matter how often."""

import os


def synced(folder: bytes) -> None:
    """Have what was done to the names in a folder on the disk; raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def unlinked(path: bytes) -> bool:
    """Remove a name; False if it is not there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
