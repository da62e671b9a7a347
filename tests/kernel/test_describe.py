"""Service files: what is checked in is what the declarations say, and its readers understand every line."""

import os
import re
import subprocess

import pytest

from daemons.kernel import describe
from daemons.kernel.service import Service
from daemons.stores import servicefiles
from daemons.tools import programs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVICES = programs.launched()
STANDING = [service for service in programs.placed() if service.standing]
# what no program asks for yet, and everything at once
ODD = Service("oddd", about="Ask for everything.", port=4242, sockets=("stream", "dgram"), model="fork", user="fd0",
              needs=("network", "netlink", "homes"), writes=("/var/lib/fd0", "/var/spool/fd0"), rfcs=(1, 2))

each = pytest.mark.parametrize("service", [*SERVICES, ODD], ids=lambda service: service.name)


def everything():
    """Path -> text of all service files."""
    return {path: text for service in [*SERVICES, *STANDING]
            for path, text in describe.files(service).items()}


def verify(folder, files):
    """What systemd-analyze says about these units."""
    for path, text in files.items():
        if path.startswith("systemd/"):
            (folder / path.removeprefix("systemd/")).write_text(
                re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    units = sorted(str(unit) for unit in folder.iterdir())
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_what_is_checked_in_is_what_the_declarations_say():
    for path, text in everything().items():
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            assert file.read() == text, f"{path}: run python3 -m daemons.tools units --to=."


def test_nothing_else_is_checked_in():
    found = {f"{folder}/{name}" for folder in ("xinetd.d", "systemd")
             for name in os.listdir(os.path.join(ROOT, folder))}
    assert found == set(everything())


@each
def test_xinetd_understands_its_file(tmp_path, service):
    (tmp_path / service.name).write_text(describe.xinetd(service, user="nobody"))
    main = tmp_path / "xinetd.conf"
    main.write_text(f"include {tmp_path}/{service.name}\n")
    found = servicefiles.read(str(main))
    assert [problem.text for problem in found.problems if "disable" not in problem.text] == []
    assert [(one.id, one.port, one.socket_type, one.wait) for one in found.services] == \
        [(f"{service.name}-{sort}", service.port, sort, sort == "dgram") for sort in service.sockets]
    assert all(one.disabled_because for one in found.services), "a service must be switched on by somebody"


def test_systemd_understands_all_units(tmp_path):
    assert verify(tmp_path, everything() | describe.files(ODD)) == ""


def test_systemd_would_say_so_if_it_did_not(tmp_path):
    said = verify(tmp_path, {"systemd/fd0-x.service": "[Service]\nExecStart=/bin/true\nNoNewPrivilege=yes\n"})
    assert "NoNewPrivilege" in said


@each
def test_files_are_written_to_be_read(service):
    for path, text in describe.files(service).items():
        assert re.search(rf"^# {re.escape(service.name)}: |^# Made by ", text), path
        assert text.isascii() and text.endswith("\n") and not re.search(r"[ \t]$|\n\n\n", text, re.MULTILINE), path
        assert max(map(len, text.expandtabs().splitlines())) <= 120, path


@each
def test_a_burst_never_leaves_a_service_dead(service):
    files = describe.files(service)
    assert "TriggerLimitIntervalSec=0\n" in files[f"systemd/fd0-{service.name}.socket"]
    unit = files[f"systemd/fd0-{service.name}.service"]
    for line in ("CollectMode=inactive-or-failed", "StartLimitIntervalSec=0", "StandardOutput=null"):
        assert f"\n{line}\n" in unit


@each
def test_a_sandbox_leaves_what_the_program_needs(service):
    unit = describe.systemd_service(service)
    assert ("AF_INET" in unit) is ("network" in service.needs)
    assert ("PrivateNetwork=yes" in unit) is ("AF_INET" not in unit) and "AF_NETLINK" not in unit
    each = describe.systemd_service(service, each=True)
    assert ("AF_NETLINK" in each) is ("netlink" in service.needs) and ("AF_NETLINK" in each) <= ("PrivateN" not in each)
    assert ("ListenNetlink=" in describe.systemd_socket(service)) is ("netlink" in service.needs)
    assert ("ProtectHome=read-only" in unit) is ("homes" in service.needs)
    assert re.findall(r"^ReadWritePaths=([^-].*)", unit, re.MULTILINE) == [
        path for path in service.writes if not path.startswith("--")]
    assert f"\nUser={service.user}\n" in unit and "DynamicUser" not in unit


@pytest.mark.parametrize("service", STANDING, ids=lambda service: service.name)
def test_what_serves_no_socket_has_a_unit_that_starts_it_with_the_machine(service):
    (name, unit), = describe.files(service).items()
    assert name == f"systemd/fd0-{service.name}.service" and "socket" not in unit.replace("serves no socket", "")
    for line in ("Type=notify", "KillMode=mixed", "Restart=always", "WantedBy=multi-user.target", "After=network.target"
                 " nss-lookup.target"):
        assert f"\n{line}\n" in unit
    assert ("AF_INET" in unit) is ("network" in service.needs) is ("PrivateNetwork" not in unit)


def test_a_file_can_be_changed_for_a_trial():
    text = describe.xinetd(ODD, port="10007", disable="no", cps=None, bind="127.0.0.1", server="/x/oddd")
    for line in ("port            = 10007", "disable         = no", "bind            = 127.0.0.1"):
        assert f"\t{line}\n" in text
    assert "cps  " not in text


def test_a_stub_starts_the_program_in_isolation():
    text = describe.stub("echod", "/opt/it's", "/usr/bin/python3.12")
    assert text.startswith("#!/usr/bin/python3.12 -IS\n")
    assert text.endswith("launch('echod')\n")
    compile(text, "stub", "exec")
