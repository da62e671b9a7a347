"""Scripts as a client of HTTP sees them: CGI in three languages, SCGI and FastCGI with real peers."""

import hashlib
import http.client
import io
import json
import os
import socket
import subprocess
import threading
import types

import pytest

from daemons.kernel import log
from daemons.kernel.addresses import Address
from daemons.kernel.ends import End, Late, Reset
from daemons.kernel.service import Event
from daemons.kernel.stream import Stream
from daemons.kernel.transport import SocketTransport
from daemons.web import keepalive
from daemons.web.scripts import PIECE, SOFTWARE, Settings, ask_fastcgi, ask_scgi, run_cgi
from tests.kernel.test_running import is_gone
from tests.live.machine import program, unavailable, until
from tests.live.processes import Processes

OPTIONS = types.SimpleNamespace(keep_alive=5.0, requests=100, body=20_000_000)
SCRIPT = Event("script", "notice", "session file why", "a script failed")
MANY = 10_000_000


@pytest.fixture(autouse=True)
def unlogged():
    """There is a log, and nobody reads it."""
    log.start("httpd", target="/nonexistent", events=(keepalive.REQUEST, SCRIPT))
    yield
    log.start("httpd", target="/nonexistent")


class Said:
    """All that a client heard on a connection; `events` are those of scripts, `reason` why it ended."""

    def __init__(self):
        self.octets, self.events, self.reason = b"", [], ""

    @property
    def whys(self):
        """Why scripts failed, as logged."""
        whys = [values["why"] for name, values in self.events if name == "script"]
        return [why.decode() if isinstance(why, bytes) else str(why) for why in whys]

    def response(self, method="GET"):
        """The first response, as Python's own client reads it."""
        there = types.SimpleNamespace(makefile=lambda mode: io.BytesIO(self.octets))
        response = http.client.HTTPResponse(there, method=method)
        response.begin()
        return response


def hold(handle, octets, client=None, peer="192.0.2.7"):
    """Serve one connection whose client says these octets, then listens; `client(sock)` acts instead."""
    ours, theirs = socket.socketpair()
    said = Said()

    def converse():
        with theirs:
            if client is not None:
                return client(theirs)
            theirs.sendall(octets)
            theirs.shutdown(socket.SHUT_WR)
            while data := theirs.recv(65536):
                said.octets += data

    stream = Stream(SocketTransport(ours), endings="crlf", patience=20, peer=Address(peer, 41822),
                    local=Address("192.0.2.1", 8080), log=lambda name, **values: said.events.append((name, values)))
    thread = threading.Thread(target=converse)
    thread.start()
    try:
        said.reason = keepalive.serve(stream, OPTIONS, handle)
        stream.close()
    except (Reset, Late) as end:        # as the kernel parts from them
        said.reason = end.reason
        stream.cut_off()
    except End as end:
        said.reason = end.reason
        stream.close()
    thread.join()
    return said


def request(method="GET", target="/cgi/x", body=b"", *fields, version="1.1"):
    """A request as a client writes it."""
    lines = [f"{method} {target} HTTP/{version}", "Host: www.example:8080", *fields]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Folder:
    """A folder of scripts, and the server that runs them."""

    def __init__(self, path):
        self.path = path
        self.settings = Settings(seconds=20, most=2 * MANY, environment={"SITE": "ours"}, spool=str(path))

    def script(self, text, name="x", first="#!/bin/sh"):
        """Write one."""
        file = self.path / name
        file.write_text(f"{first}\n{text}\n")
        file.chmod(0o755)
        return self

    def python(self, text, name="x"):
        """Write one in Python."""
        return self.script(f"import os, sys\n{text}", name, f"#!{program('python3', 'python3')}")

    def perl(self, text, name="x"):
        """Write one in Perl."""
        return self.script(text, name, f"#!{program('perl', 'perl')}")

    def handle(self, exchange):
        """Run what the path names: /cgi/NAME and the rest."""
        if not exchange.path.startswith("/cgi/"):
            return exchange.reply(200, [("Content-Type", "text/plain")],
                                  f"{exchange.request.method} {exchange.path}?{exchange.query}".encode())
        name, slash, rest = exchange.path[5:].partition("/")
        return run_cgi(exchange, str(self.path / name), f"/cgi/{name}", slash + rest, "/srv/www", self.settings)

    def ask(self, *what, **more):
        """What a request comes to."""
        return hold(self.handle, request(*what, **more))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


PRINT = 'printf "Content-Type: text/plain\\n\\n"; '


# -- what a script is told --


def test_its_variables(folder):
    folder.script(PRINT + "pwd; env")
    said = folder.ask("POST", "/cgi/x/a%20b/c?q=1&-s", b"body", "X-Forwarded-For: 203.0.113.9", "Proxy: http://evil/",
                      "Content-Type: a/b", "Content_Length: 9", "Authorization: Basic eA==", "Cookie: a=1",
                      "Cookie: b=2")
    where, *lines = said.response().read().decode().splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert where == str(folder.path) and found.pop("PATH").startswith("/usr/local/bin:")
    assert {name: value for name, value in found.items() if name not in ("PWD", "OLDPWD", "SHLVL", "_", "LANG")} == {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": SOFTWARE,
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "/cgi/x", "PATH_INFO": "/a b/c", "PATH_TRANSLATED": "/srv/www/a b/c",
        "QUERY_STRING": "q=1&-s", "REQUEST_URI": "/cgi/x/a%20b/c?q=1&-s", "SERVER_NAME": "www.example",
        "SERVER_PORT": "8080", "SERVER_ADDR": "192.0.2.1", "REMOTE_ADDR": "192.0.2.7", "REMOTE_HOST": "192.0.2.7",
        "REMOTE_PORT": "41822", "REQUEST_SCHEME": "http", "REDIRECT_STATUS": "200", "DOCUMENT_ROOT": "/srv/www",
        "SCRIPT_FILENAME": str(folder.path / "x"), "CONTENT_LENGTH": "4", "CONTENT_TYPE": "a/b", "SITE": "ours",
        "HTTP_HOST": "www.example:8080", "HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_COOKIE": "a=1; b=2"}


def test_a_query_is_never_its_arguments(folder):
    folder.script(PRINT + 'echo "$#"')
    assert folder.ask("GET", "/cgi/x?-s+-d").response().read() == b"0\n"


def test_a_path_that_no_variable_can_tell_is_not_found(folder):
    assert folder.script("exit").ask("GET", "/cgi/x/a%0Ab").response().status == 404


def test_where_the_client_has_no_address(folder):
    folder.script(PRINT + 'echo "$REMOTE_ADDR"')
    assert hold(folder.handle, request(), peer="").response().read() == b"unix:\n"
    assert hold(folder.handle, request(), peer="fe80::1%eth0").response().read() == b"fe80::1\n"


def test_without_a_host_field_the_server_is_its_address(folder):
    folder.script(PRINT + 'echo "$SERVER_NAME"')
    assert hold(folder.handle, b"GET /cgi/x HTTP/1.0\r\n\r\n").response().read() == b"192.0.2.1\n"


# -- bodies --


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, MANY])
def test_a_body_there_and_back(folder, size):
    folder.python("data = sys.stdin.buffer.read()\n"
                  "sys.stdout.write(f'Content-Type: a/b\\nX-Length: {os.environ[\"CONTENT_LENGTH\"]}\\n\\n')\n"
                  "sys.stdout.flush()\nsys.stdout.buffer.write(data)")
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    response = folder.ask("POST", "/cgi/x", body).response()
    assert (response.status, response.headers["X-Length"], response.read()) == (200, str(size), body)
    assert os.listdir(folder.path) == ["x"]


def test_a_body_echoed_as_it_comes_to_a_client_who_reads_last(folder):
    folder.perl("$| = 1; print qq(Content-Type: a/b\\n\\n); $/ = \\4096; while (<STDIN>) { print }")
    assert folder.ask("POST", "/cgi/x", bytes(MANY)).response().read() == bytes(MANY)


def test_a_chunked_body_has_its_length(folder):
    folder.script(PRINT + 'echo "$CONTENT_LENGTH$HTTP_TRANSFER_ENCODING"; cat')
    chunks = request("PUT", "/cgi/x", b"", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"
    assert hold(folder.handle, chunks).response().read() == b"12\nhello, world"


def test_without_a_body_there_is_no_length(folder):
    folder.script(PRINT + 'echo "${CONTENT_LENGTH-none}"; cat')
    assert folder.ask().response().read() == b"none\n"


def test_no_script_is_started_before_the_body_is_whole(folder):
    folder.script("touch started")
    said = hold(folder.handle, request("POST", "/cgi/x", b"body")[:-1])
    assert said.reason == "cut" and os.listdir(folder.path) == ["x"]


def test_a_body_may_be_left_unread(folder):
    folder.script("exec <&-; " + PRINT + "echo done")
    assert folder.ask("POST", "/cgi/x", bytes(MANY)).response().read() == b"done\n"


def test_no_room_for_a_body(folder):
    folder.settings.spool = "/nowhere"
    said = folder.script("exit").ask("POST", "/cgi/x", bytes(PIECE + 1))
    assert said.response().status == 507 and said.whys == ["No such file or directory"]


# -- what a script says --


def test_what_it_says_at_once_has_a_length(folder):
    response = folder.script(PRINT + "echo hello").ask().response()
    assert (response.status, response.headers["Content-Length"], response.read()) == (200, "6", b"hello\n")


def test_what_it_says_slowly_leaves_as_it_comes(folder):
    """The script goes on only when its client has read what it had said."""
    fifo = folder.path / "fifo"
    os.mkfifo(fifo)
    folder.script(PRINT + "echo one; read -r line < fifo; echo two")
    heard = []

    def client(sock):
        sock.sendall(request())
        with sock.makefile("rb") as file:
            while b"one\n" not in heard:
                heard.append(file.readline())
            fifo.write_text("go on\n")
            sock.shutdown(socket.SHUT_WR)
            heard.append(file.read())

    hold(folder.handle, b"", client)
    assert b"Transfer-Encoding: chunked\r\n" in heard and heard[-1].endswith(b"two\n\r\n0\r\n\r\n")


def test_more_than_is_kept_together(folder):
    response = folder.python(f"print('Content-Type: a/b\\n'); print('x' * {MANY})").ask().response()
    assert response.headers["Transfer-Encoding"] == "chunked" and len(response.read()) == MANY + 1


def test_its_status_and_fields(folder):
    folder.script('printf "Status: 404 Nothing of that kind\\r\\nContent-Type: a/b\\r\\nSet-Cookie: a=1\\r\\n'
                  'Set-Cookie: b=2\\r\\nConnection: x\\r\\n\\r\\nbody"')
    response = folder.ask().response()
    assert (response.status, response.reason) == (404, "Nothing of that kind")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"] and response.headers["Connection"] is None
    assert response.read() == b"body"


@pytest.mark.parametrize("location", ["https://b.example/x", "/local"])
def test_a_redirect_for_the_client(folder, location):
    folder.script(f'printf "Status: 303 See Other\\nLocation: {location}\\n\\n"')
    response = folder.ask().response()
    assert (response.status, response.headers["Location"], response.read()) == (303, location, b"")


def test_a_local_redirect_is_answered_here(folder):
    folder.script('cat >/dev/null; printf "Location: /else%%20where?a=b\\n\\nnot this"')
    said = folder.ask("POST", "/cgi/x", b"body")
    assert said.response().read() == b"GET /else where?a=b" and b"not this" not in said.octets


def test_a_local_redirect_to_itself_ends(folder):
    assert folder.script('printf "Location: /cgi/x\\n\\n"').ask().response().status == 508


def test_a_head_has_no_body_whatever_it_prints(folder):
    folder.script(PRINT + 'echo "$REQUEST_METHOD"; yes | head -c 1000000; exit 0')
    said = hold(folder.handle, request("HEAD") + request("GET", "/plain"))
    head, _, rest = said.octets.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and rest.startswith(b"HTTP/1.1 200 ") and rest.endswith(b"GET /plain?")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_has_none(folder, status):
    folder.script(f'printf "Status: {status}\\nContent-Length: 4\\n\\nbody"')
    said = hold(folder.handle, request() + request("GET", "/plain"))
    head, _, rest = said.octets.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status) and rest.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("body, kept", [("1234", b"1234"), ("1234567", b"1234")])
def test_its_own_length_is_what_follows(folder, body, kept):
    folder.script(f'printf "Content-Type: a/b\\nContent-Length: 4\\n\\n{body}"')
    said = hold(folder.handle, request() + request("GET", "/plain"))
    assert said.response().read() == kept and said.octets.endswith(b"GET /plain?")


def test_connections_stay_for_more(folder):
    folder.script(PRINT + 'echo "$QUERY_STRING"')
    said = hold(folder.handle, request("GET", "/cgi/x?1") + request("GET", "/cgi/x?2"))
    assert said.octets.count(b"HTTP/1.1 200 OK") == 2 and said.octets.endswith(b"2\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_nph_scripts_say_it_all_themselves(folder, version):
    folder.script('printf "HTTP/1.1 299 Mine\\r\\nX: y\\r\\n\\r\\nbody"', "nph-x")
    said = hold(folder.handle, request("GET", "/cgi/nph-x", version=version) + request("GET", "/plain"))
    assert said.octets == b"HTTP/1.1 299 Mine\r\nX: y\r\n\r\nbody"


# -- what goes wrong --


@pytest.mark.parametrize("text, why", [
    ("exit 0", "said nothing"), ("exit 3", "said nothing"), ("printf Content-Type:", "before its head was whole"),
    ("echo '<html>'; echo", "not a header field"), (r"printf 'Content-Type: a\rX: b\n\n'", "control character"),
    (r"printf 'Content-Type: a/b\n folded\n\n'", "folded"), (r"printf 'X: y\n\n'", "neither"),
    (r"printf 'Content-Type: a/b\nContent-Length: 1\nContent-Length: 2\n\n'", "two Content-Length"),
    (r"printf 'Content-Type: a/b\nContent-Length: 9\n\nshort'", "4 octets before"),
    (r"printf 'Content-Type: a/b\n\n'; kill -SEGV $$", "SIGSEGV"), ("kill -KILL $$", "SIGKILL"),
    ("yes | tr -d '\\n'", "a head over")])
def test_what_is_no_answer_is_502(folder, text, why):
    said = folder.script(text).ask()
    assert said.response().status == 502 and why in said.whys[-1], said.whys


def test_a_status_of_its_process_is_logged_and_its_answer_stands(folder):
    said = folder.script(PRINT + "echo hello; exit 3").ask()
    assert said.response().read() == b"hello\n" and said.whys == ["exit status 3"]


def test_what_cannot_be_started_is_500(folder):
    said = folder.script("", first="#!/nowhere/interpreter").ask()
    assert said.response().status == 500 and said.whys == [f"{folder.path}/x: No such file or directory"]


def test_a_script_that_hangs_is_504_and_gone(folder):
    folder.settings.bounds.patience = 0.2
    said = folder.script("echo $$ > pid; sleep 60 & wait").ask()
    assert said.response().status == 504 and said.whys == ["was silent for 0.2 seconds"]
    assert is_gone(int((folder.path / "pid").read_text()))


@pytest.mark.parametrize("text, limits, why", [
    ("echo beginning; exec sleep 60", {"patience": 0.3}, "was silent for 0.3 seconds"),
    ("exec yes", {"most": 500_000}, "said more than 500000 octets"),
    ("echo beginning; sleep 0.2; kill -SEGV $$", {}, "ended by SIGSEGV")])
def test_half_an_answer_is_not_taken_for_a_whole_one(folder, text, limits, why):
    for name, value in limits.items():
        setattr(folder.settings.bounds, name, value)
    said = hold(folder.script(PRINT + text).handle, request() + request("GET", "/plain"))
    with pytest.raises(http.client.IncompleteRead):
        said.response().read()
    assert (said.reason, said.whys, b"GET /plain" in said.octets) == ("script", [why], False)


def test_an_answer_that_is_too_long_and_has_not_begun_is_502(folder):
    folder.settings.bounds.most = 100
    assert folder.script(PRINT + "printf %1000s x").ask().response().status == 502


def test_a_client_who_leaves_ends_the_script(folder):
    folder.script("echo $$ > pid.new; mv pid.new pid; exec sleep 60")
    pid = folder.path / "pid"

    def client(sock):
        sock.sendall(request())
        until(pid.exists)

    assert hold(folder.handle, b"", client).reason == "reset"
    assert is_gone(int(pid.read_text()))


def test_its_complaints_are_not_for_the_client(folder, capfd):
    assert folder.script(PRINT + "echo secret >&2").ask().response().read() == b""
    assert capfd.readouterr().err == "secret\n"


# -- applications that run already --


class Peers:
    """Applications that tests start, each at a Unix socket of its own."""

    def __init__(self, path):
        self.path, self.started = path, []

    def start(self, *arguments):
        """Start one, told the path of its socket in place of {}; returns the path."""
        socket_path = str(self.path / f"{len(self.started)}.socket")
        self.started.append(Processes([word.replace("{}", socket_path) for word in arguments]))
        until(lambda: answers(socket_path), what=f"socket of {arguments[0]}")
        return socket_path


def answers(path):
    with socket.socket(socket.AF_UNIX) as sock:
        return os.path.exists(path) and not sock.connect_ex(path)


@pytest.fixture
def peers(tmp_path):
    made = Peers(tmp_path)
    yield made
    for one in made.started:
        one.end()


def asking(ask, address, path, root="/srv/www", **settings):
    """A server that asks this application about everything below /app."""
    def handle(exchange):
        if not exchange.path.startswith("/app"):
            return exchange.reply(200, [], f"{exchange.request.method} {exchange.path}".encode())
        return ask(exchange, address, "/app", exchange.path[4:], root,
                   Settings(**{"seconds": 20, "most": 2 * MANY, "spool": str(path), **settings}))
    return handle


SCGI = r"""
use IO::Socket::UNIX; use SCGI; use JSON::PP;
my $listener = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 5) or die "$!";
my $scgi = SCGI->new($listener, blocking => 1);
while (my $request = $scgi->accept) {
    eval { $request->read_env; 1 } or do { $request->close; next };
    my $env = $request->env;
    my $query = $env->{QUERY_STRING};
    read $request->connection, my $body, $env->{CONTENT_LENGTH} if $query ne 'early';
    my $text = $query eq 'env' ? encode_json($env) : $body;
    my $out = $request->connection;
    print $out $query eq 'bad' ? "nonsense" : $query eq 'local' ? "Location: /plain\n\n"
        : "Status: 201 Made\r\nContent-Type: a/b\r\n\r\n$text";
    $request->close;
}
"""


@pytest.fixture
def scgi(peers, tmp_path):
    """An SCGI server: Perl's SCGI module."""
    has_module("SCGI", "libscgi-perl")
    return asking(ask_scgi, peers.start(program("perl", "perl"), "-e", SCGI, "{}"), tmp_path)


def has_module(name, package):
    """Skip without a module of Perl's."""
    if subprocess.run([program("perl", "perl"), f"-M{name}", "-e", "1"], stderr=subprocess.DEVNULL).returncode:
        unavailable(f"Perl has no {name} (Debian package {package})")


def test_scgi_tells_the_variables(scgi):
    response = hold(scgi, request("POST", "/app/info?env", b"body", "Proxy: x")).response()
    found = json.loads(response.read())
    assert (response.status, response.reason, response.headers["Content-Type"]) == (201, "Made", "a/b")
    assert (found["CONTENT_LENGTH"], found["SCGI"], found["PATH_INFO"], found["SCRIPT_NAME"]) == \
        (4, "1", "/info", "/app")
    assert found["HTTP_HOST"] == "www.example:8080" and "HTTP_PROXY" not in found and "PATH" not in found


@pytest.mark.parametrize("size", [0, 1, MANY])
def test_scgi_there_and_back(scgi, size):
    assert hold(scgi, request("POST", "/app", b"x" * size)).response().read() == b"x" * size


@pytest.mark.parametrize("size", [1000, MANY])
def test_scgi_that_closes_before_it_has_read_everything(scgi, size):
    response = hold(scgi, request("POST", "/app?early", bytes(size))).response()
    assert (response.status, response.read()) == (201, b"")


def test_scgi_redirects_and_nonsense(scgi):
    assert hold(scgi, request("POST", "/app?local", b"x")).response().read() == b"GET /plain"
    said = hold(scgi, request("GET", "/app?bad"))
    assert said.response().status == 502 and said.whys == ["ended before its head was whole"]


FCGI = r"""
use FCGI; use JSON::PP;
my $socket = FCGI::OpenSocket($ARGV[0], 5);
my $request = FCGI::Request(\*STDIN, \*STDOUT, \*STDERR, \%ENV, $socket);
while ($request->Accept >= 0) {
    my $query = $ENV{QUERY_STRING};
    if ($query eq 'early') { print "Content-Type: a/b\n\nearly"; next }
    if ($query eq 'loud') { print STDERR "a complaint\nanother\n" }
    if ($query eq 'die') { print "Content-Type: a/b\n\n" . "x" x 100000; $request->Flush; kill 'KILL', $$ }
    my $body = join '', <STDIN>;
    my %told = map { $_ => $ENV{$_} } grep { !ref $ENV{$_} } keys %ENV;
    print "Content-Type: a/b\n\n", $query eq 'env' ? encode_json(\%told) : $body;
}
"""


@pytest.fixture
def fastcgi(peers, tmp_path):
    """A FastCGI application: Perl's FCGI module, which is the reference library."""
    has_module("FCGI", "libfcgi-perl")
    return asking(ask_fastcgi, peers.start(program("perl", "perl"), "-e", FCGI, "{}"), tmp_path)


def test_fastcgi_tells_the_variables(fastcgi):
    cookie = "a=" + "x" * 5000
    found = json.loads(hold(fastcgi, request("GET", "/app/info?env", b"", f"Cookie: {cookie}")).response().read())
    assert (found["PATH_INFO"], found["SCRIPT_FILENAME"], found["HTTP_COOKIE"]) == ("/info", "/srv/www/app", cookie)
    assert "CONTENT_LENGTH" not in found


@pytest.mark.parametrize("size", [0, 1, 65528, 65529, MANY])
def test_fastcgi_there_and_back(fastcgi, size):
    said = hold(fastcgi, request("POST", "/app", b"x" * size))
    assert said.response().read() == b"x" * size and said.whys == []


def test_fastcgi_answers_before_it_has_read(fastcgi):
    assert hold(fastcgi, request("POST", "/app?early", bytes(MANY))).response().read() == b"early"


def test_fastcgi_complains_into_the_log(fastcgi):
    said = hold(fastcgi, request("GET", "/app?loud"))
    assert said.response().status == 200 and said.whys == ["a complaint", "another"]


def test_fastcgi_that_breaks_off(fastcgi):
    said = hold(fastcgi, request("GET", "/app?die"))
    assert said.reason == "script" and "closed the connection" in said.whys[-1]
    with pytest.raises(http.client.IncompleteRead):
        said.response().read()


PHP = """<?php
header('X-Length: ' . ($_SERVER['CONTENT_LENGTH'] ?? 'none'));
if ($_SERVER['QUERY_STRING'] == 'gone') { http_response_code(410); }
echo $_SERVER['PATH_INFO'] ?? '', '|', $_GET['a'] ?? '', '|', md5(file_get_contents('php://input'));
"""


@pytest.fixture
def php(peers, tmp_path):
    """PHP, as php-cgi -b serves FastCGI."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "app").write_text(PHP)
    return asking(ask_fastcgi, peers.start(program("php-cgi", "php-cgi"), "-b", "{}"), tmp_path, str(root))


def test_php(php):
    posted = request("POST", "/app/info?a=%C3%A9", bytes(MANY), "Content-Type: application/octet-stream")
    response = hold(php, posted).response()
    assert (response.status, response.headers["X-Length"]) == (200, str(MANY))
    assert response.read().decode() == f"/info|é|{hashlib.md5(bytes(MANY)).hexdigest()}"
    assert hold(php, request("GET", "/app?gone")).response().status == 410


def test_nobody_there(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()
    for ask, address, shown in ((ask_scgi, "/nowhere/socket", "/nowhere/socket"),
                                (ask_fastcgi, closed, f"[127.0.0.1]:{closed[1]}")):
        said = hold(asking(ask, address, tmp_path), request("GET", "/app"))
        assert said.response().status == 502
        assert [values["file"] for name, values in said.events if name == "script"] == [shown]


@pytest.mark.parametrize("ask", [ask_scgi, ask_fastcgi])
def test_one_that_never_answers_is_504(ask, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handle = asking(ask, listener.getsockname(), tmp_path, patience=0.2)
        assert hold(handle, request("POST", "/app", b"x")).response().status == 504


def one_answer(listener, octets):
    """Somebody who says these octets to whoever calls, once he has said something."""
    def answer():
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                continue
    thread = threading.Thread(target=answer)
    thread.start()
    return thread


@pytest.mark.parametrize("octets, status", [
    (b"\1\3\0\1\0\x08\0\0" b"\0\0\0\0\2\0\0\0", 503), (b"\1\3\0\1\0\x08\0\0" b"\0\0\0\0\1\0\0\0", 502),
    (b"\1\3\0\1\0\x08\0\0" b"\0\0\0\0\0\0\0\0", 502), (b"HTTP/1.1 200 OK\r\n\r\n", 502), (b"", 502)])
def test_what_is_no_answer_in_fastcgi(octets, status, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = one_answer(listener, octets)
        said = hold(asking(ask_fastcgi, listener.getsockname(), tmp_path), request("GET", "/app"))
        thread.join()
    assert said.response().status == status and len(said.whys) == 1


def test_the_status_of_an_application_is_logged_and_its_answer_stands(tmp_path):
    page = b"Content-Type: a/b\n\npage"
    octets = b"\1\6\0\1\0%c\0\0%b" % (len(page), page) + b"\1\3\0\1\0\x08\0\0" b"\0\0\0\7\0\0\0\0"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = one_answer(listener, octets)
        said = hold(asking(ask_fastcgi, listener.getsockname(), tmp_path), request("GET", "/app"))
        thread.join()
    assert said.response().read() == b"page" and said.whys == ["exit status 7"]
