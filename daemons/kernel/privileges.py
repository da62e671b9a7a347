"""Give up what is no longer needed: root directory, groups, user - in this order, for good, and checked."""

import os

from .options import Misuse


def become(user: str | None, group: str | None = None, root: str | None = None) -> None:
    """Be `user` (and `group`, or the user's own) from now on, below `root` if given; raises Misuse."""
    uid, gid = ids(user, group)         # the databases are out of reach below a new root
    try:
        if root is not None:
            os.chroot(root)
            os.chdir("/")
        if gid is not None:
            os.setgroups([gid])
            os.setresgid(gid, gid, gid)
        if uid is not None:
            os.setresuid(uid, uid, uid)
    except OSError as error:
        raise Misuse(f"cannot become {user or group or root}: {error.strerror}") from None
    if uid and (os.getresuid() != (uid, uid, uid) or can_return()):
        raise Misuse(f"could become {user}, but not for good")


def ids(user: str | None, group: str | None) -> tuple[int | None, int | None]:
    """(uid, gid) of names or numbers; None for what was not asked."""
    if user is None and group is None:
        return None, None
    import grp
    import pwd
    uid = gid = None
    try:
        if user is not None:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
        if group is not None:
            gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise Misuse(f"no such user or group: {user or ''} {group or ''}".rstrip()) from None
    return uid, gid


def can_return() -> bool:
    """Could this process still become root again?"""
    try:
        os.setresuid(0, 0, 0)
    except PermissionError:
        return False
    return True
