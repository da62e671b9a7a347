"""The file of shared limits: whose it must be, what is taken for one, and what becomes of one that is torn."""

import os
import random
import socket
import stat
import tempfile

import pytest

from daemons.kernel import limitsfile
from daemons.kernel.ends import Crowded
from daemons.kernel.limits import Shared
from daemons.kernel.limitsfile import MAGIC, SIZE, LimitsFile, Unusable
from daemons.kernel.penalties import Penalty
from tests.kernel.forked import forked
from tests.kernel.holders import Holder

HERE = "192.0.2.7"
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "limits")


def made(path):
    """A table with one group, as somebody left it."""
    table = LimitsFile(path)
    with table:
        table.group("g")
    table.close()
    return path


def refusal(path):
    """Why a file is not taken."""
    with pytest.raises(Unusable) as error:
        LimitsFile(path).close()
    return str(error.value)


def entered(shared, source=HERE):
    try:
        shared.enter(source)
    except Crowded:
        return False
    return True


# -- making it --

def test_it_is_made_for_its_owner_and_group_alone_whatever_the_umask(path):
    def make():
        os.umask(0o777)
        made(path)
    forked(make)
    status = os.stat(path)
    assert stat.S_IMODE(status.st_mode) == 0o660 and stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    assert status.st_size == SIZE and os.listdir(os.path.dirname(path)) == ["limits"]


@root
def test_root_makes_it_for_the_owner_of_the_directory(path):
    os.chown(os.path.dirname(path), 12345, 54321)
    made(path)
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (12345, 54321)


@pytest.fixture
def place():
    """A directory that other users can reach."""
    with tempfile.TemporaryDirectory(prefix="fd0-limits-") as folder:
        yield folder


@root
def test_users_of_the_directory_share_it(place):
    os.chmod(place, 0o770)
    os.chown(place, 12345, 54321)
    path = made(f"{place}/limits")

    def as_user(uid, groups):
        def open_():
            os.setgroups(groups)
            os.setresgid(54321, 54321, 54321)
            os.setresuid(uid, uid, uid)
            with LimitsFile(path) as table:
                return table.names()[0]
        return open_

    assert forked(as_user(12345, [])) == "g"
    assert forked(as_user(23456, [54321])) == "g"


def test_many_who_make_it_at_once_have_the_same(path):
    holders = [Holder(path, per_source=3) for _ in range(12)]
    try:
        for holder in holders:
            holder.enter(HERE, wait=False)
        assert [holder.answer() for holder in holders].count("in") == 3
    finally:
        for holder in holders:
            holder.__exit__()
    assert os.listdir(os.path.dirname(path)) == ["limits"]


def test_two_makings_have_not_the_same_key(tmp_path):
    keys = set()
    for name in ("a", "b"):
        with LimitsFile(str(tmp_path / name)) as table:
            keys.add(table.key)
    assert len(keys) == 2 and bytes(16) not in keys


# -- what is not taken --

def test_a_symbolic_link_is_not_followed(path, tmp_path):
    made(str(tmp_path / "real"))
    os.symlink(tmp_path / "real", path)
    assert refusal(path) == f"{path}: is a symbolic link, which may lead anywhere; remove it"
    os.unlink(tmp_path / "real")
    assert "is a symbolic link" in refusal(path) and not os.path.exists(tmp_path / "real")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: socket.socket(socket.AF_UNIX).bind(path)],
                         ids=["fifo", "directory", "socket"])
def test_what_is_no_regular_file_is_refused(path, make):
    make(path)
    assert refusal(path).startswith(f"{path}: ")


def test_a_fifo_is_named_as_what_it_is_not(path):
    os.mkfifo(path)
    assert refusal(path) == f"{path}: is not a regular file"


def test_a_file_that_anybody_may_write_is_refused(path):
    os.chmod(made(path), 0o662)
    assert refusal(path) == f"{path}: anybody may write to this file; say chmod o-w {path}"


def test_a_file_that_anybody_may_replace_is_refused(path, tmp_path):
    made(path)
    os.chmod(tmp_path, 0o777)
    assert refusal(path) == f"{path}: anybody may replace this file; say chmod o-w {tmp_path}"
    os.chmod(tmp_path, 0o1777)
    LimitsFile(path).close()


@root
def test_a_strangers_file_is_refused(path):
    os.chown(made(path), 12345, 0)
    assert refusal(path) == (f"{path}: belongs to user 12345, who is neither root, nor we, nor the owner of its "
                             "directory")


@root
def test_who_may_not_use_it_is_told_what_helps(place):
    path = made(f"{place}/limits")

    def as_nobody():
        os.chmod(place, 0o755)
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        return refusal(path)

    assert "user 65534 may not use it; run the program as the user that owns" in forked(as_nobody)


def test_a_directory_that_is_not_there_is_told_with_what_makes_it(tmp_path):
    text = refusal(f"{tmp_path}/no/limits")
    assert f"there is no directory {tmp_path}/no" in text and "systemd-tmpfiles --create" in text
    assert "--limits=own" in text


# -- what is torn --

def contents(path, data):
    with open(path, "wb") as file:
        file.write(data)


@pytest.mark.parametrize("data", [
    b"", b"\0" * 100, MAGIC, MAGIC + bytes(16), MAGIC[:7], b"fd0 limits 9\n\0\0\0" + b"k" * 16, os.urandom(5000),
    b"x" * SIZE], ids=range(8))
def test_what_is_no_table_is_made_one(path, data):
    contents(path, data)
    os.chmod(path, 0o660)
    one = Shared(LimitsFile(path), "g", per_source=1)
    assert [entered(one), entered(one)] == [True, False]
    assert os.path.getsize(path) == SIZE
    with open(path, "rb") as file:
        assert file.read(16) == MAGIC


@pytest.mark.parametrize("size", [0, 10, 32, 64, 9000, limitsfile.AT_SLOTS, SIZE - 1])
def test_a_file_that_is_cut_short_under_those_who_use_it_ends_nobody(path, size):
    with Holder(path, per_source=2) as one, Holder(path, per_source=2) as two:
        assert [one.enter(HERE), two.enter(HERE)] == ["in", "in"]
        os.truncate(path, size)
        for holder in (one, two):
            holder.enter(HERE)
            holder.tell("leave", HERE)
            holder.tell("failed", HERE, "user", "password")
        said = [holder.enter("192.0.2.9") for holder in (one, two, one)]
        assert said[:2] == ["in", "in"] and said[2].startswith("per-source")


def test_who_was_in_a_table_that_was_made_anew_does_no_harm_in_it(path):
    with Holder(path, per_source=1) as one, Holder(path, per_source=1) as two:
        one.enter(HERE)
        contents(path, b"")
        assert two.enter(HERE) == "in", "nobody knows any more that one is there"
        one.tell("leave", HERE)
        assert one.enter(HERE) == "per-source!", "and that one left is not counted against two"
        two.tell("leave", HERE)
        assert one.enter(HERE) == "in"


def test_a_file_that_was_removed_is_left_for_the_one_that_others_make(path):
    with Holder(path, per_source=1) as one:
        one.enter("192.0.2.9")
        os.unlink(path)
        with Holder(path, per_source=1) as two:
            assert [two.enter(HERE), one.enter(HERE)] == ["in", "per-source!"]
            one.tell("leave", "192.0.2.9")
            two.tell("leave", HERE)
            assert [one.enter(HERE), two.enter(HERE)] == ["in", "per-source"]


def test_a_file_that_was_removed_and_cannot_be_made_again_still_counts(path, tmp_path):
    with Holder(path, per_source=1) as one:
        one.enter(HERE)
        os.unlink(path)
        os.rmdir(tmp_path)
        assert [one.enter(HERE), one.enter("192.0.2.9")] == ["per-source!", "in"]
        os.mkdir(tmp_path)


def test_a_table_of_another_version_is_not_destroyed_by_those_who_run(path):
    one = Shared(LimitsFile(path), "g", per_source=1)
    one.join()
    contents(path, b"fd0 limits 9\n\0\0\0" + b"k" * 16)
    with pytest.raises(Unusable, match="start this program again"):
        one.join()
    Shared(LimitsFile(path), "g").join()        # one that starts now makes it anew
    one.table.key = b""


def test_garbage_in_a_table_neither_lets_more_in_nor_breaks_anything(path):
    made(path)
    noise = random.Random(7)
    with open(path, "r+b") as file:
        for at in (limitsfile.AT_ROWS, limitsfile.AT_SLOTS):
            file.seek(at)
            file.write(noise.randbytes(200_000))
    one = Shared(LimitsFile(path), "g", per_source=3, most=5, rate=1000)
    for number in range(200):
        source = f"192.0.2.{number}"
        Penalty(one.table, "g", source).failed("user", "password")
        assert 0 <= Penalty(one.table, "g", source).delay("user") <= 15
    assert sum(entered(one) for _ in range(10)) == 3
    assert sum(entered(one, f"192.0.2.{number}") for number in range(10, 20)) == 2


def test_memory_is_shared_by_children_and_needs_no_file():
    one = Shared(LimitsFile(), "g", per_source=1)
    one.join()
    assert forked(lambda: entered(one)) is True         # and gone with the child
    assert entered(one)
    assert forked(lambda: entered(one)) is False
    one.table.close()
