"""Every program under every launcher: one program, and no flag that says who started it."""

import os
import pty
import pwd
import re
import signal
import socket
import subprocess
import sys
import termios

import pytest

from daemons.tools import programs
from tests.live import clients, devlog, installed, launchers, machine, processes
from tests.live.launchers import WAIT, ByHand, Service, SocketActivate
from tests.live.test_harness import EVERY, named

SERVED = [(service.name, kind) for service in programs.launched() for kind in service.sockets]

# What is said to a program of each kind, and what the beginning of its answer looks like; b"" means silence.
ASCII_RING = rb'(?s) !"#\$%&\'\(\)\*\+,-\./0123456789:;<=>\?@ABCDEFGHIJKLMNOPQRSTUVWXYZ\[\\\]\^_`abcdefg\r\n'
EXCHANGES = {
    ("echod", "stream"): (b"hello", rb"hello\Z"),
    ("echod", "dgram"): (b"hello", rb"hello\Z"),
    ("discardd", "stream"): (b"hello", b""),
    ("discardd", "dgram"): (b"hello", b""),
    ("daytimed", "stream"): (b"", rb"[A-Z].*\d\d:\d\d:\d\d.*\r\n\Z"),
    ("daytimed", "dgram"): (b"", rb"[A-Z].*\d\d:\d\d:\d\d.*\r\n\Z"),
    ("timed", "stream"): (b"", rb"(?s)....\Z"),
    ("timed", "dgram"): (b"", rb"(?s)....\Z"),
    ("chargend", "stream"): (b"", ASCII_RING),
    ("chargend", "dgram"): (b"?" * 512, rb'\Z| \Z| !'),
    ("qotd", "stream"): (b"", rb".+\r\n"),
    ("qotd", "dgram"): (b"?" * 512, rb".+\r\n"),
    ("fingerd", "stream"): (b"no-such-user\r\n", rb".+\r\n"),
    ("httpd", "stream"): (b"HEAD / HTTP/1.0\r\n\r\n", rb"HTTP/1\.1 200 OK\r\n"),
    ("xmlrpcd", "stream"): (b"HEAD / HTTP/1.0\r\n\r\n", rb"HTTP/1\.1 200 OK\r\n"),
    ("pop3d", "stream"): (b"QUIT\r\n", rb"\+OK POP3 ready\r\n\+OK bye\r\n\Z"),
    ("smtpd", "stream"): (b"QUIT\r\n", rb"220 \S+ ESMTP\r\n221 2\.0\.0 .+\r\n\Z"),
    ("identd", "stream"): (b"1, 2\r\n", rb"1 ?, ?2 ?: ?ERROR ?: ?[A-Z-]+\r\n\Z"),
}

OURS = [(launchers.OurInetd, {}, kind, wait, host)      # rows are those of test_harness.EVERY
        for kind, wait in (("stream", launchers.NOWAIT), ("stream", WAIT), ("dgram", WAIT))
        for host in ("127.0.0.1", "::1")]


def exchange(name, kind, address):
    """Ask a program something; AssertionError when the answer is not its own."""
    question, answer = EXCHANGES[name, kind]
    if kind == "dgram" and answer:
        said = clients.ask(address, question)
    elif kind == "dgram":
        return send(address, question)
    elif name == "chargend":                            # it only stops when we do
        with clients.connect(address) as sock:
            said = sock.makefile("rb").readline()
    else:
        said = clients.converse(address, question)
    assert re.match(answer, said) if answer else said == b"", said


def send(address, data):
    """Send a datagram to which there is no answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, address)


# Every program, from its own xinetd file.

@pytest.fixture(scope="module", params=["no", "yes"])
def xinetd(request):
    """xinetd with the files of all programs, as they are and with the change that their comment describes."""
    changes = {} if request.param == "no" else {"wait": "yes", "instances": None, "per_source": None, "cps": "1000 1"}
    names = [service.name for service in programs.launched()]
    with devlog.LogSocket() as log:
        variables = {f"FD0_{name.upper()}_LOG": log.path for name in names}
        with installed.shipped(names, environment=variables, **changes) as host:
            yield host, log, request.param


@pytest.mark.parametrize("name, kind", SERVED)
def test_a_program_serves_from_its_xinetd_file(xinetd, name, kind):
    host, log, wait = xinetd
    address = host.addresses[f"{name}-{kind}"]
    for _ in range(2):
        exchange(name, kind, address)
    if kind == "dgram":
        assert log.wait_for(rf"{name}\[\d+\]: packet from=\[127.0.0.1\]:\d+ to=\[127.0.0.1\]:{address[1]} ")
        return
    opened = [log.wait_for(rf"{name}\[\d+\]: open .*\]:{address[1]} via=", count=count) for count in (1, 2)]
    log.wait_for(rf"{name}\[\d+\]: close ", count=2)
    assert opened[0].pid != opened[1].pid or wait == "yes"
    assert " via=xinetd " in opened[0].text
    started = [record for record in log.records if record.ident == name and record.text.startswith("start via=xinetd")]
    assert any(f":{address[1]}" in record.text for record in started) == (wait == "yes")


def test_every_program_has_an_exchange():
    assert set(SERVED) <= set(EXCHANGES)


# One program, under every launcher in each of its modes.

@pytest.mark.parametrize("launcher, extra, kind, wait, host",
                         [row for row in EVERY + OURS if row[0] is not ByHand or row[2] != "unix-dgram"], ids=named)
def test_echod_serves_under(launcher, extra, kind, wait, host):
    with devlog.LogSocket() as log:
        service = Service(installed.argv("echod"), kind, wait, host, environment={"FD0_ECHOD_LOG": log.path})
        with launcher(service, **extra) as running:
            for data in (b"hello", b"again"):
                if "dgram" in kind:
                    assert clients.ask(running.address, data) == data
                else:
                    assert clients.converse(running.address, data) == data
            if "dgram" in kind:
                log.wait_for(r"\bpacket from=.* in=5 out=5")
            else:
                for count in (1, 2):
                    session = log.wait_for(r"\bopen session=", count=count).text.split()[1]
                    log.wait_for(rf"\bclose {session} reason=done .*in=5 out=5")
                assert not any("via=unknown" in line for line in log.lines)
            assert any(record.text.startswith("start") for record in log.records) == wait


@pytest.mark.parametrize("launcher, extra, wait", [
    (launchers.Xinetd, {}, WAIT), (launchers.OpenBSDInetd, {}, WAIT), (SocketActivate, {}, WAIT),
    (SocketActivate, {"inetd": True}, WAIT), (launchers.Udpsvd, {}, WAIT), (ByHand, {}, WAIT)], ids=named)
def test_daytimed_serves_datagrams_under(launcher, extra, wait):
    service = Service(installed.argv("daytimed", "--priority=emerg"), "dgram", wait)
    with launcher(service, **extra) as running:
        for _ in range(2):
            exchange("daytimed", "dgram", running.address)


def test_systemd_hands_over_several_sockets_with_names():
    service = Service(installed.argv("echod", "--priority=emerg"), wait=WAIT)
    with SocketActivate(service, names=("inside", "outside")) as host:
        for name in ("inside", "outside", "inside"):
            assert clients.converse(host.addresses[name], name.encode()) == name.encode()


# By hand.

def test_two_pipes_are_one_conversation():
    done = launchers.pipes(installed.argv("echod", "--log=stderr"), b"hello")
    assert (done.stdout, done.returncode) == (b"hello", 0)
    assert [line.split()[1] for line in done.stderr.splitlines()] == [b"open", b"close"]
    assert b" from=pipes " in done.stderr


def test_a_file_is_one_conversation(tmp_path):
    (tmp_path / "said").write_bytes(b"hello")
    with open(tmp_path / "said", "rb") as said:
        done = subprocess.run(installed.argv("echod", "--log=stderr"), stdin=said, capture_output=True, check=True,
                              timeout=20)
    assert done.stdout == b"hello"


def test_a_terminal_is_one_conversation():
    person, terminal = pty.openpty()
    modes = termios.tcgetattr(terminal)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    with devlog.LogSocket() as log:
        started = processes.Processes(installed.argv("echod", f"--log={log.path}"), stdin=terminal, stdout=terminal,
                                      stderr=terminal)
        os.close(terminal)
        os.write(person, b"hello\n")
        assert os.read(person, 100) == b"hello\r\n"
        os.write(person, b"\x04")                       # Ctrl-D
        assert started.first.wait(10) == 0
        started.end()
        os.close(person)
        log.wait_for("open .* from=terminal ")
        log.wait_for("close .* reason=done .* in=6 out=6")


def test_a_person_who_has_enough_presses_ctrl_c():
    with devlog.LogSocket() as log:
        started = processes.Processes(installed.argv("echod", f"--log={log.path}"), stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        log.wait_for(r"\bopen ")
        started.first.stdin.write(b"hello")
        started.first.stdin.flush()
        assert os.read(started.first.stdout.fileno(), 100) == b"hello"
        started.first.send_signal(signal.SIGINT)
        assert started.first.wait(10) == 0
        assert started.first.stderr.read() == b""
        started.end()
        log.wait_for("close .* reason=stopped ")


def by_hand(log, *options, name="echod"):
    """Start a program with /dev/null on descriptor 0."""
    command = installed.argv(name, f"--log={log.path}", *options)
    return processes.Processes(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("listen, host", [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), (":0", "127.0.0.1")])
def test_listening_at_port_0_takes_a_free_one_for_both_kinds_and_says_which(listen, host):
    if host == "::1":
        machine.need_ipv6()
    with devlog.LogSocket() as log:
        started = by_hand(log, f"--listen={listen}")
        ports = re.findall(r"\]:(\d+)", log.wait_for(r"\bstart .* listen=").text)
        assert len(ports) == 2 and ports[0] == ports[1] != "0"
        assert clients.converse((host, int(ports[0])), b"hello") == b"hello"
        assert clients.ask((host, int(ports[0])), b"hello") == b"hello"
        os.kill(started.first.pid, signal.SIGTERM)
        assert started.first.wait(10) == 0
        log.wait_for("stop why=SIGTERM ")
        started.end()


def test_listening_at_several_addresses():
    with devlog.LogSocket() as log:
        started = by_hand(log, "--listen=127.0.0.1:0,127.0.0.2:0")
        stream, _, other, _ = re.findall(r"\[(127[.\d]+)\]:(\d+)", log.wait_for(r"\bstart .* listen=").text)
        assert (stream[0], other[0]) == ("127.0.0.1", "127.0.0.2")
        for host, port in (stream, other):
            assert clients.converse((host, int(port)), b"hello") == b"hello"
        started.end()


def test_a_taken_port_is_said_with_its_address_and_is_worth_another_try():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(installed.argv("echod", f"--listen={where}"), stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (111, "", 1)
    assert f"[127.0.0.1]:{where[10:]}: Address already in use" in done.stderr


def need_python_daemon():
    """Skip the calling test (in CI: fail it) where --detach has nothing to work with."""
    if subprocess.run([sys.executable, "-I", "-c", "import daemon"], check=False, capture_output=True).returncode:
        machine.unavailable("python-daemon is not installed")


def test_a_detached_program_writes_its_pid_and_starts_anew_and_ends_cleanly(tmp_path):
    need_python_daemon()
    pid_file = tmp_path / "pid"
    with devlog.LogSocket() as log:
        started = by_hand(log, "--listen=127.0.0.1:0", "--detach", f"--pid-file={pid_file}")
        assert started.first.wait(10) == 0
        record = log.wait_for(r"\bstart .* listen=")
        port = int(re.search(r"\]:(\d+)", record.text)[1])
        assert pid_file.read_text() == f"{record.pid}\n"
        assert record.pid != started.first.pid and os.getsid(record.pid) != os.getsid(0)
        assert clients.converse(("127.0.0.1", port), b"hello") == b"hello"
        again = by_hand(log, "--listen=127.0.0.1:0", "--detach", f"--pid-file={pid_file}")
        log.wait_for(f"misuse text=.*process {record.pid} is already running")
        again.end()
        os.kill(record.pid, signal.SIGHUP)
        assert log.wait_for(r"\bstart .* listen=", count=2).pid == record.pid
        assert clients.converse(("127.0.0.1", port), b"hello") == b"hello"
        assert pid_file.read_text() == f"{record.pid}\n"
        os.kill(record.pid, signal.SIGTERM)
        log.wait_for("stop why=SIGTERM ")
        machine.until(lambda: not processes.running(record.pid), what="end")
        assert not pid_file.exists()
        started.end()


@pytest.mark.parametrize("together", [False, True])
def test_what_a_detached_program_writes_to_descriptor_2_is_logged_even_when_started_anew(together):
    need_python_daemon()
    with devlog.LogSocket() as log:
        command = installed.argv("probed", f"--log={log.path}", "--listen=127.0.0.1:0", "--detach")
        reader, writer = os.pipe()
        started = processes.Processes(command, stdin=subprocess.DEVNULL, stdout=writer if together else None,
                                      stderr=writer)
        for turn in (1, 2):
            record = log.wait_for(r"\bstart .* listen=", count=turn)
            port = int(re.search(r"\]:(\d+)", record.text)[1])
            assert clients.converse(("127.0.0.1", port), b"writes\r\nquit\r\n") == b"200 done\r\n"
            log.wait_for(r'\bstderr text="to descriptor 2', count=turn)
            os.kill(record.pid, signal.SIGHUP)
        started.end()
        os.close(reader)
        os.close(writer)


def test_a_detached_program_that_became_another_user_ends_cleanly_too():
    need_python_daemon()
    if not installed.everybody_can_start():
        pytest.skip("only root becomes another user, who must be able to read the program")
    pid_file = f"{processes.new_folder('root')}/pid"
    with devlog.LogSocket() as log:
        started = by_hand(log, "--listen=127.0.0.1:0", "--detach", f"--pid-file={pid_file}", "--user=nobody")
        record = log.wait_for(r"\bstart .* listen=")
        assert os.stat(f"/proc/{record.pid}").st_uid == pwd.getpwnam("nobody").pw_uid
        os.kill(record.pid, signal.SIGTERM)
        log.wait_for("stop why=SIGTERM ")
        machine.until(lambda: not processes.running(record.pid), what="end")
        assert not any("crash" in line for line in log.lines)
        again = by_hand(log, "--listen=127.0.0.1:0", "--detach", f"--pid-file={pid_file}")
        log.wait_for(r"\bstart .* listen=", count=2)
        for one in (started, again):
            one.end()


def test_a_pid_file_that_nobody_holds_is_no_obstacle(tmp_path):
    need_python_daemon()
    pid_file = tmp_path / "pid"
    gone = subprocess.Popen(["true"])
    gone.wait(10)
    pid_file.write_text(f"{gone.pid}\n")
    with devlog.LogSocket() as log:
        started = by_hand(log, "--listen=127.0.0.1:0", "--detach", f"--pid-file={pid_file}")
        pid = log.wait_for(r"\bstart .* listen=").pid
        assert pid_file.read_text() == f"{pid}\n"
        started.end()
