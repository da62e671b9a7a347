"""Syslog as our programs see it: a /dev/log of a test's own, with the test or a real rsyslogd behind it.

    with LogSocket() as log, Xinetd(service, prefix=private_devlog(log)) as host:
        converse(host.address)
        assert log.wait_for("^<30>.* open ").ident == "echod"
"""

import functools
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from tests.live import machine, processes

FACILITIES = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", *(f"local{number}" for number in range(8))]
PRIORITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
INDEV = str(Path(__file__).with_name("indev.py"))
FILLER = b"<47>filler"
LARGEST = 1 << 20                                       # octets of one datagram that we take

# "<PRI>Mmm dd hh:mm:ss ident[pid]: text": what syslog(3) sends; SysLogHandler leaves the date away
LOCAL = re.compile(r"<(\d+)>(?:(\w{3} [ \d]\d \d\d:\d\d:\d\d) )?(?:([^\s:\[]+)(?:\[(\d+)\])?: ?)?(.*)", re.DOTALL)
# "<PRI>1 date host ident pid msgid data text", RFC 5424; rsyslogd keeps the blank after "ident[pid]:", so there are two
MODERN = re.compile(r"<(\d+)>1 (\S+) \S+ (\S+) (\S+) \S+ (?:-|\[.*?\]) {0,2}(.*)", re.DOTALL)


class Record(NamedTuple):
    """One log line.  What is not in it is None."""

    facility: str       # "mail"
    priority: str       # "info"
    date: str           # as it stands there
    ident: str
    pid: int
    text: str
    line: str           # all of it


def parse(line):
    """Return a line, as sent to /dev/log or as Rsyslog writes it, as a Record; one without <PRI> is text only."""
    match = MODERN.fullmatch(line) or LOCAL.fullmatch(line)
    if not match:
        return Record(None, None, None, None, None, line, line)
    number, date, ident, pid, text = match.groups()
    facility, priority = divmod(int(number), 8)
    name = FACILITIES[facility] if facility < len(FACILITIES) else str(facility)
    return Record(name, PRIORITIES[priority], date, ident, int(pid) if pid and pid.isdigit() else None, text, line)


class Log:
    """Something with `lines`."""

    @property
    def records(self):
        """The lines so far, parsed."""
        return [parse(line) for line in self.lines]

    def wait_for(self, what, seconds=60, count=1):
        """Return the first record, or the count-th, that matches, as soon as it is there or if it is there already.

        `what` is a regular expression, searched in the whole line, or a function of the record.  AssertionError with
        the last lines after `seconds`.
        """
        matches = what if callable(what) else lambda record: re.search(what, record.line)

        def found():
            return [record for record in self.records if matches(record)][count - 1:count]
        try:
            return machine.until(found, seconds)[0]
        except TimeoutError:
            said = "\n".join(self.lines[-50:])
            raise AssertionError(f"{what!r} not logged {count} times in {seconds} s, but at last:\n{said}") from None


class LogSocket(Log):
    """A datagram socket at a path, like syslogd's at /dev/log, and a thread that reads it.

    `path` is in a folder of its own if not given, and open for every user.  `lines` holds the datagrams in order,
    decoded as UTF-8 with surrogates for what is not.
    """

    def __init__(self, path=None):
        self._folder = None if path else processes.new_folder("devlog")
        self.path = str(path or f"{self._folder}/log")
        self.lines, self._fillers = [], 0
        self._reader = self._socket = None
        self.appear()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def appear(self):
        """Bind the socket and read it: a syslogd that starts, or starts again after `remove`."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.resume()

    def remove(self):
        """Close the socket and remove its path: a syslogd that is gone."""
        self.pause()
        if self._socket:
            self._socket.close()
            os.unlink(self.path)
            self._socket = None

    def pause(self):
        """Stop reading: a syslogd that is stuck.  The kernel still keeps some ten lines for it; see `fill`."""
        if self._reader:
            self._wake.close()
            self._reader.join()
            self._reader = None

    def resume(self):
        """Read again, at first what was sent in the meantime."""
        self._wake, other = socket.socketpair()
        self._reader = threading.Thread(target=self._read, args=(self._socket, other), daemon=True)
        self._reader.start()

    def fill(self):
        """Stop reading and take all the room there is, so that the next line blocks its sender at once."""
        self.pause()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect(self.path)
            try:
                while True:
                    sender.send(FILLER)
            except BlockingIOError:
                pass

    def sync(self):
        """Wait until all that was sent so far is in `lines`; returns at once where nobody reads."""
        if self._reader:
            before = self._fillers
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(FILLER, self.path)
            machine.until(lambda: self._fillers > before, what="own line")

    @property
    def records(self):
        """All lines that were sent so far, parsed."""
        self.sync()
        return [parse(line) for line in self.lines]

    def _read(self, source, wake):
        """Add what comes to `lines`, until the other end of `wake` is closed."""
        poller = select.poll()
        poller.register(source, select.POLLIN)
        poller.register(wake, select.POLLIN)
        with wake:
            while wake.fileno() not in dict(poller.poll()):
                data = source.recv(LARGEST)
                if data == FILLER:
                    self._fillers += 1
                else:
                    self.lines.append(data.decode("utf-8", "surrogateescape"))


@functools.cache
def _indev_trouble():
    """Return what is wrong with private mount namespaces here; nothing if all is well."""
    command = [sys.executable, "-I", "-S", INDEV, processes.new_folder("indev") + "/log", "--", "true"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode and (done.stderr or f"exit status {done.returncode}")


def private_devlog(log):
    """Return the argv to put before a command, so that its /dev/log is `log` (a LogSocket, an Rsyslog or a path).

    Without root, or without leave to mount, the calling test is skipped (in CI: fails).
    """
    if os.geteuid() != 0:
        machine.unavailable("a private /dev needs root")
    if wrong := _indev_trouble():
        machine.unavailable(f"no private /dev here: {wrong}")
    return [sys.executable, "-I", "-S", INDEV, str(getattr(log, "path", log)), "--"]


class Rsyslog(Log):
    """A private rsyslogd: reads a socket at `path`, writes RFC 5424 lines to `file`, control characters escaped."""

    CONFIGURATION = """
global(workDirectory="{folder}" parser.escapeControlCharactersOnReceive="on")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log" RateLimit.Interval="0" usePIDFromSystem="off" UseSysTimeStamp="off")
action(type="omfile" file="{folder}/messages" template="RSYSLOG_SyslogProtocol23Format" asyncWriting="off"
       flushOnTXEnd="on" fileCreateMode="0644")
"""

    def __enter__(self):
        program = machine.program("rsyslogd", "rsyslog")
        self.folder = Path(processes.new_folder("rsyslog"))
        self.path, self.file = str(self.folder / "log"), self.folder / "messages"
        configuration = self.folder / "rsyslog.conf"
        configuration.write_text(self.CONFIGURATION.format(folder=self.folder))
        with open(self.folder / "rsyslogd.log", "wb") as log:
            self._processes = processes.Processes(
                [program, "-n", "-f", str(configuration), "-i", str(self.folder / "pid")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            machine.until(lambda: machine.listeners("unix-dgram", self.path), what="rsyslogd")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self._processes.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        """The process id of rsyslogd."""
        return self._processes.first.pid

    @property
    def lines(self):
        """The lines written so far, complete ones only."""
        text = self.file.read_text(errors="surrogateescape") if self.file.exists() else ""
        return text.split("\n")[:-1]
