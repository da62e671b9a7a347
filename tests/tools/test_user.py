"""fd0 user: as an administrator types it, at a terminal and in a script; and nothing secret where others can see it."""

import os
import re
import select
import subprocess
import sys
from contextlib import contextmanager

import pytest

from daemons.stores.passwords import Passwords, add
from daemons.tools.__main__ import main
from tests.live import machine, processes
from tests.live.launchers import ROOT

FD0 = [sys.executable, "-m", "daemons.tools", "user"]
LOGIN = [sys.executable, "-c", "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"]
SECRET = b"correct horse"


@pytest.fixture
def path(tmp_path):
    """A file in which alice has a password."""
    add(str(tmp_path / "users"), "alice", SECRET)
    return str(tmp_path / "users")


def fd0(*arguments, given=b"", **more):
    """(exit status, what it printed, what it complained); what was typed is in neither."""
    done = subprocess.run([*FD0, *arguments], cwd=ROOT, input=given, capture_output=True, timeout=30, **more)
    assert not given.strip() or given.strip() not in done.stdout + done.stderr
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Terminal:
    """Somebody at a terminal of her own, and the command running at it."""

    def __init__(self, *arguments):
        self.fd, theirs = os.openpty()
        self.shown = b""
        self.process = subprocess.Popen([*LOGIN, *FD0, *arguments], cwd=ROOT, stdin=theirs)
        os.close(theirs)

    def waits_for(self, text):
        """What it shows until and with this text."""
        def look():
            if select.select([self.fd], [], [], 0)[0]:
                self.shown += os.read(self.fd, 1000)
            return text in self.shown
        machine.until(look, 60, f"{text!r} at the terminal")
        shown, _, self.shown = self.shown.partition(text)
        return shown + text

    def types(self, text):
        os.write(self.fd, text)

    def ended(self):
        """(exit status, the rest of what it shows)"""
        status = self.process.wait(30)
        while True:
            try:
                data = os.read(self.fd, 1000)
            except OSError:             # EIO: nobody has the other end any more
                return status, self.shown.decode().replace("\r\n", "\n")
            self.shown += data


@contextmanager
def terminal(*arguments):
    it = Terminal(*arguments)
    try:
        yield it
    finally:
        it.process.kill()
        it.process.wait()
        os.close(it.fd)


# ------------------------------------------------------------------ at a terminal

@pytest.mark.parametrize("action, name, said", [("add", "bob", "added to"), ("passwd", "alice", "changed in")])
def test_a_person_is_asked_twice_and_sees_nothing_of_it(path, action, name, said):
    with terminal(action, name, f"--users={path}") as at:
        assert at.waits_for(b"Password: ") == b"Password: "
        with open(f"/proc/{at.process.pid}/cmdline", "rb") as file:
            assert file.read().split(b"\0")[-4:] == [action.encode(), name.encode(), f"--users={path}".encode(), b""]
        at.types(b"battery staple\n")
        shown = at.waits_for(b"Once more: ")
        at.types(b"battery staple\n")
        status, rest = at.ended()
    assert (status, shown, rest) == (0, b"\r\nOnce more: ", f"\n{name}: {said} {path}\n")
    assert Passwords(path).check(name, b"battery staple")


def test_two_that_differ_change_nothing(path):
    with terminal("passwd", "alice", f"--users={path}") as at:
        at.waits_for(b"Password: ")
        at.types(b"battery staple\n")
        at.waits_for(b"Once more: ")
        at.types(b"battery stable\n")
        assert at.ended() == (100, "\nfd0 user: the two passwords differ; nothing was changed\n")
    assert Passwords(path).check("alice", SECRET)


@pytest.mark.parametrize("typed, said", [
    (b"\n", "a password has 1 to 1024 octets"), (b"a\x01b\n", "no control characters"),
    (b"\x04", "no password was given; nothing was changed"), (b"\xff\n", "a password is UTF-8")])
def test_what_is_typed_wrong_is_told_at_once(path, typed, said):
    with terminal("passwd", "alice", f"--users={path}") as at:
        at.waits_for(b"Password: ")
        at.types(typed)
        status, rest = at.ended()
    assert status == 100 and rest.strip().startswith("fd0 user: ") and said in rest and "Once more" not in rest
    assert "xff" not in rest and Passwords(path).check("alice", SECRET)


def test_who_thinks_better_of_it_changes_nothing(path):
    with terminal("passwd", "alice", f"--users={path}") as at:
        at.waits_for(b"Password: ")
        at.types(b"\x03")
        assert at.ended()[0] == 130
    assert Passwords(path).check("alice", SECRET)


@pytest.mark.parametrize("arguments, said", [(("add", "alice"), "is there already"),
                                             (("passwd", "alcie"), "no alcie there (did you mean alice?)")])
def test_nobody_is_asked_for_what_cannot_be_done(path, arguments, said):
    with terminal(*arguments, f"--users={path}") as at:
        status, shown = at.ended()
    assert status == 100 and said in shown and "Password" not in shown


# ------------------------------------------------------------------ in a script

def test_a_whole_life(tmp_path):
    path = str(tmp_path / "users")
    assert fd0("add", "alice", f"--users={path}", "--password-stdin", given=SECRET + b"\n") == (
        0, f"alice: added to {path}\n", "")
    assert fd0("add", "bob", "--password-stdin", "--users", path, "--digest=Our files", given=b"x" * 20) == (
        0, f"bob: added to {path}\n", "")
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert fd0("list", f"--users={path}") == (0, "alice\nbob  (Digest: Our files)\n", "")
    assert Passwords(path).check("alice", SECRET) and Passwords(path).check("bob", b"x" * 20)
    assert fd0("passwd", "bob", f"--users={path}", "--password-stdin", "--digest=", given=b"y" * 20)[0] == 0
    assert Passwords(path).check("bob", b"y" * 20) and Passwords(path).realm("bob") is None
    assert fd0("remove", "alice", f"--users={path}") == (0, f"alice: removed from {path}\n", "")
    assert fd0("list", f"--users={path}") == (0, "bob\n", "")
    assert SECRET not in open(path, "rb").read()


@pytest.mark.parametrize("given, said", [
    (b"", "a password has 1 to 1024 octets"), (b"\n", "a password has 1 to"), (b"x" * 1025, "a password has 1 to"),
    (b"x" * 1025 + b"\n", "a password has 1 to"), (b"correct horse\nbattery\n", "more than one line"),
    (b"correct horse\r\n", "no control characters"),
    (b"correct horse\xff\n", "a password is UTF-8")])
def test_what_is_no_password_is_told_without_it(path, given, said):
    status, printed, complained = fd0("passwd", "alice", f"--users={path}", "--password-stdin", given=given)
    assert (status, printed) == (100, "") and re.fullmatch(f"fd0 user: .*{said}.*\n", complained)
    assert "horse" not in complained and Passwords(path).check("alice", SECRET)


def test_the_longest_password_fits(path):
    assert fd0("passwd", "alice", f"--users={path}", "--password-stdin", given=b"x" * 1024 + b"\n")[0] == 0
    assert Passwords(path).check("alice", b"x" * 1024)


def test_without_a_terminal_nobody_is_asked(path):
    for given in (b"", SECRET + b"\n"):
        assert fd0("passwd", "alice", f"--users={path}", given=given, start_new_session=True) == (
            100, "", "fd0 user: there is no terminal to ask at; give --password-stdin\n")


@pytest.mark.parametrize("arguments, said", [
    (["add", "--users=x"], "add takes one NAME, and no password; see fd0 user --help"),
    (["list", "alice", "--users=x"], "list takes no NAME, and no password; see fd0 user --help"),
    (["list", "--password-stdin", "--users=x"], "list needs no password; see fd0 user --help"),
    (["remove", "alice", "--digest=x", "--users=x"], "remove needs no password; see fd0 user --help"),
    (["import", "x", "--users=x"], "import is nothing for a file of passwords; it has add, list, passwd, remove; see"),
    (["add", "alice", "--apop=yes", "--users=x"], "add with --users takes no --apop; see fd0 user --help"),
    (["add", "alice", "--users=x", "--accounts=y"], "--users is a file, and --accounts a database; it is one or the"),
    (["add", "alice", "secret", "--users=x"], "add takes one NAME, and no password; see"),
    (["add", "alice", "--password=secret", "--users=x"], "no option --password (did you mean --password-stdin?)"),
    (["delete", "alice", "--users=x"], "argument ACTION: invalid choice: 'delete'"),
    (["add", "a:b", "--users=x"], "'a:b' cannot be a name"), (["add", b"\xff", "--users=x"], "cannot be a name"),
    (["list", "--users=/no/such"], "/no/such: No such file or directory"),
    (["passwd", "alice", "--users=/no/such"], "/no/such: No such file or directory"),
    (["add", "alice", "--users=/no/such/users", "--password-stdin"], "/no/such/users: No such file or directory"),
    (["add", "alice", "--users=/proc/nothing", "--password-stdin", "--digest=a:b"], "a realm for Digest has no colon")])
def test_misuse_is_one_line(arguments, said):
    status, printed, complained = fd0(*arguments, given=SECRET)
    assert (status, printed) == (100, "") and complained.startswith("fd0 user: ") and complained.count("\n") == 1
    assert said in complained


@pytest.mark.parametrize("arguments", [["passwd", "alcie", "--password-stdin"], ["remove", "alcie"]])
def test_the_nearest_name_is_told(path, arguments):
    assert fd0(*arguments, f"--users={path}", given=SECRET) == (
        100, "", f"fd0 user: {path}: no alcie there (did you mean alice?)\n")


def test_a_bad_line_is_named_and_nothing_of_it_told(path):
    with open(path, "a") as file:
        file.write("bob:battery staple\n")
    for arguments in (["list"], ["remove", "alice"], ["add", "carol", "--password-stdin"]):
        status, _, complained = fd0(*arguments, f"--users={path}", given=SECRET)
        assert status == 100 and complained.startswith(f"fd0 user: {path}:2: after the name comes $scrypt$")
        assert "battery" not in complained


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_who_may_not_write_is_told_so(capsys):
    path = f"{processes.new_folder('user')}/users"
    add(path, "alice", SECRET)
    add(path, "bob", SECRET)
    assert main(["user", "remove", "bob", f"--users={path}"]) == 0      # as root, who can load all that it needs
    os.chmod(path, 0o644)
    os.seteuid(65534)
    try:
        status = main(["user", "remove", "alice", f"--users={path}"])
    finally:
        os.seteuid(0)
    assert status == 100 and capsys.readouterr().err == f"fd0 user: {path}.new: Permission denied\n"
    assert Passwords(path).names() == ["alice"]
