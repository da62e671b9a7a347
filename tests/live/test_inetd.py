"""Our inetd: which sockets it serves, what its servers see, whom it lets in, how much of it, and what it logs."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import clients, inetds, machine, processes
from tests.live.inetds import HOST, SYSTEM_PYTHON, Inetd, defaults, run, service
from tests.live.launchers import ROOT

LISTENER = """
import socket
listener = socket.socket(fileno=0)
while True:
    with listener.accept()[0] as conn:
        while data := conn.recv(65536):
            conn.sendall(data)
"""
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


@pytest.fixture
def address():
    """An address that nobody else has."""
    port = machine.Port()
    yield HOST, port.number
    port.release()


other = address
third = address


@pytest.fixture
def folder():
    return Path(processes.new_folder("files"))


@pytest.fixture
def python(folder):
    """Make a server of Python source: returns a function from it to (path, arguments, flags) for service()."""
    def made(source):
        script = folder / f"server{len(list(folder.iterdir()))}.py"
        script.write_text(source)
        # NAMEINARGS: a Python that is not in PATH finds its library by its argv[0]
        return [sys.executable, sys.executable, "-I", "-S", str(script)]
    return made


def pythonic(name, address, argv, **attributes):
    """The text of a service whose server the fixture `python` made."""
    flags = f"NAMEINARGS {attributes.pop('flags', '')}".rstrip()
    return service(name, address, argv[0], **{"flags": flags, **attributes, "server_args": " ".join(argv[1:])})


def need_root():
    if os.geteuid() != 0:
        machine.unavailable("only root can start servers as other users")


def asked(address, **arguments):
    """What a server says by itself."""
    return clients.converse(address, **arguments).decode()


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
    text = (service("echo", echo, "/bin/cat", log_on_success="HOST") + pythonic("wait", wait, python(LISTENER), wait="yes")
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
        assert {status[name] for name in ("SigIgn", "SigBlk", "SigCgt")} == {"0" * 16}
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
        assert {name: rows[name][:2] for name in rows if rows[name][0] in ("536870912", "64", "7", "268435456", "4194304")
                } == {"Max address space": ["536870912"] * 2, "Max open files": ["64"] * 2, "Max cpu time": ["7"] * 2,
                      "Max data size": ["268435456"] * 2, "Max stack size": ["4194304"] * 2}
        assert rows["Max resident set"][:2] == ["unlimited"] * 2 or os.geteuid()
        assert asked(other).split()[18] == str(os.nice(0) + 7)


def environment(address, **attributes):
    """The variables that env(1) prints as a server."""
    leave = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "LD_LIBRARY_PATH", "PYTHONUNBUFFERED",
             "FD0_INETD_GRACE", "FD0_ECHOD_TIMEOUT", "KEPT"]
    variables = {**dict.fromkeys(leave, "1"), "LD_LIBRARY_PATH": "/nowhere"}
    with Inetd(service("env", address, "/usr/bin/env", **attributes), environment=variables):
        with clients.connect(address) as sock:
            us = sock.getsockname()
            said = clients.exchange(sock).decode()
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
    text = service("socket", address, "/bin/sh", *arguments) + service("log", other, "/bin/sh", *arguments, stderr="log")
    text = text.replace("\t", "${IFS}")         # an argument has no blanks
    with Inetd(text) as inetd:
        assert asked(address) == "to-the-caller\nto-descriptor-2\nno-end"
        for count in (1, 2):
            assert asked(other) == "to-the-caller\n"
            inetd.log.wait_for(r"stderr service=log text=to-descriptor-2$", count=count)
        assert inetd.end() == 0
        inetd.log.wait_for(r"stderr service=log text=no-end")


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
    need_root()
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
    need_root()
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


# ------------------------------------------------------------------ how much

def test_instances_limit_the_servers(address):
    with Inetd(service("cat", address, "/bin/cat", instances="2", log_on_failure="HOST")) as inetd:
        with clients.connect(address) as one, clients.connect(address) as two:
            for sock in (one, two):
                assert said_and_heard(sock)
            assert asked(address) == ""
            inetd.log.wait_for(r"FAIL service=cat from=\[127.0.0.1\]:\d+ why=service_limit")
        machine.until(lambda: not inetd.children(), what="end of servers")
        assert clients.converse(address, b"hello") == b"hello"


def said_and_heard(sock, data=b"x"):
    """Tell whether an echo server answers."""
    sock.sendall(data)
    return sock.recv(len(data)) == data


def test_one_source_cannot_take_all_servers(address):
    with Inetd(service("cat", address, "/bin/cat", per_source="1", log_on_failure="HOST")) as inetd:
        with clients.connect(address) as sock:
            assert said_and_heard(sock)
            assert asked(address) == ""
            inetd.log.wait_for("why=per_source_limit")
            assert clients.converse(address, b"hello", source="127.0.0.2") == b"hello"


def test_callers_over_the_rate_wait_and_none_is_lost(address):
    with Inetd(service("cat", address, "/bin/cat", cps="5 1", instances="UNLIMITED")) as inetd:
        callers = [clients.connect(address) for _ in range(12)]
        assert [clients.exchange(sock, b"hello") for sock in callers] == [b"hello"] * 12
        for sock in callers:
            sock.close()
        inetd.log.wait_for("paused service=cat why=cps seconds=1", count=2)
        assert not inetd.lines("FAIL")


def test_a_rate_that_nobody_exceeds_pauses_nothing(address):
    with Inetd(service("cat", address, "/bin/cat", cps="3 60")) as inetd:
        for _ in range(3):
            assert clients.converse(address, b"hello") == b"hello"
        assert inetd.end() == 0
        assert not inetd.lines("paused")


def test_a_waiting_server_that_takes_nobody_does_not_spin(address):
    with Inetd(service("true", address, "/bin/true", wait="yes", cps="4 1", log_on_success="PID")) as inetd:
        with clients.connect(address):
            inetd.log.wait_for("paused service=true why=cps", count=2)
        assert len(inetd.lines("START")) == 8


def test_a_waiting_server_that_fails_at_once_gets_a_pause_although_its_rate_is_low(address, folder):
    script = folder / "server"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with Inetd(service("broken", address, script, wait="yes", cps="1000 60", log_on_success="EXIT")) as inetd:
        with clients.connect(address):
            inetd.log.wait_for('paused service=broken why="its server fails" seconds=60')
        assert inetd.lines("EXIT") == ["EXIT service=broken status=111"] * 10
        assert len(inetd.lines("FAIL")) == 10


def test_waiting_servers_that_take_one_caller_each_are_restarted_for_all(address, python):
    one = "import socket\nlistener = socket.socket(fileno=0)\nlistener.accept()[0].sendall(b'done')\n"
    with Inetd(pythonic("one", address, python(one), wait="yes", cps="1000 1")):
        callers = [clients.connect(address) for _ in range(20)]
        assert {clients.exchange(sock) for sock in callers} == {b"done"}
        for sock in callers:
            sock.close()


def test_a_new_waiting_server_gets_a_socket_that_waits(address, python):
    leaves = "import socket\nsock = socket.socket(fileno=0)\nsock.setblocking(False)\nsock.accept()[0].close()\n"
    with Inetd(pythonic("one", address, python(leaves + "sock.accept()"), wait="yes", log_on_success="EXIT")) as inetd:
        assert asked(address) == ""
        inetd.log.wait_for("EXIT service=one status=1")
        with clients.connect(address) as sock:
            assert clients.exchange(sock) == b""


def test_no_zombie_is_left_of_two_hundred_quick_conversations(address):
    with Inetd(service("true", address, "/bin/true", cps="0 0", log_on_success="PID EXIT")) as inetd:
        for _ in range(10):
            callers = [clients.connect(address) for _ in range(20)]
            for sock in callers:
                assert clients.exchange(sock) == b""
                sock.close()
        inetd.log.wait_for(r"EXIT service=true pid=\d+ status=0", count=200)
        assert inetd.children() == []


# ------------------------------------------------------------------ who

@pytest.mark.parametrize("attributes, welcome", [
    ({"only_from": "127.0.0.2"}, [False, True]),
    ({"no_access": "127.0.0.2"}, [True, False]),
    ({"only_from": "127.0.0.0/8", "no_access": "127.0.0.1"}, [False, True]),
    ({"only_from": ""}, [False, False]),
    ({"only_from": "::/0"}, [False, False]),
])
@pytest.mark.parametrize("bind", [HOST, None])
def test_rules_hold_for_ipv4_on_a_socket_of_both_kinds_too(address, bind, attributes, welcome):
    text = service("hello", address, "/bin/echo", "hello", bind=bind, log_on_failure="HOST", **attributes)
    with Inetd(text) as inetd:
        heard = [asked(address, source=source) for source in (HOST, "127.0.0.2")]
        assert heard == ["hello\n" if yes else "" for yes in welcome]
        for number, yes in enumerate(welcome, 1):
            if not yes:
                inetd.log.wait_for(rf"FAIL service=hello from=\[127.0.0.{number}\]:\d+ why=address")


def test_rules_hold_for_ipv6(address):
    machine.need_ipv6()
    with Inetd(service("hello", ("::1", address[1]), "/bin/echo", "hello", no_access="::1")):
        assert asked(("::1", address[1])) == ""


def test_a_name_that_nobody_can_tell_holds_up_its_own_caller_alone(address, other, folder):
    need_root()
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with silent:
        silent.bind((f"127.77.{os.getpid() % 250}.{address[1] % 250}", 53))
        (folder / "resolv.conf").write_text(f"nameserver {silent.getsockname()[0]}\noptions timeout:20 attempts:1\n")
        script = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
        prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", folder / "resolv.conf"]
        text = (service("named", address, "/bin/cat", only_from=".example.org localhost", log_on_success="PID",
                        log_on_failure="HOST") + service("open", other, "/bin/cat"))
        with Inetd(text, prefix=list(map(str, prefix))) as inetd, clients.connect(address, source="127.0.0.9") as held:
            assert silent.recv(4096)                            # it asks for the name
            assert clients.converse(other, b"hello") == b"hello"
            assert clients.converse(address, b"hello") == b"hello"      # localhost is in /etc/hosts
            held.close()
            inetd.log.wait_for("START service=named")
            assert len(inetd.lines("START")) == 1 and not inetd.lines("FAIL")


def test_who_is_refused_by_name_is_logged_as_refused_alone(address):
    flags = {"log_on_failure": "HOST", "log_on_success": "PID EXIT"}
    with Inetd(service("named", address, "/bin/echo", "hello", no_access="localhost", **flags)) as inetd:
        assert asked(address) == ""
        inetd.log.wait_for(r"FAIL service=named from=\[127.0.0.1\]:\d+ why=address")
        assert not inetd.lines("START") + inetd.lines("EXIT")


# ------------------------------------------------------------------ what is logged

def test_a_conversation_is_logged_as_its_flags_ask(address, other, third):
    text = (service("all", address, "/bin/sh", "-c", "exit${IFS}3", log_on_success="PID HOST EXIT DURATION")
            + service("some", other, "/bin/sh", "-c", "kill${IFS}-9${IFS}$$", log_on_success="EXIT",
                      log_type="SYSLOG local5 debug") + service("none", third, "/bin/cat"))
    with Inetd(text, "--priority=debug") as inetd:
        assert [asked(where) for where in (third, address, other)] == ["", "", ""]
        started = inetd.log.wait_for(r"START service=all pid=\d+ from=\[127.0.0.1\]:\d+$")
        ended = inetd.log.wait_for(r"EXIT service=all pid=\d+ status=3 seconds=\d+\.\d{3}$")
        assert started[:2] == ended[:2] == ("daemon", "info") and started.ident == "inetd"
        assert started.text.split()[2] == ended.text.split()[2]
        assert inetd.log.wait_for(r"START service=some$")[:2] == ("local5", "debug")
        assert inetd.log.wait_for(r"EXIT service=some status=SIGKILL$")[:2] == ("local5", "debug")
        assert not any("service=none" in line for line in inetd.lines("START") + inetd.lines("EXIT"))


def test_a_refusal_is_logged_only_where_flags_ask(address, other):
    text = (service("told", address, "/bin/cat", no_access="0.0.0.0/0", log_on_failure="ATTEMPT", log_type="SYSLOG auth")
            + service("silent", other, "/bin/cat", no_access="0.0.0.0/0"))
    with Inetd(text) as inetd:
        assert [asked(where) for where in (other, address)] == ["", ""]
        assert inetd.log.wait_for("FAIL service=told why=address$")[:2] == ("auth", "notice")
        assert len(inetd.lines("FAIL")) == 1


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
    server = ["/bin/sh", "-c", "trap${IFS}:${IFS}TERM;echo;sleep${IFS}1000;exit"]
    with Inetd(service("slow", address, *server), "--grace=1h") as inetd, clients.connect(address) as sock:
        assert sock.recv(1) == b"\n"
        inetd.tell(signal.SIGTERM)
        machine.until(lambda: not machine.listeners("stream", address), what="end of listening")
        assert inetd.end(signal.SIGINT) == 0
        assert not inetd.processes.alive()


def test_a_waiting_server_is_told_to_end_too(address, python):
    with Inetd(pythonic("echo", address, python(LISTENER), wait="yes", log_on_success="EXIT"), "--grace=1h") as inetd:
        assert clients.converse(address, b"hello") == b"hello"
        assert inetd.end() == 0
        inetd.log.wait_for("EXIT service=echo status=SIGTERM")
