"""How far each unit shuts its program in, by systemd's own measure: no number here may rise unnoticed."""

import os
import re
import subprocess

import pytest

from daemons.kernel import describe
from daemons.tools import programs
from tests.live import machine
from tests.sources import ROOT

READS, WRITES = 0.5, 1.0        # the most for a program that only reads, and for one that writes
CALLS = 1.1                     # and for one that calls whomever mail is for
# what each has now; ten times exposure, as systemd-analyze security counts it
EXPOSURE = {"chargend": 0.2, "daytimed": 0.2, "discardd": 0.2, "echod": 0.2, "qotd": 0.2, "timed": 0.2,
            "httpd": 0.2, "xmlrpcd": 0.2, "smtpd": 0.2, "pop3d": 0.2,
            "fingerd": 0.4,     # sees whose files are in homes, so no user namespace
            "mailq": 1.1,       # has the machine's network: 0.9 of it
            "identd": 0.4}      # the same; it asks the kernel by a socket that systemd opened
UNITS = [(service, name) for service in programs.placed() for name in describe.files(service)
         if name.endswith(".service")]


def exposure(path):
    """What systemd-analyze security says of one unit file."""
    done = subprocess.run([machine.program("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager",
                           path], capture_output=True, text=True, timeout=60)
    return float(re.search(r"exposure level for \S+: (\d+\.\d)", done.stdout)[1])


@pytest.mark.parametrize("service, name", UNITS, ids=[name for _, name in UNITS])
def test_exposure(service, name):
    found = exposure(os.path.join(ROOT, name))
    assert found <= (CALLS if "network" in service.needs else WRITES if service.writes else READS)
    assert found == EXPOSURE[service.name]


def test_a_wider_unit_is_noticed(tmp_path):
    path = tmp_path / "fd0-echod.service"
    path.write_text(describe.systemd_service(programs.program("echod").SERVICE).replace("PrivateNetwork=yes\n", ""))
    assert exposure(path) > EXPOSURE["echod"]
