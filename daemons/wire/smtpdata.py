"""The text of a mail on its way: dots, line ends, and where it ends (RFC 5321, 4.5.2 and 2.3.8; RFC 3030).

Only CR LF . CR LF ends DATA.  LF . LF, LF . CR LF, CR . CR and whatever else some server has once taken for an end is
text of the mail, and a mail with a bare CR or LF is refused once its true end has come: what one server takes for text
and the next for an end is how a second mail is smuggled within the first (CVE-2023-51764, -51765, -51766).

    decoder = Unstuffer(Content(most=10_000_000))
    while not decoder.done:
        write(decoder.feed(stream.some()))
    decoder.content.refusal         what to say instead of 250, or None
    decoder.rest                    what the client said after the end; nothing where content.is_bare: close then

All is done in pieces as they come, of any size, and a few octets are remembered between them.  What comes out of the
one and goes into the other has CR LF; lineendings.py is the way to and from a file.
"""

from .smtpreplies import Refused

END = b"\r\n.\r\n"
# octets of a line of text without its CR LF: RFC 5321, 4.5.3.1.6 promises nobody more than 998, but real mail has more
LINE = 2046
HEAD = 102400                   # octets of a header block; Postfix has the same

BARE = (550, "5.5.2", "a bare CR or LF: lines end with CR LF (RFC 5321, 2.3.8)")
NUL = (550, "5.6.0", "a NUL in the message")


class Content:
    """What is found out about a text while it passes, and whether it is to be refused.

    most, longest   octets that the whole, and a line, may have; None: any number
    binary          it was announced as BINARYMIME, which has no lines
    size, eight_bit     octets so far, and whether one was above 127
    is_bare         there was a CR or LF that is no line end; close the connection then: what else comes is suspect
    """

    __slots__ = ("_carry", "_line", "_refusal", "binary", "eight_bit", "is_bare", "longest", "most", "size")

    def __init__(self, most: int | None = None, longest: int | None = LINE, binary: bool = False) -> None:
        self.most, self.longest, self.binary = most, longest, binary
        self.size = self._line = 0
        self.eight_bit = self.is_bare = False
        self._carry = b""               # a CR whose LF may be in the next piece
        self._refusal: tuple[int, str, str] | None = None

    @property
    def refusal(self) -> Refused | None:
        """What is to be said instead of 250; a bare CR or LF goes before all others."""
        reason = BARE if self.is_bare else self._refusal
        return Refused(*reason) if reason else None

    def look(self, piece: bytes) -> None:
        """See the next piece of the text."""
        self.size += len(piece)
        if self.most is not None and self.size > self.most:
            self._refuse(552, "5.3.4", f"more than {self.most} octets")
        if not self.eight_bit and not piece.isascii():
            self.eight_bit = True
        if not self.binary:
            self._look_at_lines(piece)

    def finish(self) -> None:
        """No more comes."""
        if self._carry:
            self.is_bare, self._carry = True, b""

    def _look_at_lines(self, piece: bytes) -> None:
        text = self._carry + piece
        self._carry = b""
        if text.endswith(b"\r"):
            text, self._carry = text[:-1], b"\r"
        ends = text.count(b"\r\n")
        if text.count(b"\n") != ends or text.count(b"\r") != ends:
            self.is_bare = True
        if b"\0" in text:
            self._refuse(*NUL)
        if self.longest is None:
            return
        if self._line + len(text) > self.longest:
            first, *others = text.split(b"\r\n")
            if max(self._line + len(first), max(map(len, others), default=0)) > self.longest:
                self._refuse(554, "5.6.0", f"a line over {self.longest} octets")
        last = text.rfind(b"\r\n")
        self._line = len(text) - last - 2 if last >= 0 else self._line + len(text)

    def _refuse(self, code: int, enhanced: str, text: str) -> None:
        if self._refusal is None:
            self._refusal = code, enhanced, text


class Unstuffer:
    """What comes after DATA into the text that was meant: up to the end, without the dots that were put before dots.

    `rest` is what came after the end.  After a bare CR or LF there is none: somebody else may have seen another end,
    and what follows ours may be words of a mail.
    """

    __slots__ = ("_held", "_rest", "_skip", "content", "done")

    def __init__(self, content: Content) -> None:
        self.content, self.done = content, False
        self._rest = b""
        self._held = b"\r\n"            # that of the DATA command: a dot on the first line is an end as well
        self._skip = 2                  # and it is no part of the text

    def feed(self, octets: bytes) -> bytes:
        """The text that is sure so far, lines with their CR LF; b"" from where it is refused."""
        if self.done:
            self._rest += octets
            return b""
        text = self._held + octets
        end = text.find(END)
        if end >= 0:
            self.done, self._rest, self._held = True, text[end + len(END):], b""
            text = text[:end + 2]
        else:
            kept = next((size for size in (4, 3, 2, 1) if text.endswith(END[:size])), 0)
            text, self._held = text[:len(text) - kept], text[len(text) - kept:]
        plain = text.replace(b"\r\n.", b"\r\n")
        if self._skip and plain:        # what is not held back begins with the whole of a line end
            plain, self._skip = plain[self._skip:], 0
        self.content.look(plain)
        if self.done:
            self.content.finish()
        return b"" if self.content.refusal else plain

    @property
    def rest(self) -> bytes:
        """What the client said after the end, as far as it has come."""
        return b"" if self.content.is_bare else self._rest


class Head:
    """The header block out of a text that passes, up to its empty line; `refusal` if it is longer than `most`."""

    __slots__ = ("_octets", "done", "most", "refusal")

    def __init__(self, most: int = HEAD) -> None:
        self.most, self.done = most, False
        self.refusal: Refused | None = None
        self._octets = bytearray()

    def look(self, piece: bytes) -> None:
        """See the next piece of the text, with CR LF."""
        if self.done:
            return
        start = max(len(self._octets) - 3, 0)
        self._octets += piece[:self.most + 4]
        end = 2 if self._octets.startswith(b"\r\n") else self._octets.find(b"\r\n\r\n", start) + 4
        if end != 3:                    # -1 + 4: not yet
            del self._octets[end:]
            self.done = True
        if len(self._octets) > self.most:
            self.done, self.refusal = True, Refused(552, "5.3.4", f"more than {self.most} octets of header fields")

    @property
    def octets(self) -> bytes:
        """The block so far, with its empty line once that has come."""
        return bytes(self._octets)


class Stuffer:
    """A stored text, with LF or CR LF, into what is sent after DATA or +OK: CR LF, dots before dots, and the end.

    A CR that ends no line becomes a blank, so nothing that we send can be taken for another end.  `size` counts the
    octets without the dots that were added and the last line: that of RFC 1870, and of POP3's listings.
    """

    __slots__ = ("_at_start", "_carry", "size")

    def __init__(self) -> None:
        self.size = 0
        self._carry, self._at_start = b"", True

    def feed(self, octets: bytes) -> bytes:
        """The next piece as it is sent."""
        text = self._carry + octets
        self._carry = b"\r" if text.endswith(b"\r") else b""
        return self._stuffed(text[:-1] if self._carry else text)

    def end(self) -> bytes:
        """The rest: the end of a last line that had none, and of the whole."""
        text = self._stuffed(b" " if self._carry else b"")
        self._carry = b""
        if not self._at_start:
            text += b"\r\n"
            self.size, self._at_start = self.size + 2, True
        return text + b".\r\n"

    def _stuffed(self, text: bytes) -> bytes:
        if not text:
            return b""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b" ")
        text = text.replace(b"\n", b"\r\n")
        self.size += len(text)
        first = b"." if self._at_start and text.startswith(b".") else b""
        self._at_start = text.endswith(b"\r\n")
        return first + text.replace(b"\r\n.", b"\r\n..")
