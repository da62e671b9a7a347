"""XML from strangers: what is read, what is refused before it costs something, and what is written is read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import guardedxml
from daemons.wire.guardedxml import DEPTH, MOST, Unreadable, escaped, read


def seen(data):
    """Everything that is told of a document, in order."""
    found = []
    read(data, lambda name: found.append(("begin", *name)), lambda name: found.append(("end", *name)),
         lambda text: found.append(("text", text)))
    return found


def test_elements_with_their_namespaces():
    assert seen(b'<a xmlns="DAV:" xmlns:x="urn:x"><x:b>1&amp;2</x:b><c xmlns=""/></a>') == [
        ("begin", "DAV:", "a"), ("begin", "urn:x", "b"), ("text", "1&2"), ("end", "urn:x", "b"),
        ("begin", "", "c"), ("end", "", "c"), ("end", "DAV:", "a")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_the_encodings_that_all_know(encoding):
    declared = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    document = f'<?xml version="1.0" encoding="{declared}"?><a>\u00fc</a>'.encode(encoding)
    assert ("text", "\u00fc") in seen(document)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-7", "koi8-r", "x" * 100])
def test_no_other(encoding):
    with pytest.raises(Unreadable):
        seen(f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode())


@pytest.mark.parametrize("document", [
    b'<!DOCTYPE a><a/>', b'<?xml version="1.0"?>\n<!-- c --><!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a/>'.encode("utf-16"),
    b'<!DOCTYPE a [<!ENTITY a0 "ha">%b]><a>&a9;</a>' % b"".join(
        b'<!ENTITY a%d "%b">' % (depth + 1, b"&a%d;" % depth * 10) for depth in range(9))])
def test_no_document_type(document):
    with pytest.raises(Unreadable, match="document type"):
        seen(document)


@pytest.mark.parametrize("document", [b"", b"<a>", b"<a></b>", b"a", b"<a/><a/>", b"<a>&x;</a>", b"<x:a/>",
                                      b"<a>\xff</a>", b'<a xmlns:x=""/>', b"\0", b"<a b='1' b='2'/>", b"<a>\x01</a>"])
def test_what_is_not_well_formed(document):
    with pytest.raises(Unreadable, match="well-formed"):
        seen(document)


def test_depth_and_length():
    assert len(seen(b"<a>" * DEPTH + b"</a>" * DEPTH)) == 2 * DEPTH
    with pytest.raises(Unreadable, match="deep"):
        seen(b"<a>" * (DEPTH + 1) + b"</a>" * (DEPTH + 1))
    assert len(seen(b"<a>" + b" " * (MOST - 7) + b"</a>")) >= 3
    with pytest.raises(Unreadable, match="octets"):
        seen(b"<a>" + b" " * (MOST - 6) + b"</a>")


def test_what_stops_it_stops_it_at_once():
    """An error of the caller's comes through, and little is read after it."""
    names = []

    def begin(name):
        names.append(name)
        raise KeyError(name)

    with pytest.raises(KeyError):
        read(b"<a>" + b"<b/>" * 10000 + b"</a>", begin, print)
    assert len(names) == 1


@given(st.text())
def test_what_is_escaped_is_read_again(text):
    whole = "".join(piece for kind, *rest in seen(f"<a>{escaped(text)}</a>".encode("utf-8", "surrogatepass"))
                    for piece in rest if kind == "text")
    known = "".join(sign if sign in "\t\n\r" or guardedxml._is_char(sign) else "\ufffd" for sign in text)
    assert whole == known
    seen(f'<a b="{escaped(text)}"/>'.encode())


@given(st.binary(max_size=300))
def test_anything_at_all(data):
    try:
        seen(data)
    except Unreadable as error:
        assert str(error)
