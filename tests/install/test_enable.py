"""fd0 enable and fd0 disable in a tree: what one writes the other takes away to the last octet; what is refused."""

import os
import shutil
import subprocess
import sys

import pytest

from daemons.stores import servicefiles
from daemons.tools import blocks, enable, programs
from daemons.tools.__main__ import main
from daemons.wire import unitfile
from tests import sources
from tests.install import building, trees
from tests.live import machine

LAUNCHERS = ("xinetd", "systemd", "inetd")
NAMES = [service.name for service in programs.launched()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A tree with an installation, and what a machine has besides."""
    path = tmp_path_factory.mktemp("installed")
    building.install(path, "COMPILE=no")
    for folder in ("etc/systemd/system", "etc/xinetd.d", "usr/sbin"):
        (path / folder).mkdir(parents=True)
    (path / "usr/sbin/xinetd").write_text("")
    (path / "usr/sbin/xinetd").chmod(0o755)
    (path / "etc/xinetd.d/other").write_text(
        "service other\n{\n type = UNLISTED\n port = 4242\n socket_type = stream\n protocol = tcp\n wait = no\n"
        " user = root\n server = /bin/cat\n}\n")
    (path / "etc/inetd.conf").write_text("4343 stream tcp nowait root /bin/cat cat\n")
    return path


@pytest.fixture
def tree(installed, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(installed, tmp_path / "tree", symlinks=True)
    return tmp_path / "tree"


@pytest.fixture
def fd0(tree, capsys):
    """Run a command on the tree; returns (status, printed, complaint)."""
    def run(command, *arguments):
        try:
            status = main([command, *map(str, arguments), f"--root={tree}"])
        except SystemExit as end:
            status = end.code
        return (status, *capsys.readouterr())
    return run


def need(launcher):
    if launcher == "systemd":
        machine.program("systemctl", "systemd")


# ------------------------------------------------------------------ both directions

@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("name", NAMES)
def test_disable_undoes_enable(tree, fd0, name, launcher):
    need(launcher)
    before = trees.snapshot(tree)
    options = ["--only-from=192.0.2.0/24", "--set", "timeout=7", "--listen=127.0.0.1", "--listen=[::1]:7007"]
    status, printed, complaint = fd0("enable", name, f"--with={launcher}", *options)
    assert (status, complaint) == (0, "") and f"undo:     fd0 disable {name}" in printed
    assert trees.snapshot(tree) != before
    status, printed, complaint = fd0("disable", name)
    assert (status, complaint) == (0, "") and printed.startswith(f"{name} under {launcher}:\n")
    after = trees.snapshot(tree)
    assert after == before


def test_what_serves_no_socket_is_started_with_the_machine(tree, fd0):
    need("systemd")
    before = trees.snapshot(tree)
    status, printed, complaint = fd0("enable", "mailq", "--with=systemd", "--set", "smarthost=relay.example.net:587")
    assert (status, complaint) == (0, "") and "undo:     fd0 disable mailq" in printed
    assert (tree / "etc/systemd/system/multi-user.target.wants/fd0-mailq.service").is_symlink()
    assert "smarthost = relay.example.net:587" in (tree / "etc/fd0/mailq.conf").read_text()
    status, printed, complaint = fd0("enable", "mailq", "--with=systemd")
    assert status == 100 and "mailq is in place already, under systemd" in complaint
    assert fd0("disable", "mailq")[0] == 0
    assert trees.snapshot(tree) == before


@pytest.mark.parametrize("options, complaint", [
    (["--with=xinetd"], "mailq serves no socket that xinetd could give it: --with=systemd, or have it started with the "
                        "machine: /usr/local/lib/fd0/mailq"),
    (["--with=systemd", "--port=25"], "mailq serves no socket, and has no use for --port"),
    (["--with=systemd", "--listen=127.0.0.1"], "mailq serves no socket, and has no use for --listen"),
    (["--with=systemd", "--each"], "mailq serves no socket, and has no use for --each")])
def test_what_serves_no_socket_cannot_be_given_one(tree, fd0, options, complaint):
    before = trees.snapshot(tree)
    assert fd0("enable", "mailq", *options)[2] == f"fd0 enable: {complaint}\n"
    assert trees.snapshot(tree) == before


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_what_was_there_before_stays(tree, fd0, launcher):
    need(launcher)
    for text in ("# mine\ntimeout = 3", "# mine\n", "\n\n# >>> fd0 enable\n", "timeout = 3\n\n"):
        (tree / "etc/fd0/echod.conf").write_text(text)
        (tree / "etc/fd0/echod.conf").chmod(0o640)
        (tree / "etc/inetd.conf").write_text("# all\n4343 stream tcp nowait root /bin/cat cat")
        before = trees.snapshot(tree)
        assert fd0("enable", "echod", f"--with={launcher}", "--set=most=9")[0] == 0
        assert (tree / "etc/fd0/echod.conf").read_text().startswith(text)
        assert fd0("disable", "--all")[0] == 0
        assert trees.snapshot(tree) == before


def test_without_units_of_a_package_they_are_written_and_taken_away(tree, fd0):
    need("systemd")
    shutil.rmtree(tree / "usr/local/lib/systemd")
    before = trees.snapshot(tree)
    assert fd0("enable", "fingerd", "--with=systemd", "--each")[0] == 0
    unit = (tree / "etc/systemd/system/fd0-fingerd-each@.service").read_text()
    assert "ExecStart=/usr/local/lib/fd0/fingerd\n" in unit and "`fd0 disable fingerd` takes this file away" in unit
    assert fd0("disable", "fingerd")[0] == 0
    assert trees.snapshot(tree) == before


def test_two_services_in_one_file_go_one_by_one(tree, fd0):
    (tree / "etc/inetd.conf").unlink()
    before = trees.snapshot(tree)
    for name in ("echod", "timed", "qotd"):
        assert fd0("enable", name, "--with=inetd")[0] == 0
    assert fd0("disable", "timed")[0] == 0
    text = (tree / "etc/inetd.conf").read_text()
    assert blocks.is_in(text, "echod") and blocks.is_in(text, "qotd") and "timed" not in text
    assert fd0("disable", "echod", "qotd")[0] == 0
    assert trees.snapshot(tree) == before


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_trial_changes_nothing(tree, fd0, launcher):
    before = trees.snapshot(tree)
    status, printed, complaint = fd0("enable", "echod", f"--with={launcher}", "--dry-run", "--set=most=9")
    assert (status, complaint) == (0, "") and "  would write /etc/fd0/echod.conf\n" in printed
    assert "    | most = 9\n" in printed
    assert trees.snapshot(tree) == before


def test_a_failure_on_the_way_is_taken_back(tree, fd0, monkeypatch):
    """systemctl says no, and the files that were written by then are gone again."""
    need("systemd")
    (tree / "etc/systemd/system/sockets.target.wants").write_text("in the way\n")
    before = trees.snapshot(tree)
    status, _, complaint = fd0("enable", "echod", "--with=systemd", "--port=7007", "--set=most=9")
    assert status == 100 and complaint.startswith("fd0 enable: systemctl --root=")
    assert trees.snapshot(tree) == before


# ------------------------------------------------------------------ what it writes

def test_xinetd_gets_an_entry_for_each_place_and_socket(tree, fd0):
    assert fd0("enable", "echod", "--with=xinetd", "--listen=127.0.0.1:7007", "--listen=::1")[0] == 0
    found = servicefiles.read(str(tree / "etc/xinetd.d/fd0-echod"), everything=True)
    assert [(one.bind, one.port, one.socket_type, one.wait, one.user, one.server) for one in found.services] == [
        (host, port, sort, sort == "dgram", "fd0", "/usr/local/lib/fd0/echod")
        for host, port in (("127.0.0.1", 7007), ("::1", 7)) for sort in ("stream", "dgram")]
    assert len({one.id for one in found.services}) == 4 and not any(one.disable for one in found.services)


def test_inetd_gets_lines_that_it_reads_again(tree, fd0):
    assert fd0("enable", "timed", "--with=inetd", "--listen=[::1]:3737", "--listen=127.0.0.1")[0] == 0
    found = servicefiles.read(str(tree / "etc/inetd.conf"), everything=True)
    assert [(one.bind, one.port, one.socket_type, one.wait) for one in found.services if one.port != 4343] == [
        (host, port, sort, sort == "dgram") for host, port in (("::1", 3737), ("127.0.0.1", 37))
        for sort in ("stream", "dgram")]


def drop_in(tree, unit):
    """The settings of a unit's drop-in, as pairs."""
    path = tree / f"etc/systemd/system/{unit}.d/50-fd0-enable.conf"
    return [(one.name, one.value) for one in unitfile.parse(path.read_text())] if path.exists() else []


def test_systemd_gets_a_drop_in_for_what_differs(tree, fd0):
    need("systemd")
    assert fd0("enable", "echod", "--with=systemd", "--listen=127.0.0.1:7007", "--listen=unix:/run/echo")[0] == 0
    assert drop_in(tree, "fd0-echod.socket") == [
        ("ListenStream", ""), ("ListenDatagram", ""), ("ListenStream", "127.0.0.1:7007"),
        ("ListenDatagram", "127.0.0.1:7007"), ("ListenStream", "/run/echo"), ("ListenDatagram", "/run/echo")]
    assert drop_in(tree, "fd0-echod.service") == []
    assert os.path.lexists(tree / "etc/systemd/system/sockets.target.wants/fd0-echod.socket")


@pytest.mark.parametrize("option, calls", [
    ("forward=example.org", True), ("gateways=192.0.2.1", True), ("names=yes", True),
    ("only-from=.example.org 192.0.2.1", True), ("only-from=192.0.2.0/24", False), ("names=no", False)])
def test_systemd_gives_a_network_to_whom_its_options_make_call_others(tree, fd0, option, calls):
    need("systemd")
    assert fd0("enable", "identd", "--with=systemd", "--set", option)[0] == 0
    assert (("PrivateNetwork", "no") in drop_in(tree, "fd0-identd.service")) is calls


@pytest.mark.parametrize("places, calls", [
    ("unix:/run/a.sock", False), ("unix:/run/a.sock,unix:/run/b.sock", False), ("unix:/run/a,localhost:8891", True)])
def test_systemd_gives_a_network_for_filters_that_are_at_ports(tree, fd0, places, calls):
    need("systemd")
    assert fd0("enable", "smtpd", "--with=systemd", "--set", f"milters={places}")[0] == 0
    assert (("PrivateNetwork", "no") in drop_in(tree, "fd0-smtpd.service")) is calls


def test_systemd_finds_nothing_wrong_with_what_it_gets(tree, fd0):
    need("systemd")
    shutil.rmtree(tree / "usr/local/lib/systemd")
    for name in NAMES:
        assert fd0("enable", name, "--with=systemd", "--port=7007", "--set=names=yes")[0] == 0
    folder = tree / "etc/systemd/system"
    for path in folder.glob("*.service"):
        path.write_text(path.read_text().replace("/usr/local/lib/fd0/", "/bin/true #"))
    units = [str(path) for path in folder.iterdir() if path.suffix in (".socket", ".service")]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    assert len(units) == 2 * len(NAMES) and (done.stdout, done.stderr) == ("", "")


# ------------------------------------------------------------------ what is refused

@pytest.mark.parametrize("arguments, complaint", [
    (["ecod", "--with=xinetd"], "no program ecod (did you mean echod?)"),
    (["inetd", "--with=xinetd"], "inetd serves no socket that a launcher could give it; start it by hand"),
    (["echod"], "the following arguments are required: --with; see fd0 enable --help"),
    (["echod", "--with=xinetd", "--set=moost=3"], "--set: no option moost (did you mean most?)"),
    (["echod", "--with=xinetd", "--set=most=3x"], "--set: most: not a size: '3x' (write 4096, 64K, 10M or 1G)"),
    (["echod", "--with=xinetd", "--set=most"], "--set takes name=value on one line, not 'most'"),
    (["echod", "--with=xinetd", "--set=most=1\nlog=/x"], "--set takes name=value on one line, not 'most=1\\nlog=/x'"),
    (["echod", "--with=xinetd", "--port=0"], "--port takes a number of 1 to 65535, not '0'"),
    (["echod", "--with=xinetd", "--port=65536"], "--port takes a number of 1 to 65535, not '65536'"),
    (["echod", "--with=xinetd", "--listen=lo:7"], "--listen: 'lo' does not appear to be an IPv4 or IPv6 address"),
    (["echod", "--with=xinetd", "--listen=unix:/x"], "xinetd has no Unix sockets; systemd has"),
    (["echod", "--with=inetd", "--listen=unix:/x"], "inetd has no Unix sockets; systemd has"),
    (["fingerd", "--with=xinetd", "--each"],
     "--each is systemd's; xinetd starts a process for each connection as it is"),
    (["echod", "--with=systemd", "--each"], "echod has no unit for --each: it is made to stay"),
    (["echod", "--with=xinetd", "--port=4242"],
     "port 4242 is taken, by the service other in /etc/xinetd.d/other:1; "
     "say disable = yes there, or choose another: --port=NUMBER"),
    (["echod", "--with=inetd", "--port=4343"],
     "port 4343 is taken, by 4343 in /etc/inetd.conf:1; take out that line, or choose another: --port=NUMBER"),
])
def test_what_cannot_be_is_said_and_nothing_is_written(tree, fd0, arguments, complaint):
    before = trees.snapshot(tree)
    status, _, said = fd0("enable", *arguments)
    assert (status, said) == (100, f"fd0 enable: {complaint}\n")
    assert trees.snapshot(tree) == before


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("again", LAUNCHERS)
def test_a_service_is_in_place_once(tree, fd0, launcher, again):
    need(launcher)
    assert fd0("enable", "echod", f"--with={launcher}")[0] == 0
    assert fd0("enable", "echod", f"--with={again}") == (
        100, "", f"fd0 enable: echod is in place already, under {launcher}; to change it, first: fd0 disable echod\n")


def test_a_tree_that_is_not_there_is_said(tmp_path):
    argv = ["enable", "echod", "--with=systemd", f"--root={tmp_path}/none", f"--library={sources.ROOT}"]
    done = subprocess.run([sys.executable, "-m", "daemons.tools", *argv], cwd=sources.ROOT, capture_output=True,
                          text=True)
    assert (done.returncode, done.stderr) == (100, f"fd0 enable: {tmp_path}/none/: no such folder\n")


def test_what_is_not_there_is_said(tree, fd0):
    (tree / "usr/sbin/xinetd").unlink()
    assert "xinetd is not installed: apt-get install xinetd" in fd0("enable", "echod", "--with=xinetd")[2]
    (tree / "usr/local/lib/fd0/echod").unlink()
    assert f"echod is not installed below {tree}: sudo make install" in fd0("enable", "echod", "--with=inetd")[2]
    assert fd0("disable", "echod")[::2] == (
        100, "fd0 disable: echod is not in place under xinetd, systemd, inetd: there is nothing to take away\n")
    assert fd0("disable")[::2] == (100, "fd0 disable: which program, or --all?; see fd0 disable --help\n")
    assert fd0("disable", "--all") == (0, "", "")


def test_a_file_of_that_name_that_is_not_ours_is_left_alone(tree, fd0):
    (tree / "etc/xinetd.d/fd0-echod").write_text("# mine\n")
    assert "/etc/xinetd.d/fd0-echod is there already, and not of our making" in \
        fd0("enable", "echod", "--with=xinetd")[2]
    assert fd0("disable", "echod")[0] == 100 and (tree / "etc/xinetd.d/fd0-echod").read_text() == "# mine\n"


@pytest.mark.parametrize("values, command", [((), "echo hello | nc -N localhost 7"),
                                             ((("tls-cert", "/c"),), "openssl s_client -connect localhost:7")])
def test_what_is_to_be_typed_speaks_what_the_service_speaks(values, command):
    wish = enable.Wish(programs.program("echod").SERVICE, [("", 7)], values)
    assert enable.trials(wish)[0] == command


@pytest.mark.parametrize("service", programs.placed(), ids=lambda service: service.name)
@pytest.mark.parametrize("host", ["", "::1", "192.0.2.1"])
def test_how_to_try_each_service_is_told(service, host):
    told = enable.trials(enable.Wish(service, [(host, 4711)], ()))
    assert told and not any("{at}" in line or "{url}" in line for line in told)
    assert service.standing or all("4711" in line for line in told if line)
