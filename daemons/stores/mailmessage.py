"""A message of a folder, as its readers know it."""

from ..wire import maildirnames


class Message:
    """One message; there is one object for it as long as a folder is open, and its name is kept up to date.

    uid         its number in the folder, or 0 as long as none could be written down
    key         what of its name never changes
    name        its file below the folder, such as new/... or cur/..., where it was last seen
    flags       the letters in the name
    size        octets of the file
    virtual     octets on the wire, where each line ends in CR LF, the last one too; -1 until they were counted
    date        seconds since 1970: when it came, or what IMAP's APPEND said; -1 until somebody looked
    modseq      the number of its last change (RFC 7162)
    """

    __slots__ = ("_uidl", "date", "flags", "key", "modseq", "name", "size", "uid", "virtual")

    def __init__(self, key: bytes, uid: int = 0, size: int = 0, virtual: int = -1, date: int = -1, flags: bytes = b"",
                 modseq: int = 0, uidl: "bytes | None" = None, name: bytes = b"") -> None:
        self.key, self.name, self.uid, self.size, self.virtual = key, name, uid, size, virtual
        self.date, self.flags, self.modseq, self._uidl = date, flags, modseq, uidl

    @property
    def uidl(self) -> bytes:
        """The unique id that POP3 tells: made from the key, unless it came with the message from another server."""
        return maildirnames.uidl(self._uidl or self.key)

    @property
    def given_uidl(self) -> "bytes | None":
        """The unique id that came with the message from another server; None without one."""
        return self._uidl

    def take(self, uid: int, size: int, virtual: int, date: int, flags: bytes, modseq: int,
             uidl: "bytes | None") -> None:
        """Take over what was written down of it; what was found out here and not there yet stays."""
        self.uid, self.flags, self.modseq, self._uidl = uid, flags, modseq, uidl
        if date >= 0:
            self.size, self.date = size, date
        if virtual >= 0:
            self.virtual = virtual
