"""hosts.allow and hosts.deny on disk."""

import os

import pytest

from daemons.stores import hostsfiles
from daemons.stores.hostsfiles import HostsFiles, patterns
from daemons.wire.hostsaccess import UNKNOWN, Caller


@pytest.fixture
def files(tmp_path):
    return HostsFiles(str(tmp_path / "allow"), str(tmp_path / "deny"), look=0)


def who():
    return Caller("cat", "192.0.2.7", "", name=lambda: UNKNOWN, user=lambda: UNKNOWN, patterns=patterns)


def test_files_that_are_not_there_or_say_nothing_keep_nobody_out(files, tmp_path):
    assert files.are_empty() and files.why_not(who()) == ""
    (tmp_path / "deny").write_text("# nothing\n")
    assert files.are_empty() and files.why_not(who()) == ""


def test_a_change_is_seen_and_so_is_the_end_of_a_file(files, tmp_path):
    assert files.are_empty()
    (tmp_path / "deny").write_text("ALL: ALL\n")
    assert not files.are_empty() and files.why_not(who()) == "hosts.deny:1"
    (tmp_path / "allow").write_text("cat: 192.0.2.7\n")
    assert files.why_not(who()) == ""
    os.unlink(tmp_path / "allow")
    assert files.why_not(who()) == "hosts.deny:1"
    os.unlink(tmp_path / "deny")
    assert files.are_empty()


def test_the_files_are_looked_at_now_and_then(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(hostsfiles.time, "monotonic", lambda: now[0])
    files = HostsFiles(str(tmp_path / "allow"), str(tmp_path / "deny"))
    assert files.are_empty()
    (tmp_path / "deny").write_text("ALL: ALL\n")
    now[0] = 100.9
    assert files.are_empty()
    now[0] = 101.0
    assert not files.are_empty()


def test_a_file_that_cannot_be_read_keeps_everybody_out(files, tmp_path):
    (tmp_path / "deny").mkdir()
    assert files.why_not(who()) == "hosts.deny:0: cannot be read: Is a directory"


def test_a_rule_may_name_a_file_of_patterns(files, tmp_path):
    (tmp_path / "foes").write_text("# foes\n198.51.100.1\n192.0.2.\n")
    (tmp_path / "deny").write_text(f"ALL: {tmp_path}/foes\n")
    assert files.why_not(who()) == "hosts.deny:1"
    (tmp_path / "deny").write_text(f"ALL: {tmp_path}/nobody\n")
    assert files.why_not(who()) == "hosts.deny:1: No such file or directory"
