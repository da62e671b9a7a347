"""The file of passwords: who gets in, which changes are seen, what others may not do, and that it is never half."""

import hashlib
import os
import resource
import stat
import subprocess
import sys
import threading

import pytest

from daemons.stores import passwords
from daemons.stores.passwords import Passwords, add, change, remove
from daemons.wire import passwordlines
from daemons.wire.httpauth import digest_secret
from tests.sources import ROOT


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """New hashes cost as little as may be."""
    monkeypatch.setattr(passwordlines, "COST", (10, 8, 1))


@pytest.fixture
def path(tmp_path):
    """A file in which alice has the password secret."""
    add(str(tmp_path / "users"), "alice", b"secret")
    return str(tmp_path / "users")


@pytest.fixture
def work(monkeypatch):
    """(n, r, p, octets of salt and hash) of each scrypt that is done."""
    done, scrypt = [], hashlib.scrypt

    def noted(password, *, salt, n, r, p, dklen, maxmem):
        done.append((n, r, p, len(salt), dklen))
        return scrypt(password, salt=salt, n=n, r=r, p=p, dklen=dklen, maxmem=maxmem)
    monkeypatch.setattr(hashlib, "scrypt", noted)
    return done


def lines(path):
    with open(path, "rb") as file:
        return file.read().split(b"\n")


def beginnings(path):
    """The names in the lines, or what is in their place."""
    return [line.partition(b":")[0] for line in lines(path)]


def write(path, data):
    """Put octets into the file that is there."""
    with open(path, "wb") as file:
        file.write(data)


# ------------------------------------------------------------------ who gets in

def test_the_right_password_and_no_other(path):
    users = Passwords(path)
    assert users.check("alice", b"secret")
    for password in (b"Secret", b"secre", b"secret ", b"", b"\0", b"\xff", b"x" * 2000):
        assert not users.check("alice", password)
    for name in ("Alice", "bob", "", "alice ", "a:b", "#", "\udcff", "x" * 2000):
        assert not users.check(name, b"secret")
    assert users.names() == ["alice"]


def test_names_and_passwords_in_any_script(path):
    add(path, "Jose\u0301", "p\u00e4ss".encode())
    users = Passwords(path)
    assert users.names() == ["alice", "Jos\u00e9"]
    assert users.check("Jos\u00e9", "pa\u0308ss".encode()) and users.check("Jose\u0301", "p\u00e4ss".encode())


def test_a_name_that_is_not_there_takes_the_same_work(path, work):
    users = Passwords(path)
    work.clear()
    for name in ("alice", "bob", "carol"):
        assert not users.check(name, b"wrong")
    assert work == [(1 << 10, 8, 1, 16, 32)] * 3


def test_where_hashes_differ_in_cost_names_that_are_not_there_do_as_well(path, work, monkeypatch):
    monkeypatch.setattr(passwordlines, "COST", (11, 8, 1))
    add(path, "bob", b"secret")
    users = Passwords(path)
    work.clear()
    names = [f"nobody{number}" for number in range(40)]
    for name in names * 2:
        assert not users.check(name, b"secret")
    assert set(work) == {(1 << 10, 8, 1, 16, 32), (1 << 11, 8, 1, 16, 32)} and work[:40] == work[40:]


def test_an_empty_file_lets_nobody_in_and_takes_its_time(path, work):
    remove(path, "alice")
    assert not Passwords(path).check("alice", b"secret") and len(work) == 1


# ------------------------------------------------------------------ what is remembered

def test_a_right_password_is_not_hashed_with_every_request(path, work):
    users = Passwords(path)
    work.clear()
    assert all(users.check("alice", b"secret") for _ in range(5)) and len(work) == 1
    assert not users.check("alice", b"wrong") and not users.check("alice", b"wrong") and len(work) == 3


def test_it_is_remembered_for_some_seconds_only(path, work, monkeypatch):
    monkeypatch.setattr(passwords, "KEPT", 0.0)
    users = Passwords(path)
    work.clear()
    assert users.check("alice", b"secret") and users.check("alice", b"secret") and len(work) == 2


def test_what_is_remembered_is_bounded_and_no_password(path, monkeypatch):
    monkeypatch.setattr(passwords, "MOST_KEPT", 2)
    for number in range(4):
        add(path, f"user{number}", b"secret")
    users, others = Passwords(path), Passwords(path)
    for number in range(4):
        assert users.check(f"user{number}", b"secret") and others.check(f"user{number}", b"secret")
    assert len(users._right) == 2 and not set(users._right) & set(others._right)
    assert all(len(token) == 32 for token in users._right)


# ------------------------------------------------------------------ what changes

def test_changes_are_seen_at_once(path):
    users = Passwords(path)
    assert users.check("alice", b"secret")
    change(path, "alice", b"another")
    assert not users.check("alice", b"secret") and users.check("alice", b"another")
    add(path, "bob", b"x")
    assert users.check("bob", b"x")
    remove(path, "alice")
    assert not users.check("alice", b"another") and users.names() == ["bob"]


def test_a_file_that_was_spoilt_lets_nobody_in_until_it_is_mended(path):
    users, good = Passwords(path), b"\n".join(lines(path))
    assert users.check("alice", b"secret")
    write(path, good + b"bob:x\n")
    for _ in range(2):
        with pytest.raises(ValueError, match=f"{path}:2: after the name comes"):
            users.check("alice", b"secret")
    write(path, good)
    assert users.check("alice", b"secret")
    os.chmod(path, 0o660)
    with pytest.raises(ValueError, match="written by others"):
        users.check("alice", b"secret")
    os.unlink(path)
    with pytest.raises(FileNotFoundError):
        users.names()


def test_comments_and_the_order_of_lines_stay(path):
    write(path, b"# of this house\n\n" + b"\n".join(lines(path)) + b"#alice: no line of hers")
    add(path, "bob", b"x")
    change(path, "alice", b"y")
    assert beginnings(path) == [b"# of this house", b"", b"alice", b"#alice", b"bob", b""]
    remove(path, "alice")
    assert beginnings(path) == [b"# of this house", b"", b"#alice", b"bob", b""]


def test_what_cannot_be_changed(path):
    before = lines(path)
    with pytest.raises(ValueError, match="alice is there already"):
        add(path, "alice", b"x")
    for wrong in (lambda: change(path, "bob", b"x"), lambda: remove(path, "bob")):
        with pytest.raises(KeyError):
            wrong()
    for wrong in (lambda: change(path, "alice", b""), lambda: add(path, "b:c", b"x"), lambda: add(path, "b", b"x", "")):
        with pytest.raises(ValueError):
            wrong()
    assert lines(path) == before and os.listdir(os.path.dirname(path)) == ["users"]


@pytest.mark.parametrize("name", ["change", "remove"])
def test_without_a_file_only_add_makes_one(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        getattr(passwords, name)(str(tmp_path / "users"), "alice", *[b"x"] * (name == "change"))
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------ Digest

def test_secrets_for_digest_are_there_where_asked_for(path):
    add(path, "bob", b"secret", realm="Files")
    users = Passwords(path)
    assert [users.realm(name) for name in ("alice", "bob", "carol")] == [None, "Files", None]
    for algorithm in ("SHA-256", "MD5"):
        assert users.digest_secret("bob", "Files", algorithm) == digest_secret("bob", "Files", b"secret", algorithm)
        assert users.digest_secret("bob", "files", algorithm) is None
        assert users.digest_secret("alice", "Files", algorithm) is None
    assert users.digest_secret("bob", "Files", "SHA-1") is users.digest_secret("carol", "Files", "MD5") is None


def test_another_password_is_another_for_digest_too(path):
    add(path, "bob", b"secret", realm="Files")
    users = Passwords(path)
    for realm, now in ((None, "Files"), ("Mail", "Mail"), ("", None)):
        change(path, "bob", b"another", realm)
        assert users.realm("bob") == now
        assert users.digest_secret("bob", now, "MD5") == (now and digest_secret("bob", now, b"another", "MD5"))


def test_secrets_for_digest_are_not_for_everybody_to_read(path):
    os.chmod(path, 0o644)
    assert Passwords(path).check("alice", b"secret")
    add(path, "bob", b"x", realm="Files")
    with pytest.raises(ValueError, match="everybody can read it: chmod o-r"):
        Passwords(path)


# ------------------------------------------------------------------ the file

def test_a_new_file_has_its_mode_whatever_the_umask(tmp_path):
    for mask in (0, 0o077):
        before = os.umask(mask)
        try:
            add(str(tmp_path / f"users{mask}"), "alice", b"x", group=os.getegid())
        finally:
            os.umask(before)
        assert stat.S_IMODE(os.stat(tmp_path / f"users{mask}").st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_the_mode_stays(path, mode):
    os.chmod(path, mode)
    add(path, "bob", b"x")
    change(path, "bob", b"y")
    remove(path, "alice")
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_stay_and_others_files_are_not_taken(path):
    os.chown(path, 0, 12345)
    change(path, "alice", b"x")
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (0, 12345)
    os.chown(path, 12345, 0)
    for use in (lambda: Passwords(path), lambda: add(path, "bob", b"x")):
        with pytest.raises(ValueError, match="belongs to user 12345"):
            use()


@pytest.mark.parametrize("mode", [0o660, 0o642, 0o666, 0o620])
def test_a_file_that_others_may_write_is_refused(path, mode):
    os.chmod(path, mode)
    for use in (lambda: Passwords(path), lambda: add(path, "bob", b"x"), lambda: remove(path, "alice")):
        with pytest.raises(ValueError, match="can be written by others: chmod go-w"):
            use()


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("", "pipe"):
        with pytest.raises(ValueError, match="not a plain file"):
            Passwords(str(tmp_path / name))
    with pytest.raises(FileNotFoundError):
        Passwords(str(tmp_path / "none"))


def test_a_file_without_end(path, monkeypatch):
    monkeypatch.setattr(passwords, "LARGEST", 100)
    write(path, b"#" * 101)
    with pytest.raises(ValueError, match="larger than 100 octets"):
        Passwords(path)


@pytest.mark.parametrize("line, why", [
    (b"alice", "after the name comes"), (b"", "alice is there twice"), (b":x", "cannot be a name"),
    (b"\xff:x", "not UTF-8"), (b" # x", "cannot be a name"),
    (b"bob:$apr1$x$y", "no other kind of hash"), (b"bob:$2y$05$x", "no other kind")])
def test_a_bad_line_is_named(path, line, why):
    write(path, b"# a comment\n\n" + (line or lines(path)[0]) + b"\n" + b"\n".join(lines(path)))
    for use in (lambda: Passwords(path), lambda: add(path, "bob", b"x")):
        with pytest.raises(ValueError, match=why) as error:
            use()
        assert str(error.value).startswith(f"{path}:{3 if line else 4}: ")


def test_a_link_stays_a_link(path, tmp_path):
    os.symlink("users", tmp_path / "link")
    add(str(tmp_path / "link"), "bob", b"x")
    assert os.readlink(tmp_path / "link") == "users" and Passwords(path).names() == ["alice", "bob"]


def test_what_cannot_be_written_leaves_all_as_it_was(path):
    before, limits = lines(path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))      # as if the disk were full
    try:
        with pytest.raises(OSError, match="File too large"):
            add(path, "bob", b"x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert lines(path) == before and os.listdir(os.path.dirname(path)) == ["users"]


def test_what_somebody_left_behind_who_was_stopped_does_no_harm(path, tmp_path):
    (tmp_path / "precious").write_text("precious")
    os.symlink(tmp_path / "precious", f"{path}.new")
    add(path, "bob", b"x")
    assert Passwords(path).names() == ["alice", "bob"] and (tmp_path / "precious").read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["precious", "users"]


ADD = """
import sys
from daemons.stores.passwords import add
from daemons.wire import passwordlines
passwordlines.COST = 10, 8, 1
for number in range(10):
    add(sys.argv[1], sys.argv[2] + str(number), b"x")
"""


def test_those_who_change_it_at_once_wait_for_one_another_and_readers_never_see_half(path):
    users, seen, ended = Passwords(path), [], threading.Event()

    def read():
        while not ended.is_set():
            seen.append(users.names())
    reader = threading.Thread(target=read)
    reader.start()
    try:
        writers = [subprocess.Popen([sys.executable, "-c", ADD, path, letter], cwd=ROOT) for letter in "abc"]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    finally:
        ended.set()
        reader.join(10)
    names = Passwords(path).names()
    assert sorted(names) == sorted(["alice", *(f"{letter}{number}" for letter in "abc" for number in range(10))])
    assert all(one == names[:len(one)] for one in seen)
