"""Ways out of the root: dots, slashes, octets and links in every disguise, and folders that turn into links."""

import json
import os
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.stores import webtree
from tests.live import clients
from tests.serving import SECONDS, Serving

from .browsing import Web, replies, request

SECRET = b"nobody outside may see this"
LATER = 3600.0


@pytest.fixture
def root(tmp_path):
    """A root, with secrets in the folder above it and in one beside it."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "beside").mkdir()
    (tmp_path / "root-too").mkdir()
    for folder in ("beside", "root-too"):
        (tmp_path / folder / "secret").write_bytes(SECRET)
        (tmp_path / folder / "index.html").write_bytes(SECRET)
    folder = tmp_path / "root"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "x").write_text("within")
    (folder / "index.html").write_text("start")
    return folder


@pytest.fixture
def web(root):
    return Web(f"--root={root}", "--listing=yes")


UPS = ["..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e%252e", "%%32%65%%32%65", "..;", "..;x=y", "...", "....", ". .",
       "..%00", "..%20", "..%09",
       "..%0d", "%c0%ae%c0%ae", "%c0.%c0.", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae%f0%80%80%ae", "%fc%80%80%80%80%ae",
       "%uff0e%uff0e", "%u002e%u002e",
       "%ef%bc%8e%ef%bc%8e", "..\\", "..%5c", "..%255c", "..%c0%af", "..%c1%9c", "..%ef%bc%8f", "%2e%2e%2f", "..%2f",
       "..%252f", "..%5c..%5c",
       "..%2f..%2f..%2f"]
SLASHES = ["/", "//", "/./", "/%2e/", "%2f", "%5c", "\\", "%c0%af", "%252f"]


@pytest.mark.parametrize("up", UPS)
def test_no_way_up(web, up):
    for start in ("/", "/sub/", "/sub/deep/", "//", "/./", "/sub/x/", "/none/", "/sub/../"):
        for slash in SLASHES:
            for count in (1, 2, 3, 8):
                for name in ("secret", "beside/secret", "root-too/secret", "etc/passwd", "root/../secret"):
                    target = start + (up + slash) * count + name
                    reply = web.get(target)
                    assert reply.status in (400, 404,
                                            414) and SECRET not in reply.body and b"root:" not in reply.body, target


@pytest.mark.parametrize("target", [
    "//etc/passwd", "///etc/passwd", "/etc/passwd", "//www.example.org/etc/passwd", "/%2fetc/passwd",
    "/%2Fetc%2Fpasswd", "/file:///etc/passwd",
    "/c:/windows/win.ini", "/\\etc\\passwd", "/%5cetc%5cpasswd", "/secret%00", "/sub/x%00.html", "/%00/etc/passwd",
    "/sub/x%0a", "/sub/x%20", "/sub/x.",
    "/sub/x::$DATA", "/proc/self/environ", "/-", "/~root/.ssh/id_rsa", "/root/secret", "/../root-too/secret",
    "/..root-too/secret",
])
def test_what_is_no_path_of_ours(web, target):
    assert web.get(target).status == 404


@pytest.mark.parametrize("target", ["../secret", "..", "file:///etc/passwd", "/%", "/..%", "/%2", "/%2g", "/x%u002e",
                                    "sub/x", "/sub/x#", "http:/etc/passwd"])
def test_what_is_no_target(web, target):
    assert web.get(target).status == 400


def test_what_resolves_to_a_path_within_is_that_path(web):
    for target in ("/sub/x", "/sub/../sub/x", "/sub/%2e%2e/sub/x", "//sub//x", "/./sub/./x", "/none/../sub/x",
                   "/%73ub/%78", "/sub/x?/../../secret",
                   "http://www.example.org/sub/../sub/x"):
        assert web.get(target).body == b"within"


def test_links_that_lead_out(root, web):
    links = {"file": "../secret", "folder": "../beside", "up": "..", "absolute": root.parent / "secret",
             "home": root.parent, "etc": "/etc", "self": root,
             "back": "../root/sub", "deep": "sub/../../secret", "chain": "file", "proc": "/proc/self/root",
             "like": "../root-too"}
    for name, target in links.items():
        (root / name).symlink_to(target)
    (root / "sub" / "far").symlink_to("../../secret")
    for name in links:
        for rest in ("", "/", "/secret", "/beside/secret", "/root/sub/x", "/sub/x", "/passwd", "/etc/passwd",
                     "/index.html", "/x"):
            for fields in ([], ["Accept: application/json"], ["Accept-Encoding: gzip, br"], ["Range: bytes=0-3"]):
                reply = web.get(f"/{name}{rest}", *fields)
                assert reply.status == 404 and SECRET not in reply.body
    assert web.get("/sub/far").status == 404


def test_links_that_stay_within(root, web):
    for name, target in (("a", "sub/x"), ("b", "sub"), ("c", "./sub/../sub//x"), ("d", "a")):
        (root / name).symlink_to(target)
    (root / "sub" / "deep" / "e").symlink_to("../../a")
    assert {web.get(target).body for target in ("/a", "/b/x", "/c", "/d", "/sub/deep/e", "/b/deep/e",
                                                "/b/../b/x")} == {b"within"}


def test_links_in_circles(root, web):
    for name, target in (("one", "two"), ("two", "one"), ("self", "self"), ("into", "into/x"), ("here", ".")):
        (root / name).symlink_to(target)
    for target in ("/one", "/one/", "/two/x", "/self", "/into", "/into/x", "/here" * 20 + "/sub/x"):
        assert web.get(target).status == 404
    assert web.get("/here/here/sub/x").body == b"within"


def test_an_index_a_sibling_a_readme_and_an_error_page_may_not_lead_out(root, tmp_path):
    sites = tmp_path / "sites"
    sites.write_text("error 404 /page\nerror 405 /sub/../../secret\nlisting yes\n")
    for name in ("page", "sub/index.html", "sub/README", "sub/x.gz", "sub/x.br"):
        (root / name).symlink_to(tmp_path / "secret")
    web = Web(f"--root={root}", f"--vhosts={sites}")
    for reply in (web.get("/sub/"), web.get("/none"), web.ask("POST", "/"),
                  web.get("/sub/x", "Accept-Encoding: gzip, br")):
        assert SECRET not in reply.body


def test_a_listing_tells_nothing_of_what_is_outside(root, web):
    (root.parent / "secret").write_bytes(b"x" * 54_321)
    (root / "sub" / "out").symlink_to("../../secret")
    told = json.loads(web.get("/sub/", "Accept: application/json").body)
    assert not any(one["size"] == 54_321 for one in told["entries"])
    assert b"54,321" not in web.get("/sub/").body


def test_a_root_that_ends_in_a_slash_or_is_a_link(root):
    (root.parent / "link").symlink_to(root)
    for path in (f"{root}/", f"{root}/.", f"{root}/sub/..", root.parent / "link"):
        web = Web(f"--root={path}")
        assert web.get("/sub/x").body == b"within" and web.get("/../secret").status == 404


pieces = st.sampled_from([*UPS, *SLASHES, "sub", "x", "deep", "secret", "beside", "root", "out", "?", "%", "#", ";"])


@given(st.lists(pieces, max_size=12).map("".join))
def test_no_target_at_all(tmp_path_factory, text):
    top = tmp_path_factory.getbasetemp() / "traversal"
    if not top.exists():
        (top / "root" / "sub" / "deep").mkdir(parents=True)
        (top / "beside").mkdir()
        for path in (top / "secret", top / "beside" / "secret"):
            path.write_bytes(SECRET)
        (top / "root" / "sub" / "x").write_text("within")
        (top / "root" / "out").symlink_to("../beside")
    web = Web(f"--root={top}/root")
    for target in (f"/{text}", f"/sub/{text}", f"http://www.example.org/{text}"):
        assert SECRET not in web.get(target).body


# -- while everything is moved --

def swapping(root, over):
    """The folder sub is a link to the outside every other moment."""
    ways = ["../beside", str(root.parent / "beside"), "..", "../root-too"]
    (root.parent / "x").write_bytes(SECRET)
    for folder in ("beside", "root-too"):
        (root.parent / folder / "x").write_bytes(SECRET)
    while not over.is_set():
        for way in ways:
            (root / "sub").rename(root / "kept")
            (root / "sub").symlink_to(way)
            (root / "sub").unlink()
            (root / "kept").rename(root / "sub")


@pytest.fixture
def restless(root):
    """A root in which that happens."""
    over = threading.Event()
    swapper = threading.Thread(target=swapping, args=(root, over), daemon=True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)         # so that each step of one thread is met by any of the other
    swapper.start()
    yield root
    sys.setswitchinterval(before)
    over.set()
    swapper.join(SECONDS)


TARGETS = ["/sub/x", "/sub/", "/sub/deep/", "/sub/index.html", "/sub/secret"]


@pytest.mark.parametrize("ahead", [0.0, LATER])
def test_a_folder_that_becomes_a_link_while_it_is_asked_for(restless, ahead, monkeypatch):
    monkeypatch.setattr(webtree, "LOOK", 0.0)
    web, seen = Web(f"--root={restless}", "--listing=yes", ahead=ahead), set()
    for number in range(30_000):
        if number > 1500 and {200, 404} <= seen:
            break
        for target in TARGETS:
            reply = web.get(target)
            assert SECRET not in reply.body and b"secret" not in reply.body
            seen.add(reply.status)
    assert {200, 404} <= seen


def test_the_same_over_a_socket(restless):
    with Serving("httpd", f"--root={restless}", "--listing=yes") as server:
        for _ in range(5):
            asked = b"".join(request("GET", target) for target in TARGETS) * 400
            heard = clients.converse(("127.0.0.1", server.port), asked, seconds=60)
            found = replies(heard)
            assert len(found) == 2000 and not any(SECRET in reply.body or b"secret" in reply.body for reply in found)
            assert {reply.status for reply in found} <= {200, 404}
    assert not [line for line in server.log if " crash " in line]


def test_a_file_that_becomes_a_link_while_it_is_asked_for(root):
    over = threading.Event()

    def swap():
        while not over.is_set():
            (root / "new").symlink_to("../secret")
            (root / "new").replace(root / "y")
            (root / "new").write_text("within")
            (root / "new").replace(root / "y")

    swapper = threading.Thread(target=swap, daemon=True)
    swapper.start()
    web = Web(f"--root={root}", ahead=LATER)
    try:
        for _ in range(2000):
            reply = web.get("/y")
            assert reply.body in (b"within", b"") or reply.status == 404
    finally:
        over.set()
        swapper.join(SECONDS)
    assert os.path.lexists(root / "y")
