"""TLS in memory: handshakes that go well or fail, upgrades that forget, ends told apart; and which files it takes."""

import os
import random
import socket
import ssl
import threading
import time

import pytest

from daemons.kernel import certificate, dial, log, tls, tlsclient
from daemons.kernel.addresses import Address
from daemons.kernel.conversation import Program, hold, rehearse
from daemons.kernel.ends import LateHandshake, NoHandshake, Reset, Stopped, Truncated
from daemons.kernel.inherited import CONNECTION, LISTENER, PIPES, Given
from daemons.kernel.options import Misuse, read
from daemons.kernel.pump import pump
from daemons.kernel.service import Service
from daemons.kernel.stream import PIECE, Stream
from daemons.kernel.transport import SocketTransport
from tests.certificates import Authority, SecurePeer
from tests.live import starttlsd
from tests.play import Peer

LONG = 10.0
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
PLAIN = Service("plaind", about="Have no upgrade.", sockets=("stream",), protocol="plain")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.pair("localhost", "127.0.0.1")


@pytest.fixture(autouse=True)
def said(tmp_path):
    """What is logged goes to a socket that nobody has; the events of the kernel are known."""
    log.start("test", target=str(tmp_path / "log"), events=starttlsd.SERVICE.events)


def options_of(service, *arguments):
    return read(service, ["--config=/dev/null", *arguments], {})


def options_with(pair, *more, service=starttlsd.SERVICE):
    return options_of(service, f"--tls-cert={pair[0]}", f"--tls-key={pair[1]}", *more)


def program_with(pair, *more, service=starttlsd.SERVICE, talk=starttlsd.talk, given=()):
    options = options_with(pair, *more, service=service)
    program = Program(service, options, talk, None, "test")
    program.tls = tls.Security(options, service)
    program.tls.arrange(list(given))
    return program


def held(program, peer, monkeypatch=None):
    """Hold a conversation with a peer in memory; its Outcome, and the `tls` event, if there was one."""
    events = []
    if monkeypatch:
        monkeypatch.setattr(log, "event", lambda event, /, *_, **values: events.append((event, values)))
        monkeypatch.setattr(log, "is_told", bool)
    outcome = hold(program, peer, Address("192.0.2.7", 41822), Address("192.0.2.1", 25), "00000000")
    return outcome, dict(events)


def cuts(*lines):
    """What a client says, by line, at once and by octet."""
    everything = b"".join(lines)
    return {"by line": list(lines), "at once": [everything], "by octet": [bytes([octet]) for octet in everything]}


# -- conversations --

BEFORE = (b"NAME mallory\r\n", b"STARTTLS\r\n")
AFTER = (b"WHO\r\n", b"NAME alice\r\n", b"WHO\r\n", b"STARTTLS\r\n", b"QUIT\r\n")
ANSWERS = b"250 nobody, secure\r\n250 you are alice\r\n250 alice, secure\r\n502 no\r\n221 bye\r\n"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cut", ["by line", "at once", "by octet"])
def test_an_upgrade_begins_a_new_dialogue(authority, pair, cut, version):
    peer = SecurePeer(authority.client(most=VERSIONS[version]), cuts(*BEFORE)[cut], cuts(*AFTER)[cut])
    outcome, _ = held(program_with(pair), peer)
    assert peer.heard == b"220 ready\r\n250 you are mallory\r\n220 go ahead\r\n"
    assert peer.heard_secure == ANSWERS and peer.their_end
    assert (outcome.reason, outcome.why) == ("quit", "") and peer.closed


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cut", ["by line", "at once", "by octet"])
def test_tls_from_the_first_octet(authority, pair, cut, version):
    peer = SecurePeer(authority.client(most=VERSIONS[version]), [], cuts(*AFTER)[cut])
    outcome, _ = held(program_with(pair, "--tls=implicit"), peer)
    assert peer.heard == b"" and peer.heard_secure == b"220 ready\r\n" + ANSWERS and peer.their_end
    assert (outcome.reason, outcome.received, outcome.sent) == ("quit", len(b"".join(AFTER)), len(peer.heard_secure))


def test_what_came_with_the_upgrade_in_one_segment_is_forgotten(authority, pair):
    peer = SecurePeer(authority.client(), [b"STARTTLS\r\nNAME mallory\r\nWHO\r\n"], [b"WHO\r\n", b"QUIT\r\n"])
    outcome, _ = held(program_with(pair), peer)
    assert peer.heard == b"220 ready\r\n220 go ahead\r\n"
    assert peer.heard_secure == b"250 nobody, secure\r\n221 bye\r\n"
    assert outcome.reason == "quit" and outcome.commands == 3


def test_what_comes_behind_the_upgrade_is_no_handshake(pair):
    peer = Peer([b"STARTTLS\r\n", b"NAME mallory\r\n"])
    outcome, _ = held(program_with(pair), peer)
    assert b"you are" not in peer.heard and peer.closed
    assert (outcome.reason, outcome.why) == ("tls", "wrong version number")


def test_what_came_with_another_protocols_header_belongs_to_the_handshake(authority, pair):
    """A PROXY header and the first octets of TLS may come in one segment."""
    peer = SecurePeer(authority.client(), [], [b"WHO\r\n", b"QUIT\r\n"])
    receive = peer.receive
    peer.receive = lambda size, deadline: (b"" if peer.shaken else b"HEADER\r\n" * (not peer.writes)) + \
        receive(size, deadline)
    stream = Stream(peer)
    assert stream.line() == b"HEADER"
    peer.receive = receive
    security = program_with(pair, "--tls=implicit").tls
    begun = stream.unread()
    assert begun
    stream.upgrade(lambda transport: security.accept(transport, begun))
    assert stream.secure and stream.line() == b"WHO"


def test_the_log_tells_what_was_agreed(authority, pair, monkeypatch):
    client = authority.client()
    client.set_alpn_protocols(["unknown", "start/2"])
    peer = SecurePeer(client, [], [b"TLS\r\n"])
    outcome, events = held(program_with(pair, "--tls=implicit"), peer, monkeypatch)
    told = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "name": "localhost", "alpn": "start/2",
            "resumed": "no"}
    assert events["tls"] == {"session": "00000000", **told}
    assert " ".join(f"{key}={value}" for key, value in told.items()).encode() in peer.heard_secure
    assert outcome.reason == "gone"


def test_without_a_certificate_nothing_is_offered():
    options = options_of(starttlsd.SERVICE)
    peer = Peer([b"STARTTLS\r\n", b"TLS\r\n", b"QUIT\r\n"])
    held(Program(starttlsd.SERVICE, options, starttlsd.talk, None, "test"), peer)
    assert peer.heard == b"220 ready\r\n502 no\r\n250 none\r\n221 bye\r\n"
    with pytest.raises(RuntimeError, match="can_upgrade"):
        Stream(Peer([])).starttls()


def test_a_time_that_the_program_chose_ends_with_its_dialogue(authority, pair):
    def talk(stream, options):
        found.append((stream.patience, stream.endings, stream.upgraded))
        stream.patience, stream.endings = 5, "lf"
        if stream.can_upgrade:
            stream.starttls()

    found = []
    held(program_with(pair, "--timeout=77", talk=talk), SecurePeer(authority.client(), [], []))
    assert found == [(77, "crlf", False), (77, "crlf", True)]


# -- ends --

def test_a_conversation_that_is_cut_off_is_no_end(authority, pair):
    peer = SecurePeer(authority.client(), [], [b"NAME x\r\n"], last="cut")
    outcome, _ = held(program_with(pair, "--tls=implicit"), peer)
    assert (outcome.reason, outcome.why) == ("reset", "the connection ended without TLS's close_notify")
    peer = SecurePeer(authority.client(), [], [b"NAME x\r\n"])
    outcome, _ = held(program_with(pair, "--tls=implicit"), peer)
    assert (outcome.reason, outcome.why) == ("gone", "")


def test_after_our_last_words_nobody_minds_how_the_peer_ends(authority, pair):
    peer = SecurePeer(authority.client(), [], [b"QUIT\r\n"], last="cut")
    assert held(program_with(pair, "--tls=implicit"), peer)[0].reason == "quit"
    assert peer.their_end


@pytest.mark.parametrize("chunks, why", [
    ([b"GET / HTTP/1.0\r\n\r\n"], "http request"), ([b"EHLO me\r\n"], "wrong version number"),
    ([b"\x16\x03\x01\x00\x05\xff\xff\xff\xff\xff"], "unexpected message"), ([], "the peer closed"),
    ([b"\x16\x03"], "the peer closed"), ([Reset], "as written down")])
def test_what_is_no_handshake_is_told_by_its_reason(pair, chunks, why):
    peer = Peer(chunks)
    outcome, _ = held(program_with(pair, "--tls=implicit"), peer)
    assert (outcome.reason, outcome.why) == ("tls", why) and peer.closed
    assert peer.heard == b"" or (peer.heard[0] == 0x15 and len(peer.heard) == 7)        # one alert at most


def test_random_octets_never_crash(pair):
    program, dice = program_with(pair, "--tls=implicit"), random.Random(7)
    for _ in range(300):
        data = b"\x16\x03\x01" + dice.randbytes(dice.randrange(400))
        assert held(program, Peer([data]))[0].reason == "tls"


def test_a_handshake_that_is_broken_anywhere_never_crashes(authority, pair):
    """A real ClientHello, with an octet of it changed: a server name that is no ASCII among them."""
    program = program_with(pair, "--tls=implicit")
    whole = SecurePeer(authority.client(), [], []).receive(65536, None)
    for place in range(len(whole)):
        outcome, _ = held(program, Peer([whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1:]]))
        assert outcome.reason == "tls"


def test_a_name_that_is_no_ascii_is_no_warning(authority, pair, capfd):
    whole = SecurePeer(authority.client(), [], [], name="a.example").receive(65536, None)
    assert b"a.example" in whole
    outcome, _ = held(program_with(pair, "--tls=implicit"), Peer([whole.replace(b"a.ex", b"\xff\xfeex")]))
    assert (outcome.reason, outcome.why) == ("tls", "callback failed")
    assert capfd.readouterr() == ("", "")


# -- over sockets --

def over_sockets(program, client, version="1.3", name="localhost"):
    """(our transport, the client's socket) after a handshake."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(LONG)
    made = []
    thread = threading.Thread(target=lambda: made.append(client.wrap_socket(theirs, server_hostname=name)))
    thread.start()
    transport = program.tls.accept(SocketTransport(ours))
    thread.join()
    return transport, made[0]


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def both(authority, pair, version):
    """(our transport, the client's socket)."""
    client = authority.client(least=VERSIONS[version], most=VERSIONS[version])
    transport, sock = over_sockets(program_with(pair, "--tls=implicit"), client)
    assert transport.tls.version == f"TLSv{version}"
    yield transport, sock
    transport.close()
    sock.close()


def deadline(seconds=LONG):
    return time.monotonic() + seconds


def taken(transport, size):
    while (data := transport.take(size)) is None:
        transport.wait(transport.fileno(), 1, deadline())
    return data


def test_octets_come_and_go_in_pieces_of_any_size(both):
    transport, sock = both
    sock.sendall(b"hello world")
    assert transport.receive(5, deadline()) == b"hello" and transport.pending()
    assert transport.take(100) == b" world"
    assert transport.take(100) is None and not transport.pending()
    transport.send(bytearray(b"x" * 100_000), deadline())
    with sock.makefile("rb") as file:
        assert file.read(100_000) == b"x" * 100_000


def test_what_lies_in_one_record_is_pending_though_the_descriptor_is_silent(both):
    transport, sock = both
    sock.sendall(b"x" * 10_000)
    assert taken(transport, 1) == b"x"
    assert transport.pending() and transport.take(20_000) == b"x" * 9_999


def test_what_was_not_taken_is_offered_again_and_goes_once(both):
    transport, sock = both
    data, sent = os.urandom(3_000_000), 0
    heard = bytearray()
    while sent < len(data):
        count = transport.offer(data[sent:sent + PIECE])
        sent += count
        if not count:
            heard += sock.recv(65536)
    transport.half_close()
    while more := sock.recv(65536):
        heard += more
    assert heard == data


def test_half_close_leaves_the_other_way_open(both):
    transport, sock = both
    sock.sendall(b"already under way")
    transport.wait(transport.fileno(), 1, deadline())
    transport.half_close()
    transport.half_close()
    assert sock.recv(100) == b""
    sock.sendall(b", and more")
    heard = b""
    while len(heard) < 27:
        heard += transport.receive(100, deadline())
    assert heard == b"already under way, and more"
    with pytest.raises(Reset):
        transport.send(b"x", deadline())


def test_the_peers_end_leaves_ours_open(both):
    transport, sock = both
    sock.sendall(b"last words")
    end = threading.Thread(target=sock.unwrap)
    end.start()
    assert transport.receive(100, deadline()) == b"last words"
    assert transport.receive(100, deadline()) == b"" == transport.take(100)
    transport.send(b"", deadline())
    transport.half_close()
    end.join()


def test_truncation_is_told_from_an_end(both):
    transport, sock = both
    transport.send(b"ready", deadline())
    sock.sendall(b"half a repl")
    assert taken(transport, 100) == b"half a repl"
    socket.socket(fileno=os.dup(sock.fileno())).shutdown(socket.SHUT_RDWR)
    with pytest.raises(Truncated):
        transport.receive(100, deadline())
    with pytest.raises(Truncated):
        transport.take(100)


def test_octets_that_are_no_record_are_a_reset(both):
    transport, sock = both
    raw = socket.socket(fileno=sock.detach())
    raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(Reset, match=r"bad record mac|decryption failed"):
        transport.receive(100, deadline())
    raw.close()


def test_a_file_is_sent(both, tmp_path):
    transport, sock = both
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 20_000)
    stream = Stream(transport)
    reader = []
    thread = threading.Thread(target=lambda: reader.append(sock.makefile("rb").read(10_000 * 19)))
    thread.start()
    with path.open("rb") as file:
        assert stream.sendfile(file, 10_000) == 190_000
        assert transport.send_file(file.fileno(), 200_000, 5, deadline()) == 0
    thread.join()
    assert reader[0] == path.read_bytes()[10_000:]


def test_the_times_of_the_transport_beneath_hold(both):
    transport, _ = both
    began = time.monotonic()
    with pytest.raises(Exception, match="silent") as late:
        transport.receive(10, began + 0.05)
    assert type(late.value).__name__ == "Late" and not transport.waiting
    transport.end = time.monotonic()
    assert transport.beneath.end == transport.end
    with pytest.raises(Exception, match="silent") as late:
        transport.receive(10, deadline())
    assert type(late.value).__name__ == "Overtime"
    transport.end = None
    transport.beneath.hurry(0)
    with pytest.raises(Stopped):
        transport.receive(10, deadline())


def test_another_thread_can_stop_it(both):
    transport, _ = both
    transport.send(b"ready", deadline())
    transport.beneath.stop()
    transport.beneath.sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(Stopped):
        transport.receive(10, deadline())
    with pytest.raises(Stopped):
        transport.take(10)


def test_a_handshake_that_takes_too_long_is_late(pair):
    ours, _theirs = socket.socketpair()
    program = program_with(pair, "--tls=implicit", "--tls-timeout=0.05")
    with pytest.raises(LateHandshake):
        program.tls.accept(SocketTransport(ours))
    ours, _theirs = socket.socketpair()
    outcome = hold(program, SocketTransport(ours), Address("192.0.2.7"), Address(), "")
    assert (outcome.reason, outcome.why) == ("tls", "the peer took too long")


# -- carrying --

def begin(*steps):
    thread = threading.Thread(target=lambda: [step() for step in steps], daemon=True)
    thread.start()
    return thread


def test_octets_are_carried_between_tls_and_plain(authority, pair, version):
    """plain - TLS - plain: much both ways at once, and each way's end."""
    context = authority.client(most=VERSIONS[version])
    server, client = both_ours(program_with(pair, "--tls=implicit"), context)
    (near, near_end), (far, far_end) = socket.socketpair(), socket.socketpair()
    much, heard, carried = os.urandom(2_000_000), {}, []

    def say(sock):
        sock.sendall(much)
        sock.shutdown(socket.SHUT_WR)

    def hear(name, sock):
        with sock.makefile("rb") as file:
            heard[name] = file.read()

    threads = [begin(lambda one=one, other=other: carried.append(
        pump(Stream(one, patience=LONG), Stream(SocketTransport(other), patience=LONG))))
        for one, other in ((client, near_end), (server, far_end))]
    threads += [begin(lambda sock=sock: say(sock)) for sock in (near, far)]
    threads += [begin(lambda: hear("near", near)), begin(lambda: hear("far", far))]
    for thread in threads:
        thread.join(LONG)
    assert carried == [(len(much), len(much))] * 2 and heard == {"near": much, "far": much}


def test_what_is_opened_already_is_carried_without_waiting(both):
    """One record holds more than the first line: poll() will never tell of the rest."""
    transport, sock = both
    ours, server = socket.socketpair()
    server.settimeout(LONG)
    data = os.urandom(16_000)
    sock.sendall(b"CONNECT\r\n")
    one, other = Stream(transport, patience=LONG), Stream(SocketTransport(ours), patience=LONG)
    assert one.line() == b"CONNECT"
    sock.sendall(data)
    assert one.block(1) == data[:1]
    thread = begin(lambda: pump(one, other, idle=0.5))
    with server.makefile("rb") as file:
        assert file.read(len(data) - 1) == data[1:]
    server.shutdown(socket.SHUT_WR)
    sock.unwrap()
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_half_close_goes_through_tls_both_ways(authority, pair):
    """Two TLS sides: each ends its own way, and the other goes on."""
    program = program_with(pair, "--tls=implicit")
    (left, client), (right, server) = (both_ours(program, authority.client()) for _ in range(2))
    carried = []
    thread = begin(lambda: carried.append(pump(Stream(left, patience=LONG), Stream(right, patience=LONG))))
    client.send(b"question", deadline())
    client.half_close()
    assert server.receive(100, deadline()) == b"question" and server.receive(100, deadline()) == b""
    server.send(b"answer", deadline())
    assert client.receive(100, deadline()) == b"answer"
    server.half_close()
    assert client.receive(100, deadline()) == b""
    thread.join(LONG)
    assert carried == [(8, 6)]


def both_ours(program, context):
    """(the server's transport, the client's)."""
    ours, theirs = (SocketTransport(sock) for sock in socket.socketpair())
    made = []
    thread = begin(lambda: made.append(tlsclient.connect(theirs, context, "localhost", deadline())))
    transport = program.tls.accept(ours)
    thread.join(LONG)
    return transport, made[0]


# -- certificates --

@pytest.mark.parametrize("name, wanted", [
    ("localhost", "localhost"), ("LocalHost", "localhost"), ("a.example", "a.example"), ("b.example", "a.example"),
    ("x.wild.example", "*.wild.example"), ("X.Wild.Example", "*.wild.example"), ("y.x.wild.example", "localhost"),
    ("wild.example", "localhost"), ("elsewhere.example", "localhost"), (None, "localhost")])
def test_the_certificate_is_chosen_by_name(authority, pair, name, wanted):
    pairs = [pair, authority.pair("a.example", "b.example"), authority.pair("*.wild.example")]
    options = options_of(starttlsd.SERVICE, "--tls=implicit", "--tls-cert=" + ", ".join(one for one, _ in pairs),
                         "--tls-key=" + ",".join(key for _, key in reversed(pairs)))
    program = Program(starttlsd.SERVICE, options, starttlsd.talk, None, "test")
    program.tls = tls.Security(options, starttlsd.SERVICE)
    client = authority.client()
    client.check_hostname = False
    transport, sock = over_sockets(program, client, name=name)
    assert sock.getpeercert()["subjectAltName"][0] == ("DNS", wanted)
    assert transport.tls.name == (name or "")


def test_two_kinds_of_key_for_one_name_are_both_used(authority):
    pairs = [authority.pair("localhost", file="ec"), authority.pair("localhost", kind="rsa", file="rsa")]
    options = options_of(starttlsd.SERVICE, "--tls=implicit", "--tls-cert=" + ",".join(one for one, _ in pairs),
                         "--tls-key=" + ",".join(key for _, key in pairs))
    program = Program(starttlsd.SERVICE, options, starttlsd.talk, None, "test")
    program.tls = tls.Security(options, starttlsd.SERVICE)
    for ciphers in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        client = authority.client(most=ssl.TLSVersion.TLSv1_2)
        client.set_ciphers(ciphers)
        assert over_sockets(program, client)[0].tls.cipher == ciphers


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_each_kind_of_key_serves(authority, kind):
    program = program_with(authority.pair("localhost", kind=kind, file=f"kind-{kind}"), "--tls=implicit")
    assert over_sockets(program, authority.client())[0].secure


def test_certificate_and_key_may_share_a_file(authority):
    path = authority.write("both.pem", *authority.signed("localhost"))
    options = options_of(starttlsd.SERVICE, f"--tls-cert={path}")
    assert tls.Security(options, starttlsd.SERVICE).findings()[1][1].startswith(f"{path} for localhost, until 20")


def test_a_session_is_taken_up_again_even_after_new_certificates(authority, version):
    pair = authority.pair("localhost", file=f"renewed-{version}")
    program = program_with(pair, "--tls=implicit")
    client = authority.client(most=VERSIONS[version])
    first = SecurePeer(client, [], [b"QUIT\r\n"])
    held(program, first)
    authority.pair("localhost", file=f"renewed-{version}")
    program.tls._next_look = 0
    program.tls.refresh()
    again = SecurePeer(client, [], [b"TLS\r\n", b"QUIT\r\n"], session=first.tls.session)
    held(program, again)
    assert again.tls.session_reused and b" resumed=yes" in again.heard_secure


def test_files_that_change_are_read_anew_and_broken_ones_are_not_believed(authority, monkeypatch):
    events = []
    monkeypatch.setattr(log, "event", lambda event, /, **values: events.append((event, values)))
    pair = authority.pair("localhost", file="changing")
    security = program_with(pair, "--tls=implicit").tls

    def serial():
        client = authority.client()
        program = Program(starttlsd.SERVICE, security.options, starttlsd.talk, None, "test")
        program.tls = security
        return over_sockets(program, client)[1].getpeercert()["serialNumber"]

    def look():
        security._next_look = 0
        security.refresh()

    first = serial()
    look()
    assert (serial(), events) == (first, [])
    authority.pair("localhost", file="changing")
    security.refresh()
    assert serial() == first            # looked just now
    look()
    second = serial()
    assert second != first and events == [("renewed", {"files": pair[0]})]
    events.clear()
    authority.write("changing.key", authority.signed("localhost")[1])
    look()
    look()
    assert serial() == second
    assert [name for name, _ in events] == ["unrenewed"] and "no key that belongs to it" in events[0][1]["text"]
    os.unlink(pair[0])
    look()
    assert serial() == second and len(events) == 2 and "No such file" in events[1][1]["text"]
    authority.pair("localhost", file="changing")
    look()
    assert serial() != second and events[-1][0] == "renewed"


def test_clients_certificates(authority, pair, tmp_path):
    alice = authority.pair("alice", client=True, file="alice")
    other = Authority(tmp_path, "other")
    stranger = other.pair("mallory", client=True)

    def end(clients, shown):
        peer = SecurePeer(authority.client(shown), [], [b"TLS\r\n", b"QUIT\r\n"])
        outcome, _ = held(program_with(pair, "--tls=implicit", f"--tls-ca={authority.path}",
                                       f"--tls-clients={clients}"), peer)
        return outcome.reason, outcome.why, b" client=CN=alice " in peer.heard_secure

    assert end("require", alice) == ("quit", "", True) == end("ask", alice)
    assert end("ask", None) == ("quit", "", False)
    assert end("require", None) == ("tls", "peer did not return a certificate", False)
    wrong = "tls", "certificate verify failed: unable to get local issuer certificate", False
    assert end("require", stranger) == wrong == end("ask", stranger)
    assert end("require", authority.pair("localhost", file="of-a-server"))[0] == "tls"      # made for another use


def test_a_subject_cannot_pretend_to_have_more_parts():
    peer = {"subject": ((("organizationName", "Example, Inc."),), (("commonName", "alice,O=admin"),))}
    assert tls._subject(peer) == "CN=alice\\,O\\=admin,O=Example\\, Inc."


def test_rehearsing_shakes_hands(pair, authority):
    rehearse(program_with(pair, "--tls=implicit"))
    rehearse(program_with(pair, "--tls-min=1.3", f"--tls-ca={authority.path}", "--tls-clients=require"))


# -- which files --

def wrong(*arguments, service=starttlsd.SERVICE):
    with pytest.raises(Misuse) as misuse:
        options = options_of(service, *arguments)
        tls.Security(options, service).arrange([])
    return str(misuse.value)


def test_files_that_are_not_what_they_must_be_stop_the_start(authority, pair, tmp_path):
    certificate_, key = pair
    empty = tmp_path / "empty"
    empty.write_text("")
    assert wrong("--tls-cert=/nowhere/c.pem") == "--tls-cert: /nowhere/c.pem: No such file or directory"
    assert wrong(f"--tls-cert={certificate_}", "--tls-key=/nowhere/k") == \
        "--tls-key: /nowhere/k: No such file or directory"
    assert wrong(f"--tls-cert={empty}") == f"--tls-cert: {empty}: no certificate in it; it must be a PEM file"
    assert wrong(f"--tls-cert={key}") == f"--tls-cert: {key}: no certificate in it; it must be a PEM file"
    assert f"--tls-cert: {certificate_}: no key that belongs to it in" in wrong(f"--tls-cert={certificate_}")
    stranger = authority.pair("stranger", file="stranger")[1]
    assert "no key that belongs to it" in wrong(f"--tls-cert={certificate_}", f"--tls-key={stranger}")
    assert wrong(f"--tls-cert={certificate_}", f"--tls-key={stranger},{key}") == \
        f"--tls-key: {stranger} belongs to none of the certificates: {certificate_}"
    rsa = authority.pair("stranger", kind="rsa", file="of-another-kind")[1]
    assert "no key that belongs to it" in wrong(f"--tls-cert={certificate_}", f"--tls-key={rsa}")
    assert wrong(f"--tls-cert={certificate_}", f"--tls-key={key}", "--tls-ca=/nowhere", "--tls-clients=ask") == \
        "/nowhere: No such file or directory"
    assert wrong(f"--tls-cert={certificate_}", f"--tls-key={key}", f"--tls-ca={empty}", "--tls-clients=ask") == \
        f"{empty}: no certificates of authorities in it"


def test_a_locked_key_is_told_with_the_way_out(authority, tmp_path):
    from cryptography.hazmat.primitives import serialization as forms
    certificate_, key = authority.signed("localhost")
    path, locked = authority.write("locked.pem", certificate_), tmp_path / "locked.key"
    locked.write_bytes(key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8,
                                         forms.BestAvailableEncryption(b"secret")))
    assert "is locked with a password" in wrong(f"--tls-cert={path}", f"--tls-key={locked}")


def test_half_of_tls_is_none(pair):
    files = [f"--tls-cert={pair[0]}", f"--tls-key={pair[1]}"]
    assert wrong("--tls-key=/k") == "command line: tls-key: there is no TLS without a certificate; " \
        "say --tls-cert=FILE, or --tls=no"
    assert "no TLS without a certificate" in wrong("--tls=implicit")
    assert "whose certificates are good? say --tls-ca" in wrong(*files, "--tls-clients=require")
    assert "say --tls-clients=require" in wrong(*files, "--tls-ca=/ca")
    assert "plaind has no command that begins TLS" in wrong(*files, "--tls=offer", service=PLAIN)
    assert options_of(PLAIN, "--tls=no", "--tls-ca=/ca").tls == "no"


def test_what_an_administrator_should_mend_is_a_warning(authority, monkeypatch):
    warnings = []
    monkeypatch.setattr(log, "event", lambda name, text: warnings.append((name, text)))
    pair = authority.pair("localhost", days=-1, file="expired")
    os.chmod(pair[1], 0o644)
    tls.Security(options_with(pair), starttlsd.SERVICE)
    (_, old), (_, open_) = warnings
    assert old.startswith(f"the certificate in {pair[0]} has expired on 20") and "chmod o-r" in open_


# -- which conversations --

def given(kind, name="", port=None, host="127.0.0.1"):
    if kind == PIPES:
        return Given(kind, pipes=(0, 1))
    sock = socket.create_server((host, port or 0))
    return Given(kind, sock, name)


def at(one):
    return Address("127.0.0.1", one.sock.getsockname()[1])


def test_auto_goes_by_name_and_port(pair):
    listener = given(LISTENER)
    port = listener.sock.getsockname()[1]

    def modes(service, *given_, more=()):
        security = program_with(pair, *more, service=service, given=given_).tls
        return [security.implicit(at(one)) if one.sock else security.implicit(Address(word=one.kind))
                for one in given_]

    upgrades = Service("upgraded", about=".", protocol="up", upgrades=True)
    by_port = Service("upgraded", about=".", protocol="up", upgrades=True, secure_port=port)
    assert modes(PLAIN, listener) == [True] == modes(PLAIN, given(PIPES))
    assert modes(upgrades, listener) == [False] == modes(upgrades, given(PIPES))
    assert modes(by_port, listener, given(LISTENER)) == [True, False]
    assert modes(upgrades, given(LISTENER, "ups"), given(LISTENER, "up")) == [True, False]
    assert modes(upgrades, given(LISTENER, "ups", host="0.0.0.0")) == [True]
    assert modes(PLAIN, given(LISTENER, "plains"), given(LISTENER, "plain")) == [True, False]
    assert modes(upgrades, listener, more=["--tls=implicit"]) == [True]
    assert modes(by_port, listener, more=["--tls=offer"]) == [False]


def test_a_connection_is_known_by_its_port_as_a_listener_is():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    client = socket.create_connection(listener.getsockname())
    one = Given(CONNECTION, listener.accept()[0])
    assert one.is_secure(Service("upgraded", about=".", secure_port=port))
    assert not one.is_secure(Service("upgraded", about=".", secure_port=port - 1))
    assert not one.is_secure(Service("upgraded", about="."))
    client.close()


# -- calling out --

@pytest.fixture
def server(pair):
    """A server that holds one conversation with starttlsd; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(*options):
        program = program_with(pair, *options)

        def one():
            sock, _ = listener.accept()
            hold(program, SocketTransport(sock), Address("127.0.0.1"), Address(), "")
        threads.append(begin(one))
        return listener.getsockname()[1]

    yield serve
    for thread in threads:
        thread.join(LONG)
    listener.close()


def test_a_call_under_tls(server, authority):
    stream = dial.call_secure("127.0.0.1", server("--tls=implicit"), authorities=authority.path, alpn=("start",),
                              seconds=LONG)
    assert stream.secure and stream.tls.alpn == "start"
    assert stream.line() == b"220 ready"
    stream.say("QUIT")
    assert stream.line() == b"221 bye"
    stream.close()


def test_a_call_is_turned_to_tls_in_the_middle(server, authority):
    stream = dial.call("127.0.0.1", server(), seconds=LONG)
    assert stream.line() == b"220 ready"
    stream.say("STARTTLS")
    assert stream.line() == b"220 go ahead"
    dial.secure(stream, "localhost", authorities=authority.path, seconds=LONG)
    stream.say("WHO")
    assert stream.line() == b"250 nobody, secure"
    stream.say("QUIT")
    stream.flush()
    stream.close()


@pytest.mark.parametrize("name, known, why", [
    ("other.example", True, "Hostname mismatch"), ("192.0.2.1", True, "IP address mismatch"),
    ("localhost", False, "unable to get local issuer certificate"), ("", True, "server_hostname")])
def test_a_server_must_prove_its_name(server, authority, name, known, why):
    stream = dial.call("127.0.0.1", server("--tls=implicit"), seconds=LONG)
    with pytest.raises(NoHandshake, match=why):
        dial.secure(stream, name, authorities=authority.path if known else None, seconds=LONG)
    assert not stream.secure
    stream.cut_off()


def test_a_server_need_not_prove_anything_where_that_is_said(server):
    stream = dial.call("127.0.0.1", server("--tls=implicit"), seconds=LONG)
    dial.secure(stream, "other.example", check=False, seconds=LONG)
    assert stream.secure
    stream.cut_off()


def test_what_a_server_said_before_tls_is_forgotten():
    """Response injection: lines behind the go-ahead must not be read as if they came through TLS."""
    stream = Stream(Peer([b"220 go ahead\r\n250 injected\r\n"]))
    assert stream.line() == b"220 go ahead"
    with pytest.raises(NoHandshake):
        dial.secure(stream, "localhost")
    assert stream.unread() == b""


# -- what certificates say --

def test_names_and_times_are_read(authority):
    one, _ = authority.signed("a.example", "192.0.2.1", "2001:db8::1", "*.b.example", kind="rsa")
    from daemons.tools.authority import pem, span
    found = certificate.first("some text\n" + pem(one).decode() + pem(authority.own).decode())
    assert found.names == ("a.example", "192.0.2.1", "2001:db8::1", "*.b.example")
    assert (found.since, found.until) == tuple(f"{when:%Y-%m-%d %H:%M:%S}" for when in span(one))
    assert certificate.first(pem(authority.own).decode()).names == ("the authority of a test",)


@pytest.mark.parametrize("text", ["", certificate.BEGIN, f"{certificate.BEGIN}\nAAAA\n{certificate.END}",
                                  f"{certificate.BEGIN}\n!!\n{certificate.END}",
                                  f"{certificate.BEGIN}\nMIIB\n{certificate.END}"])
def test_what_is_no_certificate_is_told(text):
    with pytest.raises(ValueError):
        certificate.first(text)


@pytest.mark.parametrize("pattern, name, covered", [
    ("a.example", "a.example", True), ("*.example", "a.example", True), ("*.example", "a.b.example", False),
    ("*.example", ".example", False), ("*.example", "example", False), ("*", "example", False),
    ("a*.example", "ab.example", False)])
def test_an_asterisk_stands_for_a_whole_first_label(pattern, name, covered):
    assert certificate.covers(pattern, name) is covered
