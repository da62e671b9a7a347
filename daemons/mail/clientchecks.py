"""What a stranger who brings mail must be like, as far as options ask for it: name, greeting, patience, mail."""

from daemons.stores.sqlstore import Unavailable
from daemons.wire import mailheaders
from daemons.wire.mailaddresses import place
from daemons.wire.smtpreplies import Refused


def check_client(session):
    """Raise Refused for a stranger who is not what options ask for."""
    if is_stranger(session):
        if session.options.check_helo:
            check_helo(session, session.helo)
        if session.options.client_names:
            check_name(session)


def check_helo(session, name):
    """Raise Refused for a name that is none, or ours: a mail server knows what it is called (RFC 5321, 4.1.1.1)."""
    try:
        known = place(name.encode("ascii"))
    except ValueError:
        raise Refused(550, "5.7.1", "that is neither a domain nor an address literal") from None
    if known == session.server.hostname.lower():
        raise Refused(550, "5.7.1", "that is our own name")
    if not known.startswith("[") and "." not in known:
        raise Refused(550, "5.7.1", "that is no whole domain")


def check_name(session):
    """Raise Refused for a client whose address has no name that leads back to it (RFC 7372, 3.3)."""
    from daemons.kernel.dial import name_of
    session.name = session.name or name_of(session.stream.peer.host) or ""
    if not session.name:
        raise Refused(450, "4.7.25", "your address has no name that leads back to it")


def check_sender(session, sender):
    """Note what SPF says of the sender; raises Refused."""
    session.sender = None
    if session.server.checks and is_stranger(session):
        session.sender = session.server.checks.sender(session, sender)


def check_lists(session, rcpt):
    """Raise Refused for a stranger whose address is on a block list."""
    if session.server.checks and is_stranger(session):
        session.server.checks.client(session, rcpt)


def check_letter(session, letter):
    """See whose a stranger's mail is, or whether who logged in is its author; raises Refused."""
    if is_stranger(session):
        if session.server.checks:
            session.server.checks.letter(session, letter)
    elif session.options.check_from and session.user:
        _looked_up(session, lambda: _check_author(session, letter))


def sign_letter(session, letter):
    """Sign the mail of who may send mail elsewhere; raises Refused."""
    if session.may_relay:
        made, domain, why = _looked_up(session, lambda: session.server.signer.sign(
            letter, session.stream.time(), lambda author: _may_be(session, author)))
        letter.mark(made)
        session.stream.log("signed", id=session.id, domain=domain, why=why)


def _looked_up(session, ask):
    """What `ask` finds out about accounts; raises Refused where that cannot be done now."""
    try:
        return ask()
    except Unavailable as error:
        session.stream.log("trouble", where="accounts", why=error.strerror)
        raise Refused(451, "4.3.0", "accounts cannot be looked up now; try again later") from None


def _check_author(session, letter):
    """Raise Refused for a mail whose From field names somebody else than who logged in (RFC 6409, 6.1)."""
    try:
        authors = [one for value in letter.fields.all("from") for one in mailheaders.addresses(value)]
    except ValueError:
        raise Refused(554, "5.6.0", "a From field that nobody can read") from None
    if not all(_may_be(session, author) for author in authors):
        raise Refused(550, "5.7.1", "the From field names somebody else")


def _may_be(session, author):
    """May this client write as this author?  Networks of --relay-from answer for themselves."""
    return not session.user or session.server.accounts().sender_may(session.user, f"{author.local}@{author.domain}")


def check_greylist(session, rcpt):
    """Raise Refused for a stranger's mail that is to come again; raises Unavailable."""
    if not session.options.greylist or not is_stranger(session):
        return
    sender = session.transaction.mail.sender
    if not session.server.greylist().passes(session.stream.peer.host, str(sender or ""), str(rcpt.mailbox),
                                            session.stream.time()):
        raise Refused(450, "4.7.1", "greylisted; try again in some minutes")


def is_stranger(session):
    """Is this somebody whom checks are for?  Not one who is on this machine, has logged in or is named."""
    return bool(session.stream.peer.host) and not (session.role.lmtp or session.role.submission or session.may_relay)
