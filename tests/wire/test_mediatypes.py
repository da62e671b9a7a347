"""Media types by extension: our table, other people's tables, and when a charset is added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpaccept import prefers
from daemons.wire.mediatypes import BUILTIN, of, parse

PLAIN = "text/plain; charset=utf-8"


@pytest.mark.parametrize("name, kind", [
    ("index.html", "text/html; charset=utf-8"), ("INDEX.HTM", "text/html; charset=utf-8"),
    ("/a/b.c/style.css", "text/css; charset=utf-8"), ("app.js", "text/javascript; charset=utf-8"),
    ("app.mjs", "text/javascript; charset=utf-8"), ("app.js.map", "application/json"),
    ("data.json", "application/json"), ("README.md", "text/markdown; charset=utf-8"), ("notes.txt", PLAIN),
    ("a.log", PLAIN), ("feed.xml", "application/xml"), ("feed.atom", "application/atom+xml"),
    ("feed.rss", "application/rss+xml"), ("logo.svg", "image/svg+xml"), ("photo.JPG", "image/jpeg"),
    ("photo.jpeg", "image/jpeg"), ("a.webp", "image/webp"), ("a.avif", "image/avif"), ("a.png", "image/png"),
    ("a.gif", "image/gif"), ("favicon.ico", "image/vnd.microsoft.icon"), ("a.woff2", "font/woff2"),
    ("a.woff", "font/woff"), ("a.ttf", "font/ttf"), ("a.mp3", "audio/mpeg"), ("a.opus", "audio/ogg"),
    ("a.mp4", "video/mp4"), ("a.webm", "video/webm"), ("a.pdf", "application/pdf"), ("a.wasm", "application/wasm"),
    ("a.epub", "application/epub+zip"), ("a.ics", "text/calendar; charset=utf-8"),
    ("a.vcf", "text/vcard; charset=utf-8"), ("a.zip", "application/zip"), ("a.tar.gz", "application/gzip"),
    ("a.tgz", "application/gzip"), ("a.xhtml", "application/xhtml+xml"), ("a.torrent", "application/x-bittorrent"),
    ("site.webmanifest", "application/manifest+json"), ("a.csv", "text/csv; charset=utf-8"),
    (" .html", "text/html; charset=utf-8"), ("..html", "text/html; charset=utf-8"),
])
def test_everyday_files(name, kind):
    assert of(name, BUILTIN) == kind


@pytest.mark.parametrize("name", [
    "", ".", "..", "html", "README", ".html", "a.", "a.html.", "a.html/", "a.html/b", "a.html/.html", "a.unknown",
    "a.html~", "a. html", "a.html ", "a.html\0", "a.html;", "a.html?", "a.htm\u0131",
])
def test_what_is_not_known(name):
    assert of(name, BUILTIN) == "application/octet-stream"


def test_every_type_of_our_own_can_be_negotiated():
    for extension, kind in BUILTIN.items():
        assert prefers("*/*", (kind,)) == kind == kind.lower()
        assert extension == extension.lower() and of(f"a.{extension}", BUILTIN).startswith(kind)
    assert len(BUILTIN) > 100


@pytest.mark.parametrize("kind, sent", [
    ("text/plain", PLAIN), ("text/x-anything", "text/x-anything; charset=utf-8"), ("text/xml", "text/xml"),
    ("text/plain;charset=iso-8859-1", "text/plain;charset=iso-8859-1"), ("application/json", "application/json"),
    ("application/xml", "application/xml"), ("image/svg+xml", "image/svg+xml"),
    ("application/javascript", "application/javascript"),
])
def test_which_types_are_labelled(kind, sent):
    assert of("a.x", {"x": kind}) == sent


def test_mime_types():
    table = parse("# comment\n\n#text/x-no no\ntext/html\thtml htm\nText/Plain  TXT  asc # those\r\n"
                  "image/jpeg\tjpeg\tjpg jpe\napplication/none\n   video/mp4 mp4\n"
                  "text/x-first same\ntext/x-last same\nvideo/ogg ogv#ogg")
    assert table == {"html": "text/html", "htm": "text/html", "txt": "text/plain", "asc": "text/plain",
                     "jpeg": "image/jpeg", "jpg": "image/jpeg", "jpe": "image/jpeg", "mp4": "video/mp4",
                     "same": "text/x-last", "ogv": "video/ogg"}


@pytest.mark.parametrize("line", [
    "html html", "/html html", "text/ html", "text/ht\0ml html", "text/h\x7f html", "t\u00e4xt/html html",
    'text/"html" html', "text/html; html", "a/b/c;d=e html", "text\\html html", "text/html, html", "@text/html html",
    "", " ", "#", "html", "type=text/html exts=html",
])
def test_lines_that_could_not_be_sent(line):
    assert parse(line) == {} and parse(f"{line}\ntext/x a") == {"a": "text/x"}


@given(st.text() | st.text(alphabet="text/html #\t\r\n.;"), st.text())
def test_whatever_a_table_says_fits_into_a_field(text, name):
    table = parse(text)
    for extension in table:
        kind = of(f"a.{extension}", table)
        assert kind.isascii() and kind.isprintable() and "/" in kind
    assert "/" in of(name, table)
