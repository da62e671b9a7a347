"""Origins: which are some, and which belong to the host that was asked."""

import pytest

from daemons.wire.httporigin import is_of, parse
from daemons.wire.httptarget import authority


@pytest.mark.parametrize("text, origin", [
    ("http://www.example.org", ("http", "www.example.org", 80)),
    ("HTTPS://WWW.Example.org", ("https", "www.example.org", 443)),
    ("https://x:8443", ("https", "x", 8443)), ("http://[2001:db8::1]:80", ("http", "[2001:db8::1]", 80))])
def test_origins(text, origin):
    assert parse(text) == origin


@pytest.mark.parametrize("text", ["null", "", "www.example.org", "http://", "http:///", "ftp://x", "file://", "http://x/",
                                  "http://x/a", "http://a b", "http://x:y", "http://x, http://y", "*",
                                  "chrome-extension://x", "http://a@b"])
def test_what_is_none(text):
    with pytest.raises(ValueError, match="not an origin"):
        parse(text)


@pytest.mark.parametrize("origin, host, own", [
    ("http://127.0.0.1:8080", "127.0.0.1:8080", True), ("http://127.0.0.1", "127.0.0.1", True),
    ("http://127.0.0.1:80", "127.0.0.1", True), ("https://127.0.0.1", "127.0.0.1", True),
    ("http://[::1]:8080", "[::1]:8080", True), ("http://localhost:8080", "localhost:8080", True),
    ("http://x.localhost", "x.localhost", True), ("http://LOCALHOST", "localhost.", True),
    ("http://127.0.0.1:8081", "127.0.0.1:8080", False), ("http://127.0.0.2", "127.0.0.1", False),
    # names that somebody else may have made to lead here
    ("http://evil.example:8080", "evil.example:8080", False), ("http://127.0.0.1.evil.example", "127.0.0.1", False),
    ("http://1.2.3.evil", "1.2.3.evil", False), ("http://notlocalhost", "notlocalhost", False)])
def test_whose_it_is(origin, host, own):
    assert is_of(parse(origin), authority(host)) is own
