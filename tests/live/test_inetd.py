"""Our inetd: which sockets it serves, what it does with files that are wrong, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.live import clients, inetds, machine
from tests.live.inetds import (
    HOST,
    LISTENER,
    Inetd,
    asked,
    defaults,
    pythonic,
    run,
    said_and_heard,
    service,
)
from tests.live.launchers import ROOT

DATAGRAMS = """
import socket
sock = socket.socket(fileno=0)
while True:
    data, peer = sock.recvfrom(65536)
    sock.sendto(data, peer)
"""
OPTIONS = """
import socket
sock = socket.socket(fileno=0)
print(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
      sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), flush=True)
"""

address = other = third = inetds.address        # fixtures
folder, python = inetds.folder, inetds.python


# ------------------------------------------------------------------ sockets

def test_a_connection_gets_a_server_of_its_own(address):
    with Inetd(service("cat", address, "/bin/cat")), clients.connect(address):
        assert clients.converse(address, b"hello") == b"hello"


def test_a_server_that_waits_gets_the_listener(address, python):
    with Inetd(pythonic("echo", address, python(LISTENER), wait="yes")) as inetd:
        assert clients.converse(address, b"one") == b"one"
        first = inetd.children()
        assert clients.converse(address, b"two") == b"two"
        assert inetd.children() == first and len(first) == 1


def test_datagrams_go_to_one_server(address, python):
    with Inetd(pythonic("echo", address, python(DATAGRAMS), socket_type="dgram", wait="yes")) as inetd:
        assert [clients.ask(address, data) for data in (b"one", b"two")] == [b"one", b"two"]
        assert len(inetd.children()) == 1


def test_a_path_is_a_unix_socket_that_everybody_may_call_and_goes_with_the_service(folder, python):
    echo, wait, dgram = (str(folder / name) for name in ("echo", "wait", "dgram"))
    text = (service("echo", echo, "/bin/cat", log_on_success="HOST")
            + pythonic("wait", wait, python(LISTENER), wait="yes")
            + pythonic("dgram", dgram, python(DATAGRAMS), socket_type="dgram", wait="yes"))
    with Inetd(text) as inetd:
        assert all(os.stat(path).st_mode & 0o777 == 0o666 for path in (echo, wait, dgram))
        assert [clients.converse(path, b"hello") for path in (echo, wait)] == [b"hello", b"hello"]
        assert clients.ask(dgram, b"hello") == b"hello"
        inetd.log.wait_for(rf"START service=echo from=.unix:uid={os.getuid()}.$")
        assert inetd.end() == 0
    assert not any(map(os.path.exists, (echo, wait, dgram)))


def test_a_path_whose_owner_is_gone_is_taken_over_and_another_ones_is_not(folder):
    path, foreign = str(folder / "left"), str(folder / "foreign")
    with socket.socket(socket.AF_UNIX) as left, socket.socket(socket.AF_UNIX) as owner:
        left.bind(path)
        left.close()
        owner.bind(foreign)
        owner.listen()
        with Inetd(service("mine", path, "/bin/cat") + service("taken", foreign, "/bin/cat")) as inetd:
            assert clients.converse(path, b"hello") == b"hello"
            assert inetd.log.wait_for("FAIL service=taken").text.endswith(
                f'why="cannot listen at unix:{foreign}: Address already in use"')
            assert inetd.end() == 0
    assert os.path.exists(foreign)


def test_without_bind_one_socket_serves_ipv4_and_ipv6(address):
    machine.need_ipv6()
    with Inetd(service("cat", address, "/bin/cat", bind=None)):
        for host in (HOST, "::1"):
            assert clients.converse((host, address[1]), b"hello") == b"hello"


@pytest.mark.parametrize("flag, yes, no", [("IPv4", HOST, "::1"), ("IPv6", "::1", HOST)])
def test_a_flag_chooses_the_version_of_ip(address, flag, yes, no):
    machine.need_ipv6()
    with Inetd(service("cat", address, "/bin/cat", bind=None, flags=flag)):
        assert clients.converse((yes, address[1]), b"hello") == b"hello"
        with pytest.raises(ConnectionRefusedError):
            clients.connect((no, address[1]))


@pytest.mark.parametrize("flags, seen", [("NORETRY", "0 0"), ("KEEPALIVE", "1 0"), ("NODELAY", "0 1"),
                                         ("KEEPALIVE NODELAY REUSE", "1 1")])
def test_flags_set_socket_options(address, python, flags, seen):
    with Inetd(pythonic("options", address, python(OPTIONS), flags=flags)):
        assert asked(address) == seen + "\n"


def test_a_port_whose_old_conversations_still_linger_is_bound_again(address):
    text = service("true", address, "/bin/true", flags="REUSE")
    for _ in range(2):                  # the server closes first, so it is our port that waits
        with Inetd(text) as inetd:
            assert asked(address, half_close=False) == ""
            assert inetd.end() == 0


@pytest.mark.parametrize("flags, arguments, seen", [
    ("NORETRY", ["/proc/self/cmdline"], "cat\0/proc/self/cmdline\0"),
    ("NAMEINARGS", ["zero", "/proc/self/cmdline"], "zero\0/proc/self/cmdline\0")])
def test_nameinargs_gives_the_server_its_name(address, flags, arguments, seen):
    with Inetd(service("cat", address, "/bin/cat", flags=flags, server_args=" ".join(arguments))):
        assert asked(address) == seen


def test_two_services_that_want_one_port_are_told_apart(address, other):
    text = (service("first", address, "/bin/cat") + service("twin", address, "/bin/cat")
            + service("everywhere", ("0.0.0.0", address[1]), "/bin/cat") + service("last", other, "/bin/cat"))
    with Inetd(text) as inetd:
        inetd.log.wait_for(r"config at=\S+:\d+ severity=error text=.has its address, protocol and port from")
        failed = inetd.log.wait_for("FAIL service=everywhere")
        assert f"cannot listen at [0.0.0.0]:{address[1]}: Address already in use" in failed.text
        assert failed.priority == "err"
        assert clients.converse(address, b"hello") == clients.converse(other, b"hello") == b"hello"


def test_a_port_that_is_taken_for_all_services_is_worth_another_try(address):
    with socket.create_server(address):
        done = run(service("cat", address, "/bin/cat"))
    assert (done.returncode, done.stderr) == (111, "inetd: none of 1 service could listen; the log says why\n")


# ------------------------------------------------------------------ what is wrong in a file

def test_what_restricts_and_is_not_understood_disables_its_service_alone(address, other):
    text = (service("bad", address, "/bin/cat", only_from="10.0.0.0/255.0.0.0") + service("good", other, "/bin/cat"))
    with Inetd(text) as inetd:
        assert clients.converse(other, b"hello") == b"hello"
        record = inetd.log.wait_for(rf"config at={re.escape(str(inetd.file))}:11 severity=error text=.only_from: ")
        assert record.priority == "err"
        with pytest.raises(ConnectionRefusedError):
            clients.connect(address)


@pytest.mark.parametrize("line", ["bind = apples please!", "bind = 127.0.0.l", "bind =", "bnid = 127.0.0.1",
                                  "interface = no-such-host.invalid", "bind += 127.0.0.1", "bind=127.0.0.1"])
def test_an_address_that_is_not_understood_never_means_everywhere(address, other, line):
    bad = service("bad", address, "/bin/cat", bind=None).replace("}", f"{line}\n}}")
    with Inetd(bad + service("good", other, "/bin/cat")) as inetd:
        inetd.log.wait_for("listening service=good")
        assert len(inetd.lines("listening")) == 1
        kinds = [("stream", (host, address[1])) for host in ("0.0.0.0", HOST, "::", "::1")]
        assert not any(machine.listeners(*kind) for kind in kinds)


def test_files_are_included_and_defaults_hold_in_them(address, other, third, folder):
    (folder / "xinetd.d").mkdir()
    hello = "/bin/echo", "hello"
    (folder / "xinetd.d/one").write_text(service("one", address, *hello, log_on_failure="HOST"))
    (folder / "xinetd.d/cat.rpmsave").write_text("not a file that anybody reads")
    (folder / "more").write_text(service("more", other, *hello, no_access=""))
    text = (f"include {folder}/more\n" + defaults(no_access=HOST) + f"includedir {folder}/xinetd.d\n"
            + service("own", third, *hello).replace("}", "no_access -= 127.0.0.1\n}"))
    with Inetd(text) as inetd:
        assert [asked(where) for where in (address, other, third)] == ["", "hello\n", "hello\n"]
        inetd.log.wait_for("FAIL service=one")


@pytest.mark.parametrize("mode", [0o664, 0o666])
def test_a_file_that_others_may_write_is_refused(address, mode):
    done = run(service("cat", address, "/bin/cat"), mode=mode)
    assert done.returncode == 100
    assert re.match(r"inetd: no service to run in \S+; for the reasons: inetd --check \S+\n", done.stderr)
    done = run(service("cat", address, "/bin/cat"), "--check", mode=mode)
    assert done.returncode == 100 and f"has mode {mode:o}: others may write to it" in done.stdout


def test_strict_refuses_what_is_only_a_warning(address):
    text = service("cat", address, "/bin/cat", colour="red")
    done = run(text, "--strict")
    assert done.returncode == 100
    assert re.search(r"--strict, and 1 problem in \S+: the first is \S+:11: warning: unknown attribute 'colour'",
                     done.stderr)
    assert [run(text, "--check").returncode, run(text, "--check", "--strict").returncode] == [0, 100]


def test_an_unknown_option_is_answered_with_the_nearest():
    done = run("", "--strickt")
    assert (done.returncode, done.stderr) == (
        100, "inetd: command line: no option --strickt (did you mean --strict?)\n")


def test_no_file_at_all_is_answered_with_an_example():
    done = subprocess.run([sys.executable, "-m", "daemons.inetd", "--log=/nonexistent/log"], cwd=ROOT, text=True,
                          check=False, capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (100, "inetd: which file? for example: inetd /etc/xinetd.conf\n")




def test_check_only_reads_and_reports(address, folder):
    trace = folder / "trace"
    good = service("good", address, "/bin/cat", "-u")
    bad = service("bad", address, "/bin/cat", only_from="10.0.0.0/255.0.0.0")
    off = service("off", address, "/bin/cat", disable="yes")
    strace = [machine.program("strace", "strace"), "-f", "-qq", "-e", "trace=network,kill,/exec", "-o", str(trace)]
    done = run(good + off, "--check", prefix=strace)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("1 service would run; 0 errors, 0 warnings\n")
    done = run(bad + good + off, "--check", prefix=strace)
    assert (done.returncode, done.stderr) == (100, "")
    lines = re.sub(r"^\S+xinetd.conf", "FILE", done.stdout).splitlines()
    assert lines[0].startswith("FILE:11: error: only_from: '10.0.0.0/255.0.0.0' has a mask")
    assert re.fullmatch(r"bad +refused: only_from: .*", lines[1])
    assert re.fullmatch(rf"good +tcp 127.0.0.1:{address[1]}: /bin/cat -u, as \w+", lines[2])
    assert re.fullmatch(r"off +off: disable = yes", lines[3])
    assert lines[4:] == ["1 service would run; 1 error, 0 warnings"]
    calls = trace.read_text()
    assert "execve" in calls and not re.search(r"AF_INET|bind\(|listen\(|sendto\(|kill\(", calls)
    assert calls.count("execve") == 1


# ------------------------------------------------------------------ how it ends

def test_it_tells_its_manager_when_it_is_ready_and_when_it_stops(address):
    with Inetd(service("cat", address, "/bin/cat")) as inetd:
        assert "STATUS=serving 1 services" in inetd.told
        assert machine.listeners("stream", address)
        assert inetd.end() == 0
        inetd.told += inetd.manager.recv(4096).decode().split("\n")
        assert inetd.told[-1] == "STOPPING=1"
        assert re.fullmatch(r"stop why=SIGTERM seconds=\d+\.\d+ conversations=0", inetd.lines("stop")[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_lets_conversations_finish(address, number):
    with Inetd(service("cat", address, "/bin/cat"), "--grace=1h") as inetd, clients.connect(address) as sock:
        assert said_and_heard(sock)
        inetd.tell(number)
        machine.until(lambda: not machine.listeners("stream", address), what="end of listening")
        with pytest.raises(ConnectionRefusedError):
            clients.connect(address)
        assert clients.exchange(sock, b"goodbye") == b"goodbye"
        assert inetd.processes.first.wait(20) == 0


def test_after_the_grace_conversations_are_ended(address, other, python):
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(flush=True)\nsignal.pause()\n"
    text = service("cat", address, "/bin/cat", log_on_success="EXIT") + pythonic("stubborn", other, python(stubborn),
                                                                                log_on_success="EXIT")
    with Inetd(text, "--grace=0.1") as inetd, clients.connect(address) as sock, clients.connect(other) as deaf:
        assert said_and_heard(sock) and deaf.recv(1) == b"\n"
        assert inetd.end() == 0
        inetd.log.wait_for("EXIT service=cat status=SIGTERM")
        inetd.log.wait_for("EXIT service=stubborn status=SIGKILL")
        assert sock.recv(1) == b"" and not inetd.processes.alive()


def test_told_twice_it_ends_at_once_with_all_that_its_servers_started(address):
    server = ["/bin/sh", "-c", "trap${IFS}'echo${IFS}told'${IFS}TERM;echo;sleep${IFS}1000&wait;wait"]
    with Inetd(service("slow", address, *server), "--grace=1h") as inetd, clients.connect(address) as sock:
        assert sock.recv(1) == b"\n"
        inetd.tell(signal.SIGTERM)
        machine.until(lambda: not machine.listeners("stream", address), what="end of listening")
        assert inetd.end(signal.SIGINT) == 0
        assert sock.recv(9) == b"" and not inetd.processes.alive()


def test_as_process_1_it_reaps_what_its_servers_leave_behind(address):
    inetds.need_root()
    text = service("leaves", address, "/bin/sh", "-c", "/bin/true&exec${IFS}/bin/true", log_on_success="EXIT")
    with Inetd(text, prefix=["unshare", "--pid", "--fork", "--kill-child"]) as outer:
        [inetd] = outer.children()
        for _ in range(10):
            assert asked(address) == ""
        outer.log.wait_for("EXIT service=leaves", count=10)
        machine.until(lambda: outer.children(inetd) == [], what="end of orphans")
        os.kill(inetd, signal.SIGTERM)
        assert outer.processes.first.wait(20) == 0


def test_a_waiting_server_is_told_to_end_too(address, python):
    with Inetd(pythonic("echo", address, python(LISTENER), wait="yes", log_on_success="EXIT"), "--grace=1h") as inetd:
        assert clients.converse(address, b"hello") == b"hello"
        assert inetd.end() == 0
        inetd.log.wait_for("EXIT service=echo status=SIGTERM")
