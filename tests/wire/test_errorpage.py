"""Pages of errors and redirects: short, plain, and no use to an attacker."""

import pytest
from hypothesis import given, strategies

from daemons import __version__
from daemons.wire.errorpage import DEFAULT, LEADS_HOME, SENTENCES, error, moved
from tests.wire.pages import parsed

HOSTILE = '/"><script>alert(1)</script>\n\x1b[31m\u202e\udcff'


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 408, 410, 411, 412, 413, 414, 415, 416, 417, 421, 426,
                                    429, 431, 451, 500, 501, 502, 503, 504, 505, 418])
def test_a_status_says_what_to_do_next(status):
    page = parsed(error(status, "Reason"))
    assert page.one("title").text == f"{status} Reason" and page.one("h1").text == "Reason"
    sentence = page.all("p")[1].text
    assert sentence == SENTENCES.get(status, DEFAULT) and sentence.endswith(".")
    assert [one["href"] for one in page.all("a")] == ["/"] * (status in LEADS_HOME)
    assert __version__ not in page.one("main").text


def test_every_sentence_is_another_one():
    assert len({*SENTENCES.values(), DEFAULT}) == len(SENTENCES) + 1
    assert set(SENTENCES) >= LEADS_HOME and 418 not in SENTENCES


def test_a_program_may_know_better():
    page = parsed(error(403, "Forbidden", "Folders are not listed <here>."))
    assert page.all("p")[1].text == "Folders are not listed <here>."


def test_a_path_is_shown_on_request_and_as_text():
    assert b"<code>" not in error(404, "Not Found")
    page = parsed(error(404, "<i>", path_hint=HOSTILE))
    assert page.one("code").text == '/"><script>alert(1)</script>\u240a\u241b[31m\ufffd\ufffd'
    assert page.one("h1").text == "<i>"


@pytest.mark.parametrize("location", ["/new/", "https://example.org/a?b=c&d='e'#f:g", "http://[2001:db8::1]:8080/",
                                      "HTTPS://example.org/", "../up/", "new/a:b", "?a:b", "#a:b", "//example.org/"])
def test_a_redirect_leads_there(location):
    page = parsed(moved(302, location))
    assert page.one("a")["href"] == page.one("a").text == location


@pytest.mark.parametrize("location", ["javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)",
                                      "java\nscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,x",
                                      "javascript://x/%0aalert(1)", "http :x"])
def test_a_redirect_to_no_page_is_no_link(location):
    page = parsed(moved(302, location))
    assert page.all("a") == [] and page.one("code").text


def test_a_redirect_says_whether_it_is_for_good():
    for_good, for_now = parsed(moved(301, "/a")), parsed(moved(302, "/a"))
    assert parsed(moved(308, "/a")).one("h1").text == for_good.one("h1").text != for_now.one("h1").text
    assert parsed(moved(307, "/a")).one("h1").text == parsed(moved(303, "/a")).one("h1").text == for_now.one("h1").text


@pytest.mark.parametrize("status", [302, 404])
@given(text=strategies.text(strategies.characters(exclude_categories=())) | strategies.text("<>\"'&:/\n\udcff\u202e"))
def test_whatever_it_is_about(status, text):
    page = error(status, text, text, text) if status == 404 else moved(status, text)
    assert page.count(b"<h1>") == page.count(b"</main>") == 1 and b"\xed\xb3" not in page
    page.decode("utf-8")
