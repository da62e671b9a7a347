"""The end of a file that grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.stores.lastlines import last_lines


@pytest.mark.parametrize("text, most, lines", [
    (b"", 10, []), (b"a\nb\n", 100, ["a", "b"]), (b"a\nb\nhalf", 100, ["a", "b"]), (b"aaaa\nbb\ncc\n", 6, ["bb", "cc"]),
    (b"aaaa\nbb\ncc\n", 7, ["bb", "cc"]), (b"aaaa\nbb\ncc\n", 5, ["cc"]), (b"\xff\n", 10, ["\ufffd"]),
    (b"x" * 50, 10, [])])
def test_whole_lines_alone(tmp_path, text, most, lines):
    (tmp_path / "log").write_bytes(text)
    assert last_lines(str(tmp_path / "log"), most) == lines


@given(st.lists(st.text("abc", max_size=5)), st.integers(1, 40))
def test_as_many_as_fit(tmp_path_factory, lines, most):
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_text("".join(f"{line}\n" for line in lines))
    found = last_lines(str(path), most)
    assert found == lines[len(lines) - len(found):] and sum(len(line) + 1 for line in found) <= most
    rest = lines[:len(lines) - len(found)]
    assert not rest or sum(len(line) + 1 for line in found) + len(rest[-1]) + 1 > most


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        last_lines(str(tmp_path / "log"))
