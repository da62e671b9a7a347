"""fd0 why: the verdict, the rule and line that it comes from, and where refusals are looked for."""

import os
import re
import socket
import subprocess
import sys
import time

import pytest

from daemons.kernel import options as kernel_options
from daemons.tools import launches, refusals
from daemons.tools.__main__ import main
from tests.live import devlog, installed
from tests.live.launchers import ROOT, WAIT, ByHand, Service, Xinetd
from tests.live.test_proxied import said_to

FD0 = [sys.executable, "-m", "daemons.tools"]
STUB = "#!/bin/sh\n# daemons.kernel.launch\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A machine of its own: files of options, of xinetd, of inetd and of systemd below one folder."""
    monkeypatch.setattr(kernel_options, "FOLDER", f"{tmp_path}/fd0")
    monkeypatch.setattr(launches, "XINETD", f"{tmp_path}/xinetd.conf")
    monkeypatch.setattr(launches, "INETD", f"{tmp_path}/inetd.conf")
    monkeypatch.setattr(launches, "UNITS", (f"{tmp_path}/systemd", f"{tmp_path}/run", f"{tmp_path}/lib"))
    monkeypatch.setattr(refusals, "FILES", (f"{tmp_path}/syslog",))
    monkeypatch.setattr(refusals, "JOURNALS", ())
    for folder in ("fd0", "xinetd.d", "systemd/sockets.target.wants", "lib/fd0-echod.socket.d"):
        (tmp_path / folder).mkdir(parents=True)
    server = tmp_path / "bin/echod"
    server.parent.mkdir()
    server.write_text(STUB)
    server.chmod(0o755)
    return tmp_path


@pytest.fixture
def why(capsys):
    """Run the command; returns (exit status, what it printed)."""
    def run(*arguments):
        try:
            status = main(["why", *arguments])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out + err
    return run


def write(path, text):
    path.write_text(text)
    path.chmod(0o644)


def xinetd(place, *lines, defaults=(), port=7007):
    """Have xinetd start echod."""
    write(place / "xinetd.conf", "defaults\n{\n" + "".join(f"{line}\n" for line in defaults)
          + f"}}\nincludedir {place}/xinetd.d\n")
    rows = ["type = UNLISTED", f"port = {port}", "socket_type = stream", "protocol = tcp", "wait = no", "user = root",
            f"server = {place}/bin/echod", *lines]
    write(place / "xinetd.d/echod", "service echo\n{\n" + "".join(f"    {row}\n" for row in rows) + "}\n")


def systemd(place, *lines, enabled=True, arguments=""):
    write(place / "lib/fd0-echod.socket", "[Socket]\nListenStream=7\nListenDatagram=[::]:7\n"
          + "".join(f"{line}\n" for line in lines))
    write(place / "lib/fd0-echod.service", f"[Service]\nExecStart={place}/bin/echod {arguments}\n")
    if enabled:
        (place / "systemd/sockets.target.wants/fd0-echod.socket").symlink_to("../../lib/fd0-echod.socket")


# -- the program's own rules --

@pytest.mark.parametrize("address, arguments, status, text", [
    ("192.0.2.7", [], 0, "only-from +192.0.2.0/24 matches ({0}/fd0/echod.conf:2)"),
    ("::ffff:192.0.2.7", [], 0, "192.0.2.7 is welcome at echod"),
    ("192.0.2.200", [], 1, "192.0.2.200 is refused by no-access: 192.0.2.128/25 matches ({0}/fd0/common.conf:1); "
                           "only-from has 192.0.2.0/24, which is no narrower ({0}/fd0/echod.conf:2)"),
    ("192.0.2.201", [], 0, "192.0.2.201/32 matches ({0}/fd0/echod.conf:2), and is narrower than 192.0.2.128/25 of "
                           "no-access ({0}/fd0/common.conf:1)"),
    ("203.0.113.1", ["--name=-"], 1, "only-from: nothing there matches ({0}/fd0/echod.conf:2): "
                                     "192.0.2.0/24 192.0.2.201/32 .example.org"),
    ("203.0.113.1", ["--name=MX.example.org."], 0, ".example.org matches ({0}/fd0/echod.conf:2)"),
    ("203.0.113.1", ["--name=mx.example.org"], 0, "203.0.113.1 is mx.example.org, as you say"),
    ("192.0.2.7", ["--time=07:59"], 1, "192.0.2.7 is refused by access-times: 07:59 is outside 08:00-18:00 22:00-02:00 "
                                       "({0}/fd0/echod.conf:3)"),
    ("192.0.2.7", ["--time=01:00"], 0, "01:00 is within 22:00-02:00 ({0}/fd0/echod.conf:3)"),
])
def test_the_rule_that_decides_is_told_with_its_line(place, why, address, arguments, status, text):
    write(place / "fd0/echod.conf", "# ours\nonly-from = 192.0.2.0/24 192.0.2.201 .example.org\n"
                                    "access-times = 08:00-18:00 22:00-02:00\n")
    write(place / "fd0/common.conf", "no-access = 192.0.2.128/25\n")
    got, page = why(address, "echod", *([] if "--time" in "".join(arguments) else ["--time=12:00"]), *arguments)
    plain = re.sub(" +", " ", page)
    assert got == status and re.sub(" [+]? ?", " ", text.format(place)) in plain, page
    assert "no launcher starts it; as its options say for --listen" in page


def test_without_rules_everybody_is_welcome(place, why):
    status, page = why("2001:db8::7", "echod")
    assert status == 0 and page.startswith("2001:db8::7 is welcome at echod\n")
    assert "neither only-from nor no-access is set" in page


def test_a_program_that_does_not_start_serves_nobody(place, why):
    write(place / "fd0/echod.conf", "\nonly-form = 192.0.2.7\n")
    status, page = why("192.0.2.7", "echod")
    assert status == 1 and f"echod does not start: {place}/fd0/echod.conf:2: no option only-form" in page


def test_times_are_those_of_now_unless_another_is_given(place, why):
    here = time.strftime("%H:%M", time.localtime(time.time() + 3600))
    there = time.strftime("%H:%M", time.localtime(time.time() + 3 * 3600))
    write(place / "fd0/echod.conf", f"access-times = {here}-{there}\n")
    assert why("192.0.2.7", "echod")[0] == 1
    assert why("192.0.2.7", "echod", f"--time={here}")[0] == 0


# -- launchers --

@pytest.mark.parametrize("address, arguments, status, text", [
    ("192.0.2.7", [], 0, "ok only_from 192.0.2.0/24 matches ({0}/xinetd.conf:3)"),
    ("10.0.0.1", [], 1, "10.0.0.1 is refused by only_from: nothing there matches ({0}/xinetd.conf:3): 192.0.2.0/24"),
    ("192.0.2.6", [], 1, "no_access: 192.0.2.6/32 matches ({0}/xinetd.d/echod:10); only_from has 192.0.2.0/24"),
    ("192.0.2.7", ["--time=05:00"], 1, "access_times: 05:00 is outside 06:00-23:00 ({0}/xinetd.d/echod:11)"),
    ("192.0.2.9", [], 1, "192.0.2.9 is refused by no-access: 192.0.2.9/32 matches (in the arguments, "
                         "{0}/xinetd.d/echod:1)"),
])
def test_xinetds_own_rules_come_first(place, why, address, arguments, status, text):
    xinetd(place, "no_access = 192.0.2.6", "access_times = 6:00-23:00", "per_source = 2",
           "server_args = --no-access=192.0.2.9", defaults=["only_from = 192.0.2.0"])
    got, page = why(address, "echod", *(arguments or ["--time=12:00"]))
    assert got == status and text.format(place) in re.sub(" +", " ", page), page
    assert f"echod under xinetd, {place}/xinetd.d/echod:1, port 7007" in page and "per_source 2 (xinetd)" in page


def test_a_port_chooses_between_launchers(place, why):
    xinetd(place, "no_access = 192.0.2.7", port=7)
    systemd(place)
    status, page = why("192.0.2.7", "echod")
    assert status == 1 and page.count(" is welcome at echod") == 1 and page.count(" is refused by no_access") == 1
    xinetd(place, "no_access = 192.0.2.7", port=7007)
    assert why("192.0.2.7", "echod", "--port=7")[0] == 0
    assert why("192.0.2.7", "echod", "--port=7007")[0] == 1
    status, page = why("192.0.2.7", "echod", "--port=9")
    assert status == 0 and "no launcher starts it at port 9" in page


def test_what_is_switched_off_is_no_place_unless_it_is_asked_for(place, why):
    xinetd(place, "disable = yes")
    assert why("192.0.2.7", "echod")[1].count("no launcher starts it") == 1
    status, page = why("192.0.2.7", "echod", f"--file={place}/xinetd.d/echod")
    assert status == 1 and "nobody is served here: disable = yes" in page


def test_what_a_launcher_would_not_start_serves_nobody(place, why):
    xinetd(place, "only_from = 10.0.0.0/99")
    status, page = why("192.0.2.7", "echod")
    assert status == 1 and "nobody is served here: only_from: '10.0.0.0/99' is not a network" in page


@pytest.mark.parametrize("address, status, text", [
    ("192.0.2.7", 0, "IPAddressAllow 192.0.2.0/24 matches ({0}/lib/fd0-echod.socket:4)"),
    ("127.0.0.1", 0, "IPAddressAllow 127.0.0.0/8 matches ({0}/lib/fd0-echod.socket:4)"),
    ("198.51.100.9", 0, "IPAddressAllow 198.51.100.9/32 matches"),
    ("203.0.113.1", 1, "203.0.113.1 is refused by IPAddressDeny: 0.0.0.0/0 matches ({0}/lib/fd0-echod.socket:5); "
                       "the kernel drops its packets"),
    ("::1", 0, "IPAddressAllow ::1/128 matches"),
])
def test_systemds_addresses(place, why, address, status, text):
    systemd(place, "IPAddressAllow=192.0.2.0/24 localhost", "IPAddressDeny=any")
    write(place / "lib/fd0-echod.socket.d/more.conf", "[Socket]\nIPAddressAllow=198.51.100.9\n")
    got, page = why(address, "echod")
    line = text.format(place).replace("fd0-echod.socket:4", "fd0-echod.socket.d/more.conf:2")
    assert got == status and line in re.sub(" +", " ", page), page
    assert f"echod under systemd, {place}/lib/fd0-echod.socket, port 7" in page


def test_units_that_are_not_enabled_start_nothing(place, why):
    systemd(place, "IPAddressDeny=any", enabled=False)
    assert why("192.0.2.7", "echod")[0] == 0
    assert why("192.0.2.7", "echod", f"--file={place}/lib/fd0-echod.socket")[0] == 1


def test_inetd_conf(place, why):
    write(place / "inetd.conf", f"7007 stream tcp nowait root {place}/bin/echod echod --no-access=192.0.2.7\n")
    status, page = why("192.0.2.7", "echod")
    assert status == 1 and f"echod under inetd, {place}/inetd.conf:1, port 7007" in page


# -- proxies, limits --

def test_behind_a_proxy_the_client_is_judged(place, why):
    write(place / "fd0/echod.conf", "proxy-protocol = 10.0.0.0/8 unix\nno-access = 192.0.2.7\n")
    xinetd(place, "only_from = 10.0.0.0")
    status, page = why("192.0.2.8", "echod")
    assert status == 0 and f"through the proxies in 10.0.0.0/8 unix ({place}/fd0/echod.conf:1)" in page
    assert "calling directly it is refused (proxy-network)" in page
    assert "xinetd holds this against the proxy, not the client" in page
    assert why("192.0.2.7", "echod")[0] == 1
    status, page = why("10.0.0.1", "echod")
    assert status == 0 and f"it is a proxy, by 10.0.0.0/8 ({place}/fd0/echod.conf:1)" in page


def test_limits_that_hold_for_the_source_are_told(place, why):
    table = f"{place}/limits"
    options = [f"--limits={table}", "--per-source=1", "--limit-group=ours"]
    write(place / "fd0/echod.conf", f"limits = {table}\nper-source = 1\nlimit-group = ours\n")
    status, page = why("127.0.0.1", "echod")
    assert status == 0 and f"per-source 1 ({place}/fd0/echod.conf:2)" in page
    with devlog.LogSocket() as log, ByHand(Service(installed.argv("echod", f"--log={log.path}", *options),
                                                   wait=WAIT)) as host:
        with socket.create_connection(host.address, 10) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            status, page = why("127.0.0.1", "echod")
            assert status == 1 and "127.0.0.1 is refused by per-source: 127.0.0.1 has 1 conversations now of 1" in page
            assert why("127.0.0.2", "echod")[0] == 0
        log.wait_for(r"\bclose ")
        assert why("127.0.0.1", "echod")[0] == 0


# -- the log --

LOG = """\
Sep 21 14:13:20 here echod[1]: open session=1 from=[192.0.2.7]:1 to=[192.0.2.1]:7 via=xinetd tls=no
Sep 21 14:13:20 here echod[1]: refused session=1 from=[192.0.2.7]:1 why=only-from
Sep 21 14:13:20 here echod[1]: close session=1 reason=denied why=only-from seconds=0.001 in=0 out=0
Sep 21 14:13:21 here timed[1]: refused session=1 from=[192.0.2.7]:1 why=rate
Sep 21 14:13:22 here echod[1]: refused session=2 from=[192.0.2.77]:1 why=only-from
Sep 21 14:13:23 here xinetd[1]: FAIL: echod address from=::ffff:192.0.2.7
Sep 21 14:13:24 here inetd[1]: FAIL service=echod from=[192.0.2.7]:2 why=address
Sep 21 14:13:25 here inetd[1]: FAIL service=timed from=[192.0.2.7]:2 why=address
2026-09-21T14:13:26+00:00 here echod[1]: refused from=[192.0.2.7]:1 why="proxy: cut short"
Sep 21 14:13:27 here echod[1]: said text="refused from=[192.0.2.66]:1 why=rate"
Sep 21 14:13:27 here echod[1]: said text="Sep 21 14:13:27 here echod[1]: refused from=[192.0.2.66]:1 why=rate"
Sep 21 14:13:27 here echod[1]: said text="FAIL: echod address from=192.0.2.66"
"""


def test_the_last_refusals_of_the_address_are_shown(place, why):
    write(place / "syslog", LOG)
    page = why("192.0.2.7", "echod")[1]
    shown = page.partition(f"last refusals, in {place}/syslog:\n")[2].splitlines()
    assert [re.search(r":(2\d)", line)[1] for line in shown] == ["20", "23", "24", "26"]
    assert f"last refusals: none of 192.0.2.66 by echod in {place}/syslog" in why("192.0.2.66", "echod")[1]
    write(place / "syslog", LOG * 5)
    assert len(why("192.0.2.7", "echod")[1].partition("last refusals, in")[2].splitlines()) == 1 + refusals.MOST


def test_where_no_log_is_that_is_said(place, why):
    assert "last refusals: none of 192.0.2.7 by echod in no log: neither a journal" in why("192.0.2.7", "echod")[1]
    status, page = why("192.0.2.7", "echod", f"--log={place}/nowhere")
    assert status == 100 and f"{place}/nowhere: No such file or directory" in page


def test_what_a_program_logs_is_found(why, tmp_path):
    with devlog.Rsyslog() as log:
        options = [f"--log={log.path}", "--no-access=127.0.0.66"]
        with Xinetd(Service(installed.argv("echod", *options))) as host:
            assert said_to(host.address, b"hello", "127.0.0.66") == b""
            log.wait_for(r"\brefused ")
            status, page = why("127.0.0.66", "echod", f"--file={host.configuration}", f"--log={log.file}")
    assert status == 1 and "no-access: 127.0.0.66/32 matches (in the arguments, " in page
    assert re.search(r"last refusals, in \S+:\n  .*refused session=\w+ from=\[127.0.0.66\]:\d+ why=no-access\n", page)


# -- misuse, and the command itself --

@pytest.mark.parametrize("arguments, complaint", [
    ([], "the following arguments are required: ADDRESS, PROGRAM"),
    (["192.0.2.7"], "the following arguments are required: PROGRAM"),
    (["mx.example", "echod"], "argument ADDRESS: 'mx.example' is not an address (who calls is known by address; "
                              "--name tells of a name)"),
    (["192.0.2.7", "echod", "--port=x"], "argument --port: 'x' is not a port"),
    (["192.0.2.7", "echod", "--time=25:00"], "argument --time: not a time of the day: '25:00' (write 17:30)"),
])
def test_misuse_is_one_line(why, arguments, complaint):
    assert why(*arguments) == (100, f"fd0 why: {complaint}; see fd0 why --help\n")


def test_what_is_not_there_is_said(place, why):
    assert why("192.0.2.7", "ecod") == (100, "fd0 why: no program ecod (did you mean echod?)\n")
    assert why("192.0.2.7", "echod", "--file=/nowhere.socket") == (100, "fd0 why: /nowhere.socket: "
                                                                        "No such file or directory\n")
    xinetd(place)
    assert why("192.0.2.7", "timed", f"--file={place}/xinetd.d/echod") == (
        100, f"fd0 why: {place}/xinetd.d/echod does not start timed\n")


def test_the_command_as_a_person_types_it(tmp_path):
    entry = tmp_path / "echod"
    write(entry, "service echo\n{\n    type = UNLISTED\n    port = 7007\n    socket_type = stream\n    wait = no\n"
                 f"    user = root\n    server = {installed.argv('echod')[0]}\n    only_from = 192.0.2.0\n}}\n")
    environment = {**os.environ, "TZ": "UTC"}
    for address, status, first in (("192.0.2.7", 0, "192.0.2.7 is welcome at echod\n"),
                                   ("10.0.0.1", 1, "10.0.0.1 is refused by only_from: nothing there matches "
                                                   f"({entry}:9): 192.0.2.0/24\n")):
        done = subprocess.run([*FD0, "why", address, "echod", f"--file={entry}", "--log=/dev/null"], cwd=ROOT,
                              env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (status, "") and done.stdout.startswith(first)
        assert f"last refusals: none of {address} by echod in /dev/null" in done.stdout
