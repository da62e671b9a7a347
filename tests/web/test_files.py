"""Files over HTTP: conditions, ranges, codings, folders, what is no file, and files that change meanwhile.

RFC 9110, 8.8, 12.5.3, 13 and 14.  What is remembered of a file is never shown once it is another one.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import socket
import tempfile
import threading

import pytest

from daemons.stores import webtree
from daemons.web import files
from tests.serving import SECONDS, Serving

from .browsing import Torn, Web, replies, request

TEXT = b"".join(b"line %d of many\n" % number for number in range(100))
LATER = 3600.0          # by that much a clock is ahead for which all files changed long ago


@pytest.fixture
def root(tmp_path):
    """A folder with a text in it."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "a.txt").write_bytes(TEXT)
    return folder


@pytest.fixture(params=[0.0, LATER], ids=["fresh", "settled"])
def web(root, request):
    """A server for it, to which its files are new, or old."""
    return Web(f"--root={root}", "--listing=yes", ahead=request.param)


def write(path, data):
    """A file that is replaced as a whole."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.replace(path)
    return path


# -- the whole --

def test_a_whole_file(web):
    for _ in range(3):                  # the second and third may be remembered
        reply = web.get("/a.txt")
        assert (reply.status, reply.body) == (200, TEXT)
        assert reply["content-type"] == "text/plain; charset=utf-8" and reply["x-content-type-options"] == "nosniff"
        assert reply["accept-ranges"] == "bytes" and reply["etag"][0] == reply["etag"][-1] == '"'
        assert reply["last-modified"].endswith(" GMT") and reply["date"].endswith(" GMT") and not reply.closes


@pytest.mark.parametrize("name, size", [("empty", 0), ("one", 1), ("small", files.SMALL), ("larger", files.SMALL + 1),
                                        ("once", files.AT_ONCE), ("sent", files.AT_ONCE + 1), ("big", 3 << 20)])
def test_files_of_every_size(root, web, name, size):
    data = os.urandom(size)
    (root / name).write_bytes(data)
    for _ in range(3):
        reply = web.get(f"/{name}")
        assert reply.status == 200 and reply.body == data and reply["content-length"] == str(size)
        assert reply["content-type"] == "application/octet-stream"


def headers(reply):
    return [(name, value) for name, value in reply.fields if name != "date"]


@pytest.mark.parametrize("target", ["/a.txt", "/", "/folder", "/folder/", "/none", "/.hidden", "/a.txt/", "/big"])
def test_head_is_the_head_of_get(root, web, target):
    (root / "folder").mkdir()
    (root / "folder" / "index.html").write_text("<p>index")
    (root / "big").write_bytes(b"x" * 100_000)
    for fields in ([], ["If-None-Match: *"], ["If-Match: \"x\""], ["Accept-Encoding: gzip"],
                   ["Accept: application/json"]):
        for _ in range(2):
            get, head = web.get(target, *fields), web.ask("HEAD", target, *fields)
            assert (head.status, headers(head), head.body) == (get.status, headers(get), b"")


def test_a_file_is_no_folder(web):
    assert [web.get(target).status for target in ("/a.txt/", "/a.txt/b", "/a.txt//", "/a.txt/.")] == [404] * 4


@pytest.mark.parametrize("method, status", [("POST", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("TRACE",
                                                                                                           405),
                                            ("PROPFIND", 405), ("BREW", 501), ("get", 501), ("GETS", 501)])
def test_other_methods(root, web, method, status):
    for target in ("/a.txt", "/", "/none"):
        reply = web.ask(method, target)
        assert reply.status == status and reply["allow"] == ("GET, HEAD, OPTIONS" if status == 405 else None)
    assert (root / "a.txt").read_bytes() == TEXT


def test_the_page_of_a_new_server_is_got_and_nothing_else():
    web = Web()
    assert web.get("/").status == 200 and b"It works" in web.get("/").body
    assert web.ask("HEAD", "/").body == b""
    assert web.ask("OPTIONS", "/").status == web.ask("OPTIONS", "*").status == 204
    assert [web.ask(method, "/").status for method in ("POST", "DELETE", "TRACE", "BREW")] == [405, 405, 405, 501]


# -- conditions: RFC 9110, 13 --

def test_who_has_it_gets_a_304_without_a_body(web):
    first = web.get("/a.txt")
    for fields in ([f"If-None-Match: {first['etag']}"], ["If-None-Match: *"],
                   [f'If-None-Match: "x", W/{first["etag"]}'],
                   [f"If-Modified-Since: {first['last-modified']}"]):
        for method in ("GET", "HEAD"):
            reply = web.ask(method, "/a.txt", *fields)
            assert (reply.status, reply.body) == (304, b"") and reply["etag"] == first["etag"]
            assert reply["content-length"] is None and reply["content-type"] is None
            outcome = web.outcome(request(method, "/a.txt", *fields) + request("HEAD", "/none"))
            assert [one.status for one in replies(outcome.heard, [method, "HEAD"])] == [304, 404]


OLD, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2999 00:00:00 GMT"


@pytest.mark.parametrize("fields, status", [
    ([], 200),
    (["If-Match: {etag}"], 200), (["If-Match: *"], 200), (['If-Match: "x"'], 412), (["If-Match: W/{etag}"], 412),
    # 13.1.1
    (["If-None-Match: {etag}"], 304), (['If-None-Match: "x"'], 200), (["If-None-Match: W/{etag}"], 304),
    # 13.1.2
    ([f"If-Modified-Since: {OLD}"], 200), (["If-Modified-Since: {date}"], 304), (["If-Modified-Since: {day}"], 200),
    # 13.1.3
    ([f"If-Modified-Since: {FUTURE}"], 200), (["If-Modified-Since: yesterday"], 200),
    ([f"If-Unmodified-Since: {OLD}"], 412), (["If-Unmodified-Since: {date}"], 200),
    # 13.1.4
    # the order of 13.2.2
    (["If-Match: {etag}", f"If-Unmodified-Since: {OLD}"], 200),
    (['If-Match: "x"', "If-Unmodified-Since: {date}"], 412),
    (['If-None-Match: "x"', "If-Modified-Since: {date}"], 200),
    (["If-None-Match: {etag}", f"If-Modified-Since: {OLD}"], 304),
    (['If-Match: "x"', "If-None-Match: {etag}"], 412), (["If-Match: {etag}", "If-None-Match: {etag}"], 304),
    (["If-None-Match: {etag}", "Range: bytes=0-1"], 304), (["If-None-Match: {etag}", "Range: bytes=9999-"], 304),
    (['If-Match: "x"', "Range: bytes=0-1"], 412), (["If-Match: {etag}", "Range: bytes=0-1"], 206),
])
def test_conditions(web, fields, status):
    first = web.get("/a.txt")
    words = {"etag": first["etag"], "date": first["last-modified"], "day": "Thu"}
    reply = web.get("/a.txt", *[field.format(**words) for field in fields])
    assert reply.status == status and (reply.body == TEXT) is (status == 200)


def test_each_version_has_a_tag_of_its_own(root, web):
    seen = {}
    for number in range(50):
        data = b"version %03d" % number
        write(root / "a.txt", data)
        reply = web.get("/a.txt")
        assert reply.body == data and reply["etag"] not in seen
        seen[reply["etag"]] = data
        assert all(web.get("/a.txt", f"If-None-Match: {etag}").status == 200 for etag in list(seen)[:-1])


# -- ranges: RFC 9110, 14 --

@pytest.fixture(params=["a.txt", "big"], ids=["small", "big"])
def target(root, request):
    """A file, small or big, and what is in it."""
    data = TEXT if request.param == "a.txt" else b"".join(b"%07d\n" % number for number in range(40_000))
    (root / request.param).write_bytes(data)
    return f"/{request.param}", data


@pytest.mark.parametrize("wanted, first, last", [
    ("0-0", 0, 0), ("0-", 0, None), ("5-9", 5, 9), ("9-99999999999999999999999", 9, None), ("-1", -1, None),
    ("-9999999", 0, None),
    ("-100", -100, None), ("100-", 100, None), (" 0-1 , ", 0, 1), ("0-4,5-9", 0, 9), ("3-9,0-4", 0, 9),
])
def test_one_range(web, target, wanted, first, last):
    path, data = target
    whole = web.get(path)
    reply = web.get(path, f"Range: bytes={wanted}")
    first, last = first % len(data), len(data) - 1 if last is None else last
    assert (reply.status, reply.body) == (206, data[first:last + 1])
    assert reply["content-range"] == f"bytes {first}-{last}/{len(data)}"
    for name in ("etag", "last-modified", "content-type", "accept-ranges"):     # 15.3.7
        assert reply[name] == whole[name]


def test_the_last_octet_of_all(web, target):
    path, data = target
    reply = web.get(path, f"Range: bytes={len(data) - 1}-")
    assert (reply.status, reply.body) == (206, data[-1:])


def parts_of(reply):
    """(first, last, octets) of each part of a multipart/byteranges."""
    kind, _, boundary = reply["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges" and reply["content-range"] is None       # 15.3.7.2
    _, *parts, end = reply.body.split(f"\r\n--{boundary}".encode())
    assert end == b"--\r\n"
    found = []
    for part in parts:
        head, _, data = part.partition(b"\r\n\r\n")
        assert b"Content-Type: " in head
        place = head.partition(b"Content-Range: bytes ")[2].partition(b"/")[0].split(b"-")
        found.append((int(place[0]), int(place[1]), data))
    return found


@pytest.mark.parametrize("wanted, places", [
    ("0-4,10-14", [(0, 4), (10, 14)]), ("10-14,0-4", [(10, 14), (0, 4)]), ("0-0,-1", [(0, 0), (-1, -1)]),
    ("0-4,99999999-,10-11", [(0, 4), (10, 11)]),
])
def test_several_ranges(web, target, wanted, places):
    path, data = target
    reply = web.get(path, f"Range: bytes={wanted}")
    assert reply.status == 206
    found = parts_of(reply)
    places = [(first % len(data), last % len(data)) for first, last in places]
    if wanted.startswith("0-4,9999"):
        places = [(0, 4), (10, 11)]
    assert found == [(first, last, data[first:last + 1]) for first, last in places]


@pytest.mark.parametrize("wanted", [
    "bytes=", "bytes=x-y", "bytes=5-4", "bytes=1", "bytes", "lines=0-1", "bytes=0-1;2-3", "bytes=--1", "bytes=0x0-0x1",
    "bytes=-",
    "bytes=\xb2-\xb3", "bytes 0-1", "bytes=" + ",".join(f"{place}-{place}" for place in range(0, 1200, 2)),
    "bytes=0-," + ",".join(f"5-{place}" for place in range(5, 1300)),               # CVE-2011-3192
])
def test_ranges_that_count_for_nothing(web, wanted):
    reply = web.get("/a.txt", f"Range: {wanted}")
    assert (reply.status, reply.body) == (200, TEXT)


@pytest.mark.parametrize("wanted", ["99999999-", "-0", "99999999-99999999,88888888-", f"{len(TEXT)}-"])
def test_a_range_that_is_not_there(web, wanted):
    reply = web.get("/a.txt", f"Range: bytes={wanted}")
    assert (reply.status, reply["content-range"]) == (416, f"bytes */{len(TEXT)}")


def test_of_an_empty_file_there_is_the_whole(root, web):
    (root / "empty").touch()
    for wanted in ("0-", "-1", "0-0"):
        reply = web.get("/empty", f"Range: bytes={wanted}")
        assert (reply.status, reply.body) == (200, b"")


def test_only_get_has_ranges(web):      # 14.2
    assert web.ask("HEAD", "/a.txt", "Range: bytes=0-1").status == 200
    assert web.ask("POST", "/a.txt", "Range: bytes=0-1").status == 405


@pytest.mark.parametrize("condition, status", [
    ("{etag}", 206), ("W/{etag}", 200), ('"x"', 200), (OLD, 200), (FUTURE, 200), ("yesterday", 200), ("*", 200),
    ("{etag}, {etag}", 200),
])
def test_if_range(web, condition, status):      # 13.1.5
    etag = web.get("/a.txt")["etag"]
    reply = web.get("/a.txt", "Range: bytes=0-3", f"If-Range: {condition.format(etag=etag)}")
    assert (reply.status, reply.body) == (status, TEXT[:4] if status == 206 else TEXT)


def test_a_date_for_if_range_counts_only_when_it_is_a_strong_validator(web):      # 13.1.5 and 8.8.2.2
    date = web.get("/a.txt")["last-modified"]
    reply = web.get("/a.txt", "Range: bytes=0-3", f"If-Range: {date}")
    assert reply.status == (206 if web.ahead else 200)


def test_a_download_that_is_continued_is_of_one_version(root, web):
    write(root / "a.txt", b"old octets")
    first = web.get("/a.txt")
    write(root / "a.txt", b"new octets, more")
    reply = web.get("/a.txt", "Range: bytes=4-", f"If-Range: {first['etag']}")
    assert (reply.status, reply.body) == (200, b"new octets, more")


# -- codings: RFC 9110, 12.5.3 --

@pytest.fixture
def packed(root):
    """A file with compressed ones beside it."""
    for name, data in (("b.html", b"<p>plain"), ("b.html.gz", b"gzipped"), ("b.html.br", b"brotli"), ("c.css", b"c")):
        (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize("accepted, coding", [
    (None, None), ("", None), ("gzip", "gzip"), ("x-gzip", "gzip"), ("GZIP", "gzip"), ("br", "br"), ("gzip, br", "br"),
    ("gzip;q=0", None),
    ("*", "br"), ("br;q=0, *", "gzip"), ("br;q=0.1, gzip", "gzip"), ("identity", None), ("identity, gzip;q=0.5", None),
    ("deflate", None),
    ("zstd", None), ("zstd, gzip;q=0.1", "gzip"), ("gzip;q=1.5", None), ("nonsense/x", None),
])
def test_a_compressed_sibling(packed, web, accepted, coding):
    fields = [] if accepted is None else [f"Accept-Encoding: {accepted}"]
    for _ in range(2):
        reply = web.get("/b.html", *fields)
        assert (reply.status, reply["content-encoding"]) == (200, coding)
        assert reply.body == {"gzip": b"gzipped", "br": b"brotli", None: b"<p>plain"}[coding]
        assert reply["content-type"].startswith("text/html")
        assert reply["vary"] == "Accept-Encoding"       # 12.5.5: a cache is to know, whichever it got first
    if coding:
        again = web.get("/b.html", *fields, f"If-None-Match: {reply['etag']}")
        assert (again.status, again["vary"]) == (304, "Accept-Encoding")        # 15.4.5


def test_each_coding_is_another_representation(packed, web):      # 8.8.3.3
    os.utime(packed / "b.html", (1_600_000_000, 1_600_000_000))
    for name, coding in (("b.html.gz", "gzip"), ("b.html.br", "br")):
        (packed / name).write_bytes(b"<p>PLAIN")         # as long, and of the same moment
        os.utime(packed / name, (1_600_000_000, 1_600_000_000))
        tags = {web.get("/b.html")["etag"], web.get("/b.html", f"Accept-Encoding: {coding}")["etag"]}
        assert len(tags) == 2, "a download that is continued would mix them"


def test_a_sibling_that_is_older_is_another_version(packed, web):
    os.utime(packed / "b.html.gz", (1, 1))
    assert web.get("/b.html", "Accept-Encoding: gzip").body == b"<p>plain"


def test_a_sibling_without_its_file_and_one_that_is_none(packed, web):
    (packed / "d.html.gz").write_bytes(b"alone")
    (packed / "c.css.gz").mkdir()
    (packed / "e.js").write_bytes(b"e")
    (packed / "e.js.gz").symlink_to("/etc/passwd")
    assert web.get("/d.html", "Accept-Encoding: gzip").status == 404
    assert web.get("/c.css", "Accept-Encoding: gzip").body == b"c"
    assert web.get("/e.js", "Accept-Encoding: gzip").body == b"e"
    assert web.get("/b.html.gz").body == b"gzipped" and web.get("/b.html.gz")["content-encoding"] is None


def test_what_is_the_same_for_all_does_not_vary(packed, web):
    assert web.get("/c.css")["vary"] is None and web.get("/c.css", "Accept-Encoding: gzip")["vary"] is None
    (packed / "long.css").write_bytes(b"x" * 5000)
    assert web.get("/long.css")["vary"] == "Accept-Encoding"


def test_siblings_may_be_off(packed):
    assert Web(f"--root={packed}", "--siblings=no").get("/b.html", "Accept-Encoding: br, gzip").body == b"<p>plain"


def test_a_range_of_a_coding(packed, web):
    reply = web.get("/b.html", "Accept-Encoding: gzip", "Range: bytes=2-3")
    assert (reply.status, reply.body, reply["content-encoding"], reply["content-range"]) == \
        (206, b"ip", "gzip", "bytes 2-3/7")


# -- folders --

def test_an_index_stands_for_its_folder(root, web):
    (root / "docs").mkdir()
    (root / "docs" / "index.htm").write_text("second")
    assert web.get("/docs/").body == b"second"
    (root / "docs" / "index.html").write_text("first")
    assert web.get("/docs/").body == b"first"
    (root / "docs" / "index.html").unlink()
    (root / "docs" / "index.html").mkdir()
    assert web.get("/docs/").body == b"second"


def test_an_index_may_be_a_link_within(root, web):
    (root / "index.html").symlink_to("a.txt")
    assert web.get("/index.html").body == TEXT, "the file is shown where it is asked for"
    assert web.get("/").body == TEXT, "so it stands for its folder, too"


def test_a_folder_without_its_slash(root, web):
    (root / "docs").mkdir()
    (root / "na\u00efve folder?").mkdir()
    for target, location in (("/docs", "/docs/"), ("/docs?a=b&c", "/docs/?a=b&c"), ("/docs?", "/docs/?"), ("//docs",
                                                                                                           "/docs/"),
                             ("/na%c3%afve%20folder%3F", "/na%C3%AFve%20folder%3F/")):
        reply = web.get(target)
        assert (reply.status, reply["location"]) == (301, location)


def test_without_a_listing_an_empty_folder_is_not_there(root):
    (root / "docs").mkdir()
    web = Web(f"--root={root}")
    assert web.get("/docs/").status == web.get("/").status == 404 and web.get("/docs").status == 301


NAMES = ["b.txt", "a file.txt", "100%.txt", "q?x#y", "e\u0301.txt", "\u2028", "<script>alert(1)<",
         '"><img src=x onerror=alert(1)>', "a'b",
         "javascript:alert(1)", "tab\there", "line\nbreak", "back\\slash", "&amp;", "~", "-", "C:", "%2e%2e"]


def hrefs(page):
    from html.parser import HTMLParser

    class Links(HTMLParser):
        """The links of a page, and whether it has what no page of ours has."""

        found, tags = (), set()

        def handle_starttag(self, tag, attrs):
            self.tags = self.tags | {tag}
            assert not any(name.startswith("on") for name, _ in attrs)
            self.found = (*self.found, *(value for name, value in attrs if name == "href"))

    links = Links()
    links.feed(page)
    assert not links.tags & {"script", "img", "iframe", "object", "svg", "form"}
    return links.found


def test_a_listing_has_a_link_to_each_name_and_runs_none(root, web):
    from urllib.parse import urljoin, urlsplit
    for name in NAMES:
        (root / name).write_text(name)
    with open(os.fsencode(root) + b"/latin-\xe9", "w") as file:
        file.write("latin")
    reply = web.get("/")
    assert reply["content-type"] == "text/html; charset=utf-8"
    assert reply["content-security-policy"].startswith("default-src 'none'")
    shown = hrefs(reply.body.decode())
    links = [urljoin("http://www.example.org/", link) for link in shown if not link.startswith("?")]
    assert all(urlsplit(link).netloc == "www.example.org" for link in links)
    bodies = {web.get(link.removeprefix("http://www.example.org")).body for link in links
              if urlsplit(link).path not in ("", "/")}
    assert bodies == {TEXT, b"latin", *(name.encode() for name in NAMES)}
    listed = json.loads(web.get("/", "Accept: application/json").body)["entries"]
    assert {one["name"] for one in listed} == {"a.txt", "latin-\ufffd", *NAMES}
    assert {web.get(urlsplit(urljoin("http://h/", one["href"])).path).body for one in listed} == bodies


def test_a_listing_in_json_or_for_people(root, web):
    (root / "sub").mkdir()
    reply = web.get("/", "Accept: application/json")
    assert reply["content-type"] == "application/json" and reply["vary"] == "Accept"
    told = json.loads(reply.body)
    assert told["path"] == "/" and [one["name"] for one in told["entries"]] == ["sub", "a.txt"]
    assert told["entries"][1]["size"] == len(TEXT) and told["entries"][0]["href"] == "sub/"
    for accept in ("text/html", "*/*", "text/html, application/json;q=0.9", "application/json;q=0, */*"):
        assert web.get("/", f"Accept: {accept}")["content-type"] == "text/html; charset=utf-8"
    assert web.get("/")["vary"] == "Accept"


def test_what_is_hidden_is_neither_listed_nor_shown(root, web):
    for name in (".git", ".well-known"):
        (root / name).mkdir()
        (root / name / "config").write_text("secret")
    (root / ".env").write_text("secret")
    (root / "sub").mkdir()
    (root / "sub" / ".well-known").mkdir()
    (root / "sub" / ".well-known" / "x").write_text("secret")
    (root / ".well-known" / ".x").write_text("secret")
    page = web.get("/").body
    assert b".env" not in page and b".git" not in page
    listed = json.loads(web.get("/", "Accept: application/json").body)["entries"]
    assert not any(one["name"].startswith(".") for one in listed)
    for target in ("/.env", "/.git/config", "/.git/", "/.git", "/%2eenv", "/sub/../.env", "/.well-known/.x",
                   "/sub/.well-known/x", "/..."):
        assert web.get(target).status == 404
    assert web.get("/.well-known/config").body == b"secret"    # RFC 8615: the one that is for everybody


def test_only_what_can_be_had_is_listed(root, web, tmp_path):
    (tmp_path / "outside").write_bytes(b"x" * 123_457)
    (root / "within").symlink_to("a.txt")
    for name, target in (("out", "../outside"), ("absolute", tmp_path / "outside"), ("nowhere", "none"), ("loop",
                                                                                                          "loop")):
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    listed = {one["name"]: one["size"] for one in json.loads(web.get("/", "Accept: application/json").body)["entries"]}
    assert all(web.get(f"/{name}").status == 200 for name in listed), "and what is outside is nobody's business"
    assert listed == {"a.txt": len(TEXT), "within": len(TEXT)}


def test_columns_of_a_listing(root, web):
    (root / "b.txt").write_bytes(b"x")
    def order(query):
        page = web.get(f"/{query}").body
        return page.index(b"a.txt") < page.index(b"b.txt")
    assert order("") and order("?sort=name") and not order("?sort=name&order=desc")
    assert not order("?sort=size") and order("?sort=size&order=desc")
    assert order("?sort=<script>") and b"<script" not in web.get("/?sort=<script>&order=\"'>").body


def test_a_readme_is_shown_as_text(root, web):
    (root / "README.md").write_text("# <script>alert(1)</script>\n")
    page = web.get("/").body
    assert b"&lt;script&gt;alert(1)" in page and b"<script" not in page
    (root / "README.md").unlink()
    (root / "README").symlink_to("/etc/passwd")
    os.mkfifo(root / "README.txt")
    assert b"root:" not in web.get("/").body


# -- what is no file --

@contextlib.contextmanager
def bound(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        yield


def test_what_is_no_file_is_not_opened(root, web):
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to("fifo")
    os.mkfifo(root / "index.html")
    with bound(root / "socket"):
        for name in ("fifo", "link", "socket"):
            for fields in ([], ["Range: bytes=0-1"], ["If-None-Match: *"], ["Accept-Encoding: gzip"]):
                assert web.get(f"/{name}", *fields).status == web.ask("HEAD", f"/{name}", *fields).status == 403
    assert web.get("/index.html").status == 403 and web.get("/").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
def test_a_device_is_not_opened(root, web):
    for name, kind, number in (("zero", 0o020666, os.makedev(1, 5)), ("tty", 0o020666, os.makedev(5, 0)), ("disk",
                                                                                                           0o060666,
                                                                                                           os.makedev(7,
                                                                                                                      0))):
        os.mknod(root / name, kind, number)
        assert web.get(f"/{name}").status == 403


@contextlib.contextmanager
def nobody():
    """Somebody without rights, as far as files are concerned."""
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody who may not read it")
def test_what_may_not_be_read_is_forbidden():
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        for name, mode in (("file", 0o600), ("open", 0o644), ("unlisted", 0o711), ("closed", 0o700)):
            path = pathlib.Path(root, name)
            if mode & 0o100:
                path.mkdir()
                (path / "x").write_text("x")
            else:
                path.write_text(name)
            path.chmod(mode)
        web = Web(f"--root={root}", "--listing=yes")
        targets = ["/", "/open", "/unlisted/x", "/unlisted/y", "/unlisted/", "/file", "/closed/", "/closed/x",
                   "/closed/y"]
        assert [web.get(target).status for target in targets] == [200, 200, 200, 404, 200, 200, 200, 200, 404]
        with nobody():
            assert [web.get(target).status for target in targets] == [200, 200, 200, 404, 403, 403, 403, 403, 403]


# -- files that change --

def test_each_version_of_a_file_is_read(root):
    web = Web(f"--root={root}")
    for number in range(300):
        data = (b"%05d" % number) * (1 + number % 3)
        if number % 2:
            write(root / "a.txt", data)
        else:
            (root / "a.txt").write_bytes(data)
        assert [web.get("/a.txt").body for _ in range(3)] == [data] * 3


def test_what_is_remembered_is_the_file_as_it_is(root):
    web = Web(f"--root={root}", ahead=LATER)
    for number in range(300):           # each is a file of its own, whatever its times are
        data = b"%05d" % number
        write(root / "a.txt", data)
        os.utime(root / "a.txt", (1, 1))
        assert [web.get("/a.txt").body for _ in range(3)] == [data] * 3
    (root / "a.txt").unlink()
    assert web.get("/a.txt").status == 404
    (root / "a.txt").mkdir()
    assert web.get("/a.txt").status == 301


def test_a_remembered_file_that_is_a_link_now(root, tmp_path):
    web = Web(f"--root={root}", ahead=LATER)
    (root / "d").mkdir()
    (root / "d" / "x").write_text("within")
    assert [web.get("/d/x").body for _ in range(2)] == [b"within"] * 2
    (root / "d").rename(tmp_path / "d")
    (root / "d").symlink_to(tmp_path / "d")
    assert web.get("/d/x").body in (b"within", web.get("/none").body)           # the same octets, or nothing
    (tmp_path / "d" / "x").write_text("outside")
    assert web.get("/d/x").status == 404


def test_a_remembered_index_gives_way_to_one_that_comes_before_it(root):
    web = Web(f"--root={root}", "--index=first second", ahead=LATER)
    (root / "second").write_text("second")
    assert [web.get("/").body for _ in range(3)] == [b"second"] * 3
    (root / "first").write_text("first")
    assert web.get("/").body == b"first"


def test_the_folder_that_the_root_stands_for_now(tmp_path, monkeypatch):
    monkeypatch.setattr(webtree, "LOOK", 0.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
        os.utime(tmp_path / name / "a.txt", (1, 1))
    (tmp_path / "current").symlink_to("one")
    web = Web(f"--root={tmp_path}/current", ahead=LATER)
    assert [web.get("/a.txt").body for _ in range(3)] == [b"one"] * 3
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(tmp_path / "current")
    assert [web.get("/a.txt").body for _ in range(3)] == [b"two"] * 3


def test_more_files_than_are_remembered(root):
    web = Web(f"--root={root}", ahead=LATER)
    for number in range(files.REMEMBERED + 20):
        (root / f"{number}").write_text(f"{number}")
    for _ in range(2):
        assert all(web.get(f"/{number}").body == b"%d" % number for number in range(files.REMEMBERED + 20))
    site = web.server.sites.default
    assert len(site.memory) <= files.REMEMBERED
    before = len(site.memory)
    for number in range(200):           # nor do other spellings of a path fill it
        web.get(f"/{'./' * (number % 60)}1?{number}")
    assert len(site.memory) <= max(before, files.REMEMBERED)


@pytest.mark.parametrize("fields", [["Expect: 100-continue"], []])
def test_a_body_that_nobody_asked_for_changes_no_reply(root, fields):
    """A remembered file is no other file: where a body comes with the request, it is passed over, or the end comes."""
    web = Web(f"--root={root}", ahead=LATER)
    asked = request("GET", "/a.txt", *fields, "Content-Length: 5")
    said = [asked if fields else asked + b"Hello", request("HEAD", "/none")]
    for _ in range(3):
        found = replies(web.outcome(*said).heard, ["GET", "HEAD"])
        assert [one.status for one in found] == ([200] if fields else [200, 404])
        assert found[0].body == TEXT and found[0].closes is bool(fields)


def test_a_long_body_is_not_read_to_keep_a_connection(root):
    web = Web(f"--root={root}", ahead=LATER)
    for _ in range(3):
        outcome = web.outcome(request("GET", "/a.txt", "Content-Length: 1000000") + b"x" * 1000)
        (reply,) = replies(outcome.heard)
        assert reply.closes and reply.body == TEXT


def test_a_file_that_is_replaced_all_the_time_is_whole_each_time(root):
    versions = {size: os.urandom(size) for size in (10, files.SMALL, 40_000, files.AT_ONCE + 7, 200_000)}
    known = {hashlib.sha256(data).digest() for data in versions.values()}
    write(root / "a.txt", versions[10])
    web, over = Web(f"--root={root}"), threading.Event()

    def replace():
        while not over.is_set():
            for data in versions.values():
                write(root / "a.txt", data)

    writer = threading.Thread(target=replace, daemon=True)
    writer.start()
    try:
        for _ in range(2000):
            reply = web.get("/a.txt")
            assert reply.status == 200 and hashlib.sha256(reply.body).digest() in known
    finally:
        over.set()
        writer.join(SECONDS)


# -- over a socket: big files, and those that shrink while they leave --

def test_a_big_file_arrives_whole(root):
    data = os.urandom(1 << 20) * 20
    (root / "big").write_bytes(data)
    with Serving("httpd", f"--root={root}") as server:
        asked = request("GET", "/big") + request("GET", "/big", "Range: bytes=5-12345678") + request("HEAD", "/none")
        whole, part, none = replies(server.answer(asked), ["GET", "GET", "HEAD"])
    assert whole.body == data and part.body == data[5:12345679] and none.status == 404
    assert not [line for line in server.log if " crash " in line]


@pytest.mark.parametrize("fields", [[], ["Range: bytes=1-"], ["Range: bytes=0-60000000, 62000000-62000100"]])
def test_a_file_that_shrinks_while_it_leaves_is_cut_off(root, fields):
    """What had been promised does not come, and what comes was in the file, so nobody takes it for the whole."""
    size = 64 << 20
    with open(root / "big", "wb") as file:
        for block in range(size >> 16):
            file.write(b"%08x" % block * 8192)
    with Serving("httpd", f"--root={root}", "--send-buffer=64K") as server, server.call() as sock:
        sock.sendall(request("GET", "/big", *fields) + request("GET", "/none"))
        heard = sock.recv(1000)
        os.truncate(root / "big", 32 << 20)
        while piece := sock.recv(1 << 20):
            heard += piece
    with pytest.raises(Torn) as torn:
        replies(heard)
    reply = torn.value.reply
    assert reply.status == (206 if fields else 200) and b"404 Not Found" not in heard
    body, first = reply.body, 1 if "bytes=1-" in "".join(fields) else 0
    if len(fields) and "," in fields[0]:
        head, _, body = body.partition(b"\r\n\r\n")
        assert b"bytes 0-60000000/" in head
    truth = b"".join(b"%08x" % block * 8192 for block in range(size >> 16))[first:]
    assert truth.startswith(body), "after the octets of one part come no others that could be taken for its own"
    assert [line for line in server.log if " close " in line and "reason=short" in line]


def test_a_small_file_that_shrinks_is_not_filled_up(root):
    data = os.urandom(60_000)
    (root / "a.bin").write_bytes(data)
    web, over = Web(f"--root={root}"), threading.Event()

    def shrink():
        while not over.is_set():
            (root / "a.bin").write_bytes(data)
            os.truncate(root / "a.bin", 30_000)

    writer = threading.Thread(target=shrink, daemon=True)
    writer.start()
    try:
        for _ in range(1000):
            try:
                (reply,) = replies(web.outcome(request("GET", "/a.bin")).heard)
            except Torn as torn:
                reply = torn.reply
            assert data.startswith(reply.body)
    finally:
        over.set()
        writer.join(SECONDS)


@pytest.mark.parametrize("when", [4_000_000_000, 253402300800 + 5])
def test_what_is_dated_in_the_future_has_no_date(tmp_path, when):
    (tmp_path / "a").write_text("a")
    os.utime(tmp_path / "a", (when, when))
    web = Web(f"--root={tmp_path}")
    reply = web.get("/a")
    assert reply.status == 200 and reply["last-modified"] is None and reply["etag"]
    assert web.get("/a", f"If-None-Match: {reply['etag']}").status == 304
    assert web.get("/a", "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT").status == 200
