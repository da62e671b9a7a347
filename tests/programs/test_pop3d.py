"""pop3d after the login: accounts and mail as they are, and what a session leaves behind."""

import base64
import contextlib
import os

import pytest

from daemons import pop3d
from daemons.kernel.ends import Gone, Reset
from daemons.kernel.limitsfile import LimitsFile
from daemons.kernel.penalties import Penalty
from daemons.kernel.stream import Stream
from daemons.stores import accounts
from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder
from daemons.stores.maildrop import Maildrop
from daemons.wire import scram
from daemons.wire.popreplies import apop_digest
from tests.play import NOON, Peer, options_of, play

ALICE, PASSWORD = "alice@example.org", b" a secret,  with blanks "
LOGIN = [b"USER alice@example.org\r\n", b"PASS " + PASSWORD + b"\r\n"]
MAIL = (b"Subject: one\r\n\r\n.dot\r\n..\r\nend\r\n", b"Subject: two\r\nFrom: bob\r\n\r\n1\r\n2\r\n3\r\n")
FULL = "+OK 2 messages (67 octets)"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The path of a database: making accounts takes a while."""
    path = str(tmp_path_factory.mktemp("accounts") / "accounts.db")
    there = accounts.open(path, create=True)
    there.add_user(ALICE, PASSWORD)
    there.add_user("old@example.org", b"tanstaaf", secret=True)
    there.add_user("smtp@example.org", b"secret", scopes=("smtp",))
    there.add_user("homeless", b"secret")
    there.store.close()
    return path


class House:
    """A mail server's folder, and conversations with pop3d about it."""

    def __init__(self, path, folder):
        self.path, self.mail = path, str(folder / "mail")
        self.box = f"{self.mail}/example.org/alice"
        os.mkdir(self.mail)

    def deliver(self, *mails):
        with Folder(self.box) as folder:
            folder.create()
            for mail in mails:
                with Delivery(folder) as delivery:
                    delivery.write(mail)
                    delivery.keep()

    def there(self):
        return sorted(os.listdir(f"{self.box}/new") + os.listdir(f"{self.box}/cur"))

    def options(self, *others):
        return options_of(pop3d, f"--accounts={self.path}", f"--mail={self.mail}", "--plaintext=yes", *others)

    def play(self, said, *others, **how):
        return play(pop3d, said, options=self.options(*others), **how)

    def ask(self, *lines, login=LOGIN, others=(), **how):
        """The lines of what is answered after the greeting and the login."""
        outcome = self.play([*login, *(line + b"\r\n" for line in lines)], *others, **how)
        answers = outcome.heard.decode().split("\r\n")[:-1]
        return answers[3:] if login else answers[1:], outcome


@pytest.fixture
def house(made, tmp_path):
    found = House(made, tmp_path)
    found.deliver(*MAIL)
    return found


def logins(outcome):
    return [(values["user"], values["result"], values["mechanism"]) for name, values in outcome.events
            if name == "login"]


# -- logins --

def test_the_password_is_taken_as_it_is_and_the_maildrop_told(house):
    outcome = house.play([*LOGIN, b"QUIT\r\n"])
    assert outcome.heard.decode().split("\r\n") == ["+OK POP3 ready", "+OK and the password?", FULL, "+OK bye", ""]
    assert logins(outcome) == [(ALICE, "ok", "USER")] and outcome.reason == "quit"


@pytest.mark.parametrize("name, secret, result", [
    (ALICE, PASSWORD[1:], "wrong"), (ALICE, PASSWORD[:-1], "wrong"), (ALICE, b"\xff", "wrong"),
    ("eve@example.org", b"x", "unknown"), ("eve@example.org", b"\xff", "unknown"),
    ("smtp@example.org", b"secret", "scope"), ("\udcff", b"x", "unknown")])
def test_all_who_are_not_let_in_hear_the_same(house, name, secret, result):
    said = [b"USER " + name.encode("utf-8", "surrogateescape") + b"\r\n", b"PASS " + secret + b"\r\n", b"STAT\r\n"]
    outcome = house.play(said)
    assert outcome.heard.decode().split("\r\n")[2:] == ["-ERR [AUTH] wrong user or password",
                                                        "-ERR no such command here", ""]
    assert [one[1:] for one in logins(outcome)] == [(result, "USER")]


def test_an_account_without_a_domain_has_no_mail(house):
    answers, outcome = house.ask(b"USER homeless", b"PASS secret", login=())
    assert answers[1] == "-ERR [SYS/PERM] this account has no mail"
    assert logins(outcome) == [("homeless", "no-mail", "USER")]


def test_who_failed_waits_before_the_next_answer_and_who_passed_does_not(house):
    with contextlib.closing(LimitsFile()) as table:
        assert house.play([LOGIN[0], b"PASS wrong\r\n"], table=table).rested == 0
        assert house.play(LOGIN, table=table).rested == 2
        assert house.play(LOGIN, table=table).rested == 0


def test_five_failed_logins_end_the_conversation(house):
    guess = [LOGIN[0], b"PASS guess\r\n"]
    outcome = house.play([*guess * 2, b"CAPA\r\n", *guess * 3, *LOGIN])
    assert outcome.heard.endswith(b"-ERR [AUTH] wrong user or password\r\n-ERR too many errors\r\n")
    assert outcome.reason == "errors" and logins(outcome) == [(ALICE, "wrong", "USER")] * 5
    assert house.play([*guess * 4, *LOGIN, b"QUIT\r\n"]).reason == "quit"


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_sasl_with_a_password(house, mechanism, initial):
    words = [b"\0" + ALICE.encode() + b"\0" + PASSWORD] if mechanism == "PLAIN" else [ALICE.encode(), PASSWORD]
    lines = [base64.b64encode(one) for one in words]
    verb = f"AUTH {mechanism}".encode()
    said = [verb + b" " + lines[0], *lines[1:]] if initial else [verb, *lines]
    answers, outcome = house.ask(*said, b"STAT", login=())
    assert answers[-2:] == [FULL, "+OK 2 67"]
    assert logins(outcome) == [(ALICE, "ok", mechanism)]


def test_nobody_acts_for_another(house):
    line = base64.b64encode(b"bob@example.org\0" + ALICE.encode() + b"\0" + PASSWORD)
    answers, outcome = house.ask(b"AUTH PLAIN " + line, login=())
    assert answers == ["-ERR [AUTH] wrong user or password"] and logins(outcome) == [(ALICE, "other", "PLAIN")]


class Answering(Peer):
    """A client that logs in by SCRAM-SHA-256, and says what the server's words ask for."""

    def __init__(self, user, secret):
        super().__init__([])
        self.client = scram.Client(user, secret, b"rOprNGfwEbeRWgbNEkqO")
        self.answers = iter([lambda _: b"AUTH SCRAM-SHA-256 " + base64.b64encode(self.client.first),
                             lambda said: base64.b64encode(self.client.answer(said)),
                             lambda said: b"" if self.client.is_server(said) else b"*"])

    def receive(self, size, deadline):
        """The next line, made from the last one heard."""
        last = self.heard.split(b"\r\n")[-2]
        answer = next(self.answers, None)
        if answer is None or last.startswith(b"-ERR"):
            return b""
        return answer(base64.b64decode(last.removeprefix(b"+ "))) + b"\r\n" if last.startswith(b"+ ") else \
            answer(b"") + b"\r\n"


def by_scram(house, user, secret, table, since=0.0):
    """(last line heard, seconds waited, logins) of one login."""
    there, events = Answering(user, secret), []
    there.now = since
    table.clock = lambda: there.now
    stream = Stream(there, log=lambda name, **values: events.append((name, values)), clock=lambda: there.now,
                    penalty=lambda stream: Penalty(table, "pop3d", "192.0.2.7"))
    options = house.options("--plaintext=no")
    with contextlib.suppress(Gone):
        pop3d.talk(stream, options, pop3d.setup(options))
    stream.flush()
    return there.heard.decode().split("\r\n")[-2], there.rested, [values["result"] for name, values in events
                                                                  if name == "login"]


def test_scram_is_taken_in_the_clear_and_each_guess_counts(house):
    with contextlib.closing(LimitsFile()) as table:
        assert by_scram(house, ALICE, PASSWORD, table) == (FULL, 0, ["ok"])
        wrong = "-ERR [AUTH] wrong user or password"
        for since, rested in ((0, 0), (0, 2), (2, 4), (6, 8)):
            assert by_scram(house, ALICE, b"guess", table, since) == (wrong, rested, ["wrong"])
        assert by_scram(house, "eve@example.org", b"guess", table, 14)[0] == wrong
        assert by_scram(house, "smtp@example.org", b"secret", table, 29)[2] == ["scope"]


def test_the_clear_has_no_passwords(house):
    options = options_of(pop3d, f"--accounts={house.path}", f"--mail={house.mail}")
    outcome = play(pop3d, [b"CAPA\r\n", *LOGIN, b"AUTH PLAIN AGEAYg==\r\n", b"AUTH SCRAM-SHA-256\r\n", b"*\r\n"],
                   options=options)
    lines = outcome.heard.decode().split("\r\n")
    assert "USER" not in lines and "SASL SCRAM-SHA-256" in lines and "STLS" not in lines
    refused = "-ERR [SYS/PERM] passwords are taken under TLS only"
    assert lines[-6:] == [refused, "-ERR USER comes first", refused, "+ ", "-ERR authentication given up", ""]


# -- APOP --

def greeting(outcome):
    return "<" + outcome.heard.decode().split("\r\n")[0].rpartition("<")[2]


class Old(Peer):
    """A client that knows APOP alone."""

    def __init__(self, user, secret):
        super().__init__([])
        self.user, self.secret, self.done = user, secret, False

    def receive(self, size, deadline):
        """The digest of what stands in the greeting, once."""
        if self.done:
            return b""
        self.done, stamp = True, self.heard[self.heard.index(b"<"):].rstrip().decode()
        return f"APOP {self.user} {apop_digest(stamp, self.secret)}\r\n".encode()


@pytest.mark.parametrize("name, secret, result", [
    ("old@example.org", b"tanstaaf", "ok"), ("old@example.org", b"other", "wrong"), (ALICE, PASSWORD, "wrong"),
    ("eve@example.org", b"", "wrong")])
def test_apop_is_for_accounts_that_keep_their_password(house, name, secret, result):
    there, events = Old(name, secret), []
    options = house.options("--plaintext=no", "--apop=yes", "--hostname=mail.example.org")
    with contextlib.closing(LimitsFile()) as table:
        stream = Stream(there, log=lambda name, **values: events.append((name, values)),
                        penalty=lambda stream: Penalty(table, "pop3d", "192.0.2.7"))
        with contextlib.suppress(Gone):
            pop3d.talk(stream, options, pop3d.setup(options))
        stream.flush()
    assert b"@mail.example.org>\r\n" in there.heard
    assert [values["result"] for kind, values in events if kind == "login"] == [result]
    assert there.heard.endswith(b"+OK 0 messages (0 octets)\r\n" if result == "ok" else
                                b"-ERR [AUTH] wrong user or password\r\n")


def test_no_two_greetings_are_the_same(house):
    told = [greeting(house.play([b"QUIT\r\n"], "--apop=yes")) for _ in range(20)]
    assert len(set(told)) == 20 and all(one.endswith(">") for one in told)


# -- TRANSACTION --

def test_what_is_told_of_messages(house):
    with Maildrop(house.box) as drop:
        ids = [uid.decode() for _, uid in drop.uidls()]
    answers, _ = house.ask(b"STAT", b"LIST", b"LIST 2", b"UIDL", b"UIDL 1", b"NOOP", b"CAPA")
    assert answers[:12] == ["+OK 2 67", FULL, "1 31", "2 36", ".", "+OK 2 36", "+OK unique-id listing follows",
                            f"1 {ids[0]}", f"2 {ids[1]}", ".", f"+OK 1 {ids[0]}", "+OK"]
    assert "UIDL" in answers and "STLS" not in answers


def test_a_message_is_sent_as_it_came_with_dots_doubled(house):
    answers, outcome = house.ask(b"RETR 1", b"TOP 2 0", b"TOP 2 2", b"TOP 1 2147483647", b"QUIT")
    assert answers == ["+OK 31 octets", "Subject: one", "", "..dot", "...", "end", ".",
                       "+OK the top of it follows", "Subject: two", "From: bob", "", ".",
                       "+OK the top of it follows", "Subject: two", "From: bob", "", "1", "2", ".",
                       "+OK the top of it follows", "Subject: one", "", "..dot", "...", "end", ".", "+OK bye"]
    assert outcome.events[-1] == ("maildrop", {"user": ALICE, "messages": 2, "octets": 67, "retrieved": 1,
                                               "deleted": 0, "session": "00000000"})


@pytest.mark.parametrize("line, answer", [
    (b"RETR 0", "-ERR there is no message 0"), (b"RETR 3", "-ERR there is no message 3"),
    (b"LIST -1", "-ERR LIST: not a number"), (b"DELE 1 2", "-ERR usage: DELE number"),
    (b"UIDL 99999999999999999999", "-ERR UIDL: not a number"), (b"TOP 1 2147483648", "-ERR no mail has so many lines"),
    (b"TOP 1", "-ERR usage: TOP number number"),
    (b"RETR \xd9\xa1", "-ERR RETR: not a number"), (b"USER alice", "-ERR no such command here"),
    (b"STLS", "-ERR no such command here")])
def test_what_is_not_to_be_had(house, line, answer):
    assert house.ask(line, b"STAT")[0] == [answer, "+OK 2 67"]


def test_a_message_that_another_program_has_removed(house):
    class Removing(Peer):
        def receive(self, size, deadline):
            """What was written down; before RETR somebody else removes all."""
            if self.chunks and self.chunks[0].startswith(b"RETR"):
                for name in house.there():
                    os.unlink(f"{house.box}/new/{name}")
            return super().receive(size, deadline)

    options, there = house.options(), Removing([*LOGIN, b"RETR 1\r\n", b"DELE 1\r\n", b"QUIT\r\n"])
    with contextlib.closing(LimitsFile()) as table:
        stream = Stream(there, log=lambda name, **values: None, penalty=lambda stream: Penalty(table, "pop3d", "::1"))
        pop3d.talk(stream, options, pop3d.setup(options))
        stream.flush()
    assert there.heard.decode().split("\r\n")[3:] == ["-ERR the message is gone", "+OK message 1 is marked", "+OK bye",
                                                      ""]


# -- UPDATE --

def test_what_is_marked_goes_with_quit_and_keeps_its_number_until_then(house):
    answers, outcome = house.ask(b"DELE 1", b"DELE 1", b"RETR 1", b"STAT", b"LIST", b"QUIT")
    assert answers == ["+OK message 1 is marked", "-ERR message 1 is deleted", "-ERR message 1 is deleted", "+OK 1 36",
                       "+OK 1 messages (36 octets)", "2 36", ".", "+OK bye"]
    assert len(house.there()) == 1 and outcome.events[-1][1]["deleted"] == 1


@pytest.mark.parametrize("end", [None, Reset, Gone])
def test_nothing_is_removed_without_quit(house, end):
    before = house.there()
    outcome = house.play([*LOGIN, b"DELE 1\r\nDELE 2\r\n", *([end] if end else [])])
    assert house.there() == before and outcome.events[-1][1]["deleted"] == 0
    assert house.ask(b"STAT")[0] == ["+OK 2 67"]        # and the lock is free


def test_nothing_is_removed_where_errors_end_the_conversation(house):
    answers, outcome = house.ask(b"DELE 1", *[b"RETR 1"] * 30, *[b"XTND"] * 19, b"NOOP", *[b"DELE x"] * 20, b"QUIT")
    assert answers[-2:] == ["-ERR DELE: not a number", "-ERR too many errors"] and outcome.reason == "errors"
    assert len(house.there()) == 2 and outcome.events[-1][1]["deleted"] == 0
    assert house.ask(b"STAT")[0] == ["+OK 2 67"]        # and the lock is free


def test_rset_takes_all_marks_back(house):
    assert house.ask(b"DELE 1", b"DELE 2", b"RSET", b"QUIT")[0][-2:] == ["+OK", "+OK bye"]
    assert len(house.there()) == 2


# -- what is missing, or somebody else's --

def test_one_session_at_a_time(house):
    with Maildrop(house.box):
        answers, outcome = house.ask(b"STAT")
    assert outcome.heard.decode().split("\r\n")[2:] == ["-ERR [IN-USE] another session has this mailbox",
                                                        "-ERR no such command here", ""]
    assert logins(outcome) == [(ALICE, "in-use", "USER")] and answers == ["-ERR no such command here"]


def test_who_comes_again_too_soon_is_told_so_where_that_is_wanted(house):
    capabilities, _ = house.ask(b"CAPA", b"QUIT", others=["--login-delay=90.5"])
    assert "LOGIN-DELAY 91" in capabilities
    too_soon = house.play([*LOGIN, b"CAPA\r\n"], "--login-delay=90.5", now=NOON + 90)
    assert "-ERR [LOGIN-DELAY] your last session began a short while ago" in too_soon.heard.decode().split("\r\n")
    assert logins(too_soon) == [(ALICE, "too-soon", "USER")]
    for now in (NOON + 90.5, NOON, NOON + 1):           # who was refused is not held up for longer; a clock set back
        outcome = house.play([*LOGIN, b"QUIT\r\n"], "--login-delay=90.5", now=now)
        assert (FULL in outcome.heard.decode()) == (now != NOON + 1)
    assert FULL in house.play([*LOGIN, b"QUIT\r\n"], now=NOON + 2).heard.decode()


def test_mail_can_be_read_where_the_time_of_a_login_cannot_be_noted(house):
    os.symlink("/nowhere", f"{house.box}/fd0-login")
    outcome = house.play([*LOGIN, b"QUIT\r\n"], "--login-delay=1m")
    assert FULL in outcome.heard.decode() and "unwritten" in [name for name, _ in outcome.events]


def test_a_missing_folder_of_mail_is_not_an_empty_maildrop(house):
    outcome = house.play([*LOGIN, b"QUIT\r\n"], f"--mail={house.mail}/nowhere")
    assert outcome.heard.decode().split("\r\n")[2:] == ["-ERR [SYS/TEMP] try again later", "+OK bye", ""]
    assert not os.path.exists(f"{house.mail}/nowhere")
    assert [name for name, _ in outcome.events] == ["unavailable"]


def test_who_never_got_mail_has_an_empty_maildrop(house):
    answers, _ = house.ask(b"USER old@example.org", b"PASS tanstaaf", b"LIST", b"UIDL", b"QUIT", login=())
    assert answers[1:] == ["+OK 0 messages (0 octets)", "+OK 0 messages (0 octets)", ".",
                           "+OK unique-id listing follows", ".", "+OK bye"]


def test_accounts_that_come_later_are_found(house, tmp_path, made):
    os.rename(made, f"{made}.away")
    options = house.options()
    try:
        users = pop3d.setup(options)
    finally:
        os.rename(f"{made}.away", made)
    assert FULL.encode() in play(pop3d, LOGIN, options=options, made=(users,)).heard


def test_a_thousand_commands_at_once_are_answered_in_order_and_in_few_writes(house):
    answers, outcome = house.ask(*[b"LIST 1", b"LIST 2"] * 500)
    assert answers == ["+OK 1 31", "+OK 2 36"] * 500
    everything = b"".join([*LOGIN, *[b"LIST 1\r\n"] * 1000])
    assert house.play([everything]).writes <= 3 and outcome.reason == "gone"
