"""What an administrator does with queued mail, also while a worker has it; and that all of it stays linear."""

import os
import sys
import tempfile

import pytest

from daemons.stores import queuecontrol, queuefiles, queuefolder, queuejobs, queuewriter
from daemons.stores.mailqueue import Queue
from daemons.stores.queuecontrol import QueueControl, Unknown
from daemons.stores.queuefiles import Damaged
from daemons.stores.queuewriter import QueueWriter
from daemons.wire.queuelines import Recipient
from tests.hostile.anybody import random_uid
from tests.kernel.forked import forked

NOW = 1_785_400_000.0
ALICE = "alice@example.org"
NONE = "0" * 14


@pytest.fixture
def path(tmp_path):
    queuefolder.make(str(tmp_path / "q"))
    return str(tmp_path / "q")


def opened(kind, path):
    made = kind(path, clock=lambda: NOW)
    yield made
    made.close()


@pytest.fixture
def writer(path):
    yield from opened(QueueWriter, path)


@pytest.fixture
def queue(path):
    yield from opened(Queue, path)


@pytest.fixture
def control(path):
    yield from opened(QueueControl, path)


def put(writer, *addresses):
    with writer.new(ALICE, [Recipient(each) for each in addresses or ("bob@example.net",)]) as message:
        message.write(b"Subject: x\r\n\r\nhello\r\n")
        return message.commit()


# ------------------------------------------------------------------ looking

def test_what_is_there(writer, queue, control, path):
    ids = sorted([put(writer), put(writer, "carol@example.com", "dan@Example.com")])
    with open(f"{path}/mail/{NONE}", "wb"):
        pass
    queue.refresh()
    job = queue.take(ids[1], NOW)
    found = list(control.all())
    assert [one["id"] for one in found] == [NONE, *ids] == control.ids()
    assert [one["state"] for one in found] == ["damaged", "queued", "active"]
    assert b"".join(control.message(ids[0])) == b"Subject: x\r\n\r\nhello\r\n"
    assert control.explain(ids[1])[1] == "A worker has it right now."
    job.finish()
    assert control.show(ids[1])["state"] == "queued"


def test_summary(writer, queue, control):
    assert control.summary()["messages"] == 0 and control.summary()["oldest"] is None
    ids = [put(writer), put(writer, "carol@example.com", "dan@Example.com")]
    control.hold(ids[:1])
    queue.refresh()
    with queue.take(ids[1], NOW) as job:
        job.defer(job.waiting(NOW)[:1], "451 later", NOW + 300)
    found = control.summary()
    assert found.pop("free") > 0
    assert found == {"messages": 2, "octets": 42, "oldest": NOW, "states": {"held": 1, "deferred": 1}, "runner": True,
                     "recipients": {"held": 1, "deferred": 1, "queued": 1},
                     "destinations": {"example.net": 1, "example.com": 2}}


def test_whether_a_runner_listens(path, control, writer):
    id = put(writer)
    assert control.summary()["runner"] is False and "No queue runner listens" in control.explain(id)[1]
    queue = Queue(path)
    assert control.summary()["runner"] is True
    queue.close()
    os.unlink(f"{path}/wake")
    assert control.summary()["runner"] is False


def test_looking_takes_nothing_from_a_worker(writer, queue, control):
    id = put(writer)
    queue.refresh()
    with control._file(id) as file:
        file.read()
        assert queue.take(id, NOW) is not None


@pytest.mark.parametrize("act", [
    lambda control, id: control.show(id), lambda control, id: control.explain(id),
    lambda control, id: control.hold([id]), lambda control, id: control.release([id]),
    lambda control, id: control.retry([id]), lambda control, id: control.delete(id),
    lambda control, id: list(control.message(id))])
@pytest.mark.parametrize("id", [NONE, "", "..", "../tmp", "../../etc/passwd", "wake", "a\0b"])
def test_what_is_not_there(control, act, id):
    with pytest.raises(Unknown):
        act(control, id)


# ------------------------------------------------------------------ meddling

def test_held_and_released(writer, queue, control):
    id = put(writer)
    control.hold([id], "ask Ann")
    queue.listen()
    assert queue.due(NOW, 9) == {} and queue.take(id, NOW) is None and queue.next_time() is None
    assert control.show(id)["why"] == "ask Ann"
    control.release([id])
    queue.listen()
    assert queue.due(NOW, 9) == {"example.net": [id]} and control.show(id)["state"] == "queued"


def test_held_in_mid_delivery(writer, queue, control):
    id = put(writer, "bob@example.net", "carol@example.net")
    queue.refresh()
    with queue.take(id, NOW) as job:
        bob, _ = job.waiting(NOW)
        control.hold([id])
        job.done([bob], "250 ok")
        assert job.stopped == "held" and job.waiting(NOW) == []
    assert queue.due(NOW + 10**6, 9) == {}
    control.release([id])
    queue.listen()
    with queue.take(id, NOW) as job:
        assert [one.address for one in job.waiting(NOW)] == ["carol@example.net"]


def test_tried_now(writer, queue, control):
    id, other = put(writer), put(writer)
    queue.refresh()
    for each in (id, other):
        with queue.take(each, NOW) as job:
            job.defer(job.waiting(NOW), "451 later", NOW + 300)
    assert queue.due(NOW, 9) == {}
    control.retry([id])
    queue.listen()
    assert queue.due(NOW, 9) == {"example.net": [id]}
    with queue.take(id, NOW) as job:
        assert job.waiting(NOW)[0].attempts == 1, "the tries it had still count"


def test_tried_now_while_it_is_put_off(writer, queue, control):
    """Who asks for another try before the record of this one gets it then: the later record counts."""
    id = put(writer)
    queue.refresh()
    job = queue.take(id, NOW)
    job.defer(job.waiting(NOW), "451 later", NOW + 300)
    control.retry([id])
    queue.listen()
    job.finish()
    assert queue.due(NOW, 9) == {"example.net": [id]}


@pytest.mark.parametrize("pattern, moved", [("example.com", 1), ("EXAMPLE.com", 1), (".example.com", 0),
                                            ("example.net", 2), ("example.org", 0), ("", 0)])
def test_a_changed_route_counts_at_once(writer, queue, control, path, pattern, moved):
    ids = sorted([put(writer, "bob@example.net"), put(writer, "carol@Example.com", "dan@example.net")])
    queue.refresh()
    for id in ids:
        with queue.take(id, NOW) as job:
            job.defer(job.waiting(NOW), "451 later", NOW + 300)
    assert len(control.reroute(pattern)) == moved
    queue.listen()
    assert {id for found in queue.due(NOW, 9).values() for id in found} == set(control.reroute(pattern))
    after = Queue(path, route=lambda address: "relay.example")
    assert list(after.due(NOW, 9)) == ["relay.example"] * bool(moved)
    after.close()


def test_only_those_who_are_re_routed_are_tried(writer, queue, control):
    id = put(writer, "carol@example.com", "dan@example.net")
    queue.refresh()
    with queue.take(id, NOW) as job:
        job.defer(job.waiting(NOW), "451 later", NOW + 300)
    assert control.reroute("example.net") == [id]
    queue.listen()
    with queue.take(id, NOW) as job:
        assert [one.address for one in job.waiting(NOW)] == ["dan@example.net"]


def test_deleted(writer, queue, control, path):
    id = put(writer)
    queue.refresh()
    assert control.delete(id) is True and os.listdir(f"{path}/mail") == []
    queue.listen()
    assert queue.index.entries == {}


@pytest.mark.parametrize("step", ["done", "defer", "bounce", "finish"])
def test_deleted_in_mid_delivery(writer, queue, control, path, step):
    id = put(writer, "bob@example.net", "carol@example.net")
    queue.refresh()
    job = queue.take(id, NOW)
    bob, _ = job.waiting(NOW)
    assert control.delete(id) is False and control.show(id)["state"] == "deleted"
    if step == "defer":
        job.defer([bob], "451 later", NOW + 300)
    elif step != "finish":
        getattr(job, step)([bob], "250 or 550")
    assert job.stopped == "deleted" and job.waiting(NOW) == []
    assert job.finish() == queuejobs.GONE
    assert os.listdir(f"{path}/mail") == [] and queue.due(NOW + 10**6, 9) == {}


def test_deleted_in_mid_delivery_by_a_worker_who_is_killed(writer, queue, control, path):
    id = put(writer)
    queue.refresh()

    def take_and_have_it_deleted():
        taken = queue.take(id, NOW)
        return taken is not None and control.delete(id)
    assert forked(take_and_have_it_deleted) is False
    queue.listen()
    assert os.listdir(f"{path}/mail") == [] and queue.due(NOW, 9) == {}


def test_let_go_of_while_it_is_deleted(writer, queue, control, path, monkeypatch):
    """The worker ends between our look and our record: it is removed then and there."""
    id = put(writer)
    queue.refresh()
    job = queue.take(id, NOW)
    append = queuefiles.QueueFile.append

    def slow(file, *arguments, **values):
        job.finish()
        append(file, *arguments, **values)
    monkeypatch.setattr(queuefiles.QueueFile, "append", slow)
    assert control.delete(id) is True and os.listdir(f"{path}/mail") == []


def test_what_is_no_message_can_be_deleted_and_nothing_else(control, path):
    with open(f"{path}/mail/{NONE}", "wb") as file:
        file.write(b"junk")
    for act in (control.show, control.explain, lambda id: control.hold([id])):
        with pytest.raises(Damaged):
            act(NONE)
    assert control.reroute("example.net") == []
    assert control.delete(NONE) is True and os.listdir(f"{path}/mail") == []


def test_a_wish_is_on_the_disk_before_the_call_returns(writer, control, monkeypatch):
    id, synced = put(writer), []
    sync = queuefiles.QueueFile.sync

    def watched(file):
        synced.append(os.pread(file.fd, 4096, 0).split()[-2])
        sync(file)
    monkeypatch.setattr(queuefiles.QueueFile, "sync", watched)
    control.retry([id])
    control.release([id])
    control.reroute("example.net")
    assert synced == [b"retry", b"release", b"1"]


# ------------------------------------------------------------------ anybody, and many

def test_all_of_it_as_a_user_whom_no_account_has(tmp_path):
    uid = random_uid() if os.geteuid() == 0 else os.geteuid()
    place = tempfile.mkdtemp()          # pytest's own folders are closed to others
    os.chown(place, uid, -1)

    def everything():
        if os.geteuid() != uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        os.umask(0)
        queuefolder.make(f"{place}/q")
        writer, queue, control = QueueWriter(f"{place}/q"), Queue(f"{place}/q"), QueueControl(f"{place}/q")
        ids = [put(writer) for _ in range(3)]
        control.hold(ids[:1])
        queue.listen()
        told = control.summary()["states"]
        for job in queue.claim(NOW * 2, 9):
            with job:
                job.done(job.waiting(NOW * 2), "250 ok")
        return [told, control.delete(ids[0]), queue.sweep(NOW * 2), os.listdir(f"{place}/q/mail")]
    try:
        assert forked(everything) == [{"held": 1, "queued": 2}, True, [], []]
    finally:
        for name in ("mail", "tmp"):
            os.rmdir(f"{place}/q/{name}")
        os.unlink(f"{place}/q/wake")
        os.rmdir(f"{place}/q")
        os.rmdir(place)


class Counted:
    """The os module; counts what is asked of the system, and leaves out waiting for the disk."""

    def __init__(self):
        self.calls = 0

    def __getattr__(self, name):
        found = getattr(os, name)
        if not callable(found) or name == "strerror":
            return found

        def call(*arguments, **keywords):
            self.calls += 1
            return None if name in ("fsync", "fdatasync") else found(*arguments, **keywords)
        return call


def life(path, count, spread):
    """Queue so many messages for so many destinations, list them, put all off once, then deliver all."""
    writer, control = QueueWriter(path), QueueControl(path)
    for each in range(count):
        put(writer, f"bob@{each % spread}.example")
    queue, now = Queue(path), NOW * 2
    assert sum(1 for _ in control.all()) == control.summary()["messages"] == count == len(queue.index.entries)
    for last in (False, True):
        handled = 0
        while jobs := list(queue.claim(now, 20)):
            for job in jobs:
                if last:
                    job.done(job.waiting(now), "250 ok")
                else:
                    job.defer(job.waiting(now), "451 later", now + 300)
                job.finish()
                handled += 1
            queue.next_time()
        assert handled == count
        now += 300
    queue.refresh()
    assert queue.index.entries == {} and os.listdir(f"{path}/mail") == []
    for one in (writer, control, queue):
        one.close()


@pytest.mark.parametrize("spread", [1, 500])
def test_ten_thousand_messages_ask_ten_times_as_much_of_the_system_as_one_thousand(tmp_path, monkeypatch, spread):
    asked = []
    for count in (1000, 10_000):
        counted, path = Counted(), str(tmp_path / str(count))
        queuefolder.make(path)
        with monkeypatch.context() as patch:
            for module in (queuefiles, queuefolder, queuewriter, queuecontrol.queuewake):
                patch.setattr(module, "os", counted)
            life(path, count, spread)
        asked.append(counted.calls / count)
    assert asked[1] < asked[0] * 1.02 and asked[0] > 20


@pytest.mark.parametrize("spread", [1, 20, 10**6])
def test_the_work_for_a_message_does_not_grow_with_their_number(tmp_path, spread):
    """Lines of ours that are run, loops over what is in memory included."""
    done = []
    for count in (150, 600):
        path, lines = str(tmp_path / str(count)), 0
        queuefolder.make(path)

        def line(_frame, event, _argument):
            nonlocal lines
            lines += event == "line"
            return line

        def call(frame, _event, _argument):
            return line if "/daemons/" in frame.f_code.co_filename else None
        before = sys.gettrace()
        sys.settrace(call)
        try:
            life(path, count, spread)
        finally:
            sys.settrace(before)
        done.append(lines / count)
    assert done[1] < done[0] * 1.25
