"""Lists of UIDs: which number (RFC 9051, section 2.3.1.1) a message of a folder has, one on each line.

    3 V1792345678 N25023 G9f86d081884c7d659a2feaa0c55ad015 R5f2a
    25006 W1394 :1792345600.M364837P9451.mail.example.net

V is the validity of all numbers, N the least that the next message may get, G the folder's own name for ever, R ours:
which writing of the whole list this is.  On a message's line, W is its size on the wire, P the unique id
that POP3 tells if another program has chosen it; what follows the colon is its name.  It is what Dovecot writes (and,
as version 1, Courier), so that their folders keep their numbers with us and ours with them.
"""

from .numbers import number

LAST = 2**32 - 1                # UIDs and their validity have 32 bits


class Header:
    """What a list says of all its numbers; `line` is how it was said, with its line feed."""

    __slots__ = ("guid", "line", "next", "validity", "version")

    def __init__(self, version: int, validity: int, next: int, guid: bytes, line: bytes) -> None:
        self.version, self.validity, self.next, self.guid, self.line = version, validity, next, guid, line


class Entry:
    """A message's line: its UID, its name, and where they are told its size on the wire and its unique id."""

    __slots__ = ("name", "uid", "uidl", "virtual")

    def __init__(self, uid: int, name: bytes, virtual: "int | None" = None, uidl: "bytes | None" = None) -> None:
        self.uid, self.name, self.virtual, self.uidl = uid, name, virtual, uidl


def header(validity: int, next: int, guid: bytes, writing: bytes) -> bytes:
    """The first line of a list."""
    return b"3 V%d N%d G%s R%s\n" % (validity, next, guid, writing)


def parsed_header(line: bytes) -> Header:
    """What the first line says; raises ValueError if it is none."""
    words = line.removesuffix(b"\n").split(b" ")
    if not line.endswith(b"\n") or words[0] not in (b"1", b"3"):
        raise ValueError(f"not the first line of a list of UIDs: {line[:80]!r}")
    if words[0] == b"1":
        fields = dict(zip((b"V", b"N"), words[1:]))
    else:
        fields = {word[:1]: word[1:] for word in words[1:]}
    return Header(number(words[0]), number(fields.get(b"V", b""), 1, LAST), number(fields.get(b"N", b""), 1, LAST + 1),
                  fields.get(b"G", b""), line)


def entry(one: Entry) -> bytes:
    """The line of a message."""
    virtual = b"" if one.virtual is None else b"W%d " % one.virtual
    uidl = b"" if one.uidl is None else b"P%s " % one.uidl
    return b"%d %s%s:%s\n" % (one.uid, virtual, uidl, one.name)


def entries(data: bytes, version: int = 3, above: int = 0) -> list[Entry]:
    """The messages that lines tell of, in the order of their UIDs, all greater than `above`.

    Lines that are damaged are left out, and so is one that does not end: its writer was killed.
    """
    found = []
    for line in data.split(b"\n")[:-1]:
        try:
            one = _parsed(line, version)
        except ValueError:
            continue
        if one.uid > above:
            found.append(one)
            above = one.uid
    return found


def _parsed(line: bytes, version: int) -> Entry:
    if version == 1:
        uid, _, name = line.partition(b" ")
        words: list[bytes] = []
    else:
        before, _, name = line.partition(b":")
        uid, *words = before.removesuffix(b" ").split(b" ")
    if not name or b"/" in name or b"\0" in name:
        raise ValueError("no name of a file")
    fields = {word[:1]: word[1:] for word in words}
    virtual = number(fields[b"W"]) if b"W" in fields else None
    return Entry(number(uid, 1, LAST), name, virtual, fields.get(b"P"))
