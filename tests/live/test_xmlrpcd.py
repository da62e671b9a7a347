"""xmlrpcd as others see it: Python's own client, Perl's RPC::XML, curl; under TLS, in its sandbox, behind httpd."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import urllib.request
import xmlrpc.client
import zlib
from datetime import datetime

import pytest

from bench import procfs
from daemons.stores import passwords
from daemons.tools import stubs
from tests.certificates import Authority
from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import NOWAIT, WAIT, ByHand, Service, SocketActivate, Xinetd

SECONDS = 60
SECRET = "correct horse"
GROWTH = 24 << 10       # KiB of PSS that refusing a bomb may take: a body of the longest kind, the allocator's pools
METHODS = '''
import datetime, os

def same(what):
    """What was given."""
    return what

def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

def later(moment: datetime.datetime) -> datetime.datetime:
    return moment + datetime.timedelta(days=1)

def read(path: str) -> str:
    with open(path) as file:
        return file.read()

def who(caller) -> str:
    return caller.user
'''
PERL = '''
use strict; use warnings; use RPC::XML; use RPC::XML::Client;
$RPC::XML::ENCODING = "UTF-8";
binmode STDOUT, ":utf8";
my $client = RPC::XML::Client->new($ARGV[0]);
sub call { my $r = $client->send_request(@_); ref $r or die "no answer: $r"; $r }
print call("add", 2, 40)->value, "\\n";
my $it = { text => "a <b> & \\x{e9}", octets => RPC::XML::base64->new("\\0\\xff"),
           list => [1, 2.5, RPC::XML::boolean->new("true")] };
my $back = call("same", $it);
my $value = $back->value;
print join(",", map { ref } @{$back->value(1)->{list}}), "|$value->{text}|", length $value->{octets}, "\\n";
print call("later", RPC::XML::datetime_iso8601->new("20261231T235959"))->value, "\\n";
my $fault = call("no.such");
print $fault->is_fault ? $fault->code : "no fault", "\\n";
my $many = call("system.multicall", [{ methodName => "add", params => [1, 2] },
                                     { methodName => "no.such", params => [] }]);
print $many->value->[0][0], " ", $many->value->[1]{faultCode}, "\\n";
'''


@pytest.fixture
def folder():
    """A folder that everybody can read, with a module of methods and a file of users."""
    path = processes.new_folder("methods")
    with open(f"{path}/offering.py", "w") as file:
        file.write(METHODS)
    passwords.add(f"{path}/users", "ann", SECRET.encode())
    os.chmod(f"{path}/users", 0o644)
    return path


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


@pytest.fixture
def serve(folder, log):
    """A function that starts xmlrpcd with the module and more options, by hand or by another launcher; its host."""
    with contextlib.ExitStack() as stack:
        def started(*options, launcher=ByHand, wait=WAIT):
            argv = installed.argv("xmlrpcd", f"--log={log.path}", "--config=/dev/null", "--methods=fd0,offering",
                                  f"--method-path={folder}", *options)
            return stack.enter_context(launcher(Service(argv, wait=wait)))
        yield started


def url(host, scheme="http", user="", path="/RPC2"):
    """Where calls go to."""
    return f"{scheme}://{user}{host.address[0]}:{host.address[1]}{path}"


# -- clients --


@pytest.mark.parametrize("options", [("--model=thread",), ("--model=fork",), ("--model=one",), ("--processes=1",)])
def test_pythons_own_client(serve, options):
    with xmlrpc.client.ServerProxy(url(serve(*options)), use_builtin_types=True) as server:
        assert server.add(2, 40) == 42
        what = {"text": "a <b> & é\n", "list": [1, 2.5, True, []], "octets": b"\0\xff", "when": datetime(2026, 12, 31)}
        assert server.same(what) == what
        assert server.same("x" * 100_000) == "x" * 100_000          # which comes compressed
        many = xmlrpc.client.MultiCall(server)
        many.add(1, 2)
        many.system.methodHelp("add")
        assert list(many()) == [3, "Add two numbers."]
        with pytest.raises(xmlrpc.client.Fault, match="no.such"):
            server.no.such()
        assert server.system.methodSignature("add") == [["int", "int", "int"]]


def test_its_compressed_bodies_and_its_headers(serve, folder):
    class Packing(xmlrpc.client.Transport):
        encode_threshold = 100

    host = serve(f"--users={folder}/users", "--origins=https://app.example.org")
    transport = Packing(headers=[("Origin", "https://app.example.org")])
    with xmlrpc.client.ServerProxy(url(host, user="ann:correct%20horse@"), transport) as server:
        assert server.same("x" * 10_000) == "x" * 10_000 and server.who() == "ann"


def test_perls_client(serve):
    perl = machine.program("perl", "perl")
    done = subprocess.run([perl, "-e", PERL, url(serve())], capture_output=True, timeout=SECONDS, encoding="utf-8")
    if "Can't locate RPC/XML" in done.stderr:
        machine.unavailable("RPC::XML is not installed (Debian package librpc-xml-perl)")
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["42", "RPC::XML::int,RPC::XML::double,RPC::XML::boolean|a <b> & é|2",
                                        "20270101T23:59:59", "-32601", "3 -32601"]


def curl(*arguments, body=None):
    """What curl prints."""
    done = subprocess.run([machine.program("curl", "curl"), "-sS", *arguments], input=body, capture_output=True,
                          timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl(serve):
    at = url(serve(), path="/")
    call = {"jsonrpc": "2.0", "id": 1, "method": "add", "params": {"a": 2, "b": 40}}
    head = ["-H", "Content-Type: application/json"]
    assert json.loads(curl(*head, "-d", json.dumps(call), at))["result"] == 42
    body = xmlrpc.client.dumps(("x" * 5000,), "same").encode()
    head = ["--compressed", "-H", "Content-Type: text/xml", "-H", "Transfer-Encoding: chunked"]
    assert xmlrpc.client.loads(curl(*head, "--data-binary", "@-", at, body=body))[0][0] == "x" * 5000
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "-d", "a=b", at) == b"415"
    assert b"<h1>" in curl("--compressed", at)


def test_tls_and_a_login(serve, folder):
    authority = Authority(processes.new_folder("tls"))
    certificate, key = authority.pair("localhost", "127.0.0.1")
    host = serve(f"--users={folder}/users", f"--tls-cert={certificate}", f"--tls-key={key}")
    with xmlrpc.client.ServerProxy(url(host, "https", "ann:correct%20horse@"), context=authority.client()) as server:
        assert server.who() == "ann"
    with xmlrpc.client.ServerProxy(url(host, "https"), context=authority.client()) as server, \
            pytest.raises(xmlrpc.client.ProtocolError) as caught:
        server.who()
    assert caught.value.errcode == 401 and "Basic" in caught.value.headers["WWW-Authenticate"]
    with urllib.request.urlopen(urllib.request.Request(url(host, "https"), headers={
            "Authorization": "Basic YW5uOmNvcnJlY3QgaG9yc2U="}), context=authority.client()) as page:
        assert f"https://127.0.0.1:{host.address[1]}/RPC2".encode() in page.read()


@pytest.mark.parametrize("launcher", [Xinetd, SocketActivate])
@pytest.mark.parametrize("wait", [NOWAIT, WAIT])
def test_launchers(serve, launcher, wait):
    with xmlrpc.client.ServerProxy(url(serve(launcher=launcher, wait=wait))) as server:
        assert server.add(2, 40) == 42 and server.fd0.uptime() > 0


# -- in its sandbox --


def test_programs_queries_and_files_within_the_sandbox(serve, folder, log):
    os.mkdir(f"{folder}/programs")
    os.mkdir(f"{folder}/data")
    script = f"{folder}/programs/say"
    with open(script, "w") as file:
        file.write(f"#!/bin/sh\nread -r all; cat {folder}/data/text; cat {folder}/users || echo not seen\n")
    os.chmod(script, 0o755)
    with open(f"{folder}/data/text", "w") as file:
        file.write("a text\n")
    with sqlite3.connect(f"{folder}/data/a.db") as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS seven")
    connection.close()
    with open(f"{folder}/queries", "w") as file:
        file.write(f"database: {folder}/data/a.db\nsevens: SELECT seven FROM t\n")
    host = serve(f"--executables={folder}/programs", f"--queries={folder}/queries", f"--method-reads={folder}/data",
                 "--sandbox=on")
    with xmlrpc.client.ServerProxy(url(host)) as server:
        assert server.sevens() == [{"seven": 7}]
        assert server.read(f"{folder}/data/text") == "a text\n"
        if "layer=landlock" not in " ".join(record.text for record in log.records):
            with pytest.raises(xmlrpc.client.Fault, match="internal error"):
                server.read("/etc/hostname")
        assert server.say().startswith("a text\n")
        assert server.fd0.addresses() == _addresses()
        assert {"echod", "xmlrpcd"} <= {one["name"] for one in server.fd0.programs()}
        assert server.fd0.memory()["total"] > 0 and server.fd0.load() and server.fd0.hostnames()


def _addresses():
    from daemons.stores.machinefacts import addresses
    return addresses()


# -- attacks --


def head(length, *fields):
    """The head of a request whose body has so many octets."""
    lines = ["POST / HTTP/1.1", "Host: localhost", "Content-Type: text/xml", f"Content-Length: {length}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def bomb(gibibytes):
    """A body of gzip that inflates to so much: one piece, many times over."""
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(b"<methodCall><methodName>a</methodName><params><param><value>")
    start += packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(b"x" * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + piece * (gibibytes << 10)


def test_a_bomb_of_ten_gibibytes_is_refused_with_flat_memory(serve):
    host, body = serve("--body=16M", "--processes=1"), bomb(10)
    said = head(len(body), "Content-Encoding: gzip") + body
    assert len(body) < 16 << 20
    clients.converse(host.address, head(1) + b"x")
    before = procfs.pss(host.pid)
    for _ in range(3):
        assert clients.converse(host.address, said).startswith(b"HTTP/1.1 413 ")
    assert procfs.pss(host.pid) < before + GROWTH


@pytest.mark.parametrize("body", [
    b'<!DOCTYPE a [<!ENTITY a "' + b"a" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]><methodCall>&b;',
    b"<methodCall><methodName>a</methodName><params>" + b"<param><value><array><data>" * 100_000,
    b"<methodCall><methodName>a</methodName><params><param><value><array><data>" + b"<value/>" * 300_000,
    b"<methodCall><methodName>a</methodName><params><param><value><int>" + b"9" * 3_000_000,
    b"<methodCall " + b"a='b' " * 500_000, b"<!--" + b"x" * 3_000_000],
    ids=["entities", "deep", "many", "digits", "tag", "comment"])
def test_bombs_in_xml_are_faults_with_flat_memory(serve, body):
    host = serve("--processes=1")
    clients.converse(host.address, head(1) + b"x")
    before = procfs.pss(host.pid)
    for _ in range(3):
        heard = clients.converse(host.address, head(len(body)) + body)
        assert heard.startswith(b"HTTP/1.1 200 ") and b"<fault>" in heard
    assert procfs.pss(host.pid) < before + GROWTH


def test_a_slow_body_has_its_time(serve, log):
    host = serve("--timeout=1")
    heard = clients.converse(host.address, head(1000) + b"<methodCall>", half_close=False, seconds=SECONDS)
    assert heard.startswith(b"HTTP/1.1 408 ") and b"Connection: close" in heard
    with clients.connect(host.address) as sock:
        sock.sendall(head(1000))        # and one who says nothing more and does not read either
        log.wait_for(" close .*reason=", count=2)


# -- behind a web server --


@pytest.fixture
def behind(folder, log):
    """A function that starts httpd with xmlrpcd as a script of CGI; its host."""
    os.makedirs(f"{folder}/www/cgi-bin")
    stubs.write(["xmlrpcd"], f"{folder}/www/cgi-bin")
    with contextlib.ExitStack() as stack:
        def started(*options):
            argv = installed.argv("httpd", f"--log={log.path}", "--config=/dev/null", f"--root={folder}/www",
                                  "--cgi=/cgi-bin", f"--cgi-reads={stubs.CHECKOUT}", *options)
            return stack.enter_context(ByHand(Service(argv, wait=WAIT)))
        yield started


def test_behind_httpd(behind):
    host = behind()
    with xmlrpc.client.ServerProxy(url(host, path="/cgi-bin/xmlrpcd/RPC2")) as server:
        assert server.fd0.uptime() > 0
        many = xmlrpc.client.MultiCall(server)
        many.fd0.version()
        many.system.methodHelp("fd0.version")
        assert len(list(many())) == 2
        with pytest.raises(xmlrpc.client.Fault, match="no.such"):
            server.no.such()
    with urllib.request.urlopen(url(host, path="/cgi-bin/xmlrpcd")) as page:
        assert url(host, path="/cgi-bin/xmlrpcd/RPC2").encode() in page.read()
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "-d", "a=b", url(host, path="/cgi-bin/xmlrpcd/")) == b"415"
    assert curl("-o", "/dev/null", "-w", "%{http_code}", url(host, path="/cgi-bin/xmlrpcd?--methods%3Dos")) == b"200"


def test_it_ends_when_told_and_finishes_what_it_does(serve, log):
    host, body = serve("--grace=10"), xmlrpc.client.dumps((2, 40), "add").encode()
    with clients.connect(host.address) as sock:
        sock.sendall(head(len(body)))
        log.wait_for(" open ")
        os.kill(host.pid, signal.SIGTERM)
        heard = clients.exchange(sock, body, half_close=False, seconds=SECONDS)
    assert heard.startswith(b"HTTP/1.1 200 ") and b"<int>42</int>" in heard
    assert host.wait() == 0
