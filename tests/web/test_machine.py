"""fd0.*: what the machine tells of itself, held against what it tells elsewhere."""

import os
import socket
import time
from datetime import datetime, timedelta

import pytest

import daemons
from daemons.kernel.log import quoted
from daemons.tools import programs
from daemons.web import machine
from daemons.web.methods import Registry
from daemons.wire import faults
from daemons.wire.faults import Fault
from daemons.wire.jsonrpc import dumps
from daemons.wire.xmlrpcmessages import build_response, parse_response

READY = ("addresses", "disk", "hostnames", "load", "memory", "programs", "time", "uptime", "version")


def registry(**more):
    """The methods, with these choices of the administrator."""
    found = Registry(debug=True)
    found.add(machine.methods(**more))
    return found


def ask(name, *params, **more):
    """What one of them tells."""
    return registry(**more).call(f"fd0.{name}", list(params))


def code(name, *params, **more):
    """The code of the fault that it comes to."""
    with pytest.raises(Fault) as fault:
        ask(name, *params, **more)
    return fault.value.code


@pytest.mark.parametrize("name", READY)
def test_everything_can_be_sent_without_extensions(name):
    value = ask(name)
    assert parse_response(build_response(value, extensions=False), False) == value and dumps(value)


@pytest.mark.parametrize("name", machine.NAMES)
def test_everything_is_explained(name):
    method = registry().methods[f"fd0.{name}"]
    assert method.help.endswith(".") and "any" not in method.signatures[0] and not method.allow_none


def test_version_and_programs():
    assert ask("version") == daemons.__version__
    known = {one["name"]: one for one in ask("programs")}
    assert list(known) == programs.names()
    assert known["fingerd"]["port"] == 79 and known["fingerd"]["rfcs"] == [1288]
    assert known["daytimed"]["sockets"] == ["stream", "dgram"]


def test_uptime_load_and_memory():
    with open("/proc/uptime") as file:
        assert 0 <= float(file.read().split()[0]) - ask("uptime") < 10
    assert len(ask("load")) == 3 and all(0 <= part < 10_000 for part in ask("load"))
    memory = ask("memory")
    assert memory["total"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1 << 20)
    assert 0 < memory["available"] <= memory["total"] and 0 <= memory["swap_available"] <= memory["swap_total"]


def test_the_same_where_proc_is_hidden(tmp_path):
    hidden = {"proc": str(tmp_path), "disks": ["/"]}
    assert ask("addresses", **hidden) == []
    there, here = ask("memory", **hidden), ask("memory")
    assert there["total"] == here["total"] and there["swap_total"] == here["swap_total"]
    assert 0 < there["available"] <= there["total"]
    assert all(abs(one - other) < 2 for one, other in zip(ask("load", **hidden), ask("load")))


def test_disks_are_those_that_were_chosen(tmp_path):
    (disk,) = ask("disk", disks=[str(tmp_path)])
    status = os.statvfs(tmp_path)
    assert disk["mount"] == str(tmp_path) and disk["size"] == status.f_blocks * status.f_frsize // (1 << 20)
    assert 0 <= disk["used"] <= 100 and 0 <= disk["available"] <= disk["size"]
    assert ask("disk")[0]["mount"] == "/" and code("disk", "/etc") == faults.INVALID_PARAMS
    with pytest.raises(OSError, match="nowhere"):
        machine.methods(disks=["/nowhere"])


def test_time():
    told = ask("time")
    assert abs((told["utc"] - datetime(1970, 1, 1)).total_seconds() - time.time()) < 5
    assert told["local"] - told["utc"] == timedelta(seconds=told["offset"]) and told["zone"] == time.localtime().tm_zone


def test_names_and_addresses():
    assert ask("hostnames")[0] == os.uname().nodename
    for address in ask("addresses"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:      # it can be bound, so it is ours
            sock.bind(socket.getaddrinfo(address, 0, family, socket.SOCK_DGRAM)[0][4])
    assert "127.0.0.1" not in ask("addresses")


def test_lookups():
    assert set(ask("lookup", "localhost")) & {"127.0.0.1", "::1"}
    assert ask("reverse", "127.0.0.1") in ("localhost", os.uname().nodename.lower(), "")
    assert code("lookup", "nosuch.invalid") in (faults.APPLICATION_ERROR, faults.SYSTEM_ERROR)


@pytest.mark.parametrize("name, word", [("lookup", ""), ("lookup", "a" * 254), ("lookup", "a\0b"), ("lookup", 5),
                                        ("reverse", "localhost"), ("reverse", ""), ("reverse", "1" * 300),
                                        ("reverse", "::1%lo")])
def test_what_is_not_looked_up(name, word):
    assert code(name, word) == faults.INVALID_PARAMS


# -- events --


def line(ident, text, second=0):
    """A line as a syslogd writes it."""
    return f"Nov 24 12:00:{second % 60:02} host {ident}[41]: {text}\n"


def test_the_last_events_of_a_program(tmp_path):
    path = tmp_path / "syslog"
    path.write_text("".join([
        line("echod", "start model=thread"), line("sshd", "close reason=done"), line("echod", "no event at all"),
        *(line("echod", f"close session={number:08x} why={quoted('a b')}", number) for number in range(30)),
        line("echodx", "close reason=other")]) + "Nov 24 12:00:59 host echod[41]: close session=half")
    found = ask("events", "echod", log_file=str(path))
    assert len(found) == 20 and found[-1] == {"when": "Nov 24 12:00:29", "pid": 41, "event": "close",
                                              "values": {"session": "0000001d", "why": "a b"}}
    assert [one["values"]["session"] for one in ask("events", "echod", 2, log_file=str(path))] == ["0000001c",
    "0000001d"]
    assert len(ask("events", "echod", 1000, log_file=str(path))) == 31
    assert ask("events", "fingerd", log_file=str(path)) == []


def test_events_that_are_not_told(tmp_path):
    path = tmp_path / "syslog"
    path.write_text(line("sshd", "close reason=done"))
    assert code("events", "echod") == faults.APPLICATION_ERROR
    assert code("events", "sshd", log_file=str(path)) == code("events", "", log_file=str(path)) == faults.INVALID_PARAMS
    assert code("events", "echod", 0, log_file=str(path)) == faults.INVALID_PARAMS
    assert code("events", "echod", 1001, log_file=str(path)) == faults.INVALID_PARAMS
    with pytest.raises(Fault, match="cannot be read: No such file") as fault:
        ask("events", "echod", log_file=str(tmp_path / "nowhere"))
    assert fault.value.code == faults.SYSTEM_ERROR and str(tmp_path) not in fault.value.string
