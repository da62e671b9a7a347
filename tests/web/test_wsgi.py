"""Applications in Python as PEP 3333 has them, each checked by wsgiref.validate on both sides."""

import gzip
import itertools
import json
import os
import sys
import textwrap

import pytest

from daemons.kernel import log
from daemons.kernel.service import Event
from daemons.web import keepalive, wsgi
from daemons.web.sites import Place, Site

from .behind import hold
from .browsing import Torn, replies, request

SCRIPT = Event("script", "notice", "session file why", "a program failed")
NUMBERS = itertools.count()
BIG = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def crashes(monkeypatch):
    """There is a log, and what it would tell of crashes."""
    log.start("httpd", target="/nonexistent", events=(keepalive.REQUEST, SCRIPT))
    found = []
    monkeypatch.setattr(keepalive.log, "crash", lambda error, **_: found.append(f"{type(error).__name__}: {error}"))
    yield found
    log.start("httpd", target="/nonexistent")


@pytest.fixture
def served(tmp_path, monkeypatch):
    """served(source, octets, ...): what a client hears whose application has this source, within a validator."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def serve(source, octets, *, validated=True, prefix="/app/", methods=("GET",), **options):
        name = f"application{next(NUMBERS)}"
        ending = "\nfrom wsgiref.validate import validator\napplication = validator(application)\n" if validated else ""
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source) + ending)
        place, site = Place("wsgi", prefix, f"{name}:application {tmp_path}"), Site(None)
        user = options.pop("user", "")

        def handle(exchange):
            exchange.user = user
            wsgi.answer(exchange, site, place)
        said = hold(handle, octets, **options)
        said.replies = lambda: replies(said.octets, methods)
        return said
    return serve


def get(target="/app/x", *fields, version="1.1", method="GET", body=b""):
    return request(method, target, *fields, version=version, body=body)


HELLO = """
def application(environ, start_response):
    start_response("200 Fine", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
TELL = """
import json
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    told = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    return [json.dumps(told).encode()]
"""


def told(said):
    return json.loads(said.replies()[-1].body)


# -- what it is told --


def test_its_environment(served):
    found = told(served(TELL, get("/app/a%20b/%C3%A9?c=d%20e", "X-A: 1", "X-A: 2", "X_A: evil", "Proxy: evil",
                                  "Content-Type: a/b", "Authorization: Basic x")))
    assert {key: found[key] for key in (
        "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
        "REMOTE_ADDR", "HTTP_HOST", "HTTP_X_A", "CONTENT_TYPE", "HTTP_AUTHORIZATION", "wsgi.version", "wsgi.url_scheme",
        "wsgi.run_once", "wsgi.input_terminated")} == {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/app", "PATH_INFO": "/a b/\xc3\xa9", "QUERY_STRING": "c=d%20e",
        "SERVER_NAME": "www.example.org", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7", "HTTP_HOST": "www.example.org", "HTTP_X_A": "1, 2", "CONTENT_TYPE": "a/b",
        "HTTP_AUTHORIZATION": "Basic x", "wsgi.version": [1, 0], "wsgi.url_scheme": "http", "wsgi.run_once": False,
        "wsgi.input_terminated": True}
    assert not {"HTTP_PROXY", "CONTENT_LENGTH", "GATEWAY_INTERFACE", "PATH_TRANSLATED", "PATH"} & found.keys()


@pytest.mark.parametrize("target, prefix, script, path", [
    ("/app", "/app/", "/app", ""), ("/app/", "/app/", "/app", "/"), ("/app/x/", "/app/", "/app", "/x/"),
    ("/x", "/", "", "/x"), ("/", "/", "", "/"), ("/a/b/c", "/a/b", "/a/b", "/c"),
    ("/app/../app//x", "/app", "/app", "/x")])
def test_where_it_is(served, target, prefix, script, path):
    found = told(served(TELL, get(target), prefix=prefix))
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == (script, path)


@pytest.mark.parametrize("model, processes, threads, many", [
    (None, 1, True, False), ("thread", 4, True, True), ("fork", 1, False, True), ("one", 1, False, True)])
def test_the_model_it_runs_in(served, model, processes, threads, many):
    found = told(served(TELL, get(), model=model, processes=processes))
    assert (found["wsgi.multithread"], found["wsgi.multiprocess"]) == (threads, many)


def test_who_logged_in_here(served):
    found = told(served(TELL, get("/app/x", "Authorization: Basic x"), user="alice"))
    assert found["REMOTE_USER"] == "alice" and "HTTP_AUTHORIZATION" not in found


ECHO = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    file = environ["wsgi.input"]
    return [{read}]
"""
LINES = b"one\ntwo\r\n\nthree"


@pytest.mark.parametrize("read", ["file.read(1000000)", "file.read(3) + file.read(1000000)", "b''.join(file)",
                                  "b''.join(file.readlines())", "b''.join(iter(file.readline, b''))"])
@pytest.mark.parametrize("body", [LINES, BIG])
def test_a_body(served, read, body):
    (reply,) = served(ECHO.format(read=read), get(method="POST", body=body)).replies()
    assert reply.body == body and reply["x-length"] == str(len(body))


@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_a_chunked_body_has_its_length(served, size):
    octets = get("/app/x", "Transfer-Encoding: chunked", method="POST")
    octets += (b"%x\r\n%b\r\n" % (size, b"x" * size) if size else b"") + b"0\r\n\r\n"
    (reply,) = served(ECHO.format(read="file.read(1000000)"), octets).replies()
    assert reply.body == b"x" * size and reply["x-length"] == str(size)


def test_no_body_is_an_empty_one(served):
    (reply,) = served(ECHO.format(read="file.read(10)"), get()).replies()
    assert reply.body == b"" and reply["x-length"] == "none"


def test_a_body_that_nobody_reads(served):
    said = served(HELLO, get(method="POST", body=b"x" * 10000) + get(), methods=("POST", "GET"))
    assert [reply.body for reply in said.replies()] == [b"hello", b"hello"]


def test_a_body_that_breaks_off_is_no_crash(served, crashes):
    said = served(ECHO.format(read="file.read(10)"), get("/app/x", "Content-Length: 10", method="POST") + b"12345")
    assert said.reason == "cut" and not crashes and not said.octets


def test_a_body_over_the_limit(served, crashes):
    (reply,) = served(ECHO.format(read="file.read(10)"), get(method="POST", body=b"x" * 11), body=10).replies()
    assert reply.status == 413 and not crashes


# -- what it answers --


def test_one_piece_has_its_length(served):
    said = served(HELLO, get() + get(method="HEAD") + get(version="1.0"), methods=("GET", "HEAD", "GET"),
                  validated=False)
    found = said.replies()
    assert [(reply.status, reply["content-length"], reply.body) for reply in found] == \
        [(200, "5", b"hello"), (200, "5", b""), (200, "5", b"hello")]
    assert said.octets.startswith(b"HTTP/1.1 200 Fine\r\n")


def test_many_pieces(served):
    source = """
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")])
            yield b""
            yield b"hello "
            yield b""
            yield b"world"
    """
    found = served(source, get() + get(version="1.0"), methods=("GET", "GET")).replies()
    assert [(reply.body, reply["transfer-encoding"], reply.closes) for reply in found] == \
        [(b"hello world", "chunked", False), (b"hello world", None, True)]
    assert found[0].all("x-a") == ["1", "2"]


def test_each_piece_leaves_at_once(served):
    source = """
        from select import select
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"first"
            yield b"second" if select([{seen}], [], [], 10)[0] else b"late"
    """
    seen, done = os.pipe()

    def client(sock):
        sock.sendall(get(version="1.0"))
        data = b""
        while b"first" not in data:
            data += sock.recv(1000)
        os.close(done)
        return data + b"".join(iter(lambda: sock.recv(1000), b""))
    said = served(source.format(seen=seen), b"", client=client)
    os.close(seen)
    assert said.replies()[0].body == b"firstsecond"


def test_writing_as_of_old(served):
    source = """
        def application(environ, start_response):
            write = start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "11")])
            write(b"hello ")
            return [b"world"]
    """
    (reply,) = served(source, get()).replies()
    assert reply.body == b"hello world"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_body(served, status):
    source = f"""
        def application(environ, start_response):
            start_response("{status}", [("ETag", "a")])
            return []
    """
    found = served(source, get() + get(), methods=("GET", "GET")).replies()
    assert [(reply.status, reply["content-length"], reply["etag"]) for reply in found] == \
        [(int(status[:3]), None, "a")] * 2


def test_nothing_is_an_answer(served):
    source = """
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "a/b"), ("Date", "x"), ("Server", "y"), ("Connection", "close")])
            return []
    """
    (reply,) = served(source, get(), validated=False).replies()
    assert (reply["content-length"], reply.body, reply["server"], reply["connection"]) == ("0", b"", "fd0", None)


def test_a_head_is_not_iterated_to_its_end(served):
    source = """
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            while True:
                yield b"for ever"
    """
    (reply,) = served(source, get(method="HEAD"), methods=("HEAD",)).replies()
    assert reply.status == 200


def test_it_is_closed_whatever_happens(served, tmp_path, crashes):
    source = f"""
        class Found:
            def __iter__(self):
                yield b"hello"
                {{more}}
            def close(self):
                open("{tmp_path}/closed", "a").write("x")
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return Found()
    """
    served(source.format(more="yield b'more'"), get())
    assert (tmp_path / "closed").read_text() == "x"
    with pytest.raises(Torn):
        served(source.format(more="raise KeyError('later')"), get()).replies()
    assert (tmp_path / "closed").read_text() == "xx" and crashes == ["KeyError: 'later'"]


@pytest.mark.parametrize("body, crash", [
    ("raise KeyError('now')", "KeyError: 'now'"), ("return [b'x']", "RuntimeError: start_response was not called"),
    ("start_response('200 OK', []); return ['text']", "TypeError: a body of str, not bytes"),
    ("start_response('200 OK', []); start_response('200 OK', [])", "RuntimeError: start_response was called twice"),
    ("start_response('2000 OK', [])", "ValueError: not a status: '2000 OK'"),
    ("start_response('199 OK', [])", "ValueError: must be 200 or more, not 199"),
    (r"start_response('200 O\rK', [])", r"ValueError: not a status: '200 O\rK'"),
    (r"start_response('200 OK', [('X', 'a\r\nY: b')])", r"ValueError: not a header field: 'X': 'a\r\nY: b'"),
    ("start_response('200 OK', [('X:', 'a')])", "ValueError: not a header field: 'X:': 'a'"),
    ("start_response('200 OK', [('Content-Length', '+5')])", "ValueError: not a whole number: '+5'"),
    ("start_response('200 OK', [('Content-Length', '5'), ('Content-Length', '5')])", "ValueError: two lengths"),
    ("start_response('200 OK', [('Transfer-Encoding', 'chunked')])",
     "ValueError: how a body is transferred is the server's to say")])
def test_its_mistakes_are_500_and_in_the_log(served, crashes, body, crash):
    source = f"""
        def application(environ, start_response):
            {body}
    """
    found = served(source, get() + get(), validated=False, methods=("GET", "GET")).replies()
    assert [reply.status for reply in found] == [500, 500] and crashes == [crash] * 2


def test_it_may_take_back_what_has_not_left(served, crashes):
    source = """
        import sys
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            try:
                raise KeyError("x")
            except KeyError:
                start_response("503 Not Now", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"sorry"]
    """
    (reply,) = served(source, get()).replies()
    assert (reply.status, reply.body, crashes) == (503, b"sorry", [])


def test_what_has_left_cannot_be_taken_back(served, crashes):
    source = """
        import sys
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"hello"
            try:
                raise KeyError("x")
            except KeyError:
                start_response("503 Not Now", [("Content-Type", "text/plain")], sys.exc_info())
            yield b"sorry"
    """
    with pytest.raises(Torn):
        served(source, get()).replies()
    assert crashes == ["KeyError: 'x'"]


@pytest.mark.parametrize("length, whole", [("3", True), ("50", False)])
def test_its_own_length_is_what_follows(served, length, whole):
    source = f"""
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "{length}")])
            return [b"hel", b"lo"]
    """
    said = served(source, get())
    if whole:
        assert [reply.body for reply in said.replies()] == [b"hel"]
    else:
        with pytest.raises(Torn):
            said.replies()
        assert said.reason == "short"


FILE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"){more}])
    file = {file}
    return environ["wsgi.file_wrapper"](file, 100)
"""


@pytest.mark.parametrize("file, body", [
    ("open('{0}', 'rb')", BIG), ("open('{0}', 'rb', buffering=0)", BIG),
    ("__import__('io').BytesIO(b'hello')", b"hello"),
    ("__import__('gzip').open('{0}.gz')", BIG), ("open('/dev/null', 'rb')", b"")])
def test_files(served, tmp_path, file, body):
    (tmp_path / "file").write_bytes(BIG)
    with gzip.open(tmp_path / "file.gz", "wb") as packed:
        packed.write(BIG)
    source = FILE.format(more="", file=file.format(tmp_path / "file"))
    found = served(source, get() + get(method="HEAD"), methods=("GET", "HEAD"), validated=False).replies()
    assert (found[0].body, found[1].status) == (body, 200)
    assert (found[0]["content-length"] == str(len(BIG))) is ("gz" not in file and body == BIG)


def test_the_rest_of_a_file(served, tmp_path):
    (tmp_path / "file").write_bytes(BIG)
    part = f"(lambda file: (file.seek(100), file)[1])(open('{tmp_path}/file', 'rb'))"
    (reply,) = served(FILE.format(more="", file=part), get(), validated=False).replies()
    assert reply.body == BIG[100:]
    source = FILE.format(more=", ('Content-Length', '50')", file=part)
    (reply,) = served(source, get(), validated=False).replies()
    assert reply.body == BIG[100:150]


# -- itself --


def test_a_module_that_is_not_there(served, crashes, tmp_path):
    (reply,) = served("import there_is_no_such_module", get(), validated=False).replies()
    assert reply.status == 500 and crashes == ["ModuleNotFoundError: No module named 'there_is_no_such_module'"]


def test_what_it_says_of_itself(served):
    source = """
        def application(environ, start_response):
            errors = environ["wsgi.errors"]
            errors.write("one\\ntw")
            errors.writelines(["o\\n", "three"])
            errors.write("x" * 5000)
            errors.write("\\nlast")
            errors.flush()
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b""]
    """
    said = served(source, get())
    assert [why[:5] for why in said.whys("script")] == ["one", "two", "three", "last"]


def test_folders_stand_behind_our_own(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "textwrap.py").write_text("application = None")
    (tmp_path / "fd0_own.py").write_text("def main(environ, start_response): pass")
    place = Place("wsgi", "/", f"fd0_own:main {tmp_path} /srv")
    assert wsgi.prepare(place) == [str(tmp_path), "/srv"]
    assert wsgi.loaded(place.rest).__name__ == "main" and sys.path[-2:] == [str(tmp_path), "/srv"]
    wsgi.loaded(place.rest)
    assert sys.path.count("/srv") == 1 and sys.modules["textwrap"] is textwrap
