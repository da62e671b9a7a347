"""Sockets that are handed to our inetd and that it hands on; --run, the state, and being process 1."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys

import pytest

from tests.live import clients, inetds, machine, processes
from tests.live.inetds import HOST, Inetd, asked, command, defaults, pythonic, said_and_heard, service
from tests.live.launchers import ROOT

address = other = third = inetds.address        # fixtures
folder, python = inetds.folder, inetds.python

# become the command with the sockets that are open as descriptors 3 and up, as a service manager would
HAND_OVER = """
import os, sys
for number, fd in enumerate(map(int, sys.argv[1].split(":")), 3):
    os.dup2(fd, number)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(number - 2), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""
SEEN = """
import os, socket, stat
taken = {name: value for name, value in os.environ.items() if name.startswith("LISTEN_")}
assert taken.pop("LISTEN_PID") == str(os.getpid())
sock = socket.socket(fileno=3)
listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
zero = "socket" if stat.S_ISSOCK(os.fstat(0).st_mode) else os.readlink("/proc/self/fd/0")
if listens:
    sock = sock.accept()[0]
sock.sendall(f"{sorted(taken.items())} listens={listens} 0={zero} peer={sock.getpeername()[0]}\\n".encode())
sock.shutdown(socket.SHUT_RDWR)
"""


@pytest.fixture
def hand():
    """A function that has Inetd begin with these sockets (name -> socket) handed to it."""
    kept = []

    def handed(sockets):
        kept.extend(sockets.values())
        where = [sock.fileno() for sock in sockets.values()]
        return {"prefix": [sys.executable, "-c", HAND_OVER, ":".join(map(str, where)), ":".join(sockets)],
                "pass_fds": where}

    yield handed
    for sock in kept:
        sock.close()


def bound(kind=socket.SOCK_STREAM):
    """A socket that awaits callers on loopback, at a descriptor that is in nobody's way."""
    import fcntl
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind((HOST, 0))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    high = socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 50))
    sock.close()
    return high


# ------------------------------------------------------------------ taken in

def test_a_service_takes_the_socket_of_its_name_and_never_closes_it(hand, address):
    mine, stray, dgram = bound(), bound(), bound(socket.SOCK_DGRAM)
    text = service("mine", address, "/bin/cat")
    with Inetd(text, **hand({"mine": mine, "stray": stray, "gram": dgram})) as inetd:
        here = mine.getsockname()
        inetd.log.wait_for(rf"listening service=mine at=\[127.0.0.1\]:{here[1]}")
        assert clients.converse(here, b"hello") == b"hello"
        assert not machine.listeners("stream", address)
        for name, sock in (("stray", stray), ("gram", dgram)):
            inetd.log.wait_for(f'warning text="we were given a socket called {name} at .127.0.0.1.:'
                               f'{sock.getsockname()[1]}, and no service has that id and kind"')
        inetd.reload(service("else", address, "/bin/cat"))
        with clients.connect(here) as waiting:          # the socket is there, and nobody serves it
            inetd.reload(text.replace("/bin/cat", "/bin/echo"))
            assert clients.exchange(waiting) == b"\n"
        inetd.log.wait_for("listening service=mine", count=2)
        assert inetd.end() == 0


def test_a_socket_of_another_kind_is_not_taken(hand, address):
    with Inetd(service("mine", address, "/bin/cat"), **hand({"mine": bound(socket.SOCK_DGRAM)})) as inetd:
        inetd.log.wait_for("warning text=.we were given a socket called mine")
        assert clients.converse(address, b"x") == b"x"


# ------------------------------------------------------------------ handed on

@pytest.mark.parametrize("passes, zero", [("listen_fds", "/dev/null"), ("stdin listen_fds", "socket")])
@pytest.mark.parametrize("wait, name", [("yes", "seen"), ("no", "connection")])
def test_a_server_may_get_its_socket_as_systemd_gives_it(address, python, passes, zero, wait, name):
    text = pythonic("seen", address, python(SEEN), wait=wait, **{"pass": passes})
    with Inetd(text):
        fds = f"[('LISTEN_FDNAMES', '{name}'), ('LISTEN_FDS', '1')]"
        assert asked(address) == f"{fds} listens={int(wait == 'yes')} 0={zero} peer=127.0.0.1\n"


def test_what_goes_wrong_after_that_is_not_told_to_the_caller(address, folder):
    script = folder / "server"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with Inetd(service("broken", address, script, **{"pass": "listen_fds"})) as inetd:
        assert asked(address) == ""
        inetd.log.wait_for("FAIL service=broken why=.*server: No such file")


# ------------------------------------------------------------------ the state

def test_the_state_is_told_in_the_log(address, other):
    text = service("cat", address, "/bin/cat", instances="5", cps="9 8") + service(
        "trap", other, "/x", flags="SENSOR", deny_time="5")
    with Inetd(text) as inetd, clients.connect(address) as sock:
        assert said_and_heard(sock)
        clients.converse(other, source="127.0.0.2")
        inetd.tell(signal.SIGUSR1)
        inetd.log.wait_for("state text=.shut out: 127.0.0.2 for")
        said = "\n".join(inetd.lines("state"))
        assert f"service cat at [127.0.0.1]:{address[1]}: ready, 1 calls, 0 refused" in said
        assert re.search(rf"server {inetd.children()[0]} for \[127.0.0.1\]:{sock.getsockname()[1]}, ", said)
        assert all(part in said for part in ("/bin/cat; wait = no; instances", "trap at", "1 refused"))


def test_the_state_is_told_in_a_file_that_nobody_can_redirect(address, folder):
    path, precious = folder / "dump", folder / "precious"
    with Inetd(service("cat", address, "/bin/cat"), f"--dump={path}") as inetd:
        inetd.tell(signal.SIGUSR1)
        machine.until(lambda: path.exists() and "service cat" in path.read_text(), what="dump")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        precious.write_text("precious")
        path.unlink()
        path.symlink_to(precious)
        inetd.tell(signal.SIGUSR1)
        inetd.log.wait_for("warning text=.cannot write the state to .*dump: Too many levels of symbolic links")
        assert precious.read_text() == "precious" and clients.converse(address, b"x") == b"x"


# ------------------------------------------------------------------ one service by hand

def by_hand(name, text, said=b""):
    """What --run=NAME says to stdout and stderr, and its exit status."""
    folder = processes.new_folder("run")
    argv = command(folder, text, f"--run={name}", "--log=stderr", "--hosts-deny=/nonexistent")
    done = subprocess.run(argv, input=said, check=False, capture_output=True, timeout=30, cwd=folder,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    return done.stdout.decode(), done.stderr.decode(), done.returncode


def test_a_service_is_run_on_our_own_input_and_output(address, python):
    text = service("cat", address, "/bin/cat") + service("env", address, "/usr/bin/env", env="A=b", port="1")
    assert by_hand("cat", text, b"hello\n")[::2] == ("hello\n", 0)
    said, _, status = by_hand("env", text)
    assert status == 0 and "REMOTE_HOST=127.0.0.1\n" in said and "A=b\n" in said
    assert not machine.listeners("stream", address)


@pytest.mark.parametrize("arguments, status", [(["-c", "exit${IFS}7"], 7), (["-c", "kill${IFS}-9${IFS}$$"], 137)])
def test_its_exit_status_is_ours(address, arguments, status):
    assert by_hand("sh", service("sh", address, "/bin/sh", *arguments))[2] == status


def test_a_service_that_waits_is_called_and_then_told_to_end(address, python):
    said, _, status = by_hand("echo", pythonic("echo", address, python(inetds.LISTENER), wait="yes"), b"hello\n")
    assert (said, status) == ("hello\n", 143)


def test_internal_and_redirected_services_run_by_hand_too(address, other):
    echo = service("echo", address, None, type="INTERNAL UNLISTED")
    assert by_hand("echo", echo, b"hello\n")[::2] == ("hello\n", 0)
    with socket.create_server((HOST, 0)) as server:
        text = service("away", address, None, redirect=f"{HOST} {server.getsockname()[1]}")
        here, there = socket.socketpair()
        with here, there:
            folder = processes.new_folder("run")
            argv = command(folder, text, "--run=away", "--log=stderr", "--hosts-deny=/nonexistent")
            child = processes.Processes(argv, {"PYTHONPATH": str(ROOT)}, cwd=folder, stdin=there, stdout=there,
                                        stderr=subprocess.DEVNULL)
            there.close()
            server.settimeout(20)
            with server.accept()[0] as called:
                here.sendall(b"question")
                assert called.recv(100) == b"question"
            assert here.recv(100) == b""
            here.shutdown(socket.SHUT_WR)
            assert child.first.wait(20) == 0
            child.end()


@pytest.mark.parametrize("name, extra, why", [
    ("cta", "", "no service with this id can run here; there are cat"),
    ("cat", "only_from = 10.0.0.0", "cat turns [127.0.0.1]"),
    ("cat", "user = no-such-user", "no service with this id can run here; there are none"),
])
def test_what_cannot_be_run_is_said(address, name, extra, why):
    attributes = {"user": None} if "user" in extra else {}
    text = service("cat", address, "/bin/cat", **attributes).replace("}", f"{extra}\n}}")
    said, errors, status = by_hand(name, text)
    assert (said, status) == ("", 100) and why in errors


# ------------------------------------------------------------------ the first process

def test_as_process_1_it_ends_orphans_with_the_rest_and_needs_no_folder_of_its_own(address):
    inetds.need_root()
    script = "(trap${IFS}''${IFS}HUP;exec${IFS}setsid${IFS}sleep${IFS}1000)&echo;exit"
    empty = 'mount -t tmpfs none /run && exec "$@"'      # no /run/fd0, nor anything else
    prefix = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sh", "-c", empty, "sh"]
    text = service("leaves", address, "/bin/sh", "-c", script, stderr="log")
    with Inetd(text, "--grace=0.1", prefix=prefix) as outer:
        [inetd] = outer.children()
        with clients.connect(address) as sock:
            assert sock.recv(1) == b"\n"
        machine.until(lambda: len(outer.children(inetd)) == 1, what="orphan")
        [orphan] = outer.children(inetd)
        os.kill(inetd, signal.SIGTERM)
        assert outer.processes.first.wait(20) == 0
        assert not processes.running(orphan)


def test_told_to_quit_it_leaves_conversations_to_themselves(address):
    text = defaults(log_on_success="PID") + service("cat", address, "/bin/cat")
    with Inetd(text) as inetd, clients.connect(address) as sock:
        assert said_and_heard(sock)
        assert inetd.end(signal.SIGQUIT) == 0
        assert said_and_heard(sock) and not machine.listeners("stream", address)
