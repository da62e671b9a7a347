"""httpd between real peers: curl and websockets as clients, HAProxy or nginx before it, nginx or Python behind it."""

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
import threading
import wsgiref.simple_server
from pathlib import Path

import pytest

from daemons.stores import passwords
from tests.certificates import Authority
from tests.live import devlog, installed, machine, processes
from tests.live.haproxy import HAProxy
from tests.live.launchers import NOWAIT, WAIT, ByHand, OurInetd, Service, Xinetd, joined
from tests.live.nginx import Nginx

LAUNCHERS = pytest.mark.parametrize("launcher, wait", [(ByHand, WAIT), (Xinetd, NOWAIT), (Xinetd, WAIT),
                                                       (OurInetd, NOWAIT)])
CLIENT = "127.0.0.9"
BIG = 3_000_000


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


def sites(*lines):
    """A file of sites in which these lines hold for the host localhost and its addresses."""
    path = Path(processes.new_folder("sites")) / "sites"
    path.write_text("\n".join(["host localhost 127.0.0.1", *lines, ""]))
    return path


def httpd(log, *lines, options=(), launcher=ByHand, wait=WAIT):
    """httpd with these lines in its file of sites."""
    argv = installed.argv("httpd", f"--log={log.path}", f"--vhosts={sites(*lines)}", *options)
    return launcher(Service(argv, wait=wait))


def curl(host, path, *arguments, data=None):
    """What curl prints."""
    program = machine.program("curl", "curl")
    return subprocess.run([program, "-sS", "--max-time", "20", *arguments, f"http://{joined(host.address)}{path}"],
                          input=data, capture_output=True, timeout=30, check=True).stdout


@contextlib.contextmanager
def port_of_ours():
    """A port that nobody else has."""
    port = machine.Port()
    yield port.number
    port.release()


class Echo:
    """Python's own server of WSGI, behind us: it tells what it was asked, as JSON."""

    def __enter__(self):
        self.server = wsgiref.simple_server.make_server("127.0.0.1", 0, self.tell, handler_class=Silent)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()

    @staticmethod
    def tell(environ, start_response):
        """Tell the request's line, its fields, and its body's length and digest."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        told = {name[5:].lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
        told.update(method=environ["REQUEST_METHOD"], path=environ["PATH_INFO"], query=environ["QUERY_STRING"],
                    size=len(body), digest=hashlib.sha256(body).hexdigest())
        if environ["PATH_INFO"].endswith("/away"):
            start_response("302 Found", [("Location", f"http://{environ['HTTP_HOST']}/base/there")])
            return []
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(told).encode()]


class Silent(wsgiref.simple_server.WSGIRequestHandler):
    """It logs nothing."""

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def echo():
    with Echo() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a large file and a small one."""
    path = Path(processes.new_folder("files"))
    (path / "big").write_bytes(hashlib.shake_256(b"big").digest(BIG))
    (path / "small.txt").write_text("hello\n")
    return path


# -- files of nginx --


@LAUNCHERS
def test_nginx_behind_us(log, folder, launcher, wait):
    big = (folder / "big").read_bytes()
    with Nginx(f"location /base/ {{ alias {folder}/; gzip on; gzip_min_length 0; gzip_proxied any; }}") as nginx, \
            httpd(log, f"proxy /app/ http://{joined(nginx.address)}/base/", launcher=launcher, wait=wait) as host:
        assert curl(host, "/app/big") == big and curl(host, "/app/big", "--http1.0") == big
        assert curl(host, "/app/big", "-r", "1000-1999") == big[1000:2000]
        assert curl(host, "/app/small.txt", "--compressed") == b"hello\n"
        head = curl(host, "/app/big", "-I").decode().lower()
        assert f"content-length: {BIG}\r\n" in head and "server: fd0" in head and "via: 1.1 fd0" in head
        etag = head.partition("\r\netag: ")[2].partition("\r\n")[0]
        assert b" 304 " in curl(host, "/app/big", "-I", "-H", f"If-None-Match: {etag}").partition(b"\r\n")[0]
        both = curl(host, "/app/small.txt", "-i", "-Z", f"http://{joined(host.address)}/app/missing")
        assert b" 404 " in both and b"hello\n" in both
        assert [line for line in log.lines if " crash " in line or " upstream " in line] == []


def test_nginx_under_tls_behind_us(log, folder):
    authority = Authority(processes.new_folder("authority"))
    with Nginx(f"location / {{ root {folder}; }}", tls=authority.pair("localhost")) as nginx, \
            httpd(log, f"proxy /app/ https://localhost:{nginx.address[1]} ca={authority.path}",
                  f"proxy /unknown/ https://localhost:{nginx.address[1]}") as host:
        assert curl(host, "/app/big") == (folder / "big").read_bytes()
        assert b" 502 " in curl(host, "/unknown/big", "-i").partition(b"\r\n")[0]
        assert "certificate" in log.wait_for(r"\bupstream ").text


def test_nginx_at_a_unix_socket(log, folder):
    path = f"{processes.new_folder('socket')}/s"
    with Nginx(f"location / {{ root {folder}; }} listen unix:{path};"), \
            httpd(log, f"proxy /app/ http://unix:{path}") as host:
        assert curl(host, "/app/small.txt") == b"hello\n"


def test_pythons_server_of_files(log, folder):
    with port_of_ours() as port:
        server = processes.Processes([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory",
                                      str(folder), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            machine.until(lambda: machine.listeners("stream", ("127.0.0.1", port)))
            with httpd(log, f"proxy / http://127.0.0.1:{port}/") as host:
                assert curl(host, "/big") == (folder / "big").read_bytes()
                assert b"small.txt" in curl(host, "/")
                assert b" 404 " in curl(host, "/missing", "-i")
        finally:
            server.end()


# -- requests --


@LAUNCHERS
def test_bodies(log, echo, launcher, wait):
    data = hashlib.shake_256(b"up").digest(BIG)
    with httpd(log, f"proxy /app/ {echo.url}/base/", launcher=launcher, wait=wait) as host:
        for size in (0, 5, 65536, BIG):         # over 1 MB, curl waits for a 100
            told = json.loads(curl(host, "/app/x?y=%20", "--data-binary", "@-", data=data[:size]))
            assert (told["method"], told["path"], told["query"], told["size"]) == ("POST", "/base/x", "y=%20", size)
            assert told["digest"] == hashlib.sha256(data[:size]).hexdigest() and "expect" not in told
        assert json.loads(curl(host, "/app/x", "-X", "DELETE"))["method"] == "DELETE"


def test_a_body_without_length_through_nginx(log, echo):
    data = hashlib.shake_256(b"up").digest(BIG)
    with Nginx(f"location / {{ proxy_pass {echo.url}; }}") as nginx, \
            httpd(log, f"proxy /app/ http://{joined(nginx.address)}/base/") as host:
        told = json.loads(curl(host, "/app/x", "-T", "-", "-H", "Transfer-Encoding: chunked", data=data))
        assert (told["method"], told["size"], told["digest"]) == ("PUT", BIG, hashlib.sha256(data).hexdigest())


def test_redirects_are_followed_to_the_place(log, echo):
    with httpd(log, f"proxy /app/ {echo.url}/base/") as host:
        assert json.loads(curl(host, "/app/away", "-L"))["path"] == "/base/there"
        assert json.loads(curl(host, "/app", "-L"))["path"] == "/base/"


def test_whoever_logs_in_is_told_to_the_server(log, echo):
    users = Path(processes.new_folder("users")) / "users"
    passwords.add(str(users), "alice", b"secret")
    with httpd(log, f"users {users}", f"proxy /app/ {echo.url}/") as host:
        assert b" 401 " in curl(host, "/app/x", "-i").partition(b"\r\n")[0]
        told = json.loads(curl(host, "/app/x", "-u", "alice:secret"))
        assert told["x_forwarded_user"] == "alice" and "authorization" not in told


# -- proxies before us --


def test_haproxy_before_us_and_nginx_behind(log, echo):
    with httpd(log, f"proxy /app/ {echo.url}/", options=["--proxy-protocol=127.0.0.1"]) as host, \
            HAProxy(host.address, "send-proxy-v2") as haproxy, haproxy.call(CLIENT) as sock:
        sock.sendall(b"GET /app/x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n"
                     b"Connection: close\r\n\r\n")
        told = json.loads(b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")[2])
    assert told["x_forwarded_for"] == CLIENT and told["forwarded"] == f"for={CLIENT};host=localhost;proto=http"


@pytest.mark.parametrize("trusted, chain", [(["--forwarders=127.0.0.1"], "192.0.2.1, 127.0.0.1, 127.0.0.1"),
                                            ([], "127.0.0.1")])
def test_nginx_before_us(log, echo, trusted, chain):
    with httpd(log, f"proxy /app/ {echo.url}/", options=trusted) as host, \
            Nginx(f"location / {{ proxy_pass http://{joined(host.address)}; proxy_set_header Host localhost; "
                  "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
                  "proxy_set_header X-Forwarded-Proto https; }") as nginx:
        told = json.loads(curl(nginx, "/app/x", "-H", "X-Forwarded-For: 192.0.2.1"))
    assert told["x_forwarded_for"] == chain
    assert told["x_forwarded_proto"] == ("https" if trusted else "http")


# -- trouble --


def test_nobody_behind_us(log, echo):
    with port_of_ours() as port, httpd(log, f"proxy /gone/ http://127.0.0.1:{port}/",
                                       f"proxy /app/ {echo.url}/") as host:
        assert b" 502 " in curl(host, "/gone/x", "-i").partition(b"\r\n")[0]
        assert f"to=http://127.0.0.1:{port}" in log.wait_for(r"\bupstream ").text
        assert json.loads(curl(host, "/app/x"))["path"] == "/x"


def test_a_proxy_that_calls_itself_ends(log):
    with port_of_ours() as port:
        argv = installed.argv("httpd", f"--log={log.path}", f"--vhosts={sites(f'proxy / http://127.0.0.1:{port}/')}",
                              f"--listen=127.0.0.1:{port}")
        server = processes.Processes(argv, stdin=subprocess.DEVNULL)
        try:
            machine.until(lambda: machine.listeners("stream", ("127.0.0.1", port)))
            host = type("Host", (), {"address": ("127.0.0.1", port)})
            assert b" 508 " in curl(host, "/x", "-i").partition(b"\r\n")[0]
        finally:
            server.end()


# -- websockets --


@LAUNCHERS
def test_websockets(log, launcher, wait):
    try:
        from websockets.sync.client import connect
        from websockets.sync.server import serve
    except ImportError:
        machine.unavailable("websockets is not installed (PyPI)")

    def talk(there):
        for message in there:
            there.send(message[::-1])

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        try:
            with httpd(log, f"proxy /chat/ http://127.0.0.1:{port}/", launcher=launcher, wait=wait) as host:
                with connect(f"ws://{joined(host.address)}/chat/x") as there:
                    for message in ("hello", b"\x00\x01" * 500_000, ""):
                        there.send(message)
                        assert there.recv(10) == message[::-1]
                log.wait_for(r"\brequest .*status=101")
        finally:
            server.shutdown()
            thread.join(10)


def test_a_request_that_is_no_websockets_stays_http(log, echo):
    with httpd(log, f"proxy /app/ {echo.url}/") as host, socket.create_connection(host.address, 10) as sock:
        sock.sendall(b"GET /app/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                     b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        data = sock.recv(65536)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n") and b"upgrade" not in data
