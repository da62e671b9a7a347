"""Our super-server with a configuration written by the test, its log, and what it tells a service manager.

    with Inetd(service("cat", at(port), "/bin/cat")) as inetd:
        assert converse(at(port), b"hello") == b"hello"
        inetd.reload(...)
        assert inetd.end() == 0

`with` returns once it says READY=1.  The end of `with` kills it and all that came of it.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import clients, devlog, machine, processes
from tests.live.launchers import ME, ROOT

HOST = "127.0.0.1"
SYSTEM_PYTHON = "/usr/bin/python3"
LISTENER = """
import socket
listener = socket.socket(fileno=0)
while True:
    with listener.accept()[0] as conn:
        while data := conn.recv(65536):
            conn.sendall(data)
"""


@pytest.fixture
def address():
    """An address that nobody else has."""
    port = machine.Port()
    yield HOST, port.number
    port.release()


@pytest.fixture
def folder():
    """A folder that everybody may read."""
    return Path(processes.new_folder("files"))


@pytest.fixture
def python(folder):
    """A function that makes a server of its source, as pythonic() takes it."""
    def made(source):
        script = folder / f"server{len(list(folder.iterdir()))}.py"
        script.write_text(source)
        # twice: a Python that is not in PATH finds its library by its argv[0]
        return [sys.executable, sys.executable, "-I", "-S", str(script)]
    return made


def service(name, address, server, *arguments, **attributes):
    """The text of a service; an attribute that is None is left out.  `address` is (host, port) or a path."""
    where = {"bind": address} if isinstance(address, str) else {
        "type": "UNLISTED", "bind": address[0], "port": address[1]}
    values = {"id": name, "flags": None, **where, "socket_type": "stream", "wait": "no", "user": ME, "server": server,
              "server_args": " ".join(arguments) or None, **attributes}
    lines = "".join(f"    {key} = {value}\n" for key, value in values.items() if value is not None)
    return f"service {name}\n{{\n{lines}}}\n"


def pythonic(name, address, argv, flags="", **attributes):
    """The text of a service whose server the fixture `python` made."""
    return service(name, address, *argv, flags=f"NAMEINARGS {flags}".rstrip(), **attributes)


def defaults(**attributes):
    """The text of a defaults section."""
    return "defaults\n{\n" + "".join(f"    {key} = {value}\n" for key, value in attributes.items()) + "}\n"


def command(folder, text, *options, python=sys.executable):
    """Write a configuration and return the argv that runs it."""
    file = Path(folder) / "xinetd.conf"
    file.write_text(text)
    return [python, "-m", "daemons.inetd", *options, str(file)]


def run(text, *options, prefix=(), mode=0o644):
    """Have our inetd read a text, where it is to end by itself; returns a CompletedProcess."""
    folder = processes.new_folder("inetd")
    argv = command(folder, text, f"--log={folder}/nobody-reads", *options)
    os.chmod(argv[-1], mode)
    return subprocess.run([*prefix, *argv], check=False, capture_output=True, text=True, timeout=20, cwd=folder,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})


def need_root():
    """Skip the calling test without root (in CI: fail it)."""
    if os.geteuid() != 0:
        machine.unavailable("only root can start servers as other users")


def asked(address, **arguments):
    """What a server says by itself."""
    return clients.converse(address, **arguments).decode()


def said_and_heard(sock, data=b"x"):
    """Tell whether an echo server answers on a connection."""
    sock.sendall(data)
    return sock.recv(len(data)) == data


class Inetd:
    """A running inetd.

    log     its log, a devlog.LogSocket
    told    what it told the service manager, without what was waited for
    """

    def __init__(self, text, *options, environment=None, prefix=(), python=sys.executable, stderr=subprocess.DEVNULL,
                 **popen):
        self.folder = processes.new_folder("inetd")
        self.log, self.manager = devlog.LogSocket(), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(f"{self.folder}/notify")
        os.chmod(f"{self.folder}/notify", 0o666)
        self.told, self.processes = [], None
        self.argv = [*prefix, *command(self.folder, text, f"--log={self.log.path}", *options, python=python)]
        self.file = Path(self.argv[-1])
        self.environment = {"PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": f"{self.folder}/notify", **(environment or {})}
        self.popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": stderr, **popen}

    def __enter__(self):
        try:
            self.processes = processes.Processes(self.argv, self.environment, cwd=self.folder, **self.popen)
            self.wait_until_told("READY=1")
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind, error, trace):
        if self.processes:
            self.processes.end()
        if error:
            print("\n".join(["--- log of inetd ---", *self.log.lines[-60:]]), file=sys.stderr)
        self.manager.close()
        self.log.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        """Its process id."""
        return self.processes.first.pid

    def wait_until_told(self, line):
        """Wait until it tells the service manager this; what came before is in `told`."""
        pidfd = os.pidfd_open(self.pid)
        try:
            while line not in self.told:
                ready, _, _ = select.select([self.manager, pidfd], [], [], 20)
                if self.manager not in ready:
                    raise RuntimeError(f"it never said {line}, {'and has ended' if ready else 'and is silent'}")
                self.told += self.manager.recv(4096).decode().split("\n")
            self.told.remove(line)
        finally:
            os.close(pidfd)

    def reload(self, text):
        """Have it read another text, and wait until it has."""
        self.file.write_text(text)
        self.tell(signal.SIGHUP)
        self.wait_until_told("READY=1")

    def tell(self, number):
        """Send it a signal."""
        os.kill(self.pid, number)

    def end(self, number=signal.SIGTERM):
        """Tell it to end; returns its exit status."""
        self.tell(number)
        return self.processes.first.wait(20)

    def lines(self, event):
        """The texts of the log lines of one event, all that were sent until now."""
        mark = f"mark {len(self.log.lines)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark.encode(), self.log.path)
        self.log.wait_for(lambda record: record.line == mark)
        return [record.text for record in self.log.records if record.text.split(" ")[0] == event]

    def children(self, of=None):
        """The ids of its children, or of another process's; those too that have ended and were not reaped."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == (of or self.pid):
                found.append(int(entry))
        return found
