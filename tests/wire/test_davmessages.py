"""WebDAV's messages: what clients ask for, read as RFC 4918 prints it, and answers that another parser can read."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import davmessages
from daemons.wire.davmessages import (
    ALL,
    BEGIN,
    END,
    NAMES,
    NAMES_ONLY,
    SOME,
    Find,
    Listing,
    Resource,
    parse_propfind,
    parse_proppatch,
)
from daemons.wire.guardedxml import Unreadable
from daemons.wire.httptarget import encoded, segments

FILE = Resource("/a%20%3C.txt", False, 784111777.9, 7, "text/plain; charset=utf-8", '"1-7"')
FOLDER = Resource("/a/", True, 784111777.9)


def propfind(inner):
    return parse_propfind(b'<?xml version="1.0"?>\n<D:propfind xmlns:D="DAV:" xmlns:x="urn:x">%b</D:propfind>' % inner)


def read(multistatus):
    """{address: {status: {property: its text, or its children}}}, as another parser reads it."""
    found = {}
    for response in ElementTree.fromstring(multistatus).findall("{DAV:}response"):
        rows = found[response.findtext("{DAV:}href")] = {}
        for propstat in response.findall("{DAV:}propstat"):
            told = propstat.find("{DAV:}prop")
            rows[int(propstat.findtext("{DAV:}status").split()[1])] = {
                each.tag: [child.tag for child in each] or each.text for each in told}
    return found


def told(find, *resources):
    listing = Listing(find)
    return read(BEGIN + "".join(map(listing.response, resources)) + END)


# ------------------------------------------------------------------ requests

def test_what_a_propfind_asks_for():
    assert parse_propfind(b"").kind == propfind(b"<D:allprop/>").kind == ALL
    assert propfind(b"<D:propname/>").kind == NAMES_ONLY
    some = propfind(b"<D:prop><D:getetag/><x:b>text<D:c/></x:b><x:b/></D:prop>")
    assert (some.kind, some.names) == (SOME, (("DAV:", "getetag"), ("urn:x", "b")))
    more = propfind(b"<D:allprop/><D:include><x:b/></D:include>")
    assert (more.kind, more.names) == (ALL, (("urn:x", "b"),))
    # RFC 4918, 17: what nobody knows is passed over, with all in it
    assert propfind(b"<x:new><D:propname/></x:new><D:prop/>").kind == SOME


@pytest.mark.parametrize("inner", [b"", b"<D:new/>", b"<D:prop/><D:allprop/>", b"<D:propname/><D:propname/>",
                                   b"<prop/>"])
def test_a_propfind_that_asks_for_nothing_or_two_things(inner):
    with pytest.raises(Unreadable, match="one of"):
        propfind(inner)


@pytest.mark.parametrize("body", [b"x", b'<propfind xmlns="urn:x"/>', b"<propfind/>", b'<propertyupdate xmlns="DAV:"/>',
                                  b'<!DOCTYPE a><propfind xmlns="DAV:"><allprop/></propfind>'])
def test_no_propfind(body):
    with pytest.raises(Unreadable):
        parse_propfind(body)


def test_how_many_properties_may_be_asked_for():
    rows = b"".join(b"<x:p%d/>" % number for number in range(NAMES))
    assert len(propfind(b"<D:prop>%b</D:prop>" % rows).names) == NAMES
    with pytest.raises(Unreadable, match="more than"):
        propfind(b"<D:prop>%b<x:one-more/></D:prop>" % rows)
    with pytest.raises(Unreadable, match="more than"):
        parse_proppatch(b'<a:propertyupdate xmlns:a="DAV:" xmlns:x="u"><a:set><a:prop>%b<x:y/></a:prop></a:set>'
                        b"</a:propertyupdate>" % rows)


def test_what_a_proppatch_would_do():
    """RFC 4918, 9.2.2."""
    assert parse_proppatch(b"""<?xml version="1.0" encoding="utf-8" ?>
     <D:propertyupdate xmlns:D="DAV:" xmlns:Z="http://ns.example.com/standards/z39.50/">
       <D:set><D:prop><Z:Authors><Z:Author>Jim Whitehead</Z:Author></Z:Authors></D:prop></D:set>
       <D:remove><D:prop><Z:Copyright-Owner/></D:prop></D:remove>
     </D:propertyupdate>""") == [(True, ("http://ns.example.com/standards/z39.50/", "Authors")),
                                 (False, ("http://ns.example.com/standards/z39.50/", "Copyright-Owner"))]
    with pytest.raises(Unreadable, match="nothing"):
        parse_proppatch(b'<propertyupdate xmlns="DAV:"><set><prop/></set></propertyupdate>')


# ------------------------------------------------------------------ replies

def test_all_that_is_known():
    rows = told(Find(ALL), FILE, FOLDER)
    assert rows == {
        "/a%20%3C.txt": {200: {"{DAV:}getcontentlength": "7", "{DAV:}getcontenttype": "text/plain; charset=utf-8",
                               "{DAV:}getetag": '"1-7"', "{DAV:}getlastmodified": "Sun, 06 Nov 1994 08:49:37 GMT",
                               "{DAV:}resourcetype": None}},
        "/a/": {200: {"{DAV:}getlastmodified": "Sun, 06 Nov 1994 08:49:37 GMT",
                      "{DAV:}resourcetype": ["{DAV:}collection"]}}}


def test_names_only():
    rows = told(Find(NAMES_ONLY), FILE, FOLDER)
    assert [list(row[200]) for row in rows.values()] == [
        [f"{{DAV:}}{name}" for name in davmessages.OF_FILES], [f"{{DAV:}}{name}" for name in davmessages.OF_FOLDERS]]
    assert {text for row in rows.values() for text in row[200].values()} == {None}


def test_what_is_asked_for_and_what_is_not_there():
    names = (("DAV:", "getetag"), ("DAV:", "creationdate"), ("urn:<&\">", "b"), ("", "c"), ("urn:x", "getetag"),
             ("http://www.w3.org/XML/1998/namespace", "lang"))
    rows = told(Find(SOME, names), FILE, FOLDER)
    rest = {"{DAV:}creationdate": None, "{urn:<&\">}b": None, "c": None, "{urn:x}getetag": None,
            "{http://www.w3.org/XML/1998/namespace}lang": None}
    assert rows["/a%20%3C.txt"] == {200: {"{DAV:}getetag": '"1-7"'}, 404: rest}
    assert rows["/a/"] == {404: {"{DAV:}getetag": None, **rest}}
    assert told(Find(SOME), FILE) == {"/a%20%3C.txt": {200: {}}}
    assert told(Find(ALL, (("DAV:", "x"), ("DAV:", "getetag"))), FILE)["/a%20%3C.txt"][404] == {"{DAV:}x": None}


def test_space_is_told_to_who_asks():
    """RFC 4331, 2: it SHOULD NOT be part of allprop."""
    folder = Resource("/", True, 0, space=(5, 7))
    names = tuple(("DAV:", name) for name in davmessages.QUOTA)
    quota = {"{DAV:}quota-available-bytes": "5", "{DAV:}quota-used-bytes": "7"}
    assert told(Find(SOME, names), folder) == {"/": {200: quota}}
    assert told(Find(SOME, names), folder, FOLDER)["/a/"] == {404: dict.fromkeys(quota)}
    assert not quota.keys() & told(Find(ALL), folder)["/"][200].keys()


def test_a_year_that_http_has_no_date_for():
    assert told(Find(ALL), Resource("/f", False, 1e15))["/f"][200]["{DAV:}getlastmodified"] is None


@given(st.binary(min_size=1, max_size=60).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b"..")))
def test_any_name_of_a_file_comes_back(name):
    path = "/" + name.decode("utf-8", "surrogateescape")
    (href,) = told(Find(ALL), Resource(encoded(path), False, 0, 1, "a/b<&", '"t"'))
    assert segments(href) == (name,)


def test_what_came_of_a_proppatch():
    wishes = [(True, ("DAV:", "getetag")), (True, ("urn:x", "a")), (False, ("urn:x", "b"))]
    text = davmessages.patched("/f", wishes)
    assert "<D:cannot-modify-protected-property/>" in text and "keeps no properties" in text
    statuses = [(each.findtext("{DAV:}status").split()[1], [prop.tag for prop in each.find("{DAV:}prop")])
                for each in ElementTree.fromstring(text).iter("{DAV:}propstat")]
    assert statuses == [("403", ["{DAV:}getetag"]), ("403", ["{urn:x}a"]), ("424", ["{urn:x}b"])]
    # RFC 4918, 14.23: to remove what is not there is no error
    assert read(davmessages.patched("/f", [(False, ("urn:x", "b"))])) == {"/f": {200: {"{urn:x}b": None}}}


def test_failures_and_errors():
    tree = ElementTree.fromstring(davmessages.failures([("/a&b", 403), ("/c", 507)]))
    assert [(row.findtext("{DAV:}href"), row.findtext("{DAV:}status")) for row in tree] == [
        ("/a&b", "HTTP/1.1 403 Forbidden"), ("/c", "HTTP/1.1 507 Insufficient Storage")]
    assert [row.tag for row in ElementTree.fromstring(davmessages.error("propfind-finite-depth"))] == [
        "{DAV:}propfind-finite-depth"]
