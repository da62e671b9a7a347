"""smtpd is killed, and its disk fails, at every step of a mail for two mailboxes and the queue; it is sent again."""

import contextlib
import os
import re
import subprocess

import pytest

from daemons.stores import accounts, queuefolder
from daemons.stores.maildir import Folder
from daemons.stores.mailqueue import Queue
from daemons.stores.queuecontrol import QueueControl
from daemons.stores.queuewake import Wake
from tests.crash.attached import TRACEABLE, steps, traced
from tests.hostile import kit
from tests.live import clients, devlog, machine

TO = b"ann@example.org", b"bob@example.org", b"eve@elsewhere.example"
BODY = b"a line\r\n.\r\n" * 6000 + b"end\r\n"           # more than is written at once
REPLY = re.compile(rb"\d\d\d .*\r\n")


class Place:
    """A server, its two mailboxes, and its queue with somebody who listens there and does nothing."""

    def __init__(self, stack, path, disk=None, role="mx"):
        self.path, self.disk, self.role, self.number = path, disk or path, role, 0
        there = accounts.open(f"{path}/accounts.db", create=True)
        for name in ("ann", "bob"):
            there.add_user(f"{name}@example.org", b"correct horse")
        there.store.close()
        queuefolder.make(f"{self.disk}/queue")
        stack.callback(Wake(f"{self.disk}/queue").close)
        log = stack.enter_context(devlog.LogSocket())
        self.host = stack.enter_context(kit.listening(
            "smtpd", log, "--hostname=mx.example.org", f"--accounts={path}/accounts.db", f"--mail={self.disk}/mail",
            f"--queue={self.disk}/queue", "--relay-from=127.0.0.1",
            f"--role={role}", prefix=TRACEABLE))
        log.wait_for(" start ")
        self.standing = self.host.alive()

    @contextlib.contextmanager
    def watched(self, output="/dev/null", inject=None):
        """A client, and strace at the process that serves it: what others do at that moment is not counted."""
        machine.until(lambda: self.host.alive() == self.standing, what="end of those before")
        with self.client() as client, traced(self.host.alive() - self.standing, output, inject):
            yield client

    def client(self):
        """Somebody who has said hello."""
        return Client(self.host.address, b"LHLO" if self.role == "lmtp" else b"EHLO")

    def mail(self):
        """Text of a mail that was not there before."""
        self.number += 1
        return b"Subject: mail %d\r\n\r\n" % self.number + BODY

    def boxes(self, mail):
        """How often each of the recipients has a mail; nothing that is seen may be half of one."""
        return [_count(self.seen(name), mail) for name in ("ann", "bob")] + [_count(self.queued(), mail)]

    def seen(self, name):
        """The texts that a reader of a mailbox finds."""
        with Folder(f"{self.disk}/mail/example.org/{name}") as folder:
            return [b"".join(folder.octets(one)) for one in folder.messages()] if os.path.isdir(folder.path) else []

    def queued(self):
        """The texts that a runner finds."""
        queue, control = Queue(f"{self.disk}/queue"), QueueControl(f"{self.disk}/queue")
        try:
            assert queue.damaged == {}
            return [b"".join(control.message(id)) for id in control.ids()]
        finally:
            queue.close()
            control.close()

    def empty(self):
        """Take out what is there, so that the next look has little to see."""
        for folder in ("mail/example.org/ann/new", "mail/example.org/bob/new", "queue/mail"):
            for name in os.listdir(f"{self.disk}/{folder}"):
                os.unlink(f"{self.disk}/{folder}/{name}")

    def found(self, recipients=TO, fsyncs=6):
        """The steps of a mail."""
        with self.client() as client:
            assert client.send(self.mail(), recipients) == b"250"       # what is imported late is compiled now
        with self.watched(self.path / "trace") as client:
            assert client.send(self.mail(), recipients) == b"250"
            client.leave()
        found = steps(self.path / "trace", f"{self.path}/")
        calls = [call for call, _, about in found if "/mail/" in about or "/queue/" in about]
        assert calls.count("fsync") == fsyncs and "link" in calls, found
        return found


class Client:
    """A mail client that knows how far it came; replies are b"" once the server has gone."""

    def __init__(self, address, hello):
        self.sock = clients.connect(address)
        self.file = self.sock.makefile("rb")
        self.reply()
        self.ask(hello + b" client.example")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def ask(self, line):
        """The code of the reply."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(line + b"\r\n")
        return self.reply()

    def send(self, mail, recipients=TO):
        """What the server says in the end of a mail; what it says before that if it does not come to the end."""
        for line in (b"MAIL FROM:<fred@example.net>", *(b"RCPT TO:<%s>" % to for to in recipients), b"DATA"):
            code = self.ask(line)
            if code[:1] not in (b"2", b"3"):
                self.ask(b"RSET")
                return code
        return self.ask(mail.replace(b"\n.", b"\n..") + b".")

    def send_by_lmtp(self, mail, recipients):
        """What the server says about each of the recipients, all of whom it must know (RFC 2033, 4.2)."""
        first = self.send(mail, recipients)
        return [first, *(self.reply() for _ in recipients[1:])]

    def leave(self):
        """Say goodbye and see the server go."""
        self.ask(b"QUIT")
        with contextlib.suppress(ConnectionResetError):
            self.file.read()

    def reply(self):
        """The code of the next reply."""
        try:
            while line := self.file.readline():
                if REPLY.fullmatch(line):
                    return line[:3]
        except ConnectionResetError:
            return b""
        return b""


def _count(texts, mail):
    """How many of these are the mail; a piece of any mail fails the test."""
    assert all(text.endswith(b"\r\n" + BODY) for text in texts), "half a mail"
    head = mail[:mail.index(b"\r\n\r\n")]
    return sum(head in text for text in texts)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Place(stack, tmp_path_factory.mktemp("smtpd"))


def test_killed_at_every_step(place):
    """What did not get its 250 is in each place as a whole or not, and in all places once it is sent again."""
    for call, when, about in place.found():
        place.empty()
        mail = place.mail()
        with place.watched(inject=f"{call}:signal=KILL:when={when}") as client:
            said = client.send(mail)
            client.leave()
        there = place.boxes(mail)
        assert said == b"" and max(there) <= 1, (call, when, about)
        assert there[2] == 0 or there == [1, 1, 1], "into the queue last, where it cannot be taken back"
        with place.client() as client:
            assert client.send(mail) == b"250"
        assert place.boxes(mail) == [each + 1 for each in there], (call, when, about)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_errors_at_every_step(place, error):
    """Each is told as one that will pass, or was none; a client that tries again at once leaves one mail in each."""
    codes = set()
    for call, when, about in place.found():
        place.empty()
        mail = place.mail()
        with place.watched(inject=f"{call}:error={error}:when={when}") as client:
            code = client.send(mail)
            codes.add(code)
            if code != b"250":
                assert code[:1] == b"4", (call, when, about)
                assert place.boxes(mail)[2] == 0, (call, when, about)
                assert client.send(mail) == b"250", (call, when, about)
            assert place.boxes(mail) == [1, 1, 1], (call, when, about)
            client.leave()
    assert {b"250", b"451" if error == "EIO" else b"452"} <= codes


def test_each_recipient_of_lmtp_has_an_answer_that_is_true(tmp_path):
    """Who was told to fail has nothing, who was not has it; the client then tries again for those who failed."""
    with contextlib.ExitStack() as stack:
        place = Place(stack, tmp_path, role="lmtp")
        different = 0
        for call, when, about in place.found(TO[:2], fsyncs=4):
            if f"{tmp_path}/mail" not in about:
                continue
            place.empty()
            mail = place.mail()
            with place.watched(inject=f"{call}:error=EIO:when={when}") as client:
                said = client.send_by_lmtp(mail, TO[:2])
                assert set(said) <= {b"250", b"451"}, (call, when, about, said)
                assert place.boxes(mail)[:2] == [code == b"250" for code in said], (call, when, about)
                again = tuple(to for to, code in zip(TO, said) if code != b"250")
                if again:
                    assert set(client.send_by_lmtp(mail, again)) == {b"250"}
                assert place.boxes(mail) == [1, 1, 0]
                different += len(set(said)) > 1
                client.leave()
        assert different


@pytest.fixture
def small(tmp_path):
    """A disk with 2 MiB more than what a queue leaves free, for whoever may mount one."""
    path = tmp_path / "small"
    path.mkdir()
    options = f"size={queuefolder.MINIMUM + (2 << 20)}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk of our own: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk(small, tmp_path):
    """A mail that has no room is refused as one to come again, whoever it is for, and what was taken stays."""
    with contextlib.ExitStack() as stack:
        place = Place(stack, tmp_path, small)
        with place.client() as client:
            taken = 0
            while (code := client.send(place.mail())) == b"250":
                taken += 1
            assert code == b"452" and taken > 1
            assert [len(place.seen("ann")), len(place.seen("bob")), len(place.queued())] == [taken] * 3
            with open(small / "fill", "wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(1 << 16)):
                    continue
            mail = place.mail()
            assert [client.send(mail, TO[:2]), client.send(mail, TO[2:]), client.send(mail)] == [b"452"] * 3
            assert place.boxes(mail) == [0, 0, 0]
            assert [len(place.seen("ann")), len(place.seen("bob")), len(place.queued())] == [taken] * 3
            os.unlink(small / "fill")
            place.empty()
            assert client.send(mail) == b"250" and place.boxes(mail) == [1, 1, 1]
            client.leave()
