"""A booted container with the package installed, one for each file of tests."""

import pytest

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
