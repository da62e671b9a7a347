"""RFC 9110, 7.6: what goes on to a server behind us, and back, and under which paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.forwarded import Element
from daemons.wire.httpfields import parse
from daemons.wire.httpforward import (
    answered,
    is_loop,
    location,
    passed_on,
    request_head,
    response_head,
    spoken_for,
    target,
    upstream,
    via,
)
from daemons.wire.httpstatus import Refused
from daemons.wire.httptarget import segments


def fields(*lines):
    return parse("".join(f"{line}\r\n" for line in lines).encode("latin-1"))


# -- what the file of sites says --


@pytest.mark.parametrize("text, secure, host, port, path, authority, base", [
    ("http://127.0.0.1:8080/base/", False, "127.0.0.1", 8080, "", "127.0.0.1:8080", "/base/"),
    ("http://app.example", False, "app.example", 80, "", "app.example", "/"),
    ("https://app.example/a/b", True, "app.example", 443, "", "app.example", "/a/b"),
    ("https://App.Example:8443/", True, "app.example", 8443, "", "app.example:8443", "/"),
    ("http://[::1]:8080", False, "::1", 8080, "", "[::1]:8080", "/"),
    ("http://[::1]", False, "::1", 80, "", "[::1]", "/"),
    ("http://unix:/run/app.sock", False, "", 0, "/run/app.sock", "localhost", "/"),
    ("http://unix:/run/app.sock:/base/", False, "", 0, "/run/app.sock", "localhost", "/base/"),
    ("http://app.example:80/a%20b/", False, "app.example", 80, "", "app.example", "/a%20b/"),
])
def test_upstreams(text, secure, host, port, path, authority, base):
    made = upstream(text)
    assert (made.secure, made.host, made.port, made.path, made.authority, made.base) == \
        (secure, host, port, path, authority, base)
    assert (made.keeps_host, made.patience, made.authorities) == (False, 60, None)


def test_what_else_is_said_of_one():
    made = upstream("https://app.example/ host=client time=300 ca=/etc/app.pem")
    assert (made.keeps_host, made.patience, made.authorities) == (True, 300, "/etc/app.pem")
    assert str(made) == "https://app.example" and str(upstream("http://unix:/run/a")) == "/run/a"


@pytest.mark.parametrize("text", [
    "", "app.example", "ftp://app.example/", "http://", "http:///a", "http://a b", "http://user@app.example/",
    "http://app.example:99999/", "http://app.example/?a", "http://app.example/#a", "http://app.example/../a",
    "http://app.example/\xe9", "https://unix:/run/a", "http://unix:run/a", "http://a/ time=0", "http://a/ time=1s",
    "http://a/ time=100000", "http://a/ host=other", "http://a/ ca=/etc/a.pem", "https://a/ ca=a.pem", "http://a/ b"])
def test_what_is_no_upstream(text):
    with pytest.raises(ValueError):
        upstream(text)


# -- paths --


@pytest.mark.parametrize("base, raw, count, found", [
    ("/", "/app/x", 1, "/x"), ("/", "/app/", 1, "/"), ("/", "/app", 1, "/"), ("/base/", "/app/x", 1, "/base/x"),
    ("/base/", "/app", 1, "/base/"), ("/base/", "/app/", 1, "/base/"), ("/base", "/app/x/", 1, "/base/x/"),
    ("/base", "/app", 1, "/base"), ("/base", "/app/", 1, "/base/"), ("/", "/x/y", 0, "/x/y"), ("/", "/", 0, "/"),
    ("/base/", "/a/b/c", 2, "/base/c"), ("/", "/app//x", 1, "/x"), ("/", "/app/./x/../y", 1, "/y"),
    ("/", "/app/x/..", 1, "/"), ("/", "/app/x/.", 1, "/x/"), ("/", "/app/%2e%2E/app/z", 1, "/z"),
    ("/", "/app/a%2fb", 1, None), ("/", "/app/a%20b;c=d,e+f", 1, "/a%20b;c=d,e+f"),
    ("/", "/app/%41%C3%A9", 1, "/%41%C3%A9"),
    ("/", "/app/a|b\\c\"<>^`{}", 1, "/a%7Cb%5Cc%22%3C%3E%5E%60%7B%7D"), ("/", "/%61pp/x", 1, "/x"),
])
def test_targets(base, raw, count, found):
    if found is None:                   # it never comes so far
        with pytest.raises(Refused):
            segments(raw)
    else:
        segments(raw)
        assert target(base, raw, count, None) == found
        assert target(base, raw, count, "") == f"{found}?"
        assert target(base, raw, count, "a=b&c[]=%00") == f"{found}?a=b&c[]=%00"


@given(st.lists(st.sampled_from(["a", "b%62", ".", "..", "", "%2e", "%2e%2e", ".%2E", "...", "%20"]), min_size=1))
def test_no_path_leads_out_of_the_base(words):
    raw = "/" + "/".join(words)
    try:
        known = segments(raw)
    except Refused:
        return
    goal = target("/base/", raw, 0, None)
    assert segments(goal) == (b"base", *known) if known else goal == "/base/"
    assert not {".", "..", "%2e", "%2e%2e", ".%2E"} & set(goal.split("/"))


# -- requests --


def test_what_goes_on_to_the_server():
    found = fields("Host: a", "Accept: */*", "Cookie: a=b", "cookie: c=d", "User-Agent: x", "Authorization: Basic x",
                   "X-Forwarded-Prefix: /a", "Range: bytes=0-")
    assert passed_on(found, False, False) == [("Accept", "*/*"), ("Cookie", "a=b"), ("Cookie", "c=d"),
                                              ("User-Agent", "x"), ("Authorization", "Basic x"), ("Range", "bytes=0-")]
    assert ("X-Forwarded-Prefix", "/a") in passed_on(found, True, False)
    assert ("Authorization", "Basic x") not in passed_on(found, False, True)


@pytest.mark.parametrize("line", [
    "Connection: close, x-a", "Keep-Alive: 5", "Proxy-Connection: keep-alive", "Proxy-Authorization: x", "TE: trailers",
    "Trailer: X", "Transfer-Encoding: chunked", "Upgrade: h2c", "Content-Length: 5", "Expect: 100-continue",
    "Max-Forwards: 1", "Proxy: http://evil/", "X_Forwarded_For: 192.0.2.1", "X.A: b", "X-A: named by Connection",
    "Forwarded: for=192.0.2.1", "Via: 1.1 x", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-User: root",
    "X-Real-IP: 192.0.2.1", "X-Original-URL: /admin", "X-Rewrite-URL: /admin"])
def test_what_does_not(line):
    assert passed_on(fields("Connection: x-a", line), False, False) == []


def test_for_whom_we_speak():
    found = fields("X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Forwarded-Host: a",
                   "X-Forwarded-Proto: b")
    heard = Element("192.0.2.7", "https", "www.example")
    assert spoken_for(found, False, heard) == [
        ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Host", "www.example"), ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=192.0.2.7;host=www.example;proto=https")]
    assert spoken_for(found, True, heard) == [
        ("X-Forwarded-For", "192.0.2.1, 192.0.2.7"), ("X-Forwarded-Host", "a"), ("X-Forwarded-Proto", "b"),
        ("Forwarded", "for=192.0.2.1, for=192.0.2.7;host=www.example;proto=https")]
    assert spoken_for(fields(), True, Element("", "http")) == [
        ("X-Forwarded-For", "unknown"), ("X-Forwarded-Proto", "http"), ("Forwarded", "for=unknown;proto=http")]


def test_via():
    assert via(fields(), 1) == "1.1 fd0" and via(fields("Via: 1.0 a (b)"), 0) == "1.0 a (b), 1.0 fd0"
    assert not is_loop(fields("Via: " + ", ".join(["1.1 fd0"] * 9)))
    assert is_loop(fields(*["Via: 1.1 fd0"] * 5, *["Via: 1.0 fd0"] * 5))


def test_heads():
    assert request_head("GET", "/a?b", [("Host", "a"), ("X", "\xe9")]) == \
        b"GET /a?b HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n"
    assert response_head(103, "", [("Link", "</a>")]) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


# -- responses --


def test_what_goes_back():
    rows = [(name, "x") for name in ("Content-Type", "Set-Cookie", "Set-Cookie", "Date", "Server", "Content-Length",
                                     "Transfer-Encoding", "Keep-Alive", "X-Own", "Cache-Control", "Proxy-Authenticate",
                                     "Upgrade", "Trailer", "Via", "ETag")]
    assert answered([*rows, ("Connection", "close, X-OWN")], fields("Connection: close, X-OWN"), ["Cache-Control"]) == \
        [("Content-Type", "x"), ("Set-Cookie", "x"), ("Set-Cookie", "x"), ("ETag", "x")]


@pytest.mark.parametrize("value, found", [
    ("http://127.0.0.1:8080/base/x?y#z", "/app/x?y#z"), ("http://127.0.0.1:8080/base/", "/app/"),
    ("HTTP://127.0.0.1:8080/base", "/app"), ("http://127.0.0.1:8080/base?x", "/app?x"),
    ("//127.0.0.1:8080/base/x", "/app/x"),
    ("/base/x", "/app/x"), ("/base/", "/app/"), ("/base", "/app"), ("/app/x", "/app/x"), ("/app", "/app"),
    ("x/y", "x/y"), ("", ""), ("?x", "?x"), ("/other", "/other"), ("/basement", "/basement"),
    ("http://127.0.0.1:8080/other", "http://127.0.0.1:8080/other"), ("http://127.0.0.1:8080/app/x", "/app/x"),
    ("http://127.0.0.1/base/x", "http://127.0.0.1/base/x"), ("http://evil.example/base/x", "http://evil.example/base/x"),
    ("http://127.0.0.1:8080@evil.example/base/", "http://127.0.0.1:8080@evil.example/base/"),
    ("http://www.example/base/x", "/app/x"), ("https://www.example/base/x", "https://www.example/app/x"),
    ("http://127.0.0.1:8080/base//evil.example/", "/app/evil.example/"), ("ftp://127.0.0.1:8080/base/", None),
    ("http://127.0.0.1:8080", None), ("http:///base/x", None), ("mailto:a@b", None)])
def test_references(value, found):
    server = upstream("http://127.0.0.1:8080/base/")
    assert location(value, server, "www.example", (b"app",)) == (value if found is None else found)


@pytest.mark.parametrize("value, found", [
    ("http://a.example/x", "/x"), ("http://a.example:80/", "/"), ("http://a.example", "/"), ("/x", "/x"),
    ("//evil/x", "//evil/x"),
    ("http://a.example//evil.example/x", "/evil.example/x"), ("//a.example//evil.example", "/evil.example"),
    ("http://a.example?x", "/?x"), ("https://a.example/x", "https://a.example/x")])
def test_references_of_a_whole_host(value, found):
    assert location(value, upstream("http://a.example"), "", ()) == found


def test_references_to_a_place_with_other_signs():
    assert location("/x", upstream("http://a.example/"), "", ("é b".encode(),)) == "/%C3%A9%20b/x"
    assert location("https://a.example/x", upstream("https://a.example"), "b", ("a",)[:0]) == "/x"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255)))
def test_no_reference_does_harm(value):
    for prefix in ((), (b"app",)):
        found = location(value, upstream("http://a.example/"), "b.example", prefix)
        assert found == value or not found.startswith("//")
