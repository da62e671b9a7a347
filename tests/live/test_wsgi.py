"""Applications in Python within httpd as it is installed: an isolated interpreter, a sandbox, threads and processes."""

import concurrent.futures
import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.live import devlog, installed, machine, processes
from tests.live.launchers import NOWAIT, WAIT, ByHand, OurInetd, Service, Xinetd, joined

LAUNCHERS = pytest.mark.parametrize("launcher, wait", [(ByHand, WAIT), (Xinetd, NOWAIT), (Xinetd, WAIT),
                                                       (OurInetd, NOWAIT)])
SITE = """
import hashlib, sys
import bottle

application = bottle.Bottle()
notes = []

@application.get("/hello/<name>")
def hello(name):
    bottle.response.set_cookie("seen", name)
    return {"hello": name, "script": bottle.request.script_name, "client": bottle.request.remote_addr,
            "threads": bottle.request.environ["wsgi.multithread"]}

@application.post("/upload")
def upload():
    data = bottle.request.body.read()
    return hashlib.sha256(data).hexdigest()

@application.get("/file")
def file():
    return bottle.static_file("big", root=FOLDER)

@application.get("/slow")
def slow():
    notes.append(1)
    yield "one "
    yield "two"

@application.get("/wrong")
def wrong():
    print("it went wrong", file=bottle.request.environ["wsgi.errors"])
    raise KeyError("x")

@application.get("/reach")
def reach():
    try:
        return open("/etc/shadow").read()
    except OSError as error:
        return type(error).__name__

@application.get("/deep")
def deep():
    class Deep:
        def __getattr__(self, name):
            return getattr(self, name + "x")
    try:
        return Deep().a
    except RecursionError:
        return "deep"
"""
BIG = hashlib.shake_256(b"big").digest(2_000_000)


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


@pytest.fixture(scope="module")
def line():
    """The line of the file of sites for an application of Bottle's, and the folders that it needs."""
    try:
        import bottle
    except ImportError:
        machine.unavailable("bottle is not installed (PyPI, or Debian package python3-bottle)")
    own, library = (Path(processes.new_folder(name)) for name in ("site", "library"))
    (own / "blog.py").write_text(SITE.replace("FOLDER", repr(str(own))))
    (own / "big").write_bytes(BIG)
    (library / "bottle.py").write_bytes(Path(bottle.__file__).read_bytes())
    return f"wsgi /app/ blog:application {own} {library}"


def httpd(log, line, *options, launcher=ByHand, wait=WAIT):
    """httpd with this line in its file of sites."""
    path = Path(processes.new_folder("sites")) / "sites"
    path.write_text(f"host 127.0.0.1\n{line}\n")
    return launcher(Service(installed.argv("httpd", f"--log={log.path}", f"--vhosts={path}", *options), wait=wait))


def curl(host, path, *arguments, data=None):
    """What curl prints."""
    program = machine.program("curl", "curl")
    return subprocess.run([program, "-sS", "--max-time", "20", *arguments, f"http://{joined(host.address)}{path}"],
                          input=data, capture_output=True, timeout=30, check=True).stdout


@LAUNCHERS
def test_bottle(log, line, launcher, wait):
    # bottle keeps what is uploaded in a file of its own
    with httpd(log, line, "--cgi-writes=/tmp", launcher=launcher, wait=wait) as host:
        head, _, body = curl(host, "/app/hello/w%C3%B6rld", "-i").partition(b"\r\n\r\n")
        assert b"\r\nSet-Cookie: seen=" in head and b"\r\nContent-Length: " in head
        assert b'"script": "/app/"' in body and b'"client": "127.0.0.1"' in body and b"w\\u00f6rld" in body
        for how in ([], ["-H", "Transfer-Encoding: chunked"], ["--http1.0"]):
            assert curl(host, "/app/upload", "--data-binary", "@-", *how, data=BIG).decode() == \
                hashlib.sha256(BIG).hexdigest()
        assert curl(host, "/app/file") == BIG and curl(host, "/app/file", "-r", "5-9") == BIG[5:10]
        assert curl(host, "/app/slow") == b"one two" and b" 404 " in curl(host, "/app/missing", "-i")
        assert b" 500 " in curl(host, "/app/wrong", "-i").partition(b"\r\n")[0]
        assert 'why="it went wrong"' in log.wait_for(r"\bscript ").text
    assert not any(" crash session" in text for text in log.lines)


@pytest.mark.parametrize("model", ["thread", "fork", "one"])
def test_many_at_once(log, line, model):
    with httpd(log, line, f"--model={model}") as host, concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: curl(host, f"/app/hello/{number}"), range(24)))
        assert all(b'"hello": "%d"' % number in body for number, body in enumerate(found))
        assert all((b'"threads": true' in body) is (model == "thread") for body in found)


def test_it_is_closed_in_as_we_are(log, line):
    with httpd(log, line, "--sandbox=on") as host:
        assert curl(host, "/app/reach") == b"PermissionError"


@pytest.mark.parametrize("model", ["thread", "fork"])
def test_endless_recursion_ends_nobody_else(log, line, model):
    with httpd(log, line, f"--model={model}", "--processes=1") as host:
        assert curl(host, "/app/deep") == b"deep"
        assert b'"hello": "x"' in curl(host, "/app/hello/x")


def test_a_module_that_is_not_there(log, line):
    with httpd(log, "wsgi /app/ nowhere.at.all:application /srv") as host:
        assert b" 500 " in curl(host, "/app/x", "-i").partition(b"\r\n")[0]
        assert "ModuleNotFoundError" in log.wait_for(r"\bcrash ").text
