"""The log: one event, one line, through the local syslog, which is never waited for.

The line is the one that syslog(3) writes to /dev/log, but we send it ourselves: libc's syslog()
blocks once ten messages lie there unread, loses them in silence when nobody listens, cuts at NUL
and refuses lone surrogates.  Lines that cannot be delivered now are kept, up to BACKLOG of them,
and follow in order when the reader is back; what had to be dropped is counted and said (`lost`).
"""

import os
import socket
import syslog
import time
from _thread import RLock  # threading itself would cost every fork its at-fork handler
from collections import deque
from collections.abc import Iterable, Mapping
from select import POLLOUT, poll

from . import descriptors
from .service import Event

BACKLOG = 1000          # lines kept for a syslogd that does not read
LONGEST = 4000          # octets in a line: every receiver takes 4,096 (rsyslogd cuts at 8,096)
LONGEST_VALUE = 1000    # characters in a value
AGAIN = 1.0             # seconds between attempts to find a syslogd that is not there

# syslog.LOG_FTP came with Python 3.13; 11 is its number in RFC 5424, 6.2.1
FACILITIES = {name: getattr(syslog, "LOG_" + name.upper(), 11 << 3) for name in
              ("auth authpriv cron daemon ftp kern lpr mail news syslog user uucp "
               "local0 local1 local2 local3 local4 local5 local6 local7").split()}
PRIORITIES = {"emerg": syslog.LOG_EMERG, "alert": syslog.LOG_ALERT, "crit": syslog.LOG_CRIT,
              "err": syslog.LOG_ERR, "warning": syslog.LOG_WARNING, "notice": syslog.LOG_NOTICE,
              "info": syslog.LOG_INFO, "debug": syslog.LOG_DEBUG}
OPTIONS = {name: getattr(syslog, "LOG_" + name.upper()) for name in ("cons", "ndelay", "nowait", "perror", "pid")}

EVENTS = (
    Event("open", "info", "session from name to via tls", "a conversation begins"),
    Event("close", "info", "session reason why seconds in out commands", "a conversation is over, and how it ended"),
    Event("proxied", "info", "session from name to by version", "a proxy says who called, and where"),
    Event("tls", "info", "session version cipher name alpn client resumed", "a handshake went well, and what it gave"),
    Event("renewed", "info", "files", "certificates had changed, and were read anew"),
    Event("unrenewed", "err", "text", "certificates had changed, and cannot be read; the earlier ones stay"),
    Event("packet", "info", "from to by in out", "a datagram was answered (the first of its source in a minute)"),
    Event("packets", "info", "in answered ignored refused", "datagrams since the last such line"),
    Event("ignored", "notice", "from to why", "a datagram that must not be answered (once a source and minute)"),
    Event("refused", "notice", "session from why", "a peer was turned away (once a source and minute)"),
    Event("crash", "err", "session pid status error at", "a conversation or worker broke, by our own fault"),
    Event("stderr", "warning", "text", "something was written to descriptor 2"),
    Event("start", "info", "via model sandbox listen", "the program begins to serve"),
    Event("replaced", "info", "file", "a file is another one now: a new process is closed in with it"),
    Event("unprotected", "notice", "layer why", "a part of the sandbox that the kernel does not enforce"),
    Event("stop", "info", "why seconds conversations", "the program ends"),
    Event("pressure", "warning", "why", "no descriptor, process, memory or place in a table is left for a moment"),
    Event("lost", "warning", "count", "log lines that could not be delivered"),
    Event("misuse", "err", "text", "an option, a file or a descriptor is wrong; the program does not start"),
    Event("warning", "warning", "text", "something about the launch or the machine that an administrator should mend"),
    Event("explain", "notice", "what is", "what --explain found out"),
)

_state: "_Log"          # what `start` was told


class _Log:
    """Where lines go, and those that could not go yet."""

    def __init__(self, ident: str, facility: str, priority: str, flags: int, target: str) -> None:
        self.ident, self.facility, self.flags = ident, FACILITIES[facility], flags
        self.mask = syslog.LOG_UPTO(PRIORITIES[priority])
        self.events: dict[str, Event] = {}
        self.waiting: deque[bytes] = deque()
        self.lost, self.next_try = 0, 0.0
        self.lock = RLock()             # one that a signal handler may take again
        self.delivering = False
        self.stamp = 0, ""              # a second, and how lines write it
        self.pid = os.getpid()
        self.path = "/dev/log" if target == "syslog" else target
        self.sock: socket.socket | None = None
        self.to_stderr = target == "stderr"
        # journald reads <N> before a line as its priority (sd-daemon(3))
        self.journal = self.to_stderr and _is_journal(descriptors.errors)

    def line(self, priority: int, text: str, pid: int | None = None, facility: int | None = None) -> None:
        """Queue one line and deliver what can be delivered."""
        if self.to_stderr:
            return _print(f"<{priority}>{text}" if self.journal else f"{self._tag(pid)}: {text}")
        if self.flags & syslog.LOG_PERROR:
            _print(f"{self._tag(pid)}: {text}")
        with self.lock:
            if self.pid != os.getpid():         # a child now: what waits is the parent's to deliver
                self.pid, self.waiting, self.lost = os.getpid(), deque(), 0
            data = self._framed(priority, text, pid, facility)
            self.waiting.append(data)
            if len(self.waiting) > BACKLOG:
                self.waiting.popleft()
                self.lost += 1
            if not self.deliver() and self.sock is None and self.flags & syslog.LOG_CONS:
                _to_console(data)

    def deliver(self) -> bool:
        """Hand over waiting lines, oldest first, until one is not taken; True when none is left."""
        with self.lock:
            if self.delivering:             # and a signal came just then: its line is one more for the loop below
                return False
            self.delivering = True
            try:
                while self.waiting:
                    if not self._send(self.waiting[0]):
                        return False
                    self.waiting.popleft()
                if self.lost and self._send(self._framed(syslog.LOG_WARNING, f"lost count={self.lost}")):
                    self.lost = 0
            finally:
                self.delivering = False
        return not self.lost

    def _framed(self, priority: int, text: str, pid: int | None = None, facility: int | None = None) -> bytes:
        """The line as syslog(3) puts it into /dev/log."""
        now, (second, stamp) = int(time.time()), self.stamp
        if now != second:               # one for all lines of a second: it costs as much as the rest of a line
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(now))
            self.stamp = now, stamp
        facility = self.facility if facility is None else facility
        data = f"<{facility | priority}>{stamp} {self._tag(pid)}: {text}".encode("utf-8", "backslashreplace")
        return data if len(data) <= LONGEST else data[:LONGEST].decode("utf-8", "ignore").encode()

    def _send(self, data: bytes) -> bool:
        sock = self.sock or self.connect()
        if sock is None:
            return False
        try:
            sock.send(data, socket.MSG_DONTWAIT)
            return True
        except BlockingIOError:         # alive, but it does not read
            return False
        except OSError:                 # it went away; perhaps it is back under the same name
            self.close()
            return self._resend(data)

    def _resend(self, data: bytes) -> bool:
        sock = self.connect()
        if sock is None:
            return False
        try:
            sock.send(data, socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def connect(self) -> socket.socket | None:
        """Find the syslogd; None when it is not there, which is then believed for a second."""
        now = time.monotonic()
        if now < self.next_try:
            return None
        sock = None
        try:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sock.connect(self.path)
        except OSError:                 # not there, or no descriptor left to ask with
            if sock is not None:
                sock.close()
            self.next_try = now + AGAIN
            return None
        self.sock = sock
        return sock

    def close(self) -> None:
        """Forget the socket."""
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def _tag(self, pid: int | None = None) -> str:
        return f"{self.ident}[{pid or os.getpid()}]" if self.flags & syslog.LOG_PID else self.ident


def start(ident: str, facility: str = "daemon", priority: str = "info", options: Iterable[str] = ("pid",),
          target: str = "syslog", events: tuple[Event, ...] = ()) -> None:
    """Open the log as openlog(3) and setlogmask(3) would; `target` is syslog, stderr or a socket's path."""
    global _state
    flags = 0
    for name in options:
        flags |= OPTIONS[name]
    _state = _Log(ident, facility, priority, flags, target)
    for known in EVENTS + tuple(events):
        _state.events[known.name] = known
    if flags & syslog.LOG_NDELAY and not _state.to_stderr:
        _state.connect()


def event(name: str, pid: int | None = None, place: tuple[str, str] = ("", ""), /, **values: object) -> None:
    """Log one declared event, of this process or of child `pid`.

    `place` is another facility, another priority, or both; "" is as declared.
    A key that is a Python word is written with a trailing underscore: from_.
    """
    known = _state.events[name]
    priority = PRIORITIES[place[1] or known.priority]
    if not _state.mask & syslog.LOG_MASK(priority):
        return
    _state.line(priority, worded(name, values), pid, FACILITIES[place[0]] if place[0] else None)


def is_told(name: str) -> bool:
    """Would this event be logged, or is it less important than --priority asks for?"""
    return bool(_state.mask & syslog.LOG_MASK(PRIORITIES[_state.events[name].priority]))


def worded(name: str, values: Mapping[str, object]) -> str:
    """A declared event as its line, without what syslog puts before it; KeyError for a key that was not declared."""
    known, words = _state.events[name], [name]
    for key, value in values.items():
        key = key.rstrip("_")
        if key not in known.keys:
            raise KeyError(f"event {name} has no key {key}")
        words.append(f"{key}={quoted(value)}")
    return " ".join(words)


def crash(error: BaseException, **values: object) -> None:
    """Log an exception that nobody foresaw, on one line: what it is, and where, innermost first."""
    places, step = [], error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{step.tb_lineno} {code.co_name}")
        step = step.tb_next
    event("crash", **values, error=f"{type(error).__name__}: {error}", at=" < ".join(places[:-9:-1]))


def complaints(last: bool = False) -> None:
    """Log what was written to descriptor 2."""
    for line in descriptors.last_complaints() if last else descriptors.complaints():
        if line.strip():
            event("stderr", text=line)


def follow_complaints() -> None:
    """Have SIGIO tell when something was written to descriptor 2: a chatty child must not fill the pipe and stop."""
    if descriptors.reader is None:
        return
    import fcntl
    from _signal import SIGIO, signal
    reading = more = False

    def complained(number: int, frame: object) -> None:
        """Read what is there; a signal that comes meanwhile only says so, or handlers would pile up."""
        nonlocal reading, more
        more = True
        while more and not reading:
            reading, more = True, False
            try:
                complaints()
            finally:                    # an order to stop may raise through here
                reading = False

    signal(SIGIO, complained)
    fcntl.fcntl(descriptors.reader, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(descriptors.reader, fcntl.F_GETFL)
    fcntl.fcntl(descriptors.reader, fcntl.F_SETFL, flags | os.O_ASYNC)


def settle(seconds: float) -> int:
    """Wait at most so long for a slow syslogd to take what is waiting; returns the lines that it did not."""
    if _state.pid != os.getpid():
        return 0                        # a child that had nothing to say
    end = time.monotonic() + seconds
    while not _state.deliver() and _state.sock is not None:
        left = end - time.monotonic()
        watch = poll()
        watch.register(_state.sock, POLLOUT)
        if left <= 0 or not watch.poll(left * 1000):
            break
    return len(_state.waiting) + _state.lost


def backlog() -> socket.socket | None:
    """The socket to watch for room while something is undelivered, or None."""
    return _state.sock if undelivered() else None


def undelivered() -> bool:
    """Is anything still to be said: lines, or how many were lost?"""
    return bool(_state.waiting or _state.lost)


def on_stderr() -> bool:
    """Does whoever reads the stderr that we were started with read the log there?"""
    return descriptors.errors is not None and (
        _state.to_stderr or bool(_state.flags & syslog.LOG_PERROR) or _is_journal(descriptors.errors))


def fileno() -> int | None:
    """The log's own descriptor, if it has one."""
    return _state.sock.fileno() if _state.sock is not None else None


def disconnect() -> None:
    """Free the log's descriptor; the next line finds the syslogd again."""
    _state.close()


def add_lost(count: int) -> None:
    """Count lines that a child had to leave behind; they are said with ours once somebody listens."""
    with _state.lock:
        _state.lost += count


def quoted(value: object) -> str:
    """A value as it stands in a log line: on one line, in printable characters, quoted where it must be."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "surrogateescape")
    else:
        text = value if isinstance(value, str) else str(value)
    if not text.isprintable() or "\\" in text:
        signs = list(map(_visible, text))
        text = "".join(signs)
        if len(text) > LONGEST_VALUE:   # cut between signs: half an escape could not be read back
            text = f"{_first(signs, LONGEST_VALUE)}...({len(text)})"
    elif len(text) > LONGEST_VALUE:
        text = f"{text[:LONGEST_VALUE]}...({len(text)})"
    if text == "" or " " in text or '"' in text or "=" in text:
        return '"' + text.replace('"', '\\"') + '"'
    return text


def _first(signs: list[str], most: int) -> str:
    """As many of these as have `most` characters together."""
    size = 0
    for number, sign in enumerate(signs):
        size += len(sign)
        if size > most:
            return "".join(signs[:number])
    return "".join(signs)


def _visible(char: str) -> str:
    """A printable character as it is, any other octet by octet as \\xNN, and a backslash as two."""
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    try:
        return "".join(f"\\x{octet:02x}" for octet in char.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:          # half of a surrogate pair, from a library of text
        return f"\\u{ord(char):04x}"


def _print(line: str) -> None:
    """One line on the stderr that a person or a collector reads, unless nobody makes room for it."""
    if descriptors.errors is None:
        return
    watch = poll()
    watch.register(descriptors.errors, POLLOUT)
    try:
        if watch.poll(0):
            os.write(descriptors.errors, line.encode("utf-8", "backslashreplace")[:LONGEST] + b"\n")
    except OSError:
        descriptors.errors = None       # the reader is gone; syslog still has the line


def _to_console(data: bytes) -> None:
    """A line that no syslogd is there for, on the console of the machine, where there is one."""
    try:
        console = os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(console, data.partition(b">")[2] + b"\r\n")
    except OSError:
        return                          # it does not take it now
    finally:
        os.close(console)


def _is_journal(fd: int | None) -> bool:
    """Is this descriptor the one that systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM)?"""
    if fd is None:
        return False
    status = os.fstat(fd)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
