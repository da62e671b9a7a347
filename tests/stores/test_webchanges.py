"""Changes below a root: old or new and never half, whoever kills us; nothing outside; no room, no rights, no luck."""

import contextlib
import errno
import itertools
import os
import signal
import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.stores import webchanges
from daemons.stores.webchanges import Failed, Taken, Upload
from daemons.stores.webtree import Hidden, Missing, Root

CHANGES = {"open", "write", "fsync", "rename", "link", "unlink", "mkdir", "rmdir", "fchmod", "sendfile", "symlink"}
NOBODY = 65534


@pytest.fixture
def root(tmp_path):
    (tmp_path / "www").mkdir()
    made = Root(str(tmp_path / "www"))
    yield made
    made.close()


def spot(root, path):
    return webchanges.spot(root, tuple(os.fsencode(path).split(b"/")))


def anything(_):
    """A judge who lets everything pass."""


def put(root, path, data, judge=anything, new=False):
    with spot(root, path) as at, Upload(at) as upload:
        upload.write(data)
        return upload.keep(judge, new)


def move(root, path, to, new=False):
    with spot(root, path) as source, spot(root, to) as at:
        webchanges.move(source, at, new)


def copy(root, path, to, **how):
    with root.find(os.fsencode(path).split(b"/")) as found, spot(root, to) as at:
        webchanges.copy(found, at, **how)


def remove(root, path):
    with spot(root, path) as at:
        return webchanges.remove(at)


def tree(root):
    """{path: octets, None for a folder, or where a link leads} of all that is there, hidden or not."""
    found = {}
    for above, folders, names in os.walk(root.path):
        for name in (*folders, *names):
            path = os.path.join(above, name)
            known = os.path.relpath(path, root.path)
            if os.path.islink(path):
                found[known] = f"-> {os.readlink(path)}"
            elif os.path.isdir(path):
                found[known] = None
            else:
                with open(path, "rb") as file:
                    found[known] = file.read()
    return found


def fill(root, files):
    """Make files, and folders for None."""
    for name, data in files.items():
        path = os.path.join(root.path, name)
        os.makedirs(path if data is None else os.path.dirname(path), exist_ok=True)
        if data is not None:
            with open(path, "wb") as file:
                file.write(data)


# ------------------------------------------------------------------ what is done

def test_a_file_is_put_and_put_again(root):
    status = put(root, "a", b"one")
    assert tree(root) == {"a": b"one"} and status.st_size == 3
    os.chmod(f"{root.path}/a", 0o640)
    assert put(root, "a", b"two!").st_ino != status.st_ino
    assert tree(root) == {"a": b"two!"} and stat.S_IMODE(os.stat(f"{root.path}/a").st_mode) == 0o640


def test_a_new_file_has_the_permissions_of_any(root):
    put(root, "a", b"")
    fill(root, {"b": b""})
    assert os.stat(f"{root.path}/a").st_mode == os.stat(f"{root.path}/b").st_mode


def test_what_is_not_kept_leaves_nothing(root):
    fill(root, {"a": b"old"})
    with pytest.raises(KeyError), spot(root, "a") as at, Upload(at) as upload:
        upload.write(b"half")
        assert len(tree(root)) == 2
        raise KeyError
    assert tree(root) == {"a": b"old"}


def test_the_judge_sees_what_is_there_at_last(root):
    def judge(status):
        seen.append(status and status.st_size)
        raise KeyError
    seen = []
    with spot(root, "a") as at, Upload(at) as upload:
        fill(root, {"a": b"12345"})
        with pytest.raises(KeyError):
            upload.keep(judge)
    assert seen == [5] and tree(root) == {"a": b"12345"}


def test_of_two_that_want_to_be_first_one_is(root):
    with spot(root, "a") as at, Upload(at) as upload:
        upload.write(b"late")
        put(root, "a", b"first", new=True)
        with pytest.raises(Taken):
            upload.keep(anything, new=True)
    with spot(root, "b") as at, Upload(at) as upload, pytest.raises(Taken, match="faster"):
        upload.keep(lambda _: fill(root, {"b": b"first"}), new=True)
    assert tree(root) == {"a": b"first", "b": b"first"}


def test_a_file_system_without_second_names(root, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EPERM, "no links here")
    monkeypatch.setattr(os, "link", refused)
    put(root, "a", b"one", new=True)
    with pytest.raises(Taken):
        put(root, "a", b"two", new=True)
    assert tree(root) == {"a": b"one"}


def test_folders(root):
    with spot(root, "a") as at:
        webchanges.make_folder(at)
    with spot(root, "a/b") as at:
        webchanges.make_folder(at)
    for name in ("a", "a/b"):
        with spot(root, name) as at, pytest.raises(FileExistsError):
            webchanges.make_folder(at)
    assert tree(root) == {"a": None, "a/b": None}


OLD = {"old": b"file", "f": None, "f/x": b"x", "f/deep": None, "f/deep/y": b"y", "f/.hidden": b"h", "g": None,
       "g/z": b"z"}


def renamed(files, one, other):
    """The same files, moved."""
    kept = {name: data for name, data in files.items() if not f"{name}/".startswith((f"{one}/", f"{other}/"))}
    return kept | {other + name[len(one):]: data for name, data in files.items() if f"{name}/".startswith(f"{one}/")}


@pytest.mark.parametrize(("one", "other"), [("old", "new"), ("old", "f/x"), ("old", "f"), ("f", "new"), ("f", "old"),
                                            ("f", "g"), ("f/deep", "g/deep"), ("g", "f/deep"), ("f/deep/y", "old")])
def test_moves(root, one, other):
    fill(root, OLD)
    move(root, one, other)
    assert tree(root) == renamed(OLD, one, other)
    if other in OLD:
        put(root, "again", b"")
        with pytest.raises(Taken):
            move(root, "again", other, new=True)


def test_two_names_of_one_file(root):
    fill(root, {"a": b"1"})
    os.link(f"{root.path}/a", f"{root.path}/b")
    move(root, "a", "b")
    assert tree(root) == {"b": b"1"}


def test_a_folder_cannot_be_moved_into_itself(root):
    fill(root, OLD)
    with pytest.raises(OSError) as error:
        move(root, "f", "f/deep/new")
    assert error.value.errno == errno.EINVAL and tree(root) == OLD
    with pytest.raises(OSError):
        move(root, "f", "f/deep")       # something had to make room, and is back
    assert tree(root) == OLD


@pytest.mark.parametrize(("one", "other"), [("old", "new"), ("old", "f/x"), ("old", "f"), ("f", "new"), ("f", "old"),
                                            ("f", "g"), ("f", "f/deep/new")])
def test_copies(root, one, other):
    fill(root, OLD)
    copy(root, one, other)
    made = {other + name[len(one):]: data for name, data in OLD.items()
            if f"{name}/".startswith(f"{one}/") and "/." not in name}
    kept = {name: data for name, data in OLD.items() if not f"{name}/".startswith(f"{other}/")}
    assert tree(root) == kept | made
    with pytest.raises(Taken):
        copy(root, one, other, new=True)
    assert tree(root) == kept | made


def test_a_shallow_copy(root):
    fill(root, OLD)
    copy(root, "f", "new", deep=False)
    assert tree(root) == OLD | {"new": None}


def test_a_copy_keeps_permissions_and_length(root):
    fill(root, {"a": os.urandom(3 * webchanges.PIECE + 1), "s/tool": b"#!"})
    os.chmod(f"{root.path}/s/tool", 0o550)
    copy(root, "a", "b")
    copy(root, "s", "t")
    assert tree(root)["a"] == tree(root)["b"] and stat.S_IMODE(os.stat(f"{root.path}/t/tool").st_mode) == 0o550


def test_links_in_a_copy(root, tmp_path):
    (tmp_path / "secret").write_text("secret")
    fill(root, {"f/v1": b"1"})
    os.symlink("v1", f"{root.path}/f/latest")
    os.mkfifo(f"{root.path}/f/pipe")
    copy(root, "f", "g")
    os.unlink(f"{root.path}/f/pipe")
    assert tree(root) == {"f": None, "f/v1": b"1", "f/latest": "-> v1", "g": None, "g/v1": b"1", "g/latest": "-> v1"}
    for target in ("../../secret", str(tmp_path / "secret"), "a/../../b"):
        os.symlink(target, f"{root.path}/f/out")
        before = tree(root)
        with pytest.raises(Failed) as failure:
            copy(root, "f", "h")
        assert failure.value.steps == (b"out",) and tree(root) == before
        os.unlink(f"{root.path}/f/out")


def test_removals(root, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    fill(root, OLD)
    os.symlink(tmp_path / "kept", f"{root.path}/f/deep/link")
    os.symlink("../g", f"{root.path}/link")
    assert remove(root, "f") == remove(root, "link") == remove(root, "old") == []
    assert tree(root) == {"g": None, "g/z": b"z"} and (tmp_path / "kept" / "file").exists()


def test_folders_deeper_than_we_go(root):
    deep = "/".join(["d"] * (webchanges.DEEPEST + 3))
    fill(root, {deep: None})
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Failed, match="too deep"):
        copy(root, "d", "e")
    (failure,) = remove(root, "d")
    assert failure.error.errno == errno.EMLINK and len(failure.steps) == webchanges.DEEPEST
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(root.path) == ["d"]


# ------------------------------------------------------------------ what is refused

@pytest.mark.parametrize("names", [(), (b"",), (b"..",), (b".",), (b".x",), (b"a", b".git"), (b".git", b"a"), (b"a/b",),
                                   (b"a\0b",), (b"..", b"..", b"etc"), (b"a", b"")])
def test_names_that_nobody_may_give(root, names):
    fill(root, {"a/b": b"", ".git/a": b""})
    with pytest.raises(Hidden):
        webchanges.spot(root, names)


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"..", b".", b"link", b"f"]), min_size=1, max_size=4))
def test_no_names_lead_out(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("names")
    (path / "www" / "f").mkdir(parents=True)
    os.symlink(path, path / "www" / "link")
    root = Root(str(path / "www"))
    try:
        with webchanges.spot(root, tuple(names)) as at, Upload(at) as upload:
            upload.keep(anything)
    except (Hidden, Missing, IsADirectoryError):
        assert names
    finally:
        root.close()
    assert os.listdir(path) == ["www"]


def test_no_way_leads_over_a_link(root, tmp_path):
    (tmp_path / "out").mkdir()
    fill(root, {"f": None, "file": b""})
    for name, target in (("inside", "f"), ("outside", "../out")):
        os.symlink(target, f"{root.path}/{name}")
        with pytest.raises(Hidden, match="link"):
            spot(root, f"{name}/x")
    for path in ("nothing/x", "file/x"):
        with pytest.raises(Missing):
            spot(root, path)


def test_a_name_that_is_too_long(root):
    with pytest.raises(OSError) as error:
        spot(root, "x" * 256)
    assert error.value.errno == errno.ENAMETOOLONG
    put(root, "x" * 255, b"")


class Meddled:
    """The os module; `act` is called once, before the call of this name."""

    def __init__(self, name, act):
        self.name, self.act = name, act

    def __getattr__(self, name):
        found = getattr(os, name)
        if name != self.name or self.act is None:
            return found

        def call(*arguments, **keywords):
            act, self.act = self.act, None
            if act is not None:
                act()
            return found(*arguments, **keywords)
        return call


def swapped(root, name, target):
    """What somebody does in the worst moment: a link in the place of something."""
    def act():
        os.rename(f"{root.path}/{name}", f"{root.path}/swapped")
        os.symlink(target, f"{root.path}/{name}")
    return act


@pytest.fixture
def outside(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("kept")
    yield tmp_path / "out"
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["kept"]


def test_a_folder_becomes_a_link_while_it_is_removed(root, outside, monkeypatch):
    fill(root, {"f/x": b"1"})
    monkeypatch.setattr(webchanges, "os", Meddled("listdir", swapped(root, "f", outside)))
    with pytest.raises(NotADirectoryError):
        remove(root, "f")
    assert tree(root) == {"f": f"-> {outside}", "swapped": None}        # what had been opened is what was emptied


@pytest.mark.parametrize("call", ["open", "fstat"])
def test_a_folder_becomes_a_link_before_it_is_opened(root, outside, monkeypatch, call):
    fill(root, {"f/x": b"1"})
    with spot(root, "f") as at:
        monkeypatch.setattr(webchanges, "os", Meddled(call, swapped(root, "f", outside)))
        if call == "open":
            with pytest.raises(OSError) as error:
                webchanges.remove(at)
            assert error.value.errno in (errno.ENOTDIR, errno.ELOOP)
        else:
            assert webchanges.remove(at) == []      # nothing but the link
            assert "f" not in tree(root)
    assert tree(root)["swapped/x"] == b"1"


def test_a_folder_becomes_a_link_while_it_is_copied(root, outside, monkeypatch):
    fill(root, {"f/g/x": b"1"})
    monkeypatch.setattr(webchanges, "os", Meddled("stat", swapped(root, "f/g", outside)))
    with contextlib.suppress(OSError, Failed):
        copy(root, "f", "h")
    assert b"kept" not in tree(root).values()


def test_a_folder_on_the_way_becomes_a_link(root, outside, monkeypatch):
    fill(root, {"f": None})
    with spot(root, "f/x") as at:
        swapped(root, "f", outside)()
        with Upload(at) as upload:
            upload.write(b"new")
            upload.keep(anything)
    assert tree(root)["swapped/x"] == b"new"


def test_a_name_becomes_a_link_while_a_file_comes(root, outside):
    fill(root, {"a": b"old"})
    with spot(root, "a") as at, Upload(at) as upload:
        swapped(root, "a", outside / "x")()
        upload.keep(anything)
    assert tree(root) == {"a": b"", "swapped": b"old"}


def test_the_folder_goes_while_a_file_comes(root):
    fill(root, {"f": None})
    with pytest.raises(FileNotFoundError), spot(root, "f/x") as at, Upload(at) as upload:
        assert remove(root, "f") == []
        upload.keep(anything)
    assert tree(root) == {}


# ------------------------------------------------------------------ the disk

@pytest.fixture
def small(tmp_path):
    """A root of 256 KiB, for whoever may mount one."""
    path = tmp_path / "small"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk of our own: {done.stderr.strip()}")
    root = Root(str(path))
    yield root
    root.close()
    subprocess.run(["umount", path], check=True)


def test_a_full_disk_keeps_what_it_has(small):
    fill(small, {"a": b"old", "f/big": bytes(150_000)})
    before = tree(small)
    with pytest.raises(OSError) as error:
        put(small, "a", bytes(300_000))
    assert error.value.errno == errno.ENOSPC and tree(small) == before
    with pytest.raises(Failed) as failure:
        copy(small, "f", "g")
    assert (failure.value.steps, failure.value.error.errno) == ((b"big",), errno.ENOSPC) and tree(small) == before
    with pytest.raises(OSError):
        copy(small, "f/big", "a")
    assert tree(small) == before
    put(small, "a", bytes(50_000))
    assert len(tree(small)["a"]) == 50_000


def test_another_file_system(small, tmp_path):
    """What is mounted below is not emptied, and nothing is moved there."""
    root = Root(str(tmp_path))
    fill(root, {"a": b"1", "small/x": b"2"})
    with pytest.raises(OSError) as error:
        move(root, "a", "small/a")
    assert error.value.errno == errno.EXDEV
    with pytest.raises(OSError) as error:
        remove(root, "small")
    assert error.value.errno == errno.EBUSY
    copy(root, "small", "b")
    copy(root, "a", "small/a")
    root.close()
    assert tree(small) == {"x": b"2", "a": b"1"}


@contextlib.contextmanager
def without_rights():
    """As somebody whom permissions hold back."""
    if os.getuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_rights(root):
    fill(root, {"f/x": b"1", "f/g/y": b"2", "a": b"3"})
    os.chmod(f"{root.path}/f/g", 0o555)
    for path in ("", "f", "a"):
        os.chmod(f"{root.path}/{path}", 0o777)
    with without_rights():
        with pytest.raises(PermissionError):
            put(root, "f/g/z", b"")
        with pytest.raises(PermissionError):
            move(root, "a", "f/g/y")
        with pytest.raises(PermissionError):
            copy(root, "a", "f/g/z")
        with pytest.raises(PermissionError):
            remove(root, "f/g/y")
        (failure,) = remove(root, "f")
        assert failure.steps == (b"g", b"y") and isinstance(failure.error, PermissionError)
    assert tree(root) == {"a": b"3", "f": None, "f/g": None, "f/g/y": b"2"}


def test_what_others_may_not_read_they_cannot_read_meanwhile(root):
    fill(root, {"a": b"secret"})
    os.chmod(f"{root.path}/a", 0o600)
    with spot(root, "a") as at, Upload(at):
        assert {stat.S_IMODE(os.stat(f"{root.path}/{name}").st_mode) for name in os.listdir(root.path)} == {0o600}


# ------------------------------------------------------------------ killed in the middle

class Mortal:
    """The os module, which kills the process in the place of that call, of those that change something."""

    def __init__(self, left):
        self.left = left

    def __getattr__(self, name):
        found = getattr(os, name)
        if name not in CHANGES:
            return found

        def call(*arguments, **keywords):
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return found(*arguments, **keywords)
        return call


def deaths(root, act, old):
    """What is there after each death, and at last after a long life; hidden rests are left out."""
    for left in itertools.count():
        for name in os.listdir(root.path):
            subprocess.run(["rm", "-rf", f"{root.path}/{name}"], check=True)
        fill(root, old)
        pid = os.fork()
        if not pid:
            try:
                webchanges.os = Mortal(left)
                act()
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(pid, 0)[1]
        found = tree(root)
        yield {name: data for name, data in found.items() if webchanges.TEMPORARY.decode() not in name}
        if not os.WIFSIGNALED(status):
            assert status == 0 and not any(webchanges.TEMPORARY.decode() in name for name in found)
            return


def test_killed_while_a_file_is_put(root):
    for old in ({"a": b"old"}, {}):
        found = list(deaths(root, lambda: put(root, "a", b"new"), old))
        assert [each for each in found if each not in (old, {"a": b"new"})] == []
        assert found[0] == old and found[-1] == {"a": b"new"} and len(found) > 5


def test_killed_while_a_first_file_is_put(root):
    found = list(deaths(root, lambda: put(root, "a", b"new", new=True), {}))
    assert [each for each in found if each not in ({}, {"a": b"new"})] == [] and found[-1] == {"a": b"new"}


def test_killed_while_something_is_copied(root):
    new = OLD | {"new": None, "new/x": b"x", "new/deep": None, "new/deep/y": b"y"}
    found = list(deaths(root, lambda: copy(root, "f", "new"), OLD))
    assert [each for each in found if each not in (OLD, new)] == [] and found[-1] == new and len(found) > 12


def test_killed_while_something_is_moved(root):
    new = renamed(OLD, "f", "new")
    found = list(deaths(root, lambda: move(root, "f", "new"), OLD))
    assert [each for each in found if each not in (OLD, new)] == [] and found[-1] == new
    new = renamed(OLD, "old", "f/x")
    found = list(deaths(root, lambda: move(root, "old", "f/x"), OLD))
    assert [each for each in found if each not in (OLD, new)] == [] and found[-1] == new


def test_killed_while_a_folder_makes_room(root):
    """Two names are changed, one after the other: between them the old is hidden, and what comes is where it was."""
    new = renamed(OLD, "f", "g")
    between = {name: data for name, data in OLD.items() if not f"{name}/".startswith("g/")}
    found = list(deaths(root, lambda: move(root, "f", "g"), OLD))
    assert [each for each in found if each not in (OLD, between, new)] == []
    assert found.count(between) == 1 and found[-1] == new


def test_killed_while_a_folder_is_removed(root):
    """Not all at once; what is left is as it was."""
    found = list(deaths(root, lambda: remove(root, "f"), OLD))
    assert all(each.items() <= OLD.items() and each["g/z"] == b"z" for each in found)
    assert found[-1] == {name: data for name, data in OLD.items() if not f"{name}/".startswith("f/")}


def test_nothing_is_told_before_it_is_on_the_disk(root, monkeypatch):
    """The file before its name, the folder after it."""
    calls = []

    class Watched:
        def __getattr__(self, name):
            found = getattr(os, name)
            if name not in ("fsync", "rename", "link", "mkdir", "unlink", "rmdir"):
                return found

            def call(*arguments, **keywords):
                known = os.fstat(arguments[0]).st_ino if name == "fsync" else None
                calls.append("sync folder" if known == folder else "sync" if known else name)
                return found(*arguments, **keywords)
            return call
    folder = os.stat(root.path).st_ino
    monkeypatch.setattr(webchanges, "os", Watched())

    def done(act):
        calls.clear()
        act()
        return list(calls)
    assert done(lambda: put(root, "a", b"1")) == ["sync", "rename", "sync folder"]
    assert done(lambda: put(root, "b", b"1", new=True)) == ["sync", "link", "unlink", "sync folder"]
    assert done(lambda: copy(root, "a", "c")) == ["sync", "rename", "sync folder"]
    with spot(root, "f") as at:
        assert done(lambda: webchanges.make_folder(at)) == ["mkdir", "sync folder"]
    assert done(lambda: move(root, "a", "f/a")) == ["rename", "sync", "sync folder"]
    assert done(lambda: copy(root, "f", "g")) == ["mkdir", "sync", "sync", "rename", "sync folder"]
    assert done(lambda: remove(root, "b")) == ["unlink", "sync folder"]
