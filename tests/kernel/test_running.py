"""Other programs, run for what they print: in time, within bounds, and with nothing left behind."""

import os
import time

import pytest

from daemons.kernel.running import Failed, output


def shell(text, seconds=10.0, most=1000, **more):
    return output(["/bin/sh", "-c", text], seconds, most, **more)


def is_gone(group):
    """Is no process of this group left?  What was killed is gone once init has reaped it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
    return False


def test_what_is_printed():
    assert shell("echo one; echo two") == b"one\ntwo\n"


def test_its_surroundings():
    printed = shell("pwd; cat; env; ls /proc/self/fd | wc -l", environment={"FINGER_NAME": "x"}).decode().split("\n")
    assert printed[0] == "/"
    names = {line.partition("=")[0] for line in printed[1:] if "=" in line}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LANG", "FINGER_NAME"}
    assert int(printed[-2]) == 4            # 0, 1, 2, and the folder that ls reads


def test_descriptors_of_ours_stay_ours():
    reader, writer = os.pipe()
    try:
        assert shell(f"ls -l /proc/self/fd/{writer} 2>&1 || echo none").endswith(b"none\n")
    finally:
        os.close(reader)
        os.close(writer)


def test_complaints_are_shut_where_that_is_asked(capfd):
    shell("echo loud >&2; exit 0")
    shell("echo quiet >&2; exit 0", quiet=True)
    assert capfd.readouterr().err == "loud\n"


@pytest.mark.parametrize("text, why", [("exit 3", "exit status 3"), ("kill -SEGV $$", "ended by SIGSEGV")])
def test_how_it_ended(text, why):
    with pytest.raises(Failed, match=why) as failed:
        shell(f"echo before; {text}")
    assert failed.value.output == b"before\n"


@pytest.mark.parametrize("arguments", [["/nowhere/program"], ["/etc/passwd"], ["/"]])
def test_what_cannot_be_run(arguments):
    with pytest.raises(Failed, match=arguments[0]):
        output(arguments, 1, 10)


def test_the_time_limit_ends_it_and_all_it_started():
    began = time.monotonic()
    with pytest.raises(Failed, match="took too long") as failed:
        shell("echo $$; sleep 60 & wait", seconds=0.2)
    assert time.monotonic() - began < 5
    assert is_gone(int(failed.value.output))


def test_nothing_it_started_stays_behind():
    assert is_gone(int(shell("echo $$; sleep 60 >/dev/null 2>&1 & exit 0")))


def test_the_octets_it_may_print():
    assert shell("printf %1000s x") == b" " * 999 + b"x"
    with pytest.raises(Failed, match="more than 1000 octets") as failed:
        shell("yes")
    assert failed.value.output == b"y\n" * 500


def test_no_zombies():
    pid = int(shell("echo $$"))
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_what_it_is_given_to_read():
    assert shell("cat", given=b"one\ntwo") == b"one\ntwo" and shell("cat; echo end", given=b"") == b"end\n"
    assert output(["/bin/cat"], 10, 1 << 23, given=b"x" * 5_000_000) == b"x" * 5_000_000


def test_what_it_does_not_want_to_read():
    assert shell("exec <&-; echo deaf", given=b"x" * 5_000_000) == b"deaf\n"
    with pytest.raises(Failed, match="took too long"):
        shell("exec sleep 60", seconds=0.2, given=b"x" * 5_000_000)
    with pytest.raises(Failed, match="exit status 3"):
        shell("head -c 5 >/dev/null; exit 3", given=b"x" * 5_000_000)


def test_descriptors_are_closed():
    before = os.listdir("/proc/self/fd")
    shell("cat", given=b"x")
    with pytest.raises(Failed):
        shell("exit 1", given=b"x" * 5_000_000)
    assert os.listdir("/proc/self/fd") == before
