"""What the kernel tells in files, read from files that look like its own."""

import os

import pytest

from daemons.stores import machinefacts

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
  +-- 127.0.0.0/8 2 0 2
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 198.51.100.9
        /32 host LOCAL
"""
INET6 = """fe8000000000000000fc00fffe000001 04 40 20 80     eth0
20010db8000000000000000000000002 04 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo

"""


@pytest.fixture
def proc(tmp_path):
    """A /proc with these files in it."""
    (tmp_path / "self" / "net").mkdir(parents=True)
    (tmp_path / "self" / "net" / "fib_trie").write_text(TRIE)
    (tmp_path / "self" / "net" / "if_inet6").write_text(INET6)
    (tmp_path / "loadavg").write_text("0.20 0.18 1.12 1/80 11206\n")
    (tmp_path / "meminfo").write_text("MemTotal: 16384000 kB\nMemAvailable:    8192 kB\nHugePages_Total: 0\nOdd:\n")
    return tmp_path


def test_load_and_memory(proc):
    assert machinefacts.load(str(proc)) == [0.2, 0.18, 1.12]
    assert machinefacts.memory(str(proc)) == {"MemTotal": 16384000, "MemAvailable": 8192, "HugePages_Total": 0}


def test_own_addresses(proc):
    assert machinefacts.addresses(f"{proc}/self/net") == [
        "192.0.2.2", "198.51.100.9", "fe80::fc:ff:fe00:1%eth0", "2001:db8::2"]
    (proc / "self" / "net" / "if_inet6").unlink()
    assert machinefacts.addresses(f"{proc}/self/net") == ["192.0.2.2", "198.51.100.9"]


def test_mounts_are_disks_once_each(proc):
    other = next(path for path in ("/dev/shm", "/proc", "/sys") if os.stat(path).st_dev != os.stat("/").st_dev)
    inside = proc / "a b"
    inside.mkdir()
    told = str(inside).replace(" ", "\\040")
    (proc / "self" / "mounts").write_text(
        f"/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 {other} ext4 rw 0 0\n/dev/sdb1 {other} ext4 rw 0 0\n"
        "proc /proc proc rw 0 0\n"
        f"/dev/sdc1 /nowhere/at/all ext4 rw 0 0\n/dev/sda1 {told} ext4 rw 0 0\nnfs:/x /srv nfs rw 0 0\n")
    assert machinefacts.mounts(str(proc))[:2] == ["/", other]
    assert set(machinefacts.mounts(str(proc))) <= {"/", other, str(inside)}


def test_what_is_hidden_is_an_error_or_nothing(tmp_path):
    for question in (machinefacts.load, machinefacts.memory, machinefacts.mounts):
        with pytest.raises(OSError):
            question(str(tmp_path))
    assert machinefacts.addresses(f"{tmp_path}/self/net") == []


def test_the_kernels_own_files():
    assert machinefacts.memory()["MemTotal"] > 0 and machinefacts.mounts()[0] == "/" and len(machinefacts.load()) == 3
