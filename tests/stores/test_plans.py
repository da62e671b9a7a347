"""Users' files: only plain ones, of one name, their owner's, open to all - and no waiting for anything else."""

import os
import signal
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.stores import plans

ME = os.getuid()
MOST = 100


@pytest.fixture
def home(tmp_path):
    """A home with a plan; whoever waits in there for more than five seconds fails."""
    def too_long(number, frame):
        raise AssertionError("waited for a file")

    (tmp_path / ".plan").write_bytes(b"World domination.\n")
    (tmp_path / ".plan").chmod(0o644)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(5)
    yield tmp_path
    signal.alarm(0)


def plan_of(home, most=MOST):
    return plans.own(str(home), ".plan", ME, most)


def replaced(home):
    """The plan's path, free to put something else there."""
    (home / ".plan").unlink()
    return home / ".plan"


def test_a_plain_plan(home):
    assert plan_of(home) == b"World domination.\n"


def test_no_plan_and_no_home(home):
    replaced(home)
    assert plan_of(home) is None
    assert plan_of(home / "nowhere") is None
    assert plan_of("/dev/null") is None


def test_a_link_to_what_only_we_may_read(home):
    replaced(home).symlink_to("/etc/shadow")
    with pytest.raises(plans.Unsafe, match="not a plain file"):
        plan_of(home)


def test_a_link_to_what_all_may_read_is_one_too(home):
    (home / "other").write_text("x")
    replaced(home).symlink_to(home / "other")
    with pytest.raises(plans.Unsafe, match="not a plain file"):
        plan_of(home)


def test_a_second_name_for_a_file(home):
    (home / "other").write_text("x")
    (home / "other").chmod(0o644)
    os.link(home / "other", replaced(home))
    with pytest.raises(plans.Unsafe, match="a second name"):
        plan_of(home)
    (home / "other").unlink()
    assert plan_of(home) == b"x"


def test_a_pipe_that_nobody_fills(home):
    os.mkfifo(replaced(home))
    with pytest.raises(plans.Unsafe, match="not a plain file"):
        plan_of(home)


def test_a_pipe_put_there_as_we_look(home, monkeypatch):
    status = os.lstat(home / ".plan")
    os.mkfifo(replaced(home))
    monkeypatch.setattr(os, "lstat", lambda path: status)
    with pytest.raises(plans.Unsafe, match="not a plain file"):
        plan_of(home)


def test_a_link_put_there_as_we_look(home, monkeypatch):
    status = os.lstat(home / ".plan")
    replaced(home).symlink_to("/etc/passwd")
    monkeypatch.setattr(os, "lstat", lambda path: status)
    assert plan_of(home) is None


def test_a_socket_and_a_folder(home):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(replaced(home)))
        with pytest.raises(plans.Unsafe, match="not a plain file"):
            plan_of(home)
    replaced(home).mkdir()
    with pytest.raises(plans.Unsafe, match="not a plain file"):
        plan_of(home)


@pytest.mark.skipif(ME != 0, reason="only root makes devices")
def test_a_device_is_not_even_opened(home, monkeypatch):
    try:
        os.mknod(replaced(home), 0o644 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no devices in this container")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened it"))
    with pytest.raises(plans.Unsafe, match="not a plain file"):
        plan_of(home)


def test_somebody_elses_file(home):
    with pytest.raises(plans.Unsafe, match="somebody else"):
        plans.own(str(home), ".plan", ME + 1, MOST)


def test_a_private_file_is_private_whoever_we_are(home):
    (home / ".plan").chmod(0o640)
    with pytest.raises(plans.Unsafe, match="not for everybody"):
        plan_of(home)


@pytest.mark.parametrize("data, shown", [
    (b"x" * 100, b"x" * 100),
    (b"x" * 101, b"x" * 100),
    (b"a\n" * 51, b"a\n" * 50),
    (b"a\n" + b"x" * 200, b"a\n"),
    ("é".encode() * 60, "é".encode() * 49),
    (b"x" + "é".encode() * 60, b"x" + "é".encode() * 49),
])
def test_long_files_end_with_a_line_or_a_character(home, data, shown):
    (home / ".plan").write_bytes(data)
    assert plan_of(home) == shown


@given(st.binary(max_size=40), st.integers(1, 40))
def test_no_file_is_longer_than_it_may_be(data, most):
    assert len(plans._cut(data, most)) <= most
    assert data.startswith(plans._cut(data, most))


def test_nofinger(home):
    assert not plans.unlisted(str(home))
    (home / ".nofinger").symlink_to("/nowhere")
    assert plans.unlisted(str(home))


# -- scripts --

@pytest.mark.parametrize("mode, why", [(0o755, None), (0o644, "not executable"), (0o775, "written by others"),
                                       (0o757, "written by others"), (0o750, "not for everybody")])
def test_a_script_is_the_users_and_nobody_elses_to_write(home, mode, why):
    path = home / ".efingerd"
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    if why is None:
        assert plans.script(str(home), ".efingerd", ME) == str(path)
        return
    with pytest.raises(plans.Unsafe, match=why):
        plans.script(str(home), ".efingerd", ME)


def test_no_script_and_a_linked_one(home):
    assert plans.script(str(home), ".efingerd", ME) is None
    (home / ".efingerd").symlink_to("/bin/sh")
    with pytest.raises(plans.Unsafe, match="not a plain file"):
        plans.script(str(home), ".efingerd", ME)


# -- pages --

@pytest.mark.parametrize("name", ["", ".", "..", ".plan", "../.plan", "a/b", "/etc/passwd", "a\0b", "a\x1b", "\udcff",
                                  "x" * 256])
def test_what_is_no_name_of_a_page(home, name):
    assert not plans.is_name(name)
    assert plans.page(str(home), name, MOST) is None
    assert plans.page_script(str(home), name) is None


def test_a_page_may_be_a_link_and_is_a_file(home):
    (home / "motd").symlink_to(home / ".plan")
    assert plans.page(str(home), "motd", MOST) == b"World domination.\n"
    assert plans.page(str(home), "none", MOST) is None
    os.mkfifo(home / "pipe")
    assert plans.page(str(home), "pipe", MOST) is None
    assert plans.page("/dev", "zero", MOST) is None
    assert plans.page("/", "etc", MOST) is None


def test_page_scripts(home):
    page = home / "date"
    page.write_text("#!/bin/date\n")
    page.chmod(0o644)
    assert plans.page_script(str(home), "date") is None
    page.chmod(0o755)
    assert plans.page_script(str(home), "date") == str(page)
    page.chmod(0o777)
    with pytest.raises(plans.Unsafe, match="written by others"):
        plans.page_script(str(home), "date")


# -- aliases --

def test_aliases(tmp_path):
    file = tmp_path / "aliases"
    file.write_text("# of this house\n\nwebmaster : alice   # for now\nhours:/srv/hours\n")
    assert plans.aliases(str(file)) == {"webmaster": "alice", "hours": "/srv/hours"}


@pytest.mark.parametrize("line", ["webmaster alice", "webmaster:", ": alice", ":"])
def test_aliases_that_are_none(tmp_path, line):
    file = tmp_path / "aliases"
    file.write_text(f"a: b\n{line}\n")
    with pytest.raises(ValueError, match="aliases:2: not of the form"):
        plans.aliases(str(file))


def test_reading_does_not_hold_up_a_writer(home):
    """A pipe of ours is never opened for reading: nobody who waits to write into it is let go on."""
    path = replaced(home)
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: os.close(os.open(path, os.O_WRONLY)), daemon=True)
    writer.start()
    with pytest.raises(plans.Unsafe):
        plan_of(home)
    writer.join(0.05)
    assert writer.is_alive()
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    writer.join(5)
    assert not writer.is_alive()
