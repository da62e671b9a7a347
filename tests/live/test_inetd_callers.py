"""Who our inetd lets in, what it says to callers itself, and where it carries them."""

import contextlib
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.live import clients, inetds, machine
from tests.live.inetds import HOST, LISTENER, Inetd, asked, pythonic, said_and_heard, service

address = other = third = inetds.address        # fixtures
folder, python = inetds.folder, inetds.python

OPEN = ["--hosts-allow=/nonexistent/allow", "--hosts-deny=/nonexistent/deny"]


def words(sock):
    """All that is said on a connection."""
    return clients.exchange(sock, half_close=False).decode()


# ------------------------------------------------------------------ banners

@pytest.fixture
def banners(folder):
    """Attributes for three files, each of which says its name."""
    for name in ("banner", "banner_success", "banner_fail"):
        (folder / name).write_text(f"{name}\r\n")
    return {name: folder / name for name in ("banner", "banner_success", "banner_fail")}


def test_banners_are_said_to_everybody_and_to_who_is_let_in(address, banners):
    with Inetd(service("cat", address, "/bin/cat", **banners)):
        assert clients.converse(address, b"hello") == b"banner\r\nbanner_success\r\nhello"


@pytest.mark.parametrize("rule", ["only_from", "name", "instances"])
def test_a_refusal_arrives_though_the_caller_has_said_something(address, banners, rule):
    rules = {"only_from": {"only_from": "10.0.0.0"}, "name": {"only_from": "host.invalid"},
             "instances": {"instances": "1"}}[rule]
    text = service("cat", address, "/bin/cat", log_on_failure="HOST", **rules, **banners)
    with Inetd(text) as inetd, clients.connect(address) as first:
        if rule == "instances":
            assert first.recv(100).startswith(b"banner\r\n")
        assert clients.converse(address, b"hello") == b"banner\r\nbanner_fail\r\n"
        inetd.log.wait_for("FAIL service=cat")


def test_a_banner_that_is_not_there_is_our_mistake_and_keeps_nobody_out(address, banners, folder):
    banners["banner"] = folder / "missing"
    with Inetd(service("cat", address, "/bin/cat", **banners)) as inetd:
        assert clients.converse(address, b"hello") == b"banner_success\r\nhello"
        assert inetd.log.wait_for("FAIL service=cat why=.*missing: No such file").priority == "err"


def test_a_banner_of_a_device_or_too_large_is_not_sent(address, folder):
    (folder / "large").write_bytes(bytes(70000))
    for path in ("/dev/zero", folder / "large"):
        with Inetd(service("cat", address, "/bin/cat", banner=path)) as inetd:
            assert clients.converse(address, b"hello") == b"hello"
            inetd.log.wait_for("FAIL service=cat why=")


# ------------------------------------------------------------------ when, and how much

def span(first, last):
    """access_times from so many minutes before now to so many after it, over midnight if need be."""
    now = time.time()
    return "-".join(time.strftime("%H:%M", time.localtime(now + minutes * 60)) for minutes in (first, last))


def test_outside_of_its_hours_nobody_is_let_in(address, other, third):
    text = (service("now", address, "/bin/cat", access_times=span(-60, 60))
            + service("later", other, "/bin/cat", access_times=span(60, 120), log_on_failure="HOST")
            + service("either", third, "/bin/cat", access_times=f"{span(60, 120)} {span(-5, 5)}"))
    with Inetd(text) as inetd:
        assert [clients.converse(where, b"x") for where in (address, third)] == [b"x", b"x"] and asked(other) == ""
        inetd.log.wait_for("FAIL service=later from=.* why=time")


def test_above_a_load_nobody_is_let_in(address, other):
    text = (service("calm", address, "/bin/cat", max_load="0.0000001", log_on_failure="HOST")
            + service("busy", other, "/bin/cat", max_load="100000"))
    with Inetd(text) as inetd:
        assert asked(address) == "" and clients.converse(other, b"x") == b"x"
        inetd.log.wait_for("FAIL service=calm from=.* why=load")


def test_a_service_that_waits_takes_away_who_may_not_come_in_and_does_not_spin(address, other, python):
    text = (pythonic("stream", address, python(LISTENER), wait="yes", max_load="0.0000001", log_on_failure="HOST")
            + pythonic("dgram", other, python(LISTENER), socket_type="dgram", wait="yes", only_from="10.0.0.0",
                       log_on_failure="HOST", log_on_success="PID"))
    with Inetd(text) as inetd:
        assert asked(address) == asked(address) == ""
        inetd.log.wait_for("FAIL service=stream from=.* why=load")
        for _ in range(3):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"x", other)
        inetd.log.wait_for("FAIL service=dgram from=.* why=address")
        assert len(inetd.lines("FAIL")) == 2 and not inetd.lines("START")


def test_the_whole_server_has_a_limit(address, other):
    text = service("one", address, "/bin/cat") + service("two", other, "/bin/cat", log_on_failure="HOST")
    with Inetd(text, "--limit=1") as inetd:
        with clients.connect(address) as sock:
            assert said_and_heard(sock) and asked(other) == ""
            inetd.log.wait_for("FAIL service=two from=.* why=process_limit")
        machine.until(lambda: not inetd.children(), what="end of servers")
        assert clients.converse(other, b"x") == b"x"


def test_callers_over_the_rate_of_a_leaky_bucket_are_let_in_one_by_one(address):
    with Inetd(service("cat", address, "/bin/cat", cps="2 3600", leaky_bucket="yes")) as inetd:
        callers = [clients.connect(address) for _ in range(4)]
        assert [clients.exchange(sock, b"x") for sock in callers] == [b"x"] * 4
        assert len(inetd.lines("paused")) == 1 and not inetd.lines("FAIL")
        for sock in callers:
            sock.close()


@pytest.mark.parametrize("ignore", [False, True])
def test_a_server_that_runs_too_long_is_ended_and_the_next_one_too(address, python, ignore):
    source = "import signal\n" + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" * ignore + "print(flush=True)\n"
    argv = python(source + "signal.pause()\n")
    with Inetd(pythonic("slow", address, argv, max_time="1", log_on_success="EXIT")) as inetd:
        with clients.connect(address) as one, clients.connect(address) as two:
            assert [words(sock) for sock in (one, two)] == ["\n", "\n"]
        inetd.log.wait_for("ended service=slow pid=.* why=max_time", count=2)
        inetd.log.wait_for(f"EXIT service=slow status={'SIGKILL' if ignore else 'SIGTERM'}", count=2)


# ------------------------------------------------------------------ sensors

def sensor(address, **attributes):
    return service("trap", address, "/no/such/server", flags="SENSOR", log_on_failure="HOST", **attributes)


def test_a_sensor_shuts_out_of_all_services_until_it_is_told_to_forget(address, other, third):
    text = service("cat", other, "/bin/cat", log_on_failure="HOST") + service("more", third, "/bin/cat")
    with Inetd(sensor(address, deny_time="FOREVER") + text) as inetd, clients.connect(other) as before:
        assert said_and_heard(before) and asked(address) == ""
        inetd.log.wait_for("shut-out service=trap from=.* seconds=inf")
        inetd.log.wait_for("FAIL service=trap from=.* why=sensor")
        assert asked(other) == asked(third) == ""
        inetd.log.wait_for("FAIL service=cat from=.* why=shut_out")
        assert clients.converse(other, b"x", source="127.0.0.2") == b"x"
        inetd.reload(sensor(address, deny_time="5") + text)
        assert said_and_heard(before) and asked(other) == ""
        inetd.tell(signal.SIGUSR2)
        inetd.log.wait_for("forgotten count=1")
        assert clients.converse(other, b"x") == b"x"


@pytest.mark.parametrize("rules", [{"deny_time": "NEVER"}, {"deny_time": "5", "no_access": "127.0.0.0"},
                                   {"deny_time": "5", "only_from": "10.0.0.0"}])
def test_a_sensor_may_only_log_and_spares_whom_its_rules_except(address, other, rules):
    with Inetd(sensor(address, **rules) + service("cat", other, "/bin/cat")) as inetd:
        assert asked(address) == "" and clients.converse(other, b"x") == b"x"
        inetd.log.wait_for("FAIL service=trap from=.* why=sensor")
        assert not inetd.lines("shut-out")


def test_a_forged_datagram_shuts_nobody_out(address, other):
    text = sensor(address, deny_time="FOREVER", socket_type="dgram", wait="yes")
    with Inetd(text + service("cat", other, "/bin/cat")) as inetd:
        for _ in range(3):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"x", address)
        inetd.log.wait_for("FAIL service=trap from=.* why=sensor")
        assert clients.converse(other, b"x") == b"x" and len(inetd.lines("FAIL")) == 1


# ------------------------------------------------------------------ libwrap

@pytest.fixture
def hosts(folder):
    """A function that writes hosts.allow and hosts.deny, and returns the options that name them."""
    def write(allow="", deny=""):
        (folder / "allow").write_text(allow)
        (folder / "deny").write_text(deny)
        return [f"--hosts-allow={folder}/allow", f"--hosts-deny={folder}/deny"]
    return write


@pytest.mark.parametrize("allow, attributes, answer", [
    ("cat: 127.0.0.1", {}, b"x"), ("id: 127.0.0.1", {}, b""), ("other: 127.0.0.1", {"libwrap": "other"}, b"x"),
    ("cat: 127.0.0.1", {"libwrap": "other"}, b""), ("", {"flags": "NOLIBWRAP"}, b"x"),
    ("zero: ALL", {"flags": "NAMEINARGS", "server_args": "zero"}, b"x"), ("cat: ALL: spawn /bin/true", {}, b"")])
def test_hosts_allow_and_deny_are_asked_by_the_programs_name(address, hosts, allow, attributes, answer):
    attributes = {"id": "id", "log_on_failure": "HOST", **attributes}
    with Inetd(service("name", address, "/bin/cat", **attributes), *hosts(allow, "ALL: ALL")) as inetd:
        assert clients.converse(address, b"x" if answer else b"") == answer
        if not answer:
            inetd.log.wait_for(r'FAIL service=id from=.* why="libwrap \(hosts')


def test_a_change_of_hosts_deny_counts_soon(address, hosts):
    with Inetd(service("echo", address, "/bin/echo", "hello", cps="10000 1"), *hosts()):
        assert asked(address) == "hello\n"
        hosts("", "echo: 127.")
        machine.until(lambda: asked(address) == "", what="refusal")
        hosts("", "echo: 10.")
        machine.until(lambda: asked(address) == "hello\n", what="admission")


# ------------------------------------------------------------------ who calls

IDENT = """
import socket, sys
sock = socket.socket(fileno=0)
pair = sock.recv(100).decode().strip()
sock.sendall((pair + " : " + {answer!r} + "\\r\\n").encode())
"""


def test_who_calls_is_asked_and_logged(address, other, python):
    ident = pythonic("ident", other, python(IDENT.format(answer="USERID : UNIX : alice")))
    text = service("cat", address, "/bin/cat", log_on_success="HOST USERID", only_from="127.0.0.1",
                   log_on_failure="USERID")
    with Inetd(ident + text, f"--ident-port={other[1]}", *OPEN) as inetd:
        assert clients.converse(address, b"x") == b"x"
        inetd.log.wait_for(r"START service=cat from=\S+ user=alice")
        inetd.reload(ident + text.replace("only_from = 127.0.0.1", "only_from = 10.0.0.0"))
        with clients.connect(address) as sock:
            assert sock.recv(1) == b""
            inetd.log.wait_for("FAIL service=cat user=alice why=address")


@pytest.mark.parametrize("answer, said", [("USERID : UNIX : alice", b"x"), ("ERROR : NO-USER", b""),
                                          ("USERID : UNIX : ", b""), ("nonsense", b"")])
def test_idonly_lets_in_who_says_who_he_is(address, other, python, answer, said):
    text = (pythonic("ident", other, python(IDENT.format(answer=answer)))
            + service("cat", address, "/bin/cat", flags="IDONLY", log_on_failure="HOST"))
    with Inetd(text, f"--ident-port={other[1]}", *OPEN) as inetd:
        assert clients.converse(address, said) == said
        if not said:
            inetd.log.wait_for("FAIL service=cat from=.* why=no_id")


# ------------------------------------------------------------------ redirect

def redirect(name, address, host, port, **attributes):
    return service(name, address, None, redirect=f"{host} {port}", **attributes)


@pytest.mark.parametrize("host, family", [("127.0.0.1", HOST), ("::1", "::1"), ("localhost", HOST)])
def test_a_redirected_conversation_is_carried_both_ways_with_its_ends(address, host, family):
    machine.need_ipv6()
    with socket.create_server((family, 0), family=socket.AF_INET6 if ":" in family else socket.AF_INET) as server:
        text = redirect("away", address, host, server.getsockname()[1], log_on_success="PID EXIT TRAFFIC")
        with Inetd(text, *OPEN) as inetd, clients.connect(address) as caller:
            caller.sendall(b"question")
            caller.shutdown(socket.SHUT_WR)
            with server.accept()[0] as called:
                question = b""
                while data := called.recv(100):         # the end of one direction is passed on
                    question += data
                called.sendall(b"the answer")           # and the other goes on
            assert (question, words(caller)) == (b"question", "the answer")
            inetd.log.wait_for(r"EXIT service=away pid=\d+ status=0 in=8 out=10")


def test_nobody_at_the_other_end_is_said_in_the_log_alone(address, other):
    with Inetd(redirect("away", address, *other), *OPEN) as inetd:
        assert asked(address) == ""
        record = inetd.log.wait_for("FAIL service=away why=")
        assert record.priority == "err" and f"[127.0.0.1]:{other[1]} Connection refused" in record.text


def test_a_silent_redirected_conversation_is_over(address):
    with socket.create_server((HOST, 0)) as server:
        text = redirect("away", address, *server.getsockname(), log_on_success="EXIT TRAFFIC")
        with Inetd(text, "--redirect-idle=0.2", *OPEN) as inetd, clients.connect(address) as caller:
            assert words(caller) == ""
            inetd.log.wait_for("EXIT service=away status=0 in=0 out=0")


def test_a_process_that_redirects_holds_no_other_socket_and_is_its_user(address, other, python):
    with socket.create_server((HOST, 0)) as server:
        user = "nobody" if os.geteuid() == 0 else inetds.ME
        text = redirect("away", address, *server.getsockname(), user=user) + service("cat", other, "/bin/cat")
        with Inetd(text, *OPEN) as inetd, clients.connect(address), server.accept()[0]:
            [pid] = inetd.children()
            ours = machine.sockets_of(inetd.pid) & machine.sockets_of(pid)
            assert not ours & (machine.listeners("stream", address) | machine.listeners("stream", other))
            if os.geteuid() == 0:
                [ids] = re.findall(r"Uid:\t(.*)\n", Path(f"/proc/{pid}/status").read_text())
                assert "0" not in ids.split() and len(set(ids.split())) == 1
            inetd.reload("")
            assert not machine.listeners("stream", address)


# ------------------------------------------------------------------ tcpmux

def door(address, **attributes):
    return service("tcpmux", address, None, type="INTERNAL UNLISTED", **{"user": None, **attributes})


def behind(name, server, *arguments, kind="TCPMUX", **attributes):
    text = service(name, "/unused", server, *arguments, **attributes)
    return text.replace("bind = /unused", f"type = {kind} UNLISTED")


SAYS = ("/bin/echo", "hello")


@pytest.mark.parametrize("line, answer", [
    (b"plain\r\n", b"hello\n"), (b"PLAIN\r\n", b"hello\n"), (b"plus\r\n", b"+go\r\nhello\n"),
    (b"plus\n", b"+go\r\nhello\n"),
    (b"help\r\n", b"plain\r\nplus\r\n"), (b"HELP\r\n", b"plain\r\nplus\r\n"), (b"other\r\n", b"-no such service\r\n"),
    (b"tcpmux\r\n", b"-no such service\r\n"), (b"\r\n", b"-no such service\r\n"), (b"x" * 300 + b"\r\n", b""),
    (b"plain", b"")])
def test_a_service_is_called_by_its_name(address, other, line, answer):
    text = (door(address) + behind("plain", *SAYS) + behind("plus", *SAYS, kind="TCPMUXPLUS")
            + service("other", other, *SAYS))           # CVE-2012-0862: not of the type, not behind tcpmux
    with Inetd(text, *OPEN):
        for data in (line, line[:3]):
            with clients.connect(address) as sock:
                sock.sendall(data)
                if data != line:
                    sock.sendall(line[3:])
                try:
                    assert clients.exchange(sock) == answer
                except ConnectionResetError:
                    assert answer == b""                # of a line that is too long, some stays unread


def test_what_comes_behind_the_line_is_the_servers(address):
    with Inetd(door(address) + behind("cat", "/bin/cat"), *OPEN):
        assert clients.converse(address, b"cat\r\nhello\r\ncat\r\n") == b"hello\r\ncat\r\n"


def test_each_service_behind_tcpmux_has_its_own_user_and_rules(address):
    inetds.need_root()                  # CVE-2013-4342: they all were root
    text = (door(address, user="root") + behind("one", "/usr/bin/id", "-un", user="nobody")
            + behind("two", "/usr/bin/id", "-un", user="daemon", group="daemon")
            + behind("shut", *SAYS, only_from="10.0.0.0", log_on_failure="HOST")
            + behind("full", "/bin/cat", instances="1", log_on_failure="HOST"))
    with Inetd(text, *OPEN) as inetd:
        assert [clients.converse(address, line) for line in (b"one\r\n", b"two\r\n")] == [b"nobody\n", b"daemon\n"]
        assert clients.converse(address, b"shut\r\n") == b"-no such service\r\n"
        inetd.log.wait_for("FAIL service=shut from=.* why=address")
        with clients.connect(address) as sock:
            sock.sendall(b"full\r\n")
            assert said_and_heard(sock)
            assert clients.converse(address, b"full\r\n") == b"-no such service\r\n"
            inetd.log.wait_for("FAIL service=full from=.* why=service_limit")


def test_callers_who_say_nothing_hold_up_nobody_and_are_few(address):
    with Inetd(door(address, log_on_failure="HOST") + behind("cat", "/bin/cat"), *OPEN) as inetd:
        silent = [clients.connect(address) for _ in range(64)]
        with clients.connect(address) as late:
            assert late.recv(1) == b""
        inetd.log.wait_for("FAIL service=tcpmux from=.* why=service_limit")
        assert inetd.children() == []
        silent.pop().close()
        inetd.log.wait_for('FAIL service=tcpmux from=.* why="the caller closed"')
        assert clients.converse(address, b"cat\r\nx") == b"x"
        inetd.reload(door(address) + behind("cat", "/bin/echo"))
        silent[0].sendall(b"cat\r\n")
        assert words(silent[0]) == "\n"
        for sock in silent:
            sock.close()


# ------------------------------------------------------------------ internal services

def internal(name, address, **attributes):
    return service(name, address, None, type="INTERNAL UNLISTED", **attributes)


def test_internal_services_are_our_programs(address, other, third):
    text = (internal("echo", address) + internal("daytime", other, server_args="--format=iso")
            + internal("time", third))
    with Inetd(text, *OPEN):
        assert clients.converse(address, b"hello") == b"hello"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\r\n", asked(other))
        assert len(clients.converse(third)) == 4


def test_internal_services_discard_and_generate(address, other):
    with Inetd(internal("discard", address) + internal("chargen", other), *OPEN):
        assert clients.converse(address, b"hello") == b""
        with clients.connect(other) as sock:
            assert b" !\"#" in sock.recv(200)


@pytest.mark.parametrize("wait", ["yes", "no"])
def test_internal_services_answer_datagrams(address, wait):
    with Inetd(internal("echo", address, socket_type="dgram", wait=wait), *OPEN):
        assert [clients.ask(address, data) for data in (b"one", b"two")] == [b"one", b"two"]


def test_an_internal_service_behind_tcpmux(address):
    text = door(address) + behind("echo", None, kind="TCPMUXPLUS INTERNAL")
    with Inetd(text, *OPEN):
        assert clients.converse(address, b"echo\r\nhello") == b"+go\r\nhello"


# ------------------------------------------------------------------ where it logs

def test_a_service_may_log_into_a_file(address, other, folder):
    path = folder / "log"
    text = (service("one", address, *SAYS, log_type=f"FILE {path} 150 300", log_on_success="PID HOST EXIT")
            + service("two", other, *SAYS, log_type=f"FILE {path} 150 300", log_on_success="EXIT"))
    with Inetd(text, *OPEN) as inetd:
        assert asked(address) == asked(other) == "hello\n"
        machine.until(lambda: path.exists() and path.read_text().count("EXIT") == 2, what="lines")
        assert {line.split(" ", 1)[1].split()[1] for line in path.read_text().splitlines()} == {
            "service=one", "service=two"}
        assert not inetd.lines("START") and not inetd.lines("EXIT")
        for _ in range(5):
            assert asked(address) == "hello\n"
        assert inetd.log.wait_for("logfile text=.*has more than 150 octets").priority == "alert"
        inetd.log.wait_for("logfile text=.*nothing more is logged there")
        assert path.stat().st_size <= 300
        path.rename(folder / "log.1")   # as logrotate does
        inetd.reload(text)
        assert asked(address) == "hello\n"
        machine.until(lambda: path.exists() and "EXIT" in path.read_text(), what="lines")


# ------------------------------------------------------------------ a reload ends who is denied now

def test_a_reload_ends_only_whom_it_denies(address, other):
    text = service("one", address, "/bin/cat", log_on_success="EXIT") + service("two", other, "/bin/cat")
    with (Inetd(text, *OPEN) as inetd, clients.connect(address) as foe,
          clients.connect(address, source="127.0.0.2") as friend, clients.connect(other) as bystander):
        assert all(map(said_and_heard, (foe, friend, bystander)))
        inetd.reload(text.replace("id = one", "id = one\n    no_access = 127.0.0.1"))
        assert foe.recv(1) == b""
        inetd.log.wait_for(r"ended service=one pid=\d+ from=\[127.0.0.1\]:\d+ why=address")
        inetd.log.wait_for("EXIT service=one status=SIGTERM")
        assert said_and_heard(friend) and said_and_heard(bystander)
        assert len(inetd.lines("ended")) == 1


def test_a_reload_with_names_asks_for_them_beside(address):
    text = service("one", address, "/bin/cat")
    with Inetd(text, *OPEN) as inetd, clients.connect(address) as foe:
        assert said_and_heard(foe)
        inetd.reload(text.replace("id = one", "id = one\n    only_from = host.invalid"))
        assert foe.recv(1) == b""
        inetd.log.wait_for("ended service=one pid=.* why=address")


def test_a_reload_with_other_hours_ends_who_is_outside_of_them(address):
    text = service("one", address, "/bin/cat")
    with Inetd(text, *OPEN) as inetd, clients.connect(address) as foe:
        assert said_and_heard(foe)
        inetd.reload(text.replace("id = one", f"id = one\n    access_times = {span(60, 120)}"))
        assert foe.recv(1) == b""
        inetd.log.wait_for("ended service=one pid=.* why=time")


# ------------------------------------------------------------------ TLS and PROXY are our programs' business

@pytest.mark.parametrize("attributes, options", [
    ({"tls": "yes", "tls_cert": "/etc/ssl/c.pem"}, "--tls=implicit --tls-cert=/etc/ssl/c.pem"),
    ({"tls": "yes", "tls_cert": "/c", "tls_key": "/k"}, "--tls=implicit --tls-cert=/c --tls-key=/k"),
    ({"proxy_protocol": "10.0.0.0 ::1"}, "--proxy-protocol=10.0.0.0/8,::1/128")])
def test_our_programs_get_tls_and_proxy_as_options(address, folder, attributes, options):
    stub = folder / "stub"
    stub.write_text('#!/bin/sh\n# daemons.kernel.launch\necho "$@"\n')
    stub.chmod(0o755)
    with Inetd(service("ours", address, stub, "-x", **attributes), *OPEN):
        assert asked(address) == f"-x {options}\n"


def test_a_server_of_somebody_elses_is_behind_our_tls(address, folder):
    authority = Authority(folder)
    certificate, key = authority.pair("localhost")
    text = service("cat", address, "/bin/cat", tls="yes", tls_cert=certificate, tls_key=key)
    with Inetd(text, *OPEN) as inetd:
        with clients.connect(address) as sock, authority.client().wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"hello\n")
            assert tls.recv(100) == b"hello\n"
        assert clients.converse(address, b"hello\n") != b"hello\n"
        inetd.log.wait_for(r"refused from=.* why=\"tls: ")


def test_a_server_of_somebody_elses_is_told_what_a_proxy_says(address, other, folder):
    script = folder / "who"
    script.write_text("#!/bin/sh\nread line; echo $REMOTE_HOST $line\n")
    script.chmod(0o755)
    text = service("near", address, script, proxy_protocol="127.0.0.0/8") + service(
        "far", other, script, proxy_protocol="192.0.2.0/24")
    header = b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 25\r\n"
    with Inetd(text, *OPEN) as inetd:
        assert clients.converse(address, header + b"hello\n") == b"198.51.100.7 hello\n"
        assert clients.converse(address, b"hello\n") == b""
        inetd.log.wait_for(r"refused from=.* why=\"proxy: ")
        with contextlib.suppress(ConnectionResetError):         # nothing of it was read
            assert clients.converse(other, header + b"hello\n") == b""
        inetd.log.wait_for(r"refused from=.* why=\"denied: proxy-network")


@pytest.mark.parametrize("attributes, complaint", [
    ({"tls": "yes", "tls_cert": "/nonexistent"}, "/nonexistent"),
    ({"tls": "yes", "tls_cert": "/c", "wait": "yes"}, "tls needs wait = no")])
def test_what_cannot_stand_before_a_server_is_said(address, attributes, complaint):
    done = inetds.run(service("cat", address, "/bin/cat", **attributes), "--check")
    assert done.returncode == 100 and complaint in done.stdout


def test_groups_are_all_of_the_users_or_none(address, other):
    inetds.need_root()
    text = (service("all", address, "/usr/bin/id", "-Gn", user="root", groups="yes")
            + service("none", other, "/usr/bin/id", "-Gn", user="daemon"))
    with Inetd(text, *OPEN):
        assert set(asked(address).split()) == _groups_of_root()
        assert asked(other) == "daemon\n"


def _groups_of_root():
    import grp
    return {grp.getgrgid(number).gr_name for number in os.getgrouplist("root", 0)}


def test_v6only_takes_no_ipv4(address, other):
    machine.need_ipv6()
    text = service("six", address, *SAYS, v6only="yes", bind=None) + service("both", other, *SAYS, bind=None)
    with Inetd(text, *OPEN):
        assert [asked((host, other[1])) for host in (HOST, "::1")] == ["hello\n", "hello\n"]
        assert asked(("::1", address[1])) == "hello\n"
        with pytest.raises(ConnectionRefusedError):
            clients.connect(address)

