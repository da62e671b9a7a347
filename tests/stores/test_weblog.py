"""The log of requests: lines are whole, whoever writes them, whatever is moved away, however full the disk is."""

import contextlib
import errno
import os
import subprocess
import sys
import threading
import time

import pytest

from daemons.stores import weblog
from daemons.stores.weblog import WebLog
from daemons.tools.stubs import CHECKOUT
from tests.live import machine


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "access.log")


def all_lines(path):
    """Those of the log and of all that it was moved to, in no order."""
    folder = os.path.dirname(path)
    return sorted(line for name in os.listdir(folder) for line in lines(f"{folder}/{name}"))


def lines(path):
    with open(path, encoding="ascii") as file:
        text = file.read()
    assert text.endswith("\n") or not text
    return text.split("\n")[:-1]


def test_lines_are_appended(path):
    with open(path, "w") as file:
        file.write("before\n")
    log = WebLog(path)
    log.write("one")
    log.write("two")
    assert lines(path) == ["before", "one", "two"]


def test_it_is_not_for_everybody(path):
    WebLog(path)
    assert os.stat(path).st_mode & 0o007 == 0


def test_what_is_not_ascii_is_escaped(path):
    WebLog(path).write("caf\u00e9 \udcff \u2028")
    assert lines(path) == [r"caf\xe9 \udcff \u2028"]


@pytest.mark.parametrize("kind", ["folder", "fifo", "link", "socket"])
def test_what_is_no_file_is_refused(path, tmp_path, kind):
    if kind == "folder":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o140600)
    else:
        (tmp_path / "target").touch()
        os.symlink(tmp_path / "target", path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"access\.log"):
        WebLog(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_moved_away_it_is_begun_anew(path, monkeypatch):
    monkeypatch.setattr(weblog, "LOOK", 0.0)
    log = WebLog(path)
    log.write("one")
    os.rename(path, f"{path}.1")
    log.write("two")
    os.unlink(path)
    log.write("three")
    os.replace(f"{path}.1", path)
    log.write("four")
    assert lines(path) == ["one", "four"]


def test_it_is_looked_at_now_and_then(path):
    log = WebLog(path)
    os.rename(path, f"{path}.1")
    log.write("one")
    assert lines(f"{path}.1") == ["one"] and not os.path.exists(path)


def test_truncated_it_goes_on_at_its_new_end(path):
    log = WebLog(path)
    log.write("one")
    os.truncate(path, 0)                # logrotate's copytruncate
    log.write("two")
    assert lines(path) == ["two"]


@pytest.mark.parametrize("place", ["fifo", "link", "folder", "no folder"])
def test_where_it_cannot_be_begun_anew_nothing_is_lost(path, tmp_path, monkeypatch, place):
    """The file that is open is still there to be written: who put something else in its place may have it repaired."""
    monkeypatch.setattr(weblog, "LOOK", 0.0)
    folder = tmp_path / "log"
    folder.mkdir()
    path = str(folder / "access.log")
    log = WebLog(path)
    log.write("one")
    moved = str(tmp_path / "moved")
    os.rename(path, moved)
    if place == "fifo":
        os.mkfifo(path)
    elif place == "link":
        os.symlink("/dev/null", path)
    elif place == "folder":
        os.mkdir(path)
    else:
        folder.rmdir()
    told = []
    for word in ("two", "three"):
        try:
            log.write(word)
        except OSError as error:
            told.append(error)
    assert lines(moved) == ["one", "two", "three"]


WRITER = """
import sys
from daemons.stores import weblog
weblog.LOOK = 0.0
log = weblog.WebLog(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    log.write(f"{sys.argv[2]} {number} " + "x" * (number % 700))
"""
COUNT = 1500


def test_several_processes_share_it_while_it_is_moved_away(path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number), str(COUNT)], cwd=CHECKOUT, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for number in range(4)]
    try:
        for one in writers:
            assert one.stdout.readline() == "ready\n"
        for one in writers:
            one.stdin.write("go\n")
            one.stdin.flush()
        moved = 0
        while any(one.poll() is None for one in writers):
            with contextlib.suppress(FileNotFoundError):        # nobody has written since
                os.rename(path, f"{path}.{moved}")
                moved += 1
    finally:
        for one in writers:
            one.kill()
            one.communicate()
    assert [one.returncode for one in writers] == [0] * 4
    wanted = [f"{writer} {number} " + "x" * (number % 700) for writer in range(4) for number in range(COUNT)]
    assert all_lines(path) == sorted(wanted)
    assert moved


def test_several_threads_share_it(path, monkeypatch):
    monkeypatch.setattr(weblog, "LOOK", 0.0)
    log, before = WebLog(path), len(os.listdir("/proc/self/fd"))

    def write(name):
        for number in range(300):
            log.write(f"{name} {number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for one in threads:
        one.start()
    moved = 0
    while any(one.is_alive() for one in threads):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, f"{path}.{moved}")
            moved += 1
    for one in threads:
        one.join()
    assert all_lines(path) == sorted(f"{name} {number}" for name in "abcd" for number in range(300))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 32 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o size=32k none {folder} 2>/dev/null"):
        machine.unavailable("mounting needs root")
    yield folder
    os.system(f"umount -l {folder}")


def test_on_a_full_disk_lines_are_lost_as_a_whole(small_disk):
    """What did not fit is lost, and told so; what comes when there is room again is no continuation of it."""
    path = str(small_disk / "access.log")
    log, kept = WebLog(path), []
    (small_disk / "filler").write_bytes(b"x" * 8192)
    with pytest.raises(OSError) as caught:
        for number in range(1000):
            line = f"{number} " + "y" * 997
            log.write(line)
            kept.append(line)
    assert caught.value.errno == errno.ENOSPC
    (small_disk / "filler").unlink()
    log.write("room again")
    found = lines(path)
    assert found[:len(kept)] == kept and "room again" in found, "a line that was cut short ends where it is cut"
    assert len(found) <= len(kept) + 2


def test_the_local_clocks_offset(path, monkeypatch):
    log = WebLog(path)
    for zone, winter, summer in (("UTC", 0, 0), ("CET-1CEST,M3.5.0,M10.5.0/3", 3600, 7200),
                                 ("XXX3:30", -12600, -12600)):
        with monkeypatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            log._seconds = -1
            assert (log.offset(1_700_000_000.5), log.offset(1_720_000_000)) == (winter, summer)
            # 2023-10-29: summer time ends at 01:00 UTC
            assert (log.offset(1_698_541_199), log.offset(1_698_541_200)) == (summer, winter)
    time.tzset()
