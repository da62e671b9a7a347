"""A folder's contents: every name leads back to itself, none leads anybody astray, and the order is what was asked."""

import json
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import example, given, strategies

from daemons.wire.listingpage import Entry, href, human, listing, listing_json, natural, ordered, wanted
from tests.wire.pages import Page, parsed

NOW = 1795874700                # 2026-11-28 14:05 UTC
TRICKY = ['"><script>alert(1)</script>', "javascript:alert(1)", "a:b", "a b", " lead", "trail ", "new\nline",
          "\x1b[31m", "photo\u202egnp.exe", "caf\udce9", "café", "a?b", "a#b", "100%", "%41", "a&amp;b", "it's",
          "~user", "-", "...", "\\", "//", "日本", "😀", "\x7f", "\u2028", "x" * 255]


def file(name, size=0, modified=NOW):
    return Entry(name, False, size, modified)


def folder(name, modified=NOW):
    return Entry(name, True, ord(name[:1] or "x"), modified)


def shown(path="/pub/", *entries, **more):
    """The page of a folder with these entries."""
    return parsed(listing(path, entries, now=NOW, **more))


def rows(page):
    """The links of the table's entries, without the one that leads up."""
    return [one for one in page.all("a") if "tbody" in one.within and one["href"] != "../"]


def names(entries):
    return [entry.name for entry in entries]


def target(link, base="http://h/pub/a%20b/"):
    """The last step of where a browser goes, in octets; it must be right below the folder."""
    url = urlsplit(urljoin(base, link))
    above, _, last = url.path.removesuffix("/").rpartition("/")
    assert (url.scheme, url.netloc, above + "/", url.query, url.fragment) == ("http", "h", "/pub/a%20b/", "", "")
    return unquote_to_bytes(last)


file_names = strategies.binary(min_size=1, max_size=80).map(lambda octets: octets.decode("utf-8", "surrogateescape"))
hostile_names = strategies.text("<>\"'&:?#%. \n\t\x1b\x7f\udce9\u202eaé/", min_size=1, max_size=40)


@given(file_names | hostile_names)
@example("javascript:alert(1)")
@example(". ")
@example("...")
def test_a_link_leads_back_to_its_name(name):
    if name not in (".", ".."):
        assert target(href(name)) == name.encode("utf-8", "surrogateescape")
        assert target(href(name, is_folder=True)) == name.encode("utf-8", "surrogateescape")
        assert set(href(name)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/")


@pytest.mark.parametrize(("name", "link"), [
    ("plain.txt", "plain.txt"), ("a b", "a%20b"), ("a:b", "./a%3Ab"), ("javascript:x", "./javascript%3Ax"),
    ("caf\udce9", "caf%E9"), ("café", "caf%C3%A9"), ("%41", "%2541"), ("~u", "~u"), ("a/b", "a%2Fb")])
def test_links_are_as_short_as_is_safe(name, link):
    assert href(name) == link and href(name, is_folder=True) == link + "/"


@pytest.mark.parametrize("name", TRICKY)
def test_a_tricky_name_is_a_row_like_others(name):
    page = shown("/pub/", file(name), folder(name))
    one, two = rows(page)
    assert one["href"] == two["href"] + "/"
    assert target(two["href"]) == name.encode("utf-8", "surrogateescape")
    assert two.text and two.text.strip() == two.text and one.text == two.text + "/"
    assert not set(two.text) & set("\n\x1b\x7f\u202e\u2028\udce9")


@pytest.mark.parametrize(("name", "text"), [
    ("photo\u202egnp.exe", "photo\ufffdgnp.exe"), ("new\nline", "new\u240aline"), ("caf\udce9", "caf\ufffd"),
    ("  two ", "\u2423\u2423two\u2423"), (" ", "\u2423"), ("a  b", "a  b"), ("<b>", "<b>")])
def test_what_the_eye_sees_of_a_name(name, text):
    assert [one.text for one in rows(shown("/", file(name)))] == [text]


@given(strategies.lists(file_names | hostile_names, max_size=8, unique=True),
       strategies.sampled_from(["name", "size", "date"]), strategies.booleans())
def test_whatever_the_names_the_page_is_whole(some, sort, descending):
    entries = [Entry(name, len(name) % 2 == 0, len(name), NOW - len(name)) for name in some]
    page = Page(listing("/x/", entries, sort, descending, now=NOW))
    assert {target(one["href"], "http://h/pub/a%20b/") for one in rows(page)} == \
        {name.encode("utf-8", "surrogateescape") for name in some if name not in (".", "..")}


def test_names_that_no_url_reaches_are_left_out():
    entries = [file(""), folder("."), folder(".."), file("a")]
    assert [one.text for one in rows(shown("/", *entries))] == ["a"]
    assert [one["name"] for one in json.loads(listing_json("/", entries))["entries"]] == ["a"]


MIXED = [file("file10", 5, 300), file("File2", 900, 100), folder("zoo", 50), file("file1", 5, 200), folder("Art", 400)]


@pytest.mark.parametrize(("sort", "descending", "order"), [
    ("name", False, "Art zoo file1 File2 file10"), ("name", True, "zoo Art file10 File2 file1"),
    ("size", False, "Art zoo file1 file10 File2"), ("size", True, "Art zoo File2 file1 file10"),
    ("date", False, "zoo Art File2 file1 file10"), ("date", True, "Art zoo file10 file1 File2"),
    ("colour", False, "Art zoo file1 File2 file10")])
def test_the_order(sort, descending, order):
    assert names(ordered(MIXED, sort, descending)) == order.split()
    assert [one.text.rstrip("/") for one in rows(shown("/", *MIXED, sort=sort, descending=descending))] == order.split()


@pytest.mark.parametrize("order", ["file file1 file2 file10 file10a file10b1", "1 2 10 100 a1 B1 c",
                                   "v1.4.0 v1.10.0 v2", "a0 a1 a09 a10", "x2y10 x2y11 x10y1"])
def test_numbers_count(order):
    assert names(ordered(map(file, reversed(order.split())))) == order.split()


@given(strategies.integers(0, 10**30), strategies.integers(0, 10**30), strategies.integers(0, 5))
def test_numbers_of_any_length_count(one, other, zeros):
    assert (natural(f"a{one}.b") < natural(f"a{other}.b")) == (one < other)
    assert natural(f"a{'0' * zeros}{one}") == natural(f"a{one}")


def test_names_alike_keep_one_order():
    assert names(ordered([file("a"), file("A"), file("01"), file("1")])) == \
        names(ordered([file("1"), file("01"), file("A"), file("a")])) == ["01", "1", "A", "a"]


def test_digits_of_other_scripts_are_letters():
    assert names(ordered([file("a²"), file("a٣"), file("a10")])) == ["a10", "a²", "a٣"]


@pytest.mark.parametrize(("query", "asked"), [
    ("", ("name", False)), ("sort=size&order=desc", ("size", True)), ("order=asc&sort=date", ("date", False)),
    ("sort=size", ("size", False)), ("sort=colour&order=up", ("name", False)), ("sort&order&&=", ("name", False)),
    ("sort=date;order=desc", ("name", False)), ("order=desc", ("name", True))])
def test_what_a_query_asks_for(query, asked):
    assert wanted(query) == asked


@pytest.mark.parametrize(("sort", "descending", "links"), [
    ("name", False, {"Name": ("name", True), "Size": ("size", True), "Modified": ("date", True)}),
    ("name", True, {"Name": ("name", False), "Size": ("size", True), "Modified": ("date", True)}),
    ("size", True, {"Name": ("name", False), "Size": ("size", False), "Modified": ("date", True)}),
    ("date", True, {"Name": ("name", False), "Size": ("size", True), "Modified": ("date", False)}),
    ("colour", False, {"Name": ("name", True), "Size": ("size", True), "Modified": ("date", True)})])
def test_the_headers_sort(sort, descending, links):
    page = shown("/pub/", *MIXED, sort=sort, descending=descending)
    heads = [one for one in page.all("a") if "thead" in one.within]
    assert {one.text.strip(" ↑↓"): wanted(one["href"].removeprefix("?")) for one in heads} == links
    sorted_by, = [one for one in page.all("th", scope="col") if one.get("aria-sort")]
    assert sorted_by["aria-sort"] == ("descending" if descending else "ascending")
    assert sorted_by.text.strip(" ↑↓") == {"size": "Size", "date": "Modified"}.get(sort, "Name")
    assert sorted_by.text.endswith("↓" if descending else "↑")


@pytest.mark.parametrize(("path", "steps"), [
    ("/", []), ("/pub/", ["/"]), ("/pub/a b/c/", ["/", "/pub/", "/pub/a%20b/"]), ("/\udce9/<b>/", ["/", "/%E9/"])])
def test_the_path_leads_up(path, steps):
    page = shown(path, file("x"))
    url = "http://h" + "/".join(href(step) if step else "" for step in path.split("/"))
    links = [one["href"] for one in page.all("a") if "nav" in one.within]
    assert [urljoin(url, link) for link in links] == ["http://h" + step for step in steps]
    assert page.one("b")["aria-current"] == "page"
    up = [one["href"] for one in page.all("a") if "tbody" in one.within and one["href"] == "../"]
    assert [urljoin(url, link) for link in up] == ["http://h" + step for step in steps[-1:]]


def test_the_path_is_text():
    assert shown('/"><i>\n/\udce9/', file("x")).one("h1").text == 'Start/"><i>\u240a/\ufffd'


@pytest.mark.parametrize(("size", "text"), [
    (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1433, "1.4 KiB"), (10188, "9.9 KiB"),
    (10190, "10 KiB"), (14 * 1024, "14 KiB"), (1023 * 1024, "1023 KiB"), (1024 * 1024 - 1, "1.0 MiB"),
    (1024 ** 2, "1.0 MiB"), (5 * 1024 ** 3, "5.0 GiB"), (3 * 1024 ** 4, "3.0 TiB"), (2 ** 63 - 1, "8.0 EiB"),
    (2 ** 75, "32768 EiB")])
def test_sizes_for_people(size, text):
    assert human(size) == text


@given(strategies.integers(0, 2 ** 69))
def test_a_size_is_about_right(size):
    number, unit = human(size).split()
    value = float(number) * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].index(unit)
    assert float(number) < 1024 and abs(value - size) <= size * 0.055


def test_a_row_says_the_exact_size_and_time():
    page = shown("/", file("a", 1234567, NOW + 59.9), folder("b"))
    assert [one.text for one in page.all("td", kind="number")] == \
        ["", "2026-11-28 14:05", "1.2 MiB", "2026-11-28 14:05"]
    assert page.all("span", title="1,234,567 bytes")[0].text == "1.2 MiB"
    assert [one["datetime"] for one in page.all("time")][1] == "2026-11-28T14:05:59Z"


@pytest.mark.parametrize(("modified", "date"), [
    (0, "1970-01-01 00:00"), (-0.5, "1969-12-31 23:59"), (-1e-9, "1969-12-31 23:59"), (951782400, "2000-02-29 00:00"),
    (-1e30, "0001-01-01 00:00"), (1e30, "9999-12-31 23:59"), (2 ** 31, "2038-01-19 03:14")])
def test_any_time_can_be_shown(modified, date):
    assert shown("/", file("a", 1, modified)).all("time")[0].text == date


@pytest.mark.parametrize(("entries", "text"), [
    ([file("a", 2048)], "1 file of 2.0 KiB"), ([folder("a"), folder("b")], "2 folders"),
    ([folder("a"), file("b", 1), file("c", 2)], "3 items: 1 folder, 2 files of 3 B"),
    ([file(f"{number}", 1) for number in range(1200)], "1,200 files of 1.2 KiB")])
def test_the_sum(entries, text):
    assert shown("/", *entries).one("p", kind="soft").text == text


@pytest.mark.parametrize(("path", "links"), [("/", []), ("/pub/", ["../", "../"])])
def test_an_empty_folder_says_so(path, links):
    page = shown(path)
    assert page.all("p")[0].text == "This folder is empty." and page.all("table") == []
    assert [one["href"] for one in page.all("a")] == links


def test_a_readme_is_plain_text_below():
    page = shown("/", file("README"), readme="Hello <b>you</b>\r\n\n\tmake \x1b[1m\udcff\n\n")
    assert page.one("pre").text == "Hello <b>you</b>\n\n\tmake \u241b[1m\ufffd"
    assert len(page.all("b")) == 1              # where we are
    assert shown("/", file("a"), readme=" \n").all("pre") == []


def test_who_made_it_and_when_but_no_version():
    assert shown("/").one("footer").text == "fd0 httpd. Times are in UTC; this page is of 2026-11-28 14:05."


def test_folders_are_told_apart_without_colour():
    page = shown("/", folder("a"), file("b"))
    assert [one.text for one in page.all("th", scope="row")] == ["a/", "b"]
    assert [one.get("class") for one in page.all("th", scope="row")] == ["folder", None]


def test_json_for_programs():
    said = json.loads(listing_json("/pub/\udce9/", [file("b10", 7, 0), file("b9\n", 2 ** 60, NOW), folder("\udce9:")]))
    assert said == {"path": "/pub/\ufffd/", "entries": [
        {"name": "\ufffd:", "href": "./%E9%3A/", "type": "folder", "size": None, "modified": "2026-11-28T14:05:00Z"},
        {"name": "b9\n", "href": "b9%0A", "type": "file", "size": 2 ** 60, "modified": "2026-11-28T14:05:00Z"},
        {"name": "b10", "href": "b10", "type": "file", "size": 7, "modified": "1970-01-01T00:00:00Z"}]}


@given(strategies.lists(file_names | hostile_names, max_size=8, unique=True))
def test_json_names_every_file_exactly(some):
    entries = json.loads(listing_json("/", map(file, some)).decode("utf-8"))["entries"]
    exact = {unquote_to_bytes(one["href"].removeprefix("./")) for one in entries}
    assert exact == {name.encode("utf-8", "surrogateescape") for name in some if name not in (".", "..")}
    assert all(one["name"].encode("utf-8") in exact or "\ufffd" in one["name"] for one in entries)
