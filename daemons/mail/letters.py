"""A mail that has come as a whole: what we write on it, and whether it goes in circles."""

import time

from daemons.wire import mailheaders, tracefields
from daemons.wire.smtpreplies import Refused

MOST_HOPS = 100                 # Received fields of a mail that must have gone in circles (RFC 5321, 6.3)


class Letter:
    """A mail to be stored: `fields` of its header, `received` is what we write on every copy of it."""

    __slots__ = ("_body", "_head", "_spool", "_text", "fields", "received")

    def __init__(self, transaction, received, hostname):
        head = transaction.head.octets
        self._text = self._spool = transaction.spool
        self._body, self.received = len(head), received
        self.fields = mailheaders.parse(head)
        self._head = head
        if any(_is_unwanted(field, hostname) for field in self.fields):
            blank = head[len(self.fields.without(lambda _: False)):]
            self._head = self.fields.without(lambda field: _is_unwanted(field, hostname)) + blank

    @property
    def size(self):
        """Octets of all that is written of it."""
        return len(self.received) + len(self._head) + self._spool.size - self._body

    def check_hops(self):
        """Raise Refused for a mail that has been through too many servers."""
        if mailheaders.hops(self.fields) >= MOST_HOPS:
            raise Refused(554, "5.4.6", "too many Received fields: the mail goes in circles")

    def check_return(self, address):
        """Raise Refused for a mail that was delivered to this mailbox before."""
        if mailheaders.was_delivered_to(self.fields, address):
            raise Refused(554, "5.4.6", "this mail was delivered here before: it goes in circles")

    def mark(self, fields):
        """Write these on top of all that is on it."""
        self.received = fields + self.received

    def rewrite(self, rows, body=None):
        """Let these fields be its header, ours among them, and the spool `body` what comes after, if there is one."""
        self.received, self._head = b"", b"".join(row.raw for row in rows) + b"\r\n"
        self.fields = mailheaders.parse(self._head)
        if body is not None:
            self._spool, self._body = body, 0

    def body(self):
        """The pieces of all that comes after its header; raises OSError."""
        return self._spool.pieces(self._body)

    def written(self):
        """The fields that are written of it; `fields` are those that came."""
        return mailheaders.parse(self.received + self._head)

    def write(self, into, before=b""):
        """Write all of it into what has a write(), after these fields; raises OSError."""
        into.write(before + self.received + self._head)
        for piece in self._spool.pieces(self._body):
            into.write(piece)

    def digest(self):
        """What tells this text, as it came, from others, whichever way it came."""
        from hashlib import blake2b
        made = blake2b()
        for piece in self._text.pieces():
            made.update(piece)
        return made.digest()


def _is_unwanted(field, hostname):
    """What only a final delivery writes (RFC 5321, 4.4), and what claims to come from us (RFC 8601, 5)."""
    return field.name == "return-path" or tracefields.claims_to_be(field, hostname)


def received(session, transaction):
    """The Received field of a mail."""
    stream, tls, now = session.stream, session.stream.tls, session.stream.time()
    hidden = session.user and session.options.hide_clients
    return tracefields.received(
        server=session.server.hostname, with_=session.protocol(transaction.mail.utf8), id=session.id, seconds=now,
        offset=_offset(now), helo=None if hidden else session.helo, address=stream.peer.host, client=session.name,
        tls=f"{tls.version} {tls.cipher}" if tls else "",
        recipients=[one.rcpt.mailbox for one in transaction.recipients])


def trace(session, transaction):
    """The Received field of a mail, and for a submission what its client left out (RFC 6409, 8)."""
    field, now = received(session, transaction), session.stream.time()
    if not session.role.submission:
        return field
    fields = mailheaders.parse(transaction.head.octets)
    from daemons.stores.maildelivery import unique
    return field + tracefields.completion(fields, server=session.server.hostname, unique=unique().decode("ascii"),
                                          seconds=now, offset=_offset(now), author=str(transaction.mail.sender or ""))


def _offset(now):
    """Minutes east of Greenwich."""
    return time.localtime(now).tm_gmtoff // 60
