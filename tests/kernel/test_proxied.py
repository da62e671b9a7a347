"""Clients behind a proxy: whose header is heard, what it changes, and that nobody else gets a word."""

import importlib

import pytest

from daemons import echod
from daemons.kernel import access, log, proxied
from daemons.kernel.addresses import Address
from daemons.kernel.conversation import Program, hold
from daemons.kernel.ends import BadHeader, Gone, Late, Overtime, Reset, Stopped
from daemons.kernel.proxyheader import Header, block, line
from daemons.kernel.service import Service
from daemons.kernel.stream import Stream
from tests import play
from tests.play import Peer, options_of

CLIENT, SERVER = ("192.0.2.7", 41822), ("192.0.2.1", 25)
PROXY, HERE = Address("10.0.0.1", 50000), Address("10.0.0.2", 8025)
V1 = line(Header(1, CLIENT, SERVER))
V2 = block(Header(2, CLIENT, SERVER), extra=[(4, bytes(9)), (0x20, b"\1\0\0\0\0\x21\0\7TLSv1.3")], checksum=True)
HEADERS = [V1, V2, line(Header(1, ("2001:db8::7", 1), ("2001:db8::1", 2))), block(Header(2, b"/run/a", b"/run/b")),
           block(Header(2, local=True)), b"PROXY UNKNOWN\r\n"]


@pytest.fixture
def events(monkeypatch):
    """What is logged, as (name, values)."""
    logged = []
    monkeypatch.setattr(log, "event", lambda name, /, *_, **values: logged.append((name, values)))
    monkeypatch.setattr(log, "is_told", bool)
    return logged


def named(events, name):
    return [{key.rstrip("_"): str(value) for key, value in values.items()} for one, values in events if one == name]


class Held:
    """A conversation as the kernel holds it: what was heard, how it ended, and whom the program saw."""

    def __init__(self, chunks, *arguments, peer=PROXY, talk=None, proxies="10.0.0.0/8", program=echod, made=()):
        self.there, self.seen = Peer(chunks), None

        def watched(stream, *rest):
            self.seen = str(stream.peer), str(stream.local)
            return (talk or program.talk)(stream, *rest)

        options = options_of(program, f"--proxy-protocol={proxies}", *arguments)
        running = Program(program.SERVICE, options, watched, None, "test")
        running.made = made or ((program.setup(options),) if hasattr(program, "setup") else ())
        self.outcome = hold(running, self.there, peer, HERE, "00000000")
        self.heard = self.there.heard

    @property
    def end(self):
        return self.outcome.reason, self.outcome.why


# -- what a header changes --

def with_header(dialogue, header):
    """A dialogue's octets behind a header, as the network may cut them."""
    everything = header + b"".join(dialogue.said)
    return {"by line": [header, *dialogue.said], "at once": [everything],
            "by octet": [bytes([octet]) for octet in everything]}


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("dialogue", play.dialogues(), ids=lambda dialogue: dialogue.name)
def test_every_dialogue_goes_on_behind_a_header(dialogue, header, events, monkeypatch):
    program = importlib.import_module(f"daemons.{dialogue.program}")
    standing = {**Stream.__init__.__kwdefaults__, "wall": lambda: play.NOON}
    monkeypatch.setattr(Stream.__init__, "__kwdefaults__", standing)
    for cut, chunks in with_header(dialogue, header).items():
        held = Held(chunks, *dialogue.arguments, program=program)
        assert held.heard == dialogue.heard, cut
        assert held.seen == ("[192.0.2.7]:41822", "[192.0.2.1]:25")
        assert held.outcome.sent == len(dialogue.heard)
    assert Held([*with_header(dialogue, header)["at once"], b""], *dialogue.arguments, program=program
                ).outcome.received in (0, sum(map(len, dialogue.said))), "the header's octets are not the client's"


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_a_header_may_be_cut_anywhere(header, events):
    everything = header + b"hello"
    for place in range(len(everything) + 1):
        held = Held([everything[:place], everything[place:]] if 0 < place < len(everything) else [everything])
        assert (held.heard, held.end, held.outcome.received) == (b"hello", ("done", ""), 5)


@pytest.mark.parametrize("header, seen, said", [
    (V1, ("[192.0.2.7]:41822", "[192.0.2.1]:25"),
     [{"session": "00000000", "from": "[192.0.2.7]:41822", "to": "[192.0.2.1]:25", "by": "[10.0.0.1]:50000",
       "version": "1"}]),
    (V2, ("[192.0.2.7]:41822", "[192.0.2.1]:25"),
     [{"session": "00000000", "from": "[192.0.2.7]:41822", "to": "[192.0.2.1]:25", "by": "[10.0.0.1]:50000",
       "version": "2"}]),
    (block(Header(2, ("::ffff:192.0.2.7", 7), ("2001:db8::1", 8))), ("[192.0.2.7]:7", "[2001:db8::1]:8"),
     [{"session": "00000000", "from": "[192.0.2.7]:7", "to": "[2001:db8::1]:8", "by": "[10.0.0.1]:50000",
       "version": "2"}]),
    (block(Header(2, b"/run/cl ient", b"\0abstract")), ("unix:/run/cl ient", "unix:@abstract"),
     [{"session": "00000000", "from": "unix:/run/cl ient", "to": "unix:@abstract", "by": "[10.0.0.1]:50000",
       "version": "2"}]),
    (block(Header(2, local=True)), (str(PROXY), str(HERE)), []),
    (block(Header(2, CLIENT, SERVER, local=True)), (str(PROXY), str(HERE)), []),
    # the proxy cannot tell: then it is the peer, and the log says that it was no check of its own
    (block(Header(2)), (str(PROXY), str(HERE)),
     [{"session": "00000000", "from": str(PROXY), "to": str(HERE), "by": str(PROXY), "version": "2"}]),
    (b"PROXY UNKNOWN 192.0.2.7 192.0.2.1 1 2\r\n", (str(PROXY), str(HERE)),
     [{"session": "00000000", "from": str(PROXY), "to": str(HERE), "by": str(PROXY), "version": "1"}]),
])
def test_whom_the_program_and_the_log_see(header, seen, said, events):
    held = Held([header, b"hello"])
    assert (held.seen, held.heard, named(events, "proxied")) == (seen, b"hello", said)


def test_the_clients_confirmed_name_is_logged(events, monkeypatch):
    from daemons.kernel import dial
    monkeypatch.setattr(dial, "name_of", {"192.0.2.7": "mx.example.org"}.get)
    Held([V1, b"hello"], "--names=yes")
    Held([line(Header(1, ("192.0.2.8", 1), SERVER)), b"hello"], "--names=yes")
    assert [one["name"] for one in named(events, "proxied")] == ["mx.example.org", "unknown"]


# -- what is no header --

BAD = [(b"hello\r\n", "no PROXY header"), (b"PROXY TCP4 192.0.2.7 192.0.2.1 41822\r\n", "not a line of version 1"),
       (b"PROXY " + b"x" * 102, "a line over 107 octets"), (V2[:12] + b"\x31" + V2[13:], "version 3"),
       (V2[:-1] + bytes([V2[-1] ^ 1]), "wrong checksum"),
       (V2[:14] + b"\xff\xff" + V2[16:], "65551 octets, of which we take 4096"),
       (V1[:-2] + b"\n" + b"QUIT\r\n", "a line that ends with a bare LF"),
       (b"\r\nPROXY UNKNOWN\r\n", "no PROXY header")]


@pytest.mark.parametrize("octets, why", BAD, ids=[why for _, why in BAD])
def test_a_wrong_header_ends_it_without_a_word(octets, why, events):
    for chunks in ([octets, b"more\r\n"], [bytes([octet]) for octet in octets]):
        held = Held(chunks, talk=lambda stream, *_: stream.send(b"welcome\r\n"))
        assert (held.end, held.heard, held.seen) == (("proxy", why), b"", None)
        assert held.there.closed and not held.there.half_closed
    assert named(events, "refused")[0] == {"session": "00000000", "from": str(PROXY), "why": why}
    assert not named(events, "crash") and not named(events, "proxied")


def test_no_more_is_read_than_tells_that_it_is_wrong(events):
    held = Held([b"GET / HTTP/1.1\r\n", b"Host: x\r\n"])
    assert held.end == ("proxy", "no PROXY header") and held.there.chunks == [b"Host: x\r\n"]
    held = Held([V2[:14] + b"\xff\xff", *[bytes(1000)] * 9])
    assert held.end[0] == "proxy" and len(held.there.chunks) == 9


@pytest.mark.parametrize("chunks, end", [
    ([], ("gone", "")),
    ([V1[:1]], ("proxy", "cut short")), ([V1[:-1]], ("proxy", "cut short")), ([V2[:13]], ("proxy", "cut short")),
    ([V2[:-1]], ("proxy", "cut short")),
    ([Late], ("proxy", "too late")), ([V1[:20], Late], ("proxy", "too late")),
    ([V2[:20], Overtime], ("overtime", "as written down")), ([Stopped], ("stopped", "as written down")),
    ([V1[:20], Reset], ("reset", "as written down"))])
def test_a_header_that_does_not_come(chunks, end, events):
    held = Held(chunks, talk=lambda stream, *_: stream.send(b"welcome\r\n"))
    assert (held.end, held.heard, held.seen, held.there.closed) == (end, b"", None, True)


@pytest.mark.parametrize("patience, seconds", [(3600.0, 10.0), (10.0, 10.0), (4.0, 4.0)])
def test_all_of_the_header_has_one_deadline_of_ten_seconds_or_less(patience, seconds):
    deadlines = []

    class Slow(Peer):
        def receive(self, size, deadline):
            deadlines.append(deadline)
            return super().receive(size, deadline)

    stream = Stream(Slow([bytes([octet]) for octet in V2]), patience=patience, peer=PROXY, clock=lambda: 1000.0,
                    log=lambda *_, **__: None)
    proxied.hear(stream)
    assert set(deadlines) == {1000.0 + seconds} and len(deadlines) == len(V2)


# -- from whom --

@pytest.mark.parametrize("proxies, peer", [
    ("10.0.0.0/8", Address("192.0.2.66", 50000)), ("10.0.0.0/8", Address("2001:db8::66", 50000)),
    ("10.0.0.0/8", Address("127.0.0.1", 50000)), ("10.0.0.0/8", Address(word="unix:uid=0")),
    ("10.0.0.0/8", Address(word="pipes")), ("unix", PROXY), ("unix", Address(word="pipes")),
    ("10.0.0.0/8", Address("not an address", 1)), ("10.0.0.0/8", Address())])
@pytest.mark.parametrize("octets", [V1, V2, b"hello\r\n"], ids=["v1", "v2", "none"])
def test_a_header_from_elsewhere_is_refused_and_so_is_none(proxies, peer, octets, events):
    held = Held([octets, b"hello"], peer=peer, proxies=proxies, talk=lambda stream, *_: stream.send(b"welcome\r\n"))
    assert (held.end, held.heard, held.seen) == (("denied", "proxy-network"), b"", None)
    assert named(events, "refused") == [{"session": "00000000", "from": str(peer), "why": "proxy-network"}]
    assert not named(events, "proxied")


@pytest.mark.parametrize("proxies, peer", [
    ("10.0.0.0/8", PROXY), ("10.0.0.1", PROXY), ("unix,2001:db8::/32", Address("2001:db8::9", 1)),
    ("unix", Address(word="unix:uid=0")), ("10.0.0.0/8 unix", Address(word="unix:/run/proxy")),
    ("fe80::/10", Address("fe80::1%lo", 1)), ("::ffff:10.0.0.0/104", PROXY), ("0.0.0.0/0", PROXY)])
def test_a_header_from_a_proxy_is_heard(proxies, peer, events):
    held = Held([V1, b"hello"], peer=peer, proxies=proxies)
    assert (held.seen[0], held.heard, held.end) == ("[192.0.2.7]:41822", b"hello", ("done", ""))


@pytest.mark.parametrize("text", ["", " , ", "localhost", "10.0.0.0/8 proxy.example", ".example", "10.0.0.0/33",
                                  "unixx"])
def test_what_names_no_proxies(text):
    with pytest.raises(ValueError, match="proxies|not a"):
        proxied.proxies(text)


def test_proxies_are_shown_as_networks():
    assert str(proxied.proxies("10.0.0.0/8,192.0.2.7 unix")) == "10.0.0.0/8 192.0.2.7/32 unix"


# -- rules see the client --

@pytest.mark.parametrize("rules, header, end", [
    (["--only-from=192.0.2.0/24"], V1, "done"),
    (["--only-from=10.0.0.0/8"], V1, "only-from"),
    (["--no-access=192.0.2.7"], V2, "no-access"),
    (["--no-access=10.0.0.1"], V2, "done"),
    (["--only-from=192.0.2.0/24"], block(Header(2, local=True)), "only-from"),
    (["--only-from=10.0.0.1"], block(Header(2, local=True)), "done"),
    (["--only-from=192.0.2.0/24"], b"PROXY UNKNOWN\r\n", "only-from"),
    (["--only-from=192.0.2.0/24"], block(Header(2, b"/run/a", b"/run/b")), "no-address"),
    (["--no-access=192.0.2.0/24"], block(Header(2, b"/run/a", b"/run/b")), "no-address"),
    ([], block(Header(2, b"/run/a", b"/run/b")), "done")])
def test_rules_are_held_against_the_client(rules, header, end, events):
    held = Held([header + b"hello"], *rules)
    assert (held.outcome.why or held.outcome.reason, held.heard) == (end, b"hello" if end == "done" else b"")


def test_a_forged_address_opens_nothing(events):
    held = Held([line(Header(1, ("127.0.0.1", 1), SERVER)) + b"hello"], "--only-from=127.0.0.1",
                peer=Address("192.0.2.66", 1))
    assert held.end == ("denied", "proxy-network")
    assert named(events, "refused")[0]["from"] == "[192.0.2.66]:1"


def test_a_client_on_a_proxy_of_this_machine_is_as_local_as_the_proxy(events):
    held = Held([block(Header(2, b"/run/a", b"/run/b")) + b"hello"], "--only-from=192.0.2.0/24", proxies="unix",
                peer=Address(word="unix:uid=0"))
    assert held.end == ("done", "")


def test_the_door_sees_only_who_the_proxy_is():
    look = access.at_the_door(options_of(echod, "--proxy-protocol=10.0.0.0/8", "--only-from=192.0.2.0/24"))
    assert look(PROXY) is None and look(Address("192.0.2.7", 1)) == "proxy-network"


# -- the log is told once in a minute --

def test_of_many_refusals_of_a_source_one_is_logged_by_who_stays(events):
    told = set()

    def news(key):
        return key not in told and not told.add(key)

    running = Program(Service("x", about="x"), options_of(echod, "--only-from=198.51.100.1"), None, None, "test")
    running.tell = news
    for source in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
        hold(running, Peer([b"x"]), Address(source, 1), HERE, "00000000")
    assert [one["from"] for one in named(events, "refused")] == ["[192.0.2.7]:1", "[192.0.2.8]:1"]


def test_ends_have_their_words():
    assert BadHeader.reason == "proxy" and not issubclass(BadHeader, Gone | Late)
