"""Children: octets both ways at once, within bounds, and nothing left behind however it ends."""

import contextlib
import glob
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from daemons.kernel.asking import Bounds, Overdue, Overfull
from daemons.kernel.children import Child, NotStarted
from daemons.kernel.ends import Gone, Overtime, Reset, Stopped
from daemons.kernel.models import STACK
from daemons.kernel.transport import SocketTransport
from tests.live.machine import program, until

from .forked import forked
from .test_running import is_gone

MANY = 10_000_000
READY = "import os, sys; "


def nothing():
    return b""


def run(arguments, question=b"", heard=None, bounds=None, environment=None, folder="/", **more):
    """Run a program to its end; returns what it printed and the Child."""
    printed, pieces = [], iter([question] if isinstance(question, bytes) else question)
    with Child(arguments, environment or {}, folder, more.pop("rlimits", None)) as child:
        child.converse(lambda: next(pieces, b""), heard or printed.append, bounds or Bounds(20, 2 * MANY), **more)
    return b"".join(printed), child


def shell(text, *rest, **more):
    return run(["/bin/sh", "-c", text], *rest, **more)


def python(text, *rest, **more):
    return run([program("python3", "python3"), "-c", READY + text], *rest, **more)


def of_10_mb(piece=bytes(range(256)) * 40):
    """10 MB in pieces that match no buffer."""
    return [piece] * (MANY // len(piece))


@pytest.fixture(autouse=True)
def tidy():
    """No descriptor and no child is left, whatever the test did."""
    before = sorted(os.listdir("/proc/self/fd")), children()
    yield
    assert (sorted(os.listdir("/proc/self/fd")), children()) == before


def children():
    """The ids of all children of this process, zombies among them."""
    found = set()
    for one in glob.glob("/proc/self/task/*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):        # a thread that ended just now
            found.update(Path(one).read_text().split())
    return found


# -- surroundings --


def test_its_surroundings(tmp_path):
    printed, _ = shell("pwd; env; ls /proc/self/fd | wc -l", folder=str(tmp_path),
                       environment={"QUERY_STRING": "-s", "PATH": "/bin:/usr/bin"})
    lines = printed.decode().split("\n")
    assert lines[0] == str(tmp_path) and int(lines[-2]) == 4        # 0, 1, 2, and the folder that ls reads
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    assert found.keys() - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LANG", "QUERY_STRING"}
    assert (found["QUERY_STRING"], found["PATH"]) == ("-s", "/bin:/usr/bin")


def test_octets_in_the_environment_stay_what_they_are():
    assert shell('printf %s "$A"', environment={"A": "Zo\xeb \udcff"})[0] == b"Zo\xc3\xab \xff"


def test_descriptors_of_ours_stay_ours():
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        assert shell(f"ls -l /proc/self/fd/{writer} 2>&1 || echo none")[0].endswith(b"none\n")
    finally:
        os.close(reader)
        os.close(writer)


def test_it_leads_a_session_of_its_own():
    pid, session = shell("read -r _ _ _ _ group session _ < /proc/self/stat; echo $$ $session")[0].split()
    assert pid == session != str(os.getsid(0)).encode()


def test_complaints_go_where_ours_do(capfd):
    assert shell("echo loud >&2; echo said")[0] == b"said\n"
    assert capfd.readouterr().err == "loud\n"


@pytest.mark.parametrize("arguments, folder", [(["/nowhere/program"], "/"), (["/etc/passwd"], "/"), (["/"], "/"),
                                               (["/bin/true"], "/nowhere")])
def test_what_cannot_be_started(arguments, folder):
    with pytest.raises(NotStarted, match=arguments[0]):
        Child(arguments, {}, folder)


def test_a_file_that_is_no_program_is_not_given_to_a_shell(tmp_path):
    script = tmp_path / "script"
    script.write_text("echo run\n")
    script.chmod(0o755)
    with pytest.raises(NotStarted, match="Exec format error"):
        Child([str(script)], {})


def test_limits_are_set_on_it_and_on_nobody_else():
    text = "import resource; sys.stdin.read(); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert python(text, rlimits={"RLIMIT_NOFILE": 40})[0] == b"(40, 40)\n"
    with pytest.raises(NotStarted):
        shell("exit 0", rlimits={"RLIMIT_NOFILE": 2**63})


# -- both ways --


@pytest.mark.parametrize("arguments", [
    ["/bin/cat"], ["/usr/bin/perl", "-e", "$/ = \\4096; while (<STDIN>) { print }"],
    ["/bin/sh", "-c", "cat | cat"]], ids=["cat", "perl", "sh"])
def test_10_mb_both_ways_at_once(arguments):
    program("perl", "perl")
    printed, child = run(arguments, of_10_mb())
    assert printed == b"".join(of_10_mb()) and (child.status, child.failure) == (0, "")


def test_10_mb_in_and_then_10_mb_out():
    text = "data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1])"
    assert python(text, of_10_mb())[0] == b"".join(of_10_mb())[::-1]


def test_10_mb_out_before_anything_is_read():
    text = f"sys.stdout.buffer.write(bytes({MANY})); print(len(sys.stdin.buffer.read()))"
    assert python(text, of_10_mb())[0][MANY:] == b"%d\n" % len(b"".join(of_10_mb()))


@pytest.mark.parametrize("text", ["echo done", "exec <&-; echo done", "head -c 1 >/dev/null; echo done"])
def test_a_child_need_not_read_what_it_is_given(text):
    printed, child = shell(text, of_10_mb())
    assert (printed, child.status) == (b"done\n", 0)


def test_the_question_is_asked_for_only_when_there_is_room():
    asked = []

    def question():
        asked.append(1)
        return bytes(4096)

    with pytest.raises(Overdue):
        shell("exec sleep 60", bounds=Bounds(0.3, 100), question=iter(question, None))
    assert 0 < len(asked) <= 64 * 1024 // 4096 + 4


def test_its_input_ends():
    assert shell("cat; echo end", b"given ")[0] == b"given end\n"
    assert shell("cat; echo end")[0] == b"end\n"


def test_what_is_heard_may_be_enough():
    said = []

    def heard(data):
        said.append(data)
        return b"enough" in data

    _, child = shell("echo enough; exec sleep 60", heard=heard)
    assert b"".join(said) == b"enough\n" and child.was_running and child.failure == ""


def test_what_was_kept_back_may_leave_when_it_pauses():
    story = []
    reader, writer = os.pipe()

    def settle():
        os.write(writer, b"\n")         # only now does it go on
        story.append("settled")

    try:
        shell(f"echo one; read -r line < /proc/{os.getpid()}/fd/{reader}; echo two", heard=story.append, settle=settle)
    finally:
        os.close(reader)
        os.close(writer)
    assert story[:3] == [b"one\n", "settled", b"two\n"]


# -- how it ends --


@pytest.mark.parametrize("text, status, failure", [
    ("exit 0", 0, ""), ("exit 3", 3, "exit status 3"), ("kill -SEGV $$", -signal.SIGSEGV, "ended by SIGSEGV"),
    ("kill -KILL $$", -signal.SIGKILL, "ended by SIGKILL")])
def test_how_it_ended(text, status, failure):
    printed, child = shell(f"echo before; {text}")
    assert (printed, child.status, child.failure) == (b"before\n", status, failure)


def test_output_that_is_closed_early_ends_it():
    began = time.monotonic()
    printed, child = shell("echo $$; exec >&-; exec sleep 60")
    assert child.was_running and child.failure == "" and time.monotonic() - began < 20
    assert is_gone(int(printed))


def test_after_its_output_it_has_a_moment_to_end_by_itself():
    assert python("os.close(1); sum(range(10**5)); os._exit(3)")[1].status == 3


def test_who_holds_the_pipe_after_its_end_is_listened_to_while_he_speaks():
    printed, child = shell("echo $$; { sleep 0.1; echo late; sleep 60; } & exit 0")
    pid, *rest = printed.split()
    assert rest == [b"late"] and (child.status, child.was_running) == (0, False)
    assert is_gone(int(pid))


@pytest.mark.parametrize("text, why", [
    ("echo $$; exec sleep 60", "was silent for 0.2 seconds"),
    ("trap '' TERM HUP INT; echo $$; sleep 60 & wait", "was silent for 0.2 seconds"),
    ("echo $$; exec yes", "was not done within 0.7 seconds")])
def test_the_time_limits_end_it_and_all_it_started(text, why):
    printed = []
    with pytest.raises(Overdue, match=why):
        shell(text, heard=lambda data: printed.append(data) if len(printed) < 10 else None,
              bounds=Bounds(0.7, 1 << 40, patience=0.2))
    assert is_gone(int(b"".join(printed).split(b"\n")[0]))


def test_our_own_time_is_not_its_own():
    told, slow = [], threading.Event()

    def heard(data):
        told.append(data)
        slow.wait(0.6)

    shell("echo one; echo two", bounds=Bounds(0.4, 100), heard=heard)
    assert b"".join(told) == b"one\ntwo\n"


def test_the_octets_it_may_print():
    assert shell("printf %1000s x", bounds=Bounds(20, 1000))[0] == b" " * 999 + b"x"
    printed = []
    with pytest.raises(Overfull, match="more than 1000 octets"):
        shell("exec yes", heard=printed.append, bounds=Bounds(20, 1000))
    assert b"".join(printed) == b"y\n" * 500


@pytest.mark.parametrize("error", [Gone("the peer closed"), ValueError("bad head"), KeyboardInterrupt()])
def test_what_the_callbacks_raise_ends_it_and_all_it_started(error):
    printed = []

    def heard(data):
        printed.append(data)
        if data.endswith(b"\n"):
            raise error

    with pytest.raises(type(error)):
        shell("sleep 60 & echo $$; wait", heard=heard)
    assert is_gone(int(b"".join(printed)))

    def question():
        raise error

    with pytest.raises(type(error)), Child(["/bin/cat"], {}) as child:
        child.converse(question, printed.append, Bounds(20, 100))
    assert is_gone(child.pid)


def test_it_ends_once(tmp_path):
    child = Child(["/bin/sleep", "60"], {})
    child.end()
    child.end()
    assert (child.status, child.was_running, child.failure) == (-signal.SIGKILL, True, "") and is_gone(child.pid)


# -- the client for whom it runs --


@pytest.fixture
def client():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield SocketTransport(ours), theirs


def pid_of_one_that_ends(client, meanwhile, kind, bounds=None):
    """The pid of a child that was ended because its client's conversation was."""
    printed = []

    def heard(data):
        printed.append(data)
        meanwhile()

    with pytest.raises(kind):
        shell("echo $$; exec sleep 60", heard=heard, client=client, bounds=bounds)
    return int(b"".join(printed))


def test_a_client_who_is_gone_ends_it(client):
    ours, theirs = client
    assert is_gone(pid_of_one_that_ends(ours, theirs.close, Reset))


def test_a_client_who_only_closed_his_half_is_answered(client):
    ours, theirs = client
    theirs.shutdown(socket.SHUT_WR)
    assert shell("sleep 0.1; echo answer", client=ours)[0] == b"answer\n"


def test_a_client_who_goes_on_speaking_is_not_listened_to_yet(client):
    ours, theirs = client
    theirs.send(b"GET / HTTP/1.1\r\n")
    assert shell("echo answer", client=ours)[0] == b"answer\n"
    assert ours.take(100) == b"GET / HTTP/1.1\r\n"


def test_the_end_of_the_conversation_ends_it(client):
    ours, _ = client

    def session_is_over():
        ours.end = time.monotonic() + 0.1

    assert is_gone(pid_of_one_that_ends(ours, session_is_over, Overtime))
    ours.end = None
    assert is_gone(pid_of_one_that_ends(ours, lambda: ours.hurry(0.1), Stopped))


def test_the_order_to_stop_from_another_thread_ends_it(client):
    ours, _ = client

    def cut():
        ours.stop()
        ours.sock.shutdown(socket.SHUT_RDWR)

    assert is_gone(pid_of_one_that_ends(ours, lambda: threading.Timer(0.1, cut).start(), Stopped))


# -- the models --


def test_in_threads_side_by_side():
    found = []
    threads = [threading.Thread(target=lambda: found.append(run(["/bin/cat"], of_10_mb()[:100]))) for _ in range(8)]
    before = threading.stack_size(STACK)
    try:
        for one in threads:
            one.start()
    finally:
        threading.stack_size(before)
    for one in threads:
        one.join()
    assert [(printed, child.status) for printed, child in found] == [(b"".join(of_10_mb()[:100]), 0)] * 8


def test_where_a_handler_reaps_nobody_and_every_signal_is_ours():
    def action():
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: None)
        for number in (signal.SIGPIPE, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        printed, child = shell("cat /proc/self/status; exit 3")
        return printed.decode(), child.status

    printed, status = forked(action)
    of_signals = dict(line.split() for line in printed.splitlines() if line.startswith("Sig") and "/" not in line)
    assert (status, of_signals["SigBlk:"], of_signals["SigCgt:"]) == (3, "0" * 16, "0" * 16)
    assert int(of_signals["SigIgn:"], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_one_that_somebody_else_reaped_is_over_all_the_same():
    def action():
        with Child(["/bin/true"], {}) as child:
            child.converse(nothing, lambda data: None, Bounds(20, 100))
            os.waitpid(-1, 0)
        return child.status

    assert forked(action) == 0


def test_a_server_that_is_killed_leaves_pipes_that_end(tmp_path):
    """What a killed process of ours had started reads the end of its input, and ends if it is a reader."""
    pid_file = tmp_path / "pid"

    def action():
        with Child(["/bin/sh", "-c", f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec cat"], {}) as child:
            until(pid_file.exists)
            os.kill(os.getpid(), signal.SIGKILL)
        return child.status

    pid = os.fork()
    if pid == 0:
        action()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert is_gone(int(pid_file.read_text()))


def test_subprocess_knows_of_none_that_is_left():
    shell("exit 0")
    assert subprocess._active == []
