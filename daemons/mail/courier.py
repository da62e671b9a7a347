"""The courier: takes messages of the queue to one destination, over as few connections as possible.

    Courier(queue, routes, wishes, ...).carry(destination, ids, leaving)

Each outcome is on the disk before the next message begins, so that a courier may be killed at any time: what it was
about to note is delivered once more, and nothing is left out.
"""

import time

from daemons.kernel import log
from daemons.kernel.ends import End
from daemons.mail import smtpclient
from daemons.mail.mailservers import PREFIX, NoServer
from daemons.mail.outcomes import Outcomes
from daemons.mail.smtpclient import LoopsBack, NoTls, Unusable
from daemons.stores.queueindex import NOBODY
from daemons.wire import smtplines
from daemons.wire.mailaddresses import mailbox
from daemons.wire.smtpdata import Head

TOO_MANY = 452                  # of a RCPT: this transaction takes no more (RFC 5321, 4.5.3.1.10)


class Lacking(Unusable):
    """No server of the destination can have a mail that requires TLS all the way (RFC 8689)."""


class Courier:
    """Carries for one queue; `routes` knows the servers of a destination, `local` delivers here.

    `assurance` connects with servers, as their domains demand it.
    """

    def __init__(self, queue, routes, wishes, plan, notices, local, assurance):
        self.queue, self.routes, self.wishes, self.plan = queue, routes, wishes, plan
        self.notices, self.local, self.assurance = notices, local, assurance
        self._session, self._hosts, self._hopeless = None, None, {}

    def carry(self, destination, ids, leaving=lambda: False):
        """Try each of these messages once, until told to stop; what is not begun stays as it is."""
        try:
            for id in ids:
                if leaving():
                    return
                try:
                    self._carry(destination, id)
                except OSError as error:        # no room for what came of it, most likely; the queue tries later
                    log.event("warning", text=f"{id}: {error}")
        finally:
            self._hang_up()

    def _carry(self, destination, id):
        job = self.queue.take(id, time.time())
        if job is None:
            return
        with job:
            recipients = [] if destination == NOBODY else job.waiting(time.time(), destination)
            if recipients:
                outcomes = Outcomes(job, self.plan)
                if self.routes.is_local(destination):
                    self.local.deliver(job, recipients, outcomes)
                else:
                    self._send(destination, job, recipients, outcomes)
            self.notices.tell(job)

    # -- by SMTP --

    def _send(self, destination, job, recipients, outcomes):
        """All recipients, as many transactions as it takes."""
        while recipients and not job.stopped:
            some, rest = recipients[:smtpclient.MOST], recipients[smtpclient.MOST:]
            try:
                session = self._ready(destination, _is_strict(job.envelope))
            except NoServer as error:
                (outcomes.defer if error.temporary else outcomes.bounce)(recipients, str(error))
                return
            except LoopsBack as error:
                # a relay that is ourselves is a mistake in our own files, and no mail pays for those
                (outcomes.defer if destination.startswith(PREFIX) else outcomes.bounce)(recipients, str(error))
                return
            except Unusable as error:
                (outcomes.bounce if isinstance(error, Lacking) else outcomes.defer)(recipients, str(error))
                return
            recipients = self._transaction(session, job, some, outcomes) + rest

    def _transaction(self, session, job, some, outcomes):
        """One mail to some of its recipients; returns those who may be tried at once again."""
        host, head = session.host, _head(job)
        mail, commands = self._commands(session, job, some, head, outcomes)
        if not commands:
            return []
        some = list(commands)
        try:
            replies = session.deliver(mail, list(commands.values()), job.message)
        except (End, Unusable) as error:
            stale = session.mails > 1 and not session.in_data
            session.over = True
            self._hang_up()
            if stale:                   # it had grown tired of waiting for this mail; another connection will do
                return some
            outcomes.defer(some, str(error) if isinstance(error, Unusable) else
                           f"451 4.4.2 the conversation broke: {error}", host)
            return []
        taken = any(reply.done for reply in replies)
        again = [one for one, reply in zip(some, replies, strict=True) if reply.code == TOO_MANY and taken]
        outcomes.replied([(one, reply) for one, reply in zip(some, replies, strict=True) if one not in again], host,
                         tell="DSN" not in session.offered, tls=session.tls)
        return again

    def _commands(self, session, job, some, head, outcomes):
        """(MAIL, recipient -> RCPT) as they can be said to this server; who cannot be told of is put down."""
        envelope, offered = job.envelope, session.offered
        why = self._why_not(session, envelope, some, head)
        if why:
            outcomes.bounce(some, why)
            return None, {}
        try:
            sender = mailbox(envelope.sender) if envelope.sender else None
        except ValueError as error:
            outcomes.bounce(some, f"553 5.1.7 the sender: {error}")
            return None, {}
        utf8 = "SMTPUTF8" in offered and _needs_utf8(envelope, some, head)
        size = envelope.size
        mail = smtplines.Mail(sender, size=size, body=envelope.body or None, utf8=utf8, ret=envelope.ret or None,
                              envid=envelope.envid or None, requires_tls=bool(envelope.requiretls))
        commands = {}
        for one in some:
            try:
                original = smtplines.original_of(one.orcpt.encode()) if one.orcpt else None
                notify = tuple(one.notify.upper().split(",")) if one.notify else None
                commands[one] = smtplines.Rcpt(mailbox(one.address), notify, original)
            except ValueError as error:
                outcomes.bounce([one], f"553 5.1.3 {error}")
        return mail, commands

    def _why_not(self, session, envelope, some, head):
        """A reason for which this server can never have this mail, or nothing."""
        offered = session.offered
        limit = next((text for text in offered.get("SIZE", ()) if text.isdigit()), "0")
        if 0 < int(limit[:18]) < envelope.size:
            return f"552 5.3.4 {session.name} takes {limit[:18]} octets, and the mail has {envelope.size}"
        if envelope.body == "BINARYMIME" and not {"BINARYMIME", "CHUNKING"} <= offered.keys():
            return f"554 5.6.3 {session.name} takes no BINARYMIME (RFC 3030)"
        if "SMTPUTF8" not in offered and _needs_utf8(envelope, some, head):
            return f"553 5.6.7 {session.name} takes no addresses or headers in UTF-8 (RFC 6531)"
        return ""

    # -- connections --

    def _ready(self, destination, strict):
        """A session that takes one more mail, `strict` one that requires TLS; raises NoServer, Unusable."""
        session = self._session
        if session is not None and not session.over and (not strict or _promises(session)):
            return session
        self._hang_up()
        if strict in self._hopeless:            # none of its servers: what is true for one mail is true for the next
            raise self._hopeless[strict]
        try:
            self._session = self._called(destination, strict)
        except (NoServer, Unusable) as error:
            self._hopeless[strict] = error
            raise
        return self._session

    def _called(self, destination, strict):
        """A session with the first server that has one for us."""
        if self._hosts is None:
            self._hosts = self.routes.servers(destination)
        if strict and not self.routes.is_certain(destination) and not self.assurance.is_certain(destination):
            raise Lacking("550 5.7.30 neither DNSSEC nor MTA-STS says which servers are the domain's (RFC 8689)")
        # no other server may have our password
        wishes = self.wishes if self.routes.is_smarthost(destination) else self.wishes.without_login()
        wishes, trouble, lack = wishes.strict() if strict else wishes, None, None
        for name, address, port in self._hosts:
            where = f" ({name} [{address}]:{port})"
            try:
                session = self.assurance.connect(destination, (name, address, port), wishes)
            except LoopsBack:
                raise
            except NoTls as error:
                lack = Lacking(f"550 5.7.10 no TLS, which this mail requires{where}") if strict else lack
                trouble = trouble if strict else Unusable(f"{error}{where}")
            except Unusable as error:
                trouble = Unusable(f"{error}{where}")
            else:
                if not strict or _promises(session):
                    return session
                session.quit()
                lack = Lacking(f"550 5.7.30 it does not promise TLS all the way, which this mail requires{where}")
        raise trouble or lack or Unusable("451 4.4.4 it has no server")

    def _hang_up(self):
        session, self._session = self._session, None
        if session is not None:
            session.quit()


def _is_strict(envelope):
    """Does it require TLS?  A notification, which comes from nobody, may go without (RFC 8689, 5)."""
    return bool(envelope.requiretls and envelope.sender)


def _promises(session):
    """Will it keep what the sender of a mail requires?"""
    return session.is_proven and "REQUIRETLS" in session.offered


def _head(job):
    head = Head()
    for piece in job.message():
        head.look(piece)
        if head.done:
            break
    return head.octets


def _needs_utf8(envelope, some, head):
    """Not only said to need SMTPUTF8: many clients say it of every mail, and old servers take most of those."""
    if not envelope.smtputf8:
        return False
    return not (head.isascii() and envelope.sender.isascii() and all(one.address.isascii() for one in some))
