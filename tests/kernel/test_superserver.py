"""The super-server's pure pieces: rates, sources, environments, complaints, rights."""

import os
import socket

import pytest

from daemons.kernel import access, admission, log, ports, spawn, watch
from daemons.kernel.addresses import Address
from daemons.kernel.ports import Complaints, Plan, Port, Server

CAT = spawn.Command("/bin/cat", ["cat"], {})


@pytest.fixture(autouse=True)
def silent_log():
    log.start("test", target="/nonexistent/log", events=ports.EVENTS)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told: clock[0]."""
    now = [100.0]
    monkeypatch.setattr(ports.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def port():
    """A function that makes a Port of a plan's keywords."""
    with socket.socket() as sock:
        yield lambda **keywords: Port(Plan("cat", ("127.0.0.1", 7), "stream", CAT, **keywords), sock)


# ------------------------------------------------------------------ how fast, and for whom

def test_a_rate_is_counted_from_the_first_of_a_second(port, clock):
    one = port(cps=(3, 10))
    clock[0] = 100.7
    seen = []
    for _ in range(4):
        seen.append(one.at_rate())
        one.count()
    assert seen == [False, False, False, True]
    clock[0] = 101.6
    assert one.at_rate()
    clock[0] = 101.7
    assert not one.at_rate()


def test_without_a_rate_nobody_is_too_much(port):
    one = port()
    for _ in range(1000):
        one.count()
    assert not one.at_rate()


@pytest.mark.parametrize("cps, seconds", [((1, 10), 10), ((1, 0), 1), (None, ports.LONG_PAUSE)])
def test_a_pause_is_what_cps_says_and_lasts_until_the_rate_is_free_again(port, clock, cps, seconds):
    one = port(cps=cps)
    one.at_rate()
    one.pause("cps")
    assert not one.wanted(clock[0] + seconds - 0.01) and one.wanted(clock[0] + seconds)


def test_sources_are_ipv4_addresses_ipv6_networks_of_64_bits_and_users(port):
    one = port()
    hosts = ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1", "fe80::1%lo")
    one.running = {number: Server(Address(host, 7)) for number, host in enumerate(hosts)}
    one.running[98], one.running[99] = Server(Address(word="unix:uid=7")), Server(None)
    counts = {host: one.from_source(Address(host, 8)) for host in (*hosts, "2001:db8:0:1:abcd::", "192.0.2.3")}
    assert counts == {"192.0.2.1": 1, "192.0.2.2": 1, "2001:db8:0:1::1": 2, "2001:db8:0:1:ffff::2": 2,
                      "2001:db8:0:2::1": 1, "2001:db8:0:1:abcd::": 2, "192.0.2.3": 0, "fe80::1%lo": 1}
    assert [one.from_source(Address(word=f"unix:uid={uid}")) for uid in (7, 8)] == [1, 0]


def test_only_servers_that_fail_at_once_and_in_a_row_are_failing(port, clock):
    one, quick = port(wait=True), Server(None)
    assert [one.failing(quick, 256) for _ in range(9)] == [False] * 9
    assert not one.failing(quick, 0)                    # one that did its work
    assert [one.failing(quick, 9) for _ in range(10)] == [False] * 9 + [True]
    assert not any(one.failing(quick, 0) for _ in range(30))
    clock[0] += ports.QUICKLY
    assert not any(one.failing(quick, 256) for _ in range(30))


def test_a_port_that_waits_is_not_wanted_while_its_server_runs(port):
    waits, each = port(wait=True), port()
    for one in (waits, each):
        one.running[1] = Server(None)
    assert (waits.wanted(1), each.wanted(1)) == (False, True)


def test_names_in_the_rules_are_looked_up_by_the_child(port):
    assert not port(only_from=access.networks("10.0.0.0/8 ::1")).plan.needs_names
    assert port(only_from=access.networks("10.0.0.0/8 .example.org")).plan.needs_names
    assert port(no_access=access.networks("host.example.org")).plan.needs_names
    assert not port(only_from=[]).plan.needs_names and port(only_from=[]).plan.denies(Address("::1"))


# ------------------------------------------------------------------ what servers write to descriptor 2

def test_complaints_come_in_whole_lines():
    one = Complaints()
    os.write(one.writer, b"one\n\ntw")
    assert list(one.lines()) == [b"one"]
    os.write(one.writer, b"o\n" + b"x" * ports.LONGEST)
    assert list(one.lines()) == [b"two"]
    os.write(one.writer, b"x")
    assert list(one.lines()) == [b"x" * (ports.LONGEST + 1)]
    os.write(one.writer, b"end")
    assert (list(one.lines()), list(one.lines(last=True)), list(one.lines(last=True))) == ([], [b"end"], [])
    one.close()


# ------------------------------------------------------------------ how a server is started

OURS = {"PATH": "/bin", "LISTEN_FDS": "1", "LISTEN_PIDFDID": "1", "NOTIFY_SOCKET": "/run/x", "LD_PRELOAD": "/x.so",
        "PYTHONPATH": "/x", "WATCHDOG_USEC": "1", "FD0_INETD_GRACE": "1", "FD0_ECHOD_IDLE": "3"}


@pytest.mark.parametrize("names, kept", [
    (None, {"PATH", "FD0_ECHOD_IDLE"}), ([], set()), (["LD_PRELOAD", "PATH", "NONE"], {"LD_PRELOAD", "PATH"})])
def test_what_is_ours_is_passed_on_only_by_name(names, kept):
    assert set(spawn.passed_on(OURS, names)) == kept


def test_a_caller_is_told_in_every_dialect():
    told = spawn.callers(Address("2001:db8::1", 4711), Address("2001:db8::2", 79), 3)
    assert (told["REMOTE_HOST"], told["REMOTE_ADDR"], told["TCPREMOTEIP"]) == ("2001:db8::1",) * 3
    assert (told["REMOTE_PORT"], told["TCPREMOTEPORT"], told["TCPLOCALPORT"], told["TCPCONNNUM"]) == (
        "4711", "4711", "79", "3")
    assert spawn.callers(Address(word="unix:uid=7"), Address(), 1) == {"PROTO": "UNIX", "REMOTE_ADDR": "unix:uid=7"}


@pytest.mark.parametrize("keywords, why", [
    ({"user": "root"}, "only root can run it as root; we are user 4294967294"),
    ({"group": "root"}, "only root can run it in group root; ours is 4294967293"),
    ({"nice": -1}, "only root can give it nice -1"),
    ({"rlimits": {"RLIMIT_NOFILE": None}}, "only root can allow it more than we may have ourselves: a limit of"),
    ({"user": "no-such-user"}, "no such user or group: no-such-user"),
    ({"user": "3999999999"}, "no such user or group: 3999999999"),
])
def test_what_needs_root_is_refused_without_it(monkeypatch, keywords, why):
    monkeypatch.setattr(os, "geteuid", lambda: 4294967294)
    monkeypatch.setattr(os, "getegid", lambda: 4294967293)
    with pytest.raises(ValueError, match=why):
        spawn.command("/bin/cat", ["cat"], **keywords)


def test_without_root_a_server_stays_who_we_are(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4294967294)
    made = spawn.command("/bin/cat", ["cat"], nice=3, rlimits={"RLIMIT_NOFILE": 3})
    assert (made.uid, made.gid, made.nice) == (None, None, 3)


def test_an_id_needs_no_account_if_the_group_is_named(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    made = spawn.command("/bin/cat", ["cat"], user="3999999999", group="3999999998")
    assert (made.uid, made.gid) == (3999999999, 3999999998)
    made = spawn.command("/bin/cat", ["cat"], user="nobody")
    assert made.uid and made.gid


# ------------------------------------------------------------------ waiting

def test_a_watch_does_what_belongs_to_a_descriptor_until_told_otherwise():
    reader, writer = os.pipe()
    one, heard = watch.Watch(), []
    one.on(reader, lambda: heard.append(os.read(reader, 9)))
    one.on(reader, lambda: heard.append(b"again " + os.read(reader, 9)))
    os.write(writer, b"x")
    one.look(None)
    one.off(reader)
    one.off(reader)
    os.write(writer, b"y")
    one.look(0)
    assert heard == [b"again x"]
    os.close(reader)
    os.close(writer)


# ------------------------------------------------------------------ a leaky bucket

def test_a_leaky_bucket_lets_one_in_at_a_time_once_it_is_full(port, clock):
    one, seen = port(cps=(5, 60), leaky=True), []
    for _ in range(5):
        seen.append(one.at_rate())
        one.count()
    assert seen == [False] * 5 and one.at_rate()
    one.slow_down()
    assert one.paused_until == pytest.approx(100.2)
    clock[0] = 100.21
    assert not one.at_rate()
    one.count()
    assert one.at_rate()
    clock[0] = 200.0
    seen = []
    for _ in range(6):
        seen.append(one.at_rate())
        one.count()
    assert seen == [False] * 5 + [True]


# ------------------------------------------------------------------ who may come in, in which order

class Never:
    """A check that is not needed."""

    def needed(self):
        return False

    def why_not(self, peer, local):
        raise AssertionError("nobody asked")


class Always(Never):
    """A check that keeps everybody out."""

    def needed(self):
        return True

    def why_not(self, peer, local):
        return "libwrap"


@pytest.mark.parametrize("keywords, why", [
    ({}, ""), ({"max_load": 1e-9}, "load"), ({"max_load": 1e9}, ""), ({"hours": [(0, 1439)]}, ""),
    ({"instances": 1, "per_source": 1}, "service_limit"), ({"per_source": 1}, "per_source_limit"),
    ({"per_source": 2}, ""),
    ({"only_from": []}, "address"), ({"only_from": access.networks("host.example")}, "")])
def test_what_can_be_told_at_once(port, keywords, why):
    one, peer = port(**keywords), Address("192.0.2.1", 7)
    one.running[1] = Server(peer)
    assert admission.Doors(None).why_not(one, peer) == why


def test_the_whole_server_has_a_limit_and_a_list_of_who_is_shut_out(port):
    doors, peer = admission.Doors(1), Address("192.0.2.1", 7)
    assert doors.why_not(port(), peer) == ""
    doors.total = 1
    assert doors.why_not(port(), peer) == "process_limit"
    doors.total = 0
    doors.shut_out.add(peer, 60)
    assert doors.why_not(port(), peer) == "shut_out"


def test_what_takes_time_is_asked_in_the_servers_own_process(port):
    here, there = Address("192.0.2.9", 7), Address("192.0.2.1", 8)
    assert not port(checks=[Never()]).plan.takes_time() and port(checks=[Never(), Always()]).plan.takes_time()
    assert admission.why_not_in_time(port(checks=[Never(), Always()]).plan, there, here) == ("libwrap", "")
    plan = port(identify=lambda peer, local: f"{peer} {local}", log_success={"USERID"}).plan
    assert plan.takes_time() and admission.why_not_in_time(plan, there, here) == ("", f"{there} {here}")
    plan = port(identify=lambda peer, local: "", identified=True).plan
    assert admission.why_not_in_time(plan, there, here) == ("no_id", "")
    assert not port(identify=lambda peer, local: "", log_failure={"USERID"}).plan.takes_time()
