"""Restarts and upgrades while clients come and go: none of them is turned away, and none is cut off."""

import pytest

from tests.live import clients
from tests.systemd.load import Load
from tests.systemd.package import renumbered

PORTS = {"echod": 7, "fingerd": 79}             # one that serves in threads, one that forks


def loads(box, name):
    box.run("systemctl", "enable", "--now", f"fd0-{name}.socket")
    data, expected = {"echod": (b"hello", b"^hello$"), "fingerd": (b"nobody-here\r\n", b"^No such user\r\n$")}[name]
    return Load(box, PORTS[name], data, expected)


def main_pid(box, name):
    return box.run("systemctl", "show", "-P", "MainPID", f"fd0-{name}.service").stdout.strip()


@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize("verb", ["restart", "kill --signal=HUP", "stop"])
def test_no_caller_notices_a_restart(box, name, verb):
    with loads(box, name) as load:
        before = main_pid(box, name)
        for _ in range(5):
            load.more(10)
            box.run("systemctl", *verb.split(), f"fd0-{name}.service")
        load.more(10)
        assert main_pid(box, name) not in ("0", before)
    assert load.failures == []
    assert not box.run("systemctl", "--failed", "--plain", "--no-legend").stdout


@pytest.mark.parametrize("name", PORTS)
def test_a_conversation_that_is_under_way_is_finished_by_the_old_version(box, name):
    box.run("systemctl", "enable", "--now", f"fd0-{name}.socket")
    first, rest = (b"hel", b"lo") if name == "echod" else (b"nobody", b"-here\r\n")
    with box.network(), clients.connect(("127.0.0.1", PORTS[name])) as sock:
        sock.sendall(first)
        box.run("systemctl", "kill", "--signal=HUP", f"fd0-{name}.service")
        assert clients.exchange(sock, rest) != b""


@pytest.fixture(scope="module")
def next_version(box, package, tmp_path_factory):
    """The same package under a higher number, within the container."""
    path = renumbered(package, tmp_path_factory.mktemp("next"))
    (box.root / "root/next.deb").write_bytes(path.read_bytes())
    return "/root/next.deb"


def test_no_caller_notices_an_upgrade(box, next_version):
    with loads(box, "echod") as echo, loads(box, "fingerd") as finger:
        before = [main_pid(box, name) for name in PORTS]
        for package in ("/root/fd0.deb", next_version):
            box.run("dpkg", "--force-downgrade", "--install", package)
            echo.more(10)
            finger.more(10)
        after = [main_pid(box, name) for name in PORTS]
    assert (echo.failures, finger.failures) == ([], [])
    assert not set(before) & set(after), "the new version serves"
    assert box.run("/usr/lib/fd0/echod", "--version").stdout == "echod (fd0) 999\n"
    assert not box.run("systemctl", "--failed", "--plain", "--no-legend").stdout


def test_removal_leaves_nothing_running_and_purge_nothing_behind(box):
    box.run("systemctl", "start", "fd0-echod.socket", "fd0-fingerd.socket")
    box.run("dpkg", "--remove", "fd0")
    assert not box.run("systemctl", "list-units", "--plain", "--no-legend", "--state=active,failed", "fd0-*").stdout
    with box.network(), pytest.raises(ConnectionRefusedError):
        clients.converse(("127.0.0.1", 7))
    box.run("dpkg", "--purge", "fd0")
    left = box.run("find", "/etc", "/usr", "/lib", "/var", "/run", "-xdev", "-name", "fd0*", "-not", "-path",
                   "/var/log/*").stdout.split()
    assert [path for path in left if not path.startswith(("/usr/local", "/var/lib/dpkg"))] == []
