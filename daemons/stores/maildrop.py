"""A maildrop as POP3 sees it (RFC 1939): one session at a time, messages by number, nothing removed before the end.

Numbers are those of the moment when it was opened: what is delivered meanwhile is not in it, what others have removed
keeps its number and cannot be read.  Sizes are exactly the octets that are sent, with CR LF after each line.  Only
`commit` removes anything: whoever leaves in another way has changed nothing.  Neither names nor flags are changed, and
mail is delivered all the while.
"""

import os
from collections.abc import Iterator

from .folderlock import InUse, Lock
from .maildelivery import sweep
from .maildir import Expunged, Folder
from .mailmessage import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import FileIO

    from .maildirquota import Quota

__all__ = ["Expunged", "InUse", "Maildrop", "NoMessage"]


LAST = b"fd0-login"      # an empty file in the folder, whose time tells when a session last began


class NoMessage(LookupError):
    """There is no message of this number, or it is marked as deleted."""


class Maildrop:
    """The maildrop that is the inbox at this path, for a `with` block; raises InUse, and OSError.

    A user who never got mail has an empty one, which is made.
    """

    def __init__(self, path: str, quota: "Quota | None" = None) -> None:
        self._folder = Folder(path, quota)
        self._messages: list[Message] = []
        self._marked: set[int] = set()

    def __enter__(self) -> "Maildrop":
        self._folder.create()
        self._lock = Lock(self._folder.path)
        self._lock.__enter__()
        try:
            sweep(self._folder.path)
            messages = self._folder.messages()
            self._folder.measure(messages)
            self._messages = [message for message in messages if message.virtual >= 0]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.close()
        self._lock.__exit__()

    def may_begin(self, now: float, delay: float) -> bool:
        """Did the session before this one begin `delay` seconds ago or earlier?  Then `now` is noted.  Raises OSError.

        A time that is yet to come was noted before somebody set the clock back, and holds up nobody.
        """
        path = self._folder.path + b"/" + LAST
        try:
            before = os.stat(path, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            before = -delay
        if 0 <= now - before < delay:
            return False
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        os.utime(path, (now, now))
        return True

    @property
    def trouble(self) -> str:
        """Why what was learnt could not be written down, for the log; empty if it was."""
        return self._folder.index.trouble

    def stat(self) -> tuple[int, int]:
        """(messages, octets) that are not marked."""
        sizes = [size for _, size in self.sizes()]
        return len(sizes), sum(sizes)

    def sizes(self) -> list[tuple[int, int]]:
        """(number, octets) of those that are not marked."""
        return [(n, one.virtual) for n, one in enumerate(self._messages, 1) if n not in self._marked]

    def uidls(self) -> list[tuple[int, bytes]]:
        """(number, unique id) of those that are not marked; an id never changes, and none is used again."""
        return [(n, one.uidl) for n, one in enumerate(self._messages, 1) if n not in self._marked]

    def size(self, n: int) -> int:
        """Octets of message number `n`; raises NoMessage."""
        return self._message(n).virtual

    def uidl(self, n: int) -> bytes:
        """The unique id of message number `n`; raises NoMessage."""
        return self._message(n).uidl

    def open(self, n: int) -> "FileIO":
        """Its file, where lines end as they were stored; raises NoMessage, Expunged, OSError."""
        return self._folder.open(self._message(n))

    def octets(self, n: int) -> Iterator[bytes]:
        """What is sent of it, before dots are doubled, in pieces; raises NoMessage at once, Expunged with the first."""
        return self._folder.octets(self._message(n))

    def delete(self, n: int) -> None:
        """Mark it; raises NoMessage."""
        self._message(n)
        self._marked.add(n)

    def reset(self) -> None:
        """Nothing is marked any more."""
        self._marked.clear()

    def commit(self) -> "list[tuple[int, OSError]]":
        """Remove what is marked, for good; returns the numbers of those that could not be, and why.  Raises OSError."""
        marked = {id(self._messages[n - 1]): n for n in sorted(self._marked)}
        failed = self._folder.remove([self._messages[n - 1] for n in marked.values()])
        return [(marked[id(message)], error) for message, error in failed]

    def _message(self, n: int) -> Message:
        if not 1 <= n <= len(self._messages):
            raise NoMessage(f"there is no message {n}")
        if n in self._marked:
            raise NoMessage(f"message {n} is deleted")
        return self._messages[n - 1]
