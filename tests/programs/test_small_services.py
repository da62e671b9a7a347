"""The classic small services as processes: however they are launched, each says what its RFC has it say."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest

from daemons import chargend, qotd
from tests.live.devlog import LogSocket
from tests.live.machine import unavailable
from tests.live.processes import Processes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINES = chargend.PAGE[:1000]
DAYTIME = rb"[MTWFS][a-z]+day, [A-Z][a-z]+ \d{1,2}, \d{4} \d\d:\d\d:\d\d-UTC\r\n"
QUOTE = b"(" + b"|".join(map(re.escape, qotd.OURS)) + b")\r\n"
QUESTION = b"?" * 100

# program, its options, what it says over TCP to QUESTION, and over UDP; None is silence
SERVICES = [
    ("echod", (), rb"\?{100}", rb"\?{100}"),
    ("discardd", (), b"", None),
    ("daytimed", (), DAYTIME, DAYTIME),
    ("timed", (), b"(?s)....", b"(?s)...."),
    ("chargend", ("--most=1000",), re.escape(LINES), rb"[ -~\r\n]{0,100}"),
    ("qotd", (), QUOTE, QUOTE),
]


class Program:
    """One of our programs, started as inetd does, with a socket on descriptors 0, 1 and 2 or with none, and its log."""

    def __init__(self, name, *arguments, sock=subprocess.DEVNULL):
        self.log = LogSocket()
        self.process = Processes([sys.executable, "-m", f"daemons.{name}", f"--log={self.log.path}", *arguments],
                                 cwd=ROOT, stdin=sock, stdout=sock, stderr=sock)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.end()
        self.log.__exit__()

    def port(self):
        """Where it listens, by its own word."""
        return int(re.search(r"listen=\S*:(\d+)", self.log.wait_for(" start ").text)[1])

    def stop(self):
        """Have it finish, once it has begun, and return its last words."""
        self.log.wait_for(" start ")
        self.process.first.send_signal(signal.SIGTERM)
        assert self.process.first.wait(10) == 0
        return self.log.wait_for(" stop ").text


@pytest.fixture
def launch():
    """Starts programs that end with the test."""
    started = []

    def start(*arguments, **others):
        started.append(Program(*arguments, **others).__enter__())
        return started[-1]

    yield start
    for program in started:
        program.__exit__()


def bound(kind, host="127.0.0.1", port=0):
    sock = socket.socket(socket.AF_INET, kind)
    try:
        sock.bind((host, port))
    except PermissionError:
        unavailable(f"port {port} needs root")
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def asked(name):
    """What a stream server says to QUESTION and the client's last word."""
    with socket.create_connection(name, 10) as client:
        client.sendall(QUESTION)
        client.shutdown(socket.SHUT_WR)
        return everything(client)


def everything(client):
    heard = b""
    while data := client.recv(65536):
        heard += data
    return heard


def check_datagrams(name, expected):
    """Ask twice: a server that is silent is alive if it counts what it got."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(name)
        for _ in range(2):
            client.send(QUESTION)
            if expected is not None:
                assert re.fullmatch(expected, client.recv(65536))


@pytest.mark.parametrize(("name", "options", "expected", "_"), SERVICES)
def test_with_a_connection_on_descriptor_0(launch, name, options, expected, _):
    with bound(socket.SOCK_STREAM) as listener, socket.create_connection(listener.getsockname(), 10) as client:
        served, _ = listener.accept()
        program = launch(name, *options, sock=served)
        served.close()
        client.sendall(QUESTION)
        client.shutdown(socket.SHUT_WR)
        assert re.fullmatch(expected, everything(client))
        assert program.process.first.wait(10) == 0
        close = program.log.wait_for(" close ").text
        assert re.search(r"reason=(done|most) ", close)


@pytest.mark.parametrize(("name", "options", "expected", "_"), SERVICES)
@pytest.mark.parametrize("model", ["thread", "fork", "one"])
def test_with_a_listener_on_descriptor_0(launch, name, options, expected, _, model):
    with bound(socket.SOCK_STREAM) as listener:
        program = launch(name, *options, f"--model={model}", sock=listener)
        assert [bool(re.fullmatch(expected, asked(listener.getsockname()))) for _ in range(3)] == [True] * 3
        assert "conversations=3" in program.stop()


@pytest.mark.parametrize(("name", "options", "_", "expected"), SERVICES)
def test_with_a_datagram_socket_on_descriptor_0(launch, name, options, _, expected):
    with bound(socket.SOCK_DGRAM) as sock:
        program = launch(name, *options, sock=sock)
        check_datagrams(sock.getsockname(), expected)
        program.log.wait_for(" packet ")
        program.stop()
        assert program.log.wait_for(f" packets in=2 answered={0 if expected is None else 2} ignored=0 refused=0")


@pytest.mark.parametrize(("name", "options", "stream", "datagram"), SERVICES)
def test_at_a_port_of_its_own(launch, name, options, stream, datagram):
    program = launch(name, *options, "--listen=127.0.0.1:0")
    where = "127.0.0.1", program.port()
    assert re.fullmatch(stream, asked(where))
    check_datagrams(where, datagram)
    program.log.wait_for(" packet ")
    program.stop()


def test_echod_returns_everything_after_the_client_has_said_its_last(launch):
    """Half-close: what is on its way when the client shuts down still comes back, and then the connection ends."""
    sent = os.urandom(3_000_000)
    program = launch("echod", "--listen=127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", program.port()), 10) as client:
        def speak():
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        speaker = threading.Thread(target=speak)
        speaker.start()
        assert everything(client) == sent
        speaker.join()
    assert "reason=done " in program.log.wait_for(" close ").text
    assert " in=3000000 out=3000000" in program.log.wait_for(" close ").text


def test_chargend_survives_a_client_that_aborts(launch):
    """RFC 864, TCP: "the service should be prepared for either the careful close or the rude abort"."""
    program = launch("chargend", "--listen=127.0.0.1:0")
    where = "127.0.0.1", program.port()
    with socket.create_connection(where, 10) as rude:
        rude.recv(1000)
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert "reason=reset" in program.log.wait_for(" close ").text
    with socket.create_connection(where, 10) as careful:
        assert careful.recv(74, socket.MSG_WAITALL) == LINES[:74]


def test_qotd_s_program_may_complain_into_the_log_alone(launch, tmp_path):
    script = tmp_path / "prints"
    script.write_text("#!/bin/sh\necho 'bad day' >&2\necho quote\n")
    script.chmod(0o755)
    with bound(socket.SOCK_STREAM) as listener, socket.create_connection(listener.getsockname(), 10) as client:
        served, _ = listener.accept()
        program = launch("qotd", f"--exec={script}", sock=served)
        served.close()
        assert everything(client) == b"quote\r\n"
        assert program.log.wait_for(" stderr ").text == 'stderr text="bad day"'


@pytest.mark.parametrize(("arguments", "why"), [
    (("qotd", "--quotes=/no/such/file"), "/no/such/file: No such file or directory"),
    (("qotd", "--database=/dev/null", "--exec=/bin/echo"), "quotes come from one of them"),
    (("chargend", "--reply-limit=1K"), "must be 512 or less"),
    (("daytimed", "--format=c"), "must be one of")])
def test_a_bad_option_ends_the_start_with_100_and_says_nothing_to_the_client(arguments, why):
    ours, client = socket.socketpair()
    with client:
        name, *options = arguments
        ended = subprocess.run([sys.executable, "-m", f"daemons.{name}", "--log=stderr", *options], cwd=ROOT,
                               stdin=ours, stdout=ours, stderr=subprocess.PIPE, text=True, timeout=60)
        ours.close()
        assert client.recv(100) == b""
        assert ended.returncode == 100 and why in ended.stderr


def test_two_daemons_pointed_at_each_other_stop_after_one_packet(launch):
    """CVE-2024-2169, with a forged first packet, as processes at their own ports."""
    host = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.251"
    with bound(socket.SOCK_DGRAM, host, 7) as one, bound(socket.SOCK_DGRAM, host, 19) as other:
        echo, chargen = launch("echod", sock=one), launch("chargend", "--reply-limit=512", sock=other)
        forge(one.getsockname(), other.getsockname(), QUESTION)
        assert chargen.log.wait_for(" ignored ").text.endswith("why=server-port")
        chargen.stop()
        echo.stop()
        assert chargen.log.wait_for(" packets ").text == "packets in=1 answered=0 ignored=1 refused=0"
        assert not [line for line in echo.log.lines if " packet" in line], "it never heard of it"


@pytest.mark.parametrize("source", ["255.255.255.255", "127.255.255.255"])
def test_a_question_in_the_name_of_many_gets_no_answer(launch, source):
    """From a network the kernel takes none such, nor one from a group (RFC 1812, 5.3.7); from this machine it does."""
    with bound(socket.SOCK_DGRAM) as sock:
        program = launch("echod", sock=sock)
        forge((source, 5000), sock.getsockname(), QUESTION)
        check_datagrams(sock.getsockname(), rb"\?{100}")
        program.stop()
        assert " answered=2 " in program.log.wait_for(" packets ").text


def forge(source, destination, data):
    """Send a datagram in another's name (RFC 768, RFC 791); the kernel fills in length, id and checksum of IP."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    except PermissionError:
        unavailable("a raw socket needs root")
    with raw:
        addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
        head = struct.pack("!BBHHHBBH8s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, addresses)
        raw.sendto(head + struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0) + data, destination)


HEAVY = {"argparse", "asyncio", "dataclasses", "email", "hashlib", "logging", "pathlib", "random", "re", "shlex",
         "sqlite3", "ssl", "subprocess", "tempfile", "threading", "typing"}


@pytest.mark.parametrize("name", [service[0] for service in SERVICES])
def test_a_start_needs_no_heavy_module(name):
    code = f"import sys; sys.path.insert(0, {ROOT!r})\nimport daemons.{name}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, check=True, timeout=60)
    assert not HEAVY & set(done.stdout.decode().split())
