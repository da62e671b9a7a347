"""The fd0 command as a user sees it: what it prints, what it says of mistakes, and its exit status."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemons.kernel import describe, options
from daemons.tools import check, programs
from daemons.tools.__main__ import COMMANDS, main
from tests.live import clients, machine, processes
from tests.live.launchers import ROOT

FD0 = [sys.executable, "-m", "daemons.tools"]


@pytest.fixture
def fd0(capsys):
    """Run the command; returns (exit status, what it printed, what it complained)."""
    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:       # argparse's way out
            status = end.code
        return (status, *capsys.readouterr())
    return run


# ------------------------------------------------------------------ help, and mistakes

def test_without_a_command_it_says_what_there_is(fd0):
    status, page, complaint = fd0()
    assert (status, complaint) == (0, "") and page == fd0("--help")[1] == fd0("help")[1]
    assert [line.split()[0] for line in page.splitlines() if line.startswith("  ")] == list(COMMANDS)
    assert re.fullmatch(r"fd0 \d+\.\d+\S*\n", fd0("--version")[1])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_page_with_all_its_options(fd0, command):
    status, page, complaint = fd0(command, "--help")
    assert (status, complaint) == (0, "")
    assert page.startswith(f"usage: fd0 {command} ") and max(map(len, page.splitlines())) <= 100
    documented = {word.split("=")[0] for word in re.findall(r"--[a-z]+", page)}
    exists = set(re.findall(r"^  (?:-h, )?(--[a-z]+)", page, re.MULTILINE))
    if command == "up":                 # it takes a program's options, too
        exists |= {f"--{name}" for service in programs.launched() for name in options.known(service)}
    assert documented <= exists, "examples use what exists"


@pytest.mark.parametrize("arguments, complaint", [
    (["lst"], "fd0: no command lst (did you mean list?)"),
    (["xyzzy"], "fd0: no command xyzzy; see fd0 --help"),
    (["--frobnicate"], "fd0: no command --frobnicate; see fd0 --help"),
    (["list", "ecod"], "fd0 list: no program ecod (did you mean echod?)"),
    (["units", "xyzzy"], "fd0 units: no program xyzzy; see fd0 list"),
    (["units", "inetd"], "fd0 units: inetd serves no socket that a launcher could give it; start it by hand"),
    (["up", "mailq"], "fd0 up: mailq serves no socket that a launcher could give it; start it by hand, or fd0 enable "
                      "mailq --with=systemd"),
    (["up", "mail", "echod"], "fd0 up: mail stands alone, and --folder goes with it; see fd0 up --help"),
    (["up", "echod", "--folder=x"], "fd0 up: mail stands alone, and --folder goes with it; see fd0 up --help"),
    (["up", "inetd"], "fd0 up: inetd serves no socket that a launcher could give it; start it by hand"),
    (["list", "--long"], "fd0 list: no option --long; see fd0 list --help"),
    (["check", "--strikt"], "fd0 check: no option --strikt (did you mean --strict?); see fd0 check --help"),
    (["up", "--ofset=3"], "fd0 up: no option --ofset (did you mean --offset?); see fd0 up --help"),
    (["up", "--off", "3"], "fd0 up: no option --off (did you mean --offset?); see fd0 up --help"),
    (["up", "--offset=many"], "fd0 up: argument --offset: 'many' is not a number of 0 to 64512; see fd0 up --help"),
    (["up", "--offset=64513"], "fd0 up: argument --offset: '64513' is not a number of 0 to 64512; see fd0 up --help"),
    (["up", "--bind=lo"], "fd0 up: argument --bind: 'lo' is not an IPv4 or IPv6 address; see fd0 up --help"),
    (["stubs"], "fd0 stubs: the following arguments are required: --to; see fd0 stubs --help"),
    (["stubs", "--to"], "fd0 stubs: argument --to: expected one argument; see fd0 stubs --help"),
    (["stubs", "--to=x", "--library=lib"],
     "fd0 stubs: argument --library: 'lib' is not an absolute path; see fd0 stubs --help"),
    (["units", "--library=lib"], "fd0 units: argument --library: 'lib' is not an absolute path; see fd0 units --help"),
])
def test_misuse_is_one_line_with_the_next_thing_to_try(fd0, arguments, complaint):
    assert fd0(*arguments) == (100, "", complaint + "\n")


def test_a_folder_that_cannot_be_written_is_no_traceback(fd0, tmp_path):
    (tmp_path / "file").write_text("")
    for command in ("units", "stubs"):
        status, printed, complaint = fd0(command, f"--to={tmp_path}/file/x")
        assert (status, printed) == (100, "")
        assert re.fullmatch(rf"fd0 {command}: {tmp_path}/file\S*: Not a directory\n", complaint)


def test_a_reader_who_has_seen_enough_is_no_mistake():
    for arguments in (["list"], ["units"]):
        with subprocess.Popen([*FD0, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
            started.stdout.close()
            assert (started.wait(20), started.stderr.read()) == (0, b"")


# ------------------------------------------------------------------ list, units, stubs

def test_list_has_a_line_for_each_program(fd0):
    status, page, _ = fd0("list")
    head, *rows = page.splitlines()
    assert status == 0 and head.split() == ["PROGRAM", "PORT", "SOCKETS", "MODEL", "RFC", "WHAT", "IT", "DOES"]
    assert [row.split()[0] for row in rows] == programs.names()
    assert re.search(r"^echod +7 +tcp udp +thread +862 +Send back whatever is sent\.$", page, re.MULTILINE)
    assert [row.split()[0] for row in fd0("list", "timed", "echod")[1].splitlines()[1:]] == ["timed", "echod"]


def test_units_are_printed_or_written_and_the_same(fd0, tmp_path):
    status, page, _ = fd0("units", "echod", "fingerd", "--library=/opt/fd0")
    assert status == 0
    printed = dict(re.findall(r"(?ms)^# ---- (\S+)\n(.*?)\n(?=# ---- |\Z)", page))
    assert fd0("units", "--library=/opt/fd0", "echod", f"--to={tmp_path}", "fingerd") == (
        0, f"{len(printed)} files written below {tmp_path}\n", "")
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == printed and {"xinetd.d/echod", "systemd/fd0-echod.socket", "systemd/fd0-fingerd-each@.service"
                                   } <= set(written)
    assert all("/opt/fd0/" in text for name, text in written.items() if not name.endswith(".socket"))


def test_units_of_all_are_those_of_each_program_that_serves_a_socket(fd0, tmp_path):
    assert fd0("units", f"--to={tmp_path}")[0] == 0
    assert sorted(os.listdir(tmp_path / "xinetd.d")) == [service.name for service in programs.launched()]


def test_stubs_start_their_programs(fd0, tmp_path):
    assert fd0("stubs", f"--to={tmp_path}/new/lib", f"--python={sys.executable}", "echod") == (
        0, f"1 file written to {tmp_path}/new/lib\n", "")
    done = subprocess.run([tmp_path / "new/lib/echod"], input=b"hello", capture_output=True, check=True, timeout=20,
                          cwd="/", env={})
    assert (done.stdout, done.stderr) == (b"hello", b"")
    fd0("stubs", f"--to={tmp_path}")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == programs.names()


# ------------------------------------------------------------------ check

GOOD = {"type": "UNLISTED", "port": "7007", "socket_type": "stream", "wait": "no", "user": "root"}


@pytest.fixture
def stub(fd0, tmp_path):
    """The path of a program's stub."""
    fd0("stubs", f"--to={tmp_path}/lib", f"--python={sys.executable}")
    return lambda name: f"{tmp_path}/lib/{name}"


@pytest.fixture
def checked(fd0, tmp_path):
    """Check the text of a file; returns (exit status, lines without the file's name)."""
    def run(text, *options, name="service"):
        path = tmp_path / name
        path.write_text(text)
        status, page, complaint = fd0("check", path, *options)
        assert complaint == ""
        return status, [line.removeprefix(f"{path}:").removeprefix(f"{path}: ") for line in page.splitlines()]
    return run


def section(server, name="probe", **attributes):
    values = {**GOOD, "server": server, **attributes}
    lines = "".join(f"    {key} = {value}\n" for key, value in values.items() if value is not None)
    return f"service {name}\n{{\n{lines}}}\n"


def test_what_we_ship_is_in_order(fd0, tmp_path):
    fd0("units", f"--to={tmp_path}")
    services = sum(len(service.sockets) for service in programs.launched())
    files = len(programs.launched())
    page = f"{files} files, {services} services ({services} switched off): 0 errors, 0 warnings\n"
    assert fd0("check", *(tmp_path / "xinetd.d").iterdir()) == (0, page, "")
    assert fd0("check", "--strict", tmp_path / "xinetd.d") == (0, page, "")


def test_what_we_ship_is_in_order_when_it_is_switched_on(fd0, tmp_path, stub):
    for service in programs.launched():
        text = describe.xinetd(service, os.path.dirname(stub("echod")), disable="no", user="nobody")
        (tmp_path / service.name).write_text(text)
    status, page, _ = fd0("check", "--strict", *(tmp_path / service.name for service in programs.launched()))
    assert (status, page.splitlines()[:-1]) == (0, [])


@pytest.mark.parametrize("attributes, says", [
    ({"server_args": "probe -x", "flags": "NAMEINARGS"}, "NAMEINARGS must stand before server_args: xinetd crashes"),
    ({"access_times": "22:00-6:00"}, "probe: xinetd drops a service whose access_times go over midnight"),
    ({"max_time": "5m"}, "probe: xinetd does not know max_time, and runs the service without it"),
    ({"pass": "listen_fds"}, "probe: xinetd does not know pass"),
    ({"protocol": "tcp6"}, "probe: xinetd opens no port for protocol = tcp6"),
    ({"flags": "IPv6"}, "probe: with flags = IPv6 xinetd takes IPv4 as well"),
    ({"bind": "/run/x", "port": None, "type": None}, "probe: xinetd has no Unix sockets and drops this service"),
    ({"env": "A=1 B=$HOME"}, r"probe: env B=\$HOME is taken as it stands"),
    ({"server": sys.executable}, r"probe: /etc/hosts.allow and hosts.deny know this service as python"),
    ({"server": "ECHOD", "rlimit_as": "8M"}, "probe: rlimit_as is so little that Python may not start"),
    ({"wait": "yes", "per_source": "3"}, "per_source cannot be kept with wait = yes"),
    ({"log_on_success": "TRAFFIC"}, "TRAFFIC needs redirect: xinetd drops a service for it"),
    ({"type": None, "port": "4"}, "xinetd wants type = UNLISTED for port 4"),
    ({"server_args": "-x # why"}, "a comment must have a line of its own"),
])
def test_a_trap_is_explained(checked, stub, attributes, says):
    if attributes.get("server") == "ECHOD":
        attributes = {**attributes, "server": stub("echod")}
    text = section(**{"server": "/bin/cat", **attributes})
    status, [line, summary] = checked(text)
    assert status == 0 and re.match(rf"\d+: warning: .*{says}", line)
    assert summary == "1 file, 1 service: 0 errors, 1 warning"
    assert checked(text, "--strict")[0] == 100


@pytest.mark.parametrize("attributes, says", [
    ({"server_args": ""}, "server_args: has no value: give one, or leave the line out .xinetd drops such a service"),
    ({"server": "/no/such"}, "server /no/such: No such file"),
    ({"rlimit_core": "0"}, "unknown attribute 'rlimit_core'$"),
    ({"only_from": "10.0.0.1", "wait": "yes"}, "only_from cannot be kept with wait = yes"),
    ({"socket_type": "dgram", "protocol": "udp"}, "socket_type dgram needs wait = yes"),
])
def test_what_would_not_run_is_an_error(checked, attributes, says):
    status, [line, summary] = checked(section(**{"server": "/bin/cat", **attributes}))
    assert status == 100 and re.match(rf"\d+: error: {says}", line)
    assert summary == "1 file, 1 service: 1 error, 0 warnings"


@pytest.mark.parametrize("name, attributes, says", [
    ("echod", {"server_args": "--timout=30"}, r"server_args: no option --timout \(did you mean --timeout\?\)"),
    ("echod", {"server_args": "--timeout=soon"}, "server_args: timeout: not a time: 'soon'"),
    ("echod", {"server_args": "-d"}, "server_args: '-d' is not an option"),
    ("echod", {"flags": "NAMEINARGS", "server_args": "echod --max=0"}, "server_args: max: must be 1 or more"),
    ("echod", {"env": "FD0_ECHOD_TIMOUT=3"}, r"environment: FD0_ECHOD_TIMOUT: no option timout \(did you mean"),
    ("echod", {"server_args": "--config=/no/such"}, "/no/such: no such file"),
    ("fingerd", {"socket_type": "dgram", "wait": "yes"}, "fingerd does not serve socket_type = dgram"),
])
def test_what_our_programs_do_not_know_is_an_error(checked, stub, name, attributes, says):
    status, [line, _] = checked(section(stub(name), **attributes))
    assert status == 100 and re.match(rf"1: error: probe: {says}", line)
    status, lines = checked(section(stub(name), disable="yes", **attributes))
    assert status == 0 and lines[-1].startswith("1 file, 1 service (1 switched off): 0 errors, 1 warning")


def test_another_program_of_the_same_name_is_not_ours_to_judge(checked, tmp_path):
    foreign = tmp_path / "identd"
    foreign.write_text("#!/bin/sh\n")
    foreign.chmod(0o755)
    assert checked(section(foreign, server_args="-l -o")) == (0, ["1 file, 1 service: 0 errors, 0 warnings"])


def test_option_files_are_read_as_the_programs_would(checked):
    assert checked("# patience\ntimeout = 30\n\nmax = 5\n", name="echod.conf") == (
        0, ["1 file, 0 services: 0 errors, 0 warnings"])
    assert checked("timeout = 30\n", name="common.conf")[0] == 0
    status, [line, summary] = checked("\nidel = 30\n", name="echod.conf")
    assert (status, line) == (100, "2: error: no option idel (did you mean idle?)")
    assert summary == "1 file, 0 services: 1 error, 0 warnings"


def test_an_option_file_that_no_program_reads_is_named(fd0, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "FOLDER", str(tmp_path))
    monkeypatch.setattr(check, "PLACES", (str(tmp_path / "xinetd.d"), str(tmp_path)))
    (tmp_path / "xinetd.d").mkdir()
    (tmp_path / "xinetd.d/tftp").write_text("somebody else's file")
    (tmp_path / "xinetd.d/echod").write_text(section("/bin/cat", disable="yes"))
    assert fd0("check") == (0, "1 file, 1 service (1 switched off): 0 errors, 0 warnings\n", "")
    (tmp_path / "echo.conf").write_text("timeout = 3\n")
    status, page, _ = fd0("check")
    assert status == 0
    assert page.startswith(f"{tmp_path}/echo.conf: warning: no program reads this file (did you mean echod.conf?)\n")


def test_nothing_to_check_is_said(fd0, monkeypatch):
    monkeypatch.setattr(check, "PLACES", ("/no/such", "/nor/this"))
    assert fd0("check") == (0, "nothing to check in /no/such and /nor/this; name files: fd0 check FILE ...\n", "")


def test_a_file_that_is_not_there_is_an_error(fd0):
    assert fd0("check", "/no/such") == (
        100, "/no/such: error: cannot read /no/such: No such file or directory\n"
             "1 file, 0 services: 1 error, 0 warnings\n", "")


def test_a_whole_configuration_is_checked_through_its_includes(checked, tmp_path):
    (tmp_path / "xinetd.d").mkdir()
    (tmp_path / "xinetd.d/one").write_text(section("/bin/cat", cps="many 1"))
    (tmp_path / "xinetd.d/three").write_text(section("/bin/cat", "three"))
    (tmp_path / "xinetd.d/two").write_text(section("/bin/cat", "two"))
    status, lines = checked(f"defaults\n{{\n    rpc_number = 7\n}}\nincludedir {tmp_path}/xinetd.d\n")
    assert (status, lines[0]) == (100, "3: warning: rpc_number belongs into a service section; here it has no effect")
    assert lines[1].startswith(f"{tmp_path}/xinetd.d/one:9: error: cps: not a whole number: 'many'")
    assert lines[2:] == [f"{tmp_path}/xinetd.d/two:1: error: has its address, protocol and port from "
                         f"{tmp_path}/xinetd.d/three:1: give it its own",
                         "1 file, 3 services: 2 errors, 1 warning"]


# ------------------------------------------------------------------ up

class Up:
    """A running `fd0 up`; `table` is its table, as {(program, "tcp" or "udp"): (host, port)}."""

    def __init__(self, folder, *options):
        self.folder = folder
        for _ in range(5):
            port = machine.Port()
            self.processes = processes.Processes(
                [*FD0, "up", *options, f"--offset={port.number - 7}"], {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
                cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                self.page = self.read_until("Ctrl-C ends all.\n\n")
            except BaseException:
                self.processes.end()
                raise
            finally:
                port.release()
            if "Address already in use" not in self.page:
                break
            self.processes.end()
        rows = re.findall(r"^(\w+) +(tcp|udp) \[?([\d.:]+?)\]?:(\d+)  (.+)$", self.page, re.MULTILINE)
        self.table = {(name, kind): (host, int(port)) for name, kind, host, port, _ in rows}

    def read_until(self, text):
        """What it printed until and with this text, or all of it."""
        output, deadline, pipe = b"", time.monotonic() + 20, self.processes.first.stdout.fileno()
        while text.encode() not in output:
            if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"{text!r} is not in {output!r}")
            data = os.read(pipe, 1)
            if not data:
                break
            output += data
        return output.decode()

    def tell(self, number=signal.SIGINT):
        os.kill(self.processes.first.pid, number)

    def ended(self):
        """Its exit status, once nothing is left of it."""
        status = self.processes.first.wait(20)
        assert not self.processes.alive() and os.listdir(self.folder) == []
        return status

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.processes.end()


@pytest.fixture
def folder():
    """An empty folder that everybody may read."""
    return Path(processes.new_folder("up"))


def test_up_runs_services_and_tells_how_to_try_each_until_ctrl_c(folder):
    with Up(folder, "echod", "daytimed") as up:
        assert list(up.table) == [("echod", "tcp"), ("echod", "udp"), ("daytimed", "tcp"), ("daytimed", "udp")]
        assert re.search(r"(?m)^SERVICE +WHERE +TRY$", up.page)
        host, port = up.table["echod", "tcp"]
        assert f"  echo hello | nc -N {host} {port}\n" in up.page
        assert clients.converse(up.table["echod", "tcp"], b"hello") == b"hello"
        assert clients.ask(up.table["echod", "udp"], b"hello") == b"hello"
        assert re.match(rb"\w+.*\d\d:\d\d:\d\d", clients.converse(up.table["daytimed", "tcp"]))
        assert re.match(rb"\w+.*\d\d:\d\d:\d\d", clients.ask(up.table["daytimed", "udp"], b""))
        told = up.read_until("echod[") + up.read_until("\n")
        assert re.search(r"echod\[\d+\]: open session=\w+ from=\[127.0.0.1\]:\d+ .* via=inetd", told)
        up.tell()
        assert up.ended() == 0


def test_up_ends_at_once_when_told_twice(folder):
    with Up(folder, "echod") as up, clients.connect(up.table["echod", "tcp"]) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        up.tell(signal.SIGTERM)
        machine.until(lambda: not machine.listeners("stream", up.table["echod", "tcp"]), what="end of listening")
        up.tell()
        assert up.ended() == 0


def test_up_serves_ipv6_too(folder):
    machine.need_ipv6()
    with Up(folder, "--bind=::1", "timed") as up:
        assert len(clients.converse(up.table["timed", "tcp"])) == 4
        assert re.search(r"timed +udp \[::1\]:\d+  echo ", up.page)
        up.tell()
        assert up.ended() == 0


def test_up_names_a_port_that_is_taken(fd0):
    port = machine.Port()
    with clients.socket.create_server(("127.0.0.1", port.number)):
        assert fd0("up", "echod", f"--offset={port.number - 7}") == (
            111, "", f"fd0 up: echod cannot have 127.0.0.1:{port.number}: Address already in use; "
                     "try another --offset or --bind\n")
    port.release()
    assert "Cannot assign requested address" in fd0("up", "echod", "--bind=192.0.2.1")[2]
