"""A booted container with the package installed, one for each file of tests."""

import subprocess
from pathlib import Path

import pytest

from tests.live import machine
from tests.systemd.container import Container
from tests.systemd.package import build


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The Debian package."""
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def box(package):
    """A container in which the package is installed, the log is kept by rsyslog as well, and nothing is enabled."""
    with Container(options=[f"--bind-ro={package}:/root/fd0.deb"]) as box:
        (box.root / "etc/rsyslog.d/everything.conf").write_text("*.* /var/log/everything\n")
        box.run("systemctl", "start", "rsyslog")
        box.run("dpkg", "--install", "/root/fd0.deb")
        yield box


@pytest.fixture(scope="session")
def tree():
    """A clean Debian, as its own installer makes it."""
    machine.program("debootstrap", "debootstrap")
    done = subprocess.run(["sh", Path(__file__).with_name("tree.sh")], capture_output=True, text=True, timeout=600)
    return done.stdout.strip() if done.returncode == 0 else machine.unavailable(f"no Debian tree: {done.stderr}")
