"""Attacks on HTTP's framing and on whoever reads what we write: a second request hidden in the first, slow clients,
replies that are split, names that are scripts, lines that forge a log.  RFC 9112, 11; each on paper and over a socket.
"""

import gc
import itertools
import re
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons import httpd
from daemons.kernel import log
from daemons.kernel.ends import End
from daemons.kernel.stream import Stream
from daemons.kernel.transport import SocketTransport
from daemons.web import keepalive
from daemons.web.exchange import Exchange
from tests.hostile import kit, loglines
from tests.live import clients, devlog
from tests.play import options_of, play
from tests.serving import SECONDS, Serving

from .browsing import HOST, Web, replies, request

NEXT = f"GET /admin HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
ADMIN = b"for the administrator alone"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

# name -> what stands after the request line and Host, to the end of what we take for one request
HEADS = {
    "length and chunks": b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\nX",
    "chunks and length": CHUNKED + b"Content-Length: 6\r\n\r\n0\r\n\r\nX",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 50\r\n\r\n",
    "the same length twice": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nHello",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nHello", "a list of two": b"Content-Length: 5,6\r\n\r\nHello",
    "plus": b"Content-Length: +5\r\n\r\nHello", "minus": b"Content-Length: -1\r\n\r\n",
    "hexadecimal": b"Content-Length: 0x5\r\n\r\nHello",
    "a blank before hexadecimal": b"Content-Length:  0x5\r\n\r\nHello",
    "underscore": b"Content-Length: 1_0\r\n\r\n0123456789",
    "a point": b"Content-Length: 5.0\r\n\r\nHello", "Arabic": b"Content-Length: \xd9\xa5\r\n\r\nHello",
    "two words": b"Content-Length: 5 5\r\n\r\nHello",
    "nothing": b"Content-Length:\r\n\r\n", "2 to the power of 64": b"Content-Length: 18446744073709551616\r\n\r\n",
    "chunks within identity": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": b"Transfer-Encoding: identity\r\n\r\n",
    "identity, then chunks": b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "gzip": b"Transfer-Encoding: gzip\r\n\r\n",
    "twice": CHUNKED * 2 + b"\r\n0\r\n\r\n",
    "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two codings": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a form feed": b"Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab before the colon": b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a length with a blank": b"Content-Length : 5\r\n\r\nHello",
    "a blank before the name": b" Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": b"X: y\r\n Content-Length: 5\r\n\r\nHello",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded length": b"Content-Length:\r\n\t5\r\n\r\nHello",
    "xchunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "quoted": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a parameter": b"Transfer-Encoding: chunked;x=y\r\n\r\n0\r\n\r\n",
    "no name": b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "a comma": b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "obs-text": b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n",
    "NUL in a value": b"X: a\0b\r\n\r\n", "NUL in a name": b"X\0: a\r\n\r\n",
    "NUL after chunked": b"Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n",
    "a bare CR": b"X: a\rContent-Length: 5\r\n\r\nHello", "a CR too many": b"Content-Length: 5\r\r\n\r\nHello",
    "a bare LF": b"X: a\nContent-Length: 5\r\n\r\nHello", "bare LFs at the end": b"X: a\n\n",
    "one bare LF at the end": b"X: a\r\n\n",
    "a bare LF and no CR": b"Content-Length: 5\n\r\nHello", "LF CR": b"X: a\n\r\n\r\n",
    "no colon": b"Content-Length 5\r\n\r\nHello",
    "no name at all": b": 5\r\n\r\n", "a name in Latin": b"C\xf6ntent-Length: 5\r\n\r\nHello",
    "two hosts": f"Host: {HOST}\r\n\r\n".encode(),
}
STATUS = {"identity, then chunks": 501, "a comma": 501}

# name -> a body in chunks that is none
CHUNKS = {
    "LF after the size": b"5\nHello\r\n0\r\n\r\n", "CR after the size": b"5\rHello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nHello\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nHello\r\n0\r\n\r\n", "NUL in an extension": b"5;a\0\r\nHello\r\n0\r\n\r\n",
    "overflow": b"fffffffffffffffff\r\nHello\r\n0\r\n\r\n",
    "2 to the power of 64, and 5": b"10000000000000005\r\nHello\r\n0\r\n\r\n",
    "minus": b"-5\r\nHello\r\n0\r\n\r\n", "plus": b"+5\r\nHello\r\n0\r\n\r\n", "0x": b"0x5\r\nHello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nHello\r\n0\r\n\r\n",
    "a blank": b"5 \r\nHello\r\n0\r\n\r\n", "a blank before": b" 5\r\nHello\r\n0\r\n\r\n",
    "no size": b"\r\nHello\r\n0\r\n\r\n", "a word": b"five\r\nHello\r\n0\r\n\r\n",
    "only an extension": b";x\r\nHello\r\n0\r\n\r\n", "more than it says": b"4\r\nHello\r\n0\r\n\r\n",
    "less than it says": b"6\r\nHello\r\n0\r\n\r\n",
    "no CR LF after it": b"5\r\nHello0\r\n\r\n", "LF after it": b"5\r\nHello\n0\r\n\r\n",
    "LF after the last": b"5\r\nHello\r\n0\n\r\n",
    "LF after the trailers": b"5\r\nHello\r\n0\r\n\n", "a trailer that ends in LF": b"0\r\nX: y\n\r\n",
    "CR in a trailer": b"0\r\nX: a\rb\r\n\r\n",
    "an endless extension": b"5;" + b"x" * 2000 + b"\r\nHello\r\n0\r\n\r\n",
    "an endless trailer": b"0\r\nX: " + b"y" * 2000 + b"\r\n\r\n",
    "Arabic": b"\xd9\xa5\r\nHello\r\n0\r\n\r\n",
}
STATUSES_OF_CHUNKS = {400, 413, 431}


def by_octet(data):
    return [bytes([octet]) for octet in data]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    (folder / "admin").write_bytes(ADMIN)
    (folder / "a.txt").write_bytes(b"a text\n")
    return folder


@pytest.fixture(scope="module")
def web(root):
    return Web(f"--root={root}")


@pytest.fixture(scope="module")
def server(root):
    with Serving("httpd", f"--root={root}", "--timeout=5") as server:
        yield server
    assert not [line for line in server.log if " crash " in line]


def refused_alone(heard, statuses):
    """Is this one refusal, after which the connection ends, and nothing of the request that was hidden?"""
    (reply,) = replies(heard)
    return reply.status in statuses and reply.closes and ADMIN not in heard


# -- heads --

@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_head_that_can_be_read_in_two_ways(web, server, method, name):
    data = f"{method} /a.txt HTTP/1.1\r\nHost: {HOST}\r\n".encode() + HEADS[name] + NEXT
    statuses = {STATUS.get(name, 400)}
    for chunks in ([data], by_octet(data), re.split(rb"(?<=\n)", data)):
        assert refused_alone(web.outcome(*filter(None, chunks)).heard, statuses)
    assert refused_alone(server.answer(data), statuses)
    if method == "GET":
        assert refused_alone(clients.drip(("127.0.0.1", server.port), data, gap=0), statuses)


@pytest.mark.parametrize("line", [
    b"GET  /a.txt HTTP/1.1", b"GET /a.txt", b"GET /a.txt HTTP/1.1 ", b" GET /a.txt HTTP/1.1", b"GET /a.txt HTTP/1.1\tx",
    b"GET\t/a.txt\tHTTP/1.1",
    b"GET /a.txt\x0bHTTP/1.1", b"GET /a.txt HTTP/1.1\0", b"GET /a\0.txt HTTP/1.1", b"GET /a.txt HTTP/1.1\r",
    b"GET /a.txt HTTP/1.10", b"GET /a.txt http/1.1",
    b"\0GET /a.txt HTTP/1.1", b"GET /caf\xe9 HTTP/1.1", b"G\xc9T / HTTP/1.1", b"GET / HTTP/1.1\r\n\r\n"[:14] + b"x",
])
def test_a_request_line_that_is_none(web, server, line):
    data = line + f"\r\nHost: {HOST}\r\n\r\n".encode() + NEXT
    assert refused_alone(web.outcome(data).heard, {400}) and refused_alone(web.outcome(*by_octet(data)).heard, {400})
    assert refused_alone(server.answer(data), {400})


@pytest.mark.parametrize("version, status", [(b"HTTP/2.0", 505), (b"HTTP/0.9", 505), (b"HTTP/3.1", 505),
                                             (b"HTTP/1.1.1", 400), (b"HTTPS/1.1", 400)])
def test_other_versions(web, version, status):
    assert refused_alone(web.outcome(b"GET /a.txt " + version + f"\r\nHost: {HOST}\r\n\r\n".encode() + NEXT).heard,
                         {status})
    assert refused_alone(web.outcome(b"PRI * " + version + b"\r\n\r\nSM\r\n\r\n" + NEXT).heard, {status})


def test_http_0_9_is_not_answered(web):
    assert refused_alone(web.outcome(b"GET /admin\r\n\r\n" + NEXT).heard, {400})


def test_chunks_in_http_1_0(web):
    data = b"POST /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + NEXT
    assert refused_alone(web.outcome(data).heard, {400})


@pytest.mark.parametrize("data, status", [
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", 414), (b"GET /" + b"a" * 100_000, 414), (b"a" * 100_000, 414),
    (b" " * 100_000, 414),
    (b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n", 431), (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101, 431),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000, 431), (b"GET / HTTP/1.1\r\n" + b"X" * 40_000, 431),
])
def test_heads_that_are_too_long(web, server, data, status):
    data += f"Host: {HOST}\r\n\r\n".encode() + NEXT
    assert refused_alone(web.outcome(data).heard, {status})
    assert refused_alone(clients.converse(("127.0.0.1", server.port), data), {status})


def test_empty_lines_are_passed_over_but_not_for_ever(web):
    (reply,) = replies(web.outcome(b"\r\n\r\n" + request("GET", "/a.txt")).heard)
    assert reply.status == 200
    outcome = web.outcome(b"\r\n" * 50_000 + NEXT)
    assert ADMIN not in outcome.heard, "RFC 9112, 2.2 means the one or two of an old client"


def test_a_short_body_is_passed_over_and_is_no_request(web, server):
    hidden = NEXT
    data = request("POST", "/a.txt", body=hidden) + request("GET", "/a.txt", body=hidden) + request("GET", "/a.txt",
                                                                                                    "Connection: close")
    for heard in (web.outcome(data).heard, web.outcome(*by_octet(data)).heard, server.answer(data)):
        assert [reply.status for reply in replies(heard)] == [405, 200, 200] and ADMIN not in heard


def test_a_body_of_what_was_refused_is_no_request(web, server):
    """The target or the Host is refused, but where the request ends is known."""
    for first in (request("POST", "no/path", body=NEXT), request("POST", "/..", body=NEXT),
                  request("POST", "/a.txt", host="a/b", body=NEXT),
                  request("POST", "/a.txt", "Expect: x", body=NEXT)):
        for heard in (web.outcome(first + request("GET", "/a.txt")).heard,
                      server.answer(first + request("GET", "/a.txt"))):
            assert ADMIN not in heard and replies(heard)[0].status in (400, 404, 417)


def test_a_body_over_the_limit_ends_the_connection(root):
    web = Web(f"--root={root}", "--body=1K")
    for method, status in (("POST", 405), ("GET", 200), ("BREW", 501)):
        outcome = web.outcome(request(method, "/a.txt", body=b"x" * 5000) + NEXT)
        (reply,) = replies(outcome.heard)
        assert reply.status in (status, 413) and outcome.reason == "done" and ADMIN not in outcome.heard


# -- bodies, of a program that reads them --

class bodies:
    """A web program that says what it was told."""

    SERVICE = httpd.SERVICE

    @staticmethod
    def talk(stream, options):
        return keepalive.serve(stream, options, lambda exchange: exchange.reply(200, (),
                                                                                b"told " + exchange.body.whole()))


def told(*chunks, options=(), **how):
    """The replies of that program, and the word for the end."""
    log.start("httpd", target="/nonexistent", events=httpd.SERVICE.events)
    outcome = play(bodies, list(chunks), options=options_of(httpd, *options), **how)
    return replies(outcome.heard), outcome.reason


def posted(body, *fields, version="1.1"):
    return request("POST", "/", "Transfer-Encoding: chunked", *fields, version=version) + body


@pytest.mark.parametrize("body, found", [
    (b"0\r\n\r\n", b""), (b"5\r\nHello\r\n0\r\n\r\n", b"Hello"), (b"1\r\na\r\n2\r\nbc\r\n00\r\n\r\n", b"abc"),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b'5;name="va;lue"\r\nHello\r\n0;x\r\n\r\n', b"Hello"), (b"5 ;x\r\nHello\r\n0\r\n\r\n", b"Hello"),
    (b"0\r\nX: y\r\nContent-Length: 7\r\n\r\n", b""),
    (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"), (b"0005\r\nHello\r\n0\r\n\r\n", b"Hello"),
])
def test_chunks(body, found):
    data = posted(body) + posted(b"0\r\n\r\n")
    for chunks in ([data], by_octet(data)):
        first, second = told(*chunks)[0]
        assert (first.status, first.body, second.body) == (200, b"told " + found, b"told ")


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_that_can_be_read_in_two_ways(name):
    data = posted(CHUNKS[name]) + NEXT
    for chunks in ([data], by_octet(data), re.split(rb"(?<=\n)", data)):
        (reply,), _ = told(*filter(None, chunks))
        assert reply.status in STATUSES_OF_CHUNKS and reply.closes


def test_a_trailer_is_no_field_of_the_request():     # RFC 9110, 6.5.1
    (first, second), _ = told(posted(b"0\r\nConnection: close\r\nHost: other.example\r\n\r\n") + posted(b"0\r\n\r\n"))
    assert (first.status, second.status) == (200, 200) and not first.closes


@pytest.mark.parametrize("trailers", [b"GET /admin HTTP/1.1\r\n", b" folded: x\r\n", b"X : y\r\n", b"X: a\0b\r\n",
                                      b"no colon\r\n"])
def test_a_trailer_is_a_field(trailers):        # RFC 9112, 7.1.2
    (reply,), _ = told(posted(b"0\r\n" + trailers + b"\r\n") + NEXT)
    assert reply.status == 400 and reply.closes


def test_more_trailers_than_anybody_needs():
    (reply,), _ = told(posted(b"0\r\n" + b"X: y\r\n" * 1000 + b"\r\n") + NEXT)
    assert reply.status == 431 and reply.closes


@pytest.mark.parametrize("size, status", [(1024, 200), (1025, 413)])
def test_the_longest_body(size, status):
    for data in (request("POST", "/", body=b"x" * size), posted(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)),
                 posted(b"1\r\nx\r\n" * size + b"0\r\n\r\n")):
        first, *more = told(data + request("POST", "/"), options=["--body=1K"])[0]
        assert first.status == status and first.closes is (status == 413) and len(more) == (status == 200)


def test_a_body_that_ends_before_it_should():
    for data in (request("POST", "/", "Content-Length: 9") + b"Hello", posted(b"9\r\nHello"), posted(b"5\r\nHello"),
                 posted(b"5\r\nHello\r\n"),
                 posted(b"5\r\nHello\r\n0\r\n"), posted(b""), request("POST", "/", "Content-Length: 9")):
        found, reason = told(data)
        assert (found, reason) in (([], "cut"), ([], "gone")), "nothing is told of half a request"


def test_expect():      # RFC 9110, 10.1.1
    head = request("POST", "/", "Expect: 100-continue", "Content-Length: 5")
    go_on, reply, after = told(head, b"Hello", request("POST", "/"))[0]
    assert (go_on.status, reply.status, reply.body, after.status) == (100, 200, b"told Hello", 200)
    (go_on, reply), _ = told(posted(b"", "Expect: 100-CONTINUE"), b"5\r\nHello\r\n0\r\n\r\n")
    assert (go_on.status, reply.body) == (100, b"told Hello")
    (reply,), _ = told(request("POST", "/", "Expect: 100-continue"))
    assert reply.status == 200, "nothing is to come"


def test_what_http_1_0_expects_is_ignored():     # RFC 9110, 10.1.1: a server MUST ignore it
    (reply,), _ = told(request("POST", "/", "Expect: 100-continue", "Content-Length: 5", version="1.0") + b"Hello")
    assert (reply.status, reply.body) == (200, b"told Hello")
    (reply,), _ = told(request("POST", "/", "Expect: x", version="1.0"))
    assert reply.status in (200, 417)


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.integers(0, 400), max_size=6))
def test_any_chunks_however_they_are_cut(pieces, cuts):
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
    data = posted(body) + request("POST", "/", body=b"next")
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    first, second = told(*[data[start:end] for start, end in itertools.pairwise(places)])[0]
    assert (first.body, second.body) == (b"told " + b"".join(pieces), b"told next")


@given(st.lists(st.sampled_from([b"5", b"0", b"\r\n", b"\n", b"\r", b"Hello", b";", b" ", b"f", b"X: y",
                                 b"GET /admin HTTP/1.1"]), max_size=12).map(b"".join))
def test_whatever_follows_a_head_is_a_body_or_the_end(data):
    found, _ = told(posted(data))
    assert len(found) <= 1 or found[0].status == 200
    for reply in found:
        assert reply.status == 200 or reply.closes


# -- what is kept of those who are refused --

def test_nothing_is_kept_of_those_who_were_refused(web):
    """Heads that are alike are read once; but what becomes of them is everybody's own."""
    for data in (b"GET / HTTP/1.1\r\n\r\n", request("GET", "/.."), request("POST", "/", "Content-Length: x"),
                 request("GET", "/", host="a/b")):
        for _ in range(50):
            web.outcome(data)
    gc.collect()
    assert sum(isinstance(one, Exchange) for one in gc.get_objects()) < 10


def test_what_lists_of_tokens_are_remembered_is_bounded():
    import tracemalloc
    web = Web()
    tracemalloc.start()
    try:
        for number in range(64):
            web.outcome(request("HEAD", "/",
                                "Connection: " + ",".join(f"{number:02}{place:03x}" for place in range(5000))))
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 8 << 20, "64 clients, each of whom sent 30 KiB"


# -- one after another --

def test_ten_thousand_requests_at_once(root, server):
    for number in range(10):
        (root / f"{number}").write_text(f"this is number {number}")
    asked = [request("HEAD" if number % 3 == 0 else "GET", f"/{number % 10}") for number in range(10_000)]
    methods = ["HEAD" if number % 3 == 0 else "GET" for number in range(10_000)]
    for heard in (Web(f"--root={root}", "--requests=10000").outcome(b"".join(asked) + NEXT).heard,
                  clients.converse(("127.0.0.1", server.port), b"".join(asked), seconds=60)):
        found = replies(heard, methods)
        assert len(found) == 10_000 and not any(reply.closes for reply in found[:-1])
        assert all(reply.body == (b"" if number % 3 == 0 else b"this is number %d" % (number % 10)) for number,
                   reply in enumerate(found))


def test_many_ranges_at_once_are_no_more_than_the_file(root, server):
    (root / "big").write_bytes(b"x" * 1_000_000)
    ranges = "bytes=0-," + ",".join(f"5-{place}" for place in range(5, 1300))
    heard = clients.converse(("127.0.0.1", server.port), request("GET", "/big", f"Range: {ranges}") * 20, seconds=60)
    assert [(reply.status, len(reply.body)) for reply in replies(heard)] == [(200, 1_000_000)] * 20


# -- slow clients --

def heard_until_it_ends(sock, piece, seconds=SECONDS, pause=0.1):
    """What the server says to somebody who says this octet by octet, one each `pause`, until it makes an end."""
    sock.settimeout(pause)
    heard = b""
    for _ in range(int(seconds / pause)):
        try:
            sock.send(piece)
            data = sock.recv(65536)
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return heard
        if not data:
            return heard
        heard += data
    raise AssertionError(f"it is still there: {heard!r}")


@pytest.fixture(scope="module")
def impatient(root):
    with Serving("httpd", f"--root={root}", "--timeout=0.5", "--keep-alive=0.5") as server:
        yield server
    assert not [line for line in server.log if " crash " in line]


@pytest.mark.parametrize("start, piece", [
    (b"", b"G"), (b"GET / HTTP/1.1\r\nX-", b"a"), (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
    (b"GET / HTTP/1.1\r\nX: ", b" "), (b"", b"\r\n"),
    (request("POST", "/a.txt", "Content-Length: 60000"), b"x"),
])
def test_an_octet_now_and_then(impatient, start, piece):
    with impatient.call() as sock:
        sock.sendall(start)
        heard = heard_until_it_ends(sock, piece)
    assert not heard or replies(heard)[-1].status in (405, 408)


def test_who_is_late_with_a_head_is_told(impatient):
    with impatient.call() as sock:
        sock.sendall(b"GET / HTT")
        (reply,) = replies(b"".join(iter(lambda: sock.recv(65536), b"")))
    assert reply.status == 408 and reply.closes        # RFC 9110, 15.5.9


def test_who_says_nothing_more_is_left(impatient):
    for said in (b"", request("HEAD", "/a.txt")):
        with impatient.call() as sock:
            sock.sendall(said)
            found = replies(b"".join(iter(lambda: sock.recv(65536), b"")), ["HEAD"])
        assert [reply.status for reply in found] == [200] * bool(said), "no word that could be taken for a reply"


def test_who_does_not_read_is_left(root):
    (root / "long").write_bytes(b"x" * (32 << 20))
    with devlog.LogSocket() as told, kit.listening("httpd", told, f"--root={root}", "--timeout=0.5") as host, \
            clients.connect(host.address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(request("GET", "/long"))
        assert " reason=late " in told.wait_for(" close ").text


@pytest.mark.parametrize("piece", [b"1\r\nx\r\n", b"x"])
def test_a_slow_body_is_not_waited_for_for_ever(piece):
    """Each 64 KiB of a body are under one deadline, in however many chunks they come."""
    ours, theirs = socket.socketpair()
    reasons = []
    log.start("httpd", target="/nonexistent", events=httpd.SERVICE.events)

    def converse():
        stream = Stream(SocketTransport(theirs), patience=0.5, endings="crlf", log=lambda *_, **__: None)
        try:
            reasons.append(bodies.talk(stream, options_of(httpd)))
        except End as end:
            reasons.append(end.reason)
        finally:
            stream.close()

    thread = threading.Thread(target=converse, daemon=True)
    thread.start()
    with ours:
        ours.sendall(posted(b"") if piece != b"x" else request("POST", "/", "Content-Length: 60000"))
        heard = heard_until_it_ends(ours, piece, seconds=5)
    thread.join(SECONDS)
    assert replies(heard)[-1].status == 408 and reasons == ["late"]


# -- what is written is what was meant --

@pytest.mark.parametrize("target", ["/%0d%0aSet-Cookie:%20a=b", "/x%0d%0a%0d%0a<script>", "/%0a", "/a.txt%0d%0a",
                                    "/?%0d%0aSet-Cookie:%20a=b", "/%e2%80%a8"])
def test_no_reply_is_split(root, target):
    (root / "x\r\n\r\n<script>").mkdir(exist_ok=True)
    web = Web(f"--root={root}", "--listing=yes")
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        reply = web.ask(method, target)
        assert reply["set-cookie"] is None and b"<script" not in reply.body


@pytest.mark.parametrize("target", ["/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E",
                                    "/\"><img/src=x>", "/?<script>", "/'onload='x", "/{{7*7}}"])
def test_no_page_runs_what_was_asked_for(web, target):
    for method in ("GET", "POST", "BREW"):
        reply = web.ask(method, target, "Referer: <script>", "User-Agent: <script>")
        assert b"<script" not in reply.body and b"<img" not in reply.body and b"onload" not in reply.body
        assert reply["content-security-policy"].startswith("default-src 'none'")
        assert reply["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["a b", "a/b", "<script>", "a\"b", "a@b", "a\\b", "evil.example/", "a:b", "[::1",
                                  "a" * 300, "\xe9", "a,b c", "%0d%0a"])
def test_no_host_that_is_none(web, host):
    reply = web.get("/a.txt", host=host)
    assert reply.status == 400 and host.encode("latin-1") not in reply.body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1", "", "a,b", "localhost"])
def test_no_host_is_repeated(root, host):
    (root / "folder").mkdir(exist_ok=True)
    web = Web(f"--root={root}", "--listing=yes")
    for target in ("/folder", "/folder/", "/none", "/"):
        reply = web.get(target, "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example", host=host)
        assert b"evil" not in reply.body and not any("evil" in value for _, value in reply.fields)


# -- logs --

HOSTILE = [b"\x1b]0;x\x07", b"a\tb", b'"', b"\\", b"\\x0a", b'" 200 5 "', b" reason=done", b"%n%s", b"{0.__class__}",
           b"\xe2\x80\xa8", b"\xff\xfe", b"\x85",
           b"' status=200", b"x" * 6000, b"\xe2\x80\xae", b"<0>forged", b"-", b""]


WORD = r'"(?:[^"\\]|\\[\\"btnrv]|\\x[0-9a-f]{2})*"'
TIME = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
COMBINED = re.compile(rf"127\.0\.0\.1 - - {TIME} {WORD} [1-5]\d\d (?:\d+|-) {WORD} {WORD}")


def carrying(octets):
    """Requests that have these octets wherever a client can put some."""
    get, host = b"GET / HTTP/1.1\r\n", b"Host: a\r\n"
    target = bytes(octet for octet in octets if 32 < octet < 127) or b"x"
    return (b"GET /" + target + b" HTTP/1.1\r\n" + host + b"\r\n",
            get + host + b"Referer: " + octets + b"\r\nUser-Agent: " + octets + b"\r\n\r\n",
            get + b"Host: " + octets + b"\r\n\r\n",
            b"GET /" + octets + b" HTTP/1.1\r\n" + host + b"\r\n",
            octets + b" / HTTP/1.1\r\n" + host + b"\r\n",
            octets + b"\r\n\r\n",
            get + host + b"Authorization: Basic " + octets + b"\r\n\r\n")


def test_every_request_is_one_line_of_both_logs(root, tmp_path):
    access, count = tmp_path / "access.log", 0
    with Serving("httpd", f"--root={root}", f"--access-log={access}", "--timeout=5") as server:
        for octets in HOSTILE:
            for data in carrying(octets):
                count += bool(server.answer(data))
    told = [loglines.parse(line.partition(": ")[2]) for line in server.log]
    assert [event for event, _ in told].count("request") == count
    assert {event for event, _ in told} <= {"start", "open", "close", "request", "stop"}
    lines = access.read_text("ascii").split("\n")
    assert lines.pop() == "" and len(lines) == count
    assert [line for line in lines if not COMBINED.fullmatch(line) or not line.isprintable()] == []


def test_who_logs_in_is_written_as_one_word(root, tmp_path):
    from base64 import b64encode

    from daemons.stores import passwords
    name = 'a b" 200 [x] \u2028\u00e9'
    passwords.add(str(tmp_path / "users"), name, b"p")
    web = Web(f"--root={root}", f"--users={tmp_path}/users", f"--access-log={tmp_path}/access.log",
              "--access-format=common")
    token = b64encode(f"{name}:p".encode()).decode()
    assert web.get("/a.txt", f"Authorization: Basic {token}").status == 200
    (line,) = (tmp_path / "access.log").read_text("ascii").splitlines()
    assert re.fullmatch(r'192\.0\.2\.7 - [!-~]+ \[[^]]+\] "GET /a.txt HTTP/1.1" 200 7', line)
