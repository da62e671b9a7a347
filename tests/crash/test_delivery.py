"""Deliveries that are killed, or fail, at every call of the kernel: whole messages or none, and all that were told."""

import errno
import os
import re
import subprocess
import sys

import pytest

from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder
from tests import sources
from tests.crash.delivering import message
from tests.live import machine

CALLS = "openat,write,fsync,link,rename,unlink,utimensat"
TRACED = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$")
PYTHON = [sys.executable, "-m"]


def deliver(folders, first=0, count=1, prefix=()):
    """Run the program; returns its exit status and what it has told."""
    command = [*prefix, *PYTHON, "tests.crash.delivering", str(first), str(count), *map(str, folders)]
    done = subprocess.run(command, cwd=sources.ROOT, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [line.split(maxsplit=2) for line in done.stdout.splitlines()]


def strace(*options):
    return [machine.program("strace", "strace"), "-f", "-qq", "-e", f"trace={CALLS}", *options]


def injected(what):
    return strace("-o", "/dev/null", "-e", f"inject={what}")


def made(folders):
    for path in folders:
        with Folder(str(path)) as folder:
            folder.create()
        (path / "maildirsize").write_bytes(b"100000000S,9000C\n0 0\n")
    return folders


def steps(tmp_path):
    """(call, when, about) of all that one delivery into two folders does: how many of its kind, with which values."""
    folders, trace = made([tmp_path / "traced" / "a", tmp_path / "traced" / "b"]), tmp_path / "trace"
    deliver(folders)                    # what Python compiles is compiled now
    deliver(folders, prefix=strace("-o", str(trace)))
    counts, found, ours = {}, [], False
    for line in trace.read_text().splitlines():
        call, rest = TRACED.match(line).groups() if TRACED.match(line) else ("", "")
        counts[call] = counts.get(call, 0) + 1
        ours = ours or str(folders[0]) in rest
        if ours and call:
            found.append((call, counts[call], rest))
    return [one for one in found if not (one[0] == "write" and one[2].startswith("1,"))]


def files(folder):
    """{name: octets} of what a reader sees, and the names of what lies in tmp/."""
    seen = {}
    for place in ("new", "cur"):
        for name in os.listdir(folder / place):
            seen[name] = (folder / place / name).read_bytes()
    return seen, os.listdir(folder / "tmp")


def judge(folders, told, counts):
    """Whole messages alone are seen, and all that were told; `counts` are how many there may be in all."""
    whole = {message(n).replace(b"\r\n", b"\n") for n in range(2)}
    seen_at_all = 0
    for path in folders:
        seen, _ = files(path)
        assert set(seen.values()) <= whole
        names = {what for where, _, what in told if where == path.name and not what.startswith("failed")}
        assert names <= seen.keys()
        seen_at_all += len(seen)
    assert seen_at_all in counts


# ------------------------------------------------------------------ what is done

def test_the_order_of_steps(tmp_path):
    """The file is on the disk before it has a name that is seen, and that name before it is told."""
    found, known = [], {}
    for call, _, rest in steps(tmp_path):
        about = re.search(r'([ab])/(tmp|new|maildirsize)', rest)
        if call == "openat":
            known[rest.rpartition("= ")[2]] = "/".join(about.groups())
        else:
            found.append((call, "/".join(about.groups()) if about else known[rest.partition(",")[0].partition(")")[0]]))
    assert found == [("write", "a/tmp"), ("write", "a/tmp"), ("fsync", "a/tmp"),
                     ("link", "a/tmp"), ("fsync", "a/new"), ("write", "a/maildirsize"),
                     ("link", "a/tmp"), ("fsync", "b/new"), ("write", "b/maildirsize"), ("unlink", "a/tmp")]


# ------------------------------------------------------------------ killed

def test_killed_at_every_step(tmp_path):
    """What was not told may be there, as a whole: whoever kills us between the last step and the telling."""
    for number, (call, when, _) in enumerate(steps(tmp_path)):
        folders = made([tmp_path / f"{number}" / "a", tmp_path / f"{number}" / "b"])
        status, told = deliver(folders, prefix=injected(f"{call}:signal=KILL:when={when}"))
        assert status == -9, (call, when)
        judge(folders, told, range(len(told), len(told) + 2))
        for path in folders:
            with Folder(str(path)) as folder:
                assert len(folder.messages()) == len(files(path)[0])
        status, told = deliver(folders, first=1)
        assert (status, [what.startswith("failed") for _, _, what in told]) == (0, [False, False])


# ------------------------------------------------------------------ errors

@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_errors_at_every_step(tmp_path, error):
    """An error is told and leaves nothing; only a rest below tmp/ that could not be removed is no failure."""
    for number, (call, when, _) in enumerate(steps(tmp_path)):
        folders = made([tmp_path / f"{number}" / "a", tmp_path / f"{number}" / "b"])
        status, told = deliver(folders, prefix=injected(f"{call}:error={error}:when={when}"))
        assert status == 0, (call, when)
        kept = [what for _, _, what in told if not what.startswith("failed")]
        judge(folders, told, [len(kept)])
        failed = [what for _, _, what in told if what.startswith("failed")]
        assert failed in ([], [f"failed {getattr(errno, error)}"]) and len(kept) + 2 * len(failed) >= 2, (call, when)
        assert call == "unlink" or [files(path)[1] for path in folders] == [[], []], (call, when)
        for path in folders:
            sizes = [len(octets) for octets in files(path)[0].values()]
            with Folder(str(path)) as folder:
                assert folder.quota.usage() == (sum(sizes), len(sizes)), (call, when)


@pytest.fixture
def small(tmp_path):
    """A disk of 256 KiB, for whoever may mount one."""
    path = tmp_path / "small"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk of our own: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk(small):
    """What has no room is refused as a whole, what fits is taken, what is there can be read and removed."""
    with Folder(str(small / "box")) as folder:
        folder.create()
        status, told = deliver([small / "box"], first=0, count=9)
        kept = {what for _, _, what in told if not what.startswith("failed")}
        assert status == 0 and f"failed {errno.ENOSPC}" in {what for _, _, what in told}
        seen, rest = files(small / "box")
        assert seen.keys() == kept and rest == [] and len(kept) >= 4
        fill = small / "fill"
        with open(fill, "wb", buffering=0) as file, pytest.raises(OSError):
            while file.write(bytes(512)):
                continue
        messages = folder.messages()
        folder.measure(messages)
        assert len(messages) == len(kept) and folder.index.trouble
        assert [message.uid for message in messages] == [0] * len(kept)
        assert folder.remove(messages) == [] and files(small / "box") == ({}, [])
        os.unlink(fill)
    with Folder(str(small / "box")) as folder:
        with Delivery(folder) as delivery:
            delivery.write(b"a\r\n")
            delivery.keep()
        assert [message.uid for message in folder.messages()] == [1] and not folder.index.trouble


# ------------------------------------------------------------------ many at once

def test_all_readers_see_all_that_was_delivered_meanwhile(tmp_path):
    """Four deliver a thousand messages as fast as they can, while three list, move and flag them."""
    (path,) = made([tmp_path / "box"])
    readers = [subprocess.Popen([*PYTHON, "tests.crash.reading", path, flag], cwd=sources.ROOT, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for flag in "SFR"]
    writers = [subprocess.Popen([*PYTHON, "tests.crash.delivering", str(first), "250", path], cwd=sources.ROOT,
                                stdout=subprocess.PIPE, text=True) for first in (0, 250, 500, 750)]
    told = "".join(writer.communicate(timeout=60)[0] for writer in writers).splitlines()
    assert len(told) == 1000 and not [line for line in told if "failed" in line]
    outcome = [reader.communicate(timeout=60)[0].split() for reader in readers]
    assert outcome == [["1000", "1000", "0", "0"]] * 3
    with Folder(str(path)) as folder:
        messages = folder.messages()
        assert [message.uid for message in messages] == list(range(1, 1001))
        assert {message.key for message in messages} == {line.split()[2].partition(",")[0].encode() for line in told}
        for each in messages:
            assert message(int(b"".join(folder.octets(each)).split()[1])) == b"".join(folder.octets(each))
