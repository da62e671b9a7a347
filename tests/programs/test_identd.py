"""identd, RFC 1413: who is told what about whose connections, and nobody about any other."""

import os
import pwd
import socket
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons import identd
from daemons.kernel import owners
from daemons.kernel.ends import Late
from daemons.kernel.options import Misuse
from daemons.stores import people
from daemons.tools.stubs import CHECKOUT
from daemons.wire.identlines import NO_USER, parse, query
from tests.play import NOON, options_of, play
from tests.serving import Serving

ME = os.getuid()
UID = 1000


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Every connection is alice's, whose home this is."""
    account = pwd.struct_passwd(("alice", "x", ME, ME, "Alice", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(owners, "owner", lambda here, there, table: UID)
    monkeypatch.setattr(people, "owner", lambda uid: account if uid == ME else named("alice", tmp_path, uid))
    return tmp_path


def named(name, home="/nowhere", uid=UID):
    return pwd.struct_passwd((name, "x", uid, uid, "", str(home), ""))


def ask(*arguments, ports=(6193, 23), **more):
    """What came of one query: the Outcome, with the reply as `reply`; every event is as declared."""
    outcome = play(identd, [query(*ports) + b"\r\n"], options=options_of(identd, *arguments), **more)
    declared = {event.name: event.keys for event in identd.SERVICE.events}
    for name, values in outcome.events:
        assert set(values) <= set(declared[name])
    assert outcome.heard.count(b"\r\n") == 1 and outcome.heard.endswith(b"\r\n")
    asked, _, outcome.reply = outcome.heard[:-2].decode().partition(" : ")
    assert asked.encode() == query(*ports)
    return outcome


def told(outcome, name):
    """The values of an event."""
    return [values for event, values in outcome.events if event == name]


# -- what is told --

@pytest.mark.parametrize("arguments, reply", [
    ((), "USERID : UNIX : alice"),
    (("--reply=user", "--charset=UTF-8"), "USERID : UNIX , UTF-8 : alice"),
    (("--reply=uid",), "USERID : OTHER : 1000"),
    (("--reply=uid", "--system=UNIX"), "USERID : UNIX : 1000"),
    (("--reply=hidden",), "ERROR : HIDDEN-USER"),
    (("--reply=hidden", "--only-unknown-error"), "ERROR : UNKNOWN-ERROR"),
    (("--reply=static", "--name=somebody"), "USERID : OTHER : somebody"),
])
def test_replies(known, arguments, reply):
    assert ask(*arguments).reply == reply


def test_a_random_word_is_another_each_time_and_in_the_log(known):
    outcomes = [ask("--reply=random") for _ in range(20)]
    words = {outcome.reply.removeprefix("USERID : OTHER : ") for outcome in outcomes}
    assert len(words) == 20 and all(len(word) == 9 and word.isalnum() for word in words)
    assert {told(outcome, "query")[0]["said"] for outcome in outcomes} == {f"OTHER:{word}" for word in words}
    assert told(outcomes[0], "query")[0]["uid"] == UID


@pytest.mark.parametrize("name", ["a\r\nb", "a\nb", "a\0b", "a:b", "a\x1b[2J", "1, 2 : USERID : UNIX : root", "", "é",
                                  "\udcff", "x" * 513, " root", "a\u2028b"])
def test_a_name_that_would_be_misread_is_a_number(monkeypatch, known, name):
    monkeypatch.setattr(people, "owner", lambda uid: named(name))
    assert ask().reply == "USERID : OTHER : 1000"


def test_a_name_that_is_not_ascii_is_told_with_its_charset(monkeypatch, known):
    monkeypatch.setattr(people, "owner", lambda uid: named("zoë"))
    assert ask("--charset=UTF-8").reply == "USERID : UNIX , UTF-8 : zoë"
    assert ask().reply == "USERID : OTHER : 1000"


def test_a_user_without_a_name_is_a_number(monkeypatch, known):
    monkeypatch.setattr(people, "owner", lambda uid: None)
    assert ask("--user-files=yes").reply == "USERID : OTHER : 1000"


@pytest.mark.parametrize("arguments", [
    ("--reply=static",), ("--reply=token",), ("--decode=x",), ("--reply=static", "--name=x", "--decode=y")])
def test_options_that_lack_another(arguments):
    with pytest.raises(ValueError, match="need"):
        identd.setup(options_of(identd, *arguments))


@pytest.mark.parametrize("argument", ["--name=a:b", "--name=a\nb", "--name=", "--system=a b", "--charset=a,b",
                                      "--queries=0", "--user-may=fly", "--reply=all", "--forward=x:y"])
def test_options_that_are_none(argument):
    with pytest.raises(Misuse):
        options_of(identd, argument)


# -- tokens --

@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"0123456789abcdef0123456789abcdef\n")
    path.chmod(0o600)
    return path


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "daemons.identd", "--config=/dev/null", "--log=stderr", *arguments],
                          cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)


def test_a_token_tells_the_administrator_everything(known, key):
    reply = ask("--reply=token", f"--key-file={key}").reply
    token = reply.removeprefix("USERID : OTHER : ")
    assert "alice" not in reply and len(token) == 48
    done = run(f"--decode={token}", f"--key-file={key}")
    assert (done.returncode, NOON) == (0, 1_790_000_000)
    assert done.stdout.startswith("time=2026-09-21T14:13:20Z uid=1000 user=")
    assert done.stdout.endswith(" here=[192.0.2.1]:6193 there=[192.0.2.7]:23\n")


def test_a_token_of_another_key_or_none_at_all(key):
    for token in ("x", "A" * 48):
        done = run(f"--decode={token}", f"--key-file={key}")
        assert (done.returncode, done.stdout) == (100, "") and "not a token" in done.stderr


@pytest.mark.parametrize("mode, text, why", [(0o604, b"x" * 32, "everybody may use"), (0o600, b"x" * 15, "too short"),
                                             (0o600, b"\n" * 32, "too short")])
def test_keys_that_are_none(key, mode, text, why):
    key.write_bytes(text)
    key.chmod(mode)
    with pytest.raises(ValueError, match=why):
        identd.key_of(str(key))


# -- what a user wishes --

def wish(home, text, mode=0o644):
    """Put a wish into the user's file; the connection is hers."""
    path = home / ".ident"
    path.write_bytes(text)
    path.chmod(mode)
    return path


@pytest.fixture
def mine(known, monkeypatch):
    """alice's uid is ours, so that files we make are hers; she is not the only user."""
    monkeypatch.setattr(owners, "owner", lambda here, there, table: ME)
    monkeypatch.setattr(people, "is_login", lambda name: name.lower() in ("alice", "bob"))
    return known


ALL = ("--user-files=yes", "--user-may=hide,random,uid,reply", "--reply=static", "--name=default")
IRC = (6193, 6667)


@pytest.mark.parametrize("text, reply", [
    (b"hide\n", "ERROR : HIDDEN-USER"), (b"  uid ", f"USERID : OTHER : {ME}"),
    (b"reply mallory", "USERID : OTHER : mallory"), (b"reply alice\n", "USERID : OTHER : alice")])
def test_a_user_may_choose(mine, text, reply):
    wish(mine, text)
    outcome = ask(*ALL, ports=IRC)
    assert outcome.reply == reply and told(outcome, "query")[0]["why"] == ".ident"


def test_a_user_may_choose_a_random_word(mine):
    wish(mine, b"random")
    assert ask(*ALL).reply.startswith("USERID : OTHER : u")


@pytest.mark.parametrize("text", [
    b"reply bob", b"reply BOB", b"reply 0", b"reply 1000", b"reply a:b", b"reply a\0b", b"reply \xc3\xa9",
    b"reply \x1b[2J", b"reply", b"reply a b", b"reply " + b"x" * 600, b"reply " + b"x" * 2000,
    b"hide me", b"hide\0", b"", b"token", b"static", b"\xff"])
def test_wishes_that_do_not_count(mine, text):
    wish(mine, text)
    outcome = ask(*ALL, ports=IRC)
    assert outcome.reply == "USERID : OTHER : default"
    assert told(outcome, "unsafe")


def test_anothers_name_takes_a_right_of_its_own(mine):
    wish(mine, b"reply bob")
    assert ask(*ALL, "--user-may=reply,impersonate", ports=IRC).reply == "USERID : OTHER : bob"


@pytest.mark.parametrize("ports", [(1023, 6667), (6193, 1023), (25, 25)])
def test_servers_ports_are_not_for_words_of_ones_own(mine, ports):
    wish(mine, b"reply mallory")
    assert ask(*ALL, ports=ports).reply == "USERID : OTHER : default"


@pytest.mark.parametrize("text", [b"hide", b"random", b"uid", b"reply mallory"])
def test_by_default_no_file_is_read_and_no_word_is_free(mine, text):
    wish(mine, text)
    assert ask(ports=IRC).reply == "USERID : UNIX : alice"
    if text.startswith(b"reply"):
        assert ask("--user-files=yes", ports=IRC).reply == "USERID : UNIX : alice"
    assert ask("--user-files=yes", "--user-may=", ports=IRC).reply == "USERID : UNIX : alice"


def test_a_wish_must_be_a_plain_file_of_the_users_own(mine):
    path = wish(mine, b"hide")
    os.link(path, mine / "second")
    assert ask(*ALL).reply == "USERID : OTHER : default"
    (mine / "second").unlink()
    assert ask(*ALL).reply == "ERROR : HIDDEN-USER"
    path.unlink()
    os.mkfifo(path)
    assert ask(*ALL).reply == "USERID : OTHER : default"
    path.unlink()
    path.symlink_to("/etc/passwd")
    outcome = ask(*ALL)
    assert outcome.reply == "USERID : OTHER : default" and told(outcome, "unsafe")[0]["file"] == str(path)


# -- whose connections --

class Line:
    """A connection between two sockets of ours, and the ports at both ends."""

    def __init__(self, at="127.0.0.1", call=None, dualstack=False):
        family = socket.AF_INET6 if ":" in at else socket.AF_INET
        self.listener = socket.create_server((at, 0), family=family, dualstack_ipv6=dualstack)
        self.there = self.listener.getsockname()[1]
        self.client = socket.create_connection((call or at, self.there), 10)
        self.here = self.client.getsockname()[1]
        self.server, _ = self.listener.accept()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self.client, self.server, self.listener):
            sock.close()


@pytest.fixture(scope="module")
def server():
    """identd as a process, at loopback of both kinds."""
    with Serving("identd", at="") as serving:
        yield serving


def say(server, *ports, **call):
    """What the server replies, without the ports."""
    heard = server.answer(query(*ports) + b"\r\n", **call)
    assert heard.startswith(query(*ports) + b" : ") and heard.endswith(b"\r\n")
    reply = parse(heard[:-2])
    return reply.error or reply.user.decode()


MY_NAME = pwd.getpwuid(ME).pw_name


@pytest.mark.parametrize("at, call, dualstack", [("127.0.0.1", "127.0.0.1", False), ("::1", "::1", False),
                                                 ("::", "127.0.0.1", True)])
def test_our_own_connections(server, at, call, dualstack):
    with Line(at, call, dualstack) as line:
        assert say(server, line.here, line.there, at=call) == MY_NAME
        assert say(server, line.there, line.here, at=call) == MY_NAME


def test_a_connection_with_somebody_else_is_not_told_of(server):
    """The ports are right and the connection is there; but the asker is not at its other end."""
    with Line() as line:
        assert say(server, line.here, line.there, source="127.0.0.2") == NO_USER
        assert say(server, line.here, line.there, at="127.0.0.2", source="127.0.0.1") == NO_USER
        assert say(server, line.here, line.there, at="::1") == NO_USER
        assert say(server, line.here, line.there) == MY_NAME


def test_what_is_no_connection_has_no_user(server):
    with Line() as line:
        line.client.close()
        assert say(server, line.here, line.there) == NO_USER     # nobody's any more
        assert say(server, line.there, 1) == NO_USER             # a listener
    assert say(server, line.here, line.there) == NO_USER         # TIME_WAIT
    assert say(server, server.port, 1) == NO_USER                # identd's own


def test_several_queries_at_once_come_back_in_order(server):
    with Line() as line:
        queries = [(line.here, line.there), (0, 1), (line.there, line.here), (line.here, 1)]
        heard = server.answer(b"".join(query(*ports) + b"\r\n" for ports in queries)).split(b"\r\n")
    assert [parse(one).error for one in heard[:-1]] == ["", "INVALID-PORT", "", "NO-USER"]


def test_nobody_asks_without_end():
    with Serving("identd", "--queries=3") as server:
        assert server.answer(b"1, 2\r\n" * 10).count(b"NO-USER") == 3
    assert "reason=queries" in server.events("close")[0]


def test_an_overlong_line_ends_the_conversation():
    with Serving("identd") as server:
        assert server.answer(b"1, 2\r\n" + b"1" * 1000 + b"\r\n1, 2\r\n") == b"1, 2 : ERROR : NO-USER\r\n"
    assert "reason=toolong" in server.events("close")[0]


def test_an_idle_asker_is_left():
    outcome = play(identd, [b"1, 2\r\n", Late])
    assert outcome.reason == "late" and outcome.heard == b"1, 2 : ERROR : NO-USER\r\n"
    assert 60 <= options_of(identd).timeout <= 180               # RFC 1413, 2


def test_without_addresses_there_is_nothing_to_know():
    outcome = ask(peer="")
    assert outcome.reply == "ERROR : UNKNOWN-ERROR" and told(outcome, "blind")


def test_where_nothing_can_be_seen_that_is_said_and_logged(monkeypatch):
    def blind(*_):
        raise owners.Unknowable("a sandbox")
    monkeypatch.setattr(owners, "owner", blind)
    outcome = ask()
    assert outcome.reply == "ERROR : UNKNOWN-ERROR" and str(told(outcome, "blind")[0]["why"]) == "a sandbox"


@given(st.binary(max_size=1100))
def test_any_octets_end_in_replies(data):
    outcome = play(identd, [data])
    assert outcome.reason in ("gone", "cut", "toolong", "queries")
    for line in outcome.heard.split(b"\r\n")[:-1]:
        assert parse(line).error in ("INVALID-PORT", "NO-USER")


# -- inside hosts --

class Inside:
    """An identd of an inside host: what it heard, and what it says to it."""

    def __init__(self, says):
        self.says, self.heard = says, b""
        self.listener = socket.create_server(("127.0.0.2", 0))
        self.option = f"--forward=127.0.0.2:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        sock, _ = self.listener.accept()
        with sock:
            self.heard = sock.recv(1000)
            sock.sendall(self.says)
            while sock.recv(1000):
                continue

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(10)
        self.listener.close()


def test_an_inside_host_is_asked_about_what_is_not_ours():
    with Inside(b"6193,23:USERID:UNIX,UTF-8:carol\r\n") as inside:
        outcome = ask(inside.option)
    assert inside.heard == b"6193, 23\r\n"
    assert outcome.reply == "USERID : UNIX , UTF-8 : carol"
    assert told(outcome, "query")[0]["why"] == "forward:127.0.0.2"


@pytest.mark.parametrize("says, reply", [
    (b"1,2:USERID:UNIX:carol\r\n", "USERID : UNIX : carol"),         # its ports are not believed
    (b"1,2:ERROR:HIDDEN-USER\r\n", "ERROR : HIDDEN-USER"), (b"1,2:ERROR:NO-USER\r\n", "ERROR : NO-USER"),
    (b"1,2:USERID:UNIX:a\rb\r\n", "ERROR : NO-USER"), (b"1,2:USERID:UNIX:a:b\r\n", "ERROR : NO-USER"),
    (b"1,2:USERID:UNIX:\x1b[2J\r\n", "ERROR : NO-USER"), (b"x" * 2000, "ERROR : NO-USER"), (b"\r\n", "ERROR : NO-USER"),
    (b"1,2:ERROR:XFORGED\r\n", "ERROR : NO-USER")])
def test_an_inside_host_is_not_trusted_with_our_lines(says, reply):
    with Inside(says) as inside:
        assert ask(inside.option).reply == reply


def test_a_silent_inside_host_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(identd, "FORWARD_SECONDS", 0.2)
    with Inside(b"") as inside:
        outcome = ask(inside.option)
    assert outcome.reply == "ERROR : NO-USER" and len(told(outcome, "forward")) == 1


def test_who_asks_us_is_not_asked_back():
    with Inside(b"1,2:USERID:UNIX:carol\r\n") as inside:
        assert ask(inside.option, peer="127.0.0.2").reply == "ERROR : NO-USER"
    assert inside.heard == b""


def test_a_gateway_asks_by_ports_alone():
    with Line() as line:
        ports = line.here, line.there
        assert ask("--gateways=192.0.2.0/24", ports=ports).reply == f"USERID : UNIX : {MY_NAME}"
        assert ask("--gateways=192.0.3.0/24", ports=ports).reply == "ERROR : NO-USER"
        assert ask(ports=ports).reply == "ERROR : NO-USER"


def test_what_a_gateway_asks_is_not_passed_on():
    with Inside(b"1,2:USERID:UNIX:carol\r\n") as inside:
        assert ask(inside.option, "--gateways=192.0.2.7").reply == "ERROR : NO-USER"
        socket.create_connection(inside.listener.getsockname(), 5).close()
    assert inside.heard == b""
