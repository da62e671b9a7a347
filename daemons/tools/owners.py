"""Root acts as the owner of a folder: what she makes in it is read and written by programs that are not root."""

import contextlib
import os


@contextlib.contextmanager
def owner_of(path):
    """Be whoever owns the folder that `path` is, or would be made in; for others than root nothing changes."""
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    status = os.stat(folder)
    if os.geteuid() != 0 or status.st_uid == 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([status.st_gid])
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
