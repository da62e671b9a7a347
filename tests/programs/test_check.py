"""--check, and a start that cannot be: which option named the file that is not there."""

import os
import subprocess
import sys

import pytest

from daemons.tools.stubs import CHECKOUT


def run(name, *arguments, **environment):
    """(exit status, what is printed) of a program."""
    argv = [sys.executable, "-m", f"daemons.{name}", "--config=/dev/null", "--log=/nosuch/log", *arguments]
    done = subprocess.run(argv, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name, option", [
    ("httpd", "root"), ("httpd", "users"), ("mailq", "routes"), ("smtpd", "dkim-keys"), ("xmlrpcd", "executables")])
def test_a_file_that_is_not_there_is_told_with_its_option(name, option):
    said = f"{option}: /nosuch/x: No such file or directory\n"
    assert run(name, f"--{option}=/nosuch/x", "--check") == (100, f"{name}: command line: {said}")
    variable = f"FD0_{name.upper()}_{option.upper().replace('-', '_')}"
    assert run(name, "--check", **{variable: "/nosuch/x"}) == (100, f"{name}: environment, {variable}: {said}")


def test_the_folder_above_is_told_with_its_option(tmp_path):
    where = f"{tmp_path}/nosuch"
    assert run("smtpd", f"--greylist={where}/greylist.db", "--check") == (
        100, f"smtpd: command line: greylist: {where}: No such file or directory\n")


@pytest.mark.parametrize("name, others", [("smtpd", []), ("pop3d", ["mail"]), ("mailq", ["queue"])])
def test_what_may_come_later_is_told_and_no_error(tmp_path, name, others):
    absent = [f"{tmp_path}/{one}" for one in ("accounts", *others)]
    options = [f"--{path.rpartition('/')[2]}={path}" for path in absent]
    if name == "mailq":                 # accounts that were asked for must be there
        absent, options = ["/var/lib/fd0/accounts.db", absent[1]], options[1:]
        if os.path.exists(absent[0]):
            pytest.skip("this machine has accounts of its own")
    assert run(name, *options, "--check") == (
        0, f"{name}: options and files are in order; not there yet: {', '.join(absent)}\n")
