"""Plaintext before TLS: nothing that was said in the clear is obeyed, answered or remembered after an upgrade.

Every program that declares `upgrades` is tried.  It owes a file tests/dialogues/NAME/SOMETHING.starttls, whose
`C:` lines lead to the upgrade; the last is its command.  What is said under TLS are the program's other dialogues.
The measure is an honest client, whose answers under TLS must be the attacker's, octet by octet.
"""

import glob
import socket
import ssl

import pytest

from daemons.kernel import log, tls
from daemons.kernel.addresses import Address
from daemons.kernel.conversation import Program, hold
from daemons.kernel.stream import PIECE
from daemons.tools import programs
from tests.certificates import Authority, SecurePeer
from tests.live import clients, devlog, installed, starttlsd
from tests.live.launchers import WAIT, ByHand, Service
from tests.play import HERE, Dialogue, Peer, dialogues, options_of

from . import kit
from .octets import TRICKS


class Case:
    """A program's module, what leads to its upgrade, and what may be said under TLS."""

    def __init__(self, module, before, dialogues_):
        self.module, self.before, self.dialogues = module, before, dialogues_

    def __str__(self):
        return self.module.SERVICE.name


def cases():
    """All programs that declare it, and the tests' own."""
    found = [Case(starttlsd, [b"STARTTLS\r\n"], [
        ([], [b"WHO\r\n", b"NAME alice\r\n", b"WHO\r\n", b"QUIT\r\n"]), ([], [b"NAME eve\r\n", b"WHO\r\n"])])]
    for service in programs.services():
        if service.upgrades:
            paths = sorted(glob.glob(f"{HERE}/dialogues/{service.name}/*.starttls"))
            before = Dialogue(paths[0]).said if paths else None
            found.append(Case(programs.program(service.name), before,
                              [(one.arguments, one.said) for one in dialogues(service.name)]))
    return found


upgrading = pytest.mark.parametrize("case", cases(), ids=str)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def converse(authority, tmp_path):
    """A function that holds a conversation in memory: (plain, secure, reason, events)."""
    certificate, key = authority.pair("localhost")

    def held(case, arguments, plain, secure, peer=None):
        assert case.before, f"{case} upgrades: write tests/dialogues/{case}/SOMETHING.starttls"
        service = case.module.SERVICE
        log.start(service.name, target=str(tmp_path / "log"), events=service.events)
        options = options_of(case.module, f"--tls-cert={certificate}", f"--tls-key={key}", *arguments)
        program = Program(service, options, case.module.talk, None, "tests")
        if hasattr(case.module, "setup"):
            program.made = (case.module.setup(options),)
        program.tls = tls.Security(options, service)
        program.tls.arrange([])
        peer = peer or SecurePeer(authority.client(), plain, secure)
        outcome = hold(program, peer, Address(kit.STRANGER, 41822), Address("192.0.2.1", service.port), "00000000")
        return peer.heard, getattr(peer, "heard_secure", b""), outcome.reason

    return held


def injected(case):
    """What an attacker in the middle sends behind the upgrade's command: each of the client's own lines, and tricks."""
    own = [line for _, said in case.dialogues for line in said]
    return [b"".join(own), *dict.fromkeys(own), *TRICKS]


@upgrading
def test_what_was_injected_into_the_segment_of_the_upgrade_is_never_obeyed(case, converse):
    *first, command = case.before
    for arguments, said in case.dialogues:
        honest = converse(case, arguments, [*first, command], said)
        assert honest[1], "the honest client is answered under TLS"
        for octets in filter(None, injected(case)):
            for plain in ([*first, command + octets], [b"".join(case.before) + octets]):
                came = converse(case, arguments, plain, said)
                too_many = len(octets) > PIECE - 1000 and came == (honest[0], b"", "tls")
                assert came == honest or too_many, octets      # what no read took up was no handshake


@upgrading
def test_what_was_said_in_the_clear_is_forgotten(case, converse):
    for arguments, said in case.dialogues:
        _, honest, reason = converse(case, arguments, case.before, said)
        for _, before in case.dialogues:
            # as much of another dialogue as does not end the conversation
            for count in range(1, len(before) + 1):
                _, secure, came = converse(case, arguments, [*before[:count], *case.before], said)
                assert (secure, came) == (honest, reason) or secure == b"", before[:count]


@upgrading
def test_what_comes_in_the_clear_behind_the_upgrade_ends_the_conversation(case, converse):
    for arguments, _ in case.dialogues[:1]:
        honest, _, _ = converse(case, arguments, case.before, [])
        for octets in filter(None, injected(case)):
            heard, _, reason = converse(case, arguments, None, None, Peer([*case.before, octets]))
            assert heard.startswith(honest) and reason == "tls", octets
            rest = heard[len(honest):]
            assert not rest or rest[:1] == b"\x15", rest        # a TLS alert, and not a word of the protocol's


@pytest.mark.parametrize("model", ["one", "fork", "thread"])
def test_so_it_is_over_a_real_connection(authority, model):
    certificate, key = authority.pair("localhost")
    options = [f"--tls-cert={certificate}", f"--tls-key={key}", f"--model={model}"]
    with devlog.LogSocket() as log_:
        service = Service(installed.argv("starttlsd", f"--log={log_.path}", *options), wait=WAIT)
        with ByHand(service) as host, clients.connect(host.address) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(b"NAME mallory\r\nSTARTTLS\r\nNAME eve\r\nWHO\r\n")
            heard = b""
            while not heard.endswith(b"220 go ahead\r\n"):
                heard += sock.recv(100)
            assert b"eve" not in heard
            with authority.client().wrap_socket(sock, server_hostname="localhost") as secure:
                assert clients_lines(secure, b"WHO\r\nQUIT\r\n") == b"250 nobody, secure\r\n221 bye\r\n"
            log_.wait_for(" close .*reason=quit")


def clients_lines(sock, said):
    """All that is answered until the end."""
    sock.sendall(said)
    heard = b""
    while piece := sock.recv(1000):
        heard += piece
    return heard


# -- these tests can fail --

class Leaky:
    """starttlsd with a memory: `state` outlives the upgrade, or `octets` do."""

    SERVICE = starttlsd.SERVICE

    def __init__(self, what):
        self.what, self.name, self.unread = what, "nobody", b""

    def talk(self, stream, options):
        if not stream.upgraded:
            self.name = "nobody"
        name = self.name if self.what == "state" else "nobody"
        waiting = [line for line in self.unread.split(b"\r\n") if line] if self.what == "octets" else []
        self.unread = b""
        while True:
            line = waiting.pop(0) if waiting else stream.line()
            verb, _, rest = line.partition(b" ")
            if verb == b"NAME":
                name = self.name = rest.decode()
            elif verb == b"STARTTLS":
                self.unread = stream.unread()
                stream.starttls()
            elif verb == b"QUIT":
                return "quit"
            stream.say(f"250 {name}")


@pytest.mark.parametrize("what, test", [
    ("octets", test_what_was_injected_into_the_segment_of_the_upgrade_is_never_obeyed),
    ("state", test_what_was_said_in_the_clear_is_forgotten)])
def test_a_program_that_remembers_is_found(what, test, converse):
    case = cases()[0]
    with pytest.raises(AssertionError):
        test(Case(Leaky(what), case.before, case.dialogues), converse)
    assert ssl.OPENSSL_VERSION_INFO >= (1, 1, 1)        # TLS 1.3 was what they spoke
