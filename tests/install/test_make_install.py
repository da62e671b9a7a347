"""make install and make uninstall, into trees, and on a machine of the test's own."""

import os
import stat

import pytest

from daemons.kernel import describe
from daemons.tools import manual, programs
from tests.install import building, trees
from tests.install.inside import Inside

LIBRARY = "usr/local/lib/fd0"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A tree with an installation."""
    path = tmp_path_factory.mktemp("tree")
    os.umask(0o077)                     # an administrator's umask is not for others' files
    try:
        building.install(path)
    finally:
        os.umask(0o022)
    return path


def expected():
    """Every file of an installation but the library's modules."""
    units = {f"usr/local/lib/{name}".replace("systemd/", "systemd/system/", 1) if name.startswith("systemd") else
             f"usr/local/share/fd0/{name}" for service in programs.placed() for name in describe.files(service)}
    return {*units, *(f"{LIBRARY}/{name}" for name in programs.names()),
            *(f"usr/local/share/man/{name}" for name in manual.pages()),
            "usr/local/bin/fd0", "usr/local/lib/sysusers.d/fd0.conf", "usr/local/lib/tmpfiles.d/fd0.conf",
            "usr/local/share/bash-completion/completions/fd0", "usr/local/share/zsh/site-functions/_fd0",
            "usr/local/share/fish/vendor_completions.d/fd0.fish", "usr/local/share/fd0/directories",
            "etc/fd0/common.conf"}


def test_every_file_is_where_it_belongs(tree):
    assert {path for path in trees.files(tree) if not path.startswith(f"{LIBRARY}/daemons/")} == expected()
    modules = {path for path in trees.files(tree) if path.startswith(f"{LIBRARY}/daemons/")}
    assert f"{LIBRARY}/daemons/kernel/serve.py" in modules
    compiled = [path for path in modules if path.endswith(".pyc")]
    assert len(compiled) == sum(path.endswith(".py") for path in modules), "no start has to compile"


def test_everybody_may_read_and_only_the_owner_write(tree):
    executables = {"usr/local/bin/fd0", *(f"{LIBRARY}/{name}" for name in programs.names())}
    for path in [tree, *tree.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        name = os.path.relpath(path, tree)
        assert path == tree or mode == (0o755 if path.is_dir() or name in executables else 0o644), (name, oct(mode))


def test_another_prefix_is_everywhere(tmp_path):
    building.install(tmp_path, "PREFIX=/opt/net", "SYSCONFDIR=/opt/net/etc")
    assert {path.split("/")[0] for path in trees.files(tmp_path)} == {"opt"}
    net = tmp_path / "opt/net"
    for path in [*net.glob("lib/fd0/*d"), *net.glob("lib/systemd/system/*"), *net.glob("share/fd0/xinetd.d/*"),
                 *net.glob("share/man/man8/*")]:
        text = path.read_bytes()
        assert b"/usr/local" not in text and (b"/opt/net/lib/fd0" in text or path.suffix == ".socket"), path


def test_where_it_was_built_is_told_nowhere(tree):
    for path in tree.rglob("*"):
        assert not path.is_file() or os.fsencode(building.ROOT) not in path.read_bytes(), path


def test_what_the_administrator_wrote_is_never_overwritten_and_stays(tmp_path):
    building.install(tmp_path)
    mine = tmp_path / "etc/fd0/common.conf"
    mine.write_text("timeout = 7\n")
    building.install(tmp_path)
    assert mine.read_text() == "timeout = 7\n"
    told = building.make("uninstall", f"DESTDIR={tmp_path}").stdout
    assert f"kept, since it is yours: {mine}\n" in told
    assert trees.files(tmp_path) == {"etc/fd0/common.conf"}


def test_uninstall_leaves_a_tree_as_it_was(tmp_path):
    (tmp_path / "usr/local/share/man").mkdir(parents=True)
    (tmp_path / "usr/local/bin").mkdir()
    (tmp_path / "usr/local/bin/other").write_text("")
    before = trees.snapshot(tmp_path)
    building.install(tmp_path)
    building.install(tmp_path)
    building.make("uninstall", f"DESTDIR={tmp_path}")
    assert trees.snapshot(tmp_path) == before


def test_a_machine_is_as_it_was_after_uninstall():
    with Inside() as inside:
        before = inside.everything()
        inside("make", "install", "PYTHON=/usr/bin/python3")
        user = inside("getent", "passwd", "fd0").stdout.split(":")
        assert user[5:] == ["/var/lib/fd0", "/usr/sbin/nologin\n"]
        for path, mode in (("/run/fd0", "770"), ("/var/lib/fd0", "750"), ("/var/spool/fd0", "750")):
            assert inside("stat", "-c", "%a %U %G", path).stdout == f"{mode} fd0 fd0\n"
        units = [path for path in os.listdir(f"{inside.root}/usr/local/lib/systemd/system") if "@" not in path]
        said = inside("systemd-analyze", "verify", *units, SYSTEMD_UNIT_PATH="/usr/local/lib/systemd/system:")
        assert (said.stdout, said.stderr) == ("", "")
        assert inside("fd0", "list").stdout.startswith("PROGRAM")
        assert inside("/usr/local/lib/fd0/echod", input="hello").stdout == "hello"
        if os.access("/usr/bin/man", os.X_OK):
            assert "send back whatever is sent" in inside("man", "fd0-echod").stdout
        inside("make", "uninstall")
        assert inside.everything() == before
        assert inside("getent", "passwd", "fd0", check=False).stdout == ""
        assert not os.path.exists(f"{inside.root}/run/fd0")


def test_where_something_is_kept_its_owner_stays():
    with Inside() as inside:
        inside("make", "install", "PYTHON=/usr/bin/python3")
        inside("touch", "/var/lib/fd0/accounts.db")
        assert "kept, since something is in it: /var/lib/fd0; and with it the user fd0\n" in \
            inside("make", "uninstall").stdout
        assert inside("getent", "passwd", "fd0").stdout and not os.path.exists(f"{inside.root}/var/spool/fd0")


def test_without_systemds_tools_the_user_is_made_by_those_that_every_linux_has():
    with Inside() as inside:
        inside("rm", "/usr/bin/systemd-sysusers", "/usr/bin/systemd-tmpfiles")
        assert "at each start" in inside("make", "install", "PYTHON=/usr/bin/python3").stdout
        assert inside("stat", "-c", "%a %U %G", "/run/fd0").stdout == "770 fd0 fd0\n"
        inside("make", "uninstall")
        assert inside("getent", "passwd", "fd0", check=False).stdout == ""


def test_the_sample_of_options_is_in_order(tmp_path):
    """With its comments taken off, too."""
    sample = os.path.join(building.ROOT, "packaging/common.conf")
    path = tmp_path / "common.conf"
    with open(sample, encoding="utf-8") as file:
        path.write_text("".join(line.removeprefix("#") if "=" in line and not line.startswith("# ") else line
                                for line in file))
    from daemons.tools.__main__ import main
    assert main(["check", str(path)]) == 0 and " = " in path.read_text()
