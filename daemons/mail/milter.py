"""One mail filter and our conversation with it, which lasts as long as the client's (wire/milterpackets.py)."""

from daemons.kernel.dial import call, call_path
from daemons.kernel.ends import End, Late
from daemons.wire import milterpackets
from daemons.wire.milterpackets import (
    ABORT,
    BODY,
    CHANGES,
    CONTINUE,
    EOB,
    EOH,
    HEADER,
    LATER,
    OPTNEG,
    PROGRESS,
    QUIT,
    REJECT,
    REJECTED,
    REPLBODY,
    REPLYCODE,
    SKIP,
    TEMPFAIL,
    Malformed,
    agreed,
    packet,
)
from daemons.wire.smtpreplies import Refused

# seconds; Postfix has the same
CONNECTING = COMMAND = 30.0     # until it is reached, and answers what is said before the text
CONTENT = 300.0                 # until it answers a piece of the text, or says that it is still at it
WHOLE = 3600.0                  # until it comes to an end, whatever it says
PARTING = 2.0                   # until it has taken our last word
PIECE = 65536


class Milter:
    """A filter at a Place, called by open().

    refusal     what is said to the client instead of asking it, or None; `is_over`: it is not asked any more
    lasts       both hold for all mails of this conversation, and not for the one that is begun alone
    greeted     what it was told that the client calls itself
    """

    def __init__(self, place):
        self.place, self.refusal, self.greeted = place, None, None
        self.is_over = self.lasts = self.in_mail = False
        self._stream = self.terms = self._skipped = None

    @property
    def is_open(self):
        """Is there a connection?"""
        return self._stream is not None

    def open(self):
        """Call it, and agree on how to speak; raises End, Malformed."""
        place, words = self.place, {"seconds": CONNECTING, "patience": COMMAND}
        self._stream = call_path(place.path, **words) if place.path else call(place.host, place.port, **words)
        self._stream.send(milterpackets.offer())
        kind, data = self._packet(None)
        if kind != OPTNEG:
            raise Malformed(f"an answer {kind!r} to our offer")
        self.terms = agreed(data)

    def step(self, kind, data=b"", macros=None, draft=None):
        """Tell it one thing, and return what it makes of that: CONTINUE, ACCEPT or DISCARD.

        Changes are made in the draft.  Raises Refused for a mail, sender or recipient that it does not want; End and
        Malformed, when it breaks; OSError.
        """
        if self._skipped != kind:
            self._skipped = None
        if self._skipped or not self.terms.is_told(kind):
            return CONTINUE
        if macros:
            self._stream.send(milterpackets.macros(kind, macros))
        self._stream.send(packet(kind, data))
        return self._verdict(kind, draft) if self.terms.answers(kind) else CONTINUE

    def message(self, draft, macros):
        """Show it the text, and have it change the draft; as step()."""
        self._stream.patience, verdict = CONTENT, CONTINUE
        try:
            for kind, data in self._text(draft):
                verdict = self.step(kind, data, None if kind in (HEADER, BODY) else macros,
                                    draft if kind == EOB else None)
                if verdict != CONTINUE:
                    break
        finally:
            self._stream.patience = COMMAND
        return verdict

    def abort(self):
        """The mail is over: the next thing that it hears of is another one."""
        self.in_mail, self._skipped = False, None
        if not self.lasts:
            self.refusal, self.is_over = None, False
        try:
            if self.is_open:
                self._stream.send(packet(ABORT))
                self._stream.flush()
        except End:                     # it is called anew for the next mail
            self.cut_off()

    def quit(self):
        """The conversation is over."""
        try:
            if self.is_open:
                self._stream.patience = PARTING
                self._stream.send(packet(QUIT))
                self._stream.flush()
        except End:                     # it has gone before us
            return
        finally:
            self.cut_off()

    def cut_off(self):
        """Hang up."""
        stream, self._stream, self.greeted = self._stream, None, None
        if stream is not None:
            stream.cut_off()

    def _text(self, draft):
        """(kind, data) of all that a text consists of."""
        for field in draft.shown() if self.terms.is_told(HEADER) else ():
            yield HEADER, milterpackets.header(field.raw, self.terms)
        yield EOH, b""
        for piece in milterpackets.pieces(draft.pieces()) if self.terms.is_told(BODY) else ():
            yield BODY, piece
        yield EOB, b""

    def _verdict(self, step, draft):
        """What it says to a step, and its changes before that."""
        until = self._stream.clock() + WHOLE
        while True:
            kind, data = self._packet(draft)
            if kind == REJECT:
                raise Refused(*REJECTED)
            if kind == TEMPFAIL:
                raise Refused(*LATER)
            if kind == REPLYCODE:
                raise milterpackets.refusal(data)
            if kind == OPTNEG:
                raise Malformed("another answer to our offer")
            if kind == SKIP:
                self._skipped = step
                return CONTINUE
            if kind not in CHANGES and kind != PROGRESS:
                return kind
            if self._stream.clock() > until:
                raise Late(f"it came to no end within {WHOLE:g} seconds")

    def _packet(self, draft):
        """(kind, data) of what it says next; what changes the mail is done at once."""
        kind, size = milterpackets.begins(self._stream.block(5))
        if kind in CHANGES and draft is None:
            raise Malformed(f"a change {kind!r} before the end of the mail")
        if kind == REPLBODY:
            while size:
                piece = self._stream.block(min(size, PIECE))
                size -= len(piece)
                draft.replace(piece)
            return kind, b""
        data = self._stream.block(size)
        if kind in CHANGES:
            draft.change(kind, data)
        return kind, data
