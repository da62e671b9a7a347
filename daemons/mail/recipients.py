"""Recipients: where the mail for an address goes, and for whom it may go elsewhere.

A mail for an address here goes to mailboxes, and to addresses elsewhere where an alias leads there.  For any other
address it is passed on for those alone who have logged in or whose network was named.  What an address is depends on
its domain and on nothing within its local part: a%b@here, "a@b"@here and b!a@here are names in `here` that nobody has.
"""

from daemons.wire.smtpreplies import Refused

ROUTES = "%!@:"                 # signs by which a local part has been taken for another address


class Recipient:
    """One that was accepted: the RCPT, the mailboxes here, and the addresses elsewhere (in wire form).

    later       users here for whose mailboxes the queue has to find room, while others of the alias have the mail
    """

    __slots__ = ("elsewhere", "later", "mailboxes", "rcpt")

    def __init__(self, rcpt, mailboxes, elsewhere):
        self.rcpt, self.mailboxes, self.elsewhere, self.later = rcpt, mailboxes, elsewhere, []

    @property
    def is_alias(self):
        """Does mail for an address here go elsewhere?"""
        return self.elsewhere != [str(self.rcpt.mailbox)]

    def has_others(self, user):
        """Does somebody else have the mail at once if this user has to wait for it?"""
        return bool(self.elsewhere) or any(box.user != user for box in self.mailboxes)

    def postpone(self, user):
        """Leave this user's copy to the queue."""
        self.mailboxes = [box for box in self.mailboxes if box.user != user]
        self.later.append(user)


def recipient(server, rcpt, may_relay, size=None):
    """The Recipient of a RCPT for a mail of `size` octets, if known; raises Refused, and Unavailable."""
    mailbox = rcpt.mailbox
    address = f"{mailbox.local}@{mailbox.domain}" if mailbox.domain else _postmaster(server)
    if not mailbox.is_literal:
        ends = _ends(server, address)   # which are none where the domain is not ours, too
        if ends or not mailbox.domain or server.accounts().is_local_domain(mailbox.domain):
            return _here(server, rcpt, address, ends, size)
    if not may_relay:
        raise Refused(550, "5.7.1", "no mail for that domain is taken here")
    return Recipient(rcpt, [], [str(mailbox)])


def _ends(server, address):
    from daemons.stores.accountroutes import TooMany
    try:
        return server.accounts().ends(address)
    except TooMany:
        raise Refused(550, "5.4.6", "that address leads in circles, or to too many") from None


def _here(server, rcpt, address, ends, size):
    from daemons.wire.mailaddresses import mailbox as read
    if any(sign in rcpt.mailbox.local for sign in ROUTES) and server.accounts().mailbox_of(address) is None:
        raise Refused(550, "5.1.1", "no such mailbox here")
    mailboxes, elsewhere = {}, []
    for final, found in ends.items():
        if found is None:
            elsewhere.append(final)
        elif found.folder:
            mailboxes[found.user] = found
    if not mailboxes and not elsewhere:
        raise Refused(550, "5.1.1", "no such mailbox here")
    made = Recipient(rcpt, list(mailboxes.values()), [str(read(one)) for one in elsewhere])
    for user, box in mailboxes.items():
        try:
            server.check_room(box, size or 0)
        except Refused:                 # one full mailbox keeps nothing from the others of an alias
            if not (server.has_queue() and made.has_others(user)):
                raise
            made.postpone(user)
    return made


def _postmaster(server):
    """Whose mail <postmaster> is, which needs no domain (RFC 5321, 4.5.1): our own name's, or that of a domain here.

    The domains that our name is in come before others.
    """
    accounts = server.accounts()
    domains = sorted(accounts.list_domains(), key=lambda domain: not server.hostname.endswith(f".{domain}"))
    for domain in (server.hostname, *domains):
        if accounts.resolve(f"postmaster@{domain}"):
            return f"postmaster@{domain}"
    return f"postmaster@{server.hostname}"
