"""A mail while it comes in: the same octets come out, and no file is left or named."""

import os

import pytest

from daemons.stores import mailspool
from daemons.stores.mailspool import IN_MEMORY, Spool


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY, IN_MEMORY + 1, IN_MEMORY * 3 + 7])
@pytest.mark.parametrize("nameless", [True, False])
def test_what_goes_in_comes_out(tmp_path, monkeypatch, size, nameless):
    if not nameless:                    # a file system that has none
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    data = os.urandom(size)
    before = len(os.listdir("/proc/self/fd"))
    spool = Spool(f"{tmp_path}/made")
    for start in range(0, size, 50_000):
        spool.write(data[start:start + 50_000])
    assert spool.size == size
    assert b"".join(spool.pieces()) == data and b"".join(spool.pieces(1000)) == data[1000:]
    assert os.path.isdir(f"{tmp_path}/made") == (size > IN_MEMORY)
    assert not os.path.isdir(f"{tmp_path}/made") or os.listdir(f"{tmp_path}/made") == []
    spool.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory_is_bounded(tmp_path):
    spool = Spool(str(tmp_path))
    for _ in range(200):
        spool.write(bytes(50_000))
    assert len(spool._memory) <= mailspool.PIECE
    spool.close()
