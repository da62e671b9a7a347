"""--accounts: the accounts of a database log in to httpd and xmlrpcd, as far as they may use http."""

import base64
import json
import os

import pytest

from daemons import xmlrpcd
from daemons.stores import accounts
from tests.play import options_of, play
from tests.web.browsing import Web, replies, request

ANN, SECRET = "ann@example.org", "open sesame"


@pytest.fixture
def database(tmp_path):
    """Accounts: ann, bob for mail alone, carol who was shut out; and ann's phone, which has a password of its own."""
    path = tmp_path / "accounts.db"
    there = accounts.open(str(path), create=True)
    there.add_domain("example.org")
    there.add_user(ANN, SECRET.encode())
    there.add_user("bob@example.org", SECRET.encode(), scopes=["imap"])
    there.add_user("carol@example.org", SECRET.encode())
    there.disable("carol@example.org")
    there.phone = there.add_app_password(ANN, "phone", ["http"])
    there.afar = there.add_app_password(ANN, "afar", ["http"], ["198.51.100.0/24"])
    there.path = str(path)
    return there


@pytest.fixture
def root(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_bytes(b"hello")
    return tmp_path / "www"


def credentials(name, password):
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_who_may_use_http_gets_in(database, root):
    web = Web(f"--root={root}", f"--accounts={database.path}")
    stranger = web.get("/")
    assert (stranger.status, stranger["www-authenticate"]) == (401, 'Basic realm="Members only", charset="UTF-8"')
    for name, password, status in (
            (ANN, SECRET, 200), ("ANN@Example.ORG", SECRET, 200), (ANN, database.phone, 200),
            (ANN, database.afar, 401), (ANN, "wrong", 401), ("nobody@example.org", SECRET, 401),
            ("bob@example.org", SECRET, 401), ("carol@example.org", SECRET, 401)):
        assert web.get("/", credentials(name, password)).status == status, (name, password)


def test_a_site_may_have_a_file_of_its_own(database, root, tmp_path):
    from daemons.stores import passwords
    passwords.add(str(tmp_path / "own"), "dora", SECRET.encode())
    (tmp_path / "sites").write_text(f"host www.example.org\nroot {root}\nusers {tmp_path}/own\n"
                                    f"host other.example.org\nroot {root}\n")
    web = Web(f"--vhosts={tmp_path}/sites", f"--accounts={database.path}")
    assert web.get("/", credentials("dora", SECRET)).status == 200
    assert web.get("/", credentials(ANN, SECRET)).status == 401
    assert web.get("/", credentials(ANN, SECRET), host="other.example.org").status == 200


def test_while_nobody_can_tell_nobody_gets_in_and_all_are_told_to_come_again(database, root):
    web = Web(f"--root={root}", f"--accounts={database.path}")
    os.rename(database.path, f"{database.path}.away")
    reply = web.get("/", credentials(ANN, SECRET))
    assert (reply.status, reply["retry-after"]) == (503, "30")
    os.rename(f"{database.path}.away", database.path)
    assert web.get("/", credentials(ANN, SECRET)).status == 200


@pytest.mark.parametrize("options, why", [
    (["--users={0}"], "say one of them"), (["--login=digest"], "no Digest"),
])
def test_what_does_not_go_together_is_refused_at_the_start(database, root, options, why):
    with pytest.raises(ValueError, match=why):
        Web(f"--root={root}", f"--accounts={database.path}", *[option.format(database.path) for option in options])
    with pytest.raises(FileNotFoundError):
        Web(f"--root={root}", f"--accounts={database.path}.none")


@pytest.mark.parametrize("name, status", [(ANN, 200), ("bob@example.org", 401)])
def test_methods_are_for_those_who_log_in(database, name, status):
    options = options_of(xmlrpcd, f"--accounts={database.path}")
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "fd0.uptime"})
    asked = request("POST", "/RPC2", "Content-Type: application/json", credentials(name, SECRET), body=body.encode())
    assert replies(play(xmlrpcd, [asked], options=options).heard, ["POST"])[0].status == status
