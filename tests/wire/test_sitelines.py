"""The file of sites: each word, what is wrong with a line, and which paths come under a pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpfields import VALUE, is_token
from daemons.wire.httptarget import parse as target
from daemons.wire.pathpatterns import matches
from daemons.wire.sitelines import Wrong, parse

EXAMPLE = """
# before the first host: for every host
header   *            Referrer-Policy: same-origin
listing  no

host     www.example.org Example.ORG.
root     /srv/www/example
listing  yes
index    index.html main.html
cache\t*.css\tmax-age=86400
redirect /old/        /new/
redirect /away        307 https://example.com/there
cgi      /cgi-bin/
protect  /private/    Members  only
error    404          /errors/404.html
type     .wasm        application/wasm
gone     /2019/
hsts     31536000

host *.example.net
login digest
users /etc/fd0/web.users
"""


def rule(line):
    """The one rule of a file of one line."""
    (found,) = parse(line)[0].rules
    return found


def why(text):
    with pytest.raises(Wrong) as caught:
        parse(text)
    return str(caught.value)


def test_the_example():
    common, first, second = parse(EXAMPLE)
    assert common.hosts == () and common.single == {"listing": "no"}
    assert common.rules == [("header", "*", "Referrer-Policy: same-origin")]
    assert (first.hosts, first.line) == (("www.example.org", "example.org"), 6)
    assert first.single == {"root": "/srv/www/example", "listing": "yes", "index": "index.html main.html",
                            "hsts": "31536000"}
    assert first.rules == [
        ("cache", "*.css", "max-age=86400"), ("redirect", "/old/", "/new/"),
        ("redirect", "/away", "307 https://example.com/there"), ("cgi", "/cgi-bin/", ""),
        ("protect", "/private/", "Members  only"), ("error", "404", "/errors/404.html"),
        ("type", ".wasm", "application/wasm"), ("gone", "/2019/", "")]
    assert second.hosts == ("*.example.net",) and second.single == {"login": "digest", "users": "/etc/fd0/web.users"}


def test_line_endings_blanks_and_comments_do_not_count():
    assert [vars_of(one) for one in parse("  host\ta \r\n\t# x\r\n\r\n listing \t yes\r\n")] == \
        [vars_of(one) for one in parse("host a\n\n\nlisting yes")]
    assert [vars_of(one) for one in parse("")] == [((), {}, [])]


def vars_of(section):
    return section.hosts, section.single, section.rules


@pytest.mark.parametrize("line, about", [
    ("nonsense", "no such word: nonsense"), ("Host a", "no such word: Host"), ("host", "host needs a name"),
    ("host a:80", "no port"), ("host a/b", "not a host name"), ("host a,b c/d", "not a host name"), ("host *.",
                                                                                                     "no port"),
    ("host *.*.a", "not a host name"), ("host *", "not a host name"), ("host a a*", "not a host name"),
    ("root", "root needs a value"), ("root srv", "needs an absolute path"), ("root ../x", "needs an absolute path"),
    ("listing maybe", "yes or no"), ("listing Yes", "yes or no"), ("index a/b", "not paths"), ("index .htaccess",
                                                                                               "not paths"),
    ("index ..", "not paths"), ("login none", "basic or digest"), ("hsts -1", "hsts: "), ("hsts 1_0", "hsts: "),
    ("hsts \u0663", "hsts: "), ("hsts 99999999999", "hsts: "), ("users x", "needs an absolute path"),
    ("header * nothing", "not a header field"), ("header * X Y: z", "not a header field"), ("header * : z",
                                                                                            "not a header field"),
    ("header * X: a\x01b", "not a header field"), ("header * X: a\rb", "not a header field"), ("header /a",
                                                                                               "not a header field"),
    ("header a X: y", "not a path"), ("header a* X: y", "not a path"), ("header /a*b X: y", "not a path"),
    ("header **.css X: y", "not a path"),
    ("header /a?b X: y", "not a path"), ("header /\x85 X: y", "not a path"), ("header", "not a path"),
    ("cache *.css", "needs a value"), ("cache *.css a\x1bb", "needs a value"),
    ("redirect /a", "needs a path or a URL"), ("redirect /a b", "needs a path or a URL"),
    ("redirect /a //evil.example/", "needs a path or a URL"),
    ("redirect /a javascript:alert(1)", "needs a path or a URL"), ("redirect /a 300 /b", "needs a path or a URL"),
    ("redirect /a 301", "needs a path or a URL"), ("redirect /a /b /c", "needs a path or a URL"),
    ("redirect /a 301 302 /b", "needs a path"),
    ("type wasm a/b", "needs an extension"), ("type . a/b", "needs an extension"), ("type .x a", "not a media type"),
    ("type .x /b", "not a media"),
    ("error 40 /a", "400 to 599"), ("error 304 /a", "400 to 599"), ("error \u0664\u0660\u0664 /a", "400 to 599"),
    ("error 404 a", "the path of a page"),
    ("error 404", "the path of a page"), ("cgi /a b", "has nothing after"), ("gone /a /b", "has nothing after"),
    ("cgi a", "not a path"),
    ("scgi /a", "host:port or unix:"), ("fastcgi /a unix:x", None), ("scgi /a b c d:1", "host:port or unix:"),
    ("wsgi /a 1x", "MODULE:OBJECT"), ("wsgi /a a-b:c", "MODULE:OBJECT"), ("wsgi /a", "MODULE:OBJECT"), ("proxy /a b",
                                                                                                        "needs a URL"),
    ("proxy /a ftp://b/", "needs a URL"), ("dav /a all", "read or write"),
])
def test_what_is_wrong_with_a_line(line, about):
    if about is None:                   # a colon is all that is asked
        assert rule(line)
        return
    text = why(f"host a\n\n{line}\n" if not line.startswith("host") else f"\n\n{line}\n")
    assert text.startswith("line 3: ") and about in text


@pytest.mark.parametrize("text, about", [
    ("host a\nhost b A.", "line 2: a was named before"), ("host *.a *.A", None), ("listing yes\nlisting yes",
                                                                                  "line 2: listing was said before"),
])
def test_what_is_said_twice(text, about):
    if about:
        assert why(text) == about
    else:
        assert parse(text)[1].hosts == ("*.a", "*.a")


def test_a_host_of_its_own_and_all_below_it_are_two():
    assert parse("host a.example\nhost *.a.example")[2].hosts == ("*.a.example",)


@pytest.mark.parametrize("line", [
    "redirect /a /caf\u00e9", "redirect /a /b\x00c", "redirect /a /b\x1bc", "redirect /a https://ex\u00e4mple.org/",
    "redirect /a 302\u00a0/b",
])
def test_where_a_redirect_goes_is_what_may_stand_in_a_location(line):
    # RFC 9110, 10.2.2: a URI-reference, which is printable ASCII
    about = why(line)
    assert about.startswith("line 1: redirect: ")


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection"])
def test_fields_that_say_where_a_reply_ends_are_nobodys_to_add(name):
    # RFC 9112, 6.3: two lengths in one reply, and the reader in front of us ends it where we do not
    assert why(f"header * {name}: 5").startswith("line 1: header: ")


@pytest.mark.parametrize("line", ["type .x text/html; a\rb", "type .x text/html; \x00",
                                  "type .x text/html; charset=\u20ac"])
def test_a_type_can_be_sent(line):
    assert why(line).startswith("line 1: type: ")


# -- patterns --

@pytest.mark.parametrize("pattern, under, beside", [
    ("/private/", ["/private", "/private/", "/private/a", "/private/a/b"], ["/", "/privateer", "/Private/",
                                                                            "/a/private/"]),
    ("/private", ["/private", "/private/", "/private/a"], ["/privateer", "/private.html"]),
    ("/", ["/", "/a", "/a/b/"], []), ("*", ["/", "/a", "/a/b/"], []), ("*.css", ["/a.css", "/b/.css", "/b/a.css"],
                                                                       ["/a.css/", "/a.CSS", "/css"]),
    ("/a.html", ["/a.html", "/a.html/x"], ["/a.html.gz", "/a"]), ("*/", ["/", "/a/"], ["/a"]),
])
def test_patterns(pattern, under, beside):
    assert all(matches(pattern, path) for path in under)
    assert not any(matches(pattern, path) for path in beside)


@pytest.mark.parametrize("pattern, path", [("/my%20files/", "/my%20files/a"), ("/caf%C3%A9/", "/caf%C3%A9/"),
                                           ("/a%2Eb/", "/a.b/c")])
def test_a_pattern_may_be_written_as_in_a_url(pattern, path):
    # a path with a blank cannot be written in any other way, and one that is never matched would protect nothing
    _, known, _ = rule(f"protect {pattern} Members only")
    assert matches(known, target(path).path)


@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ["host", "header", "redirect", "type", "error", "cgi", "cache", "hsts", "index", "protect", " ", "\t", "\n", "\r",
     "*", "/", "a", ":",
     "404", "\x00", "é", "\udc80", "301", ".x", "yes"]), max_size=16).map("".join))
def test_a_file_is_understood_or_its_line_is_named(text):
    try:
        sections = parse(text)
    except Wrong as wrong:
        number = int(str(wrong).partition(":")[0].removeprefix("line "))
        assert 1 <= number <= text.count("\n") + 1
        return
    for section in sections:
        for word, _, rest in section.rules:
            if word == "header":
                name, _, value = rest.partition(":")
                assert is_token(name.strip()) and not value.encode("utf-8", "replace").translate(None, VALUE)


names = st.text("abc.%25", min_size=1, max_size=4)


@given(st.lists(names, min_size=1, max_size=3), st.lists(names, max_size=3))
def test_what_lies_below_a_path_comes_under_it(stem, below):
    pattern, path = "/" + "/".join(stem), "/" + "/".join([*stem, *below])
    assert matches(pattern, path) and matches(f"{pattern}/", path) and matches(f"{pattern}/", f"{path}/")
    assert not matches(f"{pattern}/", path[:len(pattern) - 1]) or len(pattern) == 2
    assert matches(pattern, f"{pattern}x") is False
