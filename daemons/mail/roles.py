"""Roles of a mail server: whose mail it takes, and what it offers them; told by an option or by where it is asked.

    mx              from anybody, for mailboxes here (port 25)
    submission      from those who log in, for anybody (port 587, and 465 under TLS; RFC 6409, RFC 8314)
    lmtp            from our own mail server, a reply for each recipient (RFC 2033)
"""


class Role:
    """One of them: its name, and what is different."""

    __slots__ = ("lmtp", "name", "submission")

    def __init__(self, name, submission=False, lmtp=False):
        self.name, self.submission, self.lmtp = name, submission, lmtp


MX, SUBMISSION, LMTP = Role("mx"), Role("submission", submission=True), Role("lmtp", lmtp=True)
NAMES = {role.name: role for role in (MX, SUBMISSION, LMTP)}
PORTS = {587: SUBMISSION, 465: SUBMISSION, 24: LMTP}        # 24 is for private mail systems; RFC 2033, 5 bans 25


def role_of(chosen, local):
    """The role that was `chosen` (None: none was), or that the Address says at which we are asked."""
    if chosen is not None:
        return NAMES[chosen]
    if local.host:
        return PORTS.get(local.port, MX)
    name = local.word.rpartition("/")[2]
    return next((role for role in (LMTP, SUBMISSION) if role.name in name), MX)
