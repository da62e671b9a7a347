"""What the service manager hears, and sockets handed to another program."""

import fcntl
import json
import os
import socket
import sys

import pytest

from daemons.kernel import inherited
from daemons.kernel.notify import hand_over, notify
from tests.kernel.forked import everything

REPORT = """
import json, os, socket
def port(fd):
    return socket.socket(fileno=fd).getsockname()[1]
count = int(os.environ["LISTEN_FDS"])
print(json.dumps({
    "ours": os.environ["LISTEN_PID"] == str(os.getpid()), "names": os.environ["LISTEN_FDNAMES"],
    "ports": [port(3 + place) for place in range(count)], "environ": sorted(os.environ),
    "more": [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd >= 3 + count
             and os.path.exists(f"/proc/self/fd/{fd}")],
}))
"""


@pytest.fixture(autouse=True)
def _own_state(monkeypatch):
    monkeypatch.setattr(inherited, "manager", "")
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)


@pytest.mark.parametrize("name", ["{folder}/notify", "{folder}/us@er", "@fd0-test-{pid}"])
def test_the_manager_hears_one_datagram(tmp_path, monkeypatch, name):
    path = name.format(folder=tmp_path, pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path if path[0] == "/" else "\0" + path[1:])
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        assert notify("READY=1", "STATUS=serving at [*]:7")
        assert manager.recv(100) == b"READY=1\nSTATUS=serving at [*]:7"
        monkeypatch.delenv("NOTIFY_SOCKET")
        monkeypatch.setattr(inherited, "manager", path)         # as remembered when the environment was cleaned
        assert notify("STOPPING=1") and manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("path", ["", "relative", "vsock:2:1234", "/nonexistent/notify", "@fd0-test-nobody"])
def test_nobody_to_tell_is_no_error(monkeypatch, path):
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert notify("READY=1") is False


def test_a_manager_that_does_not_read_is_not_waited_for(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
        assert False in [notify("WATCHDOG=1") for _ in range(2000)]


def handed(order, environ):
    """What a program finds that these sockets were handed to; `order` lists their descriptors there."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in order]
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(writer, 1)
            lifted = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, 500) for one in listeners]
            os.closerange(3, 500)
            placed = [os.dup2(fd, number, inheritable=False) for fd, number in zip(lifted, order)]
            os.closerange(500, 4096)
            names = [f"name{place}" for place in range(len(order))]
            hand_over([socket.socket(fileno=fd) for fd in placed], names, environ, sys.executable,
                      [sys.executable, "-IS", "-c", REPORT])
        finally:
            os._exit(1)
    os.close(writer)
    said = json.loads(everything(reader))
    os.waitpid(pid, 0)
    assert said.pop("ports") == [one.getsockname()[1] for one in listeners]
    return said


@pytest.mark.parametrize("order", [[3], [9], [3, 4], [4, 3], [5, 3, 4], [3, 50], [50, 3], [4, 50, 3]])
def test_another_program_gets_the_sockets_in_order_and_nothing_else(order):
    said = handed(order, {"LISTEN_PIDFDID": "1", "LISTEN_FDS": "7", "LC_ALL": "C"})
    assert said == {"ours": True, "names": ":".join(f"name{place}" for place in range(len(order))), "more": [],
                    "environ": ["LC_ALL", "LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID"]}


def test_a_program_that_is_not_there_raises():
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        try:
            hand_over([listener], ["x"], {}, "/nonexistent", ["x"])
        except OSError:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
