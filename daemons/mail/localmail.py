"""Mail for mailboxes here that comes out of the queue: notices to senders of ours, and what local programs send.

Where an address leads to several, each of its mailboxes becomes a recipient of the message before anything is stored,
with an outcome of its own: while one of them is full, the others do not get the mail again with every attempt.
"""

import time

from daemons.wire import tracefields
from daemons.wire.mailaddresses import mailbox, quoted
from daemons.wire.mailheaders import parse, was_delivered_to
from daemons.wire.queuelines import Recipient
from daemons.wire.smtpdata import Head


class LocalMail:
    """Delivers into the folder of all mail; `accounts()` are the accounts, `writer` takes what goes elsewhere."""

    def __init__(self, accounts, folder, writer, hostname):
        self.accounts, self.folder, self.writer, self.hostname = accounts, folder, writer, hostname

    def is_here(self, domain):
        """Is mail for this domain delivered here?  Raises OSError."""
        return not domain or self.accounts().is_local_domain(domain)

    def deliver(self, job, recipients, outcomes):
        """Deliver to each of these, and put the outcome down."""
        for one in recipients:
            if job.stopped:
                return
            self._deliver(job, one, outcomes)

    def _deliver(self, job, one, outcomes):
        from daemons.stores.accountroutes import TooMany
        from daemons.stores.maildirquota import OverQuota
        try:
            address, ends = self._ends(one)
            if not ends:
                outcomes.bounce([one], "550 5.1.1 nobody here has this address")
                return
            head = Head()
            for piece in job.message():
                head.look(piece)
                if head.done:
                    break
            if was_delivered_to(parse(head.octets), mailbox(address)):
                outcomes.bounce([one], "554 5.4.6 the mail goes in circles")
                return
            added, elsewhere = self._hand_over(job, one, mailbox(address), ends)
        except OverQuota as error:
            if error.for_ever:
                outcomes.bounce([one], "552 5.2.2 the mail is larger than the mailbox may be")
            else:
                outcomes.defer([one], "452 4.2.2 the mailbox is full")
        except TooMany as error:
            outcomes.bounce([one], f"554 5.4.6 {error}")
        except OSError as error:
            outcomes.defer([one], f"451 4.3.0 {error.strerror or error}")
        except ValueError as error:
            outcomes.bounce([one], f"550 5.1.3 {error}")
        else:
            apart = one.split or elsewhere      # the sender is told of each by itself
            outcomes.done([one], "250 2.0.0 passed on" if apart else "250 2.0.0 delivered", tell=not apart)
            self.deliver(job, added, outcomes)

    def _ends(self, one):
        """The address of a recipient, and {final: its mailbox, None if that is elsewhere}."""
        if one.final:
            found = self.accounts().mailbox_of(one.address)
            return one.address, {one.address: found} if found else {}
        address = self._address(one.address)
        return address, self.accounts().ends(address)

    def _address(self, text):
        """An address here as accounts know it: <postmaster> alone is that of our own name, or of a domain of ours."""
        if "@" not in text:
            accounts = self.accounts()
            places = (self.hostname, *accounts.list_domains())
            return next((f"{text}@{place}" for place in places if accounts.resolve(f"{text}@{place}")),
                        f"{text}@{self.hostname}")
        read = mailbox(text)
        return f"{read.local if quoted(read.local) == read.local else quoted(read.local)}@{read.domain}"

    def _hand_over(self, job, one, address, ends):
        """Into its mailbox, or have several as recipients; and into the queue for elsewhere.

        Returns the recipients that were added, and whether anything went elsewhere.
        """
        boxes, added = {}, []
        for final, found in ends.items():
            if found is not None and not one.split:
                boxes.setdefault(found.folder, (final, found))
        elsewhere = [final for final, found in ends.items() if found is None]
        if len(boxes) + bool(elsewhere) == 1:
            for _, found in boxes.values():
                self._store(job, address, found)
        elif boxes:
            added = job.split(one, [final for final, _ in boxes.values()])
        if elsewhere:
            self._send_on(job, one, address, elsewhere)
        return added, bool(elsewhere)

    def _send_on(self, job, one, address, elsewhere):
        envelope = job.envelope
        recipients = [Recipient(each, one.notify, one.orcpt) for each in elsewhere]
        facts = {name: envelope.fact(name) for name in ("body", "envid", "ret", "requiretls")}
        with self.writer.new(envelope.sender, recipients, smtputf8=envelope.smtputf8, **facts) as copy:
            copy.write(tracefields.delivered_to(address))
            for piece in job.message():
                copy.write(piece)
            copy.commit()

    def _store(self, job, address, found):
        from daemons.stores.maildelivery import Delivery
        from daemons.stores.maildir import Folder
        from daemons.stores.maildirquota import Quota
        path = f"{self.folder}/{found.folder}"
        with Folder(path, Quota(path, found.octets or 0, found.messages or 0)) as folder:
            folder.create()
            sender = job.envelope.sender
            with Delivery(folder) as delivery:
                delivery.write(tracefields.return_path(mailbox(sender) if sender else None))
                delivery.write(tracefields.delivered_to(address))
                delivery.write(tracefields.received(server=self.hostname, with_="local", id=job.id,
                                                    seconds=time.time()))
                for piece in job.message():
                    delivery.write(piece)
                delivery.keep()
