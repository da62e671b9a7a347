"""fd0 convert: what it makes is what real launchers read, and what it loses it says."""

import getpass
import re
import shutil
import subprocess

import pytest

from daemons.stores import servicefiles
from daemons.tools.__main__ import main
from tests.live import clients, machine
from tests.live.launchers import OpenBSDInetd, OurInetd, Service, Xinetd

CAT = shutil.which("cat")
SECTION = f"""\
service copy
{{
    disable     = no
    type        = UNLISTED
    port        = 7007
    socket_type = stream
    protocol    = tcp
    wait        = no
    user        = {getpass.getuser()}
    server      = {CAT}
    server_args = -u
}}
"""
FULL = SECTION.replace("}", """\
    bind        = ::1
    only_from   = 192.0.2.0/24 2001:db8::/32
    instances   = 30
    per_source  = 3
    flags       = KEEPALIVE NODELAY
    env         = LANG=C TZ=UTC
    nice        = 5
    umask       = 027
    rlimit_as   = 64M
    log_type    = SYSLOG mail info
}""")
UNITS = {"copy.socket": "[Socket]\nListenStream=127.0.0.1:7007\nAccept=yes\nMaxConnections=30\n"
                        "IPAddressAllow=192.0.2.0/24\nIPAddressDeny=any\nKeepAlive=yes\n",
         "copy@.service": "[Service]\nExecStart=/bin/cat -u\nUser=daemon\nStandardInput=socket\nUMask=0027\n"
                          "LimitAS=64M\nNoNewPrivileges=yes\nProtectHome=yes\nNice=5\n"}


@pytest.fixture
def convert(tmp_path, capsys):
    """Convert a text; returns (status, file name -> text, what was said)."""
    def run(text, *options, name="service"):
        source, into = tmp_path / name, tmp_path / f"made{len(list(tmp_path.iterdir()))}"
        source.write_text(text)
        status = main(["convert", str(source), f"--into={into}", *options])
        made = {path.name: path.read_text() for path in into.iterdir()} if into.exists() else {}
        return status, made, capsys.readouterr().err
    return run


def lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


# ------------------------------------------------------------------ what is made

def test_units_of_a_section_have_all_that_it_says(convert):
    status, made, said = convert(FULL)
    assert (status, said) == (0, "") and sorted(made) == ["copy.socket", "copy@.service"]
    assert {"ListenStream=[::1]:7007", "Accept=yes", "KeepAlive=yes", "NoDelay=yes", "MaxConnections=30",
            "MaxConnectionsPerSource=3", "IPAddressAllow=192.0.2.0/24 2001:db8::/32", "IPAddressDeny=any",
            "TriggerLimitIntervalSec=0"} <= set(lines(made["copy.socket"]))
    assert {f"ExecStart={CAT} -u", "StandardInput=socket", "StandardOutput=socket", "Nice=5", "UMask=0027",
            "Environment=LANG=C", "Environment=TZ=UTC", f"LimitAS={64 << 20}", "SyslogFacility=mail"
            } <= set(lines(made["copy@.service"]))


def test_a_section_of_units_has_all_that_they_say(convert, tmp_path):
    (tmp_path / "copy@.service").write_text(UNITS["copy@.service"])
    status, made, said = convert(UNITS["copy.socket"], name="copy.socket")
    assert status == 0 and "the sandbox: 2 settings, such as NoNewPrivileges" in said
    found = dict(re.findall(r"^\t(\w+) += (.*)$", made["copy"], re.MULTILINE))
    assert found == {"disable": "yes", "type": "UNLISTED", "socket_type": "stream", "protocol": "tcp",
                     "bind": "127.0.0.1", "port": "7007", "wait": "no", "user": "daemon", "only_from": "192.0.2.0/24",
                     "instances": "30", "flags": "KEEPALIVE", "nice": "5", "umask": "0027", "rlimit_as": "64M",
                     "stderr": "log", "server": "/bin/cat", "server_args": "-u"} | (
                         {"log_type": found["log_type"]} if "log_type" in found else {})


def test_there_and_back_is_the_same_service(convert, tmp_path):
    _, made, _ = convert(FULL)
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    status, back, _ = convert(made["copy.socket"], name="copy.socket")
    (tmp_path / "first").write_text(FULL)
    (tmp_path / "second").write_text(back["copy"])
    (before,), (after,) = (servicefiles.read(str(tmp_path / name), everything=True).services
                           for name in ("first", "second"))
    assert status == 0
    for field in ("port", "bind", "wait", "user", "server", "argv", "only_from", "instances", "per_source", "flags",
                  "nice", "umask", "rlimits", "env", "socket_type"):
        assert getattr(before, field) == getattr(after, field), field


def test_inetdconf_becomes_units_and_sections(convert):
    text = f"copy stream tcp nowait nobody {CAT} cat -u\n7007 dgram udp wait nobody /usr/sbin/x x\n"
    status, units, _ = convert(text.replace("copy", "finger"))
    assert status == 0 and len(units) == 4 and all(name.endswith((".socket", ".service")) for name in units)
    status, made, _ = convert(text, "--to=xinetd")
    assert status == 0 and made["from-inetd-conf"].count("service ") == 2
    assert made["from-inetd-conf"].count("disable         = yes") == 2, "nothing is switched on unasked"


# ------------------------------------------------------------------ what is lost

@pytest.mark.parametrize(("line", "said"), [
    ("only_from = .example.org", "systemd knows no names: .example.org"),
    ("access_times = 08:00-18:00", "access_times"),
])
def test_a_service_that_would_be_open_to_more_is_left_out(convert, line, said):
    text = SECTION.replace("}", f"    {line}\n}}")
    status, made, complaint = convert(text)
    assert (status, made) == (100, {}) and said in complaint and "--anyway" in complaint
    status, made, complaint = convert(text, "--anyway")
    assert len(made) == 2 and said in complaint


def test_only_from_cannot_be_written_in_inetdconf(convert):
    status, made, said = convert(FULL, "--to=inetd")
    assert (status, made) == (100, {}) and "only_from" in said


@pytest.mark.parametrize(("text", "name", "said"), [
    (SECTION.replace(" nowait", ""), "copy.service", "name the .socket"),
    ("[Socket]\nListenStream=7\n", "lone.socket", "lone.service"),
    ("[Socket]\nnonsense\n", "bad.socket", "line 2"),
])
def test_what_cannot_be_read_is_said(convert, text, name, said):
    status, made, complaint = convert(text, name=name)
    assert (status, made) == (100, {}) and said in complaint and "Traceback" not in complaint


def test_no_file_is_written_over(convert, tmp_path):
    convert(SECTION)
    before = {path: path.read_bytes() for path in (tmp_path / "made0").iterdir()}
    (tmp_path / "service").write_text(FULL)
    assert main(["convert", str(tmp_path / "service"), f"--into={tmp_path}/made0"]) == 100
    assert {path: path.read_bytes() for path in (tmp_path / "made0").iterdir()} == before


# ------------------------------------------------------------------ what real launchers say to it

def test_systemd_reads_the_units_without_a_word(convert, tmp_path):
    analyze = machine.program("systemd-analyze", "systemd")
    user = SECTION.replace(f"user        = {getpass.getuser()}", "user        = daemon")
    _, each, _ = convert(user)
    _, all_, _ = convert(user.replace("copy", "whole").replace("= no\n    user", "= yes\n    user"))
    for name, text in {**each, **all_}.items():
        (tmp_path / name).write_text(text)
    assert len(each) == len(all_) == 2
    for name in ("copy.socket", "whole.socket", "whole.service"):
        done = subprocess.run([analyze, "verify", tmp_path / name], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), name


@pytest.mark.parametrize("launcher", [Xinetd, OurInetd])
def test_launchers_of_xinetd_files_run_what_was_an_inetdconf(convert, launcher):
    _, made, _ = convert(f"7007 stream tcp nowait {getpass.getuser()} {CAT} cat -u\n", "--to=xinetd")
    with launcher.of_file(made["from-inetd-conf"]) as host:
        assert clients.converse(host.address, b"as it was\r\n") == b"as it was\r\n"


@pytest.mark.parametrize("launcher", [OpenBSDInetd, OurInetd])
def test_launchers_of_inetdconf_run_what_was_a_section(convert, launcher):
    class Converted(launcher):
        """Runs the converted line at a port of the test's own."""

        def command(self):
            argv = super().command()
            host, port = self.address
            text = SECTION.replace("7007", f"{port}\n    bind        = {host}")
            self.configuration.write_text(convert(text, "--to=inetd")[1]["inetd.conf"])
            return argv

    with Converted(Service([CAT, "-u"])) as host:
        assert clients.converse(host.address, b"hello\n") == b"hello\n"
