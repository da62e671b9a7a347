"""The package on a clean Debian: an administrator installs it, puts services in place by one command, and undoes it."""

import pytest

from tests.live import clients, machine
from tests.systemd.container import Container

# what a Debian writes in passing, whoever does what
PASSING = ("/run/", "/var/log/", "/var/lib/systemd/", "/var/cache/", "/var/lib/dpkg/", "/etc/.pwd.lock", "/tmp/",
           "/var/tmp/", "/proc/", "/sys/", "/dev/")


@pytest.fixture(scope="module")
def host(tree, package):
    """A clean Debian that has booted, and nothing of ours on it but the package's file."""
    with Container(tree, [f"--bind-ro={package}:/mnt/fd0.deb"]) as host:
        yield host


def files(host):
    """Every file of the host with its size, mode and owner, but for those written in passing."""
    found = host.run("find", "/", "-xdev", "-printf", "%p %m %U:%G %y %s %l\\n", check=False).stdout.splitlines()
    return {line for line in found if not line.startswith(PASSING) and " d " not in line}


def test_it_is_installed_and_opens_no_port(host):
    host.run("dpkg", "--install", "/mnt/fd0.deb")
    assert not host.run("ss", "-Hltu").stdout
    assert "echod" in host.run("fd0", "list").stdout
    assert host.run("id", "-un", "fd0").stdout == "fd0\n"


@pytest.mark.parametrize("launcher", ["systemd", "xinetd"])
def test_a_service_is_in_place_after_one_command_and_gone_after_another(host, launcher):
    if launcher == "xinetd":
        host.run("systemctl", "start", "xinetd")
    before = files(host)
    host.run("fd0", "enable", "echod", f"--with={launcher}")
    with host.network():
        assert machine.until(lambda: _echo(host), 60, "an echo") == b"hello"
    host.run("fd0", "disable", "echod")
    with host.network():
        machine.until(lambda: _echo(host) is None, 60, "a closed port")
    assert files(host) == before


def _echo(host):
    try:
        return clients.converse(("127.0.0.1", 7), b"hello")
    except ConnectionError:
        return None


def test_it_is_purged_without_a_trace(host):
    host.run("fd0", "enable", "echod", "--with=systemd")
    host.run("dpkg", "--purge", "fd0")
    assert not host.run("ss", "-Hltu").stdout
    assert host.run("find", "/etc", "/usr", "/lib", "/var/lib", "/var/spool", "/run", "-name", "*fd0*").stdout == ""
    assert host.run("getent", "passwd", "fd0", check=False).stdout == ""
