"""Quotas: limits that hold, the file that other programs share, and when it is counted anew."""

import os
import time

import pytest

from daemons.stores import maildirquota
from daemons.stores.maildir import Folder
from daemons.stores.maildirquota import OverQuota, Quota


@pytest.fixture
def box(tmp_path):
    path = tmp_path / "box"
    with Folder(str(path)) as folder:
        folder.create()
    return path


def said(box):
    return (box / "maildirsize").read_bytes()


def say(box, text, age=0):
    (box / "maildirsize").write_bytes(text)
    os.utime(box / "maildirsize", (time.time() - age,) * 2)


def put(box, *names, data=b"12345"):
    for name in names:
        (box / name).parent.mkdir(parents=True, exist_ok=True)
        (box / name).write_bytes(data)


def test_no_limits(box):
    quota = Quota(str(box))
    assert not quota.over(2**60, 2**30)
    quota.check(2**60)
    quota.add(5, 1)
    assert not (box / "maildirsize").exists()


def test_all_that_lies_in_the_folders_counts(box):
    put(box, "new/1.a,S=100", "cur/2.a:2,S", "cur/3.a,S=7:2,T", ".Sent/cur/4.a,S=30:2,S", ".Trash/cur/5.a,S=200:2,",
        ".Sent/new/6.a", "tmp/7.a,S=5000", "cur/.8.a", "plain/cur/9.a")
    assert Quota(str(box)).usage() == (100 + 5 + 7 + 30 + 200 + 5, 6)


def test_limits_hold_to_the_octet_and_the_message(box):
    quota = Quota(str(box), octets=100, messages=3)
    assert not quota.over(100) and quota.over(101) and quota.over(1, 4)
    put(box, "new/1.a,S=60", "new/2.a,S=20")
    quota.add(60, 1)
    quota.add(20, 1)
    assert quota.usage() == (80, 2) and said(box) == b"100S,3C\n0 0\n60 1\n20 1\n"
    assert not quota.over(20) and quota.over(21) and quota.over(1, 2)
    with pytest.raises(OverQuota):
        quota.check(21)
    assert said(box) == b"100S,3C\n80 2\n"      # it was counted anew before it said no


def test_limits_of_another_program(box):
    say(box, b"50S\n 40 1\n")
    quota = Quota(str(box))
    assert not quota.over(10) and quota.usage() == (40, 1)
    assert Quota(str(box)).over(11)
    quota.add(-40, -1)
    assert said(box) == b"50S\n 40 1\n-40 -1\n"


def test_other_limits_than_ours(box):
    say(box, b"50S,0C\n40 1\n")
    assert not Quota(str(box), octets=60).over(60)
    assert said(box) == b"60S,0C\n0 0\n"


@pytest.mark.parametrize("text", [b"", b"100S,0C", b"100S,0C\nx 1\n", b"100S,0C\n-5 0\n", b"100S,0C\n5 -1\n", b"\0\0\0",
                                  b"100S,0C\n" + b"0 0\n" * 1400])
def test_a_file_that_is_counted_anew(box, text):
    put(box, "new/1.a,S=60")
    say(box, text)
    quota = Quota(str(box), octets=100)
    assert quota.usage() == (60, 1)
    assert quota.over(41) and not quota.over(40)


def test_no_is_said_on_a_fresh_count_alone(box):
    quota = Quota(str(box), octets=100)
    say(box, b"100S,0C\n90 1\n")
    assert quota.over(20)                                       # one line, and fresh
    say(box, b"100S,0C\n90 1\n", age=maildirquota.FRESH + 1)
    assert not quota.over(20) and said(box) == b"100S,0C\n0 0\n"
    say(box, b"100S,0C\n80 1\n10 1\n")
    assert not quota.over(20)                                   # two lines
    say(box, b"100S,0C\n90 1\n", age=-1000)
    assert not quota.over(20)                                   # from the future


def test_somebody_delivers_while_we_count(box, monkeypatch):
    class Delivering:
        def __getattr__(self, name):
            return getattr(os, name)

        def rename(self, old, new):
            put(box, "new/1.a,S=60")
            Quota(str(box), octets=100).add(60, 1)
            os.rename(old, new)

    monkeypatch.setattr(maildirquota, "os", Delivering())
    assert Quota(str(box), octets=100).usage() == (0, 0)
    monkeypatch.undo()
    assert not (box / "maildirsize").exists() and Quota(str(box), octets=100).usage() == (60, 1)


def test_a_line_that_has_no_room(box, monkeypatch):
    class Full:
        def __getattr__(self, name):
            return getattr(os, name)

        def write(self, fd, data):
            raise OSError(28, "No space left on device")

    say(box, b"100S,0C\n0 0\n")
    monkeypatch.setattr(maildirquota, "os", Full())
    Quota(str(box), octets=100).add(60, 1)
    assert not (box / "maildirsize").exists()


def test_no_root(tmp_path):
    with pytest.raises(FileNotFoundError):
        Quota(str(tmp_path / "nobody"), octets=1).usage()
