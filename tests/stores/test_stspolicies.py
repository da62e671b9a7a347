"""The policies that are kept in the queue."""

import os
import stat

import pytest

from daemons.stores import queuefolder
from daemons.stores.stspolicies import Kept, Policies

NOON = 1_790_000_000


@pytest.fixture
def queue(tmp_path):
    queuefolder.make(f"{tmp_path}/queue")
    return f"{tmp_path}/queue"


def words(kept):
    return kept and (kept.id, kept.fetched, kept.failed, kept.until, kept.text)


def test_what_is_put_is_got(queue):
    policies = Policies(queue)
    assert policies.get("one.test") is None
    for kept in (Kept("a", NOON, 0, NOON + 60, b"version: x\r\nmode: y\n"), Kept("b", 0, NOON, NOON + 300, b"")):
        policies.put("one.test", kept)
        assert words(Policies(queue).get("one.test")) == words(kept)
    assert policies.get("two.test") is None


def test_it_is_nobody_elses_and_leaves_nothing_beside_it(queue):
    Policies(queue).put("one.test", Kept("a", NOON, 0, NOON, b"x"))
    assert os.listdir(f"{queue}/sts") == ["one.test"] and os.listdir(f"{queue}/tmp") == []
    assert stat.S_IMODE(os.stat(f"{queue}/sts").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(f"{queue}/sts/one.test").st_mode) == 0o600


@pytest.mark.parametrize("octets", [b"", b"a 1 2\nx", b"a 1 2 -3\nx", b"a 1 2 3 4\nx", b"\xff", b"a 1 2 x\n"])
def test_what_is_damaged_counts_for_nothing(queue, octets):
    policies = Policies(queue)
    policies.put("one.test", Kept("a", NOON, 0, NOON, b"x"))
    with open(f"{queue}/sts/one.test", "wb") as file:
        file.write(octets)
    assert policies.get("one.test") is None


def test_what_cannot_be_read_is_not_what_is_not_there(queue):
    os.mkdir(f"{queue}/sts")
    os.symlink("/etc/passwd", f"{queue}/sts/one.test")
    with pytest.raises(OSError):
        Policies(queue).get("one.test")


def test_what_counts_no_more_is_swept(queue):
    policies = Policies(queue)
    policies.sweep(NOON)
    policies.put("old.test", Kept("a", NOON - 100, 0, NOON - 1, b"x"))
    policies.put("new.test", Kept("a", NOON - 100, 0, NOON + 1, b"x"))
    policies.sweep(NOON)
    assert os.listdir(f"{queue}/sts") == ["new.test"]
