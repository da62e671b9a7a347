"""TLS as clients of others see it: openssl s_client, pyOpenSSL and sslscan, under every launcher and model."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from daemons.kernel import tls, tlsclient
from daemons.kernel.ends import NoHandshake
from daemons.kernel.stream import Stream
from daemons.kernel.transport import PipeTransport, SocketTransport
from daemons.tools import programs
from tests.certificates import Authority
from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import NOWAIT, WAIT, ByHand, Service, SocketActivate, Xinetd
from tests.live.test_standing import MODELS
from tests.play import dialogues

SECONDS = 60
QUERY = b"TLS\r\nQUIT\r\n"
STREAMS = [service.name for service in programs.launched() if "stream" in service.sockets]


@pytest.fixture(scope="module")
def authority():
    return Authority(processes.new_folder("tls"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.pair("localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def files(pair):
    """The options for one certificate."""
    return [f"--tls-cert={pair[0]}", f"--tls-key={pair[1]}"]


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


@pytest.fixture
def by_hand(log, files):
    """A function that starts a program with TLS and --listen; its host."""
    with contextlib.ExitStack() as stack:
        def started(*options, name="starttlsd", certificates=files):
            argv = installed.argv(name, f"--log={log.path}", "--config=/dev/null", *certificates, *options)
            host = stack.enter_context(ByHand(Service(argv, wait=WAIT)))
            log.wait_for(r"\bstart ")
            return host
        yield started


@pytest.fixture
def ask(authority):
    """A function that has openssl s_client say something; what it prints, or AssertionError with its complaint."""
    openssl = machine.program("openssl", "openssl")

    def asked(address, *options, said=QUERY):
        argv = [openssl, "s_client", "-connect", f"{address[0]}:{address[1]}", "-CAfile", authority.path,
                "-verify_return_error", "-quiet", *options]
        done = subprocess.run(argv, input=said, capture_output=True, timeout=SECONDS)
        if not done.stdout:
            raise AssertionError(done.stderr.decode())
        return done.stdout.decode()
    return asked


def texts(log, event):
    return [record.text for record in log.records if record.text.split()[0] == event]


# -- models and launchers --

@pytest.mark.parametrize("processes_", ["1", "2"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_speaks_tls(by_hand, ask, log, model, processes_):
    host = by_hand("--tls=implicit", f"--model={model}", f"--processes={processes_}")
    for _ in range(3):
        assert re.fullmatch(r"220 ready\r\n250 version=TLSv1.3 cipher=\S+ resumed=no\r\n221 bye\r\n", ask(host.address))
    log.wait_for(r"\bclose .* reason=quit ", count=3)
    assert all(" tls=yes" in text for text in texts(log, "open")) and len(texts(log, "tls")) == 3
    assert re.fullmatch(r"tls session=\w{8} version=TLSv1.3 cipher=\S+ resumed=no", texts(log, "tls")[0])


@pytest.mark.parametrize("model", MODELS)
def test_every_model_turns_to_tls_in_the_middle(by_hand, ask, log, model):
    host = by_hand(f"--model={model}")
    assert ask(host.address, "-starttls", "smtp", said=b"WHO\r\nQUIT\r\n") == "250 nobody, secure\r\n221 bye\r\n"
    assert clients.converse(host.address, b"WHO\r\nQUIT\r\n") == b"220 ready\r\n250 nobody, plain\r\n221 bye\r\n"
    log.wait_for(r"\bclose .* reason=quit ", count=2)
    assert all(" tls=no" in text for text in texts(log, "open")) and len(texts(log, "tls")) == 1


@pytest.mark.parametrize("launcher", [Xinetd, SocketActivate])
@pytest.mark.parametrize("wait", [NOWAIT, WAIT])
def test_every_launcher(launcher, wait, files, ask, log):
    argv = installed.argv("starttlsd", f"--log={log.path}", "--config=/dev/null", "--tls=implicit", *files)
    with launcher(Service(argv, wait=wait)) as host:
        assert "220 ready\r\n250 version=TLSv1.3" in ask(host.address)
        log.wait_for(r"\bclose .* reason=quit ")


def test_on_a_connected_socket_as_inetd_gives_it(files, authority, log):
    ours, theirs = socket.socketpair()
    argv = installed.argv("starttlsd", f"--log={log.path}", "--config=/dev/null", "--tls=implicit", *files)
    process = installed.as_inetd(argv, theirs)
    theirs.close()
    answered(SocketTransport(ours), authority)
    assert process.first.wait(SECONDS) == 0


def test_on_two_pipes(files, authority, log):
    (source, theirs), (mine, sink) = os.pipe(), os.pipe()
    argv = installed.argv("starttlsd", f"--log={log.path}", "--config=/dev/null", "--tls=implicit", *files)
    process = processes.Processes(argv, stdin=source, stdout=sink, stderr=subprocess.DEVNULL)
    os.close(source)
    os.close(sink)
    answered(PipeTransport(mine, theirs), authority)
    assert process.first.wait(SECONDS) == 0
    assert " from=pipes to=pipes " in texts(log, "open")[0] and " tls=yes" in texts(log, "open")[0]


def answered(transport, authority):
    """Hold a conversation as a client of ours, to its end."""
    secure = tlsclient.connect(transport, authority.client(), "localhost", machine.time.monotonic() + SECONDS)
    stream = Stream(secure, patience=SECONDS)
    stream.send(QUERY)
    assert stream.line() == b"220 ready" and b"version=TLSv1.3" in stream.line() and stream.line() == b"221 bye"
    assert stream.some() == b""
    stream.close()


def test_names_of_sockets_tell_which_are_secure(files, ask, log):
    """systemd: one service, two sockets, FileDescriptorName=start and starts."""
    argv = installed.argv("starttlsd", f"--log={log.path}", "--config=/dev/null", *files)
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as secure:
        process = installed.as_systemd(argv, [plain, secure], {"LISTEN_FDNAMES": "start:starts"})
        log.wait_for(r"\bstart ")
        assert ask(secure.getsockname()).startswith("220 ready\r\n250 version=")
        assert clients.converse(plain.getsockname(), b"TLS\r\n") == b"220 ready\r\n250 none\r\n"
        assert ask(plain.getsockname(), "-starttls", "smtp").startswith("250 version=")
        process.end()


def test_a_socket_that_is_named_secure_is_not_served_without_a_certificate(log):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        process = installed.as_systemd(installed.argv("starttlsd", f"--log={log.path}", "--config=/dev/null"), [sock],
                                       {"LISTEN_FDNAMES": "starts"})
        assert clients.converse(sock.getsockname(), b"TLS\r\n") == b""
        assert process.first.wait(SECONDS) == 100
    assert "there is no certificate" in texts(log, "misuse")[0]


# -- versions, names, protocols, clients --

@pytest.mark.parametrize("least, asked, version", [
    ("1.2", "-tls1_2", "TLSv1.2"), ("1.2", "-tls1_3", "TLSv1.3"), ("1.3", "-tls1_3", "TLSv1.3"),
    ("1.3", "-tls1_2", None), ("1.2", "-tls1_1", None), ("1.2", "-tls1", None)])
def test_versions(by_hand, ask, log, least, asked, version):
    host = by_hand("--tls=implicit", f"--tls-min={least}")
    if version:
        assert f" version={version} " in ask(host.address, asked)
        return
    with pytest.raises(AssertionError, match=r"alert|no protocols available"):
        ask(host.address, asked, *(["-cipher", "ALL:@SECLEVEL=0"] if asked != "-tls1_2" else []))
    log.wait_for(r'\bclose .* reason=tls why="unsupported protocol"')


def test_certificates_by_name(by_hand, ask, authority, pair):
    pairs = [pair, authority.pair("a.example", "b.example"), authority.pair("*.wild.example")]
    host = by_hand("--tls=implicit", certificates=["--tls-cert=" + ",".join(one for one, _ in pairs),
                                                   "--tls-key=" + ",".join(key for _, key in pairs)])
    for name in ("b.example", "x.wild.example"):
        assert f" name={name} " in ask(host.address, "-servername", name, "-verify_hostname", name)
    for elsewhere in (["-servername", "elsewhere.example"], ["-noservername"]):
        assert "250 version=" in ask(host.address, *elsewhere, "-verify_hostname", "localhost")
    with pytest.raises(AssertionError, match="verify"):
        ask(host.address, "-servername", "a.example", "-verify_hostname", "localhost")


def test_protocols_by_alpn(by_hand, ask):
    host = by_hand("--tls=implicit")
    assert " alpn=start/2 " in ask(host.address, "-alpn", "h9,start/2")
    assert " alpn=" not in ask(host.address)


def test_clients_certificates(by_hand, ask, authority, log, tmp_path):
    alice = authority.pair("alice", client=True, file="alice")
    mallory = Authority(tmp_path, "other").pair("mallory", client=True)
    with_alice, with_mallory = (["-cert", cert, "-key", key] for cert, key in (alice, mallory))
    required = by_hand("--tls=implicit", "--tls-clients=require", f"--tls-ca={authority.path}")
    wanted = by_hand("--tls=implicit", "--tls-clients=ask", f"--tls-ca={authority.path}")
    assert " client=CN=alice " in ask(required.address, *with_alice)
    assert " client=CN=alice " in ask(wanted.address, *with_alice)
    assert " client=" not in ask(wanted.address)
    for host, how, why in ((required, [], "peer did not return a certificate"),
                           (required, with_mallory, "certificate verify failed: "),
                           (wanted, with_mallory, "certificate verify failed: ")):
        with pytest.raises(AssertionError, match="alert"):
            ask(host.address, *how)
        log.wait_for(rf'\bclose .* reason=tls why="{why}')


# -- sessions --

@pytest.mark.parametrize("how", [["--model=one"], ["--model=fork"], ["--model=thread"],
                                 ["--model=fork", "--processes=2"], ["--model=thread", "--processes=2"]],
                         ids=" ".join)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_taken_up_again(by_hand, ask, tmp_path, how, version):
    """Whichever process serves: ticket keys were made before any was forked."""
    host, kept = by_hand("--tls=implicit", *how), str(tmp_path / "session")
    assert " resumed=no\r\n" in ask(host.address, version, "-sess_out", kept)
    for _ in range(6):
        assert " resumed=yes\r\n" in ask(host.address, version, "-sess_in", kept)


def test_openssl_reconnects_five_times(by_hand, authority):
    host = by_hand("--tls=implicit", "--model=fork")
    done = subprocess.run(["openssl", "s_client", "-connect", "{}:{}".format(*host.address), "-reconnect", "-tls1_2",
                           "-CAfile", authority.path], input=b"QUIT\r\n", capture_output=True, timeout=SECONDS)
    assert done.stdout.count(b"\nReused, TLSv1.2") == 5


@pytest.mark.parametrize("how", [["--model=fork"], ["--model=thread"], ["--model=fork", "--processes=2"]],
                         ids=" ".join)
def test_certificates_are_read_anew_while_it_serves(by_hand, ask, authority, log, how, tmp_path):
    pair = authority.pair("localhost", file=f"renewed{len(how)}{how[0][-1]}")
    host = by_hand("--tls=implicit", *how, certificates=[f"--tls-cert={pair[0]}", f"--tls-key={pair[1]}"])
    kept = str(tmp_path / "session")
    ask(host.address, "-verify_hostname", "localhost", "-sess_out", kept)
    authority.pair("renewed.example", file=Path(pair[0]).stem)

    def renewed():
        with contextlib.suppress(AssertionError):
            return ask(host.address, "-verify_hostname", "renewed.example")
    assert "250 version=" in machine.until(renewed, SECONDS, "new certificate")
    assert f"renewed files={pair[0]}" in texts(log, "renewed")
    assert " resumed=yes" in ask(host.address, "-sess_in", kept)        # an upgrade costs no client its session
    authority.write(f"{Path(pair[1]).stem}.key", authority.signed("other")[1])
    machine.until(lambda: ask(host.address) and texts(log, "unrenewed"), SECONDS, "complaint")
    machine.until(renewed, SECONDS, "certificate that stays")           # each process looks for itself
    assert {record.priority for record in log.records if record.text.startswith("unrenewed ")} == {"err"}


# -- ends --

def test_a_handshake_has_its_time(by_hand, log):
    host = by_hand("--tls=implicit", "--tls-timeout=0.3")
    with clients.connect(host.address) as silent, clients.connect(host.address) as slow:
        slow.sendall(b"\x16\x03\x01\x02")
        assert silent.recv(100) == b"" == slow.recv(100)
    log.wait_for(r'\bclose .* reason=tls why="the peer took too long"', count=2)


@pytest.mark.parametrize("said", [b"EHLO me\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100, b"\x80\x2e\x01\x00\x02"])
def test_a_plain_client_hears_an_alert_at_most(by_hand, log, said):
    host = by_hand("--tls=implicit")
    heard = clients.converse(host.address, said)
    assert heard == b"" or (heard[0] == 0x15 and len(heard) == 7)
    log.wait_for(r"\bclose .* reason=tls why=")
    assert {record.priority for record in log.records} == {"info"}


def test_who_may_not_come_is_not_shaken_hands_with(by_hand, log):
    host = by_hand("--tls=implicit", "--no-access=127.0.0.0/8")
    with contextlib.suppress(ConnectionResetError):     # decided before anything was read
        assert clients.converse(host.address, b"\x16\x03\x01") == b""
    log.wait_for(r"\brefused .* why=no-access")


def test_who_is_turned_away_from_tls_hears_nothing_plain(by_hand, log):
    """Neither over a limit nor by a crash: the words for "not now" are for who can read them."""
    host = by_hand("--tls=implicit", "--per-source=1", "--model=fork")
    with clients.connect(host.address):
        log.wait_for(r"\bopen ")
        assert clients.converse(host.address, half_close=False) == b""
    log.wait_for(r"\brefused .* why=per-source")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("model", MODELS)
def test_half_close(by_hand, authority, log, model, version):
    host = by_hand(f"--model={model}", name="echod")
    context = authority.client(most=tls.VERSIONS[version])
    much = os.urandom(300_000)
    with clients.connect(host.address) as sock:
        sock.settimeout(None)
        transport = tlsclient.connect(SocketTransport(sock), context, "localhost", machine.time.monotonic() + SECONDS)
        stream, said = Stream(transport, patience=SECONDS), threading.Event()

        def say():
            transport.send(much[:5], None)
            said.set()
        say()
        assert stream.block(5) == much[:5]
        transport.send(much[5:60_000], None)
        stream.half_close()
        assert stream.block(59_995) == much[5:60_000] and stream.some() == b""
    log.wait_for(r"\bclose .* reason=done seconds=\S+ in=60000 out=60000")


def test_truncation_is_told(by_hand, authority, log):
    host = by_hand(name="echod")
    with clients.connect(host.address) as sock:
        transport = tlsclient.connect(SocketTransport(sock), authority.client(), "localhost",
                                machine.time.monotonic() + SECONDS)
        transport.send(b"half a", None)
        sock.shutdown(socket.SHUT_WR)
        log.wait_for(r'\bclose .* reason=reset why="the connection ended without TLS\'s close_notify"')
        with pytest.raises(tls.Truncated):
            while transport.receive(100, machine.time.monotonic() + SECONDS):
                pass


# -- starting, or not --

@pytest.mark.parametrize("check", [[], ["--check"]])
def test_files_that_do_not_fit_stop_the_start(authority, log, check):
    certificate, key = authority.pair("localhost", file="fits")[0], authority.pair("other", file="fits-not")[1]
    ours, theirs = socket.socketpair()
    process = installed.as_inetd(installed.argv("echod", f"--log={log.path}", "--config=/dev/null", *check,
                                                f"--tls-cert={certificate}", f"--tls-key={key}"), theirs)
    theirs.close()
    assert process.first.wait(SECONDS) == 100
    ours.settimeout(SECONDS)
    assert ours.recv(100) == b""
    assert log.wait_for(r"\bmisuse ").priority == "err" and "no key that belongs to it" in texts(log, "misuse")[0]


def test_check_reads_the_certificates(files):
    done = subprocess.run(installed.argv("echod", "--config=/dev/null", "--check", *files), capture_output=True,
                          text=True, timeout=SECONDS)
    assert (done.stdout, done.returncode) == ("echod: options and files are in order\n", 0)


def test_explain_tells_the_state_of_tls(by_hand, files, pair):
    def page(*options):
        argv = installed.argv("starttlsd", "--explain", "--listen=127.0.0.1:0", "--log=/nowhere", "--config=/dev/null",
                              *options)
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS).stdout
    assert re.search(r"^tls +none$", page(), re.MULTILINE)
    told = page(*files)
    assert re.search(r"^tls +offered; TLS 1.2 or newer, client certificates: no$", told, re.MULTILINE)
    assert re.search(rf"^certificate +{pair[0]} for localhost 127.0.0.1, until 20..-..-.. ..:..:.. UTC$", told, re.M)
    assert re.search(r"^tls +from the first octet; TLS 1.3", page(*files, "--tls=implicit", "--tls-min=1.3"), re.M)


# -- quality --

def test_sslscan_finds_nothing_weak(by_hand, authority, pair):
    """It paints red and yellow what it finds weak; the two red lines that stay are about how sslscan was built."""
    sslscan = machine.program("sslscan", "sslscan")
    rsa = authority.pair("localhost", "127.0.0.1", kind="rsa", file="rsa")
    host = by_hand("--tls=implicit", "--model=thread", certificates=[f"--tls-cert={pair[0]},{rsa[0]}",
                                                                     f"--tls-key={pair[1]},{rsa[1]}"])
    report = Path(authority.folder) / "sslscan.xml"
    shown = subprocess.run([sslscan, f"--xml={report}", "{}:{}".format(*host.address)], capture_output=True, text=True,
                           timeout=120).stdout
    painted = [line for line in shown.splitlines() if re.search(r"\x1b\[3[13]m", line)]
    assert [line for line in painted if "compression" not in line and "zlib" not in line] == []
    found = xml.parse(report).getroot().find("ssltest")
    spoken = {(one.get("type"), one.get("version")) for one in found.findall("protocol") if one.get("enabled") == "1"}
    assert spoken == {("tls", "1.2"), ("tls", "1.3")}
    ciphers = found.findall("cipher")
    assert len(ciphers) == 9 and {one.get("strength") for one in ciphers} <= {"strong", "acceptable"}
    assert all(re.match(r"TLS_|ECDHE-", one.get("cipher")) for one in ciphers)
    assert found.find("renegotiation").get("supported") == "0" and "TLS Fallback SCSV" in shown


# -- every program, with pyOpenSSL at the other end --

class PyOpenSSL:
    """A client made with pyOpenSSL: says something, ends its way, and hears all."""

    def __init__(self, authority):
        from OpenSSL import SSL
        self.ssl = SSL
        self.context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self.context.load_verify_locations(authority.path)
        self.context.set_verify(SSL.VERIFY_PEER)

    def converse(self, address, data):
        with clients.connect(address) as sock:
            sock.settimeout(None)
            there = self.ssl.Connection(self.context, sock)
            there.set_tlsext_host_name(b"localhost")
            there.set_connect_state()
            there.do_handshake()
            if data:
                there.sendall(data)
            heard = b""
            there.shutdown()            # our close_notify
            with contextlib.suppress(self.ssl.ZeroReturnError):         # theirs: a truncation would be another error
                while True:
                    heard += there.recv(65536)
            return heard


def by_ours(authority, address, data):
    """What our own client hears."""
    deadline = machine.time.monotonic() + SECONDS
    with clients.connect(address) as sock:
        transport = tlsclient.connect(SocketTransport(sock), authority.client(), "localhost", deadline)
        transport.send(data, deadline)
        transport.half_close()
        return b"".join(iter(lambda: transport.receive(65536, deadline), b""))


@pytest.mark.parametrize("name", STREAMS)
def test_every_program_converses_with_pyopenssl(name, authority, files, log):
    """All its dialogues, at once, beside a plain conversation: answers may depend on when and by whom one is asked.

    Who has an upgrade says other things within TLS than without: then beside our own client.
    """
    client, played, changes = PyOpenSSL(authority), dialogues(name), programs.program(name).SERVICE.upgrades
    assert played, f"{name} has no dialogue to play"
    for dialogue in played:
        said = b"".join(dialogue.said)
        argv = installed.argv(name, f"--log={log.path}", "--config=/dev/null", *dialogue.arguments)
        with ByHand(Service(argv, wait=WAIT)) as plain, \
                ByHand(Service([*argv, "--tls=implicit", *files], wait=WAIT)) as secure:
            heard = client.converse(secure.address, said)
            wanted = by_ours(authority, secure.address, said) if changes else clients.converse(plain.address, said)
        assert alike(heard, wanted), dialogue.name
    log.wait_for(r"\btls ", count=len(played))
    assert not texts(log, "crash")


def alike(one, other):
    """Equal, or as many lines of the same lengths: a second has passed, or another port asked."""
    return one == other or [len(line) for line in one.split(b"\n")] == [len(line) for line in other.split(b"\n")]


def test_pyopenssl_checks_what_it_gets(authority, by_hand, tmp_path):
    """The client of the test above would notice a wrong certificate."""
    host = by_hand(name="echod")
    with pytest.raises(NoHandshake), clients.connect(host.address) as sock:
        tlsclient.connect(SocketTransport(sock), Authority(tmp_path).client(), "localhost",
                    machine.time.monotonic() + SECONDS)
    other = PyOpenSSL(Authority(tmp_path, "other"))
    with pytest.raises(other.ssl.Error):
        other.converse(host.address, b"x")
