"""qotd, RFC 865: which quotes, how long, in which signs; and programs that print them."""

import os
import sqlite3

import pytest

from daemons import qotd
from daemons.kernel.addresses import Address
from daemons.kernel.options import Misuse
from tests.play import NOON, ask, options_of, play

DAY = 86400


def setup(*arguments):
    """Options and quotes, as the program makes them once."""
    options = options_of(qotd, *arguments)
    return options, (qotd.setup(options),)


def told(*arguments, times=1, **others):
    """What the stream says in each of so many conversations."""
    options, made = setup(*arguments)
    return [play(qotd, [b"ignored\r\n"], options=options, made=made, **others).heard for _ in range(times)]


def answers(question, *arguments, times=100):
    options, made = setup(*arguments)
    return {ask(qotd, question, options=options, made=made) for _ in range(times)}


@pytest.fixture
def cookies(tmp_path):
    """Makes a fortune file of these strings."""
    def make(*strings, name="cookies"):
        (tmp_path / name).write_bytes(b"\n%\n".join(strings))
        return f"--quotes={tmp_path / name}"
    return make


@pytest.fixture
def program(tmp_path):
    """Makes a shell script and names it, with arguments, in --exec."""
    def make(script, arguments=""):
        path = tmp_path / "prints"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return f"--exec={path} {arguments}".rstrip()
    return make


# -- quotes --

def test_without_options_it_tells_our_own():
    heard = set(told(times=200))
    assert heard == {quote + b"\r\n" for quote in qotd.OURS}
    assert all(quote.decode("ascii").isprintable() and len(quote) < 100 for quote in qotd.OURS)


def test_lines_end_with_cr_lf_and_the_quote_with_one(cookies):
    assert told(cookies(b"\n\none  \ntwo\r\n\n")) == [b"one\r\ntwo\r\n"]


def test_511_characters_are_told_and_512_are_not(cookies):
    """Quote Syntax: "it should be less than 512 characters"; it is skipped, not cut."""
    fits, too_long = b"x" * 509, b"y" * 510
    assert set(told(cookies(too_long, fits, too_long), times=50)) == {fits + b"\r\n"}


def test_where_none_fits_the_conversation_ends_in_silence(cookies):
    options, made = setup(cookies(b"y" * 600))
    outcome = play(qotd, [], options=options, made=made)
    assert (outcome.heard, outcome.reason) == (b"", "silent")


# -- datagrams --

def test_an_answer_is_no_longer_than_its_question(cookies):
    source = cookies(b"a" * 10, b"b" * 100, b"c" * 400)
    assert answers(b"", source) == answers(b"?" * 11, source) == {None}
    assert answers(b"?" * 12, source) == answers(b"?" * 101, source) == {b"a" * 10 + b"\r\n"}
    assert {len(quote) for quote in answers(b"?" * 65000, source)} == {12, 102, 402}


def test_the_reply_limit_allows_more(cookies):
    source = cookies(b"a" * 10, b"b" * 100, b"c" * 400)
    assert {len(quote) for quote in answers(b"", source, "--reply-limit=102")} == {12, 102}


def test_of_our_own_none_is_longer_than_any_question():
    for size in range(0, 120, 7):
        assert all(len(quote or b"") <= size for quote in answers(b"?" * size, times=20))


@pytest.mark.parametrize("limit", ["512", "-1", "x"])
def test_a_bad_reply_limit_is_refused(limit):
    with pytest.raises(Misuse, match="reply-limit"):
        options_of(qotd, f"--reply-limit={limit}")


# -- signs --

@pytest.mark.parametrize("hostile", [
    b"\x1b]0;owned\x07Hi", b"\x1b[2J\x1b[1;31mHi", b"\xc2\x9b2JHi", b"H\x00i\x07", b"Hi\x1b]52;c;cm0gLXJmIC8=",
    b"\xe2\x80\xaeHi", b"\x9b2JHi"])
@pytest.mark.parametrize("charset", ["ascii", "utf-8"])
def test_nothing_in_a_quote_is_an_order_to_a_terminal(cookies, hostile, charset):
    assert told(cookies(hostile), f"--charset={charset}") == [b"Hi\r\n"]


def test_signs_that_ascii_lacks_are_told_in_utf8_only(cookies):
    source = cookies("naïve\n".encode(), "caf\xe9\n".encode("latin-1"), "it’s “ASCII” – nearly…\n".encode())
    assert set(told(source, times=50)) == {b'it\'s "ASCII" - nearly...\r\n'}
    assert set(told(source, "--charset=utf-8", times=200)) == \
        {line.encode() + b"\r\n" for line in ("naïve", "café", "it’s “ASCII” – nearly…")}


def test_octets_count_and_not_characters(cookies):
    assert told(cookies("é".encode() * 256), "--charset=utf-8") == [b""]


# -- which --

def test_all_day_the_same_and_another_day_another():
    options, made = setup("--choice=day")
    midnight = NOON // DAY * DAY

    def quote(now, host="192.0.2.7"):
        return play(qotd, [], options=options, made=made, now=now, peer=host).heard

    assert len({quote(midnight + second, f"192.0.2.{second % 250}") for second in range(0, DAY, 4321)}) == 1
    assert len({quote(midnight + day * DAY) for day in range(30)}) > 3


def test_each_client_has_its_own_all_day():
    options, made = setup("--choice=client")

    def quote(host, now=NOON):
        return play(qotd, [], options=options, made=made, peer=host, now=now).heard

    assert len({quote("192.0.2.7") for _ in range(20)}) == 1
    assert len({quote(f"192.0.2.{host}") for host in range(30)}) > 3
    assert len({quote("192.0.2.7", NOON + day * DAY) for day in range(30)}) > 3
    assert quote("2001:db8::1") == quote("2001:db8::ffff"), "a /64 is one client"


def test_the_day_s_quote_is_the_same_for_streams_and_datagrams(cookies):
    source = cookies(*(b"quote %d" % number for number in range(200)))
    for day in range(5):
        options, made = setup(source, "--choice=day")
        said = {"options": options, "made": made, "now": NOON + day * DAY}
        assert play(qotd, [], **said).heard == ask(qotd, b"?" * 60, **said)


def test_the_choice_is_the_same_in_every_process():
    """It must not hang on hash(), which every process salts for itself."""
    draw = qotd.chance(options_of(qotd, "--choice=client"), Address("192.0.2.7", 1), NOON)
    assert [int(draw() * 1000) for _ in range(3)] == [232, 755, 609]


# -- where they come from --

def test_percentages_weigh_files(cookies, tmp_path):
    cookies(b"rare", name="rare")
    cookies(b"often", b"often", name="often")
    heard = told(f"--quotes=2%={tmp_path}/rare,98%={tmp_path}/often", times=1000)
    assert 0 < heard.count(b"rare\r\n") < 80
    heard = told(f"--quotes={tmp_path}/rare {tmp_path}/often", "--equal", times=1000)
    assert 380 < heard.count(b"rare\r\n") < 620


def test_offensive_ones_are_told_where_that_is_wanted(cookies, tmp_path):
    cookies(b"nice", name="nice")
    cookies(b"rude", name="rude-o")
    folder = f"--quotes={tmp_path}"
    assert set(told(folder, times=30)) == {b"nice\r\n"}
    assert set(told(folder, "--offensive=only", times=30)) == {b"rude\r\n"}
    assert set(told(folder, "--offensive=yes", times=60)) == {b"nice\r\n", b"rude\r\n"}


def test_a_table_is_a_source(tmp_path):
    connection = sqlite3.connect(tmp_path / "quotes.db")
    connection.execute("CREATE TABLE quotes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, offensive INTEGER NOT NULL)")
    connection.execute("INSERT INTO quotes (text, offensive) VALUES ('nice\n-- her', 0), ('rude', 1)")
    connection.commit()
    connection.close()
    assert set(told(f"--database={tmp_path}/quotes.db", times=20)) == {b"nice\r\n-- her\r\n"}
    assert set(told(f"--database={tmp_path}/quotes.db", "--offensive=only", times=20)) == {b"rude\r\n"}


@pytest.mark.parametrize(("arguments", "why"), [
    (("--quotes=relative",), "not an absolute path"), (("--quotes=",), "names no file"),
    (("--quotes=50%=/a",), "add up to 50"), (("--quotes=60%=/a,60%=/b",), "add up to 120"),
    (("--quotes=100%=/a,/b",), "nothing is left for /b"), (("--quotes=x%=/a",), "not a whole number"),
    (("--quotes=-5%=/a",), "not a whole number"), (("--quotes=101%=/a",), "add up to 101"),
    (("--exec=fortune",), "not an absolute path"), (("--exec=/etc/passwd",), "not a program"),
    (("--exec=/bin",), "not a program"), (("--exec=/bin/echo 'a",), "No closing quotation"),
    (("--exec=",), "not a program"), (("--choice=week",), "must be one of"),
    (("--charset=latin-1",), "must be one of")])
def test_a_bad_option_is_refused_where_it_stands(arguments, why):
    with pytest.raises(Misuse, match=why):
        options_of(qotd, *arguments)


@pytest.mark.parametrize(("arguments", "why"), [
    (("--quotes=/a", "--exec=/bin/echo"), "come from one of them"),
    (("--database=/a", "--exec=/bin/echo"), "come from one of them"),
    (("--exec=/bin/echo", "--choice=day"), "for its program to choose"),
    (("--database=/no/such/file",), "/no/such/file"), (("--quotes=/dev/null",), "not a file")])
def test_options_that_can_tell_nothing_are_refused_at_the_start(arguments, why):
    with pytest.raises(ValueError, match=why):
        setup(*arguments)


def test_a_missing_file_is_refused_at_the_start():
    with pytest.raises(FileNotFoundError):
        setup("--quotes=/no/such/file")


# -- programs --

def test_a_program_prints_the_quote(program):
    assert told(program("printf 'one\\n\\033[31mtwo\\n'")) == [b"one\r\ntwo\r\n"]


def test_what_it_prints_is_no_longer_than_the_question_either(program):
    options, made = setup(program("echo 12345678"))
    assert ask(qotd, b"?" * 9, options=options, made=made) is None
    assert ask(qotd, b"?" * 10, options=options, made=made) == b"12345678\r\n"


def test_there_is_no_shell(program, tmp_path):
    """Words are split as a shell would, and then nobody interprets them."""
    evil = f"'; touch {tmp_path}/owned' $(id) `id` '*' \"a  b\" $HOME | sh > {tmp_path}/owned"
    [heard] = told(program('printf "<%s>" "$@"', evil))
    assert heard == f"<; touch {tmp_path}/owned><$(id)><`id`><*><a  b><$HOME><|><sh><>><{tmp_path}/owned>\r\n".encode()
    assert not (tmp_path / "owned").exists()


def test_what_the_peer_says_reaches_no_program(program):
    options, made = setup(program("cat; echo $#; env | grep -c EVIL; true"))
    outcome = play(qotd, [b"EVIL; id\r\n"], options=options, made=made)
    assert outcome.heard == b"0\r\n0\r\n"


def test_a_program_inherits_nothing_of_ours(program, monkeypatch):
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "FD0_QOTD_QUOTES", "SECRET"):
        monkeypatch.setenv(name, "3")
    with open("/etc/passwd") as file:
        os.set_inheritable(file.fileno(), True)
        [heard] = told(program("echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES $NOTIFY_SOCKET $FD0_QOTD_QUOTES $SECRET\n"
                               "ls -l /proc/$$/fd | grep -c -e passwd -e socket\nreadlink /proc/$$/fd/0"))
    assert heard == b"0\r\n/dev/null\r\n"


@pytest.mark.parametrize(("script", "why"), [
    ("exec sleep 100", "too long"), ("sleep 100 & echo hi", "too long"), ("yes", "more than 4096 octets"),
    ("exit 3", "status 3"), ("echo half; exit 3", "status 3"), ("kill -TERM $$", "SIGTERM"),
    (":", "it printed 0 octets"), ("printf '%0600d' 7", "it printed 602 octets")])
def test_a_program_that_fails_is_in_the_log_and_the_peer_hears_nothing(program, script, why):
    options, made = setup(program(script), "--exec-time=0.3")
    outcome = play(qotd, [], options=options, made=made)
    [(name, values)] = outcome.events
    assert (outcome.heard, outcome.reason, name) == (b"", "silent", "failed")
    assert why in str(values["why"])
    declared = {event.name: event.keys for event in qotd.SERVICE.events}
    assert {*values, "session"} == set(declared[name])


def test_a_flood_of_questions_is_no_flood_of_programs(program, tmp_path):
    options, made = setup(program(f"echo x >> {tmp_path}/runs; echo $(wc -l < {tmp_path}/runs)"))
    [printed] = made
    for now, runs in ((100.0, 1), (100.0, 1), (100.9, 1), (101.5, 2), (102.4, 2), (102.6, 3)):
        printed.clock = lambda now=now: now
        assert ask(qotd, b"?" * 20, options=options, made=made) == b"%d\r\n" % runs


def test_a_program_that_fails_is_not_asked_again_at_once(program, tmp_path):
    options, made = setup(program(f"echo x >> {tmp_path}/runs; exit 1"))
    for _ in range(5):
        assert ask(qotd, b"?" * 20, options=options, made=made) is None
    assert (tmp_path / "runs").read_text() == "x\n"
