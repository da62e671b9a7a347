"""What a server of our inetd sees: descriptors, signals, limits, environment, user."""

import os
import re
import subprocess

import pytest

from tests.live import clients, inetds, machine
from tests.live.inetds import (
    HOST,
    SYSTEM_PYTHON,
    Inetd,
    asked,
    service,
)
from tests.live.launchers import ROOT

address = other = third = inetds.address        # fixtures
folder, python = inetds.folder, inetds.python


# ------------------------------------------------------------------ what a server sees

def test_a_server_has_its_socket_and_nothing_else_open(address):
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    with Inetd(service("ls", address, "/bin/ls", "-l", "/proc/self/fd"), pass_fds=[reader, writer],
               stderr=subprocess.PIPE):
        files = dict(re.findall(r" (\d+) -> (.*)", asked(address)))
    listing = files.pop(max(files))     # where ls reads
    assert list(files) == ["0", "1", "2"] and len(set(files.values())) == 1 and "socket:" in files["0"]
    assert listing.startswith("/proc/")
    os.close(reader)
    os.close(writer)


def test_a_server_begins_with_clean_signals_in_a_session_of_its_own(address, other, third):
    text = (service("status", address, "/bin/cat", "/proc/self/status") + service("stat", other, "/bin/cat",
            "/proc/self/stat") + service("cwd", third, "/bin/readlink", "/proc/self/cwd"))
    ignoring = ["sh", "-c", "trap '' HUP QUIT USR1 PIPE; exec \"$@\"", "sh"]
    with Inetd(text, prefix=["env", "--block-signal=USR2,TERM", *ignoring]):
        status = dict(re.findall(r"(\w+):\t(.*)", asked(address)))
        libcs_own = 1 << 31 | 1 << 32       # 32 and 33, which sigaction(2) through libc cannot reach
        assert [int(status[name], 16) & ~libcs_own for name in ("SigIgn", "SigBlk", "SigCgt")] == [0, 0, 0]
        pid, _, _, _, group, session, *_ = asked(other).split()
        assert pid == group == session
        assert asked(third) == "/\n"


@pytest.mark.parametrize("ours, attributes, seen", [
    ("000", {}, "0022"), ("077", {}, "0077"), ("077", {"umask": "013"}, "0013")])
def test_the_umask_is_the_files_own_or_lets_nobody_else_write(address, ours, attributes, seen):
    text = service("status", address, "/bin/cat", "/proc/self/status", **attributes)
    with Inetd(text, umask=int(ours, 8)):
        assert f"Umask:\t{seen}\n" in asked(address)


def test_limits_hold_soft_and_hard_and_nice_is_added(address, other):
    limits = {"rlimit_as": "512M", "rlimit_files": "64", "rlimit_cpu": "7", "rlimit_data": "256M",
              "rlimit_rss": "UNLIMITED", "rlimit_stack": "4M", "nice": "7"}
    if os.geteuid() != 0:
        del limits["rlimit_rss"]
    with Inetd(service("limits", address, "/bin/cat", "/proc/self/limits", **limits)
               + service("nice", other, "/bin/cat", "/proc/self/stat", **limits)):
        rows = {row[:26].strip(): row[26:].split() for row in asked(address).splitlines()}
        for name, value in {"Max address space": "536870912", "Max open files": "64", "Max cpu time": "7",
                            "Max data size": "268435456", "Max stack size": "4194304"}.items():
            assert rows[name][:2] == [value, value], name
        assert rows["Max resident set"][:2] == ["unlimited"] * 2 or os.geteuid()
        assert asked(other).split()[18] == str(os.nice(0) + 7)


def environment(address, **attributes):
    """The variables that env(1) prints as a server."""
    leave = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "LD_LIBRARY_PATH", "PYTHONUNBUFFERED",
             "FD0_INETD_GRACE", "FD0_ECHOD_TIMEOUT", "KEPT"]
    variables = {**dict.fromkeys(leave, "1"), "LD_LIBRARY_PATH": "/nowhere"}
    text = service("env", address, "/usr/bin/env", **attributes)
    with Inetd(text, environment=variables), clients.connect(address) as sock:
        us, said = sock.getsockname(), clients.exchange(sock).decode()
    return dict(line.split("=", 1) for line in said.splitlines()), us


def test_a_server_inherits_what_is_not_ours_and_learns_who_calls(address):
    seen, us = environment(address, env="GREETING=hi EMPTY=")
    assert (seen["KEPT"], seen["FD0_ECHOD_TIMEOUT"], seen["GREETING"], seen["EMPTY"]) == ("1", "1", "hi", "")
    assert not [name for name in seen if name.startswith(("LISTEN_", "LD_", "PYTHON", "WATCHDOG_", "FD0_INETD"))]
    assert "NOTIFY_SOCKET" not in seen
    caller = {"REMOTE_HOST": HOST, "REMOTE_ADDR": HOST, "REMOTE_PORT": str(us[1]), "PROTO": "TCP",
              "TCPREMOTEIP": HOST, "TCPREMOTEPORT": str(us[1]), "TCPLOCALIP": HOST, "TCPLOCALPORT": str(address[1]),
              "TCPCONNNUM": "1"}
    assert {name: seen[name] for name in caller} == caller


def test_what_is_passed_on_can_be_chosen_even_what_is_ours(address):
    seen, _ = environment(address, passenv="LISTEN_FDS LD_LIBRARY_PATH NO_SUCH", env="A=$HOME REMOTE_HOST=forged")
    assert {name for name in seen if not name.startswith(("REMOTE_", "TCP", "PROTO"))} == {
        "LISTEN_FDS", "LD_LIBRARY_PATH", "A"}
    assert (seen["A"], seen["REMOTE_HOST"]) == ("$HOME", HOST)


def test_a_caller_over_a_unix_socket_is_told_by_its_user(folder):
    seen, _ = environment(str(folder / "env"))
    assert (seen["PROTO"], seen["REMOTE_ADDR"]) == ("UNIX", f"unix:uid={os.getuid()}")
    assert "REMOTE_HOST" not in seen


def test_errors_go_to_the_caller_or_to_the_log(address, other):
    arguments = ["-c", "echo\tto-the-caller;echo\tto-descriptor-2>&2;printf\tno-end>&2"]
    text = (service("socket", address, "/bin/sh", *arguments)
            + service("log", other, "/bin/sh", *arguments, stderr="log"))
    text = text.replace("\t", "${IFS}")         # an argument has no blanks
    with Inetd(text) as inetd:
        assert asked(address) == "to-the-caller\nto-descriptor-2\nno-end"
        for count in (1, 2):
            assert asked(other) == "to-the-caller\n"
            inetd.log.wait_for(r"stderr service=log text=to-descriptor-2$", count=count)
            # once the server has ended: its service has one pipe for all
            inetd.log.wait_for(r"stderr service=log text=no-end$", count=count)
        assert inetd.end() == 0


def test_where_the_log_is_stderr_errors_go_straight_to_it(address, folder):
    text = service("sh", address, "/bin/sh", "-c", "echo${IFS}oops>&2", stderr="log")
    with open(folder / "stderr", "wb") as stderr, Inetd(text, "--log=stderr", stderr=stderr):
        assert asked(address) == ""
        assert (folder / "stderr").read_text().splitlines()[-1] == "oops"


@pytest.mark.parametrize("options", [[], ["--log=stderr"], ["--logopt=pid,perror"]])
def test_what_goes_wrong_before_the_server_runs_is_logged_and_not_sent(address, folder, options):
    script = folder / "server"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with open(folder / "stderr", "wb") as stderr, Inetd(service("script", address, script, log_type="SYSLOG local2"),
                                                        *options, stderr=stderr) as inetd:
        assert asked(address) == ""
        line = f'FAIL service=script why="{script}: No such file or directory"'
        if "--log=stderr" in options:
            machine.until(lambda: line in (folder / "stderr").read_text(), what="line on stderr")
        else:
            assert inetd.log.wait_for(re.escape(line))[:2] == ("local2", "err")


# ------------------------------------------------------------------ users

def test_a_server_is_its_user_for_good(address, other):
    inetds.need_root()
    text = (service("user", address, "/bin/cat", "/proc/self/status", user="nobody")
            + service("group", other, "/bin/cat", "/proc/self/status", user="65534", group="daemon"))
    with Inetd(text, extra_groups=[0, 4, 27]):
        for where, group in ((address, "65534"), (other, "1")):
            status = dict(re.findall(r"(\w+):\t(.*)", asked(where)))
            assert status["Uid"].split() == ["65534"] * 4
            assert status["Gid"].split() == [group] * 4
            assert status["Groups"].split() == []
            assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


def test_a_user_without_an_account_needs_a_group(address):
    inetds.need_root()
    with Inetd(service("user", address, "/bin/cat", "/proc/self/status", user="4294967294", group="4294967293")):
        status = dict(re.findall(r"(\w+):\t(.*)", asked(address)))
        assert (status["Uid"].split(), status["Gid"].split()) == (["4294967294"] * 4, ["4294967293"] * 4)


def as_nobody():
    """How to start inetd as another user than root, if we are root: (keywords for Inetd, that user's name)."""
    if os.geteuid() != 0:
        return {}, inetds.ME
    can = [SYSTEM_PYTHON, "-c", "import sys, daemons.inetd; sys.exit(sys.version_info < (3, 11))"]
    if subprocess.run(can, user="nobody", cwd="/", env={"PYTHONPATH": str(ROOT)}, check=False,
                      capture_output=True).returncode:
        machine.unavailable(f"nobody cannot run this checkout with {SYSTEM_PYTHON}")
    return {"python": SYSTEM_PYTHON, "user": "nobody", "group": "nogroup", "extra_groups": []}, "nobody"


def test_without_root_it_serves_what_its_own_user_may(address, other):
    keywords, me = as_nobody()
    them, names = {"user": "root"}, ("root", "raised", "grouped", "low")
    text = (service("mine", address, "/bin/cat", user=me) + service("root", other, "/bin/cat", **them)
            + service("raised", other, "/bin/cat", user=me, nice="-1")
            + service("grouped", other, "/bin/cat", user=me, group="daemon")
            + service("low", (HOST, 7), "/bin/cat", user=me))
    text = "".join(part.replace(str(other[1]), str(other[1] + number)) for number, part in
                   enumerate(re.split(r"(?m)^(?=service)", text)))
    with Inetd(text, **keywords) as inetd:
        assert clients.converse(address, b"hello") == b"hello"
        told = {name: inetd.log.wait_for(rf" (text=.{name}: only|FAIL service={name}) ").text for name in names[:-1]}
        assert f"only root can run it as root; we are {me}" in told["root"]
        assert "only root can give it nice -1" in told["raised"]
        assert "only root can run it in group daemon" in told["grouped"]
        assert all(re.search(r"config at=\S+:\d+ severity=error", line) for line in told.values())
        if os.geteuid() == 0:
            assert "cannot listen at [127.0.0.1]:7: Permission denied" in inetd.log.wait_for("FAIL service=low").text
        assert len(inetd.lines("listening")) == 1
