"""`fd0 up mail` as a newcomer meets it: what it prints is typed, word for word, and does what it says."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live import machine, processes
from tests.live.launchers import ROOT

SECONDS = 60
SYSTEM = "/usr/bin/python3"     # which everybody may read; our own may lie in somebody's home
STRANGER = "65534"      # whom mutt can find a name for
WHOM = ["root", "stranger"] if os.geteuid() == 0 else ["ourselves"]


class UpMail:
    """A running `fd0 up mail`, and what it printed."""

    def __init__(self, home, whom, *options):
        self.prefix = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"] * (whom == "stranger")
        self.environment = {"PYTHONPATH": str(ROOT), "HOME": home, "PATH": machine.SYSTEM_PATH, "TERM": "xterm",
                            "PYTHONDONTWRITEBYTECODE": "1"}
        python = SYSTEM if whom == "stranger" else sys.executable
        for _ in range(5):
            port = machine.Port()
            self.processes = processes.Processes(
                [*self.prefix, python, "-m", "daemons.tools", "up", "mail", f"--offset={port.number - 110}", *options],
                self.environment, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                self.page = self.read_until("Ctrl-C ends all.\n\n")
            except BaseException:
                self.processes.end()
                raise
            finally:
                port.release()
            if "already in use" not in self.page:
                break
            self.processes.end()
        self.home = home

    def read_until(self, text):
        """What it printed until and with this text, or all of it."""
        output, deadline, pipe = b"", time.monotonic() + SECONDS, self.processes.first.stdout.fileno()
        while text.encode() not in output:
            if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"{text!r} is not in {output!r}")
            data = os.read(pipe, 1)
            if not data:
                break
            output += data
        return output.decode()

    def typed(self, words):
        """The one command of the page that has these words in it."""
        line, = [line.strip() for line in self.page.splitlines() if line.startswith("  ") and words in line]
        return line

    def run(self, line):
        """Type it; returns a CompletedProcess."""
        line = line.replace("python3 -m daemons.tools", f"{SYSTEM} -m daemons.tools")
        return subprocess.run([*self.prefix, "sh", "-c", line], env=self.environment, cwd=self.home, text=True,
                              capture_output=True, timeout=SECONDS)

    def stop(self):
        """Its exit status, once nothing is left of it."""
        os.kill(self.processes.first.pid, signal.SIGINT)
        status = self.processes.first.wait(SECONDS)
        assert not self.processes.alive()
        return status


@pytest.fixture(params=WHOM)
def up(request):
    """Run it as somebody, in a home of hers, as often as the test likes."""
    made, home = [], processes.new_folder("newcomer")
    os.chmod(home, 0o755)
    os.mkdir(f"{home}/Mail")            # or mutt asks for it when it is first called
    if request.param == "stranger":
        os.chown(home, int(STRANGER), int(STRANGER))

    def start(*options):
        made.append(UpMail(home, request.param, *options))
        return made[-1]
    yield start
    for one in made:
        one.processes.end()


@pytest.fixture(scope="module", autouse=True)
def clients():
    """What the page names must be here."""
    for name in ("swaks", "curl", "mutt"):
        machine.program(name, name)


def screen(mail, line, words):
    """Type a command at a terminal, wait until it shows these words, and hang up."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(mail.home)
        os.execvpe("setpriv" if mail.prefix else "sh", [*mail.prefix, "sh", "-c", line],
                   {**os.environ, **mail.environment})
    shown, deadline = b"", time.monotonic() + SECONDS
    try:
        while words.encode() not in shown:
            if not select.select([terminal], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"{words!r} is not in {shown!r}")
            try:
                shown += os.read(terminal, 65536)
            except OSError:             # it has ended
                raise AssertionError(f"{words!r} is not in {shown!r}") from None
    finally:
        os.close(terminal)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def until_read(mail, words):
    """Read the newest mail as the page says until these words are in it."""
    machine.until(lambda: words in mail.run(mail.typed("curl pop3:")).stdout, SECONDS, f"mail with {words!r}")


def test_a_newcomer_gets_a_mail_and_reads_it(up):
    mail = up()
    assert re.search(r"(?m)^Address   user@localhost\nPassword  [A-Za-z0-9]{12} ", mail.page)
    done = mail.run(mail.typed("--from ann@example.org"))
    assert done.returncode == 0, done.stdout + done.stderr
    read = mail.run(mail.typed("curl pop3:"))
    assert read.returncode == 0 and "From: ann@example.org" in read.stdout and "test mailing" in read.stdout
    screen(mail, mail.typed("mutt -e"), "ann@example.org")
    assert mail.stop() == 0
    assert {"accounts.db", "mail", "queue"} <= set(os.listdir(f"{mail.home}/fd0-mail"))


def test_she_sends_one_herself_and_hears_of_what_cannot_be_delivered(up):
    mail = up()
    if "-tls" not in mail.page or "mailq is left out" in mail.page:
        machine.unavailable("python3-cryptography and python3-dnspython are not installed")
    line = mail.typed("-tls --auth PLAIN")
    assert mail.run(line).returncode == 0
    until_read(mail, "with ESMTPSA")
    mail.run(f"{mail.typed('curl pop3:')} -X 'DELE 1'")
    assert mail.run(line.replace("--to user@localhost", "--to 'bob@[127.0.0.1]'")).returncode == 0
    waits = mail.run(mail.typed("queue list --queue="))
    assert waits.returncode == 0 and "bob@[127.0.0.1]" in waits.stdout, waits.stderr
    assert mail.stop() == 0


def test_a_second_run_keeps_what_is_there(up):
    first = up()
    assert first.run(first.typed("--from ann@example.org")).returncode == 0
    password = re.search(r"Password  (\S+)", first.page)[1]
    assert first.stop() == 0
    second = up()
    assert password not in second.page and "passwd user@localhost" in second.page
    line = second.typed("curl pop3:").replace("PASSWORD", password)
    assert "From: ann@example.org" in second.run(line).stdout
    other = second.run(f"echo another | {second.typed('user passwd')} --password-stdin")
    assert other.returncode == 0, other.stderr
    assert "From: ann@example.org" in second.run(second.typed("curl pop3:").replace("PASSWORD", "another")).stdout
    assert second.stop() == 0


def test_a_folder_of_another_name(up):
    mail = up("--folder=here/of mail")
    assert f"All of it lies in {mail.home}/here/of mail.\n" in mail.page
    assert mail.run(mail.typed("--from ann@example.org")).returncode == 0
    assert "From: ann@example.org" in mail.run(mail.typed("curl pop3:")).stdout
    assert mail.run(mail.typed("queue list --queue=")).returncode == 0


def test_one_that_ends_ends_all(up):
    mail = up()
    machine.until(lambda: len(mail.processes.alive()) >= 4, what="programs")
    for pid in mail.processes.alive():
        with contextlib.suppress(OSError):      # one that has only looked for something is gone by now
            if b"daemons.pop3d" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    assert mail.processes.first.wait(SECONDS) == 111


def test_ports_and_folders_that_cannot_be_had_are_named(tmp_path):
    port = machine.Port()

    def run(*options):
        return subprocess.run([sys.executable, "-m", "daemons.tools", "up", "mail", f"--folder={tmp_path}/x", *options],
                              capture_output=True, text=True, cwd=ROOT, timeout=SECONDS)
    with socket.create_server(("127.0.0.1", port.number)):
        done = run(f"--offset={port.number - 110}")
    assert (done.returncode, done.stderr) == (
        111, f"fd0 up: mail cannot have 127.0.0.1:{port.number}: Address already in use; try another --offset or "
             "--bind\n")
    assert not (tmp_path / "x").exists()
    (tmp_path / "x").mkdir()
    (tmp_path / "x/accounts.db").write_text("this is no database")
    done = run(f"--offset={port.number - 110}")
    assert done.returncode in (100, 111) and "Traceback" not in done.stderr
    (tmp_path / "file").write_text("")
    done = run(f"--offset={port.number - 110}", f"--folder={tmp_path}/file")
    assert (done.returncode, done.stderr) == (100, f"fd0 up: {tmp_path}/file: not a folder\n")
    port.release()
