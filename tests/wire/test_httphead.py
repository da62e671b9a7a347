"""Heads of requests: RFC 9112 sections 2 to 5 and 9.3, what is refused, and that no cut of the octets changes it."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.wire import httphead
from daemons.wire.httpframing import CHUNKED
from daemons.wire.httphead import HEAD, LINE, parse, size_of
from daemons.wire.httpstatus import Refused

HOST = b"Host: example.org\r\n"
GET = b"GET / HTTP/1.1\r\n"


def whole(*lines, first=b"GET / HTTP/1.1"):
    """A head of these lines."""
    return b"".join(line + b"\r\n" for line in (first, *lines)) + b"\r\n"


def refused(head):
    """The Refused that a head ends in, at once or as its request's."""
    try:
        return parse(head).refusal
    except Refused as refusal:
        return refusal


def of(first, *lines):
    """The request of a head that nothing is wrong with."""
    request = parse(whole(b"Host: example.org", *lines, first=first))
    assert request.refusal is None
    return request


# -- the request line: RFC 9112, 3 --

@pytest.mark.parametrize("line, method, target, minor", [
    (b"GET / HTTP/1.1", "GET", "/", 1),
    (b"GET /hello.txt HTTP/1.1", "GET", "/hello.txt", 1),
    (b"GET /where?q=now HTTP/1.1", "GET", "/where?q=now", 1),                               # 3.2.1
    (b"GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1", "GET",
     "http://www.example.org/pub/WWW/TheProject.html", 1),                                  # 3.2.2
    (b"OPTIONS * HTTP/1.1", "OPTIONS", "*", 1),                                             # 3.2.4
    (b"GET / HTTP/1.0", "GET", "/", 0),
    (b"GET / HTTP/1.9", "GET", "/", 1),                                                     # 2.3: as the highest
    (b"!#$%&'*+-.^_`|~09azAZ / HTTP/1.1", "!#$%&'*+-.^_`|~09azAZ", "/", 1),                # RFC 9110, 5.6.2
    (b"get / HTTP/1.1", "get", "/", 1),                                                     # RFC 9110, 9.1
])
def test_request_lines(line, method, target, minor):
    request = of(line)
    assert (request.method, request.target, request.minor, request.line) == (method, target, minor, line)
    assert request.version == f"HTTP/1.{minor}"


@pytest.mark.parametrize("line", [
    b"", b" ", b"GET", b"GET /", b"GET / ", b" GET / HTTP/1.1", b"GET  / HTTP/1.1", b"GET /  HTTP/1.1",
    b"GET / HTTP/1.1 ", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b"GET / / HTTP/1.1", b"GET /a b HTTP/1.1",
    b"G(T / HTTP/1.1", b"G\xc9T / HTTP/1.1", b"G\0T / HTTP/1.1", b"GET: / HTTP/1.1",
    b"GET /\0 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET /\x0b HTTP/1.1",
    b"GET / http/1.1", b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/.1", b"GET / HTTP/1.11", b"GET / HTTP/01.1",
    b"GET / HTTP/1,1", b"GET / HTTP/x.1", b"GET / HTTP/1.x", b"GET / HTTP/-1.1", b"GET / HTTP /1.1",
    b"GET / HTTPS/1.1", b"GET / RTSP/1.0", b"GET / HTTP/\xb2.1", b"GET / HTTP/1.\xd9\xa1",
])
def test_what_is_no_request_line(line):
    refusal = refused(whole(HOST[:-2], first=line))
    assert (refusal.status, refusal.final) == (400, True)


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"])
def test_other_versions(version):       # RFC 9110, 15.6.6; RFC 9113, 3.4: PRI * HTTP/2.0
    refusal = refused(whole(first=b"PRI * " + version))
    assert (refusal.status, refusal.final) == (505, True)


def test_a_method_does_not_decide_where_the_head_ends():
    assert refused(whole(HOST[:-2], first=b"BREW /pot HTTP/1.1")) is None


# -- what is refused in a head's octets: 2.2, 5.1, 5.2 --

@pytest.mark.parametrize("head", [
    GET + b"Host: a\n\r\n", GET + b"Host: a\n\n", b"GET / HTTP/1.1\nHost: a\r\n\r\n", b"\n" + GET + HOST + b"\r\n",
    GET + b"Host: a\rX: b\r\n\r\n", GET + b"Host: a\r\r\n\r\n", b"\r" + GET + HOST + b"\r\n",
    b"GET / HTTP/1.1\r" + HOST + b"\r\n", GET + HOST + b"\r\n"[:1] + b"\r\n\r\n",
    GET + b"Host: a\0\r\n\r\n", GET + b"Host: a\x0b\r\n\r\n", GET + b"Host: a\x7f\r\n\r\n", GET + b"X\0: a\r\n\r\n",
    GET + HOST + b"X: a\r\n b\r\n\r\n", GET + HOST + b"X: a\r\n\tb\r\n\r\n", GET + b" " + HOST + b"\r\n",
    GET + b"Host : a\r\n\r\n", GET + b"Host\t: a\r\n\r\n", GET + b": a\r\n\r\n", GET + b"Host\r\n\r\n",
    GET + b"H\xf6st: a\r\n\r\n", GET + b"Ho st: a\r\n\r\n", GET + b"(Host): a\r\n\r\n",
])
def test_what_two_readers_could_read_differently(head):
    assert size_of(bytearray(head)) == len(head)
    refusal = refused(head)
    assert (refusal.status, refusal.final) == (400, True)


def test_the_fields_that_may_come():
    request = of(b"GET / HTTP/1.1", *[b"X-%d: y" % number for number in range(99)])
    assert len(list(request.fields.items())) == 100
    refusal = refused(whole(HOST[:-2], *[b"X-%d: y" % number for number in range(100)]))
    assert (refusal.status, refusal.final) == (431, True)       # RFC 6585, 5


def test_what_is_not_there_is_missing():        # RFC 9112, 3.2
    assert (refused(whole()).status, refused(whole()).final) == (400, True)
    assert refused(whole(first=b"GET / HTTP/1.0")) is None


# -- what it says of the connection: 9.3 --

@pytest.mark.parametrize("version, connection, stays", [
    (b"1.1", None, True), (b"1.1", b"close", False), (b"1.1", b"Close", False), (b"1.1", b"keep-alive", True),
    (b"1.1", b"keep-alive, close", False), (b"1.1", b"upgrade ,\tCLOSE", False), (b"1.1", b"closed", True),
    (b"1.0", None, False), (b"1.0", b"keep-alive", True), (b"1.0", b"Keep-Alive", True), (b"1.0", b"close", False),
    (b"1.0", b"keep-alive, close", False), (b"1.0", b"", False), (b"1.1", b"", True), (b"1.1", b"\xb2close", True),
])
def test_whether_it_stays(version, connection, stays):
    lines = [] if connection is None else [b"Connection: " + connection]
    assert of(b"GET / HTTP/" + version, *lines).persistent is stays


def test_of_two_connection_fields_both_count():
    assert not of(b"GET / HTTP/1.1", b"Connection: keep-alive", b"Connection: close").persistent


def test_what_it_expects():
    assert of(b"POST / HTTP/1.1", b"Expect: 100-Continue").expects.lower() == "100-continue"
    assert of(b"GET / HTTP/1.1").expects is None


@pytest.mark.parametrize("name", httphead.CHANGING)
def test_whether_a_field_may_change_the_answer(name):
    assert not of(b"GET / HTTP/1.1", name.title().encode() + b": x").plain
    assert of(b"GET / HTTP/1.1", b"X-" + name.encode() + b": x").plain


def test_the_request_that_a_local_redirect_makes():
    for method, then in ((b"POST", "GET"), (b"HEAD", "HEAD"), (b"GET", "GET")):
        assert of(method + b" / HTTP/1.1", b"X: y").following().method == then


def test_the_body_is_known():
    assert of(b"POST / HTTP/1.1", b"Content-Length: 7").length == 7
    assert of(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked").length == CHUNKED
    assert of(b"POST / HTTP/1.1").length == 0


def test_the_host_of_an_absolute_target_counts():       # 3.2.2
    request = of(b"GET http://WWW.example.com:81/x HTTP/1.1")
    assert request.host == ("www.example.com", 81) and request.goal.path == "/x"
    assert of(b"OPTIONS http://www.example.com HTTP/1.1").goal.path == "/"


# -- where it ends --

@pytest.mark.parametrize("data, size", [
    (b"", 0), (b"\r", 0), (b"\r\n", 2), (b"\r\nGET", 2), (b"G", 0), (GET, 0), (GET + b"\r", 0), (GET + b"\r\n", 18),
    (GET + HOST + b"\r\n", 37), (GET + HOST + b"\r\nGET / HTTP/1.1", 37), (GET + b"\n", 17), (b"\n\n", 2),
    (b"\r\n\r\n", 2),
])
def test_its_end(data, size):
    assert size_of(bytearray(data)) == size


def outcome(chunks):
    """What a head comes to that is cut like this: its size, or the status that it is refused with.

    More may be taken into the buffer than belongs to it, as by a client that sends several at once.
    """
    buffer = bytearray()
    try:
        for chunk in chunks:
            buffer += chunk
            if size := size_of(buffer):
                return size, getattr(parse(bytes(buffer[:size])).refusal, "status", None) if size > 2 else None
    except Refused as refusal:
        return refusal.status
    return None


def by_octet(data):
    return [bytes([octet]) for octet in data]


def line_of(size):
    """A request line of so many octets, without its ending."""
    return b"GET /" + b"a" * (size - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"


@pytest.mark.parametrize("size, status", [(LINE - 1, None), (LINE, None), (LINE + 1, 414), (LINE + 2, 414)])
def test_the_longest_line_is_the_same_however_it_comes(size, status):
    data = whole(HOST[:-2], first=line_of(size))
    for chunks in ([data], by_octet(data), [data[:size], data[size:]], [data[:size + 1], data[size + 1:]]):
        found = outcome(chunks)
        assert (found == 414) if status else found == (len(data), None)


@pytest.mark.parametrize("size, status", [(HEAD - 1, None), (HEAD, None), (HEAD + 1, 431), (HEAD + 2, 431)])
def test_the_longest_head_is_the_same_however_it_comes(size, status):
    start = whole(HOST[:-2], b"X: ")
    data = start[:-4] + b"y" * (size - len(start)) + b"\r\n\r\n"
    assert len(data) == size
    for chunks in ([data], by_octet(data), [data[:HEAD], data[HEAD:]], [data + GET * 10]):
        found = outcome(chunks)
        assert (found == 431) if status else found == (len(data), None)


@pytest.mark.parametrize("data", [
    line_of(LINE + 1) + b"\n\n", GET + HOST + b"X: " + b"y" * HEAD + b"\n\n",
    line_of(LINE + 1) + b"\r\n" + b"X: " + b"y" * HEAD + b"\n\r\n",
])
def test_what_is_too_long_and_badly_ended_is_refused_in_one_way(data):
    assert outcome([data]) == outcome(by_octet(data))


words = st.lists(st.sampled_from([
    b"GET", b" ", b"/", b"HTTP/1.1", b"GET / HTTP/1.1", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"Host: a", b"X:",
    b"a",
    b"aaaaaaaaaa", b"\0"]), max_size=16).map(b"".join)


@settings(max_examples=1000)
@given(words, st.lists(st.integers(0, 90), max_size=4), st.booleans())
def test_no_cut_changes_what_a_head_is(data, cuts, proper):
    if proper:
        data = GET + HOST + data
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    with pytest.MonkeyPatch.context() as patch:         # limits that are within reach
        patch.setattr(httphead, "LINE", 30)
        patch.setattr(httphead, "HEAD", 60)
        patch.setattr(httphead, "_parse_again", httphead._parse)
        ways = {outcome([data]), outcome(by_octet(data)),
                outcome([data[first:last] for first, last in itertools.pairwise(places)])}
    assert len(ways) == 1


@given(st.binary(max_size=200) | words)
def test_octets_are_a_request_or_refused_and_nothing_else(data):
    for head in (data, data + b"\r\n\r\n", GET + HOST + data + b"\r\n\r\n"):
        try:
            size = size_of(bytearray(head))
            request = parse(head[:size]) if size > 2 else None
        except Refused as refusal:
            assert refusal.final and refusal.status in (400, 414, 431, 505)
            continue
        assert 0 <= size <= len(head)
        assert request is None or request.refusal is None or request.refusal.status in (400, 404, 414, 501)


methods = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=10)
targets = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map("/{}".format)
values = st.binary(max_size=20).map(lambda data: bytes(octet for octet in data if octet > 31 and octet != 127))


@given(methods, targets, st.integers(0, 1), st.lists(st.tuples(methods, values), max_size=6))
def test_what_is_taken_means_the_same_when_it_is_written_again(method, target, minor, rows):
    head = whole(*[name.encode() + b":\t" + value + b" " for name, value in rows],
                 first=f"{method} {target} HTTP/1.{minor}".encode())
    request = parse(head)
    assert (request.method, request.target, request.minor) == (method, target, minor)
    assert list(request.fields.items()) == [(name.lower(), value.strip(b" ").decode("latin-1"))
                                            for name, value in rows]
    again = parse(b"".join([request.line, b"\r\n", *(f"{name}: {value}\r\n".encode("latin-1")
                                                    for name, value in request.fields.items()), b"\r\n"]))
    assert list(again.fields.items()) == list(request.fields.items())
    assert (again.length, again.host, again.persistent, again.plain, again.expects) == \
        (request.length, request.host, request.persistent, request.plain, request.expects)
    assert getattr(again.refusal, "status", None) == getattr(request.refusal, "status", None)

