"""Delivery: a letter into each mailbox here and into the queue for all others, on the disk before anybody hears 250.

Over SMTP there is one reply for all recipients, and over LMTP one for each, which may be an alias of several.  So what
can fail is tried first for all that one reply is about: room, quotas, the writing of the queue's copy.  What was
delivered all the same when something failed later is remembered as long as the conversation lasts, and not delivered
again to a client that repeats the mail at once.
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
        self.whole = not self.session.role.lmtp     # one reply for all
        self.failures, self.kept, self.repeated = {}, set(), set()

    def outcome(self, recipient):
        """The Refused for a recipient, or None: it has the mail, or is to have it."""
        if self.whole:
            return next(iter(self.failures.values()), None)
        return next((self.failures[part] for part in _parts(recipient) if part in self.failures), None)

    def deliver(self):
        """Do all of it."""
        self.repeated = self.session.repeated(self.letter)
        self._check_room()
        message = self._begun()
        try:
            before = len(self.failures)
            for one in self.transaction.recipients:
                self._into_all(one)
            if message is not None and len(self.failures) > before:     # who is refused gets nothing by the queue
                message.abort()
                message = self._begun()
            if message is not None:
                self._committed(message)
        finally:
            if message is not None:
                message.abort()
            if self.failures:
                self._remember()

    def _remember(self):
        """Who has it, of those who are told that they have not."""
        refused = [one for one in self.transaction.recipients if self.outcome(one)]
        users = self.kept.intersection(
            part for one in refused for part in (*_parts(one), *one.elsewhere, *one.later))
        if users | self.repeated:
            self.session.remember(self.letter, users | self.repeated)

    # -- mailboxes here --

    def _check_room(self):
        """See for whom this is too much, but for a mailbox that has a reply to itself: that is tried by doing it."""
        checked = [one for one in self.transaction.recipients if self.whole or len(_parts(one)) > 1]
        users = dict.fromkeys(part for one in checked for part in _parts(one) if part is not None)
        if self.whole and len(users) == 1 and not self._for_queue():
            return
        for user in users:
            if user not in self.repeated:
                try:
                    self.letter.check_return(self.addresses[user])
                    self._check_room_of(user)
                except Refused as refusal:
                    self.failures[user] = refusal
                    if self.whole:
                        return

    def _check_room_of(self, user):
        """Raise Refused for a mailbox without room, unless the queue may find some later for its part of an alias."""
        try:
            self.server.check_room(self.boxes[user], self.letter.size)
        except Refused:
            ways = [one for one in self.transaction.recipients if any(box.user == user for box in one.mailboxes)]
            shared = [one for one in ways if one.has_others(user)] if self.server.has_queue() else []
            if not self.whole or len(shared) == len(ways):
                for one in shared:
                    one.postpone(user)
            if len(shared) < len(ways):
                raise

    def _into_all(self, recipient):
        """Deliver into the mailboxes of a recipient, as long as that does not fail."""
        for box in recipient.mailboxes:
            if self.outcome(recipient):
                return
            if box.user not in self.kept and box.user not in self.repeated:
                self._into(box)

    def _into(self, box):
        """Deliver into one mailbox."""
        from daemons.stores.maildirquota import OverQuota
        address = self.addresses[box.user]
        try:
            self.letter.check_return(address)
            folder = self.server.folder(box)
            try:
                self._write(folder, box, address)
            except FileNotFoundError:   # it is the first mail
                folder.create()
                self._write(folder, box, address)
        except Refused as refusal:
            self.failures[box.user] = refusal
        except OverQuota:
            self.failures[box.user] = over_quota(box, self.letter.size)
        except OSError as error:
            self.failures[box.user] = self._told(error, box.user)
        else:
            self.kept.add(box.user)

    def _write(self, folder, box, address):
        from daemons.stores.maildelivery import Delivery as File
        with File(folder) as file:
            self.letter.write(file, self._fields(box, address))
            file.keep()

    def _fields(self, box, address):
        """What a final delivery writes on a mail: by which addresses it came is told where that is not its own."""
        ways = [one.rcpt.mailbox for one in self.transaction.recipients
                if any(box.user == each.user for each in one.mailboxes)]
        return (tracefields.return_path(self.sender) + tracefields.delivered_to(address)
                + b"".join(tracefields.original_to(way) for way in ways if str(way).lower() != str(address).lower()))

    # -- the queue --

    def _for_queue(self):
        """The queue's recipients: those elsewhere, those here without room, and those of whom the sender is to be told.

        Not of a recipient that is refused, which is to come again.
        """
        from daemons.wire.queuelines import Recipient
        waiting, sent, late = [], [], set(self.repeated)
        for one in self._taken():
            notify = ",".join(one.rcpt.notify or ())
            original = original_value(one.rcpt.original).decode() if one.rcpt.original else ""
            waiting += [Recipient(address, notify, original) for address in one.elsewhere
                        if address not in self.repeated]
            for user in one.later:
                if user not in late:            # several aliases may have led there
                    late.add(user)
                    waiting.append(Recipient(str(read(user)), notify, original))
                    waiting[-1].final = True
            if None not in _parts(one) and SUCCESS in notify and self.sender and self.server.has_queue():
                done = Recipient(str(one.rcpt.mailbox), notify, original)
                done.sign, done.host, done.reply = "d", self.server.hostname, "250 2.1.5 delivered"
                sent.append(done)
        return waiting + sent

    def _taken(self):
        return [one for one in self.transaction.recipients if not self.outcome(one)]

    def _begun(self):
        """The queue's copy, written but not there yet; None if there is to be none, or that failed."""
        recipients = self._for_queue()
        if not recipients:
            return None
        stream, mail, session = self.session.stream, self.transaction.mail, self.session
        message = None
        try:
            aliases = [one.rcpt.mailbox for one in self._taken() if (one.elsewhere or one.later) and one.is_alias]
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
            self.kept.update(address for one in self._taken() for address in (*one.elsewhere, *one.later))
        except OSError as error:
            self.failures[None] = self._told(error, "the queue")

    def _told(self, error, where):
        self.session.stream.log("trouble", where=where, why=error)
        return refusal_of(error)


def _parts(recipient):
    """Those without whom it has not arrived: its users here, and None for the queue."""
    return [box.user for box in recipient.mailboxes] + [None] * bool(recipient.elsewhere or recipient.later)
