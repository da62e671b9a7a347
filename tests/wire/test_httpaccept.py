"""What clients say they would rather have, and what they get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpaccept import encodings, prefers, qualities

OFFERED = ("br", "gzip", "identity")


@pytest.mark.parametrize("text, found", [
    ("", {}), ("gzip", {"gzip": 1}), ("GZip", {"gzip": 1}), ("x-gzip", {"gzip": 1}), ("X-Compress", {"compress": 1}),
    ("gzip, br", {"gzip": 1, "br": 1}), ("gzip,,br,", {"gzip": 1, "br": 1}), ("\tgzip ;\tq=0.5 ", {"gzip": 0.5}),
    ("gzip;q=0", {"gzip": 0}), ("gzip;q=0.", {"gzip": 0}), ("gzip;q=0.000", {"gzip": 0}),
    ("gzip;q=0.001", {"gzip": 0.001}), ("gzip;q=0.5", {"gzip": 0.5}), ("gzip;q=0.25", {"gzip": 0.25}),
    ("gzip;Q=0.999", {"gzip": 0.999}), ("gzip;q=1", {"gzip": 1}), ("gzip;q=1.", {"gzip": 1}),
    ("gzip;q=1.000", {"gzip": 1}), ("*;q=0.1, gzip", {"*": 0.1, "gzip": 1}), ("gzip;q=0.1, gzip;q=0.2", {"gzip": 0.2}),
    ("gzip, x-gzip;q=0", {"gzip": 0}), ("a!#$%&'*+-.^_`|~9", {"a!#$%&'*+-.^_`|~9": 1}),
])
def test_weights(text, found):
    assert qualities(text) == found


@pytest.mark.parametrize("element", [
    "gzip;q=1.001", "gzip;q=2", "gzip;q=-1", "gzip;q=0.1234", "gzip;q=1.0000", "gzip;q=.5", "gzip;q=", "gzip;q",
    "gzip;", "gzip;=1", "gzip;q=0.5.", "gzip;q=0..5", "gzip;q=00", "gzip;q=+1", "gzip;q=1e0", "gzip;q=0_1", "gzip;q=²",
    "gzip;q=0.٣", "gzip;q=nan", "gzip;q=\"0.5\"", "gzip; q = 0.5", "gzip;q= 0.5", "gzip;q=0.5;q=0.6", "gzip;level=1",
    "gz ip", "gz\0ip", "gz\u0131p", "\u212aey", "gzip/1", '"gzip"', "g=1", "gzip\n", "\u00a0gzip", "(gzip)", ";q=1",
    ";",
])
def test_elements_that_are_passed_over(element):
    assert qualities(f"br, {element}, zstd;q=0.5")["br"] == 1
    assert set(qualities(f"br, {element}, zstd;q=0.5")) == {"br", "zstd"}


@pytest.mark.parametrize("text, order", [
    (None, ["identity"]), ("", ["identity"]), (",", ["identity"]), ("nonsense", ["identity"]),
    ("deflate", ["identity"]), ("gzip", ["gzip", "identity"]), ("gzip, br", ["br", "gzip", "identity"]),
    ("gzip, deflate, br, zstd", list(OFFERED)), ("br;q=0.9, gzip", ["gzip", "br", "identity"]),
    ("gzip;q=0.001", ["gzip", "identity"]), ("gzip;q=0", ["identity"]), ("x-gzip", ["gzip", "identity"]),
    ("GZIP", ["gzip", "identity"]), ("*", list(OFFERED)), ("*;q=0.5, gzip", ["gzip", "br", "identity"]),
    ("*, br;q=0", ["gzip", "identity"]), ("gzip, *;q=0", ["gzip"]), ("gzip, identity;q=0", ["gzip"]),
    ("identity;q=0", []), ("*;q=0", []), ("br;q=0, *;q=0", []), ("identity, *;q=0", ["identity"]),
    ("identity;q=0.5, *;q=0", ["identity"]), ("identity", ["identity"]), ("identity, gzip;q=0.5", ["identity", "gzip"]),
    ("identity;q=0.5, gzip;q=0.5", ["gzip", "identity"]), ("compress;q=0.5, gzip;q=1.0", ["gzip", "identity"]),
    ("gzip;q=1.0, identity; q=0.5, *;q=0", ["gzip", "identity"]),
])
def test_which_codings_are_taken(text, order):
    assert list(encodings(text, OFFERED)) == order


def test_the_order_of_what_is_offered_decides_among_equals():
    assert encodings("br, gzip", ("gzip", "br")) == ("gzip", "br")
    assert encodings("*", ("identity", "gzip")) == ("identity", "gzip")
    assert encodings("gzip", ("identity", "gzip")) == ("gzip", "identity")
    assert encodings("gzip", ()) == encodings(None, ("gzip",)) == () and encodings("gzip", ("gzip",)) == ("gzip",)


@given(st.text() | st.text(alphabet="gzipbr;=q01.5*, x-"))
def test_any_text_leaves_something_or_refuses_everything(text):
    taken = encodings(text, OFFERED)
    assert set(taken) <= set(OFFERED) and len(set(taken)) == len(taken)
    assert all(0 <= weight <= 1 and name == name.lower() for name, weight in qualities(text).items())
    assert "identity" in taken or "q=0" in text.lower()


@given(st.dictionaries(st.sampled_from(OFFERED), st.integers(0, 1000)))
def test_thousandths_are_told_apart(weights):
    text = ", ".join(f"{name};q={weight // 1000}.{weight % 1000:03}" for name, weight in weights.items())
    taken = [name for name in encodings(text, OFFERED) if name in weights]
    assert taken == sorted((name for name in OFFERED if weights.get(name)), key=lambda name: -weights[name])


@pytest.mark.parametrize("accept, best", [
    (None, "text/html"), ("", "text/html"), ("*/*", "text/html"), ("text/html", "text/html"),
    ("application/json", "application/json"), ("APPLICATION/JSON", "application/json"),
    ("application/*", "application/json"), ("text/plain", "text/plain"), ("text/plain, text/html", "text/html"),
    ("text/plain, text/html;q=0.9", "text/plain"), ("text/html;q=0.9, application/json", "application/json"),
    ("text/html;q=0, */*", "application/json"), ("text/*;q=0, */*", "application/json"),
    ("*/*, text/html;q=0.5", "application/json"), ("text/*;q=0.5, text/plain", "text/plain"),
    ("text/*, text/html;q=0.1, */*;q=0.2", "text/plain"), ("image/png", "text/html"), ("*/*;q=0", "text/html"),
    ("text/html;level=1", "text/html"), ("text/html;level=1, text/plain;q=0.1", "text/plain"),
    ("text/html ; q=0.1 , text/plain\t;q=0.2", "text/plain"), ("text/html;q=0.2;v=1, text/plain;q=0.1", "text/plain"),
    ("text/html;", "text/html"), ("text/html;q=0.2;, text/plain;q=0.3;", "text/plain"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "text/html"),
    ('x/y;a="text/plain, text/plain;q=1, \\", ;", application/json', "application/json"),
])
def test_which_media_type_is_preferred(accept, best):
    assert prefers(accept, ("text/html", "application/json", "text/plain")) == best


@pytest.mark.parametrize("element", [
    "json", "*", "*/json", "application/", "/json", "application/json/x", "application /json", "application/json;q=2",
    "application/json;q=", "application/json;x", "application/json;x=", "application/json;=1", "application/json;x=a b",
    'application/json;x="a', "application/json x", 'application/json;x="a"b', "application/j\u017fon", "\u00e4/json",
    "application/json\n", 'application/json;x="\\"', 'application/json;q="1"', "application\\json",
])
def test_what_is_no_media_range_is_passed_over(element):
    assert prefers(f"text/html;q=0.1, text/plain;q=0.2, {element}",
                   ("text/html", "application/json", "text/plain")) == "text/plain"


def test_the_precedence_of_rfc_9110():
    accept = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"
    # 12.5.1, Table 5; text/html;level=3 has 0.3 here, as text/* is all that fits it
    weights = {"text/plain;format=flowed": 1, "text/plain": 0.7, "text/html": 0.3, "image/jpeg": 0.5,
               "text/plain; format=fixed": 0.4, "text/html;level=3": 0.3}
    for one, its in weights.items():
        for other, others in weights.items():
            assert prefers(accept, (one, other)) == (one if its >= others else other)


def test_parameters_have_to_fit():
    offered = ("text/html", "text/html; charset=utf-8", 'text/html;charset="UTF-16"', "text/html;level=1")
    assert prefers("text/html;charset=UTF-8, text/html;q=0.5", offered) == offered[1]
    assert prefers('text/html;Charset="utf-\\16", text/html;q=0.5', offered) == offered[2]
    assert prefers("text/html;LEVEL=1, text/html;q=0.5", offered) == offered[3]
    assert prefers("text/html;level=1;charset=utf-8, text/html;q=0.5", offered) == offered[0]


def test_our_own_mistakes_are_told():
    with pytest.raises(ValueError, match="not a media type: html"):
        prefers("*/*", ("html",))


@given(st.text() | st.text(alphabet='textplainhm/*;q=01.5", \\'))
def test_any_text_prefers_one_of_those_offered(text):
    offered = ("text/html", "text/plain")
    assert prefers(text, offered) in offered
    assert prefers(f'{text.replace(chr(34), "")}, text/plain, text/html;q=0', offered) == "text/plain"
