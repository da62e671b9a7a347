"""What is on descriptor 0, or in LISTEN_FDS, and what a program makes of it: the table of launch kinds, row by row."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.live import clients, devlog, installed, launchers, machine, processes

FAMILIES = {"tcp4": (socket.AF_INET, "127.0.0.1"), "tcp6": (socket.AF_INET6, "::1"), "unix": (socket.AF_UNIX, "")}
NOBODY = subprocess.DEVNULL


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


@pytest.fixture
def place(tmp_path):
    """A function that binds a socket of a family and kind; all are closed in the end."""
    with contextlib.ExitStack() as stack:
        def bound(family, kind=socket.SOCK_STREAM):
            number, host = FAMILIES[family]
            if family == "tcp6":
                machine.need_ipv6()
            sock = stack.enter_context(socket.socket(number, kind))
            sock.bind((host, 0) if host else str(tmp_path / f"socket{len(list(tmp_path.iterdir()))}"))
            if kind == socket.SOCK_STREAM:
                sock.listen()
                sock.settimeout(10)
            return sock
        yield bound


@pytest.fixture
def start(log):
    """A function that starts echod as inetd does, with a socket on descriptors 0, 1 and 2."""
    with contextlib.ExitStack() as stack:
        def started(sock, *options, name="echod", **popen):
            command = installed.argv(name, f"--log={log.path}", *options)
            process = installed.as_inetd(command, sock, **popen)
            stack.callback(process.end)
            return process.first
        yield started


@pytest.fixture
def activate(log):
    """A function that starts echod as systemd does, with sockets from descriptor 3 on."""
    with contextlib.ExitStack() as stack:
        def started(sockets, *options, name="echod", **more):
            process = installed.as_systemd(installed.argv(name, f"--log={log.path}", *options), sockets, **more)
            stack.callback(process.end)
            return process.first
        yield started


def name_of(sock):
    """A socket's address, as clients take it."""
    name = sock.getsockname()
    return name if isinstance(name, str) else name[:2]


def stop(process):
    """End a server as an administrator does."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def texts(log, event):
    """All events of a name, so far."""
    return [record.text for record in log.records if record.text.split()[0] == event]


# Sockets on descriptor 0.

@pytest.mark.parametrize("family", FAMILIES)
def test_a_connected_stream_is_one_conversation_then_exit(place, start, log, family):
    listener = place(family)
    client = clients.connect(name_of(listener))
    server, _ = listener.accept()
    process = start(server)
    server.close()
    with client:
        assert clients.exchange(client, b"hello") == b"hello"
    assert process.wait(10) == 0
    log.wait_for("close .* reason=done .* in=5 out=5")
    assert [line.text.split()[0] for line in log.records] == ["open", "close"]


@pytest.mark.parametrize("model", ["one", "fork", "thread"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_listening_stream_is_served_and_stays_the_launchers(place, start, log, family, model):
    listener = place(family)
    process = start(listener, f"--model={model}")
    for data in (b"hello", b"again"):
        assert clients.converse(name_of(listener), data) == data
    stop(process)
    log.wait_for("close ", count=2)
    with clients.connect(name_of(listener)) as late:        # still bound, still listening, still there
        server, _ = listener.accept()
        server.sendall(b"still here")
        server.close()
        assert late.recv(100) == b"still here"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_datagram_socket_is_answered_and_stays_the_launchers(place, start, log, family):
    sock = place(family, socket.SOCK_DGRAM)
    process = start(sock)
    for data in (b"hello", b"again"):
        assert clients.ask(name_of(sock), data) == data
    stop(process)
    log.wait_for("packets in=2 answered=2 ")
    process = start(sock)
    assert clients.ask(name_of(sock), b"hello") == b"hello"
    stop(process)


def test_a_datagram_socket_that_the_launcher_connected_is_answered(place, start):
    sock = place("tcp4", socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.bind(("127.0.0.1", 0))
        client.connect(sock.getsockname())
        sock.connect(client.getsockname())
        process = start(sock)
        client.send(b"hello")
        assert client.recv(100) == b"hello"
    stop(process)


@pytest.mark.parametrize("family, wildcard, asked", [
    (socket.AF_INET, "0.0.0.0", "127.0.0.3"), (socket.AF_INET6, "::", "127.0.0.3"), (socket.AF_INET6, "::", "::1")])
def test_an_answer_leaves_from_the_address_that_was_asked(start, log, family, wildcard, asked):
    if family == socket.AF_INET6:
        machine.need_ipv6()
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((wildcard, 0))
        process = start(sock)
        port = sock.getsockname()[1]
        assert clients.ask((asked, port), b"hello") == b"hello"     # its socket is connected: no other is heard
        log.wait_for(rf"packet from=.* to=\[{asked}\]:{port} ")
        stop(process)


def calls_on_sockets(file):
    """The calls of a trace by strace -yy as (name, what it was done to)."""
    return re.findall(r"\b(accept4|bind|listen|shutdown|unlink|unlinkat)\((.*?)(?:, |\) +=)", file.read_text())


@pytest.mark.parametrize("way", ["inetd", "systemd"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_inherited_listener_is_never_bound_listened_shut_down_or_unlinked(
        place, start, activate, log, tmp_path, family, way):
    listener = place(family)
    traced = tmp_path / "trace"
    strace = [machine.program("strace", "strace"), "-f", "-yy", "-o", str(traced),
              "-e", "trace=accept4,bind,listen,shutdown,unlink,unlinkat"]
    launch = start(listener, prefix=strace) if way == "inetd" else activate([listener], prefix=strace)
    assert clients.converse(name_of(listener), b"hello") == b"hello"
    pid = log.wait_for("start .* listen=").pid
    os.kill(pid, signal.SIGTERM)
    assert launch.wait(10) == 0
    calls = calls_on_sockets(traced)
    assert "accept4" in dict(calls)
    harm = [call for call in calls if call[0] != "accept4" and (call[0] != "shutdown" or "->" not in call[1])]
    assert harm == []                                   # what may be shut down is a conversation, A->B


# LISTEN_FDS.

def test_one_descriptor_of_systemd(place, activate, log):
    listener = place("tcp4")
    process = activate([listener])
    assert clients.converse(name_of(listener), b"hello") == b"hello"
    stop(process)
    assert texts(log, "warning") == []


def test_a_connection_of_systemd(place, activate, log):
    listener = place("tcp4")
    client = clients.connect(name_of(listener))
    server, _ = listener.accept()
    process = activate([server])
    server.close()
    with client:
        assert clients.exchange(client, b"hello") == b"hello"
    assert process.wait(10) == 0
    assert [record.text.split()[0] for record in log.records] == ["open", "close"]


@pytest.mark.parametrize("names", [
    "four:six:packets:more", "same:same:same:same", "four", "", None, "a:b:c:d:e:f", "::::"])
def test_several_descriptors_of_both_families_and_kinds_whatever_their_names(place, activate, log, names):
    sockets = [place("tcp4"), place("tcp6"), place("tcp4", socket.SOCK_DGRAM), place("unix")]
    process = activate(sockets, environment={} if names is None else {"LISTEN_FDNAMES": names})
    for sock in sockets:
        talk = clients.ask if sock.type == socket.SOCK_DGRAM else clients.converse
        assert talk(name_of(sock), b"hello") == b"hello"
    stop(process)
    assert texts(log, "warning") == texts(log, "misuse") == []


@pytest.mark.parametrize("names, told", [
    ("web:admin", ["web", "admin"]), ("web:web", ["web", "web"]), ("web", ["web", "unknown"]),
    (None, ["unknown", "unknown"])])
def test_each_descriptor_has_its_name_and_one_without_is_unknown(place, activate, log, names, told):
    sockets = [place("tcp4"), place("tcp4")]
    process = activate(sockets, "--explain", environment={} if names is None else {"LISTEN_FDNAMES": names})
    log.wait_for("start ")
    stop(process)
    assert re.findall(r"what=given is=\".* named (\w+)\"", "\n".join(texts(log, "explain"))) == told


def test_descriptors_for_another_process_are_refused_aloud(place, activate, log):
    process = activate([place("tcp4")], environment={"LISTEN_PID": "1"})
    assert process.wait(10) == 111
    warning, = texts(log, "warning")
    assert "for process 1 and" in warning and f"we are {log.records[0].pid}:" in warning
    misuse, = texts(log, "misuse")
    assert "no socket on descriptor 0 but /dev/null" in misuse


def test_descriptors_without_a_process_are_refused_aloud(place, activate, log):
    process = activate([place("tcp4")], environment={"LISTEN_PID": ""})
    assert process.wait(10) == 111
    assert "for process (none named) and" in texts(log, "warning")[0]


def test_descriptors_for_another_process_leave_descriptor_0_in_force(place, activate, log):
    mine, other = place("tcp4"), place("tcp4")
    process = activate([other], environment={"LISTEN_PID": "1"}, stdin=mine)
    assert clients.converse(name_of(mine), b"hello") == b"hello"
    assert len(texts(log, "warning")) == 1
    stop(process)


def test_descriptors_behind_a_wrapper_are_believed_when_told_so(place, activate, log):
    listener = place("tcp4")
    process = activate([listener], "--listen-fds=always", environment={"LISTEN_PID": "1"})
    assert clients.converse(name_of(listener), b"hello") == b"hello"
    stop(process)
    assert texts(log, "warning") == []


def need_pidfd_inodes():
    """Skip the calling test where the kernel does not number processes by pidfds (before Linux 6.9)."""
    if not hasattr(os, "pidfd_open"):
        machine.unavailable("no pidfd_open")
    one, same, other = os.pidfd_open(os.getpid()), os.pidfd_open(os.getpid()), os.pidfd_open(os.getppid())
    inodes = [os.fstat(fd).st_ino for fd in (one, same, other)]
    for fd in (one, same, other):
        os.close(fd)
    if inodes[0] != inodes[1] or inodes[1] == inodes[2]:
        pytest.skip("this kernel does not give each process a pidfd inode of its own")


def test_the_right_pidfd_is_taken(place, activate, log):
    need_pidfd_inodes()
    listener = place("tcp4")
    process = activate([listener], environment={"LISTEN_PIDFDID": "{PIDFD}"})
    assert clients.converse(name_of(listener), b"hello") == b"hello"
    stop(process)
    assert texts(log, "warning") == []


def test_a_wrong_pidfd_is_refused_aloud(place, activate, log):
    need_pidfd_inodes()
    process = activate([place("tcp4")], environment={"LISTEN_PIDFDID": "7"})
    assert process.wait(10) == 111
    assert "LISTEN_PIDFDID is 7 and ours is " in texts(log, "warning")[0]


@pytest.mark.parametrize("count", ["many", "-1", "1_0", " 1", "\u0663", "99999999999999999999", "1.0", "%n\x1b"])
def test_a_listen_fds_that_is_no_number_is_said_and_ignored(place, activate, log, count):
    listener = place("tcp4")
    process = activate([place("tcp4")], environment={"LISTEN_FDS": count}, stdin=listener)
    assert clients.converse(name_of(listener), b"hello") == b"hello"
    assert "is not a number of descriptors; ignored" in texts(log, "warning")[0]
    stop(process)


def test_no_descriptors_are_nothing_to_warn_of(place, activate, log):
    listener = place("tcp4")
    process = activate([place("tcp4")], environment={"LISTEN_FDS": "0"}, stdin=listener)
    assert clients.converse(name_of(listener), b"hello") == b"hello"
    stop(process)
    assert texts(log, "warning") == []


def test_a_descriptor_that_is_not_open_is_named(place, activate, log):
    process = activate([place("tcp4")], environment={"LISTEN_FDS": "3"})
    assert process.wait(10) == 111
    assert 'text="LISTEN_FDS=3, but descriptor 4 is not open"' in texts(log, "misuse")[0]


def test_a_descriptor_that_is_no_socket_is_named(activate, log, tmp_path):
    with open(tmp_path / "file", "w") as file:
        process = activate([file])
        assert process.wait(10) in (100, 111)
    assert texts(log, "crash") == []
    assert "descriptor 3" in texts(log, "misuse")[0]


# No socket at all.

def test_dev_null_ends_with_one_clear_line_for_the_person_and_one_in_the_log(log):
    done = subprocess.run(installed.argv("echod", f"--log={log.path}"), stdin=NOBODY, capture_output=True, text=True,
                          check=False, timeout=20)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (111, "", 1)
    clear = "no socket on descriptor 0 but /dev/null; start this from inetd, xinetd or systemd, or say --listen="
    assert done.stderr.startswith(f"echod: {clear}")
    record = log.wait_for("misuse")
    assert len(log.lines) == 1 and record.priority == "err" and clear in record.text


def test_descriptor_0_closed_ends_with_one_clear_line(log):
    shell = ["sh", "-c", 'exec "$@" <&-', "sh", *installed.argv("echod", f"--log={log.path}")]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (111, "", 1)
    assert "no socket on descriptor 0" in log.wait_for("misuse").text and len(log.lines) == 1


def test_all_three_descriptors_closed_are_no_trouble_for_the_log(log):
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *installed.argv("echod", f"--log={log.path}")]
    assert subprocess.run(shell, check=False, timeout=20).returncode == 111
    log.wait_for("misuse text=.*no socket on descriptor 0")
    assert len(log.lines) == 1


def test_listen_works_with_all_three_descriptors_closed(log):
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh",
             *installed.argv("echod", f"--log={log.path}", "--listen=127.0.0.1:0")]
    process = processes.Processes(shell)
    port = re.search(r"\]:(\d+)", log.wait_for("start .* listen=").text)[1]
    assert clients.converse(("127.0.0.1", int(port)), b"hello") == b"hello"
    process.end()


# What cannot be served.

def test_datagrams_for_a_program_of_streams_are_a_mistake(place, start, log):
    process = start(place("tcp4", socket.SOCK_DGRAM), name="probed", stderr=NOBODY)
    assert process.wait(10) == 100
    assert 'text="probed serves stream sockets, and was given a dgram socket; see socket_type' in log.lines[0]


def test_one_wrong_socket_among_several_is_a_mistake(place, activate, log):
    process = activate([place("tcp4"), place("tcp4", socket.SOCK_DGRAM)], name="probed")
    assert process.wait(10) == 100
    assert "probed serves stream sockets" in texts(log, "misuse")[0]


@pytest.mark.parametrize("name", ["echod", "probed"])
def test_a_peer_that_is_gone_before_we_look_is_a_normal_end(place, start, log, name):
    listener = place("tcp4")
    client = clients.connect(name_of(listener))
    server, _ = listener.accept()
    clients.abort(client)
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    process = start(server, name=name)
    server.close()
    assert process.wait(10) == 0
    record, = log.records
    assert record.priority == "info" and re.match(r"close session=\w{8} reason=gone ", record.text)


def test_a_peer_that_resets_a_connection_of_a_listener_is_a_normal_end(place, start, log):
    listener = place("tcp4")
    clients.reset(name_of(listener), b"hello")
    process = start(listener)
    assert clients.converse(name_of(listener), b"hello") == b"hello"
    stop(process)
    assert {record.priority for record in log.records} == {"info"}


# What a child gets.

def answers(sock, *commands):
    """Give commands to probed; returns what it said."""
    return clients.exchange(sock, b"".join(command + b"\r\n" for command in (*commands, b"quit"))).decode()


@pytest.mark.parametrize("way", ["connection", "listener"])
def test_nothing_of_the_launchers_reaches_a_child(place, activate, log, way):
    listener = place("tcp4")
    with place("unix", socket.SOCK_DGRAM) as manager, clients.connect(name_of(listener)) as client:
        given = listener if way == "listener" else listener.accept()[0]
        variables = {"LISTEN_FDNAMES": "x", "LISTEN_PIDFDID": "", "NOTIFY_SOCKET": manager.getsockname(), "KEPT": "yes"}
        process = activate([given], environment=variables, name="probed")
        if way == "connection":
            given.close()
        said = answers(client, b"environment", b"files")
        assert "\nKEPT=yes\n" in said
        assert not re.search(r"^(LISTEN_|NOTIFY_)", said, re.MULTILINE), said
        # 0 and 1 are /dev/null, 1 is ls's pipe here, 2 is the log's, 3 is ls's own view of the folder
        seen = dict(re.findall(r" (\d+) -> (\S+)", said))
        assert sorted(seen) == ["0", "1", "2", "3"], said
        assert seen["0"] == "/dev/null" and "socket:" not in "".join(seen.values()), said
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_descriptors_from_inetd_are_not_handed_on(place, start):
    listener = place("tcp4")
    client = clients.connect(name_of(listener))
    server, _ = listener.accept()
    process = start(server, name="probed")
    server.close()
    with client:
        seen = dict(re.findall(r" (\d+) -> (\S+)", answers(client, b"files")))
    assert sorted(seen) == ["0", "1", "2", "3"] and "socket:" not in "".join(seen.values()), seen
    assert process.wait(10) == 0


def test_readiness_is_told_once_it_serves(place, activate, log):
    listener = place("tcp4")
    manager = place("unix", socket.SOCK_DGRAM)
    manager.settimeout(10)
    process = activate([listener], environment={"NOTIFY_SOCKET": manager.getsockname()})
    assert manager.recv(1000).split(b"\n")[0] == b"READY=1"
    stop(process)


def test_explain_answers_on_the_terminals_side_and_leaves_the_client_alone(place, start, log, tmp_path):
    listener = place("tcp4")
    client = clients.connect(name_of(listener))
    server, _ = listener.accept()
    with open(tmp_path / "errors", "w+") as errors, client:
        process = start(server, "--explain", stderr=errors)
        server.close()
        assert clients.exchange(client, b"hello") == b"hello"
        assert process.wait(10) == 0
        errors.seek(0)
        page = errors.read()
    for what in ("inet connection at [127.0.0.1]:", "launched by", "uid ", "limits", "facility daemon"):
        assert what in page
    assert len(texts(log, "explain")) == len(page.splitlines())


def test_a_module_of_the_checkout_serves_with_nothing_installed(place, log):
    listener = place("tcp4")
    client = clients.connect(name_of(listener))
    server, _ = listener.accept()
    process = processes.Processes([sys.executable, "-m", "daemons.echod", f"--log={log.path}"], cwd=launchers.ROOT,
                                  stdin=server, stdout=server, stderr=server)
    server.close()
    with client:
        assert clients.exchange(client, b"hello") == b"hello"
    assert process.first.wait(10) == 0
    process.end()
