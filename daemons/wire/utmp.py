"""The file of logins, /var/run/utmp: records of fixed size in the machine's own byte order (utmp(5))."""

import struct

USER_PROCESS = 7                # somebody is logged in
TYPES = 10                      # types run from EMPTY, 0, to ACCOUNTING, 9

#   type, pid, line, id, user, host, exit (2), session, seconds, microseconds, address, unused
NARROW = struct.Struct("=h2xi32s4s32s256shhiii16s20x")      # glibc where time is kept in 32 bits: x86, PowerPC, s390
WIDE = struct.Struct("=h2xi32s4s32s256shhqqq16s20x4x")      # and where it is not: 64-bit ARM


class Login:
    """Somebody's presence: login name, terminal below /dev, from where, since when, and the process behind it."""

    __slots__ = ("host", "pid", "since", "terminal", "user")

    def __init__(self, user: str, terminal: str, host: str, since: int, pid: int) -> None:
        self.user, self.terminal, self.host, self.since, self.pid = user, terminal, host, since, pid


def logins(data: bytes) -> list[Login]:
    """Everybody who is logged in according to the file's octets; raises ValueError if they are no utmp."""
    for layout in (NARROW, WIDE):
        if len(data) % layout.size == 0:
            records = list(layout.iter_unpack(data))
            if all(0 <= record[0] < TYPES for record in records):
                return [_login(record) for record in records if record[0] == USER_PROCESS]
    raise ValueError(f"{len(data)} octets are no whole number of utmp records")


def _login(record: tuple[int, int, bytes, bytes, bytes, bytes, int, int, int, int, int, bytes]) -> Login:
    _, pid, line, _, user, host, _, _, _, seconds, _, _ = record
    return Login(_text(user), _text(line), _text(host), seconds, pid)


def _text(field: bytes) -> str:
    """A field up to its first NUL; who wrote it (login, sshd, a name server far away) is not to be trusted."""
    text = field.partition(b"\0")[0].decode("utf-8", "replace")
    return "".join(sign for sign in text if sign.isprintable())
