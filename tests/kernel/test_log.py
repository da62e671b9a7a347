"""The log: one event, one line, that nothing can forge, split, stop or lose in silence."""

import os
import re
import socket
import syslog

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel import descriptors, log
from daemons.kernel.addresses import Address
from daemons.kernel.service import Event

STAMP = r"[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d "


class Syslogd:
    """A datagram socket like /dev/log, read by nobody unless asked."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = None

    def begin(self):
        """Be there."""
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        return self

    def lines(self):
        """What has come, without priority, time and tag."""
        return [re.sub(rf"^<\d+>{STAMP}[^:]*: ", "", line.decode()) for line in self.raw()]

    def raw(self):
        """What has come."""
        found = []
        while True:
            try:
                found.append(self.sock.recv(65536, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return found


@pytest.fixture(autouse=True)
def _own_state(monkeypatch):
    monkeypatch.setattr(log, "_state", None, raising=False)
    monkeypatch.setattr(log, "AGAIN", 0.0)


@pytest.fixture
def syslogd(tmp_path):
    daemon = Syslogd(tmp_path / "log")
    yield daemon
    if daemon.sock is not None:
        daemon.sock.close()


def start(syslogd, ident="echod", **options):
    log.start(ident, target=syslogd.path, **options)


def say(text):
    log.event("warning", text=text)


# -- quoting --

@pytest.mark.parametrize("value, written", [
    ("plain", "plain"), (25, "25"), (None, "None"), ("", '""'), ("two words", '"two words"'), ("a=b", '"a=b"'),
    ('say "hi"', '"say \\"hi\\""'), ("a\nb", r"a\x0ab"), ("a\r\nclose session=1", r'"a\x0d\x0aclose session=1"'),
    (b"\xff\x1b[31m", r"\xff\x1b[31m"), ("\t", r"\x09"), ("\0", r"\x00"), ("\x7f", r"\x7f"), (r"C:\x41", r"C:\\x41"),
    ("é", "é"), ("é".encode(), "é"), ("\x9b2J", r"\xc2\x9b2J"), ("\u202egpj", r"\xe2\x80\xaegpj"),
    ("\u2028", r"\xe2\x80\xa8"), ("\xa0", r"\xc2\xa0"), ("\ud800", r"\ud800"), ("\udcff", r"\xff"),
    (Address("2001:db8::1", 25), "[2001:db8::1]:25"),
])
def test_a_value_as_it_is_written(value, written):
    assert log.quoted(value) == written


def unquoted(written):
    """The octets that log.quoted wrote, read back."""
    text = written[1:-1] if written.startswith('"') else written
    value = b""
    for escape, octet, sign, plain in re.findall(r'(\\x([0-9a-f]{2}))|\\([\\"])|([^\\])', text, re.DOTALL):
        value += bytes([int(octet, 16)]) if escape else (sign or plain).encode()
    return value


@given(st.one_of(st.text(), st.binary()))
def test_any_value_stays_on_one_line_and_can_be_read_back(value):
    written = log.quoted(value)
    assert written.isprintable()
    assert unquoted(written) == (value if isinstance(value, bytes) else value.encode())


@given(st.one_of(st.text(st.characters()), st.binary()))
def test_a_value_ends_where_its_quotes_end(value):
    written = log.quoted(value)
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"|[^ "=]+', written)


def test_a_long_value_is_cut_and_says_how_long_it_was():
    assert log.quoted("x" * 5000) == "x" * log.LONGEST_VALUE + "...(5000)"
    assert log.quoted("x" * log.LONGEST_VALUE) == "x" * log.LONGEST_VALUE


# -- a line --

def test_a_line_is_what_syslog_writes(syslogd):
    syslogd.begin()
    start(syslogd, facility="mail")
    log.event("refused", session="5f3a", from_=Address("192.0.2.1", 9), why="rate")
    line, = syslogd.raw()
    assert re.fullmatch(rf"<21>{STAMP}echod\[{os.getpid()}\]: refused session=5f3a from=\[192\.0\.2\.1\]:9 why=rate",
                        line.decode())


def test_the_tag_names_a_child_or_nobody(syslogd):
    syslogd.begin()
    start(syslogd, options=())
    say("x")
    start(syslogd)
    log.event("warning", 4711, text="x")
    without, child = syslogd.raw()
    assert b" echod: " in without and b" echod[4711]: " in child


def test_another_place_than_the_declared_one(syslogd):
    syslogd.begin()
    start(syslogd)
    log.event("warning", None, ("ftp", "err"), text="x")
    assert syslogd.raw()[0].startswith(b"<91>")


def test_every_facility_has_its_number():
    names = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp".split()
    expected = {name: number << 3 for number, name in enumerate(names)}
    expected |= {f"local{number}": (16 + number) << 3 for number in range(8)}
    assert expected == log.FACILITIES


@pytest.mark.parametrize("least", log.PRIORITIES)
def test_the_mask_keeps_what_is_less_important(syslogd, least):
    syslogd.begin()
    start(syslogd, priority=least, events=tuple(Event(f"a-{name}", name, "", "") for name in log.PRIORITIES))
    for name in log.PRIORITIES:
        log.event(f"a-{name}")
    order = list(log.PRIORITIES)
    assert syslogd.lines() == [f"a-{name}" for name in order[:order.index(least) + 1]]


def test_what_was_not_declared_is_refused(syslogd):
    syslogd.begin()
    start(syslogd, events=(Event("quote", "info", "file", ""),))
    log.event("quote", file="x")
    with pytest.raises(KeyError):
        log.event("quota", file="x")
    with pytest.raises(KeyError):
        log.event("quote", file="x", line=1)
    assert syslogd.lines() == ["quote file=x"]


@pytest.mark.parametrize("ident", ["d", "da", "dae"])
def test_a_line_is_cut_between_two_characters(syslogd, ident):
    syslogd.begin()
    start(syslogd, ident=ident)
    log.event("crash", error="€" * 900, at="€" * 900, status="€" * 900)
    line, = syslogd.raw()
    assert log.LONGEST - 3 < len(line) <= log.LONGEST
    assert line.decode().endswith("€")


def test_a_crash_is_one_line_from_the_inside_out(syslogd):
    def inner():
        raise ValueError("two\nlines")

    syslogd.begin()
    start(syslogd)
    try:
        inner()
    except ValueError as error:
        log.crash(error, session="1")
    line, = syslogd.lines()
    assert re.fullmatch(r'crash session=1 error="ValueError: two\\x0alines" '
                        r'at="test_log.py:\d+ inner < test_log.py:\d+ test_a_crash_is.*"', line)


def test_an_ident_that_is_no_text_breaks_nothing(syslogd):
    syslogd.begin()
    start(syslogd, ident="a\udcff")
    say("x")
    assert b"udcff[" in syslogd.raw()[0]


# -- a syslogd that is slow, away or replaced --

def test_lines_wait_for_a_syslogd_that_is_not_there(syslogd):
    start(syslogd)
    for number in range(3):
        say(number)
    assert log.undelivered() and log.settle(0) == 3
    syslogd.begin()
    assert log.settle(0) == 0
    assert syslogd.lines() == [f"warning text={number}" for number in range(3)]


def test_of_too_many_the_oldest_are_lost_and_counted(syslogd, monkeypatch):
    monkeypatch.setattr(log, "BACKLOG", 5)
    start(syslogd)
    for number in range(8):
        say(number)
    syslogd.begin()
    log.settle(0)
    assert syslogd.lines() == [*(f"warning text={number}" for number in range(3, 8)), "lost count=3"]
    assert not log.undelivered()


def test_what_a_child_left_behind_is_said_by_its_parent(syslogd):
    syslogd.begin()
    start(syslogd)
    log.add_lost(2)
    assert log.undelivered()
    say("x")
    assert syslogd.lines() == ["warning text=x", "lost count=2"]


def test_a_syslogd_that_does_not_read_stops_nobody_and_gets_all_in_order(syslogd):
    syslogd.begin()
    start(syslogd)
    expected = [f"warning text={number}" for number in range(900)]      # above what the kernel queues
    for number in range(900):
        say(number)
    assert log.backlog() is not None
    heard = syslogd.lines()
    for _ in range(900):
        if not log.undelivered():
            break
        log.settle(0)
        heard += syslogd.lines()
    assert heard == expected


def test_a_syslogd_that_came_back_is_found_with_the_same_line(syslogd):
    syslogd.begin()
    start(syslogd)
    say("before")
    syslogd.sock.close()
    syslogd.begin()
    say("after")
    assert syslogd.lines() == ["warning text=after"]


def test_a_syslogd_that_is_not_there_is_not_asked_for_each_line(syslogd, monkeypatch):
    monkeypatch.setattr(log, "AGAIN", 60.0)
    start(syslogd)
    say(1)
    syslogd.begin()
    say(2)
    assert syslogd.lines() == []


def test_ndelay_finds_the_syslogd_at_once(syslogd):
    syslogd.begin()
    start(syslogd, options=("ndelay",))
    assert log.fileno() is not None
    start(syslogd)
    assert log.fileno() is None


def test_a_child_does_not_repeat_what_its_parent_has_to_say(syslogd):
    start(syslogd)
    say("of-the-parent")
    syslogd.begin()
    pid = os.fork()
    if pid == 0:
        say("of-the-child")
        os._exit(log.settle(0))
    assert os.waitpid(pid, 0)[1] == 0
    assert syslogd.lines() == ["warning text=of-the-child"]
    log.settle(0)
    assert syslogd.lines() == ["warning text=of-the-parent"]


# -- descriptor 2 --

@pytest.fixture
def errors(monkeypatch):
    """The descriptor of the person who reads us, as a pipe: what is written there."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    monkeypatch.setattr(descriptors, "errors", writer)
    yield reader
    os.close(reader)
    os.close(writer)


def test_stderr_instead_of_syslog(errors):
    log.start("echod", target="stderr", options=())
    say("to you")
    assert os.read(errors, 100) == b'echod: warning text="to you"\n'


def test_journald_reads_the_priority_before_the_line(errors, monkeypatch):
    status = os.fstat(descriptors.errors)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    log.start("echod", target="stderr")
    say("x")
    assert os.read(errors, 100) == b"<4>warning text=x\n"


def test_perror_says_it_here_as_well(syslogd, errors):
    syslogd.begin()
    start(syslogd, options=("perror",))
    say("x")
    assert os.read(errors, 100) == b"echod: warning text=x\n" and syslogd.lines() == ["warning text=x"]


def test_a_stderr_that_nobody_reads_stops_nobody(errors):
    log.start("echod", target="stderr")
    for _ in range(100):
        say("x" * 900)
    assert len(os.read(errors, 1 << 20)) >= 4096


def test_a_stderr_whose_reader_went_away_is_forgotten(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(descriptors, "errors", writer)
    log.start("echod", target="stderr")
    say("x")
    assert descriptors.errors is None
    os.close(writer)


def test_priorities_are_those_of_syslog():
    assert [log.PRIORITIES[name] for name in ("emerg", "err", "debug")] == [syslog.LOG_EMERG, syslog.LOG_ERR,
                                                                              syslog.LOG_DEBUG]
