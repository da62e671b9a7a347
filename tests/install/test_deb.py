"""The Debian package: what is in it, what lintian says, and that it comes and goes without a trace."""

import os
import re
import subprocess

import pytest

import daemons
from daemons.kernel import describe
from daemons.tools import manual, programs
from tests.install import building, trees
from tests.install.inside import Inside
from tests.live import machine
from tests.sources import ROOT

# where dpkg and others keep their own books
BOOKS = ("/var/cache", "/var/log", "/var/lib/dpkg", "/var/lib/systemd/deb-systemd-helper-enabled")
VERSION = re.escape(daemons.__version__)


@pytest.fixture(scope="module")
def deb():
    """The path of the package."""
    return building.package()


@pytest.fixture(scope="module")
def unpacked(deb, tmp_path_factory):
    """What is in it, as a tree; its own files in DEBIAN."""
    path = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "--raw-extract", deb, path], check=True, timeout=60)
    return path


def test_lintian_finds_no_error_and_no_warning(deb):
    done = subprocess.run([machine.program("lintian", "lintian"), "--tag-display-limit=0", "--show-overrides", deb],
                          capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_package_has_everything_that_make_install_puts_in_place(unpacked):
    found = {path for path in trees.files(unpacked) if not path.startswith(("DEBIAN/", "usr/lib/fd0/daemons/"))}
    units = {name.replace("systemd/", "lib/systemd/system/", 1) if name.startswith("systemd/") else
             f"usr/share/fd0/{name}" for service in programs.placed() for name in describe.files(service)}
    unit_folder = "usr/lib/systemd/system/" if (unpacked / "usr/lib/systemd/system").exists() else "lib/systemd/system/"
    units = {name.replace("lib/systemd/system/", unit_folder, 1) for name in units}
    assert found == {
        *units, *(f"usr/lib/fd0/{name}" for name in programs.names()),
        *(f"usr/share/man/{name}.gz" for name in manual.pages()),
        "usr/bin/fd0", "usr/lib/sysusers.d/fd0.conf", "usr/lib/tmpfiles.d/fd0.conf", "etc/fd0/common.conf",
        "usr/share/bash-completion/completions/fd0", "usr/share/zsh/vendor-completions/_fd0",
        "usr/share/fish/vendor_completions.d/fd0.fish", "usr/share/python3/runtime.d/fd0.rtupdate",
        "usr/share/doc/fd0/copyright", "usr/share/doc/fd0/changelog.gz"}
    assert not [path for path in trees.files(unpacked) if path.endswith(".pyc")]


def test_its_version_is_ours(unpacked):
    with open(os.path.join(ROOT, "debian/changelog"), encoding="utf-8") as file:
        assert re.match(rf"fd0 \({VERSION}(\+\S+)?\) ", file.read())
    assert re.search(rf"^Version: {VERSION}", (unpacked / "DEBIAN/control").read_text(), re.MULTILINE)


def test_no_socket_is_switched_on_by_installing(unpacked):
    assert not list(unpacked.rglob("*.wants/*"))
    assert "deb-systemd-invoke start" not in (unpacked / "DEBIAN/postinst").read_text()


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_scripts_are_shell(unpacked, name):
    subprocess.run(["sh", "-n", unpacked / "DEBIAN" / name], check=True, timeout=20)


def test_it_installs_serves_upgrades_and_purges_without_a_trace(deb):
    with Inside() as inside:
        os.makedirs(f"{inside.root}/mnt/deb")
        with open(deb, "rb") as file, open(f"{inside.root}/mnt/deb/fd0.deb", "wb") as copy:
            copy.write(file.read())
        before = inside.everything(BOOKS)
        inside("dpkg", "-i", "/mnt/deb/fd0.deb")
        assert inside("fd0", "--version").stdout == f"fd0 {daemons.__version__}\n"
        assert inside("/usr/lib/fd0/echod", input="hello").stdout == "hello"
        assert inside("stat", "-c", "%a %U %G", "/run/fd0").stdout == "770 fd0 fd0\n"
        assert os.listdir(f"{inside.root}/usr/lib/fd0/daemons/__pycache__"), "it is compiled"
        inside("sh", "-c", "echo 'timeout = 7' >> /etc/fd0/common.conf")
        inside("fd0", "enable", "echod", "--with=inetd")
        inside("dpkg", "-i", "/mnt/deb/fd0.deb")
        assert "timeout = 7" in inside("cat", "/etc/fd0/common.conf").stdout, "an upgrade keeps what was changed"
        assert "fd0 enable echod" in inside("cat", "/etc/inetd.conf").stdout, "and what was enabled"
        inside("dpkg", "-r", "fd0")
        assert not os.path.exists(f"{inside.root}/etc/inetd.conf") and inside("cat", "/etc/fd0/common.conf").stdout
        assert not os.path.exists(f"{inside.root}/usr/lib/fd0")
        inside("dpkg", "-P", "fd0")
        assert inside.everything(BOOKS) == before
        assert not os.path.exists(f"{inside.root}/run/fd0")
        assert inside("getent", "passwd", "fd0", check=False).stdout == ""
