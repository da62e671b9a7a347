"""What an administrator does with queued mail: look, hold, release, hurry, re-route, delete; in mid-delivery, too.

A wish is a record at the end of the message's file, on the disk before the call returns.  Whoever has the message
claimed sees it before the next step; a message that nobody has is deleted at once.
"""

import time

from ..wire import queuewords
from ..wire.queueplan import destination as domain_of
from ..wire.queueplan import matches
from . import queuewake
from .queuefiles import Damaged, QueueFile
from .queuefolder import SPOOL, QueueFolder, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any


class Unknown(LookupError):
    """There is no such message."""


class QueueControl:
    """The queue at `path`; raises OSError.  What takes an id raises Unknown, and Damaged (a ValueError), too."""

    __slots__ = ("_clock", "folder")

    def __init__(self, path: str = SPOOL, clock: "Callable[[], float]" = time.time) -> None:
        self.folder, self._clock = QueueFolder(path), clock

    def close(self) -> None:
        """Done with it."""
        self.folder.close()

    # -- looking --

    def ids(self) -> list[str]:
        """The names of all messages, the oldest first."""
        return self.folder.ids()

    def all(self) -> "Iterator[dict[str, Any]]":
        """Every message as wire.queuewords.data has it, the oldest first; of a damaged one id, state and why."""
        for id in self.ids():
            try:
                yield self.show(id)
            except Unknown:             # delivered meanwhile
                continue
            except Damaged as error:
                yield {"id": id, "state": "damaged", "why": str(error)}

    def show(self, id: str) -> "dict[str, Any]":
        """One message, see wire.queuewords.data."""
        with self._file(id) as file:
            return queuewords.data(id, file.read(), file.is_claimed())

    def message(self, id: str) -> "Iterator[bytes]":
        """The message itself, in pieces."""
        with self._file(id) as file:
            file.read()
            yield from file.message()

    def explain(self, id: str) -> list[str]:
        """Why it is still here, in sentences."""
        return queuewords.explain(self.show(id), self._clock(), queuewake.is_heard(self.folder.path))

    def summary(self) -> "dict[str, Any]":
        """Numbers of the whole queue: messages, octets, by state, by destination, the oldest, free room, the runner."""
        states: dict[str, int] = {}
        recipients: dict[str, int] = {}
        destinations: dict[str, int] = {}
        found: dict[str, Any] = {"messages": 0, "octets": 0, "oldest": None, "states": states,
                                 "recipients": recipients, "destinations": destinations}
        for message in self.all():
            found["messages"] += 1
            _count(states, message["state"])
            found["octets"] += message.get("size", 0)
            if "received" in message:
                found["oldest"] = min(message["received"], found["oldest"] or message["received"])
            for one in message.get("recipients", ()):
                _count(recipients, one["state"])
                if one["next"] is not None:
                    _count(destinations, domain_of(one["address"]))
        found["free"], found["runner"] = self.folder.free(), queuewake.is_heard(self.folder.path)
        return found

    # -- meddling --

    def hold(self, ids: "Iterable[str]", why: str = "") -> None:
        """Deliver these no further until they are released."""
        self._wish(ids, "hold", why=why)

    def release(self, ids: "Iterable[str]") -> None:
        """Hold these no longer."""
        self._wish(ids, "release")

    def retry(self, ids: "Iterable[str]") -> None:
        """Try these now, whatever was planned."""
        self._wish(ids, "retry")

    def reroute(self, domain: str) -> list[str]:
        """Try now whatever goes to a domain (.domain: or below one), where the configuration of today sends it.

        Routes are not kept with messages, so nothing else is to be changed.  Returns the names of those messages.
        """
        moved = []
        for id in self.ids():
            try:
                with self._file(id) as file:
                    found = [one for one in file.read().waiting if matches(domain_of(one.address), domain)]
                    if found:
                        file.append("retry", found)
                        file.sync()
                        moved.append(id)
            except (Unknown, Damaged):
                continue                # delivered meanwhile, or none that could be sent anywhere
        queuewake.poke(self.folder.path, moved)
        return moved

    def delete(self, id: str) -> bool:
        """Remove a message without telling anybody; one that is damaged, too.

        False where somebody has it claimed just now, who removes it before the next step.
        """
        with self._file(id) as file:
            gone = self._removed(file)
            if not gone:
                try:
                    file.read()
                except Damaged as error:
                    raise Damaged(f"somebody has it, and it is no message: {error}") from None
                file.append("delete")
                file.sync()
                gone = self._removed(file)      # let go of meanwhile, perhaps without having seen that
        queuewake.poke(self.folder.path, [id])
        return gone

    def _removed(self, file: QueueFile) -> bool:
        if not file.lock():
            return False
        file.remove()
        return True

    def _wish(self, ids: "Iterable[str]", kind: str, **values: str) -> None:
        told = []
        try:
            for id in ids:
                with self._file(id) as file:
                    file.read()
                    file.append(kind, (), **values)
                    file.sync()
                told.append(id)
        finally:
            queuewake.poke(self.folder.path, told)

    def _file(self, id: str) -> QueueFile:
        if not is_id(id):
            raise Unknown(id)
        try:
            return QueueFile(self.folder, id, self._clock)
        except FileNotFoundError:
            raise Unknown(id) from None


def _count(numbers: dict[str, int], name: str) -> None:
    numbers[name] = numbers.get(name, 0) + 1
