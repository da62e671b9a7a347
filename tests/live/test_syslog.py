"""What arrives at /dev/log, and what happens when nobody takes it away."""

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess

import pytest

from daemons.kernel.log import FACILITIES, PRIORITIES
from tests.live import clients, devlog, installed, launchers, machine
from tests.live.launchers import WAIT, ByHand, Service, Xinetd

MODELS = ["one", "fork", "thread"]


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


def run(log, *options, name="probed", said=b"quit\r\n", prefix=(), environment=None):
    """Hold one conversation over pipes, with /dev/log leading to `log`; returns the finished process."""
    command = [*devlog.private_devlog(log), *prefix, *installed.argv(name, *options)]
    done = launchers.pipes(command, said, environment=environment)
    assert done.returncode == 0, done
    log.sync()
    return done


def texts(log, event):
    """The texts of an event, so far."""
    return [record.text for record in log.records if record.text.split()[0] == event]


# Where a line goes, and in what form.

# RFC 5424, 6.2.1
NUMBERS = {"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8,
           "cron": 9, "authpriv": 10, "ftp": 11, **{f"local{number}": 16 + number for number in range(8)}}


@pytest.mark.parametrize("facility", NUMBERS)
def test_each_facility_at_each_priority(log, facility):
    run(log, f"--facility={facility}", "--priority=debug", said=b"logs\r\nquit\r\n")
    found = [re.match(r"<(\d+)>", line)[1] for line in log.lines if " at-" in line]
    assert found == [str(8 * NUMBERS[facility] + priority) for priority in range(8)]


def test_every_facility_and_priority_of_syslog_is_there():
    assert set(FACILITIES) == set(NUMBERS)
    assert list(PRIORITIES) == devlog.PRIORITIES


@pytest.mark.parametrize("priority", PRIORITIES)
def test_the_priority_is_the_least_important_one_that_is_logged(log, priority):
    run(log, f"--priority={priority}", said=b"logs\r\nquit\r\n")
    told = [record.priority for record in log.records if record.text.startswith("at-")]
    assert told == list(PRIORITIES)[:list(PRIORITIES).index(priority) + 1]
    assert bool(texts(log, "open")) == bool(texts(log, "close")) == (priority in ("info", "debug"))


def test_a_line_is_the_one_of_syslog_3(log):
    run(log, name="echod", said=b"hello")
    pattern = r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d echod\[(\d+)\]: (open|close) session=([0-9a-f]{8}) .*"
    found = [re.fullmatch(pattern, line) for line in log.lines]
    assert [match[2] for match in found] == ["open", "close"]
    assert found[0][1] == found[1][1] and found[0][3] == found[1][3]


def test_the_clock_is_local_as_syslogd_expects(log):
    run(log, environment={"TZ": "XYZ-9"}, said=b"quit\r\n")
    there, here = (re.search(r" (\d\d):\d\d:\d\d ", line)[1] for line in
                   (log.lines[0], subprocess.run(["date", "+ %T "], env={"TZ": "XYZ-9"}, capture_output=True, text=True,
                                                 check=True).stdout))
    assert (int(here) - int(there)) % 24 in (0, 1)


def test_the_name_and_the_process_are_as_told(log):
    run(log, "--ident=porter", "--logopt=ndelay")
    run(log, "--ident=porter", "--logopt=ndelay,pid")
    idents = [(record.ident, record.pid is None) for record in log.records]
    assert idents == [("porter", True)] * 2 + [("porter", False)] * 2


def test_perror_says_it_on_stderr_too(log):
    done = run(log, "--logopt=pid,perror", said=b"says hello\r\nquit\r\n")
    lines = done.stderr.decode().splitlines()
    assert lines == [f"{record.ident}[{record.pid}]: {record.text}" for record in log.records]
    assert len(lines) == 3


def log_sockets(pid):
    """The number of a process's Unix sockets."""
    with open("/proc/net/unix") as table:
        return len(machine.sockets_of(pid) & {int(line.split()[6]) for line in list(table)[1:]})


@pytest.mark.parametrize("logopt, sockets", [("ndelay", 1), ("pid", 0)])
def test_ndelay_finds_the_syslogd_at_once(log, logopt, sockets):
    """And without it, a program that has nothing to say does not ask for one."""
    options = f"--log={log.path}", "--priority=emerg", f"--logopt={logopt}"
    with ByHand(Service(installed.argv("probed", *options), wait=WAIT)) as host:
        assert clients.converse(host.address, b"quit\r\n") == b""
        assert log_sockets(host.pid) == sockets


def test_cons_says_it_on_the_console_where_there_is_no_syslogd(log):
    console, terminal = pty.openpty()
    os.set_blocking(console, False)
    log.remove()
    prefix = ["sh", "-c", f'ln -s {os.ttyname(terminal)} /dev/console; exec "$@"', "sh"]
    run(log, "--logopt=pid", prefix=prefix)
    with pytest.raises(BlockingIOError):
        os.read(console, 1000)
    run(log, "--logopt=cons", prefix=prefix)
    lines = os.read(console, 10000).decode().splitlines()
    assert [re.search(r" probed: (\w+) session=", line)[1] for line in lines if line] == ["open", "close"]
    for fd in (console, terminal):
        os.close(fd)
    log.appear()


def test_cons_is_no_trouble_where_there_is_no_console_either(log):
    log.remove()
    run(log, "--logopt=cons")
    log.appear()


def test_stderr_is_for_containers(log):
    done = run(log, "--log=stderr", "--priority=debug", said=b"logs\r\nquit\r\n")
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 10 and log.lines == []
    assert all(re.match(r"probed\[\d+\]: (open|close|at-\w+) session=", line) for line in lines)


@pytest.mark.parametrize("right", [True, False])
def test_the_journal_gets_priorities_and_nobody_else_does(tmp_path, right):
    with open(tmp_path / "journal", "w+") as journal:
        status = os.fstat(journal.fileno())
        stream = f"{status.st_dev}:{status.st_ino if right else 7}"
        subprocess.run(installed.argv("probed", "--log=stderr", "--priority=debug"), input=b"logs\r\nquit\r\n",
                       stdout=subprocess.PIPE, stderr=journal, env={**os.environ, "JOURNAL_STREAM": stream}, check=True,
                       timeout=20)
        journal.seek(0)
        lines = journal.read().splitlines()
    if right:
        numbers = [int(re.match(r"<(\d)>at-", line)[1]) for line in lines if "at-" in line]
        assert numbers == list(range(8)) and lines[0].startswith("<6>open session=")
    else:
        assert all(line.startswith("probed[") for line in lines) and len(lines) == 10


def test_stderr_is_the_log_where_the_journal_has_descriptors_1_and_2():
    """As systemd starts a service that says no more than ExecStart=."""
    ours, journal = socket.socketpair()
    stream = "{0.st_dev}:{0.st_ino}".format(os.fstat(journal.fileno()))
    with socket.create_server(("127.0.0.1", 0)) as listener, ours:
        process = installed.as_systemd(installed.argv("echod", "--log=stderr"), [listener], stdout=journal,
                                       stderr=journal, environment={"JOURNAL_STREAM": stream})
        journal.close()
        assert clients.converse(listener.getsockname(), b"hello") == b"hello"
        process.first.send_signal(signal.SIGTERM)
        assert process.first.wait(10) == 0
        process.end()
        lines = ours.makefile().read().splitlines()
    assert [line.split()[0] for line in lines] == ["<6>start", "<6>open", "<6>close", "<6>stop"]


# What a peer says.

ESCAPED = [
    (b"\r<0>forged", r"text=\x0d<0>forged"),          # a line ends with LF, so that cannot be in one
    (b"\x1b[2J\x07", r"text=\x1b[2J\x07"),
    (b"nul\0after", r"text=nul\x00after"),
    (b"\xed\xa0\x80 \xff", r'text="\xed\xa0\x80 \xff"'),
    (b"%n%s%99999d", "text=%n%s%99999d"),
    ("\u2028\u2029\u0085\u202e".encode(), r"text=\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\xe2\x80\xae"),
    ("gr\u00fc\u00df\u20ac".encode(), "text=gr\u00fc\u00df\u20ac"),
    (b'a" session=forged b="', r'text="a\" session=forged b=\""'),
    (b"back\\slash", r"text=back\\slash"),
    (b"", 'text=""'),
]


@pytest.mark.parametrize("said, logged", ESCAPED)
def test_what_a_peer_says_is_one_line_that_cannot_be_mistaken(log, said, logged):
    run(log, said=b"says " + said + b"\r\nquit\r\n")
    assert [record.text.split()[0] for record in log.records] == ["open", "said", "close"]
    record = log.records[1]
    assert record.text.partition(" text")[1:] == (" text", logged[4:])
    assert record.line.isprintable() and record.priority == "notice"


def test_half_a_surrogate_pair_of_our_own_is_escaped_too(log):
    run(log, said=b"says_what_is_no_text\r\nquit\r\n")
    assert texts(log, "said")[0].endswith(r'text="half of a pair: \ud800"')


def test_64_kilobytes_are_one_line_that_says_how_many_there_were(log):
    run(log, said=b"says " + b"x\x01" * 32768 + b"\r\nquit\r\n")
    assert [record.text.split()[0] for record in log.records] == ["open", "said", "close"]
    line = log.lines[1]
    assert len(line.encode()) <= 4096 and line.isprintable()
    assert re.search(r"text=(x\\x01){100,}.*\.\.\.\(\d+\)$", line)


def test_a_line_break_in_an_exception_is_escaped(log):
    run(log, said=b"raises\r\n")
    record = log.wait_for(r"\bcrash ")
    assert r"no talk\x0d\x0a<0>forged \x1b[2J" in record.text and record.priority == "err"


# Every conversation has an open and a close.

@pytest.mark.parametrize("model", MODELS)
def test_every_conversation_has_one_open_and_one_close(log, model):
    options = f"--log={log.path}", f"--model={model}", "--timeout=1"
    with ByHand(Service(installed.argv("probed", *options), wait=WAIT)) as host:
        silent = clients.connect(host.address)
        assert clients.exchange(silent, half_close=False)[:0] == b""            # late
        for _ in range(20):
            clients.converse(host.address, b"quit\r\n")
        clients.converse(host.address, b"half a line")  # cut
        clients.converse(host.address, b"raises\r\n")   # crash
        clients.reset(host.address, b"says x\r\n")      # reset, or gone before we looked
        clients.converse(host.address)                  # gone
        log.wait_for(r"\bclose ", count=25)
        os.kill(host.pid, signal.SIGTERM)
        assert host.wait() == 0
    opened, closed = texts(log, "open"), texts(log, "close")
    assert len(opened) == len(closed) == 25
    assert sorted(text.split()[1] for text in opened) == sorted(text.split()[1] for text in closed)
    assert len({text.split()[1] for text in opened}) == 25
    reasons = [text.split()[2] for text in closed]
    for reason, count in (("late", 1), ("quit", 20), ("cut", 1), ("crash", 1)):
        assert reasons.count(f"reason={reason}") == count, reasons


# A syslogd that does not read, or is not there.

@pytest.fixture(params=MODELS)
def host(request, log):
    """A server of each model that nothing but its listener and its log tie to us."""
    options = f"--log={log.path}", f"--model={request.param}"
    with ByHand(Service(installed.argv("echod", *options), wait=WAIT)) as running:
        log.wait_for(r"\bstart ")
        yield running


def check(log, count):
    """Every conversation of `count` is in the log, from its open to its close."""
    log.wait_for(r"\bclose ", count=count)
    opened, closed = (re.findall(rf"\b{event} (session=\w+)", "\n".join(log.lines)) for event in ("open", "close"))
    assert sorted(opened) == sorted(closed) and len(set(opened)) == len(opened) == count


def test_a_stuck_syslogd_holds_up_no_conversation(log, host):
    log.fill()
    for _ in range(30):
        assert clients.converse(host.address, b"hello") == b"hello"
    log.resume()
    check(log, 30)


def test_a_stuck_syslogd_holds_up_no_process_of_its_own(log):
    """One that the launcher starts for each connection: its lines go once it has ended, but it ends."""
    log.fill()
    assert run(log, name="echod", said=b"hello").stdout == b"hello"
    log.resume()
    assert run(log, name="echod", said=b"again").stdout == b"again"
    log.wait_for(r"\bclose ")
    check(log, 1)


def test_a_dead_syslogd_holds_up_no_conversation_and_gets_it_all_when_it_is_back(log, host):
    log.remove()
    for _ in range(30):
        assert clients.converse(host.address, b"hello") == b"hello"
    log.appear()
    check(log, 30)                                      # without another event that would remind anybody


def test_a_syslogd_that_is_replaced_is_found_again(log, host):
    assert clients.converse(host.address, b"hello") == b"hello"
    log.wait_for(r"\bclose ")
    log.remove()
    log.appear()
    assert clients.converse(host.address, b"hello") == b"hello"
    check(log, 2)


@pytest.mark.parametrize("gone", [True, False])
def test_what_was_dropped_is_counted_and_said_and_what_waited_comes_in_order(log, gone):
    with ByHand(Service(installed.argv("echod", f"--log={log.path}", "--model=thread"), wait=WAIT)) as host:
        log.wait_for(r"\bstart ")
        if gone:
            log.remove()
        else:
            log.fill()
        for number in range(600):                       # one after the other: open comes before the answer
            assert clients.converse(host.address, b"x" * number) == b"x" * number
        if gone:
            log.appear()
        else:
            log.resume()
        record = log.wait_for(r"\blost count=")
        assert record.priority == "warning"
        lost = int(record.text.partition("count=")[2])
        log.wait_for(" in=599 ")
        kept = [text for text in map(str, log.lines) if "session=" in text]
        assert len(kept) + lost == 1200 and len(kept) >= 1000
        size = dict(re.findall(r"\bclose (session=\w+) .* in=(\d+) ", "\n".join(kept)))
        numbers = [int(size[session]) for session in re.findall(r"\bopen (session=\w+)", "\n".join(kept))]
        assert numbers == sorted(numbers) and len(numbers) >= 499 and numbers[-1] == 599
        assert len(texts(log, "lost")) == 1


def test_a_server_ends_though_nobody_takes_its_lines(log, host):
    log.fill()
    assert clients.converse(host.address, b"hello") == b"hello"
    os.kill(host.pid, signal.SIGTERM)
    assert host.wait() == 0


def test_a_stderr_that_nobody_reads_holds_up_no_conversation():
    listener = socket.create_server(("127.0.0.1", 0))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65536)
    os.set_blocking(writer, True)
    process = installed.as_inetd(installed.argv("echod", "--log=stderr"), listener, stderr=writer)
    for _ in range(5):
        assert clients.converse(listener.getsockname(), b"hello") == b"hello"
    process.end()
    listener.close()
    for fd in (reader, writer):
        os.close(fd)


# The real one.

def test_rsyslogd_writes_every_line_to_its_file():
    service = Service(installed.argv("probed", "--facility=local5"))
    with devlog.Rsyslog() as log, Xinetd(service, prefix=devlog.private_devlog(log)) as host:
        for number in range(5):
            said = b"says %d \x1b[2J\xff\r\nquit\r\n" % number
            assert clients.converse(host.address, said) == b"200 done\r\n"
        log.wait_for(r"\bclose ", count=5)
        for number in range(5):
            record = log.wait_for(rf"\bsaid .*text=.{number} ")
            assert record[:2] == ("local5", "notice") and record.text.endswith(rf'text="{number} \x1b[2J\xff"')
        assert len(log.lines) == 15
        assert {record.facility for record in log.records} == {"local5"}
