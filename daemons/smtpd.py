"""smtpd: takes mail by SMTP and LMTP (RFC 5321, RFC 6409, RFC 2033), for mailboxes here and for the queue.

Who a recipient is stands in mail/recipients.py, what becomes of a mail in mail/deliveries.py, logins are in
mail/smtplogin.py.  A 250 after the text means that the mail is on the disk.
"""

from daemons.kernel.ends import Gone, TooLong
from daemons.kernel.options import networks
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, count, path, seconds, size, switch, text
from daemons.mail.server import Server
from daemons.mail.session import IN_TLS, OFFERED, Session
from daemons.stores.mailusers import ACCOUNTS, MAIL
from daemons.stores.queuefolder import SPOOL
from daemons.stores.sqlstore import Unavailable
from daemons.wire import commands, smtplines
from daemons.wire.blocklistnames import zones
from daemons.wire.commands import LEAVE, Command
from daemons.wire.milterplaces import places
from daemons.wire.smtpreplies import Refused

CONTROL_OCTETS = bytes((*range(32), 127))
HARD = 20                       # errors at which we part; Postfix has the same
JUNK = 100                      # commands that do nothing, between two mails, before each more is an error
LOGINS = 5                      # failed logins in a conversation

# all that we say of our own accord
GREET_FIRST = 503, "5.5.1", "say who you are first"
MAIL_FIRST = 503, "5.5.1", "MAIL first"
RCPT_FIRST = 503, "5.5.1", "RCPT first, for somebody who is here"
ONE_AT_A_TIME, NOT_NOW = (503, "5.5.1", "a mail has been begun already"), (503, "5.5.1", "not now")
NO_ARGUMENTS = 501, "5.5.4", "that command stands alone"
NO_COMMAND = 500, "5.5.1", "no such command here"
TOO_LONG = 500, "5.5.2", "line too long"
CONTROLS = 500, "5.5.2", "a control character in a command"
LOGIN_FIRST, TLS_FIRST = (530, "5.7.0", "log in first"), (530, "5.7.0", "STARTTLS first")
NOT_YOURS = 553, "5.7.1", "you may not send as this sender"
UNAVAILABLE = 451, "4.3.0", "accounts cannot be looked up now; try again later"
TOO_BIG, TOO_MANY = (552, "5.3.4", "more octets than we take"), (452, "4.5.3", "too many recipients")
EARLY = 554, "5.5.1", "you spoke before it was your turn"
TOO_MANY_ERRORS = 421, "4.7.0", "too many errors"
SILENT, STOPPING = (421, "4.4.2", "you were silent for too long"), (421, "4.3.2", "not now; try again later")
HELP = "MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT, and what EHLO tells; RFC 5321"

DESCRIPTION = """
Takes mail. As mx it takes mail from anybody for the mailboxes of its accounts; as submission from those who log in, for
anybody; as lmtp from another mail server, for its mailboxes. What it is to be is told by --role, or by the port it is
asked at: 587 and 465 are submission, 24 is lmtp, and a Unix socket is what its name says.

A recipient is known or refused at once: accounts and aliases are those of fd0 user, in the database that --accounts
names. Mail for them goes into Maildirs below --mail, and all else into the queue, which a runner empties. Mail for a
full mailbox has to come again later; that of an alias is taken, and waits in the queue for those who are full. What was
answered with 250 is on the disk. Only those who log in, and the networks of --relay-from, may send elsewhere; with
--user-rate a user may write to so many recipients in an hour, as whoever has stolen a password writes to many.

Lines must end with CR LF. A mail with any other line end is refused and the connection closed, so that nobody can have
a second mail taken for a part of the first. Passwords go over TLS only; SCRAM-SHA-256 does not tell them.

    fd0 user add ann@example.org
    smtpd --hostname=mx.example.org --accounts=/var/lib/fd0/accounts.db --mail=/var/lib/fd0/mail

Strangers can be held to what the DNS says of them: --block-lists refuses clients that are on a list, --spf those
that the sender's domain does not let send, --dmarc what the author's domain disowns; "mark" refuses nothing. What was
found is written on the mail, in Authentication-Results of our own name; such fields that others wrote are taken off.
It needs python3-dnspython, python3-spf and python3-dkim. A list that does not answer lets everybody in.

Mail of those who may send elsewhere is signed (DKIM) with the keys of --dkim-keys, if its author is in a domain of
that list, or below one, and is an address of the user who sends it. fd0 dkim makes keys and prints their records.

Mail filters such as rspamd, opendkim or clamav-milter are asked in the order of --milters, by the milter protocol: at
the first mail of a conversation each is called, and told of the client, the sender, each recipient and the text. A
filter may refuse any of these, throw the mail away, or change it, and the next one sees the mail as it was left; what
is kept, queued and signed is what the last one left. Mail of all clients goes through them, of those who log in, too,
but not what comes by LMTP, which has been through those of the server that brings it. They are asked after the checks
above. Quarantine is not offered. A recipient that a filter adds must be one to whom the client could have written
itself. With --names or --client-names filters are told the client's name; rspamd takes one without a name for bad. When
a filter cannot be reached or breaks, --milter-fails says what becomes of the mail; it is called again for the next one.
A Unix socket must let the user fd0 in.

    smtpd --milters=unix:/run/opendkim/opendkim.sock,127.0.0.1:11332

With --greet-delay the greeting comes in two lines, and who speaks before the second is no mail server and is refused.
"""
# nobody here has such an address, so it is refused before any account is looked up
REHEARSAL = b"EHLO localhost\r\nMAIL FROM:<a@localhost>\r\nRCPT TO:<a@[127.0.0.1]>\r\nDATA\r\nQUIT\r\n"
SERVICE = Service(
    "smtpd", port=25, rfcs=(5321, 6409, 2033), model="fork", endings="crlf", facility="mail", protocol="smtp",
    upgrades=True, secure_port=465, logins=True, busy=b"421 4.3.2 Try again later\r\n",
    about="Take mail by SMTP and LMTP.", rehearsal=REHEARSAL,
    writes=("/var/lib/fd0", SPOOL, "--accounts", "--mail", "--queue", "--greylist"),
    needs=("network:--calling", "network:--client-names", "network:--block-lists", "network:--spf", "network:--dkim",
           "network:--dmarc"),
    reads=("--dkim-keys",),
    defaults=(("timeout", "300"), ("timeout-crowded", "10"), ("session", "1h")),
    options=(
        Option("accounts", text, ACCOUNTS, "database of accounts: a path, or postgresql://..."),
        Option("mail", path, MAIL, "folder of all mailboxes"),
        Option("queue", path, SPOOL, "folder of mail that is to go elsewhere"),
        Option("role", choice("mx", "submission", "lmtp"), None, "what it is [by the port or the socket's name]"),
        Option("hostname", text, None, "the name that it has in mail [this machine's]"),
        Option("separator", text, "+", "sign before the rest of a sub-address: ann+news@; empty for none"),
        Option("relay-from", networks, None, "who may send mail elsewhere without a login [nobody]"),
        Option("size", size, "10240000", "octets of the longest mail"),
        Option("recipients", count, "1000", "recipients of a mail"),
        Option("user-rate", count, None, "recipients to whom one user may write in an hour [any number]"),
        Option("require-tls", switch, "no", "take no mail without TLS"),
        Option("hide-clients", switch, "yes", "leave out of a submitted mail where it came from"),
        Option("check-helo", switch, "no", "refuse strangers who do not say a whole domain or an address literal"),
        Option("client-names", switch, "no", "put off strangers whose address has no name that leads back to it"),
        Option("block-lists", zones, None, "refuse strangers who are on one of these DNS lists: ZONE,ZONE [none]"),
        Option("spf", choice("no", "mark", "refuse"), "no", "look up whether strangers may send as the sender"),
        Option("dkim", choice("no", "mark"), "no", "verify signatures on strangers' mail"),
        Option("dmarc", choice("no", "mark", "refuse"), "no", "whether it is the author's, and what he wants if not"),
        Option("dkim-keys", path, None, "file of lines: DOMAIN SELECTOR KEYFILE; with these we sign [sign nothing]"),
        Option("resolver", text, None, "ask this name server: ADDRESS or [ADDRESS]:PORT [the machine's]"),
        Option("greylist", text, None, "database of who has tried again: a path, or postgresql://... [no greylist]"),
        Option("greylist-delay", seconds, "5m", "after how long a stranger may try again"),
        Option("milters", places, None, "ask these mail filters: unix:/PATH or HOST:PORT, with commas between [none]"),
        Option("milter-fails", choice("tempfail", "reject", "accept"), "tempfail",
               "what becomes of mail when a filter does not answer"),
        Option("strict-pipelining", switch, "no", "part with strangers who go on where they must await our answer"),
        Option("check-from", switch, "no", "refuse a submitted mail whose From field names somebody else"),
        Option("greet-delay", seconds, "0", "how long a client must hold its tongue before the greeting is over"),
    ),
    events=(
        Event("mail", "info", "session id queued sender size recipients user protocol", "a mail was taken"),
        Event("refused-mail", "info", "session command reply", "something was refused, and how"),
        Event("checked", "info", "session id spf dkim dmarc author wanted", "what was found out about a mail"),
        Event("signed", "info", "session id domain why", "a mail was signed, or why it was not"),
        Event("filtered", "info", "session id filter what why", "what a mail filter did to a mail"),
        Event("login", "notice", "session user result mechanism", "a login, and what came of it"),
        Event("trouble", "err", "session where why", "a mail could not be kept, or accounts, a list or a filter asked"),
    ),
    examples=("smtpd --hostname=mx.example.org", "smtpd --role=submission --tls-cert=/etc/fd0/tls/mx.pem",
              "smtpd --role=lmtp --listen=unix:/run/fd0/lmtp"),
    description=DESCRIPTION)


def setup(options):
    """The accounts, and where mail goes."""
    if options.role == "lmtp" and any(port == SERVICE.port for _, port in options.listen or ()):
        raise ValueError("LMTP must not be at port 25 (RFC 2033, 5); private mail systems have 24")
    server = Server(options)
    if server.is_ready:                 # then mail will come: load once, and not in each child, what takes it
        from daemons.mail import deliveries, letters, recipients, transaction  # noqa: F401
        from daemons.stores import maildelivery, maildir, queuewriter  # noqa: F401
    if options.milters:
        from daemons.mail import milters  # noqa: F401
    return server


def talk(stream, options, server):
    session = Session(stream, options, server)
    if not stream.upgraded and not greeted(session):
        return session.end
    try:
        return converse(session)
    finally:
        session.close()


def greeted(session):
    """The greeting, in two lines with a pause between them where that is wanted; False for who could not wait."""
    stream, name = session.stream, f"{session.server.hostname} {'LMTP' if session.role.lmtp else 'ESMTP'}"
    delay = session.options.greet_delay
    if delay and stream.peer.host:      # who is on this machine has no need to be tried
        stream.send(f"220-{name}\r\n".encode())
        stream.pause(delay)
        if stream.pending():
            session.refuse(*EARLY)
            session.end = "early"
            return False
    if goes_on(session):
        return False
    session.say(220, "", name)
    return True


def goes_on(session):
    """Has a stranger said more already, though it must await our next answer (RFC 2920, 3.1)?  Then we part."""
    if not session.options.strict_pipelining:
        return False
    from daemons.mail.clientchecks import is_stranger
    if not is_stranger(session) or not (session.stream.pending() or session.stream.take()):
        return False
    session.refuse(*EARLY)
    session.end = "early"
    return True


def converse(session):
    """One command after another; returns the word for the end."""
    stream, table = session.stream, LMTP if session.role.lmtp else SMTP
    while True:
        if not stream.spoken_to(stream.patience):
            return silent(session)
        stream.commands += 1
        verb = ""
        try:
            line = stream.line(session.limit)
            verb, _ = commands.split(line)
            if hear(session, table, verb, line) is LEAVE:
                return session.end
        except TooLong:
            stream.skip_line()
            session.refuse(*TOO_LONG)
        except Refused as refusal:
            session.refuse(*refusal.args, verb=verb if verb in table else "")
        except Unavailable as error:
            stream.log("trouble", where="accounts", why=error.strerror)
            session.refuse(*UNAVAILABLE, verb=verb)
        if session.errors >= HARD or session.failed_logins >= LOGINS:
            session.say(*TOO_MANY_ERRORS)
            return "errors"


def hear(session, table, verb, line):
    """Do what a line asks; raises Refused."""
    if len(line) + 2 > smtplines.LONGEST and verb != "AUTH":
        raise Refused(*TOO_LONG)
    if line.translate(None, CONTROL_OCTETS) != line:
        raise Refused(*CONTROLS)
    if verb not in table:
        raise Refused(*NO_COMMAND)
    if session.options.require_tls and not session.stream.secure and verb not in WITHOUT_TLS:
        raise Refused(*TLS_FIRST)
    if verb in LAST_IN_GROUP and goes_on(session):
        return LEAVE
    if verb in JUNK_COMMANDS:
        session.junk += 1
        session.errors += session.junk > JUNK
    try:
        return commands.answer(session, table, line)
    except Refused:
        raise
    except commands.Refused:            # by the number of its words
        raise Refused(*NO_ARGUMENTS) from None


def silent(session):
    """The last words to who says nothing more, or cannot be heard any longer."""
    stream = session.stream
    if stream.ended:
        raise Gone("the peer closed")
    session.say(*(STOPPING if stream.leaving else SILENT))
    return "stopped" if stream.leaving else "late"


# -- who is there --


def helo(session, rest=b""):
    """RFC 5321, 4.1.1.1, without extensions."""
    session.helo, session.extended = smtplines.client_name(rest), False
    session.reset()
    session.say(250, "", session.server.hostname)


def ehlo(session, rest=b""):
    """RFC 5321, 4.1.1.1; LHLO is the same (RFC 2033, 4.1)."""
    session.helo, session.extended = smtplines.client_name(rest), True
    session.reset()
    lines = [f"SIZE {session.options.size}" if word == "SIZE" else word for word in OFFERED]
    if session.stream.can_upgrade:
        lines.append("STARTTLS")
    lines += IN_TLS * session.stream.secure
    if session.role.submission and not session.user:
        from daemons.mail.smtplogin import mechanisms
        lines.append(f"AUTH {' '.join(mechanisms(session.stream))}")
    session.say(250, "", session.server.hostname, *lines, "HELP")


def starttls(session):
    """RFC 3207: what was said before counts for nothing after."""
    if session.stream.secure:
        raise Refused(503, "5.5.1", "this is TLS")
    if not session.stream.can_upgrade:
        raise Refused(502, "5.5.1", "no TLS here")
    session.reset()
    session.say(220, "2.0.0", "go ahead")
    session.stream.starttls()


def auth(session, rest=b""):
    """RFC 4954; in a submission server alone."""
    if not session.role.submission:
        raise Refused(502, "5.5.1", "no logins here")
    if not session.extended or session.user or session.transaction:
        raise Refused(*NOT_NOW)
    from daemons.mail.smtplogin import log_in
    try:
        session.user = log_in(session.stream, session.server, rest)
    except Refused as refusal:
        session.failed_logins += refusal.code == 535
        raise
    session.mechanism = smtplines.auth(rest)[0]
    session.say(235, "2.7.0", "welcome")


# -- a mail --


def mail(session, rest=b""):
    """RFC 5321, 4.1.1.2."""
    from daemons.mail.transaction import Transaction
    if not session.helo:
        raise Refused(*GREET_FIRST)
    if session.transaction:
        raise Refused(*ONE_AT_A_TIME)
    if session.role.submission and not session.user:
        raise Refused(*LOGIN_FIRST)
    command, most = smtplines.mail(rest, session.offered), session.options.size
    if command.size is not None and command.size > most:
        raise Refused(*TOO_BIG)
    if session.user and command.sender and \
            not session.server.accounts().sender_may(session.user, f"{command.sender.local}@{command.sender.domain}"):
        raise Refused(*NOT_YOURS)
    session.check_client(command.sender)
    if session.filters:
        session.filters.mail(command)
    session.transaction = Transaction(command, most, session.options.mail)
    session.say(250, "2.1.0", "sender taken")


def rcpt(session, rest=b""):
    """RFC 5321, 4.1.1.3: whoever is not here is refused now, since later nobody could be told but a forged sender."""
    from daemons.mail.recipients import recipient
    transaction = session.transaction
    if not transaction:
        raise Refused(*MAIL_FIRST)
    if transaction.chunks:
        raise Refused(*NOT_NOW)
    command = smtplines.rcpt(rest, session.offered, transaction.mail.utf8)
    if len(transaction.recipients) >= session.options.recipients:
        session.errors -= 1             # no error: they come again with another mail (RFC 5321, 4.5.3.1.10)
        raise Refused(*TOO_MANY)
    found = recipient(session.server, command, session.may_relay, transaction.mail.size)
    session.check_recipient(command)    # of those who are here alone
    if session.user and session.options.user_rate:
        session.server.spend(session.user, session.stream.time())
    if session.filters:
        session.filters.rcpt(found)
    transaction.recipients.append(found)
    session.say(250, "2.1.5", "recipient taken")


def data(session):
    """RFC 5321, 4.1.1.4."""
    transaction = session.transaction
    if not transaction or not transaction.recipients:
        raise Refused(*(RCPT_FIRST if transaction else MAIL_FIRST))
    if transaction.chunks:
        raise Refused(*NOT_NOW)
    if session.filters:
        try:
            session.filters.data()
        except Refused:
            session.reset()             # for filters this mail is over
            raise
    session.say(354, "", "send it, and a line with a dot alone")
    return finish(session, lambda: transaction.take_data(session.stream))


def bdat(session, rest=b""):
    """RFC 3030, 2: a chunk that is refused comes all the same, and counts for nothing."""
    from daemons.mail.transaction import skip
    transaction = session.transaction
    try:
        octets, is_last = smtplines.bdat(rest)
    except Refused as refusal:          # nobody knows where it ends, and its text must not be taken for commands
        session.refuse(*refusal.args, verb="BDAT")
        session.end = "badending"
        return LEAVE
    if octets > session.options.size:   # it would be heard to its end
        session.refuse(*TOO_BIG, verb="BDAT")
        session.end = "toolong"
        return LEAVE
    if not transaction or not transaction.recipients or transaction.spoilt:
        skip(session.stream, octets)
        raise Refused(*(NOT_NOW if transaction and transaction.spoilt else RCPT_FIRST if transaction else MAIL_FIRST))
    transaction.chunks = True
    if is_last:
        return finish(session, lambda: transaction.take_chunk(session.stream, octets, True))
    heard(session, lambda: transaction.take_chunk(session.stream, octets, False))
    session.say(250, "2.0.0", f"{octets} octets")
    return None


def heard(session, take):
    """Hear a piece of the text; raises Refused for what cannot be kept."""
    from daemons.mail.deliveries import refusal_of
    transaction, refusal = session.transaction, None
    try:
        take()
    except OSError as error:
        session.stream.log("trouble", where=session.options.mail, why=error)
        refusal = refusal_of(error)
    refusal = transaction.refusal or refusal
    if refusal:
        transaction.spoilt = True
        raise refusal


def finish(session, take):
    """Hear the rest of the text, and keep it or say why not."""
    transaction = session.transaction
    try:
        heard(session, take)
        outcomes = keep(session)
    except Refused as refusal:
        outcomes = [refusal] * (len(transaction.recipients) if session.role.lmtp else 1)
    for outcome in outcomes:
        session.refuse(*outcome.args, verb="DATA") if outcome else session.say(250, "2.0.0", f"taken as {session.id}")
    session.reset()
    if transaction.content.is_bare:     # what else has come may be words of that mail
        session.end = "badending"
        return LEAVE
    return None


def keep(session):
    """Store the mail; returns a Refused or None for each reply that is owed: one, or one for each recipient."""
    from daemons.mail.deliveries import Delivery
    from daemons.mail.letters import Letter, trace
    transaction = session.transaction
    session.mails += 1
    letter = Letter(transaction, trace(session, transaction), session.server.hostname)
    letter.check_hops()
    session.check_letter(letter)
    if session.filters and not session.filters.letter(letter):
        return [None]                   # somebody wants it thrown away without a word
    session.sign_letter(letter)
    delivery = Delivery(session, transaction, letter)
    delivery.deliver()
    outcomes = [delivery.outcome(one) for one in transaction.recipients]
    taken = [one for one, outcome in zip(transaction.recipients, outcomes) if not outcome]
    if session.role.lmtp or len(taken) == len(outcomes):
        session.errors = session.junk = 0
        session.stream.log("mail", id=session.id, queued=delivery.queued, sender=transaction.mail.sender or "<>",
                           size=letter.size, recipients=",".join(str(one.rcpt.mailbox) for one in taken),
                           user=session.user, protocol=session.protocol(transaction.mail.utf8))
    return outcomes if session.role.lmtp else [next(filter(None, outcomes), None)]


# -- the rest --


def rset(session):
    """RFC 5321, 4.1.1.5."""
    session.reset()
    session.say(250, "2.0.0", "forgotten")


def noop(session, rest=b""):
    """RFC 5321, 4.1.1.9."""
    session.say(250, "2.0.0", "still here")


def vrfy(session, rest=b""):
    """RFC 5321, 3.5.3 and 7.3: nobody is told who is here."""
    session.say(252, "2.5.0", "send it a mail and see")


def expn(session, rest=b""):
    """RFC 5321, 7.3."""
    raise Refused(502, "5.5.1", "lists are not told")


def help_(session, rest=b""):
    """RFC 5321, 4.1.1.8."""
    session.say(214, "2.0.0", HELP)


def leave(session):
    """RFC 5321, 4.1.1.10."""
    session.say(221, "2.0.0", "goodbye")
    return LEAVE


ANY = commands.maybe(commands.text)
LMTP = {
    "LHLO": Command(ehlo, ANY), "STARTTLS": Command(starttls), "MAIL": Command(mail, ANY), "RCPT": Command(rcpt, ANY),
    "DATA": Command(data), "BDAT": Command(bdat, ANY), "RSET": Command(rset), "NOOP": Command(noop, ANY),
    "VRFY": Command(vrfy, ANY), "EXPN": Command(expn, ANY), "HELP": Command(help_, ANY), "QUIT": Command(leave),
}
SMTP = {**LMTP, "HELO": Command(helo, ANY), "EHLO": Command(ehlo, ANY), "AUTH": Command(auth, ANY, secret=True)}
del SMTP["LHLO"]
WITHOUT_TLS = {"EHLO", "HELO", "LHLO", "NOOP", "QUIT", "STARTTLS",      # RFC 3207, 4
               "BDAT"}          # is refused by itself, and takes its text along, which else were commands
LAST_IN_GROUP = {"EHLO", "HELO", "DATA", "VRFY", "EXPN", "NOOP"}        # RFC 2920, 3.1
JUNK_COMMANDS = {"EHLO", "HELO", "LHLO", "RSET", "NOOP", "VRFY", "EXPN", "HELP"}


if __name__ == "__main__":
    main(SERVICE, talk, setup=setup)
