"""The index: UIDs that stay, made again from the list and the files, whatever is lost or broken of it."""

import contextlib
import os
import shutil
import sqlite3
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemons.stores import mailindex, mailuids
from daemons.stores.folderlock import InUse, Lock
from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder
from daemons.wire import maildirnames

NOBODY = 65534
INDEX = ("fd0-index", "fd0-index-wal", "fd0-index-shm")


@pytest.fixture
def box(tmp_path):
    path = tmp_path / "box"
    with Folder(str(path)) as folder:
        folder.create()
    return path


def deliver(box, count=1):
    with Folder(str(box)) as folder:
        keys = []
        for n in range(count):
            with Delivery(folder) as delivery:
                delivery.write(b"%d\r\n" % n)
                keys.append(maildirnames.key(delivery.keep()))
        return keys


def look(box):
    """(validity, next, {key: (uid, size, virtual, unique id)}), and that nothing is wrong."""
    with Folder(str(box)) as folder:
        messages = folder.messages()
        folder.measure(messages)
        assert not folder.index.trouble
        return folder.index.validity, folder.index.next, {
            one.key: (one.uid, one.size, one.virtual, one.uidl) for one in messages}


def remove(box, *uids):
    with Folder(str(box)) as folder:
        folder.remove([one for one in folder.messages() if one.uid in uids])


def drop(box, *names):
    for name in names:
        (box / name).unlink(missing_ok=True)


def used(box):
    """An index with some history: UIDs 1, 4 and 5 are left of 6."""
    deliver(box, 4)
    (box / "cur" / "9.foreign:2,S").write_bytes(b"a\nb\n")
    look(box)
    remove(box, 2, 3)
    deliver(box, 1)
    look(box)
    remove(box, 6)
    return look(box)


# ------------------------------------------------------------------ numbers

def test_numbers_are_never_used_again(box):
    _, next, found = used(box)
    assert next == 7 and sorted(values[0] for values in found.values()) == [1, 4, 5]
    deliver(box)
    assert max(values[0] for values in look(box)[2].values()) == 7


def test_all_processes_agree(box):
    deliver(box, 3)
    with Folder(str(box)) as one, Folder(str(box)) as two:
        first, second = one.messages(), two.messages()
        deliver(box, 3)
        assert [each.uid for each in two.messages()] == [1, 2, 3, 4, 5, 6] == [each.uid for each in one.messages()]
        two.remove(second[:2])
        deliver(box, 1)
        assert [each.uid for each in one.messages()] == [3, 4, 5, 6, 7] == [each.uid for each in two.messages()]
        assert first[2] is one.messages()[0]


# ------------------------------------------------------------------ what is lost

LOSSES = [INDEX, ("fd0-uidlist",), ("fd0-index-wal", "fd0-index-shm")]


@pytest.mark.parametrize("lost", LOSSES)
def test_what_is_lost_is_made_again(box, lost):
    before = used(box)
    drop(box, *lost)
    assert look(box) == before
    deliver(box)
    validity, next, found = look(box)
    assert (validity, next) == (before[0], 8) and before[2].items() < found.items()


def test_index_and_list_are_lost(box):
    before = used(box)
    drop(box, *INDEX, "fd0-uidlist")
    validity, next, found = look(box)
    assert next == 4 and validity >= before[0]
    assert {key: values[1:] for key, values in found.items()} == {key: one[1:] for key, one in before[2].items()}


BREAKAGES = {"octets of another file": lambda data: b"this is no database" * 1000,
             "nothing": lambda data: b"",
             "the first half": lambda data: data[:len(data) // 2],
             "an odd end": lambda data: data[:-100],
             "zeros in the middle": lambda data: data[:4096] + bytes(len(data) - 4096),
             "another first page": lambda data: data[:100] + b"\xff" * 3996 + data[4096:]}


@pytest.mark.parametrize("how", BREAKAGES)
def test_a_broken_index_is_made_again(box, how):
    before = used(box)
    drop(box, *INDEX[1:])
    (box / "fd0-index").write_bytes(BREAKAGES[how]((box / "fd0-index").read_bytes()))
    assert look(box) == before == look(box)


@pytest.mark.parametrize("statement", ["DROP TABLE message", "DROP TABLE folder", "DELETE FROM folder",
                                       "DELETE FROM message", "UPDATE folder SET done = 0",
                                       "UPDATE message SET date = -1",
                                       "UPDATE folder SET line = x'00'", "PRAGMA user_version = 99",
                                       "UPDATE folder SET modseq = 'x'", "UPDATE message SET key = x'00'||uid",
                                       "ALTER TABLE message RENAME COLUMN key TO other"])
def test_an_index_that_says_something_else(box, statement):
    """But for one: who takes all rows away by hand, but not the note that they were written, makes them new."""
    before = used(box)
    with sqlite3.connect(box / "fd0-index") as db:
        db.execute(statement)
    db.close()
    after = look(box)
    assert after == before or statement == "DELETE FROM message"
    assert {key: values[3] for key, values in after[2].items()} == {key: one[3] for key, one in before[2].items()}


@pytest.mark.parametrize("how", [lambda data: b"", lambda data: b"not a list\n", lambda data: data[:30],
                                 lambda data: data[:-40], lambda data: data + b"99 :half a li"])
def test_a_broken_list_is_written_again(box, how):
    before = used(box)
    (box / "fd0-uidlist").write_bytes(how((box / "fd0-uidlist").read_bytes()))
    assert look(box) == before
    drop(box, *INDEX)
    assert look(box) == before


def test_the_list_is_from_a_backup(box):
    """Who puts back an older list and loses the index has the numbers of then, and new ones for what came later."""
    deliver(box, 2)
    before = look(box)
    old = (box / "fd0-uidlist").read_bytes()
    deliver(box, 1)
    look(box)
    (box / "fd0-uidlist").write_bytes(old)
    drop(box, *INDEX)
    validity, _, found = look(box)
    assert validity == before[0] and before[2].items() < found.items()


def test_killed_between_list_and_index(box):
    """The line is in the list, the row not in the index: it is what the list says."""
    deliver(box, 2)
    look(box)
    saved = {name: (box / name).read_bytes() for name in INDEX if (box / name).exists()}
    deliver(box, 2)
    before = look(box)
    drop(box, *INDEX)
    for name, data in saved.items():
        (box / name).write_bytes(data)
    assert look(box) == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(st.data())
def test_whatever_octets_are_changed_all_messages_are_there(box, data):
    """Damage that SQLite sees is mended; no damage costs a message or its unique id, or makes two of one."""
    with Folder(str(box)) as folder:
        if not (ids := {one.key: one.uidl for one in folder.messages()}):
            used(box)
            ids = {one.key: one.uidl for one in folder.messages()}
    for name in ("fd0-index", "fd0-uidlist"):
        octets = bytearray((box / name).read_bytes())
        for _ in range(data.draw(st.integers(0, 4))):
            octets[data.draw(st.integers(0, 2**20)) % len(octets)] = data.draw(st.integers(0, 255))
        (box / name).write_bytes(octets)
    with Folder(str(box)) as folder:
        messages = folder.messages()
        folder.measure(messages)
        assert {one.key: one.uidl for one in messages} == ids and len(messages) == len(ids)
        assert sum(len(b"".join(folder.octets(one))) for one in messages) == 2 * 3 + 6
        uids = [one.uid for one in messages if one.uid]
        assert uids == sorted(set(uids))
    drop(box, *INDEX, "fd0-uidlist")


# ------------------------------------------------------------------ others' lists

def test_numbers_of_dovecot_are_taken_over(box):
    """What POP3 has told too: the unique id that was kept, and else UID and validity; what comes later has ours."""
    for name in ("1.a,S=2,W=3:2,S", "2.a:2,", "3.a:2,"):
        (box / "cur" / name).write_bytes(b"x\n")
    (box / "dovecot-uidlist").write_bytes(b"3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
                                          b"25006 :1.a,S=2,W=3:2,\n25017 W3 P00004321 :2.a:2,F\n25019 :gone\n")
    validity, next, found = look(box)
    assert (validity, next) == (1275660208, 25023)
    assert found == {b"1.a": (25006, 2, 3, b"000061ae4c0907b0"), b"2.a": (25017, 2, 3, b"00004321"),
                     b"3.a": (25022, 2, 3, b"3.a")}
    before = look(box)
    drop(box, *INDEX, "dovecot-uidlist")
    assert look(box) == before


def test_a_unique_id_of_dovecot_is_told_once(box):
    """It has kept one for the second message that it would make for the first."""
    for name in ("1.a:2,", "2.a:2,"):
        (box / "cur" / name).write_bytes(b"x\n")
    (box / "dovecot-uidlist").write_bytes(b"3 V1 N3 G3085f01b7f11094c501100008c4a11c1\n"
                                          b"1 :1.a\n2 P0000000100000001 :2.a\n")
    assert [one[3] for one in look(box)[2].values()] == [b"1.a", b"0000000100000001"]


@pytest.mark.parametrize("told", [b"\xe9t\xe9", b"x" * 71])
def test_what_can_be_no_unique_id_of_pop3_is_told_as_one(box, told):
    (box / "cur" / "1.a:2,").write_bytes(b"x\n")
    (box / "dovecot-uidlist").write_bytes(b"3 V1 N2 G3085f01b7f11094c501100008c4a11c1\n1 P" + told + b" :1.a\n")
    (id,) = [one[3] for one in look(box)[2].values()]
    assert 0 < len(id) <= 70 and id.isascii() and id.isalnum()      # RFC 1939, 7


def test_numbers_of_courier_are_taken_over_but_no_unique_ids(box):
    (box / "cur" / "1.a:2,").write_bytes(b"x\n")
    (box / "courierimapuiddb").write_bytes(b"1 1275660208 8\n7 1.a\n")
    assert look(box) == (1275660208, 8, {b"1.a": (7, 2, 3, b"1.a")})


# ------------------------------------------------------------------ tidiness

def test_the_list_does_not_grow_for_ever(box, monkeypatch):
    monkeypatch.setattr(mailindex, "SPARE", 500)
    for _ in range(12):
        deliver(box, 5)
        with Folder(str(box)) as folder:
            folder.remove(folder.messages()[1:])
            assert not folder.index.trouble
    assert (box / "fd0-uidlist").stat().st_size < 2000
    before = look(box)
    drop(box, *INDEX)
    assert look(box) == before and before[1] == 61


# ------------------------------------------------------------------ what cannot be written

def test_somebody_holds_the_lock_for_ever(box, monkeypatch):
    deliver(box, 2)
    look(box)
    deliver(box, 1)
    monkeypatch.setattr(mailindex, "PATIENCE", 0.0)
    with Folder(str(box)) as folder:
        folder.messages()
        deliver(box, 1)
        with Lock(os.fsencode(box / "cur")):
            messages = folder.messages()
            assert [one.uid for one in messages] == [1, 2, 3, 0] and folder.index.trouble
            with pytest.raises(InUse), Lock(os.fsencode(box / "cur")):
                raise AssertionError("two at once")
        assert [one.uid for one in folder.messages()] == [1, 2, 3, 4]


def test_a_folder_for_reading_alone(box):
    deliver(box, 2)
    before = look(box)
    deliver(box, 1)
    done = subprocess.run(["mount", "--bind", "-o", "ro", box, box], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no mount of our own: {done.stderr.strip()}")
    try:
        with Folder(str(box)) as folder:
            messages = folder.messages()
            folder.measure(messages)
            assert [one.uid for one in messages] == [1, 2, 0] and folder.index.validity == before[0]
            assert [one.virtual for one in messages] == [3, 3, 3] and folder.index.trouble
            assert b"".join(folder.octets(messages[2])) == b"0\r\n"
            assert [one.uid for one in folder.messages()] == [1, 2, 0]
            ((_, error),) = folder.remove(messages[:1])
            assert "Read-only" in str(error)
    finally:
        subprocess.run(["umount", box], check=True)
    assert sorted(values[0] for values in look(box)[2].values()) == [1, 2, 3]


@contextlib.contextmanager
def as_nobody():
    """As somebody whom permissions hold back."""
    if os.getuid():
        pytest.skip("only root can be somebody else")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_is_somebody_else_s(box):
    deliver(box, 2)
    (box / "cur" / "9.foreign:2,S").write_bytes(b"a\nb\n")
    validity, _, _ = look(box)
    deliver(box, 1)
    subprocess.run(["chmod", "-R", "a+rX", box], check=True)
    for path in box.parents:
        path.chmod(path.stat().st_mode | 0o011)
    with as_nobody(), Folder(str(box)) as folder:
        messages = folder.messages()
        assert [(one.uid, one.virtual) for one in messages] == [(1, 6), (2, 3), (3, 3), (0, 3)]
        assert folder.index.validity == validity and folder.index.trouble


def test_a_full_disk_costs_no_more_than_numbers(tmp_path):
    path = tmp_path / "small"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk of our own: {done.stderr.strip()}")
    try:
        with Folder(str(path / "box")) as folder:
            folder.create()
        deliver(path / "box", 2)
        (path / "box" / "cur" / "9.foreign:2,S").write_bytes(b"a\nb\n")
        before = look(path / "box")
        deliver(path / "box", 80)       # their lines need room, where one might fit
        with open(path / "fill", "wb", buffering=0) as file, pytest.raises(OSError):
            while file.write(bytes(512)):
                continue
        with Folder(str(path / "box")) as folder:
            messages = folder.messages()
            folder.measure(messages)
            assert [one.uid for one in messages] == [1, 2, 3] + [0] * 80 and folder.index.validity == before[0]
            assert [one.virtual for one in messages[:3]] == [6, 3, 3] and folder.index.trouble
        os.unlink(path / "fill")
        validity, next, found = look(path / "box")
        assert (validity, next) == (before[0], 84) and before[2].items() < found.items()
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_list_of_another_folder(box, tmp_path):
    """Who copies a folder with all that is in it has a folder with the same numbers."""
    before = used(box)
    shutil.copytree(box, tmp_path / "copy")
    assert look(tmp_path / "copy") == before


def test_names_are_what_they_are():
    assert (mailindex.NAME, mailuids.NAME) == (b"fd0-index", b"fd0-uidlist")
