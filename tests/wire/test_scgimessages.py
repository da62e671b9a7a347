"""SCGI: the example of its specification, and what cannot be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.scgimessages import head


def read(data):
    """The headers of a request, as a server takes them apart."""
    size, _, rest = data.partition(b":")
    assert len(rest) == int(size) + 1 and rest.endswith(b",") and rest[-2:-1] == b"\0"
    words = rest[:-2].split(b"\0")
    return list(zip(words[::2], words[1::2], strict=True))


def test_the_example_of_the_specification():
    assert head({"REQUEST_METHOD": "POST", "REQUEST_URI": "/deepthought"}, 27) == \
        b"70:CONTENT_LENGTH\x0027\0SCGI\x001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/deepthought\0,"


def test_no_header_comes_twice_and_the_length_is_always_there():
    assert read(head({"A": "", "CONTENT_LENGTH": "5", "SCGI": "2"}, 0)) == \
        [(b"CONTENT_LENGTH", b"0"), (b"SCGI", b"1"), (b"A", b"")]


@pytest.mark.parametrize("variables", [{"A": "b\0c"}, {"A\0": "b"}, {"": "b"}])
def test_what_cannot_be_told(variables):
    with pytest.raises(ValueError, match="NUL"):
        head(variables, 0)


text = st.binary(max_size=20).map(lambda octets: octets.replace(b"\0", b"").decode("utf-8", "surrogateescape"))


@given(st.dictionaries(text.filter(bool), text), st.integers(0, 2**40))
def test_what_is_told_is_heard(variables, length):
    rows = read(head(variables, length))
    want = [(name, value) for name, value in variables.items() if name not in ("CONTENT_LENGTH", "SCGI")]
    assert rows[0] == (b"CONTENT_LENGTH", b"%d" % length)
    assert rows[2:] == [tuple(word.encode("utf-8", "surrogateescape") for word in row) for row in want]
