"""The harness itself: each launcher in each of its modes, the syslog captures, the clients, against tiny servers."""

import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from tests.live import clients, devlog, launchers, machine, processes
from tests.live.launchers import NOWAIT, WAIT, ByHand, OpenBSDInetd, Service, Socat, SocketActivate, Tcpserver, Xinetd

# Where the socket is: fd 3 from systemd, one of its own with --listen, else fd 0.
PRELUDE = """
import os, socket, sys

def given(kind=None):
    if "--listen" not in sys.argv:
        return socket.socket(fileno=3 if "LISTEN_FDS" in os.environ else 0)
    where = sys.argv[sys.argv.index("--listen") + 1].removeprefix("unix:")
    host, _, port = where.rpartition(":")
    address = (host.strip("[]"), int(port)) if port.isdigit() else where
    family = socket.AF_UNIX if address is where else socket.AF_INET6 if "[" in where else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.bind(address)
    return sock

def echo(conn):
    while data := conn.recv(65536):
        conn.sendall(data)
"""
CONNECTION = PRELUDE + """
echo(given())
"""
LISTENER = PRELUDE + """
listener = given(socket.SOCK_STREAM)
if "--listen" in sys.argv:
    listener.listen()
while True:
    conn, peer = listener.accept()
    echo(conn)
    conn.close()
"""
DATAGRAMS = PRELUDE + """
sock = given(socket.SOCK_DGRAM)
while True:
    data, peer = sock.recvfrom(65536)
    sock.sendto(data, peer)
"""
LOGGER = """
import syslog
syslog.openlog("stand-in", syslog.LOG_PID, syslog.LOG_MAIL)
syslog.syslog(syslog.LOG_WARNING, "hello %s")
"""

XINETD = [(Xinetd, {}, kind, wait, host) for kind, wait in [("stream", NOWAIT), ("stream", WAIT), ("dgram", WAIT)]
          for host in ("127.0.0.1", "::1")]
OPENBSD = [(OpenBSDInetd, {}, *mode) for mode in [
    ("stream", NOWAIT, "127.0.0.1"), ("stream", NOWAIT, "::1"), ("stream", WAIT, "127.0.0.1"), ("stream", WAIT, "::1"),
    ("dgram", WAIT, "127.0.0.1"), ("dgram", WAIT, "::1"), ("unix", NOWAIT, ""), ("unix", WAIT, "")]]
SYSTEMD = [(SocketActivate, {"inetd": inetd}, *mode) for inetd in (False, True) for mode in [
    ("stream", NOWAIT, "127.0.0.1"), ("stream", WAIT, "127.0.0.1"), ("dgram", WAIT, "127.0.0.1"),
    ("stream", NOWAIT, "::1"), ("stream", WAIT, "::1"), ("dgram", WAIT, "::1"),
    ("unix", NOWAIT, ""), ("unix", WAIT, ""), ("unix-dgram", WAIT, "")]]
OTHERS = [
    (Tcpserver, {}, "stream", NOWAIT, "127.0.0.1"), (launchers.Tcpsvd, {}, "stream", NOWAIT, "127.0.0.1"),
    (launchers.Udpsvd, {}, "dgram", WAIT, "127.0.0.1"), (Socat, {}, "stream", NOWAIT, "127.0.0.1"),
    (Socat, {}, "stream", NOWAIT, "::1"), (Socat, {}, "unix", NOWAIT, ""),
    (ByHand, {}, "stream", WAIT, "127.0.0.1"), (ByHand, {}, "stream", WAIT, "::1"), (ByHand, {}, "unix", WAIT, ""),
    (ByHand, {}, "dgram", WAIT, "127.0.0.1"), (ByHand, {}, "dgram", WAIT, "::1"), (ByHand, {}, "unix-dgram", WAIT, "")]
EVERY = XINETD + OPENBSD + SYSTEMD + OTHERS


def named(value):
    """Return the part of a test's name for one of its parameters."""
    return value.__name__ if isinstance(value, type) else None


@pytest.fixture
def script(tmp_path):
    """A function that writes a program and returns its argv."""
    def write(text):
        path = tmp_path / f"server{len(list(tmp_path.iterdir()))}.py"
        path.write_text(textwrap.dedent(text))
        return [sys.executable, "-I", "-S", str(path)]
    return write


def speak(host, kind):
    """Hold two conversations with an echoing server."""
    for data in (b"hello", b"again"):
        answer = clients.ask(host.address, data) if "dgram" in kind else clients.converse(host.address, data)
        assert answer == data


@pytest.mark.parametrize("launcher, extra, kind, wait, address", EVERY, ids=named)
def test_launcher_serves_and_leaves_nothing_behind(script, launcher, extra, kind, wait, address):
    server = DATAGRAMS if "dgram" in kind else LISTENER if wait else CONNECTION
    with launcher(Service(script(server), kind, wait, address), **extra) as host:
        speak(host, kind)
        seen = host.alive()
        assert host.pid in seen
    assert not any(map(processes.running, seen | host.alive()))


def test_servers_that_outlive_their_launcher_are_ended(script):
    with Xinetd(Service(script(LISTENER), wait=WAIT)) as host:
        speak(host, "stream")
        os.kill(host.pid, signal.SIGTERM)
        assert host.wait() == 0
        assert len(host.servers()) == 1
        speak(host, "stream")
    assert host.alive() == set()


def test_servers_without_the_mark_are_ended(script):
    service = Service(script(LISTENER), wait=WAIT, attributes={"passenv": ""})
    with Xinetd(service) as host:
        speak(host, "stream")
        (server,) = host.servers()
        assert processes.running(server)
    assert not processes.running(server)


def test_a_launcher_that_cannot_come_up_says_why(script):
    host = Xinetd(Service(script(CONNECTION), attributes={"wait": "maybe"}))
    with pytest.raises(RuntimeError, match=r"maybe|DISABLING|0 available"), host:
        pass


def test_a_taken_port_is_tried_again_with_another(script, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        first = machine.Port()
        first.number = foreign.getsockname()[1]
        ports = iter([first])
        new = machine.Port
        monkeypatch.setattr(machine, "Port", lambda: next(ports, None) or new())
        for launcher in (Xinetd, Tcpserver):
            ports = iter([first])
            with launcher(Service(script(CONNECTION))) as host:
                assert host.address[1] != first.number
                speak(host, "stream")


def test_a_port_is_given_once():
    ports = [machine.Port() for _ in range(20)]
    assert len({port.number for port in ports}) == 20
    for port in ports:
        port.release()


def test_xinetd_file_runs_as_written_but_for_ports_and_paths(script):
    python, *arguments = script(CONNECTION)
    datagrams = script(DATAGRAMS)[-1]
    text = f"""
# Two services at one port.
service echo
{{
    # which port to listen at
    port = 7
    disable = yes
    id = echo-stream
    socket_type = stream
    wait = no
    flags = NAMEINARGS
    user = nobody
    server = /usr/lib/fd0/python
    server_args = python {' '.join(arguments)}
}}

service echo
{{
    disable = yes
    type = UNLISTED
    id = echo-dgram
    socket_type = dgram
    protocol = udp
    log_on_failure =
    port = 7
    wait = yes
    user = nobody
    server = /usr/lib/fd0/python
    server_args = -I -S {datagrams}
}}
"""
    with Xinetd.of_file(text, {"/usr/lib/fd0/python": python}, user=launchers.ME) as host:
        assert host.addresses["echo-stream"] == host.addresses["echo-dgram"] == host.address
        speak(host, "stream")
        speak(host, "dgram")
        assert "# which port to listen at" in host.configuration.read_text()


def test_xinetd_reloads_its_file(script):
    with Xinetd(Service(script("print('old')"))) as host:
        assert clients.converse(host.address) == b"old\n"
        new = script("print('new')")[-1]
        text = host.configuration.read_text()
        host.configuration.write_text(text.replace("server0.py", os.path.basename(new)))
        host.reload()
        assert clients.converse(host.address) == b"new\n"


def test_systemd_hands_over_several_named_sockets(script):
    server = script("""
        import os, socket
        for number, name in enumerate(os.environ["LISTEN_FDNAMES"].split(":"), 3):
            conn, _ = socket.socket(fileno=number).accept()
            conn.sendall(f"{name} {os.environ['LISTEN_FDS']} {os.environ['GREETING']}".encode())
            conn.close()
        """)
    service = Service(server, wait=WAIT, environment={"GREETING": "hi"})
    with SocketActivate(service, names=("web", "admin")) as host:
        assert clients.converse(host.addresses["web"]) == b"web 2 hi"
        assert clients.converse(host.addresses["admin"]) == b"admin 2 hi"
        assert host.address == host.addresses["web"]


def test_pipes(script):
    argv = script("import sys; data = sys.stdin.read(); print(data.upper()); print('x', file=sys.stderr); sys.exit(3)")
    done = launchers.pipes(argv, b"hello")
    assert (done.stdout, done.stderr, done.returncode) == (b"HELLO\n", b"x\n", 3)


def test_pipes_are_bounded(script):
    with pytest.raises(subprocess.TimeoutExpired):
        launchers.pipes(script("import signal; signal.pause()"), seconds=0.1)


def test_a_missing_program_skips_and_in_ci_fails(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        machine.program("no-such-program", "no-such-package")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        machine.program("no-such-program", "no-such-package")


def test_a_killed_test_run_leaves_nothing(script):
    run = script(f"""
        import os, signal, sys
        sys.path[:0] = {sys.path!r}
        from tests.live import processes
        from tests.live.launchers import Service, Xinetd, WAIT
        from tests.live.clients import ask
        with Xinetd(Service({script(DATAGRAMS)!r}, "dgram", WAIT)) as host:
            ask(host.address, b"hello")
            print(processes.RUN, processes.directory(), len(host.alive()), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """)
    mark, folder, count = subprocess.run(run, check=False, stdout=subprocess.PIPE, text=True, timeout=20).stdout.split()
    assert count == "2"
    machine.until(lambda: not processes.members(f"{mark}.") and not os.path.exists(folder), what="end")


# The clients.

def test_reset_reaches_the_server(script):
    server = script("""
        import os
        try:
            os.read(0, 1)
        except ConnectionResetError:
            print("reset", file=open("reset", "w"))
        """)
    directory = os.path.dirname(server[-1])
    server[-1:] = ["-c", f"import os; os.chdir({directory!r}); exec(open({server[-1]!r}).read())"]
    with Socat(Service(server)) as host:
        clients.reset(host.address)
        machine.until(lambda: os.path.exists(f"{directory}/reset"), what="reset")


def test_drip_sends_single_octets(script):
    server = script("import os\nwhile data := os.read(0, 100): os.write(1, b'%d' % len(data))")
    with Tcpserver(Service(server)) as host:
        assert clients.drip(host.address, b"hello", gap=1) == b"11111"


def test_converse_sends_and_receives_at_once_and_is_bounded(script):
    with Tcpserver(Service(script(CONNECTION))) as host:
        data = bytes(range(256)) * 40000
        assert clients.converse(host.address, data) == data
        with pytest.raises(TimeoutError, match="hello"):
            clients.converse(host.address, b"hello", half_close=False, seconds=0.2)


def test_ask_is_bounded():
    port = machine.Port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", port.number))
        with pytest.raises(TimeoutError):
            clients.ask(silent.getsockname(), b"hello", seconds=0.05)
    with pytest.raises(ConnectionRefusedError):
        clients.ask(("127.0.0.1", port.number), b"hello")
    port.release()


# Syslog.

def run_in_dev(log, *argv):
    """Run a command in the private /dev that belongs to a log."""
    subprocess.run([*devlog.private_devlog(log), *argv], check=True, timeout=20)


def test_captured_lines_of_syslog_and_logger(script):
    before = os.stat("/dev"), os.path.lexists("/dev/log")
    with devlog.LogSocket() as log:
        run_in_dev(log, *script(LOGGER))
        record = log.wait_for("hello")
        assert record[:2] + record[3:4] + record[5:6] == ("mail", "warning", "stand-in", "hello %s")
        assert record.pid
        run_in_dev(log, "logger", "-p", "local3.err", "-t", "tag", "by logger")
        assert log.wait_for(lambda record: record.text == "by logger")[:2] == ("local3", "err")
    assert not os.path.exists(log.path)
    assert (os.stat("/dev").st_ino, os.path.lexists("/dev/log")) == (before[0].st_ino, before[1])


def test_a_private_dev_is_fit_for_use(script):
    script = script("""
        import os, pty
        open("/dev/null", "w").write("x")
        assert open("/dev/urandom", "rb").read(1) and open("/dev/zero", "rb").read(1) == b"\\0"
        assert os.path.islink("/dev/log") and os.path.isdir("/dev/shm")
        pty.openpty()
        """)
    with devlog.LogSocket() as log:
        run_in_dev(log, *script)


def test_a_launchers_servers_log_to_the_private_dev(script):
    server = script(LOGGER + "print('done')\n")
    with devlog.LogSocket() as log, Xinetd(Service(server), prefix=devlog.private_devlog(log)) as host:
        assert clients.converse(host.address) == b"done\n"
        clients.converse(host.address)
        assert log.wait_for(r"stand-in\[\d+\]: hello", count=2).facility == "mail"
        with pytest.raises(AssertionError, match="hello"):
            log.wait_for("never", seconds=0.05)


def test_a_stuck_syslogd(script):
    with devlog.LogSocket() as log:
        log.fill()
        blocked = processes.Processes([*devlog.private_devlog(log), *script(LOGGER)])
        machine.until(lambda: waits_to_send(blocked.first.pid), what="blocked sender")
        log.resume()
        log.wait_for("hello")
        assert len(log.lines) == 1
        assert blocked.first.wait(10) == 0
        blocked.end()


def waits_to_send(pid):
    """Tell whether a process hangs in a call that sends: sendto(2) or sendmsg(2)."""
    with open(f"/proc/{pid}/stat") as file:
        state = file.read().rpartition(")")[2].split()[0]
    with open(f"/proc/{pid}/wchan") as file:
        return (state == "S" and "unix" in file.read()) or None


def test_a_syslogd_that_goes_and_comes_back(script):
    with devlog.LogSocket() as log:
        log.remove()
        run_in_dev(log, *script(LOGGER))
        assert log.lines == []
        log.appear()
        run_in_dev(log, *script(LOGGER))
        assert log.wait_for("hello").priority == "warning"


def test_rsyslog_writes_its_file(script):
    with devlog.Rsyslog() as log:
        run_in_dev(log, *script(LOGGER))
        run_in_dev(log, "logger", "-p", "daemon.info", "-t", "tag", "--", "by\tlogger")
        assert log.wait_for("hello").ident == "stand-in"
        record = log.wait_for("logger")
        assert record[:2] + record[3:] == ("daemon", "info", "tag", None, "by#011logger", record.line)
        pid = log.pid
    assert not processes.running(pid)


@pytest.mark.parametrize("line, fields", [
    ("<20>Nov 23 10:54:04 fingerd[26434]: hi %s", ("mail", "warning", "Nov 23 10:54:04", "fingerd", 26434, "hi %s")),
    ("<30>Nov  3 10:54:04 d: ", ("daemon", "info", "Nov  3 10:54:04", "d", None, "")),
    ("<20>foo[1]: a\nb\0", ("mail", "warning", None, "foo", 1, "a\nb\0")),
    ("<30>1 2026-11-23T10:54:29.588551+00:00 vm fingerd 26919 - -  hello",
     ("daemon", "info", "2026-11-23T10:54:29.588551+00:00", "fingerd", 26919, "hello")),
    ("plain", (None, None, None, None, None, "plain")),
])
def test_parse(line, fields):
    assert devlog.parse(line)[:6] == fields
