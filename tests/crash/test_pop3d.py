"""pop3d is killed, and its disk fails, at every step after QUIT: nothing goes that was not marked."""

import contextlib
import os
import poplib

import pytest

from daemons.stores import accounts
from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder
from tests.crash.attached import TRACEABLE, steps, traced
from tests.hostile import kit
from tests.live import clients, devlog, machine

USER, PASSWORD = "ann@example.org", "correct horse"
MARKED, KEPT = (1, 3), (2, 4)


class Place:
    """A server and a mailbox."""

    def __init__(self, stack, path):
        self.path, self.box = path, path / "mail/example.org/ann"
        there = accounts.open(f"{path}/accounts.db", create=True)
        there.add_user(USER, PASSWORD.encode())
        there.store.close()
        log = stack.enter_context(devlog.LogSocket())
        self.host = stack.enter_context(kit.listening(
            "pop3d", log, f"--accounts={path}/accounts.db", f"--mail={path}/mail", "--plaintext=yes", prefix=TRACEABLE))
        log.wait_for(" start ")
        self.standing = self.host.alive()

    def fill(self):
        """Four new messages, one of them seen by another program; no others.  Returns {number: unique id}."""
        with Folder(str(self.box)) as folder:
            folder.create()
            folder.remove(folder.messages())
            for n in range(1, 5):
                with Delivery(folder) as delivery:
                    delivery.write(b"Subject: %d\r\n\r\nmessage %d\r\n" % (n, n))
                    delivery.keep(flags=b"S" if n == 3 else b"")
            return {n: one.uidl for n, one in enumerate(folder.messages(), 1)}

    def client(self):
        """Somebody who has marked."""
        client = poplib.POP3(*self.host.address, timeout=10)
        client.user(USER)
        client.pass_(PASSWORD)
        return client

    def left(self):
        """{unique id: text} of what the next session tells; the one before has let go of the lock by then."""
        client = machine.until(self._free, what="lock")
        try:
            ids = dict(line.split() for line in client.uidl()[1])
            sizes = [line.split() for line in client.list()[1]]
            texts = {ids[n]: b"\r\n".join([*client.retr(int(n))[1], b""]) for n in ids}
            assert [int(size) for _, size in sizes] == [len(text) for text in texts.values()]
            return texts
        finally:
            client.quit()

    def _free(self):
        try:
            return self.client()
        except poplib.error_proto as error:
            assert b"[IN-USE]" in error.args[0]
            return None

    def found(self):
        """The steps from QUIT on."""
        self.fill()
        self.marked_and_quit("/dev/null")
        self.fill()
        self.marked_and_quit(self.path / "trace")
        found = steps(self.path / "trace", f"{self.path}/mail")
        first = [call for call, _, _ in found].index("unlink")
        assert [call for call, _, _ in found].count("unlink") >= len(MARKED)
        return found[first:]

    def marked_and_quit(self, trace="/dev/null", inject=None):
        """The end of a session under strace; the last word, or "" """
        machine.until(lambda: self.host.alive() == self.standing, what="end of those before")
        client = self.client()
        with traced(self.host.alive() - self.standing, trace, inject):      # no others are to be counted
            for n in MARKED:
                client.dele(n)
            try:
                return client.quit().decode()
            except poplib.error_proto as error:
                return error.args[0].decode() if error.args[0] != "-ERR EOF" else ""
            except ConnectionResetError:
                return ""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Place(stack, tmp_path_factory.mktemp("pop3d"))


def judge(place, ids, at):
    """What was not marked is there, whole, and by the same id; what was is there as it was or not at all."""
    left = place.left()
    texts = {ids[n]: b"Subject: %d\r\n\r\nmessage %d\r\n" % (n, n) for n in ids}
    assert left.items() <= texts.items() and {ids[n] for n in KEPT} <= left.keys(), at
    return len(left)


def test_killed_at_every_step_after_quit(place):
    counts = set()
    for call, when, about in place.found():
        ids = place.fill()
        assert place.marked_and_quit(inject=f"{call}:signal=KILL:when={when}") == "", (call, when, about)
        counts.add(judge(place, ids, (call, when, about)))
    assert counts == {2, 3, 4}


def test_errors_at_every_step_after_quit(place):
    """Whoever heard +OK has nothing left that was marked."""
    said = set()
    for call, when, about in place.found():
        ids = place.fill()
        answer = place.marked_and_quit(inject=f"{call}:error=EIO:when={when}")
        left = judge(place, ids, (call, when, about))
        said.add(answer[:3])
        assert answer.startswith(("+OK", "-ERR [SYS/TEMP] ")), (call, when, about)
        assert left == len(KEPT) or answer.startswith("-ERR"), (call, when, about, answer)
    assert said == {"+OK", "-ER"}


@pytest.mark.parametrize("how", ["reset", "close", "half of a QUIT", "QUIT before a lost connection"])
def test_who_does_not_come_to_quit_removes_nothing(place, how):
    """And who does has said all that it takes, whether or not the answer arrives."""
    ids = place.fill()
    client = place.client()
    for n in MARKED:
        client.dele(n)
    if how == "half of a QUIT":
        client.sock.sendall(b"QUIT")
    if how.startswith("QUIT"):
        client.sock.sendall(b"QUIT\r\n")
        machine.until(lambda: len(os.listdir(place.box / "new") + os.listdir(place.box / "cur")) == 2, what="removal")
    client.file.close()
    clients.abort(client.sock) if how == "reset" else client.sock.close()
    assert judge(place, ids, how) == (2 if how.startswith("QUIT") else 4)
