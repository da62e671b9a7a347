"""Give up what is no longer needed, for good, and checked.  This is the one order in which that works:

    limits          while we may still read the machine's
    root directory  while we may still change it
    capabilities    the bounding set and securebits: only root can give these up
    groups, user    which takes root's powers away
    capabilities    whatever is still held
    no_new_privs    nothing that we start gets more than we have
    files, calls    Landlock, then seccomp, which would refuse all of the above (sandbox.py)
"""

import os
import struct

from .options import Misuse, Options

# capability.h, securebits.h
CAPABILITY_VERSION_3, LAST_CAPABILITY = 0x20080522, 63
# root is nobody special, capabilities are not raised nor kept over a change of user; each locked
SECUREBITS = 0x01 | 0x02 | 0x20 | 0x40 | 0x80


def limit(options: Options) -> None:
    """Apply the --rlimit-* that are set, soft and hard; raises Misuse for one that is above what we may have."""
    import resource
    for name in [name for name in options.sources if name.startswith("rlimit-")]:
        kind, value = getattr(resource, name.upper().replace("-", "_")), getattr(options, name.replace("-", "_"))
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError) as error:
            most = resource.getrlimit(kind)[1]
            raise Misuse(f"{options.sources[name]}: {name}: cannot be {value}: {error}; the most we may have here is "
                         f"{most}") from None


def become(user: str | None, group: str | None = None, root: str | None = None, bounded: bool = False) -> None:
    """Be `user` (and `group`, or the user's own) from now on, below `root` if given; raises Misuse.

    `bounded` also gives up what root alone can: that capabilities ever come back (`bound`).
    """
    uid, gid = ids(user, group)         # the databases are out of reach below a new root
    try:
        if root is not None:
            os.chroot(root)
            os.chdir("/")
        if bounded and uid and os.geteuid() == 0:
            bound()
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


def bound() -> bool:
    """Empty the bounding set, and lock the rules by which root is powerful; False where we have no right to."""
    from .syscalls import PR_CAPBSET_DROP, PR_CAPBSET_READ, PR_SET_SECUREBITS, prctl
    try:
        for capability in range(LAST_CAPABILITY + 1):
            try:
                there = prctl(PR_CAPBSET_READ, capability)
            except OSError:             # EINVAL: the kernel knows no further ones
                break
            if there:
                prctl(PR_CAPBSET_DROP, capability)
        prctl(PR_SET_SECUREBITS, SECUREBITS)
    except PermissionError:             # no CAP_SETPCAP
        return False
    return True


def drop_capabilities() -> None:
    """Hold no capability any more, of whatever kind; raises OSError, also where one is left."""
    from .syscalls import PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, call, prctl
    if held():
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        call("capset", struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bytes(24))
        if held():
            raise OSError(1, f"capabilities {held():#x} are still held")


def held() -> int:
    """The capabilities that are effective, permitted or inheritable, as one mask."""
    from .syscalls import Memory, call
    data, mask = Memory(bytes(24)), 0
    call("capget", struct.pack("=Ii", CAPABILITY_VERSION_3, 0), data)
    low, high = data.read()[:12], data.read()[12:]
    for one, other in zip(struct.unpack("=III", low), struct.unpack("=III", high)):
        mask |= int(one) | int(other) << 32
    return mask


def no_new_privileges() -> None:
    """Neither we nor what we start can ever gain by a set-user-id program; raises OSError."""
    from .syscalls import PR_GET_NO_NEW_PRIVS, PR_SET_NO_NEW_PRIVS, prctl
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if not prctl(PR_GET_NO_NEW_PRIVS):
        raise OSError(1, "no_new_privs was not taken")
