"""Directory trees compared: what is there, with modes, owners and contents."""

import hashlib
import os
import stat


def snapshot(root):
    """path below root -> (kind and mode, owner, what it holds) of everything there."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[os.path.relpath(path, root)] = stat.filemode(status.st_mode), status.st_uid, _content(path, status)
    return found


def _content(path, status):
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(status.st_mode):
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def files(root):
    """The paths below root that are no directories."""
    return {path for path, (mode, _, _) in snapshot(root).items() if not mode.startswith("d")}
