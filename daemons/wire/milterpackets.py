"""Packets of the milter protocol, as a mail server sends them to a filter and reads its answers (version 6).

    four octets of length, one of kind, data; most data are strings, each with a NUL at its end

    OPTNEG                      ->      what we can do
                                <-  OPTNEG      what the filter wants of it
    MACRO, CONNECT              ->      <-  CONTINUE, or a verdict
    MACRO, HELO, MAIL, RCPT ... ->      <-  the same
    HEADER ..., EOH, BODY ...   ->      <-  after each, unless the filter said that it does not answer there
    EOB                         ->      <-  changes ..., a verdict
    ABORT                       ->      this mail is over
    QUIT                        ->

No RFC has it; libmilter of Sendmail 8.14 and later does (libmilter/mfdef.h), and Postfix speaks it from this side.
"""

from collections.abc import Iterable, Mapping

from .mailheaders import NAME
from .smtpdata import LINE
from .smtpreplies import Malformed as NoReply
from .smtpreplies import Reader, Refused

VERSION, OLDEST = 6, 2
# what we say; MACRO is followed by the kind of the packet that it goes before
OPTNEG, MACRO, CONNECT, HELO, MAIL, RCPT, DATA = b"O", b"D", b"C", b"H", b"M", b"R", b"T"
HEADER, EOH, BODY, EOB, ABORT, QUIT = b"L", b"N", b"B", b"E", b"A", b"Q"
# what a filter says: verdicts,
CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, REPLYCODE, SKIP = b"c", b"a", b"r", b"t", b"d", b"y", b"s"
PROGRESS = b"p"
# and changes, after EOB alone
ADDHEADER, INSHEADER, CHGHEADER, REPLBODY, CHGFROM = b"h", b"i", b"m", b"b", b"e"
ADDRCPT, ADDRCPT_PAR, DELRCPT = b"+", b"2", b"-"
BARE = {CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, SKIP, PROGRESS}        # they have no data
CHANGES = {ADDHEADER, INSHEADER, CHGHEADER, REPLBODY, CHGFROM, ADDRCPT, ADDRCPT_PAR, DELRCPT}
KNOWN = BARE | CHANGES | {OPTNEG, REPLYCODE}
FULL = 65535                    # octets of data in a packet of ours: libmilter takes no more
LONGEST = 1 << 17               # octets of data in a packet of a filter; a body alone may come in one of any size
# changes that a filter may ask for: SMFIF_ADDHDRS, CHGBODY, ADDRCPT, DELRCPT, CHGHDRS, CHGFROM, ADDRCPT_PAR
ACTIONS = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
# and what they may claim all the same, QUARANTINE and SETSYMLIST: rspamd claims what it knows, whatever is offered
CLAIMED = 0x20 | 0x100
QUARANTINE = b"q"
NOT_SENT = {CONNECT: 0x01, HELO: 0x02, MAIL: 0x04, RCPT: 0x08, BODY: 0x10, HEADER: 0x20, EOH: 0x40, DATA: 0x200}
NOT_ANSWERED = {HEADER: 0x80, CONNECT: 0x1000, HELO: 0x2000, MAIL: 0x4000, RCPT: 0x8000, DATA: 0x10000,
                EOH: 0x40000, BODY: 0x80000}
NO_UNKNOWN, MAY_SKIP, UNKNOWN_NOT_ANSWERED, LEADING_BLANK = 0x100, 0x400, 0x20000, 0x100000
STEPS = sum((*NOT_SENT.values(), *NOT_ANSWERED.values(), NO_UNKNOWN, MAY_SKIP, UNKNOWN_NOT_ANSWERED, LEADING_BLANK))
SINCE = {DATA: 4}               # the version that brought a step; the others are as old as any that we know
BLANKS = (b" ", b"\t")
REJECTED, LATER = (550, "5.7.1", "refused"), (451, "4.7.1", "not now; try again later")


class Malformed(ValueError):
    """A filter said what it cannot have meant; what follows is worth nothing either."""


class Terms:
    """What was agreed on with a filter: the version, and which steps it is told and answers."""

    __slots__ = ("_steps", "version")

    def __init__(self, version: int, steps: int) -> None:
        self.version, self._steps = version, steps

    def is_told(self, kind: bytes) -> bool:
        """Does it want to hear of this step?"""
        return not self._steps & NOT_SENT.get(kind, 0) and self.version >= SINCE.get(kind, 0)

    def answers(self, kind: bytes) -> bool:
        """Does it say something to this step?"""
        return not self._steps & NOT_ANSWERED.get(kind, 0)

    @property
    def has_blanks(self) -> bool:
        """Do values of fields come and go with the blank that follows the colon?"""
        return bool(self._steps & LEADING_BLANK)


# -- what we say --


def packet(kind: bytes, data: bytes = b"") -> bytes:
    """One packet; raises ValueError for more data than FULL."""
    if len(data) > FULL:
        raise ValueError(f"more than {FULL} octets in a packet")
    return (len(data) + 1).to_bytes(4, "big") + kind + data


def strings(*words: bytes) -> bytes:
    """Words as the protocol has them; a NUL within one is left out, since it would end it."""
    return b"".join(word.replace(b"\0", b"") + b"\0" for word in words)


def offer() -> bytes:
    """The first packet: all that we can do."""
    return packet(OPTNEG, b"".join(number.to_bytes(4, "big") for number in (VERSION, ACTIONS, STEPS)))


def macros(kind: bytes, values: Mapping[str, str]) -> bytes:
    """What goes before a packet: names and values, without those that are empty; long names stand in braces."""
    words = [word for name, value in values.items() if value
             for word in (name if len(name) == 1 else f"{{{name}}}", value)]
    return packet(MACRO, kind + strings(*(word.encode("utf-8", "surrogateescape") for word in words)))


def connect(name: str, address: str, port: int) -> bytes:
    """The data of CONNECT: a client's name, its IP address and port; raises ValueError."""
    if not 0 <= port <= 65535:
        raise ValueError(f"no port: {port}")
    family = b"6" if ":" in address else b"4"
    return strings(name.encode()) + family + port.to_bytes(2, "big") + strings(address.partition("%")[0].encode())


def header(raw: bytes, terms: Terms) -> bytes:
    """The data of HEADER for a field's lines; what is too long for a packet is cut."""
    name, _, value = raw.partition(b":")
    value = value.replace(b"\r\n", b"\n").removesuffix(b"\n")
    if not terms.has_blanks:
        value = value.removeprefix(b" ")
    name = name.rstrip(b" \t")
    return strings(name, value[:max(FULL - len(name) - 2, 0)])


def pieces(octets: Iterable[bytes]) -> Iterable[bytes]:
    """A body cut anew, so that each piece fills a packet."""
    held = bytearray()
    for piece in octets:
        held += piece
        while len(held) >= FULL:
            yield bytes(held[:FULL])
            del held[:FULL]
    if held:
        yield bytes(held)


# -- what a filter says --


def begins(five: bytes) -> tuple[bytes, int]:
    """The kind of an answer and the octets of its data, from its first five; raises Malformed."""
    size, kind = int.from_bytes(five[:4], "big") - 1, five[4:5]
    if kind == QUARANTINE:
        raise Malformed("it wants the mail put in quarantine, which was not offered")
    if kind not in KNOWN:
        raise Malformed(f"no answer: {five!r}")
    if size < 0 or (size and kind in BARE) or (size > LONGEST and kind != REPLBODY):
        raise Malformed(f"an answer {kind!r} of {size} octets")
    return kind, size


def agreed(data: bytes) -> Terms:
    """What a filter answers to our offer; raises Malformed."""
    if len(data) < 12:
        raise Malformed("an OPTNEG that is too short")
    version, actions, steps = (int.from_bytes(data[start:start + 4], "big") for start in (0, 4, 8))
    if not OLDEST <= version <= VERSION:
        raise Malformed(f"version {version} of the protocol, which nobody has")
    if actions & ~(ACTIONS | CLAIMED):
        raise Malformed(f"it wants to do what nobody knows: {actions:#x}")
    return Terms(version, steps & STEPS)


def change(kind: bytes, data: bytes) -> tuple[int, list[bytes]]:
    """The index of a change (0 where it has none) and its strings; raises Malformed.

    ADDHEADER, INSHEADER and CHGHEADER have a name and a value; CHGFROM and ADDRCPT_PAR an address and maybe parameters
    for it; ADDRCPT and DELRCPT an address.
    """
    index = 0
    if kind in (INSHEADER, CHGHEADER):
        index, data = int.from_bytes(data[:4], "big"), data[4:]
    *words, rest = data.split(b"\0")
    fewest, most = {ADDRCPT: (1, 1), DELRCPT: (1, 1), CHGFROM: (1, 2), ADDRCPT_PAR: (1, 2)}.get(kind, (2, 2))
    if rest or not fewest <= len(words) <= most:
        raise Malformed(f"a change {kind!r} of {len(words)} strings" + " and a rest" * bool(rest))
    return index, words


def field(name: bytes, value: bytes, has_blank: bool) -> bytes:
    """The lines of a field that a filter writes; raises Malformed for what would be more, or other, than one field.

    Filters fold with LF, as the protocol has it, or with CR LF.
    """
    plain = value.replace(b"\r\n", b"\n").rstrip(b"\n")
    first, *others = plain.split(b"\n")
    if not name or name.translate(None, NAME) or b"\r" in plain or any(line[:1] not in BLANKS for line in others):
        raise Malformed(f"not one field: {name[:80]!r}: {value[:80]!r}")
    # a line of blanks might be taken for the end of the header
    lines = [name + (b":" if has_blank else b": ") + first, *(line for line in others if line.strip(b" \t"))]
    if max(map(len, lines)) > LINE:
        raise Malformed(f"a field of a line over {LINE} octets: {name[:80]!r}")
    return b"\r\n".join(lines) + b"\r\n"


def refusal(data: bytes) -> Refused:
    """What a REPLYCODE wants said; raises Malformed.

    A percent sign comes twice.  421 is said as 451: we do not hang up because a filter has enough.
    """
    text = data.removesuffix(b"\0").replace(b"%%", b"%")
    reader = Reader()
    try:
        *others, reply = [reader.line(line) for line in text.split(b"\r\n")]
    except NoReply as error:
        raise Malformed(str(error)) from None
    rest = text.replace(b"\r\n", b"")
    if reply is None or any(others) or reply.code < 400 or b"\n" in rest or b"\r" in rest:
        raise Malformed(f"not a refusal: {text[:80]!r}")
    code = 451 if reply.code == 421 else reply.code
    words = " ".join(line for line in reply.lines if line)
    return Refused(code, reply.enhanced or f"{code // 100}.7.1", words or "refused")
