"""Maildrops: exact sizes, ids that stay, one at a time, and nothing removed before the end."""

import os
import signal
import subprocess
import sys
import tracemalloc

import pytest

from daemons.stores.maildelivery import STALE, Delivery
from daemons.stores.maildir import Folder
from daemons.stores.maildirquota import Quota
from daemons.stores.maildrop import Expunged, InUse, Maildrop, NoMessage
from daemons.wire import popreplies
from tests import sources

HOLD = """
import sys
from daemons.stores.maildrop import Maildrop
with Maildrop(sys.argv[1]):
    print(1, flush=True)
    input()
"""


@pytest.fixture
def box(tmp_path):
    with Folder(str(tmp_path / "box")) as folder:
        folder.create()
    return str(tmp_path / "box")


def deliver(box, *messages):
    with Folder(box) as folder:
        for data in messages:
            with Delivery(folder) as delivery:
                delivery.write(data)
                delivery.keep()


def there(box):
    return sorted(os.listdir(f"{box}/new") + os.listdir(f"{box}/cur"))


def test_a_session(box):
    deliver(box, b"one\r\n", b"two\r\n.\r\n", b"three")
    with Maildrop(box) as drop:
        assert drop.stat() == (3, 5 + 8 + 7)
        assert drop.sizes() == [(1, 5), (2, 8), (3, 7)]
        ids = drop.uidls()
        assert [n for n, _ in ids] == [1, 2, 3] and len({uidl for _, uidl in ids}) == 3
        assert b"".join(drop.octets(2)) == b"two\r\n.\r\n" and drop.size(2) == 8 and drop.uidl(2) == ids[1][1]
        with drop.open(2) as file:
            assert file.read() == b"two\n.\n"
        drop.delete(1)
        drop.delete(3)
        assert drop.stat() == (1, 8) and drop.sizes() == [(2, 8)] and drop.uidls() == [ids[1]]
        drop.reset()
        assert drop.stat() == (3, 20)
        drop.delete(1)
        assert len(there(box)) == 3
        assert drop.commit() == []
    with Maildrop(box) as drop:
        assert drop.uidls() == [(1, ids[1][1]), (2, ids[2][1])]


@pytest.mark.parametrize("data", [b"", b"a", b"a\n", b"a\r", b"a\r\n", b"\n", b"\r", b".", b"a\n.b", b"a\n\n",
                                  b"a\r\r\n", b"a" * 65536, b"a" * 65535 + b"\n", b"a" * 65535 + b"\r\n"])
def test_sizes_are_what_retr_sends(box, data):
    """Whether we count, or a name or a list of another program tells it, who does not count a missing end."""
    virtual = len(data) + data.count(b"\n") - data.count(b"\r\n")
    for name in (b"1.a.host", b"2.a.host,S=%d,W=%d" % (len(data), virtual), b"3.a.host"):
        with open(os.fsencode(box) + b"/new/" + name, "wb") as file:
            file.write(data)
    with open(f"{box}/dovecot-uidlist", "wb") as file:
        file.write(b"3 V1275660208 N30 G3085f01b7f11094c501100008c4a11c1\n29 W%d :3.a.host\n" % virtual)
    for _ in range(2):
        with Maildrop(box) as drop:
            for n, size in drop.sizes():
                assert len(b"".join(drop.octets(n))) == size
                with drop.open(n) as file:
                    sent = b"".join(popreplies.mail([file.read()])).removesuffix(b".\r\n")
                assert size == len(sent.replace(b"\n..", b"\n.").removeprefix(b"." * sent.startswith(b".")))


def test_who_leaves_without_a_word_removes_nothing(box):
    deliver(box, b"one\r\n", b"two\r\n")
    before = there(box)
    with pytest.raises(ConnectionResetError), Maildrop(box) as drop:
        drop.delete(1)
        raise ConnectionResetError
    with Maildrop(box) as drop:
        drop.delete(1)
    assert there(box) == before


@pytest.mark.parametrize("n", [0, -1, 3, 2**31, 2**64])
def test_no_such_message(box, n):
    deliver(box, b"one\r\n", b"two\r\n")
    with Maildrop(box) as drop:
        for act in (drop.open, drop.octets, drop.size, drop.uidl, drop.delete):
            with pytest.raises(NoMessage):
                act(n)
        drop.delete(2)
        for act in (drop.open, drop.octets, drop.size, drop.uidl, drop.delete):
            with pytest.raises(NoMessage, match="message 2 is deleted"):
                act(2)


def test_a_user_without_mail_yet(tmp_path):
    with Maildrop(str(tmp_path / "new" / "user")) as drop:
        assert (drop.stat(), drop.sizes(), drop.uidls(), drop.commit()) == ((0, 0), [], [], [])


def test_ids_stay_whatever_becomes_of_the_names_and_the_index(box):
    deliver(box, b"one\r\n", b"two\r\n")
    with open(f"{box}/new/{'x' * 80}", "wb"), Maildrop(box) as drop:
        ids = dict(drop.uidls())
    assert len(ids[1]) == 64
    for name in os.listdir(f"{box}/new"):
        os.rename(f"{box}/new/{name}", f"{box}/cur/{name}:2,FS")
    for name in os.listdir(box):
        if name.startswith("fd0-"):
            os.unlink(f"{box}/{name}")
    with Maildrop(box) as drop:
        assert dict(drop.uidls()) == ids


def test_delivery_goes_on_and_is_seen_next_time(box):
    deliver(box, b"one\r\n")
    with Maildrop(box, Quota(box, octets=100)) as drop:
        deliver(box, b"two\r\n")
        assert drop.stat() == (1, 5)
        drop.delete(1)
        drop.commit()
    with Maildrop(box) as drop:
        assert [b"".join(drop.octets(1)), drop.stat()] == [b"two\r\n", (1, 5)]


def test_others_flag_and_remove_meanwhile(box):
    deliver(box, b"one\r\n", b"two\r\n", b"three\r\n")
    with Maildrop(box) as drop, Folder(box) as folder:
        one, two, three = folder.messages()
        folder.flag(one, add=b"S")
        folder.remove([two])
        assert b"".join(drop.octets(1)) == b"one\r\n"
        with pytest.raises(Expunged):
            drop.open(2)
        with pytest.raises(Expunged):
            list(drop.octets(2))
        drop.delete(1)
        drop.delete(2)
        assert drop.commit() == []
    assert [name.encode().partition(b",")[0] for name in there(box)] == [three.key]


def test_one_session_at_a_time(box):
    deliver(box, b"one\r\n")
    with Maildrop(box):
        with pytest.raises(InUse), Maildrop(box):
            raise AssertionError("two at once")
        deliver(box, b"two\r\n")
    with Maildrop(box) as drop:
        assert drop.stat()[0] == 2


def test_a_lock_dies_with_its_process(box):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, box], cwd=sources.ROOT, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"1\n"
    with pytest.raises(InUse):
        Maildrop(box).__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with Maildrop(box) as drop:
        assert drop.stat() == (0, 0)


def test_nothing_stays_open(box):
    deliver(box, b"one\r\n")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        with Maildrop(box) as drop:
            list(drop.octets(1))
            with pytest.raises(InUse):
                Maildrop(box).__enter__()
    os.rename(f"{box}/cur", f"{box}/new/cur")
    os.symlink("/nowhere", f"{box}/cur")
    with pytest.raises(OSError):
        Maildrop(box).__enter__()
    assert len(os.listdir("/proc/self/fd")) == before


def test_rests_of_killed_deliveries_are_swept(box):
    for name, time in (("old", 0), ("young", STALE * 10**6)):
        with open(f"{box}/tmp/{name}", "wb"):
            os.utime(f"{box}/tmp/{name}", (time, time))
    with Maildrop(box):
        assert os.listdir(f"{box}/tmp") == ["young"]


def test_memory_does_not_grow_with_what_is_read(box):
    deliver(box, *[b"x" * 70 + b"\r\n"] * 5, b"y" * 3_000_000)
    with Maildrop(box) as drop:
        tracemalloc.start()
        try:
            for _ in range(20):
                for n in range(1, 7):
                    assert sum(map(len, drop.octets(n))) == drop.size(n)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()
