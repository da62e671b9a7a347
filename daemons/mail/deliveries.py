"""Delivery: a letter into each mailbox here and into the queue for all others, on the disk before anybody hears 250.

Over SMTP there is one reply for all recipients, so what can fail is tried first: room, quotas, the writing of the
queue's copy.  What was delivered all the same when something failed later is remembered as long as the conversation
lasts, and not delivered again to a client that repeats the mail at once.
"""

import errno

from daemons.wire import tracefields
from daemons.wire.mailaddresses import mailbox as read
from daemons.wire.smtplines import SUCCESS, original_value
from daemons.wire.smtpreplies import Refused

from .server import over_quota

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def refusal_of(error):
    """What is said for something that went wrong here: try again later."""
    if error.errno in FULL:
        return Refused(452, "4.3.1", "no room here now")
    return Refused(451, "4.3.0", "something is wrong here; try again later")


class Delivery:
    """The delivery of one letter: `failures` are Refused by user, and under None that of the queue."""

    def __init__(self, session, transaction, letter):
        self.session, self.transaction, self.letter, self.queued = session, transaction, letter, ""
        self.server, self.sender = session.server, transaction.mail.sender
        self.boxes = {box.user: box for one in transaction.recipients for box in one.mailboxes}
        self.addresses = {user: read(user) for user in self.boxes}
        self.failures, self.kept = {}, set()

    def outcome(self, recipient):
        """The Refused for a recipient, or None: it has the mail, or is to have it."""
        keys = [box.user for box in recipient.mailboxes] + ([None] if recipient.elsewhere else [])
        return next((self.failures[key] for key in keys if key in self.failures), None)

    def deliver(self):
        """Do all of it."""
        repeated = self.session.repeated(self.letter)
        waiting, sent = self._for_queue()
        whole = not self.session.role.lmtp          # one reply for all
        alone = len(self.boxes) == 1 and not waiting and not sent       # that is tried by doing it
        if whole and not alone and not self._has_room(repeated):
            return
        message = self._begun(waiting + sent) if waiting or sent else None
        try:
            if whole and self.failures:
                return
            for user, box in self.boxes.items():
                if user not in repeated and not self._into(box) and whole:
                    return
            if message is not None:
                self._committed(message)
        finally:
            if message is not None:
                message.abort()
            if self.failures and whole and self.kept | repeated:
                self.session.remember(self.letter, self.kept | repeated)

    # -- mailboxes here --

    def _has_room(self, repeated):
        try:
            for user, box in self.boxes.items():
                if user not in repeated:
                    self.letter.check_return(self.addresses[user])
                    self.server.check_room(box, self.letter.size)
        except Refused as refusal:
            self.failures = dict.fromkeys([*self.boxes, None], refusal)
        return not self.failures

    def _into(self, box):
        """Deliver into one mailbox; False if that failed."""
        from daemons.stores.maildelivery import Delivery as File
        from daemons.stores.maildirquota import OverQuota
        address = self.addresses[box.user]
        try:
            self.letter.check_return(address)
            folder = self.server.folder(box)
            folder.create()
            with File(folder) as file:
                self.letter.write(file, tracefields.return_path(self.sender) + tracefields.delivered_to(address))
                file.keep()
        except Refused as refusal:
            self.failures[box.user] = refusal
        except OverQuota:
            self.failures[box.user] = over_quota(box, self.letter.size)
        except OSError as error:
            self.failures[box.user] = self._told(error, box.user)
        else:
            self.kept.add(box.user)
        return box.user not in self.failures

    # -- the queue --

    def _for_queue(self):
        """The queue's recipients: those elsewhere, and those here of whose delivery the sender is to be told."""
        from daemons.wire.queuelines import Recipient
        waiting, sent = [], []
        for one in self.transaction.recipients:
            notify = ",".join(one.rcpt.notify or ())
            original = original_value(one.rcpt.original).decode() if one.rcpt.original else ""
            waiting += [Recipient(address, notify, original) for address in one.elsewhere]
            if not one.elsewhere and SUCCESS in notify and self.sender and self.server.has_queue():
                done = Recipient(str(one.rcpt.mailbox), notify, original)
                done.sign, done.host, done.reply = "d", self.server.hostname, "250 2.1.5 delivered"
                sent.append(done)
        return waiting, sent

    def _begun(self, recipients):
        """The queue's copy, written but not there yet; None if that failed."""
        stream, mail, session = self.session.stream, self.transaction.mail, self.session
        message = None
        try:
            aliases = [one.rcpt.mailbox for one in self.transaction.recipients if one.elsewhere and one.is_alias]
            for alias in aliases:
                self.letter.check_return(alias)
            writer = self.server.queue()
            if not writer.room(self.letter.size):
                raise Refused(452, "4.3.1", "no room here now")
            message = writer.new(
                str(self.sender or ""), recipients, stream.time(), mail.utf8, client=str(stream.peer),
                helo=session.helo, protocol=session.protocol(mail.utf8), user=session.user, session=stream.session,
                tls=stream.tls.version if stream.tls else "", body=mail.body or "", envid=mail.envid or "",
                ret=mail.ret or "", requiretls="yes" if mail.requires_tls else "")
            self.letter.write(message, b"".join(tracefields.delivered_to(alias) for alias in aliases))
            return message
        except Refused as refusal:
            self.failures[None] = refusal
        except OSError as error:
            self.failures[None] = self._told(error, "the queue")
        if message is not None:
            message.abort()
        return None

    def _committed(self, message):
        try:
            self.queued = message.commit()
        except OSError as error:
            self.failures[None] = self._told(error, "the queue")

    def _told(self, error, where):
        self.session.stream.log("trouble", where=where, why=error)
        return refusal_of(error)
