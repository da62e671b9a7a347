"""Whatever breaks, the client gets nothing but protocol, and the log gets one line for each complaint."""

import re

import pytest

from tests.live import clients, devlog, installed, launchers, machine
from tests.live.launchers import ME, Xinetd

BUSY = b"421 not now\r\n"
WAYS = {                                # xinetd's wait, and how the program then serves
    "nowait": ("no", []), "fork": ("yes", ["--model=fork"]), "thread": ("yes", ["--model=thread"]),
    "one": ("yes", ["--model=one"]), "workers": ("yes", ["--model=thread", "--processes=2"])}
PRIORITIES = {"open": "info", "close": "info", "start": "info", "stop": "info", "said": "notice", "stderr": "warning",
              "lost": "warning", "crash": "err", "misuse": "err"}


def entry(name, way, *options):
    """A service for xinetd, as its manual page would have it."""
    wait, more = WAYS[way]
    arguments = " ".join(installed.argv(name, *more, *options)[1:])
    return f"""
service {name}
{{
    id          = {name}-{way}
    type        = UNLISTED
    port        = {name}-{way}
    socket_type = stream
    protocol    = tcp
    wait        = {wait}
    user        = {ME}
    cps         = 1000 1
    server      = {installed.argv(name)[0]}
    {"server_args = " + arguments if arguments else ""}
}}
"""


@pytest.fixture(scope="module")
def log():
    with devlog.LogSocket() as socket:
        yield socket


@pytest.fixture(scope="module")
def services(log):
    """xinetd with one service for each way to serve; each logs below the way's name."""
    text = "".join(entry("probed", way, f"--ident={way}", f"--log={log.path}") for way in WAYS)
    with Xinetd.of_file(text) as host:
        yield host


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture
def tell(services, log, way):
    """A function that gives commands to probed, and returns its answer and what was logged meanwhile."""
    def told(*commands):
        before = len(log.lines)
        closed = sum(is_close(record, way) for record in log.records)
        said = clients.converse(services.addresses[f"probed-{way}"], b"".join(line + b"\r\n" for line in commands))
        log.wait_for(lambda record: is_close(record, way), count=closed + 1)
        return said, [record for record in log.records[before:] if record.ident == way]
    return told


def is_close(record, way):
    """Is this the end of a conversation?  It is the last line, but for what the fork model's parent reads later."""
    return record.ident == way and record.text.startswith("close ")


def well_logged(records):
    """Each line is one, of an event at its priority, and in printable characters."""
    for record in records:
        assert record.text.isprintable(), record
        assert record.priority == PRIORITIES[record.text.split()[0]], record
        assert record.facility == "daemon", record
    return True


def of(records, event):
    """The texts of an event."""
    return [record.text for record in records if record.text.split()[0] == event]


def test_an_exception_in_a_conversation_is_logged_and_answered_in_the_protocols_words(tell):
    said, records = tell(b"raises")
    assert said == BUSY                                 # and not the half reply that was queued
    crash, = of(records, "crash")
    assert r'error="RuntimeError: no talk\x0d\x0a<0>forged \x1b[2J"' in crash
    assert re.search(r' at="probed.py:\d+ raises < probed.py:\d+ talk < ', crash)
    close, = of(records, "close")
    assert " reason=crash " in close
    assert crash.split()[1] == close.split()[1] == of(records, "open")[0].split()[1]
    assert well_logged(records)


def test_a_crash_ends_one_conversation_and_no_other(services, log, tell, way):
    if way == "one":
        pytest.skip("there is no other")
    with clients.connect(services.addresses[f"probed-{way}"]) as other:
        other.sendall(b"says before\r\n")
        assert other.recv(100) == b"200 done\r\n"
        assert tell(b"raises")[0] == BUSY
        other.sendall(b"says after\r\nquit\r\n")
        assert other.recv(100) == b"200 done\r\n"
        log.wait_for(rf" {way}\[\d+\]: said .* text=after$")


def test_a_warning_becomes_lines_of_the_log(tell, log, way):
    said, records = tell(b"warns")
    assert said == b"200 done\r\n"
    log.wait_for(rf" {way}\[\d+\]: stderr .*UserWarning: no warning")
    log.wait_for(rf" {way}\[\d+\]: stderr .*forged \\x1b\[2J")
    assert well_logged(records)


def test_what_is_written_to_descriptors_1_and_2_never_reaches_the_client(tell, log, way):
    said, _ = tell(b"writes")
    assert said == b"200 done\r\n"
    assert log.wait_for(rf' {way}\[\d+\]: stderr text="to descriptor 2\\x0d"$').priority == "warning"
    assert log.wait_for(rf' {way}\[\d+\]: stderr text="<0>forged \\x1b\[2J"$').priority == "warning"
    assert not any("to descriptor 1" in line for line in log.lines)


def test_what_is_printed_never_reaches_the_client(tell, log, way):
    said, _ = tell(b"prints")
    assert said == b"200 done\r\n"
    log.wait_for(rf' {way}\[\d+\]: stderr text="printed, for a person"$')


def test_a_childs_complaints_become_lines_of_the_log(tell, log, way):
    said, _ = tell(b"complains 2")
    assert said == b"200 done\r\n"
    log.wait_for(rf' {way}\[\d+\]: stderr text="a child complains', count=2)


def test_everything_that_happened_so_far_was_well_logged(log):
    assert well_logged(log.records)


def test_a_child_that_does_not_stop_to_complain_is_not_stuck(services, log, way):
    """More than the 64 KiB that a pipe holds, and than a syslogd may be quick enough to take; then it is counted."""
    begin = len(log.lines)
    heard = clients.converse(services.addresses[f"probed-{way}"], b"complains 2000\r\n", seconds=60)
    assert heard == b"200 done\r\n"

    def accounted():
        lines = [line for line in log.lines[begin:] if f" {way}[" in line]
        lost = sum(int(line.partition("lost count=")[2] or 0) for line in lines)
        return lost + sum(line.endswith("to complain: 0123456789 0123456789\"") for line in lines)

    machine.until(lambda: accounted() >= 2000, 60, "an account of every line")
    assert accounted() <= 2003                          # open and close may be among the lost


# A program that cannot begin.

FAULTS = {
    # program and options -> what a connected client hears, what one who waits in the queue, the event, what it says
    "import": ("unstartedd", [], b"", b"", "crash", r'error="RuntimeError: no import\x0d\x0a<0>forged \x1b[2J"'),
    "syntax": ("unreadd", [], b"", b"", "crash", 'error="SyntaxError: invalid syntax (unreadd.py, line 1)"'),
    "setup-error": ("probed", ["--fault=error"], BUSY, BUSY, "crash",
                    r'error="RuntimeError: no setup\x0d\x0a<0>forged \x1b[2J"'),
    "setup-value": ("probed", ["--fault=value"], b"", b"", "misuse", r'text="a wrong\x0avalue"'),
    "setup-file": ("probed", ["--fault=file"], b"", b"", "misuse",
                   'text="/nonexistent/file: No such file or directory"'),
    "option": ("probed", ["--no-such-option"], b"", b"", "misuse", "no option --no-such-option"),
}


@pytest.fixture(params=FAULTS)
def fault(request):
    return FAULTS[request.param]


@pytest.mark.parametrize("target", ["syslog", "stderr"])
def test_a_program_that_cannot_begin_says_so_in_one_line_to_the_person_who_starts_it(fault, target):
    name, options, *_, words = fault
    if target == "stderr" and name != "probed":
        pytest.skip("it never comes to read where to log")
    done = launchers.pipes(installed.argv(name, *options, f"--log={target}"))
    assert done.returncode in (100, 111) and done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and words.partition("=")[2].strip('"') in lines[0]


@pytest.mark.parametrize("wait", ["nowait", "fork"])
def test_a_program_that_cannot_begin_says_so_in_the_log_alone(fault, wait):
    name, options, connected, queued, event, words = fault
    with devlog.LogSocket() as log:
        text = entry(name, wait, *options)
        with Xinetd.of_file(text, prefix=devlog.private_devlog(log)) as host, clients.connect(host.address) as sock:
            assert clients.exchange(sock) == (connected if wait == "nowait" else queued)
            record = log.wait_for(rf" {name}\[\d+\]: {event} ")
    assert words in record.text
    ours = [one for one in log.records if one.ident == name]        # libwrap in xinetd has its own troubles
    assert {one.text.split()[0] for one in ours} == {event}
    assert well_logged(ours)
