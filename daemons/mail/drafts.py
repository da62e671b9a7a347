"""A mail between filters: its header, body and envelope as those before have left them, and what the next one changes.

A filter's changes are made in a copy, which counts once the filter has said its last; what it said until it broke is
forgotten with the copy.  Our own Received field is not shown, but has its place: a field that is inserted at 0 stands
above it, one at 1 in most mails below, as Sendmail and Postfix have it.
"""

from copy import copy

from daemons.stores.mailspool import Spool
from daemons.wire import milterpackets
from daemons.wire.lineendings import ToWire
from daemons.wire.mailaddresses import forward_path, reverse_path
from daemons.wire.mailheaders import MOST, Field
from daemons.wire.milterpackets import (
    ADDHEADER,
    ADDRCPT,
    ADDRCPT_PAR,
    CHGFROM,
    CHGHEADER,
    DELRCPT,
    INSHEADER,
    Malformed,
)
from daemons.wire.smtpdata import HEAD, Content
from daemons.wire.smtplines import Rcpt
from daemons.wire.smtpreplies import Refused

from .letters import received
from .recipients import recipient

MOST_OCTETS = 2 * HEAD          # of a header, with what filters add
MOST_CHANGES = 10_000           # that one filter may ask for; a body counts as one
NAMES = {ADDHEADER: "field added", INSHEADER: "field added", CHGHEADER: "field changed", CHGFROM: "sender",
         ADDRCPT: "recipient added", ADDRCPT_PAR: "recipient added", DELRCPT: "recipient taken away"}


class Draft:
    """One mail: its `sender`, its `recipients`, and `done`, what a filter changed and how often."""

    def __init__(self, session, letter):
        self.session, self._letter = session, letter
        self.rows, self.body = list(letter.written()), None
        self.own = next(row for row in self.rows if row.name == "received")
        self.sender, self.recipients = session.transaction.mail.sender, list(session.transaction.recipients)
        self.done, self._place, self._has_blanks = {}, None, False
        self._content = self._lines = None      # of a body that is coming

    def for_filter(self, place, has_blanks):
        """A copy for the filter at this place, which may spoil it; do values of fields have their first blank there?"""
        made = copy(self)
        made.rows, made.recipients, made.done = list(self.rows), list(self.recipients), {}
        made._place, made._has_blanks, made._content, made._lines = place, has_blanks, None, None
        return made

    def shown(self):
        """The fields that a filter sees."""
        return [row for row in self.rows if row is not self.own and row.name]

    def pieces(self):
        """All that comes after the header; raises OSError."""
        return self._letter.body() if self.body is None else self.body.pieces()

    # -- what a filter asks for --

    def change(self, kind, data):
        """Do what one packet asks for; raises Malformed, and Unavailable where accounts cannot be looked up."""
        if sum(self.done.values()) >= MOST_CHANGES:
            raise Malformed(f"more than {MOST_CHANGES} changes")
        index, words = milterpackets.change(kind, data)
        if kind in (ADDHEADER, INSHEADER, CHGHEADER):
            self._field(kind, index, *words)
        else:
            self._address(kind, words[0])
        self._note(NAMES[kind])

    def replace(self, octets):
        """Take a piece of another body; raises Malformed, OSError."""
        if self._content is None:
            self._content, self._lines = Content(self.session.options.size), ToWire()
            self.body = Spool(self.session.options.mail)
            self.session.transaction.spools.append(self.body)
            self._note("body")
        self._write(self._lines.octets(octets))

    def finish(self):
        """The filter has said its last; raises Malformed, OSError."""
        if self._content is not None:
            self._write(self._lines.rest())
            self._content.finish()
            self._check()

    def _write(self, octets):
        self._content.look(octets)
        self._check()
        self.body.write(octets)

    def _check(self):
        if self._content.refusal:
            raise Malformed(f"a body that cannot be: {self._content.refusal.text}")

    def _note(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def _field(self, kind, index, name, value):
        if kind == CHGHEADER:
            same = [row for row in self.shown() if row.name == name.decode("latin-1").lower()]
            old = same[max(index, 1) - 1] if max(index, 1) <= len(same) else None
            place = next((at for at, row in enumerate(self.rows) if row is old), len(self.rows))
            self.rows[place:place + 1] = [self._made(name, value)] if value else []
        else:
            self.rows.insert(index if kind == INSHEADER else len(self.rows), self._made(name, value))
        if len(self.rows) > MOST or sum(len(row.raw) for row in self.rows) > MOST_OCTETS:
            raise Malformed(f"a header of more than {MOST} fields, or {MOST_OCTETS} octets")

    def _made(self, name, value):
        return Field(name.decode("latin-1").lower(), milterpackets.field(name, value, self._has_blanks))

    def _address(self, kind, octets):
        utf8 = self.session.transaction.mail.utf8
        path = octets if octets.startswith(b"<") else b"<%b>" % octets
        try:
            if kind == CHGFROM:
                self.sender, rest = reverse_path(path, utf8)
            else:
                mailbox, rest = forward_path(path, utf8)
        except Refused as refusal:
            raise Malformed(f"{octets[:80]!r}: {refusal.text}") from None
        if rest:
            raise Malformed(f"not an address: {octets[:80]!r}")
        if kind == DELRCPT:
            gone = mailbox.folded()
            self.recipients = [one for one in self.recipients if one.rcpt.mailbox.folded() != gone]
        elif kind != CHGFROM:
            self._add(mailbox)

    def _add(self, mailbox):
        """Another recipient, who must be one to whom the client itself could have sent it."""
        session = self.session
        if any(one.rcpt.mailbox.folded() == mailbox.folded() for one in self.recipients):
            return
        if len(self.recipients) >= session.options.recipients:
            raise Malformed(f"more than {session.options.recipients} recipients")
        try:
            self.recipients.append(recipient(session.server, Rcpt(mailbox), session.may_relay, self._letter.size))
        except Refused as refusal:
            session.stream.log("filtered", id=session.id, filter=self._place, what="recipient left out",
                               why=f"{mailbox}: {refusal}")

    # -- what comes of it --

    def apply(self):
        """Let the letter and its envelope be what they have become."""
        transaction = self.session.transaction
        transaction.mail.sender = self.sender
        if self.recipients != transaction.recipients:
            transaction.recipients = self.recipients
            self.rows[self.rows.index(self.own)] = Field("received", received(self.session, transaction))
        self._letter.rewrite(self.rows, self.body)
