"""Sites: which one a request is for, and what the file of sites says of its paths: redirects, fields, pages, logins."""

import os
import socket
from base64 import b64encode
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons import httpd
from daemons.kernel.limitsfile import LimitsFile
from daemons.stores import passwords
from daemons.wire import httpauth
from tests.certificates import Authority
from tests.play import NOON
from tests.serving import Serving

from .browsing import Web, replies, request

REALM = "Members only"


@pytest.fixture
def folders(tmp_path):
    """Two sites' folders."""
    for name in ("one", "two"):
        (tmp_path / name / "private").mkdir(parents=True)
        (tmp_path / name / "index.html").write_text(name)
        (tmp_path / name / "private" / "x").write_text(f"secret of {name}")
    return tmp_path


def served(folder, text, *options, **how):
    """A server with this file of sites, in which {here} is the folder."""
    (folder / "sites").write_text(text.format(here=folder))
    return Web(f"--vhosts={folder}/sites", *options, **how)


TWO = "host one.example www.one.example\nroot {here}/one\nhost two.example *.two.example\nroot {here}/two\n"


# -- which site --

@pytest.mark.parametrize("host, body", [
    ("one.example", b"one"), ("www.one.example", b"one"), ("ONE.Example", b"one"), ("one.example.", b"one"),
    ("one.example:8080", b"one"),
    ("two.example", b"two"), ("a.two.example", b"two"), ("a.b.two.example", b"two"), ("A.TWO.EXAMPLE.", b"two"),
    ("other.example", None), ("a.one.example", None), ("xtwo.example", None), ("one.example.evil", None), ("", None),
    ("[::1]", None),
])
def test_by_host(folders, host, body):
    web = served(folders, TWO)
    if body is None:
        assert web.get("/", host=host).status == 404
        return
    other = "two.example" if body == b"one" else "one.example"
    assert web.get("/", host=host).body == web.get(f"http://{host}/", host=other).body == body


def test_http_1_0_has_the_default_site(folders):
    assert served(folders, TWO).get("/", host=None, version="1.0").status == 404
    web = served(folders, TWO, f"--root={folders}/two")
    for host in ("other.example", "", "[::1]:80"):
        assert web.get("/", host=host).body == b"two"
    assert web.get("/", host=None, version="1.0").body == b"two"


def test_the_longest_name_below_which_a_host_lies(folders):
    text = "host *.example x.deep.example\nroot {here}/one\nhost *.deep.example\nroot {here}/two\n"
    web, hosts = served(folders, text), ("a.example", "a.deep.example", "x.deep.example", "deep.example")
    assert [web.get("/", host=host).body for host in hosts] == [b"one", b"two", b"one", b"one"]


def test_what_is_said_of_all_hosts_and_of_one(folders):
    common = "listing yes\nheader * X-All: 1\nheader * X-Which: all\n"
    web = served(folders, f"{common}{TWO}header * X-Which: two\nlisting no\n")
    one, two = web.get("/private/", host="one.example"), web.get("/private/", host="two.example")
    assert (one.status, one["x-all"], one["x-which"]) == (200, "1", "all")
    assert (two.status, two["x-all"], two["x-which"]) == (404, "1", "two")


@pytest.mark.parametrize("text, about", [
    ("root srv", "line 1"), ("host a\nhost a", "line 2"), ("header * X: caf\udce9", "sites"),
    ("error 404 /caf\udce9", "sites"),
    ("index caf\udce9", "sites"),
])
def test_a_file_that_cannot_be_used_is_named(folders, text, about):
    (folders / "sites").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"{folders}/sites.*{about}" if about != "sites" else f"{folders}/sites"):
        Web(f"--vhosts={folders}/sites", f"--root={folders}/one")


def test_a_root_that_is_not_there_is_named(folders):
    with pytest.raises(OSError, match="none"):
        served(folders, "host a\nroot {here}/none\n")


def test_programs_without_a_folder_are_refused_at_the_start_or_not_there():
    try:
        web = Web("--cgi=/cgi-bin")
    except ValueError:
        return
    (reply,) = replies(web.outcome(request("GET", "/cgi-bin/x")).heard)
    assert reply.status == 404


# -- under TLS: RFC 9110, 7.4 and 15.5.20; RFC 6797 --

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def test_the_name_of_the_handshake_and_the_host(folders, authority):
    (folders / "sites").write_text(TWO.format(here=folders) + "hsts 3600\n")
    pairs = [authority.pair(*names, file=names[0]) for names in (["one.example", "www.one.example"],
                                                                 ["two.example", "*.two.example"])]
    context = authority.client()
    context.check_hostname = False
    with Serving("httpd", f"--vhosts={folders}/sites", "--tls=implicit",
                 f"--tls-cert={','.join(pair[0] for pair in pairs)}",
                 f"--tls-key={','.join(pair[1] for pair in pairs)}") as server:

        def get(name, *asked):
            """What is answered to somebody who gave this name in the handshake."""
            with context.wrap_socket(server.call(), server_hostname=name) as sock:
                sock.sendall(b"".join(asked) + request("HEAD", "/", "Connection: close", host="one.example"))
                heard = b""
                while piece := sock.recv(65536):
                    heard += piece
            return replies(heard, ["GET"] * len(asked) + ["HEAD"])[:-1]

        old = request("GET", "/", "Connection: keep-alive", host=None, version="1.0")
        found = get("one.example", request("GET", "/", host="one.example"), request("GET", "/", host="two.example"),
                    old,
                    request("GET", "/", host="WWW.one.example."),
                    request("GET", "http://two.example/", host="one.example"))
        assert [reply.status for reply in found] == [200, 421, 200, 200, 421]
        assert {reply.body for reply in found if reply.status == 200} == {b"one"}
        found = get("a.two.example", request("GET", "/", host="b.two.example"), request("GET", "/", host="one.example"))
        assert [reply.status for reply in found] == [200,
                                                     421] and found[0]["strict-transport-security"] == "max-age=3600"
        assert get(None, request("GET", "/", host="two.example"))[0].body == b"two", "who gave no name may ask for any"
        assert get("other.example", request("GET", "/", host="one.example"))[0].status == 200, "a name that nobody has"
    assert not [line for line in server.log if " crash " in line]


def test_no_hsts_without_tls(folders):
    assert served(folders, "hsts 3600\n" + TWO).get("/",
                                                    host="one.example")["strict-transport-security"] is None      # 7.2


# -- redirects --

RULES = """redirect /old/ /new/
redirect /all/ /
redirect /away/ https://example.net/there/
redirect /one 302 /private/x
redirect /query /new?a=b
redirect *.php/ /
redirect *.asp 307 /new/
gone /gone/
"""


@pytest.mark.parametrize("target, status, location", [
    ("/old/", 301, "/new/"), ("/old", 301, "/new/"), ("/old/a/b", 301, "/new/a/b"), ("/old/a/", 301, "/new/a/"),
    ("/old/?q", 301, "/new/?q"),
    ("/old/a%20b?c=d&e=%2f", 301, "/new/a%20b?c=d&e=%2f"), ("/old//a", 301, "/new/a"), ("/old/../old/a", 301, "/new/a"),
    ("/%6fld/x", 301, "/new/x"),
    ("/older", 404, None), ("/away/x?y", 301, "https://example.net/there/x?y"), ("/one?x", 302, "/private/x?x"),
    ("/one/more", 302, "/private/x"),
    ("/query?c", 301, "/new?a=b"), ("/x.asp?y", 307, "/new/?y"), ("/gone/x", 410, None), ("/all/", 301, "/"),
    ("/all/a", 301, "/a"),
])
def test_redirects(folders, target, status, location):
    for method in ("GET", "HEAD", "POST"):
        reply = served(folders, RULES, f"--root={folders}/one").ask(method, target)
        assert (reply.status if status != 404 or method != "POST" else 404, reply["location"]) == (status, location)


@pytest.mark.parametrize("target", [
    "/all//evil.example/", "/all///evil.example", "/all/%2e/evil.example", "/all/\\evil.example",
    "/all/%5cevil.example", "/all/%09/evil.example",
    "/all/;@evil.example", "/all/.//evil.example", "/all/@evil.example", "/all/https://evil.example",
    "/12345/evil.example/x.php/",
    "/12345//evil.example/x.php/", "/123%5cevil.example/x.php/", "/private//..//evil.example/..", "//private",
    "/\\/private",
])
def test_a_redirect_of_ours_never_leads_to_another_host(folders, target):
    reply = served(folders, RULES, f"--root={folders}/one").get(target)
    if reply["location"] is not None:
        assert urlsplit(urljoin("http://www.example.org/x",
                                reply["location"].replace("\\", "/"))).netloc == "www.example.org"


@given(st.text("/.%\\@:;?evil25cf0ad9\t", max_size=20).map(lambda text: text.replace("\t", "%09")))
def test_no_path_makes_a_redirect_lead_away(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp() / "redirects"
    (folder / "one" / "private").mkdir(parents=True, exist_ok=True)
    web = served(folder, RULES, f"--root={folder}/one")
    for target in (f"/all/{text}", f"/old/{text}", f"/{text}/x.php/", f"/{text}private"):
        location = web.get(target)["location"]
        if location is not None:
            assert location.isascii() and location.isprintable() and " " not in location
            for written in (location, location.replace("\\", "/")):
                assert urlsplit(urljoin("http://www.example.org/", written)).netloc == "www.example.org"


@pytest.mark.parametrize("target", ["/old/%0d%0aSet-Cookie:%20a=b", "/old/%0a%0a<script>",
                                    "/old/%E2%80%A8", "/private%0d%0a"])
def test_a_redirect_is_one_line(folders, target):
    (folders / "one" / "private\r\n").mkdir()
    reply = served(folders, RULES, f"--root={folders}/one").get(target)
    assert reply.status == 301 and reply["set-cookie"] is None and reply["location"].isprintable()
    assert b"<script" not in reply.body


def test_what_is_shown_of_a_redirect_is_text(folders):
    reply = served(folders, RULES, f"--root={folders}/one").get("/old/?\"><script>alert(1)</script>&'x")
    assert b"<script" not in reply.body and b"&lt;script&gt;" in reply.body


# -- fields, types and pages --

def test_fields_come_with_each_reply(folders):
    web = served(folders,
                 "header * X-A: 1\nheader /private/ X-A: 2\ncache *.html max-age=9\nheader * X-Text: caf\u00e9\n",
                 f"--root={folders}/one")
    for _ in range(2):
        reply = web.get("/private/x")
        assert (reply["x-a"], reply["cache-control"], reply["x-text"]) == ("2", None, "caf\u00c3\u00a9")
    assert web.get("/index.html")["cache-control"] == "max-age=9" and web.get("/none")["x-a"] == "1"
    reply = web.get("/index.html", f"If-None-Match: {web.get('/index.html')['etag']}")
    assert (reply.status, reply["cache-control"]) == (304, "max-age=9")


def test_a_rule_about_an_index_holds_for_the_folder_that_it_stands_for(folders):
    web = served(folders, "cache *.html max-age=9\n", f"--root={folders}/one")
    assert web.get("/")["cache-control"] == "max-age=9"


def test_types(folders):
    (folders / "one" / "a.WASM").write_text("x")
    web = served(folders, "type .wasm application/wasm\ntype .html text/html; charset=iso-8859-1\n",
                 f"--root={folders}/one")
    assert web.get("/a.WASM")["content-type"] == "application/wasm"
    assert web.get("/")["content-type"] == "text/html; charset=iso-8859-1"


def test_pages_of_a_sites_own(folders):
    web = served(folders, "error 404 /404.html\nerror 405 /none\nerror 403 /private\nerror 416 /404.html\n",
                 f"--root={folders}/one")
    assert b"404" in web.get("/none").body, "ours, as long as there is none"
    (folders / "one" / "404.html").write_text("not here")
    reply = web.get("/none")
    assert (reply.status, reply.body, reply["content-type"]) == (404, b"not here", "text/html; charset=utf-8")
    assert web.ask("HEAD", "/none")["content-length"] == "8"
    assert b"405" in web.ask("POST", "/").body
    assert web.get("/", "Range: bytes=99-").body == b"not here"
    (folders / "one" / "404.html").write_text("another")
    assert web.get("/none").body == b"another"
    assert web.get("/404.html").status == 200


# -- logins --

@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A file in which alice has a password, and one for Digest too."""
    folder = tmp_path_factory.mktemp("users")
    passwords.add(f"{folder}/users", "alice", b"open sesame", REALM)
    passwords.add(f"{folder}/users", "bob", b"x")
    return f"{folder}/users"


def basic(name, password):
    return f"Authorization: Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


RIGHT, WRONG = basic("alice", "open sesame"), basic("alice", "wrong")


@pytest.fixture
def members(folders, users):
    """A server whose /private/ is for members."""
    return served(folders, f"protect /private/ {REALM}\n", f"--root={folders}/one", f"--users={users}")


def test_who_is_not_known_is_asked(members):
    for method in ("GET", "HEAD", "OPTIONS", "POST", "BREW"):
        reply = members.ask(method, "/private/x")
        assert (reply.status, reply["www-authenticate"]) == (401, f'Basic realm="{REALM}", charset="UTF-8"')
        assert b"secret" not in reply.body
    assert members.get("/").status == 200 and members.get("/private/none").status == 401


@pytest.mark.parametrize("target", ["/private", "/private/", "/private/x", "//private/x", "/./private/x",
                                    "/%70rivate/x", "/none/../private/x", "/private//x",
                                    "/private/./x", "/private/%78", "http://www.example.org/private/x", "/private/x?y",
                                    "/private/x/y"])
def test_no_spelling_of_a_path_passes_by(members, target):
    assert members.get(target).status == 401 and members.get(target, RIGHT).status in (200, 301, 404)


@pytest.mark.parametrize("pattern", ["/docs/index.html", "*.html", "/docs/index.htm"])
def test_a_protected_index_is_protected_where_it_stands_for_its_folder(folders, users, pattern):
    (folders / "one" / "docs").mkdir()
    (folders / "one" / "docs" / ("index.htm" if pattern.endswith(".htm") else "index.html")).write_text("secret")
    web = served(folders, f"protect {pattern} {REALM}\n", f"--root={folders}/one", f"--users={users}")
    assert web.get("/docs/index.htm" + "l" * (not pattern.endswith("htm"))).status == 401
    assert b"secret" not in web.get("/docs/").body


def test_a_protected_file_is_protected_in_every_coding(folders, users):
    (folders / "one" / "a.txt").write_text("secret")
    (folders / "one" / "a.txt.gz").write_text("secret, packed")
    web = served(folders, f"protect /a.txt {REALM}\n", f"--root={folders}/one", f"--users={users}")
    assert web.get("/a.txt").status == web.get("/a.txt", "Accept-Encoding: gzip").status == 401
    assert web.get("/a.txt", "Accept-Encoding: gzip", RIGHT).body == b"secret, packed"


def test_a_path_with_a_blank_can_be_protected(folders, users):
    (folders / "one" / "my files").mkdir()
    (folders / "one" / "my files" / "x").write_text("secret")
    web = served(folders, f"protect /my%20files/ {REALM}\n", f"--root={folders}/one", f"--users={users}")
    assert web.get("/my%20files/x").status == 401


def test_with_users_and_no_rule_all_is_protected(folders, users):
    web = Web(f"--root={folders}/one", f"--users={users}")
    assert web.get("/").status == web.get("/none").status == web.ask("OPTIONS", "*").status == 401
    assert web.get("/", RIGHT).body == b"one"


@pytest.mark.parametrize("field", ["Authorization: Basic", "Authorization: Basic x", "Authorization: Basic YWxpY2U",
                                   "Authorization:",
                                   "Authorization: Bearer x", "Authorization: basic !!!",
                                   "Authorization: Basic " + "QTpi" * 4000,
                                   "Proxy-Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU="])
def test_what_is_no_login(members, field):
    assert members.get("/private/x", field).status in (400, 401)


def test_who_is_known_passes(members):
    reply = members.get("/private/x", RIGHT)
    assert (reply.status, reply.body) == (200, b"secret of one")
    (event,) = [values for name, values in reply.outcome.events if name == "request"]
    assert event["user"] == "alice"
    assert members.get("/private/x", basic("alice", "open sesame ")).status == 401
    assert members.get("/private/x", basic("Alice", "open sesame")).status == 401
    assert members.get("/private/x", basic("", "")).status == 401
    assert members.get("/private/x", RIGHT, WRONG).status in (400, 401), "two logins are none"


def test_guessing_takes_longer_each_time(members):
    table = LimitsFile()
    guesses = [request("GET", "/private/x", basic("alice", f"guess {number}")) for number in range(6)]
    outcome = members.outcome(*guesses, now=NOON, table=table)
    assert [reply.status for reply in replies(outcome.heard)] == [401] * 6 and outcome.rested == 0 + 2 + 4 + 8 + 15 + 15
    assert [name for name, _ in outcome.events].count("login") == 6
    right = members.outcome(request("GET", "/private/x", RIGHT) * 3, now=NOON, table=table, since=outcome.rested)
    assert [reply.status for reply in replies(right.heard)] == [200] * 3
    assert right.rested == 15, "once, and before the password is looked at"
    again = members.outcome(request("GET", "/private/x", RIGHT), now=NOON, table=table, since=100.0)
    assert again.rested == 0
    table.close()


def test_the_same_wrong_password_costs_once(members):
    outcome = members.outcome(request("GET", "/private/x", WRONG) * 5, now=NOON)
    assert outcome.rested == 2 * 4, "and each of them waits for the first"


def test_who_has_passed_on_a_connection_does_not_wait_for_what_others_do(members):
    said = [request("GET", "/private/x", field) for field in (RIGHT, WRONG, RIGHT, basic("bob", "y"), RIGHT,
                                                              basic("bob", "x"), RIGHT)]
    outcome = members.outcome(*said, now=NOON)
    assert [reply.status for reply in replies(outcome.heard)] == [200, 401, 200, 401, 200, 200, 200]
    assert outcome.rested == 2 + 4, "for the second guess, and for bob, whose own password is right; alice was known"


# Digest: RFC 7616

def digest(challenge, method="GET", uri="/private/x", name="alice", password=b"open sesame", count=1, realm=REALM,
           **changed):
    """An Authorization field that answers a challenge."""
    rest = challenge.partition(" ")[2]
    told = dict(part.split("=", 1) for part in rest.replace(", ", ",").split(","))
    given = {"realm": realm, "nonce": told["nonce"].strip('"'), "uri": uri, "cnonce": "abc", "nc": f"{count:08x}",
             "qop": "auth",
             "algorithm": told["algorithm"], **changed}
    secret = httpauth.digest_secret(name, realm, password, given["algorithm"])
    response = httpauth.digest_response(secret, method, given)
    words = [f'{key}="{given[key]}"' for key in ("realm", "nonce", "uri", "cnonce")]
    words += [f'username="{name}"', f'response="{response}"', "qop=auth",
              *(f"{key}={given[key]}" for key in ("nc", "algorithm"))]
    return f"Authorization: Digest {', '.join(words)}"


@pytest.fixture
def digested(folders, users):
    return served(folders, f"login digest\nprotect /private/ {REALM}\n", f"--root={folders}/one", f"--users={users}")


def challenges(web, **how):
    reply = web.get("/private/x", **how)
    assert reply.status == 401
    return reply.all("www-authenticate")


def test_digest(digested):
    best, other = challenges(digested)
    assert "algorithm=SHA-256" in best and "algorithm=MD5" in other and 'qop="auth"' in best
    for number, challenge in enumerate((best, other), 1):       # both are of one nonce
        reply = digested.get("/private/x", digest(challenge, count=number))
        assert (reply.status, reply.body) == (200, b"secret of one")


def test_digest_counts_once(digested):
    challenge = challenges(digested)[0]
    first = digest(challenge)
    assert digested.get("/private/x", first).status == 200
    again = digested.get("/private/x", first)
    assert again.status == 401 and "stale=true" in again.all("www-authenticate")[0]
    assert digested.get("/private/x", digest(challenge, count=2)).status == 200
    assert digested.outcome(request("GET", "/private/x", first), now=NOON).rested == 0


@pytest.mark.parametrize("changed, status", [
    ({"password": b"wrong"}, 401), ({"name": "bob", "password": b"x"}, 401), ({"name": "nobody"}, 401),
    ({"realm": "Other"}, 401),
    ({"uri": "/private/y"}, 400), ({"uri": "/"}, 400), ({"method": "HEAD"}, 401), ({"nonce": "0" * 64}, 401),
    ({"count": 0}, 401),
    ({"qop": "auth-int"}, 401),         # in the hash alone: the field says auth
])
def test_what_digest_refuses(digested, changed, status):
    challenge = challenges(digested)[0]
    reply = digested.get("/private/x", digest(challenge, **changed))
    assert reply.status == status and b"secret" not in reply.body


def test_a_nonce_grows_old(digested):
    digested.ahead = 0.0
    challenge = challenges(digested)[0]
    digested.ahead = httpauth.LIFETIME + 10
    reply = digested.get("/private/x", digest(challenge))
    assert reply.status == 401 and "stale=true" in reply.all("www-authenticate")[0]


def test_guessing_by_digest_takes_longer_each_time(digested):
    challenge = challenges(digested)[0]
    said = [request("GET", "/private/x", digest(challenge, password=b"%d" % number,
                                                count=number + 1)) for number in range(4)]
    outcome = digested.outcome(*said)
    assert [reply.status for reply in replies(outcome.heard)] == [401] * 4 and outcome.rested == 0 + 2 + 4 + 8
    assert [name for name, _ in outcome.events].count("login") == 4


def test_basic_is_no_way_around_digest(digested):
    assert digested.get("/private/x", RIGHT).status == 401


def test_each_site_may_have_users_of_its_own(folders, users, tmp_path):
    passwords.add(str(tmp_path / "others"), "carol", b"c")
    web = served(folders, TWO + f"users {tmp_path}/others\nhost three.example\nroot {{here}}/one\n", f"--users={users}")
    carol = basic("carol", "c")
    assert web.get("/", carol, host="two.example").status == 200 and web.get("/", RIGHT,
                                                                             host="two.example").status == 401
    assert web.get("/", RIGHT, host="three.example").status == 200 and web.get("/", carol,
                                                                               host="one.example").status == 401


# -- the log of requests --

def test_a_log_that_cannot_be_written_is_told_and_ends_no_conversation(folders):
    web = Web(f"--root={folders}/one", f"--access-log={folders}/access.log")
    log = web.server.written.__self__.file
    sealed = os.open("/dev/null", os.O_RDONLY)
    os.dup2(sealed, log.fd)             # every write fails from here on, as on a full disk
    os.close(sealed)
    log._next_look = float("inf")
    outcome = web.outcome(request("GET", "/") * 2)
    assert [reply.status for reply in replies(outcome.heard)] == [200, 200] and outcome.reason == "done"
    declared = {event.name: set(event.keys) for event in httpd.SERVICE.events}
    for name, values in outcome.events:
        assert {key.rstrip("_") for key in values} <= declared[name], f"what {name} says was declared"
    assert "unlogged" in [name for name, _ in outcome.events]


def test_a_request_is_counted_with_its_own_octets(folders):
    said = [request("GET", "/"), request("POST", "/", body=b"x" * 50), request("GET", "/none"), request("HEAD", "/")]
    for chunks in (said, [b"".join(said)], [bytes([octet]) for octet in b"".join(said)]):
        outcome = Web(f"--root={folders}/one").outcome(*chunks)
        told = [values for name, values in outcome.events if name == "request"]
        assert [values["in_"] for values in told] == [len(one) for one in said]
        assert [values["out"] for values in told][:1] == [3] and told[3]["out"] == 0
        assert [values["status"] for values in told] == [200, 405, 404, 200]


def test_nobody_listens_on_what_sites_are_called(folders):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert served(folders, TWO).get("/", host=f"127.0.0.1:{sock.getsockname()[1]}").status == 404


def test_a_rewrite_shows_one_path_for_another(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a").write_text("a")
    sites = tmp_path / "sites"
    sites.write_text(f"host www.example.org\nroot {tmp_path}\nrewrite /old/ /new/\nrewrite /x /new/a\n"
                     f"protect /new/secret/ Members\nusers {tmp_path / 'users'}\n")
    (tmp_path / "users").write_text("")
    (tmp_path / "users").chmod(0o600)
    web = Web(f"--vhosts={sites}")
    assert web.get("/old/a").body == web.get("/x?y=1").body == b"a"
    assert web.get("/old/secret/").status == 401, "what a path is rewritten to is protected as well"
    assert web.get("/old/none").status == 404
