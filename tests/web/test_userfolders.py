"""/~NAME/: folders of users who are people, and of nobody else."""

import os
import pwd
from types import SimpleNamespace

import pytest

from daemons.web import userfolders
from tests.web.browsing import Web


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Homes below a folder, of users who have our own uid; her/public_html/page is there."""
    (tmp_path / "her/public_html").mkdir(parents=True)
    (tmp_path / "her/public_html/page").write_text("hers")
    monkeypatch.setattr(userfolders, "FIRST", 0)
    known = {name: SimpleNamespace(pw_uid=os.getuid(), pw_dir=str(tmp_path / name)) for name in ("her", "nofolder")}
    known["stranger"] = SimpleNamespace(pw_uid=os.getuid() + 1, pw_dir=str(tmp_path / "her"))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: known[name])
    return tmp_path


@pytest.fixture
def web(homes):
    (homes / "www").mkdir()
    (homes / "www/~her").write_text("a file of that name")
    return Web(f"--root={homes / 'www'}", "--user-folders=public_html", "--listing=yes")


def test_a_users_file_and_list(web):
    assert web.get("/~her/page").body == b"hers"
    assert b"page" in web.get("/~her/").body
    moved = web.get("/~her")
    assert moved.status == 301 and ("location", "/~her/") in moved.fields


@pytest.mark.parametrize("path", ["/~nobody/", "/~nofolder/", "/~/", "/~her/../~nofolder/", "/~her/%2e%2e/secret",
                                  "/~%00/", "/~her%2fpublic_html/"])
def test_nothing_else_is_there(web, path):
    assert web.get(path).status == 404


def test_links_do_not_lead_out(web, homes):
    (homes / "secret").write_text("secret")
    (homes / "her/public_html/out").symlink_to("../../secret")
    assert web.get("/~her/out").status == 404


def test_a_home_that_is_a_link_and_a_folder_that_is_anothers(web, homes):
    (homes / "nofolder").symlink_to("her")
    assert web.get("/~nofolder/page").status == 404
    assert web.get("/~stranger/page").status == 404


def test_system_users_have_none(web, monkeypatch):
    monkeypatch.setattr(userfolders, "FIRST", os.getuid() + 1)
    assert web.get("/~her/page").status == 404
