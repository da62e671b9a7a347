"""The pages that httpd makes, as a browser has them: in light and dark, on a telephone, by keyboard, with no script."""

import os
import re
import urllib.request
from pathlib import Path

import pytest

from tests.live import processes
from tests.live.chromium import Chromium
from tests.serving import Serving

SECONDS = 60


@pytest.fixture(scope="module")
def shown():
    """A folder for people: its names are long, or those of an attacker, or no text at all."""
    path = Path(processes.new_folder("shown"))
    for name in (b"notes.txt", b"a-name-without-any-place-to-break-" * 4, b"\"><script>document.title='run'<x>.txt",
                 b"bad\xff.bin", b"<img src=x onerror=document.title=1>.png"):
        (path / os.fsdecode(name)).write_bytes(b"x")
    (path / "README").write_text("<script>document.title = 'run'</script>\n")
    (path / "folder").mkdir()
    with Serving("httpd", f"--root={path}", "--listing=yes") as server, Serving("httpd") as bare:
        yield {"listing": (f"http://127.0.0.1:{server.port}/", "Contents of /"),
               "error": (f"http://127.0.0.1:{server.port}/missing", "404 Not Found"),
               "welcome": (f"http://127.0.0.1:{bare.port}/", "It works")}
    assert server.events("crash") == bare.events("crash") == []


@pytest.fixture(scope="module")
def browser(shown):
    with Chromium() as there:
        yield there


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["listing", "error", "welcome"])
def test_a_page(browser, shown, name, width, dark):
    url, title = shown[name]
    page = browser.show(url, width, dark=dark)
    assert page.value("document.title") == title
    # a browser tells of each answer that is an error
    assert [one for one in page.complaints if "status of 404" not in str(one)] == []
    assert page.value("document.documentElement.scrollWidth") == width
    paper, ink = (sum(map(int, re.findall(r"\d+", page.value(f"getComputedStyle(document.body.parentNode).{one}"))))
                  for one in ("backgroundColor", "color"))
    assert paper < 150 < 600 < ink if dark else ink < 150 < 600 < paper
    picture = page.picture()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000


def test_nothing_runs_in_a_page_of_ours(browser, shown):
    page = browser.show(shown["listing"][0])
    smuggle = "Object.assign(document.createElement('{}'), {})"
    for what in (smuggle.format("script", "{textContent: 'document.title = 1'}"),
                 smuggle.format("style", "{textContent: '* { color: red }'}"),
                 smuggle.format("img", "{src: '/notes.txt'}")):
        page.value(f"document.body.append({what})")
    browser.until(lambda: len({one["issue"]["details"]["contentSecurityPolicyIssueDetails"]["violatedDirective"]
                               for one in page.named("Audits.issueAdded")}) == 3, "three complaints")
    assert page.value("[document.title, getComputedStyle(document.body).color == 'rgb(255, 0, 0)']") == [
        "Contents of /", False]


def test_a_listing_by_keyboard(browser, shown):
    page = browser.show(shown["listing"][0])
    seen = []
    for _ in range(4):
        page.press("Tab")
        seen.append(page.value("document.activeElement.getAttribute('href')"))
        assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert seen == ["?sort=name&order=desc", "?sort=size&order=desc", "?sort=date&order=desc", "folder/"]
    page.press("Enter")
    browser.until(lambda: len(page.named("Page.loadEventFired")) == 2, "next page")
    assert page.value("location.pathname") == "/folder/"


def test_every_link_of_a_listing_leads_to_its_file(browser, shown):
    page = browser.show(shown["listing"][0])
    links = page.value("[...document.querySelectorAll('tbody a')].map(one => one.href)")
    assert len(links) == 7
    for link in links:
        with urllib.request.urlopen(link, timeout=SECONDS) as answer:
            assert answer.status == 200
