"""The state as a file that is nobody else's."""

import os

import pytest

from daemons.kernel import state


def test_a_file_is_ours_alone_and_written_anew(tmp_path):
    path = tmp_path / "dump"
    path.write_text("old and longer than the new one")
    path.chmod(0o644)
    state.write(str(path), ["new", "lines\udcff"])
    assert path.read_text() == "new\nlines\\udcff\n" and path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("make", [lambda path, other: path.symlink_to(other), lambda path, other: os.link(other, path),
                                  lambda path, other: path.mkdir(), lambda path, other: os.mkfifo(path)])
def test_what_somebody_put_there_is_not_written(tmp_path, make):
    other = tmp_path / "other"
    other.write_text("precious")
    make(tmp_path / "dump", other)
    with pytest.raises(OSError):
        state.write(str(tmp_path / "dump"), ["new"])
    assert other.read_text() == "precious"
