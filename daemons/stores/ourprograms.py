"""Which servers are fd0's own programs: they know options that launchers would otherwise have to do themselves."""

MARK = b"daemons.kernel.launch"         # what is in each stub, see daemons/kernel/describe.py


def is_ours(path: str) -> bool:
    """Is this file the stub of a program of fd0's?"""
    try:
        with open(path, "rb") as file:
            return MARK in file.read(4096)
    except OSError:
        return False
