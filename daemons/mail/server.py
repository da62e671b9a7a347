"""What all conversations of a mail server share: accounts, the folder of mailboxes, the queue."""

import errno
import os

from daemons.stores.mailusers import SERVERS
from daemons.stores.sqlstore import Unavailable
from daemons.wire.smtpreplies import Refused


class Server:
    """Made once, before the first conversation; what is not there yet is looked for again when somebody needs it."""

    def __init__(self, options):
        self.options = options
        self.hostname = options.hostname or os.uname().nodename
        self._accounts = self._queue = self._greylist = self._allowances = None
        self.is_ready = False           # were the accounts there at the start?
        self.checks, self.signer = _checks(options, self.hostname), _signer(options)
        # what the sandbox then must leave
        databases = options.accounts, options.greylist or ""
        options.calling = any(dsn.startswith(SERVERS) for dsn in databases) or \
            any(not place.path for place in options.milters or ())      # a Unix socket is within reach anyway
        if options.greylist:
            try:
                self._greylist = _greylist(options)
            except OSError as error:    # there may be room for it later, or its server be back
                if error.errno not in (errno.ENOSPC, errno.EAGAIN):
                    raise
        if not options.accounts.startswith(SERVERS) and not os.path.exists(options.accounts.removeprefix("sqlite:")):
            options.absent.append(options.accounts)
            return                      # it is looked for again with each recipient, and clients are told then
        try:
            self.accounts()
            if options.user_rate:
                self.allowances()
        except Unavailable:
            return
        self.is_ready = True

    def accounts(self):
        """The accounts; raises Unavailable."""
        if self._accounts is None:
            from daemons.stores import accounts
            try:
                self._accounts = accounts.open(self.options.accounts, self.options.separator)
            except Unavailable:
                raise
            except (OSError, ValueError) as error:
                raise Unavailable(str(error)) from None
        return self._accounts

    def allowances(self):
        """To how many users may write; raises Unavailable."""
        if self._allowances is None:
            from daemons.stores.allowances import Allowances
            self._allowances = Allowances(self.accounts().store, self.options.user_rate)
        return self._allowances

    def spend(self, user, now):
        """Count a recipient of a user's mail; raises Refused for one too many, and Unavailable."""
        seconds = self.allowances().spend(user, now)
        if seconds:
            raise Refused(450, "4.7.1", f"you write to too many in an hour; try again in {-int(-seconds // 60)} min")

    def folder(self, box):
        """The inbox of a mailbox."""
        from daemons.stores.maildir import Folder
        return Folder(self._path(box), self._quota(box))

    def check_room(self, box, size):
        """Raise Refused if a mail of so many octets is too much for a mailbox."""
        try:
            is_over = self._quota(box).over(size)
        except FileNotFoundError:       # nothing has come there yet
            is_over = bool(box.octets and size > box.octets)
        if is_over:
            raise over_quota(box, size)

    def has_queue(self):
        """Is there a queue?"""
        return os.path.isdir(f"{self.options.queue}/mail")

    def queue(self):
        """The queue's writer; raises OSError where there is no queue."""
        if self._queue is None:
            from daemons.stores import queuefolder
            from daemons.stores.queuewriter import QueueWriter
            if not self.has_queue():
                queuefolder.make(self.options.queue)
            self._queue = QueueWriter(self.options.queue)
        return self._queue

    def greylist(self):
        """The greylist; raises Unavailable."""
        if self._greylist is None:
            try:
                self._greylist = _greylist(self.options)
            except OSError as error:
                raise Unavailable(error.strerror) from None
        return self._greylist

    def _path(self, box):
        return f"{self.options.mail}/{box.folder}"

    def _quota(self, box):
        from daemons.stores.maildirquota import Quota
        return Quota(self._path(box), box.octets or 0, box.messages or 0)


def _greylist(options):
    from daemons.stores.greylist import Greylist
    return Greylist(options.greylist, options.greylist_delay)


def _checks(options, hostname):
    """The checks of strangers that need the DNS, None where no option asks for any; raises ValueError."""
    if not options.block_lists and options.spf == options.dkim == options.dmarc == "no":
        return None
    from .sendercheck import SenderCheck
    return SenderCheck(options, hostname)


def _signer(options):
    """Who signs mail, or None; raises ValueError, OSError."""
    if not options.dkim_keys:
        return None
    from .signing import Signer
    made = Signer(options.dkim_keys)
    options.learnt += made.files
    return made


def over_quota(box, size):
    """What is said for a mailbox that has no room: for ever, if the mail alone is too much for it."""
    if box.octets and size > box.octets:
        return Refused(552, "5.2.2", "the mail is larger than the mailbox may be")
    return Refused(452, "4.2.2", "the mailbox is full")
