"""The page about methods: everything is told, and nothing of it is more than text."""

from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import methodpage, pagestyle
from daemons.wire.methodpage import CSP, Entry, page

NASTY = "</title><script>alert(1)</script>\"'&<!--"
VOID = {"meta"}


class Reader(HTMLParser):
    """The elements of a page with their attributes, its text, its ids and links; checks that tags are balanced."""

    def __init__(self, data):
        super().__init__()
        self.open, self.found, self.texts, self.styles = [], [], [], []
        self.feed(data.decode())
        self.close()
        assert self.open == []
        self.ids = [attributes["id"] for _, attributes in self.found if "id" in attributes]
        self.links = [attributes["href"] for _, attributes in self.found if "href" in attributes]

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.styles if self.open[-1:] == ["style"] else self.texts).append(data)

    def tags(self):
        return {tag for tag, _ in self.found}


def test_what_is_told():
    entries = [Entry("system.listMethods", "() -> array", "All names."), Entry("b.second", "(x: int = ...) -> struct",
               "One.\nStill one.\n\n    indented\n      more\n\nTwo.", "signed in"), Entry("first", "()")]
    read = Reader(page("Title", "https://host/RPC2", entries, "About it."))
    text = "".join(read.texts)
    for part in ("Title", "About it.", 'ServerProxy("https://host/RPC2")', "server.first()", "(x: int = ...) → struct",
                 "signed in", "Still one.", "indented\n  more", "Nothing is told about it.", "3 methods."):
        assert part in text
    assert read.ids == ["methods", "m-first", "m-b.second", "m-system.listMethods"]
    assert {link.removeprefix("#") for link in read.links} == set(read.ids)
    assert "curl" not in "".join(Reader(page("T", "u", entries, by_json=False)).texts)


def test_it_works_for_a_keyboard_and_a_reader_of_screens():
    read = Reader(page("T", "u", [Entry("a", "()")]))
    first = next(attributes for tag, attributes in read.found if tag == "a")
    assert first["href"] == "#methods" and ("html", {"lang": "en"}) in read.found
    assert {"main", "nav", "details", "summary", "h1", "h2", "h3"} <= read.tags()
    assert all("aria-label" in attributes for tag, attributes in read.found
               if tag == "nav" or attributes.get("class") == "mark")


def test_nothing_in_it_is_more_than_text():
    read = Reader(page(NASTY, NASTY, [Entry(f"x{NASTY}", NASTY, NASTY + "\n\n  " + NASTY, NASTY)], NASTY))
    assert read.tags() == Reader(page("T", "u", [Entry("x", "()", "a\n\n  b", "c")], "d")).tags()
    assert "script" not in read.tags() and not any(name.startswith("on") for _, some in read.found for name in some)
    assert "".join(read.texts).count("<script>alert(1)</script>") >= 7


TEXT = st.text(max_size=30) | st.sampled_from([NASTY, "\u202e", "\ud800", "\0", "\n\n", "  \n  a\n"])


@given(TEXT, TEXT, TEXT, TEXT, TEXT)
def test_any_text_makes_a_page(title, address, name, signature, text):
    read = Reader(page(title, address, [Entry(name, signature, text, text)], text))
    assert "script" not in read.tags() and "xmlrpcd of fd0" in "".join(read.texts)


def test_an_address_cannot_leave_its_quotes():
    text = "".join(Reader(page("T", "a'; rm -rf /; '\"\\\n$(id)", [])).texts)
    assert """'a'\\''; rm -rf /; '\\''"\\?$(id)'""" in text and '"a\'; rm -rf /; \'\\"\\\\?$(id)"' in text


def test_the_policy_lets_its_own_style_and_nothing_else():
    styles = Reader(page("T", "u", [])).styles
    digests = [b64encode(sha256(one.encode()).digest()).decode() for one in styles]
    assert len(digests) == 2 and all(f"'sha256-{one}'" in CSP for one in digests)
    assert "default-src 'none'" in CSP and CSP.count("sha256-") == 2 and methodpage._RULES in styles
    assert "unsafe" not in CSP and "import" not in styles[1] and "url(" not in styles[1]
    assert pagestyle.CSP.count("sha256-") == 1
