"""fingerd, RFC 1288: what it tells, to whom, and how it is not made to tell more."""

import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons import fingerd
from daemons.kernel import access, describe, dial, log
from daemons.kernel.addresses import Address
from daemons.kernel.options import Misuse
from daemons.tools.stubs import CHECKOUT
from daemons.wire.utmp import NARROW, USER_PROCESS
from tests.play import NOON, options_of, play
from tests.serving import Serving

ME = os.getuid()
CARD = ["Login: alice                            Name: Alice Liddell", "Not logged in.", "No Plan."]


@pytest.fixture(autouse=True)
def no_hang():
    """Nothing here may take longer than this."""
    def too_long(number, frame):
        raise AssertionError("it hangs")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)
    yield
    signal.alarm(0)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """alice's home; bob has none."""
    path = tmp_path / "alice"
    path.mkdir(mode=0o755)
    table = {"alice": pwd.struct_passwd(("alice", "x", ME, ME, "Alice Liddell,R 7,555-1,555-2", str(path), "/bin/zsh")),
             "bob": pwd.struct_passwd(("bob", "x", ME, ME, "Bob & Liddell", "/nowhere", "/bin/sh"))}
    monkeypatch.setattr(pwd, "getpwnam", table.__getitem__)
    monkeypatch.setattr(pwd, "getpwall", lambda: list(table.values()))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return path


def write(path, text, mode=0o644):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def ask(query, *arguments, **more):
    """What came of a query: the Outcome, with the answer as `lines`; every event is as declared."""
    line = query if isinstance(query, bytes) else query.encode() + b"\r\n"
    outcome = play(fingerd, [line], options=options_of(fingerd, "--utmp=/nowhere", *arguments), **more)
    declared = {event.name: event.keys for event in fingerd.SERVICE.events}
    for name, values in outcome.events:
        assert {"session", *values} <= set(declared[name])
    assert b"\n" not in outcome.heard.replace(b"\r\n", b"") and b"\r" not in outcome.heard.replace(b"\r\n", b"")
    outcome.lines = outcome.heard.decode().split("\r\n")[:-1]
    return outcome


def told(outcome, name="query"):
    """The values of an event."""
    return [values for event, values in outcome.events if event == name]


# -- about one user --

def test_a_user(home):
    outcome = ask("alice")
    assert outcome.lines == CARD and outcome.reason == "user"
    assert told(outcome) == [{"session": "00000000", "about": "alice", "verbose": "no", "hosts": "", "result": "user",
                              "people": "alice"}]


def test_more_is_told_when_more_is_asked(home):
    assert ask("/W alice").lines == [
        CARD[0], f"Directory: {home}".ljust(39) + " Shell: /bin/zsh", "Office: R 7, 555-1", *CARD[1:]]


def test_each_fact_can_be_left_out_or_shown(home):
    assert ask("alice", "--show=").lines == CARD[:1]
    assert ask("/W alice", "--show-long=phone,shell").lines == [CARD[0], "Shell: /bin/zsh", "Home Phone: 555-2"]
    assert ask("alice", "--show=phone,office").lines == [CARD[0], "Office: R 7, 555-1".ljust(40) + "Home Phone: 555-2"]


def test_a_plan_and_a_project(home):
    write(home / ".plan", "World domination.\n\n  Then tea.\n")
    write(home / ".project", "fd0\nand more that is not shown\n")
    assert ask("alice").lines == [*CARD[:2], "Project: fd0", "Plan:", "World domination.", "", "  Then tea."]


@pytest.mark.parametrize("data, shown", [("grün ☕ Ωmega\n".encode(), "grün ☕ Ωmega"), (b"gr\xfcn\n", "grün")])
def test_plans_of_all_the_world(home, data, shown):
    write(home / ".plan", data)
    assert ask("alice", "--show=plan").lines == [CARD[0], "Plan:", shown]


@given(data=st.binary(max_size=80))
def test_no_plan_moves_a_cursor(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("home")
    write(path / ".plan", data)
    entry = pwd.struct_passwd(("alice", "x", ME, ME, "", str(path), ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pwd, "getpwnam", lambda name: entry)
        assert all(line.isprintable() for line in ask("alice").lines)


def test_a_long_plan_is_cut(home):
    write(home / ".plan", "x" * 50 + "\n" + "y" * 100_000)
    assert ask("alice", "--most=1K", "--show=plan").lines == [CARD[0], "Plan:", "x" * 50]


def test_by_full_name_only_where_that_is_wanted(home):
    assert ask("liddell").lines == [fingerd.NO_SUCH_USER]
    outcome = ask("Liddell", "--match=names", "--show=")
    assert outcome.lines == [CARD[0], "Login: bob                              Name: Bob Bob Liddell"]
    assert told(outcome)[0]["people"] == "alice,bob"


@pytest.mark.parametrize("query", [".", "0", "*", "**", "-", "a", "lidd", ".@", " . "])
def test_no_query_means_everybody(home, query):
    for arguments in ((), ("--match=names",), ("--match=names", "--list-to=0.0.0.0")):
        assert ask(query, *arguments).lines in ([fingerd.NO_SUCH_USER], [fingerd.FORWARD_DENIED])


def test_who_does_not_wish_to_be_known_is_not_there(home):
    absent = ask("carol").heard
    (home / ".nofinger").touch()
    assert ask("alice").heard == ask("alice", "--match=names").heard == absent
    assert ask("bob", "--hide=bob").heard == absent
    assert ask("bob").heard != absent


# -- files that are not what they seem --

def unsafe(outcome):
    """That nothing of the plan was shown, and why not."""
    assert outcome.lines == CARD
    return [values["why"].args[0] for values in told(outcome, "unsafe")]


def test_a_plan_that_is_a_link_to_a_secret(home):
    (home / ".plan").symlink_to("/etc/shadow")
    outcome = ask("alice")
    assert unsafe(outcome) == ["not a plain file"]
    assert told(outcome, "unsafe")[0]["file"] == f"{home}/.plan"


def test_a_plan_that_is_another_name_of_a_file(home):
    write(home / "secret", "secret")
    os.link(home / "secret", home / ".plan")
    assert unsafe(ask("alice")) == ["has a second name elsewhere"]


def test_a_plan_that_is_a_pipe(home):
    os.mkfifo(home / ".plan")
    assert unsafe(ask("alice")) == ["not a plain file"]


def test_a_plan_that_is_a_device(home):
    try:
        os.mknod(home / ".plan", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("devices cannot be made here")
    assert unsafe(ask("alice")) == ["not a plain file"]


def test_a_plan_that_is_private(home):
    write(home / ".plan", "secret", 0o600)
    assert unsafe(ask("alice")) == ["is not for everybody: chmod o+r"]


# -- the list --

def utmp(home, *users):
    """A file in which these are logged in, one after another."""
    since = int(NOON)
    data = b"".join(NARROW.pack(USER_PROCESS, 1, b"no/tty", b"", user, b"mx.example\x1b[2J", 0, 0, 0,
                                since - 60 * place, 0, b"") for place, user in enumerate(users))
    return f"--utmp={write(home.parent / 'utmp', data)}"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.1.2.3", "::1"])
def test_who_is_here_is_told_at_home(home, peer):
    outcome = ask("", utmp(home, b"alice", b"mallory", b"bob"), peer=peer)
    assert outcome.lines == [
        "Login      Name                     Tty       Idle  Login Time       From",
        "alice      Alice Liddell            no/tty          Mon Sep 21 14:13 mx.example[2J",
        "bob        Bob Bob Liddell          no/tty          Mon Sep 21 14:11 mx.example[2J"]
    assert outcome.reason == "list"


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::1", "12.7.0.1", "1.127.0.0", "::2", ""])
def test_strangers_are_not_told_who_is_here(home, peer):
    for query in ("", "/W", "/W  ", " "):
        outcome = ask(query, utmp(home, b"alice"), peer=peer)
        assert (outcome.lines, outcome.reason) == ([fingerd.LIST_DENIED], "list-denied")


@pytest.mark.parametrize("word, may", [("terminal", True), ("unix:uid=1000", True), ("pipes", False), ("", False)])
def test_who_is_at_home_without_an_address(word, may):
    for allowed in (None, access.networks("0.0.0.0,::")):
        assert fingerd.may_list(Address(word=word), allowed) is may


@pytest.mark.parametrize("peer, lines", [("192.0.2.7", 2), ("192.0.3.7", 1), ("127.0.0.1", 1), ("2001:db8::7", 2)])
def test_the_list_goes_to_those_named(home, peer, lines):
    assert len(ask("", utmp(home, b"alice"), "--list-to=192.0.2.0/24,2001:db8::/32", peer=peer).lines) == lines


def test_who_does_not_wish_to_be_known_is_not_in_the_list(home):
    (home / ".nofinger").touch()
    assert ask("", utmp(home, b"alice"), peer="::1").lines == [fingerd.NOBODY_HERE]
    assert ask("", utmp(home, b"bob"), "--hide=bob", peer="::1").lines == [fingerd.NOBODY_HERE]


def test_what_the_list_tells_is_told_of_one_user_too(home):
    """RFC 1288, 2.5.2: "at least the same amount of information"."""
    assert ask("alice", utmp(home, b"bob", b"alice")).lines[1] == \
        "On since Mon Sep 21 14:12 on no/tty from mx.example[2J"


def test_a_list_that_is_none(home):
    outcome = ask("", f"--utmp={write(home / 'utmp', 'no such thing')}", peer="::1")
    assert outcome.lines == [fingerd.NOBODY_HERE] and len(told(outcome, "unsafe")) == 1


# -- forwarding --

@pytest.mark.parametrize("query", ["a@b", "a@b@b@b", "@b", "/W a@b", "a@", "@", "alice@localhost", "@" * 500])
def test_nothing_is_passed_on(home, monkeypatch, query):
    monkeypatch.setattr(dial, "call", lambda *_, **__: pytest.fail("called somebody"))
    for arguments in ((), ("--forward=c",)):
        outcome = ask(query, *arguments)
        assert (outcome.lines, outcome.reason) == ([fingerd.FORWARD_DENIED], "forward-denied")


def test_a_chain_is_never_passed_on_and_neither_is_what_breaks_a_line(home, monkeypatch):
    monkeypatch.setattr(dial, "call", lambda *_, **__: pytest.fail("called somebody"))
    for query in ("a@b@b", "a@b@b@b", "a\0@b", "a\x1b@b", "a\r@b"):
        assert ask(query, "--forward=b").lines == [fingerd.FORWARD_DENIED]


def test_a_query_for_a_host_allowed_is_passed_on(home):
    heard = []

    def other():
        sock, _ = listener.accept()
        with sock:
            heard.append(sock.recv(1000))
            sock.sendall(b"Login: carol\r\n\x1b[2JPlan:\r\n" + b"x" * 5000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=other, daemon=True)
        thread.start()
        outcome = ask("/W carol@127.0.0.1", f"--forward=127.0.0.1:{listener.getsockname()[1]}", "--most=1K")
        thread.join(10)
    assert heard == [b"/W carol\r\n"]
    assert outcome.lines[:2] == ["Login: carol", "Plan:"] and len(outcome.heard) <= 1024
    assert told(outcome)[0]["hosts"] == "127.0.0.1"


def test_a_host_that_does_not_answer(home):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = ask("carol@127.0.0.1", f"--forward=127.0.0.1:{port}")
    assert (outcome.lines, outcome.reason) == ([fingerd.FORWARD_FAILED], "forward-failed")
    assert len(told(outcome, "forward")) == 1


# -- scripts --

@pytest.fixture
def not_root(monkeypatch):
    """As when launchers run us as nobody."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)


SCRIPT = "#!/bin/sh\nprintf 'I am %s for %s (%s), \\033[1m%s\\n' $USER $REMOTE_HOST $FINGER_LONG $FINGER_NAME\n"


def test_a_users_script_answers_for_her(home, not_root):
    write(home / ".efingerd", SCRIPT, 0o755)
    assert ask("alice").lines == CARD
    assert ask("alice", "--scripts=pages").lines == CARD
    outcome = ask("/W alice", "--scripts=users")
    assert outcome.lines == ["I am alice for 192.0.2.7 (yes), alice"] and outcome.reason == "script"


@pytest.mark.parametrize("mode, why", [(0o775, "written by others"), (0o757, "written by others"),
                                       (0o744, "not executable")])
def test_a_script_that_somebody_else_may_have_written(home, not_root, mode, why):
    write(home / ".efingerd", SCRIPT, mode)
    outcome = ask("alice", "--scripts=yes")
    assert outcome.lines == CARD and why in str(told(outcome, "script")[0]["why"])


def test_a_script_that_is_a_link(home, not_root):
    (home / ".efingerd").symlink_to(write(home / "other", SCRIPT, 0o755))
    outcome = ask("alice", "--scripts=yes")
    assert outcome.lines == CARD and "not a plain file" in str(told(outcome, "script")[0]["why"])


def test_root_runs_no_scripts(home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    write(home / ".efingerd", SCRIPT, 0o755)
    outcome = ask("alice", "--scripts=yes")
    assert outcome.lines == CARD and told(outcome, "script")[0]["why"] == "not run as root"


def test_a_script_that_does_not_end_is_ended(home, not_root):
    write(home / ".efingerd", "#!/bin/sh\necho wait for it\nsleep 60\n", 0o755)
    began = time.monotonic()
    outcome = ask("alice", "--scripts=yes", "--script-time=0.2")
    assert outcome.lines == ["wait for it"] and time.monotonic() - began < 5
    assert "took too long" in str(told(outcome, "script")[0]["why"])


def test_a_script_that_does_not_stop_talking_is_stopped(home, not_root):
    write(home / ".efingerd", "#!/bin/sh\nyes\n", 0o755)
    assert ask("alice", "--scripts=yes", "--most=1K").lines == ["y"] * 512


def test_a_script_that_says_nothing_leaves_the_answer_to_us(home, not_root):
    write(home / ".efingerd", "#!/bin/sh\nexit 1\n", 0o755)
    assert ask("alice", "--scripts=yes").lines == CARD


# -- pages --

def test_a_page_that_is_a_program(home, not_root, tmp_path):
    write(tmp_path / "date", "#!/bin/sh\necho it is now\n", 0o755)
    pages = f"--pages={tmp_path}"
    assert ask("date", pages).lines == [fingerd.NO_SUCH_USER]       # and certainly not its text
    assert ask("date", pages, "--scripts=users").lines == [fingerd.NO_SUCH_USER]
    assert ask("date", pages, "--scripts=pages").lines == ["it is now"]
    (tmp_path / "date").chmod(0o777)
    assert ask("date", pages, "--scripts=pages").lines == [fingerd.NO_SUCH_USER]


def test_a_page_goes_before_an_account(home, tmp_path):
    write(tmp_path / "bob", "On leave.\n")
    assert ask("bob", f"--pages={tmp_path}").lines == ["On leave."]


@pytest.mark.parametrize("query", ["../alice/.plan", "/etc/passwd", ".hidden", "alice/.plan", "..", "."])
def test_pages_come_out_of_their_folder_only(home, tmp_path, query):
    write(tmp_path / ".hidden", "secret")
    write(home / ".plan", "secret")
    assert ask(query, f"--pages={tmp_path}").lines == [fingerd.NO_SUCH_USER]


def test_an_alias_is_followed_once(home, tmp_path):
    aliases = write(tmp_path / "aliases", "al: alice\nwebmaster: al\n")
    assert ask("al", f"--aliases={aliases}").lines == CARD
    assert ask("webmaster", f"--aliases={aliases}").lines == [fingerd.NO_SUCH_USER]


@pytest.mark.parametrize("option", ["pages", "banner", "no-user", "aliases"])
def test_files_that_are_not_there_stop_the_start(option):
    with pytest.raises(FileNotFoundError):
        fingerd.setup(options_of(fingerd, f"--{option}=/nowhere/file"))


@pytest.mark.parametrize("argument", ["--show=secrets", "--scripts=all", "--pages=relative", "--forward=:1",
                                      "--list-to=x y/z"])
def test_options_that_are_none(argument):
    with pytest.raises(Misuse):
        options_of(fingerd, argument)


# -- what a hostile client sends --

HOSTILE = [b"\x1b]0;x\x07", b"a\rb", b"a\0b", b"%n%s%x", b"{0.__class__}", b"\xff\xfb\x01", b"\xc0\xafetc", b"x" * 512,
           b"root\r\r", b"'; DROP TABLE", b"$(id)", b"\xe2\x80\xaeevil", b"<0>forged"]


@pytest.mark.parametrize("query", HOSTILE)
def test_a_query_is_never_sent_back_and_is_one_line_of_the_log(query):
    outcome = ask(query + b"\r\n")
    assert outcome.lines == [fingerd.NO_SUCH_USER]
    written = log.quoted(told(outcome)[0]["about"])
    assert written.isprintable() and written


def test_too_long_a_line_is_refused_and_nothing_after_it_is_heard():
    outcome = ask(b"x" * 513 + b"\r\nroot\r\n")
    assert (outcome.lines, outcome.reason) == ([fingerd.TOO_LONG], "toolong")


@given(st.binary(max_size=700))
def test_any_octets_end_in_lines(data):
    ask(data)


def test_one_question_one_line_of_the_log():
    """The whole way: a process, pipes, and the log as it is written."""
    done = subprocess.run([sys.executable, "-m", "daemons.fingerd", "--log=stderr", "--config=/dev/null"],
                          cwd=CHECKOUT, capture_output=True, timeout=20,
                          input=b"\x1b]0;x\x07\0%n%s{0}\rquery session=forged\r\nroot\r\n")
    assert done.stdout == b"No such user\r\n"
    lines = done.stderr.decode().split("\n")[:-1]
    assert [line.split()[1] for line in lines] == ["open", "query", "close"]
    assert r'about="\x1b]0;x\x07\x00%n%s{0}\x0dquery session=forged"' in lines[1]


def test_its_systemd_unit_lets_it_tell_whose_files_are_whose():
    """In a user namespace of its own every user's plan would be nobody's, and none be shown."""
    unit = describe.systemd_service(fingerd.SERVICE)
    assert "PrivateUsers" not in unit and "ProtectHome=read-only" in unit


def test_over_tcp():
    with Serving("fingerd", "--show=") as server:
        assert server.answer(b"root\r\n").startswith(b"Login: root ")
        assert server.answer(b"a@b@b@b\r\n") == b"Finger forwarding service denied\r\n"
        assert server.answer(b"root\n").startswith(b"Login: root ")
        assert server.answer(b"root") == b""
        assert b"Finger online user list denied" not in server.answer(b"\r\n")
    assert [line.split("result=")[1].split()[0] for line in server.events("query")] == \
        ["user", "forward-denied", "user", "list"]
