"""The frame of all pages: text stays text, the colours can be read, and nothing is fetched."""

import base64
import hashlib
import html
import re

import pytest
from hypothesis import example, given, strategies

from daemons.wire.pagestyle import CSP, escape, escape_lines, page, style
from tests.wire.pages import Page, parsed

SHEET = style().removeprefix("<style>").removesuffix("</style>")
PALETTES = [dict(re.findall(r"--(\w+):(#[0-9a-f]+)", block)) for block in re.findall(r":root\{[^}]*#[^}]*\}", SHEET)]


@pytest.mark.parametrize(("text", "shown"), [
    ("plain", "plain"), ("naïve 😀", "naïve 😀"), ("", ""),
    ("<b>&amp;</b>", "&lt;b&gt;&amp;amp;&lt;/b&gt;"),
    ("\"it's\"", "&quot;it&#39;s&quot;"),
    ("a\nb\tc\x1b[31m\x00\x7f", "a\u240ab\u2409c\u241b[31m\u2400\u2421"),
    ("caf\udce9", "caf\ufffd"), ("\ud800 \udfff", "\ufffd \ufffd"),         # octets, and halves of a pair
    ("photo\u202egnp.exe \u2066x\u2069\u200f", "photo\ufffdgnp.exe \ufffdx\ufffd\ufffd"),
    ("a\u2028b\x85c\ufeff\uffff", "a\ufffdb\ufffdc\ufffd\ufffd"),
])
def test_text_is_shown_and_not_obeyed(text, shown):
    assert escape(text) == shown


def test_lines_stay_lines():
    assert escape_lines("<a>\r\n\tb\rc\n\x1b\udcff") == "&lt;a&gt;\n\tb\u240dc\n\u241b\ufffd"


anything = strategies.text(strategies.characters(exclude_categories=()))
hostile = strategies.text("<>\"'&;=/ax\n\t\x00\x1b\x7f\x9b\ud800\udc80\u202e\u2067é😀")


@given(anything | hostile)
@example("\ud83d\ude00")
def test_what_is_escaped_is_one_text_wherever_it_stands(text):
    shown = escape(text)
    assert not set(shown) & set("<>\"'\n\t\r\x00\x1b\u202e\u2067")
    read = Page(f'<p title="{shown}">{shown}</p>'.encode())
    assert [one.tag for one in read.elements] == ["p"]
    assert read.one("p")["title"] == read.one("p").text == html.unescape(shown)


@given(anything)
def test_ordinary_text_is_what_was_meant(text):
    if text.isprintable():
        assert html.unescape(escape(text)) == text


def test_a_page_is_a_document():
    read = parsed(page("<1> & 2\udcff", "<main><h1>é</h1></main>", lang="de"))
    assert read.one("title").text == "<1> & 2\ufffd" and read.one("html")["lang"] == "de"
    assert read.one("h1").text == "é" and read.one("meta", name="color-scheme")["content"] == "light dark"


def test_a_body_that_was_not_escaped_still_makes_a_page():
    assert b"<p>a?b</p>" in page("x", "<p>a\udcffb</p>")


def test_the_policy_names_this_sheet_and_nothing_else():
    digest = base64.b64encode(hashlib.sha256(SHEET.encode()).digest()).decode()
    assert CSP.split("; ") == ["default-src 'none'", f"style-src 'sha256-{digest}'", "base-uri 'none'",
                               "form-action 'none'", "frame-ancestors 'none'"]
    assert CSP.isascii() and CSP.isprintable()


def test_the_sheet_fetches_nothing_and_moves_nothing():
    assert not re.search(r"url\(|@import|@font-face|transition|animation|scroll-behavior|</|<!--", SHEET)
    assert SHEET.isascii() and SHEET.count("{") == SHEET.count("}") and len(SHEET) < 4096


@pytest.mark.parametrize("feature", ["prefers-color-scheme:dark", "prefers-contrast:more", "print", ":focus-visible",
                                     "color-scheme:light dark", "max-width:40rem"])
def test_the_sheet_heeds(feature):
    assert feature in SHEET


def test_colours_are_named_once():
    names = {"paper", "ink", "soft", "line", "tint", "link", "seen"}
    assert [set(palette) for palette in PALETTES] == [names] * 3        # light, dark, print
    assert set(re.findall(r"var\(--(\w+)\)", SHEET)) == names
    assert not re.search("#[0-9a-f]{3}", re.sub(r":root\{[^}]*\}", "", SHEET))


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at:at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """WCAG 2.2, contrast ratio: from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_counted_as_in_the_standard():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=.01)


@pytest.mark.parametrize("palette", PALETTES, ids=["light", "dark", "print"])
@pytest.mark.parametrize("ground", ["paper", "tint"])
@pytest.mark.parametrize(("sign", "least"), [("ink", 7), ("soft", 4.5), ("link", 4.5), ("seen", 4.5)])
def test_everything_can_be_read(palette, ground, sign, least):
    assert contrast(palette[sign], palette[ground]) >= least
