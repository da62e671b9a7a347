"""fd0 enable and fd0 disable on a machine that runs: real launchers, real callers, and nothing left afterwards."""

import os
import re

import pytest

from tests.install import trees
from tests.install.inside import Inside
from tests.live import machine
from tests.live.launchers import CACHE

OPENBSD = str(CACHE / "openbsd-inetd/usr/sbin/inetd")
OURS = "/usr/local/lib/fd0/inetd"


@pytest.fixture(scope="module")
def inside():
    """A machine with an installation."""
    with Inside() as one:
        one("make", "install", "PYTHON=/usr/bin/python3")
        yield one


@pytest.fixture
def etc(inside):
    """What /etc held before and must hold after."""
    before = trees.snapshot(f"{inside.root}/etc")
    yield before
    assert trees.snapshot(f"{inside.root}/etc") == before


def fd0(inside, *arguments):
    """(status, printed, complaint) of a command."""
    done = inside("fd0", *arguments, check=False)
    return done.returncode, done.stdout, done.stderr


def listens(inside, port):
    """Does anybody listen there?"""
    return bool(inside("ss", "-Hltn", f"sport = :{port}").stdout)


def is_gone(inside, port):
    machine.until(lambda: not listens(inside, port), what=f"end of port {port}")


def started(inside, *command):
    """Start a daemon that goes to the background by itself; its process id there."""
    machine.program(command[0], os.path.basename(command[0]))
    inside(*command)
    name = os.path.basename(command[0])
    machine.until(lambda: inside("pgrep", "-x", name, check=False).stdout, what=name)
    return inside("pgrep", "-x", name).stdout.strip()


@pytest.fixture
def xinetd(inside):
    """A running xinetd."""
    pid = started(inside, "xinetd", "-stayalive", "-pidfile", "/run/xinetd.pid")
    yield pid
    inside("kill", pid)
    machine.until(lambda: inside("pgrep", "-x", "xinetd", check=False).returncode, what="end of xinetd")


def test_xinetd_serves_what_is_enabled_until_it_is_disabled(inside, etc, xinetd):
    status, printed, complaint = fd0(inside, "enable", "echod", "--with=xinetd", "--set=most=3")
    assert (status, complaint) == (0, "")
    assert printed.splitlines() == [
        "echod under xinetd:", "  write /etc/fd0/echod.conf", "  write /etc/xinetd.d/fd0-echod",
        f"  have xinetd (process {xinetd}) read its files again",
        "try it:   echo hello | nc -N localhost 7", "try it:   echo hello | nc -u -w1 localhost 7",
        "its log:  grep 'echod\\[' /var/log/syslog", "undo:     fd0 disable echod"]
    inside.says("echo hello | nc -N localhost 7", "hel")
    inside.says("echo hello | nc -u -w1 localhost 7", "hello\n")
    assert inside("pgrep", "-u", "fd0", "-x", "echod").stdout, "it runs as the user fd0"
    assert fd0(inside, "disable", "echod")[::2] == (0, "")
    is_gone(inside, 7)


def test_an_enabled_port_is_named_to_whom_wants_it(inside, etc, xinetd):
    assert fd0(inside, "enable", "timed", "--with=xinetd")[0] == 0
    machine.until(lambda: listens(inside, 37), what="port 37")
    assert "port 37 is taken, by the service fd0-timed-stream in /etc/xinetd.d/fd0-timed:3" in \
        fd0(inside, "enable", "qotd", "--with=xinetd", "--port=37")[2]
    status, printed, complaint = fd0(inside, "enable", "qotd", "--with=inetd", "--port=37")
    assert (status, printed) == (100, "")
    assert complaint == (f"fd0 enable: tcp port 37 is taken, by xinetd (process {xinetd}); "
                         "end that, or choose another: --port=NUMBER\n")
    assert fd0(inside, "disable", "--all")[0] == 0
    is_gone(inside, 37)


@pytest.fixture
def conf(inside):
    """An /etc/inetd.conf as a package leaves it: without one the OpenBSD inetd ends at SIGHUP."""
    inside("sh", "-c", "echo '# none yet' > /etc/inetd.conf")
    yield
    inside("rm", "/etc/inetd.conf")


@pytest.mark.parametrize("inetd", [OURS, OPENBSD], ids=["ours", "openbsd"])
def test_inetd_serves_what_is_enabled_until_it_is_disabled(inside, conf, etc, inetd):
    if inetd == OPENBSD and not os.path.exists(OPENBSD):
        machine.unavailable("openbsd-inetd: run tests/live/fetch.sh")
    assert fd0(inside, "enable", "timed", "--with=inetd")[0] == 0
    inside("sh", "-c", f"{'setsid ' if inetd == OURS else ''}{inetd} /etc/inetd.conf </dev/null >/dev/null 2>&1 "
                       f"{'&' if inetd == OURS else ''}")
    machine.until(lambda: listens(inside, 37), what="port 37")
    try:
        status, printed, complaint = fd0(inside, "enable", "daytimed", "--with=inetd", "--listen=127.0.0.1:1313")
        assert (status, complaint) == (0, "")
        pid, = re.findall(r"have inetd \(process (\d+)\) read /etc/inetd.conf again", printed)
        machine.until(lambda: listens(inside, 1313), what="port 1313")
        assert re.match(r"\w+, \w+ \d+", inside("nc", "127.0.0.1", "1313").stdout)
        assert fd0(inside, "disable", "daytimed")[::2] == (0, "")
        is_gone(inside, 1313)
        assert listens(inside, 37)
    finally:
        assert fd0(inside, "disable", "--all")[0] == 0
        inside("kill", pid)
        is_gone(inside, 37)


def test_a_launcher_that_does_not_run_is_no_hindrance(inside, etc):
    for launcher, hint in (("xinetd", "xinetd does not run; to start it: /etc/init.d/xinetd start"),
                           ("inetd", f"inetd does not run; this one would do: {OURS} /etc/inetd.conf")):
        status, printed, _ = fd0(inside, "enable", "echod", f"--with={launcher}")
        assert status == 0 and f"  {hint}\n" in printed
        assert fd0(inside, "disable", "echod")[0] == 0


def test_what_the_program_itself_refuses_is_taken_back(inside, etc):
    status, _, complaint = fd0(inside, "enable", "fingerd", "--with=xinetd", "--set", "pages=/nonexistent")
    assert status == 100
    assert complaint == "fd0 enable: /etc/fd0/fingerd.conf:2: pages: /nonexistent: No such file or directory\n"
    inside("sh", "-c", "mkdir -m 700 /var/lib/secret && head -c 32 /dev/urandom > /var/lib/secret/key")
    status, _, complaint = fd0(inside, "enable", "identd", "--with=inetd", "--set", "reply=token",
                               "--set", "key-file=/var/lib/secret/key")
    assert status == 100
    assert complaint.endswith(": key-file: /var/lib/secret/key: Permission denied\n"), \
        "root could read it, and the user fd0 cannot"


def test_where_systemd_does_not_run_it_is_said(inside, etc):
    assert "systemd does not run this machine: --with=xinetd or inetd" in \
        fd0(inside, "enable", "echod", "--with=systemd")[2]


def test_only_root_may(inside, etc):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "fd0"]
    done = inside(*nobody, "enable", "echod", "--with=inetd", check=False)
    assert done.returncode == 100 and done.stderr.startswith("fd0 enable: only root may: sudo fd0 enable echod")
    done = inside(*nobody, "disable", "echod", check=False)
    assert (done.returncode, done.stderr) == (100, "fd0 disable: only root may: sudo fd0 disable echod\n")
    done = inside(*nobody, "enable", "echod", "--with=inetd", "--dry-run")
    assert "  would write /etc/inetd.conf\n" in done.stdout


def test_nothing_is_enabled_without_its_user(inside, etc):
    """As after an installation into a tree, on a machine where nobody has made the user."""
    with Inside() as other:
        other("make", "install", "PYTHON=/usr/bin/python3")
        other("userdel", "fd0")
        assert "there is no user fd0 here: sudo make install makes one" in \
            fd0(other, "enable", "echod", "--with=inetd")[2]
