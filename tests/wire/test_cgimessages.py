"""RFC 3875: what a script is told, and what it may say before its document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.cgimessages import HEAD, parse_head, variables


def told(*fields, method="GET", **more):
    given_ = {"script_name": "/cgi/env", "query": "", "server_name": "www.example", "server_port": 80,
              "remote_addr": "192.0.2.7", "software": "fd0/1"}
    return variables(method, "HTTP/1.1", fields, **{**given_, **more})


def seen(head):
    return head.status, head.reason, head.fields, head.length, head.local


# -- variables --


def test_what_every_script_is_told():
    assert told() == {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "fd0/1",
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/cgi/env", "QUERY_STRING": "", "SERVER_NAME": "www.example",
        "SERVER_PORT": "80", "REMOTE_ADDR": "192.0.2.7", "REMOTE_HOST": "192.0.2.7", "REQUEST_SCHEME": "http",
        "REDIRECT_STATUS": "200"}


def test_what_it_is_told_where_there_is_something_to_tell():
    found = told(("content-type", "text/plain"), method="POST", path_info="/a b", path_translated="/srv/a b", length=0,
                 remote_host="host.example", remote_port=4711, server_addr="192.0.2.1", user="alice",
                 auth_type="Basic", https=True, root="/srv", script="/srv/cgi/env", target="/cgi/env/a%20b")
    assert {name: found[name] for name in found.keys() - told().keys()} == {
        "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "0", "PATH_INFO": "/a b", "PATH_TRANSLATED": "/srv/a b",
        "REMOTE_PORT": "4711", "SERVER_ADDR": "192.0.2.1", "REMOTE_USER": "alice", "AUTH_TYPE": "Basic",
        "HTTPS": "on", "DOCUMENT_ROOT": "/srv", "SCRIPT_FILENAME": "/srv/cgi/env", "REQUEST_URI": "/cgi/env/a%20b"}
    assert (found["REMOTE_HOST"], found["REQUEST_SCHEME"]) == ("host.example", "https")


def test_no_path_is_translated_where_there_is_none():
    assert "PATH_TRANSLATED" not in told(path_translated="/srv")


def of_fields(*fields, **more):
    return {name: value for name, value in told(*fields, **more).items() if name.startswith("HTTP_")}


def test_fields_become_variables():
    assert of_fields(("host", "www.example"), ("x-request-id", "7"), ("dnt", "")) == \
        {"HTTP_HOST": "www.example", "HTTP_X_REQUEST_ID": "7", "HTTP_DNT": ""}


@pytest.mark.parametrize("name", ["proxy", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
                                  "expect", "content-length", "content-type", "proxy-connection", "authorization",
                                  "proxy-authorization", "x_request_id", "x.y", "a'b", "~"])
def test_what_does_not_become_one(name):
    assert of_fields((name, "evil")) == {}


def test_an_underscore_does_not_shadow_what_a_proxy_vouched_for():
    assert of_fields(("x_real_ip", "127.0.0.1"), ("x-real-ip", "192.0.2.7"), ("x-real_ip", "127.0.0.1")) == \
        {"HTTP_X_REAL_IP": "192.0.2.7"}


def test_connection_does_not_name_what_a_script_shall_not_see():
    assert "HTTP_X_REAL_IP" in of_fields(("connection", "close, x-real-ip"), ("x-real-ip", "192.0.2.7"))


def test_passwords_are_for_those_scripts_that_check_them():
    assert of_fields(("authorization", "Basic eA=="), pass_authorization=True) == {"HTTP_AUTHORIZATION": "Basic eA=="}
    assert of_fields(("proxy", "x"), pass_authorization=True) == {}


def test_repeated_fields_are_one_list():
    assert of_fields(("accept", "a"), ("cookie", "a=1"), ("accept", "b"), ("cookie", "b=2")) == \
        {"HTTP_ACCEPT": "a, b", "HTTP_COOKIE": "a=1; b=2"}


@pytest.mark.parametrize("sign", ["\r", "\n", "\0"])
def test_no_variable_has_two_lines(sign):
    assert of_fields(("x-a", f"a{sign}b")) == {}
    with pytest.raises(ValueError, match="PATH_INFO"):
        told(path_info=f"/a{sign}b")


def test_octets_stay_what_they_were():
    value = of_fields(("x-name", b"Zo\xc3\xab \xff".decode("latin-1")))["HTTP_X_NAME"]
    assert value.encode("utf-8", "surrogateescape") == b"Zo\xc3\xab \xff"


names = st.text("abcz09-_.!'`~", min_size=1, max_size=12)


@given(st.lists(st.tuples(names, st.text(st.characters(max_codepoint=255)))))
def test_whatever_the_fields_say_only_their_own_variables_change(fields):
    found = told(*fields)
    for name, value in told().items():
        assert found.pop(name) == value
    assert all(name.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" and name.startswith("HTTP_") for name in found)
    assert "HTTP_PROXY" not in found and not any(set(value) & set("\r\n\0") for value in found.values())


# -- heads --


@pytest.mark.parametrize("text, want", [
    (b"Content-Type: text/plain\n\n", (200, "", [("Content-Type", "text/plain")], None, None)),
    (b"content-type:text/plain\r\n\r\n", (200, "", [("content-type", "text/plain")], None, None)),
    (b"Status: 404 No such thing\nContent-Type: a/b\r\nX-A: \xff\n\r\n",
     (404, "No such thing", [("Content-Type", "a/b"), ("X-A", "\xff")], None, None)),
    (b"Status: 204\n\n", (204, "", [], None, None)),
    (b"Content-Type: a/b\nContent-Length: 7\n\n", (200, "", [("Content-Type", "a/b")], 7, None)),
    (b"Set-Cookie: a=1\nSet-Cookie: b=2\nContent-Type: a/b\n\n",
     (200, "", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "a/b")], None, None)),
    (b"Status: 201 Created\nLocation: /new\n\n", (201, "Created", [("Location", "/new")], None, None))])
def test_a_documents_head(text, want):
    head = parse_head(text + b"Content-Type: of the document\n\n")
    assert (seen(head), head.size) == (want, len(text))


@pytest.mark.parametrize("place, local", [(b"/other", "/other"), (b"/a?b=c#d", "/a?b=c"), (b"/", "/"),
                                          (b"/Zo\xc3\xab x", "/Zo%C3%AB%20x")])
def test_a_local_redirect(place, local):
    assert parse_head(b"Location: " + place + b"\n\n").local == local


@pytest.mark.parametrize("text, status, location", [
    (b"Location: https://b.example/x#y\n\n", 302, "https://b.example/x#y"),
    (b"Location: https://b.example/x\nContent-Type: text/html\n\n", 302, "https://b.example/x"),
    (b"Status: 303 See Other\nLocation: /x\n\n", 303, "/x"),
    (b"Location: /x\nSet-Cookie: a=1\n\n", 302, "/x"),
    (b"Location: //b.example/\n\n", 302, "//b.example/"),
    (b"Location: other.html\n\n", 302, "other.html"),
    (b'Location: https://b.example/"><script>\n\n', 302, "https://b.example/%22%3E%3Cscript%3E")])
def test_a_redirect_for_the_client(text, status, location):
    head = parse_head(text)
    assert (head.status, dict(head.fields)["Location"], head.local) == (status, location, None)


@pytest.mark.parametrize("name", ["Connection", "Keep-Alive", "Transfer-Encoding", "upgrade", "Trailer", "TE", "Server",
                                  "Proxy-Authenticate", "Proxy-Connection", "X-CGI-Secret", "Date"])
def test_what_is_not_a_scripts_to_say(name):
    assert parse_head(f"{name}: x\nContent-Type: a/b\n\n".encode()).fields == [("Content-Type", "a/b")]


@pytest.mark.parametrize("text, why", [
    (b"\nbody", "without fields"), (b"\r\n\r\n", "without fields"), (b"X-A: b\n\n", "neither"),
    (b"<html>\n\n", "not a header field"), (b"HTTP/1.1 200 OK\nContent-Type: a/b\n\n", "not a header field"),
    (b"Content-Type : a/b\n\n", "not a header field"), (b": a/b\n\n", "not a header field"),
    (b"Content Type: a/b\n\n", "not a header field"), (b"Content-Type: a/b\n more\n\n", "folded"),
    (b"Content-Type: a/b\n\tmore\n\n", "folded"), (b"Content-Type: a\rSet-Cookie: b\n\n", "control character"),
    (b"Content-Type: a\0b\n\n", "control character"), (b"Content-Type: a\x1bb\n\n", "control character"),
    (b"Content-Type: a/b\nX-A: b\r\r\n\n", "control character"), (b"Content-Type: a/b\nContent-Type: a/b\n\n", "two "),
    (b"Content-Type: a/b\nContent-Length: 1\ncontent-length: 1\n\n", "two "),
    (b"Location: /a\nLocation: /b\n\n", "two "),
    (b"Content-Type: a/b\nContent-Length: -1\n\n", "not a whole number"),
    (b"Content-Type: a/b\nContent-Length: 1, 1\n\n", "not a whole number"),
    (b"Content-Type: a/b\nContent-Length: +1\n\n", "not a whole number"),
    (b"Content-Type:\n\n", "an empty"), (b"Location: \n\n", "an empty"),
    (b"Status: OK\n\n", "not a status"), (b"Status: 2000\n\n", "not a status"), (b"Status: 20x\n\n", "not a whole"),
    (b"Status: 100 Continue\n\n", "must be"), (b"Status: 101 Switching\n\n", "must be"),
    (b"Status: 600 x\n\n", "must be"),
    (b"A: b\n" * 101 + b"\n", "more than 100"), (b"A: " + b"b" * HEAD, "over"),
    (b"A: " + b"b" * HEAD + b"\n\n", "over")])
def test_a_head_that_is_none(text, why):
    with pytest.raises(ValueError, match=why):
        parse_head(text)


@pytest.mark.parametrize("text", [b"", b"\r", b"Content-Type: a/b", b"Content-Type: a/b\n", b"Content-Type: a/b\r\n\r"])
def test_a_head_that_is_not_whole_yet(text):
    assert parse_head(text) is None


lines = st.sampled_from([b"Content-Type: a/b\n", b"Status: 200 OK\r\n", b"Location: /x\n", b"X: y\n", b"\n", b"\r\n"])


@given(st.lists(lines | st.binary(max_size=30), max_size=8))
def test_any_output_is_a_head_or_a_beginning_or_a_value_error(parts):
    text = b"".join(parts)
    try:
        head = parse_head(text)
    except ValueError:
        return
    if head is not None:
        said = "".join(f"{name}: {value}\n" for name, value in head.fields) + head.reason + (head.local or "")
        assert said.count("\n") == len(head.fields) and not set(said) & set("\r\0")
        assert seen(parse_head(text[:head.size])) == seen(head) and 200 <= head.status <= 599
