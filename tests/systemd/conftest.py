"""A booted container with the package installed, one for each file of tests."""

import shutil
import subprocess

import pytest

from tests.live import machine
from tests.live.launchers import ROOT
from tests.systemd.container import Container

OURS = ("Makefile", "README.md", "LICENSE", "setup.cfg", "pyproject.toml", "daemons", "packaging", "debian")


def build(folder):
    """Build the Debian package of this checkout below `folder`; returns its path."""
    machine.program("dpkg-buildpackage", "dpkg-dev")
    source = folder / "source"
    source.mkdir()
    for name in OURS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    done = subprocess.run(["make", "deb"], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = (source / "dist").glob("*.deb")
    return package


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
