"""sendmail -bs: SMTP on standard input and output, as programs speak it that start a sendmail for it (Symfony, Alpine).

Whoever has started us may send anywhere, and as anybody, as with the other ways to call sendmail.
"""

import tempfile

from daemons.kernel.ends import BadEnding, End, Late, TooLong
from daemons.kernel.stream import Stream
from daemons.kernel.transport import PipeTransport
from daemons.mail.transaction import Transaction
from daemons.wire import commands, mailheaders, smtplines, smtpreplies
from daemons.wire.commands import LEAVE, Command
from daemons.wire.smtpreplies import Refused

from .sendmailletter import LATER, NOT_A_USER, PATIENCE, Letter, Wrong, take

OFFERED = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN")
MAIL_FIRST, RCPT_FIRST = (503, "5.5.1", "MAIL first"), (503, "5.5.1", "RCPT first")
ONE_AT_A_TIME = 503, "5.5.1", "a mail has been begun already"
NO_COMMAND, NO_ARGUMENTS = (500, "5.5.1", "no such command here"), (501, "5.5.4", "that command stands alone")
TOO_LONG, BARE = (500, "5.5.2", "line too long"), (500, "5.5.2", "lines end with CR LF")
SILENT = 421, "4.4.2", "you were silent for too long"


def converse(options):
    """One conversation; returns the exit status."""
    stream = Stream(PipeTransport(0, 1), patience=PATIENCE, endings="crlf")
    session = Session(stream, options)
    try:
        session.say(220, "", f"{options.hostname} ESMTP")
        _answer_all(session)
        stream.flush()
    except Late:
        session.say(*SILENT)
        stream.flush()
        return LATER
    except End:                         # who goes without QUIT has had an answer to every mail
        return 0
    finally:
        session.reset()
    return 0


class Session:
    """The conversation, and the mail that was begun in it."""

    def __init__(self, stream, options):
        self.stream, self.options = stream, options
        self.offered, self.transaction = (), None

    def say(self, code, enhanced, *texts):
        """One reply."""
        self.stream.send(smtpreplies.build(code, enhanced, *texts))

    def reset(self):
        """Forget the mail that was begun."""
        if self.transaction is not None:
            self.transaction.close()
            self.transaction = None


def _answer_all(session):
    while True:
        try:
            line = session.stream.line(smtplines.LONGEST)
            if commands.split(line)[0] not in TABLE:
                raise Refused(*NO_COMMAND)
            if commands.answer(session, TABLE, line) is LEAVE:
                return
        except TooLong:
            session.stream.skip_line()
            session.say(*TOO_LONG)
        except BadEnding:
            session.say(*BARE)
        except Refused as refusal:
            session.say(*refusal.args)
        except commands.Refused:        # by the number of its words
            session.say(*NO_ARGUMENTS)


def _helo(session, rest=b""):
    smtplines.client_name(rest)
    session.reset()
    session.offered = ()
    session.say(250, "", session.options.hostname)


def _ehlo(session, rest=b""):
    smtplines.client_name(rest)
    session.reset()
    session.offered = OFFERED
    session.say(250, "", session.options.hostname, *OFFERED)


def _mail(session, rest=b""):
    if session.transaction:
        raise Refused(*ONE_AT_A_TIME)
    session.transaction = Transaction(smtplines.mail(rest, session.offered), None, tempfile.gettempdir())
    session.say(250, "2.1.0", "sender taken")


def _rcpt(session, rest=b""):
    if not session.transaction:
        raise Refused(*MAIL_FIRST)
    one = smtplines.rcpt(rest, session.offered, session.transaction.mail.utf8)
    session.transaction.recipients.append(one)
    session.say(250, "2.1.5", "recipient taken")


def _data(session):
    transaction = session.transaction
    if not transaction or not transaction.recipients:
        raise Refused(*(RCPT_FIRST if transaction else MAIL_FIRST))
    session.say(354, "", "send it, and a line with a dot alone")
    try:
        _keep(session, transaction)
        session.say(250, "2.0.0", "taken")
    except Refused as refusal:
        session.say(*refusal.args)
    finally:
        session.reset()
    return LEAVE if transaction.content.is_bare else None       # what else has come may be words of that mail


def _keep(session, transaction):
    """Hear the text, and have it delivered; raises Refused."""
    try:
        transaction.take_data(session.stream)
        if transaction.refusal:
            raise transaction.refusal
        head, body = mailheaders.split(b"".join(transaction.spool.pieces()))
        take(session.options, Letter(transaction.mail, transaction.recipients, head, body, session.options.name))
    except Wrong as wrong:
        status, text = wrong.args
        raise Refused(*((451, "4.3.0") if status == LATER else (550, "5.1.1") if status == NOT_A_USER else
                        (554, "5.0.0")), text) from None
    except OSError as error:
        raise Refused(451, "4.3.0", f"{error.filename or session.options.queue}: {error.strerror}") from None


def _rset(session):
    session.reset()
    session.say(250, "2.0.0", "forgotten")


def _noop(session, rest=b""):
    session.say(250, "2.0.0", "still here")


def _vrfy(session, rest=b""):
    session.say(252, "2.5.0", "send it a mail and see")


def _quit(session):
    session.say(221, "2.0.0", "goodbye")
    return LEAVE


ANY = commands.maybe(commands.text)
TABLE = {
    "HELO": Command(_helo, ANY), "EHLO": Command(_ehlo, ANY), "MAIL": Command(_mail, ANY), "RCPT": Command(_rcpt, ANY),
    "DATA": Command(_data), "RSET": Command(_rset), "NOOP": Command(_noop, ANY), "VRFY": Command(_vrfy, ANY),
    "QUIT": Command(_quit),
}
