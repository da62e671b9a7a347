"""Passwords as they are given to a command: typed at a terminal, twice, or on the standard input; never an argument."""

import sys
import warnings

from daemons.wire.passwordlines import LONGEST_PASSWORD, check_password

from .programs import NotOurs


def given(from_stdin):
    """The octets of the password; arguments are shown to everybody by ps.  ValueError, NotOurs."""
    if from_stdin:
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
