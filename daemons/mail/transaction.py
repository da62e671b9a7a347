"""One mail on its way in: its envelope, and its text as DATA or BDAT bring it (RFC 5321, 3.3; RFC 3030)."""

from daemons.stores.mailspool import Spool
from daemons.wire.smtpdata import END, Content, Head, Unstuffer

PIECE = 65536


class Transaction:
    """A mail from MAIL on: `mail` is that command, `recipients` those that were accepted.

    content, head, spool    what was found out about the text, its header block, and all of it
    spools                  that, and other bodies that filters gave it
    chunks                  it comes by BDAT
    spoilt                  a chunk of it was refused: no more of it is wanted
    """

    __slots__ = ("chunks", "content", "head", "mail", "recipients", "spoilt", "spool", "spools")

    def __init__(self, mail, most, folder):
        self.mail, self.recipients = mail, []
        self.content, self.head, self.spool = Content(most), Head(), Spool(folder)
        self.spools = [self.spool]
        self.chunks = self.spoilt = False

    @property
    def refusal(self):
        """What is to be said of the text instead of 250, or None."""
        return self.content.refusal or self.head.refusal

    def take_data(self, stream):
        """Hear the text up to the dot that ends it; raises OSError once it has come, if it could not be kept.

        What follows the dot stays in the stream: its last octets are left there until they are known to be text.
        """
        decoder, trouble, first = Unstuffer(self.content), None, True

        def size_of(octets):
            if first and octets.startswith(END[2:]):
                return len(END) - 2
            end = octets.find(END)
            return end + len(END) if end >= 0 else max(len(octets) - len(END) + 1, 0)

        while not decoder.done:
            octets = stream.head(size_of, stream.patience)
            first = False
            trouble = self._keep(decoder.feed(octets), trouble)
        if trouble:
            raise trouble

    def take_chunk(self, stream, size, is_last):
        """Hear a chunk of so many octets; raises OSError once it has come, if it could not be kept."""
        trouble, left = None, size
        while left:
            piece = stream.block(min(left, PIECE))
            left -= len(piece)
            self.content.look(piece)
            trouble = self._keep(piece, trouble)
        if is_last:
            self.content.finish()
        if trouble:
            raise trouble

    def close(self):
        """Forget it."""
        for spool in self.spools:
            spool.close()

    def _keep(self, text, trouble):
        """Note a piece of the text, while it is still wanted; what went wrong is told only after the end of it."""
        if trouble or self.content.refusal or not text:
            return trouble
        self.head.look(text)
        try:
            self.spool.write(text)
        except OSError as error:
            return error
        return None


def skip(stream, size):
    """Drop a chunk that nobody wants."""
    while size:
        size -= len(stream.block(min(size, PIECE)))
