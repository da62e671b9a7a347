"""The files below a root: whatever is put in their place, no name leads out of it."""

import errno
import gc
import os
import stat
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.stores import webtree
from daemons.stores.webtree import HOPS, Hidden, Missing, Root
from daemons.wire.httptarget import segments

OUTSIDE = b"nobody may see this"


@pytest.fixture
def tree(tmp_path):
    """A root with a little in it, and a secret beside it."""
    (tmp_path / "secret").write_bytes(OUTSIDE)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b").write_bytes(OUTSIDE)
    root = tmp_path / "root"
    for folder in (root, root / "a", root / "a" / "deep", root / ".well-known", root / ".git"):
        folder.mkdir()
        (folder / "b").write_text(str(folder.relative_to(root)))
    return root


def read(root, *names, **how):
    """What is in the file that these segments lead to."""
    with root.find([os.fsencode(name) for name in names], **how) as found:
        if found.rest:
            raise Missing("something follows a file")
        with open(found.open(), "rb") as file:
            return file.read()


def fds():
    gc.collect()                        # roots of other tests
    return len(os.listdir("/proc/self/fd"))


def test_files_and_folders(tree):
    root = Root(str(tree))
    assert read(root, "b") == b"." and read(root, "a", "deep", "b") == b"a/deep"
    with root.find([]) as found:
        assert found.is_folder and found.walked == () and stat.S_ISDIR(found.status.st_mode)
    with root.find([b"a", b"deep"]) as found:
        assert found.is_folder and found.walked == (b"a", b"deep") and found.rest == ()
    with root.find([b"a", b"b", b"c", b"d"]) as found:
        assert (found.name, found.walked, found.rest) == (b"b", (b"a", b"b"), (b"c", b"d"))
    with pytest.raises(Hidden), root.find([b"a"]) as found:
        found.open()


@pytest.mark.parametrize("names", [("none",), ("a", "none"), ("none", "b"), ("a", "b" * 300), ("a\udcff",),
                                   ("a", "none", "none")])
def test_what_is_not_there(tree, names):
    with pytest.raises(Missing):
        read(Root(str(tree)), *names)


@pytest.mark.parametrize("names", [(".git", "b"), (".git",), ("a", ".well-known", "b"), (".well-known", ".git"),
                                   ("...",), (".",), ("..",)])
def test_hidden_names(tree, names):
    with pytest.raises(Missing):
        read(Root(str(tree)), *names)
    assert read(Root(str(tree)), ".well-known", "b") == b".well-known"          # RFC 8615
    assert read(Root(str(tree)), ".git", "b", hidden=True) == b".git"


@pytest.mark.parametrize("target, leads", [
    ("b", b"."), ("a/b", b"a"), ("./a//deep/./b", b"a/deep"), ("a/deep/../b", b"a"), ("a/../a/deep/../../b", b"."),
    (".git/b", b".git"),
    ("/etc/passwd", None), ("{root}/b", None), ("{root}/../secret", None), ("../secret", None), ("../root/b", None),
    ("a/../../secret", None),
    ("a/deep/../../../secret", None), ("..", None), ("a/../..", None), ("none", None), ("link", None), ("", None),
])
def test_links(tree, target, leads):
    target = target.format(root=tree)
    if target:
        (tree / "link").symlink_to(target)
        (tree / "a" / "up").symlink_to("../link")
    root = Root(str(tree))
    for names in (("link",), ("a", "up")):
        if leads is None:
            with pytest.raises((Missing, Hidden)):
                read(root, *names)
        else:
            assert read(root, *names) == leads


def test_links_to_folders(tree):
    for name, target in (("in", "a/deep"), ("out", "../outside"), ("here", "."), ("up", "a/..")):
        (tree / name).symlink_to(target)
    root = Root(str(tree))
    assert read(root, "in", "b") == b"a/deep" and read(root, *["here"] * HOPS, "b") == b"." == read(root, "up", "b")
    for names in (("out", "b"), ("out",), ("here",) * (HOPS + 1), ("up", "out", "b")):
        with pytest.raises((Missing, Hidden)):
            read(root, *names)


def test_links_in_circles(tree):
    for name, target in (("x", "y"), ("y", "x"), ("self", "self"), ("grow", "grow/grow"), ("fold", "fold/../fold")):
        (tree / name).symlink_to(target)
    for name in ("x", "y", "self", "grow", "fold"):
        for names in ((name,), (name, "b")):
            with pytest.raises(Missing):
                read(Root(str(tree)), *names)


def test_a_chain_of_links_ends(tree):
    for number in range(HOPS + 1):
        (tree / f"link{number + 1}").symlink_to(f"link{number}")
    (tree / "link0").write_text("the end")
    assert read(Root(str(tree)), f"link{HOPS}") == b"the end"
    with pytest.raises(Missing):
        read(Root(str(tree)), f"link{HOPS + 1}")


def test_what_a_link_passes_is_not_certain(tree):
    (tree / "link").symlink_to("a/b")
    (tree / "folder").symlink_to("a")
    root = Root(str(tree))
    for names, certain in (((b"a", b"b"), True), ((b"link",), False), ((b"folder", b"b"), False),
                           ((b"a", b"deep"), True)):
        with root.find(names) as found:
            assert found.is_certain is certain
            if certain:
                assert found.where == b"/".join(names)


def test_what_is_no_file(tree):
    os.mkfifo(tree / "fifo")
    root = Root(str(tree))
    with root.find([b"fifo"]) as found, pytest.raises(Hidden):
        found.open()
    with root.find([]) as found:
        assert found.beside(b"fifo") is None and found.beside(b"none") is None and found.beside(b"a") is None
        assert found.beside(b"b").st_size == 1 and found.beside(b"x" * 300) is None
        with open(found.named(b"b", found.beside(b"b")).open(), "rb") as file:
            assert file.read() == b"."


def test_what_is_put_in_a_files_place_before_it_is_opened(tree):
    root = Root(str(tree))
    for place in ("fifo", "link", "folder", "nothing"):
        (tree / "x").write_text("a file")
        with root.find([b"x"]) as found:
            (tree / "x").unlink()
            {"fifo": lambda: os.mkfifo(tree / "x"), "link": lambda: (tree / "x").symlink_to("../secret"),
             "folder": (tree / "x").mkdir, "nothing": lambda: None}[place]()
            with pytest.raises((Hidden, Missing)):
                found.open()
        if place == "folder":
            (tree / "x").rmdir()
        else:
            (tree / "x").unlink(missing_ok=True)


def test_what_is_put_in_a_folders_place_while_it_is_held(tree):
    root = Root(str(tree))
    with root.find([b"a"]) as found:
        (tree / "a").rename(tree.parent / "moved")
        (tree / "a").symlink_to("../outside")
        with open(found.named(b"b", found.beside(b"b")).open(), "rb") as file:
            assert file.read() == b"a"


def test_entries(tree):
    (tree / "link").symlink_to("a/b")
    (tree / "to").symlink_to("a")
    os.mkfifo(tree / "fifo")
    with open(os.fsencode(tree) + b"/\xff", "w") as file:
        file.write("xyz")
    root = Root(str(tree))
    with root.find([]) as found:
        rows = {name: (is_folder, size if not is_folder else None) for name, is_folder, size, _ in root.entries(found)}
    assert rows == {"a": (True, None), "b": (False, 1), "link": (False, 1), "to": (True, None), "\udcff": (False, 3)}


def test_entries_tell_nothing_of_what_is_outside(tree):
    (tree / "out").symlink_to("../secret")
    (tree / "absolute").symlink_to("/etc/passwd")
    (tree / "folder").symlink_to("../outside")
    root = Root(str(tree))
    with root.find([]) as found:
        assert {name for name, *_ in root.entries(found)} == {"a", "b"}


def test_nothing_is_left_open(tree):
    (tree / "out").symlink_to("../secret")
    (tree / "in").symlink_to("a/deep/b")
    root = Root(str(tree))
    before = fds()
    for names in ([b"a", b"deep", b"b"], [b"a", b"none"], [b"out"], [b"in"], [b"a", b"b", b"c"], [], [b".x"],
                  [b"a", b"deep"]):
        for _ in range(3):
            try:
                with root.find(names) as found:
                    os.close(found.open())
            except (Missing, Hidden):
                continue
    assert fds() == before


def test_a_shortage_is_not_told_as_something_missing(tree):
    import resource
    root, limits = Root(str(tree)), resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (fds() + 20, limits[1]))
        with pytest.raises(OSError) as caught:
            while True:
                held.append(root.find([b"a", b"deep"]))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for one in held:
            one.__exit__()
    assert caught.value.errno == errno.EMFILE


# -- the root itself --

def test_a_root_that_is_replaced(tree, monkeypatch):
    monkeypatch.setattr(webtree, "LOOK", 0.0)
    current = tree.parent / "current"
    current.symlink_to("root")
    root = Root(str(current))
    assert read(root, "b") == b"."
    before = fds()
    (tree.parent / "next").symlink_to("outside")
    (tree.parent / "next").replace(current)
    assert read(root, "b") == OUTSIDE, "that is the root now"
    current.unlink()
    assert read(root, "b") == OUTSIDE, "until there is another"
    current.symlink_to("secret")
    assert read(root, "b") == OUTSIDE, "which is a folder"
    assert fds() == before


def test_what_can_be_no_root(tree):
    for path in (tree / "b", tree / "none"):
        with pytest.raises(OSError, match=str(path)):
            Root(str(path))


# -- while everything is moved --

@pytest.fixture
def restless():
    """Threads take turns often, so that each step of one is met by any of the other."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_nothing_leads_out_while_folders_become_links(tree, restless):
    """A folder is a link to the outside every other moment, and never is a file of the outside seen by it."""
    root, over, real = Root(str(tree)), threading.Event(), tree / "a"

    def swap():
        while not over.is_set():
            real.rename(tree / "kept")
            real.symlink_to("../outside")
            real.unlink()
            real.symlink_to(tree.parent / "outside")
            real.unlink()
            (tree / "kept").rename(real)

    swapper = threading.Thread(target=swap, daemon=True)
    before, seen = fds(), set()
    swapper.start()
    try:
        for number in range(100_000):
            if number > 5000 and {b"a", Missing} <= seen:
                break
            try:
                seen.add(read(root, "a", "b"))
            except (Missing, Hidden) as error:
                seen.add(type(error))
    finally:
        over.set()
        swapper.join(10)
    assert seen <= {b"a", Missing, Hidden} and b"a" in seen and fds() == before


def test_nothing_leads_out_while_files_become_links(tree, restless):
    root, over, count = Root(str(tree)), threading.Event(), 0

    def swap():
        while not over.is_set():
            for make in (lambda path: path.symlink_to("../secret"), lambda path: path.write_text("a file"), os.mkfifo):
                make(tree / "new")
                (tree / "new").replace(tree / "x")

    swapper = threading.Thread(target=swap, daemon=True)
    swapper.start()
    try:
        for number in range(100_000):
            if number > 5000 and count:
                break
            try:
                assert read(root, "x") in (b"", b"a file")
                count += 1
            except (Missing, Hidden):
                continue
    finally:
        over.set()
        swapper.join(10)
    assert count


@given(st.lists(st.sampled_from(["/", "a", "b", "deep", "..", ".", "%2e", "%2f", "%00", "%5c", "out", "up", "in",
                                 ".git", "%2e%2e", "secret",
                                 "etc/passwd", "root"]), max_size=12).map("".join))
def test_no_target_leads_out(tmp_path_factory, text):
    from daemons.wire.httpstatus import Refused
    tree = tmp_path_factory.getbasetemp() / "given"
    if not tree.exists():
        tree.mkdir()
        (tree / "secret").write_bytes(OUTSIDE)
        (tree / "root" / "a" / "deep").mkdir(parents=True)
        (tree / "root" / "a" / "b").write_text("within")
        (tree / "root" / "out").symlink_to("../secret")
        (tree / "root" / "up").symlink_to("..")
        (tree / "root" / "in").symlink_to("a/../a")
    try:
        names = [name for name in segments(f"/{text}") if name]
        assert read(Root(str(tree / "root")), *map(os.fsdecode, names)) == b"within"
    except (Refused, Missing, Hidden):
        return
