"""A log file of a service's own."""

import os
import re

import pytest

from daemons.kernel.logfile import LogFile


@pytest.fixture
def said():
    return []


def test_lines_are_appended_with_their_time(tmp_path, said):
    path = tmp_path / "log"
    path.write_text("before\n")
    one = LogFile(str(path), None, None, said.append)
    assert one.take("START service=a") and one.take("EXIT service=a\udcff")
    lines = path.read_text().splitlines()
    assert lines[0] == "before" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} START service=a", lines[1])
    assert lines[2].endswith("EXIT service=a\\udcff") and said == []
    assert one.fd >= 10                 # where no server's descriptors are


def test_a_new_file_is_not_for_everybody(tmp_path, said):
    assert LogFile(str(tmp_path / "log"), None, None, said.append).take("x")
    assert os.stat(tmp_path / "log").st_mode & 0o027 == 0


def test_the_soft_limit_is_said_once_and_the_hard_one_is_kept(tmp_path, said):
    path = tmp_path / "log"
    one = LogFile(str(path), 60, 120, said.append)
    assert all(one.take("x" * 20) for _ in range(9))
    assert path.stat().st_size <= 120 and len(path.read_text().splitlines()) == 2
    assert said == [f"{path} has more than 60 octets",
                    f"{path} has reached its limit of 120 octets: nothing more is logged there"]
    os.truncate(path, 0)                # somebody has made room
    assert one.take("again") and path.read_text().endswith("again\n")


@pytest.mark.parametrize("make, why", [
    (lambda path: path.symlink_to("/dev/null"), "Too many levels of symbolic links"),
    (lambda path: path.mkdir(), "Is a directory"),
    (os.mkfifo, "No such device or address")])
def test_what_cannot_be_written_is_said_once_and_logged_elsewhere(tmp_path, said, make, why):
    path = tmp_path / "log"
    make(path)
    one = LogFile(str(path), None, None, said.append)
    assert [one.take("x"), one.take("y")] == [False, False]
    assert said == [f"{path}: {why}: logging to syslog"]
