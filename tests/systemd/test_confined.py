"""What a program could do if somebody took it over: a probe starts in its place, under its own unit."""

import json

import pytest

from daemons.tools import programs
from tests.systemd.test_services import NAMED

PROBE = "/usr/lib/fd0/probe"
NEVER = ("read the shadow file", "read root's home", "write below /etc", "write below /usr", "write below /var",
         "become root", "open a raw socket", "mount", "make a user namespace", "trace another process")
CALLS = ("connect by TCP", "connect by TCP over IPv6", "send by UDP")


@pytest.fixture(scope="module")
def probe(box):
    """Run the probe as a service's main process; returns what it found."""
    source = __file__.replace("test_confined", "probe")
    with open(source, encoding="utf-8") as file:
        (box.root / PROBE[1:]).write_text(file.read())

    def run(name):
        folder = box.root / f"run/systemd/system/fd0-{name}.service.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "probe.conf").write_text(
            f"[Service]\nType=oneshot\nExecStart=\nExecStart=/usr/bin/python3 -IS {PROBE}\n"
            "StandardOutput=journal\nSyslogIdentifier=probe\n")
        box.run("systemctl", "daemon-reload")
        box.run("systemctl", "start", f"fd0-{name}.service")
        (folder / "probe.conf").unlink()
        box.run("systemctl", "daemon-reload")
        return json.loads(box.journal("-t", "probe")[-1])
    return run


@pytest.mark.parametrize("service", programs.launched(), **NAMED)
def test_a_program_can_do_its_work_and_nothing_else(box, probe, service):
    found = probe(service.name)
    for what in NEVER:
        assert found[what] is not True, what
    # a program that calls others only under some option gets no network before that is set
    network = "network" in service.needs
    allowed = {"read a file of the system": True, "log": True, "read a home": "homes" in service.needs,
               "ask the kernel by netlink": False, "see other processes": False, **dict.fromkeys(CALLS, network)}
    assert {what: found[what] is True for what in allowed} == allowed
    assert found["capabilities"] == ["0000000000000000"] * 5 and found["no new privileges"]
    assert found["user"] != 0


def test_the_probe_succeeds_where_nothing_confines_it(box, probe):
    done = box.run("/usr/bin/python3", "-IS", PROBE)
    found = json.loads(done.stdout)
    assert [what for what in (*NEVER, *CALLS) if found[what] is not True] == []
