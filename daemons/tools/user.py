"""fd0 user: who may log in to the programs that ask for a password, and with which."""

import grp
import os
import sys
import warnings

from daemons.stores import passwords
from daemons.wire.passwordlines import LONGEST_PASSWORD, check_name, check_password

from .arguments import Parser
from .programs import NotOurs

GROUP = "fd0"           # of the user who runs the programs where they are installed


def main(arguments):
    """Add, change, remove or list; returns 0."""
    parser = Parser("user", "Keep a file of passwords: who may log in. It holds not the passwords, but what scrypt\n"
                            "makes of them. Somebody at a terminal is asked, twice; a password is never an argument.",
                    examples=(
        ("fd0 user add alice --users=FILE", "asks for her password"),
        ("fd0 user passwd alice --users=FILE --password-stdin < SECRET", ""),
        ("fd0 user add bob --users=FILE --digest=Files", "he can log in by HTTP's Digest too"),
        ("fd0 user list --users=FILE", "the names")))
    parser.add_argument("action", choices=ACTIONS, help="what to do; passwd sets another password")
    parser.add_argument("name", nargs="*", metavar="NAME", help="whom it is about; one")
    parser.add_argument("--users", metavar="FILE", required=True, help="the file; add makes it if there is none")
    parser.add_argument("--password-stdin", action="store_true", help="read it, one line, from the standard input")
    parser.add_argument("--digest", metavar="REALM", help="keep what HTTP's Digest needs in this realm: with it, "
                                                          "who reads the file can log in; empty: no longer")
    options = parser.parse(arguments)
    if len(options.name) != (options.action != "list"):         # more may be a password, which is not repeated
        parser.error(f"{options.action} takes {'no' if options.action == 'list' else 'one'} NAME, and no password")
    options.name = "".join(options.name)
    if options.action in ("list", "remove") and (options.password_stdin or options.digest is not None):
        parser.error(f"{options.action} needs no password")
    try:
        ACTIONS[options.action](options)
    except KeyError:
        raise NotOurs(f"{options.users}: no {options.name} there" + _near(options)) from None
    except ValueError as error:
        raise NotOurs(error) from None
    return 0


def _add(options):
    name = check_name(options.name)
    if os.path.exists(options.users) and name in passwords.Passwords(options.users).names():
        raise NotOurs(f"{options.users}: {name} is there already; fd0 user passwd sets another password")
    passwords.add(options.users, name, _password(options), options.digest or None, _group())
    print(f"{name}: added to {options.users}")


def _change(options):
    name = check_name(options.name)
    if name not in passwords.Passwords(options.users).names():
        raise KeyError(name)            # before anybody is asked for a password
    passwords.change(options.users, name, _password(options), options.digest)
    print(f"{name}: changed in {options.users}")


def _remove(options):
    passwords.remove(options.users, options.name)
    print(f"{options.name}: removed from {options.users}")


def _list(options):
    users = passwords.Passwords(options.users)
    for name in users.names():
        realm = users.realm(name)
        print(name if realm is None else f"{name}  (Digest: {realm})")


ACTIONS = {"add": _add, "passwd": _change, "remove": _remove, "list": _list}


def _password(options):
    """The octets of the password, which is never an argument: those are shown to everybody by ps."""
    if options.password_stdin:
        line, _, more = sys.stdin.buffer.read(LONGEST_PASSWORD + 2).partition(b"\n")
        if more:
            raise NotOurs("the standard input has more than one line")
        return check_password(line)
    first = _asked("Password: ")
    if _asked("Once more: ") != first:
        raise NotOurs("the two passwords differ; nothing was changed")
    return first


def _asked(prompt):
    """What a person types at the terminal, which does not show it."""
    from getpass import GetPassWarning, getpass
    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)
        try:
            return check_password(getpass(prompt).encode())
        except GetPassWarning:
            raise NotOurs("there is no terminal to ask at; give --password-stdin") from None
        except EOFError:
            raise NotOurs("no password was given; nothing was changed") from None
        except UnicodeError:            # which would tell an octet of it
            raise NotOurs("a password is UTF-8") from None


def _group():
    """The group for a new file: the programs', if root makes it and there is one."""
    if os.geteuid() != 0:
        return -1
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return -1


def _near(options):
    from difflib import get_close_matches
    near = get_close_matches(options.name, passwords.Passwords(options.users).names(), 1)
    return f" (did you mean {near[0]}?)" if near else ""
