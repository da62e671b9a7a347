"""fd0 limits: the table as an administrator sees it, and forgiveness."""

import os
import re
import subprocess
import sys

import pytest

from daemons.kernel import limits
from daemons.kernel.limitsreport import counted_as
from daemons.tools.limits import duration
from tests.kernel.holders import Holder
from tests.live.launchers import ROOT


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "limits")


def fd0(*arguments):
    """(exit status, lines, complaint) of the command."""
    done = subprocess.run([sys.executable, "-m", "daemons.tools", "limits", *arguments], cwd=ROOT, text=True,
                          capture_output=True, timeout=30)
    return done.returncode, done.stdout.splitlines(), done.stderr.strip()


@pytest.fixture
def busy(path):
    """A table in which something is going on, by the machine's own clock."""
    import time
    now = time.monotonic()
    with Holder(path, "mail", per_source=2) as mail, Holder(path, "web", most=3) as web:
        for holder in (mail, mail, mail, web):
            holder.enter("192.0.2.7", now=now)
        web.enter("2001:db8::/64", now=now)
        mail.tell("failed", "2001:db8::/64", "user", "one", now=now)
        mail.tell("failed", "2001:db8::/64", "user", "two", now=now)
        yield path


def test_it_shows_who_is_here_who_failed_and_who_was_refused(busy):
    status, lines, complaint = fd0(f"--table={busy}")
    assert (status, complaint) == (0, "")
    rows = [re.split(r"  +", line) for line in lines]
    assert rows[0] == ["GROUP", "SOURCE", "NOW", "ALLOWED", "LOGINS WAIT", "REFUSED"]
    assert rows[1][:5] == ["mail", "192.0.2.7", "2", "2", "-"] and re.fullmatch(r"\d+s ago", rows[1][5])
    assert rows[2][:4] == ["mail", "2001:db8::/64", "0", "-"] and rows[2][5] == "-"
    assert re.fullmatch(r"4s, forgotten in (1m|2m)", rows[2][4])
    assert [row[:4] for row in rows[3:]] == [["web", "all", "2", "3"], ["web", "192.0.2.7", "1", "-"],
                                             ["web", "2001:db8::/64", "1", "-"]]


@pytest.mark.parametrize("asked, sources", [("192.0.2.7", {"192.0.2.7"}), ("2001:db8::9", {"2001:db8::/64"}),
                                            ("2001:db8::/64", {"2001:db8::/64"}), ("all", {"all"})])
def test_it_shows_one(busy, asked, sources):
    _, lines, _ = fd0(f"--table={busy}", asked)
    assert {line.split()[1] for line in lines[1:]} == sources
    assert {one.source for one in limits.report(busy, asked)} == sources


def test_it_forgives(busy):
    assert fd0(f"--table={busy}", "--forgive=2001:db8::7") == (0, ["2001:db8::/64: forgiven by mail"], "")
    assert fd0(f"--table={busy}", "--forgive=2001:db8::7") == (0, ["2001:db8::/64: there was nothing to forgive"], "")
    one, two = limits.report(busy, "2001:db8::7")
    assert (one.group, one.penalty, one.left, one.now, two.now) == ("mail", 0, 0, 0, 1)


def test_report_is_data(busy):
    one = limits.report(busy, "192.0.2.7")[0]
    assert (one.group, one.source, one.now, one.allowed, one.penalty) == ("mail", "192.0.2.7", 2, 2, 0)
    assert 0 <= one.refused < 60
    assert limits.report(busy, "198.51.100.1") == []


def test_where_nobody_counts_nothing_is_made(path):
    assert fd0(f"--table={path}") == (0, [f"nobody is known in {path}"], "")
    assert fd0(f"--table={path}", "192.0.2.1") == (0, [f"192.0.2.1 is not known in {path}"], "")
    assert fd0(f"--table={path}", "--forgive=192.0.2.1")[1] == ["192.0.2.1: there was nothing to forgive"]
    assert not os.path.exists(path)


def test_what_is_wrong_is_told_in_a_line(path):
    os.symlink("/etc/passwd", path)
    assert fd0(f"--table={path}") == (100, [], f"fd0 limits: {path}: is a symbolic link, which may lead anywhere; "
                                               "remove it")
    status, _, complaint = fd0("--forgive=example.org")
    assert status == 100 and complaint.startswith("fd0 limits: argument --forgive: not an address: 'example.org'")


def test_a_name_is_no_address():
    for text in ("example.org", "192.0.2", "2001:db8::/48", "1.2.3.4/32", ""):
        with pytest.raises(ValueError, match="not an address"):
            counted_as(text)
    assert counted_as("unix:uid=7") == "unix:uid=7"


@pytest.mark.parametrize("seconds, said", [(0.4, "0s"), (59.9, "59s"), (60, "1m"), (7300, "2h"), (200000, "2d")])
def test_times_are_short(seconds, said):
    assert duration(seconds) == said
