"""Who is logged in here: the records of /var/run/utmp, and how long each terminal has been idle."""

import os

from daemons.wire import utmp

MOST = 4 << 20                  # octets of utmp: ten thousand logins


class Presence:
    """A login, and the seconds since its terminal last heard a key; None where that cannot be seen."""

    __slots__ = ("idle", "login")

    def __init__(self, login: utmp.Login, idle: float | None) -> None:
        self.login, self.idle = login, idle


def present(path: str, now: float) -> list[Presence]:
    """Everybody who is logged in; nobody where no such file is kept.  Raises ValueError if it is something else."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST)
    except FileNotFoundError:           # containers and newer systems keep none
        return []
    return [Presence(login, _idle(login.terminal, now)) for login in utmp.logins(data)]


def _idle(terminal: str, now: float) -> float | None:
    if not terminal or ".." in terminal or terminal.startswith(("/", ":")):     # ":0" is a screen, not a device
        return None
    try:
        return now - os.stat(f"/dev/{terminal}").st_atime
    except (OSError, ValueError):
        return None
