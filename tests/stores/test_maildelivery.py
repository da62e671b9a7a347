"""Deliveries: one file, several folders, dates and flags, what is left of those that failed, what is swept."""

import errno
import os
import subprocess
import tracemalloc

import pytest

from daemons.stores import maildelivery
from daemons.stores.maildelivery import Delivery, sweep
from daemons.stores.maildir import Folder
from daemons.stores.maildirquota import OverQuota, Quota
from daemons.wire import maildirnames


@pytest.fixture
def folder(tmp_path):
    with Folder(str(tmp_path / "box")) as made:
        made.create()
        yield made


def deliver(folder, data=b"Subject: x\r\n\r\nx\r\n", **how):
    with Delivery(folder) as delivery:
        delivery.write(data)
        return delivery.keep(**how)


def names(folder, place):
    return os.listdir(os.path.join(folder.path, place))


def test_a_message_is_delivered(folder):
    with Delivery(folder) as delivery:
        for piece in (b"Subject: x\r", b"\n\r\nlines\r\n", b"", b"without an end"):
            delivery.write(piece)
        assert names(folder, b"new") == []
        name = delivery.keep()
        with pytest.raises(ValueError):
            delivery.write(b"more")
    stored = b"Subject: x\n\nlines\nwithout an end"
    assert names(folder, b"new") == [name] and names(folder, b"tmp") == names(folder, b"cur") == []
    with open(os.path.join(folder.path, b"new", name), "rb") as file:
        assert file.read() == stored
    assert maildirnames.size(name) == delivery.size == len(stored)
    assert maildirnames.virtual(name) == delivery.virtual == len(stored) + 3
    assert os.stat(os.path.join(folder.path, b"new", name)).st_mode & 0o777 == 0o600


def test_nothing_is_left_of_what_was_not_kept(folder):
    with Delivery(folder) as delivery:
        delivery.write(b"x")
    with pytest.raises(KeyError), Delivery(folder) as delivery:
        delivery.write(bytes(100_000))
        raise KeyError
    assert names(folder, b"tmp") == names(folder, b"new") == []


def test_no_folder_to_deliver_into(tmp_path):
    with pytest.raises(FileNotFoundError):
        Delivery(Folder(str(tmp_path / "nobody")))


def test_names_are_unique(folder):
    keys = {maildirnames.key(deliver(folder)) for _ in range(50)}
    assert len(keys) == 50


def test_flags_and_a_date(folder):
    with Delivery(folder, date=1_000_000_000) as delivery:
        delivery.write(b"x\r\n")
        name = delivery.keep(flags=b"SF")
    (message,) = folder.messages()
    assert names(folder, b"cur") == [name] and name.endswith(b":2,FS")
    assert (message.date, message.flags, message.size, message.virtual) == (1_000_000_000, b"FS", 2, 3)


def test_several_folders_share_one_file(folder, tmp_path):
    others = [Folder(str(tmp_path / name)) for name in "ab"]
    for other in others:
        other.create()
    with Delivery(folder) as delivery:
        delivery.write(b"to all\r\n")
        kept = [os.path.join(one.path, b"new", delivery.keep(one)) for one in (folder, *others)]
    assert len({os.stat(path).st_ino for path in kept}) == 1
    os.unlink(kept[0])
    assert [open(path, "rb").read() for path in kept[1:]] == [b"to all\n"] * 2


def test_one_is_over_quota_and_the_others_get_it(folder, tmp_path):
    full = Folder(str(tmp_path / "full"), Quota(str(tmp_path / "full"), octets=5))
    full.create()
    with Delivery(folder) as delivery:
        delivery.write(b"to all\r\n")
        with pytest.raises(OverQuota):
            delivery.keep(full)
        delivery.keep(folder)
    assert names(full, b"new") == names(full, b"tmp") == [] and len(names(folder, b"new")) == 1


class NoLinks:
    """The os module on a file system without second names."""

    def __init__(self, code):
        self.code = code

    def __getattr__(self, name):
        return getattr(os, name)

    def link(self, *_, **__):
        raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", [errno.EPERM, errno.EMLINK, errno.EXDEV])
def test_without_second_names_it_is_copied(folder, tmp_path, monkeypatch, code):
    monkeypatch.setattr(maildelivery, "os", NoLinks(code))
    other = Folder(str(tmp_path / "other"))
    other.create()
    data = b"a line\r\n" * 100_000
    with Delivery(folder, date=7) as delivery:
        delivery.write(data)
        delivery.keep()
        delivery.keep(other)
    for one in (folder, other):
        (message,) = one.messages()
        assert b"".join(one.octets(message)) == data and message.date == 7
        assert names(one, b"tmp") == []


def test_another_file_system(folder, tmp_path):
    (tmp_path / "disk").mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path / "disk"], capture_output=True,
                          text=True)
    if done.returncode:
        pytest.skip(f"no disk of our own: {done.stderr.strip()}")
    try:
        with Folder(str(tmp_path / "disk" / "box")) as other:
            other.create()
            with Delivery(folder) as delivery:
                delivery.write(b"x\r\n")
                delivery.keep()
                delivery.keep(other)
            with Delivery(folder) as delivery:
                delivery.write(bytes(100_000))
                with pytest.raises(OSError, match="No space"):
                    delivery.keep(other)
                delivery.keep()
            assert [message.size for message in other.messages()] == [2] and names(other, b"tmp") == []
        assert [message.size for message in folder.messages()] == [2, 100_000]
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)


def test_memory_does_not_grow_with_the_message(folder):
    tracemalloc.start()
    try:
        with Delivery(folder) as delivery:
            for _ in range(2000):
                delivery.write(b"x" * 8190 + b"\r\n")
            delivery.keep()
        (message,) = folder.messages()
        assert sum(map(len, folder.octets(message))) == 2000 * 8192
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_rests_are_swept_after_a_day_and_a_half(folder):
    now = 2_000_000_000
    for name, age in ((b"old", maildelivery.STALE + 1), (b"young", maildelivery.STALE - 1), (b"new", 0)):
        path = os.path.join(folder.path, b"tmp", name)
        with open(path, "wb"):
            os.utime(path, (now - age, now - age))
    assert sweep(folder.path, now) == 1
    assert sorted(names(folder, b"tmp")) == [b"new", b"young"]
    assert sweep(folder.path, now) == 0
