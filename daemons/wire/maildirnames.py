"""The names of messages in a Maildir: what is unique in them, and what they tell of sizes and flags.

    1792345678.M012345P4711Q3_R9f86d081884c7d65.mail.example.net,S=4096,W=4187:2,FS
    `------------------------- key ----------------------------' `-- fields -' info

The key (up to the first comma or colon) is the message: it never changes and never comes again, so it is what an
index remembers and what POP3 tells as the unique id.  Fields may be added or taken away by other programs, and the
letters of the flags follow what the reader does.  https://cr.yp.to/proto/maildir.html, and Maildir++ for S= and W=.
"""

from .numbers import number

INFO = b":2,"                   # flags follow
HOST = 100                      # octets of the host's name that are kept: a file's name has at most 255
UIDL = 70                       # characters of a unique id, each of 0x21 to 0x7e (RFC 1939, section 7)
LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
VISIBLE = bytes(range(0x21, 0x7f))
PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_")


def unique(nanoseconds: int, process: int, count: int, random: bytes, host: bytes) -> bytes:
    """A key that nobody else makes: the time since 1970, a process, how many it has made, random octets, a host."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return b"%d.M%06dP%dQ%d_R%s.%s" % (seconds, rest // 1000, process, count, random.hex().encode(), escaped(host))


def escaped(host: bytes) -> bytes:
    """A host's name as it may stand in a file's name: `/` is \\057 and `:` is \\072, and so on."""
    return b"".join(bytes((octet,)) if octet in PLAIN else b"\\%03o" % octet for octet in host)[:HOST]


def sized(key: bytes, size: int, virtual: int) -> bytes:
    """The name with the octets in the file, and those on the wire, where lines end in CR LF."""
    return b"%s,S=%d,W=%d" % (key, size, virtual)


def key(name: bytes) -> bytes:
    """What stays of a name, whatever becomes of the message."""
    return name.partition(b":")[0].partition(b",")[0]


def stem(name: bytes) -> bytes:
    """The name without its flags."""
    return name.partition(b":")[0]


def flags(name: bytes) -> bytes:
    """The letters of a name's flags: D draft, F flagged, P passed, R replied, S seen, T trashed, a to z keywords."""
    return name.partition(INFO)[2].partition(b",")[0]


def flagged(name: bytes, letters: bytes) -> bytes:
    """The name with these flags in the place of its own, sorted; raises ValueError if they are no letters."""
    if not LETTERS.issuperset(letters):
        raise ValueError(f"not the letters of flags: {letters!r}")
    _, comma, others = name.partition(INFO)[2].partition(b",")      # what somebody put behind them stays
    return stem(name) + INFO + bytes(sorted(set(letters))) + comma + others


def size(name: bytes) -> "int | None":
    """Octets in the file, as the name tells them (S=); None if it does not."""
    return _field(name, b"S=")


def virtual(name: bytes) -> "int | None":
    """Octets on the wire, as the name tells them (W=); None if it does not."""
    return _field(name, b"W=")


def order(key: bytes) -> tuple[int, int, bytes]:
    """Sorts keys by the time of their delivery; those that tell none come first."""
    seconds, _, rest = key.partition(b".")
    digits = rest[1:].partition(b"P")[0] if rest[:1] == b"M" else b""
    return _count(seconds) or 0, _count(digits) or 0, key


def uidl(key: bytes) -> bytes:
    """The unique id that POP3 tells for a message: its key, or a digest of a key that is no unique id."""
    if 0 < len(key) <= UIDL and not key.translate(None, VISIBLE):
        return key
    from hashlib import sha256
    return sha256(key).hexdigest().encode()


def _field(name: bytes, which: bytes) -> "int | None":
    for field in stem(name).split(b",")[1:]:
        if field.startswith(which):
            return _count(field[2:])
    return None


def _count(digits: bytes) -> "int | None":
    """A number, or None where somebody wrote none."""
    try:
        return number(digits)
    except ValueError:
        return None
