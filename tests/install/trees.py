"""Directory trees compared: what is there, with modes, owners and contents."""

import hashlib
import os
import stat


def snapshot(root, without=(), read=""):
    """path below root -> (kind and mode, owner, what it holds) of everything there.

    Of what is not below `read` as well, only the size counts: a whole machine is soon looked at, but not soon read.
    """
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in without]
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[os.path.relpath(path, root)] = (stat.filemode(status.st_mode), status.st_uid, _content(path, status, path.startswith(os.path.join(root, read))))
    return found


def _content(path, status, read):
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(status.st_mode):
        return ""
    if not read:
        return status.st_size
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def files(root):
    """The paths below root that are no directories."""
    return {path for path, (mode, _, _) in snapshot(root).items() if not mode.startswith("d")}
