"""Accounts, in SQLite and PostgreSQL: who gets in, what is kept of passwords, and that strangers cost the same."""

import hashlib
import os
import subprocess

import pytest

from daemons.stores import accounts, accountstable, credentials, remembered
from daemons.stores.accounts import AccountsUsers, Conflict
from daemons.wire import passwordlines, scram
from tests.live import machine
from tests.stores.places import KINDS, Place

ALICE, SECRET = "alice@example.org", b"correct horse"
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """New hashes cost as little as may be."""
    monkeypatch.setattr(passwordlines, "COST", (10, 8, 1))


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    return Place(request.param, tmp_path)


@pytest.fixture
def there(place):
    """Accounts in which alice has a password."""
    found = place.open()
    found.add_user(ALICE, SECRET)
    return found


@pytest.fixture
def work(monkeypatch):
    """(n, r, p, octets of salt and hash) of each scrypt that is done."""
    done, scrypt = [], hashlib.scrypt

    def noted(password, *, salt, n, r, p, dklen, maxmem):
        done.append((n, r, p, len(salt), dklen))
        return scrypt(password, salt=salt, n=n, r=r, p=p, dklen=dklen, maxmem=maxmem)
    monkeypatch.setattr(hashlib, "scrypt", noted)
    return done


def why(verdict):
    """The reason why somebody did not get in."""
    assert not verdict and verdict.user == "" and verdict.application == ""
    return verdict.why


def contents(found):
    """Everything that is in the tables."""
    return [row for table in ("accounts", "domains", "aliases", "applications", "account_secret", "fd0_schema")
            for row in found.store.rows(f"SELECT * FROM {table}")]


# ------------------------------------------------------------------ who gets in

def test_the_right_password_and_no_other(there):
    verdict = there.check(ALICE, SECRET, "imap")
    assert verdict and (verdict.user, verdict.why, verdict.application) == (ALICE, "", "")
    for password in (b"Correct horse", b"correct hors", b"correct horse ", b"x" * 1024):
        assert why(there.check(ALICE, password, "imap")) == "wrong"
    for name in ("alice", "bob@example.org", "alice@example.com", "alice@example.org.uk"):
        assert why(there.check(name, SECRET, "imap")) == "unknown"
    for name in ("", "a:b@c", "@example.org", "\ud800", "a\0b"):
        assert why(there.check(name, SECRET, "imap")) == "unknown"


@pytest.mark.parametrize("name", ["Alice@Example.ORG", "ALICE@example.org", "alice@example.org."])
def test_one_account_in_all_spellings(there, name):
    assert there.check(name, SECRET, "smtp").user == ALICE
    with pytest.raises(Conflict, match="alice@example.org is there already"):
        there.add_user(name, b"another")


def test_names_in_any_script(there):
    name = there.add_user("Jose\u0301@B\u00fccher.example", "p\u00e4ss".encode())
    assert name == "jos\u00e9@xn--bcher-kva.example"
    assert there.list_domains() == ["example.org", "xn--bcher-kva.example"]
    assert there.check("Jos\u00e9@b\u00fccher.example", "pa\u0308ss".encode(), "imap").user == name
    assert there.mailbox_of(name).folder == "xn--bcher-kva.example/jos%C3%A9"


def test_a_name_without_a_domain_can_log_in_and_has_no_mail(there):
    assert there.add_user("Bob", b"secret") == "bob" and there.check("BOB", b"secret", "ftp").user == "bob"
    assert there.list_domains() == ["example.org"] and there.mailbox_of("bob") is None
    assert [user.name for user in there.list_users("")] == ["bob"]


@pytest.mark.parametrize("name", ["", "@", "@example.org", "a@", "a@b@c", "a b\0@c", "a@-b", "a@b..c", "a@[127.0.0.1]",
                                  "x" * 65 + "@c", "a@" + "x" * 64, "a:b@c", "a@b/c", "a@stra\u00dfe.example"])
def test_what_cannot_be_an_account(there, name):
    with pytest.raises(ValueError):
        there.add_user(name, SECRET)
    assert [user.name for user in there.list_users()] == [ALICE]


# ------------------------------------------------------------------ equal work

def test_a_stranger_costs_what_others_cost(there, work):
    for name in (ALICE, "bob@example.org", "carol", "dave@elsewhere.net"):
        work.clear()
        assert not there.check(name, b"wrong", "imap")
        assert work == [(1 << 10, 8, 1, 16, 32)], name


def test_what_can_be_no_password_is_wrong_and_costs_the_same(there, work):
    for name, reason in ((ALICE, "wrong"), ("bob@example.org", "unknown")):
        for password in (b"", b"\0", b"\xff", b"x" * 1025):
            work.clear()
            assert why(there.check(name, password, "imap")) == reason
            assert work == [(1 << 10, 8, 1, 16, 32)], (name, password)


def test_whoever_is_kept_out_costs_the_same(there, work):
    there.add_user("disabled@example.org", SECRET)
    there.disable("disabled@example.org")
    there.add_user("expired@example.org", SECRET, expires=NOW)
    there.add_user("ftponly@example.org", SECRET, scopes=["ftp"])
    there.add_user("apponly@example.org", None)
    phone = there.add_app_password("apponly@example.org", "phone", ["smtp"]).encode()
    old = there.add_app_password(ALICE, "old", expires=NOW).encode()
    for name, password, reason in (
            ("disabled@example.org", SECRET, "disabled"), ("disabled@example.org", b"wrong", "wrong"),
            ("expired@example.org", SECRET, "expired"), ("expired@example.org", b"wrong", "wrong"),
            ("ftponly@example.org", SECRET, "scope"), ("apponly@example.org", SECRET, "wrong"),
            ("apponly@example.org", phone, "scope"), (ALICE, old, "expired")):
        work.clear()
        assert why(there.check(name, password, "imap", now=NOW)) == reason
        assert work == [(1 << 10, 8, 1, 16, 32)], (name, reason)


def test_where_hashes_differ_in_cost_strangers_do_as_well_and_each_always_the_same(there, work, monkeypatch):
    for cost, letters in (10, "bcdefghijklm"), (11, "nopqrstuvwxyz"):       # half of the alphabet each
        monkeypatch.setattr(passwordlines, "COST", (cost, 8, 1))
        for letter in letters:
            there.add_user(f"{letter}@example.org", SECRET)
    work.clear()
    names = [f"nobody{number}@example.org" for number in range(30)]
    for name in names * 2:
        assert not there.check(name, SECRET, "imap")
    assert {n for n, *_ in work} == {1 << 10, 1 << 11} and work[:30] == work[30:]


def test_an_empty_database_lets_nobody_in_and_takes_its_time(place, work):
    assert why(place.open().check(ALICE, SECRET, "imap")) == "unknown" and len(work) == 1


# ------------------------------------------------------------------ what is remembered

def test_a_right_password_is_not_hashed_with_every_request(there, work):
    assert all(there.check(ALICE, SECRET, "http") for _ in range(5)) and len(work) == 1
    assert not there.check(ALICE, b"wrong", "http") and not there.check(ALICE, b"wrong", "http") and len(work) == 3


def test_what_is_remembered_does_not_outlive_what_was_changed(there, work):
    assert there.check(ALICE, SECRET, "http")
    there.disable(ALICE)
    assert why(there.check(ALICE, SECRET, "http")) == "disabled" and len(work) == 1
    there.enable(ALICE)
    there.set_password(ALICE, b"another")
    assert why(there.check(ALICE, SECRET, "http")) == "wrong" and there.check(ALICE, b"another", "http")
    there.remove_user(ALICE)
    assert why(there.check(ALICE, b"another", "http")) == "unknown"


def test_it_is_remembered_for_some_seconds_only(there, work, monkeypatch):
    monkeypatch.setattr(remembered, "KEPT", 0.0)
    assert there.check(ALICE, SECRET, "http") and there.check(ALICE, SECRET, "http") and len(work) == 2


def test_children_share_what_was_right(there, work):
    assert there.check(ALICE, SECRET, "http")
    assert in_a_child(lambda: bool(there.check(ALICE, SECRET, "http")) and len(work) == 1)
    there.set_password(ALICE, b"another")
    assert in_a_child(lambda: bool(there.check(ALICE, b"another", "http")))
    work.clear()
    assert there.check(ALICE, b"another", "http") and work == []


def test_what_is_remembered_is_no_password_and_no_time_of_another(monkeypatch):
    one, other = remembered.Remembered(), remembered.Remembered()
    token = one.token(b"alice", b"hash", b"secret")
    assert len(token) == 32 and token != other.token(b"alice", b"hash", b"secret") and not one.holds(token, 0.0)
    one.keep(token, 100.0)
    assert one.holds(token, 100.0) and one.holds(token, 129.9) and not one.holds(token, 130.0)
    assert not one.holds(token, 99.0), "a time further off than any that is kept is not one of ours"
    assert not one.holds(bytes(32), 0.0) and not one.holds(token[:-1] + b"x", 100.0)
    monkeypatch.setattr(remembered, "PLACES", 1)
    one.keep(other.token(b"x"), 100.0)
    assert not one.holds(token, 100.0), "the place is another's now"


def in_a_child(question):
    """What a forked child answers, yes or no; it ends as our programs end."""
    pid = os.fork()
    if pid == 0:
        status = 2
        try:
            status = 0 if question() else 1
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, 1)
    return status == 0


# ------------------------------------------------------------------ what keeps one out

def test_disabled_and_enabled(there):
    there.disable("Alice@example.org")
    assert why(there.check(ALICE, SECRET, "imap")) == "disabled" and why(there.admitted(ALICE, "imap")) == "disabled"
    assert there.mailbox_of(ALICE).disabled and there.resolve(ALICE) == [ALICE]
    there.enable(ALICE)
    assert there.check(ALICE, SECRET, "imap") and there.admitted(ALICE, "imap").user == ALICE


def test_until_a_day(there):
    there.set_expiry(ALICE, NOW)
    assert there.check(ALICE, SECRET, "imap", now=NOW - 1)
    assert why(there.check(ALICE, SECRET, "imap", now=NOW)) == why(there.admitted(ALICE, "imap", NOW)) == "expired"
    assert why(there.check(ALICE, b"wrong", "imap", now=NOW)) == "wrong"
    there.set_expiry(ALICE, None)
    assert there.check(ALICE, SECRET, "imap", now=NOW)
    there.set_expiry(ALICE, 1)
    assert why(there.check(ALICE, SECRET, "imap")) == "expired", "without a time it is now"


def test_for_some_services(there):
    there.set_scopes(ALICE, ["imap", "smtp"])
    assert [scope for scope in accounts.SCOPES if there.check(ALICE, SECRET, scope)] == ["smtp", "imap"]
    assert why(there.check(ALICE, SECRET, "http")) == why(there.admitted(ALICE, "http")) == "scope"
    there.set_scopes(ALICE, [])
    assert all(there.check(ALICE, SECRET, scope) for scope in accounts.SCOPES)
    with pytest.raises(ValueError, match="'telnet' is none of smtp"):
        there.set_scopes(ALICE, ["telnet"])


# ------------------------------------------------------------------ passwords of applications

def test_an_applications_password(there, work):
    password = there.add_app_password(ALICE, "phone", ["imap", "smtp"])
    assert len(password.replace("-", "")) == 20 and work == []
    for typed in (password, password.upper(), password.replace("-", ""), password.replace("-", " ")):
        verdict = there.check(ALICE, typed.encode(), "imap")
        assert (verdict.user, verdict.application) == (ALICE, "phone")
    assert work == [], "100 random bits need no scrypt"
    assert why(there.check(ALICE, password.encode(), "pop3")) == "scope"
    assert there.check(ALICE, SECRET, "pop3").application == ""
    there.add_user("bob@example.org", b"x")
    assert why(there.check("bob@example.org", password.encode(), "imap")) == "wrong"


@pytest.mark.parametrize("host, passes", [
    ("192.0.2.7", True), ("192.0.3.7", False), ("2001:db8::1", True), ("2001:db8:1::1%eth0", False),
    ("2001:db8::1%eth0", True), ("", False), ("unix:uid=0", False)])
def test_from_some_networks(there, host, passes):
    password = there.add_app_password(ALICE, "phone", networks=["192.0.2.0/24", "2001:db8::/48"]).encode()
    verdict = there.check(ALICE, password, "imap", host)
    assert bool(verdict) is passes and (passes or why(verdict) == "network")


def test_they_expire_go_with_the_account_and_keep_to_it(there):
    one = there.add_app_password(ALICE, "one", expires=NOW).encode()
    two = there.add_app_password(ALICE, "two").encode()
    assert there.check(ALICE, one, "imap", now=NOW - 1) and why(there.check(ALICE, one, "imap", now=NOW)) == "expired"
    assert [(app.label, app.expires) for app in there.list_app_passwords(ALICE)] == [("one", NOW), ("two", None)]
    there.remove_app_password(ALICE, "one")
    assert why(there.check(ALICE, one, "imap", now=NOW - 1)) == "wrong" and there.check(ALICE, two, "imap")
    there.disable(ALICE)
    assert why(there.check(ALICE, two, "imap")) == "disabled"
    there.remove_user(ALICE)
    there.add_user(ALICE, SECRET)
    assert there.list_app_passwords(ALICE) == [] and why(there.check(ALICE, two, "imap")) == "wrong"


def test_what_cannot_be_an_applications_password(there):
    there.add_app_password(ALICE, "phone")
    with pytest.raises(Conflict, match="has one called phone already"):
        there.add_app_password(ALICE, "phone")
    for arguments, said in ((("",), "cannot be a name"), (("x", ["telnet"]), "'telnet' is none of"),
                            (("x", (), ["192.0.2.1/24"]), "'192.0.2.1/24' is no IP network"),
                            (("x", (), (), -1), "must be 0 to")):
        with pytest.raises(ValueError, match=said):
            there.add_app_password(ALICE, *arguments)
    for call in (lambda: there.add_app_password("bob", "x"), lambda: there.remove_app_password(ALICE, "x"),
                 lambda: there.list_app_passwords("bob")):
        with pytest.raises(KeyError):
            call()
    assert [app.label for app in there.list_app_passwords(ALICE)] == ["phone"]


# ------------------------------------------------------------------ SCRAM, APOP

def proves(keys, password):
    """Does somebody with this password get in by these keys?"""
    client = scram.Client("x", password, b"abc")
    server = scram.Server(scram.parse_client_first(client.first), keys, b"def")
    return server.finish(client.answer(server.challenge)) is not None


def test_scram(there):
    keys = there.scram("Alice@Example.org")
    assert proves(keys, SECRET) and not proves(keys, b"wrong") and keys.iterations == scram.ITERATIONS
    there.set_password(ALICE, b"another")
    assert proves(there.scram(ALICE), b"another") and there.scram(ALICE).salt != keys.salt


@pytest.mark.parametrize("name", ["bob@example.org", "bob", "", "a:b", "\ud800", "@example.org"])
def test_scram_of_a_stranger_is_always_the_same_and_only_of_this_database(there, place, tmp_path, name):
    keys = there.scram(name)
    assert keys.text() == there.scram(name).text() == place.open().scram(name).text()
    assert not proves(keys, SECRET) and keys.text() != there.scram("carol").text()
    assert len(keys.salt) == len(there.scram(ALICE).salt) and keys.iterations == there.scram(ALICE).iterations
    other = accounts.open(f"{tmp_path}/other.db", create=True)
    assert other.scram(name).salt != keys.salt


def test_a_strangers_iterations_are_those_of_others(there, monkeypatch):
    monkeypatch.setattr(scram.make_keys, "__defaults__", (5000,))
    there.set_password(ALICE, SECRET)
    assert there.scram(ALICE).iterations == there.scram("bob").iterations == 5000


def test_a_secret_is_kept_only_for_who_asks(there):
    assert there.secret(ALICE) is None and there.secret("bob") is None and there.secret("a:b") is None
    there.set_password(ALICE, b"one", secret=True)
    assert there.secret("ALICE@example.org") == b"one"
    there.set_password(ALICE, b"two")
    assert there.secret(ALICE) == b"two"
    there.set_password(ALICE, b"three", secret=False)
    assert there.secret(ALICE) is None
    there.add_user("bob", b"x", secret=True)
    assert there.secret("bob") == b"x" and there.check("bob", b"x", "pop3")


def test_nothing_kept_tells_a_password(there):
    password = there.add_app_password(ALICE, "phone")
    there.check(ALICE, SECRET, "imap")
    found = repr(contents(there)) + repr(there) + repr(vars(there.store)) + repr(there.user(ALICE))
    assert "correct" not in found and password not in found and password.replace("-", "") not in found
    with pytest.raises(ValueError) as error:
        there.add_user("bob", b"battery\x01staple")
    assert "battery" not in str(error.value)


# ------------------------------------------------------------------ hashes from elsewhere

def made_by_openssl(kind):
    done = subprocess.run([machine.program("openssl", "openssl"), "passwd", kind, "-salt", "saltsalt", "-stdin"],
                          input=SECRET, capture_output=True, check=True, timeout=20)
    return done.stdout.decode().strip()


@pytest.mark.parametrize("kind", ["-6", "-5", "-1"])
def test_a_hash_of_crypt_is_good_once_and_then_one_of_ours(place, kind, work):
    there, hash = place.open(), made_by_openssl(kind)
    there.import_users([("bob@example.org", credentials.keep_hash(hash))])
    assert why(there.check("bob@example.org", b"wrong", "imap")) == "wrong" and work == []
    assert not proves(there.scram("bob@example.org"), SECRET) and there.user("bob@example.org").hash == hash
    assert there.check("bob@example.org", SECRET, "imap")
    assert there.user("bob@example.org").hash.startswith("$scrypt$") and proves(there.scram("bob@example.org"), SECRET)
    assert place.open().check("bob@example.org", SECRET, "imap")


def test_a_stranger_among_hashes_of_crypt_costs_one_of_them(place, work):
    there = place.open()
    there.import_users([("bob@example.org", credentials.keep_hash(made_by_openssl("-6")))])
    assert why(there.check(ALICE, SECRET, "imap")) == "unknown" and work == []


def test_bcrypt():
    hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"       # of crypt_blowfish's own tests
    assert credentials.keep_hash(hash).hash == credentials.keep_hash("{BLF-CRYPT}" + hash).hash == hash
    assert credentials.matches(hash, b"U*U") and not credentials.matches(hash, b"U*V")


def test_scrypt_of_another_cost_stays_and_gets_keys(there):
    entry = passwordlines.make("x", SECRET, b"0123456789abcdef").line().decode().partition(":")[2]
    there.import_users([("bob", credentials.keep_hash(entry))])
    assert there.check("bob", SECRET, "http") and there.user("bob").hash == entry and proves(there.scram("bob"), SECRET)


def test_a_login_is_right_though_its_hash_cannot_be_renewed(there, monkeypatch):
    there.import_users([("bob", credentials.keep_hash(made_by_openssl("-5")))])

    def gone(*_):
        raise accounts.Unavailable("no room")
    monkeypatch.setattr(there.store, "changing", gone)
    assert there.check("bob", SECRET, "http").user == "bob"
    assert there.user("bob").hash.startswith("$5$")


# ------------------------------------------------------------------ changes

def test_a_whole_life(there):
    there.add_user("bob@example.org", b"x", octets=1 << 40, messages=10, scopes=("http", "smtp"), expires=NOW)
    bob = there.user("BOB@example.org")
    assert (bob.octets, bob.messages, bob.scopes, bob.expires) == (1 << 40, 10, ("smtp", "http"), NOW)
    assert not bob.disabled and bob.secret is None
    there.set_quota("bob@example.org", None, 5)
    assert (there.user("bob@example.org").octets, there.user("bob@example.org").messages) == (None, 5)
    assert [user.name for user in there.list_users()] == [ALICE, "bob@example.org"]
    assert [user.name for user in there.list_users("Example.org")] == [ALICE, "bob@example.org"]
    assert there.list_users("elsewhere.net") == [] == there.list_users("")
    there.remove_user("bob@example.org")
    assert [user.name for user in there.list_users()] == [ALICE] and there.list_domains() == ["example.org"]


@pytest.mark.parametrize("change", ["set_password:x", "remove_user", "disable", "enable", "set_expiry:1", "set_scopes:",
                                    "set_quota:1:1", "user"])
def test_what_is_not_there_cannot_be_changed(there, change):
    method, *values = change.split(":")
    values = [b"x" if value == "x" else int(value) if value else () for value in values]
    before = contents(there)
    with pytest.raises(KeyError, match="bob@example.org"):
        getattr(there, method)("Bob@example.org", *values)
    assert contents(there) == before


def test_limits_are_numbers_that_every_database_has(there):
    there.set_quota(ALICE, 2**63 - 1, 0)
    for octets in (-1, 2**63):
        with pytest.raises(ValueError, match="must be 0 to"):
            there.set_quota(ALICE, octets, None)
    assert there.user(ALICE).octets == 2**63 - 1


def test_an_import_is_all_or_nothing(there):
    kept = credentials.keep("x", b"secret")
    rows = [(f"user{number}@example.net", kept) for number in range(100)]
    with pytest.raises(Conflict, match="Alice@example.org is there already".lower()):
        there.import_users([*rows, ("Alice@Example.org", kept)])
    with pytest.raises(Conflict, match="user0@example.net is there already"):
        there.import_users([*rows, rows[0]])
    with pytest.raises(ValueError):
        there.import_users([*rows, ("a@b@c", kept)])
    assert len(there.list_users()) == 1 and there.list_domains() == ["example.org"]
    assert there.import_users(iter(rows)) == 100 and there.import_users([]) == 0
    assert len(there.list_users("example.net")) == 100 and there.check("user99@example.net", b"secret", "imap")


# ------------------------------------------------------------------ for HTTP

def test_with_the_face_of_a_file_of_passwords(there):
    users = AccountsUsers(there)
    assert users.check(ALICE, SECRET) and not users.check(ALICE, b"wrong") and not users.check("bob", SECRET)
    assert users.digest_secret(ALICE, "Files", "SHA-256") is None
    home = there.add_app_password(ALICE, "browser", ["http"], ["192.0.2.0/24"]).encode()
    assert not users.check(ALICE, home) and users.check(ALICE, home, "192.0.2.1")
    there.set_scopes(ALICE, ["imap"])
    assert not users.check(ALICE, SECRET) and AccountsUsers(there, "imap").check(ALICE, SECRET)


# ------------------------------------------------------------------ what is there already

def test_nothing_is_made_unless_asked_for(place):
    with pytest.raises(FileNotFoundError):
        place.open(create=False)
    if place.kind == "postgresql":
        assert place.store().rows(place.store().driver.exists) == []
    else:
        assert not os.path.exists(place.dsn)


def test_a_newer_database_is_left_alone(there, place, monkeypatch):
    monkeypatch.setattr(accounts, "STEPS", (*accountstable.STEPS, ("ALTER TABLE accounts ADD COLUMN quirk TEXT",)))
    assert place.open().check(ALICE, SECRET, "imap"), "an older one is changed as the steps say"
    assert place.open().store.rows("SELECT quirk FROM accounts") == [(None,)]
    monkeypatch.undo()
    with pytest.raises(ValueError, match="are of version 2, by a newer fd0; this one knows only 1"):
        place.open()
