"""What fd0 user does with a file of passwords."""

import grp
import os

from daemons.stores import passwords
from daemons.wire.passwordlines import check_name

from . import askpassword
from .programs import NotOurs

GROUP = "fd0"           # of the user who runs the programs where they are installed


def add(options):
    """Let one more log in; the file is made if need be."""
    name = check_name(options.words[0])
    if os.path.exists(options.users) and name in passwords.Passwords(options.users).names():
        raise NotOurs(f"{options.users}: {name} is there already; fd0 user passwd sets another password")
    password = askpassword.given(options.password_stdin)
    passwords.add(options.users, name, password, options.digest or None, _group())
    print(f"{name}: added to {options.users}")


def change(options):
    """Set another password."""
    name = check_name(options.words[0])
    if name not in passwords.Passwords(options.users).names():
        raise KeyError(name)            # before anybody is asked for a password
    passwords.change(options.users, name, askpassword.given(options.password_stdin), options.digest)
    print(f"{name}: changed in {options.users}")


def remove(options):
    """Let one no longer log in."""
    passwords.remove(options.users, options.words[0])
    print(f"{options.words[0]}: removed from {options.users}")


def show(options):
    """Print the names."""
    users = passwords.Passwords(options.users)
    for name in users.names():
        realm = users.realm(name)
        print(name if realm is None else f"{name}  (Digest: {realm})")


def names(options):
    """Who is in the file."""
    return passwords.Passwords(options.users).names()


def called(options):
    """What messages call the file."""
    return options.users


def _group():
    """The group for a new file: the programs', if root makes it and there is one."""
    if os.geteuid() != 0:
        return -1
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return -1
