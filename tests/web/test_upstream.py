"""Requests passed on to a server behind us (RFC 9110, 7.6), and what comes back, octet by octet on both sides."""

import socket
import ssl

import pytest

from daemons.kernel import log
from daemons.kernel.access import networks
from daemons.kernel.service import Event
from daemons.web import keepalive
from tests.certificates import Authority
from tests.live.machine import Port

from .behind import OK, Behind, hold, proxy, whole
from .browsing import Torn, replies, request

UPSTREAM = Event("upstream", "notice", "session to why", "a server failed")
BIG = bytes(range(256)) * 4000


@pytest.fixture(autouse=True)
def unlogged():
    """There is a log, and nobody reads it."""
    log.start("httpd", target="/nonexistent", events=(keepalive.REQUEST, UPSTREAM))
    yield
    log.start("httpd", target="/nonexistent")


def passed(act, octets, *, methods=("GET",), options=None, rest="", prefix="/app/", server=None, **how):
    """(what the client heard, as replies; the server) of a connection."""
    with server or Behind(act) as there:
        said = hold(proxy(there.url + (rest or "/base/"), prefix, **how), octets, **(options or {}))
    return replies(said.octets, methods), there


def get(target="/app/x", *fields, version="1.1", method="GET"):
    return request(method, target, *fields, version=version)


# -- what the server is asked --


def test_a_request_as_the_server_hears_it():
    (reply,), server = passed(OK, get("/app/a%20b?c=d", "Accept: */*", "cookie: a=b", "Connection: keep-alive, X-Own",
                                      "X-Own: 1", "Keep-Alive: 5", "Via: 1.0 front"))
    assert server.heard[0].decode().split("\r\n") == [
        "GET /base/a%20b?c=d HTTP/1.1", f"Host: {server.where}", "Accept: */*", "Cookie: a=b",
        "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: www.example.org", "X-Forwarded-Proto: http",
        "Forwarded: for=192.0.2.7;host=www.example.org;proto=http", "Via: 1.0 front, 1.1 fd0", "Connection: close",
        "", ""]
    assert (reply.status, reply.body, reply["via"], reply["content-length"]) == (200, b"hello", "1.1 fd0", "5")
    assert not reply.closes


def test_the_host_that_the_client_asked_for():
    _, server = passed(OK, get(), rest="/ host=client")
    assert server.head()["host"] == "www.example.org"
    _, server = passed(OK, b"GET /app/x HTTP/1.0\r\n\r\n", rest="/ host=client")
    assert server.head()["host"] == server.where and "x-forwarded-host" not in server.head()
    assert server.head()["via"] == "1.0 fd0"


def test_who_speaks_for_others_must_be_trusted():
    said = get("/app/x", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https", "Forwarded: for=198.51.100.1")
    _, server = passed(OK, said)
    assert server.head()["x-forwarded-for"] == "192.0.2.7" and server.head()["x-forwarded-proto"] == "http"
    _, server = passed(OK, said, options={"forwarders": networks("192.0.2.0/24")})
    assert server.head()["x-forwarded-for"] == "198.51.100.1, 192.0.2.7"
    assert server.head()["x-forwarded-proto"] == "https"
    assert server.head()["forwarded"] == \
        "for=198.51.100.1, for=192.0.2.7;host=www.example.org;proto=http"


def test_who_logged_in_here_shows_the_server_no_password():
    _, server = passed(OK, get("/app/x", "Authorization: Basic YTpi"))
    assert server.head()["authorization"] == "Basic YTpi"
    _, server = passed(OK, get("/app/x", "Authorization: Basic YTpi", "X-Forwarded-User: root"), user="jürgen")
    assert "authorization" not in server.head()
    assert server.head()["x-forwarded-user"] == "jürgen".encode().decode("latin-1")


@pytest.mark.parametrize("size", [0, 5, 65536, 65537, len(BIG)])
def test_a_body_by_its_length(size):
    body = BIG[:size]
    _, server = passed(OK, request("POST", "/app/x", "Content-Length: 0" if not size else "X: y", body=body))
    assert server.head()["content-length"] == str(size) and "transfer-encoding" not in server.head()
    assert server.heard[0].endswith(b"\r\n\r\n" + body)


def chunks(*pieces):
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX: y\r\n\r\n"


def test_a_body_by_chunks():
    head = get("/app/x", "Transfer-Encoding: chunked", method="PUT")
    replies_, server = passed(None, head + chunks(b"hello ", b"world") + get(), server=Behind(OK, OK),
                              methods=("PUT", "GET"))
    assert server.heard[0].partition(b"\r\n\r\n")[2] == b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
    assert server.head()["transfer-encoding"] == "chunked" and "content-length" not in server.head()
    assert [reply.status for reply in replies_] == [200, 200]
    _, server = passed(OK, head + chunks(), methods=("PUT",))
    assert server.head()["content-length"] == "0"


def test_a_client_that_waits_for_its_100():
    def client(sock):
        sock.sendall(get("/app/x", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        return whole(sock)
    with Behind(b"HTTP/1.1 100 Continue\r\n\r\n" + OK) as server:
        said = hold(proxy(server.url), b"", client)
    assert server.heard[0].endswith(b"\r\n\r\nhello") and "expect" not in server.head()
    assert replies(said.octets)[0].body == b"hello"


def test_a_body_that_is_too_long_or_broken_is_not_asked_about():
    with Behind() as server:
        said = hold(proxy(server.url), request("POST", "/app/x", body=b"x" * 100), body=99)
        assert [reply.status for reply in replies(said.octets)] == [413]
        said = hold(proxy(server.url), get("/app/x", "Transfer-Encoding: chunked", method="POST") + b"5\nhello")
        assert [reply.status for reply in replies(said.octets)] == [400]


def test_a_body_that_breaks_off_is_never_whole_for_the_server():
    octets = get("/app/x", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\nzz\r\n"

    def act(sock, server):
        server.heard.append(b"".join(iter(lambda: sock.recv(65536), b"")))
    with Behind(act) as server:
        said = hold(proxy(server.url), octets)
    assert server.heard[0].endswith(b"\r\n\r\n5\r\nhello\r\n") and replies(said.octets)[0].status == 400


def test_a_server_that_answers_before_it_has_read_everything():
    def act(sock, server):
        while b"\r\n\r\n" not in server.heard[-1]:
            server.heard[-1] += sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):         # or the reset would take our answer with it
            pass
    server = Behind(act, OK)
    server.heard.append(b"")
    octets = request("POST", "/app/x", body=BIG[:120_000]) + get()
    found, _ = passed(None, octets, methods=("POST", "GET"), server=server)
    assert [(reply.status, reply.body) for reply in found] == [(413, b"no\n"), (200, b"hello")]


def test_an_answer_does_not_wait_for_the_next():
    def client(sock):
        sock.sendall(get() + get())
        data = b""
        while not data.endswith(b"hello"):
            data += sock.recv(1000)
        done.send(b"y")
        sock.shutdown(socket.SHUT_WR)
        return data + b"".join(iter(lambda: sock.recv(1000), b""))

    def act(sock, server):
        whole(sock)
        assert server.seen.recv(1) == b"y"
        sock.sendall(OK)
    with Behind(OK, act) as server:
        server.seen, done = socket.socketpair()
        with server.seen, done:
            server.seen.settimeout(10)
            said = hold(proxy(server.url), b"", client)
    assert [reply.status for reply in replies(said.octets)] == [200, 200]


# -- what is answered --


@pytest.mark.parametrize("head, body, kept", [
    (b"Content-Length: 5\r\n", b"hello", True), (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", True),
    (b"Transfer-Encoding: chunked\r\n", b"1\r\nh\r\n4;a\r\nello\r\n0\r\nX: y\r\n\r\n", True), (b"", b"hello", True),
    (b"Connection: close, X-Own\r\nX-Own: y\r\nContent-Length: 5\r\n", b"hello", True)])
def test_a_body_however_it_ends(head, body, kept):
    answer = b"HTTP/1.1 200 Fine\r\n" + head + b"\r\n" + body
    found, _ = passed(None, get() + get(), methods=("GET", "GET"), server=Behind(answer, answer))
    assert [(reply.status, reply.body, reply["x-own"]) for reply in found] == [(200, b"hello", None)] * 2
    (old,), _ = passed(answer, get(version="1.0"))
    assert old.body == b"hello" and old.closes and old["transfer-encoding"] is None


def test_what_follows_a_response_is_nobodys():
    found, _ = passed(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", get())
    assert [reply.body for reply in found] == [b"hello"]


@pytest.mark.parametrize("method, answer, status, length", [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "5"),
    ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", 200, None),
    ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\nx", 204, None),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\nxx", 304, None)])
def test_where_there_is_no_body(method, answer, status, length):
    found, _ = passed(None, get(method=method) + get(), methods=(method, "GET"), server=Behind(answer, OK))
    assert [(reply.status, reply.body) for reply in found] == [(status, b""), (200, b"hello")]
    assert found[0]["content-length"] == length


def test_words_before_the_last():
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: y\r\n\r\n"
    found, _ = passed(early + OK, get())
    assert [(reply.status, reply["link"]) for reply in found] == [(103, "</a.css>"), (200, None)]
    assert found[0].fields == [("link", "</a.css>")]
    found, _ = passed(early + OK, get(version="1.0"))
    assert [reply.status for reply in found] == [200]
    (reply,), _ = passed(b"HTTP/1.1 102 Processing\r\n\r\n" * 17 + OK, get(version="1.0"))
    assert reply.status == 502


def test_fields_of_the_site_take_the_place_of_the_servers():
    answer = b"HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\nSet-Cookie: a; Path=/base\r\nset-cookie: b\r\n" \
             b"Server: x\r\nDate: y\r\nContent-Length: 0\r\n\r\n"
    (reply,), _ = passed(answer, get(), always=[("Cache-Control", "max-age=5")])
    assert (reply["cache-control"], reply["server"]) == ("max-age=5", "fd0") and reply["date"] != "y"
    assert reply.all("set-cookie") == ["a; Path=/base", "b"]


def test_redirects_lead_to_the_place():
    server = Behind()
    answers = [f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
               for place in (f"{server.url}/base/y?z", "/base/y", "https://www.example.org/base/y",
                             "http://evil.example/")]
    server.acts = answers
    found, _ = passed(None, get() * 4, server=server, methods=["GET"] * 4)
    assert [reply["location"] for reply in found] == ["/app/y?z", "/app/y", "https://www.example.org/app/y",
                                                      "http://evil.example/"]


@pytest.mark.parametrize("answer, why", [
    (b"", "said nothing"), (b"HTTP/1.1 200 OK\r\nX", "head was whole"), (b"HTTP/1.1 200 OK\nX: y\n\n", "CR LF"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both"),
    (b"SSH-2.0-x\r\n\r\n", "HTTP/1"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "folded"),
    (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "nobody asked")])
def test_what_is_no_response_is_502(answer, why):
    with Behind(answer, OK) as server:
        said = hold(proxy(server.url), get() + get())
    assert [reply.status for reply in replies(said.octets)] == [502, 200]
    assert why in said.whys("upstream")[0]


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n"])
def test_half_a_response_is_not_taken_for_a_whole_one(answer):
    with Behind(answer) as server:
        said = hold(proxy(server.url), get() + get())
    with pytest.raises(Torn) as torn:
        replies(said.octets)
    assert torn.value.reply.status == 200 and said.reason == "upstream" and said.whys("upstream")


def test_nobody_there_is_502():
    port = Port()
    said = hold(proxy(f"http://127.0.0.1:{port.number}/"), get())
    port.release()
    assert replies(said.octets)[0].status == 502 and "refused" in said.whys("upstream")[0]
    said = hold(proxy("http://unix:/nonexistent"), get())
    assert replies(said.octets)[0].status == 502


def test_a_silent_server_is_504():
    def act(sock, server):
        server.heard.append(whole(sock))
        assert sock.recv(1) == b""      # until we have had enough
    with Behind(act) as server:
        said = hold(proxy(f"{server.url} time=1"), get())
    assert replies(said.octets)[0].status == 504 and "silent" in said.whys("upstream")[0]


def test_a_client_that_goes_ends_the_call():
    ended = []

    def act(sock, server):
        whole(sock)
        server.client.close()
        ended.append(sock.recv(1))

    def client(sock):
        server.client = sock.dup()
        server.client.sendall(get())
        return b""
    with Behind(act) as server:
        said = hold(proxy(server.url), b"", client)
    assert ended == [b""] and said.reason == "reset"


def test_what_the_server_has_said_does_not_wait_for_more():
    heard = []

    def act(sock, server):
        whole(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n")
        heard.append(server.seen.recv(1))       # the client has it
        sock.sendall(b"0\r\n\r\n")

    def client(sock):
        sock.sendall(get())
        data = b""
        while b"first\n" not in data:
            data += sock.recv(1000)
        done.send(b"y")
        sock.shutdown(socket.SHUT_WR)
        return data + b"".join(iter(lambda: sock.recv(1000), b""))
    with Behind(act) as server:
        server.seen, done = socket.socketpair()
        with server.seen, done:
            server.seen.settimeout(10)
            said = hold(proxy(server.url), b"", client)
    assert heard == [b"y"] and replies(said.octets)[0].body == b"first\n"


# -- what is not passed on --


def test_a_place_is_a_folder():
    (reply,), _ = passed(None, get("/app?x"), server=Behind())
    assert (reply.status, reply["location"]) == (308, "/app/?x")
    (reply,), server = passed(OK, get("/app?x"), rest="/base")
    assert server.head()[""] == "GET /base?x HTTP/1.1"
    (reply,), server = passed(OK, get("/?x"), rest="/base/", prefix="/")
    assert server.head()[""] == "GET /base/?x HTTP/1.1"


@pytest.mark.parametrize("octets, status", [
    (get(method="TRACE"), 405), (get("/app/x", "Via: " + ", ".join(["1.1 fd0"] * 10)), 508),
    (get("/app/x", "Max-Forwards: 0", method="OPTIONS"), 204)])
def test_what_is_answered_here(octets, status):
    (reply,), _ = passed(None, octets, server=Behind())
    assert reply.status == status
    if status != 508:
        assert "GET" in reply["allow"]


def test_one_hop_less():
    _, server = passed(OK, get("/app/x", "Max-Forwards: 5", method="OPTIONS"))
    assert server.head()["max-forwards"] == "4"


def test_a_request_within_a_body_is_a_body():
    inner = get("/app/admin")
    found, server = passed(None, request("GET", "/app/x", body=inner) + get("/app/y"), methods=("GET", "GET"),
                           server=Behind(OK, OK))
    assert [reply.status for reply in found] == [200, 200]
    assert [one.split(b" ")[1] for one in server.heard] == [b"/base/x", b"/base/y"]
    assert server.head()["content-length"] == str(len(inner))


# -- other ways to a server --


def test_a_unix_socket(tmp_path):
    (reply,), server = passed(None, get(), server=Behind(OK, path=str(tmp_path / "s")), rest=":/base/")
    assert reply.body == b"hello" and server.head()["host"] == "localhost"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def tls(authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.pair(*names))
    return context


@pytest.mark.parametrize("head, body", [
    (b"Content-Length: %d\r\n" % len(BIG), BIG), (b"", None),
    (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(BIG), BIG))])
def test_tls(authority, head, body):
    def act(sock, server):
        server.heard.append(whole(sock))
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + (BIG if body is None else body))
        if body is None:
            sock.unwrap()               # without which nobody would know that this was all
    with Behind(act, context=tls(authority, "localhost")) as server:
        url = f"https://localhost:{server.where.partition(':')[2]}/ ca={authority.path}"
        said = hold(proxy(url), request("POST", "/app/x", body=BIG))
    (reply,) = replies(said.octets)
    assert reply.body == BIG and server.heard[0].endswith(BIG)


def test_a_server_that_does_not_prove_who_it_is(authority):
    for ca, name in ((f" ca={authority.path}", "other.example"), ("", "localhost")):
        with Behind(OK, context=tls(authority, name)) as server:
            said = hold(proxy(f"https://localhost:{server.where.partition(':')[2]}/{ca}"), get())
        assert replies(said.octets)[0].status == 502 and not server.heard
        assert "certificate" in said.whys("upstream")[0].lower()


def test_the_end_of_a_tls_connection_that_nobody_said(authority):
    def act(sock, server):
        whole(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
    with Behind(act, context=tls(authority, "localhost")) as server:
        said = hold(proxy(f"https://localhost:{server.where.partition(':')[2]}/ ca={authority.path}"), get())
    with pytest.raises(Torn):
        replies(said.octets)
    assert said.reason == "upstream"


# -- another protocol --

UPGRADE = get("/app/chat", "Connection: Upgrade, x", "Upgrade: WebSocket",
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
           b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def test_a_websocket():
    def act(sock, server):
        server.heard.append(whole(sock))
        sock.sendall(SWITCHED + b"\x81\x05early")
        server.heard.append(b"".join(iter(lambda: sock.recv(1000), b"")))
        sock.sendall(b"\x81\x03bye")

    def client(sock):
        sock.sendall(UPGRADE + b"\x81\x83abcd")         # before the answer, as nobody should
        data = b""
        while b"early" not in data:
            data += sock.recv(1000)
        sock.sendall(b"more")
        sock.shutdown(socket.SHUT_WR)
        return data + b"".join(iter(lambda: sock.recv(1000), b""))
    with Behind(act) as server:
        said = hold(proxy(server.url), b"", client)
    head = server.head()
    assert (head["connection"], head["upgrade"], head["sec-websocket-key"]) == \
        ("Upgrade", "websocket", "dGhlIHNhbXBsZSBub25jZQ==")
    assert server.heard[1] == b"\x81\x83abcdmore"
    switched, _, rest = said.octets.partition(b"\r\n\r\n")
    assert rest == b"\x81\x05early\x81\x03bye" and said.reason == "done"
    assert switched.decode().split("\r\n") == [
        "HTTP/1.1 101 Switching Protocols", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade: websocket",
        "Connection: Upgrade"]


@pytest.mark.parametrize("octets", [
    get("/app/x", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    get("/app/x", "Upgrade: websocket"), get("/app/x", "Connection: Upgrade", "Upgrade: websocket", version="1.0"),
    get("/app/x", "Connection: Upgrade", "Upgrade: websocket", method="POST"),
    request("GET", "/app/x", "Connection: Upgrade", "Upgrade: websocket", body=b"x")])
def test_what_nobody_may_turn_to(octets):
    found, server = passed(OK, octets)
    assert found[0].status == 200 and "upgrade" not in server.head() and server.head()["connection"] == "close"


def test_a_server_that_does_not_turn():
    found, server = passed(None, UPGRADE + get(), methods=("GET", "GET"), server=Behind(OK, OK))
    assert [reply.status for reply in found] == [200, 200] and server.head()["upgrade"] == "websocket"


def test_a_websocket_that_is_silent_ends():
    def act(sock, server):
        whole(sock)
        sock.sendall(SWITCHED)
        assert sock.recv(1) == b""

    def client(sock):
        sock.sendall(UPGRADE)
        return b"".join(iter(lambda: sock.recv(1000), b""))
    with Behind(act) as server:
        said = hold(proxy(f"{server.url} time=1"), b"", client)
    assert said.reason == "late" and b"101" in said.octets
