"""Conditional requests: every step of RFC 9110 13.2.2, and what is no condition at all."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpconditions import GO_ON, NOT_MODIFIED, PRECONDITION_FAILED, if_range, outcome, tags
from daemons.wire.httpdate import imf

MODIFIED = 784111777
NOW = MODIFIED + 100000
BEFORE, SAME, AFTER, FUTURE = imf(MODIFIED - 1), imf(MODIFIED), imf(MODIFIED + 1), imf(NOW + 1)


def ask(method="GET", etag='"x"', modified=MODIFIED, **fields):
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return outcome(method, named, etag, modified, NOW)


def test_without_conditions_everything_goes_on():
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"):
        assert ask(method) == ask(method, None, None) == GO_ON


@pytest.mark.parametrize("value, etag, fine", [
    ('"x"', '"x"', True), ('"y"', '"x"', False), ('"y", "x"', '"x"', True), ('"x" , "y"', '"x"', True),
    ("*", '"x"', True), ("*", "", True), ("*", 'W/"x"', True), ("*", None, False), ('"x"', None, False),
    ('"x"', "", False),
    ('W/"x"', '"x"', False), ('"x"', 'W/"x"', False), ('W/"x"', 'W/"x"', False), ('W/"x", "x"', '"x"', True),
    ('"X"', '"x"', False), ("x", '"x"', False), ("", '"x"', False), ("", "", False), (",", '"x"', False),
    ('"x', '"x"', False), ('"x" "y"', '"x"', False), ('"x", y', '"x"', False), ('*, "x"', '"x"', False),
    (', "x",', '"x"', True),
])
def test_if_match_compares_strongly(value, etag, fine):
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert ask(method, etag, if_match=value) == (GO_ON if fine else PRECONDITION_FAILED)


@pytest.mark.parametrize("value, etag, matches", [
    ('"x"', '"x"', True), ('"y"', '"x"', False), ('"y", "x"', '"x"', True), ('"y","x"', '"x"', True),
    ('W/"x"', '"x"', True), ('"x"', 'W/"x"', True), ('W/"x"', 'W/"x"', True), ('W/"y", W/"x"', '"x"', True),
    ("*", '"x"', True), ("*", "", True), ("*", None, False), ('"x"', None, False), ('"x"', "", False),
    ('""', "", False),
    ('""', '""', True), ('"W/x"', 'W/"x"', False), ('w/"x"', '"x"', False), ("x", '"x"', False), ("", '"x"', False),
    ('"x" W/"y"', '"x"', False), ('"x"; q=1', '"x"', False), ('*, "x"', '"x"', False), ("**", '"x"', False),
    ('"a,b"', '"a,b"', True), ('"a","b"', '"a,b"', False), ('"a,b", "x"', '"x"', True), ('"\xe9"', '"\xe9"', True),
    (',, "y" ,\t, "x" ,', '"x"', True),
])
def test_if_none_match_compares_weakly(value, etag, matches):
    for method, status in (("GET", 304), ("HEAD", 304), ("PUT", 412), ("POST", 412), ("DELETE", 412)):
        assert ask(method, etag, if_none_match=value) == (status if matches else GO_ON)


@pytest.mark.parametrize("value, status", [(BEFORE, 0), (SAME, 304), (AFTER, 304), (imf(NOW), 304), (FUTURE, 0)])
def test_if_modified_since(value, status):
    assert ask(if_modified_since=value) == ask("HEAD", if_modified_since=value) == status
    for method in ("PUT", "POST", "DELETE", "PROPFIND"):
        assert ask(method, if_modified_since=value) == GO_ON
    assert ask(modified=None, if_modified_since=value) == GO_ON


@pytest.mark.parametrize("value, status", [(BEFORE, 412), (SAME, 0), (AFTER, 0), (FUTURE, 0)])
def test_if_unmodified_since(value, status):
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert ask(method, if_unmodified_since=value) == status
        assert ask(method, modified=None, if_unmodified_since=value) == GO_ON


@pytest.mark.parametrize("value", ["", "0", "yesterday", SAME.lower(), f"{SAME}, {SAME}", f"{SAME};length=5", SAME[:-4],
                                   "Sun, 31 Feb 1990 00:00:00 GMT", str(MODIFIED), '"x"', "*"])
def test_dates_that_are_none_are_ignored(value):
    assert ask(if_modified_since=value) == ask("PUT", if_unmodified_since=value) == GO_ON


def test_old_forms_of_dates_count_too():
    for date in ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert ask(if_modified_since=date) == NOT_MODIFIED and ask("PUT", if_unmodified_since=date) == GO_ON
    assert ask("PUT", if_unmodified_since="Saturday, 05-Nov-94 08:49:37 GMT") == PRECONDITION_FAILED


@pytest.mark.parametrize("method", ["CONNECT", "OPTIONS", "TRACE"])
def test_methods_that_select_nothing_have_no_conditions(method):
    assert ask(method, if_match='"y"', if_none_match='"x"', if_unmodified_since=BEFORE) == GO_ON


def expected(method, match, unmodified, none_match, modified):
    """RFC 9110 13.2.2 word by word; each argument is None for no such field, or whether its condition is true."""
    if match is not None:                                                           # step 1
        if not match:
            return 412
    elif unmodified is not None and not unmodified:                                 # step 2
        return 412
    if none_match is not None:                                                      # step 3
        if not none_match:
            return 304 if method in ("GET", "HEAD") else 412
    elif method in ("GET", "HEAD") and modified is not None and not modified:       # step 4
        return 304
    return 0


def test_every_combination_in_the_order_of_the_rfc():
    values = {"if-match": {True: '"x"', False: '"y"'}, "if-unmodified-since": {True: SAME, False: BEFORE},
              "if-none-match": {True: '"y"', False: '"x"'}, "if-modified-since": {True: BEFORE, False: SAME}}
    for method in ("GET", "HEAD", "PUT", "POST"):
        for truths in itertools.product((None, True, False), repeat=4):
            fields = {name: values[name][truth] for name, truth in zip(values, truths) if truth is not None}
            assert outcome(method, fields, '"x"', MODIFIED, NOW) == expected(method, *truths), (method, fields)


@pytest.mark.parametrize("value, etag, fine", [
    ('"x"', '"x"', True), ('"x"', '"y"', False), ('"x"', None, False), ('"x"', "", False), ('W/"x"', 'W/"x"', False),
    ('W/"x"', '"x"', False), ('"x"', 'W/"x"', False), ('"x", "y"', '"x"', False), ('"x" ', '"x"', False),
    ("*", '"x"', False), ("", "", False), ("", None, False), ('"', '"', False), ('"a b"', '"a b"', False),
    (SAME, '"x"', True), (SAME, None, True), (BEFORE, '"x"', False), (AFTER, '"x"', False),
    ("Sunday, 06-Nov-94 08:49:37 GMT", '"x"', True), ("Sun Nov  6 08:49:37 1994", '"x"', True),
    (f"{SAME}, {SAME}", '"x"', False), ("yesterday", "yesterday", False),
])
def test_if_range_wants_exactly_the_same(value, etag, fine):
    assert if_range(value, etag, MODIFIED) is fine


def test_if_range_with_a_date_needs_one_to_compare_with():
    assert not if_range(SAME, '"x"', None) and not if_range("yesterday", None, None)


@pytest.mark.parametrize("text, found", [
    ('"x"', ['"x"']), ('W/"x"', ['W/"x"']), ('""', ['""']), ('"x","y"', ['"x"', '"y"']),
    ('"x", W/"y"', ['"x"', 'W/"y"']),
    (' ,\t"x" ,, "y",', ['"x"', '"y"']), ("", []), (", ,", []), ('"a,b"', ['"a,b"']), ('"\\"', ['"\\"']),
    ("\"!#'~\x80\xff\"", ["\"!#'~\x80\xff\""]),
    ("x", None), ("*", None), ('"x', None), ('x"', None), ('"x"y', None), ('"x""y"', None), ('"x" "y"', None),
    ('W"x"', None), ('w/"x"', None), ('W/ "x"', None), ("W/", None), ("W/x", None), ('"a b"', None), ('"a\tb"', None),
    ('"a\x7fb"', None), ('"a\0b"', None), ('"a\u0100"', None), ('"x"; "y"', None), ('"\\""', None), ("'x'", None),
    ('"x"\n', None), ('\u00a0"x"', None), ('"x", *', None),
])
def test_entity_tags_are_read_strictly(text, found):
    assert tags(text) == found


sign = st.characters(min_codepoint=0x21, max_codepoint=0xff).filter(lambda sign: sign not in '"\x7f')
tag = st.builds('{}"{}"'.format, st.sampled_from(["", "W/"]), st.text(sign))


@given(st.lists(tag, max_size=5), st.sampled_from([",", ", ", " , ,\t"]))
def test_lists_of_tags_come_back(listed, comma):
    assert tags(comma.join(listed)) == listed


@given(st.text() | st.text(alphabet='W/"x, *\t'), st.sampled_from([None, "", '"x"', 'W/"x"']),
       st.sampled_from(["GET", "HEAD", "PUT"]))
def test_any_text_has_an_outcome(text, etag, method):
    for name in ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"):
        assert outcome(method, {name: text}, etag, MODIFIED, NOW) in (0, 304, 412)
    assert if_range(text, etag, MODIFIED) in (True, False)
    found = tags(text)
    assert found is None or all(one in text and one.removeprefix("W/").strip('"').count('"') == 0 for one in found)
