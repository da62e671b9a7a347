r"""Lines of a queued message: the head before it, which tells who shall have it, and the records after it.

    fd0 mail 1
    size: 00000000000412
    received: 1785400000.123
    sender: alice@example.org
    client: [192.0.2.7]:41822
    to: - bob@example.net notify=SUCCESS,FAILURE orcpt=rfc822;bob@example.net
    to: D carol@example.com
    to: - dan@example.org final=yes
    (an empty line, then as many octets of message as size tells)
    1785400007.000 defer 1 next=1785400312.500 host=mx.example.net reply=451\x204.7.1\x20later .
    1785400009.000 split 2 3=-ann@example.com 4=-ben@example.com .

Only two things ever change in place: the size, once the message is whole, and the sign before an address.  That takes
no room on the disk, so that a full one cannot have a message delivered twice.  All else that happens is a record,
appended; it counts only if its last word, a dot, is there.  A record may add recipients: the mailboxes of an alias, by
their numbers, which are delivered to one by one.  Blanks, control characters and backslashes within a word are
written \xNN; times are seconds since 1970.
"""

from .numbers import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIRST = b"fd0 mail 1\n"
SIZE_AT, SIZE_DIGITS = len(FIRST) + len(b"size: "), 14
END_OF_HEAD = b"\n\n"
LONGEST_REPLY = 1000            # characters that are kept of what another server said

# The sign of a recipient.  Small letters: the sender is still to be told of it, by a notification.
WAITING, DELIVERED, BOUNCED = "-", "D", "B"
SIGNS = "-DdBb"
STATES = {"D": "delivered", "d": "delivered", "B": "bounced", "b": "bounced"}

# What may be known of how a message came, as text: from whom, by which session, and what MAIL said of it
FACTS = ("client", "name", "helo", "protocol", "user", "tls", "session", "body", "auth", "requiretls", "envid", "ret")

PLAIN = bytes(set(range(0x21, 0x100)) - {0x5c, 0x7f})
ESCAPED = {octet: b"%c" % octet if octet in PLAIN else b"\\x%02x" % octet for octet in range(256)}


class Recipient:
    """One who shall have the message; made with what RCPT said, the rest tells what has become of it.

    address            as RCPT gave it (RFC 5321, 4.1.1.3)
    notify, orcpt      its parameters NOTIFY and ORCPT (RFC 3461, 4.1 and 4.2), as they came; "" where it had none
    sign               see SIGNS
    attempts, tried    how often delivery was put off, and when anything last happened
    next               not to be tried before; 0 for at once
    host, reply        who answered last, and what
    number, place      which recipient of its message, from 1 on; where its sign stands in the file
    final, split       is it a mailbox that another one led to; are its own mailboxes recipients by now
    """

    __slots__ = ("address", "attempts", "final", "host", "next", "notify", "number", "orcpt", "place", "reply", "sign",
                 "split", "tried")

    def __init__(self, address: str, notify: str = "", orcpt: str = "") -> None:
        self.address, self.notify, self.orcpt = address, notify, orcpt
        self.sign, self.host, self.reply = WAITING, "", ""
        self.attempts = self.number = self.place = 0
        self.tried = self.next = 0.0
        self.final = self.split = False

    @property
    def is_waiting(self) -> bool:
        """Is it still to be delivered?"""
        return self.sign == WAITING

    @property
    def is_owed(self) -> bool:
        """Is the sender still to be told what became of it?"""
        return self.sign.islower()

    def wants(self, what: str) -> bool:
        """Is its sender to be told of SUCCESS, FAILURE or DELAY?  RFC 3461, 4.1; without NOTIFY, of the last two."""
        asked = self.notify.upper().split(",") if self.notify else ["FAILURE", "DELAY"]
        return what in asked


class Envelope:
    """All but the message itself; `facts` are those of FACTS, and whichever is not given is "".

    sender      "" for notifications
    received    when it came; `expires` is when to give up, 0 where the queue's own rule says
    smtputf8    does it need SMTPUTF8 (RFC 6531)?
    size        octets of the message; it begins at `begins` in the file
    held, why   shall it stay, and for what reason
    deleted     somebody wants it gone
    warned      its sender has been told that it is late
    """

    __slots__ = (*FACTS, "begins", "deleted", "expires", "held", "received", "recipients", "sender", "size", "smtputf8",
                 "warned", "why")

    def __init__(self, sender: str, recipients: "Iterable[Recipient]", received: float, smtputf8: bool = False,
                 expires: float = 0.0, **facts: str) -> None:
        self.sender, self.received, self.smtputf8, self.expires = sender, received, smtputf8, expires
        self.recipients = list(recipients)
        for each, recipient in enumerate(self.recipients, 1):
            recipient.number = each
        for name in FACTS:
            setattr(self, name, facts.pop(name, ""))
        if facts:
            raise TypeError(f"nobody asks for {', '.join(facts)}")
        self.size = self.begins = 0
        self.held = self.deleted = self.warned = False
        self.why = ""

    @property
    def waiting(self) -> list[Recipient]:
        """Those who have not got it yet."""
        return [one for one in self.recipients if one.is_waiting]

    @property
    def owed(self) -> list[Recipient]:
        """Those of whom the sender is still to be told."""
        return [one for one in self.recipients if one.is_owed]

    @property
    def is_over(self) -> bool:
        """Is there nothing left to do?"""
        return self.deleted or not any(one.sign in "-db" for one in self.recipients)

    def fact(self, name: str) -> str:
        """One of FACTS."""
        return str(getattr(self, name))


# -- the head --


def head(envelope: Envelope) -> bytes:
    """The octets before the message, its size still 0; notes in `envelope` where the message begins, and the signs.

    Raises ValueError where a value does not fit.
    """
    if not envelope.recipients:
        raise ValueError("a message needs a recipient")
    lines = [b"received: " + _seconds(envelope.received), b"sender: " + quoted(envelope.sender)]
    lines += [b"expires: " + _seconds(envelope.expires)] if envelope.expires else []
    lines += [b"smtputf8: yes"] if envelope.smtputf8 else []
    lines += [name.encode() + b": " + quoted(value) for name in FACTS if (value := envelope.fact(name))]
    data = bytearray(FIRST + b"size: " + sized(0) + b"\n" + b"\n".join(lines) + b"\n")
    for one in envelope.recipients:
        if not one.address:
            raise ValueError("a recipient without an address")
        one.place = len(data) + len(b"to: ")
        more = [(b"notify", one.notify), (b"orcpt", one.orcpt), (b"final", "yes" if one.final else "")]
        data += b"to: %s %s" % (one.sign.encode(), quoted(one.address))
        data += b"".join(b" %s=%s" % (name, quoted(value)) for name, value in more if value) + b"\n"
    data += b"\n"
    envelope.begins = len(data)
    return bytes(data)


def sized(octets: int) -> bytes:
    """The size as it stands at SIZE_AT."""
    return b"%0*d" % (SIZE_DIGITS, octets)


def parse_head(data: bytes) -> Envelope:
    """The envelope of a head, `data` ends with its empty line; raises ValueError with what is wrong."""
    if not data.startswith(FIRST):
        raise ValueError("not a queued message: its first line is another")
    values: dict[bytes, bytes] = {}
    recipients: list[Recipient] = []
    place = len(FIRST)
    for line in data[place:-len(END_OF_HEAD)].split(b"\n"):
        name, colon, value = line.partition(b": ")
        if name == b"to":
            recipients.append(_recipient(value, place + len(b"to: ")))
        elif not colon or name in values or name not in KNOWN:
            raise ValueError(f"a line of the head that nobody writes: {line[:40]!r}")
        values[name] = value
        place += len(line) + 1
    if not recipients or not {b"size", b"received", b"sender"} <= values.keys():
        raise ValueError("the head lacks a line")
    facts = {name: unquoted(values[name.encode()]) for name in FACTS if name.encode() in values}
    envelope = Envelope(unquoted(values[b"sender"]), recipients, _time(values[b"received"]), b"smtputf8" in values,
                        _time(values[b"expires"]) if b"expires" in values else 0.0, **facts)
    envelope.size, envelope.begins = number(values[b"size"], most=10**SIZE_DIGITS - 1), len(data)
    return envelope


KNOWN = {b"size", b"received", b"sender", b"expires", b"smtputf8", *(name.encode() for name in FACTS)}


def _recipient(value: bytes, place: int) -> Recipient:
    sign, address, *more = value.split(b" ")
    if len(sign) != 1 or sign.decode("latin-1") not in SIGNS or not address:
        raise ValueError(f"not a recipient: {value[:40]!r}")
    found = _pairs(more)
    one = Recipient(unquoted(address), found.pop("notify", ""), found.pop("orcpt", ""))
    one.final = "final" in found
    if found.pop("final", "yes") != "yes" or found:
        raise ValueError(f"not a recipient: {value[:40]!r}")
    one.sign, one.place = sign.decode(), place
    return one


# -- records --


def record(when: float, kind: str, recipients: "Sequence[Recipient]" = (), **values: "str | float") -> bytes:
    """A line that tells what happened to the message, or to some of its recipients; `kind` is one of KINDS."""
    words = [_seconds(when), kind.encode()]
    words += [_ranges(sorted(one.number for one in recipients))] if recipients else []
    for name, value in values.items():
        text = quoted(value[:LONGEST_REPLY]) if isinstance(value, str) else _seconds(value)
        words.append(name.encode() + b"=" + text)
    return b" ".join([*words, b".\n"])


def split(envelope: Envelope, addresses: "Iterable[str]") -> dict[str, str]:
    """The values of a record "split" that makes each of these mailboxes a recipient, in the place of another one."""
    return {str(number): WAITING + address for number, address in enumerate(addresses, len(envelope.recipients) + 1)}


def apply(envelope: Envelope, data: bytes, at: int = 0) -> int:
    """Have the records in `data`, from `at` on in the file, done to the envelope; returns the octets of whole lines.

    A line that is not as we write it does not count: somebody was stopped in the middle of it.
    """
    whole = data.rfind(b"\n") + 1
    for line in data[:whole].split(b"\n"):
        if line.endswith(b" ."):
            try:
                when, kind, chosen, values = _record(envelope, line[:-2].split(b" "))
            except ValueError:
                kind = ""               # see above
            else:
                KINDS[kind](envelope, when, chosen, values)
            if kind == "split":
                _find_signs(envelope, line, at)
        at += len(line) + 1
    return whole


def _record(envelope: Envelope, words: list[bytes]) -> tuple[float, str, list[Recipient], dict[str, str]]:
    if len(words) < 2 or (kind := words[1].decode("latin-1")) not in KINDS:
        raise ValueError("no such record")
    chosen = envelope.recipients
    rest = words[2:]
    if rest and b"=" not in rest[0]:
        chosen = _chosen(envelope, rest.pop(0))
    values = _pairs(rest)
    if not values.keys() >= NEEDED.get(kind, set()) or ("reply" in values and chosen is envelope.recipients):
        raise ValueError("a value is missing, or who it is about")
    if "next" in values:
        _time(values["next"].encode())
    if kind == "split" and not _is_split(envelope, chosen, values):
        raise ValueError("not how recipients are added")
    return _time(words[0]), kind, chosen, values


def _defer(_: Envelope, when: float, chosen: list[Recipient], values: dict[str, str]) -> None:
    for one in chosen:
        if one.is_waiting:
            one.attempts, one.next = one.attempts + 1, _time(values["next"].encode())
            one.tried, one.host, one.reply = when, values["host"], values["reply"]


def _end(sign: str) -> "Effect":
    def effect(_: Envelope, when: float, chosen: list[Recipient], values: dict[str, str]) -> None:
        for one in chosen:
            if one.is_waiting:          # else its sign was set, and may say that the sender has been told
                one.sign = sign.lower() if values["tell"] == "yes" else sign
            one.tried, one.host, one.reply = when, values["host"], values["reply"]
    return effect


def _is_split(envelope: Envelope, chosen: list[Recipient], values: dict[str, str]) -> bool:
    if chosen is envelope.recipients or len(chosen) != 1 or chosen[0].split or not values:
        return False
    return values.keys() == split(envelope, values).keys() and all(
        len(value) > 1 and value[0] in SIGNS for value in values.values())


def _split(envelope: Envelope, _when: float, chosen: list[Recipient], values: dict[str, str]) -> None:
    one, = chosen
    one.split = True
    for value in values.values():       # what the sender asked for with the one counts for each
        added = Recipient(value[1:], one.notify, one.orcpt)
        added.sign, added.final, added.number = value[0], True, len(envelope.recipients) + 1
        envelope.recipients.append(added)


def _find_signs(envelope: Envelope, line: bytes, at: int) -> None:
    for word in line.split(b" "):
        name, equals, _ = word.partition(b"=")
        if equals:
            envelope.recipients[number(name) - 1].place = at + len(name) + 1
        at += len(word) + 1


def _retry(_: Envelope, _when: float, chosen: list[Recipient], _values: dict[str, str]) -> None:
    for one in chosen:
        one.next = 0.0


def _hold(envelope: Envelope, _when: float, _: list[Recipient], values: dict[str, str]) -> None:
    envelope.held, envelope.why = True, values["why"]


def _release(envelope: Envelope, _when: float, _: list[Recipient], _values: dict[str, str]) -> None:
    envelope.held, envelope.why = False, ""


def _warned(envelope: Envelope, _when: float, _: list[Recipient], _values: dict[str, str]) -> None:
    envelope.warned = True


def _delete(envelope: Envelope, _when: float, _: list[Recipient], _values: dict[str, str]) -> None:
    envelope.deleted = True


if TYPE_CHECKING:
    from collections.abc import Callable
    Effect = Callable[[Envelope, float, list[Recipient], dict[str, str]], None]

KINDS: "dict[str, Effect]" = {"defer": _defer, "done": _end(DELIVERED), "bounce": _end(BOUNCED), "retry": _retry,
                              "split": _split, "hold": _hold, "release": _release, "warned": _warned, "delete": _delete}
NEEDED = {"defer": {"next", "host", "reply"}, "done": {"tell", "host", "reply"}, "bounce": {"tell", "host", "reply"},
          "hold": {"why"}}


# -- words --


def quoted(text: str) -> bytes:
    """Text as one word."""
    data = text.encode("utf-8", "surrogateescape")
    return data if not data.translate(None, PLAIN) else b"".join(ESCAPED[octet] for octet in data)


def unquoted(word: bytes) -> str:
    """The text of a word; raises ValueError where it is none."""
    if word.translate(None, PLAIN).replace(b"\\", b""):
        raise ValueError(f"not a word: {word[:40]!r}")
    first, *rest = word.split(b"\\")
    data = bytearray(first)
    for piece in rest:
        digits = piece[1:3]
        if piece[:1] != b"x" or len(digits) < 2 or digits.strip(b"0123456789abcdef"):
            raise ValueError(f"not a word: {word[:40]!r}")
        data.append(int(digits, 16))
        data += piece[3:]
    return data.decode("utf-8", "surrogateescape")


def _pairs(words: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition(b"=")
        if not equals or name.decode("latin-1") in found:
            raise ValueError(f"not name=value: {word[:40]!r}")
        found[name.decode("latin-1")] = unquoted(value)
    return found


def _seconds(value: float) -> bytes:
    return b"%.3f" % value


def _time(word: bytes) -> float:
    whole, dot, part = word.partition(b".")
    if not dot or len(part) != 3:
        raise ValueError(f"not a time: {word[:40]!r}")
    return number(whole) + number(part) / 1000


def _ranges(numbers: list[int]) -> bytes:
    """Numbers in order as 1,3-5."""
    runs: list[list[int]] = []
    for each in numbers:
        if runs and each <= runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return b",".join(b"%d" % first if first == last else b"%d-%d" % (first, last) for first, last in runs)


def _chosen(envelope: Envelope, word: bytes) -> list[Recipient]:
    most = len(envelope.recipients)
    found: list[Recipient] = []
    for run in word.split(b","):
        first, _, last = run.partition(b"-")
        start = number(first, 1, most)
        found += envelope.recipients[start - 1:number(last, start, most) if last else start]
    return found
