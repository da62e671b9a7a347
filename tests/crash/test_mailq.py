"""mailq is killed at every step of a delivery to a real server, and of the notice that its sender gets."""

import contextlib
import os
import signal

import pytest

from daemons.stores import accounts, queuefolder
from daemons.stores.maildir import Folder
from daemons.stores.queuecontrol import QueueControl, Unknown
from daemons.stores.queuewriter import QueueWriter
from daemons.wire.queuelines import Recipient
from tests.crash.attached import TRACEABLE, steps, traced
from tests.hostile.kit import no_options
from tests.live import devlog, installed, machine, mailhops, processes
from tests.live.mailhops import TEXT, Hop

ALICE, TEAM = "alice@example.org", ("carol", "dan")
SECONDS = 60


class Place:
    """A queue, a server to which all of it goes, alice's mailbox, and a mailq."""

    def __init__(self, stack, path):
        mailhops.need()
        self.path, self.number, self.stack, self.runners = path, 0, stack, []
        there = accounts.open(f"{path}/accounts.db", create=True)
        there.add_user(ALICE, b"correct horse")
        for name in TEAM:
            there.add_user(f"{name}@example.org", b"battery staple")
            there.add_alias("team@example.org", f"{name}@example.org")
        there.store.close()
        queuefolder.make(f"{path}/queue")
        self.writer, self.control = QueueWriter(f"{path}/queue"), QueueControl(f"{path}/queue")
        self.hop = Hop()
        stack.callback(self.hop.end)
        self.log = stack.enter_context(devlog.LogSocket())
        self.start()
        self.standing = len(self.process.alive())       # there is nothing in the queue yet, so these are no workers

    def start(self):
        """A mailq for the queue."""
        argv = installed.argv("mailq", f"--log={self.log.path}", no_options(), "--hostname=us.test",
                              f"--queue={self.path}/queue", f"--accounts={self.path}/accounts.db",
                              f"--mail={self.path}/mail", f"--smarthost=127.0.0.1:{self.hop.port.number}")
        begun = len(self.log.records)
        self.process = processes.Processes([*TRACEABLE, *argv])
        self.stack.callback(self.process.end)
        machine.until(lambda: any(" start " in f" {one.text} " for one in self.log.records[begun:]), SECONDS, "mailq")

    def put(self):
        """Queue a mail for one who is there and one who is not; the two."""
        self.number += 1
        found = f"bob{self.number}@far.test", f"never{self.number}@far.test"
        self.hop.says[found[1]] = "550 5.1.1 nobody"
        with self.writer.new(ALICE, [Recipient(each) for each in found]) as message:
            message.write(TEXT)
            message.commit()
        return found

    def put_for_team(self):
        """Queue a mail for an alias of two mailboxes here."""
        with self.writer.new(ALICE, [Recipient("team@example.org")]) as message:
            message.write(TEXT)
            message.commit()

    def kept_by_team(self):
        """How many mails each of them has."""
        found = []
        for name in TEAM:
            with Folder(f"{self.path}/mail/example.org/{name}") as folder:
                texts = [b"".join(folder.octets(one)) for one in folder.messages()]
            assert all(text.endswith(TEXT) for text in texts), "half a mail"
            found.append(len(texts))
        return found

    def killed(self):
        """How many workers were, and runners: who looks after a runner says so, and starts another."""
        return len(self.runners) + sum("ended with status" in one.text or one.text.startswith("crash ")
                                       for one in self.log.records)

    def is_dead(self):
        """Was the runner itself killed?"""
        return self.process.first.poll() is not None

    def wait_for_a_death(self, before, what):
        """Wait for one more than there were."""
        machine.until(lambda: self.killed() > before or self.is_dead(), SECONDS, what)

    def emptied(self):
        """Have it try at once whatever is there, whenever one is killed, until nothing is left."""
        known = -1

        def done():
            nonlocal known
            if self.is_dead():
                self.runners.append(self.process)
                self.start()
            if known != (known := self.killed()):
                for id in self.control.ids():
                    with contextlib.suppress(Unknown):          # delivered meanwhile
                        self.control.retry([id])
            return not self.control.ids()
        machine.until(done, SECONDS, "empty queue")

    def copies(self, bob, never):
        """How often bob has the mail, and alice the notice about who is not there."""
        with Folder(f"{self.path}/mail/example.org/alice") as folder:
            notices = [b"".join(folder.octets(one)) for one in folder.messages()]
        assert all(each.rstrip().endswith(b"--") for each in notices), "half a notice"
        return (self.hop.recipients().count(bob),
                sum(f"Final-Recipient: rfc822; {never}\r\n".encode() in each for each in notices))

    def found(self, put):
        """[(call, when)] of what workers change for what is put into the queue."""
        put()
        self.emptied()
        machine.until(lambda: len(self.process.alive()) == self.standing, SECONDS, "end of workers")
        standing = self.process.alive()
        with traced(standing, self.path / "trace"):
            put()
            self.emptied()
            machine.until(lambda: self.process.alive() == standing, SECONDS, "end of workers")
        workers = {int(line.split()[0]) for line in (self.path / "trace").read_text().splitlines()} - standing
        return sorted({(call, when) for pid in workers
                       for call, when, about in steps(self.path / "trace", f"{self.path}/", pid)
                       if call != "openat" or "O_CREAT" in about})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Place(stack, tmp_path_factory.mktemp("mailq"))


def test_killed_at_every_step(place):
    """Nothing is lost, and what was on its way arrives twice at most; the last step may be the runner's own."""
    doubled, found = 0, place.found(place.put)
    assert {"fsync", "fdatasync", "renameat", "link", "unlink"} <= {call for call, _ in found}
    for call, when in found:
        before = place.killed()
        with traced(place.process.alive(), inject=f"{call}:signal=KILL:when={when}"):
            names = place.put()
            place.wait_for_a_death(before, f"death at {call} {when}")
        place.emptied()
        copies = place.copies(*names)
        assert all(1 <= each <= 1 + place.killed() - before for each in copies), (call, when, copies)
        assert copies[0] <= 2 and sum(copies) <= 3, (call, when, copies)
        doubled += sum(copies) - 2
    assert doubled, "killed between handing over and noting it"


def test_killed_at_every_step_of_an_alias(place):
    """Each of its mailboxes has the mail, and no death gives a second copy to more than one."""
    doubled, found = 0, place.found(place.put_for_team)
    assert {"pwritev2", "pwrite64", "fdatasync", "link"} <= {call for call, _ in found}
    for call, when in found:
        before, had = place.killed(), place.kept_by_team()
        with traced(place.process.alive(), inject=f"{call}:signal=KILL:when={when}"):
            place.put_for_team()
            place.wait_for_a_death(before, f"death at {call} {when}")
        place.emptied()
        new = [now - then for now, then in zip(place.kept_by_team(), had, strict=True)]
        assert min(new) >= 1 and sum(new) <= len(TEAM) + place.killed() - before, (call, when, new)
        doubled += sum(new) - len(TEAM)
    assert doubled, "killed between storing and noting it"


def test_files_are_read_again_after_a_crash_and_when_told(place):
    """Within the sandbox, where a program is installed: nothing that it needs for that lies outside."""
    before = place.killed()
    for pid in place.process.alive():
        if pid != place.process.first.pid or place.standing == 1:
            os.kill(pid, signal.SIGKILL)
    place.wait_for_a_death(before, "death")
    place.put()
    place.emptied()
    place.process.first.send_signal(signal.SIGHUP)
    machine.until(lambda: any(one.text.startswith("reload ") for one in place.log.records), SECONDS, "reload")
    assert [one.text for one in place.log.records if "read anew" in one.text or "reloaded" in one.text] == []
