"""httpd as others see it: curl, wget, aria2, ab, git, sslscan, Python's own clients, and real launchers."""

import concurrent.futures
import contextlib
import filecmp
import gzip
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import urllib.request
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from daemons.stores import accounts, passwords
from tests.certificates import Authority
from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import NOWAIT, WAIT, ByHand, Service, SocketActivate, Xinetd
from tests.serving import Serving

SECONDS = 60
BIG = hashlib.shake_256(b"big").digest(5_000_000)
TEXT = b"All work and no play. " * 4000
LONG_AGO = 1_000_000_000        # 2001-09-09
LAUNCHERS = pytest.mark.parametrize("launcher, wait", [(ByHand, WAIT), (Xinetd, NOWAIT), (Xinetd, WAIT),
                                                       (SocketActivate, NOWAIT), (SocketActivate, WAIT)])
SHARING = pytest.mark.parametrize("model", ["thread", "fork"])

# what the same script is in three languages: who was asked for what, then the body
ECHO = {
    "sh": """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "$REQUEST_METHOD $SCRIPT_NAME ${PATH_INFO-none} $QUERY_STRING ${CONTENT_LENGTH-none} ${HTTP_X_COLOUR-none}"
exec cat
""",
    "pl": """#!/usr/bin/perl
use strict; use warnings;
my ($info, $length, $colour) = map { $ENV{$_} // "none" } qw(PATH_INFO CONTENT_LENGTH HTTP_X_COLOUR);
print "Content-Type: text/plain\\n\\n";
print "$ENV{REQUEST_METHOD} $ENV{SCRIPT_NAME} $info $ENV{QUERY_STRING} $length $colour\\n";
local $/;
print <STDIN>;
""",
    "py": """#!/usr/bin/python3
import os, shutil, sys
asked = [os.environ.get(name, "none") for name in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING",
                                                   "CONTENT_LENGTH", "HTTP_X_COLOUR")]
sys.stdout.write("Content-Type: text/plain\\n\\n" + " ".join(asked) + "\\n")
sys.stdout.flush()
shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)
""",
}
INTERPRETERS = {"sh": ("sh", "dash"), "pl": ("perl", "perl"), "py": ("python3", "python3")}
SCRIPTS = {
    "teapot": "printf 'Status: 418 A teapot\\nContent-Type: text/plain\\n\\nshort and stout'",
    "local": "printf 'Location: /small.txt\\n\\n'",
    "away": "printf 'Location: https://www.example.org/?q=1\\n\\n'",
    "nph-own": "printf 'HTTP/1.1 203 My own words\\r\\nX-Own: yes\\r\\nConnection: close\\r\\n\\r\\nall of it'",
    "much": "printf 'Content-Type: application/octet-stream\\n\\n'; exec cat ../big",
    "complains": "echo 'it hurts here' >&2; printf 'Content-Type: text/plain\\n\\nwell'",
    # whoever kills only the shell leaves the other two behind
    "hangs": "sleep 600 & sh -c 'sleep 600; :' & echo \"hanging $$ $!\" >&2; wait",
    "silent": "exit 0",
}


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


@pytest.fixture(scope="module")
def folder():
    """A folder with files of all kinds, and one of programs."""
    path = Path(processes.new_folder("www"))
    files = {"big": BIG, "small.txt": b"hello\n", "text.txt": TEXT, "page.css": b"p { color: green }\n" * 100,
             "page.css.gz": gzip.compress(b"p { color: green }\n" * 100), "sub/deep/x y.txt": b"a name with a blank\n",
             "sub/\N{LATIN SMALL LETTER U WITH DIAERESIS} & <b>.txt": b"signs\n", "sub/.hidden": b"hidden\n"}
    scripts = {f"cgi-bin/echo.{language}": text for language, text in ECHO.items()}
    scripts.update((f"cgi-bin/{name}", f"#!/bin/sh\n{text}\n") for name, text in SCRIPTS.items())
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
        os.utime(path / name, (LONG_AGO, LONG_AGO))
    for name, text in scripts.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)
        (path / name).chmod(0o755)
    return path


@contextlib.contextmanager
def served(folder, *options):
    """httpd, with that folder, listings and programs; its `url`."""
    with Serving("httpd", f"--root={folder}", "--listing=yes", "--cgi=/cgi-bin", *options) as server:
        server.url = f"http://127.0.0.1:{server.port}"
        yield server
    assert server.events("crash") == server.events("unprotected") == []


@pytest.fixture
def httpd(folder):
    with served(folder) as server:
        yield server


def launched(log, folder, *options, launcher=ByHand, wait=WAIT):
    """The same under a launcher, as it is installed, and with its log in a socket."""
    argv = installed.argv("httpd", f"--log={log.path}", f"--root={folder}", "--cgi=/cgi-bin", *options)
    return launcher(Service(argv, wait=wait))


def run(name, package, *arguments, data=None, expected=0, cwd=None, environment=None):
    """What a client prints: stdout, then stderr; AssertionError unless it ends as expected."""
    done = subprocess.run([machine.program(name, package), *map(str, arguments)], input=data, capture_output=True,
                          timeout=SECONDS * 2, cwd=cwd, env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})})
    assert done.returncode == expected, (done.returncode, done.stderr.decode(errors="replace")[-2000:])
    return done.stdout, done.stderr.decode(errors="replace")


def curl(*arguments, data=None, expected=0):
    """What curl prints."""
    return run("curl", "curl", "-sS", "--globoff", "--max-time", SECONDS, *arguments, data=data, expected=expected)[0]


def head(text):
    """The status of a response, and its fields by their names in lower case, but for the date."""
    first, *rows = text.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    fields = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
    assert fields.pop("date")
    return int(first.split()[1]), fields


# -- curl --


def test_several_files_on_one_connection(httpd):
    files = ["/small.txt", "/big", "/sub/deep/x%20y.txt", "/", "/missing", "/small.txt"]
    told = curl("-w", "\n%{num_connects} %{http_code}\n", *[f"{httpd.url}{path}" for path in files]).split(b"\n")
    assert [line for line in told if re.fullmatch(rb"\d \d{3}", line)] == [
        b"1 200", b"0 200", b"0 200", b"0 200", b"0 404", b"0 200"]


def test_ranges(httpd):
    url = f"{httpd.url}/big"
    for asked, part in {"0-99": BIG[:100], "4999990-": BIG[-10:], "-5": BIG[-5:], "100-9999999": BIG[100:]}.items():
        status, fields = head(curl("-r", asked, "-D", "-", "-o", "/dev/null", url))
        assert status == 206 and int(fields["content-length"]) == len(part)
        assert curl("-r", asked, url) == part
    answer = curl("-i", "-r", "0-9,1000-1009", url)
    kind = head(answer)[1]["content-type"]
    boundary = b"\r\n--" + kind.removeprefix("multipart/byteranges; boundary=").encode()
    parts = [part.partition(b"\r\n\r\n")[2] for part in answer.partition(b"\r\n\r\n")[2].split(boundary)]
    assert parts[1:3] == [BIG[:10], BIG[1000:1010]]
    status, fields = head(curl("-i", "-r", "5000000-", url))
    assert status == 416 and fields["content-range"] == "bytes */5000000"


@pytest.mark.parametrize("client", ["curl", "wget"])
def test_a_download_goes_on_where_it_broke_off(folder, tmp_path, client):
    (tmp_path / "big").write_bytes(BIG[:1_234_567])
    with served(folder) as httpd:
        if client == "curl":
            curl("-C", "-", "-o", tmp_path / "big", f"{httpd.url}/big")
        else:
            run("wget", "wget", "-nv", "-c", f"{httpd.url}/big", cwd=tmp_path)
    assert (tmp_path / "big").read_bytes() == BIG
    assert [re.search(r" status=(\d+) .* out=(\d+)", line).groups() for line in httpd.events("request")] == [
        ("206", str(5_000_000 - 1_234_567))]


def test_only_what_has_changed(httpd, folder, tmp_path):
    url = f"{httpd.url}/text.txt"
    written = ["-o", tmp_path / "text", "-w", "%{http_code}", url]
    assert curl("-R", *written) == b"200" and os.path.getmtime(tmp_path / "text") == LONG_AGO
    assert curl("-z", tmp_path / "text", *written) == b"304"
    assert curl("-z", "2000-01-01", *written) == b"200"
    tags = ["--etag-save", tmp_path / "tag", "--etag-compare", tmp_path / "tag"]
    assert [curl(*tags, *written), curl(*tags, *written)] == [b"200", b"304"]


@pytest.mark.parametrize("name, coded", [("page.css", 100), ("text.txt", 1000)])      # by a sibling, and on the way
def test_compressed(httpd, folder, tmp_path, name, coded):
    size = int(curl("--compressed", "-o", tmp_path / "plain", "-w", "%{size_download}", f"{httpd.url}/{name}"))
    assert (tmp_path / "plain").read_bytes() == (folder / name).read_bytes() and size < coded
    status, fields = head(curl("--compressed", "-I", f"{httpd.url}/{name}"))
    assert (status, fields["content-encoding"], fields["vary"]) == (200, "gzip", "Accept-Encoding")


@pytest.mark.parametrize("path", ["/big", "/small.txt", "/", "/missing", "/sub", "/cgi-bin/teapot"])
def test_a_head_is_that_of_the_whole(httpd, path):
    status, fields = head(curl("-D", "-", "-o", "/dev/null", f"{httpd.url}{path}"))
    asked, without = head(curl("-I", f"{httpd.url}{path}"))
    if path.startswith("/cgi-bin"):     # what a program says is not awaited for its length alone
        fields.pop("content-length"), without.pop("transfer-encoding", None), without.pop("content-length", None)
    assert (asked, without) == (status, fields)


def test_other_versions(httpd):
    status, fields = head(curl("-0", "-i", f"{httpd.url}/cgi-bin/much"))
    assert status == 200 and fields["connection"] == "close" and "transfer-encoding" not in fields
    assert curl("-0", f"{httpd.url}/cgi-bin/much") == BIG
    twice = curl("-0", "-H", "Connection: keep-alive", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects}",
                 *[f"{httpd.url}/small.txt"] * 2)
    assert twice == b"10"
    assert curl("--http2", "-w", "%{http_version}", f"{httpd.url}/small.txt") == b"hello\n1.1"


def test_expect(httpd, tmp_path):
    (tmp_path / "data").write_bytes(BIG)
    out, told = run("curl", "curl", "-sv", "--max-time", SECONDS, "-H", "Expect: 100-continue", "--data-binary",
                    f"@{tmp_path / 'data'}", f"{httpd.url}/cgi-bin/echo.sh")
    assert "< HTTP/1.1 100 Continue" in told and out.partition(b"\n")[2] == BIG
    # whoever is refused before has sent nothing
    told = run("curl", "curl", "-sv", "--max-time", SECONDS, "-H", "Expect: 100-continue", "--expect100-timeout",
               SECONDS, "--data-binary", f"@{tmp_path / 'data'}", "-o", tmp_path / "page", f"{httpd.url}/small.txt")[1]
    assert "< HTTP/1.1 405 " in told and "100 Continue" not in told and "We are completely uploaded" not in told


def test_two_hosts_under_tls(folder, tmp_path):
    authority = Authority(processes.new_folder("authority"))
    pairs = [authority.pair(name) for name in ("www.one.test", "www.two.test")]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(f"<p>{name}\n")
    (tmp_path / "sites").write_text("".join(f"host www.{name}.test\nroot {tmp_path / name}\nhsts 600\n"
                                            for name in ("one", "two")))
    certificates, keys = (",".join(files) for files in zip(*pairs))
    with Serving("httpd", f"--vhosts={tmp_path / 'sites'}", f"--tls-cert={certificates}", f"--tls-key={keys}",
                 "--tls=implicit") as server:
        there = ["--cacert", authority.path]
        for name in ("one", "two", "none"):
            there += ["--resolve", f"www.{name}.test:{server.port}:127.0.0.1"]
        for name in ("one", "two"):
            answer = curl(*there, "-i", f"https://www.{name}.test:{server.port}/")
            assert answer.endswith(f"<p>{name}\n".encode())
            assert head(answer)[1]["strict-transport-security"] == "max-age=600"
        assert b" 421 " in curl(*there, "-i", "-H", "Host: www.two.test", f"https://www.one.test:{server.port}/")
        curl(*there, f"https://www.none.test:{server.port}/", expected=60)     # it has no certificate for that
        _scanned(server.port, tmp_path / "report")


def _scanned(port, report):
    """sslscan paints what is weak red and yellow; the red lines that stay are about how sslscan was built."""
    shown = run("sslscan", "sslscan", f"--xml={report}", "--sni-name=www.one.test", f"127.0.0.1:{port}")[0].decode()
    painted = [line for line in shown.splitlines() if re.search(r"\x1b\[3[13]m", line)]
    assert [line for line in painted if "compression" not in line and "zlib" not in line] == []
    found = xml.parse(report).getroot().find("ssltest")
    assert {one.get("version") for one in found.findall("protocol") if one.get("enabled") == "1"} == {"1.2", "1.3"}


@pytest.mark.parametrize("how", ["--basic", "--digest", "--anyauth"])
@pytest.mark.parametrize("login", ["basic", "digest"])
def test_curl_logs_in(folder, tmp_path, login, how):
    name = "zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"
    passwords.add(str(tmp_path / "users"), name, b"open sesame", "Members only")
    with Serving("httpd", f"--root={folder}", f"--users={tmp_path / 'users'}", f"--login={login}") as server:
        answer = curl("-i", how, "-u", f"{name}:open sesame", f"http://127.0.0.1:{server.port}/small.txt")
        assert answer.endswith(b"hello\n") is (how in ("--anyauth", f"--{login}"))


def test_curl_logs_in_with_an_account(folder, tmp_path):
    (tmp_path / "db").mkdir()
    there = accounts.open(f"{tmp_path}/db/accounts", create=True)
    there.add_domain("example.org")
    there.add_user("ann@example.org", b"open sesame")
    phone = there.add_app_password("ann@example.org", "phone", ["http"], ["127.0.0.0/8"])
    with Serving("httpd", f"--root={folder}", f"--accounts={tmp_path}/db/accounts") as server:
        url = f"http://127.0.0.1:{server.port}/small.txt"
        for password, status in ("open sesame", "200"), (phone, "200"), ("simsalabim", "401"):
            said = "-o", "/dev/null", "-w", "%{http_code}", "-u", f"ann@example.org:{password}"
            assert curl(*said, url) == status.encode()


def test_many_who_log_in_at_once_from_one_address_do_not_wait_for_each_other(folder, tmp_path):
    passwords.add(str(tmp_path / "users"), "ann", b"open sesame")
    with Serving("httpd", f"--root={folder}", f"--users={tmp_path / 'users'}") as server:
        done = run("ab", "apache2-utils", "-q", "-A", "ann:open sesame", "-n", "600", "-c", "64",
                   f"http://127.0.0.1:{server.port}/small.txt")[0]
    assert re.search(rb"Complete requests: +600\n", done) and b"Non-2xx" not in done
    assert not [line for line in server.log if " refused " in line]


@pytest.mark.parametrize("login", ["basic", "digest"])
def test_wget_logs_in(folder, tmp_path, login):
    passwords.add(str(tmp_path / "users"), "ann", b"open sesame", "Members only")
    with Serving("httpd", f"--root={folder}", f"--users={tmp_path / 'users'}", f"--login={login}") as server:
        said, url = ["-nv", "-O", "-", "--user=ann"], f"http://127.0.0.1:{server.port}/small.txt"
        assert run("wget", "wget", *said, "--password=open sesame", url)[0] == b"hello\n"
        run("wget", "wget", *said, "--password=simsalabim", url, expected=6)            # authentication failed


@LAUNCHERS
@pytest.mark.parametrize("secure", [False, True])
def test_under_every_launcher(log, folder, launcher, wait, secure):
    options, trust, scheme = ["--keep-alive=600"], [], "http"
    if secure:
        authority = Authority(processes.new_folder("authority"))
        certificate, key = authority.pair("127.0.0.1")
        options += ["--tls=implicit", f"--tls-cert={certificate}", f"--tls-key={key}"]
        trust, scheme = ["--cacert", authority.path], "https"
    with launched(log, folder, *options, launcher=launcher, wait=wait) as host:
        url = f"{scheme}://{host.address[0]}:{host.address[1]}"
        told = curl(*trust, "-w", "%{num_connects}", f"{url}/small.txt", f"{url}/small.txt", "-r", "0-4")
        assert told == b"hello1hello0"
        assert curl(*trust, f"{url}/big") == BIG
        data = BIG[:200_000]
        assert curl(*trust, "-T", "-", f"{url}/cgi-bin/echo.sh?a", data=data) == \
            b"PUT /cgi-bin/echo.sh none a 200000 none\n" + data
        log.wait_for(r"\brequest .* method=PUT .* status=200")
    assert not [line for line in log.lines if " crash " in line and not line.endswith("status=SIGKILL")]


# -- other clients --


def test_wget_mirrors_a_tree_and_then_only_looks(folder, tmp_path):
    with served(folder) as httpd:
        mirror = ["-nv", "-m", "-np", "-nH", "--cut-dirs=1", "-R", "index.html*", f"{httpd.url}/sub/"]
        run("wget", "wget", *mirror, cwd=tmp_path)
        found = filecmp.dircmp(folder / "sub", tmp_path)
        assert (found.left_only, found.right_only, found.diff_files) == ([".hidden"], [], [])
        assert filecmp.cmp(folder / "sub/deep/x y.txt", tmp_path / "deep/x y.txt", shallow=False)
        assert os.path.getmtime(tmp_path / "deep/x y.txt") == LONG_AGO
        run("wget", "wget", *mirror, cwd=tmp_path)
    files = [line for line in httpd.events("request") if "target=/sub/" in line and ".txt" in line]
    assert sorted(re.search(r" status=(\d+) ", line)[1] for line in files) == ["200", "200", "304", "304"]


def test_aria2_with_four_connections(folder, tmp_path):
    with served(folder) as httpd:
        run("aria2c", "aria2", "--no-conf", "-q", "-x4", "-s4", "-k1M", "-d", tmp_path, f"{httpd.url}/big")
    assert (tmp_path / "big").read_bytes() == BIG
    assert len([line for line in httpd.events("request") if " status=206 " in line]) >= 3
    assert len(httpd.events("open")) >= 4


@pytest.mark.parametrize("options", [["-k"], []])
def test_ab(httpd, options):
    told = run("ab", "apache2-utils", "-q", "-n", "300", "-c", "6", *options, f"{httpd.url}/small.txt")[0].decode()
    figures = dict(re.findall(r"^([\w -]+): +(\d+)", told, re.MULTILINE))
    assert (figures["Complete requests"], figures["Failed requests"]) == ("300", "0")
    assert figures["HTML transferred"] == "1800" and "Non-2xx responses" not in figures
    assert figures.get("Keep-Alive requests", "0") == ("300" if options else "0")


def test_pythons_own_clients(httpd, folder):
    there = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=SECONDS)
    for method, path, status in [("HEAD", "/big", 200), ("GET", "/small.txt", 200), ("GET", "/missing", 404),
                                 ("OPTIONS", "*", 204), ("DELETE", "/small.txt", 405), ("BREW", "/", 501)]:
        there.request(method, path)
        sock, answer = there.sock, there.getresponse()
        assert (answer.status, there.sock) == (status, sock) and len(answer.read()) == int(
            answer.headers.get("Content-Length", 0) if method != "HEAD" else 0)
    there.request("PUT", "/cgi-bin/echo.py", iter([b"one ", b"two"]), encode_chunked=True,
                  headers={"Transfer-Encoding": "chunked"})
    assert there.getresponse().read() == b"PUT /cgi-bin/echo.py none  7 none\none two"
    there.close()
    with urllib.request.urlopen(f"{httpd.url}/sub?x=1", timeout=SECONDS) as answer:
        assert answer.url == f"{httpd.url}/sub/?x=1" and answer.headers.get_content_charset() == "utf-8"
    asked = urllib.request.Request(f"{httpd.url}/sub/", headers={"Accept": "application/json"})
    with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
        entries = json.load(answer)["entries"]
    assert {entry["name"] for entry in entries} == {name for name in os.listdir(folder / "sub") if name[0] != "."}


# -- programs --


@pytest.mark.parametrize("language", ECHO)
def test_a_program_in(httpd, language):
    machine.program(*INTERPRETERS[language])
    url, name = f"{httpd.url}/cgi-bin/echo.{language}", f"/cgi-bin/echo.{language}"
    assert curl("-H", "X-Colour: red", f"{url}/a%20b/c?x=%20&y") == f"GET {name} /a b/c x=%20&y none red\n".encode()
    for size in (0, 1, 70_000, len(BIG)):
        for chunked in ([], ["-H", "Transfer-Encoding: chunked"]):
            told, _, body = curl("--data-binary", "@-", *chunked, f"{url}?-s", data=BIG[:size]).partition(b"\n")
            assert told == f"POST {name} none -s {size} none".encode() and body == BIG[:size]
    # neither a proxy that nobody here has, nor what another field's name looks like
    assert b" red\n" in curl("-H", "X-Colour: red", "-H", "X_Colour: blue", "-H", "Proxy: evil", url)


def test_what_a_program_may_answer(httpd):
    url = f"{httpd.url}/cgi-bin"
    answer = curl("-i", f"{url}/teapot")
    assert answer.startswith(b"HTTP/1.1 418 A teapot\r\n") and answer.endswith(b"\r\n\r\nshort and stout")
    status, fields = head(curl("-i", f"{url}/local"))
    assert (status, fields["content-type"]) == (200, "text/plain; charset=utf-8") and "location" not in fields
    assert curl(f"{url}/local") == b"hello\n"
    status, fields = head(curl("-i", f"{url}/away"))
    assert (status, fields["location"]) == (302, "https://www.example.org/?q=1")
    assert curl("-i", f"{url}/nph-own") == \
        b"HTTP/1.1 203 My own words\r\nX-Own: yes\r\nConnection: close\r\n\r\nall of it"
    assert curl(f"{url}/much") == BIG
    assert b" 502 " in curl("-i", f"{url}/silent").partition(b"\r\n")[0]
    assert b" 404 " in curl("-i", f"{url}/none").partition(b"\r\n")[0]
    assert b" 404 " in curl("-i", f"{url}/").partition(b"\r\n")[0]


@pytest.mark.parametrize("launcher, wait", [(Xinetd, NOWAIT), (Xinetd, WAIT), (SocketActivate, WAIT)])
def test_what_a_program_complains_of_is_logged(log, folder, launcher, wait):
    with launched(log, folder, launcher=launcher, wait=wait) as host:
        assert curl(f"http://127.0.0.1:{host.address[1]}/cgi-bin/complains") == b"well"
        if launcher is Xinetd:
            assert log.wait_for(r"\bstderr ").text == 'stderr text="it hurts here"'
        else:                           # its stderr is whoever's who started it
            machine.until(lambda: "it hurts here" in host.log())


@SHARING
def test_a_program_that_hangs_is_gone_with_all_that_it_started(log, folder, model):
    with launched(log, folder, "--cgi-time=1", f"--model={model}", launcher=Xinetd) as host:
        assert b" 504 " in curl("-i", f"http://127.0.0.1:{host.address[1]}/cgi-bin/hangs").partition(b"\r\n")[0]
        told = log.wait_for(r"\bstderr .*hanging").text
        pids = list(map(int, re.findall(r"\d+", told)))
        machine.until(lambda: not any(map(processes.running, pids)))
        assert len(pids) == 2 and "was not done within 1 seconds" in log.wait_for(r"\bscript ").text


def test_a_program_that_says_too_much_is_cut_off(folder):
    with Serving("httpd", f"--root={folder}", "--cgi=/cgi-bin", "--cgi-most=1M") as server:
        url = f"http://127.0.0.1:{server.port}/cgi-bin/much"
        assert len(curl(url, expected=18)) <= 1 << 20           # CURLE_PARTIAL_FILE
    assert "said more than 1048576 octets" in server.events("script")[0]


def test_programs_of_the_file_of_sites_run_in_the_sandbox(folder, tmp_path):
    (tmp_path / "sites").write_text(f"host 127.0.0.1\nroot {folder}\ncgi /cgi-bin/\n")
    with Serving("httpd", f"--vhosts={tmp_path / 'sites'}", "--sandbox=on") as server:
        assert curl(f"http://127.0.0.1:{server.port}/cgi-bin/teapot") == b"short and stout"


def test_git_clones_and_pushes(folder, tmp_path):
    """git-http-backend, in the sandbox; what it writes is named by --cgi-writes."""
    home, repositories, spool = (Path(processes.new_folder(name)) for name in ("git", "repositories", "spool"))
    environment = {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
                   **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}}

    def git(*arguments, cwd=home, expected=0):
        out, told = run("git", "git", *arguments, cwd=cwd, environment=environment, expected=expected)
        return out.decode() + told

    git("init", "-q", "--bare", "-b", "main", repositories / "one.git")
    git("config", "http.receivepack", "true", cwd=repositories / "one.git")
    (folder / "cgi-bin/git").write_text(f"#!/bin/sh\nexport GIT_PROJECT_ROOT={repositories} GIT_HTTP_EXPORT_ALL=1\n"
                                        "export GIT_CONFIG_NOSYSTEM=1\nexec git http-backend\n")
    (folder / "cgi-bin/git").chmod(0o755)
    options = [f"--root={folder}", "--cgi=/cgi-bin", "--sandbox=strict", f"--spool={spool}"]
    with Serving("httpd", *options, f"--cgi-writes={repositories}") as server:
        url = f"http://127.0.0.1:{server.port}/cgi-bin/git/one.git"
        git("clone", "-q", url, home / "first")
        (home / "first/file").write_bytes(BIG)          # over http.postBuffer, so it comes in chunks
        git("add", ".", cwd=home / "first")
        git("commit", "-qm", "first", cwd=home / "first")
        git("push", "-q", "origin", "HEAD:main", cwd=home / "first")
        git("clone", "-q", url, home / "second")
        assert (home / "second/file").read_bytes() == BIG
        git("fsck", "--strict", cwd=repositories / "one.git")
    with Serving("httpd", *options, f"--cgi-reads={repositories}") as server:
        url = f"http://127.0.0.1:{server.port}/cgi-bin/git/one.git"
        git("clone", "-q", url, home / "third")
        (home / "third/more").write_text("more\n")
        git("add", ".", cwd=home / "third")
        git("commit", "-qm", "second", cwd=home / "third")
        git("push", "-q", url, "HEAD:main", cwd=home / "third", expected=1)


# -- the log of requests, the end, and the new beginning --


class Askers:
    """Threads that ask over connections that stay, each for an address of its own; what went wrong is raised."""

    def __init__(self, port, threads=4):
        self.port, self.asked, self.failures, self.over = port, [], [], False
        self.threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(threads)]

    def _ask(self, number):
        there = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        count = 0
        while not self.over:
            path, is_new = f"/small.txt?{number}-{count}", there.sock is None
            try:
                there.request("GET", path)
                answer = there.getresponse()
                assert (answer.status, answer.read()) == (200, b"hello\n")
            except (http.client.RemoteDisconnected, ConnectionError) as error:
                if is_new:              # one that had been idle may close at any time (RFC 9112, 9.3.1)
                    self.failures.append(error)
                    return
                there.close()
                continue
            except Exception as error:
                self.failures.append(error)
                return
            self.asked.append(path)
            count += 1

    def answered(self, more):
        """Wait until so many more were."""
        wanted = len(self.asked) + more
        machine.until(lambda: self.failures or len(self.asked) >= wanted, what="answers")
        assert not self.failures

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join()
        assert not self.failures


@pytest.mark.parametrize("model, form, pattern", [
    ("thread", "common", r'127\.0\.0\.1 - - \[[^]]+\] "GET (\S+) HTTP/1\.1" 200 6'),
    ("fork", "combined", r'127\.0\.0\.1 - - \[[^]]+\] "GET (\S+) HTTP/1\.1" 200 6 "-" "-"')])
def test_no_line_is_lost_when_the_log_is_moved_away(folder, model, form, pattern):
    logs = Path(processes.new_folder("logs"))
    current = logs / "access"
    with Serving("httpd", f"--root={folder}", f"--access-log={current}", f"--access-format={form}",
                 f"--model={model}", "--processes=2") as server, Askers(server.port) as askers:
        for number in range(2):
            askers.answered(100)
            current.rename(logs / f"access.{number}")
            machine.until(current.exists, what="a log that is begun anew")
        askers.answered(100)
    lines = [re.fullmatch(pattern, line) for file in logs.iterdir() for line in file.read_text().splitlines()]
    assert all(lines) and sorted(line[1] for line in lines) == sorted(askers.asked)
    assert all(file.stat().st_size for file in logs.iterdir())


@SHARING
def test_sigterm_ends_who_is_idle_and_lets_a_download_finish(log, folder, model):
    ask = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
    with launched(log, folder, f"--model={model}", "--keep-alive=600", "--grace=600") as host:
        idle = [clients.connect(host.address) for _ in range(4)]
        for sock in idle:
            sock.sendall(ask % b"small.txt")
            assert sock.recv(65536).endswith(b"hello\n")
        with clients.connect(host.address) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(ask % b"big")
            heard = sock.recv(1000)
            machine.until(lambda: len([line for line in log.lines if " request " in f" {line} "]) == 4)
            os.kill(host.pid, signal.SIGTERM)
            for one in idle:
                with one:
                    assert one.recv(1) == b""
            while piece := sock.recv(65536):
                heard += piece
        assert heard.partition(b"\r\n\r\n")[2] == BIG
        assert host.wait() == 0
    assert not [line for line in log.lines if " crash " in line and not line.endswith("status=SIGKILL")]


@SHARING
def test_sigterm_does_not_wait_for_who_has_said_nothing(log, folder, model):
    """Browsers keep a connection ready on which they may never ask."""
    with launched(log, folder, f"--model={model}", "--timeout=600", "--grace=600") as host, \
            clients.connect(host.address) as sock:
        log.wait_for(r"\bopen ")
        os.kill(host.pid, signal.SIGTERM)
        assert sock.recv(1) == b"" and host.wait() == 0


def test_what_comes_together_with_sigterm_is_answered(log, folder):
    """A process that has no turn until both are there: recv(2) has taken the octets when the signal's handler runs."""
    with launched(log, folder, "--model=fork", "--processes=1") as host, clients.connect(host.address) as sock:
        child = log.wait_for(r"\bopen ").pid
        machine.until(lambda: all(asleep(child) for _ in range(50)), what="a child that waits")
        ours = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(ours)})
            os.sched_setaffinity(child, {min(ours)})
            os.sched_setscheduler(child, os.SCHED_IDLE, os.sched_param(0))
            sock.sendall(b"GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n")
            os.kill(child, signal.SIGTERM)
        finally:
            os.sched_setaffinity(0, ours)
        assert sock.recv(65536).endswith(b"\r\n\r\nhello\n")


def asleep(pid):
    """Does a process wait for something?"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@SHARING
def test_a_restart_by_sighup_fails_no_request(log, folder, model):
    with launched(log, folder, f"--model={model}", "--processes=2") as host, \
            Askers(host.address[1], 2) as askers, concurrent.futures.ThreadPoolExecutor(1) as pool:
        askers.answered(1)
        loaded = pool.submit(run, "ab", "apache2-utils", "-q", "-n", "200", "-c", "2",
                             f"http://127.0.0.1:{host.address[1]}/small.txt")
        for number in range(2):
            os.kill(host.pid, signal.SIGHUP)
            log.wait_for(r"\bstart ", count=number + 2)
            askers.answered(10)
        told = loaded.result()[0].decode()
        assert re.search(r"Failed requests: +0\n", told) and "Non-2xx" not in told
        assert "Complete requests:      200\n" in told
    assert not [line for line in log.lines if " crash " in line and not line.endswith("status=SIGKILL")]
