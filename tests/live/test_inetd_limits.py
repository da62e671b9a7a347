"""How many servers our inetd starts, for whom, and what it logs of that."""

import os
import socket

import pytest

from tests.live import clients, inetds, machine
from tests.live.inetds import (
    HOST,
    Inetd,
    asked,
    pythonic,
    said_and_heard,
    service,
)

address = other = third = inetds.address        # fixtures
folder, python = inetds.folder, inetds.python


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


def test_one_source_cannot_take_all_servers(address):
    text = service("cat", address, "/bin/cat", per_source="1", log_on_failure="HOST")
    with Inetd(text) as inetd, clients.connect(address) as sock:
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
        events = [record.text.split()[0] for record in inetd.log.records]
        assert events[2:12] == (["START"] * 4 + ["paused"]) * 2


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
    source = "import os, socket\nsock, waits = socket.socket(fileno=0), os.get_blocking(0)\n" \
             "sock.setblocking(False)\nsock.accept()[0].sendall(b'%d' % waits)\n"
    with Inetd(pythonic("one", address, python(source), wait="yes")):
        assert [asked(address) for _ in range(2)] == ["1", "1"]


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
    inetds.need_root()
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with silent:
        silent.settimeout(20)
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
    nobody = {"no_access": "0.0.0.0/0"}
    text = (service("told", address, "/bin/cat", log_on_failure="ATTEMPT", log_type="SYSLOG auth", **nobody)
            + service("silent", other, "/bin/cat", **nobody))
    with Inetd(text) as inetd:
        assert [asked(where) for where in (other, address)] == ["", ""]
        assert inetd.log.wait_for("FAIL service=told why=address$")[:2] == ("auth", "notice")
        assert len(inetd.lines("FAIL")) == 1
