"""The queue of mail: in whole and durable or not at all, to one worker at a time, and no outcome is forgotten."""

import errno
import os
import stat
import subprocess
import tracemalloc

import pytest

from daemons.stores import queuefiles, queuefolder, queuejobs, queuelocks, queuewriter
from daemons.stores.mailqueue import BUSY, FAILED, Queue
from daemons.stores.queuecontrol import QueueControl
from daemons.stores.queueindex import NOBODY
from daemons.stores.queuewriter import QueueWriter
from daemons.wire.queuelines import Recipient
from daemons.wire.queueplan import Plan
from tests.clocks import Clock
from tests.kernel.forked import forked

NOW = 1_785_400_000.0
ALICE = "alice@example.org"


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def path(tmp_path):
    queuefolder.make(str(tmp_path / "q"))
    return str(tmp_path / "q")


@pytest.fixture
def writer(path, clock):
    made = QueueWriter(path, clock=clock)
    yield made
    made.close()


@pytest.fixture
def queue(path, clock):
    made = Queue(path, clock=clock)
    yield made
    made.close()


def put(writer, *addresses, sender=ALICE, text=b"Subject: x\r\n\r\nhello\r\n", notify="", **more):
    with writer.new(sender, [Recipient(each, notify) for each in addresses or ("bob@example.net",)], **more) as message:
        message.write(text)
        return message.commit()


def names(path):
    return {folder: os.listdir(f"{path}/{folder}") for folder in ("tmp", "mail")}


def again(path, clock):
    """The queue as another runner finds it."""
    return Queue(path, clock=clock)


# ------------------------------------------------------------------ writing

def test_a_message_is_one_file_that_a_person_can_read(writer, path):
    id = put(writer, "bob@example.net", "carol@example.com", client="[192.0.2.7]:41822", helo="mx", smtputf8=True)
    with open(f"{path}/mail/{id}", "rb") as file:
        assert file.read() == (b"fd0 mail 1\nsize: 00000000000021\nreceived: 1785400000.000\n"
                               b"sender: alice@example.org\nsmtputf8: yes\nclient: [192.0.2.7]:41822\nhelo: mx\n"
                               b"to: - bob@example.net\nto: - carol@example.com\n\nSubject: x\r\n\r\nhello\r\n")
    assert stat.S_IMODE(os.stat(f"{path}/mail/{id}").st_mode) == 0o600
    assert {stat.S_IMODE(os.stat(f"{path}/{each}").st_mode) for each in (".", "tmp", "mail")} == {0o700}


def test_nothing_is_there_before_commit_and_nothing_without_it(writer, path, queue):
    with writer.new(ALICE, [Recipient("bob@example.net")]) as message:
        message.write(bytes(200_000))
        assert names(path) == {"tmp": [message.id], "mail": []}
    assert names(path) == {"tmp": [], "mail": []}
    with pytest.raises(RuntimeError), writer.new(ALICE, [Recipient("bob@example.net")]) as message:
        message.write(b"x")
        raise RuntimeError
    queue.refresh()
    assert names(path) == {"tmp": [], "mail": []} and queue.due(NOW, 10) == {}


def test_an_envelope_that_cannot_be_written_leaves_nothing(writer, path):
    for recipients in ([], [Recipient("")], [Recipient("a\ud800@b")]):
        with pytest.raises(ValueError):
            writer.new(ALICE, recipients)
    assert names(path) == {"tmp": [], "mail": []}


def test_any_octets_come_out_as_they_went_in(writer, queue):
    texts = [b"", b"\n", b"\n\n", b"no end of line", bytes(range(256)) * 300, b"1.000 hold why=x .\n"]
    for text in texts:
        id = put(writer, text=text)
        queue.refresh()
        with queue.take(id, NOW) as job:
            assert b"".join(job.message()) == text and job.envelope.size == len(text)
            assert job.octets(0, 10**9) == text and job.octets(3, 4) == text[3:7]
            assert not job.stopped, "nothing in the message is a record"
            job.defer(job.waiting(NOW), "451 later", NOW + 9)
        with queue.take(id, NOW + 9) as job:
            assert b"".join(job.message()) == text and job.envelope.recipients[0].attempts == 1


def test_memory_does_not_grow_with_the_message(writer, queue):
    piece = bytes(1 << 16)
    tracemalloc.start()
    try:
        with writer.new(ALICE, [Recipient("bob@example.net")]) as message:
            for _ in range(512):
                message.write(piece)
            id = message.commit()
        queue.refresh()
        with queue.take(id, NOW) as job:
            assert sum(map(len, job.message())) == 512 * len(piece)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_names_sort_by_time_and_are_safe_everywhere(writer, clock):
    ids = []
    for _ in range(200):
        clock.now += 0.001
        ids.append(put(writer))
    assert ids == sorted(ids) and len(set(ids)) == 200
    assert all(queuefolder.is_id(id) and id.isalnum() and id.islower() and len(id) == 14 for id in ids)
    assert not any(map(queuefolder.is_id, ("", "..", ids[0][:-1], ids[0] + "0", ids[0][:-1] + "/", ids[0].upper())))
    late = queuefolder.new_id(4_000_000_000)
    assert queuefolder.is_id(late) and late > ids[-1]


def test_a_name_is_never_given_twice(writer, path, monkeypatch):
    """Not one that is being written, nor one that is queued."""
    drawn = iter(["1ngmpw990t0aaa", "1ngmpw990t0aaa", "1ngmpw990t0bbb", "1ngmpw990t0aaa", "1ngmpw990t0ccc"])
    monkeypatch.setattr(queuewriter, "new_id", lambda _: next(drawn))
    with writer.new(ALICE, [Recipient("a@b")]) as first:
        with writer.new(ALICE, [Recipient("a@b")]) as second:
            assert (first.id, second.id) == ("1ngmpw990t0aaa", "1ngmpw990t0bbb")
        first.commit()
    assert put(writer) == "1ngmpw990t0ccc"
    assert sorted(names(path)["mail"]) == ["1ngmpw990t0aaa", "1ngmpw990t0ccc"] and names(path)["tmp"] == []


class Watched:
    """The os module, noting calls; `fails` is name -> the error that the call ends in."""

    def __init__(self, calls, **fails):
        self.calls, self.fails = calls, fails

    def __getattr__(self, name):
        found = getattr(os, name)
        if name not in ("fsync", "fdatasync", "rename", "unlink", "write", "pwrite", "pwritev"):
            return found

        def call(*arguments, **keywords):
            folder = name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
            self.calls.append(f"{name} folder" if folder else name)
            if self.calls[-1] in self.fails or self.calls[-1].replace(" ", "_") in self.fails:
                raise OSError(self.fails[self.calls[-1].replace(" ", "_")], "it failed")
            return found(*arguments, **keywords)
        return call


def watch(monkeypatch, **fails):
    calls = []
    for module in (queuewriter, queuefolder, queuefiles):
        monkeypatch.setattr(module, "os", Watched(calls, **fails))
    return calls


def test_it_is_on_the_disk_before_commit_returns(writer, monkeypatch):
    calls = watch(monkeypatch)
    put(writer)
    assert calls == ["write", "pwrite", "fsync", "rename", "fsync folder"]


@pytest.mark.parametrize("call, number", [("write", errno.ENOSPC), ("pwrite", errno.EIO), ("fsync", errno.EIO),
                                          ("rename", errno.ENOSPC), ("fsync_folder", errno.EIO)])
def test_whatever_fails_nothing_is_left(writer, path, queue, monkeypatch, call, number):
    with monkeypatch.context() as patch:
        watch(patch, **{call: number})
        with pytest.raises(OSError) as error:
            put(writer)
        assert error.value.errno == number
    assert names(path) == {"tmp": [], "mail": []}
    queue.refresh()
    assert queue.due(NOW, 9) == {}
    put(writer)


def test_room_that_comes_back_in_time_is_used(writer, queue, monkeypatch):
    text, rooms = bytes(range(256)) * 1000, iter([100, 0])

    def some(fd, octets):
        room = next(rooms, len(octets))
        if not room:
            raise OSError(errno.ENOSPC, "full")
        return os.write(fd, octets[:room])
    with writer.new(ALICE, [Recipient("a@b")]) as message:
        with monkeypatch.context() as patch:
            patch.setattr(queuewriter, "os", type("Os", (), {"write": staticmethod(some)}))
            with pytest.raises(OSError):
                message.write(text)
        message.write(b"the rest")
        id = message.commit()
    queue.refresh()
    with queue.take(id, NOW) as job:
        assert b"".join(job.message()) == text + b"the rest"


def test_nobody_takes_a_message_whose_folder_is_not_on_the_disk_yet(writer, path, clock, monkeypatch):
    other, seen = again(path, clock), []

    def look(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            other.refresh()
            seen.extend(other.take(id, NOW) for ids in other.due(NOW, 9).values() for id in ids)
        os.fsync(fd)
    monkeypatch.setattr(queuewriter, "os", type("Os", (), {"__getattr__": lambda _, name: getattr(os, name),
                                                           "fsync": staticmethod(look)})())
    id = put(writer)
    assert seen == [None] and other.due(NOW, 9) == {} and other.due(NOW + BUSY, 9) == {"example.net": [id]}
    other.close()


def test_room(writer, path):
    free = writer.folder.free()
    assert writer.room(1) and not writer.room(free)
    strict = QueueWriter(path, minimum=free + (1 << 30))
    assert not strict.room(0)
    strict.close()


def test_a_folder_that_is_not_there_is_an_error_and_making_it_twice_is_none(tmp_path, path):
    with pytest.raises(FileNotFoundError):
        QueueWriter(str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        Queue(str(tmp_path / "none"))
    queuefolder.make(path)
    assert sorted(os.listdir(path)) == ["mail", "tmp", "wake"]


# ------------------------------------------------------------------ taking, and what becomes of recipients

def test_what_is_due_stands_under_its_destinations(writer, queue):
    one, two = put(writer, "bob@example.net", "carol@Example.COM"), put(writer, "dan@example.net")
    queue.refresh()
    assert queue.due(NOW, 10) == {"example.net": sorted([one, two]), "example.com": [one]}
    assert [len(ids) for ids in queue.due(NOW, 1).values()] == [1, 1]
    assert sum(len(ids) for ids in queue.due(NOW, 10, 2).values()) == 2
    job = queue.take(one, NOW)
    assert queue.due(NOW, 10) == {"example.net": [two]}, "what we have is not due"
    assert [each.address for each in job.waiting(NOW, "example.com")] == ["carol@Example.COM"]
    job.done(job.waiting(NOW, "example.com"), "250 ok")
    assert job.finish() == queuejobs.KEPT
    assert queue.due(NOW, 10) == {"example.net": [two, one]} or queue.due(NOW, 10) == {"example.net": [one, two]}


def test_a_relay_takes_all(path, writer, clock):
    ids = sorted([put(writer, "bob@example.net", "carol@example.com"), put(writer, "dan@example.org")])
    relayed = Queue(path, route=lambda address: "relay.example", clock=clock)
    assert relayed.due(NOW, 10) == {"relay.example": ids}
    with relayed.take(ids[0], NOW) as job:
        assert job.waiting(NOW, "relay.example") == job.waiting(NOW) and job.waiting(NOW, "example.net") == []
    relayed.close()


def test_delivered_to_all_and_gone(writer, queue, path, monkeypatch):
    id = put(writer, "bob@example.net", "carol@example.com")
    queue.refresh()
    job = queue.take(id, NOW)
    calls = watch(monkeypatch)
    bob, carol = job.waiting(NOW)
    job.done([bob], "250 ok", "mx.example.net")
    assert calls == ["pwritev", "pwrite", "fdatasync"]
    with open(f"{path}/mail/{id}", "rb") as file:
        assert b"\nto: D bob@example.net\nto: - carol@example.com\n" in file.read()
    calls.clear()
    job.done([carol], "250 ok")
    assert calls == ["pwrite", "fdatasync"], "of what is about to go, nothing is written down"
    assert job.finish() == queuejobs.GONE == job.finish()
    assert names(path) == {"tmp": [], "mail": []} and queue.due(NOW + 10**9, 9) == {} and queue.next_time() is None
    assert queue.take(id, NOW) is None


def test_put_off_until_its_time(writer, queue, clock, path):
    id = put(writer, "bob@example.net", "carol@example.net")
    queue.refresh()
    with queue.take(id, NOW) as job:
        job.defer(job.waiting(NOW)[:1], "451 4.7.1 later", NOW + 300, "mx.example.net")
        assert [one.address for one in job.waiting(NOW)] == ["carol@example.net"]
        job.defer(job.waiting(NOW), "450 full", NOW + 600, "mx.example.net")
    assert queue.due(NOW + 299, 9) == {} and queue.next_time() == NOW + 300
    assert queue.take(id, NOW + 299) is None
    for each in (queue, again(path, clock)):
        assert each.due(NOW + 300, 9) == {"example.net": [id]}
        with each.take(id, NOW + 300) as job:
            bob, carol = job.envelope.recipients
            assert (bob.attempts, bob.reply, bob.host, bob.tried) == (1, "451 4.7.1 later", "mx.example.net", NOW)
            assert job.waiting(NOW + 300) == [bob] and carol.reply == "450 full"


def test_a_bounce_is_owed_until_it_is_told(writer, queue, clock, path):
    id = put(writer)
    queue.refresh()
    with queue.take(id, NOW) as job:
        job.bounce(job.waiting(NOW), "550 5.1.1 nobody", "mx.example.net")
        assert job.finish() == queuejobs.KEPT and job.dropped == []
    assert queue.due(NOW, 9) == {NOBODY: [id]}
    other = again(path, clock)
    with other.take(id, NOW) as job:
        assert job.waiting(NOW) == []
        (bob,) = job.owed()
        assert (bob.address, bob.reply, bob.host) == ("bob@example.net", "550 5.1.1 nobody", "mx.example.net")
        job.told([bob])
        assert job.owed() == [] and job.finish() == queuejobs.GONE
    assert names(path)["mail"] == []


@pytest.mark.parametrize("sender, notify", [("", ""), ("", "FAILURE"), (ALICE, "NEVER"), (ALICE, "SUCCESS,DELAY")])
def test_a_bounce_of_which_nobody_hears_is_dropped(writer, queue, sender, notify):
    id = put(writer, sender=sender, notify=notify)
    queue.refresh()
    job = queue.take(id, NOW)
    job.bounce(job.waiting(NOW), "550 no")
    assert job.owed() == [] and [(one.address, one.reply) for one in job.dropped] == [("bob@example.net", "550 no")]
    assert job.finish() == queuejobs.GONE


@pytest.mark.parametrize("notify, tell, owed", [("SUCCESS", True, 1), ("SUCCESS", False, 0), ("FAILURE", True, 0),
                                                ("", True, 0)])
def test_a_success_is_told_to_whoever_asked(writer, queue, notify, tell, owed):
    id = put(writer, notify=notify)
    queue.refresh()
    with queue.take(id, NOW) as job:
        job.done(job.waiting(NOW), "250 ok", "mx", tell=tell)
        assert len(job.owed()) == owed
        assert [one.sign for one in job.envelope.recipients] == ["d" if owed else "D"]


def test_a_delay_is_told_once(writer, queue):
    plan, id = Plan(), put(writer, "bob@example.net", "carol@example.net")
    queue.refresh()
    late = NOW + 4 * 3600
    with queue.take(id, NOW) as job:
        bob, _ = job.waiting(NOW)
        assert job.late(late, plan) == [], "nobody has tried yet"
        job.defer([bob], "451 later", NOW + 300)
        assert job.late(late - 1, plan) == [] and job.late(late, plan) == [bob]
        job.warned()
        assert job.late(late, plan) == []
    with queue.take(id, late) as job:
        assert job.late(late, plan) == []


@pytest.mark.parametrize("sender, notify", [("", ""), (ALICE, "NEVER"), (ALICE, "FAILURE")])
def test_a_delay_that_nobody_wants_to_hear_of(writer, queue, sender, notify):
    id = put(writer, sender=sender, notify=notify)
    queue.refresh()
    with queue.take(id, NOW) as job:
        job.defer(job.waiting(NOW), "451 later", NOW + 300)
        assert job.late(NOW + 10**6, Plan()) == []


def test_whose_worker_fails_comes_back_later(writer, queue, clock):
    id = put(writer)
    queue.refresh()
    with pytest.raises(RuntimeError), queue.take(id, NOW):
        raise RuntimeError
    assert queue.due(NOW, 9) == {} and queue.due(NOW + FAILED, 9) == {"example.net": [id]}


def test_mailboxes_in_the_place_of_an_alias_have_an_end_each(writer, queue, clock, path):
    id = put(writer, "team@example.net", "bob@example.net", notify="SUCCESS,FAILURE", text=b"no end of line")
    queue.refresh()
    with queue.take(id, NOW) as job:
        team, bob = job.waiting(NOW)
        ann, ben = job.split(team, ["ann@example.net", "ben@example.net"])
        assert job.waiting(NOW) == [team, bob, ann, ben] and team.split and ann.final and ben.number == 4
        job.done([team, bob], "250 ok")
        job.done([ann], "250 ok", tell=True)
        job.defer([ben], "452 full", NOW + 300)
    assert queue.due(NOW, 9) == {NOBODY: [id]}
    with again(path, clock).take(id, NOW) as job:
        assert [one.sign for one in job.envelope.recipients] == ["D", "D", "d", "-"]
        assert b"".join(job.message()) == b"no end of line"
        job.told(job.owed())
        job.bounce(job.waiting(NOW + 300), "552 full")
        job.told(job.owed())
        assert job.finish() == queuejobs.GONE
    assert names(path)["mail"] == []


# ------------------------------------------------------------------ a full or failing disk


def test_no_mailbox_is_added_where_that_cannot_be_written(writer, queue, clock, path, monkeypatch):
    id = put(writer, "team@example.net")
    queue.refresh()
    with monkeypatch.context() as patch, queue.take(id, NOW) as job:
        watch(patch, pwritev=errno.ENOSPC)
        with pytest.raises(OSError):
            job.split(job.waiting(NOW)[0], ["ann@example.net", "ben@example.net"])
        assert [one.address for one in job.waiting(NOW)] == ["team@example.net"]
    assert again(path, clock).due(NOW, 9) == {"example.net": [id]}


def test_a_full_disk_does_not_deliver_twice(writer, queue, clock, path, monkeypatch):
    id = put(writer, "bob@example.net", "carol@example.net", "dan@example.net", notify="FAILURE")
    queue.refresh()
    with monkeypatch.context() as patch, queue.take(id, NOW) as job:
        watch(patch, pwritev=errno.ENOSPC)
        bob, carol, dan = job.waiting(NOW)
        job.done([bob], "250 ok")
        job.bounce([carol], "550 no")
        with pytest.raises(OSError):
            job.defer([dan], "451 later", NOW + 300)
        assert job.waiting(NOW) == [] and [one.reply for one in job.owed()] == ["550 no"]
    assert queue.due(NOW, 9) == {NOBODY: [id]} and queue.next_time() == NOW + 300
    with again(path, clock).take(id, NOW) as job:
        assert [one.sign for one in job.envelope.recipients] == ["D", "b", "-"]


@pytest.mark.parametrize("call", ["pwritev", "pwrite", "fdatasync"])
def test_a_failing_disk_is_an_error_and_what_was_delivered_stays_so(writer, queue, path, clock, monkeypatch, call):
    id = put(writer, "bob@example.net", "carol@example.net")
    queue.refresh()
    job = queue.take(id, NOW)
    with monkeypatch.context() as patch:
        watch(patch, **{call: errno.EIO})
        with pytest.raises(OSError) as error:
            job.done(job.waiting(NOW)[:1], "250 ok")
        assert error.value.errno == errno.EIO
    assert [one.address for one in job.waiting(NOW)] == ["carol@example.net"]
    job.finish()
    with again(path, clock).take(id, NOW) as job:
        assert [one.address for one in job.waiting(NOW)] == ["carol@example.net"]


def test_half_a_record_is_ended_before_the_next(writer, queue, path, clock):
    id = put(writer, text=b"no end of line")
    with open(f"{path}/mail/{id}", "ab") as file:
        file.write(b"\n17854.000 hold why=x")
    queue.refresh()
    with queue.take(id, NOW) as job:
        assert not job.stopped
        job.defer(job.waiting(NOW), "451 later", NOW + 9)
    with open(f"{path}/mail/{id}", "rb") as file:
        assert file.read().endswith(b"no end of line\n17854.000 hold why=x\n1785400000.000 defer 1 next=1785400009.000 "
                                    b"host= reply=451\\x20later .\n")
    assert again(path, clock).due(NOW + 9, 9) == {"example.net": [id]}


@pytest.fixture
def small(tmp_path, clock):
    """A queue on a disk of 256 KiB, for whoever may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk of our own: {done.stderr.strip()}")
    queuefolder.make(str(place))
    yield str(place)
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full(small, clock):
    writer, queue = QueueWriter(small, minimum=64 << 10, clock=clock), Queue(small, clock=clock)
    try:
        assert writer.room(100 << 10) and not writer.room(200 << 10)
        with pytest.raises(OSError) as error:
            put(writer, text=bytes(300 << 10))
        assert error.value.errno == errno.ENOSPC and names(small) == {"tmp": [], "mail": []}
        id = put(writer, "bob@example.net", "carol@example.net", text=bytes(100 << 10))
        with open(f"{small}/ballast", "wb", 0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
        queue.refresh()
        with queue.take(id, NOW) as job:
            for one in job.waiting(NOW):
                job.done([one], "250 " + "x" * 900)
            assert job.finish() == queuejobs.GONE
        assert names(small) == {"tmp": [], "mail": []}
    finally:
        writer.close()
        queue.close()


# ------------------------------------------------------------------ one worker at a time

def test_a_claimed_message_is_nobody_elses_until_its_holder_is_gone(writer, queue, path, clock):
    id = put(writer)
    queue.refresh()
    job = queue.take(id, NOW)
    assert queue.take(id, NOW) is None and queue.due(NOW, 9) == {}
    other = again(path, clock)
    assert other.take(id, NOW) is None
    assert other.due(NOW, 9) == {} and other.due(NOW + BUSY, 9) == {"example.net": [id]}
    assert forked(lambda: again(path, clock).take(id, NOW) is None)
    job.finish()
    assert forked(lambda: again(path, clock).take(id, NOW) is not None), "and that one is gone with its claim"
    assert other.take(id, NOW + BUSY) is not None
    other.close()


def test_four_at_once_never_hold_the_same(writer, path, tmp_path):
    """Each of them looks, takes and finishes as fast as it can; a file that must be new tells of two at once."""
    count = 120
    ids = [put(writer, "bob@example.net", "carol@example.com") for _ in range(count)]
    (tmp_path / "held").mkdir()

    def work():
        queue, log = Queue(path), os.open(tmp_path / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        late = NOW + 10**7
        while queue.index.entries:
            for job in queue.claim(late, 3):
                mark = tmp_path / "held" / job.id
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                for one in job.waiting(late):
                    os.write(log, f"{job.id} {one.address}\n".encode())
                    job.done([one], "250 ok")
                mark.unlink()
                job.finish()
            late += BUSY
            queue.refresh()
        os._exit(0)
    workers = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            try:
                work()
            finally:
                os._exit(1)
        workers.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers] == [0] * 4
    log = (tmp_path / "log").read_text().split("\n")[:-1]
    assert sorted(log) == sorted(f"{id} {who}" for id in ids for who in ("bob@example.net", "carol@example.com"))
    assert names(path) == {"tmp": [], "mail": []}


def test_what_another_has_delivered_or_put_off_is_found_out(writer, queue, path, clock):
    gone, later = put(writer), put(writer)
    queue.refresh()
    other = again(path, clock)
    with other.take(gone, NOW) as job:
        job.done(job.waiting(NOW), "250 ok")
    with other.take(later, NOW) as job:
        job.defer(job.waiting(NOW), "451 later", NOW + 300)
    other.close()
    assert queue.take(gone, NOW) is None and queue.take(later, NOW) is None
    assert queue.due(NOW, 9) == {} and queue.due(NOW + 300, 9) == {"example.net": [later]}


def test_a_child_may_have_the_job_and_the_parent_reads_what_came_of_it(writer, queue):
    id = put(writer)
    queue.refresh()
    queue.postpone(id, NOW + 1000)
    assert queue.due(NOW, 9) == {}
    assert forked(lambda: _delivered(queue, id))
    queue.notice([id])
    assert queue.due(NOW + 10**6, 9) == {} and queue.index.entries == {}


def _delivered(queue, id):
    job = queue.take(id, NOW)
    job.done(job.waiting(NOW), "250 ok")
    return job.finish() == queuejobs.GONE


def test_a_lock_is_seen_by_others_and_not_taken_by_looking(tmp_path):
    fds = [os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(3)]
    assert not queuelocks.is_taken(fds[0]) and queuelocks.take(fds[0]) and queuelocks.take(fds[0])
    assert queuelocks.is_taken(fds[1]) and not queuelocks.is_taken(fds[0]) and not queuelocks.take(fds[1])
    os.close(fds[0])
    assert queuelocks.take(fds[1]) and queuelocks.is_taken(fds[2])


# ------------------------------------------------------------------ news, leftovers, damage

def test_the_runner_is_woken(writer, queue):
    assert queue.wake.told() == set()
    ids = {put(writer) for _ in range(3)}
    assert queue.due(NOW, 9) == {}
    queue.listen()
    assert set(queue.due(NOW, 9)["example.net"]) == ids


def test_a_pipe_that_is_full_holds_nobody_up_and_means_look_at_everything(writer, queue):
    pokes = 0
    with open(os.open(f"{queue.folder.path}/wake", os.O_WRONLY | os.O_NONBLOCK), "wb", 0) as pipe:
        while pipe.write(b"1ngmpw990t0aaa\n"):
            pokes += 1
    assert pokes > 1000
    id = put(writer)
    queue.listen()
    assert queue.due(NOW, 9) == {"example.net": [id]} and queue.wake.told() == set()


def test_whatever_is_said_through_the_pipe_is_no_path(writer, queue):
    with open(f"{queue.folder.path}/wake", "wb", 0) as pipe:
        pipe.write(b"../../etc/passwd\n\n\xff\n" + b"0" * 14 + b"\n")
    assert queue.wake.told() == {"0" * 14}
    queue.notice(["0" * 14])
    assert queue.index.entries == {}


def test_without_a_pipe_or_a_runner_mail_is_taken_all_the_same(writer, path):
    put(writer)
    os.unlink(f"{path}/wake")
    put(writer)
    assert len(names(path)["mail"]) == 2


def test_what_a_killed_writer_left_is_thrown_away_and_what_a_slow_one_writes_is_not(writer, queue, path):
    with writer.new(ALICE, [Recipient("a@b")]) as slow:
        for each in ("old", "new"):
            with open(f"{path}/tmp/{each}", "wb"):
                pass
        for each, when in (("old", NOW - 3601), ("new", NOW - 3599), (slow.id, NOW - 10**6)):
            os.utime(f"{path}/tmp/{each}", (when, when))
        assert queue.sweep(NOW) == ["old"]
        assert sorted(names(path)["tmp"]) == sorted(["new", slow.id])
        slow.commit()


@pytest.mark.parametrize("octets, why", [
    (b"", "does not end"), (b"junk\n\njunk", "first line"), (b"fd0 mail 1\nsize: 0\n\n", "lacks"),
    (b"fd0 mail 1\nsize: 00000000000009\nreceived: 1.000\nsender: \nto: - a@b\n\nshort", "octets of")])
def test_what_is_no_message_is_left_alone_and_told(writer, queue, path, octets, why):
    id = put(writer)
    with open(f"{path}/mail/0000000000zzzz", "wb") as file:
        file.write(octets)
    with open(f"{path}/mail/README", "wb"):
        pass
    queue.refresh()
    assert list(queue.damaged) == ["0000000000zzzz"] and why in queue.damaged["0000000000zzzz"]
    assert queue.due(NOW, 9) == {"example.net": [id]} and queue.take("0000000000zzzz", NOW) is None
    os.unlink(f"{path}/mail/0000000000zzzz")
    queue.refresh()
    assert queue.damaged == {} and sorted(names(path)["mail"]) == sorted([id, "README"])


def test_a_message_of_which_nothing_is_left_to_do_is_removed_when_it_is_seen(writer, queue, path):
    """Its name came back after the machine went down."""
    id = put(writer)
    with open(f"{path}/mail/{id}", "r+b") as file:
        file.seek(file.read().index(b"to: -") + 4)
        file.write(b"D")
    queue.refresh()
    assert names(path)["mail"] == [] and queue.due(NOW, 9) == {}


def test_a_link_is_not_followed(writer, queue, path, tmp_path):
    id = put(writer)
    os.rename(f"{path}/mail/{id}", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", f"{path}/mail/{id}")
    queue.refresh()
    assert queue.take(id, NOW) is None and queue.damaged == {id: os.strerror(errno.ELOOP)}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/null", path)])
def test_one_strange_name_stops_nobody(writer, queue, path, make):
    make(f"{path}/mail/0000000000zzzz")
    make(f"{path}/tmp/0000000000zzzz")
    id = put(writer)
    queue.refresh()
    assert list(queue.damaged) == ["0000000000zzzz"] and queue.due(NOW, 9) == {"example.net": [id]}
    assert "0000000000zzzz" in names(path)["mail"] and queue.sweep(NOW) == []
    control = QueueControl(path)
    assert [one["state"] for one in control.all()] == ["damaged", "queued"]
    control.close()


def test_an_outcome_for_nobody_is_nobodys(writer, queue):
    id = put(writer, "bob@example.net", "carol@example.net")
    queue.refresh()
    with queue.take(id, NOW) as job:
        job.done([], "250 ok")
        job.bounce([], "550 no")
        job.defer([], "451 later", NOW + 300)
        job.told([])
        assert len(job.waiting(NOW)) == 2


def test_a_sign_that_cannot_be_set_is_set_for_this_process(writer, queue, monkeypatch):
    id = put(writer, "bob@example.net", "carol@example.net")
    queue.refresh()
    with queue.take(id, NOW) as job, monkeypatch.context() as patch:
        watch(patch, pwrite=errno.EIO, pwritev=errno.EIO)
        with pytest.raises(OSError):
            job.done(job.waiting(NOW), "250 ok")
        assert job.waiting(NOW) == []
