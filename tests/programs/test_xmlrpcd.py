"""xmlrpcd: what calls over HTTP come to, which methods there are, and who may call them."""

import base64
import gzip
import http
import json
import sqlite3
import subprocess
import sys
import xmlrpc.client
import zlib

import pytest

from daemons import xmlrpcd
from daemons.kernel import log
from daemons.kernel.options import Misuse
from daemons.stores import passwords
from daemons.tools.stubs import CHECKOUT
from daemons.web.calls import WORTH
from daemons.wire import faults, jsonrpc
from tests.play import options_of, play
from tests.web.browsing import replies, request

SECRET = b"correct horse"
MANY = 2000
METHODS = '''
import xmlrpc.client

def add(a: int, b: int = 1) -> int:
    """Add <two> numbers."""
    return a + b

def crash():
    return secret_of_mine

def fail():
    raise xmlrpc.client.Fault(7, "by purpose")

def nothing():
    pass

def large(count: int) -> str:
    return "x" * count

def whole() -> int:
    return 1 << 40

def unsendable():
    return object()

def who(caller):
    return [caller.user, caller.host]
'''
TYPE = "Content-Type: text/xml"


@pytest.fixture
def folder(tmp_path):
    """A folder with a module of methods, a file of two users, and what else a test puts there."""
    (tmp_path / "offering.py").write_text(METHODS)
    sys.modules.pop("offering", None)
    for name in ("ann", "bob"):
        passwords.add(f"{tmp_path}/users", name, SECRET)
    yield tmp_path
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


class Calls:
    """xmlrpcd with these options: what it answers."""

    def __init__(self, *options):
        log.start("xmlrpcd", target="/nonexistent", events=xmlrpcd.SERVICE.events)
        self.options = options_of(xmlrpcd, *options)
        self.server = xmlrpcd.setup(self.options)
        self.events = []

    def say(self, octets, methods=("POST",), **how):
        """The replies on a connection."""
        outcome = play(xmlrpcd, [octets], options=self.options, made=(self.server,), **how)
        self.events = outcome.events
        for name, values in outcome.events:
            declared = {event.name: event.keys for event in (*xmlrpcd.SERVICE.events, *log.EVENTS)}
            assert {key.rstrip("_") for key in values} <= set(declared[name])
        return replies(outcome.heard, methods)

    def post(self, body, *fields, kind="text/xml", target="/RPC2", **how):
        """The reply to a posted body."""
        (reply,) = self.say(request("POST", target, f"Content-Type: {kind}", *fields, body=body), **how)
        return reply

    def call(self, name, *params, fields=(), **how):
        """What a call gives; raises xmlrpc.client.Fault."""
        reply = self.post(xmlrpc.client.dumps(params, name, allow_none=True).encode(), *fields, **how)
        assert reply.status == 200, reply
        return xmlrpc.client.loads(unpacked(reply))[0][0]

    def json(self, name, params=(), fields=(), **how):
        """The answer to a call in JSON."""
        body = json.dumps({"jsonrpc": "2.0", "method": name, "params": params, "id": 1}).encode()
        return json.loads(self.post(body, *fields, kind="application/json", **how).body)

    def get(self, target="/", *fields, method="GET", **how):
        """The reply to a request without a body."""
        (reply,) = self.say(request(method, target, *fields), [method], **how)
        return reply

    def logged(self, name):
        """The values of an event of the last connection."""
        return [values for event, values in self.events if event == name]


def unpacked(reply):
    return gzip.decompress(reply.body) if reply["content-encoding"] == "gzip" else reply.body


def fault(function, *arguments, **how):
    """The fault that comes of it."""
    with pytest.raises(xmlrpc.client.Fault) as caught:
        function(*arguments, **how)
    return caught.value.faultCode, caught.value.faultString


def as_user(name, password=SECRET):
    """The field by which one logs in."""
    return "Authorization: Basic " + base64.b64encode(name.encode() + b":" + password).decode()


@pytest.fixture
def offering(folder):
    """A function that makes a Calls with the module, and more options."""
    return lambda *options: Calls("--methods=fd0,offering", f"--method-path={folder}", *options)


# -- calls --


def test_calls_of_a_module(offering):
    calls = offering()
    assert calls.call("add", 2, 40) == 42
    (event,) = calls.logged("call")
    assert event["method"] == "add" and float(event["ms"]) >= 0 and "fault" not in event and "user" not in event
    assert calls.json("add", {"b": 5, "a": 1})["result"] == 6
    assert calls.call("who", peer="192.0.2.9") == ["", "192.0.2.9"]
    assert "offering" not in " ".join(calls.call("system.listMethods"))


def test_what_fails_is_a_fault_and_in_the_log(offering):
    calls = offering()
    assert fault(calls.call, "fail") == (7, "by purpose")
    assert calls.logged("call")[0]["fault"] == 7
    assert fault(calls.call, "add", "x") == (faults.INVALID_PARAMS, "add: parameter a must be a whole number")
    assert fault(calls.call, "unsendable")[0] == faults.APPLICATION_ERROR
    assert [one.get("fault") for one in calls.logged("call")] == [None, faults.APPLICATION_ERROR]
    assert calls.json("unsendable")["error"]["code"] == jsonrpc.SERVER_ERROR


def test_a_crash_tells_nobody_but_the_log(offering, monkeypatch):
    crashes = []
    monkeypatch.setattr(log, "crash", lambda error, session: crashes.append(error))
    code, text = fault(offering().call, "crash")
    assert code == faults.APPLICATION_ERROR and "secret" not in text and "Error" not in text
    assert [str(error) for error in crashes] == ["name 'secret_of_mine' is not defined"]
    assert "secret_of_mine" in fault(offering("--debug").call, "crash")[1]


def test_none_and_long_numbers_are_extensions(offering):
    calls = offering()
    assert "not declared" in fault(calls.call, "nothing")[1] and "i8" in fault(calls.call, "whole")[1]
    assert offering("--extensions=yes").call("whole") == 1 << 40
    assert "not declared" in fault(offering("--extensions=yes").call, "nothing")[1]
    assert offering("--allow-none=yes").call("nothing") is None
    assert calls.json("whole")["result"] == 1 << 40


def test_each_call_of_a_multicall_is_in_the_log(offering):
    calls = offering()
    many = [{"methodName": name, "params": params} for name, params in (("add", [1]), ("fail", []))]
    assert calls.call("system.multicall", many) == [[2], {"faultCode": 7, "faultString": "by purpose"}]
    assert [(one["method"], one.get("fault")) for one in calls.logged("call")] == [
        ("add", None), ("fail", 7), ("system.multicall", None)]


def test_every_address_takes_both_kinds(offering):
    calls = offering()
    for target in ("/", "/RPC2", "/JSON", "/jsonrpc"):
        assert calls.call("add", 1, target=target) == 2 and calls.json("add", [1], target=target)["result"] == 2


# -- compressed --


@pytest.mark.parametrize("accept, packed", [
    ("gzip", True), ("gzip;q=0", False), ("br", False), ("*", True), (None, False), ("identity, gzip;q=0.5", False),
    ("x-gzip", True)])
def test_long_answers_are_compressed_for_who_reads_it(offering, accept, packed):
    fields = [f"Accept-Encoding: {accept}"] if accept else []
    body = xmlrpc.client.dumps((MANY,), "large").encode()
    reply = offering().post(body, *fields)
    assert (reply["content-encoding"] == "gzip") is packed and (reply["vary"] == "Accept-Encoding") is packed
    assert xmlrpc.client.loads(unpacked(reply))[0][0] == "x" * MANY and MANY > WORTH


def test_short_answers_are_not_compressed(offering):
    reply = offering().post(xmlrpc.client.dumps((1,), "add").encode(), "Accept-Encoding: gzip")
    assert reply["content-encoding"] is None


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
def test_bodies_may_be_compressed(offering, coding):
    body = gzip.compress(xmlrpc.client.dumps((2, 40), "add").encode())
    reply = offering().post(body, f"Content-Encoding: {coding}")
    assert xmlrpc.client.loads(reply.body)[0][0] == 42
    data = gzip.compress(json.dumps({"jsonrpc": "2.0", "method": "add", "params": [1], "id": 1}).encode())
    reply = offering().post(data, f"Content-Encoding: {coding}", kind="application/json")
    assert json.loads(reply.body)["result"] == 2


@pytest.mark.parametrize("body, coding, status", [
    (b"x", "br", 415), (b"x", "gzip, gzip", 415), (b"x", "deflate", 415), (b"x", "gzip", 400),
    (gzip.compress(xmlrpc.client.dumps((1,), "add").encode())[:-4], "gzip", 400)])
def test_other_codings_and_broken_ones_are_refused(offering, body, coding, status):
    calls = offering()
    reply = calls.post(body, f"Content-Encoding: {coding}")
    assert reply.status == status and calls.logged("rejected")[0]["status"] == status
    assert (reply["accept-encoding"] == "gzip") is (status == 415)


def bomb(size, before=b""):
    """So many octets of text, compressed a thousandfold."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(before), *(packer.compress(b"x" * (1 << 20)) for _ in range(size >> 20))]
    return b"".join(pieces) + packer.flush()


@pytest.mark.parametrize("kind", ["text/xml", "application/json"])
def test_a_bomb_is_refused_where_the_limit_is(offering, kind):
    before = b"<methodCall><methodName>a</methodName><params><param><value>" if kind == "text/xml" else b'["'
    calls = offering("--body=2M")
    reply = calls.post(bomb(64 << 20, before), "Content-Encoding: gzip", kind=kind)
    assert reply.status == 413 and reply.closes


# -- what is refused --


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                                  "text/plain; charset=text/xml", "text/xml-x", "", "text/html", "application/soap+xml",
                                  "text/xml, text/plain"])
def test_what_a_browser_sends_unasked_is_no_call(offering, kind):
    reply = offering().post(xmlrpc.client.dumps((1,), "add").encode(), kind=kind)
    assert reply.status == 415 and reply["accept"] == "text/xml, application/json"


def test_no_type_is_no_call_either(offering):
    (reply,) = offering().say(request("POST", "/RPC2", body=b"x"))
    assert reply.status == 415


@pytest.mark.parametrize("origin, host, options, status", [
    ("http://evil.example", "192.0.2.1:8080", (), 403), ("null", "192.0.2.1:8080", (), 403),
    ("http://192.0.2.1:8080", "192.0.2.1:8080", (), 200), ("http://192.0.2.1", "192.0.2.1:8080", (), 403),
    ("http://www.example.org", "www.example.org", (), 403),        # DNS rebinding looks like this
    ("http://www.example.org", "www.example.org", ("--origins=http://www.example.org",), 200),
    ("https://www.example.org", "www.example.org", ("--origins=http://www.example.org",), 403),
    ("https://app.example.org", "x", ("--origins=http://a,https://app.example.org:443",), 200)])
def test_pages_of_others_may_not_call(offering, origin, host, options, status):
    calls = offering(*options)
    body = xmlrpc.client.dumps((1,), "add").encode()
    (reply,) = calls.say(request("POST", "/", TYPE, f"Origin: {origin}", body=body, host=host))
    assert reply.status == status
    assert (reply["access-control-allow-origin"] == origin) is (status == 200)
    assert bool(calls.logged("call")) is (status == 200)


@pytest.mark.parametrize("value", ["www.example.org", "*", "null", "https://x/"])
def test_origins_that_are_none(value):
    with pytest.raises(Misuse, match="not an origin"):
        options_of(xmlrpcd, f"--origins={value}")


@pytest.mark.parametrize("body, code", [
    (b"<methodCall><methodName>add</methodName><params>" + b"<param><value><array><data>" * 70, faults.INVALID_REQUEST),
    (b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><methodCall>&b;</methodCall>', faults.PARSE_ERROR),
    (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><methodCall/>', faults.PARSE_ERROR),
    (b"<methodCall><methodName>add</methodName><params><param><value><i4>" + b"9" * 100_000 + b"</i4>",
     faults.INVALID_REQUEST),
    (b"<methodCall><methodName>add</methodName><params><param><value><base64>!!!</base64>", faults.INVALID_REQUEST),
    (b"<a>" * 100_000, faults.INVALID_REQUEST), (b" " * 1_000_000, faults.INVALID_REQUEST)])
def test_bombs_in_xml_are_faults(offering, body, code):
    calls = offering()
    reply = calls.post(body)
    assert reply.status == 200
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(reply.body)
    assert caught.value.faultCode == code
    assert calls.logged("call")[0]["method"] == "-"


def test_a_long_body_is_refused_before_it_comes(offering):
    head = request("POST", "/", TYPE, "Content-Length: 999999999")
    (reply,) = offering().say(head)
    assert reply.status == 413 and reply.closes


@pytest.mark.parametrize("name", ["system.__init__", "add.__globals__", "__import__", "fd0.version.__func__", "", "a b",
                                  "offering.add", "registry", "x" * 300])
def test_nothing_but_a_name_is_a_method(offering, name):
    code, _ = fault(offering().call, name)
    assert code in (faults.UNKNOWN_METHOD, faults.INVALID_REQUEST)
    assert offering().json(name)["error"]["code"] == faults.UNKNOWN_METHOD


# -- who may call --


def test_with_users_all_want_a_login(offering, folder):
    calls = offering(f"--users={folder}/users")
    for name in ("add", "fd0.version", "system.listMethods"):
        reply = calls.post(xmlrpc.client.dumps((), name).encode())
        assert reply.status == 401 and reply["www-authenticate"].startswith('Basic realm="Methods"')
    assert calls.call("add", 1, fields=[as_user("ann")]) == 2
    assert calls.logged("call")[0]["user"] == "ann"
    assert calls.call("who", fields=[as_user("bob")])[0] == "bob"
    assert calls.json("add", [1])["error"]["code"] == faults.DENIED
    assert calls.json("add", [1], fields=[as_user("ann")])["result"] == 2


def permits(folder, text):
    (folder / "permits").write_text(text)
    return f"--users={folder}/users", f"--restrict={folder}/permits"


def test_each_method_may_have_users_of_its_own(offering, folder):
    calls = offering(*permits(folder, "fd0.*: *\nadd: ann\nsystem.*: *\nwho: +\n"))
    assert calls.call("fd0.version") and calls.call("add", 1, fields=[as_user("ann")]) == 2
    assert fault(calls.call, "add", 1, fields=[as_user("bob")]) == (faults.DENIED, "add is not for you")
    assert calls.call("who", fields=[as_user("bob")])[0] == "bob"
    assert "add" not in calls.call("system.listMethods")
    assert "add" in calls.call("system.listMethods", fields=[as_user("ann")])
    assert fault(calls.call, "system.methodHelp", "add")[0] == faults.UNKNOWN_METHOD
    many = calls.call("system.multicall", [{"methodName": "add", "params": [1]}])
    assert many[0]["faultCode"] == faults.DENIED
    assert calls.call("system.multicall", [{"methodName": "add", "params": [1]}], fields=[as_user("ann")]) == [[2]]


def test_a_batch_is_answered_one_by_one(offering, folder):
    calls = offering(*permits(folder, "fd0.*: *\n"))
    body = json.dumps([{"jsonrpc": "2.0", "method": name, "id": name} for name in ("fd0.version", "fail")]).encode()
    reply = calls.post(body, kind="application/json")
    assert reply.status == 200
    first, second = json.loads(reply.body)
    assert "result" in first and second["error"]["code"] == faults.DENIED


def test_whoever_guesses_waits(offering, folder):
    calls = offering(f"--users={folder}/users")
    body = xmlrpc.client.dumps((1,), "add").encode()
    wrong = [request("POST", "/", TYPE, as_user("ann", word), body=body) for word in (b"a", b"b", b"c")]
    outcome = play(xmlrpcd, [b"".join(wrong) + request("POST", "/", TYPE, as_user("ann"), body=body)],
                   options=calls.options, made=(calls.server,))
    assert [one.status for one in replies(outcome.heard)] == [401, 401, 401, 200]
    assert outcome.rested == 0 + 2 + 4 + 8
    assert [values["user"] for name, values in outcome.events if name == "login"] == ["ann"] * 3


@pytest.mark.parametrize("text, why", [
    ("nowhere: ann", "line 1: there is no method nowhere"), ("add", "line 1: not a line"),
    ("\nadd.*: ann", "line 2: there is no method add")])
def test_rules_that_are_none_stop_the_start(offering, folder, text, why):
    with pytest.raises(ValueError, match=why):
        offering(*permits(folder, text))


def test_rules_without_users_stop_the_start(offering, folder):
    (folder / "permits").write_text("add: ann\n")
    with pytest.raises(ValueError, match="say --users"):
        offering(f"--restrict={folder}/permits")


# -- which methods --


def test_what_the_machine_tells():
    calls = Calls()
    for name in ("disk", "hostnames", "load", "memory", "programs", "time", "uptime", "version"):
        assert calls.call(f"fd0.{name}")
    assert isinstance(calls.call("fd0.addresses"), list)
    names = calls.call("system.listMethods")
    assert "fd0.lookup" not in names and "fd0.lookup" in Calls("--network=yes").call("system.listMethods")
    assert "rpc.discover" in names


def test_events_come_out_of_a_log(tmp_path):
    path = tmp_path / "syslog"
    path.write_text("Nov 24 12:00:00 host echod[41]: close session=0badcafe reason=done\n")
    (event,) = Calls(f"--log-file={path}").call("fd0.events", "echod")
    assert event["event"] == "close" and event["values"]["reason"] == "done"


def test_programs_and_queries(tmp_path):
    (tmp_path / "methods").mkdir()
    script = tmp_path / "methods/say.this"
    script.write_text("#!/bin/sh\ncat\n")
    script.chmod(0o755)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS seven")
    connection.close()
    (tmp_path / "queries").write_text(f"database: {tmp_path}/a.db\nsevens: SELECT seven FROM t\n")
    calls = Calls(f"--executables={tmp_path}/methods", f"--queries={tmp_path}/queries", "--methods=fd0")
    assert calls.call("say.this", 1, "two") == [1, "two"] and calls.call("sevens") == [{"seven": 7}]
    assert str(tmp_path) in calls.options.learnt


@pytest.mark.parametrize("options, why", [
    (["--methods=nowhere"], "nowhere cannot be loaded"), (["--methods=json:none"], "nothing of this name"),
    (["--methods=fd0,fd0"], "two methods fd0"), (["--queries={folder}/none"], "none"),
    (["--executables={folder}/none"], "none"), (["--method-path={folder}/none"], "none"),
    (["--method-path={folder}/offering.py"], "is no folder"), (["--users={folder}/none"], "none"),
    (["--log-file={folder}/x", "--methods=offering", "--method-path=/tmp"], "anybody may write to /tmp")])
def test_options_that_cannot_be_had(folder, options, why):
    with pytest.raises((ValueError, OSError), match=why):
        Calls(*(option.format(folder=folder) for option in options))


@pytest.mark.parametrize("option", ["--methods=", "--query-rows=0", "--executables=relative"])
def test_options_that_are_none(option):
    with pytest.raises(Misuse):
        options_of(xmlrpcd, option)


# -- the page --


def test_the_page_tells_of_the_methods(offering):
    reply = offering("--title=A & B").get("/RPC2", "Accept-Encoding: gzip")
    page = unpacked(reply).decode()
    assert reply.status == 200 and reply["content-type"].startswith("text/html") and reply["content-encoding"] == "gzip"
    assert "<title>A &amp; B</title>" in page and "Add &lt;two&gt; numbers." in page and "<two>" not in page
    assert "http://www.example.org/RPC2" in page and "script" not in reply["content-security-policy"]
    assert offering().get("/", method="HEAD").status == 200
    assert "Methods of www.example.org" in offering().get().body.decode()


def test_the_page_shows_what_one_may_call(offering, folder):
    calls = offering(f"--users={folder}/users")
    assert calls.get().status == 401
    assert "m-add" in calls.get("/", as_user("ann")).body.decode()
    calls = offering(*permits(folder, "fd0.*: *\n"))
    page = calls.get().body.decode()
    assert "m-fd0.load" in page and "m-add" not in page


def test_the_description_is_for_programs(offering):
    calls = offering()
    reply = calls.get("/openrpc.json")
    assert reply["content-type"] == "application/json"
    found = {one["name"]: one for one in json.loads(reply.body)["methods"]}
    assert found["add"]["params"][1] == {"name": "b", "required": False, "schema": {"type": "integer"}}
    assert {one["name"] for one in calls.json("rpc.discover")["result"]["methods"]} == set(found)
    assert calls.post(b"x", target="/openrpc.json").status == 405


@pytest.mark.parametrize("target", ["/x", "/RPC2/", "/rpc2", "/..", "/openrpc.json/x"])
def test_there_is_nothing_else(target):
    reply = Calls().get(target)
    assert reply.status == http.HTTPStatus.NOT_FOUND and b"<html" in reply.body


# -- as a CGI script --


CGI = {"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "POST", "SCRIPT_NAME": "/cgi/x",
       "PATH_INFO": "/RPC2", "SERVER_NAME": "www.example.org", "SERVER_PORT": "80", "REMOTE_ADDR": "192.0.2.7",
       "CONTENT_TYPE": "text/xml"}


def run(body=b"", *arguments, **environment):
    """(status, fields, body, log) of a CGI response; the status is 200 if nothing is said."""
    variables = {**CGI, "CONTENT_LENGTH": str(len(body)) if body else "", **environment,
                 "FD0_XMLRPCD_CONFIG": "/dev/null", "FD0_XMLRPCD_LOG": "stderr"}
    done = subprocess.run([sys.executable, "-m", "daemons.xmlrpcd", *arguments], input=body, capture_output=True,
                          timeout=30, cwd=CHECKOUT, env=variables)
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
    return fields.pop("Status", "")[:3], fields, rest, done.stderr.decode()


def test_a_call_behind_a_web_server():
    body = xmlrpc.client.dumps(("fd0.load",), "system.methodExist").encode()
    status, fields, rest, told = run(body)
    assert status == "200" and fields["Content-Type"] == "text/xml" and fields["Content-Length"] == str(len(rest))
    assert xmlrpc.client.loads(rest)[0][0] is True
    assert " open " in told and "from=[192.0.2.7]:0" in told and " via=cgi " in told
    assert "method=system.methodExist" in told and " close " in told and "reason=done" in told


def test_the_page_behind_a_web_server():
    status, fields, rest, _ = run(REQUEST_METHOD="GET", PATH_INFO="", CONTENT_TYPE="", HTTP_HOST="web.example:8080")
    assert status == "200" and fields["Content-Type"].startswith("text/html")
    assert b"http://web.example:8080/cgi/x/RPC2" in rest
    assert run(REQUEST_METHOD="HEAD")[2] == b""


def test_who_logged_in_at_the_web_server_counts(tmp_path):
    (tmp_path / "permits").write_text("fd0.*: ann\n")
    body = xmlrpc.client.dumps((), "fd0.version").encode()
    for user, there in (("ann", True), ("bob", False), ("", False)):
        rest = run(body, f"--restrict={tmp_path}/permits", REMOTE_USER=user, AUTH_TYPE="Basic")[2]
        assert (b"<fault>" not in rest) is there


@pytest.mark.parametrize("environment, status", [
    ({"CONTENT_TYPE": "text/plain"}, "415"), ({"PATH_INFO": "/x"}, "404"), ({"CONTENT_LENGTH": ""}, "411"),
    ({"CONTENT_LENGTH": "-1"}, "400"), ({"HTTP_ORIGIN": "http://evil.example"}, "403"),
    ({"REQUEST_METHOD": "PUT"}, "405"),
    ({"HTTP_HOST": "a b"}, "400"), ({"HTTP_X": "a\r\nb"}, "400"), ({"CONTENT_LENGTH": "99999999"}, "413"),
    ({"REQUEST_METHOD": "P T"}, "400")])
def test_what_is_refused_behind_a_web_server(environment, status):
    assert run(b"x", **environment)[0] == status


def test_a_body_that_ends_too_early_is_answered_by_nobody():
    status, _, rest, told = run(b"x", CONTENT_LENGTH="10")
    assert (status, rest) == ("", b"") and "reason=cut" in told


@pytest.mark.parametrize("option", ["--debug", "--methods=fd0"])
def test_words_of_a_query_are_no_options(option):
    # RFC 3875, 4.4: a web server makes arguments of a query without "="
    status, _, rest, told = run(b"", option, REQUEST_METHOD="GET", QUERY_STRING=option.replace("=", "%3D"))
    assert (status, rest) == ("", b"") and "misuse" in told and "a client's" in told
    assert run(b"", option, REQUEST_METHOD="GET", QUERY_STRING="")[0] == "200"
