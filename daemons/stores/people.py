"""The accounts of this machine as far as strangers may know them: passwd(5), less those who wish to be left out."""

import pwd

from daemons.wire.fingerlines import Person

from .plans import unlisted

MATCHES = 20                    # people of one name that are found


def account(login: str, hidden: list[str]) -> pwd.struct_passwd | None:
    """The account of this login name, if it may be known."""
    try:
        entry = pwd.getpwnam(login) if login.isprintable() else None
    except KeyError:
        return None
    return entry if entry and _known(entry, hidden) else None


def owner(uid: int) -> pwd.struct_passwd | None:
    """The account with this uid, whatever its user wishes; a container's users and deleted ones have none."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def is_login(name: str) -> bool:
    """Is this somebody's login name, in these letters or in small ones?"""
    for spelling in {name, name.lower()}:
        try:
            pwd.getpwnam(spelling)
            return True
        except KeyError:
            continue
    return False


def accounts(name: str, hidden: list[str], full_names: bool) -> list[pwd.struct_passwd]:
    """Those whom a name means: the one of this login name or, if full names count, all with these words in theirs."""
    entry = account(name, hidden)
    if entry:
        return [entry]
    if not full_names or not name.isprintable() or not any(sign.isalpha() for sign in name):
        return []
    wanted = set(name.lower().split())
    return [entry for entry in pwd.getpwall() if wanted <= _words(entry) and _known(entry, hidden)][:MATCHES]


def _known(entry: pwd.struct_passwd, hidden: list[str]) -> bool:
    return entry.pw_name not in hidden and not unlisted(entry.pw_dir)


def _words(entry: pwd.struct_passwd) -> set[str]:
    return set(Person(entry.pw_gecos, entry.pw_name).name.lower().split())
