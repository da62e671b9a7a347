"""WebDAV over the real exchange: each method as RFC 4918 has it, what is refused, and what nobody gets at."""

import contextlib
import errno
import os
import subprocess
from xml.etree import ElementTree

import pytest

from daemons.kernel.ends import Reset
from daemons.stores import passwords
from daemons.web import dav
from daemons.wire import passwordlines
from tests.web.browsing import HOST, Web, replies, request

NOBODY = 65534


def rows(reply):
    """{address: {status: {property: text}}} of a multistatus."""
    assert (reply.status, reply["content-type"]) == (207, "application/xml; charset=utf-8")
    found = {}
    for response in ElementTree.fromstring(reply.body):
        known = found[response.findtext("{DAV:}href")] = {}
        for told in response.findall("{DAV:}propstat"):
            known[int(told.findtext("{DAV:}status").split()[1])] = {
                each.tag.removeprefix("{DAV:}"): each.text for each in told.find("{DAV:}prop")}
        if (status := response.findtext("{DAV:}status")) is not None:
            known[int(status.split()[1])] = None
    return found


class Client(Web):
    """Asks a server with these lines in its file of sites, whose root is the folder www."""

    def __init__(self, path, *lines, options=()):
        (path / "sites").write_text("\n".join((f"host {HOST}\nroot {path / 'www'}", *lines)))
        super().__init__(f"--vhosts={path / 'sites'}", *options)

    def status(self, *arguments, **keywords):
        """The status of the reply."""
        return self.ask(*arguments, **keywords).status

    def find(self, path, depth="0", body=b""):
        """What a PROPFIND tells."""
        return rows(self.ask("PROPFIND", path, f"Depth: {depth}", body=body))

    def heard(self, *said):
        """Everything that is answered to these octets."""
        return self.outcome(*said).heard


@pytest.fixture
def www(tmp_path):
    (tmp_path / "www" / "share").mkdir(parents=True)
    return tmp_path / "www"


@pytest.fixture
def client(www, tmp_path):
    return Client(tmp_path, "dav /share/ write")


@pytest.fixture
def share(www):
    return www / "share"


def tree(folder):
    """{path: octets, None for a folder} of what is below a folder, hidden or not."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def fill(folder, files):
    for name, data in files.items():
        path = folder / name
        (path if data is None else path.parent).mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)


# ------------------------------------------------------------------ what there is

def test_what_can_be_done(client, tmp_path):
    told = client.ask("OPTIONS", "/share/")
    assert told["dav"] == "1, 3" and {"PUT", "PROPFIND", "MOVE"} <= set(told["allow"].split(", "))
    assert "LOCK" not in told["allow"]
    assert client.ask("OPTIONS", "/")["dav"] is None
    for lines in ("dav /share/", "dav /share read"):
        reads = Client(tmp_path, lines)
        assert reads.ask("OPTIONS", "/share/")["allow"] == "GET, HEAD, OPTIONS, PROPFIND"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "POST"])
def test_a_place_for_reading_only(www, tmp_path, method):
    fill(www, {"share/a": b"1"})
    reads = Client(tmp_path, "dav /share/ read")
    reply = reads.ask(method, "/share/a", "Destination: /share/b", body=b"x")
    assert (reply.status, reply["allow"]) == (405, dav.READS) and tree(www) == {"share": None, "share/a": b"1"}


@pytest.mark.parametrize(("method", "status"), [("LOCK", 405), ("UNLOCK", 405), ("POST", 405), ("PATCH", 405),
                                                ("BREW", 501)])
def test_methods_of_others(client, method, status):
    assert client.status(method, "/share/") == status


def test_files_are_got_as_everywhere(client, share):
    fill(share, {"a.txt": b"text", "a.txt.gz": b"other"})
    reply = client.ask("GET", "/share/a.txt", "Accept-Encoding: gzip")
    assert (reply.status, reply.body, reply["content-type"]) == (200, b"text", "text/plain; charset=utf-8")
    assert reply["etag"] == client.find("/share/a.txt")["/share/a.txt"][200]["getetag"]
    assert client.ask("HEAD", "/share/a.txt")["content-length"] == "4"
    assert client.status("GET", "/share/nothing") == 404
    assert client.ask("GET", "/share/a.txt", "Range: bytes=1-2").body == b"ex"


# ------------------------------------------------------------------ PROPFIND

def test_a_file_and_a_folder(client, share):
    fill(share, {"a b&.txt": b"12345", "sub": None, ".hidden": b"", "sub/deeper": b""})
    os.utime(share / "a b&.txt", (784111777, 784111777))
    found = client.find("/share/", "1")
    assert set(found) == {"/share/", "/share/a%20b&.txt", "/share/sub/"}
    assert found["/share/a%20b&.txt"][200] == {
        "getcontentlength": "5", "getcontenttype": "text/plain; charset=utf-8", "resourcetype": None,
        "getetag": f'"{784111777 * 10**9:x}-5"', "getlastmodified": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert client.find("/share/a%20b%26.txt", "1") == {"/share/a%20b&.txt": found["/share/a%20b&.txt"]}
    assert set(client.find("/share", "0")) == {"/share/"}
    assert set(client.find("/share/sub", "1")) == {"/share/sub/", "/share/sub/deeper"}


def test_some_properties(client, share):
    fill(share, {"a": b"1"})
    body = (b'<D:propfind xmlns:D="DAV:"><D:prop><D:getetag/><D:quota-available-bytes/><x:y xmlns:x="urn:x"/></D:prop>'
            b"</D:propfind>")
    found = client.find("/share/", "1", body)
    assert int(found["/share/"][200]["quota-available-bytes"]) > 0
    assert set(found["/share/"][404]) == {"getetag", "{urn:x}y"}
    assert set(found["/share/a"][200]) == {"getetag"}


@pytest.mark.parametrize("fields", [(), ("Depth: infinity",), ("Depth: Infinity",)])
def test_not_everything_at_once(client, fields):
    reply = client.ask("PROPFIND", "/share/", *fields)
    assert reply.status == 403
    assert [each.tag for each in ElementTree.fromstring(reply.body)] == ["{DAV:}propfind-finite-depth"]


@pytest.mark.parametrize(("path", "fields", "body", "status"), [
    ("/share/nothing", ("Depth: 0",), b"", 404), ("/share/.hidden", ("Depth: 0",), b"", 404),
    ("/share/a/", ("Depth: 0",), b"", 404), ("/share/a/b", ("Depth: 0",), b"", 404),
    ("/share/pipe", ("Depth: 0",), b"", 404), ("/share/", ("Depth: 2",), b"", 400),
    ("/share/", ("Depth: 0",), b"<x/>", 400), ("/share/", ("Depth: 0",), b"<", 400),
    ("/share/", ("Depth: 0",), b'<!DOCTYPE a [<!ENTITY b "c">]><propfind xmlns="DAV:"><allprop/></propfind>', 400),
    ("/share/", ("Depth: 0",), b"<a>" + bytes(70000), 413)])
def test_what_cannot_be_found(client, share, path, fields, body, status):
    fill(share, {"a": b"", ".hidden": b""})
    os.mkfifo(share / "pipe")
    assert client.status("PROPFIND", path, *fields, body=body) == status


def test_links_are_shown_as_what_they_lead_to(client, share, www, tmp_path):
    fill(www, {"other/x": b"12"})
    (tmp_path / "secret").write_text("secret")
    for name, target in {"in": "../other/x", "folder": "../other", "out": "../../secret", "nowhere": "nothing",
                         "round": "round"}.items():
        os.symlink(target, share / name)
    found = client.find("/share/", "1")
    assert set(found) == {"/share/", "/share/in", "/share/folder/"}
    assert found["/share/in"][200]["getcontentlength"] == "2"
    assert set(client.find("/share/folder/", "1")) == {"/share/folder/", "/share/folder/x"}


NAMES = ["<&>\"'", "%41", "a?b#c", "\u00fc \u65e5", "]]>", "a;b=c", "\n\r\t", "\x01", "a:b", "back\\slash", "~", "  "]


def test_any_name(client, share):
    """What PROPFIND tells of a name leads back to it, in every method."""
    for name in (*NAMES, os.fsdecode(b"\xff\xfe")):
        (share / name).write_text("x")
    (share / "sub").mkdir()
    found = client.find("/share/", "1")
    assert len(found) == len(NAMES) + 3
    for href in found.keys() - {"/share/", "/share/sub/"}:
        assert client.ask("GET", href).body == b"x"
        assert set(client.find(href, "0")) == {href}
        to = href.replace("/share/", "/share/sub/")
        assert client.status("COPY", href, f"Destination: http://www.example.org{to}") == 201
        assert client.status("DELETE", href) == 204 and client.status("MOVE", to, f"Destination: {href}") == 201
        assert client.status("PUT", href, body=b"y") == 204
    assert client.find("/share/", "1").keys() == found.keys() and os.listdir(share / "sub") == []


def test_many_files_come_in_pieces(client, share):
    for number in range(3000):
        (share / f"{number:05}").touch()
    found = client.find("/share/", "1")
    assert len(found) == 3001 and "/share/02999" in found
    old = client.ask("PROPFIND", "/share/", "Depth: 1", version="1.0")
    assert old["transfer-encoding"] is None and rows(old).keys() == found.keys()


def test_the_whole_site_can_be_a_place(www, tmp_path):
    fill(www, {"a": b"", "cgi-bin/x": b""})
    client = Client(tmp_path, "dav / write\ncgi /cgi-bin/")
    assert set(client.find("/", "1")) == {"/", "/a", "/share/", "/cgi-bin/"}
    assert client.status("MKCOL", "/new") == 201 and client.status("PUT", "/new/b", body=b"1") == 201
    for method, path in (("DELETE", "/"), ("PUT", "/"), ("MOVE", "/")):
        assert client.status(method, path, "Destination: /x") == 403
    assert client.status("DELETE", "/cgi-bin/") != 204 and (www / "cgi-bin" / "x").exists()


# ------------------------------------------------------------------ PUT and MKCOL

def test_a_file_is_put(client, share):
    made = client.ask("PUT", "/share/a.txt", body=b"one")
    assert (made.status, made["content-length"]) == (201, "0")
    again = client.ask("PUT", "/share/a.txt", body=b"three")
    assert again.status == 204 and tree(share) == {"a.txt": b"three"}
    got = client.ask("GET", "/share/a.txt")
    assert (got["etag"], got["last-modified"]) == (again["etag"], again["last-modified"])
    assert made["etag"] != again["etag"]


def test_a_file_comes_in_chunks_and_after_a_hundred(client, share):
    head = request("PUT", "/share/a", "Transfer-Encoding: chunked", "Expect: 100-continue")
    heard = client.heard(head, b"3\r\none\r\n", b"4\r\n two\r\n0\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ") and tree(share) == {"a": b"one two"}
    heard = client.heard(head.replace(b"/a ", b"/no/a "), b"3\r\none\r\n", b"0\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 409 ")        # asked before anything is sent


@pytest.mark.parametrize(("path", "fields", "status"), [
    ("/share/no/a", (), 409), ("/share/file/a", (), 409), ("/share/sub", (), 405), ("/share/sub/", (), 405),
    ("/share/new/", (), 405), ("/share", (), 403), ("/share/", (), 403), ("/share/.htaccess", (), 403),
    ("/share/.git/config", (), 403), ("/share/%2egit", (), 403), ("/share/a%2fb", (), 404), ("/share/a%00", (), 404),
    ("/share/../../etc/x", (), 404), ("/share/../a", (), 405), ("/share/pipe", (), 403), ("/share/link", (), 403),
    ("/share/away/a", (), 403), ("/share/" + "x" * 256, (), 414),
    ("/share/a", ("Content-Range: bytes 0-1/9",), 400), ("/share/a", ("Content-Encoding: gzip",), 415)])
def test_what_cannot_be_put(client, www, share, path, fields, status):
    fill(share, {"file": b"1", "sub": None})
    fill(www, {"other/x": b""})
    os.mkfifo(share / "pipe")
    os.symlink("file", share / "link")
    os.symlink("../other", share / "away")
    before = sorted(str(path) for path in www.rglob("*"))
    assert client.status("PUT", path, *fields, body=b"data") == status
    assert sorted(str(path) for path in www.rglob("*")) == before and (share / "file").read_bytes() == b"1"


@pytest.mark.parametrize("more", [(), (Reset,)])
def test_a_file_that_is_cut_short(client, share, more):
    fill(share, {"a": b"old"})
    for field, chunk in (("Content-Length: 100000", b""), ("Transfer-Encoding: chunked", b"fffff\r\n")):
        heard = client.heard(request("PUT", "/share/a", field) + chunk, bytes(70000), *more)
        assert heard == b"" and tree(share) == {"a": b"old"}


def test_a_file_that_is_too_long(share, tmp_path):
    client = Client(tmp_path, "dav /share/ write", options=("--upload=1000",))
    assert client.status("PUT", "/share/a", body=bytes(1001)) == 413
    assert client.status("PUT", "/share/a") == 201
    head = request("PUT", "/share/b", "Transfer-Encoding: chunked")
    assert b" 413 " in client.heard(head, b"3e8\r\n" + bytes(1000) + b"\r\n1\r\nx\r\n0\r\n\r\n")
    assert tree(share) == {"a": b""}


def test_conditions(client, share):
    assert client.status("PUT", "/share/a", "If-Match: *", body=b"1") == 412
    tag = client.ask("PUT", "/share/a", "If-None-Match: *", body=b"1")["etag"]
    assert client.status("PUT", "/share/a", "If-None-Match: *", body=b"22") == 412
    assert client.status("PUT", "/share/a", 'If-Match: "x"', body=b"22") == 412
    assert client.status("DELETE", "/share/a", 'If-Match: "x"') == 412
    assert client.status("MOVE", "/share/a", 'If-Match: "x"', "Destination: /share/b") == 412
    assert client.status("COPY", "/share/a", f"If-None-Match: {tag}", "Destination: /share/b") == 412
    assert client.status("PROPFIND", "/share/a", 'If-Match: "x"', "Depth: 0") == 412
    assert tree(share) == {"a": b"1"}
    assert client.status("PUT", "/share/a", f"If-Match: {tag}", body=b"22") == 204
    assert client.status("PUT", "/share/a", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", body=b"3") == 412
    assert client.status("MKCOL", "/share/sub", "If-None-Match: *") == 201
    assert client.status("DELETE", "/share/sub", "If-Match: *") == 204


def test_the_if_field(client, share):
    fill(share, {"a": b"1", "b": b"2"})
    a, b = (client.find(f"/share/{name}")[f"/share/{name}"][200]["getetag"] for name in "ab")
    for field, status in ((f"([{a}])", 204), (f"([{b}])", 412), ("(<urn:x>)", 412), ("(Not <DAV:no-lock>)", 204),
                          (f"</share/b> ([{b}])", 204), (f"<http://www.example.org/share/b> ([{b}])", 204),
                          (f"<http://other.example.org/share/b> ([{b}])", 412), (f"</share/no> ([{b}])", 412),
                          ("</share/no> (Not [\"x\"])", 204), ("x", 400), (f"</etc/passwd> ([{b}])", 412)):
        assert (field, client.status("MOVE", "/share/a", f"If: {field}", "Destination: /share/c")) == (
            field, 201 if status == 204 else status)
        if status == 204:
            assert client.status("MOVE", "/share/c", "Destination: /share/a") == 201
    assert client.status("GET", "/share/a", 'If: (["x"])') == 412


def test_folders_are_made(client, share):
    assert client.status("MKCOL", "/share/a/") == 201 and client.status("MKCOL", "/share/a/b") == 201
    fill(share, {"file": b""})
    for path, status in {"/share/a": 405, "/share/file": 405, "/share/": 405, "/share/no/b": 409, "/share/file/b": 409,
                         "/share/.b": 403}.items():
        assert client.status("MKCOL", path) == status
    assert client.status("MKCOL", "/share/c", body=b"<x/>") == 415
    assert tree(share) == {"a": None, "a/b": None, "file": b""}


# ------------------------------------------------------------------ DELETE, COPY, MOVE

OLD = {"file": b"1", "f/x": b"2", "f/deep/y": b"3", "g/z": b"4"}


def test_things_are_deleted(client, share):
    fill(share, OLD)
    assert client.status("DELETE", "/share/f", "Depth: 0") == 400
    assert client.status("DELETE", "/share/file/") == 404 and client.status("DELETE", "/share/no/x") == 404
    assert client.status("DELETE", "/share/file") == client.status("DELETE", "/share/f/") == 204
    assert client.status("DELETE", "/share/file") == 404 and client.status("DELETE", "/share/") == 403
    assert tree(share) == {"g": None, "g/z": b"4"}


def test_a_link_is_deleted_and_not_what_it_leads_to(client, share, www):
    fill(www, {"other/x": b"1"})
    os.symlink("../other", share / "link")
    assert client.status("DELETE", "/share/link/x") == 403 and client.status("DELETE", "/share/link") == 204
    assert tree(www) == {"share": None, "other": None, "other/x": b"1"}


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(("one", "other", "status"), [
    ("file", "new", 201), ("file", "f/x", 204), ("file", "f", 204), ("f", "new", 201), ("f", "g", 204),
    ("f", "file", 204), ("f/", "g/new/", 201), ("f/x", "g/x", 201)])
def test_things_are_copied_and_moved(client, share, method, one, other, status):
    fill(share, OLD)
    (share / "expected").mkdir()
    subprocess.run(f"cp -r file f g expected; cd expected; [ {status} = 201 ] || rm -r {other}; "
                   f"{'cp -r' if method == 'COPY' else 'mv'} {one} {other}", shell=True, check=True, cwd=share)
    expected = tree(share / "expected")
    subprocess.run(["rm", "-r", share / "expected"], check=True)
    if status == 204:
        assert client.status(method, f"/share/{one}", f"Destination: /share/{other}", "Overwrite: F") == 412
    assert client.status(method, f"/share/{one}", f"Destination: http://{HOST}/share/{other}") == status
    assert tree(share) == expected


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(("path", "fields", "status"), [
    ("f", (), 400), ("f", ("Destination: ",), 400), ("f", ("Destination: x",), 400),
    ("f", ("Destination: http://other.example.org/share/x",), 502),
    ("f", ("Destination: http://www.example.org:8080/share/x",), 502), ("f", ("Destination: /x",), 502),
    ("f", ("Destination: /sharex",), 502), ("f", ("Destination: /share/x?y",), 400),
    ("f", ("Destination: /share/x#y",), 400), ("f", ("Destination: /share/\xfc",), 400),
    ("f", ("Destination: /share/../x",), 502), ("f", ("Destination: /share/%2e%2e/x",), 502),
    ("f", ("Destination: /share/../../x",), 404), ("f", ("Destination: /share/.x",), 403),
    ("f", ("Destination: /share/no/x",), 409), ("f", ("Destination: /share/file/x",), 409),
    ("f", ("Destination: /share/",), 403), ("f", ("Destination: /share/f",), 403),
    ("f", ("Destination: /share/f/new",), 403), ("f/deep", ("Destination: /share/f",), 403),
    ("f", ("Destination: /share/x", "Depth: 1"), 400), ("f", ("Destination: /share/x", "Overwrite: maybe"), 400),
    ("f", ("Destination: /share/link/x",), 403), ("no", ("Destination: /share/x",), 404),
    ("no/no", ("Destination: /share/x",), 404), (".hidden", ("Destination: /share/x",), None)])
def test_what_cannot_be_copied_or_moved(client, share, www, method, path, fields, status):
    fill(www, {"other": None, **{f"share/{name}": data for name, data in OLD.items()}, "share/.hidden": b""})
    os.symlink("../other", share / "link")
    before = tree(www)
    found = client.status(method, f"/share/{path}", *fields)
    assert found == status or (status is None and found in (403, 404))
    assert tree(www) == before


def test_ports_that_need_not_be_named(client, share):
    """A proxy in front of us may speak another scheme; who asks for which host is known all the same."""
    fill(share, {"a": b""})
    assert client.status("MOVE", "/share/a", "Destination: https://WWW.example.org:443/share/b") == 201


def test_depths(client, share):
    fill(share, OLD)
    assert client.status("COPY", "/share/f", "Destination: /share/h", "Depth: 0") == 201
    assert client.status("MOVE", "/share/f", "Destination: /share/i", "Depth: 0") == 400
    assert client.status("MOVE", "/share/file", "Destination: /share/i", "Depth: 0") == 201
    assert os.listdir(share / "h") == [] and (share / "i").read_bytes() == b"1"


def test_what_a_link_shows_can_be_copied(client, share, www, tmp_path):
    fill(www, {"other/x": b"1"})
    (tmp_path / "secret").write_text("secret")
    os.symlink("../other", share / "link")
    os.symlink("../../secret", share / "out")
    assert client.status("COPY", "/share/link/x", "Destination: /share/x") == 201
    assert client.status("COPY", "/share/link", "Destination: /share/y") == 201
    assert client.status("COPY", "/share/out", "Destination: /share/z") == 404
    assert (share / "x").read_bytes() == (share / "y" / "x").read_bytes() == b"1"


# ------------------------------------------------------------------ PROPPATCH

def test_properties_are_not_kept_and_that_is_told(client, share):
    fill(share, {"a": b""})
    body = (b'<D:propertyupdate xmlns:D="DAV:" xmlns:x="urn:x"><D:set><D:prop><x:a>1</x:a><D:getetag>2</D:getetag>'
            b"</D:prop></D:set><D:remove><D:prop><x:b/></D:prop></D:remove></D:propertyupdate>")
    reply = client.ask("PROPPATCH", "/share/a", body=body)
    assert list(rows(reply)["/share/a"]) == [403, 424] and b"keeps no properties" in reply.body
    assert client.status("PROPPATCH", "/share/a", body=b"<x/>") == client.status("PROPPATCH", "/share/a") == 400
    assert client.status("PROPPATCH", "/share/no", body=body) == 404


# ------------------------------------------------------------------ others' places

def test_another_place_below(www, tmp_path):
    fill(www, {"share/a/cgi/x": b"#!", "share/t/cgi/x": b"evil", "share/f": b""})
    client = Client(tmp_path, "dav /share/ write\ncgi /share/a/cgi/")
    before = tree(www)
    for method, path, to in (("DELETE", "a", ""), ("MOVE", "a", "b"), ("COPY", "a", "b"), ("MOVE", "t", "a"),
                             ("COPY", "t", "a"), ("COPY", "f", "a")):
        assert client.status(method, f"/share/{path}", f"Destination: /share/{to}") == 403
    assert client.status("MOVE", "/share/f", "Destination: /share/a/cgi/f") == 502
    assert tree(www) == before
    assert client.status("COPY", "/share/a", "Depth: 0", "Destination: /share/c") == 201


def test_what_is_protected_below(www, tmp_path, monkeypatch):
    monkeypatch.setattr(passwordlines, "COST", (10, 8, 1))
    passwords.add(str(tmp_path / "users"), "alice", b"secret")
    fill(www, {"share/a/private/x": b"1", "share/f": b"2", "share/t/private/x": b"3", "share/u": b"4"})
    client = Client(tmp_path, f"users {tmp_path / 'users'}\nprotect /share/a/private/ Members\nprotect *.key\n"
                              "dav /share/ write")
    login = "Authorization: Basic YWxpY2U6c2VjcmV0"
    before = tree(www)
    assert client.status("DELETE", "/share/a/private/") == 401
    for method, path, to in (("DELETE", "a", ""), ("MOVE", "a", "b"), ("COPY", "a", "b"), ("MOVE", "t", "a"),
                             ("COPY", "f", "a/private/x"), ("COPY", "f", "f.key"), ("MOVE", "t", "n")):
        assert client.status(method, f"/share/{path}", f"Destination: /share/{to}") == 403
    assert tree(www) == before
    assert client.status("COPY", "/share/f", "Destination: /share/n") == 201
    assert client.status("MOVE", "/share/a/private/x", login, "Destination: /share/a/private/y") == 201
    assert client.status("DELETE", "/share/a/private/", login) == 204


# ------------------------------------------------------------------ the disk

@pytest.fixture
def full(share):
    """The share is a disk of its own that is nearly full, for whoever may mount one."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", share], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk of our own: {done.stderr.strip()}")
    fill(share, {"f/big": bytes(80_000)})
    yield
    subprocess.run(["umount", share], check=True)


def test_a_full_disk(full, client, share):
    before = tree(share)
    assert client.status("PUT", "/share/a", body=bytes(90_000)) == 507
    assert client.status("COPY", "/share/f/big", "Destination: /share/b") == 507
    assert rows(client.ask("COPY", "/share/f", "Destination: /share/b")) == {"/share/f/big": {507: None}}
    assert tree(share) == before
    assert client.status("DELETE", "/share/f") == 204 and client.status("PUT", "/share/a", body=bytes(90_000)) == 201


def test_another_file_system(full, www, tmp_path):
    fill(www, {"x": b"1"})
    client = Client(tmp_path, "dav / write")
    assert client.status("MOVE", "/x", "Destination: /share/x") == 502
    assert client.status("DELETE", "/share") == 403
    assert (www / "x").exists() and (www / "share" / "f").exists()


@contextlib.contextmanager
def without_rights():
    """As somebody whom permissions hold back."""
    if os.getuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_rights(client, share):
    fill(share, {"f/g/x": b"1", "f/y": b"2", "secret": b"3"})
    for path, mode in {"f/g": 0o555, "f": 0o777, ".": 0o777, "secret": 0o000}.items():
        os.chmod(share / path, mode)
    assert client.status("GET", "/share/nothing") == 404        # what errors need is loaded
    with without_rights():
        assert client.status("PUT", "/share/f/g/new", body=b"1") == client.status("MKCOL", "/share/f/g/new") == 403
        assert client.status("DELETE", "/share/f/g/x") == 403
        assert client.status("COPY", "/share/secret", "Destination: /share/new") == 403
        assert client.status("MOVE", "/share/secret", "Destination: /share/f/g/new") == 403
        assert rows(client.ask("DELETE", "/share/f")) == {"/share/f/g/x": {403: None}}
        assert set(client.find("/share/", "1")) == {"/share/", "/share/f/", "/share/secret"}
    os.chmod(share / "secret", 0o644)
    assert tree(share) == {"f": None, "f/g": None, "f/g/x": b"1", "secret": b"3"}


def test_what_is_a_mistake_of_ours_is_told_as_one(client, share, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "the disk is broken")
    monkeypatch.setattr(os, "fsync", broken)
    (reply,) = replies(client.heard(request("PUT", "/share/a", body=b"1")))
    assert reply.status == 500 and tree(share) == {}


def test_nothing_stays_open(client, share):
    fill(share, OLD)
    client.find("/share/", "1")
    before = len(os.listdir("/proc/self/fd"))
    for method in ("PUT", "MKCOL", "COPY", "MOVE", "DELETE", "PROPFIND", "PROPPATCH", "GET"):
        for path in ("file", "f", "no", "no/no", ".x", "file/x", "g/"):
            client.ask(method, f"/share/{path}", "Destination: /share/g/new", "Depth: infinity")
    assert len(os.listdir("/proc/self/fd")) == before
