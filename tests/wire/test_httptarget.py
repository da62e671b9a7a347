"""Targets and hosts: RFC 9112 section 3.2, RFC 3986 sections 3 to 6; once taken apart, nothing is left to interpret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpfields import parse as fields
from daemons.wire.httpstatus import Refused
from daemons.wire.httptarget import HOST, MOST, authority, decoded, encoded, host, parse, segments


def status_of(target):
    with pytest.raises(Refused) as caught:
        parse(target)
    return caught.value.status


# -- forms: RFC 9112, 3.2 --

@pytest.mark.parametrize("target, path, query, has_query, name", [
    ("/", "/", "", False, ""), ("/?", "/", "", True, ""), ("/where?q=now", "/where", "q=now", True, ""),
    ("/a?b?c=/../d", "/a", "b?c=/../d", True, ""),                                  # RFC 3986, 3.4
    ("/a%3Fb", "/a?b", "", False, ""),
    ("http://www.example.org/pub/WWW/TheProject.html", "/pub/WWW/TheProject.html", "", False, "www.example.org"),
    ("http://www.example.org:8001", "/", "", False, "www.example.org:8001"),        # 3.2.4, of OPTIONS
    ("http://www.example.org?x", "/", "x", True, "www.example.org"),
    ("https://example.org/", "/", "", False, "example.org"), ("HTTP://example.org/a", "/a", "", False, "example.org"),
    ("http://example.org/http://b/", "/http:/b/", "", False, "example.org"),
    ("/http://b/", "/http:/b/", "", False, ""), ("/?http://b/", "/", "http://b/", True, ""),
    ("//b/c", "/b/c", "", False, ""),                                               # a path, and no host
])
def test_forms(target, path, query, has_query, name):
    found = parse(target)
    assert (found.path, found.query, found.has_query, found.host) == (path, query, has_query, name)


@pytest.mark.parametrize("target", [
    "", "*", "a", "a/b", "example.org:80", "?", "?x", "#", "/#", "/a#b", "/a?b#c", "ftp://example.org/", "http:",
    "http:/", "http:/a",
    "http://", "http:///", "http:///a", "http://?x", "httpx://a/", ":", "://", "://a/", "\\a", "mailto:a@b",
])
def test_what_is_no_target_of_ours(target):
    assert status_of(target) == 400


# -- paths: RFC 3986, 2.1, 3.3, 5.2.4 and 6.2.2 --

@pytest.mark.parametrize("raw, found", [
    ("/", [b""]), ("//", [b""]), ("/a", [b"a"]), ("/a/", [b"a", b""]), ("/a//b", [b"a", b"b"]), ("///a///", [b"a",
                                                                                                             b""]),
    ("/a/b/c/./../../g", [b"a", b"g"]),                                             # 5.2.4
    ("/.", [b""]), ("/./", [b""]), ("/a/.", [b"a", b""]), ("/a/..", [b""]), ("/a/b/..", [b"a", b""]), ("/a/../b",
                                                                                                       [b"b"]),
    ("/%61", [b"a"]), ("/%2e", [b""]), ("/a/%2e%2E", [b""]), ("/a/.%2e/b", [b"b"]),         # 6.2.2.2
    ("/...", [b"..."]), ("/a../b", [b"a..", b"b"]), ("/..a", [b"..a"]), ("/.a", [b".a"]),
    ("/%252e%252e/", [b"%2e%2e", b""]), ("/%25", [b"%"]),                           # 2.4: decoded once
    ("/..%5c", [b"..\\"]), ("/a\\..\\b", [b"a\\..\\b"]), ("/%c0%ae%c0%ae/a", [b"\xc0\xae\xc0\xae", b"a"]),
    ("/%0d%0a", [b"\r\n"]), ("/%C3%A9", ["é".encode()]), ("/%ff", [b"\xff"]), ("/a%20b+c", [b"a b+c"]),
    ("/a;b=c", [b"a;b=c"]), ("/;/..", [b""]), ("/..;/a", [b"..;", b"a"]), ("/ :@!$&'()*+,=".replace(" ", ""),
                                                                           [b":@!$&'()*+,="]),
])
def test_paths(raw, found):
    assert segments(raw) == tuple(found)


@pytest.mark.parametrize("raw", [
    "/..", "/../", "/../etc/passwd", "/a/../..", "/a/../../b", "/%2e%2e", "/%2e%2e/etc", "/.%2e/a", "/./..", "//..",
    "/a/..//../b",
    "/..%2f", "/%2f", "/a%2Fb", "/..%2f..%2fetc%2fpasswd", "/%00", "/a%00.html", "/a/%00/../..",
])
def test_what_no_file_can_be_named(raw):
    with pytest.raises(Refused) as caught:
        segments(raw)
    assert (caught.value.status, caught.value.final) == (404, False)


@pytest.mark.parametrize("raw", ["/%", "/a%", "/%4", "/%4/", "/%zz", "/%4g", "/%%41", "/% 41", "/%+4", "/%-1",
                                 "/%u0041", "/a/%/..",
                                 "/%0", "/%0x", "/%_1"])
def test_a_percent_sign_for_nothing(raw):
    with pytest.raises(Refused) as caught:
        segments(raw)
    assert caught.value.status == 400


def test_no_more_segments_than_anybody_needs():
    assert len(segments("/a" * MOST)) == MOST
    with pytest.raises(Refused) as caught:
        segments("/a" * (MOST + 1))
    assert caught.value.status == 414


@given(st.binary(max_size=40))
def test_decoding_undoes_encoding(data):
    text = "".join(f"%{octet:02x}" for octet in data)
    assert decoded(text.encode()) == data
    assert decoded(encoded(data.decode("utf-8", "surrogateescape")).encode()) == data


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
       | st.lists(st.sampled_from(["/", ".", "..", "%2e", "%2f", "%5c", "%00", "%", "%25", "a", "?", "#", "http://",
                                   "@", ":", "%c0%af"]),
                  max_size=10).map("".join))
def test_a_target_is_refused_or_has_nothing_left_to_interpret(text):
    for target in (text, f"/{text}", f"http://{text}"):
        try:
            found = parse(target)
        except Refused as refusal:
            assert refusal.status in (400, 404, 414)
            continue
        names = found.segments[:-1] if found.segments[-1] == b"" else found.segments
        assert not any(name in (b"", b".", b"..") or b"/" in name or b"\0" in name for name in names)
        assert found.path.startswith("/") and not found.path.startswith("//")
        assert "#" not in found.raw + found.query and "?" not in found.raw
        again = parse(encoded(found.path) + (f"?{found.query}" if found.has_query else ""))
        assert (again.path, again.segments, again.query, again.has_query) == \
            (found.path, found.segments, found.query, found.has_query)


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=5))
def test_what_is_encoded_names_a_path_of_ours_in_any_browser(names):
    written = encoded("/" + b"/".join(name.replace(b"/", b"") or b"x" for name in names).decode("utf-8",
                                                                                                "surrogateescape"))
    assert written.isascii() and not set(written) & set('\\"<>\r\n\t ?#^`{|}') and written[:2] != "//"


# -- hosts: RFC 9112, 3.2; RFC 9110, 7.2; RFC 3986, 3.2 --

@pytest.mark.parametrize("value, name, port", [
    ("example.org", "example.org", None), ("EXAMPLE.org.", "example.org", None), ("example.org:80", "example.org", 80),
    ("example.org:", "example.org", None), ("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]", "[::1]", None),
    ("[2001:DB8::7]:443",
    "[2001:db8::7]", 443), ("[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", None), ("", "", None), ("a_b-c.d~e",
                                                                                                "a_b-c.d~e", None),
    ("localhost:65535", "localhost", 65535), ("localhost:0", "localhost", 0), (":80", "", 80),
])
def test_hosts(value, name, port):
    assert authority(value) == (name, port)


@pytest.mark.parametrize("value", [
    "a b", "a/b", "a\\b", "a?b", "a#b", "a@b", "user@example.org", "user:secret@example.org", "a:b", "a:80:80", "a:-1",
    "a:+80", "a: 80",
    "a:65536", "a:999999", "a:000080", "a:\u0663", "a:8_0", "[::1", "::1", "[]", "[a]", "[::1]x", "[::1]:x",
    "[::1%25eth0]", "[::g]",
    "[v1.a]", "a]", "a[", "ex\xe4mple.org", "\u212aelvin", "a\tb", "a\"b", "<script>", "a|b", "a^b", "a%41",
    "a" * (HOST + 1), "a\x7f",
    "http://example.org",
])
def test_what_is_no_host(value):
    with pytest.raises(Refused) as caught:
        authority(value)
    assert caught.value.status == 400


@pytest.mark.parametrize("minor, lines, found", [
    (1, b"Host: a\r\n", ("a", None)), (1, b"Host:\r\n", ("", None)), (0, b"", ("", None)), (0, b"Host: a\r\n", ("a",
                                                                                                                None)),
])
def test_whom_a_head_is_for(minor, lines, found):
    assert host(minor, fields(lines)) == found


@pytest.mark.parametrize("minor, lines", [
    (1, b""), (1, b"Host: a\r\nHost: a\r\n"), (1, b"Host: a\r\nhost: b\r\n"), (0, b"Host: a\r\nHost: b\r\n"),
    (1, b"Host: a, b\r\n"), (1, b"Host: a\r\nHost:\r\n"), (1, b"Host: a b\r\n"), (0, b"Host: a/b\r\n"),
])
def test_heads_that_are_for_nobody(minor, lines):
    with pytest.raises(Refused) as caught:
        host(minor, fields(lines))
    assert caught.value.status == 400


@given(st.text(max_size=30) | st.text("ab.-:[]0189@/%", max_size=20))
def test_a_host_is_refused_or_plain(text):
    try:
        name, port = authority(text)
    except Refused as refusal:
        assert refusal.status == 400
        return
    assert name.isascii() and name == name.lower() and not set(name) & set('/\\@?#%"<> ')
    assert port is None or 0 <= port <= 65535
    assert authority(name if port is None else f"{name}:{port}") == (name.removesuffix("."), port)
