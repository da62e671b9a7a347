"""fd0 user with a database of accounts: as an administrator types it; and nothing secret where others can see it."""

import os
import re
import stat

import pytest

from daemons.stores import accounts
from daemons.wire import passwordlines
from tests.live import postgresql
from tests.tools.test_user import SECRET, fd0, terminal

ALICE = "alice@example.org"


@pytest.fixture
def dsn(tmp_path, monkeypatch):
    """A database in which alice has a password."""
    monkeypatch.setattr(passwordlines, "COST", (10, 8, 1))
    accounts.open(f"{tmp_path}/accounts.db", create=True).add_user(ALICE, SECRET)
    return f"{tmp_path}/accounts.db"


@pytest.fixture
def user(dsn):
    """The command for that database."""
    return lambda *arguments, given=b"": fd0(*arguments, f"--accounts={dsn}", given=given)


def opened(dsn):
    return accounts.open(dsn, "+")


# ------------------------------------------------------------------ a whole life

@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_whole_life(kind, tmp_path):
    dsn = f"{tmp_path}/accounts.db" if kind == "sqlite" else postgresql.server().schema()
    name = dsn if kind == "sqlite" else "postgresql:///postgres"

    def user(*arguments, given=b""):
        return fd0(*arguments, f"--accounts={dsn}", given=given)
    assert user("add", "Alice@Example.org", "--password-stdin", given=SECRET + b"\n") == (
        0, f"alice@example.org: added to {name}\nexample.org: mail for it is taken from now on\n"
           "example.org: nobody is postmaster yet: fd0 user alias add postmaster@example.org alice@example.org\n", "")
    assert user("add", "bob@example.org", "--password-stdin", "--apop=yes", "--octets=2G", "--messages=100",
                "--scope=pop3,smtp", "--expires=2100-01-31", given=b"x" * 20) == (
        0, f"bob@example.org: added to {name}\n", "")
    assert user("list") == (0, "alice@example.org\nbob@example.org  (APOP, until 2100-01-31, for smtp pop3, "
                               "2G octets, 100 messages)\n", "")
    there = opened(dsn)
    assert there.check(ALICE, SECRET, "imap") and there.secret("bob@example.org") == b"x" * 20
    assert there.check("bob@example.org", b"x" * 20, "imap").why == "scope"
    assert user("passwd", "bob@example.org", "--password-stdin", "--apop=no", given=b"y" * 20) == (
        0, f"bob@example.org: changed in {name}\n", "")
    assert there.check("bob@example.org", b"y" * 20, "pop3") and there.secret("bob@example.org") is None
    assert user("remove", "bob@example.org") == (0, f"bob@example.org: removed from {name}\n", "")
    assert user("remove", "bob@example.org") == (
        100, "", f"fd0 user: {name}: no bob@example.org there (did you mean {ALICE}?)\n")
    assert user("list", "example.org") == (0, "alice@example.org\n", "") and user("list", "example.net") == (0, "", "")
    if kind == "sqlite":
        assert stat.S_IMODE(os.stat(dsn).st_mode) == 0o600 and SECRET not in open(dsn, "rb").read()


def test_quotas(dsn, user):
    assert user("quota", ALICE) == (0, f"{ALICE}  (no limit)\n", "")
    assert user("quota", ALICE, "--octets=1M") == (0, f"{ALICE}: changed in {dsn}\n", "")
    assert user("quota", "ALICE@example.org", "--messages=5")[0] == 0
    assert user("quota", ALICE) == (0, f"{ALICE}  (1M octets, 5 messages)\n", "")
    assert user("quota", ALICE, "--octets=none")[0] == 0
    assert opened(dsn).mailbox_of(ALICE).octets is None and opened(dsn).mailbox_of(ALICE).messages == 5


def test_disabled_and_enabled(dsn, user):
    assert user("disable", ALICE) == (0, f"{ALICE}: cannot log in any more; mail is still taken\n", "")
    assert user("list") == (0, f"{ALICE}  (disabled)\n", "")
    assert opened(dsn).check(ALICE, SECRET, "imap").why == "disabled"
    assert user("enable", ALICE, "--expires=2100-01-01", "--scope=imap") == (
        0, f"{ALICE}: can log in  (until 2100-01-01, for imap)\n", "")
    there = opened(dsn)
    assert there.check(ALICE, SECRET, "imap", now=4102444799) and there.check(ALICE, SECRET, "ftp").why == "scope"
    assert there.check(ALICE, SECRET, "imap", now=4102444800).why == "expired"
    assert user("enable", ALICE, "--expires=never", "--scope=all") == (0, f"{ALICE}: can log in\n", "")


def test_passwords_of_applications(dsn, user):
    status, printed, complained = user("app", "add", ALICE, "phone", "--scope=imap,smtp", "--from=192.0.2.0/24,::1",
                                       "--expires=2100-01-01")
    said, password = printed.splitlines()
    assert (status, said, complained) == (0, f"{ALICE}: the password of phone, which is not shown again:", "")
    assert re.fullmatch(r"([a-z2-9]{4}-){4}[a-z2-9]{4}", password)
    assert opened(dsn).check(ALICE, password.encode(), "imap", "192.0.2.9").application == "phone"
    assert user("app", "list", ALICE) == (
        0, "phone  (until 2100-01-01, for smtp imap, from 192.0.2.0/24, from ::1/128)\n", "")
    assert user("app", "remove", ALICE, "phone") == (0, f"{ALICE}: phone cannot log in any more\n", "")
    assert user("app", "list", ALICE) == (0, "", "")
    assert opened(dsn).check(ALICE, password.encode(), "imap", "192.0.2.9").why == "wrong"


def test_aliases_and_domains(dsn, user):
    assert user("alias", "add", "info@example.org", ALICE, "x@elsewhere.test") == (
        0, f"info@example.org: leads to {ALICE}, x@elsewhere.test\n", "")
    assert user("alias", "add", "lost@example.org", "nobody@example.org") == (
        0, "lost@example.org: leads to nobody@example.org\n", "fd0 user: lost@example.org leads to nobody yet\n")
    assert user("alias", "add", "@example.net", ALICE)[2] == "fd0 user: example.net is no domain of ours\n"
    assert user("domain", "add", "Example.NET") == (0, "example.net: mail for it is taken from now on\n", "")
    assert user("alias", "add", "@example.net", ALICE) == (0, f"@example.net: leads to {ALICE}\n", "")
    assert user("alias", "list") == (0, f"@example.net -> {ALICE}\ninfo@example.org -> {ALICE}\n"
                                        "info@example.org -> x@elsewhere.test\n"
                                        "lost@example.org -> nobody@example.org\n", "")
    assert user("domain", "list") == (0, "example.net\nexample.org\n", "")
    assert user("domain", "remove", "example.net")[2] == "fd0 user: example.net still has aliases\n"
    assert user("alias", "remove", "info@example.org", "x@elsewhere.test") == (
        0, "info@example.org: leads no more to x@elsewhere.test\n", "")
    assert user("alias", "remove", "@example.net") == (0, "@example.net: leads no more to anybody\n", "")
    assert user("domain", "remove", "example.net") == (0, "example.net: no mail for it is taken any more\n", "")
    assert opened(dsn).resolve("info@example.org") == [ALICE]
    assert user("remove", ALICE) == (0, f"{ALICE}: removed from {dsn}, and 1 alias to it\n", "")


# ------------------------------------------------------------------ imports

def lines(tmp_path, *texts):
    path = tmp_path / "lines"
    path.write_bytes(b"".join(text.encode() + b"\n" for text in texts))
    return str(path)


def test_an_import(dsn, user, tmp_path):
    entry = passwordlines.make("x", b"of scrypt", b"0123456789abcdef").line().decode().partition(":")[2]
    path = lines(tmp_path, "# of the old machine", "", f"bob@example.net:{entry}", "carol@example.net\tof carol",
                 "dave@example.net:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW:1:2:3", f"eve:{entry}")
    assert user("import", path) == (0, f"4 accounts added to {dsn}\n", "")
    there = opened(dsn)
    assert there.check("bob@example.net", b"of scrypt", "imap")
    assert there.check("carol@example.net", b"of carol", "imap")
    assert there.is_local_domain("example.net") and there.check("eve", b"of scrypt", "ftp")
    assert "dave@example.net  (hash of crypt, no SCRAM before the next login)\n" in user("list")[1]
    assert there.check("dave@example.net", b"U*U", "imap")
    assert "\ndave@example.net\n" in user("list")[1]
    assert user("import", path)[0] == 100


def test_bad_lines_are_told_by_number_and_nothing_is_imported(dsn, user, tmp_path):
    path = lines(tmp_path, "bob@example.net\tbattery staple", "carol:battery", "Bob@Example.net\tbattery staple", ALICE
                 + "\tbattery", "#", "dave@example.net:!", "\tbattery")
    status, printed, complained = user("import", path)
    told = complained.splitlines()
    assert (status, printed) == (100, "") and [line.split(": ")[0] for line in told] == [
        f"{path}:{number}" for number in (2, 3, 4, 6, 7)] + ["fd0 user"]
    assert told[-1] == f"fd0 user: {path}: 5 bad lines; nothing was imported" and "battery" not in complained
    assert told[1].endswith("bob@example.net is there twice") and told[2].endswith(f"{ALICE} is there already")
    assert user("list")[1] == f"{ALICE}\n"


def test_of_many_bad_lines_the_first_are_told(user, tmp_path):
    path = lines(tmp_path, *(["nonsense"] * 1000))
    complained = user("import", path)[2].splitlines()
    assert len(complained) == 21 and complained[-1].endswith(": 1000 bad lines; nothing was imported")


# ------------------------------------------------------------------ at a terminal, and misuse

def test_a_person_is_asked_twice(dsn):
    with terminal("add", "bob@example.org", f"--accounts={dsn}") as at:
        at.waits_for(b"Password: ")
        at.types(b"battery staple\n")
        at.waits_for(b"Once more: ")
        at.types(b"battery staple\n")
        assert at.ended() == (0, f"\nbob@example.org: added to {dsn}\n")
    assert opened(dsn).check("bob@example.org", b"battery staple", "imap")


@pytest.mark.parametrize("arguments, said", [
    (("add", "Alice@example.org"), f"{ALICE} is there already; fd0 user passwd sets another password"),
    (("passwd", "alcie@example.org"), f"no alcie@example.org there (did you mean {ALICE}?)")])
def test_nobody_is_asked_for_what_cannot_be_done(dsn, arguments, said):
    with terminal(*arguments, f"--accounts={dsn}") as at:
        status, shown = at.ended()
    assert status == 100 and said in shown and "Password" not in shown


@pytest.mark.parametrize("arguments, said", [
    (["add"], "add takes one NAME, and no password; see fd0 user --help"),
    (["add", "alice", "secret"], "add takes one NAME, and no password; see fd0 user --help"),
    (["list", "a", "b"], "list takes one DOMAIN or none, and no password; see"),
    (["remove", "alice", "--password-stdin"], "remove needs no password; see"),
    (["add", "alice", "--digest=x"], "add with --accounts takes no --digest; see"),
    (["disable", ALICE, "--octets=1"], "disable with --accounts takes no --octets; see"),
    (["add", "bob", "--from=::1"], "add with --accounts takes no --from; see"),
    (["alias"], "alias is followed by add, list or remove; see"),
    (["app", "secret"], "app is followed by add, list or"),
    (["alias", "add", "a@b"], "alias add takes ADDRESS TARGET ..., and no password; see"),
    (["app", "add", ALICE], "app add takes NAME LABEL, and no password; see"),
    (["quota", ALICE, "--octets=many"],
     "argument --octets: not a size: 'many' (write 4096, 64K, 10M or 1G), nor none; see"),
    (["enable", ALICE, "--expires=tomorrow"], "'tomorrow' is no day, as 2030-12-31, nor never; see"),
    (["enable", ALICE, "--scope=telnet"], "'telnet' is none of smtp, pop3, imap, ftp, http, nor all;"),
    (["app", "add", ALICE, "x", "--from=1.2.3.4/8"], "'1.2.3.4/8' is no IP network"),
    (["app", "remove", ALICE, "x"], f"no {ALICE} x there"),
    (["alias", "remove", "x@example.org"], "no x@example.org there"),
    (["domain", "remove", "example.net"], "no example.net there"),
    (["import", "/no/such"], "/no/such: No such file or"),
    (["disable", "a@b@c"], "'a@b@c' cannot be an account"), (["add", b"\xff"], "cannot be a name"),
    (["alias", "add", "a@example.org", "b"], "'b' is no address: NAME@DOMAIN")])
def test_misuse_is_one_line_and_changes_nothing(dsn, user, arguments, said):
    status, printed, complained = user(*arguments)
    assert (status, printed) == (100, "") and complained.startswith("fd0 user: ") and complained.count("\n") == 1
    assert said in complained and "secret" not in complained
    assert [one.name for one in opened(dsn).list_users()] == [ALICE]


@pytest.mark.parametrize("action", ["list", "passwd", "quota", "disable", "app list"])
def test_a_database_that_is_not_there_is_made_by_add_alone(tmp_path, action):
    words = [] if action == "list" else [ALICE]
    assert fd0(*action.split(), *words, f"--accounts={tmp_path}/accounts.db", given=b"") == (
        100, "", f"fd0 user: {tmp_path}/accounts.db: there are no accounts yet; fd0 user add makes them\n")
    assert os.listdir(tmp_path) == []


def test_a_database_out_of_reach_is_to_be_tried_again():
    postgresql.server()                                 # or there is no psycopg
    status, printed, complained = fd0("list", "--accounts=postgresql://me:sesame@/x?host=/no/such/folder")
    assert (status, printed) == (111, "") and complained.startswith("fd0 user: postgresql:///x: ")
    assert "sesame" not in complained and complained.count("\n") == 1


# ------------------------------------------------------------------ aliases of another server

def test_aliases_are_imported_all_or_none(dsn, user, tmp_path):
    path = tmp_path / "aliases"
    path.write_text("# of this machine\npostmaster: root\nroot: ann, eve@elsewhere.example\nabuse@b.org: ann\n")
    user("add", "ann@a.org", "--password-stdin", given=SECRET + b"\n")
    status, printed, complained = user("alias", "import", str(path), "a.org")
    assert (status, printed) == (100, "") and complained.splitlines() == [
        f"{path}: abuse@b.org: its domain is none of ours", f"fd0 user: {path}: 1 bad line; nothing was imported"]
    assert user("alias", "list")[1] == ""
    path.write_text("postmaster: root\nroot: ann, eve@elsewhere.example\nlost: nobody\n")
    assert user("alias", "import", str(path), "a.org") == (
        0, f"3 aliases added to {dsn}\n", "fd0 user: these lead to nobody yet: lost@a.org\n")
    assert "postmaster@a.org -> root@a.org\n" in user("alias", "list")[1]
    path.write_text('list: "|/usr/bin/list"\n')
    assert f"{path}:1: " in user("alias", "import", str(path), "a.org")[2]
